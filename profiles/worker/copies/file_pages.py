"""Pages of files that are mapped into a process: a copy of the process begins without them.

The kernel maps them again when they are used. Until then they are missing in the resident memory of the copy, where a
process that was started in the usual way has those of TensorFlow's libraries: some 350 MiB.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MADV_DONTNEED = 4
_PRESENT = 63
"""Bit of an entry of ``/proc/self/pagemap``; see the kernel's admin-guide/mm/pagemap."""


@dataclass(frozen=True)
class FilePages:
    """Pages of mapped files.

    Attributes:
        present: Address and bytes of each range that is resident.
        absent: Of each range that is not, where nothing can be written.
    """

    present: tuple[tuple[int, int], ...]
    absent: tuple[tuple[int, int], ...]


def file_pages() -> FilePages:
    """Those of this process.

    Raises:
        OSError: The kernel does not say.
    """
    present: list[tuple[int, int]] = []
    absent: list[tuple[int, int]] = []
    with Path("/proc/self/pagemap").open("rb", buffering=0) as pagemap:
        for begin, end, writable in _mappings():
            pagemap.seek(begin // mmap.PAGESIZE * 8)
            entries = pagemap.read((end - begin) // mmap.PAGESIZE * 8)
            for is_present, first, count in _runs(entries):
                span = (begin + first * mmap.PAGESIZE, count * mmap.PAGESIZE)
                if is_present:
                    present.append(span)
                elif not writable:
                    absent.append(span)
    return FilePages(tuple(present), tuple(absent))


def map_again(pages: FilePages) -> None:
    """Make the same pages resident in a copy of the process."""
    for address, size in pages.present:
        # Reads a byte of each page.
        _ = (ctypes.c_char * size).from_address(address)[:: mmap.PAGESIZE]
    # The kernel maps the neighbours of a page as well.
    libc = ctypes.CDLL(None)
    for address, size in pages.absent:
        libc.madvise(ctypes.c_void_p(address), ctypes.c_size_t(size), _MADV_DONTNEED)


def _mappings() -> Iterator[tuple[int, int, bool]]:
    """Begin, end and whether it can be written to, of each mapping of a file that can be read."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, rights, _offset, _device, inode, *path = line.split(None, 5)
        if inode == "0" or "r" not in rights or (path and path[0].startswith("/dev/")):
            continue
        begin, end = (int(text, 16) for text in addresses.split("-"))
        yield begin, end, "w" in rights


def _runs(entries: bytes) -> Iterator[tuple[bool, int, int]]:
    """Runs of pages that are all resident, or all not: which, the first one's number, and how many."""
    import numpy as np

    found = np.frombuffer(entries, np.uint64) >> np.uint64(_PRESENT)
    borders = [0, *(np.flatnonzero(np.diff(found)) + 1).tolist(), len(found)]
    for first, after in itertools.pairwise(borders):
        if after > first:
            yield bool(found[first]), first, after - first
