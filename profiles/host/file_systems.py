"""File systems that a process reads from without the kernel counting the bytes.

The kernel counts bytes of storage where they are requested from a block device. A file system in userspace or on a
network fetches from another process or host: its reads are in no process's ``read_bytes``. Nothing here touches the
files themselves, as a call to a dead server would hang.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pipeprof.profiles.host.proc_texts import PROC, Pid, read_text

_NETWORKS = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "gpfs", "lustre", "nfs", "nfs4", "orangefs", "smb3", "virtiofs"}
)
_ESCAPED = re.compile(r"\\([0-7]{3})")
_ACCESS = 0o3


def uncounted(pid: Pid, proc: Path = PROC) -> frozenset[str]:
    """List types of uncounted file systems on which a process has files open for reading."""
    mounts = _mounts(read_text(proc / str(pid) / "mountinfo") or "")
    found = {_type_of(path, mounts) for path in _read_files(proc / str(pid))}
    return frozenset(kind for kind in found if kind is not None and (kind in _NETWORKS or kind.startswith("fuse")))


def _mounts(text: str) -> dict[PurePosixPath, str]:
    """File system type by mount point; the last mount of a place hides those before it."""
    mounts = {}
    for line in text.splitlines():
        words, _, told = line.partition(" - ")
        place, kind = words.split(), told.split()
        if len(place) >= 5 and kind:
            mounts[PurePosixPath(_ESCAPED.sub(lambda found: chr(int(found[1], 8)), place[4]))] = kind[0]
    return mounts


def _read_files(folder: Path) -> set[PurePosixPath]:
    """Return the paths of the files that are open for reading only."""
    found = set()
    try:
        opened = list((folder / "fd").iterdir())
    except OSError:
        return set()
    for file in opened:
        flags = re.search(r"^flags:\s*([0-7]+)", read_text(folder / "fdinfo" / file.name) or "", re.MULTILINE)
        if flags is None or int(flags[1], 8) & _ACCESS != os.O_RDONLY:
            continue
        with suppress(OSError):
            found.add(PurePosixPath(file.readlink()))
    return {path for path in found if path.is_absolute()}


def _type_of(path: PurePosixPath, mounts: dict[PurePosixPath, str]) -> str | None:
    return next((mounts[place] for place in (path, *path.parents) if place in mounts), None)
