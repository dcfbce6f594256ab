"""Trace phase: a short traced stretch after the measurement, for the work inside the stages.

Three sources are combined: TensorFlow's own trace, the thread states sampled from outside (`threads`), and the
Python functions (`python`). Tracing slows a pipeline by 10 to 40 %, so only proportions are used. The ops of a
stage are identified by the name scope that the builder of a spec gave its function, or by what the functions of a graph
contain (`pipeprof.pipelines.graph.costs.op_owners`).

A stage's work has a *key*: ``at:ADDRESS`` for the name scopes of a spec, ``in:ID`` for a dataset of the written
graph, ``it:PATH`` for the work of an iterator outside of functions and of its input iterators; all iterators that a
function makes one after another have one path.

The computing share of a stage's time is the share of samples in which a thread at work for it computes
(`threads`).
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pipeprof.pipelines.addresses import address_of
from pipeprof.pipelines.clocks import time
from pipeprof.pipelines.graph.opnames import graph_op, is_option, plain_path
from pipeprof.pipelines.graph.read.function_facts import PYTHON
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.target.user_files import is_generated
from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.protocol.messages import LONGEST_TRACE, Trace, TracedFunction, TracedWork
from pipeprof.profiles.worker.trace.events import (
    ITERATOR,
    calls_by_iterator,
    elements_by_iterator,
    nest_events,
    python_seconds,
)
from pipeprof.profiles.worker.trace.record import HERE, NoTraceError, TracedStretch, record
from pipeprof.profiles.worker.trace.threads import ThreadReading, Timeline, at_work, match, share_of_cores
from pipeprof.profiles.xplane.xplane import Events, read_events

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from pipeprof.pipelines.graph.costs.op_owners import Marks
    from pipeprof.profiles.worker.steps.loop import Feed

    Integers = NDArray[np.int64]


FEWEST_LOOKS: Final = 15
OP: Final = re.compile(r"^(?P<path>[^:]+):(?P<op>\w+)$")
_RUN: Final = "InstantiatedCapturedFunction::Run"
_POOL: Final = "ThreadpoolListener::"
_PART_BEGINS: Final = f"{_POOL}StartRegion"
_PART_ENDS: Final = f"{_POOL}StopRegion"
_TURN: Final = "ExecutorState::Process"
_ROOT: Final = "Root"
_NO_OPS: Final = frozenset({"_Arg", "_Retval", "NoOp", "Const"})
_SCOPE = re.compile(r"^(?P<scope>(?:stages_\d+|source)(?:_stages_\d+|_source)*)/")


@dataclass(frozen=True)
class Doing:
    """Shares of the time of threads at work for a stage; the rest up to 1 is blocked."""

    computing: float
    waiting: float


@dataclass(frozen=True)
class _Work:
    """Spans of threads at work, sorted by thread, start, end and key; arrays of shape (spans,)."""

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


class Spans:
    """Times and ops of a trace by key.

    Args:
        key_of: The key of an op by its path; None for an op of no stage.
    """

    def __init__(self, events: Events, key_of: Callable[[str], str | None]) -> None:
        self.ops: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.nobodys: dict[str, float] = defaultdict(float)
        self.python_calls: Counter[str] = Counter()
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
                self.python_calls[key] += int(number) if op in PYTHON else 0
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
    """Return spans of work for ops: from an op until the executor yields the thread, scheduling included."""

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
    """Return spans of iterators themselves: without their input iterators and functions."""
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
    found: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for look in looks:
        found[look.thread].append((look.at_ns * 1000 + offset_ps, look.core))
    return {
        thread: (np.array([at for at, _ in seen]), np.array([core for _, core in seen]))
        for thread, seen in found.items()
    }


def _count_active(starts: Integers, ends: Integers, times: Integers) -> Integers:
    begun = np.searchsorted(np.sort(starts), times, side="right")
    return begun - np.searchsorted(np.sort(ends), times, side="right")


def key_of(path: str, marks: Marks | None) -> str | None:
    """Return the key of the op at `path` (see `work_by_key`); None where its stage is unknown."""
    if match := _SCOPE.match(path):
        return f"at:{address_of(match['scope'])}"
    dataset = marks.dataset_of(path) if marks is not None else None
    return f"in:{dataset}" if dataset is not None else None


def _offset_ps(compared: Sequence[int], events: Events) -> int | None:
    """Return the offset from our clock to the trace's: the smallest, as a thread may lose its core between readings."""
    numbers = {f"{HERE}{number}": at for number, at in enumerate(compared)}
    found = [
        int(events.start_ps[events.name == index].min()) - numbers[name] * 1000
        for index, name in enumerate(events.names)
        if name in numbers
    ]
    return min(found, default=None)


