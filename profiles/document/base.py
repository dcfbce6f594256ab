"""The base of all parts of the document, its vocabularies, and places in files."""

from functools import cache
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

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
