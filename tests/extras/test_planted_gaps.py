"""Gaps with a planted cause in a real trace of JAX: a slow input, a loop in Python, a new shape in each step.

There is no GPU: the threads on which XLA computes stand for the device, so their events become its work. They have no
launch in the trace, and the main thread stands for it. That copies, results that are waited for, and a device that
never idles have their causes too is shown by made traces alone (tests/unit/gaps): this client of a CPU copies nothing,
and does not record all of its work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from unit.gaps.host_as_device import as_device

from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.reading import find_traces, read_trace

STEPS = 30
SLEEP = 0.02
"""Seconds of the planted cause in each step; a step computes for a few milliseconds."""
_COMPUTES = r"(tf_)?XLA(PjRt)?(Tfrt)?\w*(Client|Eigen)\w*(/.*)?"
"""Lines of the threads on which XLA computes on a CPU."""


def slow_input() -> Iterator[int]:
    for number in range(10**6):
        time.sleep(SLEEP)
        yield number


def in_python() -> int:
    until, rounds = time.perf_counter() + SLEEP, 0
    while time.perf_counter() < until:
        rounds += 1
    return rounds


def stalls(step: Callable[[int], None]) -> None:
    batches = iter(slow_input())
    for _ in range(STEPS):
        next(batches)
        step(512)


def computes_in_python(step: Callable[[int], None]) -> None:
    for _ in range(STEPS):
        in_python()
        step(512)


def compiles(step: Callable[[int], None]) -> None:
    for number in range(STEPS):
        step(300 + number)


@pytest.mark.parametrize(
    ("planted", "cause"), [(stalls, "pipeline"), (computes_in_python, "python"), (compiles, "compile")]
)
def test_a_planted_cause_has_the_idle_time(
    planted: Callable[[Callable[[int], None]], None], cause: str, tmp_path: Path
) -> None:
    import jax
    import jax.numpy as jnp

    multiply = jax.jit(lambda one: (one @ one @ one).sum())
    arrays = {size: np.ones((size, size), np.float32) for size in [512, *range(300, 300 + STEPS)]}

    def step(size: int) -> None:
        multiply(arrays[size]).block_until_ready()

    step(512)
    jnp.zeros(()).block_until_ready()
    with jax.profiler.trace(str(tmp_path)):
        planted(step)
    [file] = find_traces(tmp_path).files
    found, [device] = analyse(as_device(read_trace(file), _COMPUTES), file.name, 0)
    assert device.why_no_causes == []
    assert device.gaps is not None
    spent = device.gaps.by_cause
    assert spent[cause] >= 0.9 * sum(spent.values()), {name: round(time, 4) for name, time in spent.items()}  # type: ignore[index]
    assert found.verdict == ("input" if cause == "pipeline" else cause)
