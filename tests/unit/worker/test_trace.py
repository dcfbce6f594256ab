"""The trace file, encoded by hand here, and which stage its ops belong to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.profiles.worker.steps.loop import Feed
from pipeprof.profiles.worker.trace.trace import AT_LEAST, _take, key_of, passed_on, python_time, seconds_for
from pipeprof.profiles.worker.trace.xplane import Event, read_events

MS = 10**9  # picoseconds


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def chunk(field: int, value: bytes | str) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return varint(field << 3 | 2) + varint(len(data)) + data


LINE_NS = 1234
LINE_PS = LINE_NS * 1000


def event(metadata: int, offset: int, duration: int, *more: bytes) -> bytes:
    return chunk(4, number(1, metadata) + number(2, offset) + number(3, duration) + b"".join(more))


def line(*events: bytes, name: str = "tf_data_worker", thread: int = 77) -> bytes:
    return chunk(3, number(1, thread) + chunk(2, name) + number(3, LINE_NS) + b"".join(events) + number(9, 5))


def named(key: int, name: str) -> bytes:
    return chunk(4, number(1, key) + chunk(2, number(1, key) + chunk(2, name)))


def plane(name: str, *parts: bytes) -> bytes:
    return chunk(1, number(1, 3) + chunk(2, name) + b"".join(parts))


def test_events_on_host_threads_are_read():
    data = plane(
        "/host:CPU",
        line(event(1, 10, 2000), event(2, 5000, 7)),
        line(event(1, 3, 4), thread=78),
        named(1, "stages_0/DecodeJpeg:DecodeJpeg"),
        named(2, "Iterator::Batch"),
    )
    assert list(read_events(data)) == [
        Event(77, "stages_0/DecodeJpeg:DecodeJpeg", LINE_PS + 10, 2000),
        Event(77, "Iterator::Batch", LINE_PS + 5000, 7),
        Event(78, "stages_0/DecodeJpeg:DecodeJpeg", LINE_PS + 3, 4),
    ]


def test_other_planes_are_passed_over():
    noise = plane("/device:GPU:0", line(event(1, 1, 1)), named(1, "kernel"))
    meta = plane("/host:metadata", line(event(1, 1, 1)), named(1, "x"))
    host = plane("/host:CPU", line(event(1, 1, 2)), named(1, "mine"))
    assert list(read_events(noise + meta + host)) == [Event(77, "mine", LINE_PS + 1, 2)]


def test_names_are_those_of_the_events_own_plane():
    one = plane("/host:CPU", line(event(1, 1, 2)), named(1, "one"))
    two = plane("/host:CPU:1", line(event(1, 1, 2)), named(1, "two"))
    assert list(read_events(one + two)) == [Event(77, "one", LINE_PS + 1, 2), Event(77, "two", LINE_PS + 1, 2)]


def test_an_event_without_a_name_has_an_empty_one():
    assert list(read_events(plane("/host:CPU", line(event(9, 1, 2))))) == [Event(77, "", LINE_PS + 1, 2)]


def test_fields_of_later_versions_are_passed_over():
    stats = chunk(4, number(1, 8) + number(3, 99))
    data = chunk(9, "host") + plane(
        "/host:CPU", line(event(1, 1, 2, stats, number(5, 3))), named(1, "a"), chunk(5, number(1, 1)), chunk(60, "new")
    )
    assert list(read_events(data)) == [Event(77, "a", LINE_PS + 1, 2)]


def test_an_empty_trace_has_no_events():
    assert list(read_events(b"")) == []


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
    assert [one.step for one in read_events(data)] == [-5, 6, None, None]


@given(st.lists(st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)), max_size=4))
def test_times_of_any_size_are_read(times):
    data = plane("/host:CPU", line(*(event(1, at, long) for at, long in times)), named(1, "é/x:Y"))
    assert list(read_events(data)) == [Event(77, "é/x:Y", LINE_PS + at, long) for at, long in times]


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


def test_time_in_python_is_the_union_of_its_calls_and_their_sum():
    second = 10**12
    events = [
        Event(1, "PyFunc:PyFunc", 0, 2 * second),
        Event(2, "stages_0/EagerPyFunc:EagerPyFunc", second, 2 * second),
        Event(3, "PyFuncStateless:PyFuncStateless", 10 * second, second),
        Event(3, "stages_0/DecodeJpeg:DecodeJpeg", 0, 50 * second),
    ]
    assert python_time(events) == (4.0, 5000.0)


def test_elements_are_counted_from_the_first_look_and_of_new_iterators_whole():
    assert passed_on({1: 100, 2: 50}, {1: 300, 2: 40, 3: 7}) == 207


@pytest.mark.parametrize(
    ("room", "seconds"), [(None, 1.0), (20 * 10**9, 1.0), (10**9, 0.25), (4 * 10**8, 0.1), (3 * 10**8, None), (0, None)]
)
def test_tracing_leaves_half_of_the_room(room, seconds):
    assert seconds_for(room) == seconds


class Passed:
    """Says that there were as many elements as a trace can take, the so-manieth time it is asked."""

    def __init__(self, last: int = 100) -> None:
        self.left = last

    def too_many(self, _elapsed: float) -> bool:
        self.left -= 1
        return not self.left


@pytest.mark.parametrize(("epochs", "batches"), [(True, 7), (False, AT_LEAST)])
def test_an_epoch_is_traced_to_its_end(epochs: bool, batches: int):
    feed = Feed([1, 2, 3, 4, 5, 6, 7])
    assert _take(feed, -1.0, Passed(), epochs=epochs)[0] == batches  # type: ignore[arg-type]
    assert feed.ended == 0


def test_short_epochs_are_traced_several_times():
    feed = Feed([1, None])
    assert _take(feed, 1e9, Passed(6), epochs=True)[0] == AT_LEAST + 5  # type: ignore[arg-type]
    assert feed.ended == 4
