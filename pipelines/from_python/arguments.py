"""Arguments of a source or stage in spec form."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pipeprof.pipelines.from_python.fields import field_of, paths
from pipeprof.pipelines.from_python.literals import Folders, literal, tensors
from pipeprof.pipelines.from_python.records import Array, NotExpressible, RecordedTensor
from pipeprof.pipelines.ops.base import Op
from pipeprof.pipelines.ops.constants import AUTOTUNE_VALUE
from pipeprof.pipelines.spec.paths import is_glob

FILES: Final = ("filenames", "file_pattern")
_PATHS: Final = frozenset({"filename", "path", "directory"})
_TENSORS: Final = frozenset({"tensors", "initial_state", "args", "data", "targets"})
_DEFAULTS: Final = ("record_defaults", "column_defaults")
_NAME: Final = re.compile(r"[^\x00-\x1f]+")


def written_arguments(kind: type[Op], given: Mapping[str, Any], folders: Folders) -> dict[str, Any]:
    """Convert the arguments that are common to all sources and stages.

    Args:
        kind: The source or stage.

    Raises:
        NotExpressible: One of them cannot be written.
    """
    found: dict[str, Any] = {}
    for name, value in given.items():
        if name == "name":
            if isinstance(value, str) and _NAME.fullmatch(value):
                found["name"] = value
            continue
        if name not in kind.model_fields:
            msg = f"argument {name} is not supported in specs"
            raise NotExpressible(msg)
        try:
            found[name] = _value(kind, name, value, folders)
        except NotExpressible as problem:
            msg = f"{name} is {problem}"
            raise NotExpressible(msg) from None
    # The name first, as people write it.
    return {"name": found.pop("name"), **found} if "name" in found else found


def _value(kind: type[Op], name: str, value: Any, folders: Folders) -> Any:
    if name in _TENSORS:
        found = tensors(value, folders)
        return list(found) if name == "args" else found
    if name in FILES:
        return files(value, folders)
    if name in _DEFAULTS and isinstance(value, list | tuple):
        return [_default(item, folders) for item in value]
    if name in _PATHS and isinstance(value, str):
        return folders.path(value) if value else value
    found = literal(value, folders)
    tuned = isinstance(found, int) and found == AUTOTUNE_VALUE
    return "AUTOTUNE" if tuned and "AUTOTUNE" in repr(kind.model_fields[name].annotation) else found


def _default(value: Any, folders: Folders) -> Any:
    """Convert the default of a column; an empty array of a dtype means that the column must have a value."""
    if isinstance(value, Array) and value.shape == (0,):
        return value.dtype
    written_as = literal(value, folders)
    return written_as[0] if isinstance(written_as, list) and len(written_as) == 1 else written_as


def files(value: Any, folders: Folders) -> Any:
    """Convert paths and globs.

    Raises:
        NotExpressible: They are something else, such as a dataset.
    """
    names = value.values if isinstance(value, Array) else value
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(one, str) for one in listed):
        raise NotExpressible(_value_text(value))
    if any(is_glob(one) for one in listed) or len(listed) == 1:
        found = [folders.path(one) for one in listed]
        return found[0] if len(found) == 1 else found
    return folders.files(listed)


def _value_text(value: Any) -> str:
    found = type(value).__name__.lower()
    return {"dataset": "a dataset of names", "tensor": "a tensor that the function computes"}.get(found, "not names")


def outer(value: Any, element: Any) -> dict[str, Any] | None:
    """Convert a nested source's first argument if it is the outer element or a field of it; else return None.

    Raises:
        NotExpressible: It is no field of the element.
    """
    if not isinstance(value, RecordedTensor):
        return {"whole": True} if value == element and element is not None else None
    where = paths(element)
    if value.id not in where:
        msg = "a tensor computed in the function"
        raise NotExpressible(msg)
    path = where[value.id]
    return {"on": field_of(path)} if path else {"whole": True}
