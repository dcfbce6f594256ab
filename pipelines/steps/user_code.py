"""Kinds of steps that are a function in a file of the user's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.kind import StepContext, StepKind


class UserCode(StepKind):
    """Its argument ``target`` is the absolute path of the file, a colon, and the function."""

    pattern = r".+\.py:[^:\d\W]\w*"
    package: ClassVar[str] = ""
    """What has to be installed for it, an extra of pipeprof's of the same name; empty for nothing."""

    def annotation(self) -> Any:
        """A file and a function."""
        from pipeprof.pipelines.ops.values.python_ref import PlainPython

        return PlainPython

    def check(self, value: Any) -> None:
        """Look for the file, the function in it and the package."""
        from pipeprof.pipelines.target.target import parse_target

        self._need_package()
        # The worker would come to it only after the first batch.
        parse_target(str(value))

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        """The target, absolute."""
        self._need_package()
        return {"target": f"{(base / value.file).resolve()}:{value.function}"}

    def user_files(self, arguments: Mapping[str, Any]) -> Sequence[str]:
        """The file of the target."""
        return [arguments["target"].rpartition(":")[0]]

    def load(self, arguments: Mapping[str, Any]) -> Callable[..., Any]:
        """Import the user's file and return the function."""
        from pipeprof.pipelines.target.target import load_function, parse_target

        return load_function(parse_target(arguments["target"]))

    def fitted(self, arguments: Mapping[str, Any], context: StepContext) -> Callable[[Any], object]:
        """Import the user's file and return the function as one of the batch."""
        from pipeprof.pipelines.steps.bind_step import fitted

        return fitted(self.load(arguments), context.element_spec, f"the step {arguments['target']}")

    def _need_package(self) -> None:
        if self.package and importlib.util.find_spec(self.package) is None:
            raise UsageError(
                f"a {self.name} step needs the package {self.package}, which is not installed: "
                f"pip install {self.package}"
            )
