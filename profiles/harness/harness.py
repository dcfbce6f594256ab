"""Control of one sample: prepare, start the worker, watch it, and build the profile."""

from __future__ import annotations

import math
import os
import time
from dataclasses import replace
from datetime import datetime, timezone
from functools import cached_property
from typing import TYPE_CHECKING

from pipeprof.pipelines.static.slips import slips_in
from pipeprof.profiles.advise.advise import findings_for
from pipeprof.profiles.document.memory import Disk
from pipeprof.profiles.document.profile import Message, Problem, Profile, Tool
from pipeprof.profiles.git.calls import checked_out
from pipeprof.profiles.harness.build_profile import assemble
from pipeprof.profiles.harness.event_loop import ASKED, MOST_SAVING, SAVE_SECONDS, Ended, Saver, Signals, Watch
from pipeprof.profiles.harness.failure import Circumstances, cause_of_silence, diagnose, listens
from pipeprof.profiles.harness.process import Outside, RunFacts, WorkerProcess, measuring_lock
from pipeprof.profiles.harness.received import Observed, account_memory
from pipeprof.profiles.harness.settings import target_of, written_stages
from pipeprof.profiles.host import host as hosts
from pipeprof.profiles.host import limits
from pipeprof.profiles.host.limits import Cgroup, CgroupWatch, machine_memory
from pipeprof.profiles.host.page_cache import evict
from pipeprof.profiles.host.run_family import LOOK_SHARE, FamilyReader, RunFamily
from pipeprof.profiles.host.sampler import (
    MEASURE_INTERVAL,
    SOAK_INTERVAL,
    SOAK_LOOK_SHARE,
    ContentionProbe,
    Sampler,
    SamplerThread,
)
from pipeprof.profiles.memory.growth import judge
from pipeprof.profiles.protocol.messages import UNTRACED
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.time.flow import scheduled_on
from pipeprof.profiles.time.words import conclude
from pipeprof.profiles.view.from_graph import rows_of_sketch, view_of_sketch
from pipeprof.profiles.wording import phase_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeprof.profiles.document.store import ProfileWriter
    from pipeprof.profiles.harness.fork_server import Copies
    from pipeprof.profiles.harness.settings import RunProgress
    from pipeprof.profiles.view.view import PipelineView


ROOM_BYTES = 4 * 1024**3
"""For a worker, from which a second process that holds TensorFlow (0.6 GB) takes nothing that it needs."""
SOAK_BEFORE = 0.6
"""Part of a soak in which memory is only read; in the rest Python's allocations are traced if it grows."""
SOAK_SAVE_SECONDS = 10.0
SOAK_SAVING = 0.0002
"""Share of the time of a soak that may go into saving, where it takes a minute or more."""
SHORT_SOAK = 60.0
SOAK_JUDGED = 30
"""How often a soak is judged until it ends, to see whether it has to be looked for what grows."""
INTERRUPTED_AFTER = "Interrupted when the measurement was complete: nothing of it is lost, no change was tried."


def run_sample(
    options: Options,
    writer: ProfileWriter,
    progress: RunProgress,
    tell: Callable[[Profile], object] | None = None,
    early: Copies | None = None,
) -> Profile:
    """Measure the target once.

    Args:
        tell: Called with what is known once the headline of the verdict is, before the trace.
        early: Begun beside the worker where there is a core and memory for it.

    Raises:
        PipeprofError: Something was wrong before the worker started.
    """
    began = time.monotonic()
    with measuring_lock(progress.note, options.patience) as warning:
        run = Run(options, writer, progress, began, tell, early)
        if warning:
            run.warn("no-lock", warning)
        return run.run()


