"""Which of the moments at which the heap was looked at tells of the peak, and how often it is looked at."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import pytest

from pipeprof.profiles.worker.memory import glibc_heap
from pipeprof.profiles.worker.memory.glibc_heap import (
    EVERY_SECONDS,
    PAUSE_SECONDS,
    QUICK_SECONDS,
    HeapAt,
    HeapWatch,
    Stretch,
)


def test_the_way_to_read_the_heap_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    known = glibc_heap.heap() is not None
    monkeypatch.setattr(ctypes, "CDLL", None)
    assert (glibc_heap.heap() is not None) == known


def at(rss: int, peak: int, free: int = 0, used: int = 0) -> HeapAt:
    return HeapAt(rss, peak, used, free, 0)


class Process:
    """Tells of one moment after the other; each telling takes `seconds` of computing and some more of waiting."""

    def __init__(self, moments: Sequence[HeapAt | None], seconds: float = 0.0, waiting: float = 0.0) -> None:
        self.moments = list(moments)
        self.seconds = seconds
        self.waiting = waiting
        self.time = self.cpu = 0.0
        self.asked = 0

    def now(self) -> HeapAt | None:
        self.asked += 1
        self.time += self.seconds + self.waiting
        self.cpu += self.seconds
        return self.moments.pop(0)

    def watched(self) -> HeapWatch:
        return HeapWatch(self.now, lambda: self.time, lambda: self.cpu)


def seen(process: Process, looks: int, pause: float = 1.0) -> Stretch | None:
    watch = process.watched()
    for _ in range(looks):
        watch.see()
        process.time += pause
    return watch.end()


def test_before_the_epoch_that_reached_the_peak_is_nearest_to_it() -> None:
    between = [at(600, 700, 30), at(650, 700, 80), at(640, 800, 70)]

    found = seen(Process([*between, at(610, 800, 40)]), 3)

    assert found is not None
    assert found.nearest == at(650, 700, 80)
    assert found.end == at(610, 800, 40)


def test_a_look_at_full_buffers_is_nearer_than_the_epochs_beginning() -> None:
    found = seen(Process([at(500, 500, 90), at(790, 800, 5), at(500, 800, 90)]), 2)

    assert found is not None
    assert found.nearest.free == 5


def test_an_epoch_that_begins_with_less_than_a_look_found_reached_the_peak() -> None:
    """190 MB of buffers on top of 600, of which 30 were given back before anybody looked again."""
    moments = [at(500, 500, used=260), at(600, 700, 100, used=70), at(760, 790, 10, used=260), at(760, 790, used=260)]

    found = seen(Process(moments), 3)

    assert found is not None
    assert found.nearest.free == 100


def test_of_buffers_that_were_full_before_the_stretch_it_is_known_what_they_take() -> None:
    process = Process([at(770, 770, used=260), at(600, 770, 100, used=70), at(700, 780, 80, used=80)])
    watch = process.watched()
    watch.end()
    process.time += 1

    watch.see()
    found = watch.end()

    assert found is not None
    assert found.nearest.free == 100


def test_the_most_in_use_is_that_of_all_moments() -> None:
    found = seen(Process([at(600, 600, used=70), at(700, 700, used=170), at(600, 700, used=75)]), 2)

    assert found is not None
    assert found.most_used == 170


def test_a_stretch_begins_with_the_end_of_the_one_before() -> None:
    """The kernel's mark falls back to what is resident: the peak may lie before the first look."""
    process = Process([at(900, 1000, 100), at(700, 900, 10), at(700, 900, 20)])
    watch = process.watched()
    watch.end()
    process.time += 1

    watch.see()
    process.time += 1
    found = watch.end()

    assert found is not None
    assert found.nearest.free == 100


def test_asking_takes_a_fiftieth_of_the_time_at_most() -> None:
    process = Process([at(500, 500)] * 100, seconds=0.01)
    watch = process.watched()

    for _ in range(100):
        watch.see(PAUSE_SECONDS)
        process.time += 0.1

    assert process.asked == 20


def test_and_not_again_before_some_time_has_passed() -> None:
    process = Process([at(500, 500)] * 2)
    watch = process.watched()

    watch.see()
    process.time += 0.9 * EVERY_SECONDS
    watch.see()
    assert process.asked == 1

    process.time += 0.2 * EVERY_SECONDS
    watch.see()
    assert process.asked == 2


def test_a_heap_of_many_free_blocks_is_only_looked_at_when_a_stretch_ends() -> None:
    process = Process([at(500, 500)] * 3, seconds=0.01)

    found = seen(process, 5, pause=100.0)

    assert process.asked == 2
    assert found is not None


def test_between_epochs_it_may_take_longer() -> None:
    process = Process([at(500, 500)] * 3, seconds=0.01)
    watch = process.watched()

    for seconds in (PAUSE_SECONDS, QUICK_SECONDS, PAUSE_SECONDS):
        watch.see(seconds)
        process.time += 1.0

    assert process.asked == 2


def test_waiting_for_others_is_no_cost() -> None:
    process = Process([at(500, 500)] * 3, waiting=0.5)
    watch = process.watched()

    for _ in range(3):
        watch.see()

    assert process.asked == 3


def test_without_glibc_there_is_nothing() -> None:
    assert seen(Process([None, None]), 1) is None


def test_a_look_tells_what_it_saw_and_nothing_where_it_was_not_due() -> None:
    watch = Process([at(500, 500, 7)]).watched()

    assert watch.see() == at(500, 500, 7)
    assert watch.see() is None
