"""Validation errors with one wording, their place, and candidates for the intended name."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

_SHOWN_LENGTH = 60
_TITLE = "spec"


def shown(value: Any) -> str:
    """``value`` as a message shows it: YAML's words for scalars, kinds for everything that is long.

    Example:
        >>> shown(True), shown("a"), shown([1]), shown({}), shown(float("inf"))
        ('true', "'a'", 'a list', 'an empty mapping', '.inf')
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value).replace("nan", ".nan").replace("inf", ".inf")
    text = repr(value)
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def error(message: str, code: str, *, got: Any = None, candidates: Iterable[str] = ()) -> PydanticCustomError:
    """An error whose context carries the whole message, what was received and the names that would have been right."""
    names = [str(candidate) for candidate in candidates]
    return PydanticCustomError(code, "{message}", {"message": message, "got": got, "candidates": names})  # type: ignore[arg-type, unused-ignore]


def mismatch(got: Any, code: str, expected: str, candidates: Iterable[str] = ()) -> PydanticCustomError:
    """The usual message: got this, expected that."""
    return error(f"got {shown(got)}, expected {expected}", code, got=got, candidates=candidates)


def unknown(what: str, got: Any, candidates: Iterable[str], hint: str = "") -> PydanticCustomError:
    """A name that is not one of ``candidates``."""
    names = list(candidates)
    listed = ", ".join(names) if len(names) <= 12 else f"one of {len(names)} names"
    expected = hint or (listed if names else "nothing here")
    message = f"unknown {what} {_named(what, got)}: expected {expected}"
    return error(message, f"unknown_{what}", got=got, candidates=names)


def _named(what: str, got: Any) -> str:
    """A name in a message; keys and arguments stand in backticks, as they do in the messages about missing ones."""
    text = shown(got)
    plain = what in ("key", "argument") and isinstance(got, str) and text == f"'{got}'"
    return f"`{got}`" if plain else text


_Read = TypeVar("_Read")


class Problems:
    """Collects the errors of several places, so that all of them come out in one pass."""

    def __init__(self) -> None:
        self._details: list[InitErrorDetails] = []

    def add(self, place: tuple[str | int, ...], problem: PydanticCustomError, value: Any = None) -> None:
        """Add an error at ``place``, relative to where the collection is raised."""
        self._details.append(InitErrorDetails(type=problem, loc=place, input=value))

    def extend(self, problems: ValidationError, *prefix: str | int, without: str = "") -> None:
        """Add all errors of ``problems``, found below ``prefix``; the key ``without`` above them was never written."""
        for details in problems.errors(include_url=False):
            context = dict(details.get("ctx", {}))
            kind: Any = details["type"]
            if "message" in context:
                kind = PydanticCustomError(kind, "{message}", context)
                context = {}
            below = details["loc"][1:] if without and details["loc"][:1] == (without,) else details["loc"]
            self._details.append(
                InitErrorDetails(type=kind, loc=(*prefix, *below), input=details["input"], ctx=context)
            )

    def read(
        self, parse: Callable[[Any], _Read], value: Any, *place: str | int, instead: tuple[str, str] | None = None
    ) -> _Read | None:
        """Parse a value; what is wrong with it is added, and None returned.

        Args:
            instead: Code and expectation for a value that is wrong as a whole.
        """
        try:
            return parse(value)
        except ValidationError as problems:
            self.extend(problems, *place)
        except PydanticCustomError as problem:
            self.add(place, problem if instead is None else mismatch(value, *instead), value)
        return None

    def raise_if_any(self) -> None:
        """Raise everything collected so far."""
        if self._details:
            raise ValidationError.from_exception_data(_TITLE, self._details)


def failure(place: tuple[str | int, ...], problem: PydanticCustomError, value: Any = None) -> ValidationError:
    """A single error at ``place``, to be raised inside a validator."""
    return ValidationError.from_exception_data(_TITLE, [InitErrorDetails(type=problem, loc=place, input=value)])
