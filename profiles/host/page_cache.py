"""Eviction of files from the page cache, so that a measurement reads them from the disk."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_STAYED_FROM = 0.05
_WHOLE_FROM = 0.99
_MOST_LOOKED_AT = 200


@dataclass(frozen=True)
class Eviction:
    """Whether reads now come from the disk, except for files that failed; and what was not evicted, in words."""

    cold: bool
    lacking: str | None = None


def _resident_bytes(descriptor: int, size: int) -> int | None:
    """Return how much of a file is in the page cache, by ``mincore(2)``; Linux only."""
    if not size:
        return 0
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
        mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
        vector = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
        # A private writable mapping is what lets ctypes take its address; nothing is written, so nothing is copied.
        with mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY) as mapped:
            start = ctypes.c_char.from_buffer(mapped)
            failed = mincore(ctypes.addressof(start), size, vector)
            del start
    except (OSError, AttributeError, ValueError):
        return None
    return None if failed else min(vector.raw.count(1) * mmap.PAGESIZE, size)


def _open(path: Path) -> int:
    """Return a regular file, for reading. Raises ``OSError`` for anything else, without waiting on pipes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def resident_bytes(path: Path) -> int | None:
    """Return how much of a file is in the page cache; ``None`` if that cannot be known.

    Linux gives the true number only to those who may write the file, and "all of it" to others.
    """
    try:
        descriptor = _open(path)
    except OSError:
        return None
    try:
        return _resident_bytes(descriptor, os.fstat(descriptor).st_size)
    finally:
        os.close(descriptor)


def _evict(path: Path) -> tuple[int, int | None]:
    """Evict one file: its size, and what stayed. Raises ``OSError``."""
    descriptor = _open(path)
    try:
        size = os.fstat(descriptor).st_size
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        stayed = _resident_bytes(descriptor, size)
        if stayed != 0:
            # Pages that were not yet written are kept; once they are on the disk they go too.
            with suppress(OSError):
                os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            stayed = _resident_bytes(descriptor, size)
        return size, stayed
    finally:
        os.close(descriptor)


def evict(files: Iterable[Path]) -> Eviction:
    """Ask the kernel to forget the content of regular files; each is counted once however often it is named."""
    if not hasattr(os, "posix_fadvise"):
        return Eviction(cold=False, lacking="posix_fadvise is not there on this system")
    evicted = failed = whole = stayed = 0
    for path in dict.fromkeys(files):
        try:
            size, left = _evict(path)
        except OSError:
            failed += 1
            continue
        evicted, whole, stayed = evicted + 1, whole + size, stayed + (left or 0)
    if not evicted:
        return Eviction(cold=False, lacking="no file could be evicted" if failed else "no source files are known")
    if stayed > _STAYED_FROM * whole:
        lives = "the file system lives there, or another process holds them"
        return Eviction(cold=False, lacking=f"{stayed:,} of {whole:,} bytes stayed in memory: {lives}")
    return Eviction(cold=True, lacking=f"{failed} files failed" if failed else None)


def in_memory(files: Sequence[Path]) -> bool:
    """Return whether all but a hundredth of the files is known to be in the page cache; of many some are looked at."""
    looked_at = files[:: -(-len(files) // _MOST_LOOKED_AT)] if files else ()
    held, whole = 0, 0
    for path in looked_at:
        resident = resident_bytes(path)
        if resident is None:
            return False
        held, whole = held + resident, whole + path.stat().st_size
    return whole > 0 and held >= _WHOLE_FROM * whole
