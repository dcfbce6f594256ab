"""Overhead of calling a stage's functions, without their ops: scheduling them in the executor, and the call's end.

TensorFlow's model counts the ops of a function, not the executor that runs them; most tiny ops are in no trace either.
The trace numbers each call: the event that begins it is inside the calling iterator, or on the thread that this
iterator keeps for calls, and the executor's events carry the same number.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from pipeprof.pipelines.graph.opnames import plain_path
from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.worker.trace.xplane import Event

ITERATOR: Final = "Iterator::"
BEGINS: Final = "InstantiatedCapturedFunction::Run"
TURNS: Final = frozenset({"ExecutorState::Process", "ExecutorDoneCallback"})
_OP: Final = re.compile(r"^[^:]+:\w+$")


def calls_by_iterator(events: Iterable[Event]) -> dict[str, TracedCalls]:
    """Sum up calls by the path of the calling iterator, without the numbers of inner iterators."""
    threads: dict[int, list[Event]] = defaultdict(list)
    for event in events:
        if event.name in TURNS or event.name.startswith((ITERATOR, BEGINS)) or _OP.match(event.name):
            threads[event.thread].append(event)
    owners: dict[int, str] = {}
    turns: dict[int, int] = defaultdict(int)
    for found in threads.values():
        _walk(sorted(found, key=lambda one: (one.start_ps, -one.duration_ps)), owners, turns)
    return _sum_calls(owners, turns)


def _walk(events: Iterable[Event], owners: dict[int, str], turns: dict[int, int]) -> None:
    """Add the calls begun on one thread with their iterators, and the executor's time for each, in picoseconds."""
    open_: list[tuple[Event, int]] = []
    """Open event of a thread, with the time of the events inside it."""
    last = ""

    def close(until: int | None) -> None:
        while open_ and (until is None or open_[-1][0].start_ps + open_[-1][0].duration_ps <= until):
            event, within = open_.pop()
            if event.name in TURNS and event.step is not None:
                turns[event.step] += max(0, event.duration_ps - within)
            if open_:
                open_[-1] = (open_[-1][0], open_[-1][1] + event.duration_ps)

    for event in events:
        close(event.start_ps)
        inside = next((one.name for one, _ in reversed(open_) if one.name.startswith(ITERATOR)), None)
        if event.name.startswith(ITERATOR):
            if inside is None:
                last = event.name
        elif event.name.startswith(BEGINS) and event.step is not None:
            # A thread kept for calls first takes the elements from the input iterator.
            path = inside or last.rpartition("::")[0]
            if path:
                owners[event.step] = path
        open_.append((event, 0))
    close(None)


def _sum_calls(owners: Mapping[int, str], turns: Mapping[int, int]) -> dict[str, TracedCalls]:
    calls: dict[str, int] = defaultdict(int)
    spent: dict[str, int] = defaultdict(int)
    for step, path in owners.items():
        name = plain_path(path)
        calls[name] += 1
        spent[name] += turns.get(step, 0)
    return {name: TracedCalls(calls[name], spent[name] / 1e9) for name in calls}
