"""Why two pipelines differ (``--why``): versions between them, measured in rounds of fresh processes.

A round is a process of A, one of each version, and one more of A, which take turns as the processes of a pair do.
Where not all fit into memory, a round is several such groups, each with two processes of A of its own.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Protocol, TypeAlias

from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.experiment.decision import Verdict
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError, OutOfTimeError
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.judge.pairs import AGAIN, A, Pairs, Process, SideFailedError
from pipeprof.profiles.judge.verdicts.gating import counted
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME, MetricKind, Words
from pipeprof.profiles.judge.verdicts.result import Cause, Explanation, Result, WhySearch
from pipeprof.profiles.judge.verdicts.result import Metric as Row
from pipeprof.profiles.judge.verdicts.result import Round as RoundValues
from pipeprof.profiles.judge.why.effects import (
    Observation,
    Subset,
    Unit,
    contrast,
    is_clear,
    is_disturbed,
    left_over,
    share_of,
    units_of,
    words_together,
)
from pipeprof.profiles.judge.why.search import CauseSearch, Piece
from pipeprof.profiles.judge.words import main_metric
from pipeprof.profiles.protocol.job import Job

MOST_PROCESSES = 9
"""In one group: each is started once, and waits for the turns of all others."""
_MEMORY = "peak_bytes"
_OF_A_PAIR = 3
"""Processes: of A, of B, and another one of A."""
Values: TypeAlias = "Mapping[str, float]"
"""Of one process, by metric."""
Group: TypeAlias = "tuple[Values, Values | None, Mapping[Subset, Values]]"
"""Of processes that were measured together: of A, of the other process of A, and of versions."""


class Versions(Protocol):
    """Pipelines between A and B.

    Attributes:
        changes: What leads from A to B, in words.
        rest: Changes that can only be made after all others.
        problem: Why A with some changes is not possible; None where it is.
    """

    changes: list[str]
    rest: Subset
    problem: Callable[[Subset], str | None]

    def job(self, chosen: Subset) -> Callable[[], Job]:
        """What makes the job of A with some changes; of A itself with none."""
        ...


@dataclass(frozen=True)
class WhyPlan:
    """How much is measured, until `end_at` in seconds of `time.monotonic`; None for never."""

    rounds: int
    end_at: float | None = None
    limit_bytes: int | None = None


def explain(  # noqa: PLR0917 - what a search has
    result: Result, versions: Versions, session: Pairs, plan: WhyPlan, progress: RunProgress, save: Callable[[], object]
) -> None:
    """Find out which parts of a difference change the metrics, and write it into the result.

    Raises:
        SideFailedError: A process of A or B did not come to its end.
        InterruptedVerificationError: The user wants an end; what was measured is in the result.
    """
    began = time.monotonic()
    units = units_of(len(versions.changes), versions.problem)
    texts = [[versions.changes[number] for number in sorted(unit.members)] for unit in units]
    result.search = search = WhySearch(changes=texts)
    result.why = []
    search.note = note = reason_for_none(result, texts)
    if note is not None:
        return
    try:
        _Explanation(result, search, versions, units, session, plan, progress, save).run()
    finally:
        search.seconds = round(time.monotonic() - began, 2)
        save()


def reason_for_none(result: Result, changes: Sequence[Sequence[str]]) -> str | None:
    """Why no cause is searched, in a sentence; None where one is."""
    if not changes:
        return "A and B differ in nothing that is measured."
    rows = _rows_to_explain(result)
    if any(row.words not in {"no difference", "cannot tell"} for row in rows):
        return None
    if not rows or any(row.words == "cannot tell" for row in rows):
        return "It is not certain that B differs from A, so no cause was searched for."
    return "B is neither slower nor faster than A and needs the same memory: there is nothing to explain."


def _rows_to_explain(result: Result) -> list[Row]:
    memory = next((row for row in result.metrics if row.name == _MEMORY and row.limit is None), None)
    return [row for row in (main_metric(result), memory) if row is not None]


def effect_of(kind: MetricKind, a: Values, again: Values | None, version: Values) -> float | None:
    """The effect of a version in a round, positive where it is worse; None where a value is missing.

    Step intervals of versions with other batches are compared per element.
    """
    bases = [side for side in (a, again) if side is not None]
    effects = []
    for base in bases:
        one, other = base.get(kind.name, 0.0), version.get(kind.name, 0.0)
        if one <= 0 or other <= 0:
            return None
        if kind.name == "step_ms":
            sizes = _elements(base), _elements(version)
            if sizes[0] and sizes[1]:
                other *= sizes[0] / sizes[1]
        effects.append(kind.changes([one], [other])[0])
    return sum(effects) / len(effects)


def _elements(values: Values) -> float | None:
    """Elements of a batch; None where that is not known."""
    rate, step = values.get("elements_per_second"), values.get("step_ms")
    return rate * step / 1e3 if rate and step else None


def groups_of(names: Sequence[str], most: int) -> list[list[str]]:
    """Versions in groups of as equal a size as possible.

    Example:
        >>> groups_of(["V1", "V2", "V3"], 2)
        [['V1', 'V2'], ['V3']]
    """
    count = -(-len(names) // most)
    size = -(-len(names) // count)
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


@dataclass
class _Explanation:
    result: Result
    search: WhySearch
    versions: Versions
    units: Sequence[Unit]
    session: Pairs
    plan: WhyPlan
    progress: RunProgress
    save: Callable[[], object]

    def __post_init__(self) -> None:
        self._rest = frozenset(number for number, unit in enumerate(self.units) if unit.members & self.versions.rest)
        self._reasons = {number: unit.reason for number, unit in enumerate(self.units) if unit.reason}
        self._jobs = dict.fromkeys((A, AGAIN), self.versions.job(frozenset()))
        self._names: dict[Subset, str] = {}
        self._failed: set[Subset] = set()
        self._began = time.monotonic()
        self._seconds_of_process = _seconds_of_process(self.result)
        self._over = False
        self._number = self._searches = 0
        rows = _rows_to_explain(self.result)
        self._clear = [BY_NAME[row.name] for row in rows if row.words not in {"no difference", "cannot tell"}]

    def run(self) -> None:
        """Search, and write what was found."""
        count = len(self.units)
        driver = self._clear[0]
        search = CauseSearch(driver, self._measure, observations=self._observations(driver))
        try:
            # The one part of a difference is B itself, which the pairs have measured.
            pieces = search.run(count, self._rest) if count > 1 else [Piece(frozenset({0}))]
        except InterruptedVerificationError:
            self._write([Piece(frozenset({number})) for number in range(count)])
            raise
        self._write(pieces)

    def _write(self, pieces: Sequence[Piece]) -> None:
        result = self.result
        names = dict(enumerate(self.search.changes))
        result.why = []
        self.search.explanations = []
        for kind in self._clear:
            causes, explanation = account(kind, self._observations(kind), pieces, names, self._reasons)
            result.why += causes
            self.search.explanations.append(explanation)

    def _observations(self, kind: MetricKind, start: int = 0) -> list[Observation]:
        """The pairs of the comparison and the rounds from a number on, as effects of one metric."""
        everything = frozenset(range(len(self.units)))
        pairs = counted(self.result.pairs) if start == 0 else []
        found = [_observation(kind, [(pair.a, pair.again, {everything: pair.b})]) for pair in pairs]
        subsets = {name: subset for subset, name in self._names.items()}
        for number in range(start, self._number):
            groups = [
                (
                    one.values[A],
                    one.values[AGAIN],
                    {subsets[name]: values for name, values in one.values.items() if name in subsets},
                )
                for one in self.search.rounds
                if one.number == number
            ]
            found.append(_observation(kind, groups))
        return found

    def _measure(self, subsets: Sequence[Subset]) -> list[Observation]:
        """Measure versions in new rounds; none when the time is over."""
        start = self._number
        wanted = [subset for subset in subsets if subset not in self._failed and self._is_possible(subset)]
        for subset in wanted:
            if subset not in self._names:
                name = self._names[subset] = f"V{len(self._names) + 1}"
                self.search.versions[name] = sorted(subset)
                self._jobs[name] = self.versions.job(self._changes(subset))
        self._searches += bool(wanted)
        for turn in range(self.plan.rounds if wanted else 0):
            left = [subset for subset in wanted if subset not in self._failed]
            if not left or self._is_over(len(left)):
                break
            groups = groups_of([self._names[subset] for subset in left], self._most())
            of_round = sum(len(group) + 2 for group in groups)
            for number, group in enumerate(groups):
                done = sum(len(earlier) + 2 for earlier in groups[:number])
                self._tell_left((self.plan.rounds - turn) * of_round - done)
                try:
                    self._group(turn, group)
                except OutOfTimeError:
                    self._end_early()
                    return self._observations(self._clear[0], start) if self._number > start else []
            self._number += 1
            self.save()
        return self._observations(self._clear[0], start) if self._number > start else []

    def _is_possible(self, subset: Subset) -> bool:
        everything = frozenset(range(len(self.units)))
        if subset & self._rest and subset != everything:
            return False
        return subset == everything or self.versions.problem(self._changes(subset)) is None

    def _changes(self, subset: Subset) -> Subset:
        return frozenset[int]().union(*(self.units[number].members for number in subset))

    def _is_over(self, versions: int) -> bool:
        if self.plan.end_at is None or self._over:
            return self._over
        needed = self._seconds_of_process * (versions + 2 * len(groups_of([""] * versions, self._most())))
        if time.monotonic() + needed > self.plan.end_at:
            self._end_early()
        return self._over

    def _end_early(self) -> None:
        self._over = True
        self.result.warnings.append(Message(code="time-over", message="--max-time ended the search for causes."))

    def _tell_left(self, processes: int) -> None:
        """Tell how long the rounds that are planned may take; what they show may call for others."""
        seconds: float | None = self._seconds_of_process * processes
        if self.plan.end_at is not None:
            seconds = min(seconds, self.plan.end_at - time.monotonic()) if seconds else None
        self.progress.ends_in(seconds or None, "these rounds")

    def _most(self) -> int:
        """Versions of a group: with two processes of A, all have to fit into memory."""
        most = MOST_PROCESSES
        peaks = [max(pair.a.get(_MEMORY, 0.0), pair.b.get(_MEMORY, 0.0)) for pair in self.result.pairs]
        if self.plan.limit_bytes is not None and max(peaks, default=0.0) > 0 and self.session.order == "turns":
            most = min(most, int(self.plan.limit_bytes / max(peaks)))
        return max(1, most - 2)

    def _group(self, turn: int, names: list[str]) -> None:
        """Measure versions with two processes of A; one that fails is left out."""
        while names:
            began = time.monotonic()
            count = len(names) + 2
            search = f"search {self._searches}, " if self._searches > 1 else ""
            rounds = f"round {turn + 1} of {self.plan.rounds}"
            self.progress.phase(f"why: {search}{rounds}, {count} fresh processes", None)
            try:
                found = self.session.round(turn, {name: self._jobs[name] for name in (A, *names, AGAIN)})
            except MemberFailedError as error:
                self._drop(error, names)
                continue
            self._seconds_of_process = max(self._seconds_of_process, (time.monotonic() - began) / count)
            self.search.rounds.append(
                RoundValues(
                    number=self._number,
                    order=list(found.order),
                    values={name: self._values(name, process) for name, process in found.processes.items()},
                    started_s=round(began - self._began, 2),
                )
            )
            return

    def _values(self, name: str, process: Process) -> dict[str, float]:
        base = self.result.a.elements_per_batch
        return process.values(base if name in {A, AGAIN} else process.elements_per_batch() or base)

    def _drop(self, error: MemberFailedError, left: list[str]) -> None:
        """Go on without a version that fails.

        Raises:
            SideFailedError: It is A or B.
        """
        subset = next((subset for subset, name in self._names.items() if name == error.name), None)
        if subset is None or len(subset) == len(self.units):
            raise SideFailedError("a" if subset is None else "b", error.reason) from None
        self._failed.add(subset)
        left.remove(error.name)
        if len(subset) == 1:
            (unit,) = subset
            self._reasons[unit] = f"alone it {error.reason}"


def _seconds_of_process(result: Result) -> float:
    """Time that a process of a pair took at most; 0 where it is unknown."""
    starts = [pair.started_s for pair in result.pairs if pair.started_s is not None]
    each = [later - earlier for earlier, later in pairwise(starts)]
    return max(each, default=0.0) / _OF_A_PAIR


def _observation(kind: MetricKind, groups: Sequence[Group]) -> Observation:
    """One round, of one or several groups."""
    effects: dict[Subset, float] = {}
    same: list[float] = []
    for a, again, versions in groups:
        found = {subset: effect_of(kind, a, again, values) for subset, values in versions.items()}
        effects.update({subset: value for subset, value in found.items() if value is not None})
        itself = effect_of(kind, a, None, again) if again is not None else None
        same += [itself] if itself is not None else []
    return Observation(effects, fmean(same) if same else 0.0)


def account(
    kind: MetricKind,
    observations: Sequence[Observation],
    pieces: Sequence[Piece],
    names: Mapping[int, Sequence[str]],
    reasons: Mapping[int, str],
) -> tuple[list[Cause], Explanation]:
    """State what each piece of a difference does to a metric, the largest effect first.

    Args:
        names: The changes of each unit, in words.
        reasons: Why the changes of a unit are made together, or could not be measured, by unit.
    """
    floor = kind.on_scale()
    everything = frozenset(names)
    disturbed = is_disturbed(observations, floor)
    whole = contrast(observations, {everything: 1.0})
    effects = {piece: _effect(observations, piece, pieces, everything) for piece in pieces}
    words = words_together(kind, floor, effects, disturbed=disturbed)
    of_whole = words_together(kind, floor, {0: whole}, disturbed=disturbed)[0]
    finite = {piece: abs(found.mean) for piece, found in effects.items() if found and math.isfinite(found.mean)}
    sizes = dict.fromkeys(pieces, 0.0) | finite
    causes = []
    for piece in sorted(pieces, key=lambda piece: -sizes[piece]):
        found = effects[piece]
        low, high = kind.ends(found) if found else (None, None)
        causes.append(
            Cause(
                changes=[text for unit in sorted(piece.units) for text in names[unit]],
                metric=kind.name,
                change=kind.as_change(found.mean) if found else None,
                low=low,
                high=high,
                pairs=found.pairs if found else 0,
                share=share_of(found, whole) if found and whole and is_clear(of_whole) else None,
                kind=piece.kind,
                alone=_each_alone(kind, observations, piece),
                verdict=_verdict(kind, words[piece]),
                words=words[piece],
                reason=_reason(piece, reasons, found),
            )
        )
    measured = [piece for piece in pieces if piece.kind != "rest"]
    rest = (
        left_over(observations, everything, [piece.units for piece in measured])
        if len(measured) == len(pieces) > 1
        else None
    )
    return causes, _explanation(kind, whole, rest, floor, words=of_whole, disturbed=disturbed)


def _effect(
    observations: Sequence[Observation], piece: Piece, pieces: Sequence[Piece], everything: Subset
) -> Interval | None:
    if piece.kind != "rest":
        return contrast(observations, {piece.units: 1.0})
    others = everything - piece.units
    if others and (found := contrast(observations, {everything: 1.0, others: -1.0})) is not None:
        return found
    return left_over(observations, everything, [one.units for one in pieces if one is not piece])


def _each_alone(kind: MetricKind, observations: Sequence[Observation], piece: Piece) -> list[float]:
    """What each part of an interaction does alone, where all of them were measured."""
    if piece.kind != "together":
        return []
    found = [contrast(observations, {frozenset({unit}): 1.0}) for unit in sorted(piece.units)]
    known = [kind.as_change(one.mean) for one in found if one is not None]
    return known if len(known) == len(found) else []


def _explanation(
    kind: MetricKind, whole: Interval | None, rest: Interval | None, floor: float, *, words: Words, disturbed: bool
) -> Explanation:
    of_rest = words_together(kind, floor, {0: rest}, disturbed=disturbed)[0]
    low, high = kind.ends(whole) if whole else (None, None)
    rest_low, rest_high = kind.ends(rest) if rest else (None, None)
    return Explanation(
        metric=kind.name,
        change=kind.as_change(whole.mean) if whole else None,
        low=low,
        high=high,
        rounds=whole.pairs if whole else 0,
        words=words,
        rest=kind.as_change(rest.mean) if rest else None,
        rest_low=rest_low,
        rest_high=rest_high,
        rest_words=of_rest,
        disturbed=disturbed,
    )


def _verdict(kind: MetricKind, words: Words) -> Verdict:
    if words == "cannot tell":
        return "cannot tell"
    return "regressed" if words == kind.direction(worse=True) else "not regressed"


def _reason(piece: Piece, reasons: Mapping[int, str], found: Interval | None) -> str | None:
    given = [reasons[unit] for unit in sorted(piece.units) if unit in reasons]
    if given:
        return "; ".join(dict.fromkeys(given))
    return "not measured" if found is None else None
