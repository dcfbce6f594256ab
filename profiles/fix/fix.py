"""The search for the fastest pipeline that is proven: from a measured run to its result in the profile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from pipeprof.pipelines.errors import PipeprofError, ProfileError
from pipeprof.pipelines.spec.yaml.reader import byte_order_mark
from pipeprof.profiles.document.findings import Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.schedule import Mode
from pipeprof.profiles.experiment.team import InterruptedVerificationError
from pipeprof.profiles.fix.earlier import proven_changes
from pipeprof.profiles.fix.laboratory import (
    MOST_RIVALS,
    Laboratory,
    TimedTeam,
    measured_seconds,
    pace_for,
    rivals_that_fit,
)
from pipeprof.profiles.fix.outcome import describe, forget_best, mark_rejected, write_best
from pipeprof.profiles.fix.race import ChangedFileError
from pipeprof.profiles.fix.search import Found, Search
from pipeprof.profiles.fix.version import Version
from pipeprof.profiles.harness.event_loop import EXIT_CODES, Signals
from pipeprof.profiles.harness.lock import measuring_lock, waiting_note
from pipeprof.profiles.harness.progress import RunProgress
from pipeprof.profiles.harness.settings import RunSettings, again
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.cgroup import Cgroup
from pipeprof.profiles.host.machine import machine_memory
from pipeprof.profiles.host.system_faults import system_fault
from pipeprof.profiles.propose.optimistic import withhold_fix
from pipeprof.profiles.propose.proposal import SEMANTICS, Compared, Semantics, cannot_change_data, strongest
from pipeprof.profiles.verify import plan as plans
from pipeprof.profiles.verify.guessing.caching import longest_epoch
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.verify.trials import Trial

EXIT_FAILED = 1
UNTIL_TAKEN = "until it is about to iterate its main dataset"
LONG_BUILD_SECONDS = 10.0
"""From which the plan states how long building takes."""


def fix(
    profile: Profile,
    settings: RunSettings,
    budget: float,
    progress: RunProgress,
    *,
    allow: Collection[Semantics] = (),
    end_at: float | None = None,
    save: Callable[[], object] = lambda: None,
    earlier: Profile | None = None,
) -> None:
    """Search for the best version of a measured pipeline, and write the result into its profile.

    Args:
        profile: A complete one of the pipeline as it is; its `fix` is set, and its exit code where a signal came.
        settings: Of the run; its memory limit holds for every version.
        budget: Seconds of measuring, those of the run among them.
        allow: Classes of what the changes may change of the data, in addition to `same`.
        end_at: When the time of the whole command is over, in seconds of `time.monotonic`; None for never.
        earlier: Of an earlier run of the same pipeline: what it has proven is tried first.
    """
    began = time.monotonic()
    with Signals().installed() as signals:
        allowed = frozenset({"same", *allow})
        fixing = _Fixing(profile, settings, budget, progress, allowed, end_at, save, signals, earlier)
        profile.fix = fixing.result
        try:
            with (
                measuring_lock(settings.command, limit=settings.lock_patience, waiting=fixing.waiting)
                if settings.lock
                else contextlib.nullcontext()
            ):
                fixing.run()
        except InterruptedVerificationError:
            fixing.end("before anything was tried")
        except (PipeprofError, OSError) as error:
            # Another command that measures, a worker that cannot be started: what was measured until then stays.
            fault = system_fault(error) or error
            fixing.end(str(fault), fault.exit_code if isinstance(fault, PipeprofError) else EXIT_FAILED)
        finally:
            progress.close()
            before = sum(phase.seconds or 0.0 for phase in profile.phases)
            fixing.result.wall_seconds = round(before + time.monotonic() - began, 2)
        if signals.exit_code is not None and not profile.exit_code:
            profile.exit_code = signals.exit_code


@dataclass
class _Fixing:
    profile: Profile
    settings: RunSettings
    budget: float
    progress: RunProgress
    allowed: frozenset[Semantics]
    end_at: float | None
    save: Callable[[], object]
    signals: Signals
    earlier: Profile | None

    def __post_init__(self) -> None:
        self._search: Search | None = None
        self._proof_mode: Mode = "alternating"
        self._note_waiting = waiting_note(self.progress.note, self.settings.lock_patience)
        self._start = Version((), self.settings.loaded)
        # The user's limit is for one pipeline: several run at the same time here.
        machine = limits.memory_limit(None, limits.cgroup_memory(Cgroup()), machine_memory())
        self._machine = machine.bytes if machine is not None else None
        self._mode = plans.mode_of(self.profile, self._machine)
        self._pace = self._pace_of(self._mode.mode)
        self.result = Fix(
            status="interrupted",
            reason="the search was ended from outside",
            seconds=round(measured_seconds(self.profile), 2),
            budget_seconds=self.budget,
            wall_seconds=0.0,
            allow=[name for name in SEMANTICS if name in self.allowed],
            peak_before_bytes=self.profile.memory.peak_bytes,
        )

    def run(self) -> None:
        """Search, and prove what was found."""
        profile, result = self.profile, self.result
        reason = plans.cannot_verify(profile) or self._prepare()
        if reason is not None:
            result.status, result.reason = "nothing", f"not tried: {reason}"
            return
        most = rivals_that_fit(profile.memory.peak_bytes, self._machine)
        alone = self._mode.mode != "alternating" or not most
        most = MOST_RIVALS if alone else most
        self._announce(0 if alone else most)
        with TimedTeam(self.signals, self._machine).closing() as team:
            jobs = JobMaker(
                replace(self.settings, memory_limit=None),
                memory_limit=self._machine,
                digest_seconds=self._pace.digest_seconds,
                data_progress=self.progress.data,
                sha256=profile.target.sha256,
            )
            lab = Laboratory(
                team,
                self._pace,
                jobs,
                self.settings,
                self.progress,
                budget=self.budget,
                spent=measured_seconds(profile),
                most=most,
                profile=profile,
                alone=alone,
                rounds="values" in self.allowed,
                fewer=self._pace_of,
                end_at=self.end_at,
                save=self._save_so_far,
            )
            if not lab.fits([()]):
                least = f"--budget {lab.least_budget}"
                self.progress.note(f"no change can be tried and proven in {self.budget:g} s: {least}")
            search = self._search = Search(
                self._start,
                profile,
                lab,
                kind="spec" if self.settings.loaded is not None else "calls",
                allowed=self.allowed,
                limit_bytes=self.settings.memory_limit,
                short_of_memory=profile.verdict is not None and profile.verdict.limit == "memory",
                longest_epoch=longest_epoch(self.budget),
                proven=proven_changes(self.earlier, profile) if self.earlier is not None else [],
            )
            try:
                found = search.run()
                trial = self._prove(lab, found)
            finally:
                result.seconds = round(lab.seconds, 2)
                self._proof_mode = lab.mode
        if found.interrupted:
            profile.exit_code = found.exit_code or self.signals.exit_code or EXIT_CODES["interrupted"]
        elif found.changed is not None:
            profile.exit_code = EXIT_FAILED
        self._describe(found, trial)

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
        return plans.cannot_replay(self.settings.replayed)

    def waiting(self, pid: int | None, seconds: float) -> None:
        """Note who is waited for, and let a signal end the wait for another command that measures.

        Raises:
            InterruptedVerificationError: One came.
        """
        if self.signals.asked is not None:
            raise InterruptedVerificationError
        self._note_waiting(pid, seconds)

    def end(self, reason: str, exit_code: int = EXIT_FAILED) -> None:
        """Write into the result what there is where something ended the search."""
        self._save_so_far()
        if not self.result.edits:
            self.result.reason = reason
        self.profile.exit_code = self.profile.exit_code or self.signals.exit_code or exit_code

    def _save_so_far(self) -> None:
        """Save the steps so far, and the best pipeline, as if the search were interrupted now."""
        if self._search is not None:
            found = replace(self._search.found, interrupted=True)
            self._describe(found, None)
        self.save()

    def _describe(self, found: Found, trial: Trial | None) -> None:
        self.result.steps, self.result.left_out = found.steps, found.left_out
        self.result.needs_seconds = found.needs_seconds
        describe(self.result, found, trial, self._proof_mode)
        withhold_fix(self.profile, self.result)
        if self.result.status in {"fixed", "interrupted"} and found.best.steps:
            loaded = self._start.loaded
            write_best(self.result, found.best, self._start, byte_order_mark(loaded.path) if loaded is not None else "")
        else:
            forget_best(self.result)
        mark_rejected(self.profile, self.result)

    def _pace_of(self, mode: Mode) -> plans.Pace:
        """Lengths of what is measured, for so many processes at a time."""
        return pace_for(self.profile, self.budget, self.profile.host.cores or 1.0, mode)

    def _prove(self, lab: Laboratory, found: Found) -> Trial | None:
        if not found.best.steps or found.interrupted or found.changed is not None:
            return None
        edits = [edit for step in found.best.steps for edit in step]
        semantics: Compared = "nothing" if cannot_change_data(edits) else strongest((*found.semantics, found.redrawn))
        try:
            return lab.prove(found.best, semantics, for_memory=found.for_memory)
        except InterruptedVerificationError:
            found.interrupted = True
        except ChangedFileError as error:
            found.changed = str(error)
        return None

    def _announce(self, most: int) -> None:
        """State what comes: how long it measures, and how often the pipeline is built.

        Args:
            most: Changed pipelines that run side by side; 0 where one process exists at a time.
        """
        made = plans.seconds_to_make(self.profile)
        left = max(0.0, self.budget - self.result.seconds)
        text = f"searching: up to {left:.0f} s of measuring, starts of processes come on top"
        if self.settings.target.kind == "script":
            text += f"; the script runs again in each process, {UNTIL_TAKEN}"
        elif self.settings.loaded is None:
            text += "; your function is called once in each process"
        if any(runs_python(stage) for stage in self.profile.stages or ()):
            text += "; Python functions run in each process, with what they write or send"
        if made >= LONG_BUILD_SECONDS:
            text += f"; the pipeline takes {made:.0f} s until its first batch"
            if most:
                text += f", in up to {most + 2} processes a race: a race takes as long, and is not counted"
            else:
                text += " in each process, which is not counted"
        if not most:
            why = self._mode.why or "the memory of this machine is too small for more"
            text += f"; {plans.MODE_WORDS['sequential']}: {why}"
        self.progress.note(text)
