"""The stages' time taken apart, and the process's CPU time accounted for; no TensorFlow, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import DatasetUse, FunctionUse, Training
from pipeprof.profiles.document.stages import OpCost, PythonCost, Stage
from pipeprof.profiles.time.stage_time import CpuUsage, attribute_time, step_cpu_ms
from pipeprof.profiles.time.trace_work import Work


def stage(id_: str, ms: float | None, total: float, **more: Any) -> Stage:
    share = ms / total if ms is not None else None
    return Stage.model_validate(
        {"id": id_, "origin": "written", "op": "map", "time_ms_per_batch": ms, "share": share, **more}
    )


def unread(id_: str, elements: int | None = None, **more: Any) -> Stage:
    return Stage(id=id_, origin="written", op="map", elements=elements, **more)


def batch(ms: float, total: float, rows: float, row_bytes: float, op: str = "batch") -> Stage:
    """It copies so many rows."""
    nbytes = rows * row_bytes
    return stage("b", ms, total, op=op, inputs_each=rows, bytes_per_element=nbytes, bytes_out_per_batch=nbytes)


def part(number: int, elements: int | None, line: int = 37) -> Stage:
    place = Location(file="train.py", line=line, column=9)
    return unread(f"parts.{number}", elements, location=place, body="load")


def looked(computing: float, waiting: float = 0.0, **more: Any) -> Work:
    return Work(computing=computing, waiting=waiting, **more)


def ops(**costs: float) -> list[OpCost]:
    return [OpCost(op=op, ms_per_batch=ms) for op, ms in costs.items()]


def python(ms: float, lock: float | None, name: str = "parse") -> PythonCost:
    return PythonCost(function=name, parent="PyFunc", ms_per_batch=ms, share=1.0, lock_share=lock)


FIELDS = {
    "wall": "time_ms_per_batch", "cpu": "cpu_ms_per_batch", "blocked": "blocked_ms_per_batch", "by": "timed_by",
    "intra": "intra_op_ms_per_batch", "calling": "calling_ms_per_batch", "scale": "scale", "share": "share",
    "stages": "stages_ms", "runtime": "runtime_ms", "unattributed": "unattributed_ms", "waiting": "waiting_ms",
    "loop": "loop_ms", "pipeprof": "pipeprof_ms",
}  # fmt: skip
FUSED = unread("b", fused_with="a")
Case = tuple[list[Stage], dict[str, Work], CpuUsage, dict[str, dict[str, Any]]]
CASES: dict[str, Case] = {
    "waiting is taken off what computes": (
        [stage("a", 10.0, 20.0), stage("b", 10.0, 20.0)], {"a": looked(0.2, ms=9), "b": looked(1.0, ms=9)},
        CpuUsage(total_ms=14.0),
        {"a": {"wall": 10.0, "blocked": 8.0, "cpu": 2.0, "share": 0.5},
         "b": {"blocked": 0.0, "cpu": 10.0, "share": 0.5},
         "account": {"stages": 12.0, "runtime": 2.0, "scale": 1.0}}),
    "a batch of many bytes takes the time of copying them": (
        [stage("a", 5.0, 15.0), batch(10.0, 15.0, 32.0, 602_112.0)], {}, CpuUsage(total_ms=15.0, interval_ms=15.0),
        {"b": {"wall": 10.0}}),
    "waiting for a core is no time of the stage": (
        [stage("a", 20.0, 30.0), stage("b", 10.0, 30.0)], {"a": looked(0.5, 0.5), "b": looked(0.0)},
        CpuUsage(total_ms=10.0, waiting_share=0.9),
        {"a": {"wall": 20.0, "blocked": 0.0, "cpu": 10.0, "share": 0.5}, "b": {"share": 0.5}}),
    "where nobody looked it waited as the whole process did": (
        [stage("a", 20.0, 20.0)], {}, CpuUsage(total_ms=15.0, waiting_share=0.25),
        {"a": {"cpu": 15.0, "blocked": None}}),
    "what seems to be waiting for a core is computing as far as the process used CPU time for it": (
        [stage("a", 20.0, 20.0)], {"a": looked(0.5, 0.5)}, CpuUsage(total_ms=18.0), {"a": {"cpu": 18.0}}),
    "more than the process used is scaled down": (
        [stage("a", 30.0, 40.0), stage("b", 10.0, 40.0)], {}, CpuUsage(total_ms=22.0, loop_ms=3.0, pipeprof_ms=1.0),
        {"a": {"cpu": 15.0}, "b": {"cpu": 5.0},
         "account": {"scale": 0.5, "loop": 1.5, "pipeprof": 0.5, "stages": 20.0, "runtime": 0.0, "unattributed": 0.0}}),
    "what could not be told apart is accounted for": (
        [stage("a", 30.0, 40.0)], {}, CpuUsage(total_ms=50.0),
        {"a": {"share": 0.75}, "account": {"unattributed": 10.0, "runtime": 10.0}}),
    "what is left may be a stage's that could not be read": (
        [stage("a", 2.0, 2.0), unread("b", tf_op="MapDataset")], {}, CpuUsage(total_ms=50.0),
        {"a": {"share": 0.04}, "account": {"unattributed": 48.0, "runtime": 0.0}}),
    "further threads are added": (
        [stage("a", 10.0, 10.0)], {"a": looked(1.0, ms=10, intra_op=1.5)}, CpuUsage(total_ms=30.0),
        {"a": {"cpu": 25.0, "intra": 15.0}}),
    "a fused stage's time stands at its first part": (
        [stage("a", 20.0, 20.0), FUSED], {"a": Work(ms=30.0), "b": Work(ms=10.0)}, CpuUsage(),
        {"a": {"wall": 20.0, "by": "model"}, "b": {"wall": None, "by": None}}),
    "without a model the trace tells the proportions": (
        [unread("a"), unread("b"), unread("c")], {"a": looked(1.0, at_work=6.0), "b": looked(0.0, at_work=3.0)},
        CpuUsage(total_ms=6.0),
        {"a": {"wall": 6.0, "by": "trace", "share": 2 / 3}, "b": {"wall": 3.0, "by": "trace", "share": 1 / 3},
         "c": {"wall": None, "by": None}, "account": {"scale": 1.0}}),
    # 8 elements in each traced batch took 6 ms; 4 in each of 100 measured ones take 3.
    "a stage that nobody read has the trace's time for its elements": (
        [stage("a", 1.0, 1.0), unread("b", 400)],
        {"b": looked(1.0, at_work=6.0, elements=8.0, ms=5.0, ops=ops(x=5.0))}, CpuUsage(total_ms=4.5, batches=100),
        {"a": {"share": 0.25}, "b": {"wall": 3.0, "cpu": 3.0, "by": "trace", "share": 0.75, "ops": {"x": 2.5}},
         "account": {"stages": 4.0, "unattributed": 0.0, "runtime": 0.5}}),
    "a trace is not taken to be slower than traces are": (
        [stage("a", 3.0, 3.0), unread("b", 400)], {"b": looked(1.0, at_work=2.0, elements=4.0)},
        CpuUsage(total_ms=3.0, batches=100), {"a": {"share": 0.75}, "b": {"share": 0.25}}),
    "what the trace saw of less than a hundredth of the elements is no time": (
        [stage("a", 1.0, 1.0), unread("b", 1_000_000)], {"b": looked(1.0, at_work=2.0, elements=99.0)},
        CpuUsage(total_ms=50.0, batches=100),
        {"a": {"share": 0.02}, "b": {"wall": None, "share": None}, "account": {"unattributed": 49.0}}),
    # Costs that were scaled up, or counted twice: 342 ms in an interval of 20, on one thread.
    "no thread is inside a stage for longer than passes": (
        [stage("a", 342.0, 352.0, threads=1.0), stage("b", 10.0, 352.0, threads=2.0)],
        {"a": looked(0.5, 0.5), "b": looked(1.0)}, CpuUsage(total_ms=20.0, interval_ms=20.0),
        {"a": {"wall": 20.0, "cpu": 10.0}, "b": {"wall": 10.0, "cpu": 10.0}}),
    **{f"it is not known how many elements there were: {elements}": (
        [stage("a", 1.0, 1.0), unread("b", elements)], {"b": Work(at_work=2.0, elements=traced)},
        CpuUsage(total_ms=3.0, batches=100), {"b": {"wall": None, "by": None}})
       for elements, traced in ((None, 4.0), (400, 0.0))},
    # Two milliseconds for an element, and one element for each batch that was measured.
    "parts that the trace saw stand for those of the same line": (
        [*(part(number, 10) for number in range(3)), part(3, 10, line=52), stage("b", 1.0, 1.0)],
        {"parts.0": Work(at_work=4.0, elements=2.0), "parts.1": Work(at_work=2.0, elements=1.0)}, CpuUsage(batches=10),
        {"parts.0": {"wall": 2.0}, "parts.1": {"wall": 2.0}, "parts.2": {"wall": 2.0, "by": "trace"},
         "parts.3": {"wall": None}, "b": {"wall": 1.0}}),
    # 100 calls of 20 µs.
    **{f"calls are paid by what no stage has: {total}": (
        [stage("a", 10.0, 10.0, calls_per_batch=100.0)], {}, CpuUsage(total_ms=total),
        {"a": {"calling": calling, "cpu": 10.0 + (calling or 0.0)}, "account": {"runtime": runtime}})
       for total, calling, runtime in ((13.0, 2.0, 1.0), (11.5, 1.5, 0.0), (10.0, None, 0.0))},
    "ops are never longer than their stage": (
        [stage("a", 10.0, 10.0)], {"a": Work(ms=20.0, ops=ops(x=15.0, y=5.0))}, CpuUsage(),
        {"a": {"ops": {"x": 7.5, "y": 2.5}}}),
    # 50 ms on a core and 800 ms of waiting for one: its op has no 850.
    "an op has the same kind of time as its stage": (
        [stage("a", 850.0, 850.0)], {"a": looked(0.06, 0.94, ms=850.0, ops=ops(DecodeAndCropJpeg=800.0))},
        CpuUsage(total_ms=51.0), {"a": {"cpu": 51.0, "ops": {"DecodeAndCropJpeg": 48.0}}}),
    "what tracing adds is taken off by what the model counted meanwhile": (
        [stage("a", 10.0, 10.0)], {"a": looked(1.0, model_ms=15.0, ops=ops(Sort=12.0))}, CpuUsage(total_ms=100.0),
        {"a": {"ops": {"Sort": 8.0}}}),
    "ops on several threads take more than passes": (
        [stage("a", 10.0, 10.0)], {"a": looked(1.0, intra_op=1.0, ops=ops(MatMul=10.0))}, CpuUsage(total_ms=100.0),
        {"a": {"ops": {"MatMul": 20.0}}}),
    "a function that sleeps has the time by the clock": (
        [stage("a", 20.0, 20.0)], {"a": looked(0.0, ops=ops(PyFunc=20.0), python=[python(20.0, 0.02)])},
        CpuUsage(total_ms=100.0), {"a": {"python": 19.6}}),
    # It computes for 2 of 7.2 ms, and is blocked with the lock taken for the rest.
    "waiting for the lock is no time of the function that waits": (
        [stage("a", 7.2, 7.2)], {"a": looked(0.28, ops=ops(PyFunc=7.2), python=[python(7.2, 1.0)])},
        CpuUsage(total_ms=100.0), {"a": {"python": 2.016, "ops": {"PyFunc": 7.2}}}),
    "functions are never longer than the op that calls them": (
        [stage("a", 10.0, 10.0)],
        {"a": looked(1.0, ops=ops(PyFunc=4.0, Sort=6.0), python=[python(5.0, 1.0), python(3.0, 1.0, "other")])},
        CpuUsage(total_ms=100.0), {"a": {"python": 4.0, "ops": {"PyFunc": 4.0, "Sort": 6.0}}}),
}  # fmt: skip


def read(row: Any, name: str) -> Any:
    if name == "ops":
        return {one.op: one.ms_per_batch for one in row.ops or ()}
    if name == "python":
        return sum(one.ms_per_batch for one in row.python or ())
    return getattr(row, FIELDS[name])


@pytest.mark.parametrize("name", CASES)
def test_times_of_stages_and_the_account(name: str) -> None:
    stages, work, usage, expected = CASES[name]
    rows, account = attribute_time(stages, work, usage)
    found: dict[str, Any] = {**{row.id: row for row in rows}, "account": account}
    for one, facts in expected.items():
        for key, value in facts.items():
            assert read(found[one], key) == pytest.approx(value), (one, key)


@pytest.mark.parametrize(
    ("row_bytes", "op", "waits"),
    [(48_000, "padded_batch", True), (48_000, "batch", True), (17_000, "padded_batch", False), (48_000, "map", False)],
    ids=["padded", "stacked", "copied by its own thread", "no batch"],
)
def test_a_batch_that_waits_for_the_threads_of_the_pool_does_no_work(row_bytes: int, op: str, waits: bool) -> None:
    """60 calls of Python hold the threads on which 4 rows are to be copied; the model counts 47 ms for them."""
    stages = [stage("a", 97.0, 144.0), batch(47.0, 144.0, 4.0, row_bytes, op)]
    rows, _ = attribute_time(stages, {}, CpuUsage(total_ms=40.0, interval_ms=48.0))
    assert ((rows[1].share or 1.0) < 0.01) is waits
    assert attribute_time([unread("a")], {}, CpuUsage())[1] is None, "nothing is known"


def training(own_ms: float | None, called_seconds: float = 0.0) -> Training:
    return Training(
        own_ms=own_ms,
        datasets=[DatasetUse(role="loop", batches=100)],
        functions=[FunctionUse(name="train", seconds=called_seconds)],
    )


@pytest.mark.parametrize(
    ("told", "cpu_ms"),
    [
        pytest.param(None, 6.0, id="no script"),
        pytest.param(training(None), 6.0, id="its own steps may compute"),
        pytest.param(training(0.5), 1.0, id="it sleeps"),
        pytest.param(training(0.5, called_seconds=0.1), 3.0, id="a tf.function of 1 ms a step"),
        pytest.param(training(5.0), 6.0, id="it computes"),
    ],
)
def test_the_step_of_a_script_has_at_most_what_its_thread_can_have_caused(told, cpu_ms):
    rows = [stage("a", 4.0, 4.0, cpu_ms_per_batch=4.0)]
    assert step_cpu_ms(10.0, rows, told, cores=2.0) == pytest.approx(cpu_ms)
    assert step_cpu_ms(3.0, rows, told, cores=2.0) is None
    assert step_cpu_ms(10.0, [stage("a", 4.0, 4.0)], told, cores=2.0) is None
