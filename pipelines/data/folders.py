"""The cache of generated inputs on disk: location, entries, removal.

Every entry is a folder ``<kind>-<first 16 digits of the fingerprint>`` with a marker file in it that is written last.
A folder without the marker is somebody else's: it is neither read nor written nor removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pipeprof.pipelines.data.errors import DataError
from pipeprof.pipelines.data.locks import file_lock
from pipeprof.pipelines.data.recipes.models import DataEntry, file_names, fingerprint
from pipeprof.pipelines.data.temporary import check_private, is_private, temporary_folder

MARKER = "pipeprof-data.json"
_MARKER_VERSION = 2
"""Since 2 the marker has the `state` of the files."""
_MAKING = ".pipeprof-making-"
_LOCK = ".pipeprof-lock-"
_ENTRY_NAME = re.compile(r"[a-z_]+-[0-9a-f]{16}")
_MAKING_NAME = re.compile(re.escape(_MAKING) + rf"({_ENTRY_NAME.pattern})-.+")
_MOST_MARKER = 1 << 20
"""Characters of a marker: a longer file is none."""


@dataclass(frozen=True)
class CacheFolder:
    """Folder of synthesised inputs.

    Attributes:
        folder: The folder that new entries go to; it need not exist yet.
        warning: One sentence when this is not the place it should have been.
        also: Folders that cannot be written to, but whose complete entries are used.
    """

    folder: Path
    warning: str | None = None
    also: tuple[Path, ...] = ()

    @property
    def readable(self) -> tuple[Path, ...]:
        """The folders whose entries are used: in the temporary folder only one that no other user can write to."""
        own = () if self.warning is not None and not is_private(self.folder) else (self.folder,)
        return (*own, *self.also)


@dataclass(frozen=True)
class CachedEntry:
    """One complete entry of the cache."""

    name: str
    kind: str
    recipe: dict[str, Any]
    bytes: int
    files: int
    created: datetime
    path: Path


def locate(environ: Mapping[str, str] = os.environ) -> CacheFolder:
    """Find the cache: PIPEPROF_CACHE_DIR, else the XDG cache, else a folder of the user's own in the temp folder.

    Nothing is created. The last resort comes with a warning.

    Raises:
        DataError: There is no folder at all that could be it.
    """
    wanted = _wanted(environ)
    if wanted is not None and _writable(wanted):
        return CacheFolder(wanted)
    temporary = temporary_folder()
    if temporary is None:
        if wanted is not None:
            # What is complete there can be used, and making something fails with the system's reason.
            return CacheFolder(wanted)
        raise DataError(
            "no folder for generated data: HOME is not set and no temporary folder is writable; set PIPEPROF_CACHE_DIR"
        )
    fallback = temporary / f"pipeprof-{os.getuid()}"
    why = "HOME is not set" if wanted is None else f"{wanted} is not writable"
    warning = f"{why}, so generated data is kept in {fallback}; set PIPEPROF_CACHE_DIR to keep it elsewhere"
    return CacheFolder(fallback, warning, () if wanted is None else (wanted,))


def _wanted(environ: Mapping[str, str]) -> Path | None:
    if environ.get("PIPEPROF_CACHE_DIR"):
        return Path(environ["PIPEPROF_CACHE_DIR"]).expanduser().absolute()
    # The XDG rules say that relative paths are to be ignored.
    if Path(environ.get("XDG_CACHE_HOME") or ".").is_absolute():
        return Path(environ["XDG_CACHE_HOME"]) / "pipeprof"
    home = Path(environ.get("HOME") or ".")
    # Where it may not be looked at, a Path's test of a folder raises.
    return home / ".cache" / "pipeprof" if home.is_absolute() and os.path.isdir(home) else None  # noqa: PTH112


def _writable(folder: Path) -> bool:
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    except OSError:
        return False


def open_for_writing(cache: CacheFolder) -> Path:
    """The folder for new entries, created if need be for this user alone.

    Raises:
        DataError: It cannot be created, or lies in the temp folder and is not this user's own.
    """
    mend = "set PIPEPROF_CACHE_DIR to a folder of your own"
    try:
        missing = [path for path in (cache.folder, *cache.folder.parents) if not path.exists()]
        for path in reversed(missing):
            path.mkdir(mode=0o700, exist_ok=True)
        if not cache.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(cache.folder))
    except OSError as error:
        raise DataError(f"cannot create {cache.folder} ({error.strerror}); {mend}") from error
    try:
        if cache.warning is not None:
            check_private(cache.folder)
    except OSError as error:
        raise DataError(f"cannot use {cache.folder} ({error.strerror}); {mend}") from error
    return cache.folder


def entry_name(entry: DataEntry) -> str:
    """Name of an entry's folder in the cache."""
    return f"{entry.kind}-{fingerprint(entry)[:16]}"


