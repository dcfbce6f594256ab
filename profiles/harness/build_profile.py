"""Construction of the profile from observations; the same function builds partial and final documents."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.steps.step import SCRIPT, too_optimistic
from pipeprof.profiles.advise import claims
from pipeprof.profiles.document.memory import Device, Memory, Overhead, Series, Throughput
from pipeprof.profiles.document.profile import Message, Problem, Profile
from pipeprof.profiles.document.shared import DeviceWindow, Gaps, GpuUse, Phase, PhaseName, Quantiles, Steps
from pipeprof.profiles.document.stages import CpuAccount, Headspace, Stage
from pipeprof.profiles.harness.received import locate, shorten
from pipeprof.profiles.host.nvml import apart, joined
from pipeprof.profiles.memory.growth import soak_of
from pipeprof.profiles.protocol.wrapped import NEWEST, as_text, is_newer
from pipeprof.profiles.time.flow import disturbed_share, elements_per_batch
from pipeprof.profiles.time.stage_notes import with_workers
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.time.stage_time import CpuUsage, attribute_time, step_cpu_ms
from pipeprof.profiles.time.top_stage import unread_note
from pipeprof.profiles.time.trace_work import traced_elements, work_by_stage
from pipeprof.profiles.time.verdict import SLOW_DELETE, bound_blocked, collect_causes, find_remedy
from pipeprof.profiles.time.words import conclude, describe_remedy, disturbed_message
from pipeprof.profiles.wording import milliseconds, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.pipelines.steps.consumer import StepFacts
    from pipeprof.profiles.harness.process import RunFacts
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sampler
    from pipeprof.profiles.protocol.messages import Measured

DELETION_SECONDS = 0.05
"""Mean seconds of a deletion of an iterator from which a training notices it at the end of an epoch."""
DELETION_SHARE = 0.1
"""Share of an epoch that a deletion takes from which it is reported."""
PARTIAL_POINTS = 200
"""Most points of the series in a profile saved during the run: the cost of encoding must not grow with the run."""
IN_WARM_UP = "The run ended during the warm-up: its last steps are what was measured."
_LONG_STEP = 5.0
"""The slowest of 100 steps over the median one, from which single steps do what others do not."""
_MEASURED_PHASES = ("import", "data", "build", "first_element", "warmup", "measure")


def assemble(
    facts: RunFacts,
    observed: Observed,
    sampler: Sampler | None,
    *,
    problem: Problem | None = None,
    exit_code: int | None = None,
) -> Profile:
    """Build the document as of now; `exit_code` makes it final."""
    steps = _steps(facts, observed)
    graphs = observed.parsed.pair(facts.ops) if observed.parsed is not None else None
    stages, notes = _stages(facts, observed, graphs)
    stages, cpu = _attribute_time(facts, observed, stages, steps, graphs)
    throughput = _throughput(facts, observed, steps, stages)
    told = [Message(code=warning.code, message=warning.text) for warning in observed.warnings]
    unread = unread_note(stages, steps.epochs, notes) if steps is not None else None
    notes = [*notes, *([unread] if unread is not None else [])]
    host = facts.host.model_copy(update={"gpus": observed.gpus or facts.host.gpus})
    profile = Profile(
        tool=facts.tool,
        command=facts.options.command,
        target=facts.target,
        complete=exit_code == 0 and observed.complete,
        exit_code=exit_code,
        started=facts.started,
        commit=facts.commit,
        seed=facts.options.seed,
        data_size=facts.options.data_size,
        no_cache=facts.options.no_cache,
        host=host,
        versions={**facts.versions, **observed.versions},
        phases=_phases(observed, sampler, ran_out=problem is not None and problem.code == "out-of-memory"),
        throughput=throughput,
        steps=steps,
        training=observed.training,
        device=_device(facts, observed, stages),
        disk=facts.disk,
        stages=stages,
        options=dict(observed.parsed.options) if observed.parsed and observed.parsed.options is not None else None,
        cpu=cpu,
        series=_series(observed, sampler, None if exit_code is not None else PARTIAL_POINTS),
        overhead=_overhead(facts, observed),
        contention=facts.contention,
        headspace=_headspace(steps, observed),
        warnings=[*facts.warnings, *told, *_warnings(facts, observed, steps, stages), *notes],
        errors=[problem] if problem else [],
        output=facts.output,
    )
    profile.warnings += [_apart_warning(gpu) for gpu in (profile.device.gpus if profile.device else ()) if apart(gpu)]
    if profile.device is not None and profile.device.too_optimistic is not None:
        profile.warnings.append(claims.warning(profile.device.too_optimistic))
    profile.memory = _memory(profile.phases, sampler, growing=problem is not None and problem.code == "out-of-memory")
    if observed.soak_log is not None:
        last = sampler.last.used_bytes if sampler is not None and sampler.last is not None else None
        profile.memory.soak, profile.memory.growth = soak_of(
            observed.soak_log, observed.soak_freed, facts.host.memory_limit_bytes, last
        )
    profile.causes = collect_causes(profile.contention, facts.disk, steps, stages or (), observed.trace)
    if profile.causes is not None:
        bound_blocked(profile.stages or (), profile.causes)
    profile.verdict = conclude(profile) if exit_code is not None or steps else None
    return profile


def _phases(observed: Observed, sampler: Sampler | None, *, ran_out: bool) -> list[Phase]:
    sampled = sampler.peaks() if sampler else {}
    ends, joint = (sampler.ends(), sampler.ended_with_children()) if sampler else ({}, set())
    found = []
    for seen in observed.phases:
        outside = sampled.get(seen.name)
        ended_there = ran_out and seen is observed.phases[-1]
        read = seen.peak_rss_bytes is not None and seen.seconds is not None
        if read and not ended_there and sampler is not None and not sampler.had_children:
            # A sample after the phase's end may still count for it: buffers go on filling while memory is read.
            outside = None
        exact = seen.peak_rss_bytes is not None and seen.peak_rss_bytes >= 0.98 * (outside or 0)
        # The worker's reading is of that moment, but excludes children.
        own = seen.end_rss_bytes is not None and seen.name not in joint
        found.append(
            replace(
                seen,
                peak_rss_bytes=max((peak for peak in (seen.peak_rss_bytes, outside) if peak is not None), default=None),
                end_rss_bytes=seen.end_rss_bytes if own else ends.get(seen.name),
                how="hwm" if exact else "sampled" if outside is not None else None,
            )
        )
    return found


def _steps(facts: RunFacts, observed: Observed) -> Steps | None:
    measured = observed.measured
    if measured is None or not measured.steps.count:
        return None
    steps = replace(measured.steps, dispatch="sync" if observed.own_step else facts.options.dispatch)
    if facts.options.step.kind == SCRIPT and (observed.training is None or observed.training.wait is None):
        return replace(steps, wait_ms=None, wait_share=None, busy_ms=None, restart_share=None)
    window = observed.training.window if observed.training is not None else None
    return _by_window(steps, window) if window is not None else steps


def _by_window(steps: Steps, window: DeviceWindow) -> Steps:
    """Put the wait of other steps into the measured ones, in proportion: reading the GPU's clock makes steps longer."""
    scale = steps.interval_ms.mean * window.count / (1e3 * window.seconds)
    wait_ms, busy_ms = (
        Quantiles(**{name: scale * value for name, value in vars(one).items() if value is not None})
        for one in (window.wait_ms, window.step_ms)
    )
    return replace(steps, wait_ms=wait_ms, busy_ms=busy_ms, wait_share=window.wait_share, restart_share=None)


