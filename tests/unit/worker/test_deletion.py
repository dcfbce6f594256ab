"""Other threads of a process wait while an ended iterator is deleted, and have what they had before after that."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from pipeprof.profiles.worker import turns


@contextmanager
def another() -> Iterator[int]:
    """Another thread of this process."""
    started, over = threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: (started.set(), over.wait()))
    thread.start()
    assert started.wait(30)
    assert thread.native_id is not None
    try:
        yield thread.native_id
    finally:
        over.set()
        thread.join()


@pytest.fixture
def other() -> Iterator[int]:
    """A thread that is there before."""
    with another() as number:
        yield number


def state(number: int) -> tuple[set[int], int]:
    """Cores and policy of a thread."""
    return os.sched_getaffinity(number), os.sched_getscheduler(number)


def test_other_threads_are_batch_jobs_on_the_core_of_this_one(other: int) -> None:
    before = state(0), state(other)
    with turns.without_sleeping():
        (cores, policy), (own, own_policy) = state(other), state(0)
        assert len(own) == 1
        assert (cores, policy, own_policy) == (own, os.SCHED_BATCH, os.SCHED_OTHER)
    assert (state(0), state(other)) == before
    with pytest.raises(ZeroDivisionError), turns.without_sleeping():
        _ = 1 / 0
    assert (state(0), state(other)) == before


def test_threads_that_start_meanwhile_are_not_left_on_one_core(other: int) -> None:
    before = state(other)
    with ExitStack() as stack:
        with turns.without_sleeping():
            new = stack.enter_context(another())
            assert len(state(new)[0]) == 1
        assert state(new) == state(other) == before


def test_nothing_is_changed_where_the_kernel_does_not_permit_it(other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError

    before = state(0), state(other)
    monkeypatch.setattr(os, "sched_setaffinity", refused)
    with turns.without_sleeping():
        assert (state(0), state(other)) == before
