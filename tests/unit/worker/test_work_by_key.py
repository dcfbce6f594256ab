"""What a trace and the threads' states say of stages: no TensorFlow, no clock."""

from __future__ import annotations

from array import array

import pytest
from unit.worker.fakes import Event, traced

from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.worker.trace.events import calls_by_iterator, elements_by_iterator
from pipeprof.profiles.worker.trace.threads import ThreadReading, parse, share_of_cores
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
