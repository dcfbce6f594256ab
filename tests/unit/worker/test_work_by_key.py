"""What a trace and the threads' states say of stages: no TensorFlow, no clock."""

from __future__ import annotations

import itertools
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.fakes import Event, traced

from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.worker.trace.events import calls_by_iterator, elements_by_iterator, nest_events
from pipeprof.profiles.worker.trace.threads import ThreadReading, at_work, explained, match, parse, share_of_cores
from pipeprof.profiles.worker.trace.work import Doing, Spans

MS = 10**9  # picoseconds
ROOT = "Iterator::Root::Prefetch"
CALLED = "InstantiatedCapturedFunction::Run"
TURN = "ExecutorState::Process"


def ran(name: str, start_ms: float, ms: float, thread: int = 1, step: int | None = None) -> Event:
    return Event(thread, name, round(start_ms * MS), round(ms * MS), step)


def key_of(path: str) -> str | None:
    return {"a": "in:a", "b": "in:b"}.get(path.partition("/")[0])


def spans_of(*events: Event) -> Spans:
    return Spans(traced(events), key_of)


def test_ops_are_summed_by_key_and_those_of_nobody_are_kept_apart():
    spans = spans_of(ran("a/x:Mul", 0, 2), ran("a/y:Mul", 2, 1), ran("b/x:_FusedMatMul", 0, 4), ran("c:Add", 0, 3))
    assert {key: dict(ops) for key, ops in spans.ops.items()} == {"in:a": {"Mul": 3.0}, "in:b": {"MatMul": 4.0}}
    assert dict(spans.nobodys) == {"Add": 3.0}


def test_an_op_has_the_graphs_name_whatever_the_machine_calls_it() -> None:
    """Transposing, 43 % of a map, was no op of its graph, and taken for one that depends on random numbers."""
    spans = spans_of(ran("a/x:_MklTranspose", 0, 2), ran("a/y:_MklNativeFusedConv2D", 2, 1), ran("a/z:_MklAddV2", 3, 1))
    assert dict(spans.ops["in:a"]) == {"Transpose": 2.0, "Conv2D": 1.0, "AddV2": 1.0}


def test_an_iterator_has_its_time_without_functions_and_iterators_below():
    spans = spans_of(
        ran("Iterator::Root::Batch", 0, 10),
        ran("Iterator::Root::Batch::Map", 1, 6),
        ran("Iterator::Root::Batch::Map::Range", 1, 1),
        ran(CALLED, 2, 4),
    )
    assert spans.milliseconds() == {
        "it:Iterator::Root::Batch": pytest.approx(4.0),
        "it:Iterator::Root::Batch::Map": pytest.approx(1.0),
        "it:Iterator::Root::Batch::Map::Range": pytest.approx(1.0),
    }


def test_iterators_that_a_function_makes_one_after_another_are_one():
    path = "Iterator::Root::FlatMap"
    events = [ran(f"{path}[{number}]::Batch", 10 * number, 4) for number in range(20)]
    spans = spans_of(*events, ran("Iterator::Root::Zip[0]::Batch", 300, 4))
    assert spans.milliseconds() == {
        f"it:{path}::Batch": pytest.approx(80.0),
        "it:Iterator::Root::Zip[0]::Batch": pytest.approx(4.0),
    }
    # Of each alone there would be too few looks.
    assert spans.doing(looks(1, range(0, 200, 2)), 0) == {f"it:{path}::Batch": Doing(1.0, 0.0)}


def test_waiting_for_a_buffer_is_nobodys_work():
    spans = spans_of(ran(ROOT, 0, 10), ran("Iterator::Root::ParallelMapV2", 0, 10, thread=2))
    assert spans.milliseconds() == {}


def looks(thread: int, times_ms: range, core: float = 1.0) -> list[ThreadReading]:
    return [ThreadReading(thread, ms * 10**6, core) for ms in times_ms]


def test_a_thread_is_looked_at_while_it_is_at_work_for_a_stage():
    spans = spans_of(ran("a/x:Mul", 0, 40), ran("b/x:Mul", 40, 60), ran("b/x:Mul", 0, 100, thread=2))
    seen = [*looks(1, range(0, 40, 2)), *looks(1, range(41, 100, 2), core=0.0), *looks(2, range(0, 100, 2))]
    assert spans.doing(seen, 0) == {"in:a": Doing(1.0, 0.0), "in:b": Doing(pytest.approx(50 / 80), 0.0)}


def test_a_thread_that_waits_for_another_ones_work_does_not_share_it():
    spans = spans_of(ran("Iterator::Root::Map", 0, 100), ran("a/x:Mul", 0, 100, thread=2))
    seen = [*looks(1, range(0, 100, 2), core=0.0), *looks(2, range(0, 100, 2))]
    assert spans.doing(seen, 0) == {"it:Iterator::Root::Map": Doing(0.0, 0.0), "in:a": Doing(1.0, 0.0)}


