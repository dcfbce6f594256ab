"""Files that Git LFS keeps outside of the history: found in its local store, never downloaded.

Layout of pointers and of the store: the Git LFS specification, version 1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.profiles.git.calls import GitCalls, GitView

_MOST_BYTES = 1023
"""Of a pointer, by the specification."""
_BEGIN = b"version https://"
_OBJECT = re.compile(r"^oid sha256:([0-9a-f]{64})$", re.MULTILINE)
_SIZE = re.compile(r"^size (\d{1,18})$", re.MULTILINE)


def read_pointer(path: Path) -> tuple[str, int] | None:
    """The hash and the size in bytes of the object that a pointer stands for; None for another file."""
    if path.is_symlink() or not path.is_file() or not 0 < path.stat().st_size <= _MOST_BYTES:
        return None
    data = path.read_bytes()
    if not data.startswith(_BEGIN):
        return None
    text = data.decode(errors="replace")
    name, size = _OBJECT.search(text), _SIZE.search(text)
    return (name[1], int(size[1])) if name and size else None


def resolve_pointers(calls: GitCalls, view: GitView, tree: Path, index: Path, paths: Sequence[str]) -> list[str]:
    """Put objects of the local store in the place of pointers.

    Args:
        calls: Call git.
        view: The repository.
        tree: Where its files are.
        index: Of the tree.
        paths: The regular files.

    Returns:
        The pointers whose object is not there; they are removed.
    """
    pointers = {path: pointer for path in paths if (pointer := read_pointer(tree / path)) is not None}
    lacking = []
    for path in _with_filter(calls, view, index, list(pointers)):
        name, size = pointers[path]
        stored = view.repository.common_dir / "lfs" / "objects" / name[:2] / name[2:4] / name
        (tree / path).unlink()
        if stored.is_file() and not stored.is_symlink() and stored.stat().st_size == size:
            (tree / path).symlink_to(stored)
        else:
            lacking.append(path)
    return lacking


def _with_filter(calls: GitCalls, view: GitView, index: Path, paths: list[str]) -> list[str]:
    """The paths whose attributes name the filter of LFS."""
    if not paths:
        return []
    given = "".join(f"{path}\0" for path in paths).encode(errors="surrogateescape")
    told = calls.run(view, "check-attr", "--cached", "-z", "--stdin", "filter", index=index, given=given)
    words = told.decode(errors="surrogateescape").split("\0")
    return [path for path, value in zip(words[::3], words[2::3], strict=False) if value == "lfs"]
