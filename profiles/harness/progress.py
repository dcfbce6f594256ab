"""What the harness tells whoever is watching while it runs."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives events from the harness; how they look is the caller's business."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """A phase of the sample began; `seconds_expected` is how long it should last, if that is known."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """The current rate in batches per second, and how far the phase has come (seconds or steps)."""

    def note(self, text: str) -> None:
        """Something the user should know now, in one sentence."""

    def data(self, name: str, done: int, total: int) -> None:
        """A synthesised input is being made: `done` of `total` items."""

    def close(self) -> None:
        """Nothing more will come."""


class Silent:
    """A progress that shows nothing."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Ignore it."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def data(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Nothing to close."""
