"""Path of a profile, as a step's value."""

from typing import Annotated, Any

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.problems import mismatch


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.endswith(".json"):
        raise mismatch(value, "recorded", "a profile that a run has written, such as profile.json")
    return value


ProfilePath = Annotated[str, Checked(_path, {"type": "string", "pattern": r"\.json$"})]
"""Relative to the spec."""
