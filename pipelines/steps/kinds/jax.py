"""A function of the batch's arrays in JAX."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext
from pipeprof.pipelines.steps.user_code import UserCode


class _Jax(UserCode):
    """Batches become NumPy arrays and are put on JAX's default device, before the step and counted apart from it."""

    name = "jax"
    example = "file.py:step"
    description = (
        'A function of JAX arrays, "file.py:step", relative to the spec; converting a batch is counted separately.'
    )
    package = "jax"
    copies_ahead = (
        "import collections\n"
        "def on_device(batches, ahead=2):  # double buffering: copies run while the step computes\n"
        "    queue = collections.deque()\n"
        "    for batch in batches:\n"
        "        queue.append(jax.device_put(batch))\n"
        "        if len(queue) > ahead:\n"
        "            yield queue.popleft()\n"
        "    yield from queue\n"
        "for batch in on_device(ds.as_numpy_iterator()): ..."
    )

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        import jax

        from pipeprof.pipelines.steps.called import CalledStep
        from pipeprof.pipelines.steps.hand_over import need_numbers, numpy_views
        from pipeprof.pipelines.steps.kind import StepFacts

        need_numbers(context.element_spec, "JAX")
        step = self.fitted(arguments, context)

        def copy(batch: Any) -> Any:
            return jax.block_until_ready(jax.device_put(batch))

        return CalledStep(step, to_numpy=numpy_views, copy=copy, facts=StepFacts(on=jax.default_backend()))


KIND = _Jax()
