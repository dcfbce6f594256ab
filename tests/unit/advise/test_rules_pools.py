"""Maps that wait or compute one call at a time, and pools too small: what must trigger them and near twins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.views import Built, function, measured, pipeline, recorded, stage, tensor, unnamed

from pipeprof.pipelines.changes.edits import SetArgument, SetOption
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import FunctionView, PipelineView

PYTHON = function("PyFunc", random=None)
READS = function("ReadFile")
RANDOM = function("RandomUniform", "MatMul")
POOL = "threading.private_threadpool_size"
OURS = ("serial-map-latency", "serial-map-cpu", "threadpool-caps-blocking-map", "threadpool-too-small")


def found(rule: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[rule].diagnose(view))


def speaking(view: PipelineView) -> list[str]:
    return [rule for rule in OURS if found(rule, view)]


def mapped(ms: float = 16.0, what: FunctionView | None = PYTHON, **facts: Any) -> Built:
    """A map before a batch of 16; by default one call at a time."""
    options = facts.pop("options", None)
    return pipeline(
        stage("source", "range"),
        stage("stages.0", "map", name="a", ms=ms, function=what, **facts),
        stage("stages.1", "batch", arguments={"batch_size": 16}),
        options=options,
    )


def waiting(view: Built, **conditions: Any) -> PipelineView:
    """Every 20 ms a batch, hardly any CPU time, and threads that are blocked."""
    given = {"worker_cores": 0.1, "blocked_share": 1.0, "wait_share": 0.95, "headspace": 0.95}
    return measured(view, **(given | conditions))


def computing(view: Built, **conditions: Any) -> PipelineView:
    """Every 20 ms a batch, one core at work."""
    return measured(view, **({"worker_cores": 1.0, "wait_share": 0.95, "headspace": 0.95} | conditions))


def scheduled_on(view: PipelineView, cores: int) -> PipelineView:
    """The same measurement under a quota: TensorFlow's pools follow the cores, not the quota."""
    assert view.profile is not None
    host = view.profile.host.model_copy(update={"schedulable_cores": cores})
    return replace(view, profile=view.profile.model_copy(update={"host": host}))


