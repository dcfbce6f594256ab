"""The process of a target at a git ref: it runs in the ref's tree, and imports the ref's modules."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from pipeprof.profiles.protocol.job import RefPlace


def enter(place: RefPlace) -> None:
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
