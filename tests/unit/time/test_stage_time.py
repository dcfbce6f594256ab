"""The stages' time taken apart, and the process's CPU time accounted for; no TensorFlow, no clock."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import DatasetUse, FunctionUse, Training
from pipeprof.profiles.document.stages import CpuAccount, OpCost, PythonCost, Stage
from pipeprof.profiles.time.stage_time import CpuUsage, attribute_time, step_cpu_ms
from pipeprof.profiles.time.trace_work import Work


def attribute(stages: list[Stage], work: dict[str, Work], usage: CpuUsage) -> CpuAccount | None:
    """Attribute, and show the new rows' fields in the given ones."""
    rows, account = attribute_time(stages, work, usage)
    for stage, row in zip(stages, rows, strict=True):
        for name in Stage.model_fields:
            setattr(stage, name, getattr(row, name))
    return account


def stage(id_: str, ms: float | None, total: float, **more: Any) -> Stage:
    return Stage(
        id=id_, origin="written", op="map", time_ms_per_batch=ms, share=ms / total if ms is not None else None, **more
    )


def test_waiting_is_taken_off_what_computes():
    one, two = stage("a", 10.0, 20.0), stage("b", 10.0, 20.0)
    account = attribute(
        [one, two],
        {"a": Work(ms=9, computing=0.2, waiting=0.0), "b": Work(ms=9, computing=1.0, waiting=0.0)},
        CpuUsage(total_ms=14.0),
    )
    assert account is not None
    assert (one.time_ms_per_batch, one.blocked_ms_per_batch, one.cpu_ms_per_batch) == pytest.approx((10.0, 8.0, 2.0))
    assert (two.blocked_ms_per_batch, two.cpu_ms_per_batch) == pytest.approx((0.0, 10.0))
    assert (one.share, two.share) == pytest.approx((0.5, 0.5))
    assert (account.stages_ms, account.runtime_ms, account.scale) == pytest.approx((12.0, 2.0, 1.0))


@pytest.mark.parametrize(
    ("row_bytes", "op", "waits"),
    [(48_000, "padded_batch", True), (48_000, "batch", True), (17_000, "padded_batch", False), (48_000, "map", False)],
    ids=["padded", "stacked", "copied by its own thread", "no batch"],
)
def test_a_batch_that_waits_for_the_threads_of_the_pool_does_no_work(row_bytes: int, op: str, waits: bool) -> None:
    """60 calls of Python hold the threads on which 4 rows are to be copied; the model counts 47 ms for them."""
    load, batch = stage("a", 97.0, 144.0), stage("b", 47.0, 144.0)
    batch.op, batch.inputs_each, batch.bytes_per_element = op, 4.0, 4.0 * row_bytes
    batch.bytes_out_per_batch = batch.bytes_per_element
    attribute([load, batch], {}, CpuUsage(total_ms=40.0, interval_ms=48.0))
    assert batch.share is not None
    assert (batch.share < 0.01) is waits


def test_a_batch_of_many_bytes_takes_the_time_of_copying_them() -> None:
    load, batch = stage("a", 5.0, 15.0), stage("b", 10.0, 15.0)
    batch.op, batch.inputs_each, batch.bytes_per_element = "batch", 32.0, 19_267_584.0
    batch.bytes_out_per_batch = batch.bytes_per_element
    attribute([load, batch], {}, CpuUsage(total_ms=15.0, interval_ms=15.0))
    assert batch.time_ms_per_batch == pytest.approx(10.0)


def test_waiting_for_a_core_is_no_time_of_the_stage():
    one, two = stage("a", 20.0, 30.0), stage("b", 10.0, 30.0)
    work = {"a": Work(computing=0.5, waiting=0.5), "b": Work(computing=0.0, waiting=0.0)}
    attribute([one, two], work, CpuUsage(total_ms=10.0, waiting_share=0.9))
    assert (one.time_ms_per_batch, one.blocked_ms_per_batch) == (20.0, 0.0)
    assert one.cpu_ms_per_batch == pytest.approx(10.0)
    assert (one.share, two.share) == pytest.approx((0.5, 0.5))


