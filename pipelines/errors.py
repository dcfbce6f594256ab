"""The one family of errors, each class with the exit code it ends the command with.

Every subclass has an exit code of its own, that `cli/exit_codes` documents; a message says what was
received, what was expected and how to mend it.
"""

from __future__ import annotations

import unicodedata
from typing import ClassVar, Final

_LONGEST_SHOWN: Final = 60


class PipeprofError(Exception):
    """pipeprof itself could not go on (exit code 1)."""

    exit_code: ClassVar[int] = 1
    redacted: bool = False
    """Whether the message is printed without what must not be seen."""


class UsageError(PipeprofError):
    """The command line or the spec is wrong (exit code 2)."""

    exit_code: ClassVar[int] = 2


class PipelineFailedError(PipeprofError):
    """The measured pipeline died, hung, raised or gave nothing to measure (exit code 5)."""

    exit_code: ClassVar[int] = 5


class ProfileError(PipeprofError):
    """A saved profile is missing, invalid or not comparable (exit code 6)."""

    exit_code: ClassVar[int] = 6


class PlainError(ValueError):
    """An error inside a build whose message is complete without the name of its class."""


def escape(text: str) -> str:
    r"""Make control characters, surrogates and direction marks visible, so that a terminal shows and obeys nothing.

    Example:
        >>> escape("a\x1b[31m")
        'a\\x1b[31m'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_escape_char, text))


def _escape_char(char: str) -> str:
    if char.isprintable():
        return char
    named = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}.get(char)
    if named is not None:
        return named
    code = ord(char)
    if unicodedata.category(char) == "Zs":
        return " "
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def shown(value: object) -> str:
    """A value of a spec or a flag as messages have it, in YAML's words.

    Example:
        >>> shown("three"), shown(None), shown([None, 2])
        ("'three'", 'null', 'a list of 2')
    """
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return f"a list of {len(value)}" if value else "an empty list"
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
