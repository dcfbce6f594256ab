"""Look of a report: width, colour, and the characters that the receiver can show."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

WIDEST = 120
"""Wider terminals get no wider report: long lines read badly."""

NARROWEST = 40
NO_TERMINAL_WIDTH = 100
"""Width in a file, or in a pipe without a terminal, when COLUMNS says nothing."""

_ASCII = {
    "—": "-",
    "–": "-",
    "−": "-",
    "·": "|",
    "…": "...",
    "→": "->",
    "×": "x",
    "µ": "u",
    "≥": ">=",
    "≤": "<=",
    "“": '"',
    "”": '"',
}


@dataclass(frozen=True)
class Style:
    """The look of one report: columns, whether there are colours, and characters outside of ASCII."""

    width: int = NO_TERMINAL_WIDTH
    color: bool = False
    unicode: bool = True


def wants_color(*, is_terminal: bool, environ: Mapping[str, str]) -> bool:
    """Whether to colour: NO_COLOR first, then FORCE_COLOR, TERM=dumb, and whether the output goes to a terminal."""
    if environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return is_terminal and environ.get("TERM") != "dumb"


def style_of(stream: TextIO) -> Style:
    """The style that fits a stream, e.g. stdout."""
    is_terminal = stream.isatty()
    columns = shutil.get_terminal_size((NO_TERMINAL_WIDTH, 24)).columns
    if not is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        columns = _pager_columns(stream) or NO_TERMINAL_WIDTH
    return Style(
        width=min(max(columns, NARROWEST), WIDEST),
        color=wants_color(is_terminal=is_terminal, environ=os.environ),
        unicode=speaks_unicode(stream.encoding),
    )


def _pager_columns(stream: TextIO) -> int | None:
    """The width of the terminal that stderr goes to, for a pipe: its reader is probably a pager there."""
    try:
        if not stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return None
        return os.get_terminal_size(sys.__stderr__.fileno()).columns or None if sys.__stderr__ is not None else None
    except (OSError, ValueError):
        return None


def speaks_unicode(encoding: str | None) -> bool:
    """Whether the report's own characters exist in an encoding; an unknown one counts as ASCII."""
    try:
        "—–−·…→×µ≥≤“”".encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def in_ascii(text: str) -> str:
    """The report in ASCII: pipeprof's own characters get their look-alikes, others are spelled out."""
    return "".join(_ASCII.get(char, char) for char in text).encode("ascii", "backslashreplace").decode("ascii")
