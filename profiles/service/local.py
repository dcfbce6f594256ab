"""Processes of a tf.data service on this machine: what they compute is the pipeline's own work, not that of others."""

from __future__ import annotations

import socket
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
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


def processes_at(addresses: Iterable[str], proc: Path = PROC) -> dict[str, set[int]]:
    """Ids of this user's processes on this machine that listen at some addresses, by these."""
    places = {address: place for address in addresses if (place := split_address(address)) is not None}
    ports = {address: port for address, (host, port) in places.items() if is_here(host)}
    wanted = set(ports.values())
    port_of = {inode: port for table in _TABLES for inode, port in _listening(read_text(proc / table) or "", wanted)}
    found: dict[int, set[int]] = defaultdict(set)
    for pid in processes(proc) if port_of else ():
        for inode in _sockets(pid, proc) & port_of.keys():
            found[port_of[inode]].add(pid)
    return {address: found[port] for address, port in ports.items() if port in found}


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its names and addresses; no name is looked up."""
    name = socket.gethostname()
    names = {"localhost", "::1", "0.0.0.0", name, name.partition(".")[0]}  # noqa: S104 - compared, nothing listens
    return host in names or host.startswith("127.") or host in own_addresses()


@cache
def own_addresses() -> frozenset[str]:
    """Addresses of this machine's network interfaces, as text."""
    import psutil

    return frozenset(
        one.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family in (socket.AF_INET, socket.AF_INET6)
    )


def _listening(table: str, ports: set[int]) -> Iterable[tuple[str, int]]:
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > _INODE and columns[3] == _LISTENS:
            port = int(columns[1].rpartition(":")[2], 16)
            if port in ports:
                yield columns[_INODE], port


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
