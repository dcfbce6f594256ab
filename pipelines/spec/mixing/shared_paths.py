"""Relative paths of two specs in different folders, written as from one folder."""

from __future__ import annotations

import copy
import filecmp
import glob
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pipeprof.pipelines.ops.values.python_ref import split_reference
from pipeprof.pipelines.spec.compose.rebase_paths import is_relative, path_from, paths_of, replace_path
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import is_glob

MOST_BYTES = 64 << 20
"""Files that are larger are the same only if they are one file."""
MOST_FILES = 1000
"""More files of one pattern are the same only if the folders are."""
SameFunction: TypeAlias = "Callable[[Path, Path, str], bool]"
"""Whether a function does the same in two versions of its file."""


def as_from(
    home: Path, folder: Path, data: Any, spec: Spec, same: SameFunction | None = None
) -> tuple[Any, dict[str, str]]:
    """Return a spec's data as it reads in another folder, and what each path that was rewritten is in the spec itself.

    A path that leads to the same files, or to copies of them, stays as it is: the specs do not differ there.

    Args:
        same: Whether a function does the same in two files that differ; without it, no function does.
    """
    if home.resolve() == folder.resolve():
        return data, {}
    moved, written = copy.deepcopy(data), {}
    for address, text in paths_of(spec):
        if is_relative(text) and not _leads_to_the_same(home, folder, text, same):
            there = path_from(home, folder, text)
            replace_path(moved, address, text, there)
            written[there] = text
    return moved, written


def _leads_to_the_same(home: Path, folder: Path, text: str, same: SameFunction | None) -> bool:
    python = split_reference(text)
    one, other = (_files(place, python[0] if python else text) for place in (home, folder))
    if not one or [file.name for file in one] != [file.name for file in other] or len(one) > MOST_FILES:
        return False
    if all(_equal(*both) for both in zip(one, other, strict=True)):
        return True
    return python is not None and same is not None and same(one[0], other[0], python[1])


def _files(folder: Path, text: str) -> Sequence[Path]:
    pattern = text if is_glob(text) else glob.escape(text)
    names = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - Path.glob refuses ".." and "~"
    return [folder / name for name in sorted(names)]


def _equal(one: Path, other: Path) -> bool:
    try:
        if one.samefile(other):
            return True
        if one.is_dir() or other.is_dir():
            return _same_folders(one, other)
        size = one.stat().st_size
        return size == other.stat().st_size and size <= MOST_BYTES and filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def _same_folders(one: Path, other: Path) -> bool:
    if not (one.is_dir() and other.is_dir()):
        return False
    mine, theirs = (sorted(path.name for path in folder.iterdir()) for folder in (one, other))
    return mine == theirs and len(mine) <= MOST_FILES and all(_equal(one / name, other / name) for name in mine)