class TestSerialMapLatency:
    def test_a_serial_map_that_waits(self) -> None:
        (draft,) = found("serial-map-latency", waiting(mapped()))
        assert draft.stage == "stages.0"
        assert draft.edits == (SetArgument("stages.0", "map", "num_parallel_calls", 16), SetOption(POOL, 16))
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(5, rel=0.01)
        assert draft.evidence["worker_cores"] == 0.1

    @pytest.mark.parametrize(
        ("tf_op", "facts"),
        [
            ("MapAndBatchDataset", {"parallelism": 1, "tunable": False}),
            ("ParallelMapDatasetV2", {"parallelism": 1, "tunable": False, "arguments": {"num_parallel_calls": 1}}),
        ],
    )
    def test_a_fused_map_of_one_call_is_serial_too(self, tf_op: str, facts: dict[str, Any]) -> None:
        assert speaking(waiting(mapped(tf_op=tf_op, made_parallel=False, **facts))) == ["serial-map-latency"]

    def test_two_maps_that_wait_beside_each_other_are_one_finding(self) -> None:
        view = pipeline(
            stage("source", "range"),
            stage("stages.0", "map", ms=18.0, function=PYTHON),
            stage("stages.1", "prefetch"),
            stage("stages.2", "map", ms=19.0, function=PYTHON),
        )
        (draft,) = found("serial-map-latency", waiting(view))
        assert draft.stage == "stages.2"
        assert {edit.stage for edit in draft.edits if isinstance(edit, SetArgument)} == {"stages.0", "stages.2"}
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(20 / (37 / 16), rel=0.03)

    def test_a_slower_stage_beside_it_makes_it_worthless(self) -> None:
        view = pipeline(
            stage("source", "from_generator", ms=19.5),
            stage("stages.0", "prefetch"),
            stage("stages.1", "map", ms=18.0, function=PYTHON),
        )
        assert not found("serial-map-latency", waiting(view))

    def test_a_large_enough_pool_is_kept(self) -> None:
        (draft,) = found("serial-map-latency", waiting(mapped(options={POOL: 32})))
        assert draft.edits == (SetArgument("stages.0", "map", "num_parallel_calls", 16),)

    def test_a_map_inside_a_serial_interleave(self) -> None:
        view = pipeline(
            stage("source", "list_files"),
            stage("stages.0", "interleave"),
            stage("stages.0.source", "TFRecordDataset"),
            stage("stages.0.stages.0", "map", ms=16.0, function=READS),
        )
        (draft,) = found("serial-map-latency", waiting(view))
        assert draft.stage == "stages.0.stages.0"

    def test_inside_a_parallel_interleave_its_time_is_spread_over_threads(self) -> None:
        view = pipeline(
            stage("source", "list_files"),
            stage("stages.0", "interleave", tf_op="ParallelInterleaveDatasetV4", parallelism=2, tunable=False),
            stage("stages.0.source", "TFRecordDataset"),
            stage("stages.0.stages.0", "map", ms=16.0, function=READS),
        )
        assert not found("serial-map-latency", waiting(view))

    @pytest.mark.parametrize(
        "twin",
        [
            waiting(mapped(ms=9.0)),
            computing(mapped()),
            waiting(mapped(), cores=1.0),
            waiting(mapped(), cores=0.5),
            waiting(mapped(), worker_cores=None),
            waiting(mapped(), blocked_share=None),
            waiting(mapped(), blocked_share=0.5),
            waiting(mapped(), others_cores=3.95),
            waiting(mapped(), worker_cores=0.25, runnable_wait_share=0.9),
            waiting(mapped(), runnable_wait_share=None),
            waiting(mapped(tf_op="ParallelMapDatasetV2", parallelism=2, tunable=True, made_parallel=True)),
            waiting(mapped(arguments={"synchronous": True})),
        ],
        ids=[
            "a small part of the step",
            "computes",
            "one core",
            "half a core",
            "cpu not known",
            "not seen whether it is blocked",
            "blocked for a small part of the step",
            "other processes use the cores",
            "waits for a core",
            "waiting for cores not known",
            "made parallel",
            "serial as asked for",
        ],
    )
    def test_twins(self, twin: PipelineView) -> None:
        assert not found("serial-map-latency", twin)

    @pytest.mark.parametrize("name", ["waiting_serial", "stateful_map_batch", "interleave", "shuffle_repeat"])
    def test_recorded(self, name: str) -> None:
        assert speaking(recorded(name, worker_cores=0.1)) == ["serial-map-latency"]

    def test_a_prediction_keeps_its_promise(self) -> None:
        before, after = recorded("waiting_serial", worker_cores=0.05), recorded("waiting_pool", worker_cores=0.05)
        (draft,) = found("serial-map-latency", before)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(_interval(before) / _interval(after), rel=0.4)

    def test_python_may_do_anything_but_random_ops_surely_draw_others(self) -> None:
        (python,) = found("serial-map-latency", waiting(mapped()))
        (random,) = found("serial-map-latency", waiting(mapped(what=RANDOM)))
        (unknown,) = found("serial-map-latency", waiting(mapped(what=None)))
        assert [one.semantics for one in (python, random, unknown)] == [None, "randomness", "randomness"]

    def test_the_elements_in_flight_are_counted(self) -> None:
        (draft,) = found("serial-map-latency", waiting(mapped(element=(tensor("uint8", 1000, 1000),))))
        assert draft.predicted is not None
        assert draft.predicted.peak_rss_delta_bytes == 16_000_000


