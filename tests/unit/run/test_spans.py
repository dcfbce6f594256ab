"""What a trace and the threads' states say of stages: no TensorFlow, no clock."""

from __future__ import annotations

import pytest

from pipeprof.profiles.run.spans import Spans, busy_threads
from pipeprof.profiles.run.threadstates import Look, parse
from pipeprof.profiles.run.xplane import Event

MS = 10**9  # picoseconds


def ran(name: str, start_ms: float, ms: float, thread: int = 1) -> Event:
    return Event(thread, name, round(start_ms * MS), round(ms * MS))


def key_of(path: str) -> str | None:
    return {"a": "in:a", "b": "in:b"}.get(path.partition("/")[0])


def test_ops_are_summed_by_key_and_those_of_nobody_are_kept_apart():
    spans = Spans(
        [ran("a/x:Mul", 0, 2), ran("a/y:Mul", 2, 1), ran("b/x:_FusedMatMul", 0, 4), ran("c:Add", 0, 3)], key_of
    )
    assert {key: dict(ops) for key, ops in spans.ops.items()} == {"in:a": {"Mul": 3.0}, "in:b": {"FusedMatMul": 4.0}}
    assert dict(spans.nobodys) == {"Add": 3.0}


def test_an_iterator_has_its_time_without_functions_and_iterators_below():
    spans = Spans(
        [
            ran("Iterator::Root::Batch", 0, 10),
            ran("Iterator::Root::Batch::Map", 1, 6),
            ran("Iterator::Root::Batch::Map::Range", 1, 1),
            ran("InstantiatedCapturedFunction::Run", 2, 4),
        ],
        key_of,
    )
    assert spans.milliseconds() == {
        "it:Iterator::Root::Batch": pytest.approx(4.0),
        "it:Iterator::Root::Batch::Map": pytest.approx(1.0),
        "it:Iterator::Root::Batch::Map::Range": pytest.approx(1.0),
    }


def test_waiting_for_a_buffer_is_nobodys_work():
    spans = Spans(
        [ran("Iterator::Root::Prefetch", 0, 10), ran("Iterator::Root::ParallelMapV2", 0, 10, thread=2)], key_of
    )
    assert spans.milliseconds() == {}


def test_a_stage_that_runs_alone_has_its_own_share():
    active = {"a": [1] * 40, "b": [0] * 20 + [1] * 20}
    rates = busy_threads({"a": [1] * 20 + [0] * 20, "b": active["b"]}, [1] * 20 + [1, 0, 0, 0] * 5)
    assert rates["a"] == pytest.approx(1.0, abs=0.06)
    assert rates["b"] == pytest.approx(0.25, abs=0.06)


def test_stages_at_work_together_are_told_apart_by_the_times_when_they_are_not():
    a = [1] * 100
    b = [0, 1] * 50
    rates = busy_threads({"computes": a, "sleeps": b}, [1] * 100)
    assert rates["computes"] > 0.9
    assert rates["sleeps"] < 0.1


def test_always_at_work_and_always_running_is_computing():
    assert busy_threads({"a": [2] * 50}, [2] * 50)["a"] > 0.95


def test_with_too_few_looks_nothing_is_said():
    assert busy_threads({"a": [1] * 5 + [0] * 50}, [1] * 55) == {}
    assert busy_threads({"a": [1] * 5}, [1] * 5) == {}


def test_the_looks_are_put_on_the_clock_of_the_trace():
    spans = Spans([ran("a/x:Mul", 1000, 100)], key_of)
    looks = [Look(ms * 10**6, int(0 <= ms < 100)) for ms in range(-50, 150, 2)]
    assert spans.busy(looks, 1000 * MS) == {"in:a": pytest.approx(1.0, abs=0.06)}
    assert spans.busy(looks, 1200 * MS) == {}
    assert spans.busy([], 0) == {}


def test_parts_of_ops_on_other_threads_belong_to_who_is_at_work():
    def part(start: float, end: float, thread: int) -> list[Event]:
        return [
            ran("ThreadpoolListener::StartRegion", start, 0, thread),
            ran("ThreadpoolListener::StopRegion", end, 0, thread),
        ]

    spans = Spans([ran("a/x:MatMul", 0, 10), *part(1, 5, 7), *part(0, 10, 1), *part(20, 30, 7)], key_of)
    assert spans.further_ms() == {"in:a": pytest.approx(4.0)}


def test_what_the_watcher_writes():
    assert parse("100 2 300 0") == [Look(100, 2), Look(300, 0)]
    assert parse("") == []
    assert parse("Traceback …") == []


def test_handing_on_results_belongs_to_the_function_that_ran_before():
    done = "ExecutorDoneCallback"
    events = [ran("a/x:Mul", 0, 2), ran(done, 3, 1), ran("b/x:Mul", 5, 2), ran(done, 8, 4), ran(done, 1, 1, thread=2)]
    assert dict(Spans(events, key_of).handed_on) == {"in:a": 1.0, "in:b": 4.0}


def test_going_from_op_to_op_is_work_too():
    events = [ran("ExecutorState::Process", 0, 10), ran("a/x:Mul", 1, 2), ran("a/y:Mul", 5, 1), ran("b/x:Mul", 20, 3)]
    spans = Spans(events, key_of)
    assert spans.milliseconds() == {"in:a": 10.0, "in:b": 3.0}
    assert dict(spans.ops["in:a"]) == {"Mul": 3.0}
