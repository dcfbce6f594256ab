"""Verification: each edit that a finding proposes is measured against the pipeline as it is."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.edits.edits import from_document
from pipeprof.pipelines.edits.support import supports
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.advise.advise import ordered
from pipeprof.profiles.document.findings import Edit, Finding, Verification
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.lock import DEFAULT_LIMIT, LockTimeoutError, measuring_lock
from pipeprof.profiles.harness.settings import RunSettings, job_of, plan
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.protocol.turns import TurnsJob
from pipeprof.profiles.time.verdict import conclude
from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.evidence import BASELINES, EDITED, Evidence, order_of
from pipeprof.profiles.verify.judge_edit import EARLY_PAIRS, PAIRS, Judgement, judge
from pipeprof.profiles.verify.search import guesses
from pipeprof.profiles.verify.team import InterruptedVerificationError, MemberFailedError, Team

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.protocol.job import Job
    from pipeprof.profiles.protocol.turn_messages import Built, TurnEnded

    Reload = Callable[[Sequence[str]], LoadedSpec]

COMBINED = "combined"
"""The rule of a finding that is several edits together."""
_INTERRUPTED = "Interrupted while changes were tried; the measurement itself is complete."
_SIGNAL_CODES = {"interrupted": 130, "terminated": 143, "hung-up": 129}


@dataclass(frozen=True)
class _Edited:
    """An edited pipeline to be tried."""

    finding: Finding
    jobs: dict[str, Job]


def verify(
    profile: Profile,
    settings: RunSettings,
    budget: float,
    progress: RunProgress,
    *,
    reload: Reload | None,
    end_at: float | None = None,
) -> None:
    """Try the edits of a profile's findings, and write into the profile what they are.

    Args:
        profile: A complete one; its findings, verdict and exit code are changed.
        settings: Of the run.
        budget: Seconds that it may take, starts of processes included up to a quarter more.
        progress: Receives what is tried.
        reload: Reads the spec with further ``--set`` values; None for a Python target.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """
    findings = plans.to_try(profile.findings or ())
    further = guesses(profile)
    if not findings and not further:
        return
    reason = plans.cannot_verify(profile)
    if reason is not None:
        for finding in findings:
            finding.reason = f"not tried: {reason}"
        return
    began = time.monotonic()
    patience = settings.max_time if settings.max_time is not None else DEFAULT_LIMIT
    run = _Verification(profile, settings, budget, progress, reload)
    run.limit(end_at)
    progress.note(run.announce(len(findings) + len(further)))
    try:
        if settings.lock:
            with measuring_lock(settings.command, limit=patience, waiting=lambda _pid, _seconds: None):
                run.run(findings, further)
        else:
            run.run(findings, further)
    except LockTimeoutError as error:
        for finding in findings:
            finding.reason = f"not tried: {error}"
    finally:
        progress.close()
    run.finish(time.monotonic() - began)


class _Verification:
    """State of one verification."""

    def __init__(
        self,
        profile: Profile,
        settings: RunSettings,
        budget: float,
        progress: RunProgress,
        reload: Reload | None,
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._budget = budget
        self._progress = progress
        self._reload = reload
        self._planned = plan(settings)
        cores = profile.host.cores or 1.0
        self._pace = plans.pace_of(profile, budget, cores)
        self._until = time.monotonic() + budget * plans.OVER_BUDGET
        found = limits.memory_limit(settings.memory_limit, limits.cgroup_memory(Cgroup()), machine_memory())
        self._limit = found.bytes if found is not None else None
        self._baseline: dict[str, Built] = {}
        self._tried = 0
        self._without_gain: list[str] = []
        self._reached = 0
        self._same: list[float] = []

    def run(self, findings: Sequence[Finding], further: Sequence[Finding]) -> None:
        """Try findings in their order while there is time, then further edits, then those that were kept together.

        Args:
            findings: Those of rules.
            further: Edits that fit the stage with most of the work; only what helps becomes a finding.
        """
        if (reason := self._lacks_memory()) is not None:
            for finding in findings:
                finding.reason = f"not tried: {reason}"
            return
        with Signals().installed() as signals, Team(signals, self._limit).closing() as team:
            try:
                for self._reached, finding in enumerate(findings):
                    self._try(team, finding)
                self._reached = len(findings)
                self._try_combined(team, [*findings, *self._try_further(team, further)])
            except InterruptedVerificationError:
                self._profile.exit_code = _SIGNAL_CODES[signals.asked or "interrupted"]
                self._profile.warnings.append(Message(code="verification-interrupted", message=_INTERRUPTED))
                for finding in findings[self._reached :]:
                    if finding.measured is None:
                        finding.reason = "not tried: interrupted"

    def limit(self, end_at: float | None) -> None:
        """End at a time of the clock at the latest."""
        if end_at is not None:
            self._until = min(self._until, end_at)

    def announce(self, count: int) -> str:
        """Return what comes, for the progress."""
        text = f"trying up to {count} change{'s' if count > 1 else ''}, {max(0.0, self._left()):.0f} s at most"
        if self._reload is None:
            text += "; your function is called four times for the first, twice for each further one"
        return f"{text} (--no-verify skips this)"

    def finish(self, seconds: float) -> None:
        """Write what was found into the profile."""
        profile = self._profile
        profile.verification = Verification(
            seconds=round(seconds, 2),
            budget_seconds=self._budget,
            mode="alternating",
            tried=self._tried,
            without_gain=self._without_gain,
            block_seconds=self._pace.block.seconds,
            same=self._same or None,
        )
        profile.findings = ordered(profile.findings or ())
        profile.verdict = conclude(profile)

    def _left(self) -> float:
        return self._until - time.monotonic()

    def _lacks_memory(self) -> str | None:
        """Why the workers do not fit into the memory at once, in words."""
        peak = self._profile.memory.peak_bytes
        if peak is None or self._limit is None or plans.WORKERS * peak <= self._limit:
            return None
        needed, limit = plans.WORKERS * peak / 2**30, self._limit / 2**30
        return f"{plans.WORKERS} processes of this pipeline need {needed:.1f} GiB, the limit is {limit:.1f} GiB"

    def _try(self, team: Team, finding: Finding) -> None:
        has_edit = bool(finding.overrides) if self._reload is not None else graph_edits(finding) is not None
        reason = plans.cannot_try(finding, has_edit=has_edit)
        if reason is None:
            first = not self._baseline
            # The best one is tried whatever is left; how far it gets, the clock decides.
            least = EARLY_PAIRS if first else PAIRS
            reason = plans.too_long(self._pace, self._left(), self._budget, first=first, pairs=least)
        if reason is not None:
            finding.reason = f"not tried: {reason}"
            return
        try:
            edited = self._edited(finding)
        except PipeprofError as error:
            finding.reason = f"not tried: the edit does not apply ({error})"
            return
        self._tried += 1
        self._progress.phase(f"trying {self._tried}: {finding.title}", None)
        self._measure(team, edited)

    def _try_further(self, team: Team, further: Sequence[Finding]) -> list[Finding]:
        """Try edits that no rule proposed; return those that are kept."""
        kept = []
        for finding in further:
            self._try(team, finding)
            if finding.status == "kept":
                kept.append(finding)
                self._profile.findings = [*(self._profile.findings or ()), finding]
            elif finding.status == "rejected" or finding.measured is not None:
                self._without_gain.append(f"{finding.change}: {finding.reason}")
        return kept

    def _measure(self, team: Team, edited: _Edited) -> None:
        finding = edited.finding
        evidence: Evidence | None = None
        judgement: Judgement | None = None
        try:
            evidence = self._start(team, edited)
            while judgement is None or not judgement.settled:
                if self._left() < self._pace.round_seconds and judgement is not None:
                    break
                evidence.rounds.append(self._round(team, len(evidence.rounds)))
                judgement = judge(evidence, finding.semantics or "same", for_memory=finding.family == "memory")
                self._report(judgement)
        except MemberFailedError as error:
            if error.name in BASELINES:
                self._baseline = {}
                what = error.reason if error.refused else f"the pipeline as it is {error.reason}"
                finding.reason = f"not tried: {what}"
            elif error.refused:
                finding.reason = f"not tried: {error.reason}"
            else:
                finding.status, finding.reason = "rejected", f"the edited pipeline {error.reason}"
            return
        except InterruptedVerificationError:
            if evidence is not None and judgement is not None:
                _write(finding, evidence, judgement)
                finding.status, finding.reason = "unverified", f"interrupted; so far {judgement.reason}"
            raise
        finally:
            team.end(*EDITED)
            if not self._baseline:
                team.end()
        _write(finding, evidence, judgement)
        same = evidence.same()
        if same is not None:
            self._same = [same.value, same.low, same.high]

    def _start(self, team: Team, edited: _Edited) -> Evidence:
        """Start the workers, and warm them up one by one."""
        first = not self._baseline
        jobs = {**(self._baseline_jobs() if first else {}), **edited.jobs}
        patience = max(self._planned.timeout, 60.0)
        built = team.start(jobs, seconds=patience)
        for name in jobs:
            team.turn(name, self._pace.warm, seconds=self._planned.timeout)
        self._baseline = {name: built.get(name) or self._baseline[name] for name in BASELINES}
        return Evidence({**self._baseline, **{name: built[name] for name in EDITED}})

    def _round(self, team: Team, number: int) -> dict[str, TurnEnded]:
        patience = max(self._planned.timeout, 20 * self._pace.block.seconds)
        return {name: team.turn(name, self._pace.block, seconds=patience) for name in order_of(number)}

    def _report(self, judgement: Judgement) -> None:
        speedup = judgement.speedup
        if speedup is not None and not math.isinf(speedup.high):
            self._progress.tick(None, float(speedup.pairs), float(PAIRS))

    def _try_combined(self, team: Team, findings: Sequence[Finding]) -> None:
        """Try all kept edits together: gains do not add up."""
        kept = [finding for finding in findings if finding.status == "kept"]
        if len(kept) < 2 or self._left() < self._pace.seconds_of(PAIRS, first=False):
            return
        together = Finding(
            rule=COMBINED,
            title="All of them together",
            family="speed" if any(finding.family == "speed" for finding in kept) else "memory",
            semantics=max((finding.semantics or "same" for finding in kept), key=_CLASSES.index),
            edit=[edit for finding in kept for edit in _edits(finding)],
            overrides=[flag for finding in kept for flag in finding.overrides],
            change="; ".join(finding.change or finding.title for finding in kept),
            status="unverified",
        )
        try:
            edited = self._edited(together)
        except PipeprofError:
            return  # The edits exclude each other.
        self._progress.phase(f"trying all {len(kept)} together", None)
        self._measure(team, edited)
        if together.status == "kept":
            self._profile.findings = [*(self._profile.findings or ()), together]

    def _edited(self, finding: Finding) -> _Edited:
        """The jobs of the edited pipeline.

        Raises:
            PipeprofError: The edit does not apply.
        """
        if self._reload is not None:
            loaded = self._reload(finding.overrides)
            return _Edited(finding, {name: self._job(loaded, TurnsJob()) for name in EDITED})
        edits = graph_edits(finding) or []
        turns = TurnsJob(edits=edits, round_trip=True)
        return _Edited(finding, {name: self._job(None, turns) for name in EDITED})

    def _baseline_jobs(self) -> dict[str, Job]:
        if self._reload is not None:
            loaded = self._settings.loaded
            return {name: self._job(loaded, TurnsJob()) for name in BASELINES}
        # One of the two is untouched: what the rebuilding costs is seen as a difference of the two.
        untouched, rebuilt = BASELINES
        return {
            untouched: self._job(None, TurnsJob()),
            rebuilt: self._job(None, TurnsJob(round_trip=True)),
        }

    def _job(self, loaded: LoadedSpec | None, turns: TurnsJob) -> Job:
        from pipeprof.pipelines.data.cache import ensure
        from pipeprof.pipelines.data.folders import locate

        folders = {}
        if loaded is not None and loaded.spec.data:
            folders = ensure(loaded.spec.data, progress=self._progress.data, cache=locate())
        settings = replace(self._settings, loaded=loaded)
        job = job_of(settings, self._planned, folders, parent_pid=os.getpid(), memory_limit=self._limit)
        return replace(job, turns=replace(turns, digest_seconds=self._pace.digest_seconds))


_CLASSES = ("same", "order", "randomness", "values")


def _edits(finding: Finding) -> list[Edit]:
    if finding.edit is None:
        return []
    return list(finding.edit) if isinstance(finding.edit, list) else [finding.edit]


def graph_edits(finding: Finding) -> list[str] | None:
    """The edits of a finding for a graph, as JSON; ``None`` where one of them needs the user's code."""
    documents = _edits(finding)
    edits = [from_document(document.model_dump()) for document in documents]
    if not edits or any(edit is None or not supports(edit, "graph") for edit in edits):
        return None
    return [document.model_dump_json() for document in documents]


def _write(finding: Finding, evidence: Evidence, judgement: Judgement | None) -> None:
    """Write into a finding what it is."""
    if judgement is None:
        return
    speedup = judgement.speedup
    finding.status, finding.reason = judgement.status, judgement.reason
    if speedup is None:
        return
    finding.measured = {
        "speedup": round(speedup.value, 4),
        "low": round(speedup.low, 4),
        "high": round(speedup.high, 4) if math.isfinite(speedup.high) else None,
        "pairs": [round(ratio, 4) for ratio in evidence.ratios()],
        "peak_rss_delta_bytes": -judgement.saved_bytes if judgement.saved_bytes is not None else None,
        "data": judgement.data.words,
        "mode": "alternating",
    }
