"""Work of each stage from the events of a trace: its ops, when it was at work, and how much of that it computed.

A stage's work has a *key*: ``at:ADDRESS`` for the name scopes of a spec, ``in:ID`` for a dataset of the written
graph, ``it:PATH`` for the work of an iterator outside of functions and of its input iterators.

The computing share of a stage's time is the share of samples in which a thread at work for it computes
(`pipeprof.profiles.worker.trace.thread_states`, `thread_match`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pipeprof.pipelines.graph.opnames import is_option, plain_path
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.worker.trace.thread_match import Timeline, at_work, match
from pipeprof.profiles.worker.trace.thread_states import ThreadReading
from pipeprof.profiles.worker.trace.xplane import Event

Span = tuple[int, int]
"""Start and end in picoseconds."""

FEWEST_LOOKS: Final = 15
ITERATOR: Final = "Iterator::"
_OP: Final = re.compile(r"^(?P<path>[^:]+):(?P<op>\w+)$")
_RUN: Final = re.compile(r"^InstantiatedCapturedFunction::Run")
_POOL: Final = "ThreadpoolListener::"
_PART_BEGINS: Final = f"{_POOL}StartRegion"
_PART_ENDS: Final = f"{_POOL}StopRegion"
_TURN: Final = "ExecutorState::Process"
_ROOT: Final = "Root"
_NO_OPS: Final = frozenset({"_Arg", "_Retval", "NoOp", "Const"})


@dataclass(frozen=True)
class Doing:
    """Shares of the time of threads at work for a stage; the rest up to 1 is blocked.

    Attributes:
        computing: On a core.
        waiting: For a core.
    """

    computing: float
    waiting: float


def _is_waiting(iterator: str) -> bool:
    """Return whether an iterator does not compute but waits for others: for its own threads, or for its input."""
    reads_ahead = traits(iterator).buffers and traits(iterator).consecutive
    return iterator == _ROOT or is_option(iterator) or reads_ahead or executed(iterator).asynchronous


def elements_by_iterator(events: Iterable[Event]) -> dict[str, int]:
    """Count the ``GetNext`` calls of each iterator, by its path without the numbers of inner iterators."""
    names = Counter(event.name for event in events if event.name.startswith(ITERATOR))
    found: dict[str, int] = defaultdict(int)
    for name, number in names.items():
        found[plain_path(name)] += number
    return dict(found)


class Spans:
    """Times and ops of a trace by key.

    Args:
        events: All events of host threads.
        key_of: The key of an op by its path; None for an op of no stage.
    """

    def __init__(  # noqa: PLR0912 - one branch for each kind of event
        self, events: Iterable[Event], key_of: Callable[[str], str | None]
    ) -> None:
        self.ops: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.spans: dict[str, list[Span]] = defaultdict(list)
        self.nobodys: dict[str, float] = defaultdict(float)
        self.further: list[Span] = []
        """Spans in which a thread without ops of its own computed a part of another thread's op."""
        self._by_thread: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        begun: dict[int, int] = {}
        parts: dict[int, list[Span]] = defaultdict(list)
        ran: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        turns: dict[int, list[Span]] = defaultdict(list)
        own: set[int] = set()
        known: dict[str, str | None] = {}
        threads: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            if not event.name.startswith(_POOL):
                own.add(event.thread)
            if event.name.startswith(ITERATOR) or _RUN.match(event.name):
                threads[event.thread].append(event)
            elif event.name == _TURN:
                turns[event.thread].append((event.start_ps, event.start_ps + event.duration_ps))
            elif event.name == _PART_BEGINS:
                begun[event.thread] = event.start_ps
            elif event.name == _PART_ENDS:
                if event.thread in begun:
                    parts[event.thread].append((begun.pop(event.thread), event.start_ps))
            elif match := _OP.match(event.name):
                path, op = match["path"], match["op"].lstrip("_")
                if path not in known:
                    known[path] = key_of(path)
                key = known[path]
                if match["op"] in _NO_OPS:
                    continue
                if key is None:
                    self.nobodys[op] += event.duration_ps / 1e9
                    continue
                self.ops[key][op] += event.duration_ps / 1e9
                ran[event.thread].append((event.start_ps, event.start_ps + event.duration_ps, key))
        for thread, ops in ran.items():
            ops.sort()
            self._add_executor_spans(thread, sorted(turns[thread]), ops)
        self.further = [span for thread, found in parts.items() if thread not in own for span in found]
        for thread, found in threads.items():
            self._iterators(thread, found)
        for spans in self._by_thread.values():
            spans.sort()

    def _work(self, thread: int, key: str, start: int, end: int) -> None:
        self.spans[key].append((start, end))
        self._by_thread[thread].append((start, end, key))

    def _add_executor_spans(self, thread: int, turns: list[Span], ops: list[tuple[int, int, str]]) -> None:
        """Add the spans of a thread's work: from an op until the executor yields the thread, scheduling included."""
        starts = [start for start, _ in turns]
        taken = -1
        for start, end, key in ops:
            index = bisect_right(starts, start) - 1
            if index < 0 or turns[index][1] < end:
                self._work(thread, key, start, end)
            elif index != taken:
                self._work(thread, key, *turns[index])
                taken = index

    def _iterators(self, thread: int, events: list[Event]) -> None:
        """Add the self time of iterators: without their input iterators and functions."""
        open_: list[tuple[Event, int]] = []

        def close(until: int | None) -> None:
            while open_ and (until is None or open_[-1][0].start_ps + open_[-1][0].duration_ps <= until):
                event, at = open_.pop()
                end = event.start_ps + event.duration_ps
                self._add(thread, event.name, at, end)
                if open_:
                    open_[-1] = (open_[-1][0], max(open_[-1][1], end))

        for event in sorted(events, key=lambda one: (one.start_ps, -one.duration_ps)):
            close(event.start_ps)
            if open_:
                self._add(thread, open_[-1][0].name, open_[-1][1], event.start_ps)
            open_.append((event, event.start_ps))
        close(None)

    def _add(self, thread: int, name: str, start: int, end: int) -> None:
        if end <= start or not name.startswith(ITERATOR):
            return
        kind = re.sub(r"\W.*", "", name.rpartition("::")[2])
        if not _is_waiting(kind):
            self._work(thread, f"it:{name}", start, end)

    def milliseconds(self) -> dict[str, float]:
        """Return time at work by key, summed over threads."""
        return {key: sum(end - start for start, end in spans) / 1e9 for key, spans in self.spans.items()}

    def doing(
        self,
        looks: Sequence[ThreadReading],
        offset_ps: int,
        known: Mapping[int, int] | None = None,
        others: Collection[int] = (),
        share: float = 1.0,
    ) -> dict[str, Doing]:
        """Return the shares of threads at work by key; keys with fewer samples than `FEWEST_LOOKS` are left out.

        Args:
            looks: At the process's threads.
            offset_ps: What must be added to the looks' clock to have the trace's.
            known: The system's ids of traced threads, where known.
            others: The system's ids of threads that work for no stage.
            share: Factor from the sampled core share to the real one.
        """
        keys = list(self.spans)
        numbers = {key: number for number, key in enumerate(keys, start=1)}
        timelines = {thread: _timeline(spans, numbers) for thread, spans in self._by_thread.items()}
        seen = _by_thread(looks, offset_ps)
        states = {thread: (times, (core > 0).astype(float)) for thread, (times, core) in seen.items()}
        sums = np.zeros((3, len(keys) + 1))
        for traced, thread in match(timelines, states, known, others).items():
            times, core = seen[thread]
            core = np.minimum(core > 0, share * core)
            kinds = at_work(timelines[traced], times)
            for index, weights in enumerate((np.ones(len(core)), core, (core > 0) - core)):
                sums[index] += np.bincount(kinds, weights=weights, minlength=len(keys) + 1)
        return {
            key: Doing(float(sums[1, number] / sums[0, number]), float(sums[2, number] / sums[0, number]))
            for key, number in numbers.items()
            if sums[0, number] >= FEWEST_LOOKS
        }

    def further_ms(self) -> dict[str, float]:
        """Return the time of further threads by key, divided among the keys at work in the middle of each span."""
        middles = [(start + end) // 2 for start, end in self.further]
        counts = {key: _active(spans, middles) for key, spans in self.spans.items() if not key.startswith("it:")}
        found: dict[str, float] = defaultdict(float)
        for index, (start, end) in enumerate(self.further):
            total = sum(count[index] for count in counts.values())
            for key, one in counts.items():
                if one[index]:
                    found[key] += (end - start) / 1e9 * one[index] / total
        return dict(found)


def _timeline(spans: Sequence[tuple[int, int, str]], numbers: Mapping[str, int]) -> Timeline:
    starts, ends, keys = zip(*spans, strict=True)
    return np.array(starts), np.array(ends), np.array([numbers[key] for key in keys])


def _by_thread(looks: Sequence[ThreadReading], offset_ps: int) -> dict[int, tuple[Any, Any]]:
    """Return times on the trace's clock and parts of a core, by thread."""
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for look in looks:
        found[look.thread].append((look.at_ns * 1000 + offset_ps, look.core))
    return {
        thread: (np.array([at for at, _ in seen]), np.array([core for _, core in seen]))
        for thread, seen in found.items()
    }


def _active(spans: list[Span], times: list[int]) -> list[int]:
    starts, ends = sorted(start for start, _ in spans), sorted(end for _, end in spans)
    return [bisect_right(starts, at) - bisect_right(ends, at) for at in times]
