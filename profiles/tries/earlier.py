"""What an earlier run has proven of a pipeline that is still the same, and what a search leaves out: pure functions.

A saved profile is data that may come from somebody else: only edits that are safe to make are taken from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.changes.checked import RefusedEditError, checked_edits
from pipeprof.profiles.advise.as_finding import proposal_of
from pipeprof.profiles.advise.proposal import Prediction, Proposal, different
from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.document.findings import LeftOut
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.subject import Target
from pipeprof.profiles.tries.plan import can_be_tried


def is_run_of(saved: Profile, target: Target) -> bool:
    """Whether a saved profile is that of a complete run of a pipeline, and its files are those that were measured."""
    searches = saved.fix is not None or saved.command[1:2] == ["fix"] or saved.tries_one_change
    return saved.complete and not saved.exit_code and not searches and saved.target == target


def proven_changes(saved: Profile, now: Profile | None = None) -> list[Proposal]:
    """The changes that a run has kept, fastest first.

    Args:
        now: Of the pipeline as it was measured for this search: with another step, what the run measured says nothing
            about how much they gain.
    """
    found = []
    holds = now is None or have_same_step(saved, now)
    for finding in saved.findings or ():
        speedup = (finding.measured or {}).get("speedup")
        if finding.status != "kept" or not can_be_tried(finding) or not speedup:
            continue
        try:
            edits = checked_edits([edit.model_dump() for edit in finding.documents])
        except RefusedEditError:
            continue
        measured = finding.measured or {}
        interval = (float(speedup), float(measured.get("low") or 0.0), measured.get("high"))
        proposal = replace(proposal_of(finding), edits=tuple(edits))
        known = replace(proposal, predicted=Prediction("measured before", float(speedup)), measured=interval)
        found.append(known if holds else proposal)
    return sorted(found, key=_speedup, reverse=True)


def have_same_step(one: Profile, other: Profile) -> bool:
    """Whether two runs took batches in the same way: what one says of a gain holds for the other."""
    return _step(one) == _step(other)


def _step(profile: Profile) -> tuple[object, ...]:
    device, steps = profile.device, profile.steps
    return (device.kind, device.text) if device else (), steps.dispatch if steps else None


def left_out(proposed: Iterable[Proposal], gain: float = 1.0) -> list[LeftOut]:
    """Describe changes that are not allowed, what was measured first, then by their factor.

    Args:
        proposed: They; of those with the same edits the first one counts.
        gain: Factor of the best pipeline that was found: what was measured to give no more is left out.
    """
    worth = [one for one in different(proposed) if not _is_too_little(one, gain)]
    return [_described(one) for one in sorted(worth, key=lambda one: (one.measured is None, -_speedup(one)))]


def _is_too_little(candidate: Proposal, gain: float) -> bool:
    if candidate.measured is not None:
        return candidate.measured[0] < (1 + FLOOR) * gain
    return candidate.speedup is not None and candidate.speedup < 1 + FLOOR


def _described(candidate: Proposal) -> LeftOut:
    value, low, high = candidate.measured or (candidate.speedup, None, None)
    known = "measured" if candidate.measured is not None else "predicted" if value is not None else None
    return LeftOut(
        title=candidate.title,
        change=candidate.change,
        semantics=candidate.effect,
        speedup=value,
        low=low,
        high=high if high is not None and math.isfinite(high) else None,
        known_by=known,
        allow=f"--allow {candidate.effect}",
    )


def _speedup(candidate: Proposal) -> float:
    return candidate.speedup or 0.0
