"""The user's files that a Python file imports from, found by the names of modules; nothing is imported."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pipeprof.pipelines.target.modules import name_in_package


class Place(NamedTuple):
    """Target of a dotted name.

    Attributes:
        file: The last module in it.
        rest: The names in that file; none for the module itself.
    """

    file: Path
    rest: tuple[str, ...]


@dataclass
class ModuleFiles:
    """The modules next to a file, and those of the packages that it lies in.

    Attributes:
        folders: Where modules are looked for, in this order.
    """

    folders: tuple[Path, ...]
    _found: dict[str, Place | None] = field(default_factory=dict)

    @classmethod
    def around(cls, path: Path) -> ModuleFiles:
        """Return the modules that a program can import which starts with a file."""
        return cls(tuple(dict.fromkeys((path.parent, name_in_package(path)[1]))))

    def find(self, name: str) -> Place | None:
        """Find the place of a dotted name; None if no file of the user's has it."""
        if name not in self._found:
            parts = name.split(".")
            places = (_place(folder, parts) for folder in self.folders)
            found = next((place for place in places if place is not None), None)
            self._found[name] = found if parts[0] not in sys.builtin_module_names else None
        return self._found[name]


def _place(folder: Path, parts: list[str]) -> Place | None:
    found = None
    for number, part in enumerate(parts):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        file = package if package.is_file() else module if module.is_file() else None
        if file is not None:
            found = Place(file, tuple(parts[number + 1 :]))
        if file == module or not (folder / part).is_dir():
            break
        folder /= part
    return found


def absolute_name(path: Path, module: str | None, level: int) -> str | None:
    """Return the name of a module that a file imports by ``from .module import``; None if no package holds it.

    Args:
        module: What stands after the dots.

    Example:
        >>> absolute_name(Path("no_package/input.py"), "tables", 1)
        'tables'
    """
    own = name_in_package(path)[0].split(".")
    around = own if path.name == "__init__.py" else own[:-1]
    up = level - 1
    if up > len(around):
        return None
    return ".".join([*around[: len(around) - up], *([module] if module else [])]) or None
