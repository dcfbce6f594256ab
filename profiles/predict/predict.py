"""Predictions for edits, from one profile: steps per second, waiting, peak memory, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import PipelineEdit, SetOption
from pipeprof.profiles.predict.costs import DEFAULT, Costs
from pipeprof.profiles.predict.effects import Changed, apply, with_calls
from pipeprof.profiles.predict.flow import Flow, Term
from pipeprof.profiles.predict.read import POOL_OPTION, flow_of
from pipeprof.profiles.wording import change_text, cores_text, count, listed, milliseconds

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_NAMED = 3
"""Stages that a formula names at most."""


@dataclass(frozen=True)
class Estimate:
    """Prediction for edits.

    Attributes:
        speedup: Steps per second with them over without.
        wait_ms: Of the step per batch, afterwards; without a step the whole interval.
        peak_bytes: Change of the peak of memory; `None` where sizes are not known.
    """

    speedup: float
    wait_ms: float
    peak_bytes: int | None
    formula: str


def predict(profile: Profile, edits: Sequence[PipelineEdit], costs: Costs = DEFAULT) -> Estimate | None:
    """Predict what edits would give together; ``None`` where the model does not know what one of them does."""
    flow = flow_of(profile)
    return predicted_of(flow, edits, costs) if flow is not None and edits else None


def predicted_of(flow: Flow, edits: Sequence[PipelineEdit], costs: Costs = DEFAULT) -> Estimate | None:
    """Predict for a pipeline that has been read."""
    changed = Changed(flow)
    for edit in edits:
        after = apply(changed.flow, edit, costs)
        if after is None:
            return None
        changed = changed.then(after)
    return _estimate(flow, changed)


def predicted_in_parallel(flow: Flow, stage: str, calls: int, pool: int, costs: Costs = DEFAULT) -> Estimate | None:
    """Predict that the work of a stage is done by so many calls at a time, whatever is to be written for that."""
    part = flow.by_id.get(stage)
    changed = with_calls(flow, part, calls, costs) if part is not None else None
    after = apply(changed.flow, SetOption(POOL_OPTION, pool), costs) if changed is not None else None
    return _estimate(flow, changed.then(after)) if changed is not None and after is not None else None


def _estimate(flow: Flow, changed: Changed) -> Estimate | None:
    before_ms, after_ms = flow.interval_ms(), changed.flow.interval_ms()
    if not before_ms > 0 or not after_ms > 0:
        return None
    return Estimate(
        speedup=before_ms / after_ms,
        wait_ms=max(0.0, after_ms - changed.flow.step_ms),
        peak_bytes=round(changed.bytes) if changed.bytes is not None else None,
        formula=change_text(before_ms, after_ms, _reason(changed.flow)),
    )


def _reason(flow: Flow) -> str:
    """The resource that takes longest, in words."""
    terms = flow.terms()
    words = _words(flow, terms[0])
    if (burst := flow.burst_ms(terms)) > 0 and milliseconds(burst) != milliseconds(0.0):
        words += f", and waits {milliseconds(burst)} for batches that come late"
    if flow.restart_ms > 0:
        words += f"; {milliseconds(flow.restart_ms)} of restarts stay"
    return words


def _words(flow: Flow, term: Term) -> str:
    ms = milliseconds(term.ms)
    parts = sorted((flow.by_id[name] for name in term.parts), key=lambda part: -part.held_ms)
    names = [part.name or part.op for part in parts]
    who = listed(names[:_NAMED]) if names else "the pipeline"
    match term.resource:
        case "serial":
            other = "a step" if flow.in_turn else "a loop"
            turns = f" in turn with {other} of {milliseconds(term.fixed_ms)}" if term.fixed_ms > 0 else ""
            text = f"{who} take {ms} on one thread{turns}" if len(names) > 1 else f"{who} takes {ms}{turns}"
        case "calls":
            own = milliseconds(flow.by_id[term.parts[0]].held_ms)
            text = f"{own} in {who}, {count(term.threads)} calls at a time, take {ms}"
        case "pool":
            text = f"the functions of {who} take {ms} on {count(term.threads)} threads"
        case "cores":
            cpu = milliseconds(term.ms * term.threads)
            text = f"{cpu} of CPU per batch keep {cores_text(term.threads)} busy for {ms}"
        case "lock":
            text = f"Python in {who} takes its lock for {ms}"
        case "step":
            free = flow.floor_ms >= flow.step_ms
            text = f"with preloaded batches a step takes {ms}" if free else f"the step takes {ms}"
        case "loop":
            text = f"without its fetch a step of the loop takes {ms}"
    return text
