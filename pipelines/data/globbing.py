"""Files that a glob matches."""

from __future__ import annotations

import glob
import itertools
import os
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from functools import partial
from typing import Final

MOST_FOLDERS: Final = 20_000
"""Folders that a check looks into: it takes a second or two, and a run has all the time that it needs."""


def matching_files(pattern: str, *, recursive: bool = True) -> list[str]:
    """Return the files that a glob matches, sorted; folders are left out.

    Args:
        recursive: Whether ``**`` stands for any folders; else it is a ``*``, as TensorFlow reads it.
    """
    found = set(glob.glob(pattern, recursive=recursive))  # noqa: PTH207  # absolute patterns, which Path.glob refuses
    return sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # a million of them


def has_match(pattern: str, *, recursive: bool = True) -> bool | None:
    """Whether a glob matches a file; None where `MOST_FOLDERS` folders do not show it."""
    try:
        return any(os.path.isfile(name) for name in _walk(pattern, recursive=recursive))  # noqa: PTH113
    except _TooManyFoldersError:
        return None


def count_matches(pattern: str, most: int) -> int | None:
    """Number of names that a glob matches; None for more than `most`, and where it leads to `MOST_FOLDERS` folders."""
    try:
        found = sum(1 for _ in itertools.islice(_walk(pattern, recursive=False), most + 1))
    except _TooManyFoldersError:
        return None
    return found if found <= most else None


class _TooManyFoldersError(Exception):
    pass


def _walk(pattern: str, *, recursive: bool) -> Iterator[str]:
    """Yield the paths that a glob matches, some of them several times, but none for a pattern of folders.

    Raises:
        _TooManyFoldersError: It leads through more than `MOST_FOLDERS` of them.
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
        for place in _folders_below(folder) if part == "**" else (folder,):
            folders += glob.has_magic(part)
            if folders > MOST_FOLDERS:
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


def _folders_below(folder: str) -> Iterator[str]:
    """Yield a folder and all below it that are not hidden, also those that links lead to."""
    todo = [folder]
    while todo:
        path = todo.pop()
        yield path
        try:
            entries = sorted(os.scandir(path or "."), key=lambda entry: entry.name, reverse=True)
        except OSError:
            continue
        todo += [f"{path}{entry.name}/" for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
