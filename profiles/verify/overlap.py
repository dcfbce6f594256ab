"""Edits that let the pipeline work while the step does: their gain depends on how far the loop runs ahead."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Dispatch
from pipeprof.profiles.experiment.decision import LEAST_GAIN
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.verify.price import NEAR_LIMIT

IN_FLIGHT = 1
"""Steps of the other mode, where the loop waits for each step in the run."""


def is_about_overlap(finding: Finding) -> bool:
    """Whether all that an edit does is to prefetch."""
    return finding.is_known and all(
        isinstance(edit, InsertStage | MoveStage) and traits(edit.op).prefetches for edit in finding.edits
    )


def only_overlaps_full_cores(profile: Profile, finding: Finding) -> bool:
    """Whether an edit only prefetches where the cores are full, or the step sets the pace."""
    verdict = profile.verdict
    full = verdict is not None and (verdict.bound == "step" or verdict.limit == "cpu")
    return full and is_about_overlap(finding)


def may_gain(profile: Profile, finding: Finding, limit: int | None) -> bool:
    """Whether an edit that was not tried is worth a word.

    One is not that is predicted to gain nothing, that only prefetches where the cores are full or the step sets the
    pace, or that saves memory where there is enough.

    Args:
        limit: Memory limit in bytes; None for none.
    """
    expected = finding.predicted.speedup if finding.predicted is not None else None
    if finding.family == "memory":
        return limit is None or (profile.memory.peak_bytes or 0) >= NEAR_LIMIT * limit
    return not only_overlaps_full_cores(profile, finding) and (expected is None or expected >= LEAST_GAIN)


def without_other_dispatch(findings: Iterable[Finding]) -> list[Finding]:
    """Return the kept findings about overlap whose gain in the other mode of dispatch is not known yet."""
    kept = (finding for finding in findings if finding.status == "kept" and is_about_overlap(finding))
    return [finding for finding in kept if finding.measured and "other_dispatch" not in finding.measured]


def other_dispatch(dispatch: Dispatch | None, step: str) -> Dispatch | None:
    """Return the mode in which the gain is measured as well; None where there is no other.

    Args:
        step: Kind of its step: only one that can run ahead as the user says can be given another mode.

    Example:
        >>> other_dispatch("sync", "simulate"), other_dispatch(2, "simulate"), other_dispatch("sync", "python")
        (1, 'sync', None)
    """
    if dispatch is None or step_kind(step).dispatch != "any":
        return None
    return IN_FLIGHT if dispatch == "sync" else "sync"


def as_measured(evidence: Evidence | None, dispatch: Dispatch) -> dict[str, object] | None:
    """What the profile says of the other mode; None where nothing was measured."""
    speedup = evidence.speedup() if evidence is not None else None
    if evidence is None or speedup is None or not speedup.pairs > 1:
        return None
    return {"dispatch": dispatch, **(evidence.measured() or {})}
