"""Values of options as typed: durations, sizes, numbers, steps, and words of a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.steps.step import KINDS, Step, parse_step, words
from pipeprof.pipelines.suggest import did_you_mean, suggest
from pipeprof.pipelines.units import LONGEST_SECONDS, meant_size, parse_duration, parse_size
from pipeprof.profiles.wording import listed

if TYPE_CHECKING:
    from pipeprof.profiles.advise.proposal import Semantics

T = TypeVar("T")

ALLOWED: tuple[Semantics, ...] = ("same", "order", "randomness", "values")
"""Possible effects of a change on the data; ``same`` is none."""
_CLOCK = re.compile(r"(?=.)(?:([0-9]+)h)?(?:([0-9]+)m(?:in)?)?(?:([0-9]+)s)?")
"""Hours, minutes and seconds, some of them."""
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_DISPATCH = re.compile(r"(.*),\s*dispatch=([^,]*)", re.DOTALL)


def choice(flag: str, value: str, choices: Sequence[str]) -> str:
    """Return a value that is one of the choices; any other is a UsageError."""
    if value in choices:
        return value
    raise UsageError(f"{flag}: got {value!r}, expected {listed(choices, 'or')}{did_you_mean(value, choices)}")


def classes(values: Sequence[str] | None) -> list[Semantics]:
    """Parse the values of ``--allow``, each one or several words with commas between them.

    Example:
        >>> classes(["order,values"]), classes(None)
        (['order', 'values'], [])
    """
    names = [name.strip() for text in values or () for name in text.split(",")]
    chosen = {choice("--allow", name, ALLOWED) for name in names}
    return [name for name in ALLOWED if name in chosen]


def duration(flag: str, text: str | None) -> float | None:
    """Parse seconds from ``10``, ``1.5s``, ``400ms``, ``20m`` or ``1h30m``; all but a duration above 0 is a UsageError.

    Example:
        >>> duration("--seconds", "2min"), duration("--soak", "1h30m"), duration("--seconds", None)
        (120.0, 5400.0, None)
    """
    if text is None:
        return None
    try:
        seconds = _seconds(text.strip())
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_SECONDS:
        most = f"at most {LONGEST_SECONDS // 86400} days"
        msg = f"{flag}: got {text!r}, expected a duration above 0 such as 10 (seconds), 1.5s, 20m or 1h30m, {most}"
        raise UsageError(msg)
    return seconds


def _seconds(text: str) -> float:
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return 3600 * hours + 60 * minutes + seconds
    try:
        return float(text)
    except ValueError:
        return parse_duration(text)


def whole(flag: str, text: str | None) -> int | None:
    """Parse a whole number above 0 that fits into 64 bits; any other text is a UsageError."""
    if text is None:
        return None
    if _WHOLE.fullmatch(text) and 1 <= (number := int(text)) < 2**63:
        return number
    raise UsageError(f"{flag}: got {text[:30]!r}, expected a whole number from 1, below 2**63")


def byte_size(flag: str, text: str | None) -> int | None:
    """Parse bytes from ``8GiB``, ``500MB`` or a plain number; all but a size above 0 is a UsageError."""
    if text is None:
        return None
    size = parsed(flag, text, lambda value: parse_size(int(value) if value.isdecimal() else value))
    if size == 0:
        raise UsageError(f"{flag}: got {text!r}, expected a size above 0 such as 8GiB")
    if (meant := meant_size(text)) is not None:
        raise UsageError(f"{flag}: {text} without a unit is a number of bytes — did you mean {meant}?")
    return size


def step(text: str | None) -> Step | None:
    """Parse ``none``, or a kind with its value: ``simulate:12ms,dispatch=2``; any other text is a UsageError."""
    if text is None:
        return None
    with_dispatch = _DISPATCH.fullmatch(text)
    written, ahead = with_dispatch.groups() if with_dispatch else (text, None)
    kind, colon, value = written.partition(":")
    if kind != "none" and not (colon and kind in KINDS):
        begun = [name for name in KINDS if len(kind) > 1 and name.startswith(kind)]
        meant = begun[0] if len(begun) == 1 else suggest(kind, KINDS)
        other = f" — did you mean {meant}:{value or '…'}?" if meant else ""
        if re.fullmatch(r"\d[\d.]*\s*[a-z]*", kind):
            other = f" — did you mean simulate:{kind}{'' if kind[-1].isalpha() else 'ms'}?"
        raise UsageError(f"--step: got {text!r}, expected {words()}{other}")
    chosen = parsed("--step", written, parse_step)
    if ahead is None:
        return chosen
    if chosen.kind == "none":
        raise UsageError(f"--step: got {text!r}: without a step, dispatch has no effect")
    if ahead == "sync" or (ahead.isdecimal() and int(ahead) > 0):
        return replace(chosen, dispatch="sync" if ahead == "sync" else int(ahead))
    raise UsageError(f"--step: got dispatch={ahead}, expected sync or a number of steps in flight such as 1")


def parsed(flag: str, text: str, read: Callable[[str], T]) -> T:
    """Read a value; a UsageError has the option's name before what is wrong with it."""
    try:
        return read(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from None
