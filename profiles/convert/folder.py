"""The folder that converted data go to: what is refused, room on the disk, and a partial result that never stays."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pipeprof.pipelines.data.locks import file_lock
from pipeprof.pipelines.errors import PipeprofError, UsageError
from pipeprof.profiles.wording import size

DATA: Final = "elements"
"""Folder with the files, inside the user's."""
DESCRIPTION: Final = "converted.json"
"""File that says what the files are, and that pipeprof wrote them."""
_PARTIAL: Final = ".pipeprof-partial-"
"""Beginning of the names of a folder with incomplete files and of its lock; the running kernel's name follows."""
_LOCK: Final = ".lock"
_RESERVE_BYTES: Final = 200_000_000
_RESERVE_SHARE: Final = 0.1
"""Reserve as a share of the estimated bytes: the first elements may be smaller than the others."""


class FolderError(UsageError):
    """The folder cannot be used (exit code 2); the message says why and what to do."""


class LateFolderError(PipeprofError):
    """The folder turned out to be of no use once the pipeline had run (exit code 1)."""


class NoRoomError(PipeprofError):
    """There is not enough room for converted data (exit code 1)."""


@dataclass(frozen=True)
class ConvertTarget:
    """Folder for converted data."""

    folder: Path
    force: bool = False

    @property
    def data(self) -> Path:
        """Folder of the complete files."""
        return self.folder / DATA


def check_folder(target: ConvertTarget) -> None:
    """Refuse a folder that has something else in it, before anything is measured.

    Raises:
        FolderError: The folder is a file, has files in it, or cannot be written to.
    """
    folder = target.folder
    try:
        entries = [entry for entry in folder.iterdir() if not _is_left_over(entry)] if folder.exists() else []
    except NotADirectoryError:
        raise FolderError(f"--convert-to: {folder} is a file: name a new or empty folder") from None
    except OSError as error:
        raise FolderError(f"--convert-to: {folder} cannot be read ({error.strerror}): name another folder") from None
    partial = next((entry.name for entry in entries if entry.name.startswith(_PARTIAL)), None)
    if partial is not None:
        raise FolderError(
            f"--convert-to: another pipeprof writes to {folder}, or was killed on another machine: name another "
            f"folder, or remove {partial} if none does"
        )
    others = sorted(entry.name for entry in entries if entry.name not in {DATA, DESCRIPTION})
    if others:
        raise FolderError(f"--convert-to: {folder} is not empty ({others[0]} is in it): name a new or empty folder")
    if entries and not (folder / DESCRIPTION).is_file():
        raise FolderError(f"--convert-to: {folder / DATA} was not written by pipeprof: name a new or empty folder")
    if entries and not target.force:
        raise FolderError(f"--convert-to: {folder} has converted data: --force replaces them, or name a new folder")
    parent = next(path for path in (folder, *folder.parents) if path.exists())
    if not (parent.is_dir() and os.access(parent, os.W_OK | os.X_OK)):
        raise FolderError(f"--convert-to: {folder} cannot be made: {parent} cannot be written to")


def check_distance(folder: Path, inputs: Iterable[Path]) -> None:
    """Refuse a folder with original data in it, or next to it.

    Raises:
        FolderError: A pattern of the pipeline could take converted data for its input, or the other way round.
    """
    folder = folder.resolve()
    for own in inputs:
        if folder == own or own in folder.parents or folder in own.parents:
            where = "is" if folder == own else "is inside" if own in folder.parents else "contains"
            msg = f"--convert-to: {folder} {where} {own}, a folder of the original data: name a folder outside of it"
            raise FolderError(msg)


def free_bytes(folder: Path) -> int:
    """Bytes that are free on a folder's disk."""
    return shutil.disk_usage(folder).free


def check_room(name: str, folder: Path, needed: int, *, free: Callable[[Path], int] = free_bytes) -> None:
    """Refuse to write what does not fit; older files that are replaced take their room until then.

    Raises:
        NoRoomError: There is not enough room on its disk.
    """
    there, whole = free(folder), with_reserve(needed)
    if there < whole:
        raise NoRoomError(
            f"{name} needs {size(whole)} in files including a reserve, but {folder} has only {size(there)} free; "
            "free some space, or name a folder on a larger disk"
        )


def full(name: str, folder: Path) -> NoRoomError:
    """The error of a disk that became full while files were written."""
    return NoRoomError(f"the disk became full while {name} was written to {folder}: nothing of it was kept")


def with_reserve(needed: int) -> int:
    """Add the reserve to estimated bytes.

    Example:
        >>> with_reserve(1_000_000_000)
        1300000000
    """
    return round(needed * (1 + _RESERVE_SHARE)) + _RESERVE_BYTES


@contextlib.contextmanager
def partial_folder(target: ConvertTarget) -> Iterator[Path]:
    """Give a path for files that are written; whatever ends the body, nothing of it stays.

    A lock tells other processes of the same kernel that they are being written. Another machine with the same folder
    may not see the lock, so it never removes them.

    Raises:
        FolderError: The folder cannot be made.
    """
    made = _make(target.folder)
    for entry in target.folder.iterdir():
        if _is_left_over(entry):
            shutil.rmtree(entry, ignore_errors=True)
    own = target.folder / f"{_PARTIAL}{_kernel()}-{secrets.token_hex(8)}"
    try:
        with file_lock(own.with_name(f"{own.name}{_LOCK}")):
            try:
                own.mkdir()
                yield own / DATA
            finally:
                shutil.rmtree(own, ignore_errors=True)
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def _make(folder: Path) -> list[Path]:
    """Make a folder; return those that were not there, innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderError(f"--convert-to: {folder} cannot be made ({error.strerror})") from None
    return missing


def complete(target: ConvertTarget, partial: Path, description: dict[str, object]) -> None:
    """Give complete files their name; older ones go.

    The description comes first: files without one are taken for the user's.

    Raises:
        OSError: The disk is full, or the folder is gone.
    """
    described = partial.with_name(DESCRIPTION)
    text = json.dumps({"tool": "pipeprof", **description}, indent=1, ensure_ascii=False) + "\n"
    described.write_text(text, encoding="utf-8")
    described.replace(target.folder / DESCRIPTION)
    with contextlib.suppress(FileNotFoundError):
        target.data.rename(partial.with_name("old"))
    partial.rename(target.data)


def bytes_below(folder: Path) -> int:
    """Bytes of all files in a folder, as far as they can be read."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(place) / name).stat().st_size
    return total


def _is_left_over(entry: Path) -> bool:
    """Whether files are those of a conversion whose process is gone."""
    if not entry.name.startswith(f"{_PARTIAL}{_kernel()}-"):
        return False
    lock = entry if entry.name.endswith(_LOCK) else entry.with_name(f"{entry.name}{_LOCK}")
    try:
        with file_lock(lock, wait=False) as is_free:
            return is_free
    except OSError:
        return False


def _kernel() -> str:
    """A name of the running kernel, the one place where a lock is sure to be seen by all."""
    try:
        name = Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        name = platform.node()
    return hashlib.sha256(name.encode()).hexdigest()[:12]
