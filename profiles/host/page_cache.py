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

_PAGE = mmap.PAGESIZE
_PIECE = 1 << 30
_STAYED_FROM = 0.05
_WHOLE_FROM = 0.99
_MOST_LOOKED_AT = 200


@dataclass(frozen=True)
class Eviction:
    """Result of a request to evict files.

    Attributes:
        files: Files that the kernel was asked to forget.
        resident_bytes: Bytes that stayed in memory (pages in use, file systems in memory); ``None`` if unknown.
        failed: Files that could not be opened or evicted, with the reason.
    """

    files: int
    bytes: int
    resident_bytes: int | None
    failed: tuple[tuple[Path, str], ...] = ()
    reason: str | None = None

    @property
    def lacking(self) -> str | None:
        """Text on the files that were not evicted; `None` if all were."""
        if self.reason is not None:
            return self.reason
        if not self.files:
            return "no source files are known"
        if self._has_resident_bytes:
            return (
                f"{self.resident_bytes or 0:,} of {self.bytes:,} bytes stayed in memory: "
                "the file system lives there, or another process holds them"
            )
        return f"{len(self.failed)} files failed" if self.failed else None

    @property
    def cold(self) -> bool:
        """Whether reads now come from the disk, except for files that failed."""
        return self.reason is None and self.files > 0 and not self._has_resident_bytes

    @property
    def _has_resident_bytes(self) -> bool:
        return (self.resident_bytes or 0) > _STAYED_FROM * self.bytes


def _resident_pages(descriptor: int, size: int) -> int | None:
    """Return pages of a file in the page cache, by ``mincore(2)``; Linux only."""
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
        Files and bytes evicted, and those that were not, with the reason.
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


def in_memory(files: Sequence[Path]) -> bool:
    """Return whether the files are in the page cache, all but a hundredth; of many files some are looked at.

    False where that cannot be known.
    """
    looked_at = files[:: -(-len(files) // _MOST_LOOKED_AT)] if files else ()
    held, whole = 0, 0
    for path in looked_at:
        resident = resident_bytes(path)
        if resident is None:
            return False
        held, whole = held + resident, whole + path.stat().st_size
    return whole > 0 and held >= _WHOLE_FROM * whole
