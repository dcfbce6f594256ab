"""Files that a glob matches, as Python's ``glob`` matches them, where folders may link to themselves."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator
from fnmatch import translate
from pathlib import Path
from typing import Final, NamedTuple

from pipeprof.pipelines.errors import UsageError

MOST_REPEATED: Final = 10_000
"""Visits of folders that were visited already: links side by side can lead to the same folder in endless ways."""

_Id = tuple[int, int]


class EndlessGlobError(UsageError):
    """A ``**`` that would match files again and again, because a link leads back to a folder around it."""


class _Place(NamedTuple):
    """A folder on the way: its path, with a slash at its end, and the part of the pattern that comes next."""

    folder: str
    part: int


def matching_files(pattern: str, *, recursive: bool = True) -> list[str]:
    """Return the files that a glob matches, sorted; folders are left out.

    Args:
        recursive: Whether ``**`` stands for any folders; else it is a ``*``, as TensorFlow reads it.
    """
    if not recursive or "**" not in pattern.split("/"):
        found = glob.glob(pattern)  # noqa: PTH207  # absolute patterns, which Path.glob refuses
    else:
        found = [] if pattern.endswith("/") else _walk(pattern)
    return sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # a million of them


def _walk(pattern: str) -> list[str]:
    start = "/" if pattern.startswith("/") else ""
    parts = [part for part in pattern.split("/") if part]
    # One `**` after another matches the same.
    parts = [part for number, part in enumerate(parts) if part != "**" or parts[number - 1 : number] != [part]]
    found: dict[str, None] = {}
    seen: set[_Place] = set()
    todo = [_Place(start, 0)]
    while todo:
        place = todo.pop()
        if place in seen:
            continue
        seen.add(place)
        part, last = parts[place.part], place.part == len(parts) - 1
        if part == "**":
            for folder in _folders_below(place.folder, pattern):
                if last:
                    found.update((name, None) for name in _names(folder, None))
                else:
                    todo.append(_Place(folder, place.part + 1))
            continue
        for name in _names(place.folder, part):
            if last:
                found[name] = None
            elif os.path.isdir(name):  # noqa: PTH112
                todo.append(_Place(f"{name}/", place.part + 1))
    return list(found)


def _names(folder: str, part: str | None) -> Iterator[str]:
    """Yield the paths in a folder that a part of a pattern matches; all that are not hidden for `None`."""
    if part is not None and not glob.has_magic(part):
        if os.path.lexists(folder + part):
            yield folder + part
        return
    matches = re.compile(translate(part)).match if part is not None else None
    hidden = part is not None and part.startswith(".")
    try:
        names = os.listdir(folder or ".")  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if (hidden or not name.startswith(".")) and (matches is None or matches(name)):
            yield folder + name


def _folders_below(folder: str, pattern: str) -> Iterator[str]:
    """Yield a folder and all below it that are not hidden, also those that links lead to."""
    todo: list[tuple[str, tuple[_Id, ...]]] = [(folder, ())]
    visited: set[_Id] = set()
    repeated = 0
    while todo:
        path, around = todo.pop()
        try:
            status = Path(path or ".").stat()
            entries = sorted(os.scandir(path or "."), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        own = (status.st_dev, status.st_ino)
        if own in around:
            raise EndlessGlobError(
                f"{pattern}: `**` does not end, because a link makes {path.rstrip('/')} a folder inside itself; "
                "remove the link, or name the folders with `*`"
            )
        repeated += own in visited
        if repeated > MOST_REPEATED:
            raise EndlessGlobError(
                f"{pattern}: `**` reaches the same folders more than {MOST_REPEATED:,} times through links, "
                f"as {path.rstrip('/')}; remove the links, or name the folders with `*`"
            )
        visited.add(own)
        yield path
        for entry in entries:
            if not entry.name.startswith(".") and _is_folder(entry):
                todo.append((f"{path}{entry.name}/", (*around, own)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
