"""A trace: its limits, its file (encoded by hand here), and which stage its ops belong to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.encoded_trace import LINE_PS, chunk, event, line, named, number, plane
from unit.worker.fakes import Event, rows_of, traced

from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace import record as recording
from pipeprof.profiles.worker.trace.events import python_seconds
from pipeprof.profiles.worker.trace.record import (
    AT_LEAST,
    MOST_BYTES,
    MOST_EVENTS,
    SECONDS,
    NoTraceError,
    _take,
    events_for,
    record,
)
from pipeprof.profiles.worker.trace.work import key_of
from pipeprof.profiles.xplane.xplane import count_events, read_events

MS = 10**9  # picoseconds


def read(name: str, start: int, duration: int, thread: int = 77) -> Event:
    """An event as it is read, in picoseconds since the beginning of its line."""
    return Event(thread, name, LINE_PS + start, duration)


def host(*parts: bytes) -> bytes:
    return plane("/host:CPU", *parts)


A = host(line(event(1, 1, 2)), named(1, "a"))


def test_events_on_host_threads_are_read():
    parts = (named(1, "stages_0/DecodeJpeg:DecodeJpeg"), named(2, "Iterator::Batch"))
    data = host(line(event(1, 10, 2000), event(2, 5000, 7)), line(event(1, 3, 4), thread=78), *parts)
    assert rows_of(read_events(data)) == [
        read("stages_0/DecodeJpeg:DecodeJpeg", 10, 2000),
        read("Iterator::Batch", 5000, 7),
        read("stages_0/DecodeJpeg:DecodeJpeg", 3, 4, thread=78),
    ]
    assert count_events(data) == 3
    assert rows_of(read_events(b"")) == []
    assert count_events(b"") == 0


def test_other_planes_and_fields_of_later_versions_are_passed_over():
    noise = plane("/device:GPU:0", line(event(1, 1, 1)), named(1, "kernel"))
    meta = plane("/host:metadata", line(event(1, 1, 1)), named(1, "x"))
    stats = chunk(4, number(1, 8) + number(3, 99))
    later = line(event(1, 1, 2, stats, number(5, 3)))
    newer = chunk(9, "host") + host(later, named(1, "b"), chunk(5, number(1, 1)), chunk(60, "new"))
    assert rows_of(read_events(noise + meta + A + newer)) == [read("a", 1, 2), read("b", 1, 2)]


def test_turns_of_the_executor_have_the_number_of_their_call():
    other, signed, unsigned = number(1, 4) + number(4, 9), number(1, 3) + number(4, -5), number(1, 3) + number(3, 6)
    data = host(
        line(
            event(1, 1, 2, chunk(4, other), chunk(4, signed)),
            event(2, 2, 2, chunk(4, unsigned)),
            event(2, 3, 2, chunk(4, other)),
            event(3, 4, 2, chunk(4, signed)),
        ),
        named(1, "ExecutorState::Process"),
        named(2, "InstantiatedCapturedFunction::RunAsync"),
        named(3, "a/x:Mul"),
        *(chunk(5, number(1, key) + chunk(2, number(1, key) + chunk(2, name))) for key, name in ((3, "id"), (4, "n"))),
    )
    assert [one.step for one in rows_of(read_events(data))] == [-5, 6, None, None]


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=4))
def test_times_of_any_size_are_read(times):
    data = host(line(*(event(1, at, long) for at, long in times)), named(1, "é/x:Y"))
    assert rows_of(read_events(data)) == [read("é/x:Y", at, long) for at, long in times]


@pytest.mark.parametrize(
    ("path", "key"),
    [
        ("source/ReadFile", "at:source"),
        ("stages_12/a/b/Mul", "at:stages.12"),
        ("stages_1_source/Parse", "at:stages.1.source"),
        ("stages_1_stages_0/stages_0/Mul_3", "at:stages.1.stages.0"),
        ("model/stages_0/Mul", None),
        ("stages_0", None),
        ("stages_x/Mul", None),
        ("sources/Mul", None),
        ("", None),
    ],
)
def test_the_scope_of_an_op_is_its_stage(path, key):
    assert key_of(path, None) == key


def test_time_in_python_is_the_union_of_its_calls():
    second = 10**12
    events = [
        Event(1, "PyFunc:PyFunc", 0, 2 * second),
        Event(2, "stages_0/EagerPyFunc:EagerPyFunc", second, 2 * second),
        Event(3, "PyFuncStateless:PyFuncStateless", 10 * second, second),
        Event(3, "stages_0/DecodeJpeg:DecodeJpeg", 0, 50 * second),
    ]
    assert python_seconds(traced(events)) == 4.0


@pytest.mark.parametrize(
    ("room", "events"),
    [(None, MOST_EVENTS), (20 * 10**9, MOST_EVENTS), (10**9, 250_000), (4 * 10**8, 100_000), (3 * 10**8, None)],
)
def test_tracing_leaves_half_of_the_room(room, events):
    assert events_for(room) == events


class Recording:
    """Is ended after so many batches, after 0.1 s."""

    seconds = 0.1

    def __init__(self, batches: int) -> None:
        self.left = batches + 1

    @property
    def cut(self) -> bool:
        self.left -= 1
        return not self.left


@pytest.mark.parametrize(
    ("data", "until", "cut", "epochs", "batches", "ended"),
    [
        pytest.param([1, 2, 3, 4, 5, 6, 7], -1.0, 10**9, True, 7, 0, id="an epoch to its end"),
        pytest.param([1, 2, 3, 4, 5, 6, 7], -1.0, 10**9, False, AT_LEAST, 0, id="a part of an epoch"),
        pytest.param([1, None], 1e9, 9, True, 9, 4, id="short epochs several times"),
        pytest.param([1, 2, 3], 1e9, 0, False, 0, 0, id="without the batch after the end"),
    ],
)
def test_batches_that_are_traced(data: Any, until: float, cut: int, epochs: bool, batches: int, ended: int):
    feed = Feed(data)
    recording: Any = Recording(cut)
    taken, seconds = _take(feed, until, 3e9, recording, epochs=epochs)
    assert (taken, seconds == 0.1) == (batches, cut < 10)
    assert feed.ended == ended


def test_times_since_1970_fit_64_bits():
    since = 1_790_000_000 * 10**9
    data = host(*(chunk(3, number(1, 7) + number(3, since + at) + event(1, 5, 2)) for at in (0, 9)), named(1, "a"))
    first, second = rows_of(read_events(data))
    assert second.start_ps - first.start_ps == 9000


@pytest.mark.parametrize("cut", [3, 20, 40, -1])
def test_a_damaged_file_is_said_to_be_one(cut: int):
    data = host(line(event(1, 1, 2), event(1, 10**9, 2)), named(1, "a"))
    with pytest.raises(DamagedError):
        read_events(data[:cut])


def test_reading_ends_when_it_is_told_to():
    def check() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read_events(host(line(event(1, 1, 2)), named(1, "a")), check)


def recorded(
    monkeypatch: pytest.MonkeyPatch, look: float, *stretches: float, batches: int = 4, room: int | None = None
) -> tuple[Any, list[float]]:
    """Record with planned shares of the events that are wanted: of the first look, and of each stretch."""
    asked: list[float] = []
    shares = list(stretches)

    def once(_feed: object, seconds: float, _fill: float | None, given: int | None) -> Any:
        assert given == room
        asked.append(seconds)
        share = shares.pop(0)
        return SimpleNamespace(data=[share], seconds=seconds, events=round(share * MOST_EVENTS), batches=batches)

    monkeypatch.setattr(recording, "_first_look", lambda _feed, _most, _room: (look, 0.1))
    monkeypatch.setattr(recording, "_record_once", once)
    monkeypatch.setattr(recording, "_share", lambda data, _most: data[0])
    return record(None, room), asked  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("look", "shares", "asked"),
    [
        pytest.param(0.0, [0.9], [SECONDS], id="no events"),
        pytest.param(0.1, [0.9], [SECONDS], id="few events"),
        pytest.param(0.5, [2.9], [0.2], id="many"),
        pytest.param(0.5, [10.0, 1.5], [0.2, 0.02], id="far more than the look had"),
    ],
)
def test_a_stretch_is_as_long_as_its_events_permit(
    look: float, shares: list[float], asked: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, seconds = recorded(monkeypatch, look, *shares)
    assert seconds == pytest.approx(asked)
    assert found.data == shares[-1:]


@pytest.mark.parametrize(
    ("stretches", "batches", "room", "why"),
    [
        ((10.0, 4.0), 4, None, r"too much happens in a batch \([0-9,]+ events in"),
        ((0.5,), 0, None, r"too much happens in a batch \([0-9,]+ events in"),
        ((1.0,), 4, 10**8, "more memory than is left"),
    ],
)
def test_a_batch_with_too_many_events_and_a_process_without_room_have_no_trace(
    stretches: tuple[float, ...], batches: int, room: int | None, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(NoTraceError, match=why):
        recorded(monkeypatch, 0.5, *stretches, batches=batches, room=room)


@pytest.mark.parametrize(("room", "cut_after"), [(1000, 4), (10_000, 8), (None, 1)])
def test_a_recording_ends_before_it_takes_more_than_half_of_what_is_left(
    monkeypatch: pytest.MonkeyPatch, room: int | None, cut_after: int
) -> None:
    now, waits, ended = [0], [], []
    # It has grown by 150 bytes at each look.
    monkeypatch.setattr(recording.procfs, "rss_bytes", lambda _pid: 5000 + 150 * len(waits))
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic_ns=lambda: now[0]))

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        now[0] += round(seconds * 1e9)
        return False

    made = recording._Recording(0.4, room)
    monkeypatch.setattr(made, "_over", SimpleNamespace(wait=wait))
    monkeypatch.setattr(made, "_end", lambda *, cut: ended.append(cut))
    made._watch()
    assert ended == [True]
    assert len(waits) == cut_after


def test_files_count_by_events_or_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "count_events", lambda data: 1000 * len(data) // 10_000)
    assert recording._share([bytes(10_000), bytes(10_000)], 1000) == pytest.approx(2.0)
    assert recording._share([bytes(MOST_BYTES // 100)], 10**12) == pytest.approx(0.01)
