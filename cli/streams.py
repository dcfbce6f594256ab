"""Writing to stdout and stderr: encodings, readers that end early, closed streams, control characters."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import sys
import unicodedata
from typing import Final, TextIO

from pipeprof.pipelines.errors import PipeprofError

# A runner of a CI system reads every line that a step prints: GitHub's ``::error::`` and ``##[error]``, ``##vso[…]``.
# Names, messages and the user's own output may begin or contain one.
_AT_START: Final = re.compile(r"((?:^|\r)(?:[^\S\r\n]|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)
"""GitHub ignores spaces before it."""

_ANYWHERE: Final = re.compile(r"#(?=#[A-Za-z]*\[)")
"""Of GitHub (``##[``), Azure Pipelines (``##vso[``) and TeamCity (``##teamcity[``)."""

_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class OutputError(PipeprofError):
    """A report could not be written where the user wanted it (exit code 1)."""


def open_closed() -> None:
    """Open what was closed of stdin, stdout and stderr: else the next file would get its number and its text.

    What is written to a closed stdout still fails; a closed stderr swallows messages.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_WRONLY if name == "stderr" else os.O_RDONLY)
            os.set_inheritable(opened, opened == number)
            setattr(sys, name, os.fdopen(opened, "r" if name == "stdin" else "w", encoding="utf-8"))


def without_commands(text: str, form: str = "text") -> str:
    """Text in which a CI log reads no command, except in the format that consists of them."""
    if form == "github":
        return text
    return spell_in_json(text) if form in {"json", "sarif"} else spell_commands(text)


def write_stdout(text: str, form: str = "text") -> None:
    """Write to stdout, without commands of CI logs; a reader that ends early, such as ``head``, is no error.

    Raises:
        OutputError: Stdout is full, closed or broken otherwise.
    """
    try:
        write_stream(sys.stdout, without_commands(text, form))
    except OSError as error:
        raise no_stdout(error) from None


def no_stdout(error: OSError) -> OutputError:
    """The error of a stdout that could not be written."""
    return OutputError(f"stdout could not be written ({why(error)})")


def why(error: OSError) -> str:
    """Message of the operating system about a stream."""
    # A help text waits for the models of no document.
    from pipeprof.profiles.document.store import reason

    return "it is closed" if error.errno == errno.EBADF else reason(error)


def write_stream(stream: TextIO, text: str) -> None:
    """Write and flush; escape characters that the stream's encoding lacks.

    Raises:
        OSError: The stream is full or broken, except for a pipe whose reader has ended.
    """
    encoding = stream.encoding or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except BrokenPipeError:
        silence(stream)
    except OSError:
        silence(stream)
        raise


def silence(stream: TextIO) -> None:
    """Discard what is still buffered, so that the interpreter reports no error when it flushes it at exit."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def say(text: str) -> None:
    """Write a message to stderr, with control characters and commands of CI logs escaped."""
    with contextlib.suppress(OSError):
        shown = "\n".join(visible(line) for line in text.splitlines())
        write_stream(sys.stderr, spell_commands(shown) + "\n")


def visible(text: str) -> str:
    r"""User's text with everything that moves a cursor, hides or reorders other text spelled out.

    Example:
        >>> visible("a\x1b[31mb\nc\u202e")
        'a\\x1b[31mb\\nc\\u202e'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled(char) if unicodedata.category(char) in _HIDDEN_CATEGORIES else char for char in text)


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def spell_commands(text: str) -> str:
    r"""Spell the first character of every command as Python and YAML escape it in quotes.

    Example:
        >>> spell_commands("a\n  ::error::b ##[error]c")
        'a\n  \\x3a:error::b \\x23#[error]c'
    """
    return spell_brackets(_AT_START.sub(r"\1\\x3a", text))


def spell_brackets(text: str) -> str:
    r"""Spell only the commands that stand anywhere in a line.

    Example:
        >>> spell_brackets("##vso[task]")
        '\\x23#vso[task]'
    """
    return _ANYWHERE.sub(r"\\x23", text)


def spell_in_json(text: str) -> str:
    r"""Spell the commands inside the strings of a JSON document; it stays the same document.

    Example:
        >>> spell_in_json('{"a": "##[error]"}')
        '{"a": "\\u0023#[error]"}'
    """
    return _ANYWHERE.sub(r"\\u0023", text)
