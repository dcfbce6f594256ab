"""Files that a glob matches, as Python's ``glob`` matches them, where folders may link to themselves."""

from __future__ import annotations

import glob
import itertools
import math
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from functools import partial
from pathlib import Path
from typing import Final

from pipeprof.pipelines.errors import UsageError

MOST_REPEATED: Final = 10_000
"""Visits of folders that were visited already: links side by side can lead to the same folder in endless ways."""
MOST_FOLDERS: Final = 20_000
"""Folders that a check looks into: it takes a second or two, and a run has all the time that it needs."""

_Id = tuple[int, int]


class EndlessGlobError(UsageError):
    """A ``**`` that would match files again and again, because a link leads back to a folder around it."""


def matching_files(pattern: str, *, recursive: bool = True) -> list[str]:
    """Return the files that a glob matches, sorted; folders are left out.

    Args:
        recursive: Whether ``**`` stands for any folders; else it is a ``*``, as TensorFlow reads it.
    """
    found = set(_walk(pattern, recursive=recursive))
    return sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # a million of them


def has_match(pattern: str, *, recursive: bool = True) -> bool | None:
    """Whether a glob matches a file; None where `MOST_FOLDERS` folders do not show it.

    Raises:
        EndlessGlobError: It would match files again and again.
    """
    found = False
    try:
        for name in _walk(pattern, recursive=recursive, most=MOST_FOLDERS):
            found = found or os.path.isfile(name)  # noqa: PTH113
            if found and not recursive:
                break
    except _TooManyFoldersError:
        return found or None
    return found


def count_matches(pattern: str, most: int) -> int | None:
    """Number of names that a glob matches; None for more than `most`, and where it leads to `MOST_FOLDERS` folders."""
    try:
        found = sum(1 for _ in itertools.islice(_walk(pattern, recursive=False, most=MOST_FOLDERS), most + 1))
    except _TooManyFoldersError:
        return None
    return found if found <= most else None


class _TooManyFoldersError(Exception):
    pass


def _walk(pattern: str, *, recursive: bool, most: float = math.inf) -> Iterator[str]:
    """Yield the paths that a glob matches, some of them several times, but none for a pattern of folders.

    Raises:
        _TooManyFoldersError: It leads through more than `most` of them.
    """
    parts = [part for part in pattern.split("/") if part]
    parts = [part if recursive or part != "**" else "*" for part in parts]
    # One `**` after another matches the same.
    parts = [part for number, part in enumerate(parts) if part != "**" or parts[number - 1 : number] != [part]]
    seen: set[tuple[str, int]] = set()
    folders = 0

    def below(folder: str, number: int) -> Iterator[str]:
        nonlocal folders
        if (folder, number) in seen:
            return
        seen.add((folder, number))
        part, last = parts[number], number == len(parts) - 1
        for place in _folders_below(folder, pattern) if part == "**" else (folder,):
            folders += glob.has_magic(part)
            if folders > most:
                raise _TooManyFoldersError
            if part == "**" and not last:
                yield from below(place, number + 1)
                continue
            for name, is_folder in _names(place, None if part == "**" else part):
                if last:
                    yield name
                elif is_folder():
                    yield from below(f"{name}/", number + 1)

    if not pattern.endswith("/"):
        yield from below("/" if pattern.startswith("/") else "", 0)


def _names(folder: str, part: str | None) -> Iterator[tuple[str, Callable[[], bool]]]:
    """Yield what a part of a pattern matches in a folder, each with what tells whether it is a folder.

    Args:
        part: None for all that are not hidden.
    """
    if part is not None and not glob.has_magic(part):
        name = folder + part
        if os.path.lexists(name):
            yield name, partial(os.path.isdir, name)
        return
    matches = re.compile(translate(part)).match if part is not None else None
    hidden = part is not None and part.startswith(".")
    try:
        entries = list(os.scandir(folder or "."))
    except OSError:
        return
    for entry in entries:
        if (hidden or not entry.name.startswith(".")) and (matches is None or matches(entry.name)):
            yield folder + entry.name, partial(_is_folder, entry)


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
