"""What a change of a running pipeline gives: steps per second, waiting, and why, by the model of what limits it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from pipeprof.profiles.document.findings import Predicted
from pipeprof.profiles.time.flow import ONE_CALL, Flow, Part, Term
from pipeprof.profiles.time.read_flow import flow_of
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import change_text, cores_text, count, listed, milliseconds

_NAMED = 3
"""Stages that a formula names at most."""


def expected(
    view: PipelineView,
    left: Mapping[str, float],
    calls: Mapping[str, float],
    prefetched: Collection[str] = (),
    threads: float | None = None,
) -> Predicted | None:
    """Predict a change from the times of all stages, as `predicted`; None without them."""
    if view.profile is None:
        return None
    flow = flow_of(view.profile.model_copy(update={"options": dict(view.options)}))
    found = predicted(flow, left, calls, prefetched, threads) if flow is not None else None
    if found is not None and view.profile.gains_are_bounds:
        # The wait is not known where that of the run is not.
        found.wait_ms = None
    return found


def predicted(
    flow: Flow,
    left: Mapping[str, float],
    calls: Mapping[str, float],
    prefetched: Collection[str] = (),
    threads: float | None = None,
) -> Predicted | None:
    """Predict what a change gives; ``None`` where it is about nothing that the pipeline has.

    Args:
        left: The share of a stage's work that is left, by address; what is not named stays as it is.
        threads: How many threads the pool then has; `None` for as many as now.
    """
    known = {one.id for part in flow.parts for one in (part, *part.inside)}
    if threads is None and known.isdisjoint((*left, *calls)) and flow.by_id.keys().isdisjoint(prefetched):
        return None
    # Where TensorFlow chooses, as many calls run as there are threads.
    tuned = [part.id for part in flow.parts if threads and part.tuned and part.ahead and part.buffer is None]
    calls = {**dict.fromkeys(tuned, threads or ONE_CALL), **calls}
    pool = threads or flow.pool
    after = replace(flow, parts=tuple(_changed(part, left, calls, pool) for part in flow.parts), pool=pool)
    for name in prefetched:
        after = after.prefetched(name) if name in flow.by_id else after
    # A pass starts with the making of its first batch.
    now, made = flow.made_ms(), after.made_ms()
    after = replace(after, restart_ms=flow.restart_ms * min(1.0, made / now)) if now > 0 else after
    before_ms, after_ms = flow.interval_ms(), after.interval_ms()
    if not after_ms > 0:
        return None
    formula = change_text(before_ms, after_ms, _reason(after))
    return Predicted(speedup=before_ms / after_ms, wait_ms=max(0.0, after_ms - after.step_ms), formula=formula)


def _changed(part: Part, left: Mapping[str, float], calls: Mapping[str, float], pool: float) -> Part:
    new = part.scaled(_share(part, left))
    # Calls inside of a function leave the thread of the stage that calls it.
    threads = {one.id: min(one.calls, pool) for one in part.inside}
    shorter = {name: now / max(now, min(calls[name], pool)) for name, now in threads.items() if name in calls}
    if shorter:
        by = _share(part, shorter)
        new = new.timed(computing_ms=new.times.computing_ms * by, waiting_ms=new.times.waiting_ms * by)
    return replace(new, ahead=True, calls=max(ONE_CALL, calls[part.id])) if part.id in calls else new


def _share(part: Part, left: Mapping[str, float]) -> float:
    """The share of a part's time that is left, with the parts inside it."""
    inside = sum(one.held_ms for one in part.inside)
    rows = [(part.id, max(0.0, part.held_ms - inside)), *((one.id, one.held_ms) for one in part.inside)]
    total = sum(ms for _, ms in rows)
    return sum(ms * left.get(name, 1.0) for name, ms in rows) / total if total > 0 else left.get(part.id, 1.0)


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
    names = [part.name for part in parts]
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
