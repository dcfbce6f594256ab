"""Work of each stage from the events of a trace: its ops, when it was at work, and how much of that it computed.

A stage's work has a *key*: ``at:ADDRESS`` for the name scopes of a spec, ``in:ID`` for a dataset of the written
graph, ``it:PATH`` for the work of an iterator outside of functions and of its input iterators; all iterators that a
function makes one after another have one path.

The computing share of a stage's time is the share of samples in which a thread at work for it computes
(`pipeprof.profiles.worker.trace.thread_states`, `thread_match`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeprof.pipelines.graph.opnames import graph_op, is_option, plain_path
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.worker.trace.nesting import nest_events
from pipeprof.profiles.worker.trace.thread_states import ThreadReading
from pipeprof.profiles.xplane.xplane import Events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Integers = NDArray[np.int64]


IDLE_RATE: Final = 0.05
"""Assumed rate of computing while the trace shows no work of a thread."""
SURE: Final = 4.0
"""Likelihood ratio in nats from which two traced threads cannot be confused."""
ALIKE: Final = 0.2
"""Difference of running shares up to which threads may be confused."""

Timeline = tuple[Any, Any, Any]
"""Sorted starts, their ends and the numbers (from 1) of the work in them; arrays of shape (spans,)."""
States = tuple[Any, Any]
"""Times and whether the thread was running; arrays of shape (looks,)."""


def at_work(timeline: Timeline, times: Any) -> Any:
    """Return the number of a traced thread's work at each time, 0 for none; shape (times,)."""
    starts, ends, kinds = timeline
    index = np.searchsorted(starts, times, side="right") - 1
    inside = (index >= 0) & (ends[index] >= times)
    return np.where(inside, kinds[index], 0)


def explained(kinds: Any, running: Any) -> float:
    """Return the log-likelihood ratio, in nats, of the states given the thread's work against no work."""
    total, hits = np.bincount(kinds), np.bincount(kinds, weights=running)
    rates = hits / np.maximum(total, 1)
    rates[0] = IDLE_RATE
    return float(np.sum(_likelihood(hits, total, rates) - _likelihood(hits, total, np.full(len(rates), IDLE_RATE))))


def _likelihood(hits: Any, total: Any, rates: Any) -> Any:
    """Return the log-likelihood; a rate of 0 or 1 is impossible with any sample to the contrary."""
    inner = np.clip(rates, 1e-9, 1 - 1e-9)
    return hits * np.log(inner) + (total - hits) * np.log(1 - inner)


def match(
    timelines: Mapping[int, Timeline],
    states: Mapping[int, States],
    known: Mapping[int, int] | None = None,
    others: Collection[int] = (),
) -> dict[int, int]:
    """Return the system's id of each traced thread that was matched.

    Args:
        timelines: Of the trace, by its own numbers.
        states: By the system's ids, on the trace's clock.
        others: The system's ids of threads that cannot be in the trace.
    """
    if all(thread in states for thread in timelines):
        return {thread: thread for thread in timelines}
    found = {traced: thread for traced, thread in (known or {}).items() if traced in timelines and thread in states}
    free = [thread for thread in states if thread not in others and thread not in found.values()]
    score = {
        (traced, thread): explained(at_work(timeline, states[thread][0]), states[thread][1])
        for traced, timeline in timelines.items()
        if traced not in found
        for thread in free
    }
    paired: dict[int, int] = {}
    for traced, thread in sorted(score, key=lambda pair: score[pair], reverse=True):
        if traced not in paired and thread not in paired.values():
            paired[traced] = thread
    unsure = set()
    for (one, mine), (other, theirs) in combinations(paired.items(), 2):
        lost = score[one, mine] + score[other, theirs] - score[one, theirs] - score[other, mine]
        if lost < SURE and abs(states[mine][1].mean() - states[theirs][1].mean()) > ALIKE:
            unsure |= {one, other}
    return {**found, **{traced: thread for traced, thread in paired.items() if traced not in unsure}}


FEWEST_LOOKS: Final = 15
ITERATOR: Final = "Iterator::"
OP: Final = re.compile(r"^(?P<path>[^:]+):(?P<op>\w+)$")
_RUN: Final = "InstantiatedCapturedFunction::Run"
_POOL: Final = "ThreadpoolListener::"
_PART_BEGINS: Final = f"{_POOL}StartRegion"
_PART_ENDS: Final = f"{_POOL}StopRegion"
_TURN: Final = "ExecutorState::Process"
_ROOT: Final = "Root"
_NO_OPS: Final = frozenset({"_Arg", "_Retval", "NoOp", "Const"})


@dataclass(frozen=True)
class Doing:
    """Shares of the time of threads at work for a stage; the rest up to 1 is blocked."""

    computing: float
    waiting: float


