"""A soak's series, whether memory grows, whose the growth is, and when memory ends: on made series."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeprof.profiles.memory.growth.judge import Slope, judge, theil_sen
from pipeprof.profiles.memory.growth.owner import end_of, owner_of
from pipeprof.profiles.memory.growth.series import MOST_POINTS, SoakLog, SoakPoint
from pipeprof.profiles.memory.growth.soak import soak_of, suspected
from pipeprof.profiles.memory.growth.texts import advice_of, duration_text, owner_text, soak_text
from pipeprof.profiles.protocol.messages import (
    MemoryReading,
    SoakEvidence,
    SoakLine,
    SoakPlace,
    SoakReading,
    SoakTraced,
)
from pipeprof.profiles.wording import grows
from pipeprof.profiles.worker.memory import soak_watch
from pipeprof.profiles.worker.memory.soak_watch import SoakWatch, traced_by_code

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


def test_median_of_slopes() -> None:
    found = theil_sen([0, 1, 2, 3, 4, 5, 6, 7], [0, 2, 4, 900, 8, 10, 12, 14])
    assert found.value == 2
    assert found.low <= 2 <= found.high


def test_too_few_points_have_no_slope() -> None:
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


def test_a_cache_that_fills_and_is_full_is_a_plateau_from_then_on() -> None:
    found = judge(points(lambda t: BASE + 2 * MB * min(t, 30)))
    assert found.state == "plateau"
    assert found.since_epoch in range(13, 19)


def test_a_cache_that_fills_at_random_slows_down() -> None:
    assert judge(points(lambda t: BASE + 50 * MB * (1 - math.exp(-t / 30)))).state == "plateau"


def test_what_stops_at_the_end_is_no_growth() -> None:
    assert judge(points(lambda t: leak(min(t, 95)))).state == "plateau"


def test_one_step_is_no_growth() -> None:
    assert judge(points(lambda t: BASE + (t > 70) * 60 * MB)).state == "plateau"


def test_growth_that_buffers_have_taken_is_filling() -> None:
    found = judge(points(leak, buffered=lambda t: leak(t) - BASE))
    assert found.state == "filling"


def test_growth_within_few_epochs_is_unclear_and_without_any_it_is_growth() -> None:
    few = [replace(point, epoch=int(point.t > 60)) for point in points(leak)]
    assert judge(few).state == "unclear"
    assert judge([replace(point, epoch=0) for point in points(leak)]).state == "growth"


def test_resident_memory_counts_where_no_heap_can_be_read() -> None:
    without = [replace(point, in_use=None, rss=point.in_use or 0) for point in points(leak)]
    assert judge(without).state == "growth"


def test_fragments_are_no_growth() -> None:
    growing = [replace(point, rss=int(leak(point.t))) for point in points(lambda _: BASE)]
    assert judge(growing).state == "plateau"


def seldom(every: int, memory, resident=leak) -> list[SoakPoint]:
    """Points of which only some know what of the resident memory is in use."""
    return [
        replace(point, rss=int(resident(point.t)), in_use=point.in_use if number % every == 0 else None)
        for number, point in enumerate(points(memory))
    ]


@pytest.mark.parametrize(
    ("every", "memory", "state"),
    [
        (3, leak, "growth"),
        (30, leak, "growth"),
        (30, lambda t: leak(t, 0.7 * MB / EPOCH), "growth"),
        (30, lambda _: BASE, "plateau"),
        (30, lambda t: leak(t, 0.2 * MB / EPOCH), "plateau"),
        (100, leak, "short"),
    ],
)
def test_a_heap_that_is_read_seldom_decides_about_resident_memory(every: int, memory, state: str) -> None:
    found = judge(seldom(every, memory))
    assert found.state == state
    if state == "growth":
        assert found.bytes_per_epoch == pytest.approx(MB, rel=0.2)


def test_resident_memory_that_is_level_needs_no_heap() -> None:
    assert judge(seldom(100, lambda _: BASE, lambda _: BASE)).state == "plateau"


def test_a_few_readings_are_too_short() -> None:
    assert judge(points(leak, 10)).state == "short"
    assert judge([]).state == "short"


# Owner and end

TAIL = points(leak)
SLOPE = Slope(MB / EPOCH, 0.9 * MB / EPOCH, 1.1 * MB / EPOCH)
LINE = SoakLine("train.py", 20, None, 20 * MB, 20)
NOTHING = SoakEvidence(40.0, 20, 400, [], [], [])


def test_iterators_that_are_kept_come_first_with_their_line() -> None:
    tail = points(leak, iterators=lambda t: t / EPOCH, datasets=lambda _: 1)
    places = [SoakPlace("train.py", 7, 60, 1), SoakPlace("train.py", 9, 1, 1)]
    found = owner_of(tail, SLOPE, replace(NOTHING, lines=[LINE], places=places))
    assert (found.owner, found.count, found.location.line) == ("iterators", 60, 7)
    assert found.per_epoch == pytest.approx(1.0)


def test_the_line_that_allocated_what_stays_is_told_with_what_is_kept() -> None:
    tail = points(leak, iterators=lambda t: t / EPOCH)
    places = [SoakPlace("train.py", 7, 60, 1)]
    found = owner_of(tail, SLOPE, replace(NOTHING, lines=[LINE], places=places))
    assert "1 more in each epoch; a good part of what stays is allocated at train.py:20" in owner_text(found)
    small = replace(LINE, bytes=3000, tensors=True)
    assert "allocated" not in owner_text(owner_of(tail, SLOPE, replace(NOTHING, lines=[small], places=places)))


def test_one_in_several_passes_is_told_as_such() -> None:
    tail = points(leak, datasets=lambda t: t / EPOCH / 5)
    assert owner_text(owner_of(tail, SLOPE, NOTHING)).endswith("are kept, 1 more in every 5 passes over the data")


def test_datasets_that_are_kept() -> None:
    tail = points(leak, iterators=lambda _: 2, datasets=lambda t: t / EPOCH)
    found = owner_of(tail, SLOPE, replace(NOTHING, places=[SoakPlace("train.py", 7, 2, 60)]))
    assert (found.owner, found.location.line) == ("datasets", 7)


def test_a_number_of_iterators_that_stays_is_no_owner() -> None:
    tail = points(leak, iterators=lambda _: 40, datasets=lambda _: 40)
    assert owner_of(tail, SLOPE, replace(NOTHING, lines=[LINE])).owner == "python"


def test_a_function_that_is_traced_again() -> None:
    evidence = replace(NOTHING, lines=[LINE], traced=[SoakTraced("step", "train.py", 12, 40, 60)])
    found = owner_of(TAIL, SLOPE, evidence)
    assert (found.owner, found.function, found.location.line, found.per_epoch) == ("traces", "step", 12, 1.0)


def test_a_function_traced_twice_is_no_owner() -> None:
    evidence = replace(NOTHING, lines=[LINE], traced=[SoakTraced("step", "train.py", 12, 1, 2)])
    assert owner_of(TAIL, SLOPE, evidence).owner == "python"


def test_a_function_that_is_made_anew_counts_as_one() -> None:
    kind = type("Function", (), {"experimental_get_tracing_count": lambda _: 1})

    def made():
        def step(): ...

        one = kind()
        one.python_function = step
        return one

    kept = [made(), made(), made()]
    assert [found for (name, _, _), found in traced_by_code().items() if name == "step"] == [(3, 3)]
    again = SoakTraced("step", "train.py", 12, 40, 60, objects=60)
    owner = owner_of(TAIL, SLOPE, replace(NOTHING, traced=[again]))
    assert owner_text(owner) == "60 tf.functions step (made at train.py:12) are kept, 1 more in each epoch"
    assert advice_of(owner).startswith("Make the tf.function once")
    assert len(kept) == 3


def test_what_is_held_at_the_end_alone_is_not_what_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak_watch, "_memory", lambda _: None)
    now, sent, kept, held = [60.0], [], [], []
    watch = SoakWatch(sent.append, 100.0, clock=lambda: now[0], cpu=lambda: 0.0)
    watch.look(30, 0, None)
    watch.examine()
    for epoch in range(30, 50):
        now[0] += 5.0
        held[:] = [bytes(1_000_000 if epoch == 49 else 1000)]
        kept.append(bytes(10_000))
        watch.look(epoch, 100 * epoch, None)
    watch.end()
    (evidence,) = sent
    text = Path(__file__).read_text(encoding="utf-8").splitlines()
    assert text[evidence.lines[0].line - 1].strip() == "kept.append(bytes(10_000))"
    assert 60_000 < evidence.lines[0].bytes < 90_000
    assert evidence.seconds < 60


@pytest.mark.parametrize(("heap_ms", "heaps"), [(0.1, 67), (20.0, 5)])
def test_a_heap_that_takes_long_is_read_seldom(monkeypatch: pytest.MonkeyPatch, heap_ms: float, heaps: int) -> None:
    now, cpu, sent = [0.0], [0.0], []

    def heap() -> tuple[int, int, int]:
        cpu[0] += heap_ms / 1e3
        return 1, 2, 3

    monkeypatch.setattr(soak_watch, "heap", heap)
    monkeypatch.setattr(soak_watch, "tensor_bytes", lambda: (0, 0))
    watch = SoakWatch(sent.append, 150.0, clock=lambda: now[0], cpu=lambda: cpu[0])
    while not watch.is_over:
        watch.look(0, 0, None)
        now[0] += 0.25
    assert len(sent) == 200
    assert len([one for one in sent if one.memory.in_use is not None]) == heaps
    assert sent[-1].cores < 0.002


def test_the_heap_is_not_read_while_allocations_are_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sent, heaps = [0.0], [], []
    monkeypatch.setattr(soak_watch, "heap", lambda: heaps.append(now[0]))
    monkeypatch.setattr(soak_watch, "tensor_bytes", lambda: (0, 0))
    watch = SoakWatch(sent.append, 100.0, clock=lambda: now[0], cpu=lambda: 0.0)
    for second in range(60):
        now[0] = float(second)
        if second == 30:
            watch.examine()
        watch.look(second, second, None)
    watch.end()
    assert [one.examined for one in sent[:-1]] == [False] * 30 + [True] * 30
    assert max(heaps[:-2]) < 30
    assert heaps[-2:] == [59.0, 59.0]


def test_the_line_that_allocated_what_stays_by_steps() -> None:
    # Half as many steps as usual in 40 s: 10 MB are all of the growth.
    slower = replace(NOTHING, steps=200, lines=[replace(LINE, bytes=9 * MB)])
    assert owner_of(TAIL, SLOPE, slower).owner == "python"
    assert owner_of(TAIL, SLOPE, replace(slower, steps=800)).owner == "native"


def test_tensors_are_named_by_the_objects_that_hold_them() -> None:
    small = replace(LINE, bytes=3000, tensors=True)
    assert owner_of(TAIL, SLOPE, replace(NOTHING, lines=[small])).owner == "tensors"


def test_without_evidence_the_owner_is_unknown_and_without_lines_it_is_native() -> None:
    assert owner_of(TAIL, SLOPE, None).owner == "unknown"
    assert owner_of(TAIL, SLOPE, NOTHING).owner == "native"


def test_end_of_memory() -> None:
    found = end_of(10_000 * MB, SLOPE, 20_000 * MB)
    assert found is not None
    assert found.seconds == pytest.approx(20_000)
    assert found.low < found.seconds < found.high
    assert end_of(10_000 * MB, SLOPE, None) is None
    assert end_of(30_000 * MB, SLOPE, 20_000 * MB) is None
    assert end_of(0, Slope(1.0, 0.5, 2.0), 20_000 * MB) is None


# The whole


def reading(t: float, memory: float, *, examined: bool = False) -> SoakReading:
    whole = MemoryReading(rss=int(memory) + 400 * MB, file=0, live=0, heap=int(memory), heap_free=0, mapped=0, blocks=0)
    return SoakReading(t, int(t / EPOCH), int(10 * t), whole, cores=0.001, examined=examined)


def logged(seconds: int, memory=leak) -> SoakLog:
    log = SoakLog()
    for t in range(seconds):
        log.add(reading(t, memory(t)))
    return log


def test_a_series_of_hours_is_bounded_and_keeps_what_was_least() -> None:
    log = logged(36_000, lambda t: BASE + 20 * MB * (t % 20 > 0))
    assert len(log.points) <= MOST_POINTS + 1
    assert {point.in_use for point in log.points} == {BASE}
    assert log.points[-1].t > 35_800


def test_of_moments_that_become_one_the_one_with_a_known_heap_stays() -> None:
    log = SoakLog()
    for t in range(2000):
        one = reading(t, leak(t))
        log.add(one if t % 7 == 3 else replace(one, memory=replace(one.memory, heap=None)))
    assert len(log.points) <= MOST_POINTS + 1
    assert sum(point.in_use is not None for point in log.points) > 240
    assert log.points[-1].in_use == pytest.approx(leak(log.points[-1].t))


def test_readings_of_traced_allocations_do_not_count() -> None:
    log = logged(60)
    log.add(reading(60, 900 * MB, examined=True))
    assert log.points[-1].t == 59


def test_python_objects_count_as_in_use() -> None:
    log = SoakLog()
    for t in range(60):
        one = reading(t, BASE)
        more = replace(one.memory, rss=one.memory.rss + t * MB, blocks=t * 10_000)
        log.add(replace(one, memory=more))
    assert log.points[-1].in_use == BASE + 59 * MB


def test_a_leak_is_told_with_owner_and_end() -> None:
    evidence = replace(NOTHING, lines=[LINE])
    soak, growth = soak_of(logged(120), evidence, 20_000 * MB)
    assert growth is not None
    assert growth.leak
    text = soak_text(soak)
    assert text.startswith("Memory grows by 977 KiB in each epoch")
    assert "Python objects made at train.py:20 are kept" in text
    assert "Memory runs out in about 10 h" in text
    assert "limit 18.6 GiB" in text
    assert soak.sentence == text


def with_fragments(log: SoakLog, share: float) -> SoakLog:
    """The same soak with free blocks between those that are kept, which take a share of the growth."""
    log.points[:] = [replace(one, rss=one.rss + int(share * ((one.in_use or 0) - BASE))) for one in log.points]
    return log


def test_a_growth_with_free_blocks_between_ends_as_soon_as_resident_memory_does() -> None:
    soak, growth = soak_of(with_fragments(logged(120), 0.35), NOTHING, 20_000 * MB)
    used = soak.series.rss_bytes[-1]
    assert soak.bytes_per_second == pytest.approx(1.35 * MB / EPOCH, rel=0.02)
    assert soak.bytes_per_epoch == pytest.approx(1.35 * MB, rel=0.02)
    assert soak.ends.seconds == pytest.approx((20_000 * MB - used) / (1.35 * MB / EPOCH), rel=0.02)
    assert growth.mb_per_epoch == pytest.approx(1.35, rel=0.02)


def test_a_growth_into_free_blocks_has_the_rate_of_what_is_in_use() -> None:
    soak, _ = soak_of(with_fragments(logged(120), -0.7), NOTHING, 20_000 * MB)
    assert soak.bytes_per_second == pytest.approx(MB / EPOCH, rel=0.02)


@pytest.mark.parametrize(("share", "state"), [(0.35, "slow"), (99.0, "growth")])
def test_a_growth_matters_where_resident_memory_ends_in_days(share: float, state: str) -> None:
    soak, growth = soak_of(with_fragments(logged(1200, lambda t: leak(t, 10_000)), share), None, 20_000 * MB)
    assert (soak.state, growth is not None) == (state, state == "growth")
    assert soak.ends.seconds == pytest.approx(
        (20_000 * MB - soak.series.rss_bytes[-1]) / ((1 + share) * 10_000), rel=0.1
    )


def test_growth_that_leaves_memory_for_weeks_does_not_matter() -> None:
    soak, growth = soak_of(logged(1200, lambda t: leak(t, 10_000)), None, 20_000 * MB)
    assert growth is None
    assert soak.state == "slow"
    assert "too slow to matter" in soak_text(soak)


@pytest.mark.parametrize("used", [20_000 * MB, 20_000 * MB + 1])
def test_growth_that_has_reached_the_limit_matters(used: int) -> None:
    soak, growth = soak_of(logged(1200), None, 20_000 * MB, used)
    assert growth is not None
    assert soak.state == "growth"
    assert "too slow" not in soak_text(soak)


def test_a_plateau_is_told_with_its_epoch() -> None:
    soak, growth = soak_of(logged(120, lambda t: BASE + 10 * MB * min(t / 10, 1)), None, None)
    assert growth is None
    assert soak_text(soak) == "Memory in use: plateau after epoch 4."


@pytest.mark.parametrize(
    ("state", "words"), [("short", "too short"), ("unclear", "no evidence of a leak"), ("filling", "buffers filled")]
)
def test_what_is_no_answer_says_to_soak_longer(state: str, words: str) -> None:
    soak, _ = soak_of(logged(120), None, None)
    text = soak_text(soak.model_copy(update={"state": state}))
    assert words in text
    assert "soak longer" in text


def test_durations() -> None:
    assert [duration_text(seconds) for seconds in (59, 3599.9, 3600, 12_030)] == ["59 s", "60 min", "1 h", "3 h 20 min"]


def test_what_the_garbage_collector_frees_in_the_end_is_no_growth() -> None:
    soak, growth = soak_of(logged(120), replace(NOTHING, lines=[LINE], freed=50 * MB), None)
    assert growth is None
    assert soak.state == "garbage"
    assert "gc.collect() after an epoch" in soak_text(soak)
    assert soak_of(logged(120), replace(NOTHING, lines=[LINE], freed=5 * MB), None)[0].state == "growth"


def looked(memory, epoch=lambda step: step // 30, count=100, held=lambda _: 0) -> list[SoakPoint]:
    """Looks at the measured steps, by these; `memory`, `epoch` and `held` are functions of the step."""
    return [
        SoakPoint(4 * at, epoch(4 * at), 4 * at, BASE + int(memory(4 * at)), buffered=int(held(4 * at)))
        for at in range(count)
    ]


@pytest.mark.parametrize("epoch", [lambda step: step // 30, lambda step: step // 150, lambda _: 0])
def test_a_run_without_a_soak_suspects_memory_that_grows_with_each_step(epoch) -> None:
    growth = suspected(looked(lambda step: 3 * MB * step, epoch), 1200 * MB)
    assert growth is not None
    assert growth.leak
    assert grows(growth) == "memory grows by 2.89 MiB a step"
    assert growth.steps > 200
    assert 2999 < growth.mb_per_1000_steps < 3001


SILENT = {
    "level": (looked(lambda step: (step % 7) * MB), 0),
    "a little": (looked(lambda step: 0.01 * MB * step), 4 * MB),
    "a cache that fills": (looked(lambda step: MB * step, lambda _: 0, held=lambda step: MB * step), 400 * MB),
    "slows down": (looked(lambda step: 100 * MB * (1 - math.exp(-step / 60))), 100 * MB),
    "a step up": (looked(lambda step: 90 * MB * (step > 250)), 90 * MB),
    "freed at the end of an epoch": (looked(lambda step: 3 * MB * (step % 30)), 20 * MB),
    "within an epoch that is not the first": (looked(lambda step: 3 * MB * step, lambda _: 4), 1200 * MB),
    "free blocks": (looked(lambda step: 3 * MB * step), 100 * MB),
    "unknown how much is in use": (looked(lambda step: 3 * MB * step), None),
    "too short": (looked(lambda step: 3 * MB * step, count=7), 84 * MB),
}


@pytest.mark.parametrize("name", SILENT)
def test_a_run_without_a_soak_is_silent_about_what_has_an_end(name: str) -> None:
    assert suspected(*SILENT[name]) is None