def test_where_nobody_looked_it_waited_as_the_whole_process_did():
    one = stage("a", 20.0, 20.0)
    attribute([one], {}, CpuUsage(total_ms=15.0, waiting_share=0.25))
    assert (one.cpu_ms_per_batch, one.blocked_ms_per_batch) == (15.0, None)


def test_a_batchs_thread_waits_for_those_that_copy():
    one = stage("a", 20.0, 20.0).model_copy(update={"op": "batch"})
    attribute([one], {"a": Work(computing=0.1, waiting=0.0)}, CpuUsage(total_ms=15.0, waiting_share=0.25))
    assert (one.cpu_ms_per_batch, one.blocked_ms_per_batch) == (15.0, None)


def test_more_than_the_process_used_is_scaled_down():
    one, two = stage("a", 30.0, 40.0), stage("b", 10.0, 40.0)
    account = attribute([one, two], {}, CpuUsage(total_ms=22.0, loop_ms=3.0, pipeprof_ms=1.0))
    assert account is not None
    assert account.scale == pytest.approx(0.5)
    assert (one.cpu_ms_per_batch, two.cpu_ms_per_batch) == pytest.approx((15.0, 5.0))
    assert (account.loop_ms, account.pipeprof_ms) == pytest.approx((1.5, 0.5))
    parts = account.stages_ms + 1.5 + 0.5 + account.runtime_ms + account.unattributed_ms
    assert parts == pytest.approx(account.total_ms)


def test_what_could_not_be_told_apart_is_accounted_for():
    one = stage("a", 30.0, 40.0)
    account = attribute([one], {}, CpuUsage(total_ms=50.0))
    assert account is not None
    assert account.unattributed_ms == pytest.approx(10.0)
    assert one.share == pytest.approx(0.75)
    assert account.runtime_ms == pytest.approx(10.0)


def test_what_is_left_may_be_a_stages_that_could_not_be_read():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="MapDataset")
    account = attribute([one, unread], {}, CpuUsage(total_ms=50.0))
    assert account is not None
    assert (account.unattributed_ms, account.runtime_ms) == (pytest.approx(48.0), 0.0)
    assert one.share == pytest.approx(0.04)


def test_further_threads_are_added():
    one = stage("a", 10.0, 10.0)
    account = attribute([one], {"a": Work(ms=10, computing=1.0, waiting=0.0, intra_op=1.5)}, CpuUsage(total_ms=30.0))
    assert account is not None
    assert one.cpu_ms_per_batch == pytest.approx(25.0)
    assert one.intra_op_ms_per_batch == pytest.approx(15.0)


def test_a_fused_stages_time_stands_at_its_first_part():
    whole = stage("a", 20.0, 20.0)
    part = Stage(id="b", origin="written", op="batch", fused_with="a")
    attribute([whole, part], {"a": Work(ms=30.0), "b": Work(ms=10.0)}, CpuUsage())
    assert (whole.time_ms_per_batch, part.time_ms_per_batch) == (20.0, None)
    assert (whole.timed_by, part.timed_by) == ("model", None)


def test_without_a_model_the_trace_tells_the_proportions():
    one, two, three = (Stage(id=id_, origin="written", op="map") for id_ in "abc")
    work = {"a": Work(at_work=6.0, computing=1.0, waiting=0.0), "b": Work(at_work=3.0, computing=0.0, waiting=0.0)}
    account = attribute([one, two, three], work, CpuUsage(total_ms=6.0))
    assert account is not None
    assert (one.time_ms_per_batch, two.time_ms_per_batch, three.time_ms_per_batch) == (6.0, 3.0, None)
    assert (one.timed_by, two.timed_by, three.timed_by) == ("trace", "trace", None)
    assert (one.share, two.share) == pytest.approx((2 / 3, 1 / 3))


def test_without_a_model_what_was_seen_of_the_calls_counts_too():
    whole, part = Stage(id="a", origin="written", op="map"), Stage(id="b", origin="written", op="batch", fused_with="a")
    work = {"a": Work(ms=1.4, at_work=1.6, computing=1.0, waiting=0.0), "b": Work(calls=32.0, calling=1.1)}
    attribute([whole, part], work, CpuUsage(total_ms=4.0))
    assert (whole.time_ms_per_batch, part.time_ms_per_batch) == (pytest.approx(2.5), None)


