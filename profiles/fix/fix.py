"""The search for the fastest pipeline that is proven: from a measured run to its result in the profile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.profiles.document.findings import Fix
from pipeprof.profiles.fix.candidates import CLASSES, allowed_classes
from pipeprof.profiles.fix.laboratory import (
    MOST_RIVALS,
    Laboratory,
    TimedTeam,
    measured_seconds,
    pace_for,
    rivals_that_fit,
)
from pipeprof.profiles.fix.outcome import describe, write_best
from pipeprof.profiles.fix.search import Found, Search
from pipeprof.profiles.fix.version import Reread, Version
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.lock import DEFAULT_LIMIT, LockTimeoutError, measuring_lock
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.jobs import JobMaker
from pipeprof.profiles.verify.team import InterruptedVerificationError
from pipeprof.profiles.verify.trials import InterruptedTrialError

if TYPE_CHECKING:
    from pipeprof.profiles.advise.rule import Semantics
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.harness.progress import RunProgress
    from pipeprof.profiles.harness.settings import RunSettings
    from pipeprof.profiles.verify.trials import Trial

LONG_BUILD_SECONDS = 10.0
"""From which the plan states how long building takes."""
_SIGNAL_CODES = {"interrupted": 130, "terminated": 143, "hung-up": 129}


def fix(
    profile: Profile,
    settings: RunSettings,
    budget: float,
    progress: RunProgress,
    *,
    allow: Collection[Semantics] = (),
    reread: Reread | None = None,
    end_at: float | None = None,
) -> None:
    """Search for the best version of a measured pipeline, and write the result into its profile.

    Args:
        profile: A complete one of the pipeline as it is; its `fix` is set, and its exit code where a signal came.
        settings: Of the run; its memory limit holds for every version.
        budget: Seconds of measuring, those of the run among them.
        progress: Receives what is measured.
        allow: Classes of what the changes may change of the data, in addition to `same`.
        reread: Reads the spec with another text; None for a Python target.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
    """
    began = time.monotonic()
    fixing = _Fixing(profile, settings, budget, progress, allowed_classes(allow), reread, end_at)
    patience = settings.max_time if settings.max_time is not None else DEFAULT_LIMIT
    try:
        with (
            measuring_lock(settings.command, limit=patience, waiting=lambda _pid, _seconds: None)
            if settings.lock
            else contextlib.nullcontext()
        ):
            fixing.run()
    except LockTimeoutError as error:
        fixing.result.reason = str(error)
    finally:
        progress.close()
    before = sum(phase.seconds or 0.0 for phase in profile.phases)
    fixing.result.wall_seconds = round(before + time.monotonic() - began, 2)
    profile.fix = fixing.result


class _Fixing:
    """State of one search."""

    def __init__(  # noqa: PLR0917 - what a search has
        self,
        profile: Profile,
        settings: RunSettings,
        budget: float,
        progress: RunProgress,
        allowed: frozenset[Semantics],
        reread: Reread | None,
        end_at: float | None,
    ) -> None:
        self._profile = profile
        self._settings = settings
        self._budget = budget
        self._progress = progress
        self._allowed = allowed
        self._end_at = end_at
        self._start = Version((), settings.loaded, reread)
        # The user's limit is for one pipeline: several run at the same time here.
        machine = limits.memory_limit(None, limits.cgroup_memory(Cgroup()), machine_memory())
        self._machine = machine.bytes if machine is not None else None
        self._mode = plans.mode_of(profile, self._machine)
        self._pace = self._pace_of(self._mode.mode)
        self.result = Fix(
            status="nothing",
            reason="",
            seconds=round(measured_seconds(profile), 2),
            budget_seconds=budget,
            wall_seconds=0.0,
            allow=[name for name in CLASSES if name in allowed],
            peak_before_bytes=profile.memory.peak_bytes,
        )

    def run(self) -> None:
        """Search, and prove what was found."""
        profile, result = self._profile, self.result
        reason = plans.cannot_verify(profile)
        if reason is not None:
            result.reason = f"not tried: {reason}"
            return
        most = rivals_that_fit(profile.memory.peak_bytes, self._machine)
        alone = self._mode.mode != "alternating" or not most
        most = MOST_RIVALS if alone else most
        self._announce(0 if alone else most)
        with Signals().installed() as signals, TimedTeam(signals, self._machine).closing() as team:
            jobs = JobMaker(
                replace(self._settings, memory_limit=None),
                None,
                memory_limit=self._machine,
                digest_seconds=self._pace.digest_seconds,
                data_progress=self._progress.data,
            )
            lab = Laboratory(
                team,
                self._pace,
                jobs,
                self._settings,
                self._progress,
                budget=self._budget,
                spent=measured_seconds(profile),
                most=most,
                alone=alone,
                fewer=self._pace_of,
                end_at=self._end_at,
            )
            search = Search(
                self._start,
                profile,
                lab,
                kind="spec" if self._settings.loaded is not None else "graph",
                allowed=self._allowed,
                limit_bytes=self._settings.memory_limit,
                short_of_memory=profile.verdict is not None and profile.verdict.limit == "memory",
            )
            found = search.run()
            result.steps = found.steps
            try:
                trial = self._prove(lab, found)
            except (InterruptedTrialError, InterruptedVerificationError):
                found.interrupted, trial = True, None
            if found.interrupted:
                profile.exit_code = _SIGNAL_CODES[signals.asked or "interrupted"]
            result.seconds = round(lab.seconds, 2)
        describe(result, found, trial, lab.mode)
        if result.status in {"fixed", "interrupted"} and found.best.steps:
            write_best(result, found, self._start)

    def _pace_of(self, mode: plans.Mode) -> plans.Pace:
        """Lengths of what is measured, for so many processes at a time."""
        return pace_for(self._profile, self._budget, self._profile.host.cores or 1.0, mode)

    def _prove(self, lab: Laboratory, found: Found) -> Trial | None:
        if not found.best.steps or found.interrupted:
            return None
        semantics = max(found.semantics, key=CLASSES.index)
        return lab.prove(found.best, semantics, for_memory=found.for_memory)

    def _announce(self, most: int) -> None:
        """State what comes: how long it measures, and how often the pipeline is built.

        Args:
            most: Changed pipelines that run side by side; 0 where one process exists at a time.
        """
        made = plans.seconds_to_make(self._profile)
        left = max(0.0, self._budget - self.result.seconds)
        text = f"searching: up to {left:.0f} s of measuring, starts of processes come on top"
        if self._settings.loaded is None:
            text += "; your function is called once in each process"
        if made >= LONG_BUILD_SECONDS:
            text += f"; the pipeline takes {made:.0f} s until its first batch"
            if most:
                text += f", in up to {most + 2} processes a race: a race takes as long, and is not counted"
            else:
                text += " in each process, which is not counted"
        if not most:
            why = self._mode.why or "the memory of this machine is too small for more"
            text += f"; {plans.MODE_WORDS['sequential']}: {why}"
        self._progress.note(text)
