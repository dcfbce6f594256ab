"""The header of NumPy's format: check of its length before it is read."""

from __future__ import annotations

import struct
from typing import IO, Final

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
        msg = f"damaged: its header claims to be {length:,} bytes long"
        raise ValueError(msg)
