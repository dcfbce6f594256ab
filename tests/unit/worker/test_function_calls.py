"""Whose calls the executor's turns belong to: no TensorFlow, no clock."""

from __future__ import annotations

import pytest
from unit.worker.fakes import Event, traced

from pipeprof.profiles.protocol.messages import TracedCalls
from pipeprof.profiles.worker.trace.events import calls_by_iterator

US = 10**6  # picoseconds
ROOT = "Iterator::Root::Prefetch"


def ran(name: str, start_us: float, us: float, thread: int = 1, step: int | None = None) -> Event:
    return Event(thread, name, round(start_us * US), round(us * US), step)


def about(calls: int, us: float) -> TracedCalls:
    return TracedCalls(calls, pytest.approx(us / 1000))


def test_a_call_belongs_to_the_iterator_that_it_stands_in():
    events = [
        ran(f"{ROOT}::Filter", 0, 50),
        ran(f"{ROOT}::Filter::Range", 1, 1),
        ran("InstantiatedCapturedFunction::RunWithBorrowedArgs", 3, 40, step=7),
        ran("ExecutorState::Process", 10, 20, thread=2, step=7),
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
        ran("ExecutorState::Process", 14, 6, thread=4, step=1),
        ran("ExecutorState::Process", 40, 6, thread=4, step=2),
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::MapAndBatch": about(2, 12)}


def test_ops_are_taken_off_and_what_runs_for_nobody_is_left_out():
    events = [
        ran(f"{ROOT}::Map", 0, 100),
        ran("InstantiatedCapturedFunction::Run", 1, 90, step=1),
        ran("ExecutorState::Process", 10, 50, thread=2, step=1),
        ran("a/x:Mul", 20, 15, thread=2),
        ran("a/y:Add", 36, 5, thread=2),
        ran("ExecutorState::Process", 70, 50, thread=2, step=99),
        ran("ExecutorState::Process", 130, 50, thread=2),
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::Map": about(1, 30)}


def test_turns_that_overlap_a_little_have_their_own_time():
    """Each turn of a loop begins 0.1 µs before the one before has ended."""
    turns = [ran("ExecutorState::Process", 20 * number, 20.1, thread=2, step=number % 2) for number in range(10)]
    events = [
        event
        for step, name in enumerate(("Map", "Filter"))
        for event in (
            ran(f"{ROOT}::{name}", 500 * step, 400),
            ran("InstantiatedCapturedFunction::Run", 500 * step + 1, 390, step=step),
        )
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
            ran("InstantiatedCapturedFunction::Run", 100 * number + 1, 40, step=number),
            ran("ExecutorState::Process", 100 * number + 2, 10, thread=2, step=number),
        )
    ]
    assert calls_by_iterator(traced(events)) == {f"{ROOT}::FlatMap::Map": about(3, 30)}


def test_a_call_whose_caller_is_not_seen_is_nobodys():
    events = [
        ran("InstantiatedCapturedFunction::RunAsync", 1, 5, step=1),
        ran("ExecutorState::Process", 14, 6, thread=4, step=1),
    ]
    assert calls_by_iterator(traced(events)) == {}