def unread(id_: str, elements: int | None, **more: Any) -> Stage:
    return Stage(id=id_, origin="written", op="map", elements=elements, **more)


def test_a_stage_that_nobody_read_has_the_traces_time_for_its_elements():
    # 8 elements in each traced batch took 6 ms; 4 in each of 100 measured ones take 3.
    one, two = stage("a", 1.0, 1.0), unread("b", 400)
    ops = [OpCost(op="x", ms_per_batch=5.0)]
    work = {"b": Work(at_work=6.0, computing=1.0, waiting=0.0, elements=8.0, ms=5.0, ops=ops)}
    account = attribute([one, two], work, CpuUsage(total_ms=4.5, batches=100))
    assert account is not None
    assert (two.time_ms_per_batch, two.cpu_ms_per_batch, two.timed_by) == (3.0, 3.0, "trace")
    assert [op.ms_per_batch for op in two.ops or []] == [2.5]
    assert (one.share, two.share) == (0.25, 0.75)
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == (4.0, 0.0, 0.5)


def test_what_the_trace_timed_gets_no_more_than_the_others_leave():
    one, two = stage("a", 1.0, 1.0), unread("b", 400)
    work = {"b": Work(at_work=8.0, computing=0.5, waiting=0.0, elements=4.0)}
    account = attribute([one, two], work, CpuUsage(total_ms=4.0, batches=100))
    assert account is not None
    assert (one.cpu_ms_per_batch, two.cpu_ms_per_batch) == (1.0, 3.0)
    assert (two.blocked_ms_per_batch, two.time_ms_per_batch) == (4.0, 7.0)
    assert account.scale == 1.0


def test_a_trace_is_not_taken_to_be_slower_than_traces_are():
    one, two = stage("a", 3.0, 3.0), unread("b", 400)
    work = {"b": Work(at_work=2.0, computing=1.0, waiting=0.0, elements=4.0)}
    attribute([one, two], work, CpuUsage(total_ms=3.0, batches=100))
    assert (one.share, two.share) == (0.75, 0.25)


def test_of_fused_stages_that_nobody_read_the_first_has_the_time():
    first, last = unread("b", 400), unread("c", 100, fused_with="b")
    work = {"b": Work(at_work=6.0, elements=2.0), "c": Work(at_work=2.0, elements=2.0)}
    attribute([stage("a", 1.0, 1.0), first, last], work, CpuUsage(batches=100))
    assert (first.time_ms_per_batch, last.time_ms_per_batch) == (4.0, None)


def test_what_the_trace_saw_of_less_than_a_hundredth_of_the_elements_is_no_time():
    one, two = stage("a", 1.0, 1.0), unread("b", 1_000_000)
    work = {"b": Work(at_work=2.0, computing=1.0, waiting=0.0, elements=99.0)}
    account = attribute([one, two], work, CpuUsage(total_ms=50.0, batches=100))
    assert account is not None
    assert (two.time_ms_per_batch, two.share) == (None, None)
    assert (one.share, account.unattributed_ms) == (0.02, 49.0)


def test_no_thread_is_inside_a_stage_for_longer_than_passes():
    """Costs that were scaled up, or counted twice: 342 ms in an interval of 20, on one thread."""
    one, two = stage("a", 342.0, 352.0, threads=1.0), stage("b", 10.0, 352.0, threads=2.0)
    work = {"a": Work(computing=0.5, waiting=0.5), "b": Work(computing=1.0, waiting=0.0)}
    attribute([one, two], work, CpuUsage(total_ms=20.0, interval_ms=20.0))
    assert (one.time_ms_per_batch, one.cpu_ms_per_batch) == (20.0, 10.0)
    assert (two.time_ms_per_batch, two.cpu_ms_per_batch) == (10.0, 10.0)


@pytest.mark.parametrize(("elements", "traced"), [(None, 4.0), (400, 0.0)])
def test_where_it_is_not_known_how_many_elements_there_were_nothing_is(elements: int | None, traced: float):
    one, two = stage("a", 1.0, 1.0), unread("b", elements)
    attribute([one, two], {"b": Work(at_work=2.0, elements=traced)}, CpuUsage(total_ms=3.0, batches=100))
    assert (two.time_ms_per_batch, two.timed_by) == (None, None)


