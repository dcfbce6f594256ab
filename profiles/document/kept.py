"""Documents that earlier commands have saved in pipeprof's own folder: how much they take, and their removal."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeprof.profiles.document.store import FOLDER, is_own_file

LARGE_BYTES = 10**9
"""From it on the folder is worth a word after a run."""


@dataclass(frozen=True)
class SavedFile:
    """A saved profile or result.

    Attributes:
        changed: When it was written, in seconds since 1970.
    """

    path: Path
    bytes: int
    changed: float


def list_saved(folder: Path, before: float) -> list[SavedFile]:
    """The profiles and results that pipeprof has saved in a folder, the oldest first; links are left out.

    Args:
        before: Only what was written until then, in seconds since 1970.
    """
    found = []
    for path in folder.glob("*.json"):
        try:
            state = path.lstat()
        except OSError:
            continue
        if stat.S_ISREG(state.st_mode) and state.st_mtime <= before and is_own_file(path):
            found.append(SavedFile(path, state.st_size, state.st_mtime))
    return sorted(found, key=lambda file: (file.changed, file.path))


def remove_saved(files: Iterable[SavedFile]) -> None:
    """Remove saved documents; one that is gone already is no error."""
    for file in files:
        file.path.unlink(missing_ok=True)


def describe_large(folder: Path) -> str | None:
    """State that pipeprof's own folder has become large, and what makes it smaller; None for any other folder."""
    if folder.name != FOLDER:
        return None
    sizes = []
    for path in folder.glob("*.json"):
        try:
            sizes.append(path.lstat().st_size)
        except OSError:
            continue
    if sum(sizes) < LARGE_BYTES:
        return None
    return (
        f"{FOLDER} holds {sum(sizes) / 1e9:.1f} GB in {len(sizes):,} files; "
        "remove old ones: pipeprof data rm --profiles --older 30d"
    )
