r"""Forms of secrets in texts: one table, each form with an example.

Every pattern needs time linear in the text: it begins at a fixed word, or where the letter before is none of those that
it goes on with, and what is repeated is bounded or runs to the end of its letters.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

HIDDEN = "(redacted)"


@dataclass(frozen=True)
class Form:
    """Form of one kind of secret.

    Attributes:
        marks: Lowercase texts: where none of them stands, the form is not searched.
        expression: The form; a group ``secret`` is what is hidden, without one all of it.
        flags: Those of `re`, such as for letters of both cases.
        check: Whether a match is a secret; None for always.
    """

    name: str
    marks: tuple[str, ...]
    expression: str
    example: str
    check: Callable[[str], bool] | None = None
    flags: int = 0

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The expression, compiled when a text has one of the marks: all of them take longer than most reports."""
        return re.compile(self.expression, self.flags)

    def hide(self, text: str) -> str:
        """The text without secrets of this form."""
        return self.pattern.sub(self._hidden, text)

    def _hidden(self, found: re.Match[str]) -> str:
        group = "secret" if "secret" in self.pattern.groupindex else 0
        start, end = found.span(group)
        was_hidden = found.string.startswith(HIDDEN, start) and end <= start + len(HIDDEN)
        if was_hidden or (self.check is not None and not self.check(found[group])):
            return found[0]
        return f"{found[0][: start - found.start()]}{HIDDEN}{found[0][end - found.start() :]}"


def hide_forms(text: str) -> str:
    """A text without secrets that are known by their form."""
    lower = text.lower()
    for number in sorted({number for mark, numbers in _MARKS.items() if mark in lower for number in numbers}):
        text = FORMS[number].hide(text)
    return text


def _mixed(secret: str) -> bool:
    """Whether a text is no word: it has digits, or capitals inside, or signs of base64."""
    return any(letter.isdigit() or letter in "+/=_~" for letter in secret) or (
        secret[1:] != secret[1:].lower() and secret != secret.upper()
    )


def _with_digit(secret: str) -> bool:
    return any(letter.isdigit() for letter in secret)


def _basic(secret: str) -> bool:
    """Whether it is a name and a password, as HTTP writes them."""
    try:
        return b":" in base64.b64decode(secret + "=" * (-len(secret) % 4), validate=True)
    except (binascii.Error, ValueError):
        return False


_CHECKS: dict[str, Callable[[str], bool]] = {
    "assigned": lambda secret: "=" in secret,
    "basic": _basic,
    "digit": _with_digit,
    "long": lambda secret: len(secret) > 5,
    "mixed": _mixed,
    "plain": lambda secret: _with_digit(secret) or (secret[:1] not in "'\"" and _mixed(secret)),
}
_VALUE = r"(?:\"[^\"\n]{1,200}\"|'[^'\n]{1,200}'|[^\s'\"<>|;&]{1,500})"


def _rows(file: str) -> Iterator[list[str]]:
    for line in Path(__file__).with_name(file).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            yield line.split(" | ")


def _tokens() -> Iterator[Form]:
    for name, beginnings, rest, example, *check in _rows("tokens.txt"):
        starts = beginnings.split()
        # What is before the token is looked at after its begin: Python searches fast for patterns that start with one.
        listed = "|".join(rf"{re.escape(start)}(?<![A-Za-z0-9]{re.escape(start)})" for start in starts)
        marks = tuple(start.lower() for start in starts)
        yield Form(name, marks, rf"(?:{listed}){rest}", example, _CHECKS[check[0]] if check else None)


def _others() -> Iterator[Form]:
    for name, marks, pattern, example, *options in _rows("forms.txt"):
        words = " ".join(options).split()
        case = 0 if "exact" in words else re.IGNORECASE
        check = next((_CHECKS[word] for word in words if word in _CHECKS), None)
        yield Form(name, tuple(marks.split()), pattern.replace("<VALUE>", _VALUE), example, check, case)


FORMS = (*_tokens(), *_others())
_MARKS = {
    mark: tuple(number for number, form in enumerate(FORMS) if mark in form.marks)
    for mark in dict.fromkeys(mark for form in FORMS for mark in form.marks)
}
"""Each mark with the numbers of its forms."""