def test_ops_are_never_longer_than_their_stage():
    one = stage("a", 10.0, 10.0)
    ops = [OpCost(op="x", ms_per_batch=15.0), OpCost(op="y", ms_per_batch=5.0)]
    attribute([one], {"a": Work(ms=20.0, ops=ops)}, CpuUsage())
    assert [(op.op, op.ms_per_batch) for op in one.ops or []] == [("x", pytest.approx(7.5)), ("y", pytest.approx(2.5))]


def test_waiting_for_a_core_is_told_by_those_that_were_looked_at():
    one, two = stage("a", 20.0, 30.0), stage("b", 10.0, 30.0)
    seen = {"a": Work(computing=0.5, waiting=0.3)}
    account = attribute([one, two], seen, CpuUsage(total_ms=18.0, waiting_share=0.2))
    assert account is not None
    assert account.waiting_ms == pytest.approx(6.0)


def test_waiting_for_a_core_is_not_told_by_a_few():
    one, two = stage("a", 10.0, 30.0), stage("b", 20.0, 30.0)
    account = attribute([one, two], {"a": Work(computing=0.5, waiting=0.3)}, CpuUsage(total_ms=50.0))
    assert account is not None
    assert account.waiting_ms is None


def test_nothing_known_nothing_said():
    one = Stage(id="a", origin="written", op="map")
    assert attribute([one], {}, CpuUsage()) is None


@pytest.mark.parametrize(("threads", "inside"), [(1.0, 50.0), (2.0, 66.0), (None, 66.0)])
def test_one_call_at_a_time_takes_no_longer_than_the_clock(threads: float | None, inside: float) -> None:
    one = stage("a", 66.0, 70.0, threads=threads)
    attribute([one], {}, CpuUsage(total_ms=80.0, interval_ms=50.0))
    assert one.time_ms_per_batch == inside


def test_the_steps_are_pure_and_the_rows_are_written_once():
    rows = [stage("a", 30.0, 40.0), stage("b", 10.0, 40.0), unread("c", 400)]
    ops = [OpCost(op="x", ms_per_batch=60.0)]
    work = {
        "a": Work(computing=0.4, waiting=0.1, intra_op=0.5, ops=ops, calls=32.0, calling=1.0),
        "c": Work(at_work=6.0, computing=1.0, waiting=0.0, elements=8.0, ms=5.0, ops=ops),
    }
    before = [row.model_dump() for row in rows], repr(work)
    usage = CpuUsage(total_ms=45.0, loop_ms=1.0, waiting_share=0.2, interval_ms=25.0, batches=100)
    found = attribute_time(rows, work, usage)
    assert ([row.model_dump() for row in rows], repr(work)) == before
    assert found == attribute_time(rows, work, usage)
    assert [row.cpu_ms_per_batch is not None for row in found[0]] == [True, True, True]


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


def part(number: int, elements: int | None, line: int = 37) -> Stage:
    place = Location(file="train.py", line=line, column=9)
    return Stage(id=f"parts.{number}", op="map", origin="written", elements=elements, location=place, body="load")


def test_parts_that_the_trace_saw_stand_for_those_of_the_same_line() -> None:
    read = stage("batch", 1.0, 1.0)
    rows = [part(0, 10), part(1, 10), part(2, 10), part(3, 10, line=52), read]
    work = {"parts.0": Work(at_work=4.0, elements=2.0), "parts.1": Work(at_work=2.0, elements=1.0)}
    found, _ = attribute_time(rows, work, CpuUsage(batches=10))
    # Two milliseconds for an element, and one element for each batch that was measured.
    assert [row.time_ms_per_batch for row in found] == [2.0, 2.0, 2.0, None, 1.0]
    assert found[2].timed_by == "trace"


def test_a_glimpse_of_one_part_stands_for_no_other() -> None:
    work = {"parts.0": Work(at_work=4.0, elements=0.01)}
    found, _ = attribute_time([part(0, None), part(1, 1000), stage("batch", 1.0, 1.0)], work, CpuUsage(batches=10))
    assert found[1].time_ms_per_batch is None


