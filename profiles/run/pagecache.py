"""Taking files out of the page cache, so that a measurement reads them from the disk."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PAGE = mmap.PAGESIZE
_PIECE = 1 << 30


@dataclass(frozen=True)
class Eviction:
    """What became of a request to evict files.

    Attributes:
        files: Files that the kernel was asked to forget.
        bytes: Their size.
        resident_bytes: What of them stayed in memory all the same (pages in use, file systems that live in memory);
            ``None`` if the kernel does not tell.
        failed: Files that could not be opened or evicted, with the reason.
        reason: Why nothing at all could be evicted.
    """

    files: int
    bytes: int
    resident_bytes: int | None
    failed: tuple[tuple[Path, str], ...] = ()
    reason: str | None = None


def _resident_pages(descriptor: int, size: int) -> int | None:
    """Pages of a file in the page cache, by ``mincore(2)``; Linux only."""
    try:
        mincore = ctypes.CDLL(None, use_errno=True).mincore
    except (OSError, AttributeError):
        return None
    mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]
    pages = 0
    for offset in range(0, size, _PIECE):
        length = min(_PIECE, size - offset)
        vector = ctypes.create_string_buffer(-(-length // _PAGE))
        # A private writable mapping is what lets ctypes take its address; nothing is written, so nothing is copied.
        with mmap.mmap(descriptor, length, access=mmap.ACCESS_COPY, offset=offset) as mapped:
            start = ctypes.c_char.from_buffer(mapped)
            failed = mincore(ctypes.addressof(start), length, vector)
            del start
        if failed:
            return None
        pages += vector.raw.count(1)
    return pages


def _open(path: Path) -> int:
    """A regular file, for reading. Raises ``OSError`` for anything else, without waiting on pipes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file")
    return descriptor


def resident_bytes(path: Path) -> int | None:
    """How much of a file is in the page cache; ``None`` if that cannot be known.

    Linux answers truly to those who may write the file, and "all of it" to others.
    """
    try:
        descriptor = _open(path)
    except OSError:
        return None
    try:
        size = os.fstat(descriptor).st_size
        return _resident(descriptor, size)
    finally:
        os.close(descriptor)


def _resident(descriptor: int, size: int) -> int | None:
    try:
        pages = _resident_pages(descriptor, size)
    except (OSError, ValueError):
        return None
    return None if pages is None else min(pages * _PAGE, size)


def _evict(path: Path) -> tuple[int, int | None]:
    """Evict one file: its size, and what stayed. Raises ``OSError``."""
    descriptor = _open(path)
    try:
        size = os.fstat(descriptor).st_size
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        stayed = _resident(descriptor, size)
        if stayed != 0:
            # Pages that were not yet written are kept; once they are on the disk they go too.
            with suppress(OSError):
                os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            stayed = _resident(descriptor, size)
        return size, stayed
    finally:
        os.close(descriptor)


def evict(files: Iterable[Path]) -> Eviction:
    """Ask the kernel to forget the content of files.

    Args:
        files: Regular files; each is counted once however often it is named.

    Returns:
        What was evicted, and what was not and why.
    """
    if not hasattr(os, "posix_fadvise"):
        return Eviction(0, 0, None, reason="posix_fadvise is not there on this system")
    sizes: list[int] = []
    stayed: list[int | None] = []
    failed: list[tuple[Path, str]] = []
    for path in dict.fromkeys(files):
        try:
            size, left = _evict(path)
        except OSError as error:
            failed.append((path, error.strerror or str(error)))
            continue
        sizes.append(size)
        stayed.append(left)
    known = [left for left in stayed if left is not None]
    return Eviction(
        files=len(sizes),
        bytes=sum(sizes),
        resident_bytes=sum(known) if len(known) == len(stayed) and known else None,
        failed=tuple(failed),
        reason="no file could be evicted" if failed and not sizes else None,
    )
