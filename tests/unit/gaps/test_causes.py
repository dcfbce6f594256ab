"""Made stalls: idle time is exact, and each cause has its time, in every format."""

from dataclasses import replace

import pytest
from unit.gaps.analysed import OP, found_in, found_in_json, shares
from unit.gaps.made_traces import FORMATS, US, Called, Did, Made, stalled

from pipeprof.profiles.gaps.names import CAUSES, cause_of

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
LOADER = Called("enumerate(DataLoader)", 0, 0, "user_annotation")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("cause", NAMES)
def test_a_stall_has_its_cause(cause, form, tmp_path):
    name, category = NAMES[cause][form]
    trace, [device] = found_in(stalled(form, Called(name, 0, 0, category)), form, tmp_path)
    assert (device.window, device.steps) == ("steps", 20)
    assert device.idle_share == pytest.approx(0.3, abs=1e-9)
    assert shares(device)[cause] >= 0.95
    assert trace.verdict == ("input" if cause == "pipeline" else cause)
    assert device.actions[0].gap.cause == cause
    assert device.actions[0].gap.ms == pytest.approx(0.3)


@pytest.mark.parametrize("form", FORMATS)
def test_what_no_event_shows(form, tmp_path):
    """A thread that shows nothing runs Python; work that was launched long before waits for the device."""
    for ahead, cause in ((0, "python"), (50, "device-wait")):
        _, [device] = found_in(stalled(form, None, ahead=ahead), form, tmp_path)
        assert device.idle_share == pytest.approx(0.3, abs=1e-9)
        assert shares(device)[cause] >= 0.95
    # A user's name of a time encloses others: only the input call itself counts.
    _, [device] = found_in(stalled("xplane", Called("input: next(iterator)", 0, 0)), "xplane", tmp_path)
    assert shares(device)["python"] >= 0.95


@pytest.mark.parametrize(("category", "cause"), [("cuda_runtime", "unknown"), ("cpu_op", "python")])
def test_a_trace_of_the_runtime_alone_does_not_show_what_the_program_does(category, cause, tmp_path):
    made = stalled("json", None, marks=False)
    made.host.append(Called("aten::add", made.work[0].begin, made.work[0].begin + US, category))
    _, [device] = found_in(made, "json", tmp_path)
    assert shares(device)[cause] >= 0.95


def test_the_stall_before_the_launch_counts_and_not_what_the_host_does_when_the_gap_begins(tmp_path):
    made = stalled("json", LOADER)
    # The host is still inside of the synchronisation of the step before for the first 20 µs of each gap.
    made.host = [replace(one, begin=one.begin + 20 * US) if one.name == LOADER.name else one for one in made.host]
    made.host += [
        Called("cudaDeviceSynchronize", did.begin + 10 * US, did.end + 20 * US, "cuda_runtime") for did in made.work
    ]
    _, [device] = found_in(made, "json", tmp_path)
    assert shares(device)["pipeline"] == pytest.approx(275 / 300, abs=0.01)
    assert shares(device)["sync"] == pytest.approx(20 / 300, abs=0.01)


def test_an_input_call_beside_compute_is_no_gap(tmp_path):
    made = stalled("json", OP)
    made.host += [replace(LOADER, begin=did.begin + 10 * US, end=did.end - 10 * US) for did in made.work]
    trace, [device] = found_in(made, "json", tmp_path)
    assert trace.verdict == "op"
    assert "pipeline" not in shares(device)


def test_a_launching_thread_with_nothing_to_do_hands_over_to_the_main_thread(tmp_path):
    made = stalled("json", LOADER)
    made.host = [replace(one, thread=99) if one.launch is not None else one for one in made.host]
    trace, [device] = found_in(made, "json", tmp_path)
    assert shares(device)["pipeline"] >= 0.95
    assert (trace.verdict, trace.stage, device.stage) == ("input", "DataLoader", "DataLoader")


def test_a_program_that_runs_ahead_of_its_device_is_not_what_the_device_waits_for(tmp_path):
    made = stalled("xplane", Called("ThunkExecutor::Execute", 0, 0, "", None, 60), marks=False)
    # The loop's thread fetches all of the time, many steps ahead; another one launches, and is at work in the gaps.
    made.host = [replace(one, thread=60) if one.launch is not None else one for one in made.host]
    made.host += [Called("$dataset_ops.py:800 __next__", did.begin, did.begin + 1000 * US) for did in made.work]
    _, [device] = found_in(made, "xplane", tmp_path)
    assert shares(device)["op"] >= 0.95


def test_a_thread_that_waits_hands_over_to_any_thread_in_an_input_call_but_not_to_its_op(tmp_path):
    for other, cause in (("IteratorGetNextOp::DoCompute", "pipeline"), ("Foo::Run", "sync")):
        made = stalled("xplane", Called(other, 0, 0, "", None, 50))
        made.host += [
            Called("$array.py:1 block_until_ready", one.begin, one.end) for one in made.host if one.launch is None
        ]
        _, [device] = found_in(made, "xplane", tmp_path)
        assert shares(device)[cause] >= 0.95


def test_of_nested_events_the_first_in_the_order_of_causes_has_the_time(tmp_path):
    made = stalled("json", Called("aten::item", 0, 0))
    made.host += [
        Called("cudaStreamSynchronize", one.begin + 100 * US, one.end, "cuda_runtime")
        for one in made.host
        if one.name == "aten::item"
    ]
    _, [device] = found_in(made, "json", tmp_path)
    assert shares(device)["op"] == pytest.approx(100 / 300, abs=0.02)
    assert shares(device)["sync"] == pytest.approx(195 / 300, abs=0.02)


