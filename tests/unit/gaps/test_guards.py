"""What a trace cannot show is not said, with the reason; what it can show is."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import pytest
from unit.gaps.made_traces import (
    FORMATS,
    US,
    Called,
    Did,
    Made,
    as_json,
    as_xplane,
    block,
    device_planes,
    host_plane,
    stalled,
    write,
)
from unit.gaps.test_causes import found_in, shares

from pipeprof.cli.pages.gaps import advice_of
from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps
from pipeprof.profiles.gaps.reading import find_traces, read_trace
from pipeprof.profiles.gaps.trace import TraceError

OP = Called("aten::add", 0, 0)


def analysed(path: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    return analyse(read_trace(path), path.name, 0)


@pytest.mark.parametrize("form", FORMATS)
def test_clocks_that_disagree_leave_the_idle_time_and_no_causes(form: str, tmp_path: Path) -> None:
    made = stalled(form, OP)
    late = [Called(one.name, one.begin + 40 * US, one.end + 40 * US, one.category, one.launch) for one in made.host]
    trace, [device] = found_in(Made(made.work, late, made.steps), form, tmp_path)
    assert device.idle_share == pytest.approx(0.3, abs=0.01)
    assert device.gaps is not None
    assert device.gaps.by_cause == {}
    assert trace.verdict == "cannot say"
    assert "20 of 20 kernels begin before their launch: the clocks of host and device disagree" in trace.sentence


@pytest.mark.parametrize("form", FORMATS)
def test_a_device_without_host_has_an_idle_time(form: str, tmp_path: Path) -> None:
    trace, [device] = found_in(Made(stalled(form, OP).work), form, tmp_path)
    assert device.idle_share == pytest.approx(19 * 300 / (19 * 1000 + 700))
    assert trace.sentence == "the device idles 29 % of the time; cannot say why: the trace has no events of the host"


@pytest.mark.parametrize("form", FORMATS)
def test_copies_beside_a_program_in_graphs_are_no_traces_laid_over_each_other(form: str, tmp_path: Path) -> None:
    """As JAX records it, whose other kernels overlap with small copies of their stream; here 20 ms are in graphs."""
    graphs = [
        Did((10_000 + 1_000 * step + 500 * half) * US, (10_450 + 1_000 * step + 500 * half) * US, step)
        for step in range(20)
        for half in (0, 1)
    ]
    host = [Called("cudaGraphLaunch", (9_990 + 1_000 * step) * US, (9_991 + 1_000 * step) * US, "cuda_runtime", step)
            for step in range(20)]  # fmt: skip
    alone = [Did(0, 100 * US, 100), Did(20 * US, 110 * US, 101, kind="copy")]
    host += [Called("cudaLaunchKernel", -US, 0, "cuda_runtime", 100),
             Called("cudaMemcpyAsync", 0, US, "cuda_runtime", 101)]  # fmt: skip
    _, [device] = found_in(Made(graphs + alone, host), form, tmp_path)
    assert device.why_no_idle == []
    assert device.idle_share is not None
    _, [device] = found_in(Made([*graphs[:2], *alone], host[:1] + host[20:]), form, _new(tmp_path))
    assert "events of one stream run at the same time" in " ".join(device.why_no_idle)


@pytest.mark.parametrize("form", FORMATS)
def test_a_device_that_only_copies_is_said_to(form: str, tmp_path: Path) -> None:
    work, host = [], []
    for step in range(20):
        start = (10_000 + 1_000 * step) * US
        host.append(Called("cudaMemcpyAsync", start - 5 * US, start, "cuda_runtime", 2 * step))
        host.append(Called("cudaLaunchKernel", start, start + US, "cuda_runtime", 2 * step + 1))
        work.append(Did(start, start + 800 * US, 2 * step, kind="copy"))
        work.append(Did(start + 800 * US, start + 1_000 * US, 2 * step + 1))
    trace, [device] = found_in(Made(work, host), form, tmp_path)
    assert trace.verdict == "busy"
    assert trace.sentence == "the device idles 0 % of the time; for another 80 % it only copies"
    assert [cause for cause, _ in advice_of(trace, [device])] == ["copy"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_host_without_device_cannot_say(form: str, tmp_path: Path) -> None:
    trace, devices = found_in(Made([], stalled(form, OP).host), form, tmp_path)
    assert devices == []
    assert (trace.verdict, trace.sentence) == ("cannot say", "cannot say: the trace has no events of a device")


@pytest.mark.parametrize("form", FORMATS)
def test_graphs_of_which_nothing_is_recorded_withhold_the_idle_time(form: str, tmp_path: Path) -> None:
    made = stalled(form, OP)
    host = [Called("cudaGraphLaunch", one.begin, one.end, one.category, one.launch)
            if one.launch is not None else one for one in made.host]  # fmt: skip
    trace, [device] = found_in(Made(made.work, host, made.steps), form, tmp_path)
    assert device.idle_share is None
    assert device.idle_at_most == pytest.approx(0.3, abs=0.01)
    assert "20 of 20 launches of graphs have fewer than 2 kernels" in trace.sentence
    # With their kernels they are work like any other.
    more = [Did(did.begin + US, did.begin + 2 * US, did.launch, stream=8) for did in made.work]
    _, [device] = found_in(Made(made.work + more, host, made.steps), form, _new(tmp_path))
    assert device.idle_share == pytest.approx(0.3, abs=0.01)


def _new(folder: Path) -> Path:
    found = folder / "new"
    found.mkdir()
    return found


@pytest.mark.parametrize("form", FORMATS)
def test_launches_without_kernels_withhold_the_idle_time(form: str, tmp_path: Path) -> None:
    made = stalled(form, OP, marks=False)
    trace, [device] = found_in(Made(made.work[:5] + made.work[7:], made.host), form, tmp_path)
    assert device.idle_share is None
    assert "2 of 20 kernel launches have no kernel in the trace" in trace.sentence
    assert "at most" in trace.sentence


def test_steps_without_work_leave_those_that_have_it_and_no_causes(tmp_path: Path) -> None:
    made = stalled("json", OP)
    launched = {did.launch for did in made.work[:12]}
    host = [one for one in made.host if one.launch is None or one.launch in launched]
    trace, [device] = found_in(Made(made.work[:12], host, made.steps), "json", tmp_path)
    # The twelfth may have lost a part.
    assert device.steps == 11
    assert device.idle_share == pytest.approx(0.3, abs=0.01)
    assert "the device has events in 12 of 20 steps of the host" in trace.sentence
    assert device.gaps is not None
    assert device.gaps.by_cause == {}


def test_traces_laid_over_each_other_are_noticed(tmp_path: Path) -> None:
    made = stalled("json", OP, marks=False)
    other = [Did(did.begin + 333 * US, did.end + 333 * US, 500 + (did.launch or 0)) for did in made.work]
    trace, [device] = found_in(Made(made.work + other, made.host), "json", tmp_path)
    assert device.idle_share is None
    assert "laid over each other" in trace.sentence


def test_operations_that_were_removed_are_noticed(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    number = 0
    for event in document["traceEvents"]:
        if event.get("cat") == "cpu_op":
            event["args"]["External id"] = number = number + 10
    path = tmp_path / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    trace, [device] = analysed(path)
    assert device.idle_share is None
    assert "only 20 of 191 numbered operations are in the file: events are missing" in trace.sentence


def test_a_plane_before_a_damage_is_kept_and_the_damage_is_named(tmp_path: Path) -> None:
    made = stalled("xplane", OP)
    planes = [block(1, one) for one in [*device_planes(made), host_plane(made)]]
    path = tmp_path / "cut.xplane.pb"
    path.write_bytes(b"".join(planes)[:-100])
    trace, [device] = analysed(path)
    assert device.idle_share is not None
    assert device.why_no_causes == ["the trace has no events of the host"]
    assert trace.notes == [
        f'plane 2, "/host:CPU", is damaged at byte {len(planes[0]):,} of {len(b"".join(planes)) - 100:,}: it and what '
        "follows are not read"
    ]
    # What is behind the host's plane spoils nothing.
    path.write_bytes(b"".join(planes) + b"\x0a\xff\xff")
    trace, [device] = analysed(path)
    assert shares(device)["op"] >= 0.95
    assert len(trace.notes) == 1


@pytest.mark.parametrize("packed", [False, True])
def test_a_truncated_json_keeps_what_was_read(packed: bool, tmp_path: Path) -> None:
    text = json.dumps(as_json(stalled("json", OP, marks=False))).encode()
    path = tmp_path / "made.json"
    path.write_bytes(gzip.compress(text)[:-300] if packed else text[: len(text) * 2 // 3])
    trace, [device] = analysed(path)
    assert device.idle_share is None
    assert device.idle_at_most is not None
    assert "damaged" in trace.notes[0] if packed else "truncated" in trace.notes[0]
    assert device.events > 5


def test_one_malformed_event_is_left_out_and_counted(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP, steps=1500))
    text = json.dumps(document)
    path = tmp_path / "made.json"
    at = text.index('"aten::add"', len(text) // 2)
    path.write_text(text[:at] + "%" + text[at:], encoding="utf-8")
    trace, [device] = analysed(path)
    assert trace.notes == ["1 event cannot be read and is left out"]
    assert shares(device)["op"] >= 0.95


def test_a_time_that_runs_backwards_is_left_out(tmp_path: Path) -> None:
    document = as_json(stalled("json", OP))
    document["traceEvents"].append({"ph": "X", "cat": "cpu_op", "name": "x", "pid": 7, "tid": 7, "ts": 5, "dur": -3})
    document["traceEvents"].append({"ph": "X", "cat": "cpu_op", "name": "x", "pid": 7, "tid": 7, "ts": "never"})
    document["traceEvents"] += [17, None, {"ph": "X", "cat": "kernel", "ts": 1e300, "dur": 1, "args": {"device": 0}}]
    path = tmp_path / "made.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    trace, _ = analysed(path)
    assert trace.notes == [
        "2 events end before they begin or have no time: left out",
        "3 events cannot be read and are left out",
    ]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("a.xplane.pb", b"", "the file is empty"),
        ("a.json", b"[]", "the trace is empty: it has no event"),
        ("a.json", b'{"a": 1}', 'this is JSON without a list of "traceEvents"'),
        ("a.json", b"{", 'this is JSON without a list of "traceEvents"'),
        ("a.txt", b"no trace at all, but some text", "not a trace that pipeprof can read"),
        ("a.json.gz", b"\x1f\x8b\x08\x00 nothing", "the file is damaged"),
        ("a.sqlite", b"SQLite format 3\x00" + bytes(200), "reports of Nsight Systems are not read"),
        ("x.input_pipeline.pb", b"\x0a\x02", "this is a result of another tool, not a trace"),
    ],
)
def test_what_is_no_trace_is_named(name: str, data: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(TraceError, match=says) as raised:
        read_trace(path)
    assert str(raised.value).startswith(str(path))
    assert raised.value.exit_code == 6


def test_of_a_folder_the_latest_run_is_read_with_all_its_hosts(tmp_path: Path) -> None:
    made = stalled("xplane", OP)
    for run in ("2026_01_01", "2026_01_02"):
        folder = tmp_path / "plugins" / "profile" / run
        folder.mkdir(parents=True)
        for host in range(40):
            (folder / f"host{host:02}.xplane.pb").write_bytes(as_xplane(made))
    found = find_traces(tmp_path)
    assert len(found.files) == 40
    assert {path.parent.name for path in found.files} == {"2026_01_02"}
    assert found.notes == ["the folder has 2 runs: the latest one is read"]
    with pytest.raises(TraceError, match=r"the folder has no \*.xplane.pb"):
        find_traces(_new(tmp_path / "plugins"))
    with pytest.raises(TraceError, match="no such file or folder"):
        find_traces(tmp_path / "nothing")


def test_the_same_trace_says_the_same_in_each_format(tmp_path: Path) -> None:
    said = set()
    for form in FORMATS:
        made = stalled(form, None)
        trace, [device] = analysed(write(made, form, tmp_path))
        said.add((trace.sentence, device.events, round(device.idle_share or 0.0, 6)))
    assert len(said) == 1


def laid_over(form: str, folder: Path) -> Path:
    """Traces of two hosts in one file, each with a GPU of its own, the clocks 150 µs apart."""
    one, other = stalled(form, OP), stalled(form, OP)
    later = [
        [replace(row, begin=row.begin + 150 * US, end=row.end + 150 * US, launch=None) for row in rows]
        for rows in (other.work, other.host)
    ]
    one.work += [replace(did, device=1) for did in later[0]]
    if form == "xplane":
        second = Made(host=later[1])
        path = folder / "both.xplane.pb"
        planes = [*device_planes(one), host_plane(one), host_plane(second)]
        path.write_bytes(b"".join(block(1, plane) for plane in planes))
        return path
    one.host += later[1]
    return write(one, form, folder)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ("xplane", "events of 2 hosts, whose clocks may differ: give one file for each"),
        ("json", "calls within others end after them on the same thread: traces of several hosts"),
    ],
)
def test_hosts_laid_over_each_other_have_idle_times_and_no_causes(form: str, why: str, tmp_path: Path) -> None:
    trace, devices = analysed(laid_over(form, tmp_path))
    assert [device.name for device in devices] == ["GPU 0", "GPU 1"]
    for device in devices:
        assert device.idle_share == pytest.approx(0.3, abs=0.02)
        assert device.gaps is not None
        assert device.gaps.by_cause == {}
        assert any(why in text for text in device.why_no_causes)
    assert trace.verdict == "cannot say"
    assert "cannot say why" in trace.sentence


def test_a_few_calls_that_end_late_are_those_of_a_profiler(tmp_path: Path) -> None:
    made = stalled("json", OP)
    made.host += [Called("aten::late", did.begin + 800 * US, did.begin + 996 * US) for did in made.work[:4]]
    _, [device] = found_in(made, "json", tmp_path)
    assert device.why_no_causes == []