class Run:
    """State of one run."""

    def __init__(  # noqa: PLR0917 - what a run has
        self,
        options: Options,
        writer: ProfileWriter,
        progress: RunProgress,
        began: float,
        tell: Callable[[Profile], object] | None = None,
        early: Copies | None = None,
    ) -> None:
        self._options = options
        self._writer = writer
        self._progress = progress
        self._began = began
        self._tell = tell
        self._early = early
        self._headline: str | None = None
        self._cgroup = Cgroup()
        self._limit = limits.memory_limit(options.memory_limit, self._cgroup, machine_memory())
        stages = written_stages(options.loaded)
        self._facts = RunFacts(
            target=target_of(options),
            tool=Tool(version=hosts.versions()["pipeprof"] or "unknown"),
            host=hosts.host_facts(self._limit, self._cgroup),
            versions=hosts.versions(),
            options=options,
            started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            stages=stages,
            commit=checked_out(options.target.path, os.environ),
            written=list(stages.values()) if options.loaded is not None else None,
        )
        self._phases_told = 0
        self._judge_at = 0.0
        self._silent_services: list[str] = []

    def warn(self, code: str, message: str) -> None:
        """Add a warning to the profile."""
        self._facts.warnings.append(Message(code=code, message=message))

    def run(self) -> Profile:
        """Start the worker, watch it to its end, and write the profile."""
        folders = self._make_data()
        evicted = self._evict(folders)
        oom = CgroupWatch(self._cgroup)
        self._observed = Observed()
        with Signals().installed() as signals:
            limit = self._limit.bytes if self._limit else None
            data_dirs = {name: str(folder) for name, folder in folders.items()}
            job = replace(self._options, data_dirs=data_dirs, memory_limit=limit)
            with RunFamily() as family:
                worker = WorkerProcess(job, family)
                if self._early is not None and self._has_room_for_two():
                    self._early.begin()
                try:
                    ended, sampler = self._watch(worker, signals, evicted)
                finally:
                    worker.end()
                    worker.close()
            profile = self._conclude(worker, ended, sampler, oom)
            if signals.exit_code is not None and not profile.exit_code:
                # It came when all was measured.
                profile.exit_code = signals.exit_code
                profile.warnings.append(Message(code="interrupted-after", message=INTERRUPTED_AFTER))
                self._writer.write(profile, final=True)
        return profile

    def _conclude(self, worker: WorkerProcess, ended: Ended, sampler: Sampler, oom: CgroupWatch) -> Profile:
        self._facts.output = worker.output.users()
        around = Circumstances(
            self._options,
            sampler,
            self._limit,
            oom.report(),
            stages=self._facts.stages,
            view=self._seen_view,
            printed=worker.output.text(),
            stacks=worker.stacks.text(),
            silent_services=self._silent_services,
        )
        failure = diagnose(ended, self._observed, around)
        if failure is not None:
            self._pin_to_op(failure.problem)
        self._note_lost_end(ended)
        return self._finish(sampler, failure.problem if failure else None, failure.exit_code if failure else 0)

    def _finish(self, sampler: Sampler, problem: Problem | None, exit_code: int) -> Profile:
        self._progress.close()
        profile = self._concluded(sampler, problem, exit_code)
        self._writer.write(profile, final=True)
        if self._writer.warnings:
            profile.warnings += [Message(code="not-saved-there", message=text) for text in self._writer.warnings]
            self._writer.write(profile, final=True)
        return profile

    def _concluded(self, sampler: Sampler, problem: Problem | None = None, exit_code: int = 0) -> Profile:
        if self._facts.written is None and self._seen_view is not None:
            self._facts.written = rows_of_sketch(self._seen_view)
        profile = assemble(self._facts, self._observed, sampler, problem=problem, exit_code=exit_code)
        account_memory(profile, self._observed, sampler, self._options.loaded, self._facts.stages)
        profile.findings, messages = findings_for(
            profile,
            self._observed.parsed,
            loaded=self._options.loaded,
            sketch_view=self._seen_view,
            slips=slips_in(self._options.target.path, self._options.target.function)
            if self._options.loaded is None
            else (),
            tries=self._options.tries,
        )
        profile.warnings += messages
        # The memory ledger and the findings exist only now.
        profile.verdict = conclude(profile, self._headline or "")
        return profile

    @cached_property
    def _seen_view(self) -> PipelineView | None:
        """The view of the stages as they were seen being made, where nothing better came."""
        sketch, host = self._observed.sketch, self._facts.host
        if sketch is None or sketch.written["root"] is None or self._observed.parsed is not None:
            return None
        try:
            spec = list(self._facts.stages.values()) if self._options.loaded is not None else None
            return view_of_sketch(sketch, cores=host.cores, memory_limit=host.memory_limit_bytes, spec=spec)
        except Exception as error:  # It must never cost the report of the run.
            self.warn("no-sketch", f"The stages are unknown ({type(error).__name__}: {error}).")
            return None

    def _pin_to_op(self, problem: Problem) -> None:
        """Return the place of the op that TensorFlow refused inside the stage, more exact than the stage's line."""
        error, loaded = self._observed.error, self._options.loaded
        if error is None or loaded is None or not error.op_path:
            return
        problem.address = f"{error.address}.{error.op_path}"
        at = loaded.locate(problem.address)
        if at is not None and at.line is not None:
            problem.line, problem.column = at.line, at.column

    def _note_lost_end(self, ended: Ended) -> None:
        observed = self._observed
        if not observed.complete or observed.done or ended.reason in ASKED.values():
            return
        lacking = f": {UNTRACED}" if observed.trace is None else ""
        if ended.reason == "long-trace":
            if observed.trace is None:
                self.warn("no-trace", f"The trace took too long and was stopped{lacking}.")
        else:
            why = {"hung": "hung", "memory-limit": "reached the memory limit", "max-time": "reached --max-time"}
            why["silent"] = "could report no more"
            word = why.get(ended.reason, "died")
            self.warn(
                "lost-end", f"The worker {word} after the measurement, in phase {phase_words(observed.phase)}{lacking}."
            )

    def _make_data(self) -> dict[str, Path]:
        loaded = self._options.loaded
        if loaded is None or not loaded.spec.data:
            return {}
        from pipeprof.pipelines.data.cache import ensure

        return ensure(loaded.spec.data, progress=self._progress.data)

    def _evict(self, folders: Mapping[str, Path]) -> list[Path]:
        """Drop what the pipeline reads from the page cache; return the files that are gone from it."""
        loaded = self._options.loaded
        if loaded is None or not self._options.cold:
            return []
        from pipeprof.pipelines.spec.paths import source_files

        files = list(source_files(loaded.data, loaded.base_dir, folders))
        evicted = evict(files)
        self._facts.disk = Disk(cold=evicted.cold)
        if evicted.lacking:
            self.warn("cold", f"measure.cold: {evicted.lacking}.")
        return files if evicted.cold else []

    def _watch(self, worker: WorkerProcess, signals: Signals, evicted: Sequence[Path]) -> tuple[Ended, Sampler]:
        sampler = Sampler(
            FamilyReader(worker.pid, look_share=SOAK_LOOK_SHARE if self._options.soak else LOOK_SHARE),
            limit_bytes=self._limit.bytes if self._limit else None,
            calm=SOAK_INTERVAL if self._options.soak else MEASURE_INTERVAL,
        )
        self._outside = Outside(self._facts, worker.pid, ContentionProbe(worker.pid, self._cgroup), evicted=evicted)

        def follow() -> None:
            self._follow_phases(sampler)
            self._follow_soak(worker)
            awaited = self._observed.awaited
            if awaited is not None and self._observed.phase == "build" and not listens(awaited):
                watch.cut_short()

        limit = self._options.max_time
        rarely = self._options.soak and (self._options.seconds or 0.0) >= SHORT_SOAK
        often = (SOAK_SAVE_SECONDS, SOAK_SAVING) if rarely else (SAVE_SECONDS, MOST_SAVING)
        watch = Watch(
            worker=worker,
            observed=self._observed,
            sampler=sampler,
            signals=signals,
            timeout=self._options.timeout,
            end_at=self._began + limit - self._options.spent if limit is not None else None,
            on_message=follow,
            saver=Saver(lambda: self._save(sampler), *often),
        )

        def over_limit(_sample: object) -> None:
            watch.over_limit = True
            signals.wake()

        thread = SamplerThread(sampler, over_limit)
        thread.start()
        try:
            ended = watch.run(self._ask_services)
        finally:
            thread.stop()
        return ended, sampler

    def _has_room_for_two(self) -> bool:
        return scheduled_on(self._facts.host) >= 2 and (self._limit is None or self._limit.bytes >= ROOM_BYTES)

    def _follow_phases(self, sampler: Sampler) -> None:
        observed, is_script = self._observed, self._options.kind == "script"
        for phase in observed.phases[self._phases_told :]:
            sampler.sample()
            if self._early is not None and phase.name != "import":
                self._early.pause()
            if phase.name == "measure":
                self._outside.begin()
            elif self._outside.is_open:
                self._end_measure(sampler)
            sampler.enter_phase(phase.name)
            # Before a trace, stored batches take the place of the pipeline's.
            name = "replay" if phase.name == "trace" and not is_script else phase.name
            self._progress.phase(name, self._options.seconds if name == "measure" else None)
        self._phases_told = len(observed.phases)
        if observed.traces and self._headline is None and not is_script:
            # A line that is drawn on a terminal is not to be written into.
            self._progress.close()
            self._tell_headline(sampler)
            self._progress.phase("trace", None)
        if observed.phase == "measure" and observed.final and self._outside.is_open:
            self._end_measure(sampler)
        if observed.phase in ("warmup", "measure"):
            total = self._options.seconds if observed.phase == "measure" else None
            done = observed.phase_seconds
            if self._options.seconds is None and observed.phase == "measure":
                done, total = float(observed.steps), float(self._options.steps or 0) or None
            self._progress.tick(observed.rate, done, total)

    def _tell_headline(self, sampler: Sampler) -> None:
        """Tell what is known before the trace, which takes some seconds; the headline stays as it was then."""
        self._headline = ""
        if self._tell is not None:
            profile = self._concluded(sampler)
            self._headline = profile.verdict.headline if profile.verdict is not None else ""
            self._tell(profile)

    def _end_measure(self, sampler: Sampler) -> None:
        sampler.sample()
        self._outside.end()

    def _follow_soak(self, worker: WorkerProcess) -> None:
        """Let the worker trace Python's allocations, once memory grows."""
        log, seconds = self._observed.soak_log, self._options.seconds
        if log is not None:
            self._outside.begin_watching()
        if log is None or not log.points or seconds is None:
            return
        at = log.points[-1].t
        if at < self._judge_at or at < SOAK_BEFORE * seconds:
            return
        self._judge_at = at + seconds / SOAK_JUDGED
        if judge(log.points).state == "growth" and worker.send("examine"):
            # From now on the worker's readings count no more: what it does takes memory itself.
            self._judge_at = math.inf

    def _ask_services(self) -> None:
        """Look at the services that a hanging pipeline reads from, or waits for, while they are still there."""
        read = dict.fromkeys(service.address for service in self._observed.services if service.address)
        awaited = self._observed.awaited
        self._silent_services = [cause_of_silence(address) for address in [*read] or ([awaited] if awaited else [])]

    def _save(self, sampler: Sampler) -> None:
        self._writer.write(assemble(self._facts, self._observed, sampler))
