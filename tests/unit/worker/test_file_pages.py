"""Pages of a mapped file, in a process and in its copy."""

from __future__ import annotations

import mmap
import os
import sys
from pathlib import Path

import pytest

from pipeprof.profiles.worker.fork_server import Spans, file_pages, map_again

PAGES = 256
LINUX = sys.platform == "linux"


def spans_within(pages: tuple[Spans, Spans], begin: int, size: int) -> Spans:
    return [(at, length) for at, length in pages[0] if begin <= at < begin + size]


def address_of(path: Path) -> int:
    line = next(line for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path)))
    return int(line.split("-")[0], 16)


def test_a_copy_gets_the_pages_of_its_process(tmp_path: Path) -> None:
    if not LINUX:
        with pytest.raises(OSError, match="pagemap"):
            file_pages()
        return
    path = tmp_path / "file"
    path.write_bytes(b"x" * PAGES * mmap.PAGESIZE)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, mmap.MAP_PRIVATE, mmap.PROT_READ) as mapped:
        begin = address_of(path)
        assert mapped[100 * mmap.PAGESIZE] == ord("x")
        mapped.madvise(mmap.MADV_DONTNEED, 0, 99 * mmap.PAGESIZE)
        pages = file_pages()
        here = spans_within(pages, begin, len(mapped))
        assert 0 < sum(size for _, size in here) < len(mapped)
        reader, writer = os.pipe()
        if not os.fork():
            try:
                before = spans_within(file_pages(), begin, len(mapped))
                map_again(*pages)
                os.write(writer, f"{before} {spans_within(file_pages(), begin, len(mapped))}".encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.wait()
        assert os.read(reader, 10_000).decode() == f"[] {here}"
        os.close(reader)
