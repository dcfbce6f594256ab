"""From what was observed to the profile, partial or final; every document is valid by the published schema."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
from unit.time.test_trace_work import recorded
from unit.worker.fakes import (
    MIB,
    FakeSampler,
    drained,
    error,
    facts,
    followed,
    measured,
    observed,
    phase,
    phase_end,
    plan,
    stage_at,
)

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.profiles.document.memory import Disk
from pipeprof.profiles.document.profile import Host, Problem, Profile
from pipeprof.profiles.document.shared import Contention, Gap, Gaps, GpuUse, Training
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.gaps.steps import DeviceSeen
from pipeprof.profiles.harness.build_profile import _with_copies
from pipeprof.profiles.harness.build_profile import assemble as assembled
from pipeprof.profiles.harness.process import RunFacts
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.protocol.messages import BatchSize, CostSegment, DeviceRead, Graphs, Replayed, Trace
from pipeprof.profiles.protocol.options import StepJob

VALIDATOR = jsonschema.Draft202012Validator(Profile.model_json_schema())
SIMULATED = plan(step=StepJob(kind="simulate"), step_text="simulate: 8ms", dispatch="sync")


def assemble(
    made: RunFacts, seen: Observed, sampler: FakeSampler | None = None, *, problem: Problem | None = None, **end: Any
) -> Profile:
    """The document; it must be valid, and come back from JSON as it was."""
    profile = assembled(made, seen, sampler, problem=problem, **end)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text = profile.model_dump_json()
    VALIDATOR.validate(json.loads(text))
    assert Profile.model_validate_json(text) == profile
    return profile


def stages(*ops: str) -> list[Stage]:
    return [Stage(id=f"stages.{n - 1}" if n else "source", origin="written", op=op) for n, op in enumerate(ops)]


def graphs(name: str) -> Graphs:
    """The message about a recorded pipeline."""
    graph = recorded(name)
    segments = [CostSegment(a, b, 10) for a, b in pairwise(graph["snapshots"])]
    return Graphs(graph["written"], graph["executed"], segments)


# As far as it went


def test_before_the_first_message_there_is_a_document():
    profile = assemble(facts(), observed())
    assert (profile.complete, profile.exit_code, profile.phases) == (False, None, [])
    assert (profile.steps, profile.throughput, profile.overhead, profile.verdict) == (None, None, None, None)
    assert profile.device.kind == "none"
    assert profile.memory.peak_bytes is None
    assert profile.command == ["pipeprof", "run", "spec.yaml"]
    assert profile.started == "2024-01-01T00:00:00+00:00"


def test_while_it_measures_there_are_steps_and_a_verdict():
    seen = observed(phase("measure"), drained(10, ms=2.0))
    profile = assemble(facts(), seen)
    assert profile.steps.count == 10
    assert profile.throughput.batches_per_second == pytest.approx(500)
    assert profile.throughput.bytes_per_second is None
    assert profile.overhead.loop_share is None
    assert profile.verdict is not None
    assert (profile.complete, profile.exit_code) == (False, None)


LOOP = Training(consumer="loop", interval="exact", fetch="exact", unknown="on a GPU PyTorch returns before it")
SCRIPT = {"step": StepJob(kind="script"), "step_text": "train.py", "dispatch": "sync"}


def test_a_wait_by_the_gpus_clock_is_put_into_the_measured_steps_in_proportion():
    clock = DeviceRead([True] * 40, None, [0.024] * 39, [0.048] * 39)
    seen = observed(phase("measure"), followed(10), clock, {"training": LOOP})
    profile = assemble(facts(options=plan(**SCRIPT)), seen)
    interval = profile.steps.interval_ms.mean
    assert (profile.training.wait, profile.training.unknown, profile.training.window.count) == ("clock", None, 29)
    assert profile.steps.wait_ms.mean == pytest.approx(interval / 2)
    assert profile.steps.busy_ms.p95 == pytest.approx(interval * 24 / 48)
    assert (profile.steps.wait_share, profile.steps.restart_share) == (pytest.approx(0.5), None)
    assert (profile.device.on, profile.device.idle_share, profile.device.gaps) == ("gpu", None, None)
    assert "`pipeprof gaps TRACE`" in profile.device.gaps_unknown
    waits = "the device waits for data 50 % of the time: 5.0 of every 10 ms, by the GPU's clock"
    assert waits in profile.verdict.sentence


GAPS = Gaps(count=30, by_cause={"pipeline": 0.3}, longest=[Gap(start_s=0.1, ms=20, cause="copy")], seconds=1)
TRACED = DeviceSeen(gaps=GAPS, idle_share=0.5, gpus=(GpuUse(name="GPU 0", idle_share=0.5),))
CANNOT_SAY = "cannot say: the trace has no events of a device"


@pytest.mark.parametrize("script", [True, False])
def test_the_gaps_of_a_device_are_those_of_its_trace_or_else_of_the_loop(script):
    seen = observed(phase("measure"), followed(10), *([{"training": LOOP}] if script else []))
    options = plan(**SCRIPT) if script else plan()

    def device(known):
        seen.device_seen = known
        return assemble(facts(options=options), seen).device

    loop, traced, untold = map(device, (None, TRACED, DeviceSeen(unknown=CANNOT_SAY)))
    assert (traced.gaps, traced.idle_share, traced.gaps_unknown) == (GAPS, 0.5, None)
    assert [gpu.name for gpu in traced.gpus] == ["GPU 0"]
    assert (untold.gaps, untold.idle_share, untold.gaps_unknown) == (loop.gaps, loop.idle_share, CANNOT_SAY)


@pytest.mark.parametrize(("utilisation", "warned"), [(0.9, True), (0.55, False)])
def test_nvml_that_differs_by_tens_of_points_is_a_warning(utilisation, warned):
    seen = observed(phase("measure"), followed(10))
    seen.device_seen = TRACED
    profile = assemble(facts(gpus=[GpuUse(name="GPU 0", utilisation=utilisation, seconds=8.0)]), seen)
    assert profile.device.gpus[0].utilisation == utilisation
    texts = [warning.message for warning in profile.warnings if warning.code == "nvml-apart"]
    said = "NVML saw it at work 90 % of 8 s while steps were measured, the trace 50 %"
    assert [said in text for text in texts] == [True] * warned


@pytest.mark.parametrize(
    ("messages", "exit_code", "complete"),
    [
        ([measured(drained())], 0, True),
        ([measured(drained())], None, False),
        ([measured(drained())], 130, False),
        ([measured(drained()), error()], 5, False),
        ([drained()], 0, False),
        ([measured(drained(0)), error()], 5, False),
        ([], 5, False),
    ],
)
def test_complete_is_a_whole_measurement_that_ended_well(messages, exit_code, complete):
    seen = observed(phase("measure"), *messages)
    profile = assemble(facts(), seen, exit_code=exit_code)
    assert (profile.complete, profile.exit_code) == (complete, exit_code)
    # A measurement without a step is none.
    has_steps = seen.measured is not None and seen.measured.steps.count > 0
    assert (profile.steps is not None, profile.throughput is not None) == (has_steps, has_steps)


def test_what_the_worker_says_of_itself_replaces_what_was_known():
    host = Host(system="Linux", machine="x", cores=1.0, gpus=["from nvidia-smi"])
    disk = Disk(bytes=7, source="proc-io", cold=True)
    made = facts(host=host, disk=disk, output="hello", options=plan(seed=3))
    before = assemble(made, observed())
    assert (before.host.gpus, before.disk.bytes, before.output, before.seed) == (["from nvidia-smi"], 7, "hello", 3)
    profile = assemble(made, observed({"versions": {"tensorflow": "2.21"}, "gpus": ["GPU:0"]}))
    assert profile.host.gpus == ["GPU:0"]
    assert profile.versions == {"pipeprof": "1.2.3", "tensorflow": "2.21"}
    assert made.host.gpus == ["from nvidia-smi"]


@pytest.mark.parametrize(("version", "codes"), [("2.21.0", []), ("2.99.0", ["newer-tensorflow"]), ("unknown", [])])
def test_a_tensorflow_that_is_newer_than_the_tested_ones_is_a_warning(version, codes):
    profile = assemble(facts(), observed({"versions": {"tensorflow": version}}))
    assert [warning.code for warning in profile.warnings] == codes
    assert all(f"TensorFlow {version} is newer than 2.21" in warning.message for warning in profile.warnings)


# Phases and memory


@pytest.mark.parametrize(
    ("inside", "outside", "peak", "how"),
    [
        (1000, None, 1000, "hwm"),
        (1000, 900, 1000, "hwm"),
        (1000, 1015, 1015, "hwm"),
        (1000, 1500, 1500, "sampled"),
        (None, 700, 700, "sampled"),
        (None, None, None, None),
    ],
)
def test_the_peak_of_a_phase_is_the_kernels_unless_more_was_seen_with_children(inside, outside, peak, how):
    seen = observed(phase("build"), phase_end("build", peak=inside))
    profile = assemble(facts(), seen, FakeSampler(peaks={"build": outside} if outside else {}, children=True))
    assert (profile.phases[0].peak_rss_bytes, profile.phases[0].how) == (peak, how)


@pytest.mark.parametrize(
    ("ended", "code", "peak"), [(True, None, 1_279), (False, None, 1_421), (True, "out-of-memory", 1_421)]
)
def test_what_was_sampled_after_the_end_of_a_phase_is_no_part_of_it_unless_memory_ran_out(ended, code, peak):
    """Buffers fill while the worker reads its memory, before the next phase begins."""
    seen = observed(phase("measure"), *([phase_end("measure", peak=1_279)] if ended else []))
    problem = Problem(code=code, message="x") if code else None
    profile = assemble(facts(), seen, FakeSampler(peaks={"measure": 1_421}), problem=problem)
    assert (profile.phases[0].peak_rss_bytes, profile.memory.peak_bytes) == (peak, peak)
    assert profile.memory.peak_phase == "measure"


@pytest.mark.parametrize(("joint", "ends"), [(set(), [300, 400, 450]), ({"data"}, [300, 950, 450])])
def test_memory_at_the_end_of_a_phase_is_the_workers_word_or_the_last_sample_which_has_children(joint, ends):
    ended = (phase("import"), phase_end("import", end_rss=300), phase("data"), phase_end("data", end_rss=400))
    sampler = FakeSampler(ends={"import": 1, "data": 950, "build": 450}, joint=joint)
    profile = assemble(facts(), observed(*ended, phase("build")), sampler)
    assert [one.end_rss_bytes for one in profile.phases] == ends


def test_the_peak_is_that_of_the_phases_that_a_training_has_and_the_baseline_what_importing_left():
    seen = observed()
    for name, peak in {"import": 10, "build": 10, "warmup": 700, "measure": 600, "trace": 9999}.items():
        seen.take(phase(name))
        seen.take(phase_end(name, peak=peak, end_rss=5))
    profile = assemble(facts(), seen)
    assert (profile.memory.peak_bytes, profile.memory.peak_phase) == (700, "warmup")
    assert (profile.phases[-1].peak_rss_bytes, profile.memory.baseline_bytes) == (9999, 5)
    assert assemble(facts(), observed(phase("import")), FakeSampler(ends={"import": 9})).memory.baseline_bytes is None


@pytest.mark.parametrize(
    ("code", "growth"), [("out-of-memory", (2e8, 1.5)), ("hung", (None, None)), (None, (None, None))]
)
def test_growth_is_told_where_memory_ran_out_and_only_there(code, growth):
    sampler = FakeSampler(peaks={"measure": 900 * MIB}, growth=2e8, to_limit=1.5)
    problem = Problem(code=code, message="x") if code else None
    memory = assemble(facts(), observed(phase("measure")), sampler, problem=problem, exit_code=5).memory
    assert (memory.growth_bytes_per_second, memory.seconds_to_limit) == growth


# Steps, throughput, device


def test_steps_with_a_device_have_its_gaps_and_dispatch_and_what_measuring_cost_is_told_in_shares():
    steps = followed(10, fetch_ms=2, busy_ms=7, late_ms=1)
    seen = observed(phase("measure"), measured(steps, overhead_ns=5_000_000, overhead_cpu_ns=1))
    profile = assemble(facts(options=SIMULATED, sampler_cores=0.02), seen, exit_code=0)
    assert (profile.steps.dispatch, profile.device.text) == ("sync", "simulate: 8ms")
    assert profile.device.idle_share == pytest.approx(0.3)
    assert profile.device.gaps.count == 10
    assert profile.device.gaps.by_cause == pytest.approx({"pipeline": 0.02, "pipeprof": 0.01})
    assert profile.steps.busy_ms.mean == pytest.approx(7)
    assert (profile.overhead.loop_share, profile.overhead.wake_share) == pytest.approx((0.05, 0.1))
    assert profile.overhead.sampler_cores == 0.02


@pytest.mark.parametrize(
    ("written", "elements"),
    [
        ("range batch", 4.0),
        ("range bucket_by_sequence_length prefetch", 4.0),
        ("range padded_batch shuffle", 4.0),
        ("range unbatch batch", 4.0),
        ("range map", None),
        ("range batch unbatch map", None),
        # What these functions and loaders make is not known without the graph.
        ("range batch map prefetch", None),
        ("list_files flat_map", None),
        ("python", None),
        ("make_csv_dataset", None),
        ("", None),
    ],
)
def test_without_a_graph_elements_are_known_where_the_written_stages_suffice(written, elements):
    seen = observed(phase("measure"), measured(drained(10, ms=2.0)))
    throughput = assemble(facts(written=stages(*written.split()) or None), seen, exit_code=0).throughput
    assert throughput.elements_per_batch == elements
    assert throughput.elements_per_second == (pytest.approx(500 * elements) if elements else None)
    assert throughput.bytes_per_second == pytest.approx(200_000)


def test_batches_of_unknown_size_have_unknown_elements():
    seen = observed(phase("measure"), measured(drained(), sizes=BatchSize(None, None)))
    throughput = assemble(facts(written=stages("range", "batch")), seen).throughput
    assert (throughput.elements_per_second, throughput.bytes_per_second) == (None, None)
    assert throughput.batches_per_second is not None


# Stages from the graph


def test_the_graph_replaces_the_stages_as_written():
    seen = observed(
        phase("measure"),
        measured(drained()),
        graphs("map_batch"),
        Trace(batches=4, ops={"stages.0": {"Slow": 40.0, "Quick": 4.0}, "stages.7": {"Lost": 1.0}}),
    )
    known = {"stages.0": stage_at("stages.0", "map", name="decode", line=7)}
    profile = assemble(facts(stages=known, written=stages("nonsense")), seen, exit_code=0)
    assert [one.id for one in profile.stages if one.origin == "written"] == ["source", "stages.0", "stages.1"]
    decode = profile.stages[1]
    assert (decode.name, decode.location.line) == ("decode", 7)
    # Tracing made them ten times as long as the stage was while it was measured.
    assert [one.op for one in decode.ops] == ["Slow", "Quick"]
    assert sum(one.ms_per_batch for one in decode.ops) == pytest.approx(decode.time_ms_per_batch)
    assert decode.ops[0].ms_per_batch == pytest.approx(10 * decode.ops[1].ms_per_batch)
    assert profile.stages[0].ops is None
    assert decode.cpu_ms_per_batch > 0
    assert profile.throughput.elements_per_batch == 4.0


def test_the_processes_cpu_time_is_accounted_for():
    seen = observed(
        phase("measure"),
        measured(drained(), cpu_ns=10**9, overhead_cpu_ns=10**7),
        graphs("map_batch"),
        Replayed(replayed_ms=1.0, steps=5, batches=4, loop_cpu_ms=0.5),
    )
    profile = assemble(facts(), seen, exit_code=0)
    count = profile.steps.count
    assert profile.cpu.total_ms == pytest.approx(1000 / count)
    assert (profile.cpu.pipeprof_ms, profile.cpu.loop_ms) == (pytest.approx(10 / count), 0.5)
    parts = profile.cpu.stages_ms + profile.cpu.loop_ms + profile.cpu.pipeprof_ms + profile.cpu.unattributed_ms
    assert parts + profile.cpu.runtime_ms == pytest.approx(profile.cpu.total_ms)


@pytest.mark.parametrize(("throttled", "cores", "share"), [(0.5, 2, 0.25), (0.5, None, 0.5), (99.0, 2, 1.0)])
def test_the_quota_holds_back_on_each_core(throttled: float, cores: int | None, share: float):
    seen = observed(phase("measure"), measured(drained(), cpu_ns=10**9), graphs("map_batch"))
    host = Host(system="Linux 6.1", machine="x86_64", cores=0.6, schedulable_cores=cores)
    seconds = assemble(facts(), seen).steps.seconds
    contention = Contention(throttled_seconds=throttled * seconds)
    cpu = assemble(facts(host=host, contention=contention), seen).cpu
    assert cpu.throttled_share == pytest.approx(share)


def test_a_graph_that_could_not_be_read_leaves_the_stages_as_written():
    nothing = {"root": None, "reason": "it is too large", "nodes": []}
    seen = observed(measured(drained()), Graphs(nothing, nothing))
    profile = assemble(facts(written=stages("range", "batch")), seen, exit_code=0)
    assert [one.op for one in profile.stages] == ["range", "batch"]
    assert [one.code for one in profile.warnings] == ["stages-unread"]


# Series and overhead


def test_histograms_and_samples_are_in_the_series():
    seen = observed(measured(drained(10, ms=1.5)))
    series = assemble(facts(), seen, FakeSampler()).series
    assert series.fetch_histogram_ms == [(1.584893, 10)]
    assert isinstance(series.fetch_histogram_ms[0], tuple)
    assert series.rss_bytes == [100, 200]
    assert series.steps is not None
    assert series.steps.interval_ms == [1.5] * 10
    assert (series.steps.seconds[-1], series.steps.wait_ms) == (0.015, None)


# Warnings


def codes(profile: Profile) -> list[str]:
    return [one.code for one in profile.warnings]


@pytest.mark.parametrize(
    ("note", "warned"),
    [("not settled after 5 s", True), ("settled after 2.1 s", False), ("2 s as asked", False), (None, False)],
)
def test_a_warm_up_that_did_not_settle_is_a_warning(note, warned):
    seen = observed(phase("warmup"), phase_end("warmup", note=note))
    profile = assemble(facts(), seen)
    assert ("not-settled" in codes(profile)) is warned
    if warned:
        assert "Step times had not settled after 5 s of warm-up: " in profile.warnings[0].message


@pytest.mark.parametrize(("reached", "warned"), [("warmup", True), ("measure", False)])
def test_steps_of_a_warm_up_are_said_to_be_those(reached, warned):
    profile = assemble(facts(), observed(phase(reached), drained()))
    assert profile.steps.count == 10
    assert ("short-script" in codes(profile)) is warned


@pytest.mark.parametrize(
    ("epochs", "share", "said"),
    [(1, 0.0, "1 restart took 0 % of the time"), (1234, None, "1,234 restarts while measuring"), (0, None, None)],
)
def test_a_dataset_that_was_started_again_is_a_warning(epochs, share, said):
    seen = drained(10, ms=2.0, restarted=True)
    seen = replace(seen, steps=replace(seen.steps, epochs=epochs, restart_share=share))
    found = [(one.code, one.message) for one in assemble(facts(), observed(measured(seen))).warnings]
    assert found == ([("repeated", f"The data set is short: {said}.")] if said else [])


@pytest.mark.parametrize(
    ("deletions", "epochs", "words"),
    [
        ([], 0, None),
        ([0.04] * 9, 0, None),
        ([0.1, 1.5, 0.1], 0, "took 567 ms. Not counted above"),
        ([9.0, 0.2, 0.4], 2, "took 300 ms. It is part of the restarts"),
        ([9.0, 0.6], 1, "took 600 ms. It is part of the restarts"),
        ([9.0, 0.1, 0.1], 2, None),
        ([0.0125] * 1300, 1200, None),
    ],
)
@pytest.mark.parametrize("source", ["range", "from_generator"])
def test_slow_deletions_of_iterators_are_a_warning_where_an_epoch_has_them(deletions, epochs, words, source):
    seen = drained(5000)
    whole = 2500.0 if epochs > 1 else None
    seen = replace(seen, steps=replace(seen.steps, seconds=4.0, epochs=epochs, epoch_steps=whole))
    profile = assemble(facts(written=stages(source, "batch")), observed(measured(seen, deletions=deletions)))
    with_it = " with its Python generator" if source == "from_generator" else ""
    said = f"Freeing a finished iterator{with_it} {words}"
    assert [said in one.message for one in profile.warnings if one.code == "slow-delete"] == [True] * bool(words)


@pytest.mark.parametrize(("long_ms", "replayed_ms"), [(9.0, 11.0), (200.0, 20.6)])
def test_single_long_steps_stay_however_fast_the_pipeline_is(long_ms: float, replayed_ms: float):
    steps = measured(followed(100, fetch_ms=2, busy_ms=8, long_ms=long_ms))
    seen = observed(phase("measure"), steps, Replayed(replayed_ms=11.0, steps=5, batches=4, loop_cpu_ms=0.5))
    headspace = assemble(facts(), seen, exit_code=0).headspace
    assert headspace is not None
    assert headspace.replayed_ms == pytest.approx(replayed_ms, abs=0.1)


@pytest.mark.parametrize(
    ("told", "causes"),
    [
        (StepFacts(None, None, 2.0, 1.0), {"pipeline": 5.0, "python": 0.7, "copy": 0.3}),
        (StepFacts(None, None, 20.0, 1.0), {"pipeline": 5.0, "python": 0.0, "copy": 1.0}),
        (StepFacts("a sum", "cpu", None, None), {"pipeline": 5.0, "python": 1.0}),
    ],
)
def test_copies_are_a_cause_of_gaps_of_their_own(told, causes):
    gaps = Gaps(count=100, by_cause={"pipeline": 5.0, "python": 1.0})
    found = _with_copies(SimpleNamespace(gaps=gaps, steps=SimpleNamespace(count=100)), told)
    assert found is not None
    assert found.by_cause == pytest.approx(causes)
