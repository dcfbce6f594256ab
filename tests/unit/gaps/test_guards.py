"""What a trace cannot show is not said, with the reason; what it can show is."""

from dataclasses import replace
from pathlib import Path

import pytest
from unit.gaps.analysed import OP, document, found_in, found_in_json, found_in_planes, said
from unit.gaps.made_traces import FORMATS, US, Called, Did, Made, device_planes, host_plane, stalled
from unit.worker.encoded_trace import chunk

from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps

IDLE = pytest.approx(0.3, abs=0.02)


def without(made: Made, *rows: int) -> Made:
    return replace(made, work=[did for number, did in enumerate(made.work) if number not in rows])


def in_graphs(made: Made) -> Made:
    return replace(
        made, host=[one if one.launch is None else replace(one, name="cudaGraphLaunch") for one in made.host]
    )


def late(made: Made) -> Made:
    return replace(made, host=[replace(one, begin=one.begin + 40 * US, end=one.end + 40 * US) for one in made.host])


def doubled(made: Made) -> Made:
    moved = [Did(did.begin + 333 * US, did.end + 333 * US, 500 + (did.launch or 0)) for did in made.work]
    return replace(made, work=made.work + moved)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("change", "code", "values", "idle", "at_most"),
    [
        (late, "clocks-disagree", (20, 20), IDLE, None),
        (lambda made: Made(made.work), "no-host", (), IDLE, None),
        (in_graphs, "graphs-unseen", (20, 20, 2), None, IDLE),
        (lambda made: without(made, 5, 6), "launches-lost", (2, 20), None, pytest.approx(0.37, abs=0.02)),
        # Work that is not of one device has no bound.
        (doubled, "streams-overlap", None, None, None),
    ],
)
def test_a_guard_withholds_what_it_spoils(form, change, code, values, idle, at_most, tmp_path):
    trace, [device] = found_in(change(stalled(form, OP, marks=False)), form, tmp_path)
    assert device.reasons == [code]
    assert (device.idle_share, device.idle_at_most) == (idle, at_most)
    assert trace.verdict == "cannot say"
    assert not trace.by_cause
    if values is not None:
        assert device.why_no_causes == [said(code, *values)]
    assert device.why_no_causes[0] in trace.sentence
    if device.gaps is not None:
        assert device.gaps.by_cause == {}
        assert [(one.gap.cause, one.action) for one in device.actions] == [("unknown", None)] * 10
        assert device.actions[0].gap.ms == pytest.approx(0.3)


@pytest.mark.parametrize("form", FORMATS)
def test_a_host_without_device_cannot_say(form, tmp_path):
    trace, devices = found_in(Made([], stalled(form, OP).host), form, tmp_path)
    assert devices == []
    assert (trace.verdict, trace.sentence) == ("cannot say", said("no-device"))


@pytest.mark.parametrize("form", FORMATS)
def test_steps_of_a_host_that_has_nothing_but_them_are_the_window(form, tmp_path):
    made = stalled(form, OP)
    _, [device] = found_in(Made(made.work, [], made.steps), form, tmp_path)
    assert (device.window, device.steps, device.idle_share) == ("steps", 20, IDLE)


@pytest.mark.parametrize("form", FORMATS)
def test_copies_beside_a_program_in_graphs_are_no_traces_laid_over_each_other(form, tmp_path):
    """As JAX records it, whose other kernels overlap with small copies of their stream; here 20 ms are in graphs."""
    starts = [(10_000 + 1_000 * step) * US for step in range(20)]
    graphs = [
        Did(start + half * 500 * US, start + (450 + half * 500) * US, step)
        for step, start in enumerate(starts)
        for half in (0, 1)
    ]
    host = [
        Called("cudaGraphLaunch", at - 10 * US, at - 9 * US, "cuda_runtime", step) for step, at in enumerate(starts)
    ]
    alone = [Did(0, 100 * US, 100), Did(20 * US, 110 * US, 101, kind="copy")]
    host += [
        Called("cudaLaunchKernel", -US, 0, "cuda_runtime", 100),
        Called("cudaMemcpyAsync", 0, US, "cuda_runtime", 101),
    ]
    _, [device] = found_in(Made(graphs + alone, host), form, tmp_path)
    assert device.why_no_idle == []
    _, [device] = found_in(Made([*graphs[:2], *alone], host[:1] + host[20:]), form, tmp_path)
    assert device.reasons == ["streams-overlap"]


