"""The sentences of the verdict, made of its decisions and of nothing else; and of what belongs to them elsewhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.steps.step import sentence
from pipeprof.profiles.constants import DISTURBED_FROM
from pipeprof.profiles.document.findings import Verdict, VerdictDetail
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.lines import lines_of
from pipeprof.profiles.time.flow import LARGE_SHARE, lost_cores, scheduled_on, step_alone_ms
from pipeprof.profiles.time.stage_notes import describe_ending, describe_known, describe_service
from pipeprof.profiles.time.top_stage import label_groups, share_of_work, unknown_stages
from pipeprof.profiles.time.verdict import (
    LOCK_FROM,
    RESTARTS_FROM,
    STEP_BOUND_BELOW,
    Decisions,
    FoundLimit,
    decide,
    restart_ms,
    wait_within_epochs,
)
from pipeprof.profiles.wording import (
    CAUSE_WORDS,
    cores_text,
    count,
    free_pipeline_text,
    grows,
    milliseconds,
    part_of,
    percent,
    place_of,
    significant,
    size,
    size_in_unit_of,
    stage_label,
    stage_labels,
    stage_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeprof.profiles.document.profile import Host, Profile
    from pipeprof.profiles.document.shared import Contention, Steps, Training
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.time.flow import MemoryProblem
    from pipeprof.profiles.time.verdict import Remedy

_MEMORY = "Memory: "
_REST_FROM = 0.02
"""Share of a chain's time from which its remaining stages are part of the sum."""
_PART_FROM = 0.10
"""Share of a chain's time from which a stage is named as a part of it."""
_STANDS_OUT_FROM = 0.25
"""Share of the CPU time below which the stage that takes most of it is no better place to begin than others."""


def conclude(profile: Profile, printed: str = "") -> Verdict:
    """Conclude from what was measured, whatever changes may gain; change nothing.

    ``bound`` is ``None`` when no step was measured, ``limit`` where no measurement shows it.

    Args:
        printed: The headline that was printed already, as soon as it was known: it stays.
    """
    made = decide(profile)
    headline, details = _write_verdict(profile, made, printed)
    sentences = [headline, *(f"{detail.label.capitalize()}: {detail.text}." for detail in details)]
    named = [group.stage for group in (made.limit.groups if made.limit is not None else made.owners)]
    named = named or ([made.dropped.stage] if made.dropped is not None else [])
    lost = lost_cores(profile.contention, profile.host)
    return Verdict(
        headline=headline,
        details=details,
        sentence=" ".join(sentences),
        bound=made.bound,
        limit="step" if made.bound == "step" else made.limit.limit if made.limit is not None else None,
        stage=named[0].id if named else None,
        headspace_share=profile.headspace.share if profile.headspace is not None and made.steps is not None else None,
        disturbed=True if made.disturbed is not None else None if lost is None or made.steps is None else False,
    )


def _write_verdict(profile: Profile, made: Decisions, printed: str) -> tuple[str, list[VerdictDetail]]:
    """Write the headline, unless one was `printed` already, and the details."""
    ended = describe_ending(profile, made.steps)
    memory = describe_memory(profile, made.memory) if made.memory is not None else ""
    start_up = _start_up(profile) if made.slow_start else ""
    if made.steps is None:
        found = [("known", describe_known(profile)), ("start-up", start_up), ("memory", memory)]
        return ended or "Nothing was measured.", _details(found)
    headline = _headline(profile, made, made.steps)
    if memory and (printed.startswith(_MEMORY) if printed else made.memory_first and not ended):
        headline, memory = f"{_MEMORY}{memory}. {headline}", ""
    label, text = ("ended", ended) if printed else ("until then", f"{headline[0].lower()}{headline[1:]}")
    found = [(label, text.rstrip("."))] if ended else []
    found += [*_speed(profile, made, made.steps), ("start-up", start_up), ("memory", memory)]
    return printed or ended or headline, _details(found)


def _details(found: list[tuple[str, str]]) -> list[VerdictDetail]:
    return [VerdictDetail(label=label, text=text) for label, text in found if text]


def _headline(profile: Profile, made: Decisions, steps: Steps) -> str:
    if made.bound is None:
        return _unknown_bound(profile, steps)
    text = _bound_by(profile, made, steps)
    # Where the cores are the limit, no more is lost than they are idle: they do the work of later batches.
    share = min(steps.restart_share or 0.0, _idle(profile, made))
    if made.restarts and share >= RESTARTS_FROM:
        text += f"; restarts of the dataset take {percent(share)} of the time"
    if made.disturbed is None:
        return f"{text}."
    perhaps = "" if steps.dispatch is None else "Perhaps "
    text = f"{perhaps}{text[0].lower()}{text[1:]}" if perhaps else text
    return f"Disturbed: {_disturber(profile.contention, profile.host)}. {text}."