@dataclass(frozen=True)
class _Work:
    """Spans of threads at work, sorted by thread, start, end and key; arrays of shape (spans,).

    Attributes:
        key: Index of the key.
    """

    thread: Integers
    start: Integers
    end: Integers
    key: Integers

    @classmethod
    def join(cls, parts: Sequence[tuple[Integers, Integers, Integers, Integers]]) -> _Work:
        """Join parts, each of (thread, start, end, key)."""
        thread, start, end, key = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((key, end, start, thread))
        return cls(thread[order], start[order], end[order], key[order])

    def of_threads(self) -> Iterable[tuple[int, slice]]:
        """Return each thread with its spans."""
        threads, first, many = np.unique(self.thread, return_index=True, return_counts=True)
        return (
            (thread, slice(begin, begin + number))
            for thread, begin, number in zip(threads.tolist(), first.tolist(), many.tolist(), strict=True)
        )


def _is_waiting(iterator: str) -> bool:
    """Return whether an iterator does not compute but waits for others: for its own threads, or for its input."""
    reads_ahead = traits(iterator).buffers and traits(iterator).consecutive
    return iterator == _ROOT or is_option(iterator) or reads_ahead or executed(iterator).asynchronous


def elements_by_iterator(events: Events) -> dict[str, int]:
    """Count the ``GetNext`` calls of each iterator, by its path without the numbers of inner iterators."""
    counts = np.bincount(events.name, minlength=len(events.names))
    found: dict[str, int] = defaultdict(int)
    for name, number in zip(events.names, counts, strict=True):
        if number and name.startswith(ITERATOR):
            found[plain_path(name)] += int(number)
    return dict(found)


class Spans:
    """Times and ops of a trace by key.

    Args:
        key_of: The key of an op by its path; None for an op of no stage.
    """

    def __init__(self, events: Events, key_of: Callable[[str], str | None]) -> None:
        self.ops: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.nobodys: dict[str, float] = defaultdict(float)
        keys = self._sum_ops(events, key_of)
        iterators = {name: f"it:{plain_path(name)}" for name in events.names if _is_computing(name)}
        self.keys = sorted({*keys.values(), *iterators.values()})
        """All keys, sorted; the index of a key in the arrays."""
        index = {key: number for number, key in enumerate(self.keys)}
        of_ops, of_iterators = (
            np.array([index[named[name]] if name in named else -1 for name in events.names], np.int64)
            for named in (keys, iterators)
        )
        self._work = _Work.join([_find_op_spans(events, of_ops), _find_iterator_spans(events, of_iterators)])
        self._further = _find_further_spans(events)

    def _sum_ops(self, events: Events, key_of: Callable[[str], str | None]) -> dict[str, str]:
        """Sum up the time of ops; return the keys by the events' names."""
        spent = np.bincount(events.name, weights=events.duration_ps, minlength=len(events.names))
        counts = np.bincount(events.name, minlength=len(events.names))
        keys: dict[str, str] = {}
        for name, picoseconds, number in zip(events.names, spent, counts, strict=True):
            found = OP.match(name)
            if found is None or not number or found["op"] in _NO_OPS:
                continue
            key, op = key_of(found["path"]), graph_op(found["op"])
            if key is None:
                self.nobodys[op] += picoseconds / 1e9
            else:
                self.ops[key][op] += picoseconds / 1e9
                keys[name] = key
        return keys

    def milliseconds(self) -> dict[str, float]:
        """Return time at work by key, summed over threads."""
        work = self._work
        spent = np.bincount(work.key, weights=work.end - work.start, minlength=len(self.keys))
        seen = np.bincount(work.key, minlength=len(self.keys))
        return {key: float(spent[index]) / 1e9 for index, key in enumerate(self.keys) if seen[index]}

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
            offset_ps: What must be added to the looks' clock to have the trace's.
            known: The system's ids of traced threads, where known.
            others: The system's ids of threads that work for no stage.
            share: Factor from the sampled core share to the real one.
        """
        work = self._work
        timelines: dict[int, Timeline] = {
            thread: (work.start[part], work.end[part], work.key[part] + 1) for thread, part in work.of_threads()
        }
        seen = _by_thread(looks, offset_ps)
        states = {thread: (times, (core > 0).astype(float)) for thread, (times, core) in seen.items()}
        sums = np.zeros((3, len(self.keys) + 1))
        for traced, thread in match(timelines, states, known, others).items():
            times, core = seen[thread]
            core = np.minimum(core > 0, share * core)
            kinds = at_work(timelines[traced], times)
            for index, weights in enumerate((np.ones(len(core)), core, (core > 0) - core)):
                sums[index] += np.bincount(kinds, weights=weights, minlength=len(self.keys) + 1)
        return {
            key: Doing(float(sums[1, number] / sums[0, number]), float(sums[2, number] / sums[0, number]))
            for number, key in enumerate(self.keys, start=1)
            if sums[0, number] >= FEWEST_LOOKS
        }

    def further_ms(self) -> dict[str, float]:
        """Return the time of further threads by key, divided among the keys at work in the middle of each span."""
        starts, ends = self._further
        work, middles = self._work, (starts + ends) // 2
        counts = {
            key: _count_active(work.start[work.key == index], work.end[work.key == index], middles)
            for index, key in enumerate(self.keys)
            if not key.startswith("it:")
        }
        total = np.maximum(sum(counts.values(), np.zeros(len(middles), np.int64)), 1)
        found = {key: float(np.sum((ends - starts) / 1e9 * one / total)) for key, one in counts.items()}
        return {key: ms for key, ms in found.items() if ms}


def _is_computing(name: str) -> bool:
    """Return whether an event is an iterator that computes itself."""
    return name.startswith(ITERATOR) and not _is_waiting(re.sub(r"\W.*", "", name.rpartition("::")[2]))


def _find_op_spans(events: Events, key: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Return spans of work for ops: from an op until the executor yields the thread, scheduling included.

    Args:
        key: Index of the key for each name; -1 for none.
    """

    def spans(chosen: Integers, keys: Integers) -> _Work:
        return _Work.join([(events.thread[chosen], events.start_ps[chosen], events.end_ps[chosen], keys)])

    ops = np.flatnonzero(key[events.name] >= 0)
    turns = np.flatnonzero(events.which(lambda name: name == _TURN))
    work, turn = spans(ops, key[events.name[ops]]), spans(turns, turns)
    within = np.full(len(work.key), -1)
    of_turns = dict(turn.of_threads())
    for thread, part in work.of_threads():
        if thread in of_turns:
            mine = of_turns[thread]
            last = np.searchsorted(turn.start[mine], work.start[part], side="right") - 1 + mine.start
            fits = (last >= mine.start) & (turn.end[np.maximum(last, 0)] >= work.end[part])
            within[part] = np.where(fits, last, -1)
    alone = within < 0
    # A turn of the executor counts once, for the first of its ops.
    taken, first = np.unique(within[~alone], return_index=True)
    return (
        np.concatenate((work.thread[alone], turn.thread[taken])),
        np.concatenate((work.start[alone], turn.start[taken])),
        np.concatenate((work.end[alone], turn.end[taken])),
        np.concatenate((work.key[alone], work.key[~alone][first])),
    )


