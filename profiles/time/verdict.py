"""The verdict: what the training loop was bound by, as a headline with details.

The two marks on the share of waiting are those of the TensorFlow profiler's input-pipeline analysis: below 5 % of
the step it calls a program not input-bound, from 20 % on highly input-bound.
"""

from __future__ import annotations

import math
import re
from itertools import takewhile
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.steps.step import sentence
from pipeprof.profiles.document.findings import Verdict, VerdictDetail
from pipeprof.profiles.lines import main_line
from pipeprof.profiles.time.bottleneck import find_bottleneck
from pipeprof.profiles.time.limits.cores import cores_needed, describe_nearly_full, worker_fills_cores
from pipeprof.profiles.time.limits.disturbance import find_disturbance, lost_cores
from pipeprof.profiles.time.limits.restarts import (
    describe_restarts,
    restart_clause,
    restarts_are_costly,
    wait_within_epochs,
)
from pipeprof.profiles.time.limits.strategy import work_behind_strategy
from pipeprof.profiles.time.limits.thrown_away import describe_thrown_away
from pipeprof.profiles.time.memory_problem import describe_memory_problem, memory_is_critical, memory_matters
from pipeprof.profiles.time.thresholds import STEP_BOUND_BELOW, classify_wait
from pipeprof.profiles.time.top_stage import (
    MOST_FROM,
    describe_missing,
    label_groups,
    share_of_work,
    stand_out,
    top_groups_of,
    unknown_stages,
)
from pipeprof.profiles.wording import (
    CAUSE_WORDS,
    cores_text,
    free_pipeline_text,
    listed,
    milliseconds,
    part_of,
    percent,
    phase_words,
    place_of,
    significant,
    size,
    stage_label,
    stage_labels,
    stage_name,
)

if TYPE_CHECKING:
    from pipeprof.profiles.document.base import Bound
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.shared import Steps
    from pipeprof.profiles.document.stages import Headspace, Stage
    from pipeprof.profiles.time.bottleneck import Bottleneck


SLOW_START_SECONDS = 10.0
"""From here on the time until the first batch is stated in any case."""
NOTICED_START_SECONDS = 2.0
"""From here on it is stated where it is longer than the measured window."""


def describe_start_up(profile: Profile) -> str:
    """State the time until the first batch, its parts, and what TensorFlow copies; empty where it is short.

    Importing TensorFlow and synthesising data are not part of it.

    Args:
        profile: Its phases, its steps and the findings on constants are read.
    """
    seconds = {phase.name: phase.seconds for phase in profile.phases if phase.seconds is not None}
    building, first = seconds.get("build"), seconds.get("first_element")
    if building is None or first is None:
        return ""
    total = building + first
    window = profile.steps.seconds if profile.steps is not None and profile.steps.count else None
    filled = _filled_first(profile, first)
    short = total < NOTICED_START_SECONDS or not (filled or (window is not None and total > window))
    if total < SLOW_START_SECONDS and short:
        return ""
    does = "in the script before its first iterator" if _is_script(profile) else "to build the pipeline"
    parts = f"{significant(building)} s {does}, {significant(first)} s for the iterator and the first batch"
    constants = [finding for finding in profile.findings or () if finding.rule == "graph-constant"]
    copied = sum(int(finding.evidence.get("constant_bytes") or 0) for finding in constants)
    why = f"; TensorFlow copies {size(copied)} of graph constants for every new iterator" if copied else ""
    return f"{significant(total)} s until the first batch: {parts}{filled}{why}"


_OF_FIRST = 0.5
"""Of the time until the first batch, from which filling a shuffle is its reason."""