class TestSerialMapCpu:
    def test_a_random_map_stays_serial_and_computes(self) -> None:
        (draft,) = found("serial-map-cpu", computing(mapped(what=RANDOM)))
        assert draft.stage == "stages.0"
        assert draft.edits == (SetArgument("stages.0", "map", "num_parallel_calls", 16),)
        assert draft.semantics == "randomness"
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(4, rel=0.01)
        assert draft.evidence["stage_ms_per_element"] == pytest.approx(1.0)

    def test_parallelization_switched_off(self) -> None:
        off = {"experimental_optimization.map_parallelization": False}
        (draft,) = found("serial-map-cpu", computing(mapped(what=function("MatMul"), options=off)))
        assert draft.semantics is None
        assert "map_parallelization is off" in draft.sentence

    def test_large_elements_get_fewer_calls(self) -> None:
        big = (tensor("float32", 1000, 1000, 3),)
        (draft,) = found("serial-map-cpu", computing(mapped(what=RANDOM, element=big)))
        assert draft.edits == (SetArgument("stages.0", "map", "num_parallel_calls", 6),)

    @pytest.mark.parametrize(
        "twin",
        [
            computing(mapped(what=RANDOM, tf_op="ParallelMapDatasetV2", parallelism=4)),
            computing(mapped(what=RANDOM), cores=1.0),
            computing(mapped(what=RANDOM), worker_cores=3.6),
            computing(mapped(what=RANDOM), worker_cores=0.3),
            computing(mapped(what=PYTHON), python_ms=15.0),
            computing(mapped(what=PYTHON), python_ms=None),
            computing(mapped(what=None), python_ms=None),
            computing(mapped(ms=8.0, what=RANDOM)),
            computing(mapped(ms=0.3, what=RANDOM), interval_ms=0.5),
            computing(mapped(what=RANDOM, count=None, tunable=True, parallelism=1, arguments={})),
        ],
        ids=[
            "parallel already",
            "one core",
            "no core is free",
            "neither waits nor computes",
            "Python computes",
            "Python, time not known",
            "function not known",
            "a small part of the step",
            "trivial",
            "tuned, and still at one",
        ],
    )
    def test_twins(self, twin: PipelineView) -> None:
        assert not found("serial-map-cpu", twin)

    def test_a_little_python_in_a_map_that_computes_elsewhere(self) -> None:
        assert speaking(computing(mapped(what=PYTHON), python_ms=1.0)) == ["serial-map-cpu"]

    def test_recorded_and_its_twin(self) -> None:
        assert speaking(recorded("random_serial", worker_cores=1.0)) == ["serial-map-cpu"]
        assert speaking(recorded("random_parallel", worker_cores=1.0)) == []
        assert speaking(recorded("stateful_map", worker_cores=1.0)) == []

    def test_no_cores_of_others_are_promised(self) -> None:
        (draft,) = found("serial-map-cpu", computing(mapped(what=RANDOM), others_cores=2.0))
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(2, rel=0.01)
        assert not found("serial-map-cpu", computing(mapped(what=RANDOM), others_cores=2.9))


def parallel(calls: int | str = 16, ms: float = 80.0, what: FunctionView | None = READS, **facts: Any) -> Built:
    """A parallel map whose calls keep four threads all the time of a 20 ms interval."""
    degree = {"parallelism": 2.0, "tunable": True} if calls == AUTOTUNE else {"parallelism": calls, "tunable": False}
    arguments = {"num_parallel_calls": calls}
    return mapped(ms, what, tf_op="ParallelMapDatasetV2", arguments=arguments, **{**degree, **facts})


