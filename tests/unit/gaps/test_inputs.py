"""Files and folders as they come: several runs and hosts, a viewer's format, damage, limits, and what is no trace."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.gaps.analysed import OP, analysed, document, found_in, found_in_json, found_in_planes, said, shares
from unit.gaps.made_traces import (
    FORMATS,
    PYTHON,
    US,
    Called,
    Did,
    Made,
    as_json,
    as_xplane,
    device_planes,
    host_plane,
    plane,
    stalled,
    write,
)
from unit.worker.encoded_trace import chunk

from pipeprof.profiles.gaps import chrome, reading, trace
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.trace import TraceError

IDLE = pytest.approx(0.3, abs=0.02)
LATEST = said("several-runs", 2)
ENDS_EARLY = "Compressed file ended before the end-of-stream marker was reached"


def filled(folder: Path, *names: str) -> Path:
    """A folder with traces of these names."""
    data = {"pb": as_xplane(stalled("xplane", OP)), "json": json.dumps(document()).encode()}
    data["gz"] = gzip.compress(data["json"])
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data[file.suffix[1:]])
    return folder


NEWER = "train/2026_11_27_08_00_00/a.xplane.pb"
FOLDERS = [f"host{host}/plugins/profile/2026_11_27_08_00_00/a.xplane.pb" for host in range(3)]
HOSTS = [f"plugins/profile/2026_01_02/host{host:02}.xplane.pb" for host in range(40)]


@pytest.mark.parametrize(
    ("names", "found", "notes"),
    [
        # The latest run by its name, whoever was written last.
        ([NEWER, "old/2026_11_26_08_00_00/a.xplane.pb"], [NEWER], [LATEST]),
        # Hosts with a folder each are one run; so are forty in one.
        (FOLDERS, FOLDERS, []),
        (HOSTS, HOSTS, []),
        (
            ["a_1.99.pt.trace.json", "a_1.1623143566756.pt.trace.json.gz", "b_2.5.pt.trace.json"],
            ["a_1.1623143566756.pt.trace.json.gz", "b_2.5.pt.trace.json"],
            [said("several-traces", 3)],
        ),
        # Other names are much else.
        (["trace.json", "rank1.json.gz", "host.xplane.pb"], ["host.xplane.pb"], []),
    ],
)
def test_of_a_folder_the_latest_run_is_read(names, found, notes, tmp_path):
    filled(tmp_path, *names)
    files, said_of_it = find_traces(tmp_path)
    assert [str(file.relative_to(tmp_path)) for file in files] == found
    assert said_of_it == notes


def test_of_folders_with_other_names_the_one_that_was_written_last_is_read(tmp_path):
    filled(tmp_path, "run_9/w.pt.trace.json", "run_10/w.pt.trace.json")
    for older, newer in (("run_9", "run_10"), ("run_10", "run_9")):
        os.utime(tmp_path / older / "w.pt.trace.json", (1, 1))
        os.utime(tmp_path / newer / "w.pt.trace.json", (2, 2))
        assert [file.parent.name for file in find_traces(tmp_path).files] == [newer]


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_where_there_is_no_trace_that_is_an_error(name, tmp_path):
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "empty" / "a.json")
    with pytest.raises(TraceError, match=str(tmp_path / name)):
        find_traces(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.xplane.pb", b"", "the file is empty"),
        ("a.json", b"[]", "it has no event"),
        ("a.json", b'{"a": 1}', "without a list"),
        ("a.json", b"{", "without a list"),
        ("a.json", b'{"traceEvents": 3}', "without a list"),
        ("a.txt", b"no trace at all, but some text", "not a trace"),
        ("a.xplane.pb", b"\xff" * 100, "not a trace"),
        ("a.json.gz", b"\x1f\x8b\x08\x00 nothing", "damaged"),
        ("a.sqlite", b"SQLite format 3\x00" + bytes(200), "Nsight Systems"),
        ("x.input_pipeline.pb", b"\x0a\x02", "result of another tool"),
        ("pipe", None, "not a file"),
    ],
)
def test_what_is_no_trace_is_named(name, data, says, tmp_path):
    path = tmp_path / name
    if data is None:
        os.mkfifo(path)
    else:
        path.write_bytes(data)
    with pytest.raises(TraceError, match=says) as raised:
        read_trace(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert raised.value.exit_code == 6


def test_the_same_trace_says_the_same_in_each_format(tmp_path):
    found = [found_in(stalled(form, None), form, tmp_path) for form in FORMATS]
    made = document()
    # A list alone is a trace, whatever unit it is to be shown in.
    found += [found_in_json(one, tmp_path) for one in (made["traceEvents"], made, made | {"displayTimeUnit": "ns"})]
    assert {(one.events, round(one.idle_share or 0.0, 6)) for _, [one] in found[:2]} == {(20, 0.3)}
    assert len({trace.sentence for trace, _ in found[:2]}) == len({trace.sentence for trace, _ in found[2:]}) == 1


def test_a_packed_xplane_that_ends_early_says_so(tmp_path):
    planes = [chunk(1, one) for one in device_planes(stalled("xplane", OP))]
    path = tmp_path / "host.xplane.pb.gz"
    # All of the planes, but not the end of the packed file: others may have followed.
    path.write_bytes(gzip.compress(b"".join(planes))[:-6])
    found, [device] = analysed(path)
    assert found.notes == [said("file-damaged", ENDS_EARLY)]
    assert (device.idle_share, found.by_cause) == (IDLE, {})


def test_a_plane_before_a_damage_is_kept_and_the_damage_is_named(tmp_path):
    made = stalled("xplane", OP)
    planes = [*device_planes(made), host_plane(made)]
    path = tmp_path / "cut.xplane.pb"
    whole = b"".join(chunk(1, one) for one in planes)
    path.write_bytes(whole[:-100])
    found, [device] = analysed(path)
    assert (device.idle_share, device.reasons) == (IDLE, ["no-host"])
    at = len(chunk(1, planes[0]))
    assert found.notes == [said("plane-cut", 2, ', "/host:CPU",', at, len(whole) - 100)]
    # What is behind the host's plane spoils nothing.
    found, [device] = found_in_planes(tmp_path, *planes, more=b"\x0a\xff\xff")
    assert shares(device)["op"] >= 0.95
    assert len(found.notes) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_json_keeps_what_was_read(packed, tmp_path):
    text = json.dumps(as_json(stalled("json", OP, marks=False))).encode()
    path = tmp_path / "made.json"
    path.write_bytes(gzip.compress(text)[:-300] if packed else text[: len(text) * 2 // 3])
    found, [device] = analysed(path)
    assert device.idle_share is None
    assert "device-unread" in device.reasons
    assert device.idle_at_most is not None
    assert found.notes == [said("file-damaged", ENDS_EARLY) if packed else said("truncated")]
    assert device.events > 5


MALFORMED: dict[str, Callable[[str], str]] = {
    "no comma after it": lambda event: f"{event} {event}",
    "a quote that does not end": lambda event: event.replace('"aten::add"', '"aten::add', 1),
    "a number that is none": lambda event: event.replace('"dur": ', '"dur": 1.2.3', 1),
    "bytes that are no text": lambda event: event.replace("aten::add", "aten::\udcff", 1),
}


@pytest.mark.parametrize("spoil", MALFORMED.values(), ids=MALFORMED)
def test_one_malformed_event_of_any_kind_leaves_the_others(spoil, tmp_path):
    events = [json.dumps(event) for event in as_json(stalled("json", OP, steps=1500))["traceEvents"]]
    at = next(number for number, event in enumerate(events) if number > 2000 and "aten::add" in event)
    events[at] = spoil(events[at])
    path = tmp_path / "made.json"
    path.write_bytes(f'{{"traceEvents": [{", ".join(events)}]}}'.encode(errors="surrogateescape"))
    found, [device] = analysed(path)
    assert (device.idle_share, found.verdict) == (pytest.approx(0.3, abs=0.001), "op")
    assert shares(device)["op"] >= 0.95


@pytest.mark.parametrize(("category", "known"), [("cpu_op", True), ("kernel", False)])
def test_of_few_events_one_that_is_malformed_spoils_what_it_is_of(category, known, tmp_path):
    text = json.dumps(document())
    at = text.index(f'"{category}"', len(text) // 20)
    found, [device] = found_in_json(f"{text[:at]}%{text[at:]}", tmp_path)
    assert found.notes == [said("events-unread", 1)]
    assert (device.idle_share is not None, bool(found.by_cause)) == (known, known)


def test_events_without_a_time_are_left_out(tmp_path):
    made = document()
    call = {"ph": "X", "cat": "cpu_op", "name": "x", "pid": 7, "tid": 7}
    kernel = {"ph": "X", "cat": "kernel", "ts": 1e300, "dur": 1, "args": {"device": 0}}
    made["traceEvents"] = [call | {"ts": 1e300}, *made["traceEvents"], call | {"ts": 5, "dur": -3}, 17, None, kernel]
    step = next(event for event in made["traceEvents"] if str((event or {}).get("name")).startswith("ProfilerStep"))  # type: ignore[union-attr]
    step["ts"] = 10**40
    found, [device] = found_in_json(made, tmp_path)
    assert found.notes == [said("events-backwards", 1), said("events-unread", 4)]
    assert (device.idle_share, device.idle_at_most) == (None, IDLE)


@pytest.mark.parametrize("form", FORMATS)
def test_many_times_that_run_backwards_withhold_what_they_spoil(form, tmp_path):
    made = stalled(form, OP)
    made.work[5:8] = [Did(did.end, did.begin, did.launch) for did in made.work[5:8]]
    made.steps[3] = made.steps[3][::-1]
    found, [device] = found_in(made, form, tmp_path)
    assert found.notes == [said("events-backwards", 3)]
    assert device.idle_share is None
    assert device.idle_at_most is not None


@pytest.mark.parametrize("name", ["correlation", "stream", "External id", "device"])
def test_numbers_of_more_than_64_bits_spoil_their_event_alone(name, tmp_path):
    made = document()
    events = [event for event in made["traceEvents"] if event.get("cat") in ("kernel", "cpu_op")]
    for event in (events[0], events[-1]):
        event["args"][name] = 1 << 63
    _, devices = found_in_json(made, tmp_path)
    assert sum(device.events for device in devices) >= 19


@pytest.mark.parametrize("form", FORMATS)
def test_events_beyond_the_most_are_left_out_and_what_is_spoilt_is_withheld(form, tmp_path, monkeypatch):
    monkeypatch.setattr(trace, "MOST_EVENTS", 30)
    found, [device] = found_in(stalled(form, OP), form, tmp_path)
    assert (found.notes, device.idle_share, device.reasons) == ([said("host-full", 30)], IDLE, ["host-unread"])
    monkeypatch.setattr(trace, "MOST_EVENTS", 15)
    found, [device] = found_in(stalled(form, OP), form, tmp_path)
    assert found.notes == [said("devices-full", 15), said("host-full", 15)]
    assert device.idle_share is None


@pytest.mark.parametrize(
    ("name", "most", "code"), [("MOST_SCANNED", 40, "too-many"), ("MOST_BYTES", 5_000, "too-long")]
)
def test_json_is_read_up_to_a_limit_that_is_said(name, most, code, tmp_path, monkeypatch):
    monkeypatch.setattr(chrome, name, most)
    monkeypatch.setattr(chrome, "_CHUNK", 1_000)
    found, [device] = found_in(stalled("json", OP), "json", tmp_path)
    assert found.notes == [said(code, most)]
    assert device.idle_share is None
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b'{"traceEvents": [' + b"{}, " * 10_000 + b"{}]}"))
    with pytest.raises(TraceError, match=said(code, most)):
        read_trace(bomb)
    monkeypatch.setattr(reading, "MOST_UNPACKED", 1000)
    bomb.write_bytes(gzip.compress(b"\n" + bytes(10**6)))
    with pytest.raises(TraceError, match="unpacks to more than"):
        read_trace(bomb)


def viewer(made: Made) -> dict[str, Any]:
    """The trace as TensorFlow's and JAX's viewer of XPlane files shows it, with a module of XLA over all of it."""
    names = [("process_name", 1, None, "/device:GPU:0"), ("process_name", 2, None, "/host:CPU")]
    names += [("thread_name", 1, 7, "Stream #7(Compute)"), ("thread_name", 2, PYTHON, "python")]
    names += [("thread_name", 1, 9, "XLA Modules"), ("thread_name", 1, 10, "Steps")]
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": kind, "pid": pid, "args": {"name": name}} | ({"tid": tid} if tid is not None else {})
        for kind, pid, tid, name in names
    ]
    for event in as_json(made)["traceEvents"][1:]:
        one = {key: event[key] for key in ("ph", "name", "ts", "dur", "tid")}
        one["pid"] = 1 if event["cat"] == "kernel" else 2
        one["args"] = {"correlation_id": str(event["args"]["correlation"])} if "correlation" in event["args"] else {}
        if event["name"].startswith("ProfilerStep"):
            one |= {"name": "train", "args": {"step_num": event["name"].partition("#")[2]}}
        events.append(one)
    first, last = made.work[0].begin / US, made.work[-1].end / US
    events.append({"ph": "X", "pid": 1, "tid": 9, "name": "jit_train", "ts": first, "dur": last - first})
    return {"displayTimeUnit": "ns", "metadata": {"highres-ticks": True}, "traceEvents": events}


def test_the_json_of_a_viewer_says_what_its_xplane_says(tmp_path, monkeypatch):
    made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0))
    of_viewer, [device] = found_in_json(viewer(made), tmp_path)
    of_xplane, [other] = found_in(made, "xplane", tmp_path)
    assert (of_viewer.format, of_viewer.sentence) == ("XPlane as JSON", of_xplane.sentence)
    assert (device.steps, device.idle_share) == (other.steps, pytest.approx(other.idle_share))
    assert shares(device) == pytest.approx(shares(other))
    # One that shows no more events may have left some out.
    monkeypatch.setattr(chrome, "_MOST_SHOWN", 81)
    _, [device] = found_in_json(viewer(made), tmp_path)
    assert device.why_no_idle == [said("viewer-full", 81)]


def test_a_gpu_with_modules_of_xla_is_busy_with_kernels(tmp_path):
    made = stalled("xplane", OP)
    kernels = [("fusion", did.begin, did.end, {"correlation_id": did.launch or 0}) for did in made.work]
    module = [("jit_train", made.work[0].begin, made.work[-1].end, {})]
    device = plane("/device:GPU:0", [(7, "Stream #7(Compute)", kernels), (9, "XLA Modules", module)])
    _, [found] = found_in_planes(tmp_path, device, host_plane(made))
    assert found.idle_share == IDLE


def test_ops_of_a_tpu_within_others_are_one_work_and_its_sparse_core_is_a_part_of_it(tmp_path):
    loops, inner, sparse = (
        [(name, (1000 * step + begin) * US, (1000 * step + end) * US, {}) for step in range(20)]
        for name, begin, end in (("while", 0, 600), ("dot", 100, 200), ("gather", 500, 700))
    )
    ops = [one for pair in zip(loops, inner, strict=True) for one in pair]
    planes = [
        plane("/device:TPU:0", [(1, "XLA Ops", ops)]),
        plane("/device:TPU:0 SparseCore 0", [(1, "XLA Ops", sparse)]),
    ]
    _, [found] = found_in_planes(tmp_path, *planes, host_plane(Made(host=[OP])))
    assert (found.name, found.window) == ("TPU 0", "events")
    assert found.idle_share == pytest.approx(19 * 300 / (19 * 1000 + 700))


def test_calls_that_another_recorder_has_in_a_plane_of_its_own_are_of_the_host(tmp_path):
    made = stalled("xplane", Called("$train.py:12 metrics", 0, 0))
    calls = [
        (one.name, one.begin, one.end, {"correlation_id": one.launch}) for one in made.host if one.launch is not None
    ]
    made.host = [one for one in made.host if one.launch is None]
    others = plane("/host:CUPTI", [(99, "launcher", calls)])
    found, [device] = found_in_planes(tmp_path, *device_planes(made), host_plane(made), others)
    assert found.verdict == "python"
    # After the last kernel nothing is launched.
    assert device.without_launch_share == pytest.approx(295 / 6000)


def test_marks_of_steps_are_steps_in_whatever_category_a_version_writes_them(tmp_path):
    made = document()
    for category in ("user_annotation", "cpu_op", "Operator"):
        for event in made["traceEvents"]:
            if str(event["name"]).startswith("ProfilerStep"):
                event["cat"] = category
        _, [device] = found_in_json(made, tmp_path)
        assert (device.window, device.steps, device.idle_share) == ("steps", 20, IDLE)


def test_an_interruption_while_a_file_is_read_stays_one(tmp_path, monkeypatch):
    path = write(stalled("xplane", OP), "xplane", tmp_path)

    def interrupted(data: bytes) -> None:
        view = memoryview(data)
        raise KeyboardInterrupt(len(view))

    monkeypatch.setattr(reading, "read_xplane", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_trace(path)