def _filled_first(profile: Profile, first_seconds: float) -> str:
    """State the shuffle that has to be filled with what a stage computes before the first batch; empty without one."""
    line, steps = main_line(profile), profile.steps
    for place, stage in enumerate(line):
        size = stage.shuffle.buffer_size if stage.shuffle is not None else None
        # What drops elements in between would drop others if the shuffle came first.
        near = [*takewhile(lambda one: traits(one.op).one_to_one or traits(one.op).repeats, reversed(line[:place]))]
        made = [one for one in near if traits(one.op).function is not None and (one.share or 0.0) >= OWNER_FROM]
        if not traits(stage.op).shuffles or not size or not made or not stage.elements or steps is None:
            continue
        held = min(size, stage.cardinality) if stage.cardinality is not None and stage.cardinality > 0 else size
        if held * steps.seconds / stage.elements >= _OF_FIRST * first_seconds:
            costly = stage_name(max(made, key=lambda one: one.share or 0.0))
            return (
                f", for which {stage_label(stage)} fills its buffer with {held:,} results of {costly}: "
                f"a shuffle before {costly} needs none of them"
            )
    return ""


_ON_CORES = 0.5
"""CPU time of a step over its time, from which it computes on the cores."""
_CROWDED = 0.25
"""Share of the time in which threads wait for a core, from which pipeline and step make each other slower."""


def _keeps_up(profile: Profile, steps: Steps) -> str:
    step_cpu_ms = (profile.device and profile.device.cpu_ms) or 0.0
    waited = (profile.contention and profile.contention.runnable_wait_share) or 0.0
    if step_cpu_ms < _ON_CORES * steps.interval_ms.mean or waited < _CROWDED:
        return ""
    return (
        f"takes cores from the step: threads wait for a core {percent(waited)} of the time, so less work in the "
        "pipeline may make the step itself faster"
    )


def _is_script(profile: Profile) -> bool:
    return profile.target.kind == "script"


EMPTY_LOOP_BELOW = 5.0
"""An empty loop is named where it is less than so many times as fast: the loop is then part of what is measured."""
OWNER_FROM = 0.25
"""Share of the pipeline's work from which a stage is named for it alone."""
FEW = 3
"""Stages with about as much work that are named where they have most of it together, or stand out of many."""

_MEMORY = "Memory: "
_GONE_WITH_BATCHES = 0.5
"""Share of the waiting that preloaded batches must save, so that the two numbers need no explanation."""
SLOW_DELETE = "slow-delete"
"""Code of the warning that finished iterators were slow to delete."""
_WITHOUT_BATCH = ("import", "data", "build")
"""Phases in which no batch can come."""
_STOPPED = ("max-time", "hung")
"""Codes of runs that pipeprof itself stopped."""
_ENDED_BY_SIGNAL = {129: "The terminal was closed", 130: "Interrupted", 143: "Terminated"}
_WORDS_FOR_CODES = {
    "build": "TensorFlow refuses it",
    "channel-closed": "the code closed the worker's pipes",
    "crashed": "the worker crashed",
    "empty": "the dataset is empty",
    "exited": "the worker ended by itself",
    "hung": "it hangs",
    "killed": "the worker was killed",
    "max-time": "--max-time was reached",
    "raised": "the pipeline raised an error",
    "service": "its tf.data service is at fault",
    "step-raised": "the step raised an error",
}
_REFUSED_BY_GPU = re.compile(
    r"\bCUDA(?: error)?: out of memory|\b(?:CUDA|HIP) out of memory\b|\bOut of memory\b.*?\ballocator GPU_\d"
    r"|\bOOM when allocating\b.*?\bGPU:\d",
    re.DOTALL,
)
"""What PyTorch, JAX and TensorFlow say when a GPU refuses memory; the host's has the code `out-of-memory`."""
_WORDS_FOR_SCRIPTS = {"exited": "the script exited", "raised": "the script raised an error"}


