"""Several changed pipelines measured side by side against the best one so far.

Two processes run the best one so far, one process each changed one, in rounds that begin and end with the best one so
far. What lags behind for certain is given up after three rounds. The machine's own speed wanders, by 10 % within tenths
of a second: many short blocks tell more than few long ones, where a block still has enough steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from pipeprof.profiles.experiment.decision import LEAST_GAIN, Comparison
from pipeprof.profiles.experiment.evidence import BASELINES, Evidence
from pipeprof.profiles.experiment.purposes import LARGE_GAIN, RACE
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.same_data import DataCheck, check_data
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.propose.proposal import Compared
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import Built, TurnEnded, TurnRequest
from pipeprof.profiles.verify.plan import Pace

SHORT_BLOCK = 0.1
"""Seconds of a block of short steps."""
SHORT_BLOCK_STEPS = 10
"""That a block shorter than the usual one has at least."""
SHORTEST_WARM = 0.5
CLEAR_GAIN = 1.2
"""A gain above it for certain is enough, where all others have been given up: the proof measures it again."""
HOPELESS_ROUNDS = 6
"""From which a change is given up that is slower so far."""
SURELY_FASTEST = 0.07
"""Half the width of the interval, as a share, with which the fastest is known."""
SURELY_FAST = 0.14
"""The same of a large gain: what the others have that it lacks is tried again on top of it."""


@dataclass(frozen=True)
class Rival:
    """A changed pipeline in a race.

    Attributes:
        rounds: Whether the last digits of its numbers may be others.
        caches: Whether it keeps elements for later epochs: it outruns no change that gains in each of them.
    """

    job: Job
    semantics: Compared
    for_memory: bool = False
    rounds: bool = False
    caches: bool = False

    def refusal(self, check: DataCheck) -> Raced | None:
        """Why it is out of the race for its data; None where these are what they may be."""
        if not check.same:
            return Raced(f"it changes the data: {check.words}", data=check)
        if check.level == "rounding" and not self.rounds:
            return Raced(f"it changes the data: {check.words}; --allow values permits that", data=check)
        return None


@dataclass(frozen=True)
class Raced:
    """What was measured of a changed pipeline.

    Attributes:
        failure: Why it could not be measured, in words; None where it was.
        compared: With the best one so far; None where no round was complete.
        base_peak_bytes: The smaller peak of the two processes of the best one so far.
        data: Comparison of its first batches; None where it could not be measured.
        refused: It is not possible on this pipeline, which says nothing against it.
    """

    failure: str | None = None
    compared: Comparison | None = None
    ratios: tuple[float, ...] = ()
    peak_bytes: int | None = None
    base_peak_bytes: int | None = None
    runtime_bytes: int | None = None
    data: DataCheck | None = None
    refused: bool = False

    @property
    def ratio(self) -> Interval | None:
        """Steps per second over those of the best one so far."""
        return self.compared.change if self.compared is not None else None


class BaseFailedError(Exception):
    """The best pipeline so far cannot be run several times at once; the message is why."""


class ChangedFileError(Exception):
    """A file of the pipeline is not what it was when the pipeline was measured; the message names it."""


@dataclass
class Races:
    """Races against one pipeline, whose two workers live on from one race to the next.

    Attributes:
        tick: Receives the rounds that are done, their number at most, and the fastest pipeline's ratio, if it has one.
        alone: Whether one process exists at a time: from the start, or since several took more memory than there is.
    """

    team: Team
    pace: Pace
    _: KW_ONLY
    timeout: float
    left: Callable[[], float]
    tick: Callable[[int, int, Interval | None], None]
    budget: float = 60.0
    alone: bool = False

    def __post_init__(self) -> None:
        mode: Mode = "sequential" if self.alone else "alternating"
        self._rounds = Rounds(self.team, mode, timeout=self.timeout, cores=None)
        self._block = _block_of(self.pace)
        self._most_rounds = _rounds_of(self._block)
        warm = max(SHORTEST_WARM, min(RACE.warm_seconds, RACE.warm_share * self.budget))
        self._warm = TurnRequest("warm", max(warm, 3 * self.pace.block.settle_seconds))
        self._base: dict[str, Built] = {}
        self._found: dict[str, Raced] = {}

    def seconds_of(self, rivals: int) -> float:
        """Seconds of measuring that a race takes at least."""
        warm = self._warm.seconds * (rivals + (0 if self._base else len(BASELINES)))
        return warm + RACE.early * self._turn_seconds * (rivals + len(BASELINES))

    @property
    def _turn_seconds(self) -> float:
        return self._block.seconds + self._block.settle_seconds

    def rebase(self) -> None:
        """End all workers: the next race is against another pipeline."""
        self.team.end()
        self._base = {}

    def run(self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival]) -> dict[str, Raced]:
        """Measure changed pipelines until it is clear which is the fastest.

        Args:
            base: Makes the jobs of the best pipeline so far, by the names in `BASELINES`.

        Raises:
            BaseFailedError: The best pipeline so far could not be measured.
            InterruptedVerificationError: The user wants an end.
        """

        def race() -> None:
            self._found = {}
            if self.alone:
                self._one_by_one(base(), rivals)
            else:
                self._side_by_side(base, rivals)

        try:
            self._rounds.fitting(race, self._with_fewer)
        except (BaseFailedError, MemberFailedError):
            self.rebase()
            raise
        finally:
            self.team.end(*rivals)
        return self._found

    def _with_fewer(self, _mode: Mode) -> None:
        self.alone = True
        self.rebase()

    def _side_by_side(self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival]) -> None:
        jobs = {**({} if self._base else base()), **{name: rival.job for name, rival in rivals.items()}}
        built = {**self._base, **self._rounds.start(jobs, self._lost(""))}
        self._base = {name: built[name] for name in BASELINES}
        left = [name for name in rivals if name in built and self._may_race(name, rivals[name], built)]
        self._rounds.warm_up([name for name in jobs if name in {*BASELINES, *left}], self._warm, self._lost())

        def names() -> list[str]:
            left[:] = [name for name in left if name not in self._found or self._found[name].failure is None]
            return [BASELINES[0], *left, BASELINES[1]]

        if not names()[1:-1]:
            return
        for turns in self._rounds.measure(names, lambda _name, _before: self._block, lost=self._lost()):
            rounds = [dict(turn.blocks) for turn in turns]
            for name in names()[1:-1]:
                self._found[name] = _raced(name, rivals[name], built, rounds)
            self.tick(len(rounds), self._most_rounds, self._ahead())
            for group, _ in self._groups(left, rivals):
                for name in given_up(len(rounds), group):
                    left.remove(name)
                    self.team.end(name)
            late = len(rounds) >= RACE.early and self.left() < self._turn_seconds * (len(left) + len(BASELINES))
            over = late or len(rounds) >= self._most_rounds or not left
            if over or all(is_decided(len(rounds), *group) for group in self._groups(left, rivals)):
                return

    def _one_by_one(self, jobs: Mapping[str, Job], rivals: Mapping[str, Rival]) -> None:
        """Measure each process from its start to its end: the best pipeline so far first and last."""
        first, last = BASELINES
        blocks: dict[str, list[TurnEnded]] = {}
        built: dict[str, Built] = {}
        measured = self._rounds.alone(
            (first, *rivals, last),
            lambda name: jobs[name] if name in jobs else rivals[name].job,
            self._warm,
            lambda _name, _before: self._block,
            count=lambda _interval: self._most_rounds * RACE.pairs // RACE.most,
            lost=self._lost(""),
        )
        for name, one, ended in measured:
            built[name], blocks[name] = one, ended
            self.tick(len(blocks), len(rivals) + len(BASELINES), None)
        for name in rivals:
            if name in blocks and self._may_race(name, rivals[name], built):
                rows = zip(*(blocks[one] for one in (first, name, last)), strict=True)
                rounds = [dict(zip((first, name, last), row, strict=True)) for row in rows]
                self._found[name] = _raced(name, rivals[name], built, rounds)

    def _may_race(self, name: str, rival: Rival, built: Mapping[str, Built]) -> bool:
        """Whether the data of a changed pipeline are what they may be; else its worker ends."""
        refused = rival.refusal(_check(name, rival, built))
        if refused is not None:
            self._found[name] = refused
            self.team.end(name)
        return refused is None

    def _lost(self, before: str = "the changed pipeline ") -> Callable[[MemberFailedError], None]:
        """What takes a worker that fails: a changed pipeline leaves the race, the best one so far ends it."""

        def lost(error: MemberFailedError) -> None:
            if error.name in BASELINES:
                raise BaseFailedError(error.reason) from None
            self._found[error.name] = Raced(f"{before}{error.reason}", refused=error.refused)

        return lost

    def _ahead(self) -> Interval | None:
        """The largest ratio in this race so far."""
        known = [raced.compared.change for raced in self._found.values() if raced.compared is not None]
        return max(known, key=lambda change: change.mean, default=None)

    def _groups(
        self, left: Sequence[str], rivals: Mapping[str, Rival]
    ) -> list[tuple[dict[str, Comparison | None], int]]:
        """What is known of those for speed, without a cache and with one, each with its number of rivals."""
        found = []
        for caches in sorted({rivals[name].caches for name in left}):
            names = [name for name in left if rivals[name].caches == caches]
            group = {name: self._found[name].compared for name in names if not rivals[name].for_memory}
            found.append((group, len(names)))
        return found


def _check(name: str, rival: Rival, built: Mapping[str, Built]) -> DataCheck:
    return check_data(built[BASELINES[0]], built[BASELINES[1]], built[name], rival.semantics)


def _raced(name: str, rival: Rival, built: Mapping[str, Built], rounds: list[dict[str, TurnEnded]]) -> Raced:
    own = [blocks for blocks in rounds if name in blocks]
    evidence = Evidence(dict(built), own, arm=(name,))
    last = own[-1]
    peaks = [peak for base in BASELINES if (peak := last[base].peak_bytes) is not None]
    return Raced(
        compared=evidence.comparison(),
        ratios=tuple(evidence.ratios()),
        peak_bytes=last[name].peak_bytes,
        base_peak_bytes=min(peaks, default=None),
        runtime_bytes=built[name].runtime_bytes,
        data=_check(name, rival, built),
    )


def given_up(rounds: int, compared: Mapping[str, Comparison | None]) -> list[str]:
    """Those that are no faster for certain, slower than another one for certain, or slower after many rounds."""
    if rounds < RACE.early:
        return []
    known = {name: one.change for name, one in compared.items() if one is not None}
    ahead = max((ratio.low for ratio in known.values()), default=0.0)
    least = 1.0 if rounds >= HOPELESS_ROUNDS else 0.0
    return [
        name
        for name in compared
        if name not in known or known[name].high < max(LEAST_GAIN, ahead) or known[name].value < least
    ]


def is_decided(rounds: int, compared: Mapping[str, Comparison | None], left: int) -> bool:
    """Whether the fastest is known, or no more rounds would tell more."""
    known = [one for one in compared.values() if one is not None]
    if len(known) == left == 1 and rounds >= RACE.early and known[0].exceeds(math.log(CLEAR_GAIN)):
        return True
    if rounds < RACE.pairs:
        return False
    if not known:
        return True
    fastest = max(known, key=lambda one: one.change.mean)
    best = fastest.change
    # Those that are about as fast as the best one may take its place: it does not matter which.
    width = SURELY_FAST if best.low > LARGE_GAIN else SURELY_FASTEST
    return fastest.exceeds() and best.half_width < width


def _block_of(pace: Pace) -> TurnRequest:
    """The block of a race: half as long as one of a proof, or shorter where that still has many steps."""
    block = pace.block
    if pace.mode == "sequential":
        seconds = max(RACE.block_seconds, block.seconds / 4)
    elif not block.settle_seconds:
        # Whole epochs.
        seconds = max(RACE.block_seconds, block.seconds / 2)
    else:
        short = min(RACE.block_seconds, max(SHORT_BLOCK, SHORT_BLOCK_STEPS * pace.step_seconds))
        seconds = max(short, min(RACE.block_steps * pace.step_seconds, block.seconds / 2))
    return TurnRequest("block", seconds, RACE.block_steps, block.settle_seconds)


def _rounds_of(block: TurnRequest) -> int:
    """Rounds of a race at most: of short blocks as many more as take the same time."""
    settle = block.settle_seconds
    return max(RACE.most, round(RACE.most * (RACE.block_seconds + settle) / (block.seconds + settle)))
