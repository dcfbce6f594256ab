"""Steps of a run in a trace with a mark around each request: their waits, why the device idles, what is not said."""

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.gaps.analysed import said
from unit.gaps.made_traces import PYTHON, US, Called, Did, Made, as_xplane
from unit.worker.encoded_trace import event, line, named, plane

from pipeprof.profiles.gaps import steps
from pipeprof.profiles.gaps.intervals import covered
from pipeprof.profiles.gaps.reading import read_trace
from pipeprof.profiles.gaps.steps import DeviceSeen, read_device, steps_of
from pipeprof.profiles.gaps.xplane import read_xplane
from pipeprof.profiles.protocol.messages import REQUEST_MARK, DeviceRead

MS = 1_000 * US
PS = 10**9
"""Picoseconds of a millisecond."""
TRACES = Path(__file__).parents[2] / "recorded" / "traces"


def loop(count: int = 24, *, late: int = 0) -> Made:
    """A batch each 10 ms: 6 of fetching, 1 of a copy, then a kernel of 3.

    Args:
        late: Microseconds by which the clock of the host is late.
    """
    made = Made()
    for step in range(count):
        start = 10 * MS * step + MS
        asked = start + 7 * MS
        made.host.append(Called(REQUEST_MARK, start, start + 6 * MS))
        made.host.append(Called("MemcpyH2D", start + 6 * MS, asked))
        made.host.append(Called("cuLaunchKernel", asked + late * US, asked + (late + 2) * US, "", step))
        made.work.append(Did(asked + 5 * US, asked + 3 * MS, step))
    return made


def seen_in(made: Made, count: int = 24) -> DeviceSeen:
    return steps_of(read_xplane(as_xplane(made)), [True] * count)


def test_the_gaps_of_the_steps_have_their_causes_and_each_step_its_wait():
    seen = seen_in(loop())
    assert seen.unknown is None
    # A quarter of the 23 whole steps is left out.
    assert (seen.window.count, seen.window.seconds) == (17, pytest.approx(0.17))
    assert seen.window.wait_ms.mean == pytest.approx(6.0)
    assert seen.window.busy_share == pytest.approx(0.2995)
    assert seen.idle_share == pytest.approx(0.7005)
    assert seen.gaps.seconds == pytest.approx(0.17)
    assert seen.gaps.by_cause["pipeline"] == pytest.approx(0.6 * 0.17)
    assert seen.gaps.by_cause["copy"] == pytest.approx(0.1 * 0.17)
    assert seen.gaps.longest[0].cause == "pipeline"
    assert [gpu.name for gpu in seen.gpus] == ["GPU 0"]


def test_a_fetch_while_the_device_computes_is_no_wait():
    made = loop()
    made.work += [Did(did.begin, did.begin + 9 * MS, None, 0, 8) for did in made.work]
    window = seen_in(made).window
    assert window.wait_ms.mean == pytest.approx(0.0, abs=0.01)


def test_what_lies_between_two_epochs_is_no_gap():
    made, second = loop(41), (10 * 21 + 1) * MS
    for rows in (made.host, made.work):
        rows[:] = [
            row if row.begin < second else replace(row, begin=row.begin + 500 * MS, end=row.end + 500 * MS)
            for row in rows
        ]
    came = [True] * 41
    came[20] = False
    seen = steps_of(read_xplane(as_xplane(made)), came)
    assert seen.gaps.seconds == pytest.approx(0.010 * 29)
    assert max(gap.ms for gap in seen.gaps.longest) < 10
    assert seen.window.wait_ms.max == pytest.approx(6.0)


def test_several_devices_have_a_row_each_and_their_mean():
    made = loop()
    made.work += [Did(did.begin, did.end + 2 * MS, None, 1) for did in made.work]
    seen = seen_in(made)
    assert [gpu.name for gpu in seen.gpus] == ["GPU 0", "GPU 1"]
    assert [gpu.idle_share for gpu in seen.gpus] == [pytest.approx(0.7005), pytest.approx(0.5005)]
    assert seen.idle_share == pytest.approx(0.6005)
    assert sum(seen.gaps.by_cause.values()) / (seen.gaps.seconds or 0) == pytest.approx(0.6005)


