"""The running pipeline as numbers: its stages, the threads that they share, and the time that each resource takes."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

Resource = Literal["serial", "calls", "pool", "cores", "lock", "step", "loop"]
ONE_CALL = 1.0
_EQUAL = 1e-9
_TIMES = ("computing_ms", "waiting_ms", "starved_ms", "idle_ms", "cpu_ms", "lock_ms")


@dataclass(frozen=True)
class Part:
    """A stage of the main line or of a side of a `zip`; what runs inside its functions is part of it.

    Attributes:
        ahead: Whether it has threads of its own, on which it makes elements ahead of its reader.
        calls: Calls of its function at a time, at most.
        tuned: Whether TensorFlow chooses the calls or the buffer.
        buffer: Elements that a prefetch holds at most; infinite where that is tuned.
        computing_ms: Per batch, on a core.
        waiting_ms: Per batch, neither on a core nor wanting one.
        starved_ms: Per batch, wanting a core and having none; not part of its time.
        idle_ms: Per batch, for which its threads have nothing to do although it is waited for: with no more calls than
            threads, a thread whose result is not taken yet starts no other one.
        cpu_ms: CPU time per batch, with that of threads which are not its own.
        lock_ms: Per batch, with the lock of Python's interpreter.
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
    computing_ms: float = 0.0
    waiting_ms: float = 0.0
    starved_ms: float = 0.0
    idle_ms: float = 0.0
    cpu_ms: float = 0.0
    lock_ms: float = 0.0
    pooled: bool = False
    inside: tuple[Part, ...] = ()
    fused: str | None = None

    @property
    def held_ms(self) -> float:
        """Time per batch for which it keeps a thread, all its threads together."""
        return self.computing_ms + self.waiting_ms

    def scaled(self, by: float) -> Part:
        """Scale all its times by a factor."""
        times = {name: getattr(self, name) * by for name in _TIMES}
        return replace(self, inside=tuple(part.scaled(by) for part in self.inside), **times)


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
        cpu = self.other_cpu_ms + sum(part.cpu_ms for part in self.parts)
        busy = tuple(part.id for part in self.parts if part.cpu_ms > 0)
        found.append(Term(cpu / self.cores, "cores", busy, self.other_cpu_ms / self.cores, self.cores))
        locked = tuple(part.id for part in self.parts if part.lock_ms > 0)
        if locked:
            found.append(Term(sum(self.by_id[name].lock_ms for name in locked), "lock", locked))
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
                idle = part.idle_ms if part.calls <= self.pool else 0.0
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