def find(entry: DataEntry, folders: Sequence[Path]) -> Path | None:
    """The folder of an entry in one of ``folders`` that is complete and as it was made, or None."""
    for folder in folders:
        path = folder / entry_name(entry)
        marker = read_marker(path) if _is_trusted(path) else None
        if marker is not None and marker["fingerprint"] == fingerprint(entry) and _is_as_made(path, entry, marker):
            return path
    return None


def _is_trusted(path: Path) -> bool:
    """Whether an entry is a folder that whoever may write to the cache's folder has not put there for others."""
    try:
        found, around = path.lstat(), path.parent.stat()
    except OSError:
        return False
    own = found.st_uid in (os.getuid(), 0)
    return stat.S_ISDIR(found.st_mode) and (own or not around.st_mode & stat.S_IWOTH)


@dataclass(frozen=True)
class FileState:
    """The files of an entry.

    Attributes:
        digest: Of their names, sizes and times of change in whole seconds: copies and images of disks may lose the
            rest.
    """

    bytes: int
    digest: str


def file_state(path: Path, entry: DataEntry) -> FileState:
    """Look at all files that an entry promises; none is opened."""
    total, digest = 0, hashlib.sha256()
    for name in file_names(entry):
        found = os.lstat(f"{path}/{name}")
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a file", f"{path}/{name}")
        total += found.st_size
        digest.update(f"{name}\0{found.st_size}\0{int(found.st_mtime)}\n".encode())
    return FileState(total, digest.hexdigest())


def _is_as_made(path: Path, entry: DataEntry, marker: Mapping[str, Any]) -> bool:
    """Whether all files are there and none was emptied or replaced since the marker was written."""
    try:
        state = file_state(path, entry)
    except OSError:
        return False
    # Without a digest the marker may come from a checkout.
    return bool(state.bytes == marker["bytes"] and marker.get("state") == state.digest)


def read_marker(path: Path) -> dict[str, Any] | None:
    """Read the marker of an entry's folder; None without a marker of pipeprof, or with a damaged one."""
    try:
        # A pipe in its place would be waited for.
        if not (path / MARKER).is_file():
            return None
        with (path / MARKER).open(encoding="utf-8") as file:
            marker = json.loads(file.read(_MOST_MARKER))
        return marker if _is_marker(marker) else None
    except (OSError, ValueError, RecursionError):
        return None


def _is_marker(marker: object) -> bool:
    kinds = {"kind": str, "recipe": dict, "fingerprint": str, "bytes": int, "files": int, "created": str}
    if not isinstance(marker, dict) or not all(isinstance(marker.get(name), kind) for name, kind in kinds.items()):
        return False
    return datetime.fromisoformat(marker["created"]).tzinfo is not None


