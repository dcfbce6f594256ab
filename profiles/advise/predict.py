"""Predicted speedups: those of the model, and formulas for calls that may stand inside functions.

The formulas are first-order: times per batch are taken as constant, no step becomes faster than the one with preloaded
batches (`floor_ms`), and the starts of epochs (`restart_ms`) take as long as today.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeprof.pipelines.edits.edits import PipelineEdit
from pipeprof.profiles.advise.rule import Prediction
from pipeprof.profiles.model.calibration import costs_of
from pipeprof.profiles.model.predict import change_text, predict
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import milliseconds


def expected(view: PipelineView, edits: Sequence[PipelineEdit]) -> Prediction | None:
    """Predict edits of the main line from the times of all stages; ``None`` where the model does not know one of them.

    Args:
        view: A measured one.
        edits: Applied one after the other.
    """
    if view.profile is None:
        return None
    seen = {"headspace": view.headspace, "options": dict(view.options)}
    profile = view.profile.model_copy(update=seen)
    found = predict(profile, edits, costs_of(profile))
    return Prediction(found.formula, found.speedup, found.peak_bytes, found.wait_ms) if found is not None else None


def more_calls(
    interval_ms: float,
    stage_ms: float,
    *,
    blocked_ms: float,
    calls: float,
    threads: float,
    rest_ms: float = 0.0,
    floor_ms: float | None = None,
    cpu_ms: float = 0.0,
    restart_ms: float = 0.0,
) -> Prediction:
    """Predict parallel calls of a map that waits: ``min(calls, threads)`` at a time, in parallel to the rest.

    Only the blocked part becomes shorter; what the map computes takes as long as today.

    Args:
        interval_ms: From one step to the next today.
        stage_ms: Time inside the map per batch, summed over threads; of all maps that share the pool.
        blocked_ms: The part of it in which the calls wait for something else than a core.
        calls: Of ``num_parallel_calls``.
        threads: Of the pool that the calls run on.
        rest_ms: Time per batch of the slowest other stage.
        floor_ms: A step with preloaded batches.
        cpu_ms: CPU time per batch that more calls do not hide.
        restart_ms: What the starts of epochs take of the interval.

    Example:
        >>> more_calls(20, 16, blocked_ms=16, calls=16, threads=16, rest_ms=4).speedup
        5.0
        >>> more_calls(20, 40, blocked_ms=40, calls=16, threads=4).speedup
        2.0
        >>> more_calls(20, 40, blocked_ms=0, calls=16, threads=16).speedup
        1.0
    """
    running = interval_ms - restart_ms
    now = max(1.0, stage_ms / running) if running > 0 else 1.0
    at_a_time = max(now, min(calls, threads))
    waiting, computing = blocked_ms / at_a_time, (stage_ms - blocked_ms) / now
    reason = f"{at_a_time:g} calls at a time wait {milliseconds(waiting)} instead of {milliseconds(blocked_ms / now)}"
    if computing > 0 and milliseconds(computing) != milliseconds(0.0):
        reason += f", and compute {milliseconds(computing)}"
    own = waiting + computing
    if cpu_ms > max(own, rest_ms):
        reason += _computing(cpu_ms)
    elif rest_ms > own:
        reason += f", the rest {milliseconds(rest_ms)}"
    return _bounded(interval_ms, max(own, rest_ms, cpu_ms), reason, floor_ms, restart_ms)


def threads_needed(stage_ms: float, target_ms: float, least: int, most: int) -> int:
    """Calls that must wait at a time for the map to take `target_ms` per batch, within bounds.

    Example:
        >>> threads_needed(100, 12, 2, 64), threads_needed(100, 0, 2, 64)
        (9, 64)
    """
    if not target_ms > stage_ms / most:
        return max(least, most)
    return min(max(least, most), max(least, math.ceil(stage_ms / target_ms)))


def buffered(element_bytes: float | None, elements: int) -> int | None:
    """Bytes that `elements` more elements in flight hold; ``None`` if their size is not known."""
    return None if element_bytes is None else round(element_bytes * elements)


def _computing(cpu_ms: float) -> str:
    return f", computing {milliseconds(cpu_ms)}"


def _bounded(
    interval_ms: float, after_ms: float, reason: str, floor_ms: float | None, restart_ms: float = 0.0
) -> Prediction:
    """The speedup of a step that takes `after_ms` instead, no less than with preloaded batches, and the restarts."""
    after = max(after_ms, floor_ms or 0.0)
    if floor_ms and after_ms <= floor_ms:
        reason += f"; with preloaded batches a step takes {milliseconds(floor_ms)}"
    after += restart_ms
    if restart_ms > 0:
        reason += f"; {milliseconds(restart_ms)} of restarts stay"
    return Prediction(change_text(interval_ms, after, reason), speedup=max(1.0, _ratio(interval_ms, after)))


def _ratio(before: float, after: float) -> float:
    return before / after if after > 0 else 1.0