@pytest.mark.parametrize("form", FORMATS)
def test_graphs_with_their_kernels_are_work_like_any_other(form, tmp_path):
    made = in_graphs(stalled(form, OP))
    made.work = [
        Did(did.begin + part * 175 * US, did.begin + (part + 1) * 175 * US, did.launch, stream=7 + part % 2)
        for did in made.work
        for part in range(4)
    ]
    found, [device] = found_in(made, form, tmp_path)
    assert (found.verdict, device.idle_share) == ("op", IDLE)


def test_kernels_that_are_launched_into_a_graph_are_not_missing(tmp_path):
    made = stalled("json", OP)
    start = made.work[-1].end + 400 * US
    names = ["cudaStreamBeginCapture_v10000", *["cudaLaunchKernel"] * 38, "cudaStreamEndCapture", "cudaLaunchKernel"]
    made.host += [
        Called(name, start + at * US, start + (at + 1) * US, "cuda_runtime", 900 + at) for at, name in enumerate(names)
    ]
    made.work.append(Did(start + 60 * US, start + 100 * US, 940))
    _, [device] = found_in(made, "json", tmp_path)
    assert device.why_no_idle == []


def test_where_one_device_has_no_causes_those_of_the_other_are_not_given_for_both(tmp_path):
    made = stalled("json", OP)
    made.host += [replace(one, launch=one.launch + 1000) for one in made.host if one.launch is not None]
    made.work += [replace(did, launch=(did.launch or 0) + 1000, device=1) for did in made.work[:12]]
    made.host = [one for one in made.host if one.launch is None or one.launch < 1012]
    trace, devices = found_in(made, "json", tmp_path)
    assert [bool(device.why_no_causes) for device in devices] == [False, True]
    assert (trace.verdict, trace.by_cause) == ("cannot say", {})
    assert said("steps-empty", 12, 20) in trace.sentence


@pytest.mark.parametrize(
    ("numbers", "reasons"),
    [
        (range(10, 201, 10), [said("operations-lost", 20, 191)]),
        # Blocks of numbers of other threads.
        ((*range(2, 12), *range(513, 522), 10**9), []),
    ],
)
def test_operations_that_were_removed_are_noticed(numbers, reasons, tmp_path):
    made = document()
    ops = [event for event in made["traceEvents"] if event.get("cat") == "cpu_op"]
    for event, number in zip(ops, numbers, strict=True):
        event["args"]["External id"] = number
    _, [device] = found_in_json(made, tmp_path)
    assert device.why_no_idle == reasons


def laid_over(form: str, folder: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Traces of two hosts in one file, each with a GPU of its own, the clocks 150 µs apart."""
    one, other = stalled(form, OP), stalled(form, OP)
    moved = [replace(row, begin=row.begin + 150 * US, end=row.end + 150 * US, launch=None) for row in other.host]
    one.work += [Did(did.begin + 150 * US, did.end + 150 * US, None, device=1) for did in other.work]
    if form == "xplane":
        return found_in_planes(folder, *device_planes(one), host_plane(one), host_plane(Made(host=moved)))
    return found_in(replace(one, host=one.host + moved), form, folder)


@pytest.mark.parametrize(("form", "code"), [("xplane", "several-hosts"), ("json", "calls-cross")])
def test_hosts_laid_over_each_other_have_idle_times_and_no_causes(form, code, tmp_path):
    trace, devices = laid_over(form, tmp_path)
    assert [(device.name, device.idle_share) for device in devices] == [("GPU 0", IDLE), ("GPU 1", IDLE)]
    assert all(code in device.reasons for device in devices)
    assert (trace.verdict, trace.by_cause) == ("cannot say", {})


def test_a_few_calls_that_end_late_are_those_of_a_profiler(tmp_path):
    made = stalled("json", OP)
    made.host += [Called("aten::late", did.begin + 800 * US, did.begin + 996 * US) for did in made.work[:4]]
    _, [device] = found_in(made, "json", tmp_path)
    assert device.why_no_causes == []


@pytest.mark.parametrize(
    ("field", "text", "idle", "note"),
    [
        (2, "CUPTI: insufficient privileges {0}", False, False),
        (3, "12 events were dropped", False, False),
        (3, "the driver is newer than the library", True, True),
    ],
)
def test_what_the_profiler_says_counts_where_events_are_missing(field, text, idle, note, tmp_path):
    made = stalled("xplane", OP)
    found, [device] = found_in_planes(tmp_path, *device_planes(made), host_plane(made), more=chunk(field, text))
    assert (device.idle_share is not None, bool(found.notes)) == (idle, note)
    assert said("profiler-says", text) in f"{found.sentence} {found.notes}"