def _idle(profile: Profile, made: Decisions) -> float:
    """Return the share of the cores that is not used, where they are the limit; else 1: it limits nothing."""
    used = profile.causes.worker_cores if profile.causes is not None else None
    if made.limit is None or made.limit.limit != "cpu" or used is None:
        return 1.0
    return max(0.0, 1 - used / profile.host.cores)


def _unknown_bound(profile: Profile, steps: Steps) -> str:
    why = profile.training.unknown if profile.training is not None else None
    mean = ", a mean" if profile.training is not None and profile.training.interval == "mean" else ""
    rate = f"{milliseconds(steps.interval_ms.mean)} from step to step{mean}"
    return f"How long the training waits for data is not known{f' ({why})' if why else ''}: {rate}."


def _bound_by(profile: Profile, made: Decisions, steps: Steps) -> str:
    if steps.dispatch is None:
        flow = profile.throughput
        rate = f"{milliseconds(steps.interval_ms.mean)} per batch"
        if flow is not None and flow.batches_per_second is not None:
            rate = f"{significant(flow.batches_per_second)} batches/s"
        return f"Pipeline alone: {rate} (no step given); {_for_steps_below(steps)}"
    waits = _waits(profile, steps)
    if made.bound != "step":
        return waits
    if max(steps.wait_share or 0.0, wait_within_epochs(steps)) < STEP_BOUND_BELOW:
        return f"The pipeline keeps up: {waits[0].lower()}{waits[1:]}"
    if made.free:
        return f"{waits}, and barely less with preloaded batches"
    within, share = percent(wait_within_epochs(steps)), percent(steps.wait_share or 0.0)
    who = f"{_waiting(profile)} waits for data {within} of the time"
    return f"The pipeline keeps up: within an epoch {who}, {share} with the restarts{_given_step(profile)}"


def _waits(profile: Profile, steps: Steps) -> str:
    of_every = part_of(steps.known_wait_ms, steps.interval_ms.mean)
    known = profile.training.wait if profile.training is not None else None
    means = {"mean": " on average", "clock": ", by the GPU's clock"}.get(known or "", "")
    who, share = _waiting(profile), percent(steps.wait_share or 0.0)
    return f"{who[0].upper()}{who[1:]} waits for data {share} of the time: {of_every}{means}{_given_step(profile)}"


def _waiting(profile: Profile) -> str:
    """Who waits: of a script it is not known what its step runs on."""
    clock = profile.training is not None and profile.training.wait == "clock"
    return "the training" if profile.target.kind == "script" and not clock else "the device"


def _given_step(profile: Profile) -> str:
    """Name the step of a device that only simulates one; empty where the step is real."""
    if profile.device is None or profile.device.kind != "simulate":
        return ""
    step = sentence(profile.device.text or "")
    return f" ({step}{', as in the spec' if _takes_step_from_spec(profile) else ''})"


def _takes_step_from_spec(profile: Profile) -> bool:
    """Whether the step is simulated by the spec alone, as `init` writes it: the command does not name one."""
    named = any(word.partition("=")[0] == "--step" for word in profile.command)
    return profile.device is not None and profile.device.kind == "simulate" and not named


def _for_steps_below(steps: Steps) -> str:
    return f"a training step under {milliseconds(steps.interval_ms.mean)} would wait for it"


