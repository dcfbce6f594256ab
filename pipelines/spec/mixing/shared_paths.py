"""Relative paths of two specs in different folders, written as from one folder."""

from __future__ import annotations

import copy
import filecmp
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pipeprof.pipelines.ops.values.python_ref import PythonRef, split_reference
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import has_scheme, is_glob, leaves
from pipeprof.pipelines.spec.yaml.reader import Address

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
    for address, text in _paths_of(spec):
        if _is_relative(text) and not _leads_to_the_same(home, folder, text, same):
            there = _path_from(home, folder, text)
            _replace_path(moved, address, text, there)
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


def _path_from(home: Path, folder: Path, text: str) -> str:
    """The path, as it is written from ``home``, that ``text`` is from ``folder``.

    Example:
        >>> _path_from(Path("/specs/flowers"), Path("/specs/base"), "images/*.jpg")
        '../base/images/*.jpg'
    """
    # Parents of resolved folders are real folders, so '..' can be removed without a file system check.
    folder, rest = folder.resolve(), text
    while rest.startswith(("../", "./")):
        dots, _, rest = rest.partition("/")
        rest = rest.lstrip("/")
        folder = folder.parent if dots == ".." else folder
    below = os.path.relpath(folder, home.resolve())
    if below == ".":
        return rest
    return f"{glob.escape(below) if is_glob(rest) else below}/{rest}"


def _paths_of(spec: Spec) -> Iterator[tuple[Address, str]]:
    """The texts that name files, with their places in the data."""
    for leaf in leaves(spec):
        if isinstance(leaf.value, FilePatterns):
            for index, pattern in enumerate(leaf.value.patterns):
                yield ((*leaf.place, index) if leaf.value.listed else leaf.place), pattern
        elif isinstance(leaf.value, str | PythonRef):
            yield leaf.place, str(leaf.value)


def _is_relative(text: str) -> bool:
    """Whether a path refers to the folder of the file that it is written in."""
    return not (has_scheme(text) or text.startswith(("data:", "~", "/")) or Path(text).is_absolute() or not text)


def _replace_path(data: Any, address: Address, text: str, moved: str) -> None:
    """Put ``moved`` for ``text`` at an address, or in the text nearest to it (``python:f.py:fn`` of a step)."""
    holder: Any = None
    last: str | int = 0
    current: Any = data
    for part in address:
        if not isinstance(current, list) and not (isinstance(current, dict) and part in current):
            break
        holder, last, current = current, part, current[part]  # type: ignore[index]  # a list's keys are indices
    if isinstance(current, str) and current.endswith(text):
        holder[last] = current.removesuffix(text) + moved
