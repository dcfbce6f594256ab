"""Where a pipeline can be cut in two, and what each cut costs on both sides: pure functions of a measured run."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pipeprof.pipelines.edits.edits import InsertStage
from pipeprof.pipelines.ops.stages.distribute import LOCAL, Distributed
from pipeprof.pipelines.ops.traits import Traits, traits
from pipeprof.pipelines.steps.kinds.none import KIND as NO_STEP
from pipeprof.pipelines.steps.kinds.simulate import KIND as SIMULATED
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import inside, main_line, on_main_line
from pipeprof.profiles.model.costs import Costs
from pipeprof.profiles.scale.rates import USES_ALL, Load
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.wording import size, stage_name

LARGEST_IN_GRAPH: Final = 1 << 30
"""Bytes of an array in a source: it travels inside the graph, which may have 2 GiB with all copies."""
WAITS_FROM: Final = 0.2
"""Part of the device's time that it waits, from which on the pipeline is the only limit of the rate."""
REACHES: Final = 0.7
"""Part of the rate of its slowest stage alone, from which on that stage is what limits a pipeline."""
MEGABYTE: Final = 1e6
"""Bytes."""


@dataclass(frozen=True)
class Cut:
    """A cut after a stage.

    Attributes:
        why: Why it is none, in words; None where it is one.
        messages: Elements that are sent for a batch; None if unknown.
        sent: Bytes of them; None if unknown.
        load: What a batch costs on both sides; None of one that is none.
    """

    stage: Stage
    why: str | None = None
    messages: float | None = None
    sent: float | None = None
    load: Load | None = None

    def edit(self, processing_mode: str) -> InsertStage:
        """The cut as a change of the pipeline, with a service that pipeprof starts."""
        arguments = {"processing_mode": processing_mode, "service": LOCAL, "compression": None}
        return InsertStage(Distributed.op, arguments, after=self.stage.id)

    def refused(self, why: str) -> Cut:
        """The same as one that turned out to be none."""
        return replace(self, why=why, load=None)


def reads_from_service(profile: Profile) -> Stage | None:
    """The stage that reads from a tf.data service already; None where there is none."""
    return next((stage for stage in profile.stages or () if stage.service is not None), None)


def cuts_of(profile: Profile, costs: Costs) -> list[Cut]:
    """All cuts of the main line, in its order.

    What runs ahead is no place for a cut: a worker does that anyway, and the cut is the same as the one before it.
    """
    line = main_line(profile)
    batches = _elements(line[-1]) if line else None
    own, real = _own_ms(profile, line), _reached(profile)
    work = _by_line(profile, line, lambda stage: stage.active_ms)
    loop_ms = (profile.cpu.loop_ms or 0.0) if profile.cpu is not None else 0.0
    # On preloaded batches, the loop does little but get them, unless a step of the user's computes in it.
    gets = profile.device is None or profile.device.kind in (SIMULATED.name, NO_STEP.name)
    found: list[Cut] = []
    prevented: str | None = None
    for number, stage in enumerate(line):
        row = traits(stage.op)
        prevented = prevented or _prevents(profile, stage, row)
        if row.prefetches:
            continue
        why = prevented or ("its elements are datasets, which cannot be sent" if row.windows else None)
        if why is not None:
            found.append(Cut(stage, why))
            continue
        messages, sent = _messages(stage, batches), _sent(profile, stage, last=stage is line[-1])
        mb = (sent or 0.0) / MEGABYTE
        before, after = sum(own[: number + 1]), sum(own[number + 1 :])
        load = Load(
            worker_ms=before + (messages or 1.0) * costs.sent_message_ms + mb * costs.sent_mb_ms,
            client_ms=loop_ms + after + (messages or 1.0) * costs.received_message_ms + mb * costs.received_mb_ms,
            bytes_per_batch=sent or 0.0,
            most=real * _most(profile, line[: number + 1]),
            loop_ms=loop_ms if gets else 0.0,
            client_most=min(real * _most(profile, line[number + 1 :]), _most_of_rest(profile, work, number)),
        )
        found.append(Cut(stage, None, messages, sent, load))
    return found


