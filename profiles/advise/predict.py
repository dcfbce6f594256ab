"""What an edit should bring, as formulas over measured times; each answer carries the formula with its numbers.

All are first-order: times per batch are taken as constant, and no step is expected to become faster than the one
that replayed batches left (`floor_ms`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pipeprof.profiles.advise.rule import Prediction
from pipeprof.profiles.document.base import Dispatch
from pipeprof.profiles.wording import milliseconds, significant


def overlap(step_ms: float, pipeline_ms: float, dispatch: Dispatch | None) -> Prediction:
    """A prefetch at the end: pipeline and step run side by side instead of one after the other.

    With steps in flight the host asks for the next batch while the device works, so they do already; without a step
    there is nothing to run beside.

    Args:
        step_ms: The device's work per step.
        pipeline_ms: What the loop waits for in ``next()`` when nothing is made ahead.
        dispatch: ``sync``, steps in flight, or ``None`` for no step.

    Example:
        >>> overlap(10, 8, "sync").speedup
        1.8
        >>> overlap(10, 8, 1).speedup
        1.0
    """
    step, pipeline = milliseconds(step_ms), milliseconds(pipeline_ms)
    if dispatch is None:
        return Prediction(formula="no step to run beside: 1×", speedup=1.0)
    after = max(step_ms, pipeline_ms)
    if dispatch != "sync":
        text = (
            f"with {dispatch} step{'' if dispatch == 1 else 's'} in flight both overlap already, "
            f"max({step}, {pipeline}) = {milliseconds(after)}: 1×"
        )
        return Prediction(formula=text, speedup=1.0)
    speedup = _ratio(step_ms + pipeline_ms, after)
    text = (
        f"step {step} + pipeline {pipeline} = {milliseconds(step_ms + pipeline_ms)} now, "
        f"max of the two = {milliseconds(after)}: {significant(speedup)}×"
    )
    return Prediction(formula=text, speedup=speedup)


def side_by_side(
    interval_ms: float, moved_ms: Sequence[float], *, rest_ms: float = 0.0, floor_ms: float | None = None
) -> Prediction:
    """Prefetches below a stage: what they stand on runs on threads of its own, beside each other and the rest.

    Args:
        interval_ms: From one step to the next today, in which all parts add up.
        moved_ms: Time per batch of each part that gets a thread of its own.
        rest_ms: Of what stays, where that is more than what the parts leave of the interval.
        floor_ms: A step with replayed batches.

    Example:
        >>> side_by_side(20, [8], floor_ms=5).speedup
        1.6666666666666667
    """
    rest = max(rest_ms, interval_ms - sum(moved_ms))
    sides = ", ".join(milliseconds(part) for part in (*moved_ms, rest))
    text = f"max({sides}) side by side instead of one after the other"
    return _from(interval_ms, max(rest, *moved_ms), text, floor_ms)


def more_calls(
    interval_ms: float,
    stage_ms: float,
    *,
    calls: float,
    threads: float,
    rest_ms: float = 0.0,
    floor_ms: float | None = None,
    cpu_ms: float = 0.0,
) -> Prediction:
    """A map that waits: its calls run ``min(calls, threads)`` at a time, beside the rest of the pipeline.

    Args:
        interval_ms: From one step to the next today.
        stage_ms: Time inside the map per batch, summed over threads; of all maps that share the pool.
        calls: Of ``num_parallel_calls``.
        threads: Of the pool the calls run on.
        rest_ms: Time per batch of the slowest of what stays.
        floor_ms: A step with replayed batches.
        cpu_ms: CPU time per batch that more calls do not hide.

    Example:
        >>> more_calls(20, 16, calls=16, threads=16, rest_ms=4).speedup
        5.0
        >>> more_calls(20, 16, calls=16, threads=2, rest_ms=4).speedup
        2.5
    """
    at_a_time = max(1.0, min(calls, threads))
    waiting = stage_ms / at_a_time
    text = (
        f"{milliseconds(stage_ms)} / min({calls:g} calls, {threads:g} threads) = {milliseconds(waiting)}, "
        f"beside {milliseconds(rest_ms)} of the rest"
    )
    if cpu_ms > max(waiting, rest_ms):
        text += f" and {milliseconds(cpu_ms)} of computing"
    return _from(interval_ms, max(waiting, rest_ms, cpu_ms), text, floor_ms)


def more_cores(
    interval_ms: float, stage_ms: float, cores: float, *, rest_ms: float = 0.0, floor_ms: float | None = None
) -> Prediction:
    """A serial map that computes: ``cores`` calls at a time, beside the rest of the pipeline; at most ``cores``×.

    Args:
        interval_ms: From one step to the next today.
        stage_ms: Time inside the map per batch.
        cores: Cores the worker may use.
        rest_ms: Time per batch of the slowest of what stays.
        floor_ms: A step with replayed batches.

    Example:
        >>> more_cores(20, 20, 4, rest_ms=2).speedup
        4.0
    """
    share = stage_ms / max(1.0, cores)
    divided = f"{milliseconds(stage_ms)} / {cores:g} cores = {milliseconds(share)}"
    text = f"{divided}, beside {milliseconds(rest_ms)} of the rest"
    return _from(interval_ms, max(rest_ms, share), text, floor_ms)


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


def _from(interval_ms: float, after_ms: float, text: str, floor_ms: float | None) -> Prediction:
    """The speed-up of a step that takes `after_ms` instead, but no less than with replayed batches."""
    bound = " (that of replayed batches)" if floor_ms and after_ms <= floor_ms else ""
    after = max(after_ms, floor_ms or 0.0)
    speedup = max(1.0, _ratio(interval_ms, after))
    change = f"{milliseconds(interval_ms)} → {milliseconds(after)} per step{bound}"
    return Prediction(formula=f"{text}: {change}, {significant(speedup)}×", speedup=speedup)


def _ratio(before: float, after: float) -> float:
    return before / after if after > 0 else 1.0
