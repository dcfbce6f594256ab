"""Resident pages of TensorFlow's pool, which reports only its bytes in use and never returns memory to the system.

The pool allocates from glibc regions of 1, 2, 4, … MiB, aligned to 64 B, and glibc gives each a mapping of its own,
before which it writes how large it is (`malloc.c`, `mmapped_chunk`). Linux joins mappings that lie side by side, so
regions are found by these heads. Nothing else allocates a power of two of MiB with that alignment: tensors of this size
lie in the pool. The kernel reports which pages of a region are resident.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeprof.profiles.constants import OWN_MAPPING_FROM, POOL_INDEX_SHARE
from pipeprof.profiles.host.proc_texts import PROC, read_text
from pipeprof.profiles.host.procfs import PAGE_BYTES

MIB = 1 << 20
MOST_PAGES = 30_000
"""Most resident pages searched for the head of a block, at 2 µs each; with more of them the result is unknown. Heaps of
threads, where small tensors lie, are skipped: 120 MB of them are as many pages."""
_HEAD = struct.Struct("<8Q")
_LEAD = 0x30
"""Bytes before the second head, which glibc writes for a block aligned to 64 B."""
_MAPPED = 2
_AT_ONCE = 1024
_ABSENT = bytes(range(0x80))
_HEAP_STEP = 64 * MIB
"""Alignment of the heaps of threads (`HEAP_MAX_SIZE` in glibc's `arena.c`)."""
_HEAP_HEAD = 0x100
"""Bytes at most before the arena in the first of its heaps."""
_POWERS = frozenset(MIB << power for power in range(24))

Pages = Callable[[int, int], bytes]
"""Function of an address and a number of pages: one byte per page, 0x80 or more if resident."""
Head = Callable[[int], bytes]
"""Function of an address: the 64 bytes there."""


@dataclass(frozen=True)
class Pool:
    """Sizes of the pool's regions.

    Attributes:
        resident: Bytes of them that are resident.
        hidden: Upper bound of the bytes of further regions inside glibc's heap.
        index: Bytes of the pool's index of them, in addition.
    """

    resident: int
    hidden: int
    index: int


def pool_pages(proc: Path = PROC) -> Pool | None:
    """Read the pool of this process; None where its pages are unknown or no region was found."""
    found: list[tuple[int, int]] = []
    mine = proc / "self"
    try:
        pagemap = os.open(mine / "pagemap", os.O_RDONLY | os.O_CLOEXEC)
        try:
            memory = os.open(mine / "mem", os.O_RDONLY | os.O_CLOEXEC)
            try:

                def pages(at: int, many: int) -> bytes:
                    return os.pread(pagemap, 8 * many, at // PAGE_BYTES * 8)[7::8]

                def head(at: int) -> bytes:
                    return os.pread(memory, _HEAD.size, at)

                left = MOST_PAGES
                for low, high in _anonymous(read_text(mine / "maps") or ""):
                    for at, size in _regions(low, high, pages, head):
                        if not size:
                            left -= 1
                        elif size - PAGE_BYTES in _POWERS:
                            found.append((size, PAGE_BYTES * _resident_bytes(at, size // PAGE_BYTES, pages)))
                        if left < 0:
                            return None
            finally:
                os.close(memory)
        finally:
            os.close(pagemap)
    except OSError:
        return None
    if not found:
        return None
    sizes = [size for size, _ in found]
    index = round(POOL_INDEX_SHARE * sum(size - PAGE_BYTES for size in sizes))
    return Pool(sum(one for _, one in found), _hidden_bytes(sizes), index)


def _anonymous(maps: str) -> Iterator[tuple[int, int]]:
    """Yield anonymous private mappings large enough for a region."""
    for line in maps.splitlines():
        words = line.split()
        if len(words) == 5 and words[1].startswith("rw-p"):
            low, high = (int(name, 16) for name in words[0].split("-"))
            if high - low > MIB:
                yield low, high


def _regions(low: int, high: int, pages: Pages, head: Head) -> Iterator[tuple[int, int]]:
    """Yield address and size of blocks aligned to 64 B; size 0 for each page searched that starts no block."""
    at, known, known_at = low, b"", low
    while at + MIB < high:
        index = (at - known_at) // PAGE_BYTES
        if index >= len(known):
            known, known_at, index = pages(at, min(_AT_ONCE, (high - at) // PAGE_BYTES)), at, 0
            if not known:
                return
        if known[index] < len(_ABSENT):
            at += PAGE_BYTES
            continue
        first = head(at)
        skipped = _thread_heap(at, first, high - at)
        if skipped:
            at += skipped
            continue
        size, aligned = _block(first, high - at)
        if aligned or not size:
            yield at, size
        at += size or PAGE_BYTES


def _thread_heap(at: int, head: bytes, room: int) -> int:
    """Return the bytes of a thread's heap that begins here; 0 if none does.

    It begins with where its arena is, the heap before it, its size and how much of it may be used.
    """
    if at % _HEAP_STEP or len(head) < _HEAD.size:
        return 0
    arena, before, size, usable, *_ = _HEAD.unpack(head)
    if not arena or not 0 < arena % _HEAP_STEP < _HEAP_HEAD or before % _HEAP_STEP:
        return 0
    fits = 0 < size <= usable <= min(room, _HEAP_STEP) and not size % PAGE_BYTES and not usable % PAGE_BYTES
    return usable if fits else 0


def _block(head: bytes, room: int) -> tuple[int, bool]:
    """Return the size of the block with this head (0 for none), and whether it is aligned to 64 B."""
    if len(head) < _HEAD.size:
        return 0, False
    words = _HEAD.unpack(head)
    size = words[1] & ~7
    if words[0] or words[1] & 7 != _MAPPED or not 0 < size <= room or size % PAGE_BYTES:
        return 0, False
    return size, words[6] == _LEAD and words[7] == words[1] - _LEAD


def _resident_bytes(at: int, many: int, pages: Pages) -> int:
    found = 0
    for first in range(0, many, 1 << 16):
        found += len(pages(at + first * PAGE_BYTES, min(1 << 16, many - first)).translate(None, _ABSENT))
    return found


def _hidden_bytes(sizes: list[int]) -> int:
    """Return an upper bound of the bytes in regions smaller than those found.

    Region sizes double; a region that is larger because of a large tensor is followed by one of the same size.
    """
    first, *others = sorted(sizes)
    return 0 if first in others[:1] else min(first - PAGE_BYTES, OWN_MAPPING_FROM) - MIB
