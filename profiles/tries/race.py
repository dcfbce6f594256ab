"""A race: changed pipelines measured side by side against one base, until it is known what each of them is.

Two processes run the base and one each up to four entrants, in rounds that begin and end with the base and run
backwards every other time, so that a slow drift of the machine falls on all alike. The data are compared first. What is
decided leaves (`pipeprof.profiles.tries.decide`); what is called a gain, or saves memory, goes on in a second process.
Rounds in which something else took much more of the cores than usual do not count, whatever they show.

Where memory has no room for that, or the step has a GPU to itself, one process exists at a time: each pipeline is
measured twice, from its start to its end, the base first and last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Literal, TypeAlias

from pipeprof.profiles.advise.proposal import Compared
from pipeprof.profiles.advise.text.bound_advice import WORTH
from pipeprof.profiles.experiment.decision import SPEED_FLOOR, Comparison, holding
from pipeprof.profiles.experiment.evidence import BASELINES, Evidence, saves_memory
from pipeprof.profiles.experiment.purposes import TRIES
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.same_data import DataCheck, check_data
from pipeprof.profiles.experiment.statistics import ERROR, Interval
from pipeprof.profiles.experiment.team import MemberFailedError
from pipeprof.profiles.experiment.turns import Turn, order_of, undisturbed
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest
from pipeprof.profiles.tries.decide import AGAIN_ROUNDS, changes_of, comparisons, is_seen_again, rates_of, standings
from pipeprof.profiles.tries.pace import RacePace

Status: TypeAlias = Literal["kept", "no gain", "undecided", "other data", "failed", "refused"]
"""`refused`: it is not possible on this pipeline, or was ended from outside, which says nothing against it."""

FAIR_ROUNDS = 6
"""After which a close answer leaves time for other changes: a gain of 1.2 is decided in half of all races by then."""
MOST_LEFT_OUT = TRIES.most // 4
"""Rounds that something else disturbed, after which nothing more is measured."""
MOST_AGAIN = 3 * AGAIN_ROUNDS
"""Rounds of a second process, those that were disturbed among them."""


@dataclass(frozen=True)
class Entrant:
    """A changed pipeline, for time or for memory; without semantics an upper bound, whose data are handed out again."""

    job: Options
    semantics: Compared | None
    for_memory: bool = False
    rounding: bool = True
    title: str = ""
    """Of its change, where a gain is told as soon as it is known."""

    @property
    def is_bound(self) -> bool:
        """Whether it hands out what stages gave, to show what they cost."""
        return self.semantics is None

    @property
    def for_speed(self) -> bool:
        """Whether its gain is what decides about it, together with that of others."""
        return not (self.for_memory or self.is_bound)


@dataclass(frozen=True)
class RaceResult:
    """What an entrant is, with what was measured of it and of its second process.

    `why` says what failed, or why nothing was decided, where the numbers do not; `late`, that the time was over.
    """

    status: Status
    why: str = ""
    compared: Comparison | None = None
    evidence: Evidence | None = None
    again: Evidence | None = None
    data: DataCheck | None = None
    late: bool = False

    @property
    def change(self) -> Interval | None:
        """Steps per second over those of the base."""
        return self.compared.change if self.compared is not None else None

    @property
    def peaks(self) -> list[tuple[int, int, int]]:
        """Peaks of memory of the base and of each process of the entrant, with TensorFlow's own part."""
        return [peak for one in (self.evidence, self.again) if one is not None for peak in one.peaks()]

    @property
    def saved_bytes(self) -> int | None:
        """Fall of the peak of memory, the smaller one of two processes; negative where it rose."""
        return min((before - after for before, after, _ in self.peaks), default=None)

    @property
    def peak_bytes(self) -> int | None:
        """The largest peak of its processes."""
        return max((after for _, after, _ in self.peaks), default=None)

    @property
    def built(self) -> Built | None:
        """What its process said once it was built, of the one that has compared epochs if one has."""
        every = [one.built.get(one.arm[0]) for one in (self.evidence, self.again) if one is not None]
        return max(filter(None, every), key=lambda one: one.compared, default=None)


class BaseLostError(Exception):
    """The base cannot be run several times at once; the message is why."""


