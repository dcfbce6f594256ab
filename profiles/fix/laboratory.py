"""Measurements for the search, with real workers; seconds of measuring are counted apart from starts and builds."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import partial

from pipeprof.pipelines.changes.edits import PipelineEdit, to_document
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.pipelines.static.python_text import CannotChangeSourceError
from pipeprof.profiles.advise.text.source_diff import changed_source
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.evidence import BASELINES, EDITED
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.purposes import QUICK, RACE
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError, Team
from pipeprof.profiles.fix.race import SHORTEST_WARM, ChangedFileError, Raced, Races, Rival
from pipeprof.profiles.fix.version import Version
from pipeprof.profiles.harness.event_loop import EXIT_CODES
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.progress import RunProgress, Silent, ratio_so_far
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.propose.proposal import Compared, Proposal
from pipeprof.profiles.protocol.job import Job
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest
from pipeprof.profiles.verify.guessing.caching import BEYOND_EPOCH, LONGEST_EPOCH, Filling, filling
from pipeprof.profiles.verify.plan import Pace, pace_of
from pipeprof.profiles.verify.trials import Trial, Trials
from pipeprof.profiles.wording import ratio_text

SMALL_BUDGET = 40.0
"""Seconds of measuring; smaller ones have shorter blocks."""
SHORTEST_BLOCK = 0.25
LOOK_SECONDS = 2.0
"""Length of the measurement of a changed pipeline alone."""
MOST_RIVALS = 4
PROOF_SHARE = 0.6
"""Of the budget that a proof by as many pairs as `run` takes may need."""
SMALL_GAIN = 1.10
"""Of the best so far, up to which its proof is left time for more pairs: twelve seldom tell it from 3 %."""
SPARE_ROUNDS = 1.25
"""Times the rounds of a proof that it is left time for: those that something else disturbed are measured anew."""
GROWTH = 1.3
"""Of the peak that a changed pipeline is expected to need at most."""
_STOPPED = frozenset(EXIT_CODES.values())


class TimedTeam(Team):
    """Workers whose turns are counted.

    Attributes:
        measured: Seconds of all turns, without those in which TensorFlow freed iterators that had ended: these may be
            longer than the epochs, and nothing is measured in them.
    """

    measured: float = 0.0

    def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
        """Give a worker a turn, as `Team.turn` does."""
        began = time.monotonic()
        try:
            ended = super().turn(name, request, seconds=seconds)
        except BaseException:
            self.measured += time.monotonic() - began
            raise
        self.measured += time.monotonic() - began - ended.freeing_seconds
        return ended


@dataclass
class Laboratory:
    """Measures for the search.

    Attributes:
        spent: Seconds of measuring that the first run took.
        most: Changed pipelines that fit into memory together with the two of the best one so far.
        rounds: Whether the last digits of numbers may be others.
        fewer: Makes the pace for fewer processes, where they take more memory than there is.
        mode: How many processes existed at a time in the proof.
    """

    team: TimedTeam
    pace: Pace
    jobs: JobMaker
    settings: RunSettings
    progress: RunProgress
    _: KW_ONLY
    budget: float
    spent: float
    most: int
    profile: Profile
    alone: bool = False
    rounds: bool = False
    fewer: Callable[[Mode], Pace] | None = None
    end_at: float | None = None
    save: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        self.mode: Mode = self.pace.mode
        self._looks = self.spent
        self._number = 0
        self._gain = self._promised = 1.0
        self._fill_seconds = 0.0
        self._missing: float | None = None
        """Seconds of filling caches that the shortest race needs of those for which there was no time."""
        self._base: Version | None = None
        self._began = time.monotonic()
        self._ends = math.inf
        self._races = Races(
            self.team,
            self.pace,
            timeout=self.jobs.timeout,
            left=lambda: self.left() - self.proof_seconds,
            tick=self._tell,
            budget=self.budget,
            alone=self.alone,
        )
        self.trial_seconds = self._races.seconds_of(1)
        """Seconds of measuring that the first change takes: the order of the queue does not depend on what runs."""

    @property
    def seconds(self) -> float:
        """Seconds of measuring so far."""
        return self._looks + self.team.measured

    @property
    def proof_seconds(self) -> float:
        """Seconds of measuring that the proof at the end takes.

        Fewer pairs prove a large gain in a small budget; a small gain takes more of them.
        """
        if self.pace.mode == "sequential":
            return 4 * self.pace.warm.seconds + 2 * self._fill_seconds + self.pace.round_seconds
        return self._proof_of(self._proof_pairs)

    @property
    def _proof_pairs(self) -> int:
        gain = max(self._gain, self._promised)
        share = PROOF_SHARE * self.budget
        more = [pairs for pairs in QUICK.looks if self._proof_of(pairs) <= share]
        if 1.0 < gain <= SMALL_GAIN and more:
            return max(more)
        return QUICK.pairs if self._proof_of(QUICK.pairs) <= share else QUICK.early

    def _proof_of(self, pairs: int) -> float:
        rounds = SPARE_ROUNDS * self.pace.round_seconds * pairs / 2
        return 4 * self.pace.warm.seconds + 2 * self._fill_seconds + rounds

    @property
    def least_budget(self) -> int:
        """Seconds of measuring in which one change can be tried and proven, in steps of 5: a larger one takes more."""
        needed = self.seconds + self._races.seconds_of(1) + self.proof_seconds + (self._missing or 0.0)
        return 5 * math.ceil(1.25 * needed / 5)

    def left(self) -> float:
        """Seconds of measuring that are left."""
        return self.budget - self.seconds

    def fits(self, rivals: Sequence[Sequence[PipelineEdit]]) -> bool:
        """Whether there is time for a race that decides about changed pipelines, and for the proof."""
        fills = [filling(self.profile, edits) for edits in rivals]
        # Each fills its caches before it is measured, and one that runs Python compares two further epochs.
        filled = sum((3 if fill.compares else 1) * fill.seconds for fill in fills)
        proof = self.proof_seconds + 2 * max(0.0, *(fill.seconds - self._fill_seconds for fill in fills))
        needed = self._races.seconds_of(len(rivals)) + filled + proof
        further = filled + proof - self.proof_seconds
        late = self.end_at is not None and time.monotonic() + needed + 2 * self.pace.start_seconds > self.end_at
        if self.left() >= needed:
            return not late
        self._missing = further if self._missing is None else min(self._missing, further)
        return False

    def race(self, base: Version, rivals: Mapping[str, tuple[Proposal, Version]]) -> dict[str, Raced]:
        """Measure changed pipelines side by side against the best one so far.

        Raises:
            BaseFailedError: The best one so far cannot be run several times at once.
            ChangedFileError: The pipeline is not the one that was measured.
            InterruptedVerificationError: The user wants an end.
        """
        if base is not self._base:
            self._races.rebase()
            self._base = base
        self._number += 1
        many = f"{len(rivals)} change{'s' if len(rivals) > 1 else ''}"
        how = "one process at a time" if self._races.alone else "side by side"
        self._begin(f"race {self._number}: {many} {how}")
        # Where a cache was raced, the proof has to fill it as well.
        self._fill_seconds = max((self._filling(version).seconds for _, version in rivals.values()), default=0.0)
        entered = {
            name: Rival(
                self._workers([name], version)[name],
                candidate.compared_as,
                candidate.for_memory,
                self.rounds,
                candidate.caches,
            )
            for name, (candidate, version) in rivals.items()
        }
        baselines = partial(self._workers, BASELINES, base) if base.steps else self.jobs.as_it_is
        raced = self._races.run(baselines, entered)
        self._check_files()
        return raced

    def taken(self, title: str, gain: float) -> None:
        """Tell the best so far."""
        self._gain = gain
        self.progress.note(f"best so far {ratio_text(gain)}: {title}")

    def promises(self, gain: float) -> None:
        """Leave the proof time for such a gain, which no race could decide about."""
        self._promised = gain

    def look(self, version: Version) -> Profile | None:
        """Measure a pipeline alone, for its stages and findings; None where that is not possible.

        Raises:
            InterruptedVerificationError: The user wants an end.
        """
        self._races.rebase()
        self._base = None
        self._begin(f"looking at the best so far, {ratio_text(self._gain)}")
        filled = self._filling(version).seconds
        settings = replace(
            self.settings,
            loaded=version.loaded,
            warmup_seconds=BEYOND_EPOCH * filled if filled > LONGEST_EPOCH else None,
            seconds=min(LOOK_SECONDS, self.settings.seconds or LOOK_SECONDS),
            lock=False,
            cold=False,
            memory_limit=None,
            edits=as_json(version.call_steps) if version.loaded is None else [],
        )
        profile = run_sample(settings, ProfileWriter(()), Silent())
        self._looks += measured_seconds(profile)
        if profile.exit_code in _STOPPED:
            raise InterruptedVerificationError(profile.exit_code)
        return profile if profile.complete and not profile.exit_code else None

    def prove(self, best: Version, semantics: Compared, *, for_memory: bool) -> Trial:
        """Measure the best pipeline against the one as it is, in one session.

        Raises:
            InterruptedVerificationError: The user wants an end.
            ChangedFileError: The pipeline is not the one that the search has found.
        """
        self._races.rebase()
        self._begin(f"proving {ratio_text(self._gain)} against the pipeline as it is")
        alone = self.pace.mode == "sequential"
        least = self.proof_seconds if alone else self._proof_of(QUICK.early)
        until = self.team.measured + max(self.left(), least) + self.pace.round_seconds
        trials = Trials(
            self.team,
            self.pace,
            self.jobs.as_it_is,
            until=until,
            timeout=self.jobs.timeout,
            progress=self.progress,
            fewer=self.fewer,
            clock=lambda: self.team.measured,
            # No other change waits for the time that is left.
            most_left_out=math.inf,
        )
        try:
            trial = trials.measure(self._workers(EDITED, best, self._source(best)), semantics, for_memory=for_memory)
        finally:
            self.mode = trials.mode
        self._check_files()
        return trial

    def _begin(self, words: str) -> None:
        """Begin a measurement; what was found until now is saved, whatever ends this process."""
        self.save()
        self._ends = math.inf
        self._tell_end()
        self.progress.phase(words, None)
        self.progress.standing(self._best)
        self._check_files()

    @property
    def _best(self) -> str:
        return f"best {ratio_text(self._gain)}" if self._gain > 1 else ""

    def _seconds_to_end(self) -> float:
        """What is left of the budget, in seconds of this clock: starts and builds take as much of it as until now."""
        spent = time.monotonic() - self._began
        pace = max(1.0, spent / self.team.measured) if self.team.measured else 1.0
        left = pace * self.left()
        return left if self.end_at is None else min(left, self.end_at - time.monotonic())

    def _tell(self, done: int, total: int, ahead: Interval | None) -> None:
        """Tell how far a race is, and by how much the fastest of its pipelines is ahead of the best so far."""
        now = ratio_so_far(ahead.value, ahead.low, ahead.high, ahead.pairs) if ahead is not None else ""
        self.progress.standing(", ".join(filter(None, (self._best, now))))
        self._tell_end()
        self.progress.tick(None, float(done), float(total))

    def _tell_end(self) -> None:
        """Tell how long the rest takes at most: within a phase, no later than was said before."""
        now = time.monotonic()
        self._ends = min(self._ends, now + self._seconds_to_end())
        self.progress.ends_in(self._ends - now)

    def _check_files(self) -> None:
        name = self.jobs.changed_file()
        if name is not None:
            raise ChangedFileError(f"{name} has changed while fix was measuring")

    def _workers(self, names: Sequence[str], version: Version, source: ChangedSource | None = None) -> dict[str, Job]:
        steps = as_json(version.call_steps) if version.loaded is None and source is None else []
        fill = self._filling(version)
        return self.jobs.workers(
            names, version.loaded, steps, version.environment, fill.steps, compares=fill.compares, source=source
        )

    def _source(self, version: Version) -> ChangedSource | None:
        """The files of a Python target with the changes: what is proven is what the user gets to see."""
        if version.loaded is not None:
            return None
        try:
            return changed_source(self.profile.target, self.profile.stages or (), version.steps)
        except CannotChangeSourceError:
            return None

    def _filling(self, version: Version) -> Filling:
        """The epoch in which a cache of a version fills."""
        return filling(self.profile, [edit for step in version.steps for edit in step])


def as_json(steps: Iterable[Sequence[PipelineEdit]]) -> list[list[str]]:
    """Steps of edits for a job."""
    return [[json.dumps(to_document(edit)) for edit in step] for step in steps]


def measured_seconds(profile: Profile) -> float:
    """Seconds in which a run has measured."""
    return sum(phase.seconds or 0.0 for phase in profile.phases if phase.name == "measure")


def pace_for(profile: Profile, budget: float, cores: float, mode: Mode = "alternating") -> Pace:
    """The lengths of what is measured; a small budget has shorter blocks and warm-ups."""
    pace = pace_of(profile, budget, cores, mode)
    if budget >= SMALL_BUDGET or mode == "sequential":
        return pace
    shortest = max(SHORTEST_BLOCK, QUICK.block_seconds * budget / SMALL_BUDGET)
    seconds = max(shortest, pace.block.seconds * budget / SMALL_BUDGET)
    warm = max(SHORTEST_WARM, RACE.warm_share * budget, 3 * pace.block.settle_seconds)
    return replace(
        pace,
        block=replace(pace.block, seconds=seconds, steps=min(pace.block.steps, QUICK.block_steps)),
        warm=replace(pace.warm, seconds=min(pace.warm.seconds, warm)),
        round_seconds=4 * (seconds + pace.block.settle_seconds),
        shortest_block=shortest,
    )


def rivals_that_fit(peak_bytes: int | None, limit_bytes: int | None) -> int:
    """How many changed pipelines fit into memory with two as they are; 0 where none does.

    Example:
        >>> rivals_that_fit(2 * 2**30, 16 * 2**30), rivals_that_fit(2 * 2**30, 5 * 2**30), rivals_that_fit(None, None)
        (4, 0, 4)
    """
    if not peak_bytes or limit_bytes is None:
        return MOST_RIVALS
    # The proof at the end takes two of each.
    fit = min((limit_bytes - 2 * peak_bytes) / (GROWTH * peak_bytes), float(MOST_RIVALS))
    return int(fit) if limit_bytes >= (2 + 2 * GROWTH) * peak_bytes else 0