def conclude(profile: Profile, printed: str = "") -> Verdict:
    """Conclude from what was measured, whatever changes may gain.

    Reads ``steps``, ``throughput``, ``stages``, ``causes``, ``headspace``, ``memory``, ``findings`` and, for a run that
    did not end well, ``exit_code``, ``phases`` and ``errors``; changes nothing.

    Args:
        printed: The headline that was printed already, as soon as it was known: it stays.

    Returns:
        The verdict; ``bound`` is ``None`` when no step was measured, ``limit`` where no measurement shows it.
    """
    steps = profile.steps if profile.steps and profile.steps.count else None
    ended = _ending(profile, steps)
    memory = describe_memory_problem(profile)
    outside = (("start-up", describe_start_up(profile)), ("memory", memory))
    details = [VerdictDetail(label=label, text=text) for label, text in outside if text]
    if steps is None:
        known = _known_of_start(profile)
        details = [*([VerdictDetail(label="known", text=known)] if known else []), *details]
        return _verdict(ended or "Nothing was measured.", details)
    bound = _bound(profile, steps)
    # Limits are found in what the loop was seen to wait for.
    bottleneck = find_bottleneck(profile) if bound in ("input", "balanced") else None
    if _nothing_to_gain(profile) and bottleneck is not None and bottleneck.limit != "memory":
        bottleneck = None
    if bottleneck is not None and bottleneck.limit != "memory" and _only_restarts(steps):
        bottleneck = None
    headline = _headline(profile, steps, bound, bottleneck)
    if memory and (printed.startswith(_MEMORY) if printed else not ended and _memory_first(profile, steps, bound)):
        headline = f"{_MEMORY}{memory}. {headline}"
        details = [detail for detail in details if detail.label != "memory"]
    details = [*_speed_details(profile, steps, bound, bottleneck), *details]
    if ended:
        label, text = ("ended", ended) if printed else ("until then", f"{headline[0].lower()}{headline[1:]}")
        details = [VerdictDetail(label=label, text=text.rstrip(".")), *details]
    return _verdict(
        printed or ended or headline,
        details,
        bound=bound,
        limit="step" if bound == "step" else bottleneck.limit if bottleneck is not None else None,
        stage=_named_stage(profile, steps, bound, bottleneck),
        headspace_share=profile.headspace.share if profile.headspace is not None else None,
        disturbed=_disturbed(profile),
    )


def _named_stage(profile: Profile, steps: Steps, bound: Bound | None, bottleneck: Bottleneck | None) -> str | None:
    """Return the address of the stage that the details name: that of the bottleneck, else the one with most work."""
    if bottleneck is not None:
        return bottleneck.stage.id if bottleneck.stage is not None else None
    owner = _owner(profile, steps) if _names_owner(profile, steps, bound) else None
    return owner.id if owner is not None else None


def _names_owner(profile: Profile, steps: Steps, bound: Bound | None) -> bool:
    """Whether the stage with most work is named where no limit was found."""
    return bound != "step" and not _nothing_to_gain(profile) and not _only_restarts(steps)


def _verdict(headline: str, details: list[VerdictDetail], **quantities: object) -> Verdict:
    sentences = [headline, *(f"{detail.label.capitalize()}: {detail.text}." for detail in details)]
    return Verdict.model_validate(
        {"headline": headline, "details": details, "sentence": " ".join(sentences), **quantities}
    )


def _disturbed(profile: Profile) -> bool | None:
    if find_disturbance(profile.contention, profile.host) is not None:
        return True
    return None if lost_cores(profile.contention, profile.host) is None else False


def _only_restarts(steps: Steps) -> bool:
    """Whether the device waits for nothing but restarts of the dataset."""
    return steps.dispatch is not None and restarts_are_costly(steps) and wait_within_epochs(steps) < STEP_BOUND_BELOW


def _nothing_to_gain(profile: Profile) -> bool:
    """Whether preloaded batches came no faster: then the pipeline is not the bottleneck."""
    return profile.headspace is not None and profile.headspace.share < STEP_BOUND_BELOW


def _bound(profile: Profile, steps: Steps) -> Bound | None:
    if steps.dispatch is None:
        return "input"
    if steps.wait_share is None:
        return None
    if _nothing_to_gain(profile):
        return "step"
    whole = (steps.restart_share or 0.0) >= STEP_BOUND_BELOW
    waits = steps.wait_share if whole else wait_within_epochs(steps)
    if (work := work_behind_strategy(profile)) is not None and not whole:
        waits = work / steps.interval_ms.mean
    return classify_wait(waits)


def _memory_first(profile: Profile, steps: Steps, bound: Bound | None) -> bool:
    """Whether memory is the problem: it leaks, is near its limit, or is large where no step waits for data."""
    if memory_is_critical(profile):
        return True
    waits = bound in ("input", "balanced") and steps.dispatch is not None
    faster = any(finding.family not in {"memory", "correctness"} for finding in profile.findings or ())
    return not waits and not faster and memory_matters(profile)


