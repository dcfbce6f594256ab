"""Progress events of the harness."""

from __future__ import annotations

import math

from pipeprof.profiles.wording import ratio_text, span_text


class RunProgress:
    """Receiver of progress events; the caller's subclass shows them."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase; `seconds_expected` is its expected length, None if unknown."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Update the rate in batches per second, and the progress of the phase (seconds or steps)."""

    def standing(self, words: str) -> None:
        """Update what is known so far of what the phase measures, in a few words."""

    def ends_in(self, seconds: float | None) -> None:
        """Update how long all that follows may take at most, this phase and later ones; None if unknown."""

    def note(self, text: str) -> None:
        """Show a note to the user, in one sentence."""

    def data(self, name: str, done: int, total: int) -> None:
        """Update the progress of a synthesised input: `done` of `total` items."""

    def close(self) -> None:
        """End the progress."""


class Silent(RunProgress):
    """Progress without output."""


def ratio_so_far(value: float, low: float | None, high: float | None, many: int, of: str = "pair") -> str:
    """A ratio with its interval while more of them are measured; few have no interval.

    Example:
        >>> ratio_so_far(1.42, 1.35, 1.5, 6), ratio_so_far(1.4, None, None, 1)
        ('1.42× (1.35–1.50, 6 pairs)', '1.40× (1 pair)')
    """
    count = f"{many} {of}{'' if many == 1 else 's'}"
    # One pair says nothing about the spread: its interval has no ends, or none that is a number.
    spread = f"{span_text(low, high)}, " if low and high and not math.isinf(high) else ""
    return f"{ratio_text(value)} ({spread}{count})"
