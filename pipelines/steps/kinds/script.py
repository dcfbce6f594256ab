"""The step of a training script, which the script itself runs."""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Any

from pipeprof.pipelines.steps.kind import StepKind


class _Script(StepKind):
    """Not written by users: a script is the target."""

    name = "script"

    def sentence(self, text: str) -> str:
        path = PurePath(text.partition(":")[2].strip())
        return f"step of {path.name if path.is_absolute() else path}"

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        del value, base
        return {}


KIND = _Script()