@pytest.mark.parametrize(("total", "calling", "runtime"), [(13.0, 2.0, 1.0), (11.5, 1.5, 0.0), (10.0, None, 0.0)])
def test_calls_are_paid_by_what_no_stage_has(total: float, calling: float | None, runtime: float) -> None:
    """100 calls of 20 µs."""
    one = stage("a", 10.0, 10.0, calls_per_batch=100.0)
    account = attribute([one], {}, CpuUsage(total_ms=total))
    assert account is not None
    assert one.calling_ms_per_batch == (calling if calling is None else pytest.approx(calling))
    assert account.runtime_ms == pytest.approx(runtime)
    assert one.cpu_ms_per_batch == pytest.approx(10.0 + (calling or 0.0))


def attributed(row: Stage, work: Work, total_ms: float = 100.0) -> Stage:
    rows, _ = attribute_time([row], {"a": work}, CpuUsage(total_ms=total_ms, batches=100))
    return rows[0]


def ops(row: Stage) -> dict[str, float]:
    return {one.op: one.ms_per_batch for one in row.ops or []}


def test_an_op_has_the_same_kind_of_time_as_its_stage():
    """A stage with 50 ms on a core and 800 ms of waiting for one: its op has no 850."""
    work = Work(ms=850.0, computing=0.06, waiting=0.94, ops=[OpCost(op="DecodeAndCropJpeg", ms_per_batch=800.0)])
    row = attributed(stage("a", 850.0, 850.0), work, total_ms=51.0)
    assert row.cpu_ms_per_batch == pytest.approx(51.0)
    assert ops(row)["DecodeAndCropJpeg"] == pytest.approx(48.0)


def test_what_tracing_adds_is_taken_off_by_what_the_model_counted_meanwhile():
    work = Work(computing=1.0, waiting=0.0, model_ms=15.0, ops=[OpCost(op="Sort", ms_per_batch=12.0)])
    assert ops(attributed(stage("a", 10.0, 10.0), work)) == pytest.approx({"Sort": 8.0})


def test_ops_on_several_threads_take_more_than_passes():
    work = Work(computing=1.0, waiting=0.0, intra_op=1.0, ops=[OpCost(op="MatMul", ms_per_batch=10.0)])
    assert ops(attributed(stage("a", 10.0, 10.0), work)) == pytest.approx({"MatMul": 20.0})


def python(ms: float, lock: float | None, name: str = "parse") -> PythonCost:
    return PythonCost(function=name, parent="PyFunc", ms_per_batch=ms, share=1.0, lock_share=lock)


def test_a_function_that_sleeps_has_the_time_by_the_clock():
    work = Work(computing=0.0, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=20.0)], python=[python(20.0, 0.02)])
    (found,) = attributed(stage("a", 20.0, 20.0), work).python or []
    assert found.ms_per_batch == pytest.approx(19.6)


def test_waiting_for_the_lock_is_no_time_of_the_function_that_waits():
    """It computes for 2 of 7.2 ms, and is blocked with the lock taken for the rest."""
    work = Work(computing=0.28, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=7.2)], python=[python(7.2, 1.0)])
    row = attributed(stage("a", 7.2, 7.2), work)
    (found,) = row.python or []
    assert found.ms_per_batch == pytest.approx(2.0, rel=0.02)
    assert ops(row)["PyFunc"] == pytest.approx(7.2)


def test_functions_are_never_longer_than_the_op_that_calls_them():
    work = Work(
        computing=1.0, waiting=0.0, ops=[OpCost(op="PyFunc", ms_per_batch=4.0), OpCost(op="Sort", ms_per_batch=6.0)],
        python=[python(5.0, 1.0), python(3.0, 1.0, "other")],
    )  # fmt: skip
    row = attributed(stage("a", 10.0, 10.0), work)
    assert sum(one.ms_per_batch for one in row.python or []) == pytest.approx(ops(row)["PyFunc"])


def test_ops_of_fused_stages_fit_into_the_time_of_the_first():
    first, last = stage("a", 10.0, 10.0), Stage(id="b", origin="written", op="map", fused_with="a")
    work = {id_: Work(computing=1.0, waiting=0.0, ops=[OpCost(op="Sort", ms_per_batch=10.0)]) for id_ in "ab"}
    rows, _ = attribute_time([first, last], work, CpuUsage(total_ms=99.0))
    assert [ops(row)["Sort"] for row in rows] == pytest.approx([5.0, 5.0])
