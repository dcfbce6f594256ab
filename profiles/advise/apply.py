"""Findings and ideas applied to a view: named, gated, ignored where a spec says so, ordered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import SetOption
from pipeprof.pipelines.changes.in_spec import can_change
from pipeprof.profiles.advise.check import Check
from pipeprof.profiles.advise.facts.cache_places import kept_by
from pipeprof.profiles.advise.facts.redrawn import as_redrawn
from pipeprof.profiles.advise.facts.work import pays
from pipeprof.profiles.advise.findings.correctness import CORRECTNESS
from pipeprof.profiles.advise.findings.memory import MEMORY
from pipeprof.profiles.advise.findings.python import PYTHON
from pipeprof.profiles.advise.findings.training import TRAINING
from pipeprof.profiles.advise.ideas import IDEAS, POOL
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.advise.proposal import Proposal, different, effort, expected_of
from pipeprof.profiles.advise.text.in_words import describe_change
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import call_around

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.spec import Ignore

FINDINGS: tuple[Check, ...] = (*CORRECTNESS, *MEMORY, *PYTHON, *TRAINING)
CHECKS = {check.name: check for check in sorted((*FINDINGS, *IDEAS), key=lambda check: check.name)}
"""All findings and ideas, by name."""
_LONGEST_ERROR = 200
OF_STARTS = frozenset({"cache", "drop-earlier"})
"""Ideas that make starts of epochs shorter: what these make and drop is made once, or not at all."""
_HOPELESS = 0.5
"""Predicted times as fast below which an idea is not worth its try: the model is off by 1.5, seldom by 2."""


def findings_in(
    view: PipelineView, *, ignore: Sequence[Ignore] = (), checks: Iterable[Check] = FINDINGS
) -> tuple[list[Proposal], list[Message]]:
    """What is wrong with a pipeline or a training for certain, and messages about checks that failed."""
    speed = view.profile is None or pays(view)
    return _applied([check for check in checks if speed or not check.waits], view, ignore)


def ideas_for(
    view: PipelineView, *, ignore: Sequence[Ignore] = (), checks: Iterable[Check] = IDEAS
) -> tuple[list[Proposal], list[Message]]:
    """The changes worth measuring, the largest predicted gain first, and messages; none without measured stages."""
    if view.kind == "static":
        return [], []
    found, messages = _applied(checks, view, ignore)
    speed, starts, hidden = pays(view), pays(view, restarts=True), _inside_calls(view)
    kept = [
        one
        for one in different(found)
        if (speed or one.for_memory or (starts and one.rule in OF_STARTS))
        and not hidden & _named_in(one)
        and (one.for_memory or one.speedup is None or one.speedup >= _HOPELESS)
    ]
    peak = view.profile.memory.peak_bytes if view.profile is not None and view.profile.shows_memory else None
    return sorted(kept, key=lambda one: (-expected_of(one, peak), effort(one.edits))), messages


def _applied(
    checks: Iterable[Check], view: PipelineView, ignore: Sequence[Ignore]
) -> tuple[list[Proposal], list[Message]]:
    """What checks see, without what a spec ignores, and messages about both."""
    found: list[Proposal] = []
    ignored: list[str] = []
    messages: list[Message] = []
    for check in checks:
        try:
            proposals = [_finished(view, proposal) for proposal in check(view)]
        except Exception as error:  # A mistake in one check must never cost the report.
            text = f"{check.name} failed ({in_one_line(error)}): it is missing"
            messages.append(Message(code="rule-failed", message=text))
            continue
        for proposal in proposals:
            entry = next((entry for entry in ignore if ignores(entry, proposal, view)), None)
            if entry is None:
                found.append(proposal)
            elif check.kind == "finding":
                at = f" at {proposal.stage}" if proposal.stage else ""
                ignored.append(f"{check.name}{at} ({' '.join(entry.reason.split())})")
    if ignored:
        are = "finding is" if len(ignored) == 1 else "findings are"
        text = f"{len(ignored)} {are} ignored, as the spec says: {', '.join(ignored)}"
        messages.append(Message(code="ignored", message=text))
    return found, messages


def in_one_line(error: Exception) -> str:
    """An error with its kind, cut where it is long."""
    text = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
    return text if len(text) <= _LONGEST_ERROR else f"{text[:_LONGEST_ERROR]}…"


def ignores(entry: Ignore, proposal: Proposal, view: PipelineView) -> bool:
    """Whether an entry of `ignore:` is about a proposal."""
    if entry.rule != proposal.rule or entry.stage is None:
        return entry.rule == proposal.rule
    if isinstance(entry.stage, int):
        return f"stages.{entry.stage}" == proposal.stage
    stage = view.by_id.get(proposal.stage or "")
    return stage is not None and entry.stage in {stage.id, stage.name}


def _finished(view: PipelineView, proposal: Proposal) -> Proposal:
    """A proposal with its change in words, its line, its effect on the data, and what it should bring."""
    stage = view.by_id.get(proposal.stage or "")
    change = proposal.change or describe_change(view, proposal.edits, proposal.change_detail) or ""
    made = replace(
        proposal,
        change=change,
        recommendation=proposal.recommendation or change,
        location=proposal.location or (stage.location if stage is not None else None),
        in_spec=view.loaded is not None and can_change(view.loaded.data, proposal.edits),
        cache=kept_by(view, proposal.edits),
    )
    if view.kind == "static" or not proposal.edits:
        return made
    threads = next((edit.value for edit in made.edits if isinstance(edit, SetOption) and edit.path == POOL), None)
    predicted = made.predicted or expected(view, made.left, made.calls, made.prefetched, threads)
    return replace(as_redrawn(view, made), predicted=predicted)


def _inside_calls(view: PipelineView) -> frozenset[str]:
    """The stages that TensorFlow makes inside of one call of the user's but the last one, which gives its result."""
    calls: dict[tuple[object, ...], list[str]] = {}
    for stage in view.stages:
        place, row = stage.location, stage.measured
        library = row is not None and row.library is not None
        if view.loaded is None and place is not None and not library and call_around(stage.op, place):
            calls.setdefault((place.file, place.line, place.column, place.call), []).append(stage.id)
    last = {max(ids, key=lambda one: (-one.count("."), one)) for ids in calls.values()}
    return frozenset(one for ids in calls.values() for one in ids) - last


def _named_in(proposal: Proposal) -> frozenset[str]:
    values = [value for edit in proposal.edits for value in vars(edit).values()]
    several = [one for value in values if isinstance(value, tuple) for one in value]
    return frozenset(one for one in (*values, *several) if isinstance(one, str))
