"""A Python function of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext, StepKind


class _Python(StepKind):
    """Its argument ``target`` is the absolute path of the file, a colon, and the function."""

    name = "python"
    example = "file.py:function"
    pattern = r".+\.py:[^:\d\W]\w*"
    description = 'A function of the batch, "file.py:function", relative to the spec.'

    def annotation(self) -> Any:
        from pipeprof.pipelines.ops.values.python_ref import PlainPython

        return PlainPython

    def check(self, value: Any) -> None:
        from pipeprof.pipelines.target.target import parse_target

        # The worker would come to it only after the first batch.
        parse_target(str(value))

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        return {"target": f"{(base / value.file).resolve()}:{value.function}"}

    def user_files(self, arguments: Mapping[str, Any]) -> Sequence[str]:
        return [arguments["target"].rpartition(":")[0]]

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps.bind_step import fitted
        from pipeprof.pipelines.steps.called import CalledStep
        from pipeprof.pipelines.target.target import load_function, parse_target

        target = arguments["target"]
        function = load_function(parse_target(target))
        return CalledStep(fitted(function, context.element_spec, f"the step {target}"))


KIND = _Python()
