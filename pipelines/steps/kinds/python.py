"""A Python function of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext
from pipeprof.pipelines.steps.user_code import UserCode


class _Python(UserCode):
    """Called with the batch as it comes from the dataset."""

    name = "python"
    example = "file.py:function"
    description = 'A function of the batch, "file.py:function", relative to the spec.'

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps.called import CalledStep

        return CalledStep(self.fitted(arguments, context))


KIND = _Python()
