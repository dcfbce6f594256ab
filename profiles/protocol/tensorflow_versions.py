"""TensorFlow versions that pipeprof supports."""

from __future__ import annotations

import re
from typing import Final

OLDEST: Final = (2, 18)
"""The oldest minor version that a worker accepts."""
NEWEST: Final = (2, 21)
"""The newest minor version that was tested (docs/install.md)."""


def minor_of(version: str) -> tuple[int, int] | None:
    """Return the major and minor number of a version; None if it does not begin with two numbers.

    Example:
        >>> minor_of("2.21.0-rc1")
        (2, 21)
    """
    match = re.match(r"(\d+)\.(\d+)", version)
    return None if match is None else (int(match[1]), int(match[2]))


def is_older(version: str) -> bool:
    """Whether a version is older than `OLDEST`; an unreadable one is not."""
    minor = minor_of(version)
    return minor is not None and minor < OLDEST


def is_newer(version: str) -> bool:
    """Whether a version is newer than `NEWEST`; an unreadable one is not."""
    minor = minor_of(version)
    return minor is not None and minor > NEWEST


def as_text(minor: tuple[int, int]) -> str:
    """Write a minor version with a dot."""
    return ".".join(map(str, minor))