def _headline(profile: Profile, steps: Steps, bound: Bound | None, bottleneck: Bottleneck | None) -> str:
    """State what the loop was bound by; only perhaps where other processes made the pipeline slower than it is."""
    disturbance = find_disturbance(profile.contention, profile.host)
    if bound is None:
        return _unknown_bound(profile, steps)
    if disturbance is None:
        text = _cpu_bound(profile, steps, bottleneck) or _bound_by(profile, steps, bound)
        return f"{text}{restart_clause(steps, profile.stages, _idle_cores(profile, bottleneck))}."
    text = _bound_by(profile, steps, bound)
    if steps.dispatch is not None:
        # What rests on preloaded batches was measured later, when more or less may have been disturbed.
        certain = bound == "step" and wait_within_epochs(steps) < STEP_BOUND_BELOW
        text = f"{'Even so' if certain else 'Perhaps'} {text[0].lower()}{text[1:]}"
    return f"Disturbed: {disturbance.who}. {text}{restart_clause(steps, profile.stages)}."


def _unknown_bound(profile: Profile, steps: Steps) -> str:
    """State that a script's loop does not show whether it waits for data, and why."""
    why = profile.training.unknown if profile.training is not None else None
    mean = ", a mean" if profile.training is not None and profile.training.interval == "mean" else ""
    rate = f"{milliseconds(steps.interval_ms.mean)} from step to step{mean}"
    return f"How long the training waits for data is not known{f' ({why})' if why else ''}: {rate}."


def _bound_by(profile: Profile, steps: Steps, bound: Bound) -> str:
    """State what the loop was bound by, without a full stop."""
    if steps.dispatch is None:
        alone = f"Pipeline alone: {_rate(profile, steps)} (no training step given{_empty_loop(profile)})"
        return f"{alone}; {_for_steps_below(steps)}"
    waits = _waits(profile, steps)
    work = work_behind_strategy(profile)
    if work is not None:
        waits = f"{waits}, most of it in the strategy's iterator: the pipeline alone takes {milliseconds(work)} a batch"
    if bound != "step":
        return waits
    if work is not None or max(steps.wait_share or 0.0, wait_within_epochs(steps)) < STEP_BOUND_BELOW:
        return f"The pipeline keeps up: {waits[0].lower()}{waits[1:]}"
    if _nothing_to_gain(profile):
        return f"{waits}, and barely less with preloaded batches"
    within, share = percent(wait_within_epochs(steps)), percent(steps.wait_share or 0.0)
    who = f"{_waiting(profile)} waits for data {within} of the time"
    return f"The pipeline keeps up: within an epoch {who}, {share} with the restarts{_given_step(profile)}"


def _waits(profile: Profile, steps: Steps) -> str:
    of_every = part_of(steps.known_wait_ms, steps.interval_ms.mean)
    means = {"mean": " on average", "clock": ", by the GPU's clock"}.get(_wait_known(profile) or "", "")
    who, share = _waiting(profile), percent(steps.wait_share or 0.0)
    return f"{who[0].upper()}{who[1:]} waits for data {share} of the time: {of_every}{means}{_given_step(profile)}"


def _given_step(profile: Profile) -> str:
    """Name the step of a device that only simulates one; empty where the step is real."""
    if profile.device is None or profile.device.kind != "simulate":
        return ""
    step = sentence(profile.device.text or "")
    return f" ({step}{', as in the spec' if _takes_steps_from_spec(profile) else ''})"


def _wait_known(profile: Profile) -> str | None:
    """How the wait of a script's steps is known."""
    return profile.training.wait if profile.training is not None else None


def _waiting(profile: Profile) -> str:
    """Who waits: of a script it is not known what its step runs on."""
    return "the training" if _is_script(profile) and _wait_known(profile) != "clock" else "the device"


def _for_steps_below(steps: Steps) -> str:
    """Which steps would wait: those that take less than a batch does."""
    return f"every step below {milliseconds(steps.interval_ms.mean)} would wait for it"


