"""Several changed pipelines measured side by side against the best one so far.

Two processes run the best one so far, one process each changed one. A round gives each of them a block, the best one
so far first and last, the next round backwards. The rate of a changed pipeline is compared with the geometric mean of
the two in the same round. What lags behind for certain is given up after three rounds. The machine's own speed wanders,
by 10 % within tenths of a second: many short blocks tell more than few long ones, where a block still has enough steps.

Where so many processes do not fit into the memory, or the step uses a GPU, each process runs alone, the best one so far
before and after the others: what the two differ by is what a change has to exceed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify.judging.evidence import BASELINES, rate
from pipeprof.profiles.verify.judging.judge_edit import LARGE_GAIN, SPEED_FLOOR
from pipeprof.profiles.verify.judging.ratio import Ratio, ratio_of
from pipeprof.profiles.verify.judging.same_data import DataCheck, check_data
from pipeprof.profiles.verify.team import MemberFailedError, Team

if TYPE_CHECKING:
    from pipeprof.profiles.advise.rule import Semantics
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.turns import Built, TurnEnded
    from pipeprof.profiles.verify.plan import Pace

BLOCK_SECONDS = 0.25
BLOCK_STEPS = 4
SHORT_BLOCK = 0.1
"""Seconds of a block of short steps."""
SHORT_BLOCK_STEPS = 10
"""That a block shorter than `BLOCK_SECONDS` has at least."""
WARM_SECONDS = 1.5
WARM_SHARE = 0.025
"""Of the budget that the warm-up of one process takes at most."""
SHORTEST_WARM = 0.5
EARLY_ROUNDS = 3
"""From which a change can be given up."""
CLEAR_GAIN = 1.2
"""A gain above it for certain is enough, where all others have been given up: the proof measures it again."""
ENOUGH_ROUNDS = 4
"""Of a change that is clearly faster and ahead of the others."""
HOPELESS_ROUNDS = 6
"""From which a change is given up that is slower so far."""
MOST_ROUNDS = 8
"""Of blocks of `BLOCK_SECONDS`; of shorter ones, as many more as take the same time."""
SURELY_FASTEST = 0.05
"""Half the width of the interval, as a share, with which the fastest is known."""
SURELY_FAST = 0.10
"""The same of a large gain: what the others have that it lacks is tried again on top of it."""


@dataclass(frozen=True)
class Rival:
    """A changed pipeline in a race.

    Attributes:
        semantics: What it may change of the data.
        for_memory: Whether it is to save memory.
        rounds: Whether the last digits of its numbers may be others.
    """

    job: Job
    semantics: Semantics
    for_memory: bool = False
    rounds: bool = False

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
        ratio: Steps per second over those of the best one so far; None where no round was complete.
        base_peak_bytes: The smaller peak of the two processes of the best one so far.
        data: Comparison of its first batches; None where it could not be measured.
        refused: It is not possible on this pipeline, which says nothing against it.
    """

    failure: str | None = None
    ratio: Ratio | None = None
    ratios: tuple[float, ...] = ()
    peak_bytes: int | None = None
    base_peak_bytes: int | None = None
    runtime_bytes: int | None = None
    data: DataCheck | None = None
    refused: bool = False


class BaseFailedError(Exception):
    """The best pipeline so far cannot be run several times at once; the message is why."""


class ChangedFileError(Exception):
    """A file of the pipeline is not what it was when the pipeline was measured; the message names it."""


class _CrowdedError(Exception):
    """All processes together took more memory than there is."""


@dataclass
class _Runner:
    rival: Rival
    built: Built
    rates: dict[int, float] = field(default_factory=dict)
    peak: int | None = None


