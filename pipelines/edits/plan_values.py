"""Types of the values in a plan: each checks plain data and says in words what it takes."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from pipeprof.pipelines.ops.constants import AUTOTUNE

_SHOWN: Final = 40
"""Characters of a value that a message quotes."""
_CONTROL: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of control characters, halves of characters and ends of lines."""


class RefusedError(ValueError):
    """A value that a plan cannot hold; the message is one sentence with its place."""

    def __init__(self, reason: str, place: str) -> None:
        super().__init__(f"{place}: {reason}")


class Value(Protocol):
    """Value at one place of a plan."""

    def check(self, value: Any, place: str) -> None:
        """Check a value."""
        ...

    def words(self) -> str:
        """Say what it takes, for a table."""
        ...


def shown(value: Any) -> str:
    """Return a value as a message quotes it.

    Example:
        >>> shown("a" * 100), shown([1]), shown(True), shown({})
        ('"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…', 'a list', 'true', 'an object')
    """
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _expect(value: Any, place: str, *, holds: bool, words: str) -> None:
    if not holds:
        raise RefusedError(f"expected {words}, got {shown(value)}", place)


@dataclass(frozen=True)
class WholeNumber:
    """A whole number."""

    least: int
    most: int
    tuned: bool = False
    none: bool = False

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        # In Python, `True` is the number 1.
        number = type(value) is int and self.least <= value <= self.most
        given = number or (self.tuned and value == AUTOTUNE) or (self.none and value is None)
        _expect(value, place, holds=given, words=self.words())

    def words(self) -> str:
        """See `Value`."""
        found = f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"
        return " or ".join([found, *([AUTOTUNE] if self.tuned else []), *(["null"] if self.none else [])])


@dataclass(frozen=True)
class RealNumber:
    """A finite number of at least 0, or null."""

    most: float

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        number = type(value) in (int, float) and math.isfinite(value) and 0 <= value <= self.most
        _expect(value, place, holds=number or value is None, words=self.words())

    def words(self) -> str:
        """See `Value`."""
        return f"a number from 0 to {self.most:,.0f}, or null"


@dataclass(frozen=True)
class Truth:
    """True or false."""

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        _expect(value, place, holds=isinstance(value, bool), words=self.words())

    def words(self) -> str:
        """See `Value`."""
        return "true or false"


@dataclass(frozen=True)
class PlainText:
    """A text.

    Attributes:
        printable: Whether it has printable characters alone; a text with others is only shown escaped.
    """

    longest: int
    pattern: str | None = None
    means: str = "a text"
    none: bool = False
    printable: bool = True

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        if self.none and value is None:
            return
        _expect(value, place, holds=isinstance(value, str) and len(value) <= self.longest, words=self.words())
        if self.printable and any(unicodedata.category(letter) in _CONTROL for letter in value):
            raise RefusedError("it has control characters", place)
        if self.pattern is not None:
            _expect(value, place, holds=re.fullmatch(self.pattern, value) is not None, words=self.words())

    def words(self) -> str:
        """See `Value`."""
        return f"{self.means} of at most {self.longest:,} characters{', or null' if self.none else ''}"


@dataclass(frozen=True)
class Exactly:
    """One value alone."""

    value: str | int | None

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        same = type(value) is type(self.value) and value == self.value
        _expect(value, place, holds=same, words=self.words())

    def words(self) -> str:
        """See `Value`."""
        return json.dumps(self.value)


@dataclass(frozen=True)
class Several:
    """A list."""

    item: Value
    most: int
    least: int = 0

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        if not isinstance(value, list):
            _expect(value, place, holds=False, words="a list")
        if not self.least <= len(value) <= self.most:
            raise RefusedError(f"expected {self.least:,} to {self.most:,} items, got {len(value):,}", place)
        for number, item in enumerate(value):
            self.item.check(item, f"{place}[{number}]")

    def words(self) -> str:
        """See `Value`."""
        many = f"{self.least:,}" if self.least == self.most else f"{self.least:,} to {self.most:,}"
        return f"{many} × ({self.item.words()})"


