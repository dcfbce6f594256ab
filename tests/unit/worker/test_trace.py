"""The trace file, encoded by hand here, and which stage its ops belong to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.worker.encoded_trace import LINE_PS, chunk, event, line, named, number, plane
from unit.worker.fakes import Event, rows_of, traced

from pipeprof.pipelines.wire import DamagedError
from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.events import python_seconds
from pipeprof.profiles.worker.trace.record import AT_LEAST, MOST_EVENTS, _take, events_for
from pipeprof.profiles.worker.trace.work import key_of
from pipeprof.profiles.xplane.xplane import count_events, read_events

MS = 10**9  # picoseconds


def test_events_on_host_threads_are_read():
    data = plane(
        "/host:CPU",
        line(event(1, 10, 2000), event(2, 5000, 7)),
        line(event(1, 3, 4), thread=78),
        named(1, "stages_0/DecodeJpeg:DecodeJpeg"),
        named(2, "Iterator::Batch"),
    )
    assert rows_of(read_events(data)) == [
        Event(77, "stages_0/DecodeJpeg:DecodeJpeg", LINE_PS + 10, 2000),
        Event(77, "Iterator::Batch", LINE_PS + 5000, 7),
        Event(78, "stages_0/DecodeJpeg:DecodeJpeg", LINE_PS + 3, 4),
    ]


def test_other_planes_are_passed_over():
    noise = plane("/device:GPU:0", line(event(1, 1, 1)), named(1, "kernel"))
    meta = plane("/host:metadata", line(event(1, 1, 1)), named(1, "x"))
    host = plane("/host:CPU", line(event(1, 1, 2)), named(1, "mine"))
    assert rows_of(read_events(noise + meta + host)) == [Event(77, "mine", LINE_PS + 1, 2)]


def test_names_are_those_of_the_events_own_plane():
    one = plane("/host:CPU", line(event(1, 1, 2)), named(1, "one"))
    two = plane("/host:CPU:1", line(event(1, 1, 2)), named(1, "two"))
    assert rows_of(read_events(one + two)) == [Event(77, "one", LINE_PS + 1, 2), Event(77, "two", LINE_PS + 1, 2)]


def test_an_event_without_a_name_has_an_empty_one():
    assert rows_of(read_events(plane("/host:CPU", line(event(9, 1, 2))))) == [Event(77, "", LINE_PS + 1, 2)]


def test_fields_of_later_versions_are_passed_over():
    stats = chunk(4, number(1, 8) + number(3, 99))
    data = chunk(9, "host") + plane(
        "/host:CPU", line(event(1, 1, 2, stats, number(5, 3))), named(1, "a"), chunk(5, number(1, 1)), chunk(60, "new")
    )
    assert rows_of(read_events(data)) == [Event(77, "a", LINE_PS + 1, 2)]


def test_turns_of_the_executor_have_the_number_of_their_call():
    other, signed, unsigned = number(1, 4) + number(4, 9), number(1, 3) + number(4, -5), number(1, 3) + number(3, 6)
    data = plane(
        "/host:CPU",
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
    data = plane("/host:CPU", line(*(event(1, at, long) for at, long in times)), named(1, "é/x:Y"))
    assert rows_of(read_events(data)) == [Event(77, "é/x:Y", LINE_PS + at, long) for at, long in times]


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

    def __init__(self, batches: int = 10**9) -> None:
        self.left = batches + 1

    @property
    def cut(self) -> bool:
        self.left -= 1
        return not self.left


@pytest.mark.parametrize(("epochs", "batches"), [(True, 7), (False, AT_LEAST)])
def test_an_epoch_is_traced_to_its_end(epochs: bool, batches: int):
    feed = Feed([1, 2, 3, 4, 5, 6, 7])
    assert _take(feed, -1.0, 9.0, Recording(), epochs=epochs)[0] == batches  # type: ignore[arg-type]
    assert feed.ended == 0


def test_short_epochs_are_traced_several_times():
    feed = Feed([1, None])
    assert _take(feed, 1e9, 3e9, Recording(9), epochs=True)[0] == 9  # type: ignore[arg-type]
    assert feed.ended == 4


@pytest.mark.parametrize("batches", [0, 2])
def test_a_batch_that_comes_after_the_end_does_not_count(batches: int):
    assert _take(Feed([1, 2, 3]), 1e9, 3e9, Recording(batches)) == (batches, 0.1)


def test_events_are_counted_without_reading_them():
    data = plane(
        "/host:CPU", line(event(1, 10, 2000), event(2, 5000, 7)), line(event(1, 3, 4), thread=78), named(1, "a")
    )
    assert count_events(data) == 3
    assert count_events(b"") == 0


def test_a_long_event_is_one_too():
    note = chunk(4, number(1, 8) + chunk(5, "x" * 20_000))
    data = plane("/host:CPU", line(event(1, 1, 2, note), event(1, 5, 2, note, note)), named(1, "a"))
    assert rows_of(read_events(data)) == [Event(77, "a", LINE_PS + 1, 2), Event(77, "a", LINE_PS + 5, 2)]


def test_files_are_read_together():
    one, two = (plane("/host:CPU", line(event(1, at, 2)), named(1, name)) for at, name in ((1, "a"), (2, "b")))
    assert rows_of(read_events(one + two)) == [*rows_of(read_events(one)), *rows_of(read_events(two))]
    assert rows_of(read_events(b"")) == []


def test_times_since_1970_fit_64_bits():
    since = 1_790_000_000 * 10**9
    data = plane(
        "/host:CPU", *(chunk(3, number(1, 7) + number(3, since + at) + event(1, 5, 2)) for at in (0, 9)), named(1, "a")
    )
    first, second = rows_of(read_events(data))
    assert second.start_ps - first.start_ps == 9000


@pytest.mark.parametrize("cut", [3, 20, 40, -1])
def test_a_damaged_file_is_said_to_be_one(cut: int):
    data = plane("/host:CPU", line(event(1, 1, 2), event(1, 10**9, 2)), named(1, "a"))
    with pytest.raises(DamagedError):
        read_events(data[:cut])


def test_reading_ends_when_it_is_told_to():
    def check() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        read_events(plane("/host:CPU", line(event(1, 1, 2)), named(1, "a")), check)
