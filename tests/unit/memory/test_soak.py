"""A soak's series, whether memory grows, whose the growth is, and when memory ends: on made series."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.profiles.memory.growth import (
    Slope,
    SoakLog,
    SoakPoint,
    end_of,
    judge,
    owner_of,
    soak_of,
    soak_text,
    theil_sen,
)
from pipeprof.profiles.protocol.messages import MemoryReading, SoakReading
from pipeprof.profiles.worker import memory_log
from pipeprof.profiles.worker.memory_log import SoakWatch

MB = 1_000_000
BASE = 100 * MB
EPOCH = 2.0


def points(memory, count=120, every=1.0, **counts) -> list[SoakPoint]:
    """Points once a second, epochs of two; `memory` and each of `counts` is a function of the time."""
    found = []
    for number in range(count):
        t = number * every
        more = {name: int(value(t)) for name, value in counts.items()}
        found.append(SoakPoint(t, int(t / EPOCH), int(10 * t), 500 * MB, int(memory(t)), **more))
    return found


def noisy(seed: int, deviation: float):
    """Noise of a deviation, half of which stays to the next moment, and transients that are only above."""
    chance, last = random.Random(seed), [0.0]

    def at(_t: float) -> float:
        last[0] = 0.5 * last[0] + chance.gauss(0.0, deviation)
        return last[0] + (chance.random() < 0.3) * chance.random() * 20 * MB

    return at


def leak(t: float, rate: float = MB / EPOCH) -> float:
    return BASE + rate * t


def test_median_of_slopes_of_which_too_few_points_have_none() -> None:
    found = theil_sen([0, 1, 2, 3, 4, 5, 6, 7], [0, 2, 4, 900, 8, 10, 12, 14])
    assert found.value == 2
    assert found.low <= 2 <= found.high
    assert theil_sen([0, 1], [0, 1]) == Slope(0.0, -math.inf, math.inf)
    assert theil_sen([1, 1, 1], [0, 1, 2]).low == -math.inf


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.5))
def test_level_memory_with_noise_is_a_plateau(seed: int, deviation: float) -> None:
    noise = noisy(seed, deviation * MB)
    assert judge(points(lambda t: BASE + noise(t))).state == "plateau"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 0.5))
def test_a_leak_of_a_megabyte_an_epoch_is_growth_with_its_rate(seed: int, deviation: float) -> None:
    noise = noisy(seed, deviation * MB)
    found = judge(points(lambda t: leak(t) + noise(t)))
    assert found.state == "growth"
    assert found.slope is not None
    assert found.bytes_per_epoch == pytest.approx(MB, rel=0.2)
    assert found.slope.value == pytest.approx(MB / EPOCH, rel=0.2)


def heap_read(every: int, memory) -> list[SoakPoint]:
    """Resident memory grows; the heap is read seldom."""
    return [
        replace(point, rss=int(leak(point.t)), in_use=point.in_use if number % every == 0 else None)
        for number, point in enumerate(points(memory))
    ]


STATES = {
    "a cache that fills and is full": (points(lambda t: BASE + 2 * MB * min(t, 30)), "plateau"),
    "a cache that fills at random slows down": (
        points(lambda t: BASE + 50 * MB * (1 - math.exp(-t / 30))), "plateau"),
    "what stops at the end": (points(lambda t: leak(min(t, 95))), "plateau"),
    "what each epoch frees at its end": (points(lambda t: BASE + 3 * MB * (t % EPOCH)), "plateau"),
    "one step": (points(lambda t: BASE + (t > 70) * 60 * MB), "plateau"),
    "growth that buffers have taken": (points(leak, buffered=lambda t: leak(t) - BASE), "filling"),
    "growth within few epochs": ([replace(point, epoch=int(point.t > 60)) for point in points(leak)], "unclear"),
    "growth without any epoch": ([replace(point, epoch=0) for point in points(leak)], "growth"),
    "resident memory, where no heap can be read": (
        [replace(point, in_use=None, rss=point.in_use or 0) for point in points(leak)], "growth"),
    "fragments": ([replace(point, rss=int(leak(point.t))) for point in points(lambda _: BASE)], "plateau"),
    "readings of the heap alone count where there are some": (heap_read(3, leak), "growth"),
    "level readings of the heap": (heap_read(3, lambda _: BASE), "plateau"),
    "few readings of the heap": (heap_read(30, leak), "short"),
    "a few readings": (points(leak, 10), "short"),
    "none": ([], "short"),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_state_of_memory(name: str) -> None:
    seen, state = STATES[name]
    assert judge(seen).state == state


# What grows, and the end

SLOPE = Slope(MB / EPOCH, 0.9 * MB / EPOCH, 1.1 * MB / EPOCH)
GROWN = judge(points(leak))


def allocated(rate: float, *, slower: float = 1.0) -> list[SoakPoint]:
    """What Python has allocated in 40 s, more by so much with each epoch; with fewer steps than before."""
    found = points(lambda t: 5 * MB + rate / EPOCH * t, 40)
    return [replace(one, rss=one.in_use or 0, in_use=None, steps=int(one.steps / slower)) for one in found]


@pytest.mark.parametrize(
    ("rate", "slower", "owner"),
    [(MB, 1.0, "python"), (0.6 * MB, 1.0, "python"), (0.3 * MB, 1.0, "rest"), (0.3 * MB, 2.0, "python")],
)
def test_what_python_allocates_is_compared_by_steps(rate: float, slower: float, owner: str) -> None:
    assert owner_of(GROWN, allocated(rate, slower=slower)) == owner


def test_what_grows_is_told_by_time_where_there_are_no_steps_and_not_where_nobody_looked() -> None:
    still = judge([replace(one, steps=0) for one in points(leak)])
    assert owner_of(still, [replace(one, steps=0) for one in allocated(MB)]) == "python"
    some = judge(points(leak, buffered=lambda t: 0.48 * (leak(t) - BASE)))
    assert (some.state, owner_of(some, allocated(0.2 * MB))) == ("growth", "stages")
    assert owner_of(judge(points(leak, buffered=lambda t: leak(t) - BASE)), []) == "stages"
    assert owner_of(GROWN, []) is None
    assert owner_of(GROWN, allocated(MB)[:4]) is None


def watched(monkeypatch, heap, seconds, **clocks):
    """A watch that reads a heap, and what it sends."""
    sent = []
    monkeypatch.setattr(memory_log, "heap", heap)
    monkeypatch.setattr(memory_log, "tensor_bytes", lambda: (0, 0))
    return SoakWatch(lambda **changes: sent.append(changes.get("soak")), seconds, **clocks), sent


@pytest.mark.parametrize(("heap_ms", "seconds", "readings"), [(0.1, 150.0, 200), (20.0, 150.0, 20), (20.0, 40.0, 80)])
def test_what_takes_long_is_read_seldom(monkeypatch, heap_ms, seconds, readings):
    now, cpu = [0.0], [0.0]

    def heap() -> tuple[int, int, int]:
        cpu[0] += heap_ms / 1e3
        return 1, 2, 3

    watch, sent = watched(monkeypatch, heap, seconds, clock=lambda: now[0], cpu=lambda: cpu[0])
    while not watch.is_over:
        watch.look(0, 0, None)
        now[0] += 0.25
    assert len(sent) == pytest.approx(readings, abs=2)
    assert sent[-1].memory.in_use == 4


def test_the_heap_is_not_read_while_allocations_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    now, heaps = [0.0], []
    watch, sent = watched(monkeypatch, lambda: heaps.append(now[0]), 100.0, clock=lambda: now[0], cpu=lambda: 0.0)
    for second in range(60):
        now[0] = float(second)
        if second == 30:
            watch.examine()
        watch.look(second, second, None)
    watch.end()
    assert [one.python is not None for one in sent[:-1]] == [False] * 30 + [True] * 30
    assert max(heaps[:-2]) < 30
    assert heaps[-2:] == [59.0, 59.0]


def test_the_end_of_memory_has_an_interval() -> None:
    found = end_of(10_000 * MB, SLOPE, 20_000 * MB)
    assert found is not None
    assert found.low < found.seconds < found.high


# The whole


def reading(t: float, memory: float, *, examined: bool = False) -> SoakReading:
    whole = MemoryReading(rss=int(memory) + 400 * MB, file=0, live=0, heap=int(memory), heap_free=0, mapped=0, blocks=0)
    return SoakReading(t, int(t / EPOCH), int(10 * t), whole, cores=0.001, python=5 * MB if examined else None)


def logged(seconds: int, memory=leak) -> SoakLog:
    log = SoakLog()
    for t in range(seconds):
        log.add(reading(t, memory(t)))
    return log


def test_python_objects_count_as_in_use_and_readings_of_traced_allocations_do_not() -> None:
    log = SoakLog()
    for t in range(60):
        one = reading(t, BASE)
        more = replace(one.memory, rss=one.memory.rss + t * MB, blocks=t * 10_000)
        log.add(replace(one, memory=more))
    log.add(reading(60, 900 * MB, examined=True))
    assert (log.points[-1].in_use, log.points[-1].t, log.python[-1].rss) == (BASE + 59 * MB, 59, 5 * MB)


def test_a_leak_is_told_with_owner_and_end() -> None:
    log = logged(120)
    log.python = allocated(MB)
    soak, growth = soak_of(log, None, 20_000 * MB)
    assert growth is not None
    assert growth.leak
    text = soak_text(soak)
    assert text.startswith("Memory grows by 990 KiB in each epoch")
    assert "Python's heap grows" in text
    assert "Memory runs out in about 10 h" in text
    assert "limit 18.6 GiB" in text
    assert soak.sentence == text


def with_fragments(log: SoakLog, share: float) -> SoakLog:
    """The same soak with free blocks between those that are kept, which take a share of the growth."""
    log.points[:] = [replace(one, rss=one.rss + int(share * ((one.in_use or 0) - BASE))) for one in log.points]
    return log


LIMIT = 20_000 * MB
SLOWLY = (1200, lambda t: leak(t, 10_000))
SOAKS = {
    # It ends as soon as resident memory does.
    "free blocks between": (with_fragments(logged(120), 0.35), None, None, "growth", 1.35 * MB / EPOCH),
    "into free blocks": (with_fragments(logged(120), -0.7), None, None, "growth", MB / EPOCH),
    "months are left, with free blocks": (with_fragments(logged(*SLOWLY), 0.35), None, None, "slow", 13_500),
    "days are left, with many free blocks": (with_fragments(logged(*SLOWLY), 99.0), None, None, "growth", 1_000_000),
    "weeks are left": (logged(*SLOWLY), None, None, "slow", 10_000),
    "the limit is reached": (logged(1200), None, LIMIT, "growth", MB / EPOCH),
    "the limit is passed": (logged(1200), None, LIMIT + 1, "growth", MB / EPOCH),
    "a plateau": (logged(120, lambda t: BASE + 10 * MB * min(t / 10, 1)), None, None, "plateau", None),
    "garbage that is freed in the end": (logged(120), 50 * MB, None, "garbage", MB / EPOCH),
    "some of it is garbage": (logged(120), 5 * MB, None, "growth", MB / EPOCH),
}


@pytest.mark.parametrize("name", SOAKS)
def test_what_a_soak_shows(name: str) -> None:
    log, freed, used, state, rate = SOAKS[name]
    soak, growth = soak_of(log, freed, LIMIT, used)
    assert (soak.state, growth is not None) == (state, state == "growth")
    assert soak.bytes_per_second == (rate and pytest.approx(rate, rel=0.02))
    if soak.ends is not None and rate is not None:
        assert soak.ends.seconds == pytest.approx((LIMIT - soak.series.rss_bytes[-1]) / rate, rel=0.02)
    assert (soak.ends is not None) is (state in ("growth", "slow") and used is None)
    assert ("too slow to matter" in soak.sentence) is (state == "slow")
    assert ("gc.collect() after an epoch" in soak.sentence) is (state == "garbage")


@pytest.mark.parametrize(
    ("state", "words"), [("short", "too short"), ("unclear", "no evidence of a leak"), ("filling", "buffers that fill")]
)
def test_what_is_no_answer_says_to_soak_longer(state: str, words: str) -> None:
    soak, _ = soak_of(logged(120), None, None)
    assert soak.ends is None, "without a limit"
    text = soak_text(soak.model_copy(update={"state": state}))
    assert words in text
    assert "soak longer" in text
