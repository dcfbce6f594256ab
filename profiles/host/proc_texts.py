"""Texts of Linux's process file system, and the numbers in them."""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any, Literal

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


def read_text_at_once(path: Path | str) -> str | None:
    """Read a file of less than 4 KiB without giving Python's lock away; ``None`` if it cannot be read.

    Its three system calls take some microseconds. After each of those of `read_text`, a thread that computes in Python
    may keep the lock for 5 ms.
    """
    libc = _libc()
    if libc is None or (fd := libc.open(os.fsencode(path), os.O_RDONLY | os.O_CLOEXEC)) < 0:
        return None
    try:
        buffer = ctypes.create_string_buffer(4096)
        read = libc.read(fd, buffer, len(buffer))
    finally:
        libc.close(fd)
    return buffer.raw[:read].decode("utf-8", "replace") if read >= 0 else None


@cache
def _libc() -> Any:
    try:
        libc = ctypes.PyDLL(None)
    except (OSError, TypeError):
        return None
    libc.read.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_size_t)
    libc.read.restype = ctypes.c_ssize_t
    return libc


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