def _rate(profile: Profile, steps: Steps) -> str:
    if profile.throughput is None or profile.throughput.batches_per_second is None:
        return f"{milliseconds(steps.interval_ms.mean)} per batch"
    return f"{significant(profile.throughput.batches_per_second)} batches/s"


def _empty_loop(profile: Profile) -> str:
    headspace = profile.headspace
    if headspace is None or not 1 < headspace.speedup < EMPTY_LOOP_BELOW:
        return ""
    return f"; an empty loop reaches {significant(1e3 / headspace.replayed_ms)}"


def _cpu_bound(profile: Profile, steps: Steps, bottleneck: Bottleneck | None) -> str | None:
    """State that the cores are the limit, and how many there would have to be; ``None`` where they are not."""
    used, cores = profile.causes.worker_cores if profile.causes is not None else None, profile.host.cores
    if bottleneck is None or bottleneck.limit != "cpu" or used is None or not worker_fills_cores(profile):
        return None
    if steps.dispatch is None:
        busy = f"{_rate(profile, steps)} with {used:.1f} of {cores_text(cores)} busy"
        return f"Pipeline alone: {busy} (no training step given{_empty_loop(profile)}); {_for_steps_below(steps)}"
    needed = cores_needed(profile)
    if needed is None or needed * (1 - STEP_BOUND_BELOW) < cores:
        return None
    needs = f"keeping up takes {cores_text(float(significant(needed, 2)))}, there are {cores:g}"
    return f"{_waits(profile, steps)}; {needs}"


def _speed_details(
    profile: Profile, steps: Steps, bound: Bound | None, bottleneck: Bottleneck | None
) -> list[VerdictDetail]:
    found = []
    if bottleneck is not None:
        found.append(("because", bottleneck.text))
        unknown = _unknown_costs(profile, steps.epochs)
        told = bottleneck.limit in {None, "memory"} or unknown in bottleneck.text
        if bottleneck.stage is None and not told:
            found.append(("most work", unknown))
    elif _names_owner(profile, steps, bound):
        found.append(("most work", _most_work(profile, steps)))
        found.append(("cores", describe_nearly_full(profile)))
    if bound != "step" and not _nothing_to_gain(profile):
        found.append(("thrown away", describe_thrown_away(profile)))
    if bound == "input" and _takes_steps_from_spec(profile):
        given = sentence((profile.device and profile.device.text) or "")
        invented = profile.device.from_init if profile.device is not None else None
        if invented is not None:
            given += f" from init: put your own in {place_of(invented)}"
        found.append(("step", f"{given}; {_for_steps_below(steps)}"))
    found.append(("device", _idle_elsewhere(profile)))
    found.append(("restarts", _restarts(profile, steps, bound, _idle_cores(profile, bottleneck))))
    if profile.headspace is not None and (bound != "step" or _nothing_to_gain(profile)):
        label = "speed" if _nothing_to_gain(profile) else "limit"
        found.append((label, _at_best(profile, profile.headspace, steps)))
    elif bound == "step":
        found.append(("pipeline", _keeps_up(profile, steps)))
    if any(note.code == SLOW_DELETE for note in profile.warnings) and bound == "step":
        text = f"a loop that drops its iterator after every epoch also waits for TensorFlow to free it ({SLOW_DELETE})"
        found.append(("epochs", text))
    return [VerdictDetail(label=label, text=text) for label, text in found if text]


def _idle_elsewhere(profile: Profile) -> str:
    """State why the device's trace shows it idle for other reasons than the pipeline, or why it does not show it."""
    device = profile.device
    gaps = device.gaps if device is not None else None
    if device is None or gaps is None or not gaps.seconds or device.idle_share is None:
        return ""
    elsewhere = {cause: spent for cause, spent in gaps.by_cause.items() if cause != "pipeline"}
    if device.gaps_unknown is not None or sum(elsewhere.values()) < STEP_BOUND_BELOW * gaps.seconds:
        return ""
    most = max(elsewhere, key=lambda cause: elsewhere[cause])
    idles = f"idles {percent(device.idle_share)} of its traced time"
    other = percent(sum(elsewhere.values()) / gaps.seconds)
    return f"{idles}, {other} not for the pipeline; most of that: {CAUSE_WORDS[most]}"


