"""What a worker reads of the user's files in their place: those of a git ref, or texts with a change."""

from __future__ import annotations

import importlib.machinery
import io
import linecache
import os
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeprof.profiles.protocol.options import RefPlace


def enter_ref(place: RefPlace) -> None:
    """Take the place in the tree of the current folder and of the modules of the work tree."""
    os.chdir(place.folder)
    sys.meta_path.insert(0, _Finder(place))


class _Finder(MetaPathFinder):
    """Finds the ref's file of a module that Python finds in the work tree: by PYTHONPATH or an editable install."""

    def __init__(self, place: RefPlace) -> None:
        self._tree, self._work_tree = Path(place.tree), Path(place.work_tree)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """See `MetaPathFinder`."""
        for finder in sys.meta_path:
            search = getattr(finder, "find_spec", None)
            found = search(fullname, path, target) if finder is not self and search is not None else None
            if found is not None:
                return self._at_ref(found)
        return None

    def _at_ref(self, found: ModuleSpec) -> ModuleSpec | None:
        own = Path(found.origin).resolve() if found.has_location and found.origin is not None else None
        if own is None or not own.is_relative_to(self._work_tree):
            return found
        file = self._tree / own.relative_to(self._work_tree)
        # What git does not track, such as an environment in the work tree, is linked or not there.
        if not file.is_file() or not file.resolve().is_relative_to(self._tree):
            return found
        within = [str(file.parent)] if found.submodule_search_locations is not None else None
        return spec_from_file_location(found.name, file, submodule_search_locations=within)


def read_instead(texts: Mapping[str, str]) -> None:
    """Import or run files with other texts in this process.

    Args:
        texts: By the absolute paths of the files.
    """
    original, open_code = importlib.machinery.SourceFileLoader.get_code, io.open_code
    wanted = {Path(path).resolve(): text for path, text in texts.items()}
    # AutoGraph reads the text of functions, by the lines of the code that runs.
    for path, text in texts.items():
        for name in {path, str(Path(path).resolve()), path.removeprefix(f"{Path.cwd()}/")}:
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)

    def get_code(self: Any, fullname: str) -> Any:
        file = self.get_filename(fullname)
        text = wanted.get(Path(file).resolve())
        return self.source_to_code(text.encode(), file) if text is not None else original(self, fullname)

    def code_of(name: str) -> Any:
        text = wanted.get(Path(name).resolve())
        return io.BytesIO(text.encode()) if text is not None else open_code(name)

    # Of this process alone.
    io.open_code = code_of  # type: ignore[assignment]
    importlib.machinery.SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