def _device(facts: RunFacts, observed: Observed, stages: list[Stage] | None) -> Device:
    device = _device_of_loop(facts, observed, stages)
    seen = observed.device_seen
    if seen is None:
        return device.model_copy(update={"gpus": facts.gpus}) if device.on == "gpu" else device
    gpus = joined(seen.gpus, facts.gpus)
    device = device.model_copy(update={"gaps_unknown": seen.unknown, "gpus": gpus, "on": device.on or "gpu"})
    if seen.gaps is None:
        return device
    # The trace of a step's device knows more than the loop, for which a step is one piece of work.
    return device.model_copy(update={"gaps": seen.gaps, "idle_share": seen.idle_share})


def _device_of_loop(facts: RunFacts, observed: Observed, stages: list[Stage] | None) -> Device:
    measured, told = observed.measured, observed.step
    cpu_ms = observed.replayed.cpu_ms if observed.replayed is not None else None
    if facts.options.step.kind == SCRIPT:
        cpu_ms = _script_cpu_ms(observed, stages, facts.host.cores)
        if observed.device_seen is not None or observed.training is None or observed.training.wait is None:
            return Device(kind=facts.options.step.kind, text=facts.options.step_text, cpu_ms=cpu_ms)
    planned, own = facts.options.step, observed.own_step
    return Device(
        kind="python" if own else planned.kind,
        text=f"python: returned by {facts.target.text}" if own else facts.options.step_text,
        idle_share=measured.idle_share if measured is not None else None,
        gaps=_with_copies(measured, told) if measured is not None else None,
        **(vars(told) if told is not None else {}),
        cpu_ms=cpu_ms,
        too_optimistic=None if own else too_optimistic(planned.arguments),
        from_init=facts.options.step_from_init,
    )