def traced_ops(
    feed: Feed, marks: Marks | None = None, room: int | None = None, fill_seconds: float | None = None
) -> Trace:
    """Take batches for a second under TensorFlow's profiler and both samplers, and read the trace.

    Args:
        fill_seconds: Seconds until the first batch of a dataset that ended and was restarted; else None.
    """
    # TensorFlow may take seconds to free an iterator that ends in it, which do not count.
    until = time.monotonic() + LONGEST_TRACE - feed.paused_ns / 1e9

    def check() -> None:
        if time.monotonic() > until + feed.paused_ns / 1e9:
            raise NoTraceError(f"it took longer than {LONGEST_TRACE:g} s")

    try:
        return read_stretch(record(feed, room, fill_seconds, check), marks, check)
    except NoTraceError as problem:
        return Trace(note=str(problem))
    except DamagedError:
        return Trace(note="TensorFlow's file is damaged")


def read_stretch(stretch: TracedStretch, marks: Marks | None, check: Callable[[], None] = lambda: None) -> Trace:
    """Read the events of a traced stretch and attribute them.

    Args:
        check: Called between steps; an exception ends the reading.

    Raises:
        NoTraceError: There are no events.
        DamagedError: A file is damaged.
    """
    events = read_events(b"".join(stretch.data), check)
    if not len(events):
        raise NoTraceError("TensorFlow recorded nothing")
    check()
    spans = Spans(events, lambda path: key_of(path, marks))
    check()
    calls = calls_by_iterator(events)
    check()
    offset = _offset_ps(stretch.compared, events)
    here = np.unique(events.thread[events.which(lambda name: name.startswith(HERE))])
    mine = {int(thread): stretch.thread for thread in here}
    looks = stretch.looks
    share = share_of_cores(looks, stretch.cpu_seconds, stretch.began_ns, stretch.ended_ns)
    doing = spans.doing(looks, offset, mine, stretch.elsewhere, share) if offset is not None else {}
    further = spans.further_ms()
    sampled = stretch.python
    return Trace(
        batches=stretch.batches,
        ops={key.removeprefix("at:"): dict(ops) for key, ops in spans.ops.items() if key.startswith("at:")},
        seconds=stretch.seconds,
        python_seconds=python_seconds(events),
        work={
            key: TracedWork(
                ms=ms,
                computing=doing[key].computing if key in doing else None,
                waiting=doing[key].waiting if key in doing else None,
                intra_op_ms=further.get(key, 0.0),
                ops=dict(spans.ops.get(key, {})),
                python_calls=spans.python_calls[key],
            )
            for key, ms in spans.milliseconds().items()
        },
        functions=[_with_dataset(function, marks) for function in sampled.functions()],
        sampled_seconds=sampled.ns / 1e9,
        unattributed_ops=dict(spans.nobodys),
        calls=calls,
        elements=elements_by_iterator(events),
        model=stretch.model,
    )


def _with_dataset(function: TracedFunction, marks: Marks | None) -> TracedFunction:
    """Add the function's dataset; code that AutoGraph generated gets the place where the user's code was passed on."""
    place = marks.called.get(function.token) if marks is not None else None
    if is_generated(function.file or ""):
        function = replace(function, file=place.file if place else None, line=place.line if place else None)
    return replace(function, dataset=marks.dataset_with(function.token) if marks is not None else None)
