"""Files that may be profiles: what paths, folders and patterns name, and what is in them."""

from __future__ import annotations

import glob
import hashlib
import os
import stat
from collections.abc import Container, Iterator, Sequence
from pathlib import Path

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.store import MAX_BYTES, reason
from pipeprof.profiles.fleet.tables import Row, RowError, parse, rows_of

_WILD = frozenset("*?[")


def files_of(names: Sequence[str]) -> Iterator[Path]:
    """Every file that a path, a folder or a pattern names, each once; of a folder those that end with ``.json``.

    Hidden folders are left out. Links to folders are not followed, so no loop of links is walked.

    Raises:
        UsageError: A name stands for nothing.
    """
    seen: set[str] = set()
    for name in names:
        found = False
        for path in _of(name):
            found = True
            if path not in seen:
                seen.add(path)
                yield Path(path)
        if not found and not os.path.isdir(name):  # noqa: PTH112 - a Path drops a slash at the end
            raise UsageError(f"{name}: no such file or folder, and no file fits it as a pattern")


def _of(name: str) -> Iterator[str]:
    if os.path.isdir(name):  # noqa: PTH112 - as above
        yield from _below(name)
    elif os.path.lexists(name):
        yield name
    elif not _WILD.isdisjoint(name):
        for fitting in sorted(glob.iglob(name, recursive=True)):  # noqa: PTH207 - a pattern of any form
            if os.path.isdir(fitting):  # noqa: PTH112 - as above
                yield from _below(fitting)
            else:
                yield fitting


def _below(folder: str) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (os.path.join(place, file) for file in sorted(files) if file.endswith(".json"))  # noqa: PTH118


def read_rows(path: Path, known: Container[str]) -> tuple[str, list[tuple[str, Row]]]:
    """The hash of a file, and the rows of its profile with the names of their tables; none where the hash is known.

    Raises:
        RowError: It is no profile that can be counted.
    """
    raw = _read(path)
    key = hashlib.sha256(raw).hexdigest()
    return key, [] if key in known else list(rows_of(key, parse(raw)))


def _read(path: Path) -> bytes:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise RowError("foreign", "a device, a pipe or a folder, not a file")
        if found.st_size > MAX_BYTES:
            raise RowError("foreign", f"larger than {MAX_BYTES // 1024**2} MiB")
        return path.read_bytes()
    except OSError as error:
        raise RowError("broken", f"it cannot be read: {reason(error)}") from None
