"""From the events of a trace to what each stage did: its ops, when it was at work, and how much of that it computed.

A stage's work is told by a *key*: ``at:ADDRESS`` for the name scopes of a spec, ``in:ID`` for a dataset of the written
graph, ``it:PATH`` for an iterator with what it does outside of functions and of the iterators below it.

How much of its time a stage computes is fitted to the looks at the threads' states (`busy_threads`): where one stage is
at work, the number of running threads is its own; where several are, each has what explains all looks best.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from pipeprof.pipelines.graph.opnames import is_asynchronous
from pipeprof.profiles.run.threadstates import Look
from pipeprof.profiles.run.xplane import Event

Span = tuple[int, int]
"""Start and end in picoseconds."""

FEWEST_LOOKS: Final = 15
ROUNDS: Final = 100
OTHERS: Final = 0.05
"""Running threads that belong to no stage, at least."""
ITERATOR: Final = "Iterator::"
_OP: Final = re.compile(r"^(?P<path>[^:]+):(?P<op>\w+)$")
_RUN: Final = re.compile(r"^InstantiatedCapturedFunction::Run")
_POOL: Final = "ThreadpoolListener::"
_PART_BEGINS: Final = f"{_POOL}StartRegion"
_PART_ENDS: Final = f"{_POOL}StopRegion"
_TURN: Final = "ExecutorState::Process"
_RESULTS: Final = "ExecutorDoneCallback"
_WAITING: Final = frozenset({"Root", "Prefetch", "Model", "Options"})
_NO_OPS: Final = frozenset({"_Arg", "_Retval", "NoOp", "Const"})
_SHORTEST_SHARE: Final = 0.01


class Spans:
    """What a trace says of each key.

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
        """When a thread that runs no ops of its own computed a part of one for somebody else."""
        begun: dict[int, int] = {}
        parts: dict[int, list[Span]] = defaultdict(list)
        self.handed_on: dict[str, float] = defaultdict(float)
        """Milliseconds of what is done with functions' results, by key: a batch fused with a map copies them."""
        ran: dict[int, list[tuple[int, int, str]]] = defaultdict(list)
        after: list[Event] = []
        turns: dict[int, list[Span]] = defaultdict(list)
        own: set[int] = set()
        known: dict[str, str | None] = {}
        threads: dict[int, list[Event]] = defaultdict(list)
        for event in events:
            if not event.name.startswith(_POOL):
                own.add(event.thread)
            if event.name.startswith(ITERATOR) or _RUN.match(event.name):
                threads[event.thread].append(event)
            elif event.name == _RESULTS:
                after.append(event)
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
            self._turns(sorted(turns[thread]), ops)
        self._results(after, ran)
        self.further = [span for thread, found in parts.items() if thread not in own for span in found]
        for found in threads.values():
            self._iterators(found)

    def _turns(self, turns: list[Span], ops: list[tuple[int, int, str]]) -> None:
        """Adds when a thread was at work: from an op on until the thread is given up, handing the ops on included."""
        starts = [start for start, _ in turns]
        taken = -1
        for start, end, key in ops:
            index = bisect_right(starts, start) - 1
            if index < 0 or turns[index][1] < end:
                self.spans[key].append((start, end))
            elif index != taken:
                self.spans[key].append(turns[index])
                taken = index

    def _results(self, after: list[Event], ran: dict[int, list[tuple[int, int, str]]]) -> None:
        """Adds what is done with results to the function whose op ran last on the same thread."""
        for event in after:
            ops = ran.get(event.thread, [])
            index = bisect_right(ops, event.start_ps, key=lambda one: one[0])
            if index:
                self.handed_on[ops[index - 1][2]] += event.duration_ps / 1e9

    def _iterators(self, events: list[Event]) -> None:
        """Adds what iterators do themselves: their time without that of iterators and functions below them."""
        open_: list[tuple[Event, int]] = []

        def close(until: int | None) -> None:
            while open_ and (until is None or open_[-1][0].start_ps + open_[-1][0].duration_ps <= until):
                event, at = open_.pop()
                end = event.start_ps + event.duration_ps
                self._add(event.name, at, end)
                if open_:
                    open_[-1] = (open_[-1][0], max(open_[-1][1], end))

        for event in sorted(events, key=lambda one: (one.start_ps, -one.duration_ps)):
            close(event.start_ps)
            if open_:
                self._add(open_[-1][0].name, open_[-1][1], event.start_ps)
            open_.append((event, event.start_ps))
        close(None)

    def _add(self, name: str, start: int, end: int) -> None:
        if end <= start or not name.startswith(ITERATOR):
            return
        kind = re.sub(r"\W.*", "", name.rpartition("::")[2])
        if kind not in _WAITING and not is_asynchronous(f"{re.sub(r'V[0-9]+$', '', kind)}Dataset"):
            self.spans[f"it:{name}"].append((start, end))

    def milliseconds(self) -> dict[str, float]:
        """Time at work by key, summed over threads."""
        return {key: sum(end - start for start, end in spans) / 1e9 for key, spans in self.spans.items()}

    def busy(self, looks: Sequence[Look], offset_ps: int) -> dict[str, float]:
        """Running threads per thread at work, by key; keys with too few looks are left out.

        Args:
            looks: The threads' states.
            offset_ps: What must be added to the looks' clock to have the trace's.
        """
        if not looks:
            return {}
        times = [look.at_ns * 1000 + offset_ps for look in looks]
        total = times[-1] - times[0]
        counts = {
            key: _active(spans, times)
            for key, spans in self.spans.items()
            if sum(end - start for start, end in spans) >= _SHORTEST_SHARE * total
        }
        further = _active(self.further, times)
        running = [max(0, look.running - more) for look, more in zip(looks, further, strict=True)]
        return busy_threads({key: one for key, one in counts.items() if any(one)}, running)

    def further_ms(self) -> dict[str, float]:
        """Time of further threads by key: each part is shared by those that are at work in its middle."""
        middles = [(start + end) // 2 for start, end in self.further]
        counts = {key: _active(spans, middles) for key, spans in self.spans.items() if not key.startswith("it:")}
        found: dict[str, float] = defaultdict(float)
        for index, (start, end) in enumerate(self.further):
            total = sum(one[index] for one in counts.values())
            for key, one in counts.items():
                if one[index]:
                    found[key] += (end - start) / 1e9 * one[index] / total
        return dict(found)


def _active(spans: list[Span], times: Sequence[int]) -> list[int]:
    starts, ends = sorted(start for start, _ in spans), sorted(end for _, end in spans)
    return [bisect_right(starts, at) - bisect_right(ends, at) for at in times]


def busy_threads(active: Mapping[str, Sequence[int]], running: Sequence[int]) -> dict[str, float]:
    """Threads that run for each thread that is at work, by key.

    The most likely rates if the number of running threads is a Poisson number with the sum of all rates at work as its
    mean, found by expectation and maximisation, and at most 1. Threads of no stage have the rate that is seen when no
    stage is at work: were it fitted too, it could not be told from a stage that is always at work.

    Args:
        active: For each look, how many threads are at work, by key.
        running: For each look, how many threads run.
    """
    looks = {key: sum(counts) for key, counts in active.items()}
    idle = [seen for index, seen in enumerate(running) if not any(counts[index] for counts in active.values())]
    other = sum(idle) / len(idle) if len(idle) >= FEWEST_LOOKS else OTHERS
    other = max(OTHERS, min(1.0, other))
    rates = dict.fromkeys(active, 1.0)
    for _ in range(ROUNDS):
        gains = dict.fromkeys(active, 0.0)
        for index, seen in enumerate(running):
            parts = {key: counts[index] * rates[key] for key, counts in active.items() if counts[index]}
            total = sum(parts.values()) + other
            for key, part in parts.items():
                gains[key] += seen * part / total
        rates = {key: gains[key] / looks[key] if looks[key] else 0.0 for key in active}
    return {key: min(1.0, rate) for key, rate in rates.items() if sum(map(bool, active[key])) >= FEWEST_LOOKS}