class Races:
    """Races against one pipeline, whose two workers live on from one race to the next.

    Args:
        timeout: Seconds without a step after which a pipeline is taken to hang.
        left: Seconds of measuring that are left.
        tick: Receives the rounds that are done, and their number at most.
        budget: Seconds of measuring that there are in all.
        alone: Whether one process exists at a time.

    Attributes:
        alone: Whether one process exists at a time: from the start, or since several took more memory than there is.
    """

    def __init__(
        self,
        team: Team,
        pace: Pace,
        *,
        timeout: float,
        left: Callable[[], float],
        tick: Callable[[int, int], None],
        budget: float = 60.0,
        alone: bool = False,
    ) -> None:
        self.alone = alone
        self._team = team
        self._block = _block_of(pace)
        self._most_rounds = _rounds_of(self._block)
        warm = max(SHORTEST_WARM, min(WARM_SECONDS, WARM_SHARE * budget))
        self._warm = TurnRequest("warm", max(warm, 3 * pace.block.settle_seconds))
        self._timeout = timeout
        self._left = left
        self._tick = tick
        self._base: dict[str, Built] = {}
        self._base_rates: dict[str, list[float]] = {}
        self._base_peaks: dict[str, int | None] = {}

    def seconds_of(self, rivals: int) -> float:
        """Seconds of measuring that a race takes at least."""
        warm = self._warm.seconds * (rivals + (0 if self._base else len(BASELINES)))
        return warm + EARLY_ROUNDS * self._turn_seconds * (rivals + len(BASELINES))

    @property
    def _turn_seconds(self) -> float:
        return self._block.seconds + self._block.settle_seconds

    def rebase(self) -> None:
        """End all workers: the next race is against another pipeline."""
        self._team.end()
        self._base = {}

    def run(self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival]) -> dict[str, Raced]:
        """Measure changed pipelines until it is clear which is the fastest.

        Args:
            base: Makes the jobs of the best pipeline so far, by the names in `BASELINES`.
            rivals: The changed pipelines, by name.

        Raises:
            BaseFailedError: The best pipeline so far could not be measured.
            InterruptedVerificationError: The user wants an end.
        """
        if not self.alone:
            try:
                return self._side_by_side(base, rivals)
            except _CrowdedError:
                self.alone = True
        return self._one_by_one(base, rivals)

    def _side_by_side(self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival]) -> dict[str, Raced]:
        found: dict[str, Raced] = {}
        try:
            runners = self._start(base, rivals, found)
            self._base_rates = {name: [] for name in BASELINES}
            self._measure(runners, found)
        except (BaseFailedError, _CrowdedError):
            self.rebase()
            raise
        finally:
            self._team.end(*rivals)
        return found

    def _one_by_one(self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival]) -> dict[str, Raced]:
        """Measure each process from its start to its end: the best pipeline so far first and last."""
        self.rebase()
        first, last = BASELINES
        jobs, found, runners = base(), dict[str, Raced](), dict[str, _Runner]()
        self._base_rates = {name: [] for name in BASELINES}
        for place, name in enumerate((first, *rivals, last)):
            try:
                self._alone(name, jobs[name] if name in BASELINES else rivals[name], runners)
            except MemberFailedError as error:
                if name in BASELINES:
                    self.rebase()
                    raise BaseFailedError(error.reason) from None
                found[name] = Raced(error.reason, refused=error.refused)
                runners.pop(name, None)
            finally:
                self._team.end(name)
            self._tick(place + 1, len(rivals) + len(BASELINES))
        for name, runner in runners.items():
            check = check_data(self._base[first], self._base[last], runner.built, runner.rival.semantics)
            result = self._result(runner)
            found[name] = runner.rival.refusal(check) or result
        # No process of it lives on.
        self._base = {}
        return found

    def _alone(self, name: str, entered: Job | Rival, runners: dict[str, _Runner]) -> None:
        """Start a process, and measure it in blocks.

        Raises:
            MemberFailedError: It did not come to its end.
        """
        job = entered.job if isinstance(entered, Rival) else entered
        outcome = self._team.start_each({name: job}, seconds=max(self._timeout, 60.0))[name]
        if isinstance(outcome, MemberFailedError):
            raise outcome
        if isinstance(entered, Rival):
            runners[name] = _Runner(entered, outcome)
        else:
            self._base[name] = outcome
        self._team.turn(name, self._warm, seconds=max(self._timeout, 20 * self._warm.seconds))
        for number in range(self._most_rounds * ENOUGH_ROUNDS // MOST_ROUNDS):
            ended = self._team.turn(name, self._block, seconds=max(self._timeout, 20 * self._block.seconds))
            self._keep(number, name, ended, runners)

    def _start(
        self, base: Callable[[], Mapping[str, Job]], rivals: Mapping[str, Rival], found: dict[str, Raced]
    ) -> dict[str, _Runner]:
        jobs = {**({} if self._base else base()), **{name: rival.job for name, rival in rivals.items()}}
        started = self._team.start_each(jobs, seconds=max(self._timeout, 60.0))
        if any(isinstance(outcome, MemberFailedError) and outcome.crowded for outcome in started.values()):
            raise _CrowdedError
        for name in BASELINES:
            outcome = started.get(name)
            if isinstance(outcome, MemberFailedError):
                raise BaseFailedError(outcome.reason)
        self._base = {name: built for name in BASELINES if (built := self._built(started, name)) is not None}
        runners: dict[str, _Runner] = {}
        for name, rival in rivals.items():
            outcome = started[name]
            if isinstance(outcome, MemberFailedError):
                found[name] = Raced(outcome.reason, refused=outcome.refused)
                continue
            check = check_data(self._base["A1"], self._base["A2"], outcome, rival.semantics)
            if (refused := rival.refusal(check)) is None:
                runners[name] = _Runner(rival, outcome)
            else:
                found[name] = refused
                self._team.end(name)
        for name in jobs:
            if name in BASELINES or name in runners:
                self._give_turn(name, self._warm, runners, found)
        return runners

    def _built(self, started: Mapping[str, Built | MemberFailedError], name: str) -> Built | None:
        outcome = started.get(name, self._base.get(name))
        return None if isinstance(outcome, MemberFailedError) else outcome

    def _give_turn(
        self, name: str, request: TurnRequest, runners: dict[str, _Runner], found: dict[str, Raced]
    ) -> TurnEnded | None:
        """Give a worker its turn; one that fails leaves the race."""
        patience = max(self._timeout, 20 * request.seconds)
        try:
            return self._team.turn(name, request, seconds=patience)
        except MemberFailedError as error:
            if error.crowded:
                raise _CrowdedError from None
            if name in BASELINES:
                raise BaseFailedError(error.reason) from None
            found[name] = Raced(f"the changed pipeline {error.reason}")
            del runners[name]
            self._team.end(name)
            return None

    def _measure(self, runners: dict[str, _Runner], found: dict[str, Raced]) -> None:
        for number in range(self._most_rounds):
            if not runners:
                return
            if number >= EARLY_ROUNDS and self._left() < self._turn_seconds * (len(runners) + len(BASELINES)):
                break
            self._round(number, runners, found)
            for name, runner in list(runners.items()):
                found[name] = self._result(runner)
            self._tick(number + 1, self._most_rounds)
            for name in given_up(number + 1, found, runners):
                del runners[name]
                self._team.end(name)
            if is_decided(number + 1, found, runners):
                break

    def _round(self, number: int, runners: dict[str, _Runner], found: dict[str, Raced]) -> None:
        order = [BASELINES[0], *runners, BASELINES[1]]
        for name in order if number % 2 == 0 else order[::-1]:
            ended = self._give_turn(name, self._block, runners, found)
            if ended is not None:
                self._keep(number, name, ended, runners)

    def _keep(self, number: int, name: str, ended: TurnEnded, runners: dict[str, _Runner]) -> None:
        """Keep what a block has measured."""
        if name in BASELINES:
            self._base_rates[name].append(rate(ended))
            self._base_peaks[name] = ended.peak_bytes
        else:
            runners[name].rates[number] = rate(ended)
            runners[name].peak = ended.peak_bytes

    def _result(self, runner: _Runner) -> Raced:
        before, after = (self._base_rates[name] for name in BASELINES)
        ratios = tuple(
            own / math.sqrt(before[number] * after[number])
            for number, own in runner.rates.items()
            if own and before[number] and after[number]
        )
        peaks = [peak for peak in self._base_peaks.values() if peak is not None]
        return Raced(
            ratio=ratio_of(ratios),
            ratios=ratios,
            peak_bytes=runner.peak,
            base_peak_bytes=min(peaks, default=None),
            runtime_bytes=runner.built.runtime_bytes,
            data=check_data(self._base["A1"], self._base["A2"], runner.built, runner.rival.semantics),
        )

    def same(self) -> Ratio | None:
        """The best pipeline so far in one process over the same in another, in the latest race."""
        before, after = (self._base_rates.get(name, []) for name in BASELINES)
        return ratio_of([two / one for one, two in zip(before, after, strict=False) if one and two])


def given_up(rounds: int, found: Mapping[str, Raced], runners: Mapping[str, _Runner]) -> list[str]:
    """Those that are no faster for certain, slower than another one for certain, or slower after many rounds."""
    if rounds < EARLY_ROUNDS:
        return []
    ratios = {name: found[name].ratio for name in _for_speed(runners)}
    ahead = max((ratio.low for ratio in ratios.values() if ratio is not None), default=0.0)
    least = 1.0 if rounds >= HOPELESS_ROUNDS else 0.0
    return [
        name
        for name, ratio in ratios.items()
        if ratio is None or ratio.high < max(SPEED_FLOOR, ahead) or ratio.value < least
    ]


def is_decided(rounds: int, found: Mapping[str, Raced], runners: Mapping[str, _Runner]) -> bool:
    """Whether the fastest is known, or no more rounds would tell more."""
    speeds = _for_speed(runners)
    ratios = [ratio for name in speeds if (ratio := found[name].ratio) is not None]
    if len(ratios) == len(runners) == 1 and rounds >= EARLY_ROUNDS and ratios[0].low > CLEAR_GAIN:
        return True
    if rounds < ENOUGH_ROUNDS:
        return False
    if not ratios:
        return True
    best = max(ratios, key=lambda ratio: ratio.value)
    # Those that are about as fast as the best one may take its place: it does not matter which.
    width = SURELY_FAST if best.low > LARGE_GAIN else SURELY_FASTEST
    return best.low > SPEED_FLOOR and best.half_width < width


def _block_of(pace: Pace) -> TurnRequest:
    """The block of a race: half as long as one of a proof, or shorter where that still has many steps."""
    block = pace.block
    if pace.mode == "sequential":
        seconds = max(BLOCK_SECONDS, block.seconds / 4)
    elif not block.settle_seconds:
        # Whole epochs.
        seconds = max(BLOCK_SECONDS, block.seconds / 2)
    else:
        short = min(BLOCK_SECONDS, max(SHORT_BLOCK, SHORT_BLOCK_STEPS * pace.step_seconds))
        seconds = max(short, min(BLOCK_STEPS * pace.step_seconds, block.seconds / 2))
    return TurnRequest("block", seconds, BLOCK_STEPS, block.settle_seconds)


def _rounds_of(block: TurnRequest) -> int:
    """Rounds of a race at most: as many as take the time of `MOST_ROUNDS` with blocks that are not short."""
    settle = block.settle_seconds
    return max(MOST_ROUNDS, round(MOST_ROUNDS * (BLOCK_SECONDS + settle) / (block.seconds + settle)))


def _for_speed(runners: Mapping[str, _Runner]) -> list[str]:
    return [name for name, runner in runners.items() if not runner.rival.for_memory]
