"""A process that imports TensorFlow and then copies itself into workers; see `pipeprof.profiles.harness.fork_server`.

Started with a descriptor of its connection as its argument. Each order has the mark
of the worker's family and four descriptors: to read, to write, for stacks, and for what the worker prints.
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.data.temporary import settle_temporary_folder
from pipeprof.profiles.host.run_family import GUARD, MARK, die_with_guard
from pipeprof.profiles.worker.copies.file_pages import file_pages, map_again
from pipeprof.profiles.worker.main import main as work

if TYPE_CHECKING:
    from pipeprof.profiles.worker.copies.file_pages import FilePages

DESCRIPTORS = 4
_LONGEST_ORDER = 4096


def main() -> int:
    """Serve until the other end is closed."""
    descriptor = int(sys.argv[1])
    guard = os.environ.get(GUARD, "")
    die_with_guard()
    settle_temporary_folder()
    import tensorflow  # noqa: F401 - for the copies

    from pipeprof.profiles.worker.turns import turn_run  # noqa: F401 - for the copies

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


def _copy(mark: bytes, guard: str, descriptors: list[int], pages: FilePages, connection: socket.socket) -> int:
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


def _work(mark: bytes, guard: str, descriptors: list[int], pages: FilePages) -> None:
    """Run the worker, as a process that was started for it."""
    to_worker, from_worker, stacks, prints = descriptors
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, one in enumerate((nothing, prints, prints)):
        os.dup2(one, number)
    for one in (nothing, prints):
        os.close(one)
    _carry(mark)
    os.environ[GUARD] = guard
    map_again(pages)
    sys.argv[1:] = [str(one) for one in (to_worker, from_worker, stacks)]
    work()


def _carry(mark: bytes) -> None:
    """Carry the mark of a family where other processes look for it: in the environment at the start of the process.

    Args:
        mark: As long as the one that is there.
    """
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    there = libc.getenv(MARK.encode())
    if there is not None and len(ctypes.string_at(there)) == len(mark):
        ctypes.memmove(there, mark, len(mark))
    os.environ[MARK] = mark.decode()
