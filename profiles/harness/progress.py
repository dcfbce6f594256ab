"""Progress events of the harness."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from pipeprof.profiles.view.running import Running, RunningStage, running_stages
from pipeprof.profiles.wording import ratio_text, span_text

if TYPE_CHECKING:
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sample, Sampler
    from pipeprof.profiles.protocol.messages import MemoryLook


class RunProgress(Protocol):
    """Receiver of progress events, implemented by the caller."""

    def phase(self, name: str, seconds_expected: float | None) -> None:
        """Begin a phase; `seconds_expected` is its expected length, None if unknown."""

    def tick(self, rate: float | None, done: float, total: float | None) -> None:
        """Update the rate in batches per second, and the progress of the phase (seconds or steps)."""

    def standing(self, words: str) -> None:
        """Update what is known so far of what the phase measures, in a few words."""

    def ends_in(self, seconds: float | None, what: str = "") -> None:
        """Update how long all that follows may take at most, this phase and later ones; None if unknown.

        Args:
            what: A part of it that the time is for, where more may follow.
        """

    def watch(self, look: Callable[[], Running] | None) -> None:
        """Take what tells, at any moment, what the measured process does; None when it has ended."""

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

    def standing(self, words: str) -> None:
        """Ignore it."""

    def ends_in(self, seconds: float | None, what: str = "") -> None:
        """Ignore it."""

    def watch(self, look: Callable[[], Running] | None) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""

    def data(self, name: str, done: int, total: int) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Do nothing."""


class Watched:
    """Tells what the measured process does, from what it has sent and what the sampler has seen.

    It may be asked from another thread.

    Args:
        written: Op, name and place of each stage as it is written, as far as they are known by now.
    """

    def __init__(
        self, observed: Observed, sampler: Sampler, written: Callable[[], Sequence[tuple[str, str, str]]]
    ) -> None:
        self._observed = observed
        self._sampler = sampler
        self._written = written
        self._looks: tuple[MemoryLook | None, MemoryLook | None] = (None, None)
        self._sample: Sample | None = None
        self._cores: float | None = None

    def __call__(self) -> Running:
        """Look now."""
        observed, sample = self._observed, self._sampler.last
        look = observed.memory_look
        if look is not self._looks[1]:
            self._looks = (self._looks[1], look)
        steps = observed.measured.steps if observed.measured is not None else None
        if sample is not self._sample:
            self._cores, self._sample = _cores(self._sample, sample), sample
        return Running(
            rate=observed.rate,
            waits=steps.wait_share if steps is not None and steps.busy_ms is not None else None,
            bytes=sample.used_bytes if sample is not None else None,
            limit_bytes=self._sampler.limit_bytes,
            cores=self._cores,
            stages=self._stages(),
        )

    def _stages(self) -> tuple[RunningStage, ...]:
        before, look = self._looks
        if look is None or look.model is None:
            return ()
        earlier = before.model if before is not None else None
        seconds = look.memory.t - before.memory.t if before is not None else 0.0
        return running_stages(look.model, earlier, seconds, self._written())


def _cores(before: Sample | None, now: Sample | None) -> float | None:
    if before is None or now is None or before.cpu_seconds is None or now.cpu_seconds is None or now.t <= before.t:
        return None
    return max(0.0, now.cpu_seconds - before.cpu_seconds) / (now.t - before.t)


def ratio_so_far(value: float, low: float | None, high: float | None, pairs: int) -> str:
    """A ratio with its interval while more pairs are measured; few pairs have no interval.

    Example:
        >>> ratio_so_far(1.42, 1.35, 1.5, 6), ratio_so_far(1.4, None, None, 1)
        ('1.42× (1.35–1.50, 6 pairs)', '1.40× (1 pair)')
    """
    many = f"{pairs} pair{'' if pairs == 1 else 's'}"
    # One pair says nothing about the spread: its interval has no ends, or none that is a number.
    spread = f"{span_text(low, high)}, " if low and high and not math.isinf(high) else ""
    return f"{ratio_text(value)} ({spread}{many})"
