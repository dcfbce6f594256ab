"""The step that the user's function returns together with the dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext, StepKind


class _Returned(StepKind):
    """Only the worker knows it: its value is the target that returned it."""

    name = "returned"
    shown_as = "python"

    def text(self, value: Any) -> str:
        return f"returned by {value}"

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps.called import CalledStep

        del arguments
        assert context.returned is not None  # noqa: S101 - for the type checker; the kind is chosen where there is one
        return CalledStep(context.returned)


KIND = _Returned()
