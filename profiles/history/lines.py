"""The lines of a history: read with the damaged ones named, by target and repository."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.history.entry import KeptGate, LineError, decode_line, in_order
from pipeprof.profiles.judge.verdicts.result import Identity

_SHOWN = 12
"""Digits of a commit in a message."""
MOST_NAMED = 3
"""Damaged lines that a message names."""


@dataclass(frozen=True)
class ReadLines:
    """What a history has.

    Attributes:
        place: The file or the ref, for messages.
        damaged: Lines that are no entries, as ``FILE:7: not JSON``.
        advice: What gets more of it, as a sentence; None where nothing does.
    """

    place: str
    entries: Sequence[KeptGate] = ()
    damaged: Sequence[str] = ()
    advice: str | None = None
    foreign: Sequence[tuple[str, str]] = field(default=())
    """The first commit of other repositories, with the place of the line."""


def read_lines(place: str, lines: Iterable[tuple[str, bytes]], repository: str | None) -> ReadLines:
    """Read lines, each with its place.

    Args:
        repository: The first commit of the repository that the history should be of; None where that is not known.
    """
    entries: list[KeptGate] = []
    damaged: list[str] = []
    foreign: list[tuple[str, str]] = []
    for at, line in lines:
        if not line.strip():
            continue
        try:
            entry = decode_line(line)
        except LineError as error:
            damaged.append(f"{at}: {error}")
            continue
        if repository is not None and entry.repository is not None and entry.repository != repository:
            foreign.append((entry.repository, at))
        entries.append(entry)
    return ReadLines(place, in_order(entries), damaged, foreign=foreign)


def require_own(read: ReadLines, repository: str | None) -> None:
    """Refuse a history of another repository.

    Raises:
        ProfileError: A line of it is of one.
    """
    if read.foreign and repository is not None:
        other, at = read.foreign[0]
        raise ProfileError(
            f"{at} is of another repository, which begins with commit {other[:_SHOWN]}; this one begins with "
            f"{repository[:_SHOWN]}: give a history of this repository, or a new file"
        )


def of_target(entries: Iterable[KeptGate], target: Identity, step: str | None) -> list[KeptGate]:
    """The gates of one target with one step."""
    return [entry for entry in entries if entry.key == (target.digest, step)]


def describe_damage(read: ReadLines) -> str | None:
    """The damaged lines in a sentence; None without one."""
    if not read.damaged:
        return None
    more = len(read.damaged) - MOST_NAMED
    named = "; ".join(read.damaged[:MOST_NAMED]) + (f"; {more:,} more" if more > 0 else "")
    return f"{len(read.damaged):,} line{'s' if len(read.damaged) > 1 else ''} of the history skipped: {named}"