def _apart_warning(gpu: GpuUse) -> Message:
    seen, traced = percent(gpu.utilisation or 0.0), percent(1.0 - (gpu.idle_share or 0.0))
    text = (
        f"{gpu.name}: NVML saw it at work {seen} of {gpu.seconds or 0.0:.0f} s while steps were measured, the trace "
        f"{traced} of its own steps: another program uses the GPU, or the traced steps are not like the measured ones."
    )
    return Message(code="nvml-apart", message=text)


def _script_cpu_ms(observed: Observed, stages: list[Stage] | None, cores: float) -> float | None:
    measured, loop = observed.measured, observed.loop
    if measured is None or loop is None or loop.cpu_ns is None or not measured.steps.count:
        return None
    used_ms = (loop.cpu_ns - (loop.overhead_cpu_ns or 0)) / 1e6 / measured.steps.count
    return step_cpu_ms(used_ms, stages or [], observed.training, cores)


def _with_copies(measured: Measured, told: StepFacts | None) -> Gaps | None:
    """The gaps with the hand-over of batches as its own cause: the loop has counted it as Python between steps."""
    gaps = measured.gaps
    handed_ms = (told.numpy_ms or 0.0) + (told.copy_ms or 0.0) if told is not None else 0.0
    between = gaps.by_cause.get("python", 0.0) if gaps is not None else 0.0
    copies = min(between, handed_ms * measured.steps.count / 1e3)
    if gaps is None or not copies:
        return gaps
    return replace(gaps, by_cause={**gaps.by_cause, "copy": copies, "python": between - copies})


def _throughput(
    facts: RunFacts, observed: Observed, steps: Steps | None, stages: list[Stage] | None
) -> Throughput | None:
    if steps is None or not steps.seconds:
        return None
    sizes = observed.loop.sizes if observed.loop is not None else None
    per_batch = _elements_per_batch(facts, observed, stages)
    rate = steps.count / steps.seconds
    size = sizes.bytes if sizes is not None else None
    return Throughput(
        batches_per_second=rate,
        elements_per_batch=per_batch,
        elements_per_second=rate * per_batch if per_batch is not None else None,
        bytes_per_second=rate * size if size is not None else None,
    )


def _elements_per_batch(facts: RunFacts, observed: Observed, stages: list[Stage] | None) -> float | None:
    if not stages:
        return None
    graphs = observed.parsed
    loop = observed.loop
    return elements_per_batch(
        graphs.written if graphs is not None else None,
        stages,
        loop.sizes.length if loop is not None and loop.sizes is not None else None,
        by_address=facts.ops is not None,
        ops=facts.ops,
    )


