"""The repository that a file is in, found by a walk upwards.

For git's own discovery, any folder with ``HEAD``, ``objects`` and ``refs`` is a repository, whose ``config`` names
commands; a commit can hold one. So only what is named ``.git`` counts here, which no commit can hold.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.host_files import read_regular

GIT_DIR = ".git"
_POINTER = "gitdir:"
_REF = "ref: "
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MOST_BYTES = 4096
"""Largest size of a file that names one folder; PATH_MAX of Linux."""
_MOST_PACKED_BYTES = 64 << 20
"""Of ``packed-refs``: half a million refs."""


@dataclass(frozen=True)
class Repository:
    """A work tree and where git keeps its history: objects and refs are in `git_dir`, but for a linked work tree."""

    root: Path
    git_dir: Path
    common_dir: Path


def repository_root(folder: Path) -> Path | None:
    """The root of the git work tree that a folder is in; None outside of one."""
    return next((place for place in (folder, *folder.parents) if _exists(place / GIT_DIR)), None)


def find_repository(near: Path, environment: Mapping[str, str]) -> Repository | None:
    """The repository that a file or folder is in; None outside of one.

    ``GIT_DIR`` and ``GIT_WORK_TREE`` count where no folder has a ``.git``; ``GIT_CEILING_DIRECTORIES`` end the walk.
    """
    folder = _resolved(near if near.is_dir() else near.parent)
    for place in _places(folder, environment):
        found = repository_at(place)
        if found is not None:
            return found
    return _named(folder, environment)


def repository_at(root: Path) -> Repository | None:
    """The repository whose work tree has its root here: with a folder ``.git``, or a file that names one."""
    entry = root / GIT_DIR
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        if entry.is_dir():
            return _repository(root, entry)
        if entry.is_file() and (text := read_line(entry)) is not None and text.startswith(_POINTER):
            return _repository(root, root / text.removeprefix(_POINTER).strip())
    return None


def checked_out(near: Path, environment: Mapping[str, str]) -> str | None:
    """The commit that the work tree around a file is at, read from files: no git is started.

    None outside of a work tree, before the first commit, and where refs are kept in another form than files of text.
    """
    found = find_repository(near, environment)
    head = read_line(found.git_dir / "HEAD") if found is not None else None
    if found is None or head is None:
        return None
    name = head.removeprefix(_REF)
    if name != head:
        head = read_line(found.common_dir / name) if _is_plain(name) else None
        head = head or _packed(found.common_dir / "packed-refs", name)
    return head if head is not None and _COMMIT.fullmatch(head) else None


def _is_plain(name: str) -> bool:
    """Whether the name of a ref is that of a file below its folder."""
    return name.startswith("refs/") and ".." not in name.split("/")


def _packed(path: Path, name: str) -> str | None:
    try:
        lines = read_regular(path, _MOST_PACKED_BYTES).splitlines()
    except OSError:
        return None
    wanted = [os.fsencode(name)]
    return next((os.fsdecode(line.split()[0]) for line in lines if line.split()[1:] == wanted), None)


def _places(folder: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """The folder and those above it, up to a ceiling, which itself does not count."""
    listed = environment.get("GIT_CEILING_DIRECTORIES", "").split(os.pathsep)
    ceilings = {_resolved(Path(text)) for text in listed if text.startswith("/")}
    yield folder
    for place in folder.parents:
        if place in ceilings:
            return
        yield place


def _named(folder: Path, environment: Mapping[str, str]) -> Repository | None:
    """The repository that the environment names, if the folder is in its work tree."""
    named = environment.get("GIT_DIR")
    if not named:
        return None
    root = _resolved(Path(environment.get("GIT_WORK_TREE") or "."))
    return _repository(root, Path(named)) if folder.is_relative_to(root) else None


def _repository(root: Path, git_dir: Path) -> Repository | None:
    git_dir = _resolved(git_dir)
    shared = read_line(git_dir / "commondir")
    common = _resolved(git_dir / shared.strip()) if shared is not None else git_dir
    if not ((git_dir / "HEAD").exists() and (common / "objects").is_dir() and (common / "refs").is_dir()):
        return None
    return Repository(_resolved(root), git_dir, common)


def read_line(path: Path) -> str | None:
    """The text of a file of at most 4,096 bytes, without the end of its line; None for any other."""
    try:
        data = read_regular(path, _MOST_BYTES)
    except OSError:
        return None
    return os.fsdecode(data).rstrip("\r\n") if b"\0" not in data else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _resolved(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path.absolute()
