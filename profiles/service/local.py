"""Processes of a tf.data service on this machine: what they compute is the pipeline's own work, not that of others."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from pipeprof.profiles.host.proc_texts import PROC, read_text
from pipeprof.profiles.host.procfs import processes
from pipeprof.profiles.service.ask import split_address

_LISTENS: Final = "0A"
"""State of a socket that waits for connections, in the kernel's table."""
_INODE: Final = 9
"""Column of a socket's inode there."""
_TABLES: Final = ("net/tcp", "net/tcp6")


def processes_at(addresses: Iterable[str], proc: Path = PROC) -> set[int]:
    """Ids of this user's processes on this machine that listen at some addresses."""
    places = [place for address in addresses if (place := split_address(address)) is not None]
    ports = {port for host, port in places if is_here(host)}
    inodes = {inode for table in _TABLES for inode in _listening(read_text(proc / table) or "", ports)}
    return {pid for pid in processes(proc) if inodes and not inodes.isdisjoint(_sockets(pid, proc))}


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its names and loopback addresses; no name is looked up."""
    name = socket.gethostname()
    return host in {"localhost", "::1", "0.0.0.0", name, name.partition(".")[0]} or host.startswith("127.")  # noqa: S104


def _listening(table: str, ports: set[int]) -> Iterable[str]:
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > _INODE and columns[3] == _LISTENS and int(columns[1].rpartition(":")[2], 16) in ports:
            yield columns[_INODE]


def _sockets(pid: int, proc: Path) -> set[str]:
    """Inodes of the sockets that a process has open; none of a process of another user."""
    found: set[str] = set()
    try:
        entries = list((proc / str(pid) / "fd").iterdir())
    except OSError:
        return found
    for entry in entries:
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found