def test_of_wanting_a_core_only_a_part_is_computing():
    spans = spans_of(ran("a/x:Mul", 0, 100))
    half = [*looks(1, range(0, 50, 2), core=0.6), *looks(1, range(50, 100, 2), core=0.0)]
    assert spans.doing(half, 0) == {"in:a": Doing(pytest.approx(0.3), pytest.approx(0.2))}
    # Nobody has more than one core.
    for share, computing in ((1.5, 0.9), (3.0, 1.0)):
        doing = spans.doing(looks(1, range(0, 100, 2), 0.6), 0, share=share)["in:a"]
        assert (doing.computing, doing.waiting) == pytest.approx((computing, 1 - computing))


def test_with_too_few_looks_nothing_is_said():
    spans = spans_of(ran("a/x:Mul", 0, 28))
    assert spans.doing(looks(1, range(0, 28, 2)), 0) == {}
    assert list(spans.doing(looks(1, range(0, 30, 2)), 0)) == ["in:a"]
    assert spans.doing([], 0) == {}


def test_the_looks_are_put_on_the_clock_of_the_trace():
    spans = spans_of(ran("a/x:Mul", 1000, 100))
    seen = [ThreadReading(1, ms * 10**6, float(0 <= ms <= 100)) for ms in range(-50, 150, 2)]
    assert spans.doing(seen, 1000 * MS) == {"in:a": Doing(1.0, 0.0)}
    assert spans.doing(seen, 1200 * MS) == {}


def test_parts_of_ops_on_other_threads_belong_to_who_is_at_work():
    def part(start: float, end: float, thread: int) -> list[Event]:
        return [
            ran("ThreadpoolListener::StartRegion", start, 0, thread),
            ran("ThreadpoolListener::StopRegion", end, 0, thread),
        ]

    spans = spans_of(ran("a/x:MatMul", 0, 10), *part(1, 5, 7), *part(0, 10, 1), *part(20, 30, 7))
    assert spans.further_ms() == {"in:a": pytest.approx(4.0)}


def test_what_the_watcher_writes():
    assert parse(array("q", [7, 100, 1000, 8, 300, 0]).tobytes()) == [
        ThreadReading(7, 100, 1.0),
        ThreadReading(8, 300, 0.0),
    ]
    assert parse(b"") == []
    assert parse(b"Traceback") == []


def test_going_from_op_to_op_is_work_too():
    spans = spans_of(ran(TURN, 0, 10), ran("a/x:Mul", 1, 2), ran("a/y:Mul", 5, 1), ran("b/x:Mul", 20, 3))
    assert spans.milliseconds() == {"in:a": 10.0, "in:b": 3.0}
    assert dict(spans.ops["in:a"]) == {"Mul": 3.0}


def test_elements_of_inner_iterators_are_counted_together():
    inner = "Iterator::Root::Interleave[{}]::Map"
    events = [ran(inner.format(number), 0, 1, number) for number in (0, 1, 1)]
    events += [ran("Iterator::Root", 0, 9), ran("MakeIterator::MapDataset", 0, 1), ran("a/x:Mul", 0, 1)]
    assert elements_by_iterator(traced(events)) == {"Iterator::Root::Interleave::Map": 3, "Iterator::Root": 1}


def test_the_part_of_a_core_is_held_against_what_the_process_used():
    ms = 1_000_000
    busy = [ThreadReading(1, at * ms, 0.5) for at in range(101)]
    idle = [ThreadReading(2, at * ms, 0.0) for at in range(101)]
    assert share_of_cores([*busy, *idle], 0.075, 0, 100 * ms) == pytest.approx(1.5)
    assert share_of_cores([*busy, *idle], 0.015, 0, 60 * ms) == pytest.approx(0.5)
    assert share_of_cores([*busy[:20], *idle], 0.075, 0, 100 * ms) == 1.0


def about(calls: int, ms: float) -> TracedCalls:
    return TracedCalls(calls, pytest.approx(ms))


