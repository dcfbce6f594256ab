"""References to the user's functions as a spec writes them, or the reason why there is none."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.names import missing_name

_LOCAL: Final = ".<locals>."
_LONGEST: Final = 200
_DEPTH: Final = 3


class NoReference(Exception):
    """A spec cannot name a function; the message is the reason."""


class FunctionReferences:
    """Search for the references of functions.

    Args:
        makers: Calls of the user's module-level functions that gave a function: the maker, its arguments by name, and
            the function.
    """

    def __init__(self, own: Callable[[str], bool], makers: Iterable[tuple[Any, Mapping[str, Any], Any]] = ()) -> None:
        self._own = own
        self._makers = {id(given): (maker, arguments) for maker, arguments, given in makers}

    def find(self, raw: Any) -> tuple[str | None, str]:
        """Return ``file.py:function``, or None and the reason."""
        try:
            return self._find(raw), ""
        except NoReference as problem:
            return None, str(problem)

    def _find(self, raw: Any, depth: int = _DEPTH) -> str:
        named = self._attribute(raw)
        if named is not None:
            return named
        if isinstance(raw, functools.partial) and depth:
            return f"{self._find(raw.func, depth - 1)}{arguments_text(raw.args, raw.keywords, partial=True)}"
        if id(raw) in self._makers and depth:
            maker, arguments = self._makers[id(raw)]
            return f"{self._find(maker, depth - 1)}{arguments_text((), arguments, partial=False)}"
        raise NoReference(self._reason(raw))

    def _attribute(self, raw: Any) -> str | None:
        """Return the reference of an attribute of a module, or of a class or object of a module; None for none."""
        holder = getattr(raw, "__self__", None) if inspect.ismethod(raw) else None
        function = raw.__func__ if inspect.ismethod(raw) else raw
        defined = getattr(function, "__module__", None) or type(raw).__module__
        first = self._modules.get(str(defined))
        others = [module for module in self._modules.values() if module is not first]
        for module in [first, *others] if first is not None else others:
            file = Path(str(module.__file__)).resolve()
            for name in _names(module, raw, holder):
                if _may_be(file, name):
                    return f"{file}:{name}"
        return None

    @functools.cached_property
    def _modules(self) -> dict[str, ModuleType]:
        """The user's modules; lazy ones, which load when an attribute is read, are of other types."""
        return {
            name: module
            for name, module in [*sys.modules.items()]
            if type(module) is ModuleType
            and isinstance(file := vars(module).get("__file__"), str)
            and file.endswith(".py")
            and self._own(file)
        }

    def _reason(self, raw: Any) -> str:
        qualified = str(getattr(raw, "__qualname__", ""))
        name = getattr(raw, "__name__", None)
        holder = raw.__self__ if inspect.ismethod(raw) else raw if name is None else None
        if holder is not None:
            what = "a method of an object" if inspect.ismethod(raw) else "an object"
            return f"it is {what} ({type(holder).__name__}) that is not a variable of a module; make it one"
        if name == "<lambda>":
            return "it is a lambda without a name; make it a function at module level"
        if _LOCAL in qualified:
            around = qualified.split(_LOCAL, maxsplit=1)[0]
            return f"it is defined inside {around}(); move it to module level"
        if str(getattr(raw, "__module__", None)) in self._modules:
            return "it is not at module level; move it there"
        return "it is not defined in one of your files; call it in a function of your own"


def _names(module: ModuleType, raw: Any, holder: Any) -> list[str]:
    """List the names by which a module, a class or an object of it has a function."""
    held = vars(module)
    own = getattr(raw, "__name__", "")
    qualified = str(getattr(raw, "__qualname__", ""))
    names = sorted((name for name, value in held.items() if value is raw), key=lambda name: name != own)
    if holder is not None:
        names += [f"{name}.{own}" for name, value in held.items() if value is holder]
    if "." in qualified and _LOCAL not in qualified:
        names.append(qualified)
    return [name for name in names if _is(module, name, raw)]


def _is(module: ModuleType, name: str, raw: Any) -> bool:
    at: Any = module
    for part in name.split("."):
        if not part.isidentifier():
            return False
        at = getattr(at, part, None)
    # A method is a new object each time.
    return at is raw or (inspect.ismethod(at) and bool(at == raw))


@functools.lru_cache(maxsize=256)
def _may_be(file: Path, name: str) -> bool:
    try:
        return missing_name(file, name, file.name) is None
    except UsageError:
        return False


def arguments_text(positional: Iterable[Any], named: Mapping[str, Any], *, partial: bool) -> str:
    """Write arguments as Python literals in parentheses.

    Example:
        >>> arguments_text((), {"size": (8, 8)}, partial=True)
        '(..., size=(8, 8))'
    """
    written = ["..."] if partial else []
    for name, value in [*((None, value) for value in positional), *named.items()]:
        if name == "*":
            raise NoReference("it takes any number of arguments, which a spec cannot write; give them names")
        if not _is_literal(value):
            which = f"its argument {name}" if name is not None else "one of its arguments"
            msg = f"{which} is a {type(value).__name__}, which a spec cannot write; make it inside the function"
            raise NoReference(msg)
        written.append(repr(value) if name is None else f"{name}={value!r}")
    text = f"({', '.join(written)})"
    if len(text) > _LONGEST:
        raise NoReference("its arguments are too long to be written in a spec; make them inside the function")
    return text


def _is_literal(value: Any) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_literal, value))
    if type(value) is dict:
        return all(_is_literal(key) and _is_literal(item) for key, item in value.items())
    return value is None or type(value) in (bool, int, str) or (type(value) is float and value - value == 0)
