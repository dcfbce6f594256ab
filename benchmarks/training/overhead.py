"""Cost of the hooks on a training script: alternating blocks with and without them, in one process.

Run: ``python benchmarks/training/overhead.py loop`` (or ``fit``), or the cases ``hooks/loop`` and ``hooks/fit`` of
bench.py. Prints microseconds per step with a 95 % interval (JSON), for a Python loop or for Keras' `fit`, by the clock
on the wall, which decides, and by the CPU time of the script's thread, which others on the same cores change less.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAIRS = 100
LOOP_STEPS = 300
FIT_STEPS = 60
LIMITS = {"loop": 10.0, "fit": 30.0}
"""Microseconds per step at most."""
CLOCKS = {"wall": time.perf_counter, "thread": time.thread_time}


def median_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, and its 95 % interval by ranks: one block that others held up does not count more."""
    ordered, count = sorted(values), len(values)
    half = math.ceil(0.98 * math.sqrt(count))
    return ordered[count // 2], ordered[max(0, count // 2 - half)], ordered[min(count - 1, count // 2 + half)]


def compare(
    block: Callable[[], object], install: Callable[[], Callable[[], None]], steps: int
) -> dict[str, tuple[float, float, float]]:
    """Return the difference in microseconds per step, with hooks less without, by each clock."""
    block()
    differences: dict[str, list[float]] = {name: [] for name in CLOCKS}
    for pair in range(PAIRS):
        took: dict[bool, dict[str, float]] = {}
        for hooked in (True, False) if pair % 2 else (False, True):
            # Both after the same work: Python runs methods of classes that have just been changed slower.
            uninstall = install()
            if not hooked:
                uninstall()
            began = {name: clock() for name, clock in CLOCKS.items()}
            block()
            took[hooked] = {name: clock() - began[name] for name, clock in CLOCKS.items()}
            if hooked:
                uninstall()
        for name, found in differences.items():
            found.append(1e6 * (took[True][name] - took[False][name]) / steps)
    return {name: median_of(found) for name, found in differences.items()}


def outcome_of(name: str, figures: Mapping[str, Sequence[float]]) -> str:
    """Whether the cost is within its limit, by the interval of the clock on the wall."""
    _, low, high = figures["wall"]
    if low <= LIMITS[name] < high:
        return "cannot tell"
    return "holds" if high <= LIMITS[name] else "does not hold"


def main() -> int:
    """Measure and print one."""
    import keras
    import tensorflow as tf

    from pipeprof.profiles.worker.script.hooks import Hooks
    from pipeprof.profiles.worker.script.observer import ScriptObserver
    from pipeprof.profiles.worker.script.run_script import read_model

    def install() -> Callable[[], None]:
        observer = ScriptObserver(lambda _: None, lambda _: None, lambda: None, read_model)
        hooks = Hooks(observer, time.perf_counter_ns)
        hooks.install("tensorflow")
        hooks.install("keras")
        return hooks.uninstall

    numbers = tf.data.Dataset.range(LOOP_STEPS).cache()

    def loop() -> None:
        for _ in numbers:
            pass

    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
    model.compile(loss="mse")
    rows = tf.data.Dataset.from_tensors((tf.zeros([8, 4]), tf.zeros([8, 1]))).repeat(FIT_STEPS)

    def fit() -> None:
        model.fit(rows, verbose=0)

    block, steps = {"loop": (loop, LOOP_STEPS), "fit": (fit, FIT_STEPS)}[sys.argv[1]]
    found = compare(block, install, steps)
    print(json.dumps({clock: [round(one, 2) for one in each] for clock, each in found.items()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