def test_clocks_that_disagree_leave_the_idle_share_and_say_why_there_is_no_cause():
    seen = seen_in(loop(late=100))
    assert (seen.window, seen.idle_share) == (None, pytest.approx(0.7005))
    assert (seen.gaps.by_cause, seen.gaps.longest) == ({}, [])
    assert said("clocks-disagree", 24, 24) in (seen.unknown or "")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (Made(host=loop().host), said("no-device")),
        (Made(work=loop().work), said("few-requests", 0)),
        (loop(8), said("few-requests", 8)),
        (replace(loop(), work=loop().work[::2]), said("launches-lost", 11, 23)),
    ],
)
def test_what_spoils_everything_leaves_the_reason_alone(made, why):
    seen = seen_in(made)
    assert (seen.window, seen.gaps, seen.idle_share) == (None, None, None)
    assert why in (seen.unknown or "")


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (as_xplane(loop()), None),
        (b"", said("not-a-trace", "the file is empty")),
        (b"\xff" * 40, said("not-a-trace", "not a trace")),
        (None, said("not-written")),
    ],
)
def test_the_file_of_a_worker_is_read_and_removed(data, why, tmp_path):
    folder = tmp_path / "pipeprof-run-1"
    folder.mkdir()
    if data is not None:
        (folder / "host.xplane.pb").write_bytes(data)
    seen = read_device(DeviceRead([True] * 24, str(folder)))
    assert (seen.window is not None, seen.unknown is None) == (why is None, why is None)
    assert (seen.unknown or "").startswith(why or "")
    assert str(tmp_path) not in (seen.unknown or "")
    assert not folder.exists()


def test_a_folder_that_no_run_has_made_is_read_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert read_device(DeviceRead([True], str(tmp_path))).unknown is not None
    assert (tmp_path / "mine.txt").exists()


def test_fetches_of_tensorflow_inside_of_a_step_are_input_calls():
    # A step begins each 10 ms; TensorFlow fetches 2 ms later, for 6 ms, and the device works from 8 to 11 ms.
    begun = [event(1, 10 * number * PS, 0) for number in range(24)]
    calls = [event(4, 10 * number * PS, 9 * PS) for number in range(24)]
    fetches = [event(2, (10 * number + 2) * PS, 6 * PS) for number in range(24)]
    ops = [event(3, (10 * number + 2) * PS, PS // 100) for number in range(24)]
    work = [event(1, (10 * number + 8) * PS, 3 * PS) for number in range(24)]
    data = plane("/device:GPU:0", line(*work, name="Stream #7"), named(1, "kernel")) + plane(
        "/host:CPU",
        line(*begun, *calls, name="python", thread=PYTHON),
        line(*fetches, *ops, thread=78),
        named(1, REQUEST_MARK),
        named(2, "IteratorGetNextOp::DoCompute"),
        named(3, "IteratorGetNext:IteratorGetNext"),
        named(4, "KernelAndDeviceFunc::Run"),
    )
    window = steps_of(read_xplane(data), [True] * 24).window
    assert window.wait_ms.mean == pytest.approx(6.0)
    assert (window.wait_share, window.busy_share) == (pytest.approx(0.6), pytest.approx(0.3))


def test_a_trace_of_a_gpu_shows_when_it_ran_dry(tmp_path, monkeypatch):
    """An H200 and a loop in JAX: batches of 20.1 ms, steps of 9.4 ms alone, and a copy for which the loop waits."""
    path = tmp_path / "h200.xplane.pb"
    path.write_bytes(gzip.decompress((TRACES / "h200_jax_loop.xplane.pb.gz").read_bytes()))
    monkeypatch.setattr(steps, "LEAST_DEVICE_STEPS", 10)
    seen = steps_of(read_trace(path), [True] * 12, "input: next(iterator)")
    assert seen.unknown is None
    interval, waits = 1e3 * seen.window.seconds / seen.window.count, seen.window.wait_ms.mean
    assert seen.window.count == 8
    assert interval == pytest.approx(25.2, abs=0.1)
    # Of its 20.1 ms in a fetch the GPU is at work for the first 7.9.
    assert waits == pytest.approx(12.2, abs=0.1)
    assert (seen.window.busy_share or 0) * interval == pytest.approx(8.7, abs=0.1)


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), max_size=8),
    st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=5),
)
def test_what_a_set_covers_of_a_time_is_the_sum_of_what_is_common(lengths, times):
    edges = np.cumsum([length for pair in lengths for length in pair]).reshape(-1, 2).astype(np.int64)
    begins, ends = (np.array(values, np.int64) for values in zip(*map(sorted, times), strict=True))
    found = covered(*edges.T, begins, ends)
    for begin, end, worked in zip(begins, ends, found, strict=True):
        assert worked == sum(max(0, min(end, b) - max(begin, a)) for a, b in edges)