def _speed(profile: Profile, made: Decisions, steps: Steps) -> Iterator[tuple[str, str]]:
    unknown = _unknown_costs(profile, steps)
    if made.limit is not None:
        yield "because", describe_limit(profile, made.limit)
        if made.limit.stage is None and made.limit.limit != "memory":
            yield "most work", unknown
    elif made.owners:
        label = label_groups(made.owners)
        if made.owners[0].share is None:
            yield "most work", f"{label}, by the trace (it had finished when costs were read)"
        else:
            yield "most work", f"{label}, {share_of_work(made.owners)}"
    elif made.bound != "step" and not made.free:
        yield "most work", unknown
    if made.dropped is not None:
        lost, about = 1 - 1 / made.dropped.each, "" if made.dropped.by.inputs_each_by == "graph" else "about "
        what = f"{stage_label(made.dropped.by)} drops {about}{percent(lost)} of the elements that"
        share = percent(made.dropped.share)
        yield "thrown away", f"{what} {stage_label(made.dropped.stage)} makes: {share} of the pipeline's work"
    if made.bound == "input" and profile.device is not None and _takes_step_from_spec(profile):
        given, invented = sentence(profile.device.text or ""), profile.device.from_init
        own = f" from init: put your own in {place_of(invented)}" if invented is not None else ""
        yield "step", f"{given}{own}; {_for_steps_below(steps)}"
    yield "device", _idle_elsewhere(profile)
    if made.remedy is not None and _idle(profile, made) >= RESTARTS_FROM:
        often = f"1 restart of {milliseconds(restart_ms(steps))}"
        if steps.epochs != 1:
            often = f"{steps.epochs:,} restarts, {milliseconds(restart_ms(steps))} each"
        yield "restarts", f"{often}; {describe_remedy(made.remedy, profile.stages, profile.training)}"
    if made.free and profile.headspace is not None:
        yield "speed", free_pipeline_text(profile.headspace.share)
    elif made.bound != "step" and steps.dispatch is not None and math.isfinite(made.gain):
        yield "limit", f"{significant(made.gain, 2)}× faster, if no step waited for data"


def describe_limit(profile: Profile, found: FoundLimit) -> str:
    """State what limits the pipeline, and by which numbers, without a full stop."""
    who = label_groups(found.groups) if found.groups else "the pipeline"
    several = _are_several(found)
    text = ""
    match found.limit:
        case "memory":
            peak, most = profile.memory.peak_bytes or 0, profile.host.memory_limit_bytes or 1
            text = f"memory: the peak reached {percent(peak / most)} of the limit ({size(most)})"
        case "remote":
            service = found.stage.service if found.stage is not None else None
            text = f"waits for {describe_service(service)} {percent(found.blocked)} of the time" if service else ""
        case "cpu" if found.term is not None:
            text = f"CPU: {_use_of_cores(profile)}{_who_computes(profile, found)}{_cores_needed(profile, found)}"
        case "cpu":
            waited = (profile.contention and profile.contention.runnable_wait_share) or 0.0
            most_work = f"; most work: {who}, {share_of_work(found.groups)}" if found.groups else ""
            used = _use_of_cores(profile)
            text = f"CPU: {used}; the pipeline's threads wait for a core {percent(waited)} of the time{most_work}"
        case "gil":
            text = f"Python in {who} holds its lock (GIL) for {_filled(profile, found)}: one thread at a time"
        case "latency" if found.term is not None and found.term.resource == "lock":
            text = f"{who}: one of its calls computes, and the others wait for it (a lock of a library?)"
        case "io" | "latency":
            spends, whose = ("spend", "their") if several else ("spends", "its")
            text = f"{who} {spends} {percent(found.blocked)} of {whose} time {_waits_for(profile, found)}"
        case "serial-stage":
            text = _in_turn(profile, found, who)
        case _ if found.term is not None:
            calls = "calls at a time" if found.term.resource == "calls" else "threads"
            takes = "they take" if several else "it takes"
            text = f"{who}: with {count(found.term.threads)} {calls} {takes} {_filled(profile, found)}"
        case _:
            text = f"{who}: all other stages take little of each batch (its own cost could not be read)"
    return text


def _are_several(found: FoundLimit) -> bool:
    return len(found.groups) > 1 or any(len(group.members) > 1 for group in found.groups)


def _filled(profile: Profile, found: FoundLimit) -> str:
    return part_of(found.term.ms if found.term is not None else 0.0, _step_ms(profile))


def _step_ms(profile: Profile) -> float:
    return profile.steps.running_ms if profile.steps is not None else 0.0


def _use_of_cores(profile: Profile) -> str:
    used = profile.causes.worker_cores if profile.causes is not None else None
    others = (profile.contention.others_cores if profile.contention is not None else None) or 0.0
    if used is None:
        return f"all of {cores_text(profile.host.cores)} in use"
    if others < 0.1 * profile.host.cores:
        restarts = profile.steps is not None and (profile.steps.restart_share or 0.0) >= RESTARTS_FROM
        return f"{used:.1f} of {cores_text(profile.host.cores)} in use{', restarts included' if restarts else ''}"
    return f"the pipeline uses {used:.1f} of {cores_text(profile.host.cores)}, other processes {others:.1f}"


