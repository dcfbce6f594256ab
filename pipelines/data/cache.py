"""Cache of generated inputs: a folder for each recipe, which has its name when it is complete. Imports no TensorFlow.

A folder is made under another name and then renamed, so nothing has to be locked: of two processes that make the same
input at once, the second one finds the folder of the first.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from pipeprof.pipelines.data.make import MEND, cannot_generate, make_in_child
from pipeprof.pipelines.data.recipes import Recipe, entry_name
from pipeprof.pipelines.errors import PipeprofError

_NAME = re.compile(r"[a-z_]+-[0-9a-f]{16}(\.unfinished-[0-9a-f]+)?")

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CachedEntry:
    """One folder of the cache, finished or not."""

    name: str
    kind: str
    bytes: int
    files: int
    created: datetime
    path: Path


def locate(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Find the cache: PIPEPROF_CACHE_DIR, else the XDG cache; None where HOME is no folder. Nothing is created."""
    if environ.get("PIPEPROF_CACHE_DIR"):
        return Path(environ["PIPEPROF_CACHE_DIR"]).expanduser().absolute()
    home, xdg = (Path(environ.get(name) or ".") for name in ("HOME", "XDG_CACHE_HOME"))
    # The XDG rules say that relative paths are to be ignored. Where it may not be looked at, a Path's test raises.
    usual = xdg if xdg.is_absolute() else home / ".cache" if home.is_absolute() and os.path.isdir(home) else None  # noqa: PTH112
    return usual / "pipeprof" if usual is not None else None


def ensure(entries: Mapping[str, Recipe], *, progress: ProgressCallback, folder: Path | None = None) -> dict[str, Path]:
    """The folders of all entries; those that are not there yet are made first.

    Args:
        progress: Called with (name, done, total) for what is made; items are images, records, elements, rows or lines.
        folder: Where to look and make; where ``locate()`` says if None.

    Raises:
        PipeprofError: The disk is full, there is no cache, or it cannot be written to or holds something else under a
            name, or the making failed.
    """
    folder = folder or locate()
    if folder is None:
        raise PipeprofError(f"no folder for generated data: HOME is no folder; {MEND}")
    missing = {name: recipe for name, recipe in entries.items() if not _is_folder(folder / entry_name(recipe))}
    if missing:
        with _file_errors(", ".join(missing), folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, recipe in missing.items():
        _make(name, recipe, folder / entry_name(recipe), progress)
    return {name: folder / entry_name(recipe) for name, recipe in entries.items()}


def _make(name: str, recipe: Recipe, final: Path, progress: ProgressCallback) -> None:
    # Two entries may have the same recipe.
    if _is_folder(final):
        return
    if os.path.lexists(final):
        raise PipeprofError(f"{final} was not created by pipeprof: move it, or {MEND}")
    progress(name, 0, recipe.items())
    unfinished = _unfinished(final)
    try:
        with _file_errors(name, final.parent):
            unfinished.mkdir()
        make_in_child(name, recipe, unfinished, lambda done, total: progress(name, done, total))
        with _file_errors(name, final.parent):
            _rename(unfinished, final)
    finally:
        # After the renaming there is nothing left under this name.
        shutil.rmtree(unfinished, ignore_errors=True)


def _rename(unfinished: Path, final: Path) -> None:
    try:
        unfinished.rename(final)
    except OSError as error:
        # Another process was faster.
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{path.name.partition('.')[0]}.unfinished-{secrets.token_hex(4)}")


def _is_folder(path: Path) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


@contextmanager
def _file_errors(name: str, folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_generate(name, folder, error) from error


def list_entries(folder: Path) -> list[CachedEntry]:
    """All inputs that were made, by name; also what is being made, or was interrupted by a loss of power."""
    entries = []
    # The folder need not be there, and what is being made may get its name meanwhile.
    with suppress(OSError):
        for path in sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name) and _is_folder(path)):
            with suppress(FileNotFoundError):
                entries.append(_entry(path))
    return entries


def _entry(path: Path) -> CachedEntry:
    files = [Path(where, name).lstat() for where, _, names in os.walk(path) for name in names]
    created = datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)
    kind = path.name.partition("-")[0]
    return CachedEntry(path.name, kind, sum(file.st_size for file in files), len(files), created, path)


def remove(entries: Sequence[CachedEntry]) -> None:
    """Remove entries; each loses its name at once, then its files are deleted.

    Raises:
        PipeprofError: An entry cannot be removed.
    """
    for entry in entries:
        hidden = _unfinished(entry.path)
        try:
            with suppress(FileNotFoundError):
                entry.path.rename(hidden)
                shutil.rmtree(hidden)
        except OSError as error:
            raise PipeprofError(f"cannot remove {entry.path} ({error.strerror}); remove it yourself") from error
