"""The step of a training script, which the script itself runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeprof.pipelines.steps.kind import StepKind


class _Script(StepKind):
    """Not written by users: a script is the target."""

    name = "script"

    def sentence(self, text: str) -> str:
        return f"step of {text.partition(':')[2].strip()}"

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        del value, base
        return {}


KIND = _Script()