@dataclass
class Race:
    """Races against one base, whose two workers live on from one race to the next.

    Attributes:
        tell: Receives the rounds that count, and the largest change so far.
        decided: Receives an entrant and what it is, once that is known.
        found: What is known of those that are decided; `so_far` of the others.
    """

    rounds: Rounds
    pace: RacePace
    _: KW_ONLY
    left: Callable[[], float]
    tell: Callable[[int, Interval | None], None] = lambda _rounds, _ahead: None
    decided: Callable[[Entrant, RaceResult], None] = lambda _entrant, _result: None
    found: dict[str, RaceResult] = field(default_factory=dict)
    so_far: dict[str, RaceResult] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._base: dict[str, Built] = {}
        self._built: dict[str, Built] = {}
        self._entrants: Mapping[str, Entrant] = {}
        self._again: list[str] = []
        """Entrants that have a second process, or wait for it."""
        self._looked = 0
        self._others = 0.0

    @property
    def is_fresh(self) -> bool:
        """Whether the next race has to start the base."""
        return not self._base

    @property
    def results(self) -> dict[str, RaceResult]:
        """What is known of each entrant by now."""
        return {**self.so_far, **self.found}

    def rebase(self) -> None:
        """End all workers: the next race is against another base."""
        self.rounds.team.end()
        self._base = {}

    def run(
        self, base: Callable[[], Mapping[str, Options]], entrants: Mapping[str, Entrant], others: float = 0.0
    ) -> dict[str, RaceResult]:
        """Measure changed pipelines until each of them is decided, or the time is over.

        `base` makes the jobs of the base, by the names in `BASELINES`; `others` are seconds for other races, once these
        pipelines had a fair chance.

        Raises:
            BaseLostError: The base could not be measured.
            InterruptedVerificationError: The user wants an end; `results` has what is known.
        """
        earlier, self._others = not self.is_fresh, others
        found = self._race(base, entrants)
        wrong = {name: entrants[name] for name, one in found.items() if one.status in {"failed", "other data"}}
        if earlier and wrong:
            # Files may have changed, or be gone, since the base was started: both are started at the same time.
            self.rebase()
            found = {**found, **self._race(base, wrong)}
        return found

    def _race(
        self, base: Callable[[], Mapping[str, Options]], entrants: Mapping[str, Entrant]
    ) -> dict[str, RaceResult]:
        def measure() -> None:
            self.found, self.so_far, self._built, self._again, self._looked = {}, {}, {}, [], 0
            self._entrants = entrants
            if self.pace.alone is None:
                self._side_by_side(base)
            else:
                self._one_by_one(base())

        try:
            self.rounds.fitting(measure, self._with_fewer)
        except (BaseLostError, MemberFailedError):
            self.rebase()
            raise
        finally:
            self.rounds.team.end(*entrants, *map(second_of, entrants))
        return {name: self.results.get(name, RaceResult("undecided", "no step was measured")) for name in entrants}

    def _with_fewer(self) -> None:
        self.pace = self.pace.one_by_one("more of them took more memory than there is")
        self.rebase()

    # Side by side

    def _side_by_side(self, base: Callable[[], Mapping[str, Options]]) -> None:
        fresh = {} if self._base else dict(base())
        started = self.rounds.start({**fresh, **{name: one.job for name, one in self._entrants.items()}}, self._lost)
        self._base |= {name: started[name] for name in fresh}
        self._built = {**self._base, **started}
        for name in self._racing:
            self._check_data(name, name)
        self.rounds.warm_up([*fresh, *self._racing], self.pace.warm, self._lost)
        turns: list[Turn] = []
        while self._racing:
            turns = self._take_rounds(turns)
            self._begin_again()

    @property
    def _racing(self) -> list[str]:
        return [name for name in self._entrants if name not in self.found]

    def _names(self) -> list[str]:
        second = [second_of(name) if name in self._again else name for name in self._racing]
        return [BASELINES[0], *second, BASELINES[1]]

    def _take_rounds(self, before: Sequence[Turn]) -> list[Turn]:
        """Measure rounds until an entrant waits for its second process, or all are decided; return all so far."""
        turns = list(before)
        for more in self.rounds.measure(self._names, self._block, len(before), self._lost):
            turns = [*before, *more]
            self._look(turns)
            if not self._racing or self._due:
                break
        return turns

    def _look(self, turns: Sequence[Turn]) -> None:
        counted = undisturbed(turns)
        rounds, left_out = [dict(turn.blocks) for turn in counted], len(turns) - len(counted)
        for name in self._again:
            self._look_again(name, rounds, sum(second_of(name) in turn.blocks for turn in turns))
        first = [name for name in self._racing if name not in self._again]
        rates = rates_of(rounds, [*BASELINES, *first])
        number, compared = len(rates[BASELINES[0]]), comparisons(rates)
        for name in first:
            own = Evidence(dict(self._built), _with(name, rounds), arm=(name,))
            data = self.so_far[name].data if name in self.so_far else None
            self.so_far[name] = RaceResult("undecided", "", compared.get(name), own, None, data)
        again = any(not self._entrants[name].is_bound for name in self._racing)
        needed = self.pace.turn_seconds * len(self._names()) + self.pace.again_seconds * again
        late = self.left() < needed + (self._others if number >= FAIR_ROUNDS else 0.0)
        last = (late and number >= TRIES.early) or left_out >= MOST_LEFT_OUT
        last = last or number >= TRIES.most or len(turns) >= TRIES.most + MOST_LEFT_OUT
        self._decide({name: compared[name] for name in first if name in compared}, number, last=last)
        if last:
            why = "" if left_out < MOST_LEFT_OUT else f"other processes disturbed {left_out} further rounds"
            for name in first:
                if name not in self.found and name not in self._again:
                    self._end(name, "undecided", why, late=late and not why)
        ahead = [one.change for one in self.results.values() if one.change is not None]
        self.tell(number, max(ahead, key=lambda change: change.mean, default=None))

    def _decide(self, compared: Mapping[str, Comparison], rounds: int, *, last: bool) -> None:
        """Let entrants leave that are decided, or go on in a second process."""
        for_speed = {name: one for name, one in compared.items() if self._entrants[name].for_speed}
        ended = [one for name, one in self.found.items() if self._entrants[name].for_speed]
        others = sum(one.status != "kept" and one.change is not None for one in ended)
        known = standings(for_speed, rounds, self._looked, others=others, last=last)
        is_due = TRIES.is_look(rounds, self._looked) or (last and rounds >= TRIES.early)
        self._looked = max(self._looked, rounds)
        for name, one in compared.items():
            entrant = self._entrants[name]
            if entrant.is_bound and is_due:
                self._decide_bound(name, one, rounds)
            elif entrant.for_memory and is_due:
                self._go_on(name) if _saves(self.so_far[name].evidence) else self._end(name, "no gain")
            elif known.get(name) == "gain":
                self._go_on(name)
            elif known.get(name) == "no gain":
                self._end(name, "no gain")
            elif known.get(name) == "hopeless":
                self._end(name, "undecided")

    def _decide_bound(self, name: str, compared: Comparison, rounds: int) -> None:
        """How fast a pipeline is at most: for that, a few rounds do."""
        if compared.falls_short() or compared.change.high < WORTH:
            self._end(name, "no gain")
        elif compared.exceeds():
            self._end(name, "kept")
        elif rounds >= FAIR_ROUNDS:
            self._end(name, "undecided")

    def _go_on(self, name: str) -> None:
        self._again.append(name)
        self.rounds.team.end(name)

    @property
    def _due(self) -> dict[str, str]:
        waiting = [name for name in self._again if name not in self.found]
        return {second_of(name): name for name in waiting if second_of(name) not in self._built}

    def _begin_again(self) -> None:
        due = self._due
        if not due:
            return
        jobs = {second: without_comparison(self._entrants[name].job) for second, name in due.items()}
        started = self.rounds.start(jobs, self._lost)
        self._built.update(started)
        for second in started:
            self._check_data(due[second], second)
        going = [second for second in started if due[second] not in self.found]
        self.rounds.warm_up(going, self.pace.warm, self._lost)

    def _look_again(self, name: str, rounds: Sequence[Mapping[str, TurnEnded]], taken: int) -> None:
        second = second_of(name)
        if name in self.found:
            return
        changes = changes_of(rates_of(rounds, [*BASELINES, second]), second)
        own = Evidence(dict(self._built), _with(second, rounds), base=BASELINES[::-1], arm=(second,))
        self.so_far[name] = replace(self.so_far[name], again=own)
        if len(changes) >= AGAIN_ROUNDS:
            shown = _saves(own) if self._entrants[name].for_memory else is_seen_again(changes)
            self._end(name, "kept" if shown else "undecided", "" if shown else "a second process does not show it")
        elif taken >= MOST_AGAIN:
            self._end(name, "undecided", "other processes disturbed the rounds of its second process")

    # One at a time

    def _one_by_one(self, jobs: Mapping[str, Options]) -> None:
        every = {**jobs, **{name: one.job for name, one in self._entrants.items()}}
        rounds: list[dict[str, TurnEnded]] = []
        for number in range(self.pace.passes):
            order = order_of(number, (BASELINES[0], *self._racing, BASELINES[1]))
            if not self._racing or (number and self.left() < self.pace.seconds_of(len(order) - 2, fresh=False) / 2):
                break
            blocks: dict[str, TurnEnded] = {}
            alone = self.rounds.alone(order, every.__getitem__, self.pace.warm, self._block, lost=self._lost)
            for name, built, ended in alone:
                self._built.setdefault(name, built)
                blocks[name] = ended[0]
                self.tell(len(rounds), None)
            rounds.append(blocks)
            for name in self._racing:
                self._check_data(name, name)
        racing = self._racing
        rates = rates_of(rounds, [*BASELINES, *racing])
        compared = comparisons(rates, one_start=False)
        base = [value for name in BASELINES for value in rates[name]]
        # Of processes that run alone, one may be as far off as the slowest of the base is from the fastest.
        floor = max(SPEED_FLOOR, max(base) - min(base)) if base else SPEED_FLOOR
        gains = holding({name: (one, floor) for name, one in compared.items()}, ERROR)
        late = len(rounds) < self.pace.passes
        for name in racing:
            own = Evidence(dict(self._built), _with(name, rounds), arm=(name,), alone=True)
            # A peak is that of the last round: each of both processes has its own.
            first = None if late else replace(own, rounds=own.rounds[:1], base=BASELINES[::-1])
            self.so_far[name] = replace(self.so_far[name], compared=compared.get(name), evidence=own, again=first)
            if self._entrants[name].for_memory:
                kept, short = not late and _saves(own) and _saves(first), not _saves(own)
            else:
                kept, short = name in gains, name in compared and compared[name].falls_short()
            self._end(name, "kept" if kept else "no gain" if short else "undecided", late=late)

    # Both

    def _block(self, _name: str, _before: Sequence[TurnEnded]) -> TurnRequest:
        return self.pace.block

    def _check_data(self, name: str, process: str) -> None:
        """Compare the data of a process of an entrant; where they are not what they may be, it leaves."""
        entrant = self._entrants[name]
        if entrant.semantics is None:
            self.so_far.setdefault(name, RaceResult("undecided"))
            return
        first, last = (self._built[base] for base in BASELINES)
        data = check_data(first, last, self._built[process], entrant.semantics)
        self.so_far[name] = replace(self.so_far.get(name, RaceResult("undecided")), data=data)
        if not data.same:
            self._end(name, "other data", f"it changes the data: {data.words}")
        elif data.level == "rounding" and not entrant.rounding:
            self._end(name, "other data", f"it changes the data: {data.words}; --allow values permits that")

    def _end(self, name: str, status: Status, why: str = "", *, late: bool = False) -> None:
        known = self.so_far.get(name, RaceResult("undecided"))
        self.found[name] = replace(known, status=status, why=why, late=late)
        self.decided(self._entrants[name], self.found[name])
        self.rounds.team.end(name, second_of(name))

    def _lost(self, error: MemberFailedError) -> None:
        """Take a worker that failed: an entrant leaves the race, the base ends it."""
        if error.name in BASELINES:
            raise BaseLostError(error.reason) from None
        name = error.name.removesuffix(_SECOND)
        why = f"{'its second process ' if name != error.name else ''}{error.reason}"
        if error.refused or error.outside:
            self._end(name, "refused" if name == error.name else "undecided", why)
        else:
            self._end(name, "failed", why)


_SECOND = "+"


def second_of(name: str) -> str:
    """The name of an entrant's second process."""
    return name + _SECOND


def without_comparison(job: Options) -> Options:
    """The job of a second process: the first one has compared two epochs of what a cache keeps."""
    return replace(job, turns=replace(job.turns, compare_epochs=False)) if job.turns is not None else job


def _with(name: str, rounds: Sequence[Mapping[str, TurnEnded]]) -> list[dict[str, TurnEnded]]:
    return [dict(blocks) for blocks in rounds if name in blocks]


def _saves(evidence: Evidence | None) -> bool:
    """Whether the peak of memory is lower by as much as counts, in each process that was measured."""
    peaks = evidence.peaks() if evidence is not None else []
    return bool(peaks) and all(saves_memory(*peak) for peak in peaks)
