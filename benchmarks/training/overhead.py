"""Cost of the hooks on a training script: alternating blocks with and without them, in one process.

Run: ``python benchmarks/training/overhead.py``. Prints microseconds per step with a 95 % interval, for a Python loop
and for Keras' `fit`. The goal is 10 µs in a loop and 30 µs in `fit`.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAIRS = 20
LOOP_STEPS = 2000
FIT_STEPS = 100


def compare(block: Callable[[], float], install: Callable[[], Callable[[], None]], steps: int) -> tuple[float, float]:
    """Return the mean difference in microseconds per step, with hooks less without, and half of its 95 % interval."""
    block()
    differences = []
    for pair in range(PAIRS):
        seconds = {}
        for hooked in (True, False) if pair % 2 else (False, True):
            uninstall = install() if hooked else None
            seconds[hooked] = block()
            if uninstall is not None:
                uninstall()
        differences.append(1e6 * (seconds[True] - seconds[False]) / steps)
    error = statistics.stdev(differences) / math.sqrt(PAIRS)
    return statistics.mean(differences), 2.09 * error


def main() -> int:
    """Measure and print both."""
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

    def loop() -> float:
        began = time.perf_counter()
        for _ in numbers:
            pass
        return time.perf_counter() - began

    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
    model.compile(loss="mse")
    rows = tf.data.Dataset.from_tensors((tf.zeros([8, 4]), tf.zeros([8, 1]))).repeat(FIT_STEPS)

    def fit() -> float:
        began = time.perf_counter()
        model.fit(rows, verbose=0)
        return time.perf_counter() - began

    for name, block, steps in (("loop", loop, LOOP_STEPS), ("fit", fit, FIT_STEPS)):
        mean, half = compare(block, install, steps)
        print(f"{name}: {mean:.2f} µs per step ({mean - half:.2f} to {mean + half:.2f})", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
