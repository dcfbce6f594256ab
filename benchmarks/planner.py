"""Which cases a run of the benchmarks takes, and what of their proof still counts: pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SHARES = 10
"""Of all cases: so many runs measure each case at least once, whatever changes."""
STALE_LINES = 500
"""A claim whose rooms changed by more lines since its oldest proof is stale."""
RESERVED = 0.5
"""Part of the time, at most, that is kept for the oldest share where rooms changed as well."""


@dataclass(frozen=True)
class Work:
    """A case and what is known of its last proof.

    Attributes:
        benchmark: Its name.
        case: Its name.
        seconds: It took last time.
        tried: When it was last measured or found impossible to measure, as ISO date and time; empty where never.
        changed: Lines of its rooms that changed since it was measured; None where nobody can tell.
        outcome: Of then; None where it was never measured.
        truth_changed: The same as `changed` for the stored truth that it was held against; 0 where there is none.
    """

    benchmark: str
    case: str
    seconds: float
    tried: str = ""
    changed: int | None = None
    outcome: str | None = None
    truth_changed: int | None = 0

    @property
    def share(self) -> int:
        """Which of the shares it is in."""
        return share_of(self.benchmark, self.case)


def share_of(benchmark: str, case: str) -> int:
    """The share of a case: the same on every machine, whatever other cases there are."""
    return int.from_bytes(hashlib.sha256(f"{benchmark}/{case}".encode()).digest()[:8], "big") % SHARES


def is_measured(work: Work) -> bool:
    """Whether the present code of its rooms was measured, and the machine could tell."""
    return work.changed == 0 and work.outcome in {"holds", "does not hold"}


def is_proven(work: Work) -> bool:
    """Whether the present code of its rooms was measured and holds."""
    return work.changed == 0 and work.outcome == "holds"


def by_age(works: Iterable[Work]) -> list[int]:
    """The shares with cases, the one whose oldest proof is oldest first."""
    oldest: dict[int, str] = {}
    for work in works:
        oldest[work.share] = min(oldest.get(work.share, work.tried), work.tried)
    return sorted(oldest, key=lambda share: (oldest[share], share))


def choose(works: Sequence[Work], seconds: float) -> list[Work]:
    """The cases of one run, in order: those of changed rooms, then the share whose proof is oldest.

    Args:
        works: Every case there is.
        seconds: That all chosen cases take at most, by what they took last time.

    Returns:
        Of the changed ones as many as fit, from the oldest share on; half of the time at most is kept for the
        unchanged ones of the oldest share.
    """
    ages = {share: place for place, share in enumerate(by_age(works))}

    def oldest_first(work: Work) -> tuple[int, str, str, str]:
        return (ages[work.share], work.tried, work.benchmark, work.case)

    changed = sorted((work for work in works if work.changed != 0), key=oldest_first)
    share = sorted((work for work in works if work.changed == 0 and ages[work.share] == 0), key=oldest_first)
    kept = min(sum(work.seconds for work in share), RESERVED * seconds if changed else seconds)
    first, left = _fitting(changed, seconds - kept)
    second, left = _fitting(share, left + kept)
    more, _ = _fitting([work for work in changed if work not in first], left)
    return [*first, *more, *second]


def _fitting(works: Sequence[Work], seconds: float) -> tuple[list[Work], float]:
    """As many as fit, in order, and the seconds that are left."""
    taken: list[Work] = []
    for work in works:
        if work.seconds <= seconds:
            taken.append(work)
            seconds -= work.seconds
    return taken, seconds


def unfinished(works: Iterable[Work]) -> list[Work]:
    """What a run of everything has to measure yet."""
    return [work for work in works if not is_measured(work) or work.truth_changed != 0]


def changed_lines(numstat: str) -> int:
    """Lines that changed, from ``git diff --numstat``: one that was replaced counts once, a binary file as one line."""
    total = 0
    for row in numstat.splitlines():
        added, removed, _ = row.split("\t", 2)
        total += 1 if added == "-" else max(int(added), int(removed))
    return total


def is_stale(changes: Iterable[int | None]) -> bool:
    """Whether a claim is, from the changed lines of all its cases: one of which nobody can tell is."""
    return any(change is None or change > STALE_LINES for change in changes)
