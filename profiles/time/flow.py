"""The running pipeline as numbers: stages, the threads that they share, the time and memory that each resource takes.

Also the elements of a batch of the loop, and the batches of the whole data set behind a measured sample.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from pipeprof.pipelines.graph.elements import SINGLE, Batching, final_elements
from pipeprof.pipelines.graph.read.records import dataset_node
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.constants import DISTURBED_FROM
from pipeprof.profiles.lines import lines_of

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.read.records import GraphDict
    from pipeprof.profiles.document.profile import Host, Profile
    from pipeprof.profiles.document.shared import Contention
    from pipeprof.profiles.document.stages import Stage


Resource = Literal["serial", "calls", "pool", "cores", "lock", "step", "loop"]
ONE_CALL = 1.0
_EQUAL = 1e-9


@dataclass(frozen=True)
class PartTimes:
    """The times of a part per batch, all its threads together.

    Attributes:
        computing_ms: On a core.
        waiting_ms: Neither on a core nor wanting one.
        starved_ms: Wanting a core and having none; not part of its time.
        idle_ms: For which its threads have nothing to do although it is waited for: with no more calls than threads, a
            thread whose result is not taken yet starts no other one.
        cpu_ms: CPU time, with that of threads which are not its own.
        lock_ms: With the lock of Python's interpreter.
    """

    computing_ms: float = 0.0
    waiting_ms: float = 0.0
    starved_ms: float = 0.0
    idle_ms: float = 0.0
    cpu_ms: float = 0.0
    lock_ms: float = 0.0


@dataclass(frozen=True)
class Part:
    """A stage of the main line or of a side of a `zip`; what runs inside its functions is part of it.

    Attributes:
        ahead: Whether it has threads of its own, on which it makes elements ahead of its reader.
        calls: Calls of its function at a time, at most.
        tuned: Whether TensorFlow chooses the calls or the buffer.
        buffer: Elements that a prefetch holds at most; infinite where that is tuned.
        pooled: Whether its function runs on the pool of threads.
        inside: What runs inside its functions: its own times contain theirs.
        fused: Id of the part that it is one dataset with, which has its time.
    """

    id: str
    name: str
    reads: tuple[str, ...] = ()
    ahead: bool = False
    calls: float = ONE_CALL
    tuned: bool = False
    buffer: float | None = None
    times: PartTimes = PartTimes()
    pooled: bool = False
    inside: tuple[Part, ...] = ()
    fused: str | None = None

    @property
    def held_ms(self) -> float:
        """Time per batch for which it keeps a thread, all its threads together."""
        return self.times.computing_ms + self.times.waiting_ms

    def scaled(self, by: float) -> Part:
        """Scale all its times by a factor."""
        times = PartTimes(*(ms * by for ms in astuple(self.times)))
        return replace(self, inside=tuple(part.scaled(by) for part in self.inside), times=times)

    def timed(self, **times_ms: float) -> Part:
        """Copy with other times in place of those of the same names."""
        return replace(self, times=replace(self.times, **times_ms))


@dataclass(frozen=True)
class Term:
    """The time per batch that one resource needs; the longest sets the rate.

    Attributes:
        resource: ``serial``: stages that take turns on one thread; ``calls``: the calls of one stage; ``pool``: the
            threads that functions run on; ``cores``; ``lock``: that of Python's interpreter; ``step``; ``loop``.
        fixed_ms: Part of it that is not theirs: the step or the loop, where it takes turns with them.
    """

    ms: float
    resource: Resource
    parts: tuple[str, ...] = ()
    fixed_ms: float = 0.0
    threads: float = 1.0


@dataclass(frozen=True)
class Flow:
    """A whole pipeline with its step.

    Attributes:
        parts: In the order of the data, sides before the stage that combines them.
        step_ms: The device's work per step; 0 without a step.
        loop_ms: What a loop that goes on while its step computes does between two fetches; 0 for none.
        restart_ms: What the starts of epochs take per step.
        in_turn: Whether the loop requests a batch only after its step: ``sync``.
        other_cpu_ms: CPU time per batch outside of the parts.
        bursts: Waiting over that of the queue formula: 0 for a steady producer, above 1 for times with long pauses.
    """

    parts: tuple[Part, ...]
    step_ms: float = 0.0
    floor_ms: float = 0.0
    loop_ms: float = 0.0
    restart_ms: float = 0.0
    in_turn: bool = False
    cores: float = 1.0
    pool: float = 1.0
    other_cpu_ms: float = 0.0
    bursts: float = 0.0

    @cached_property
    def by_id(self) -> Mapping[str, Part]:
        """Parts by id."""
        return {part.id: part for part in self.parts}

    @cached_property
    def end(self) -> Part | None:
        """The part that gives the batches."""
        read = {name for part in self.parts for name in part.reads}
        ends = [part for part in self.parts if part.id not in read]
        return ends[-1] if ends else None

    def changed(self, *parts: Part) -> Flow:
        """Copy with other parts in place of those of the same ids."""
        new = {part.id: part for part in parts}
        return replace(self, parts=tuple(new.get(part.id, part) for part in self.parts))

    def prefetched(self, name: str) -> Flow:
        """Copy with a prefetch after a part, as large as helps."""
        new = Part(f"{name}.prefetched", "a prefetch", reads=(name,), ahead=True, buffer=math.inf)
        read = (
            replace(part, reads=tuple(new.id if other == name else other for other in part.reads))
            for part in self.parts
        )
        return replace(self, parts=(*read, new))

    def drawn(self, part: Part) -> list[Part]:
        """Return the parts whose times add up when an element is drawn from one; stops at what runs ahead."""
        found: list[Part] = []
        todo = [part]
        while todo:
            one = todo.pop()
            if not one.ahead:
                found.append(one)
                todo += [self.by_id[name] for name in reversed(one.reads) if name in self.by_id]
        return found

    def terms(self) -> list[Term]:
        """The time that each resource needs, the longest first; of equal ones what all stages share."""
        found: list[Term] = []
        cpu = self.other_cpu_ms + sum(part.times.cpu_ms for part in self.parts)
        busy = tuple(part.id for part in self.parts if part.times.cpu_ms > 0)
        found.append(Term(cpu / self.cores, "cores", busy, self.other_cpu_ms / self.cores, self.cores))
        locked = tuple(part.id for part in self.parts if part.times.lock_ms > 0)
        if locked:
            found.append(Term(sum(self.by_id[name].times.lock_ms for name in locked), "lock", locked))
        if self.end is not None and not self.end.ahead:
            found.append(self._row(self.drawn(self.end), self.step_ms if self.in_turn else self.loop_ms))
        for part in self.parts:
            if not part.ahead or part.fused is not None:
                continue
            # With one call at a time the drawing of an input waits for the call before.
            own = [part] if part.buffer is None and part.calls <= ONE_CALL else []
            inputs = [one for name in part.reads if name in self.by_id for one in self.drawn(self.by_id[name])]
            found.append(self._row([*inputs, *own]))
            if part.buffer is None and part.calls > ONE_CALL:
                at_a_time = max(ONE_CALL, min(part.calls, self.pool))
                idle = part.times.idle_ms if part.calls <= self.pool else 0.0
                found.append(Term((part.held_ms + idle) / at_a_time, "calls", (part.id,), threads=at_a_time))
        pooled = [part for part in self.parts if part.pooled]
        if len(pooled) > 1:
            ms = sum(part.held_ms for part in pooled) / self.pool
            found.append(Term(ms, "pool", tuple(part.id for part in pooled), threads=self.pool))
        found.append(Term(max(self.step_ms, self.floor_ms), "step"))
        if self.loop_ms > 0:
            found.append(Term(self.loop_ms, "loop"))
        return sorted(found, key=lambda term: -term.ms)

    def made_ms(self) -> float:
        """Return the time per batch that the pipeline needs by itself, whatever the step does."""
        return max(term.ms - term.fixed_ms for term in self.terms() if term.resource not in ("step", "loop"))

    def interval_ms(self) -> float:
        """From one step to the next: the longest term, what an uneven producer adds to it, and the restarts."""
        terms = self.terms()
        return terms[0].ms + self.burst_ms(terms) + self.restart_ms

    def burst_ms(self, terms: Sequence[Term]) -> float:
        """Return the wait of the step for a producer that is fast enough on average; 0 where both take turns."""
        if self.end is None or not self.end.ahead or not self.in_turn or not self.bursts:
            return 0.0
        made_ms = next((term.ms for term in terms if term.resource != "step"), 0.0)
        ahead = self.end.buffer if self.end.buffer is not None else self.end.calls
        waits_ms = empty_probability(self.step_ms, made_ms, ahead) * made_ms
        # A producer that is too slow makes each step wait, however steady it is.
        return self.bursts * max(0.0, waits_ms - max(0.0, made_ms - self.step_ms))

    @staticmethod
    def _row(row: Sequence[Part], fixed_ms: float = 0.0) -> Term:
        busy = tuple(part.id for part in row if part.held_ms > 0)
        return Term(sum(part.held_ms for part in row) + fixed_ms, "serial", busy, fixed_ms)

    def scaled(self, names: Collection[str], by: float) -> Flow:
        """Copy with the times of some parts scaled by a factor."""
        return replace(self, parts=tuple(part.scaled(by) if part.id in names else part for part in self.parts))


def empty_probability(consumer_ms: float, producer_ms: float, buffer: float) -> float:
    """Return the probability that the consumer finds the buffer empty, by TensorFlow's own formula.

    The times of both sides are taken as exponential, which overstates the wait for a steady producer; what was seen of
    it in a run scales it (`Flow.bursts`).

    Args:
        consumer_ms: From one request to the next, without waiting.

    Example:
        >>> empty_probability(10, 10, 1)
        0.5
        >>> round(empty_probability(10, 8, 2), 3)
        0.262
    """
    if producer_ms <= 0:
        return 0.0
    ratio = consumer_ms / producer_ms
    if math.isinf(buffer):
        return max(0.0, 1 - ratio)
    if abs(ratio - 1) < _EQUAL:
        return 1 / (buffer + 1)
    if ratio > 1:
        # The larger power would have no bound.
        power = math.pow(ratio, -(buffer + 1))
        return (ratio - 1) * power / (1 - power)
    return (1 - ratio) / (1 - math.pow(ratio, buffer + 1))


FREE_BELOW = 0.50
"""Share of the cores in use below which cores were free."""
STEAL_FROM = 0.05
"""Share of the time stolen by the hypervisor from which the cores count as fully used."""


def scheduled_on(host: Host) -> float:
    """Return the cores on which the worker competes with other processes: all of its affinity, whatever its quota."""
    return host.schedulable_cores or host.cores


def cores_in_use(contention: Contention | None, cores: float) -> float | None:
    """Return the part of the cores that was in use by all processes, 0 to 1; `None` where that is unknown.

    All of it under a CPU quota or with steal. A thread that wakes up on an idle core waits for it as well, which the
    kernel counts like any other waiting.

    Args:
        cores: On which the worker may run.
    """
    if contention is None:
        return None
    if contention.throttled_seconds or (contention.steal_share or 0.0) >= STEAL_FROM:
        return 1.0
    used, others = contention.worker_cores, contention.others_cores
    return None if used is None or others is None else min(1.0, (used + others) / cores)


def cores_were_free(contention: Contention | None, cores: float) -> bool:
    """Whether so many cores were free that threads waited for one only while they woke up."""
    used = cores_in_use(contention, cores)
    return used is not None and used < FREE_BELOW


def step_alone_ms(profile: Profile) -> float | None:
    """How long a step takes where data are always there, as with preloaded batches; `None` without a step."""
    steps, headspace = profile.steps, profile.headspace
    if steps is None or steps.dispatch is None:
        return None
    if headspace is not None and headspace.replayed_ms > 0:
        return headspace.replayed_ms
    return steps.busy_ms.mean if steps.busy_ms is not None else None


def lost_cores(contention: Contention | None, host: Host) -> float | None:
    """Return the cores that the worker's threads waited for while others used them, at most; `None` if unknown.

    Waiting alone says little: a thread that wakes up on a free core waits as well, and so do more threads of it
    than there are cores. Other processes alone say little either, if the worker had its core at any time. What it lost
    is at most the smaller of the two, and of that the part of the cores that was in use.
    """
    if contention is None:
        return None
    used, waited, others = contention.worker_cores, contention.runnable_wait_share, contention.others_cores
    if used is None or others is None or waited is None or not waited < 1:
        return None
    in_use = cores_in_use(contention, scheduled_on(host)) or 0.0
    return in_use * min(others, used * waited / (1 - waited)) if in_use >= FREE_BELOW else 0.0


def disturbed_share(contention: Contention | None, host: Host) -> float | None:
    """Return the part of the time in which the worker wanted a core and had none, where others took many; else `None`.

    Cores that one thread lost are the part of the time for which it stood still; of several threads, what counts is
    the part of all the CPU time that they wanted.
    """
    if contention is None:
        return None
    if (contention.steal_share or 0.0) >= DISTURBED_FROM:
        return contention.runnable_wait_share or 0.0
    lost, used = lost_cores(contention, host), contention.worker_cores
    disturbed = lost is not None and used is not None and lost >= DISTURBED_FROM * max(1.0, used + lost)
    return (contention.runnable_wait_share or 0.0) if disturbed else None


LARGE_BYTES = 10**9
"""Peak memory above the TensorFlow baseline from which it is a problem whatever the limit."""
LARGE_SHARE = 0.25
"""The same as a share of the memory limit."""
NEAR_LIMIT = 0.8
"""Share of the memory limit from which the peak comes before the speed in the verdict."""


@dataclass(frozen=True)
class MemoryProblem:
    """Memory that is worth a line.

    Attributes:
        above: Bytes of the peak above TensorFlow itself; None where they are not large.
        critical: It leaks, or its peak is near the limit.
        matters: As `memory_matters`.
    """

    above: int | None
    critical: bool
    matters: bool


def find_memory_problem(profile: Profile) -> MemoryProblem | None:
    """Find whether a finding on memory exists, the peak is large, or it leaks; none in a run without a step."""
    if not profile.shows_memory:
        return None
    found = any(one.family == "memory" and one.status != "rejected" for one in profile.findings or ())
    above, leaks = _large(profile), profile.memory.growth is not None and bool(profile.memory.growth.leak)
    if not found and above is None and not leaks:
        return None
    peak, limit = profile.memory.peak_bytes, profile.host.memory_limit_bytes
    near = peak is not None and limit is not None and peak >= NEAR_LIMIT * limit
    return MemoryProblem(above, critical=leaks or near, matters=memory_matters(profile))


def memory_matters(profile: Profile) -> bool:
    """Whether memory was asked about, is large or leaks."""
    growth = profile.memory.growth
    asked = profile.host.memory_limit_source == "option"
    return asked or _large(profile) is not None or (growth is not None and bool(growth.leak))


def _large(profile: Profile) -> int | None:
    """Bytes of the peak above TensorFlow itself, where they are many."""
    peak, baseline, limit = profile.memory.peak_bytes, profile.memory.baseline_bytes, profile.host.memory_limit_bytes
    above = peak - baseline if peak is not None and baseline is not None else 0
    return above if above >= LARGE_BYTES or (limit is not None and above >= LARGE_SHARE * limit) else None


CLOSE = 0.05
"""Elements that buffers took ahead, as a share: so far the counters of two stages may differ from what passed."""


def elements_per_batch(
    written: StageGraph | None,
    stages: Sequence[Stage],
    length: float | None,
    *,
    by_address: bool = True,
    ops: Mapping[str, str] | None = None,
) -> float | None:
    """Elements in a batch, on average; 1 for single scalars, None if unknown.

    Args:
        written: The graph as written; where there is none, the stages stand in for it.
        length: Mean length of the batches: the first dimension of the first component that has one.
        by_address: The names in the graph are addresses of a spec.
        ops: For a spec, what it calls the source or stage at every address.
    """
    graph = written if written is not None and written.root is not None else StageGraph.from_dict(_chain(stages))
    found = final_elements(graph)
    if not isinstance(found, Batching):
        return 1.0 if found is SINGLE else None
    if found.exact:
        return length
    if found.whole and found.size is not None:
        return float(found.size)
    return _by_counters(found, length, _counted(graph, found, stages, by_address=by_address, ops=ops))


def _chain(stages: Sequence[Stage]) -> GraphDict:
    """The written stages outside of functions, one reading the other; what functions make of batches stays unknown."""
    line = lines_of(stages).get("", [])
    inputs = [[], *([stage.id] for stage in line)]
    nodes = [dataset_node(stage.id, stage.op, below) for stage, below in zip(line, inputs, strict=False)]
    return {"root": line[-1].id if line else None, "reason": None, "nodes": nodes}


def _counted(
    graph: StageGraph, found: Batching, stages: Sequence[Stage], *, by_address: bool, ops: Mapping[str, str] | None
) -> float | None:
    """Elements that went into the batching stage for every batch, by the model's counters."""
    rows = {row.id: row for row in stages}
    for stage in graph.stages(by_address=by_address, ops=ops):
        if stage.head != found.node or len(stage.inputs) != 1:
            continue
        batches = rows[stage.address].elements if stage.address in rows else None
        elements = rows[stage.inputs[0]].elements if stage.inputs[0] in rows else None
        return elements / batches if elements is not None and batches else None
    return None


