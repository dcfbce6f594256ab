r"""Text in which a CI system reads no command: neither GitHub's ``::error::`` and ``##[error]`` nor ``##vso[…]``.

A runner reads every line that a step prints. Names, messages and the user's own output may begin or contain a command,
and line breaks may put one at the beginning of a line.
"""

from __future__ import annotations

import re
from typing import Final

_AT_START: Final = re.compile(r"((?:^|\r)(?:[^\S\r\n]|\x1b\[[0-9;]*m)*):(?=:)", re.MULTILINE)
"""GitHub ignores spaces before it."""

_ANYWHERE: Final = re.compile(r"#(?=#[A-Za-z]*\[)")
"""Of GitHub (``##[``), Azure Pipelines (``##vso[``) and TeamCity (``##teamcity[``)."""


def has_command(line: str) -> bool:
    """Return whether a line would be read as a command, or may contain one."""
    return _AT_START.search(line) is not None or _ANYWHERE.search(line) is not None


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
