"""What a finding is after its edit was tried: a pure decision.

An edit is kept for its speed where `pipeprof.profiles.experiment.decision` calls its gain one, at one of the looks. It
is kept for its memory where the peak falls in each of two pairs of fresh processes by at least 20 MB and 10 % of what
the pipeline adds to TensorFlow's own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol

from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.experiment.decision import LEAST_GAIN, SPEED_FLOOR, Comparison
from pipeprof.profiles.experiment.evidence import Evidence, saves_memory
from pipeprof.profiles.experiment.purposes import QUICK
from pipeprof.profiles.experiment.same_data import DataCheck, check_data
from pipeprof.profiles.experiment.statistics import ERROR, Interval
from pipeprof.profiles.propose.proposal import Compared
from pipeprof.profiles.wording import percent, ratio_text, significant, size

MOST_PROCESS_PAIRS = 4
"""Pairs of processes, where one works at a time: it takes a start of each."""
NEAR_GAIN = 1.05
"""A gain above it, with half of the pairs that decide, gets the rest of the time; of a smaller one they seldom do."""
_HOPELESS_PAIRS = 12
"""From which a change that is so far less than the floor faster is given up; one that is slower, at the first look."""
WORTH = 1.3
"""Gain from which a change is advice: what brings less at most is none."""

Status = Literal["kept", "rejected", "unverified"]


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
    speedup: Interval | None
    saved_bytes: int | None
    data: DataCheck | None
    settled: bool

    @property
    def is_promising(self) -> bool:
        """Whether the pairs so far show a gain and are too few to keep it, or half of them are there and show one."""
        speedup = self.speedup
        if speedup is None or speedup.pairs >= QUICK.pairs:
            return False
        half = speedup.pairs >= QUICK.pairs // 2 and speedup.low > 1.0 and speedup.value > NEAR_GAIN
        return speedup.low > LEAST_GAIN or half


class _Judged(Protocol):
    """The judgement with what is common to all of one edit."""

    def __call__(self, status: Status, reason: str, *, settled: bool = True) -> Judgement: ...


def judge(
    evidence: Evidence, semantics: Compared | None, *, for_memory: bool, last: bool = False, before: int = 0
) -> Judgement:
    """Decide about an edit from what was measured so far.

    Args:
        semantics: What the edit may change of the data; None for a replay, whose data are not compared.
        for_memory: Whether the finding is about memory.
        last: Whether no more pairs can be measured.
        before: The most pairs that were judged until now.
    """
    data = _compare(evidence, semantics) if semantics is not None else None
    compared, saved = evidence.comparison(), _saved(evidence)
    speedup = compared.change if compared is not None else None

    def judged(status: Status, reason: str, *, settled: bool = True) -> Judgement:
        return Judgement(status, reason, speedup, saved, data, settled)

    if data is not None and not data.same:
        return judged("rejected", f"the edit changes the data: {data.words}")
    if compared is None:
        return judged("unverified", "no step was measured", settled=False)
    if for_memory:
        return _judge_memory(evidence, judged, compared.change)
    return _judge_speed(evidence, judged, compared, last=last, before=before, bound=semantics is None)


def _compare(evidence: Evidence, semantics: Compared) -> DataCheck:
    built = evidence.built
    one, other = (built[name] for name in (evidence.base[0], evidence.base[-1]))
    checks = [check_data(one, other, built[name], semantics) for name in evidence.arm]
    return next((check for check in checks if not check.same), checks[0])


def _judge_speed(
    evidence: Evidence, judged: _Judged, compared: Comparison, *, last: bool, before: int, bound: bool
) -> Judgement:
    """Decide about a gain, or how fast a pipeline is at most: for that, a few pairs do."""
    speedup, alone = compared.change, evidence.alone
    pairs, words = speedup.pairs, in_words(speedup, alone=evidence.alone)
    # Where processes run alone, two pairs have an interval.
    least = 2 if alone else QUICK.early
    if pairs >= least and (compared.falls_short() or (bound and speedup.high < WORTH)):
        return judged("rejected", f"no gain: {words}")
    # Of processes that run alone, one may be as far off as the slowest of the base is from the fastest.
    floor = max(SPEED_FLOOR, math.log(evidence.spread())) if alone else SPEED_FLOOR
    is_due = alone or QUICK.is_look(pairs, before) or (pairs >= least and (last or bound))
    if is_due and compared.exceeds(floor, QUICK.error_at(pairs) if not (alone or bound) else ERROR):
        return judged("kept", _kept(evidence, speedup))
    if pairs < least:
        return judged("unverified", f"too few pairs to decide: {words}", settled=False)
    last = last or pairs >= (MOST_PROCESS_PAIRS if alone else QUICK.pairs if bound else QUICK.most)
    # More pairs of the same processes would not make a gain of it.
    hopeless = not alone and speedup.value < (LEAST_GAIN if last or pairs >= _HOPELESS_PAIRS else 1.0)
    differ = evidence.spread() - 1 if alone else math.expm1(compared.own_differences)
    if differ > FLOOR:
        why = f"processes of this pipeline {'' if alone else 'may '}differ by up to {percent(differ)}"
        return judged("unverified", f"undecided: {words}, {why}", settled=last or hopeless)
    return judged("unverified", f"cannot tell: {words}", settled=last or hopeless)


def _judge_memory(evidence: Evidence, judged: _Judged, speedup: Interval) -> Judgement:
    peaks = evidence.peaks()
    if len(peaks) < 2:
        return judged("unverified", "the peak of memory is unknown")
    # The report states its speed as well, and a peak takes time to be reached.
    enough = evidence.alone or speedup.pairs >= QUICK.early
    lower = [saves_memory(*peak) for peak in peaks]
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


def _kept(evidence: Evidence, speedup: Interval) -> str:
    same = evidence.same()
    against = f"; the same pipeline twice: {ratio_text(same.value)}" if same is not None else ""
    if evidence.alone:
        return f"{in_words(speedup, alone=True)}, one process after the other{against}"
    return f"{in_words(speedup)} in two pairs of processes{against}"


def in_words(ratio: Interval, *, alone: bool = False) -> str:
    """A ratio with its interval and pairs.

    Args:
        alone: Whether each pair is one of processes that ran one after the other.

    Example:
        >>> in_words(Interval(0.5844, 0.0091, 15, 16))
        '1.79× (1.75 to 1.84, 16 pairs)'
        >>> in_words(Interval(0.4055, 0.03, 2, 2), alone=True)
        '1.50× (1.22 to 1.85, 2 pairs of processes)'
    """
    if alone and ratio.pairs > 1 and ratio.freedom:
        between = f"{significant(ratio.low)} to {significant(ratio.high)}"
        return f"{ratio_text(ratio.value)} ({between}, {ratio.pairs} pairs of processes)"
    if ratio.pairs < QUICK.early:
        return f"{ratio_text(ratio.value)} in {ratio.pairs} pair{'s' if ratio.pairs != 1 else ''}"
    return f"{ratio_text(ratio.value)} ({significant(ratio.low)} to {significant(ratio.high)}, {ratio.pairs} pairs)"


def describe_change(saved: int) -> str:
    """A change of the peak in words, with its sign."""
    return f"−{size(saved)}" if saved > 0 else f"+{size(-saved)}"
