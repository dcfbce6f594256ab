"""The tries of `run`: ideas and upper bounds raced once, and what was found written into the profile."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import starmap

from pipeprof.pipelines.changes.in_spec_text import spec_diff
from pipeprof.profiles.advise.claims import cut_to_limit, too_dear, withhold_findings
from pipeprof.profiles.advise.facts.caching import runs_python, why_no_cache
from pipeprof.profiles.advise.order import finding_of, ordered, proposal_of
from pipeprof.profiles.advise.proposal import Proposal, different, expected_of
from pipeprof.profiles.advise.text.in_words import which_change
from pipeprof.profiles.advise.upper_bounds import upper_bounds
from pipeprof.profiles.document.findings import Finding, Verification
from pipeprof.profiles.document.profile import Message, Profile
from pipeprof.profiles.experiment.jobs import JobMaker, Version
from pipeprof.profiles.experiment.team import InterruptedVerificationError, memory_for
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.fork_server import Copies
from pipeprof.profiles.harness.settings import RunProgress
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.tries.bounds import bound_finding, is_for_a_step_only, is_reached, open_bound
from pipeprof.profiles.tries.combine import COMBINED, Contender, TriedChange
from pipeprof.profiles.tries.outcome import (
    ENDED,
    INTERRUPTED,
    OVER_BUDGET,
    cannot_try,
    cannot_verify,
    to_try,
    uncovered,
)
from pipeprof.profiles.tries.pace import RacePace, pace_of
from pipeprof.profiles.tries.result import apart_of, repeats, unfinished_of, write_into
from pipeprof.profiles.tries.search import OneRace
from pipeprof.profiles.tries.track import WorkerTrack, ending, job_maker, measuring
from pipeprof.profiles.wording import with_name


def try_changes(
    profile: Profile,
    settings: Options,
    ideas: Sequence[Proposal],
    budget: float,
    progress: RunProgress,
    *,
    end_at: float | None = None,
    save: Callable[[], object] = lambda: None,
    spent: float = 0.0,
    early: Copies | None = None,
) -> None:
    """Race the changes of a profile's findings, and further ones, and write into the profile what they are.

    Args:
        ideas: Changes worth measuring, most promising first: what helps becomes a finding.
        budget: Seconds that it may take, starts of processes included; what has begun ends soon after.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
        spent: Seconds of what the user has given that were used before, and that the budget does not have.
    """
    began = time.monotonic()
    until = min(began + budget * OVER_BUDGET, math.inf if end_at is None else end_at)
    limit = memory_for(settings.memory_limit)
    pace = pace_of(profile, budget, limit)
    jobs = job_maker(profile, settings, limit, pace, progress)
    writing = RunResults(profile, jobs, limit, pace, budget + spent, began)
    contenders = writing.contenders(ideas)
    stopped: list[Exception] = []
    with Signals().installed() as signals:
        if contenders:
            progress.note(writing.announcement(len(contenders), until - began))
            with ending(stopped), measuring(settings, progress, signals, limit, early) as team:
                track = WorkerTrack(
                    team=team,
                    pace=pace,
                    jobs=jobs,
                    progress=progress,
                    profile=profile,
                    left=lambda: until - time.monotonic(),
                    save=save,
                )
                start, reached = Version((), settings.loaded), partial(is_reached, profile)
                search = OneRace(track, start, contenders, is_reached=reached, most=most_gain(profile))
                search.after = lambda: writing.write(search, track.running.pace)
                try:
                    search.run()
                finally:
                    writing.write(search, track.running.pace)
                    writing.write_late(search)
            progress.close()
        for error in stopped:
            writing.write_end(error, signals.exit_code)
        if signals.exit_code is not None:
            profile.exit_code = signals.exit_code
    if contenders:
        writing.finish()


@dataclass
class RunResults:
    """Writes what the tries of a run have found into its profile; `given` are the seconds that the user has given."""

    profile: Profile
    jobs: JobMaker
    limit: int | None
    pace: RacePace
    given: float
    began: float

    def __post_init__(self) -> None:
        self.own: dict[str, Finding] = {}
        """Findings of the run that propose what is raced, by their edits."""
        self._written = 0
        self._tried: list[Finding] = []
        self._bounded: list[TriedChange] = []
        self._kept: list[TriedChange] = []
        self._not_tried: dict[str, list[Finding]] = {}
        self._late = ""
        self._verification = Verification(
            seconds=0.0, budget_seconds=self.given, mode=self.pace.mode, tried=0, block_seconds=0.0, apart=1.0
        )

    def contenders(self, ideas: Sequence[Proposal]) -> list[Contender]:
        """What is raced: the changes of findings and ideas that can be tried, then upper bounds."""
        if (reason := cannot_verify(self.profile)) is not None:
            for finding in self.profile.findings or ():
                finding.reason = f"not tried: {reason}" if finding.status == "unverified" else finding.reason
            return []
        found: list[Proposal] = []
        for finding in to_try(self.profile):
            why = self.why_not(finding)
            finding.reason = f"not tried: {why}" if why is not None else finding.reason
            if why is None:
                found.append(proposal_of(finding))
                self.own[str(found[-1].edits)] = finding
        for idea in ideas:
            finding = self.finding_for(idea)
            if (why := self.why_not(finding)) is None:
                found.append(idea)
            else:
                self._not_tried.setdefault(why, []).append(finding)
        found.sort(key=lambda one: -expected_of(one, self.profile.memory.peak_bytes))
        return [*map(Contender, different(found)), *starmap(Contender, upper_bounds(self.profile, self.limit))]

    def why_not(self, finding: Finding) -> str | None:
        """Why a change cannot be tried on this pipeline, in words; None where it can."""
        cache = why_no_cache(self.profile, finding, self.limit)
        has_edit = self.jobs.can_make(finding)
        return cannot_try(finding, has_edit=has_edit, cache=cache)

    def finding_for(self, proposal: Proposal) -> Finding:
        """The finding of a change: that of the profile which proposes it, or a new one."""
        if (known := self.own.get(str(proposal.edits))) is not None:
            return known
        loaded = self.jobs.settings.loaded
        patch = spec_diff(loaded, proposal.edits) if loaded is not None and proposal.edits else None
        return finding_of(proposal, patch=patch)

    def announcement(self, count: int, left: float) -> str:
        """What comes, for the progress."""
        alone = f"; one process at a time: {self.pace.alone}" if self.pace.alone is not None else ""
        many = f"racing up to {count} change{'s' if count > 1 else ''}, {left:.0f} s at most"
        if not self.jobs.is_spec or any(map(runs_python, self.profile.stages or ())):
            many += "; each process runs your Python, with what it writes or sends"
        return f"{many}{alone} (Ctrl-C: report now; --no-verify skips this)"

    def write(self, search: OneRace, pace: RacePace) -> None:
        """Write what has been tried since the last time."""
        self.pace, self._kept, done = pace, search.single, self._verification
        for tried in search.tried[self._written :]:
            done.apart = max(done.apart or 1.0, round(apart_of(tried.result), 4))
            if tried.contender.is_bound:
                self._bounded.append(tried)
            elif tried.proposal.rule != COMBINED or tried in search.joined:
                self._write_change(tried)
        self._written = len(search.tried)
        self.note()

    def _write_change(self, tried: TriedChange) -> None:
        finding, result, done = self.finding_for(tried.proposal), tried.result, self._verification
        write_into(finding, result, unfinished_of(result, self.given, 3 * self.pace.turn_seconds))
        if (why := too_dear(finding, self.profile.memory.peak_bytes, self.limit)) is not None:
            finding.status, finding.reason = "rejected", why
        self._tried.append(finding)
        same = result.compared.same if result.compared is not None else None
        if same is not None and math.isfinite(same.high):
            done.same = [same.value, same.low, same.high]
        if self._is_reported(finding):
            return
        if finding.status == "kept" or finding.unfinished is not None:
            self.profile.findings = [*(self.profile.findings or ()), finding]
        elif result.status == "refused":
            self._not_tried.setdefault(with_name(result.why, self.profile.stages or ()), []).append(finding)
        else:
            words = done.without_gain if finding.status == "rejected" else done.undecided
            words.append(f"{which_change(self.profile, finding)}: {str(finding.reason).removeprefix('undecided: ')}")

    def _write_bounds(self) -> None:
        """Write upper bounds, once all changes are known: what did not help is no advice, what helps leaves less."""
        for tried in self._bounded:
            finding = bound_finding(self.profile, tried, self._tried, self.pace.block.settle_seconds)
            if finding.measured is not None:
                finding.measured["mode"] = self.pace.mode
            most = (finding.measured or {}).get("speedup")
            if finding.status == "ceiling" and is_reached(self.profile, tried.proposal.covers, self._kept, most):
                continue
            if finding.status == "ceiling" and not is_for_a_step_only(self.profile, finding):
                repeated = [one for one in self.profile.findings or () if repeats(one, finding)]
                if repeated:
                    # One entry: why by the finding, which `rules` explains, and how much by the bound.
                    finding.rule, finding.sentence = repeated[0].rule, repeated[0].sentence
                self.profile.findings = [one for one in self.profile.findings or () if one not in repeated] + [finding]
            elif finding.reason is not None:
                self._verification.bounds.append(open_bound(self.profile, finding))

    def write_late(self, search: OneRace) -> None:
        """Write what had no time, and why."""
        if search.lost is not None:
            why = f"the pipeline as it is {search.lost}"
        else:
            unfinished = [one for one in self._tried if one.unfinished is not None]
            more = [one.unfinished.budget_seconds for one in unfinished if one.unfinished is not None]
            more += [10 * math.ceil((self.given + self.pace.seconds_of(1)) / 10)] if search.late else []
            needs = self._verification.needs_seconds = max(more, default=None)
            for finding in unfinished:
                finding.name_budget(needs or 0)
            why = self._late = f"the budget of {self.given:.0f} s was used up: --budget {needs}"
        for one in search.late:
            if one.is_bound:
                continue
            finding = self.finding_for(one.proposal)
            if self._is_reported(finding):
                finding.reason = f"not tried: {why}"
            else:
                self._not_tried.setdefault(why, []).append(finding)

    def write_end(self, error: Exception, exit_code: int | None) -> None:
        """Write what has ended the tries early."""
        interrupted = isinstance(error, InterruptedVerificationError)
        words = INTERRUPTED if interrupted else ENDED.format(error)
        code = "verification-interrupted" if interrupted else "verification-ended"
        self.profile.warnings.append(Message(code=code, message=words))
        if interrupted:
            self.profile.exit_code = exit_code or EXIT_CODES["interrupted"]
        for finding in self.own.values():
            if not any(finding is one for one in self._tried):
                finding.reason = f"not tried: {'interrupted' if interrupted else error}"

    def _is_reported(self, finding: Finding) -> bool:
        return any(finding is one for one in self.profile.findings or ())

    def note(self) -> None:
        """Write how changes were tried."""
        done = self.profile.verification = self._verification
        done.seconds = round(time.monotonic() - self.began, 2)
        done.mode, done.block_seconds = self.pace.mode, self.pace.block.seconds
        done.tried, done.not_tried = len(self._tried), uncovered(self.profile, self._not_tried, self._late)

    def finish(self) -> None:
        """Make what was found agree with itself and with the verdict, at the end."""
        profile = self.profile
        self._write_bounds()
        withhold_findings(profile)
        profile.findings = ordered(profile.findings or ())
        cut_to_limit(profile)
        self.note()
