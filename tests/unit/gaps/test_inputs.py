"""Files and folders as they come: several runs and hosts, a viewer's format, damaged packing, tables of versions."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.gaps.made_traces import (
    FORMATS,
    PYTHON,
    US,
    Called,
    Did,
    Made,
    as_json,
    as_xplane,
    block,
    device_planes,
    host_plane,
    plane,
    stalled,
    write,
)
from unit.gaps.test_causes import found_in, shares
from unit.gaps.test_guards import analysed

from pipeprof.profiles.gaps import chrome, reading, trace
from pipeprof.profiles.gaps.names import CAUSES, cause_of
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.trace import TraceError

OP = Called("aten::add", 0, 0)
LOADER = Called("enumerate(DataLoader)", 0, 0, "user_annotation")


def filled(folder: Path, *names: str) -> Path:
    """A folder with traces of these names."""
    data = {"pb": as_xplane(stalled("xplane", OP)), "json": json.dumps(as_json(stalled("json", OP))).encode()}
    data["gz"] = gzip.compress(data["json"])
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data[file.suffix[1:]])
    return folder


def found(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files of a folder, and its notes."""
    files, notes = find_traces(folder)
    return [str(file.relative_to(folder)) for file in files], notes


def test_of_folders_that_are_named_by_a_time_the_latest_one_is_read_whoever_wrote_it_last(tmp_path: Path) -> None:
    filled(tmp_path, "train/2026_11_27_08_00_00/a.xplane.pb", "old/2026_11_26_08_00_00/a.xplane.pb")
    assert found(tmp_path) == (
        ["train/2026_11_27_08_00_00/a.xplane.pb"],
        ["the folder has 2 runs: the latest one is read"],
    )


def test_hosts_with_a_folder_each_are_one_run(tmp_path: Path) -> None:
    names = [f"host{number}/plugins/profile/2026_11_27_08_00_00/a.xplane.pb" for number in range(3)]
    assert found(filled(tmp_path, *names)) == (names, [])


def test_of_folders_with_other_names_the_one_that_was_written_last_is_read(tmp_path: Path) -> None:
    filled(tmp_path, "run_9/w.pt.trace.json", "run_10/w.pt.trace.json")
    os.utime(tmp_path / "run_9" / "w.pt.trace.json", (1, 1))
    assert found(tmp_path)[0] == ["run_10/w.pt.trace.json"]
    os.utime(tmp_path / "run_10" / "w.pt.trace.json", (0, 0))
    assert found(tmp_path)[0] == ["run_9/w.pt.trace.json"]


def test_of_a_worker_that_wrote_several_traces_the_latest_one_is_read(tmp_path: Path) -> None:
    filled(tmp_path, "a_1.99.pt.trace.json", "a_1.1623143566756.pt.trace.json.gz", "b_2.5.pt.trace.json")
    assert found(tmp_path) == (
        ["a_1.1623143566756.pt.trace.json.gz", "b_2.5.pt.trace.json"],
        ["3 traces are in it: the latest one of each worker is read"],
    )


def test_files_with_other_names_are_looked_for_where_there_are_no_usual_ones(tmp_path: Path) -> None:
    filled(tmp_path, "trace.json", "rank1.json.gz")
    (tmp_path / "package.json").write_text('{"name": "no trace"}', encoding="utf-8")
    (tmp_path / "broken.json.gz").write_bytes(b"\x1f\x8b\x08\x00")
    assert found(tmp_path)[0] == ["rank1.json.gz", "trace.json"]
    filled(tmp_path, "host.xplane.pb")
    assert found(tmp_path)[0] == ["host.xplane.pb"]


def test_files_beyond_the_most_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_FILES", 2)
    filled(tmp_path, "a.xplane.pb", "b.xplane.pb", "c.xplane.pb")
    assert found(tmp_path) == (["a.xplane.pb", "b.xplane.pb"], ["2 of 3 files are read"])


