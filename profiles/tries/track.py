"""The track of a search: contenders as jobs of workers, the time that they take, and the race that measures them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.static.python_text import CannotChangeSourceError
from pipeprof.profiles.advise.facts.caching import BEYOND_EPOCH, LONGEST_EPOCH, Filling, filling
from pipeprof.profiles.advise.text.in_words import changed_source
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.evidence import BASELINES
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.experiment.team import InterruptedVerificationError, Team
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.fork_server import Copies
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.process import measuring_lock
from pipeprof.profiles.harness.settings import RunProgress, Silent, ratio_so_far
from pipeprof.profiles.host.limits import system_fault
from pipeprof.profiles.lines import written_ops
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.combine import Contender
from pipeprof.profiles.tries.pace import MOST_ENTRANTS, RacePace
from pipeprof.profiles.tries.race import Entrant, Race, RaceResult
from pipeprof.profiles.tries.result import gain_in_words

RACE_SHARE = 0.5
"""Of the time that is left, for a race of several: what is known early is said early."""
LOOK_SECONDS = 2.0
"""Length of the measurement of a changed pipeline alone."""
_STOPPED = frozenset(EXIT_CODES.values())


class TrackClosedError(Exception):
    """Nothing more can be measured; the message is why, such as a file of the pipeline that has changed."""


@dataclass(kw_only=True)
class WorkerTrack:
    """Races contenders with real workers.

    Attributes:
        counts_starts: Whether starts of processes take from the seconds that are left.
        proves: Whether time is kept back for a proof at the end.
        in_calls: Whether what a spec has no form for is changed in its recorded calls.
        looked: Seconds of measuring that looks at changed pipelines alone took.
    """

    team: Team
    pace: RacePace
    jobs: JobMaker
    progress: RunProgress
    profile: Profile
    left: Callable[[], float]
    counts_starts: bool = True
    proves: bool = False
    rounding: bool = True
    in_calls: bool = True
    save: Callable[[], object] = lambda: None
    looked: float = 0.0

    def __post_init__(self) -> None:
        self._base: Version | None = None
        self._filling = 0.0
        """Seconds of the epoch in which a cache of what was raced fills: a proof has to fill it as well."""
        start_seconds = self.pace.ready_seconds(MOST_ENTRANTS + len(BASELINES))
        self.running = Race(
            Rounds(self.team, self.pace.mode, timeout=self.jobs.timeout, start_seconds=start_seconds),
            self.pace,
            left=lambda: self.left() - self.proof_seconds,
            tell=self._tell,
            decided=self._decided,
        )

    @property
    def most(self) -> int:
        """Contenders of a race at most: of a short time, the first result takes no more than a part."""
        many, fresh = self.running.pace.most, self.running.is_fresh
        while many > 1 and self._lengths.seconds_of(many, fresh=fresh) > RACE_SHARE * self.left():
            many -= 1
        return many

    @property
    def proof_seconds(self) -> float:
        """Seconds that are kept back for the proof at the end."""
        return self._lengths.seconds_of(1) + 2 * self._filling if self.proves else 0.0

    @property
    def _lengths(self) -> RacePace:
        return self.running.pace if self.counts_starts else self.running.pace.measuring()

    def fits(self, contenders: Sequence[Contender]) -> bool:
        """Whether there is time for a race that decides about contenders, and for the proof."""
        return self.left() >= self.seconds_of(contenders)

    def seconds_of(self, contenders: Sequence[Contender]) -> float:
        """Seconds that a race of contenders takes, with what is kept back for a proof."""
        fills = [self._fill(one.proposal.edits) for one in contenders]
        longer = max((2 * (fill.seconds - self._filling) for fill in fills), default=0.0) if self.proves else 0.0
        measuring = self._measuring_seconds(contenders, fresh=self.running.is_fresh)
        return measuring + max(0.0, longer) + self.proof_seconds

    def _measuring_seconds(self, contenders: Sequence[Contender], *, fresh: bool) -> float:
        """Seconds that a race takes, with the epochs in which caches fill."""
        filled = sum(self._fill(one.proposal.edits).trial_seconds for one in contenders)
        again = any(not one.is_bound for one in contenders)
        return self._lengths.seconds_of(len(contenders), fresh=fresh, again=again) + filled

    def race(
        self,
        base: Version,
        contenders: Mapping[str, Contender],
        waiting: Sequence[Contender] = (),
        *,
        for_memory: bool = False,
    ) -> dict[str, RaceResult]:
        """Measure contenders against a base; a close answer leaves time for what is waiting.

        Raises:
            BaseLostError: The base cannot be run several times at once.
            TrackClosedError: Nothing more can be measured.
            InterruptedVerificationError: The user wants an end; `so_far` has what is known.
        """
        if base is not self._base:
            self.running.rebase()
            self._base = base
        self._begin(_names_of(list(contenders.values())))
        self._filling = max((self._fill(one.proposal.edits).seconds for one in contenders.values()), default=0.0)
        entrants: dict[str, Entrant] = {}
        found: dict[str, RaceResult] = {}
        for name, one in contenders.items():
            try:
                entrants[name] = self._entrant(base, one, for_memory=for_memory)
            except PipeprofError as error:
                first, *_ = str(error).strip().splitlines() or [type(error).__name__]
                found[name] = RaceResult("refused", f"the edit does not apply ({first})")
        others = self._measuring_seconds(waiting, fresh=False) if waiting else 0.0
        if entrants:
            found.update(self.running.run(partial(self._base_jobs, base), entrants, others))
        self._check_files()
        return {name: found[name] for name in contenders}

    def so_far(self) -> Mapping[str, RaceResult]:
        """What is known of the contenders of the last race."""
        return self.running.results

    def look(self, version: Version) -> Profile | None:
        """Measure a pipeline alone, for its stages; None where that is not possible."""
        self.running.rebase()
        self._base = None
        self._begin("looking at the best so far")
        filled = self._fill([edit for step in version.steps for edit in step]).seconds
        given = self.jobs.settings
        settings = replace(
            given,
            loaded=version.loaded,
            warmup_seconds=BEYOND_EPOCH * filled if filled > LONGEST_EPOCH else given.warmup_seconds,
            seconds=min(LOOK_SECONDS, given.seconds or LOOK_SECONDS),
            lock=False,
            cold=False,
            memory_limit=None,
            edits=version.edits_of_calls,
        )
        profile = run_sample(settings, ProfileWriter(()), Silent())
        self.looked += sum(phase.seconds or 0.0 for phase in profile.phases if phase.name == "measure")
        if profile.exit_code in _STOPPED:
            raise InterruptedVerificationError(profile.exit_code)
        return profile if profile.complete and not profile.exit_code else None

    def prove(self, best: Contender, *, for_memory: bool) -> RaceResult:
        """Measure all that was taken against the pipeline as it is, in processes of their own; raises as `race`."""
        version = best.version or Version()
        self.running.rebase()
        self._base, self.proves = None, False
        self._begin("proving the best against the pipeline as it is")
        job = self._job(version, self._source(version))
        entrant = Entrant(job, best.proposal.compared_as, for_memory, self.rounding)
        found = self.running.run(self.jobs.as_it_is, {"C1": entrant})["C1"]
        self._check_files()
        return found

    def _entrant(self, base: Version, one: Contender, *, for_memory: bool) -> Entrant:
        """The job of a contender; raises PipeprofError where its edits do not apply."""
        proposal, fill = one.proposal, self._fill(one.proposal.edits)
        for_memory = for_memory or proposal.for_memory
        if one.replay is not None:
            return Entrant(self.jobs.replayed(one.replay), None)
        try:
            job = self._job(one.on(base))
        except PipeprofError:
            # A stage of a spec has no form for it: its recorded calls have.
            if base.steps or not self.in_calls:
                raise
            job = self.jobs.in_calls(proposal.edits, fill.steps, compares=fill.compares)
        return Entrant(job, proposal.compared_as, for_memory, self.rounding, proposal.title)

    def _job(self, version: Version, source: ChangedSource | None = None) -> Options:
        fill = self._fill([edit for step in version.steps for edit in step])
        return self.jobs.of_version(version, fill.steps, compares=fill.compares, source=source)

    def _base_jobs(self, base: Version) -> dict[str, Options]:
        if not base.steps:
            return self.jobs.as_it_is()
        job = self._job(base)
        return dict.fromkeys(BASELINES, job)

    def _source(self, version: Version) -> ChangedSource | None:
        """The files of a Python target with the changes: what is proven is what the user gets to see."""
        if version.loaded is not None:
            return None
        try:
            return changed_source(self.profile.target, self.profile.stages or (), version.steps)
        except CannotChangeSourceError:
            return None

    def _fill(self, edits: Sequence[PipelineEdit]) -> Filling:
        return filling(self.profile, edits)

    def _begin(self, words: str) -> None:
        """Begin a measurement; what was found until now is saved, whatever ends this process."""
        self.save()
        self.progress.ends_in(self.left())
        self.progress.phase(words, None)
        self._check_files()

    def _tell(self, rounds: int, ahead: Interval | None) -> None:
        """Tell how far a race is, and by how much its fastest pipeline is ahead of the base."""
        if ahead is not None and not math.isinf(ahead.high):
            self.progress.standing(ratio_so_far(ahead.value, ahead.low, ahead.high, ahead.pairs, "round"))
        self.progress.tick(None, float(rounds), None)

    def _decided(self, entrant: Entrant, result: RaceResult) -> None:
        change = result.change
        if entrant.title and result.status == "kept" and change is not None and change.low > 1:
            self.progress.note(f"measured: {entrant.title}, {gain_in_words(change)}")

    def _check_files(self) -> None:
        name = self.jobs.changed_file()
        if name is not None:
            raise TrackClosedError(f"{name} has changed since the run: measure again")


def _names_of(contenders: Sequence[Contender]) -> str:
    changes = [one for one in contenders if not one.is_bound]
    if not changes:
        return f"upper bound: the pipeline without {contenders[0].proposal.title}"
    first, more = changes[0].proposal.title, len(contenders) - 1
    return f"trying {first[:1].lower()}{first[1:]}" + (f" and {more} more side by side" if more else "")


def job_maker(
    profile: Profile, settings: Options, limit: int | None, pace: RacePace, progress: RunProgress
) -> JobMaker:
    """Makes the jobs of a measured pipeline; `limit` is of the memory that all workers may use together."""
    return JobMaker(
        settings,
        memory_limit=limit,
        digest_seconds=pace.digest_seconds,
        data_progress=progress.data,
        sha256=profile.target.sha256,
        ops=written_ops(profile),
    )


@contextlib.contextmanager
def measuring(
    settings: Options, progress: RunProgress, signals: Signals, limit: int | None, copies: Copies | None = None
) -> Iterator[Team]:
    """Wait for other commands that measure, or raise PipeprofError after too long; end all workers with the body.

    Raises InterruptedVerificationError where the user wants an end.
    """

    def go_on() -> None:
        if signals.asked is not None:
            raise InterruptedVerificationError

    lock = measuring_lock(progress.note, settings.patience, go_on=go_on)
    with lock, Team(signals, limit, copies=copies).closing() as team:
        yield team


@contextlib.contextmanager
def ending(found: list[Exception]) -> Iterator[None]:
    """Take what ends races early: the user, a changed file, another command that measures, a fault of the system."""
    try:
        yield
    except (InterruptedVerificationError, TrackClosedError) as error:
        found.append(error)
    except (PipeprofError, OSError) as error:
        found.append(system_fault(error) or error)
