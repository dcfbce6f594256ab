"""Files that Git LFS keeps outside of the history: found in its local store, never downloaded.

Layout of pointers and of the store: the Git LFS specification, version 1.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from pipeprof.profiles.git.calls import GitView

_MOST_BYTES = 1023
"""Largest size of a pointer, by the specification."""
_PART = 1 << 20
_BEGIN = b"version https://"
_OBJECT = re.compile(r"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(r"^size (\d{1,18})$", re.MULTILINE)


FILTER = "lfs"
"""The name of its filter."""


def read_pointer(path: Path) -> tuple[str, int] | None:
    """The hash and the size in bytes of the object that a pointer stands for; None for another file."""
    if path.is_symlink() or not path.is_file() or not 0 < path.stat().st_size <= _MOST_BYTES:
        return None
    return parse_pointer(path.read_bytes())


def parse_pointer(data: bytes) -> tuple[str, int] | None:
    """Parse a pointer from a file's content; None for any other file."""
    if not data.startswith(_BEGIN) or len(data) > _MOST_BYTES:
        return None
    text = data.decode(errors="replace")
    name, size = _OBJECT.search(text), _SIZE.search(text)
    return (name[1], int(size[1])) if name and size else None


def stored_object(view: GitView, pointer: tuple[str, int]) -> Path | None:
    """The object in the local store; None where it is not there, or of another size."""
    name, size = pointer
    stored = view.repository.common_dir / "lfs" / "objects" / name[:2] / name[2:4] / name
    is_there = stored.is_file() and not stored.is_symlink() and stored.stat().st_size == size
    return stored if is_there else None


def is_content_of(path: Path, pointer: tuple[str, int]) -> bool:
    """Whether a file of the work tree is the object that a pointer stands for."""
    name, size = pointer
    if not path.is_file() or path.stat().st_size != size:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_PART):
            digest.update(part)
    return digest.hexdigest() == name