def test_what_comes_through_a_pipe_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(TraceError, match="not a file"):
        read_trace(tmp_path / "pipe")


def test_a_list_alone_is_a_trace_whatever_unit_it_is_to_be_shown_in(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    said = set()
    for number, one in enumerate((document["traceEvents"], document, document | {"displayTimeUnit": "ns"})):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(one), encoding="utf-8")
        found, _ = analysed(path)
        said.add(found.sentence)
    assert len(said) == 1


@pytest.mark.parametrize("behind", [b"no part of the file", b"\0" * 1000])
@pytest.mark.parametrize("form", ["json", "xplane"])
def test_what_follows_the_packed_file_is_not_of_it(form: str, behind: bytes, tmp_path: Path) -> None:
    path = write(stalled(form, OP), form, tmp_path)
    packed = tmp_path / "packed.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()) + behind)
    found, [device] = analysed(packed)
    assert found.notes == []
    assert shares(device)["op"] >= 0.95


def test_a_packed_xplane_that_ends_early_says_so(tmp_path: Path) -> None:
    planes = [block(1, one) for one in device_planes(stalled("xplane", OP))]
    path = tmp_path / "host.xplane.pb.gz"
    # All of the planes, but not the end of the packed file: others may have followed.
    path.write_bytes(gzip.compress(b"".join(planes))[:-6])
    found, [device] = analysed(path)
    assert found.notes == ["the file is damaged (it ends too early): what follows is not read"]
    assert device.idle_share is not None
    assert device.gaps is not None
    assert device.gaps.by_cause == {}


def test_what_unpacks_to_more_than_a_file_may_have_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_UNPACKED", 1000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(b"\n" + bytes(10**6)))
    with pytest.raises(TraceError, match="unpacks to more than 2 GiB"):
        read_trace(path)


@pytest.mark.parametrize("form", FORMATS)
def test_events_beyond_the_most_are_left_out_and_what_is_spoilt_is_withheld(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trace, "MOST_EVENTS", 30)
    found, [device] = found_in(stalled(form, OP), form, tmp_path)
    assert found.notes == ["the file has more than 30 events of the host: the others are not read"]
    assert device.idle_share == pytest.approx(0.3, abs=0.02)
    assert device.why_no_causes
    monkeypatch.setattr(trace, "MOST_EVENTS", 15)
    folder = tmp_path / "fewer"
    folder.mkdir()
    found, [device] = found_in(stalled(form, OP), form, folder)
    assert "more than 15 events of devices" in found.notes[0]
    assert device.idle_share is None


@pytest.mark.parametrize("form", FORMATS)
def test_many_times_that_run_backwards_withhold_what_they_spoil(form: str, tmp_path: Path) -> None:
    made = stalled(form, OP)
    made.work[5:8] = [Did(did.end, did.begin, did.launch) for did in made.work[5:8]]
    made.steps[3] = made.steps[3][::-1]
    found, [device] = found_in(made, form, tmp_path)
    assert found.notes == ["3 events end before they begin or have no time: left out"]
    assert device.idle_share is None
    assert device.idle_at_most is not None


