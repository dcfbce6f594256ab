"""What a finding is after its edit was tried: a pure decision.

An edit is kept for its speed where the lower end of the interval exceeds a floor: 3 %, or more where the machine made a
larger difference of the same pipeline. It is kept for its memory where the peak falls in each of two pairs of fresh
processes by at least 20 MB and 10 % of what the pipeline adds to TensorFlow's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeprof.profiles.advise.rule import Semantics
from pipeprof.profiles.verify.judging.evidence import Evidence
from pipeprof.profiles.verify.judging.ratio import Ratio
from pipeprof.profiles.verify.judging.same_data import DataCheck, check_data
from pipeprof.profiles.wording import significant, size

PAIRS = 12
"""Pairs that a kept edit needs at least."""
MOST_PAIRS = 30
MOST_PROCESS_PAIRS = 4
"""Pairs of processes, where one works at a time: it takes a start of each."""
EARLY_PAIRS = 6
"""From which an edit can be given up whose interval ends before the floor."""
SPEED_FLOOR = 1.03
NEAR_GAIN = 1.05
"""A gain above it, with half of the pairs that decide, gets the rest of the time; of a smaller one they seldom do."""
LARGE_GAIN = 2.0
"""A gain above it needs fewer pairs where no time is left for more."""
SAME_WITHIN = 0.02
"""Two processes of the same pipeline differ by at most so much; where they do, only larger gains are judged."""
MEMORY_BYTES = 20_000_000
MEMORY_SHARE = 0.10

Status = Literal["kept", "rejected", "unverified"]
LOOKS = (PAIRS, 20, MOST_PAIRS)
"""Numbers of pairs at which an edit may be kept, and where the time ends: at every pair, some would be by chance."""


@dataclass(frozen=True)
class Judgement:
    """What a finding is.

    Attributes:
        saved_bytes: Fall of the peak of memory, the smaller one of two pairs; negative where it rose.
        data: Comparison of the data; None where they were not compared.
        settled: Whether more pairs could change it.
    """

    status: Status
    reason: str
    speedup: Ratio | None
    saved_bytes: int | None
    data: DataCheck | None
    settled: bool

    @property
    def is_promising(self) -> bool:
        """Whether the pairs so far show a gain and are too few to keep it, or half of them are there and show one."""
        speedup = self.speedup
        if speedup is None or speedup.pairs >= PAIRS:
            return False
        half = speedup.pairs >= PAIRS // 2 and speedup.low > 1.0 and speedup.value > NEAR_GAIN
        return speedup.low > SPEED_FLOOR or half


class _Judged(Protocol):
    """The judgement with what is common to all of one edit."""

    def __call__(self, status: Status, reason: str, *, settled: bool = True) -> Judgement: ...


def judge(evidence: Evidence, semantics: Semantics | None, *, for_memory: bool, last: bool = False) -> Judgement:
    """Decide about an edit from what was measured so far.

    Args:
        semantics: What the edit may change of the data; None for a replay, whose data are not compared.
        for_memory: Whether the finding is about memory.
        last: Whether no more pairs can be measured: a large gain is then kept from fewer.
    """
    data = _compare(evidence, semantics) if semantics is not None else None
    speedup, saved = evidence.speedup(), _saved(evidence)

    def judged(status: Status, reason: str, *, settled: bool = True) -> Judgement:
        return Judgement(status, reason, speedup, saved, data, settled)

    if data is not None and not data.same:
        return judged("rejected", f"the edit changes the data: {data.words}")
    if speedup is None:
        return judged("unverified", "no step was measured", settled=False)
    if for_memory:
        return _judge_memory(evidence, judged, speedup)
    if evidence.alone:
        return _judge_processes(evidence, judged, speedup)
    return _judge_speed(evidence, judged, speedup, last=last)


def _compare(evidence: Evidence, semantics: Semantics) -> DataCheck:
    built = evidence.built
    checks = [check_data(built["A1"], built["A2"], built[name], semantics) for name in ("B1", "B2")]
    return next((check for check in checks if not check.same), checks[0])


def _judge_speed(evidence: Evidence, judged: _Judged, speedup: Ratio, *, last: bool) -> Judgement:
    same = evidence.same()
    floor = _floor(same)
    if speedup.pairs >= EARLY_PAIRS and speedup.high < SPEED_FLOOR:
        return judged("rejected", f"no gain: {in_words(speedup)}")
    alone = [ratio.value for ratio in evidence.repeated() if ratio is not None]
    looks = speedup.pairs in LOOKS or (last and speedup.pairs >= PAIRS)
    holds = speedup.low > floor and min(alone, default=0.0) > SPEED_FLOOR and looks
    is_large = speedup.low > max(floor, LARGE_GAIN) and min(alone, default=0.0) > LARGE_GAIN
    if holds or (last and is_large and speedup.pairs >= EARLY_PAIRS):
        return judged("kept", _kept(evidence, speedup))
    if speedup.pairs < PAIRS:
        return judged("unverified", f"too few pairs: {in_words(speedup)}", settled=False)
    last = last or speedup.pairs >= MOST_PAIRS
    # More pairs of the same processes would not make a gain of it.
    hopeless = speedup.value < (SPEED_FLOOR if last or speedup.pairs >= LOOKS[1] else 1.0)
    if same is not None and abs(same.value - 1) > SAME_WITHIN:
        spread = f"{abs(same.value - 1) * 100:.0f} %"
        why = f"two processes of the same pipeline differ by {spread}: {in_words(speedup)}"
        return judged("unverified", why, settled=last or hopeless)
    if hopeless:
        return judged("rejected", f"no gain above 3 %: {in_words(speedup)}")
    return judged("unverified", f"cannot tell: {in_words(speedup)}", settled=last)


def _judge_processes(evidence: Evidence, judged: _Judged, speedup: Ratio) -> Judgement:
    """Decide from pairs of processes that ran one after the other: few, so only a large gain clears the interval."""
    spread = evidence.spread()
    last = speedup.pairs >= MOST_PROCESS_PAIRS
    if all(ratio < SPEED_FLOOR for ratio in evidence.ratios()):
        return judged("rejected", f"no gain: {in_words(speedup, alone=True)}")
    if speedup.low > max(SPEED_FLOOR, spread):
        return judged("kept", _kept(evidence, speedup))
    if spread - 1 > SAME_WITHIN:
        differ = f"processes of the same pipeline differ by {(spread - 1) * 100:.0f} %"
        return judged("unverified", f"{differ}: {in_words(speedup, alone=True)}", settled=last)
    return judged("unverified", f"cannot tell: {in_words(speedup, alone=True)}", settled=last)


def _floor(same: Ratio | None) -> float:
    """The speed-up that a kept edit exceeds.

    Where two processes of the same pipeline differ by more than 2 %, on either side, the largest difference that they
    may have is not the edit's.
    """
    if same is None:
        return math.inf
    if abs(same.value - 1) <= SAME_WITHIN:
        return max(SPEED_FLOOR, 1 + same.half_width)
    return max(SPEED_FLOOR, same.high, 1 / same.low if same.low else math.inf)


def _judge_memory(evidence: Evidence, judged: _Judged, speedup: Ratio) -> Judgement:
    peaks = evidence.peaks()
    if len(peaks) < 2:
        return judged("unverified", "the peak of memory is unknown")
    # The report states its speed as well, and a peak takes time to be reached.
    enough = evidence.alone or speedup.pairs >= EARLY_PAIRS
    lower = [before - after >= max(MEMORY_BYTES, MEMORY_SHARE * (before - runtime)) for before, after, runtime in peaks]
    if all(lower):
        return judged(
            "kept",
            f"lower peak in two pairs of processes; speed {in_words(speedup, alone=evidence.alone)}",
            settled=enough,
        )
    if any(lower):
        return judged("unverified", "the peak was lower in one of two pairs of processes", settled=enough)
    return judged("rejected", f"the peak is not lower: {describe_change(_saved(evidence) or 0)}", settled=enough)


def _saved(evidence: Evidence) -> int | None:
    """The smaller fall of the peak of two pairs."""
    peaks = evidence.peaks()
    return min(before - after for before, after, _ in peaks) if peaks else None


def _kept(evidence: Evidence, speedup: Ratio) -> str:
    same = evidence.same()
    against = f"; the same pipeline twice: {significant(same.value)}×" if same is not None else ""
    if evidence.alone:
        return f"{in_words(speedup, alone=True)}, one process after the other{against}"
    return f"{in_words(speedup)} in two pairs of processes{against}"


def in_words(ratio: Ratio, *, alone: bool = False) -> str:
    """A ratio with its interval and pairs.

    Args:
        ratio: The ratio.
        alone: Whether each pair is one of processes that ran one after the other.

    Example:
        >>> in_words(Ratio(1.794, 1.741, 1.832, 16))
        '1.79× (1.74 to 1.83, 16 pairs)'
        >>> in_words(Ratio(1.5, 1.2, 1.9, 2), alone=True)
        '1.50× (1.20 to 1.90, 2 pairs of processes)'
    """
    if alone and ratio.pairs > 1:
        between = f"{significant(ratio.low)} to {significant(ratio.high)}"
        return f"{significant(ratio.value)}× ({between}, {ratio.pairs} pairs of processes)"
    if ratio.pairs < EARLY_PAIRS:
        return f"{significant(ratio.value)}× in {ratio.pairs} pair{'s' if ratio.pairs != 1 else ''}"
    return f"{significant(ratio.value)}× ({significant(ratio.low)} to {significant(ratio.high)}, {ratio.pairs} pairs)"


def describe_change(saved: int) -> str:
    """A change of the peak in words, with its sign."""
    return f"−{size(saved)}" if saved > 0 else f"+{size(-saved)}"
