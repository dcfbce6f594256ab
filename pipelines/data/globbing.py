"""Files that a glob matches."""

from __future__ import annotations

import glob
import os


def matching_files(pattern: str, *, recursive: bool = True) -> list[str]:
    """Return the files that a glob matches, sorted; folders are left out.

    Args:
        recursive: Whether ``**`` stands for any folders; else it is a ``*``, as TensorFlow reads it.
    """
    found = set(glob.glob(pattern, recursive=recursive))  # noqa: PTH207  # absolute patterns, which Path.glob refuses
    return sorted(name for name in found if os.path.isfile(name))  # noqa: PTH113  # a million of them
