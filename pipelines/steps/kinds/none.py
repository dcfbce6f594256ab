"""No step: batches are taken as fast as they come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeprof.pipelines.steps.kind import StepKind


class _None(StepKind):
    """No step."""

    name = "none"
    own_code = False
    shares_device = True
    dispatch = "none"

    def same_for_all_batches(self, text: str) -> str:
        del text
        return "there is none"

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        del value, base
        return {}


KIND = _None()
