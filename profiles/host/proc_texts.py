"""Texts of Linux's process file system, and the numbers in them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

PROC = Path("/proc")
Pid = int | Literal["self"]


def read_text(path: Path | str) -> str | None:
    """Read a small file; ``None`` if it cannot be read.

    Uses bare system calls: at 20 samples a second the layers of ``open`` would be most of the cost.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    except OSError:  # a process that ends while its files are read
        return None
    finally:
        os.close(fd)
    return b"".join(parts).decode("utf-8", "replace")


def fields(text: str | None) -> dict[str, int]:
    """Return the integers of ``Name: 123 kB`` or ``name 123`` lines; sizes in kB are given in bytes."""
    values: dict[str, int] = {}
    for line in (text or "").splitlines():
        words = line.split()
        if len(words) < 2:
            continue
        try:
            number = int(words[1])
        except ValueError:
            continue
        values[words[0].rstrip(":")] = number * 1024 if words[-1] == "kB" else number
    return values