def _takes_steps_from_spec(profile: Profile) -> bool:
    """Whether the step is simulated by the spec alone, as `init` writes it: the command does not name one."""
    named = any(word.partition("=")[0] == "--step" for word in profile.command)
    return profile.device is not None and profile.device.kind == "simulate" and not named


def _at_best(profile: Profile, headspace: Headspace, steps: Steps) -> str:
    """State what a pipeline without any cost would bring."""
    if _nothing_to_gain(profile):
        return free_pipeline_text(headspace.share)
    if steps.dispatch is None:
        return ""
    if _is_noise(profile, headspace, steps):
        return ""
    brings = f"{significant(most_gain(profile), 2)}× faster, if no step waited for data"
    if headspace.share < _GONE_WITH_BATCHES * wait_within_epochs(steps):
        # Without it, the share of waiting and the possible gain seem to contradict each other.
        step = part_of(headspace.replayed_ms, headspace.interval_ms)
        return f"{brings} (with preloaded batches a step still takes {step})"
    return brings


def most_gain(profile: Profile) -> float:
    """Return the speed-up of a pipeline that costs nothing, as the verdict states it; infinite where it states none."""
    headspace, steps = profile.headspace, profile.steps
    if headspace is None or steps is None or _is_noise(profile, headspace, steps):
        return math.inf
    if _nothing_to_gain(profile) or steps.dispatch is None:
        return headspace.speedup
    share = savable_share(profile) or 0.0
    return min(headspace.speedup, 1 / (1 - share) if share < 1 else math.inf)


def savable_share(profile: Profile) -> float | None:
    """Return the share of the time that a pipeline without any cost would save at most; None if unknown.

    Preloaded batches may come through a step that then does less than it did in the run: what it was busy there stays.
    """
    share, steps = profile.verdict.headspace_share if profile.verdict else None, profile.steps
    if share is None and profile.headspace is not None:
        share = profile.headspace.share
    if share is None or steps is None or steps.busy_ms is None or not steps.interval_ms.mean:
        return share
    return min(share, max(0.0, 1 - steps.busy_ms.mean / steps.interval_ms.mean))


def _is_noise(profile: Profile, headspace: Headspace, steps: Steps) -> bool:
    """Whether other processes, and not the pipeline, may be why preloaded batches came faster than it waits for data.

    The two are measured one after the other: what disturbs may end in between, and counts most where steps are short.
    """
    disturbed = find_disturbance(profile.contention, profile.host) is not None
    return disturbed and headspace.share > wait_within_epochs(steps) + STEP_BOUND_BELOW


def _idle_cores(profile: Profile, bottleneck: Bottleneck | None) -> float:
    """Return the share of the cores that is not used, where they are the limit; else 1: it limits nothing."""
    used = profile.causes.worker_cores if profile.causes is not None else None
    if bottleneck is None or bottleneck.limit != "cpu" or used is None:
        return 1.0
    return max(0.0, 1 - used / profile.host.cores)


def _restarts(profile: Profile, steps: Steps, bound: Bound | None, idle: float) -> str:
    """State what avoids costly restarts of the dataset, and how much the device waits between them."""
    text = describe_restarts(steps, profile.stages, profile.training, idle)
    if not text or steps.dispatch is None or bound == "step":
        return text
    within = wait_within_epochs(steps)
    if abs(within - (steps.wait_share or 0.0)) < STEP_BOUND_BELOW:
        return text
    return f"{text}; in the rest of the time {_waiting(profile)} waits {percent(within)}"


