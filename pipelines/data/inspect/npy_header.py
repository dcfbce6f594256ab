"""The header of NumPy's format, read without NumPy; its length is checked first."""

from __future__ import annotations

import ast
import struct
from typing import IO, Any, Final

MAGIC: Final = b"\x93NUMPY"
MOST_BYTES: Final = 1 << 20
"""A longer header is none that NumPy wrote: a thousand fields with names take a tenth of that."""


def check_header_length(file: IO[bytes]) -> None:
    """Refuse a header that is too long; the file is left where it was. What is no header at all is for others to say.

    Raises:
        ValueError: The header claims to be longer than any that NumPy writes.
    """
    start = file.tell()
    head = file.read(12)
    file.seek(start)
    if len(head) < 12 or head[:6] != MAGIC or head[6] == 1:
        return
    (length,) = struct.unpack("<I", head[8:12])
    if length > MOST_BYTES:
        raise ValueError(f"damaged: its header claims to be {length:,} bytes long")


def read_header(file: IO[bytes]) -> dict[str, Any] | None:
    """Read a header, which is a Python literal; the file is left at the first row. None for what is no header."""
    check_header_length(file)
    magic = file.read(8)
    if magic[:6] != MAGIC or len(magic) < 8:
        return None
    form = "<H" if magic[6] == 1 else "<I"
    (length,) = struct.unpack(form, file.read(struct.calcsize(form)))
    found = ast.literal_eval(file.read(length).decode("utf-8" if magic[6] >= 3 else "latin1"))
    return found if isinstance(found, dict) else None
