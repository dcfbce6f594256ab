"""A function of the batch's tensors in PyTorch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext
from pipeprof.pipelines.steps.user_code import UserCode


class _Torch(UserCode):
    """Batches become NumPy arrays and tensors on the GPU, if PyTorch has one, before the step and counted apart."""

    name = "torch"
    example = "file.py:step"
    description = (
        'A function of PyTorch tensors, "file.py:step", relative to the spec, on the GPU if there is one; converting '
        "a batch is counted separately."
    )
    package = "torch"
    copies_ahead = ""

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        import tensorflow as tf
        import torch

        from pipeprof.pipelines.steps.called import CalledStep
        from pipeprof.pipelines.steps.hand_over import need_numbers, numpy_views, to_numpy
        from pipeprof.pipelines.steps.kind import StepFacts

        need_numbers(context.element_spec, "PyTorch")
        step = self.fitted(arguments, context)
        on_gpu = torch.cuda.is_available()
        device = torch.device("cuda" if on_gpu else "cpu")

        def copy(batch: Any) -> Any:
            moved = tf.nest.map_structure(lambda array: torch.as_tensor(array, device=device), batch)
            if on_gpu:
                torch.cuda.synchronize()
            return moved

        # On a CPU the step's tensors share the arrays' memory, and the step may write to them.
        hand_over, on = (numpy_views, "gpu") if on_gpu else (to_numpy, "cpu")
        if on_gpu:
            warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
        return CalledStep(step, to_numpy=hand_over, copy=copy, facts=StepFacts(on=on))


KIND = _Torch()
