"""Errors of generated inputs; all are internal errors (exit code 1)."""

from __future__ import annotations

from pathlib import Path

from pipeprof.pipelines.errors import PipeprofError


class DataError(PipeprofError):
    """A synthesised input could not be made, found or removed (exit code 1)."""


class DiskSpaceError(DataError):
    """There is not enough room for what is to be made (exit code 1).

    Args:
        needed: Bytes that are needed, the reserve included; None when the disk filled up while writing.
    """

    def __init__(self, what: str, where: Path, *, needed: int | None, free: int) -> None:
        self.where = where
        self.needed = needed
        self.free = free
        problem = (
            f"the disk became full while generating {what} in {where}"
            if needed is None
            else f"generating {what} needs {size(needed)} including a reserve, but {where} has only {size(free)} free"
        )
        super().__init__(f"{problem}; free some space, or set PIPEPROF_CACHE_DIR to a folder on a larger disk")


def size(count: int) -> str:
    """Bytes for people.

    Example:
        >>> size(26_310_000), size(512)
        ('25.1 MiB', '512 B')
    """
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        # What would round to 1024.0 belongs to the next unit.
        if value < 1023.95:
            return f"{value:.1f} {unit}" if unit != "B" else f"{count} B"
        value /= 1024
    return f"{value:.1f} TiB"