def _find_iterator_spans(events: Events, key: Integers) -> tuple[Integers, Integers, Integers, Integers]:
    """Return spans of iterators themselves: without their input iterators and functions.

    Args:
        key: Index of the key for each name; -1 for none.
    """
    chosen = np.flatnonzero(events.which(lambda name: name.startswith((ITERATOR, _RUN))))
    thread, of_event = events.thread[chosen], key[events.name[chosen]]
    nested = nest_events(thread, events.start_ps[chosen], events.end_ps[chosen])
    own = of_event[nested.owner] >= 0
    owner = nested.owner[own]
    return thread[owner], nested.begin[own], nested.end[own], of_event[owner]


def _find_further_spans(events: Events) -> tuple[Integers, Integers]:
    """Return starts and ends of spans in which a thread without ops of its own computed a part of another's op."""
    pool = events.which(lambda name: name.startswith(_POOL))
    own = np.unique(events.thread[~pool])
    chosen = np.flatnonzero(events.which(lambda name: name in (_PART_BEGINS, _PART_ENDS)))
    chosen = chosen[np.argsort(events.thread[chosen], kind="stable")]
    thread, start = events.thread[chosen], events.start_ps[chosen]
    ends = events.which(lambda name: name == _PART_ENDS)[chosen]
    whole = ~ends[:-1] & ends[1:] & (thread[:-1] == thread[1:]) & ~np.isin(thread[:-1], own)
    return start[:-1][whole], start[1:][whole]


def _by_thread(looks: Sequence[ThreadReading], offset_ps: int) -> dict[int, tuple[Any, Any]]:
    """Return times on the trace's clock and parts of a core, by thread."""
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for look in looks:
        found[look.thread].append((look.at_ns * 1000 + offset_ps, look.core))
    return {
        thread: (np.array([at for at, _ in seen]), np.array([core for _, core in seen]))
        for thread, seen in found.items()
    }


def _count_active(starts: Integers, ends: Integers, times: Integers) -> Integers:
    """Count the spans at each time."""
    begun = np.searchsorted(np.sort(starts), times, side="right")
    return begun - np.searchsorted(np.sort(ends), times, side="right")
