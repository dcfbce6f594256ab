"""The part of a report that the user selects: the default, everything, some sections or one finding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """The part of a report to build; without anything set, the default report.

    Attributes:
        verbose: Everything there is to say (`-v`).
        sections: Only the sections with these names (`--section`).
        finding: Only the finding with this number, in full (`--finding`); numbers start with 1.
    """

    verbose: bool = False
    sections: tuple[str, ...] = ()
    finding: int | None = None
