"""Traces of the workers of a tf.data service: whose an op is, what a worker says of itself, several together."""

from __future__ import annotations

from typing import Any

import pytest
from unit.worker.fakes import Event, traced

from pipeprof.profiles.protocol.messages import Trace, TracedCalls, TracedWork
from pipeprof.profiles.worker.serving.profiler import WorkerMark, cores_between, offset_ps, read_marks
from pipeprof.profiles.worker.trace import service_trace
from pipeprof.profiles.worker.trace.service_trace import by_caller, merged, read_worker
from pipeprof.profiles.worker.trace.thread_states import ThreadReading

US = 10**6  # picoseconds
MAP, BATCH = "Iterator::Root::Batch::Map", "Iterator::Root::Batch"
MARK = "pipeprof marks a worker, "


def ran(name: str, start_us: float, us: float, thread: int = 1, step: int | None = None) -> Event:
    return Event(thread, name, round(start_us * US), round(us * US), step)


def one_batch(at_us: float = 0.0, maps: tuple[str, ...] = ("Map", "Map::Map"), step: int = 1) -> list[Event]:
    """A batch of one element that goes through maps whose functions have ops of the same names."""
    events = [ran(BATCH, at_us, 100)]
    for number, kind in enumerate(maps):
        begin = at_us + 10 + 30 * number
        events += [
            ran(f"{BATCH}::{kind}", begin, 25),
            ran("InstantiatedCapturedFunction::Run", begin + 1, 22, step=step + number),
            ran("ExecutorState::Process", begin + 2, 20, step=step + number),
            ran("Cast:Cast", begin + 3, 10 if number else 15),
        ]
    return events


def test_an_op_belongs_to_the_iterator_that_called_its_function() -> None:
    events, paths = by_caller(traced(one_batch()))
    named = {events.names[index] for index in events.name.tolist()}
    ops = {name for name in named if name.endswith("Cast:Cast")}
    assert {paths[int(op.partition("/")[0].removeprefix("call_"))] for op in ops} == {MAP, f"{MAP}::Map"}


def test_an_op_of_no_call_stays_as_it_is() -> None:
    rows = [ran("Cast:Cast", 0, 5), ran("ExecutorState::Process", 10, 5, step=9), ran("MatMul:MatMul", 11, 2)]
    events, _ = by_caller(traced(rows))
    assert set(events.names) == {"Cast:Cast", "ExecutorState::Process", "MatMul:MatMul"}


def test_the_work_of_a_worker_is_split_by_its_iterators() -> None:
    trace = read_worker(traced([*one_batch(), *one_batch(200, step=5)]), [], [], 1.0)
    assert trace.batches == 2
    assert trace.work[f"it:{MAP}"].ops == {"Cast": pytest.approx(0.03)}
    assert trace.work[f"it:{MAP}::Map"].ops == {"Cast": pytest.approx(0.02)}
    assert (trace.elements[BATCH], trace.elements[MAP]) == (2, 2)
    assert trace.work[f"it:{MAP}"].computing is None
    assert trace.cpu_seconds is None


def test_marks_give_the_clock_and_the_load_of_a_worker() -> None:
    rows = [
        ran(f"{MARK}1000000,500000,7340032", 101, 1, thread=9),
        ran(f"{MARK}2000000,1250000,8388608", 1100, 1, thread=9),
        ran(f"{MARK}of nothing", 1200, 1, thread=9),
    ]
    marks = read_marks(traced(rows))
    assert marks == [
        WorkerMark(101 * US, 1_000_000, 500_000, 7_340_032),
        WorkerMark(1100 * US, 2_000_000, 1_250_000, 8_388_608),
    ]
    assert cores_between(marks) == pytest.approx(0.75)
    assert cores_between(marks[:1]) is None
    # One was late by a microsecond.
    assert offset_ps(marks) == -900 * US
    assert offset_ps([]) is None


def test_threads_that_are_looked_at_tell_what_computes() -> None:
    events, looks = [], []
    for number in range(40):
        at = 200.0 * number
        events += one_batch(at, ("Map",), step=number)
        # The map computes; the batch around it is blocked.
        looks += [ThreadReading(1, round(1e3 * (at + 20)), 1.0), ThreadReading(1, round(1e3 * (at + 80)), 0.0)]
    marks = [WorkerMark(0, 0, 0, 1), WorkerMark(8000 * US, 8_000_000, 4_000_000, 1)]
    trace = read_worker(traced(events), marks, looks, 0.008)
    assert trace.work[f"it:{MAP}"].computing == pytest.approx(1.0)
    assert trace.work[f"it:{BATCH}"].computing == pytest.approx(0.0)
    assert trace.cpu_seconds == pytest.approx(0.004)


def test_traces_of_several_workers_add_up() -> None:
    one = Trace(
        batches=3,
        seconds=1.0,
        work={"it:a": TracedWork(30.0, 1.0, 0.0, 2.0, {"Mul": 20.0})},
        calls={"a": TracedCalls(3, 1.5)},
        elements={"a": 3},
        cpu_seconds=0.5,
    )
    other = Trace(
        batches=1,
        seconds=1.0,
        work={"it:a": TracedWork(10.0, 0.2, 0.4), "it:b": TracedWork(5.0)},
        calls={"a": TracedCalls(1, 0.5)},
        elements={"a": 1, "b": 7},
        cpu_seconds=0.25,
    )
    both = merged([one, other])
    assert (both.batches, both.cpu_seconds, both.elements) == (4, 0.75, {"a": 4, "b": 7})
    assert both.work["it:a"] == TracedWork(40.0, pytest.approx(0.8), pytest.approx(0.1), 2.0, {"Mul": 20.0})
    assert both.work["it:b"] == TracedWork(5.0)
    assert both.calls["a"] == TracedCalls(4, 2.0)
    assert merged([]).batches == 0


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [([0, 2], [3, 9], [3, 9]), ([0, 2], [4, None], [0, 2]), ([1, 2], [3, 9], [1, 2]), ([None, 2], [3, 9], [None, 2])],
)
def test_a_worker_that_gave_no_batch_is_traced_once_more(
    first: list[int | None], then: list[int | None], kept: list[int | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = iter([first, then])
    servers = [service_trace.TracedServer(f"localhost:{port}") for port in (1, 2)]

    def record(workers: Any, _loop: Any, seconds: float, folder: str, *, sampled: bool) -> list[Any]:
        made = [
            service_trace._Window(
                worker, seconds, folder, trace=Trace(batches=count, seconds=seconds) if count is not None else None
            )
            for worker, count in zip(workers, next(windows) if sampled else [0, 0], strict=True)
        ]
        return [*reversed(made)]

    monkeypatch.setattr(service_trace, "_record", record)
    monkeypatch.setattr(service_trace, "_listens", lambda _: True)
    loop: Any = None
    found = service_trace.trace_workers(servers, loop, 0.01)
    assert found.trace.batches == sum(count or 0 for count in kept)
    assert [one.traced_at for one in found.workers] == ["localhost:1", "localhost:2"]
    assert [one.note for one in found.workers] == [
        "no trace came in time" if count is None else None if count else "it gave no batch while it was traced"
        for count in kept
    ]
