"""What a training script was seen to do: its datasets and lines, and the part of the training that something took."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipeprof.profiles.advise.proposal import Prediction
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.wording import as_typed, milliseconds, percent, place_of, ratio_text, significant

if TYPE_CHECKING:
    from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Training

LEAST_ITERATORS: Final = 10
"""A look at a batch, also at several, is no training."""


def main_of(training: Training) -> DatasetUse | None:
    """Return the dataset that the rest of the profile is about."""
    return next((use for use in training.datasets if use.main), None)


def location_of(place: CodePlace | DatasetUse | FunctionUse) -> Location | None:
    """Return the line of something of the script."""
    if place.file is None or place.line is None:
        return None
    return Location(file=as_typed(place.file), line=place.line)


def at(place: CodePlace | DatasetUse | FunctionUse, before: str = "") -> str:
    """Name the line of something of the script, after a text; empty where it has none.

    Example:
        >>> from pipeprof.profiles.document.shared import CodePlace
        >>> at(CodePlace(name="a", file="train.py", line=3), " in "), at(CodePlace(name="a"), " in ")
        (' in train.py:3', '')
    """
    name = place_of(location_of(place))
    return f"{before}{name}" if name is not None else ""


def seconds_text(seconds: float) -> str:
    """A duration in seconds, or in milliseconds below one.

    Example:
        >>> seconds_text(1.234), seconds_text(0.05)
        ('1.23 s', '50.0 ms')
    """
    return f"{significant(seconds)} s" if seconds >= 1 else milliseconds(1e3 * seconds)


def share_of(seconds: float | None, training: Training) -> float:
    """Return a part of the observed training; 0 where it is not known."""
    return min(1.0, seconds / training.seconds) if seconds and training.seconds else 0.0


def share_text(seconds: float, training: Training) -> str:
    """State a part of the observed training.

    Example:
        >>> from pipeprof.profiles.document.shared import Training
        >>> share_text(2, Training(seconds=8.0))
        '2.00 s of 8.00 s of training (25 %)'
    """
    whole = training.seconds or 0.0
    return f"{seconds_text(seconds)} of {seconds_text(whole)} of training ({percent(share_of(seconds, training))})"


def without(share: float) -> Prediction:
    """Predict at most what a change gains that saves a share of the time."""
    most = 1 / max(1 - share, 0.01)
    return Prediction(f"at most {ratio_text(most)}: {percent(share)} of the observed time", most)


def begins_each_step(use: DatasetUse) -> bool:
    """Whether each step makes an iterator of its own."""
    return use.role in ("training", "loop") and use.iterators >= max(LEAST_ITERATORS, (use.batches or 0) / 2)
