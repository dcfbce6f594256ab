"""Names of the user's functions as a spec writes them, or the reason why there is none."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.target import top_level_functions


def address_of(raw: Any, own: Callable[[str], bool]) -> tuple[str | None, str]:
    """Return ``file.py:function``, or None and the reason."""
    if isinstance(raw, functools.partial) or inspect.ismethod(raw):
        kind = "functools.partial" if isinstance(raw, functools.partial) else "method of an object"
        return None, f"it is a {kind}"
    name, qualified = getattr(raw, "__name__", None), getattr(raw, "__qualname__", "")
    if name is None:
        return None, f"it is an object ({type(raw).__name__})"
    module = sys.modules.get(str(getattr(raw, "__module__", None)))
    file = getattr(module, "__file__", None)
    if file is None or not own(file):
        return None, "it is not defined in one of your files"
    candidates = [name] if name.isidentifier() else []
    candidates += [key for key, value in vars(module).items() if value is raw]
    defined = _defined_names(Path(file))
    for candidate in candidates:
        if getattr(module, candidate, None) is raw and candidate in defined:
            return f"{Path(file).resolve()}:{candidate}", ""
    return None, _why_nameless(name, qualified)


def _why_nameless(name: str, qualified: str) -> str:
    if name == "<lambda>":
        return "a lambda has no name; make it a function at module level"
    if "<locals>" in qualified:
        return f"it is local to {qualified.split('.<locals>', maxsplit=1)[0]}(); move it to module level"
    return "it is not at module level"


@functools.lru_cache(maxsize=64)
def _defined_names(file: Path) -> frozenset[str]:
    try:
        return frozenset(top_level_functions(file))
    except UsageError:
        return frozenset()
