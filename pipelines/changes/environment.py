"""Variables of the environment that pipeprof proposes, and the one way to write them for a shell."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

ALLOCATORS: Final = ("libjemalloc.so", "libtcmalloc.so", "libtcmalloc_minimal.so")
"""Libraries that take the place of glibc's allocator when they are loaded first, the ones that return memory soonest
first."""
LIBRARY_FOLDERS: Final = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
"""Where the system has its libraries: folders that only its administrator can write to."""
PRELOAD: Final = "LD_PRELOAD"
VALUES: Final[Mapping[str, str | None]] = {
    PRELOAD: None, "MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072", "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true",
}  # fmt: skip
"""Values that are proposed, by variable; of `PRELOAD` the path of an allocator."""
_NAME: Final = r"[A-Za-z_][A-Za-z0-9_]*"


def allocator_folders() -> list[Path]:
    """Return the folders where an allocator is looked for: that of Python's own libraries, then those of the system."""
    root = Path("/")
    found = [path for pattern in LIBRARY_FOLDERS for path in sorted(root.glob(pattern.lstrip("/")))]
    return [Path(sys.prefix, "lib"), *found]


def is_allocator(path: str) -> bool:
    """Return whether a path is that of an allocator in one of the folders; whether the file exists does not matter.

    Example:
        >>> is_allocator("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"), is_allocator("/tmp/libjemalloc.so.2")
        (True, False)
        >>> is_allocator("/usr/lib/libjemalloc.so.2:/tmp/x.so"), is_allocator("/usr/lib/../../tmp/libjemalloc.so")
        (False, False)
    """
    folder, _, file = path.rpartition("/")
    names = "|".join(re.escape(name) for name in ALLOCATORS)
    if re.fullmatch(rf"(?:{names})(?:\.[0-9]+)*", file) is None:
        return False
    places = "|".join(re.escape(place).replace(r"\*", "[A-Za-z0-9_]+") for place in LIBRARY_FOLDERS)
    return folder == str(Path(sys.prefix, "lib")) or re.fullmatch(places, folder) is not None


def is_name(text: str) -> bool:
    """Return whether a shell takes a text for the name of a variable."""
    return re.fullmatch(_NAME, text) is not None


def assignment(variable: str, value: str) -> str:
    """Return what stands before a command in the shell. What is no name of a variable is quoted, and assigns nothing.

    Example:
        >>> assignment("MALLOC_ARENA_MAX", "2"), assignment("A", "1; id"), assignment("A; id #", "1")
        ('MALLOC_ARENA_MAX=2', "A='1; id'", "'A; id #=1'")
    """
    return f"{variable}={shlex.quote(value)}" if is_name(variable) else shlex.quote(f"{variable}={value}")
