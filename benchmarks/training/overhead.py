"""Cost of the hooks on a training script: alternating blocks with and without them, in one process.

Run: ``python benchmarks/training/overhead.py loop`` (or ``fit``), or the cases ``hooks/loop`` and ``hooks/fit`` of
bench.py. Prints microseconds per step with a 95 % interval (JSON), for a Python loop or for Keras' `fit`.

A block is a few steps of one long pass, so that a pair of blocks is over before the machine has changed; between two
blocks the wrapped methods are put in place or the real ones. What a pass costs in addition, its iterators, its end and
the callbacks of an epoch, is measured in the same way, by passes of one batch, and counted in `PASS_STEPS` equal parts.
A pair in which the script's thread lost its core to another one does not count, as long as enough others are left.
"""

from __future__ import annotations

import json
import math
import os
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.hooks import Hooks
    from pipeprof.profiles.worker.script.observer import ScriptObserver

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

PAIRS, PASS_PAIRS = 3000, 500
WARM_UP = 20
"""Pairs that do not count."""
LEAST_CALM = 0.2
"""Part of the pairs that has to be calm, so that the others do not count."""
BLOCK_STEPS = {"loop": 50, "fit": 10}
PASS_STEPS = {"loop": 300, "fit": 60}
LIMITS = {"loop": 10.0, "fit": 30.0}
"""Microseconds per step at most."""


def median_of(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the median, and its 95 % interval by ranks: one block that others held up does not count more."""
    ordered, count = sorted(values), len(values)
    half = math.ceil(0.98 * math.sqrt(count))
    return ordered[count // 2], ordered[max(0, count // 2 - half)], ordered[min(count - 1, count // 2 + half)]


def sum_of(parts: Sequence[tuple[float, float, float]]) -> list[float]:
    """Return the sum of what was measured apart, and its interval."""
    middle = sum(one[0] for one in parts)
    low, high = (math.hypot(*(one[end] - one[0] for one in parts)) for end in (1, 2))
    return [round(one, 2) for one in (middle, middle - low, middle + high)]


def lost_cores() -> int:
    """How often this thread has lost its core to another one."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nivcsw


def calm_of(pairs: Sequence[Sequence[Mapping[str, float]]]) -> Sequence[Sequence[Mapping[str, float]]]:
    """Return the pairs in which no core was lost; all of them where these are too few."""
    calm = [pair for pair in pairs if not any(one["lost"] for one in pair)]
    return calm if len(calm) >= LEAST_CALM * len(pairs) else pairs


class Blocks:
    """Alternating blocks with hooks on and off, in the order off, on, on, off; records are folded between them."""

    def __init__(self, hooks: Hooks, observer: ScriptObserver, pairs: int) -> None:
        self.count = 2 * (WARM_UP + pairs)
        self._hooks, self._observer = hooks, observer
        self._began = 0.0
        self._lost = 0
        self._took: list[dict[str, float]] = []

    @property
    def more(self) -> bool:
        """Whether blocks are missing."""
        return len(self._took) < self.count

    def mark(self) -> None:
        """End a block and begin the next one."""
        now = time.perf_counter()
        if self._began:
            self._took.append({"seconds": now - self._began, "lost": lost_cores() - self._lost})
        for consumer in self._observer.consumers:
            consumer.fold(time.perf_counter_ns(), lambda _: None)
        # Also where they are in place: Python runs methods of classes that have just been changed slower.
        for owner, name, wrapped, _ in self._hooks._real:
            setattr(owner, name, wrapped if len(self._took) % 4 in (1, 2) else wrapped.__wrapped__)
        self._lost = lost_cores()
        self._began = time.perf_counter()

    def cost(self, steps: int) -> tuple[float, float, float]:
        """Return the difference in microseconds per step, with hooks less without."""
        pairs = [self._took[at : at + 2][:: -1 if at % 4 else 1] for at in range(2 * WARM_UP, len(self._took) - 1, 2)]
        pairs = calm_of(pairs)
        return median_of([1e6 * (on["seconds"] - off["seconds"]) / steps for off, on in pairs])


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
    from pipeprof.profiles.worker.script.observer import Handlers, ScriptObserver
    from pipeprof.profiles.worker.script.run_script import read_model

    observer = ScriptObserver(Handlers(model=read_model))
    hooks = Hooks(observer, time.perf_counter_ns)
    hooks.install("tensorflow")
    hooks.install("keras")
    name = sys.argv[1]
    length = BLOCK_STEPS[name]
    numbers = tf.data.Dataset.range(PASS_STEPS["loop"]).cache()
    rows = tf.data.Dataset.from_tensors((tf.zeros([8, 4]), tf.zeros([8, 1])))
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
    model.compile(loss="mse")

    def loop_steps(blocks: Blocks) -> None:
        for number, _ in enumerate(numbers.repeat()):
            if not number % length:
                blocks.mark()
                if not blocks.more:
                    break

    def loop_passes(blocks: Blocks) -> None:
        while blocks.more:
            blocks.mark()
            for _ in numbers.take(1):
                pass

    def fit_steps(blocks: Blocks) -> None:
        class Steps(keras.callbacks.Callback):  # type: ignore[misc]
            def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
                del logs
                if not batch % length:
                    blocks.mark()

        model.fit(rows.repeat(), steps_per_epoch=blocks.count * length + 1, callbacks=[Steps()], verbose=0)

    def fit_passes(blocks: Blocks) -> None:
        class Passes(keras.callbacks.Callback):  # type: ignore[misc]
            def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
                del epoch, logs
                blocks.mark()

        model.fit(rows, epochs=blocks.count + 1, callbacks=[Passes()], verbose=0)

    measures = {"loop": (loop_steps, loop_passes), "fit": (fit_steps, fit_passes)}[name]
    found = []
    for measure, pairs, steps in zip(measures, (PAIRS, PASS_PAIRS), (length, PASS_STEPS[name]), strict=True):
        blocks = Blocks(hooks, observer, pairs)
        measure(blocks)
        found.append(blocks.cost(steps))
    print(json.dumps({"wall": sum_of(found), "wall_of_passes": sum_of([found[1]])}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
