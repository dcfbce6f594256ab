"""End of the warm-up: the rule, and its text for the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeprof.profiles.worker.steps.statistics import EpochStart
    from pipeprof.profiles.worker.steps.window import Looked

WINDOW_SECONDS = 0.5
WINDOW_STEPS = 8
WINDOWS = 3
TOLERANCE = 0.10
LONG_SECONDS = WINDOWS * WINDOW_SECONDS
"""Length of an epoch from which two are enough: each is as long as the three windows."""
LIMIT_SECONDS = 5.0
TUNABLE_LIMIT_SECONDS = 15.0


@dataclass
class _WarmUpWindow:
    seconds: float = 0.0
    steps: int = 0
    medians: list[float] = field(default_factory=list)
    parameters: tuple[float, ...] | None = None

    @property
    def full(self) -> bool:
        return self.seconds >= WINDOW_SECONDS and self.steps >= WINDOW_STEPS


class _WholeEpochs:
    """Time of a step over whole epochs, restarts included, from the second epoch on.

    The first one fills caches and begins with the first element, which is no step. Short epochs are taken together, to
    stretches of 0.5 s and 8 steps at least.
    """

    def __init__(self) -> None:
        self._began: EpochStart | None = None
        self._stretches: list[tuple[float, float]] = []

    def have_settled(self, start: EpochStart | None) -> bool:
        """Take the start of the latest epoch; return whether the epochs before it took about as long."""
        if start is None or start == self._began:
            return False
        began, self._began = self._began, self._began or start
        if began is None:
            return False
        seconds, steps = start.seconds - began.seconds, start.steps - began.steps
        if seconds < WINDOW_SECONDS or steps < WINDOW_STEPS:
            return False
        self._began = start
        self._stretches = [*self._stretches[-WINDOWS + 1 :], (seconds, seconds / steps)]
        return self._are_alike(2, LONG_SECONDS) or self._are_alike(WINDOWS, WINDOW_SECONDS)

    def _are_alike(self, many: int, least_seconds: float) -> bool:
        last = self._stretches[-many:]
        if len(last) < many or min(seconds for seconds, _ in last) < least_seconds:
            return False
        times = [time for _, time in last]
        return max(times) <= min(times) * (1 + TOLERANCE)


class WarmUp:
    """Warm-up that ends when step time and AUTOTUNE's parameters have settled.

    Steps are grouped in windows of at least 0.5 s and 8 steps. The warm-up is over when the median step times
    of three windows in a row lie within 10 % of each other and no tunable parameter moved between them; at the latest
    after 5 s when nothing is tunable, else after 15 s.

    A dataset that ends begins again with the parameters that it began with, which never settle where epochs are short.
    It is also over when whole epochs take as long as each other, within 10 % in the time of a step: three stretches of
    epochs in a row, or two of 1.5 s and more.

    Args:
        fixed_seconds: End after exactly so long instead, as the user asked.
    """

    def __init__(self, fixed_seconds: float | None = None) -> None:
        self._fixed = fixed_seconds
        self._windows: list[_WarmUpWindow] = [_WarmUpWindow()]
        self._epochs = _WholeEpochs()
        self._elapsed = 0.0

    def offer(self, looked: Looked, parameters: tuple[float, ...] | None) -> str | None:
        """Take the steps between two looks.

        Args:
            parameters: The values of all tunable parameters at its end; `None` without a model.

        Returns:
            Why the warm-up is over, or `None` while it is not.
        """
        if looked.median_ms is None:
            return None
        self._elapsed += looked.seconds
        if self._fixed is not None:
            return f"{self._fixed:g} s as asked" if self._elapsed >= self._fixed else None
        if self._epochs.have_settled(looked.epoch_start):
            return f"settled after {self._elapsed:.1f} s: whole epochs took as long as each other"
        window = self._windows[-1]
        window.seconds += looked.seconds
        window.steps += looked.steps
        window.medians.append(looked.median_ms)
        window.parameters = parameters
        if window.full:
            if self._is_settled():
                return f"settled after {self._elapsed:.1f} s"
            self._windows = [*self._windows[-WINDOWS + 1 :], _WarmUpWindow()]
        limit = TUNABLE_LIMIT_SECONDS if parameters else LIMIT_SECONDS
        if self._elapsed >= limit:
            return f"not settled after {limit:g} s"
        return None

    def _is_settled(self) -> bool:
        last = self._windows[-WINDOWS:]
        if len(last) < WINDOWS or len({w.parameters for w in last}) > 1:
            return False
        medians = [median(w.medians) for w in last]
        return max(medians) <= min(medians) * (1 + TOLERANCE)
