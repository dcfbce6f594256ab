"""The base of all parts of the document, its vocabularies, places in files, errors and warnings."""

from functools import cache
from itertools import pairwise
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipeprof.profiles.document.shared import ErrorFrame

Bound = Literal["input", "step", "balanced"]
Limit = Literal["serial-stage", "cpu", "io", "gil", "latency", "memory", "remote", "step"]
Owner = Literal["runtime", "source", "cache", "shuffle", "prefetch", "parallel", "batch", "consumer", "python", "slack"]
How = Literal["measured", "model", "predicted", "alias"]


@cache
def _texts_of(module: str) -> dict[str, dict[str, str]]:
    """The texts below the fields of a module's classes, by class and field, as a schema has them."""
    import ast
    import inspect
    import sys

    found: dict[str, dict[str, str]] = {}
    if not module.startswith("pipeprof."):
        return found
    try:
        tree = ast.parse(inspect.getsource(sys.modules[module]))
    except OSError:  # installed without its source
        return found
    for kind in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for field, below in pairwise(kind.body):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found.setdefault(kind.name, {})[ast.unparse(field.target)] = " ".join(str(below.value.value).split())
    return found


def described(part: type, core: Any, handler: Any) -> Any:
    """The JSON Schema of a part of the document, with the texts below its fields."""
    schema = handler(core)
    properties = handler.resolve_ref_schema(schema).get("properties", {})
    for kind in part.__mro__:
        for name, text in _texts_of(kind.__module__).get(kind.__name__, {}).items():
            properties.get(name, {}).setdefault("description", text)
    return schema


class Model(BaseModel):
    """Base of all parts of the document: fields of other versions are left out, defaults are ``None``."""

    # Whoever needs only a stage or a finding does not pay for the whole document.
    model_config = ConfigDict(defer_build=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, core: Any, handler: Any) -> Any:
        """Describe the fields in the JSON Schema by the texts below them."""
        return described(cls, core, handler)


class Location(Model):
    """A place in the user's file."""

    file: str
    """Path as the command line or the program named it."""
    line: int
    """From 1."""
    column: int | None = None
    """From 1; `None` where only the line is known."""
    call: str | None = None
    """Name of what is called there, for a Python target: one call may be several stages, as `bucket_by_sequence_length`
    and Keras' loaders are."""


NOTES: Final = frozenset({
    "ignored", "no-clear-refs", "repeated", "stages-alias", "stages-scaled", "stages-traced",
    "stages-unseen", "step-replaced",
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