class TestThreadpoolCapsBlockingMap:
    @pytest.mark.parametrize("calls", [16, 64, AUTOTUNE])
    def test_more_calls_than_threads(self, calls: int | str) -> None:
        (draft,) = found("threadpool-caps-blocking-map", waiting(parallel(calls, ops={"ReadFile": 78.0})))
        threads = 16 if calls == 16 else 64
        assert draft.edits == (SetOption(POOL, threads),)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(20 / (80 / threads), rel=0.05)
        assert draft.evidence["calls_under_way"] == pytest.approx(4.0)

    def test_a_quota_does_not_make_the_pool_smaller(self) -> None:
        view = waiting(parallel(64))
        assert found("threadpool-caps-blocking-map", scheduled_on(view, 4))
        # Of 16 threads these calls fill a quarter: it is not the pool that holds them up.
        assert not found("threadpool-caps-blocking-map", scheduled_on(view, 16))

    def test_the_pool_is_twice_as_large_as_the_step_needs(self) -> None:
        (draft,) = found("threadpool-caps-blocking-map", waiting(parallel(64), headspace=0.5))
        assert draft.edits == (SetOption(POOL, 2 * 8),)

    def test_two_maps_share_the_pool(self) -> None:
        facts: dict[str, Any] = {"tf_op": "ParallelMapDatasetV2", "parallelism": 8, "ms": 40.0, "function": READS}
        view = pipeline(
            stage("source", "range"),
            stage("stages.0", "map", arguments={"num_parallel_calls": 8}, **facts),
            stage("stages.1", "map", arguments={"num_parallel_calls": 8}, **facts),
        )
        (draft,) = found("threadpool-caps-blocking-map", waiting(view))
        assert draft.evidence["stages"] == "stages.0, stages.1"
        assert draft.edits == (SetOption(POOL, 16),)

    def test_maps_inside_a_parallel_interleave(self) -> None:
        view = pipeline(
            stage("source", "list_files"),
            stage("stages.0", "interleave", tf_op="ParallelInterleaveDatasetV4", parallelism=16, tunable=False),
            stage("stages.0.source", "TFRecordDataset"),
            stage("stages.0.stages.0", "map", ms=80.0, function=READS),
        )
        assert speaking(waiting(view)) == ["threadpool-caps-blocking-map"]

    @pytest.mark.parametrize(
        "twin",
        [
            waiting(parallel(4)),
            waiting(parallel(16, ms=20.0)),
            waiting(parallel(), worker_cores=2.5),
            waiting(parallel(what=PYTHON), worker_cores=0.6, python_ms=80.0),
            waiting(parallel(what=PYTHON), worker_cores=0.6, python_ms=None),
            waiting(parallel(options={POOL: 16})),
            waiting(parallel(), cores=1.0),
            waiting(parallel(), runnable_wait_share=0.95),
            waiting(mapped()),
            waiting(parallel(), blocked_share=None),
            waiting(parallel(), blocked_share=0.0),
            waiting(parallel(), blocked_share=0.4),
            waiting(parallel(), others_cores=3.95),
            waiting(parallel(), others_cores=None),
            waiting(parallel(), worker_cores=1.4, restart_share=0.35),
        ],
        ids=[
            "no more calls than cores",
            "the pool is not full",
            "it computes",
            "Python computes",
            "Python, time not known",
            "a pool of its own",
            "one core",
            "waits for a core",
            "serial",
            "nobody has seen its threads",
            "its threads compute, or want to",
            "they wait for less than half of the time",
            "other processes use the cores",
            "not known what they use",
            "cores are free in restarts alone",
        ],
    )
    def test_twins(self, twin: PipelineView) -> None:
        assert not found("threadpool-caps-blocking-map", twin)

    def test_an_image_folder_that_computes_beside_others_and_starts_often_is_no_waiting_pipeline(self) -> None:
        """The shape of Keras' loader: a batch of 174 ms inside the map, of which 124 compute and 50 want a core."""
        loads = parallel(AUTOTUNE, 174.0, function("ReadFile", "DecodeJpeg"), blocked_ms=0.0, ops={"DecodeJpeg": 110.0})
        beside = {"worker_cores": 0.9, "others_cores": 0.76, "restart_share": 0.35, "cores": 2.0}
        assert speaking(waiting(loads, interval_ms=110.0, **beside)) == []

    def test_waiting_needs_no_core_that_others_do_not_use(self) -> None:
        (draft,) = found("threadpool-caps-blocking-map", waiting(parallel(), worker_cores=0.1, others_cores=3.5))
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(4.0)

    def test_what_it_promises_follows_from_the_blocked_time(self) -> None:
        (whole,) = found("threadpool-caps-blocking-map", waiting(parallel(64)))
        (half,) = found("threadpool-caps-blocking-map", waiting(parallel(64), blocked_share=0.5))
        (often,) = found("threadpool-caps-blocking-map", waiting(parallel(64, ms=79.0), restart_share=0.25))
        assert [one.predicted.speedup for one in (whole, half, often) if one.predicted is not None] == [
            pytest.approx(16.0),
            # What is not waited for takes four cores.
            pytest.approx(20 / (40 / 4), rel=0.01),
            pytest.approx(20 / (5 + 1.0)),
        ]
        assert half.evidence["blocked_ms_per_batch"] == pytest.approx(40.0)

    @pytest.mark.parametrize("name", ["waiting_parallel", "waiting_autotune"])
    def test_recorded(self, name: str) -> None:
        assert speaking(recorded(name, worker_cores=0.1)) == ["threadpool-caps-blocking-map"]

    @pytest.mark.parametrize("name", ["waiting_pool", "parallel_reads", "list_files", "parallel_interleave"])
    def test_recorded_twins(self, name: str) -> None:
        assert speaking(recorded(name, worker_cores=0.1)) == []

    def test_recorded_python_that_computes(self) -> None:
        assert speaking(recorded("python_parallel", worker_cores=0.98)) == []

    def test_a_prediction_keeps_its_promise(self) -> None:
        before, after = recorded("waiting_parallel", worker_cores=0.05), recorded("waiting_pool", worker_cores=0.05)
        (draft,) = found("threadpool-caps-blocking-map", before)
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(_interval(before) / _interval(after), rel=0.4)