@pytest.mark.parametrize("form", FORMATS)
def test_streams_that_overlap_are_one_time_of_work(form, tmp_path):
    spans = ((0, 400, 7, "kernel"), (200, 600, 8, "kernel"), (600, 700, 9, "copy"), (900, 1000, 7, "kernel"))
    work = [Did(begin * US, end * US, key, 0, stream, kind) for key, (begin, end, stream, kind) in enumerate(spans, 1)]
    host = [Called("cudaLaunchKernel", at * US, at * US + 1, "cuda_runtime", key)
            for key, at in enumerate((0, 1, 2, 895), 1)]  # fmt: skip
    _, [device] = found_in(Made(work, host), form, tmp_path)
    assert device.idle_share == pytest.approx(0.2, abs=1e-9)
    assert device.copy_only_share == pytest.approx(0.1, abs=1e-9)
    assert device.window == "events"


@pytest.mark.parametrize("form", FORMATS)
def test_a_device_that_only_copies_is_busy_with_that(form, tmp_path):
    made = Made()
    for step in range(20):
        start = (10_000 + 1_000 * step) * US
        made.host.append(Called("cudaMemcpyAsync", start - 5 * US, start, "cuda_runtime", 2 * step))
        made.host.append(Called("cudaLaunchKernel", start, start + US, "cuda_runtime", 2 * step + 1))
        made.work.append(Did(start, start + 800 * US, 2 * step, kind="copy"))
        made.work.append(Did(start + 800 * US, start + 1_000 * US, 2 * step + 1))
    trace, _ = found_in(made, form, tmp_path)
    assert (trace.verdict, trace.idle_share, trace.copy_only_share) == ("busy", 0.0, pytest.approx(0.8))


def test_several_devices_have_a_row_each_and_what_they_do_counts_by_its_time(tmp_path):
    spans = ((0, 9000, "kernel", 0), (0, 900, "copy", 1), (900, 1000, "kernel", 1))
    work = [Did(begin * US, end * US, key, device, 7, kind) for key, (begin, end, kind, device) in enumerate(spans)]
    trace, devices = found_in(Made(work), "json", tmp_path)
    assert [(device.name, device.copy_only_share) for device in devices] == [
        ("GPU 0", 0.0),
        ("GPU 1", pytest.approx(0.9)),
    ]
    assert (trace.idle_share, trace.copy_only_share) == (0.0, pytest.approx(0.09))


def test_nanoseconds_are_kept_as_they_are(tmp_path):
    # Rounded to whole microseconds, the gaps of 600 ns would be none.
    rows = [
        f'{{"ph":"X","cat":"kernel","name":"k","pid":0,"tid":7,"ts":{1_751_410_836_000_000 + number}.123,"dur":0.400,'
        f'"args":{{"device":0,"stream":7,"correlation":{number}}}}}'
        for number in range(100)
    ]
    _, [device] = found_in_json(f'{{"traceEvents":[{",".join(rows)}]}}', tmp_path)
    assert device.idle_share == pytest.approx(99 * 600 / (99 * 1000 + 400))


def test_the_late_stage_is_the_deepest_one_at_work(tmp_path):
    made = stalled("xplane", Called("IteratorGetNextOp::DoCompute", 0, 0))
    for one in [one for one in made.host if one.launch is None]:
        made.host += [
            Called("Iterator::Root::Prefetch", one.begin, one.end),
            Called("Iterator::Root::Prefetch::BatchV2::ParallelMapV2", one.begin, one.end - 10 * US, "", None, 60),
            Called(
                "Iterator::Root::Prefetch::BatchV2::ParallelMapV2::TFRecord", one.begin, one.begin + US, "", None, 60
            ),
        ]
    trace, [device] = found_in(made, "xplane", tmp_path)
    assert (trace.stage, device.stage, device.actions[0].gap.stage) == ("map", "map", "map")


RUNTIME = "cuda_runtime"
NAMES_OF_RUNTIMES = {
    ("copy", ""): ["xla::CommonPjRtClient::BufferFromHostBuffer"],
    ("compile", ""): [
        "PjRtStreamExecutorClient::CompileAndLoadInternal", "PjRtCApiClient::CompileAndLoad(jit_products)",
        "CompileToBackendResult", "TfrtTpuCompiler::Compile",
    ],
    ("launch", RUNTIME): ["cudaLaunchKernel_ptsz_v7000", "hipExtModuleLaunchKernel"],
    ("copy", RUNTIME): ["hipMemcpyAsync_spt"],
    ("sync", RUNTIME): ["hipStreamSynchronize"],
    ("memory", RUNTIME): ["hipHostMalloc"],
    # Names are matched whole.
    ("op", ""): ["MyCompileClient::Compiles", "HttpClient::Compile", "mine::ModelClient::BufferFromHostBuffer"],
    ("op", "cpu_op"): [
        "my_v7_model", "CompiledFunctionBackward", "my_cudaMalloc", "IteratorGetNextOp", "copy_loader",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("cause", "category"), NAMES_OF_RUNTIMES)
def test_names_of_runtimes(cause, category):
    for name in NAMES_OF_RUNTIMES[cause, category]:
        assert CAUSES[cause_of(name, category)] == cause, name