def _who_computes(profile: Profile, found: FoundLimit) -> str:
    """The stages with most of the CPU time, and whether less work there would help more than elsewhere."""
    spent = sum(group.total(lambda stage: stage.cpu_ms_per_batch) for group in found.groups)
    total = profile.cpu.total_ms if profile.cpu is not None else 0.0
    if not 0 < spent <= total:
        return ""
    where = f"{label_groups(found.groups)} take{'' if _are_several(found) else 's'} {part_of(spent, total)} of CPU"
    return f"; {where}" if spent >= _STANDS_OUT_FROM * total else f"; no stage stands out: {where}"


def _cores_needed(profile: Profile, found: FoundLimit) -> str:
    """State how many cores would do for the step that was given, where that is more than there are."""
    step_ms, term = step_alone_ms(profile), found.term
    needed = term.threads * term.ms / step_ms if step_ms and term is not None else 0.0
    if needed * (1 - STEP_BOUND_BELOW) < profile.host.cores:
        return ""
    return f"; keeping up takes {cores_text(float(significant(needed, 2)))}, there are {profile.host.cores:g}"


def _waits_for(profile: Profile, found: FoundLimit) -> str:
    rate = profile.causes.disk_bytes_per_second if profile.causes is not None else None
    read = f" ({significant(rate / 2**20, 2)} MiB/s come from the disk)" if rate else ""
    if found.limit == "io":
        return f"waiting for files{read}"
    if any(entry.what == "child processes" for entry in profile.memory.ledger or ()):
        return "waiting, not computing: probably for its child processes"
    lock = (profile.causes.python_lock_share if profile.causes is not None else None) or 0.0
    if found.stage is not None and found.stage.python and lock >= LOCK_FROM:
        held = f"the GIL, held {percent(lock)} of the time in Python"
        return f"waiting, not computing: perhaps for a network or a sleep, in part for {held}"
    if found.stalled is not None and read:
        return f"waiting, not computing, for files at most {percent(found.stalled)} of it{read}"
    if rate is None or read:
        return f"waiting, not computing{read}; unknown whether for the disk"
    return "waiting, not computing, and not for the disk: perhaps for a network, a lock or a sleep"


def _in_turn(profile: Profile, found: FoundLimit, who: str) -> str:
    total, fixed = sum(part.held_ms for part in found.parts), found.term.fixed_ms if found.term is not None else 0.0
    large = {part.id: part.held_ms for part in found.parts if part.held_ms >= _PART_FROM * total}
    stages = [stage for stage in profile.stages or () if stage.id in large]
    how = " (estimated from the trace)" if any(stage.timed_by == "trace" for stage in stages) else ""
    if len(stages) < 2:
        on_one = f", on 1 of {profile.host.cores:g} cores" if profile.host.cores > 1 else ""
        return f"{who} runs one call at a time{on_one}{how}"
    times, left = " + ".join(significant(ms, 2) for ms in large.values()), total - sum(large.values())
    rest = f" + {significant(left, 2)} in others" if left >= _REST_FROM * total else ""
    whole = f"{milliseconds(_step_ms(profile) - fixed)} {'that a step waits' if fixed else 'between two steps'}"
    return f"{stage_labels(stages)} run one after another on one thread: {times}{rest} of the {whole}{how}"


def _unknown_costs(profile: Profile, steps: Steps) -> str:
    unknown = unknown_stages(profile.stages, steps.epochs)
    their = "its cost" if len(unknown) == 1 else "their costs"
    return f"unknown: {stage_labels(unknown)} finished before {their} could be read" if unknown else ""


def _idle_elsewhere(profile: Profile) -> str:
    """State why the device's trace shows it idle for other reasons than the pipeline; empty where it does not."""
    device = profile.device
    gaps = device.gaps if device is not None else None
    if device is None or gaps is None or not gaps.seconds or device.idle_share is None:
        return ""
    elsewhere = {cause: spent for cause, spent in gaps.by_cause.items() if cause != "pipeline"}
    if device.gaps_unknown is not None or not elsewhere or sum(elsewhere.values()) < STEP_BOUND_BELOW * gaps.seconds:
        return ""
    most = max(elsewhere, key=lambda cause: elsewhere[cause])
    idles = f"idles {percent(device.idle_share)} of its traced time"
    other = percent(sum(elsewhere.values()) / gaps.seconds)
    return f"{idles}, {other} not for the pipeline; most of that: {CAUSE_WORDS[most]}"


