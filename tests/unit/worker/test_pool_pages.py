"""The pool's regions in made-up memory: which blocks are the pool's, and how many of their pages are there."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from pipeprof.profiles.host.procfs import PAGE_BYTES
from pipeprof.profiles.worker.memory.memory_log import MIB, Pool, pool_pages

LOW = 0x100000


class Memory:
    """One private mapping from `LOW` on, as files of /proc."""

    def __init__(self, folder: Path, size: int, more: str = "") -> None:
        self.proc = folder
        self.mine = folder / "self"
        self.mine.mkdir()
        self.at = LOW
        self.high = LOW + size
        (self.mine / "maps").write_text(f"{LOW:x}-{self.high:x} rw-p 00000000 00:00 0 \n{more}")
        with (self.mine / "mem").open("wb") as memory, (self.mine / "pagemap").open("wb") as pages:
            memory.truncate(self.high)
            pages.truncate(self.high // PAGE_BYTES * 8)

    def block(self, size: int, resident: int, *, aligned: bool = True) -> None:
        """A block of glibc of so many bytes, and a page for its head; so many of its pages are there."""
        whole = size + PAGE_BYTES
        head = [0, whole | 2, *([0] * 4), *((0x30, (whole - 0x30) | 2) if aligned else (7, 7))]
        with (self.mine / "mem").open("r+b") as memory:
            memory.seek(self.at)
            memory.write(struct.pack("<8Q", *head))
        self.pages(resident, whole)

    def thread_heap(self, usable: int) -> None:
        """A heap of a thread's arena, full of small blocks, at the next place where one may be."""
        self.at = -(-self.at // (64 * MIB)) * 64 * MIB
        with (self.mine / "mem").open("r+b") as memory:
            memory.seek(self.at)
            memory.write(struct.pack("<8Q", self.at + 0x30, 0, usable - PAGE_BYTES, usable, 0, 0, 0, 0))
        self.pages(usable // PAGE_BYTES, usable)

    def pages(self, resident: int, size: int) -> None:
        """Memory of so many bytes, with so many pages there."""
        with (self.mine / "pagemap").open("r+b") as pages:
            pages.seek(self.at // PAGE_BYTES * 8)
            pages.write(struct.pack("<Q", 1 << 63 | 12345) * resident)
        self.at += size


def test_pages_of_regions_are_counted_wherever_in_a_mapping_they_lie(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 20 * MIB)
    memory.pages(3, 5 * PAGE_BYTES)
    memory.block(4 * MIB, 7)
    memory.block(2 * MIB, 513)
    memory.pages(2, 600 * PAGE_BYTES)
    memory.block(2 * MIB, 1)

    assert pool_pages(tmp_path) == Pool(resident=521 * PAGE_BYTES, hidden=0, index=8 * MIB // 32)


def test_other_blocks_are_no_regions(tmp_path: Path) -> None:
    """An array of a power of two is not aligned, and an aligned one of another size is somebody else's."""
    memory = Memory(tmp_path, 20 * MIB)
    memory.block(4 * MIB, 100, aligned=False)
    memory.block(3 * MIB, 100)
    memory.block(MIB, 10)

    assert pool_pages(tmp_path) == Pool(resident=10 * PAGE_BYTES, hidden=0, index=MIB // 32)


def test_heaps_of_threads_are_passed_over_however_full_they_are(tmp_path: Path) -> None:
    """Small tensors of a shuffle lie there: 180 MB of them are more pages than are looked at."""
    memory = Memory(tmp_path, 340 * MIB)
    for _ in range(3):
        memory.thread_heap(60 * MIB)
    memory.block(2 * MIB, 300)
    memory.block(2 * MIB, 5)

    assert pool_pages(tmp_path) == Pool(resident=305 * PAGE_BYTES, hidden=0, index=4 * MIB // 32)


@pytest.mark.parametrize(("sizes", "hidden"), [((2, 4), 1), ((8, 16), 7), ((8, 8), 0), ((64,), 31)])
def test_smaller_regions_may_lie_in_the_heap(tmp_path: Path, sizes: tuple[int, ...], hidden: int) -> None:
    """A region is twice as large as the one before, or the first that is larger is followed by its like."""
    memory = Memory(tmp_path, 80 * MIB)
    for size in sizes:
        memory.block(size * MIB, 1)

    assert pool_pages(tmp_path) == Pool(len(sizes) * PAGE_BYTES, hidden * MIB, sum(sizes) * MIB // 32)


def test_files_and_small_mappings_are_not_looked_at(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 4 * MIB)
    memory.block(2 * MIB, 1)
    maps = (memory.mine / "maps").read_text()
    (memory.mine / "maps").write_text(maps.replace("0 \n", "0 [heap]\n"))

    assert pool_pages(tmp_path) is None


def test_too_many_pages_of_other_memory_are_not_all_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeprof.profiles.worker.memory.memory_log.MOST_PAGES", 50)
    memory = Memory(tmp_path, 8 * MIB)
    memory.pages(60, 60 * PAGE_BYTES)
    memory.block(2 * MIB, 1)

    assert pool_pages(tmp_path) is None


def test_nobody_knows_where_pages_are_not_told(tmp_path: Path) -> None:
    memory = Memory(tmp_path, 4 * MIB)
    memory.block(2 * MIB, 1)
    (memory.mine / "pagemap").unlink()

    assert pool_pages(tmp_path) is None
