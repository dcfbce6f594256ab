"""Detection of the user's own Python files: not the standard library, installed packages or pipeprof."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from contextlib import suppress
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
    if top.name in _FRAMEWORKS and any(Path(entry).resolve() == top.parent for entry in sys.path):
        return False
    # Packages without an `__init__.py`, e.g. `google`, are installed from a folder further up.
    folder = top.parent
    while not _is_installed(folder, top.relative_to(folder)):
        if not folder.name.isidentifier():
            return True
        folder = folder.parent
    return False


def _is_installed(folder: Path, top: Path) -> bool:
    """Return whether an installer put a module or package into a folder, e.g. ``pip install --target``."""
    installed = _installed(folder)
    return top.as_posix() in installed or f"{top.parts[0].removesuffix('.py')}/" in installed


@lru_cache(maxsize=256)
def _installed(folder: Path) -> frozenset[str]:
    """Read what installers put into a folder.

    Returns:
        Python files and the folders of those, relative to it; of a distribution whose list of files was stripped, as
        small images do, the names of its packages, each with a slash behind it.
    """
    found: set[str] = set()
    with suppress(OSError):
        for kept in folder.glob("*.dist-info"):
            record, names = kept / "RECORD", kept / "top_level.txt"
            if record.is_file():
                lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
                files = [Path(name) for name in (line.partition(",")[0] for line in lines) if name.endswith(".py")]
                found.update(one.as_posix() for file in files for one in (file, *file.parents))
            elif (kept / "WHEEL").is_file():
                name = kept.name.partition("-")[0]
                packages = names.read_text(encoding="utf-8").split() if names.is_file() else [name]
                found.update(f"{package}/" for package in packages)
    return frozenset(found - {"."})
