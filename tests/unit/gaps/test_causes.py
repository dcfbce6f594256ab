"""Made stalls: idle time is exact, and each cause has its time, in every format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from unit.gaps.made_traces import FORMATS, US, Called, Did, Made, stalled, write

from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps
from pipeprof.profiles.gaps.names import CAUSES, cause_of
from pipeprof.profiles.gaps.reading import read_trace

NAMES = {
    "pipeline": {
        "json": ("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", "user_annotation"),
        "xplane": ("IteratorGetNextOp::DoCompute", ""),
    },
    "copy": {"json": ("cudaMemcpyAsync", "cuda_runtime"), "xplane": ("MemcpyH2D", "")},
    "compile": {"json": ("cuModuleLoadData", "cuda_driver"), "xplane": ("$compiler.py:480 compile_or_get_cached", "")},
    "memory": {"json": ("hipFree", "cuda_runtime"), "xplane": ("cuMemAlloc_v2", "")},
    "sync": {"json": ("cudaStreamSynchronize", "cuda_runtime"), "xplane": ("$array.py:631 block_until_ready", "")},
    "op": {"json": ("CompiledFunctionBackward", "cpu_op"), "xplane": ("PjitFunction(train_step)", "")},
    "python": {"json": ("train.py(12): metrics", "python_function"), "xplane": ("$train.py:12 metrics", "")},
    "launch": {"json": ("cudaLaunchKernelExC", "cuda_runtime"), "xplane": ("hipModuleLaunchKernel", "")},
    "pipeprof": {"json": ("pipeprof: reading the model", "cpu_op"), "xplane": ("pipeprof: reading the model", "")},
}
STALLED = [(cause, form) for cause in NAMES for form in FORMATS]


def found_in(made: Made, form: str, folder: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    """The analysis of a made trace."""
    path = write(made, form, folder)
    return analyse(read_trace(path), path.name, 0)


def shares(device: DeviceGaps) -> dict[str, float]:
    """The causes' shares of the idle time."""
    assert device.gaps is not None
    total = sum(device.gaps.by_cause.values())
    return {cause: seconds / total for cause, seconds in device.gaps.by_cause.items()}


@pytest.mark.parametrize(("cause", "form"), STALLED)
def test_a_stall_has_its_cause(cause: str, form: str, tmp_path: Path) -> None:
    name, category = NAMES[cause][form]
    trace, [device] = found_in(stalled(form, Called(name, 0, 0, category)), form, tmp_path)
    assert (device.window, device.steps) == ("steps", 20)
    assert device.idle_share == pytest.approx(0.3, abs=1e-9)
    assert shares(device)[cause] >= 0.95
    assert trace.verdict == ("input" if cause == "pipeline" else cause)
    assert device.actions[0].gap.cause == cause
    assert device.actions[0].gap.ms == pytest.approx(0.3)


@pytest.mark.parametrize("form", FORMATS)
def test_time_in_which_a_thread_shows_nothing_is_python(form: str, tmp_path: Path) -> None:
    _, [device] = found_in(stalled(form, None), form, tmp_path)
    assert device.idle_share == pytest.approx(0.3, abs=1e-9)
    assert shares(device)["python"] >= 0.95


@pytest.mark.parametrize("form", FORMATS)
def test_work_that_was_launched_long_before_waits_for_the_device(form: str, tmp_path: Path) -> None:
    _, [device] = found_in(stalled(form, None, ahead=50), form, tmp_path)
    assert shares(device)["device-wait"] >= 0.95


def test_the_stall_before_the_launch_counts_and_not_what_the_host_does_when_the_gap_begins(tmp_path: Path) -> None:
    made = stalled("json", Called("enumerate(DataLoader)", 0, 0, "user_annotation"))
    # The host is still inside of the synchronisation of the step before for the first 20 µs of each gap.
    made.host = [
        Called(one.name, one.begin + 20 * US, one.end, one.category) if one.name == "enumerate(DataLoader)" else one
        for one in made.host
    ]
    made.host += [
        Called("cudaDeviceSynchronize", did.begin + 10 * US, did.end + 20 * US, "cuda_runtime") for did in made.work
    ]
    _, [device] = found_in(made, "json", tmp_path)
    found = shares(device)
    assert found["pipeline"] == pytest.approx(275 / 300, abs=0.01)
    assert found["sync"] == pytest.approx(20 / 300, abs=0.01)


def test_an_input_call_beside_compute_is_no_gap(tmp_path: Path) -> None:
    made = stalled("json", Called("aten::add", 0, 0))
    made.host += [
        Called("enumerate(DataLoader)", did.begin + 10 * US, did.end - 10 * US, "user_annotation") for did in made.work
    ]
    trace, [device] = found_in(made, "json", tmp_path)
    assert trace.verdict == "op"
    assert "pipeline" not in shares(device)


def test_a_launching_thread_with_nothing_to_do_hands_over_to_the_main_thread(tmp_path: Path) -> None:
    made = stalled("json", Called("enumerate(DataLoader)", 0, 0, "user_annotation"))
    made.host = [
        Called(one.name, one.begin, one.end, one.category, one.launch, 99) if one.launch is not None else one
        for one in made.host
    ]
    trace, [device] = found_in(made, "json", tmp_path)
    assert trace.verdict == "input"
    assert shares(device)["pipeline"] >= 0.95
    assert device.stage == "DataLoader"