def _by_counters(found: Batching, length: float | None, counted: float | None) -> float | None:
    """The length or the size of a full batch, where the counters agree with one of them."""
    candidates = [float(number) for number in (length, found.size) if number is not None]
    if counted is None:
        return candidates[0] if len(set(candidates)) == 1 and len(candidates) > 1 else None
    return next((number for number in candidates if abs(number - counted) <= CLOSE * counted), None)


_DATA_FROM: Final = 0.02
"""Bytes of a source over those that come out later, from which they are the data, and not names or row numbers."""


def whole_batches(profile: Profile) -> float | None:
    """Return the batches of an epoch of the whole data set, by its elements or bytes; None if unknown."""
    wanted, flow = profile.data_size, profile.throughput
    if wanted is None:
        return None
    if wanted.elements is not None:
        if flow is None or not flow.elements_per_second or not flow.batches_per_second:
            return None
        return wanted.elements / flow.elements_per_second * flow.batches_per_second
    per_batch = _source_bytes(profile)
    return wanted.bytes / per_batch if wanted.bytes is not None and per_batch else None


def whole_epoch_seconds(profile: Profile) -> float | None:
    """Return how long an epoch of the whole data set takes at the measured pace; None where its size does not tell."""
    batches, steps = whole_batches(profile), profile.steps
    return batches * steps.interval_ms.mean / 1e3 if batches and steps is not None else None


def _source_bytes(profile: Profile) -> float:
    """Bytes per batch of the sources that hold the data; 0 where none does, or one of them is unknown."""
    stages = profile.stages or ()
    most = max((stage.bytes_out_per_batch or 0.0 for stage in stages), default=0.0)
    sources = [one for one in stages if one.id.rpartition(".")[2] == "source" and not traits(one.op).names_files]
    given = sum(one.bytes_out_per_batch or 0.0 for one in sources)
    return given if given >= _DATA_FROM * most else 0.0