@dataclass(frozen=True)
class Named:
    """Values by names that are not known before."""

    name: PlainText
    item: Value
    most: int

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        if not isinstance(value, dict):
            _expect(value, place, holds=False, words="an object")
        if len(value) > self.most:
            raise RefusedError(f"expected at most {self.most:,} entries, got {len(value):,}", place)
        for name, item in value.items():
            self.name.check(name, f"a key of {place}")
            self.item.check(item, f"{place}.{name}")

    def words(self) -> str:
        """See `Value`."""
        return f"at most {self.most:,} × ({self.name.words()}: {self.item.words()})"


@dataclass(frozen=True)
class Fields:
    """An object with known fields."""

    required: Mapping[str, Value] = field(default_factory=dict)
    optional: Mapping[str, Value] = field(default_factory=dict)

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        self.check_but(value, place, frozenset())

    def check_but(self, value: Any, place: str, others: frozenset[str]) -> None:
        """Check all fields but those that are checked already."""
        if not isinstance(value, dict):
            _expect(value, place, holds=False, words="an object")
        known = {**self.required, **self.optional}
        for name in (name for name in value if name not in known and name not in others):
            raise RefusedError(f"a plan cannot hold this field; expected {listed([*others, *known])}", at(place, name))
        for name in self.required:
            if name not in value:
                raise RefusedError("this field is missing", at(place, name))
        for name, inner in known.items():
            if name in value:
                inner.check(value[name], at(place, name))

    def words(self) -> str:
        """See `Value`."""
        parts = [f"`{name}`: {inner.words()}" for name, inner in (*self.required.items(), *self.optional.items())]
        return ", ".join(parts) or "no fields"


@dataclass(frozen=True)
class ByField:
    """An object with other fields for each value of one of them."""

    key: str
    rows: Mapping[str, Fields | ByField]

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        self.check_but(value, place, frozenset())

    def check_but(self, value: Any, place: str, others: frozenset[str]) -> None:
        """Check all fields but those that are checked already."""
        if not isinstance(value, dict):
            _expect(value, place, holds=False, words="an object")
        if self.key not in value:
            raise RefusedError("this field is missing", at(place, self.key))
        name = value[self.key]
        row = self.rows.get(name) if isinstance(name, str) else None
        if row is None:
            raise RefusedError(f"a plan cannot hold {shown(name)}; expected {listed(self.rows)}", at(place, self.key))
        row.check_but(value, place, others | {self.key})

    def words(self) -> str:
        """See `Value`."""
        return "; ".join(f"{name}: {row.words()}" for name, row in self.rows.items())


@dataclass(frozen=True)
class NamedCall:
    """A call inside ``ops``: an object whose only key is the name of the function."""

    rows: Mapping[str, Fields]

    def check(self, value: Any, place: str) -> None:
        """See `Value`."""
        names = list(value) if isinstance(value, dict) else [value]
        for name in names:
            if not isinstance(name, str) or name not in self.rows:
                raise RefusedError(f"a plan cannot call {shown(name)}; expected {listed(self.rows)}", place)
        if not isinstance(value, dict) or len(names) != 1:
            raise RefusedError("expected one call with its arguments", place)
        self.rows[names[0]].check(value[names[0]], at(place, names[0]))

    def words(self) -> str:
        """See `Value`."""
        return " or ".join(f"`{name}`" for name in self.rows)


def at(place: str, name: str) -> str:
    """Return the place of a field, its name cut where it is long."""
    name = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    return f"{place}.{name}" if place else name


def listed(names: Any) -> str:
    """Return names as an alternative.

    Example:
        >>> listed(["b", "a"]), listed(["a"])
        ('a or b', 'a')
    """
    *first, last = sorted(names) or ["no fields"]
    return f"{', '.join(first)} or {last}" if first else last