def test_a_call_belongs_to_the_iterator_that_it_stands_in():
    events = [
        ran(f"{ROOT}::Filter", 0, 50),
        ran(f"{ROOT}::Filter::Range", 1, 1),
        ran("InstantiatedCapturedFunction::RunWithBorrowedArgs", 3, 40, step=7),
        ran(TURN, 10, 20, thread=2, step=7),
        ran("ExecutorDoneCallback", 31, 4, thread=2, step=7),
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::Filter": about(1, 24)}


def test_a_thread_kept_for_calling_is_known_by_what_it_takes_from():
    events = [
        ran("MapAndBatchProduce", 0, 20, thread=3),
        ran(f"{ROOT}::MapAndBatch::Shuffle", 1, 5, thread=3),
        ran(f"{ROOT}::MapAndBatch::Shuffle::Range", 2, 1, thread=3),
        ran("InstantiatedCapturedFunction::RunAsync", 10, 5, thread=3, step=1),
        ran("InstantiatedCapturedFunction::RunAsync", 30, 5, thread=3, step=2),
        ran(TURN, 14, 6, thread=4, step=1),
        ran(TURN, 40, 6, thread=4, step=2),
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::MapAndBatch": about(2, 12)}


def test_ops_are_taken_off_and_what_runs_for_nobody_is_left_out():
    """Of calls, turns and their callers."""
    events = [
        ran(f"{ROOT}::Map", 0, 100),
        ran(CALLED, 1, 90, step=1),
        ran(TURN, 10, 50, thread=2, step=1),
        ran("a/x:Mul", 20, 15, thread=2),
        ran("a/y:Add", 36, 5, thread=2),
        ran(TURN, 70, 50, thread=2, step=99),
        ran(TURN, 130, 50, thread=2),
        ran("InstantiatedCapturedFunction::RunAsync", 1, 5, thread=3, step=5),
        ran(TURN, 14, 6, thread=4, step=5),
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::Map": about(1, 30)}


def test_turns_that_overlap_a_little_have_their_own_time():
    """Each turn of a loop begins 0.1 ms before the one before has ended."""
    turns = [ran(TURN, 20 * number, 20.1, thread=2, step=number % 2) for number in range(10)]
    events = [
        event
        for step, name in enumerate(("Map", "Filter"))
        for event in (ran(f"{ROOT}::{name}", 500 * step, 400), ran(CALLED, 500 * step + 1, 390, step=step))
    ]
    assert calls_by_iterator(traced([*events, *turns])) == {
        f"{ROOT}::Map": about(1, 100),
        f"{ROOT}::Filter": about(1, 100.1),
    }


def test_iterators_of_one_dataset_are_one():
    events = [
        event
        for number in range(3)
        for event in (
            ran(f"{ROOT}::FlatMap[{number}]::Map", 100 * number, 50),
            ran(CALLED, 100 * number + 1, 40, step=number),
            ran(TURN, 100 * number + 2, 10, thread=2, step=number),
        )
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::FlatMap::Map": about(3, 30)}


LOOKS = 300
TIMES = np.arange(LOOKS) * 10 + 5


def timeline(*kinds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One span of 10 for each look; 0 is nothing."""
    spans = [(at * 10, at * 10 + 9, kind) for at, kind in enumerate(kinds) if kind]
    starts, ends, numbers = zip(*spans, strict=True)
    return np.array(starts), np.array(ends), np.array(numbers)


def states(running: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return TIMES, np.array(running, dtype=float)


def turns(*kinds: int) -> list[int]:
    return [kinds[at % len(kinds)] for at in range(LOOKS)]


def test_what_a_thread_did_at_a_time():
    line = (np.array([10, 30]), np.array([20, 40]), np.array([2, 1]))
    assert at_work(line, np.array([5, 10, 20, 25, 40, 41])).tolist() == [0, 2, 2, 0, 1, 0]


def test_a_thread_is_recognised_by_when_it_computes():
    computes, sleeps = 1, 2
    one, other = turns(computes, computes, sleeps), turns(sleeps, computes, computes, computes)
    seen = {kind: [int(what == computes) for what in line] for kind, line in (("one", one), ("other", other))}
    found = match(
        {-1: timeline(*one), -2: timeline(*other)},
        {70: states(seen["other"]), 71: states([0] * LOOKS), 72: states(seen["one"])},
    )
    assert found == {-1: 72, -2: 70}


def test_a_thread_that_always_computes_is_not_one_that_hardly_works():
    found = match(
        {-1: timeline(*turns(1)), -2: timeline(*turns(2, 0, 0, 0, 0, 0, 0, 0, 0, 0))},
        {70: states(turns(1, 0, 0, 0, 0, 0, 0, 0, 0, 0)), 71: states([1] * LOOKS)},
    )
    assert found == {-1: 71, -2: 70}


def test_threads_that_nothing_tells_apart_may_be_exchanged_or_stay_unknown():
    lines, busy, blocked = {-1: timeline(*turns(1)), -2: timeline(*turns(2))}, [1] * LOOKS, [0] * LOOKS
    found = match(lines, {70: states(busy), 71: states(busy)})
    assert (sorted(found), sorted(found.values())) == ([-2, -1], [70, 71])
    assert match(lines, {70: states(busy), 71: states(blocked)}) == {}


def test_known_threads_stay_and_others_are_left_out():
    line, busy = timeline(*turns(1)), states([1] * LOOKS)
    assert match({-1: line}, {70: busy, 71: busy}, known={-1: 71}) == {-1: 71}
    assert match({-1: line}, {70: states([0] * LOOKS), 71: busy}, others={71}) == {-1: 70}
    assert match({70: line}, {70: busy, 71: busy}) == {70: 70}
    assert match({-1: line}, {}) == {}


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=80))
def test_the_right_rates_explain_no_worse_than_none(looks):
    kinds = np.array([kind for kind, _ in looks])
    running = np.array([float(core) for _, core in looks])
    assert explained(kinds, running) >= -1e-6
    assert explained(np.zeros_like(kinds), running) == pytest.approx(0.0)


Call = tuple[int, int, int]
"""Thread, start and end."""


def calls(thread: int, start: int, room: int, depth: int) -> st.SearchStrategy[list[Call]]:
    """Calls in order within a stretch of time, each with calls in it."""

    @st.composite
    def drawn(draw: st.DrawFn) -> list[Call]:
        found: list[Call] = []
        at, end = start, start + room
        for _ in range(draw(st.integers(0, 3))):
            begin = draw(st.integers(at, end))
            until = draw(st.integers(begin, end))
            found.append((thread, begin, until))
            if depth and until > begin:
                found += draw(calls(thread, begin, until - begin, depth - 1))
            at = until
        return found

    return drawn()


def with_a_stack(events: list[Call]) -> tuple[list[int], list[int]]:
    """The parent of each event, and its time without what stands in it."""
    parents, own = [-1] * len(events), [end - start for _, start, end in events]
    stack: list[int] = []
    for index in sorted(range(len(events)), key=lambda one: (events[one][0], events[one][1], -events[one][2])):
        thread, start, end = events[index]
        while stack and (events[stack[-1]][0] != thread or events[stack[-1]][2] <= start):
            stack.pop()
        if stack:
            parents[index] = stack[-1]
            own[stack[-1]] -= end - start
        stack.append(index)
    return parents, own


def arrays(events: list[Call]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    columns = np.array(events, np.int64).reshape(len(events), 3)
    return columns[:, 0], columns[:, 1], columns[:, 2]


@given(st.tuples(calls(1, 0, 12, 2), calls(7, 0, 12, 2)).map(lambda two: [*two[0], *two[1]]))
def test_calls_nest_as_on_a_stack(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    parents, own = with_a_stack(events)
    assert found.parent.tolist() == parents
    assert found.self_time().tolist() == own


@given(calls(1, 0, 12, 2))
def test_at_any_time_the_innermost_call_runs(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    for owner, begin, end in zip(found.owner, found.begin, found.end, strict=True):
        assert begin < end
        open_ = [one for one in events if one[1] <= begin and end <= one[2]]
        assert events[owner][2] - events[owner][1] == min(until - start for _, start, until in open_)


def test_the_nearest_of_some_is_found_above_others() -> None:
    found = nest_events(*arrays([(1, 0, 100), (1, 10, 90), (1, 20, 80), (1, 30, 40), (2, 0, 5)]))
    assert found.find_nearest(np.array([True, False, False, False, False])).tolist() == [-1, 0, 0, 0, -1]


def test_an_event_that_a_later_one_outlasts_ends_where_that_begins() -> None:
    found = nest_events(*arrays([(1, 0, 10), (1, 1, 3), (1, 9, 20), (1, 19, 30), (1, 40, 50)]))
    assert found.parent.tolist() == [-1, 0, -1, -1, -1]
    assert found.self_time().tolist() == [7, 2, 10, 11, 10]


OVERLAPPING = st.lists(st.tuples(st.integers(1, 2), st.integers(0, 9), st.integers(0, 9)), max_size=9)


@given(OVERLAPPING.map(lambda events: [(thread, start, start + length) for thread, start, length in events]))
def test_whatever_overlaps_no_time_counts_twice(events: list[Call]) -> None:
    found = nest_events(*arrays(events))
    threads = [events[owner][0] for owner in found.owner]
    spans = sorted(zip(threads, found.begin.tolist(), found.end.tolist(), strict=True))
    assert all(one[0] != other[0] or one[2] <= other[1] for one, other in itertools.pairwise(spans))
    for thread in {event[0] for event in events}:
        busy = {tick for one, start, end in events if one == thread for tick in range(start, end)}
        assert sum(end - begin for one, begin, end in spans if one == thread) == len(busy)
    assert all(own >= 0 for own in found.self_time())