def _stages(facts: RunFacts, observed: Observed, pair: StageGraphs | None) -> tuple[list[Stage] | None, list[Message]]:
    graphs = observed.parsed
    if graphs is None or pair is None:
        return facts.written, []

    def place(rows: list[Stage]) -> None:
        locate(rows, graphs, observed.training.source if observed.training is not None else None)
        shorten(rows)

    stages, notes = explain_stages(
        pair,
        segments=graphs.snapshots,
        batches=graphs.batches,
        traced=traced_elements(observed.trace, graphs.executed),
        traced_batches=observed.trace.batches if observed.trace is not None else None,
        placed=facts.stages,
        locate=place if facts.target.kind != "spec" else None,
        swallowed=observed.swallowed,
    )
    stages = with_workers(
        stages, {one.address: one.workers for one in observed.services if one.address and one.workers is not None}
    )
    # What the worker knows of the reason takes the place of what follows from the graphs.
    said = {warning.code for warning in observed.warnings}
    return stages or facts.written, [note for note in notes if note.code not in said]


def _attribute_time(
    facts: RunFacts, observed: Observed, stages: list[Stage] | None, steps: Steps | None, graphs: StageGraphs | None
) -> tuple[list[Stage] | None, CpuAccount | None]:
    if graphs is None or not stages:
        return stages, None
    work = work_by_stage(observed.trace, graphs)
    return attribute_time(stages, work, _cpu_usage(facts, observed, steps))


def _cpu_usage(facts: RunFacts, observed: Observed, steps: Steps | None) -> CpuUsage:
    contention = facts.contention
    if steps is None:
        return CpuUsage()
    loop = observed.loop
    cpu_ns, overhead_ns = (loop.cpu_ns, loop.overhead_cpu_ns) if loop is not None else (None, None)
    # The kernel sums it over the cores on which the group was throttled.
    throttled = contention.throttled_seconds if contention is not None else None
    could = steps.seconds * (facts.host.schedulable_cores or 1)
    return CpuUsage(
        # That of a script has its step's, which no reading tells apart.
        total_ms=cpu_ns / 1e6 / steps.count if cpu_ns and facts.options.step.kind != SCRIPT else None,
        loop_ms=observed.replayed.loop_cpu_ms if observed.replayed is not None else None,
        pipeprof_ms=overhead_ns / 1e6 / steps.count if overhead_ns is not None else None,
        waiting_share=contention.runnable_wait_share if contention is not None else None,
        throttled_share=min(1.0, throttled / could) if throttled is not None and could else None,
        interval_ms=steps.interval_ms.mean,
        batches=observed.parsed.batches if observed.parsed is not None else 0,
    )


def _headspace(steps: Steps | None, observed: Observed) -> Headspace | None:
    seen = observed.replayed
    if steps is None or seen is None or not steps.interval_ms.mean:
        return None
    return Headspace.of(steps.interval_ms.mean, seen.replayed_ms + _long_steps_ms(steps), seen.batches)


def _long_steps_ms(steps: Steps) -> float:
    """Part of the mean due to single long steps: a replay of a few batches has no new shapes, nor checkpoints."""
    busy = steps.busy_ms
    if busy is None or not busy.p50 or busy.p99 < _LONG_STEP * busy.p50:
        return 0.0
    return max(0.0, busy.mean - busy.p50)


def _series(observed: Observed, sampler: Sampler | None, most: int | None) -> Series:
    series = sampler.series(most) if sampler else Series()
    if observed.measured is not None:
        series.fetch_histogram_ms = observed.measured.fetches
        series.steps = observed.measured.course
    return series


