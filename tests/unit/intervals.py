"""Intervals with given ends."""

from __future__ import annotations

import math

from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.statistics import Interval, student_t

_MANY = 1000


def interval(value: float, low: float, pairs: int) -> Interval:
    """A ratio with its lower end; the upper one is as far away."""
    return Interval(math.log(value), math.log(value / low) / student_t(_MANY), _MANY, pairs)


def compared(value: float, low: float, pairs: int) -> Comparison:
    """An arm whose ratio is known as well as that."""
    return Comparison(interval(value, low, pairs))
