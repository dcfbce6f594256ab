"""Pipelines measured side by side: each of two alone for its profile, then all in pairs of fresh processes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.pipelines.steps.step import kind_of
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.profile import Message, Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.same_data import check_data
from pipeprof.profiles.experiment.team import InterruptedVerificationError, OutOfTimeError, Team
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.process import measuring_lock
from pipeprof.profiles.harness.settings import RunProgress, ratio_so_far
from pipeprof.profiles.host import host as hosts
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import Cgroup, machine_memory
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.metrics import rows_of, rows_of_arms
from pipeprof.profiles.judge.pairs import AGAIN, A, MeasuredPair, Pairs, Process, SideFailedError
from pipeprof.profiles.judge.result import Metric, PairValues, Result
from pipeprof.profiles.judge.source_changes import changes_of_targets
from pipeprof.profiles.judge.spec_changes import changes_of_specs
from pipeprof.profiles.judge.stages import find_stage, rows_of_process, stage_changes, stage_values, stages_without_time
from pipeprof.profiles.judge.verdict import conclude, counted, main_metric, mark
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.pace import DIGEST_SECONDS

SideName: TypeAlias = str
"""``a``, ``b`` and so on."""
_FAILED = 5


@dataclass(frozen=True)
class LiveSide:
    """A side that is measured now; a self-test makes its steps longer by the share `slower`."""

    settings: Options
    writer: ProfileWriter
    slower: float = 0.0
    hold_bytes: int = 0


@dataclass
class SessionPlan:
    """How long a session is and what it judges.

    Attributes:
        enough: Whether the pairs so far are enough; receives the result with its rows up to date.
        profiled: Measure each side alone first, for its stages.
        metrics: Names of what is judged: where some are about single stages, those are timed in each process.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """

    enough: Callable[[Result], bool]
    rows: Callable[[Sequence[PairValues]], list[Metric]] = rows_of
    profiled: bool = True
    metrics: Collection[str] = ()
    end_at: float | None = None
    most: int | None = None


def measure(
    sides: Mapping[SideName, LiveSide],
    result: Result,
    plan: SessionPlan,
    progress: RunProgress,
    save: Callable[[], object],
) -> None:
    """Measure two or more pipelines, and write into the result what was found, saved after each pair.

    A side that fails, and an interruption, end the session; the exit code is in the result. Raises LockTimeoutError
    where another pipeprof was measuring for too long.
    """
    settings = sides["a"].settings
    run = _Comparison(sides, result, plan, progress, save)
    try:
        with measuring_lock(progress.note, settings.patience) as warning:
            if warning:
                result.warnings.append(Message(code="no-lock", message=warning))
            run.run()
    finally:
        progress.close()


@dataclass
class _Comparison:
    sides: Mapping[SideName, LiveSide]
    result: Result
    plan: SessionPlan
    progress: RunProgress
    save: Callable[[], object]

    def __post_init__(self) -> None:
        self._profiles: dict[str, Profile] = {}
        self._places: dict[str, Location | None] = {}
        self._timed = ("a", "b") if any(stage_of(metric) is not None for metric in self.plan.metrics) else ()
        settings = self.sides["a"].settings
        found = limits.memory_limit(settings.memory_limit, Cgroup(), machine_memory())
        self._limit = found.bytes if found is not None else None
        host, versions = hosts.host_facts(found, Cgroup()), hosts.versions()
        for name in self.sides:
            side = self.result.side(name)
            side.host, side.versions = host, versions

    def run(self) -> None:
        result = self.result
        planned = self.sides["a"].settings
        result.step, result.dispatch = planned.step_text, planned.dispatch
        for name, arm in result.arms().items():
            changes = self._changes(name)
            arm.changes, arm.change_places = [text for text, _ in changes], [place for _, place in changes]
        if self.plan.profiled and not self._look_at(list(self.sides)):
            return
        with Signals().installed() as signals, Team(signals, self._limit, end_at=self.plan.end_at).closing() as team:
            session = Pairs(
                team,
                {name: self._job_maker(name) for name in self.sides},
                timeout=planned.timeout,
                mode="alternating" if self._fit_together(planned.step.kind) else "sequential",
                timed=self._timed,
                slower=self.sides["b"].slower,
                tick=lambda done, total: self.progress.tick(None, float(done), float(total)),
            )
            try:
                self._measure(session)
                conclude(result)
            except SideFailedError as error:
                self._fail(error.side, error.reason)
            except InterruptedVerificationError:
                result.exit_code = EXIT_CODES[signals.asked or "interrupted"]
                result.errors.append(messages.INTERRUPTED)
        self.save()

    def _changes(self, name: SideName) -> list[tuple[str, Location | None]]:
        a, other = (self.sides[side].settings for side in ("a", name))
        if a.loaded is not None and other.loaded is not None:
            return changes_of_specs(a.loaded, other.loaded)
        return changes_of_targets(a.target, other.target) if a.loaded is None and other.loaded is None else []

    def _look_at(self, names: Sequence[SideName]) -> bool:
        """Measure sides alone, for their stages; return whether all came to their end."""
        done = all(self._look(name) for name in names)
        self.result.warnings += messages.warnings_of({name.upper(): one for name, one in self._profiles.items()})
        if done:
            self.result.stages = stage_changes(self._profiles["a"].stages, self._profiles["b"].stages)
            self.save()
        return done

    def _look(self, name: SideName) -> bool:
        side, shown = self.sides[name], self.result.side(name)
        settings = replace(side.settings, lock=False)
        if self.plan.end_at is not None and settings.max_time is not None:
            left = self.plan.end_at - time.monotonic()
            if left <= 0:
                return self._fail(name, messages.NO_TIME)
            settings = replace(settings, spent=settings.max_time - left)
        self.progress.note(f"{name.upper()}: {shown.text}")
        profile = run_sample(settings, side.writer, self.progress)
        self._profiles[name] = profile
        shown.target = profile.target
        shown.versions = profile.versions
        shown.verdict = profile.verdict.sentence if profile.verdict else None
        shown.profile = str(side.writer.path) if side.writer.path else None
        shown.elements_per_batch = profile.throughput.elements_per_batch if profile.throughput else None
        if profile.exit_code:
            return self._fail(name, shown.verdict or messages.NO_END, profile.exit_code)
        if profile.steps is None or not profile.steps.count:
            return self._fail(name, messages.NO_STEP)
        return True

    def _fail(self, side: SideName, reason: str, exit_code: int = _FAILED) -> bool:
        self.result.exit_code = exit_code
        self.result.errors.append(messages.side_failed(side, reason))
        return False

    def _fit_together(self, step: str) -> bool:
        """Whether the processes of a pair may exist at the same time: memory for all, and no GPU between them.

        What a pipeline that was not measured before needs is seen when it runs: then one process follows the other.
        """
        if kind_of(step).real and hosts.gpus():
            return False
        peaks = [profile.memory.peak_bytes or 0 for profile in self._profiles.values()]
        return self._limit is None or (len(self.sides) + 1) * max(peaks, default=0) <= self._limit

    def _job_maker(self, name: SideName) -> Callable[[], Options]:
        side = self.sides[name]
        maker = JobMaker(
            side.settings,
            memory_limit=self._limit,
            digest_seconds=DIGEST_SECONDS,
            data_progress=self.progress.data,
            sha256=self._profiles[name].target.sha256 if name in self._profiles else None,
        )

        def make() -> Options:
            changed = maker.changed_file()
            if changed is not None:
                raise SideFailedError(name, f"{changed} {messages.CHANGED}")
            job = maker.untouched(side.hold_bytes, paced=side.slower > 0, times_stages=name in self._timed)
            # What the data is was seen in the first pair.
            if self.result.data is None or job.turns is None:
                return job
            return replace(job, turns=replace(job.turns, digest_batches=1))

        return make

    def _measure(self, session: Pairs) -> None:
        result, plan, began = self.result, self.plan, time.monotonic()
        longest = 0.0
        while not result.pairs or not plan.enough(result):
            number, at = len(result.pairs), time.monotonic()
            try:
                if plan.end_at is not None and at + longest > plan.end_at:
                    raise OutOfTimeError
                self.progress.ends_in(self._seconds_to_end(number, at - began))
                self.progress.phase(f"pair {number + 1}: {len(self.sides) + 1} fresh processes", None)
                self.progress.standing(_standing(result))
                pair = session.pair(number)
            except OutOfTimeError:
                result.warnings += [messages.TIME_OVER] if result.pairs else []
                break
            longest = max(longest, time.monotonic() - at)
            self._take(pair, at - began)
            result.order = session.order
            self.save()
        disturbed = messages.disturbed(counted(result.pairs))
        result.warnings += [disturbed] if disturbed is not None else []

    def _seconds_to_end(self, done: int, spent: float) -> float | None:
        """What the pairs that are left may take, at the pace of those so far; None where nothing tells it."""
        ends = [self.plan.end_at - time.monotonic()] if self.plan.end_at is not None else []
        if done and self.plan.most is not None:
            ends.append(spent / done * (self.plan.most - done))
        return min(ends, default=None)

    def _take(self, pair: MeasuredPair, at: float) -> None:
        result, processes = self.result, pair.processes
        for name in self.sides:
            side = result.side(name)
            if side.elements_per_batch is None and side.target is None:
                side.elements_per_batch = processes[name.upper()].elements_per_batch()
        values = {name: self._values(name, processes[name.upper()]) for name in self.sides}
        further = {arm.name: values[arm.name] for arm in result.further}
        result.pairs.append(
            PairValues(
                order=list(pair.order),
                a=values["a"],
                b=values["b"],
                again=self._values("a", processes[AGAIN]),
                further=further,
                started_s=round(at, 2),
                elsewhere_share=pair.taken.elsewhere if pair.taken else None,
                stolen_share=pair.taken.stolen if pair.taken else None,
            )
        )
        mark(result.pairs)
        for name, arm in result.arms().items() if result.data is None else ():
            # The two processes of A show what A itself reproduces.
            one, again, other = (processes[key].built for key in (A, AGAIN, name.upper()))
            arm.data = messages.data_of(name, check_data(one, again, other, "same"))
        if further:
            for name, rows in rows_of_arms(counted(result.pairs), ["b", *further]).items():
                result.arms()[name].metrics = rows
        else:
            result.metrics = self.plan.rows(counted(result.pairs))
        for row in result.metrics:
            row.location = self._places.get(row.name)

    def _values(self, name: SideName, process: Process) -> dict[str, float]:
        return process.values(self.result.side(name).elements_per_batch) | self._stage_values(name, process)

    def _stage_values(self, name: SideName, process: Process) -> dict[str, float]:
        """The times of the stages that are judged; what is missing is a warning, once for each side."""
        if process.graphs is None:
            return {}
        rows = rows_of_process(process.graphs, self.sides[name].settings.loaded)
        if not self.result.pairs:
            lacking = stages_without_time(name, rows, self.plan.metrics)
            self.result.warnings += [one for one in lacking if one not in self.result.warnings]
        if name == "b":
            found = {one: find_stage(rows, stage) for one in self.plan.metrics if (stage := stage_of(one)) is not None}
            self._places = {one: stages[0].location for one, stages in found.items() if stages}
        return stage_values(rows, self.plan.metrics)


def _standing(result: Result) -> str:
    row = main_metric(result)
    if row is None or row.change is None or not result.pairs or row.scale != "ratio":
        return ""
    return f"B / A {ratio_so_far(row.change, row.low, row.high, row.pairs)}"
