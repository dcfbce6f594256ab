"""Errors and warnings."""

from typing import Final

from pydantic import Field

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.shared import ErrorFrame

NOTES: Final = frozenset({
    "ignored", "no-clear-refs", "repeated", "stages-scaled", "stages-traced", "stages-unseen",
    "step-replaced",
})  # fmt: skip
"""Codes of warnings that do not change what the default report concludes; they are in the complete one."""


class Message(Model):
    """A warning with a stable code."""

    code: str
    """Stable name; `pipeprof rules CODE` describes it."""
    message: str
    """One sentence with this run's numbers."""
    stages: list[str] = Field(default_factory=list)
    """Ids of the stages that it is about."""


class Problem(Model):
    """An error with its place where it can be known."""

    file: str | None = None
    """Where it is: a spec or a Python file."""
    line: int | None = None
    """From 1."""
    column: int | None = None
    """From 1, in the line or in `flag`."""
    length: int | None = None
    """Characters from the column on that are wrong."""
    flag: str | None = None
    """The flag that is wrong, as typed (`--set stages.1.x=2`); the column is then in it."""
    code: str
    """Stable name; `pipeprof rules CODE` describes it."""
    message: str
    """The fault, what was expected and the fix."""
    stage: str | None = None
    """Address of the stage that raised it."""
    address: str | None = None
    """The place in the spec as a dotted path, e.g. `stages.1.ops.0`."""
    frames: list[ErrorFrame] = Field(default_factory=list)
    """The traceback, reduced to the user's own files, outermost first; empty where nothing was raised."""
    traceback: str | None = None
    """The complete traceback (its end, if it is very long)."""