def _most_work(profile: Profile, steps: Steps) -> str:
    """Name the stages with most of the pipeline's work, where TensorFlow's model or the trace has it."""
    top = top_groups_of(profile, steps)
    if not top:
        return _unknown_costs(profile, steps.epochs)
    if _owner(profile, steps) is None:
        return ""
    if top[0].share is None:
        return f"{top[0].label}, by the trace (it had finished when costs were read)"
    # Without a model all times come from the trace, and the table of stages says so. With one, stages that
    # only the trace has take up to all that the others leave of the CPU time: tracing adds to each op.
    traced = any(stage.timed_by == "trace" for group in top for stage in group.stages) and any(
        stage.timed_by == "model" for stage in profile.stages or []
    )
    how = " (estimated from the trace, which adds to each op)" if traced else ""
    return f"{label_groups(top)}, {share_of_work(top, at_most=traced)}{how}"


def _owner(profile: Profile, steps: Steps) -> Stage | None:
    """Return the stage with most of the work, if that is enough to be named."""
    top = top_groups_of(profile, steps)
    if not top:
        return None
    if top[0].share is None:
        return top[0].stage if top[0].stage.ops else None
    together = sum(group.share or 0.0 for group in top)
    few = len(top) <= FEW and (together > MOST_FROM or stand_out(top, profile.stages))
    named = top[0].share >= OWNER_FROM or few
    return top[0].stage if named else None


def _unknown_costs(profile: Profile, epochs: int) -> str:
    """State that the costliest stage is unknown, and which costs are missing."""
    unknown = unknown_stages(profile.stages, epochs)
    if not unknown:
        return describe_missing(profile)
    their = "its cost" if len(unknown) == 1 else "their costs"
    return f"unknown: {stage_labels(unknown)} finished before {their} could be read"


def _not_reached(profile: Profile) -> str:
    """Sentence for a run that was stopped before its first step."""
    last = profile.phases[-1] if profile.phases else None
    if last is None or last.name in _WITHOUT_BATCH or (last.name == "first_element" and last.seconds is None):
        return "batch"
    # A second Ctrl-C does not wait for the steps that the worker has measured.
    hurried = last.name == "measure" and profile.exit_code in _ENDED_BY_SIGNAL
    return "reported step" if hurried else "measured step"


def _known_of_start(profile: Profile) -> str:
    """State how far a run came that was stopped before its first step; empty for one that failed by itself."""
    problem = profile.errors[0].code if profile.errors else None
    if (profile.exit_code not in _ENDED_BY_SIGNAL and problem not in _STOPPED) or not profile.phases:
        return ""
    *passed, last = [(phase.name, phase.seconds) for phase in profile.phases]
    took = [f"{phase_words(name)} {significant(seconds)} s" for name, seconds in passed if seconds is not None]
    ended = f"took {significant(last[1])} s" if last[1] is not None else "had not ended"
    before = f"{listed(took)}; " if took else ""
    return f"{before}{phase_words(last[0])} {ended}; rate, waiting and memory of the pipeline are unknown"


def _ending(profile: Profile, steps: Steps | None) -> str | None:
    """State how a run ended that did not end well; ``None`` for one that did."""
    if profile.complete and (not profile.exit_code or profile.verification is not None):
        # What was interrupted is the verification, after the measurement.
        return None
    where = f" in phase {phase_words(profile.phases[-1].name)}" if profile.phases else ""
    after = f" after {steps.count:,} steps" if steps else f", before the first {_not_reached(profile)}"
    if profile.exit_code in _ENDED_BY_SIGNAL:
        return f"{_ENDED_BY_SIGNAL[profile.exit_code]}{where}{after}."
    if not profile.errors:
        return f"Not finished: the record stops{where}{after}."
    problem = profile.errors[0]
    if problem.code == "never-iterated":
        return "Nothing was measured: the script took no two batches of a tf.data dataset."
    stage = next((stage for stage in profile.stages or [] if stage.id == problem.stage), None)
    place = f"{problem.file}:{problem.line}" if problem.file and problem.line else None
    at = f" at {stage_label(stage)}" if stage else f" at {place}" if place else ""
    words = _WORDS_FOR_CODES | (_WORDS_FOR_SCRIPTS if profile.target.kind == "script" else {})
    reason = words.get(problem.code, problem.code.replace("-", " "))
    if problem.code in ("raised", "step-raised") and _REFUSED_BY_GPU.search(problem.message):
        reason = "the memory of the GPU was not enough"
    return f"Failed{at}{where}{after}: {reason}."
