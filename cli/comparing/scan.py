"""Values of one parameter that are compared: ``--scan PATH=VALUE,VALUE``."""

from __future__ import annotations

from dataclasses import dataclass

from pipeprof.pipelines.errors import UsageError

MOST_ARMS = 8
"""Pipelines of one comparison: each is a process in every pair, and waits for the turns of all others."""
_OPEN, _CLOSE = "[{(", "]})"


@dataclass(frozen=True)
class GivenScan:
    """One parameter of a spec and the values that are compared.

    Attributes:
        values: In YAML, as typed; at least two.
    """

    path: str
    values: tuple[str, ...]

    def sets(self) -> list[str]:
        """The ``--set`` value of each pipeline."""
        return [f"{self.path}={value}" for value in self.values]


def parse_scan(text: str) -> GivenScan:
    """Parse the value of ``--scan``.

    Raises:
        UsageError: It has no path, fewer than two values, one of them twice, or too many.

    Example:
        >>> parse_scan("stages.decode.num_parallel_calls=1,2,4").values
        ('1', '2', '4')
        >>> parse_scan("stages.0.map={a: 1, b: 2},{a: 3}").values
        ('{a: 1, b: 2}', '{a: 3}')
    """
    path, equals, rest = text.partition("=")
    values = tuple(value.strip() for value in _split(rest))
    if not (path and equals and all(values)):
        raise UsageError(f"--scan: got {text!r}, expected PATH=VALUE,VALUE such as stages.0.num_parallel_calls=1,2,4")
    if len(values) < 2:
        raise UsageError(f"--scan {text}: one value; give at least two, separated by commas")
    if len(set(values)) < len(values):
        twice = next(value for value in values if values.count(value) > 1)
        raise UsageError(f"--scan {text}: {twice} stands there twice; give each value once")
    check_number(len(values), "--scan: got {} values")
    return GivenScan(path, values)


def check_number(arms: int, what: str) -> None:
    """Refuse more pipelines than one comparison takes.

    Raises:
        UsageError: There are more.
    """
    if arms > MOST_ARMS:
        raise UsageError(f"{what.format(arms)}, at most {MOST_ARMS}: each is a process in every pair")


def _split(text: str) -> list[str]:
    """The parts between commas that are in no brackets and no quotes."""
    parts, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPEN:
            depth += 1
        elif letter in _CLOSE:
            depth -= 1
        elif letter == "," and not depth:
            parts.append("")
            continue
        parts[-1] += letter
    return parts
