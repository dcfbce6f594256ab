"""The search of `fix`: races until nothing helps, then the proof in processes of its own, written into the profile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from typing import TypeAlias

from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.spec.spec_file import byte_order_mark
from pipeprof.pipelines.steps.step import RECORDED
from pipeprof.profiles.advise.claims import withhold_fix
from pipeprof.profiles.advise.facts.caching import why_no_cache
from pipeprof.profiles.advise.proposal import SEMANTICS, Proposal, Semantics, different, most_redrawn
from pipeprof.profiles.document.findings import Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.experiment.team import InterruptedVerificationError, Team, memory_for
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.settings import RunProgress, again
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries.combine import Contender, TriedChange
from pipeprof.profiles.tries.outcome import cannot_replay, cannot_verify, forget_best, mark_rejected, write_best
from pipeprof.profiles.tries.pace import pace_of
from pipeprof.profiles.tries.race import BaseLostError, RaceResult
from pipeprof.profiles.tries.result import effect_of, fix_step, left_out, measured_of, reason_of, unfinished_of
from pipeprof.profiles.tries.search import ManyRaces
from pipeprof.profiles.tries.track import WorkerTrack, ending, job_maker, measuring
from pipeprof.profiles.wording import ratio_text

Ideas: TypeAlias = "Callable[[Profile, Version], Sequence[Proposal]]"
"""Changes of a pipeline that was measured, of every class, most promising first."""

EXIT_FAILED = 1
LEAST_SPARE = 1.25
"""Times the seconds of the shortest search that the least budget is: rounds that something disturbs come on top."""


def find_best(
    profile: Profile,
    settings: Options,
    ideas: Ideas,
    budget: float,
    progress: RunProgress,
    *,
    allow: Collection[Semantics] = (),
    end_at: float | None = None,
    save: Callable[[], object] = lambda: None,
) -> None:
    """Search for the best version of a measured pipeline, and write the result into its profile, with an exit code.

    Args:
        budget: Seconds of measuring, those of the run among them; starts and builds are not.
        allow: Classes of what the changes may change of the data, in addition to `same`.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """
    began, before = time.monotonic(), sum(phase.seconds or 0.0 for phase in profile.phases)
    with Signals().installed() as signals:
        finding = FindBest(
            profile, settings, ideas, budget, progress, allowed=frozenset({"same", *allow}), end_at=end_at, save=save
        )
        profile.fix = finding.result
        stopped: list[Exception] = []
        try:
            with ending(stopped):
                finding.run(signals)
            for error in stopped:
                finding.end(error, signals.exit_code)
        finally:
            progress.close()
            finding.result.wall_seconds = round(before + time.monotonic() - began, 2)
        if signals.exit_code is not None and not profile.exit_code:
            profile.exit_code = signals.exit_code


@dataclass
class FindBest:
    """One search of `fix`."""

    profile: Profile
    settings: Options
    ideas: Ideas
    budget: float
    progress: RunProgress
    _: KW_ONLY
    allowed: frozenset[Semantics]
    end_at: float | None
    save: Callable[[], object]

    def __post_init__(self) -> None:
        self.start = Version((), self.settings.loaded)
        # The user's limit is for one pipeline: several run at the same time here.
        self.machine = memory_for(None)
        self.pace = pace_of(self.profile, self.budget, self.machine)
        self.spent = sum(phase.seconds or 0.0 for phase in self.profile.phases if phase.name == "measure")
        self.search: ManyRaces | None = None
        self.result = Fix(
            status="interrupted",
            reason="the search was ended from outside",
            seconds=round(self.spent, 2),
            budget_seconds=self.budget,
            wall_seconds=0.0,
            allow=[name for name in SEMANTICS if name in self.allowed],
            peak_before_bytes=self.profile.memory.peak_bytes,
        )

    def run(self, signals: Signals) -> None:
        """Search, and prove what was found."""
        profile, result = self.profile, self.result
        if (reason := cannot_verify(profile) or self._prepare()) is not None:
            result.status, result.reason = "nothing", f"not tried: {reason}"
            return
        with measuring(self.settings, self.progress, signals, self.machine) as team:
            track = self._track(team)
            verdict = profile.verdict
            search = self.search = ManyRaces(
                track,
                self.start,
                profile,
                self._possible,
                limit_bytes=self.settings.memory_limit,
                short_of_memory=verdict is not None and verdict.limit == "memory",
                taken=self._tell,
            )
            proof: RaceResult | None = None
            try:
                search.run()
                if search.best.steps:
                    proof = self._prove(track, search)
            finally:
                result.seconds = round(self.spent + track.looked + team.measured, 2)
                self.pace = track.running.pace
            self._name_least_budget(track, search)
        self.describe(proof)

    def _prepare(self) -> str | None:
        """Settle what the later processes of a script do; return why they could prove nothing, in words."""
        try:
            self.settings = again(self.settings, self.profile)
        except ProfileError:
            training = self.profile.training
            why = f", as {training.unknown}" if training is not None and training.unknown else ""
            return f"how long a step of the training takes is not known{why}"
        if self.settings.target.kind == "script" and self.settings.main is None:
            return "it is unknown where the script iterates its main dataset"
        step = self.settings.step
        return cannot_replay(step.arguments) if step.kind == RECORDED else None

    def _track(self, team: Team) -> WorkerTrack:
        alone = replace(self.settings, memory_limit=None)
        jobs = job_maker(self.profile, alone, self.machine, self.pace, self.progress)
        track = WorkerTrack(
            team=team,
            pace=self.pace,
            jobs=jobs,
            progress=self.progress,
            profile=self.profile,
            left=lambda: min(self.budget - self.spent - track.looked - team.measured, self._to_end()),
            counts_starts=False,
            proves=True,
            rounding="values" in self.allowed,
            in_calls=False,
            save=self._save_so_far,
        )
        return track

    def _to_end(self) -> float:
        return math.inf if self.end_at is None else self.end_at - time.monotonic()

    def _possible(self, profile: Profile, version: Version) -> list[Proposal]:
        return [one for one in self._all(profile, version) if one.effect in self.allowed]

    def _all(self, profile: Profile, version: Version) -> list[Proposal]:
        limit = self.settings.memory_limit or profile.host.memory_limit_bytes
        return [one for one in different(self.ideas(profile, version)) if why_no_cache(profile, one, limit) is None]

    def _tell(self, one: TriedChange, gain: float) -> None:
        self.progress.note(f"best so far {ratio_text(gain)}: {one.proposal.title}")

    def _prove(self, track: WorkerTrack, search: ManyRaces) -> RaceResult:
        whole = replace(search.proposal, semantics=self._semantics(search))
        try:
            return track.prove(Contender(whole, version=search.best), for_memory=search.for_memory)
        except BaseLostError as error:
            return RaceResult("undecided", f"the pipeline as it is {error}")

    def _semantics(self, search: ManyRaces) -> Semantics:
        every = [effect_of(step) for step in search.steps if step.result == "taken"]
        return max(every, key=SEMANTICS.index, default="same")

    def _name_least_budget(self, track: WorkerTrack, search: ManyRaces) -> None:
        """Name the budget in which one change can be tried and proven, where this one is too small."""
        possible = [Contender(one) for one in self._possible(self.profile, self.start)]
        if possible and not search.races:
            track.running.rebase()
            needed = self.result.seconds + min(track.seconds_of([one]) for one in possible)
            self.result.needs_seconds = 5 * math.ceil(LEAST_SPARE * needed / 5)
            search.reason = f"the budget is too small to prove a change: --budget {self.result.needs_seconds}"

    def end(self, error: Exception, exit_code: int | None) -> None:
        """Write into the result what there is where something ended the search."""
        interrupted = isinstance(error, InterruptedVerificationError)
        code = error.exit_code if isinstance(error, InterruptedVerificationError) else None
        self.describe(None, "interrupted before the proof" if interrupted else str(error))
        if not self.result.edits:
            self.result.reason = self.result.reason if interrupted else str(error)
        usual = EXIT_CODES["interrupted"] if interrupted else getattr(error, "exit_code", EXIT_FAILED)
        self.profile.exit_code = self.profile.exit_code or code or exit_code or usual

    def _save_so_far(self) -> None:
        """Save the steps so far, and the best pipeline, as if the search were interrupted now."""
        self.describe(None, "interrupted before the proof")
        self.save()

    def describe(self, proof: RaceResult | None, ended: str | None = None) -> None:
        """Write what the search and its proof have found, and what has ended it early, in words."""
        search, result, profile = self.search, self.result, self.profile
        if search is None:
            return
        result.steps = [fix_step(step, profile.stages or ()) for step in search.steps]
        if ended is None:
            not_allowed = [one for one in self._all(profile, search.best) if one.effect not in self.allowed]
            result.left_out = left_out(not_allowed, search.gain)
        if not search.best.steps:
            result.status = "interrupted" if ended is not None else "nothing"
            result.reason = search.reason or "no change was taken until then"
        else:
            result.semantics = self._semantics(search)
            result.redrawn = most_redrawn(one.proposal.redrawn for one in search.chosen)
            if proof is None:
                why = ended or "the time was over before the proof"
                result.status, result.reason = "interrupted", f"{why}: only the steps were measured"
            else:
                self._describe_proof(proof, for_memory=search.for_memory)
        withhold_fix(profile, result)
        if result.status in {"fixed", "interrupted"} and search.best.steps:
            loaded = self.start.loaded
            write_best(result, search.best, self.start, byte_order_mark(loaded.path) if loaded is not None else "")
        else:
            forget_best(result)
        mark_rejected(profile, result)

    def _describe_proof(self, proof: RaceResult, *, for_memory: bool) -> None:
        result = self.result
        result.status = "fixed" if proof.status == "kept" else "not-proven"
        result.reason = reason_of(proof, for_memory=for_memory)
        result.unfinished = unfinished_of(proof, self.budget, 3 * self.pace.turn_seconds)
        if result.unfinished is not None:
            result.reason = f"{result.reason}: --budget {result.unfinished.budget_seconds}"
        result.measured = measured_of(proof)
        if proof.peak_bytes is not None and proof.saved_bytes is not None:
            # The largest peak that was seen, and the change that the report states: the smaller fall of two processes.
            result.peak_bytes = proof.peak_bytes
            result.peak_before_bytes = proof.peak_bytes + proof.saved_bytes
