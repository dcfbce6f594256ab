"""Progress events of the harness."""

from __future__ import annotations

from typing import Protocol


class RunProgress(Protocol):
    """Receiver of progress events, implemented by the caller."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase; `seconds_expected` is its expected length, None if unknown."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Update the rate in batches per second, and the progress of the phase (seconds or steps)."""

    def note(self, text: str) -> None:
        """Show a note to the user, in one sentence."""

    def data(self, name: str, done: int, total: int) -> None:
        """Update the progress of a synthesised input: `done` of `total` items."""

    def close(self) -> None:
        """End the progress."""


class Silent:
    """Progress without output."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Ignore it."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def data(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Do nothing."""
