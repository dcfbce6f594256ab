"""What decides how the worker's C code takes and returns memory: its environment, and allocators that are installed."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

LIBRARIES = ("libjemalloc.so", "libtcmalloc.so", "libtcmalloc_minimal.so")
"""Allocators that take the place of glibc's when they are loaded first, the ones that return memory soonest first."""
TUNED = (
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "MKL_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_ONEDNN_USE_SYSTEM_ALLOCATOR",
)
"""Variables that edits set; what the user has set already stays."""
_FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")


def installed_allocator(folders: Iterable[Path] | None = None) -> str | None:
    """Return the path of an allocator's library that could be loaded first; None where none is installed.

    Args:
        folders: Where libraries are; those of the system and of Python if not given.
    """
    if folders is None:
        root = Path("/")
        found = [path for pattern in _FOLDERS for path in sorted(root.glob(pattern.lstrip("/")))]
        folders = [Path(sys.prefix, "lib"), *found]
    places = list(folders)
    for name in LIBRARIES:
        for folder in places:
            # The name without a version belongs to the headers, which few have.
            found_here = sorted(folder.glob(f"{name}*"))
            if found_here:
                return str(found_here[0])
    return None
