"""Errors of the inference: unknown results and calls that TensorFlow refuses, and where they are reported."""

from __future__ import annotations

from collections.abc import Callable


class CannotInfer(Exception):
    """The result is unknown without running it."""


class Refused(CannotInfer):
    """A call or stage that TensorFlow is certain to refuse.

    Attributes:
        message: the fault first, then what is expected.
        argument: Keys and indices from the arguments of the call or stage to what is wrong; empty for all of it.
    """

    def __init__(
        self, message: str, code: str, *argument: str | int, suggestion: str | None = None, excess: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.argument = argument
        self.suggestion = suggestion
        self.excess = excess


Place = tuple[str | int, ...]
Report = Callable[[Place, Refused], None]
"""Receives the place of a call or stage and what is refused about it."""


def ignore(place: Place, refusal: Refused) -> None:
    """Drop a refusal."""
