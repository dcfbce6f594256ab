"""Remarks on lines of files: what the formats for reviews of code, `github` and `sarif`, are made of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Level = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Place:
    """A line of a file.

    Attributes:
        line: 1 for the first; None if only the file is known.
        end_column: The first one after what is meant.
    """

    file: str
    line: int | None = None
    column: int | None = None
    end_column: int | None = None


@dataclass(frozen=True)
class Remark:
    """One thing to tell.

    Attributes:
        code: A rule, a code of a message, or ``gate/METRIC``.
        level: A proven finding is a warning, a suspicion a note.
        place: Where; None where no line of the repository is the cause.
        key: Identity that survives moved lines: the stage, the metric.
        on_run: Whether it is about the measurement, not about the pipeline.
        about: What the code is about, why it matters and what to do, whatever the pipeline; empty where there is no
            more to say than the title.
    """

    code: str
    level: Level
    title: str
    text: str
    place: Place | None = None
    key: str = ""
    on_run: bool = False
    about: tuple[str, str, str] = ("", "", "")


def numbered(remarks: Iterable[Remark]) -> list[Remark]:
    """Make keys unique: of several remarks with the same code, file and key, later ones get a number."""
    seen: dict[tuple[str, str, str], int] = {}
    found = []
    for remark in remarks:
        same = (remark.code, remark.place.file if remark.place is not None else "", remark.key)
        seen[same] = seen.get(same, 0) + 1
        found.append(replace(remark, key=f"{remark.key}#{seen[same]}" if seen[same] > 1 else remark.key))
    return found