def test_a_thread_that_waits_hands_over_to_any_thread_in_an_input_call_but_not_to_its_op(tmp_path: Path) -> None:
    made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0, "", None, 50))
    waits = [Called("$array.py:1 block_until_ready", one.begin, one.end) for one in made.host if one.launch is None]
    _, [device] = found_in(Made(made.work, made.host + waits, made.steps), "xplane", tmp_path)
    assert shares(device)["pipeline"] >= 0.95
    host = [Called("Foo::Run", one.begin, one.end, "", None, 50) if one.thread == 50 else one for one in made.host]
    _, [device] = found_in(Made(made.work, host + waits, made.steps), "xplane", tmp_path)
    assert shares(device)["sync"] >= 0.95


def test_of_nested_events_the_first_in_the_order_of_causes_has_the_time(tmp_path: Path) -> None:
    made = stalled("json", Called("aten::item", 0, 0))
    made.host += [
        Called("cudaStreamSynchronize", one.begin + 100 * US, one.end, "cuda_runtime")
        for one in made.host
        if one.name == "aten::item"
    ]
    _, [device] = found_in(made, "json", tmp_path)
    found = shares(device)
    assert (found["op"], found["sync"]) == (pytest.approx(100 / 300, abs=0.02), pytest.approx(195 / 300, abs=0.02))


@pytest.mark.parametrize("form", FORMATS)
def test_streams_that_overlap_are_one_time_of_work(form: str, tmp_path: Path) -> None:
    made = Made(
        work=[
            Did(0, 400 * US, 1),
            Did(200 * US, 600 * US, 2, stream=8),
            Did(600 * US, 700 * US, 3, stream=9, kind="copy"),
            Did(900 * US, 1000 * US, 4),
        ],
        host=[Called("cudaLaunchKernel", time * US, time * US + 1, "cuda_runtime", key)
              for key, time in ((1, 0), (2, 1), (3, 2), (4, 895))],
    )  # fmt: skip
    _, [device] = found_in(made, form, tmp_path)
    assert device.idle_share == pytest.approx(0.2, abs=1e-9)
    assert device.copy_only_share == pytest.approx(0.1, abs=1e-9)
    assert device.window == "events"


def test_two_devices_have_a_row_each_and_the_one_that_works_longest_is_named(tmp_path: Path) -> None:
    made = stalled("json", Called("aten::add", 0, 0))
    other = [Did(did.begin, did.begin + 300 * US, did.launch + 1000, device=1) for did in made.work]  # type: ignore[operator]
    host = [
        Called(one.name, one.begin, one.end, one.category, one.launch + 1000)
        for one in made.host
        if one.launch is not None
    ]
    trace, devices = found_in(Made(made.work + other, made.host + host, made.steps), "json", tmp_path)
    assert [(one.name, round(one.idle_share or 0, 6)) for one in devices] == [("GPU 0", 0.3), ("GPU 1", 0.7)]
    assert trace.idle_share == pytest.approx(0.5)
    assert trace.straggler == "GPU 0"


def test_nanoseconds_are_kept_as_they_are(tmp_path: Path) -> None:
    # Rounded to whole microseconds, the gaps of 600 ns would be none.
    base = 1_751_410_836_000_000_000
    work = [Did(base + 1000 * number, base + 1000 * number + 400, number) for number in range(100)]
    path = tmp_path / "made.json"
    rows = ",".join(
        f'{{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":{did.begin // 1000}.{did.begin % 1000:03d},'
        f'"dur":0.400,"args":{{"device":0,"stream":7,"correlation":{did.launch}}}}}'
        for did in work
    )
    path.write_text(f'{{"traceEvents":[{rows}]}}', encoding="utf-8")
    found = read_trace(path)
    assert np.array_equal(found.work.end - found.work.begin, np.full(100, 400))
    _, [device] = analyse(found, "made", 0)
    assert device.idle_share == pytest.approx(99 * 600 / (99 * 1000 + 400))


def test_the_late_stage_is_the_deepest_one_at_work(tmp_path: Path) -> None:
    made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0))
    calls = [one for one in made.host if one.launch is None]
    made.host += [Called("Iterator::Root::Prefetch", one.begin, one.end) for one in calls]
    made.host += [
        Called("Iterator::Root::Prefetch::BatchV2::ParallelMapV2", one.begin + 10 * US, one.end - 10 * US, "", None, 60)
        for one in calls
    ]
    made.host += [
        Called("Iterator::Root::Prefetch::BatchV2::ParallelMapV2::TFRecord", one.begin, one.begin + US, "", None, 60)
        for one in calls
    ]
    trace, [device] = found_in(made, "xplane", tmp_path)
    assert device.stage == "map"
    assert "it waits for the input pipeline (map)" in trace.sentence


def test_names_are_matched_whole() -> None:
    causes = {
        name: CAUSES[cause_of(name, "cpu_op")]
        for name in ("CompiledFunctionBackward", "my_cudaMalloc", "IteratorGetNextOp", "cudaMallocator", "copy_loader")
    }
    assert set(causes.values()) == {"op"}


def test_nothing_but_a_step_encloses_everything(tmp_path: Path) -> None:
    made = stalled("xplane", Called("input: next(iterator)", 0, 0))
    _, [device] = found_in(made, "xplane", tmp_path)
    # What a user calls a time says nothing: only the input call itself does.
    assert shares(device)["python"] >= 0.95