def describe_remedy(remedy: Remedy, stages: list[Stage] | None, training: Training | None) -> str:
    """State what makes restarts cheaper, without a full stop.

    A training loop with as little data restarts as often: then the dataset has to go on by itself. Where the data are
    only a part of those of the training, the measurement needs more of them.
    """
    if remedy.kind == "skip" and remedy.stage is not None and remedy.costly is not None:
        name = stage_name(remedy.costly)
        return (
            f"each first makes the elements of {name} that {stage_label(remedy.stage)} drops: skip before {name}, or "
            "keep the two parts in files of their own"
        )
    if remedy.kind == "fill" and remedy.stage is not None and remedy.costly is not None:
        elements = f"{remedy.stage.buffered_elements or 0:,.0f} elements"
        between = [one.id for one in stages or []]
        between = between[between.index(remedy.costly.id) : between.index(remedy.stage.id)]
        # Before a cache, one order would be kept for all epochs.
        cached = any(traits(one.op).stores for one in stages or [] if one.id in between)
        moves = remedy.costly.depth == 0 and traits(remedy.costly.op).one_to_one and not cached
        first = f"shuffle before {stage_name(remedy.costly)}, or mix less" if moves else "mix less"
        return f"each first fills {stage_label(remedy.stage)} with {elements}: {first} (a smaller `buffer_size`)"
    # A cache of what never ends is never complete.
    kept = [stage.op for stage in lines_of(stages or []).get("", []) if traits(stage.op).stores]
    batches = any(stage.op == "batch" and stage.library is None for stage in stages or [])
    repeat = f"add `repeat()` after `{kept[-1]}`" if kept else f"add `repeat()`{' before `batch`' if batches else ''}"
    if training is None:
        counted = "count the steps of an epoch (`steps_per_epoch` of `fit`)"
        return f"measure more data or, if training has no more, {repeat}, and {counted}"
    if training.consumer in {"fit", "fit-executions"}:
        return f"{repeat} and give `fit` `steps_per_epoch`, which then ends the epochs"
    return f"{repeat} and count the steps of an epoch in the loop, which then ends the epochs"


def describe_memory(profile: Profile, problem: MemoryProblem) -> str:
    """State the peak, and what holds most of it, without a full stop."""
    memory, limit = profile.memory, profile.host.memory_limit_bytes
    write = size_in_unit_of(memory.peak_bytes)
    parts = [f"{write(memory.peak_bytes)} at the peak" if memory.peak_bytes is not None else "the peak is unknown"]
    if problem.above is not None:
        large = limit is not None and problem.above >= LARGE_SHARE * limit
        share = f", {percent(problem.above / limit)} of the limit" if limit is not None and large else ""
        parts.append(f"{write(problem.above)} above TensorFlow itself{share}")
    stages = {stage.id: stage for stage in profile.stages or []}
    held = max((one for one in memory.ledger or [] if one.stage in stages), key=lambda one: one.bytes, default=None)
    if held is not None:
        parts.append(f"largest: {stage_label(stages[held.stage or ''])}, {size(held.bytes)}")
    if memory.growth is not None and memory.growth.leak:
        soak = memory.soak
        text = grows(memory.growth) if soak is None else f"{soak.sentence[:1].lower()}{soak.sentence[1:].rstrip('.')}"
        parts.append(text)
    return "; ".join(parts)


def _start_up(profile: Profile) -> str:
    seconds = {phase.name: phase.seconds or 0.0 for phase in profile.phases}
    building, first = seconds["build"], seconds["first_element"]
    does = "in the script before its first iterator" if profile.target.kind == "script" else "to build the pipeline"
    parts = f"{significant(building)} s {does}, {significant(first)} s for the iterator and the first batch"
    constants = [finding for finding in profile.findings or () if finding.rule == "graph-constant"]
    copied = sum(int(finding.evidence.get("constant_bytes") or 0) for finding in constants)
    why = f"; TensorFlow copies {size(copied)} of graph constants for every new iterator" if copied else ""
    return f"{significant(building + first)} s until the first batch: {parts}{why}"


def disturbed_message(contention: Contention, host: Host, waited: float) -> Message:
    """Warn that others made the measurement much slower: for `waited` of the time no core was free for the worker."""
    who = _disturber(contention, host)
    text = (
        f"{who[0].upper()}{who[1:]}, and the worker's threads waited for a core {percent(waited)} of the time in which "
        "they wanted one: times are too long, and shares and findings may be wrong. Measure again on a free machine."
    )
    return Message(code="disturbed", message=text)


def _disturber(contention: Contention | None, host: Host) -> str:
    if contention is not None and (contention.steal_share or 0.0) >= DISTURBED_FROM:
        return f"the hypervisor took {percent(contention.steal_share or 0.0)} of the CPU time"
    others = min((contention.others_cores if contention is not None else None) or 0.0, scheduled_on(host))
    return f"other processes used {others:.1f} of {cores_text(scheduled_on(host))}"
