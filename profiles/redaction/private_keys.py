"""Private keys in texts: blocks of many lines, whole or cut off at either end."""

from __future__ import annotations

import re

from pipeprof.profiles.redaction.forms import HIDDEN

_MARK = re.compile(r"-----(?P<what>BEGIN|END) [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----", re.IGNORECASE)
_BETWEEN = r"(?:\\[nr]|[\s\"'|>,])"
_LINES = re.compile(
    rf"(?:{_BETWEEN}{{0,40}}[A-Za-z-]{{3,40}}: [^\n\\]{{1,200}}){{0,9}}{_BETWEEN}{{0,40}}[A-Za-z0-9+/=]+"
    rf"(?:{_BETWEEN}{{1,40}}[A-Za-z0-9+/=]{{24,}})*(?:{_BETWEEN}{{1,40}}[A-Za-z0-9+/]*=+)?"
)
"""What follows the begin of a key whose end was cut off: headers, then lines of base64, with real or escaped ends."""
_LINE = re.compile(r"[A-Za-z0-9+/=]+")


def hide_keys(text: str) -> str:
    r"""A text without private keys.

    Example:
        >>> hide_keys("a -----BEGIN PRIVATE KEY-----\\nMIIEvQ==\\n-----END PRIVATE KEY----- b")
        'a (redacted) b'
    """
    if "-----" not in text:
        return text
    parts: list[str] = []
    position = 0
    marks = list(_MARK.finditer(text))
    for number, mark in enumerate(marks):
        if mark.start() < position:
            continue
        following = marks[number + 1] if number + 1 < len(marks) else None
        if mark["what"].upper() == "END":
            start = max(position, _start_of_lines(text, position, mark.start()))
            end = mark.end()
        elif following is not None and following["what"].upper() == "END":
            start, end = mark.start(), following.end()
        else:
            lines = _LINES.match(text, mark.end())
            start, end = mark.start(), lines.end() if lines else mark.end()
        parts += [text[position:start], HIDDEN]
        position = end
    return "".join(parts) + text[position:]


def _start_of_lines(text: str, least: int, end: int) -> int:
    """Where the lines before the end of a key start, whose begin was cut off."""
    start = end
    while start > least:
        before = max(text.rfind("\n", least, start - 1) + 1, least)
        line = text[before:start].strip()
        if line and _LINE.fullmatch(line) is None:
            return start
        start = before
    return start
