"""Detection of the user's own Python files: not the standard library, installed packages or pipeprof."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

_LIBRARIES = tuple(
    f"{Path(place).resolve()}{os.sep}"
    for place in {
        *(sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")),
        *(str(Path(__file__).resolve().parents[2] / room) for room in ("pipelines", "profiles", "cli")),
    }
)
# Packages installed with `pip install --user` are outside of those.
_INSTALLED = frozenset({"site-packages", "dist-packages"})
# Files that AutoGraph writes, imports and deletes again: not the user's, and deleted soon.
GENERATED = "__autograph_generated_file"
_MOST_SOURCE = 32 << 20
_FRAMEWORKS = frozenset({"tensorflow", "keras", "jax", "jaxlib", "torch"})
"""Libraries by whatever means they were installed, if Python imports them by these names."""


def is_generated(file: str) -> bool:
    """Return whether AutoGraph generated the file from the user's code."""
    return GENERATED in file


def read_source(file: Path) -> bytes:
    """Read the text of a Python file; empty for a pipe, a device or a file too large to be source.

    The code that runs may have put something else in its place: a pipe, which never ends, or a device.
    """
    found = file.stat()
    return file.read_bytes() if stat.S_ISREG(found.st_mode) and found.st_size <= _MOST_SOURCE else b""


@lru_cache(maxsize=4096)
def is_users(file: str) -> bool:
    """Return whether a file that Python names is the user's own.

    Example:
        >>> is_users("<frozen importlib._bootstrap>"), is_users(os.__file__)
        (False, False)
    """
    if file.startswith("<") or Path(file).name.startswith(GENERATED):
        return False
    place = Path(file).resolve()
    if str(place).startswith(_LIBRARIES) or not _INSTALLED.isdisjoint(place.parts):
        return False
    top = place
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    return top.name not in _FRAMEWORKS or all(Path(entry).resolve() != top.parent for entry in sys.path)
