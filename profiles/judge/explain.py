"""Why two pipelines differ (``--why``): versions between them, measured in rounds of fresh processes.

A round is a process of A, one of each version, and one more of A, which take turns as the processes of a pair do.
Where not all fit into memory, a round is several such groups, each with two processes of A of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol, TypeAlias

from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.judge.pairs import AGAIN, A, Pairs, SideFailedError
from pipeprof.profiles.judge.process import Process
from pipeprof.profiles.judge.verdicts.counting import counted
from pipeprof.profiles.judge.verdicts.metrics import BY_NAME, MetricKind
from pipeprof.profiles.judge.verdicts.result import Metric as Row
from pipeprof.profiles.judge.verdicts.result import Result, WhySearch
from pipeprof.profiles.judge.verdicts.result import Round as RoundValues
from pipeprof.profiles.judge.why.account import account
from pipeprof.profiles.judge.why.effects import Observation
from pipeprof.profiles.judge.why.search import CauseSearch, Piece
from pipeprof.profiles.judge.why.units import Subset, Unit, units_of
from pipeprof.profiles.judge.words import main_metric
from pipeprof.profiles.protocol.job import Job

MOST_PROCESSES = 9
"""In one group: each is started once, and waits for the turns of all others."""
_MEMORY = "peak_bytes"
Values: TypeAlias = "Mapping[str, float]"
"""Of one process, by metric."""
Group: TypeAlias = "tuple[Values, Values | None, Mapping[Subset, Values]]"
"""Of processes that were measured together: of A, of the other process of A, and of versions."""


class Versions(Protocol):
    """Pipelines between A and B."""

    @property
    def changes(self) -> Sequence[str]:
        """What leads from A to B, in words."""
        ...

    @property
    def rest(self) -> Subset:
        """Changes that can only be made after all others."""
        ...

    def problem(self, chosen: Subset) -> str | None:
        """Why A with some changes is not possible; None where it is."""
        ...

    def job(self, chosen: Subset) -> Callable[[], Job]:
        """What makes the job of A with some changes; of A itself with none."""
        ...


@dataclass(frozen=True)
class WhyPlan:
    """How much is measured.

    Attributes:
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
        limit_bytes: Memory that all processes may use together; None for any.
    """

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
    explanation = _Explanation(result, versions, units, session, plan, progress, save)
    try:
        explanation.run()
    finally:
        search.seconds = round(time.monotonic() - began, 2)
        save()


def reason_for_none(result: Result, changes: Sequence[Sequence[str]]) -> str | None:
    """Why no cause is searched, in a sentence; None where one is."""
    if not changes:
        return "A and B do not differ in anything that is measured."
    rows = [row for row in (main_metric(result), _row(result, _MEMORY)) if row is not None]
    if any(row.words not in {"no difference", "cannot tell"} for row in rows):
        return None
    if not rows or any(row.words == "cannot tell" for row in rows):
        return "Whether B differs from A is not certain, so no cause is searched."
    return "B is neither slower nor faster than A, and needs as much memory: there is nothing to explain."


def _row(result: Result, name: str) -> Row | None:
    return next((row for row in result.metrics if row.name == name and row.limit is None), None)


def effect_of(kind: MetricKind, a: Values, again: Values | None, version: Values) -> float | None:
    """The effect of a version in a round, positive where it is worse; None where a value is missing.

    Step intervals of versions with other batches are compared per element.

    Args:
        again: Of the other process of A, if there is one.
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

    Args:
        most: In one group, at least 1.

    Example:
        >>> groups_of(["V1", "V2", "V3"], 2)
        [['V1', 'V2'], ['V3']]
    """
    count = -(-len(names) // most)
    size = -(-len(names) // count)
    return [list(names[start : start + size]) for start in range(0, len(names), size)]


class _Explanation:
    """State of one search."""

    def __init__(  # noqa: PLR0917 - what a search has
        self,
        result: Result,
        versions: Versions,
        units: Sequence[Unit],
        session: Pairs,
        plan: WhyPlan,
        progress: RunProgress,
        save: Callable[[], object],
    ) -> None:
        assert result.search is not None  # noqa: S101 - for the type checker: the caller has made it
        self._result = result
        self._search = result.search
        self._versions = versions
        self._session = session
        self._plan = plan
        self._progress = progress
        self._save = save
        self._units = units
        self._rest = frozenset(number for number, unit in enumerate(self._units) if unit.members & versions.rest)
        self._reasons = {number: unit.reason for number, unit in enumerate(self._units) if unit.reason}
        self._jobs: dict[str, Callable[[], Job]] = {A: versions.job(frozenset()), AGAIN: versions.job(frozenset())}
        self._names: dict[Subset, str] = {}
        self._failed: set[Subset] = set()
        self._began = time.monotonic()
        self._seconds_of_process = 0.0
        self._over = False
        self._number = 0
        rows = [row for row in (main_metric(result), _row(result, _MEMORY)) if row is not None]
        self._clear = [BY_NAME[row.name] for row in rows if row.words not in {"no difference", "cannot tell"}]

    def run(self) -> None:
        """Search, and write what was found."""
        count = len(self._units)
        driver = self._clear[0]
        search = CauseSearch(driver, self._measure, observations=self._observations(driver))
        try:
            pieces = search.run(count, self._rest)
        except InterruptedVerificationError:
            self._write([Piece(frozenset({number})) for number in range(count)])
            raise
        self._write(pieces)

    def _write(self, pieces: Sequence[Piece]) -> None:
        result = self._result
        names = dict(enumerate(self._search.changes))
        result.why = []
        self._search.explanations = []
        for kind in self._clear:
            causes, explanation = account(kind, self._observations(kind), pieces, names, self._reasons)
            result.why += causes
            self._search.explanations.append(explanation)

    def _observations(self, kind: MetricKind, start: int = 0) -> list[Observation]:
        """The pairs of the comparison and the rounds from a number on, as effects of one metric."""
        everything = frozenset(range(len(self._units)))
        pairs = counted(self._result.pairs) if start == 0 else []
        found = [_observation(kind, [(pair.a, pair.again, {everything: pair.b})]) for pair in pairs]
        subsets = {name: subset for subset, name in self._names.items()}
        for number in range(start, self._number):
            groups = [
                (
                    one.values[A],
                    one.values[AGAIN],
                    {subsets[name]: values for name, values in one.values.items() if name in subsets},
                )
                for one in self._search.rounds
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
                self._search.versions[name] = sorted(subset)
                self._jobs[name] = self._versions.job(self._changes(subset))
        for turn in range(self._plan.rounds if wanted else 0):
            left = [subset for subset in wanted if subset not in self._failed]
            if not left or self._is_over(len(left)):
                break
            self._round(turn, left)
            self._save()
        return self._observations(self._clear[0], start) if self._number > start else []

    def _is_possible(self, subset: Subset) -> bool:
        everything = frozenset(range(len(self._units)))
        if subset & self._rest and subset != everything:
            return False
        return subset == everything or self._versions.problem(self._changes(subset)) is None

    def _changes(self, subset: Subset) -> Subset:
        return frozenset[int]().union(*(self._units[number].members for number in subset))

    def _is_over(self, versions: int) -> bool:
        if self._plan.end_at is None or self._over:
            return self._over
        needed = self._seconds_of_process * (versions + len(self._groups(versions)) * 2)
        if time.monotonic() + needed > self._plan.end_at:
            self._over = True
            self._result.warnings.append(Message(code="time-over", message="--max-time ended the search for causes."))
        return self._over

    def _groups(self, versions: int) -> list[list[str]]:
        return groups_of([""] * versions, self._most())

    def _most(self) -> int:
        """Versions of a group: with two processes of A, all have to fit into memory."""
        most = MOST_PROCESSES
        peaks = [max(pair.a.get(_MEMORY, 0.0), pair.b.get(_MEMORY, 0.0)) for pair in self._result.pairs]
        if self._plan.limit_bytes is not None and max(peaks, default=0.0) > 0 and self._session.order == "turns":
            most = min(most, int(self._plan.limit_bytes / max(peaks)))
        return max(1, most - 2)

    def _round(self, turn: int, subsets: Sequence[Subset]) -> None:
        """Measure a round, group by group."""
        for group in groups_of([self._names[subset] for subset in subsets], self._most()):
            self._group(turn, list(group))
        self._number += 1

    def _group(self, turn: int, names: list[str]) -> None:
        """Measure versions with two processes of A; one that fails is left out."""
        while names:
            began = time.monotonic()
            count = len(names) + 2
            self._progress.phase(f"why: round {turn + 1} of {self._plan.rounds}, {count} fresh processes", None)
            try:
                found = self._session.round(turn, {name: self._jobs[name] for name in (A, *names, AGAIN)})
            except MemberFailedError as error:
                self._drop(error, names)
                continue
            self._seconds_of_process = max(self._seconds_of_process, (time.monotonic() - began) / count)
            self._search.rounds.append(
                RoundValues(
                    number=self._number,
                    order=list(found.order),
                    values={name: self._values(name, process) for name, process in found.processes.items()},
                    started_s=round(began - self._began, 2),
                )
            )
            return

    def _values(self, name: str, process: Process) -> dict[str, float]:
        base = self._result.a.elements_per_batch
        return process.values(base if name in {A, AGAIN} else process.elements_per_batch() or base)

    def _drop(self, error: MemberFailedError, left: list[str]) -> None:
        """Go on without a version that fails.

        Raises:
            SideFailedError: It is A or B.
        """
        subset = next((subset for subset, name in self._names.items() if name == error.name), None)
        if subset is None or len(subset) == len(self._units):
            raise SideFailedError("a" if subset is None else "b", error.reason) from None
        self._failed.add(subset)
        left.remove(error.name)
        if len(subset) == 1:
            (unit,) = subset
            self._reasons[unit] = f"alone it {error.reason}"


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