def _prevents(profile: Profile, stage: Stage, row: Traits) -> str | None:
    """Why nothing after a stage can be a cut, in words; None where it does not prevent one."""
    name = stage_name(stage)
    python = any(runs_python(one) or traits(one.op).python_iterator for one in (stage, *inside(profile, stage)))
    held = (stage.cardinality or 0) * (stage.bytes_per_element or 0.0) if row.in_memory else 0.0
    compares = row.drops and row.passes and not (row.predicate or row.swallows or row.by_position)
    reasons = (
        (python, "calls Python, which only this process can run"),
        (row.carries_state, "carries a state from element to element: each worker would have its own"),
        (row.adds is not None and row.one_to_one, "numbers the elements: each worker would count its own"),
        (row.counts is not None and row.drops, "counts elements: each worker would count its own"),
        (compares, "compares elements with those before: each worker would know only its own"),
        (row.to_device, "copies to a device of this process"),
        (row.writes, "writes files, and each worker would do so"),
        (held > LARGEST_IN_GRAPH, f"holds {size(held)}, which would travel inside the graph: it may have 2 GiB"),
    )
    return next((f"{name} {why}" for prevents, why in reasons if prevents), None)


def _by_line(profile: Profile, line: Sequence[Stage], read: Callable[[Stage], float | None]) -> list[float]:
    """A time of each stage of the main line, with what is inside it."""
    by_stage = dict.fromkeys((stage.id for stage in line), 0.0)
    for stage in profile.stages or ():
        at = on_main_line(stage.id)
        if at in by_stage:
            by_stage[at] += read(stage) or 0.0
    return list(by_stage.values())


def _own_ms(profile: Profile, line: Sequence[Stage]) -> list[float]:
    """CPU time of each stage of the main line, so that all of them are that of the pipeline."""
    own = _by_line(profile, line, lambda stage: stage.cpu_ms_per_batch)
    known, account = sum(own), profile.cpu
    if account is None or not known:
        return own
    whole = account.total_ms - (account.loop_ms or 0.0) - (account.pipeprof_ms or 0.0)
    return [ms * max(1.0, whole / known) for ms in own]


def _most_of_rest(profile: Profile, work: Sequence[float], number: int) -> float:
    """Batches per second after the cut behind a stage: what is left takes its part of the time that all of it takes.

    That part includes what keeps a pipeline from using all cores, as a step that it waits for: having less to do
    changes nothing of that.

    Args:
        work: Of each stage of the main line.
    """
    left, alone = sum(work[number + 1 :]), profile.throughput.batches_per_second if profile.throughput else None
    return alone * sum(work) / left if alone and left else math.inf


def most_alone(profile: Profile) -> float:
    """Batches per second that the pipeline makes in one process, however many cores that has."""
    return _reached(profile) * _most(profile, main_line(profile))


def _reached(profile: Profile) -> float:
    """What the pipeline reached of the rate of its slowest stage alone; 1 where that stage was not the only limit.

    A pipeline that waits for its step, and has all cores in between, is far below that rate: what it uses in the mean
    is no bound of what it can use.
    """
    throughput, steps = profile.throughput, profile.steps
    rate = (throughput.batches_per_second or 0.0) if throughput is not None else 0.0
    most = _most(profile, main_line(profile))
    stepped = steps is not None and steps.busy_ms is not None and (steps.wait_share or 0.0) < WAITS_FROM
    disturbed = profile.verdict is not None and profile.verdict.disturbed
    # Without a core to spare, more of them could have given more.
    used = rate * profile.cpu.total_ms / 1e3 if profile.cpu is not None else 0.0
    crowded = used >= USES_ALL * (profile.host.cores or math.inf)
    if stepped or disturbed or crowded or not rate or not math.isfinite(most):
        return 1.0
    return min(1.0, rate / most) if rate >= REACHES * most else 1.0


def _most(profile: Profile, stages: Sequence[Stage]) -> float:
    """Batches per second that one process makes in some stages, however many cores it has."""
    ids = {stage.id for stage in stages}
    return min(_ceilings(profile, ids), default=math.inf)


def _ceilings(profile: Profile, ids: set[str]) -> Iterator[float]:
    for stage in profile.stages or ():
        # Where TensorFlow chooses the number of calls, a larger machine has more of them.
        fixed = stage.ceiling_resource in ("serial", "threads") and not stage.tunable
        if fixed and stage.ceiling_batches_per_second and on_main_line(stage.id) in ids:
            yield stage.ceiling_batches_per_second


def _elements(stage: Stage) -> float | None:
    return float(stage.elements) if stage.elements else None


def _messages(stage: Stage, batches: float | None) -> float | None:
    elements = _elements(stage)
    return elements / batches if elements is not None and batches is not None else None


def _sent(profile: Profile, stage: Stage, *, last: bool) -> float | None:
    """Bytes that a stage gives for a batch."""
    if last and profile.throughput is not None and profile.throughput.bytes_per_batch is not None:
        return profile.throughput.bytes_per_batch
    return stage.bytes_out_per_batch
