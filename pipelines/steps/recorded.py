"""The step of a run that a profile has, to be replayed: how long it takes, how far ahead the loop runs, on what."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.host_files import read_regular
from pipeprof.pipelines.steps.simulated import Durations

CORES_SHARE = 0.1
"""Of the machine's cores that a step uses from which on it competes with the pipeline for them."""
LEAST_CORES = 0.2
"""Cores from which on it does where it computes on no GPU, however many there are: Python's lock is one of them."""
_MOST_BYTES = 256 << 20
"""Of a profile."""


def resampled(
    *, mean_ms: float, p50_ms: float, p95_ms: float, p99_ms: float, max_ms: float, seed: int = 0
) -> Durations:
    """Durations drawn from the quantiles of a measured step, with their mean.

    Between the quantiles they are evenly distributed. The shortest ones, and how many of the slowest hundredth are as
    long as the longest one, follow from the mean. Steps are independent: what comes every so many steps is as frequent
    as it was, at other places. The same `seed` gives the same sequence.
    """
    least, tail = ends(mean_ms=mean_ms, p50_ms=p50_ms, p95_ms=p95_ms, p99_ms=p99_ms, max_ms=max_ms)
    knots = [(0.0, least), (0.5, p50_ms), (0.95, p95_ms), (0.99, p99_ms)]
    rng = random.Random(seed)  # noqa: S311 - a simulation, not a secret

    def duration(_step: int) -> int:
        drawn = rng.random()
        if drawn >= 0.99:
            return round(1e6 * (max_ms if (drawn - 0.99) / 0.01 < tail else p99_ms))
        above = next(n for n, (share, _) in enumerate(knots) if drawn < share)
        (low, from_ms), (high, to_ms) = knots[above - 1], knots[above]
        return round(1e6 * (from_ms + (to_ms - from_ms) * (drawn - low) / (high - low)))

    return duration


def ends(*, mean_ms: float, p50_ms: float, p95_ms: float, p99_ms: float, max_ms: float) -> tuple[float, float]:
    """Return the shortest duration, in milliseconds, and the share of the longest among the slowest hundredth."""
    between = 0.45 * (p50_ms + p95_ms) / 2 + 0.04 * (p95_ms + p99_ms) / 2

    def shortest(slowest_ms: float) -> float:
        return min(p50_ms, max(0.0, 4 * (mean_ms - between - 0.01 * slowest_ms) - p50_ms))

    # As far below the median as half of the steps above it are above, if the mean allows it.
    least = max(0.0, p50_ms - (p95_ms - p50_ms))
    left = mean_ms - between - 0.5 * (least + p50_ms) / 2
    if left < 0.01 * p99_ms:
        return shortest(p99_ms), 0.0
    if max_ms <= p99_ms or left > 0.01 * max_ms:
        return shortest(max_ms), 1.0
    return least, (left / 0.01 - p99_ms) / (max_ms - p99_ms)


def read_step(path: Path) -> dict[str, Any]:
    """Return the arguments of the step that a profile has: its durations, its mode, and whether it needs the cores.

    Raises:
        ProfileError: The file cannot be read, is no profile, or its run had no step.
    """
    return step_of(_read(path), str(path))


def step_of(document: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what `read_step` does, of a profile as JSON data."""
    try:
        steps = document["steps"] or {}
        without = (document["device"] or {}).get("kind") == "none"
        times = None if without else _times(steps)
        if times is None or not 0 < times["mean_ms"] <= times["max_ms"] < math.inf:
            raise ProfileError(
                f"step recorded: {name} does not say how long a training step takes: expected the profile of a "
                "training script, or of a run with --step"
            )
        dispatch = {"dispatch": steps["dispatch"]} if steps.get("dispatch") is not None else {}
        return {**times, **dispatch, "competes": _competes(document, used_cores(document, times["mean_ms"]))}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ProfileError(f"step recorded: {name} is damaged: expected a file as `pipeprof run` writes it") from None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(read_regular(path, _MOST_BYTES))
    except OSError as fault:
        raise ProfileError(f"step recorded: {path} cannot be read: {fault.strerror or fault}") from None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not {"schema_version", "host", "steps", "device"} <= document.keys():
        raise ProfileError(f"step recorded: {path} is not a profile: expected a file that `pipeprof run` wrote")
    return document


def _times(steps: Mapping[str, Any]) -> dict[str, float] | None:
    if busy := steps.get("busy_ms"):
        found = {f"{name}_ms": float(busy[name]) for name in ("mean", "p50", "p95", "p99")}
        return {**found, "max_ms": float(busy["max"] if busy.get("max") is not None else busy["p99"])}
    interval, wait = steps.get("interval_ms"), steps.get("wait_ms") or steps.get("fetch_ms")
    if not interval or not wait:
        return None
    left = interval["mean"] - wait["mean"]
    return {f"{name}_ms": left for name in ("mean", "p50", "p95", "p99", "max")}


def used_cores(document: Mapping[str, Any], step_ms: float) -> float | None:
    """Return the cores that the step of a profile kept busy on average; None where the profile does not tell."""
    device = document["device"] or {}
    if device.get("kind") in ("simulate", "recorded"):
        return 0.0
    cpu_ms = device.get("cpu_ms")
    if device.get("kind") == "script" and cpu_ms is not None:
        # On cores that others use a step takes longer, and has less of a core meanwhile.
        waited = (document.get("contention") or {}).get("runnable_wait_share") or 0.0
        step_ms *= max(0.1, 1.0 - waited)
    if cpu_ms is None:
        cpu_ms = (document.get("cpu") or {}).get("loop_ms")
    return cpu_ms / step_ms if cpu_ms is not None else None


def _competes(document: Mapping[str, Any], cores: float | None) -> bool:
    """Whether the step computed on the cores that the pipeline works on; without a GPU it is taken to, if unknown."""
    host = document["host"] or {}
    on_gpu = bool(host.get("gpus"))
    if (document["device"] or {}).get("too_optimistic"):
        return True
    if cores is None:
        return not on_gpu
    share = CORES_SHARE * (host.get("cores") or 1.0)
    return cores >= (share if on_gpu else min(LEAST_CORES, share))