class TestThreadpoolTooSmall:
    def test_a_pool_below_the_calls_that_wait(self) -> None:
        (draft,) = found("threadpool-too-small", waiting(parallel(16, ms=60.0, options={POOL: 3})))
        assert draft.edits == (SetOption(POOL, 16),)
        assert draft.evidence["private_threadpool_size"] == 3
        assert draft.recommendation == f"Raise {POOL} from 3 to 16."
        assert draft.predicted is not None
        assert draft.predicted.speedup == pytest.approx(16 / 3, rel=0.01)

    @pytest.mark.parametrize(
        "twin",
        [
            waiting(parallel(16, ms=60.0, options={POOL: 16})),
            waiting(parallel(3, ms=60.0, options={POOL: 3})),
            waiting(parallel(16, ms=30.0, options={POOL: 3})),
            waiting(parallel(16, ms=60.0, options={POOL: 3}), worker_cores=1.6),
            waiting(parallel(16, ms=60.0)),
            waiting(parallel(16, ms=60.0, options={POOL: 0})),
            waiting(parallel(16, ms=60.0, options={POOL: 3}), cores=1.0),
        ],
        ids=[
            "large enough",
            "as many calls as threads",
            "threads are free",
            "it computes",
            "no pool of its own",
            "a pool of 0 is none",
            "one core",
        ],
    )
    def test_twins(self, twin: PipelineView) -> None:
        assert not found("threadpool-too-small", twin)

    def test_recorded_and_its_twin(self) -> None:
        assert speaking(recorded("waiting_small_pool", worker_cores=0.1)) == ["threadpool-too-small"]
        assert speaking(recorded("waiting_pool", worker_cores=0.1)) == []
        assert speaking(recorded("thread_pool", worker_cores=0.1)) == []


def _interval(view: PipelineView) -> float:
    assert view.profile is not None
    assert view.profile.steps is not None
    return view.profile.steps.interval_ms.mean


TRIGGERS = [
    waiting(mapped()),
    computing(mapped(what=RANDOM)),
    waiting(parallel()),
    waiting(parallel(16, ms=60.0, options={POOL: 3})),
]


@pytest.mark.parametrize(("view", "rule"), list(zip(TRIGGERS, OURS, strict=True)))
def test_only_the_most_specific_speaks_with_and_without_names(view: PipelineView, rule: str) -> None:
    assert speaking(view) == [rule]
    (named,), (plain,) = found(rule, view), found(rule, unnamed(view))
    assert (named.stage, named.edits, named.evidence) == (plain.stage, plain.edits, plain.evidence)
    assert "a (" in named.sentence
    assert "a (" not in plain.sentence


@pytest.mark.parametrize("silent", [{"wait_share": 0.01}, {"headspace": 0.01}])
def test_a_pipeline_that_keeps_up_gets_no_advice(silent: dict[str, float]) -> None:
    for view in (waiting(mapped(), **silent), computing(mapped(what=RANDOM), **silent)):
        findings, _ = advise(view)
        assert [one.rule for one in findings if one.family == "speed"] == []


def test_small_work_after_a_batch_is_left_alone() -> None:
    """The healthy serial map of 5 µs on scalars after batch(1024)."""
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "batch", arguments={"batch_size": 1024}),
        stage("stages.1", "map", ms=0.005, function=RANDOM),
    )
    assert speaking(measured(view, interval_ms=0.02, dispatch=None, wait_share=1.0)) == []