def test_a_first_event_without_a_time_does_not_spoil_the_others(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    document["traceEvents"].insert(0, {"ph": "X", "cat": "cpu_op", "name": "x", "pid": 7, "tid": 7, "ts": 1e300})
    path = tmp_path / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    _, [device] = analysed(path)
    assert device.idle_share == pytest.approx(0.3)


@pytest.mark.parametrize("name", ["correlation", "stream", "External id", "device"])
def test_numbers_of_more_than_64_bits_spoil_their_event_alone(name: str, tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    events = [event for event in document["traceEvents"] if event.get("cat") in ("kernel", "cpu_op")]
    for event in (events[0], events[-1]):
        event["args"][name] = 1 << 63
    path = tmp_path / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    _, devices = analysed(path)
    assert sum(device.events for device in devices) >= 19


def test_a_step_at_no_time_is_none(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    step = next(event for event in document["traceEvents"] if event["name"].startswith("ProfilerStep"))
    step["ts"] = 10**40
    path = tmp_path / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    _, [device] = analysed(path)
    assert device.idle_share == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(
    ("name", "most", "says"),
    [("MOST_SCANNED", 40, "more than 40 events"), ("MOST_BYTES", 5_000, "more than 5,000 bytes of text")],
)
def test_json_is_read_up_to_a_limit_that_is_said(
    name: str, most: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chrome, name, most)
    monkeypatch.setattr(chrome, "_CHUNK", 1_000)
    found, [device] = found_in(stalled("json", OP), "json", tmp_path)
    assert any(says in note for note in found.notes)
    assert device.idle_share is None
    bomb = tmp_path / "bomb.json.gz"
    bomb.write_bytes(gzip.compress(b'{"traceEvents": [' + b"{}, " * 10_000 + b"{}]}"))
    with pytest.raises(TraceError, match=says):
        read_trace(bomb)


def test_a_pipe_in_a_folder_is_no_trace(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    with pytest.raises(TraceError, match="no other trace"):
        find_traces(tmp_path)


def test_work_that_is_not_of_one_device_has_no_bound(tmp_path: Path) -> None:
    made = stalled("json", OP, marks=False)
    made.work += [Did(did.begin + 333 * US, did.end + 333 * US, 500 + (did.launch or 0)) for did in made.work]
    found, [device] = found_in(made, "json", tmp_path)
    assert (device.idle_share, device.idle_at_most) == (None, None)
    assert "at most" not in found.sentence


MALFORMED: list[tuple[str, Callable[[str], str]]] = [
    ("no comma after it", lambda event: f"{event} {event}"),
    ("a quote that does not end", lambda event: event.replace('"aten::add"', '"aten::add', 1)),
    ("a brace that does not end", lambda event: event[:-1]),
    ("a number that is none", lambda event: event.replace('"dur": ', '"dur": 1.2.3', 1)),
    ("bytes that are no text", lambda event: event.replace("aten::add", "aten::\udcff", 1)),
    ("nothing in it", lambda _: "{}"),
]


@pytest.mark.parametrize(("what", "spoil"), MALFORMED)
def test_one_malformed_event_of_any_kind_leaves_the_others(
    what: str, spoil: Callable[[str], str], tmp_path: Path
) -> None:
    document = as_json(stalled("json", OP, steps=1500))
    events = [json.dumps(event) for event in document["traceEvents"]]
    at = next(number for number, event in enumerate(events) if number > 2000 and "aten::add" in event)
    events[at] = spoil(events[at])
    path = tmp_path / "made.json"
    path.write_bytes(f'{{"traceEvents": [{", ".join(events)}]}}'.encode(errors="surrogateescape"))
    found, [device] = analysed(path)
    assert device.idle_share == pytest.approx(0.3, abs=0.001), what
    assert shares(device)["op"] >= 0.95
    assert found.verdict == "op"


@pytest.mark.parametrize(("category", "known"), [("cpu_op", True), ("kernel", False)])
def test_of_few_events_one_that_is_malformed_spoils_what_it_is_of(category: str, known: bool, tmp_path: Path) -> None:
    text = json.dumps(as_json(stalled("json", OP)))
    at = text.index(f'"{category}"', len(text) // 20)
    path = tmp_path / "made.json"
    path.write_text(f"{text[:at]}%{text[at:]}", encoding="utf-8")
    found, [device] = analysed(path)
    assert found.notes == ["1 event cannot be read and is left out"]
    assert (device.idle_share is not None, device.idle_at_most is None) == (known, known)
    if known:
        assert shares(device)["op"] >= 0.9


def viewer(made: Made, *, modules: bool = False) -> dict[str, Any]:
    """The trace as TensorFlow's and JAX's viewer of XPlane files shows it."""
    document = as_json(made)
    names = [("process_name", 1, None, "/device:GPU:0"), ("process_name", 2, None, "/host:CPU")]
    names += [("thread_name", 1, 7, "Stream #7(Compute)"), ("thread_name", 2, PYTHON, "python")]
    names += [("thread_name", 1, 9, "XLA Modules"), ("thread_name", 1, 10, "Steps")]
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": kind, "pid": pid, "args": {"name": name}} | ({"tid": tid} if tid is not None else {})
        for kind, pid, tid, name in names
    ]
    for event in document["traceEvents"][1:]:
        one = {key: event[key] for key in ("ph", "name", "ts", "dur", "tid")}
        of_device = event["cat"] == "kernel"
        one["pid"] = 1 if of_device else 2
        arguments = event["args"]
        one["args"] = {"correlation_id": str(arguments["correlation"])} if "correlation" in arguments else {}
        if event["name"].startswith("ProfilerStep"):
            one |= {"name": "train", "args": {"step_num": event["name"].partition("#")[2]}}
        events.append(one)
    if modules:
        first, last = made.work[0].begin / US, made.work[-1].end / US
        events.append({"ph": "X", "pid": 1, "tid": 9, "name": "jit_train", "ts": first, "dur": last - first})
    return {"displayTimeUnit": "ns", "metadata": {"highres-ticks": True}, "traceEvents": events}


@pytest.mark.parametrize("modules", [False, True])
def test_the_json_of_a_viewer_says_what_its_xplane_says(modules: bool, tmp_path: Path) -> None:
    made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0))
    path = tmp_path / "host.trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps(viewer(made, modules=modules)).encode()))
    of_viewer, [device] = analysed(path)
    of_xplane, [other] = found_in(made, "xplane", tmp_path)
    assert (of_viewer.format, of_viewer.sentence) == ("XPlane as JSON", of_xplane.sentence)
    assert (device.steps, device.idle_share) == (other.steps, pytest.approx(other.idle_share))
    assert shares(device) == pytest.approx(shares(other))


def test_a_viewer_that_shows_no_more_events_may_have_left_some_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeprof.profiles.gaps.chrome._MOST_SHOWN", 80)
    path = tmp_path / "host.trace.json"
    path.write_text(json.dumps(viewer(stalled("xplane", OP))), encoding="utf-8")
    found, [device] = analysed(path)
    assert device.idle_share is None
    assert "the file has the 80 events of a viewer: there may have been more" in found.sentence


def xplane(folder: Path, *planes: bytes) -> Path:
    """A file of planes."""
    path = folder / "host.xplane.pb"
    path.write_bytes(b"".join(block(1, one) for one in planes))
    return path


def test_a_gpu_with_modules_of_xla_is_busy_with_kernels(tmp_path: Path) -> None:
    made = stalled("xplane", OP)
    kernels = [("fusion", did.begin, did.end, {"correlation_id": did.launch or 0}) for did in made.work]
    module = [("jit_train", made.work[0].begin, made.work[-1].end, {})]
    device = plane("/device:GPU:0", [(7, "Stream #7(Compute)", kernels), (9, "XLA Modules", module)])
    _, [found] = analysed(xplane(tmp_path, device, host_plane(made)))
    assert found.idle_share == pytest.approx(0.3)


def test_ops_of_a_tpu_within_others_are_one_work_and_its_sparse_core_is_a_part_of_it(tmp_path: Path) -> None:
    loops = [("while", 1000 * US * step, (1000 * step + 600) * US, {}) for step in range(20)]
    inner = [("dot", (1000 * step + 100) * US, (1000 * step + 200) * US, {}) for step in range(20)]
    sparse = [("gather", (1000 * step + 500) * US, (1000 * step + 700) * US, {}) for step in range(20)]
    ops = [one for pair in zip(loops, inner, strict=True) for one in pair]
    planes = [
        plane("/device:TPU:0", [(1, "XLA Ops", ops)]),
        plane("/device:TPU:0 SparseCore 0", [(1, "XLA Ops", sparse)]),
    ]
    _, [found] = analysed(xplane(tmp_path, *planes, host_plane(Made(host=[OP]))))
    assert (found.name, found.window) == ("TPU 0", "events")
    assert found.idle_share == pytest.approx(19 * 300 / (19 * 1000 + 700))


def test_calls_that_another_recorder_has_in_a_plane_of_its_own_are_of_the_host(tmp_path: Path) -> None:
    made = stalled("xplane", Called("$train.py:12 metrics", 0, 0))
    calls = [
        (one.name, one.begin, one.end, {"correlation_id": one.launch}) for one in made.host if one.launch is not None
    ]
    made.host = [one for one in made.host if one.launch is None]
    others = plane("/host:CUPTI", [(99, "launcher", calls)])
    found, [device] = analysed(xplane(tmp_path, *device_planes(made), host_plane(made), others))
    assert found.verdict == "python"
    # After the last kernel nothing is launched.
    assert device.without_launch_share == pytest.approx(295 / 6000)


@pytest.mark.parametrize(
    ("field", "text", "idle", "note"),
    [
        (2, "CUPTI: insufficient privileges", False, False),
        (3, "12 events were dropped", False, False),
        (3, "the driver is newer than the library", True, True),
    ],
)
def test_what_the_profiler_says_counts_where_events_are_missing(
    field: int, text: str, idle: bool, note: bool, tmp_path: Path
) -> None:
    made = stalled("xplane", OP)
    path = xplane(tmp_path, *device_planes(made), host_plane(made))
    path.write_bytes(path.read_bytes() + block(field, text))
    found, [device] = analysed(path)
    assert (device.idle_share is not None, bool(found.notes)) == (idle, note)
    assert text in f"{found.sentence} {found.notes}"


@pytest.mark.parametrize(
    ("name", "category", "cause"),
    [
        ("xla::CommonPjRtClient::BufferFromHostBuffer", "", "copy"),
        ("PjRtStreamExecutorClient::CompileAndLoadInternal", "", "compile"),
        ("PjRtCApiClient::CompileAndLoad(jit_products)", "", "compile"),
        ("CompileToBackendResult", "", "compile"),
        ("TfrtTpuCompiler::Compile", "", "compile"),
        ("MyCompileClient::Compiles", "", "op"),
        ("HttpClient::Compile", "", "op"),
        ("mine::ModelClient::BufferFromHostBuffer", "", "op"),
        ("cudaLaunchKernel_ptsz_v7000", "cuda_runtime", "launch"),
        ("hipMemcpyAsync_spt", "cuda_runtime", "copy"),
        ("hipExtModuleLaunchKernel", "hip_runtime", "launch"),
        ("hipStreamSynchronize", "cuda_runtime", "sync"),
        ("hipHostMalloc", "cuda_runtime", "memory"),
        ("my_v7_model", "cpu_op", "op"),
    ],
)
def test_names_of_runtimes(name: str, category: str, cause: str) -> None:
    assert CAUSES[cause_of(name, category)] == cause


def test_marks_of_steps_are_steps_in_whatever_category_a_version_writes_them(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    for category in ("user_annotation", "cpu_op", "Operator"):
        for event in document["traceEvents"]:
            if str(event["name"]).startswith("ProfilerStep"):
                event["cat"] = category
        path = tmp_path / "made.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        _, [device] = analysed(path)
        assert (device.window, device.steps, device.idle_share) == ("steps", 20, pytest.approx(0.3))


def test_a_graph_is_launched_once_for_all_of_its_kernels(tmp_path: Path) -> None:
    made = stalled("json", LOADER)
    made.host = [
        Called("cudaGraphLaunch", one.begin, one.end, one.category, one.launch) if one.launch is not None else one
        for one in made.host
    ]
    made.work = [
        Did(did.begin + part * 175 * US, did.begin + (part + 1) * 175 * US, did.launch, stream=7 + part % 2)
        for did in made.work
        for part in range(4)
    ]
    found, [device] = found_in(made, "json", tmp_path)
    assert (found.verdict, device.idle_share) == ("input", pytest.approx(0.3))
    assert shares(device)["pipeline"] >= 0.95


def test_a_program_that_runs_ahead_of_its_device_is_not_what_the_device_waits_for(tmp_path: Path) -> None:
    made = stalled("xplane", Called("ThunkExecutor::Execute", 0, 0, "", None, 60), marks=False)
    # The loop's thread fetches all of the time, many steps ahead; another one launches, and is at work in the gaps.
    made.host = [
        Called(one.name, one.begin, one.end, one.category, one.launch, 60) if one.launch is not None else one
        for one in made.host
    ]
    made.host += [Called("$dataset_ops.py:800 __next__", did.begin, did.begin + 1000 * US) for did in made.work]
    found, [device] = found_in(made, "xplane", tmp_path)
    assert found.verdict == "op"
    assert shares(device)["op"] >= 0.95


def numbered(folder: Path, *numbers: int) -> Path:
    """A trace whose operations have these numbers, again and again."""
    document = as_json(stalled("json", OP))
    ops = [event for event in document["traceEvents"] if event.get("cat") == "cpu_op"]
    for event, number in zip(ops, numbers, strict=True):
        event["args"]["External id"] = number
    path = folder / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_numbers_that_another_thread_has_in_blocks_are_not_missing(tmp_path: Path) -> None:
    _, [device] = analysed(numbered(tmp_path, *range(2, 12), *range(513, 522), 10**9))
    assert device.idle_share == pytest.approx(0.3)


def test_kernels_that_are_launched_into_a_graph_are_not_missing(tmp_path: Path) -> None:
    made = stalled("json", OP)
    start = made.work[-1].end + 400 * US
    made.host += [
        Called("cudaStreamBeginCapture_v10000", start, start + US, "cuda_runtime"),
        *(
            Called("cudaLaunchKernel", start + n * US, start + (n + 1) * US, "cuda_runtime", 900 + n)
            for n in range(2, 40)
        ),
        Called("cudaStreamEndCapture", start + 40 * US, start + 41 * US, "cuda_runtime"),
        Called("cudaLaunchKernel", start + 50 * US, start + 51 * US, "cuda_runtime", 999),
    ]
    made.work.append(Did(start + 60 * US, start + 100 * US, 999))
    _, [device] = found_in(made, "json", tmp_path)
    assert device.idle_share is not None


@pytest.mark.parametrize(("category", "cause"), [("cuda_runtime", "unknown"), ("cpu_op", "python")])
def test_a_trace_of_the_runtime_alone_does_not_show_what_the_program_does(
    category: str, cause: str, tmp_path: Path
) -> None:
    made = stalled("json", None, marks=False)
    made.host.append(Called("aten::add", made.work[0].begin, made.work[0].begin + US, category))
    _, [device] = found_in(made, "json", tmp_path)
    assert shares(device)[cause] >= 0.95


def test_an_interruption_while_a_file_is_read_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(stalled("xplane", OP), "xplane", tmp_path)

    def interrupted(data: bytes) -> None:
        view = memoryview(data)
        raise KeyboardInterrupt(len(view))

    monkeypatch.setattr(reading, "read_xplane", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read_trace(path)


def test_without_causes_the_longest_gaps_have_their_times(tmp_path: Path) -> None:
    _, [device] = found_in(Made(stalled("json", OP).work), "json", tmp_path)
    assert [(round(one.gap.ms, 6), one.gap.cause, one.action) for one in device.actions] == [
        (0.3, "unknown", None)
    ] * 10