def _overhead(facts: RunFacts, observed: Observed) -> Overhead | None:
    measured = observed.measured
    if measured is None or not measured.steps.seconds:
        return None
    seconds = measured.steps.seconds
    late = measured.gaps.by_cause.get("pipeprof", 0.0) if measured.gaps is not None else None
    return Overhead(
        loop_share=measured.loop.overhead_ns / 1e9 / seconds if measured.loop is not None else None,
        sampler_cores=facts.sampler_cores,
        wake_share=late / seconds if late is not None else None,
    )


def _memory(phases: Iterable[Phase], sampler: Sampler | None, *, growing: bool) -> Memory:
    peaks: dict[PhaseName, int] = {
        phase.name: phase.peak_rss_bytes
        for phase in phases
        if phase.peak_rss_bytes is not None and phase.name in _MEASURED_PHASES
    }
    baseline = next((phase.end_rss_bytes for phase in phases if phase.name == "import" and phase.seconds), None)
    largest = max(peaks, key=lambda name: peaks[name], default=None)
    return Memory(
        baseline_bytes=baseline,
        peak_bytes=peaks[largest] if largest else None,
        peak_phase=largest,
        growth_bytes_per_second=sampler.growth() if sampler and growing else None,
        seconds_to_limit=sampler.seconds_to_limit() if sampler and growing else None,
    )


def _warnings(facts: RunFacts, observed: Observed, steps: Steps | None, stages: list[Stage] | None) -> list[Message]:
    found = []
    version = observed.versions.get("tensorflow")
    if version is not None and is_newer(version):
        newest = as_text(NEWEST)
        text = (
            f"TensorFlow {version} is newer than {newest}, the newest that pipeprof was tested with. If a number is "
            f"missing or looks wrong, repeat the run with {newest}."
        )
        found.append(Message(code="newer-tensorflow", message=text))
    waited = disturbed_share(facts.contention, facts.host) if steps is not None else None
    if facts.contention is not None and waited is not None:
        found.append(disturbed_message(facts.contention, facts.host, waited))
    warmup = next((phase for phase in observed.phases if phase.name == "warmup"), None)
    if warmup is not None and warmup.note and warmup.note.startswith("not settled"):
        text = (
            f"Step times had {warmup.note} of warm-up: the results may still be drifting. Measure longer (--seconds)."
        )
        found.append(Message(code="not-settled", message=text))
    if steps is not None and observed.phase == "warmup":
        found.append(Message(code="short-script", message=IN_WARM_UP))
    if steps is not None and steps.epochs:
        took = f" took {percent(steps.restart_share)} of the time" if steps.restart_share is not None else ""
        restarts = f"{steps.epochs:,} restarts" if steps.epochs > 1 else "1 restart"
        remedy = find_remedy(steps, stages)
        advice = describe_remedy(remedy, stages, observed.training) if remedy is not None else ""
        end = f" {advice[0].upper()}{advice[1:]}." if advice else ""
        text = f"The data set is short: {restarts}{took or ' while measuring'}.{end}"
        found.append(Message(code="repeated", message=text))
    loop = observed.loop
    deletions = loop.deletions if loop is not None else []
    if steps is not None and steps.epochs:
        # What of the warm-up was deleted is no evidence for the measured time.
        deletions = deletions[-steps.epochs :]
    mean = sum(deletions) / len(deletions) if deletions else 0.0
    # Where none ended while it was measured, an epoch is longer than that.
    epoch = steps.seconds / (steps.passes or 1) if steps is not None else 0.0
    if mean >= DELETION_SECONDS and mean >= DELETION_SHARE * epoch:
        python = any(traits(stage.op).python_iterator for stage in stages or ())
        own = " with its Python generator" if python else ""
        counted = steps is not None and steps.epochs > 0
        told = "It is part of the restarts" if counted else "Not counted above"
        text = (
            f"Freeing a finished iterator{own} took {milliseconds(1000 * mean)}. {told}: "
            "a training loop waits for it at the end of an epoch."
        )
        found.append(Message(code=SLOW_DELETE, message=text))
    return found
