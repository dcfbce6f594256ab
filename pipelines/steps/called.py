"""A step that is a function of the batch, handed over to it first where it takes another kind of array."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.steps.kind import BatchConsumer, StepFacts


def finish(result: object) -> None:
    """Wait until `result`, what a step returned, and all it has put on a device are computed.

    Only libraries that the step has loaded are synchronised, by their public calls: ``jax.block_until_ready`` of the
    result, ``torch.cuda.synchronize`` where CUDA is in use, ``tf.test.experimental.sync_devices`` where TensorFlow has
    a GPU.
    """
    if (jax := sys.modules.get("jax")) is not None:
        jax.block_until_ready(result)
    if (torch := sys.modules.get("torch")) is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()
    if (tf := sys.modules.get("tensorflow")) is not None and tf.config.list_logical_devices("GPU"):
        tf.test.experimental.sync_devices()


Part = Callable[[Any], Any]


class CalledStep(BatchConsumer):
    """A function as the step: the device is busy until everything it started is computed.

    Args:
        finish: Waits for what the function returned, and for all that it has put on a device.
        copy: Copies what that gave to where the step computes, and waits for it; None where nothing is copied.
    """

    def __init__(
        self,
        function: Callable[[Any], object],
        finish: Callable[[object], None] = finish,
        *,
        to_numpy: Part | None = None,
        copy: Part | None = None,
        facts: StepFacts | None = None,
    ) -> None:
        self._function = function
        self._finish = finish
        self._to_numpy = to_numpy
        self._copy = copy
        self._facts = facts or StepFacts()
        self._handed = self._numpy_ns = self._copy_ns = 0

    def submit(self, batch: Any) -> tuple[int, int]:
        """Hand the batch over and call the function with it; the device starts after that."""
        if self._to_numpy is None and self._copy is None:
            start = time.perf_counter_ns()
        else:
            batch, start = self._hand_over(batch)
        self._finish(self._function(batch))
        return start, time.perf_counter_ns()

    def _hand_over(self, batch: Any) -> tuple[Any, int]:
        began = time.perf_counter_ns()
        if self._to_numpy is not None:
            batch = self._to_numpy(batch)
        converted = time.perf_counter_ns()
        if self._copy is not None:
            batch = self._copy(batch)
        start = time.perf_counter_ns()
        self._handed += 1
        self._numpy_ns += converted - began
        self._copy_ns += start - converted
        return batch, start

    def wait(self) -> tuple[int, int]:
        """Return at once: the step is over."""
        now = time.perf_counter_ns()
        return now, now

    def told(self) -> StepFacts:
        """Return the facts, with the mean costs of handing over the batches since the last call."""
        handed, numpy_ns, copy_ns = self._handed, self._numpy_ns, self._copy_ns
        self._handed = self._numpy_ns = self._copy_ns = 0
        return StepFacts(
            computes=self._facts.computes,
            on=self._facts.on,
            numpy_ms=numpy_ns / handed / 1e6 if handed and self._to_numpy is not None else None,
            copy_ms=copy_ns / handed / 1e6 if handed and self._copy is not None else None,
        )