def write_marker(path: Path, entry: DataEntry, *, now: datetime | None = None) -> None:
    """Declare a folder to be a complete entry, with the files as they are now."""
    state = file_state(path, entry)
    marker = {
        "version": _MARKER_VERSION,
        "kind": entry.kind,
        "recipe": entry.recipe.model_dump(mode="json"),
        "fingerprint": fingerprint(entry),
        "bytes": state.bytes,
        "files": len(file_names(entry)),
        "state": state.digest,
        "created": (now or datetime.now(timezone.utc)).isoformat(timespec="seconds"),
    }
    with (path / MARKER).open("w", encoding="utf-8") as file:
        json.dump(marker, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def making_folder(root: Path, name: str) -> Path:
    """A new folder in which the entry ``name`` is made before it gets its name."""
    return Path(tempfile.mkdtemp(prefix=f"{_MAKING}{name}-", dir=root))


def entry_lock(root: Path, name: str, *, wait: bool = True) -> contextlib.AbstractContextManager[bool]:
    """The lock that whoever makes or removes the entry ``name`` holds."""
    return file_lock(root / f"{_LOCK}{name}", wait=wait)


def remove_leftovers(root: Path) -> None:
    """Remove leftovers of killed runs: incomplete folders, and locks that no process holds."""
    for path in sorted(root.iterdir()):
        match = _MAKING_NAME.fullmatch(path.name)
        if match is not None and path.is_dir() and not path.is_symlink():
            with entry_lock(root, match[1], wait=False) as free:
                if free:
                    shutil.rmtree(path, ignore_errors=True)
    for path in sorted(root.glob(f"{_LOCK}*")):
        with file_lock(path, wait=False):
            # A lock's file is gone once it was held and released.
            pass


def list_entries(cache: CacheFolder | None = None) -> list[CachedEntry]:
    """All complete entries, by name."""
    cache = cache or locate()
    found = (entry for folder in cache.readable for entry in _entries_in(folder))
    return sorted(found, key=lambda entry: (entry.name, entry.path))


def _entries_in(folder: Path) -> Iterator[CachedEntry]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return
    for path in paths:
        marker = read_marker(path) if _ENTRY_NAME.fullmatch(path.name) and not path.is_symlink() else None
        if marker is not None:
            yield CachedEntry(
                path.name,
                marker["kind"],
                marker["recipe"],
                marker["bytes"],
                marker["files"],
                datetime.fromisoformat(marker["created"]),
                path,
            )


def remove(entries: Sequence[CachedEntry]) -> None:
    """Remove entries; each disappears at once, then its files are deleted.

    Raises:
        DataError: An entry is being made right now, is not ours, or cannot be removed.
    """
    for entry in entries:
        root = entry.path.parent
        try:
            with entry_lock(root, entry.name, wait=False) as free:
                if not free:
                    msg = f"{entry.name} is being generated by another process; wait for it, or stop it first"
                    raise DataError(msg)
                if entry.path.exists():
                    discard(root, entry.name)
        except OSError as error:
            raise DataError(f"cannot remove {entry.path} ({error.strerror}); remove it yourself") from error


def discard(root: Path, name: str) -> None:
    """Remove an entry whose lock is held.

    Raises:
        DataError: The folder carries no marker of ours, a damaged one, or belongs to another user.
    """
    if (root / name).is_dir() and not _is_trusted(root / name) and not (root / name).is_symlink():
        raise DataError(f"{root / name} belongs to another user; set PIPEPROF_CACHE_DIR to a folder of your own")
    if not (root / name).is_symlink() and (root / name / MARKER).is_file() and read_marker(root / name) is None:
        raise DataError(f"{root / name / MARKER} is damaged; remove the folder {root / name}")
    if (root / name).is_symlink() or read_marker(root / name) is None:
        msg = f"{root / name} was not created by pipeprof (it has no {MARKER}); move it, or set PIPEPROF_CACHE_DIR"
        raise DataError(msg)
    hidden = making_folder(root, name)
    (root / name).rename(hidden)
    shutil.rmtree(hidden)
