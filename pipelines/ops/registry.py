"""Registry of classes by name; a module is imported on the first access to one of its classes.

Reading a spec takes five sources and stages of sixty, and making a class of a model takes longer than reading a spec.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Generic, TypeVar

_PACKAGE = "pipeprof.pipelines.ops"
Kind = TypeVar("Kind")


class Registry(Mapping[str, type[Kind]], Generic[Kind]):
    """The subclasses of a base class that have a name, by name, in the order in which they stand.

    The names are read from the text of the modules, where each stands as ``attribute: ClassVar[str] = "name"``.

    Args:
        room: The package below `pipelines/ops` whose modules hold the classes.
    """

    def __init__(self, room: str, base: type[Kind], attribute: str) -> None:
        self._room = f"{_PACKAGE}.{room}"
        self._base = base
        self._attribute = attribute
        self._found: dict[str, type[Kind]] = {}

    def __getitem__(self, name: str) -> type[Kind]:
        if name not in self._found:
            self._found |= self._kinds(importlib.import_module(self._modules[name]))
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __len__(self) -> int:
        return len(self._modules)

    def __contains__(self, name: object) -> bool:
        # The inherited one would import the module.
        return name in self._modules

    @functools.cached_property
    def _modules(self) -> dict[str, str]:
        line = re.compile(rf'^    {self._attribute}: ClassVar\[str\] = "(.+)"$', re.MULTILINE)
        found: dict[str, str] = {}
        for info in pkgutil.iter_modules(importlib.import_module(self._room).__path__):
            module = f"{self._room}.{info.name}"
            text = _text_of(module)
            names = self._kinds(importlib.import_module(module)) if text is None else line.findall(text)
            found |= dict.fromkeys(names, module)
        return found

    def _kinds(self, module: ModuleType) -> dict[str, type[Kind]]:
        return {
            getattr(value, self._attribute): value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, self._base)
            and value.__module__ == module.__name__
            and getattr(value, self._attribute)
        }


def _text_of(module: str) -> str | None:
    """The source of a module; None where it was installed without."""
    spec = importlib.util.find_spec(module)
    reader = getattr(spec.loader if spec else None, "get_source", None)
    text: str | None = reader(module) if reader is not None else None
    return text
