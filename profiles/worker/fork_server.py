"""A process that imports TensorFlow and then copies itself into workers; see `pipeprof.profiles.harness.fork_server`.

Started with a descriptor of its connection as its argument. Each order has the mark
of the worker's family and four descriptors: to read, to write, for stacks, and for what the worker prints.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from pipeprof.pipelines.host_files import settle_temporary_folder
from pipeprof.profiles.host.run_family import GUARD, MARK, die_with_guard
from pipeprof.profiles.worker.main import main as work

_MADV_DONTNEED = 4
_PRESENT = 63
"""Bit of an entry of ``/proc/self/pagemap``; see the kernel's admin-guide/mm/pagemap."""


Spans: TypeAlias = "list[tuple[int, int]]"
"""Address and bytes of each range of pages."""


def file_pages() -> tuple[Spans, Spans]:
    """The pages of mapped files in this process: those that are resident, and absent ones where nothing can be written.

    Raises:
        OSError: The kernel does not say.
    """
    present: Spans = []
    absent: Spans = []
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
    return present, absent


def map_again(present: Spans, absent: Spans) -> None:
    """Make the same pages resident in a copy of the process."""
    for address, size in present:
        # Reads a byte of each page.
        _ = (ctypes.c_char * size).from_address(address)[:: mmap.PAGESIZE]
    # The kernel maps the neighbours of a page as well.
    libc = ctypes.CDLL(None)
    for address, size in absent:
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


DESCRIPTORS = 4
_LONGEST_ORDER = 4096


def main() -> int:
    """Serve until the other end is closed."""
    descriptor = int(sys.argv[1])
    guard = os.environ.get(GUARD, "")
    die_with_guard()
    settle_temporary_folder()
    import tensorflow  # noqa: F401 - for the copies

    from pipeprof.profiles.worker import turns  # noqa: F401 - for the copies

    if _has_driver():
        return 1
    pages = file_pages()
    with socket.socket(fileno=descriptor) as connection:
        connection.send(b"ready")
        while True:
            order, descriptors, _, _ = socket.recv_fds(connection, _LONGEST_ORDER, DESCRIPTORS)
            if not order:
                return 0
            connection.send(b"%d" % _copy(order, guard, descriptors, pages, connection))
            for one in descriptors:
                os.close(one)


def _has_driver() -> bool:
    """Whether the driver of an accelerator is loaded, which a copy could not use."""
    return "libcuda.so" in Path("/proc/self/maps").read_text()


def _copy(
    mark: bytes, guard: str, descriptors: list[int], pages: tuple[Spans, Spans], connection: socket.socket
) -> int:
    """Make a copy that runs a worker and is no child of this process; return its id, 0 where that fails."""
    answer, answers = os.pipe()
    try:
        between = os.fork()
    except OSError:
        os.close(answer)
        os.close(answers)
        return 0
    if not between:
        try:
            if not os.fork():
                os.setsid()
                os.write(answers, b"%d" % os.getpid())
                os.close(answers)
                os.close(answer)
                connection.close()
                _work(mark, guard, descriptors, pages)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    os.close(answers)
    os.waitpid(between, 0)
    pid = os.read(answer, 16)
    os.close(answer)
    return int(pid or b"0")


def _work(mark: bytes, guard: str, descriptors: list[int], pages: tuple[Spans, Spans]) -> None:
    to_worker, from_worker, stacks, prints = descriptors
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, one in enumerate((nothing, prints, prints)):
        os.dup2(one, number)
    for one in (nothing, prints):
        os.close(one)
    _carry(mark)
    os.environ[GUARD] = guard
    map_again(*pages)
    sys.argv[1:] = [str(one) for one in (to_worker, from_worker, stacks)]
    work()


def _carry(mark: bytes) -> None:
    """Carry the mark of a family where other processes look for it: in the environment at the start of the process."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    there = libc.getenv(MARK.encode())
    if there is not None and len(ctypes.string_at(there)) == len(mark):
        ctypes.memmove(there, mark, len(mark))
    os.environ[MARK] = mark.decode()
