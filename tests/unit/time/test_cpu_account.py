"""The stages' time taken apart, the process's CPU time accounted for, and ceilings."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.shared import DatasetUse, FunctionUse, Quantiles, Steps, Training
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.time.attribution.stage_time import StageTime
from pipeprof.profiles.time.attribution.trace_work import Work
from pipeprof.profiles.time.ceiling import find_ceiling, stage_ceiling
from pipeprof.profiles.time.cpu_account import CpuUsage, attribute_time, step_cpu_ms

CORES = 4.0


def attribute(stages: list[Stage], work: dict[str, Work], usage: CpuUsage, cores: float) -> CpuAccount | None:
    """Attribute, and show the new rows' fields in the given ones."""
    rows, account = attribute_time(stages, work, usage, cores)
    for stage, row in zip(stages, rows, strict=True):
        for name in Stage.model_fields:
            setattr(stage, name, getattr(row, name))
    return account


def stage(id_: str, ms: float | None, total: float, ceiling: float | None = None, **more: Any) -> Stage:
    return Stage(
        id=id_,
        origin="written",
        op="map",
        time_ms_per_batch=ms,
        share=ms / total if ms is not None else None,
        ceiling_batches_per_second=ceiling,
        **more,
    )


def test_waiting_is_taken_off_what_computes():
    one, two = stage("a", 10.0, 20.0, 100.0), stage("b", 10.0, 20.0, 100.0)
    account = attribute(
        [one, two],
        {"a": Work(ms=9, computing=0.2, waiting=0.0), "b": Work(ms=9, computing=1.0, waiting=0.0)},
        CpuUsage(total_ms=14.0),
        CORES,
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
    attribute([load, batch], {}, CpuUsage(total_ms=40.0, interval_ms=48.0), 2.0)
    assert batch.share is not None
    assert (batch.share < 0.01) is waits


def test_a_batch_of_many_bytes_takes_the_time_of_copying_them() -> None:
    load, batch = stage("a", 5.0, 15.0), stage("b", 10.0, 15.0)
    batch.op, batch.inputs_each, batch.bytes_per_element = "batch", 32.0, 19_267_584.0
    batch.bytes_out_per_batch = batch.bytes_per_element
    attribute([load, batch], {}, CpuUsage(total_ms=15.0, interval_ms=15.0), 2.0)
    assert batch.time_ms_per_batch == pytest.approx(10.0)


def test_waiting_for_a_core_is_no_time_of_the_stage():
    one, two = stage("a", 20.0, 30.0), stage("b", 10.0, 30.0)
    work = {"a": Work(computing=0.5, waiting=0.5), "b": Work(computing=0.0, waiting=0.0)}
    attribute([one, two], work, CpuUsage(total_ms=10.0, waiting_share=0.9), CORES)
    assert (one.time_ms_per_batch, one.blocked_ms_per_batch) == (20.0, 0.0)
    assert one.cpu_ms_per_batch == pytest.approx(10.0)
    assert (one.share, two.share) == pytest.approx((0.5, 0.5))


def test_where_nobody_looked_it_waited_as_the_whole_process_did():
    one = stage("a", 20.0, 20.0)
    attribute([one], {}, CpuUsage(total_ms=15.0, waiting_share=0.25), CORES)
    assert (one.cpu_ms_per_batch, one.blocked_ms_per_batch) == (15.0, None)


def test_a_batchs_thread_waits_for_those_that_copy():
    one = stage("a", 20.0, 20.0).model_copy(update={"op": "batch"})
    attribute([one], {"a": Work(computing=0.1, waiting=0.0)}, CpuUsage(total_ms=15.0, waiting_share=0.25), CORES)
    assert (one.cpu_ms_per_batch, one.blocked_ms_per_batch) == (15.0, None)


def test_more_than_the_process_used_is_scaled_down():
    one, two = stage("a", 30.0, 40.0), stage("b", 10.0, 40.0)
    account = attribute([one, two], {}, CpuUsage(total_ms=22.0, loop_ms=3.0, pipeprof_ms=1.0), CORES)
    assert account is not None
    assert account.scale == pytest.approx(0.5)
    assert (one.cpu_ms_per_batch, two.cpu_ms_per_batch) == pytest.approx((15.0, 5.0))
    assert (account.loop_ms, account.pipeprof_ms) == pytest.approx((1.5, 0.5))
    parts = account.stages_ms + 1.5 + 0.5 + account.runtime_ms + account.unattributed_ms
    assert parts == pytest.approx(account.total_ms)


def test_what_could_not_be_told_apart_is_accounted_for():
    one = stage("a", 30.0, 40.0)
    account = attribute([one], {}, CpuUsage(total_ms=50.0), CORES)
    assert account is not None
    assert account.unattributed_ms == pytest.approx(10.0)
    assert one.share == pytest.approx(0.75)
    assert account.runtime_ms == pytest.approx(10.0)


def test_what_is_left_may_be_a_stages_that_could_not_be_read():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="MapDataset")
    account = attribute([one, unread], {}, CpuUsage(total_ms=50.0), CORES)
    assert account is not None
    assert (account.unattributed_ms, account.runtime_ms) == (pytest.approx(48.0), 0.0)
    assert one.share == pytest.approx(0.04)


def test_further_threads_are_added():
    one = stage("a", 10.0, 10.0, 100.0)
    account = attribute(
        [one], {"a": Work(ms=10, computing=1.0, waiting=0.0, intra_op=1.5)}, CpuUsage(total_ms=30.0), CORES
    )
    assert account is not None
    assert one.cpu_ms_per_batch == pytest.approx(25.0)
    assert one.intra_op_ms_per_batch == pytest.approx(15.0)
    assert one.ceiling_batches_per_second == pytest.approx(100.0)


def test_a_fused_stages_time_stands_at_its_first_part():
    whole = stage("a", 20.0, 20.0)
    part = Stage(id="b", origin="written", op="batch", fused_with="a")
    attribute([whole, part], {"a": Work(ms=30.0), "b": Work(ms=10.0)}, CpuUsage(), CORES)
    assert (whole.time_ms_per_batch, part.time_ms_per_batch) == (20.0, None)
    assert (whole.timed_by, part.timed_by) == ("model", None)


def test_without_a_model_the_trace_tells_the_proportions():
    one, two, three = (Stage(id=id_, origin="written", op="map") for id_ in "abc")
    work = {"a": Work(at_work=6.0, computing=1.0, waiting=0.0), "b": Work(at_work=3.0, computing=0.0, waiting=0.0)}
    account = attribute([one, two, three], work, CpuUsage(total_ms=6.0), CORES)
    assert account is not None
    assert (one.time_ms_per_batch, two.time_ms_per_batch, three.time_ms_per_batch) == (6.0, 3.0, None)
    assert (one.timed_by, two.timed_by, three.timed_by) == ("trace", "trace", None)
    assert (one.share, two.share) == pytest.approx((2 / 3, 1 / 3))


def test_without_a_model_what_was_seen_of_the_calls_counts_too():
    whole, part = Stage(id="a", origin="written", op="map"), Stage(id="b", origin="written", op="batch", fused_with="a")
    work = {"a": Work(ms=1.4, at_work=1.6, computing=1.0, waiting=0.0), "b": Work(calls=32.0, calling=1.1)}
    attribute([whole, part], work, CpuUsage(total_ms=4.0), CORES)
    assert (whole.time_ms_per_batch, part.time_ms_per_batch) == (pytest.approx(2.5), None)


def unread(id_: str, elements: int | None, **more: Any) -> Stage:
    return Stage(id=id_, origin="written", op="map", elements=elements, **more)


def test_a_stage_that_nobody_read_has_the_traces_time_for_its_elements():
    # 8 elements in each traced batch took 6 ms; 4 in each of 100 measured ones take 3.
    one, two = stage("a", 1.0, 1.0), unread("b", 400)
    ops = [OpCost(op="x", ms_per_batch=5.0)]
    work = {"b": Work(at_work=6.0, computing=1.0, waiting=0.0, elements=8.0, ms=5.0, ops=ops)}
    account = attribute([one, two], work, CpuUsage(total_ms=4.5, batches=100), CORES)
    assert account is not None
    assert (two.time_ms_per_batch, two.cpu_ms_per_batch, two.timed_by) == (3.0, 3.0, "trace")
    assert [op.ms_per_batch for op in two.ops or []] == [2.5]
    assert (one.share, two.share) == (0.25, 0.75)
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == (4.0, 0.0, 0.5)


@pytest.mark.parametrize(("op", "inside"), [("MapDataset", 8.0), ("ParallelMapDatasetV2", 32.0)])
def test_no_more_of_what_the_trace_timed_than_passed_while_it_was_measured(op: str, inside: float):
    one, two = stage("a", 1.0, 1.0), unread("b", 400, tf_op=op)
    work = {"b": Work(at_work=60.0, computing=0.1, waiting=0.9, elements=4.0)}
    attribute([one, two], work, CpuUsage(total_ms=7.0, batches=100, interval_ms=8.0), CORES)
    assert (two.cpu_ms_per_batch, two.time_ms_per_batch) == pytest.approx((6.0, inside))


def test_where_nobody_looked_while_traced_it_computed_as_all_stages_did_then():
    one, two = stage("a", 1.0, 1.0), unread("b", 400)
    work = {"b": Work(at_work=6.0, elements=4.0)}
    attribute([one, two], work, CpuUsage(total_ms=3.1, batches=100, waiting_share=0.9, traced_share=0.5), CORES)
    assert (one.cpu_ms_per_batch, two.cpu_ms_per_batch) == pytest.approx((0.1, 3.0))


def test_what_the_trace_timed_gets_no_more_than_the_others_leave():
    one, two = stage("a", 1.0, 1.0), unread("b", 400)
    work = {"b": Work(at_work=8.0, computing=0.5, waiting=0.0, elements=4.0)}
    account = attribute([one, two], work, CpuUsage(total_ms=4.0, batches=100), CORES)
    assert account is not None
    assert (one.cpu_ms_per_batch, two.cpu_ms_per_batch) == (1.0, 3.0)
    assert (two.blocked_ms_per_batch, two.time_ms_per_batch) == (4.0, 7.0)
    assert account.scale == 1.0


def test_a_trace_is_not_taken_to_be_slower_than_traces_are():
    one, two = stage("a", 3.0, 3.0), unread("b", 400)
    work = {"b": Work(at_work=2.0, computing=1.0, waiting=0.0, elements=4.0)}
    attribute([one, two], work, CpuUsage(total_ms=3.0, batches=100), CORES)
    assert (one.share, two.share) == (0.75, 0.25)


def test_of_fused_stages_that_nobody_read_the_first_has_the_time():
    first, last = unread("b", 400), unread("c", 100, fused_with="b")
    work = {"b": Work(at_work=6.0, elements=2.0), "c": Work(at_work=2.0, elements=2.0)}
    attribute([stage("a", 1.0, 1.0), first, last], work, CpuUsage(batches=100), CORES)
    assert (first.time_ms_per_batch, last.time_ms_per_batch) == (4.0, None)


def test_what_the_trace_saw_of_less_than_a_hundredth_of_the_elements_is_no_time():
    one, two = stage("a", 1.0, 1.0), unread("b", 1_000_000)
    work = {"b": Work(at_work=2.0, computing=1.0, waiting=0.0, elements=99.0)}
    account = attribute([one, two], work, CpuUsage(total_ms=50.0, batches=100), CORES)
    assert account is not None
    assert (two.time_ms_per_batch, two.share) == (None, None)
    assert (one.share, account.unattributed_ms) == (0.02, 49.0)


def test_no_thread_is_inside_a_stage_for_longer_than_passes():
    """Costs that were scaled up, or counted twice: 342 ms in an interval of 20, on one thread."""
    one, two = stage("a", 342.0, 352.0, threads=1.0), stage("b", 10.0, 352.0, threads=2.0)
    work = {"a": Work(computing=0.5, waiting=0.5), "b": Work(computing=1.0, waiting=0.0)}
    attribute([one, two], work, CpuUsage(total_ms=20.0, interval_ms=20.0), CORES)
    assert (one.time_ms_per_batch, one.cpu_ms_per_batch) == (20.0, 10.0)
    assert (two.time_ms_per_batch, two.cpu_ms_per_batch) == (10.0, 10.0)


@pytest.mark.parametrize(("elements", "traced"), [(None, 4.0), (400, 0.0)])
def test_where_it_is_not_known_how_many_elements_there_were_nothing_is(elements: int | None, traced: float):
    one, two = stage("a", 1.0, 1.0), unread("b", elements)
    attribute([one, two], {"b": Work(at_work=2.0, elements=traced)}, CpuUsage(total_ms=3.0, batches=100), CORES)
    assert (two.time_ms_per_batch, two.timed_by) == (None, None)


def test_ops_are_never_longer_than_their_stage():
    one = stage("a", 10.0, 10.0)
    ops = [OpCost(op="x", ms_per_batch=15.0), OpCost(op="y", ms_per_batch=5.0)]
    attribute([one], {"a": Work(ms=20.0, ops=ops)}, CpuUsage(), CORES)
    assert [(op.op, op.ms_per_batch) for op in one.ops or []] == [("x", pytest.approx(7.5)), ("y", pytest.approx(2.5))]


@pytest.mark.parametrize(
    ("ms", "threads", "busy", "resource"),
    [
        (10.0, 1.0, 1.0, "serial"),
        (40.0, 1.0, 0.0, "serial"),
        (10.0, 4.0, 1.0, "cores"),
        (10.0, 4.0, 0.1, "threads"),
        (10.0, 2.0, 1.0, "threads"),
    ],
)
def test_what_sets_a_stages_ceiling(ms: float, threads: float, busy: float, resource: str):
    one = stage("a", ms, ms, 1000 * threads / ms)
    attribute([one], {"a": Work(computing=busy, waiting=0.0)}, CpuUsage(), CORES)
    assert one.ceiling_resource == resource
    assert one.ceiling_batches_per_second == pytest.approx(1000 * threads / ms)


def test_the_ceiling_is_the_smallest_of_its_terms():
    one, two = stage("a", 30.0, 40.0, 1000 / 30.0), stage("b", 10.0, 40.0, 100.0)
    account = attribute([one, two], {}, CpuUsage(total_ms=42.0), CORES)
    ms = Quantiles(mean=20.0, p50=20.0, p95=20.0, p99=20.0)
    steps = Steps(count=10, seconds=1.0, interval_ms=ms, wait_ms=ms, fetch_ms=ms, busy_ms=ms, wait_share=0.5)
    ceiling = find_ceiling([one, two], account, steps, CORES)
    assert ceiling is not None
    assert (ceiling.resource, ceiling.stage) == ("serial", "a")
    assert [(term.resource, round(term.batches_per_second, 1)) for term in ceiling.terms] == [
        ("serial", 33.3),
        ("step", 50.0),
        ("cores", 95.2),
    ]


@pytest.mark.parametrize(("idle", "rate"), [(None, 40.0), (0.3, 40.0), (0.9, 25.0)])
def test_what_a_stage_waits_for_a_core_while_one_is_idle_is_part_of_its_turn(idle: float | None, rate: float):
    """It takes 40 ms, of which it waits 15: to wake up, where cores are idle; else for what others compute."""
    one = stage("a", 40.0, 40.0, 25.0, parallelism=1.0)
    work = {"a": Work(computing=25 / 40, waiting=15 / 40)}
    attribute([one], work, CpuUsage(total_ms=25.0, interval_ms=40.0, idle_cores=idle), CORES)
    assert one.ceiling_batches_per_second == pytest.approx(rate)


def test_stages_in_turn_on_one_thread_have_one_ceiling():
    rows = [
        Stage(id=id_, origin="written", op=op, tf_op=tf_op, time_ms_per_batch=ms, ceiling_batches_per_second=1000 / ms,
              ceiling_resource="serial")
        for id_, op, tf_op, ms in (
            ("stages.0", "map", "MapDataset", 12.0),
            ("stages.1", "map", "MapDataset", 7.5),
            ("stages.2", "prefetch", "PrefetchDataset", 0.1),
        )
    ]  # fmt: skip
    ms = Quantiles(mean=20.0, p50=20.0, p95=20.0, p99=20.0)
    steps = Steps(count=10, seconds=1.0, interval_ms=ms, wait_ms=ms, fetch_ms=ms, wait_share=1.0)
    ceiling = find_ceiling(rows, None, steps, CORES)
    assert ceiling is not None
    assert (ceiling.resource, ceiling.stage) == ("serial", "stages.0")
    assert ceiling.terms[0].stages == ["stages.0", "stages.1"]
    assert ceiling.batches_per_second == pytest.approx(1000 / 19.5)


def waiting_map(id_: str, ms: float, calls: float, **more: Any) -> Stage:
    return stage(id_, ms, ms, 1000 * min(calls, CORES) / ms, parallelism=calls, **more)


WAITS = Work(computing=0.05, waiting=0.0)


def threads_of(stages: list[Stage], pool: float | None) -> list[tuple[float, str | None, float | None]]:
    ceiling = find_ceiling(stages, None, None, CORES, pool)
    assert ceiling is not None
    found = [term for term in ceiling.terms if term.resource == "threads"]
    return [(round(term.batches_per_second, 1), term.stage, term.threads) for term in found]


def test_functions_that_wait_are_held_by_their_pool():
    one, two = waiting_map("a", 40.0, 16.0), waiting_map("b", 10.0, 16.0)
    attribute([one, two], {"a": WAITS, "b": WAITS}, CpuUsage(total_ms=10.0), CORES)
    assert threads_of([one, two], 2.0) == [(40.0, "a", 2.0)]
    assert threads_of([one, two], None) == []


def test_a_map_that_waits_is_held_by_its_calls():
    one = waiting_map("a", 40.0, 3.0)
    attribute([one], {"a": WAITS}, CpuUsage(total_ms=10.0), CORES)
    assert threads_of([one], 16.0) == [(75.0, "a", 3.0)]
    assert threads_of([one.model_copy(update={"tunable": True})], 16.0) == [(400.0, "a", 16.0)]


def test_functions_that_compute_are_held_by_the_cores():
    one = waiting_map("a", 40.0, 3.0)
    attribute([one], {"a": Work(computing=1.0, waiting=0.0)}, CpuUsage(total_ms=50.0), CORES)
    assert threads_of([one], CORES) == []
    assert threads_of([one], 2.0) == [(50.0, "a", 2.0)]


def test_waiting_for_a_core_is_told_by_those_that_were_looked_at():
    one, two = stage("a", 20.0, 30.0), stage("b", 10.0, 30.0)
    seen = {"a": Work(computing=0.5, waiting=0.3)}
    account = attribute([one, two], seen, CpuUsage(total_ms=18.0, waiting_share=0.2), CORES)
    assert account is not None
    assert account.waiting_ms == pytest.approx(6.0)


def test_waiting_for_a_core_is_not_told_by_a_few():
    one, two = stage("a", 10.0, 30.0), stage("b", 20.0, 30.0)
    account = attribute([one, two], {"a": Work(computing=0.5, waiting=0.3)}, CpuUsage(total_ms=50.0), CORES)
    assert account is not None
    assert account.waiting_ms is None


def test_nothing_known_nothing_said():
    one = Stage(id="a", origin="written", op="map")
    assert attribute([one], {}, CpuUsage(), CORES) is None
    assert find_ceiling([one], None, None, CORES) is None


@pytest.mark.parametrize(("threads", "inside"), [(1.0, 50.0), (2.0, 66.0), (None, 66.0)])
def test_one_call_at_a_time_takes_no_longer_than_the_clock(threads: float | None, inside: float) -> None:
    one = stage("a", 66.0, 70.0, threads=threads)
    attribute([one], {}, CpuUsage(total_ms=80.0, interval_ms=50.0), CORES)
    assert one.time_ms_per_batch == inside


def test_the_steps_are_pure_and_the_rows_are_written_once():
    rows = [stage("a", 30.0, 40.0, 1000 / 30.0), stage("b", 10.0, 40.0, 100.0), unread("c", 400)]
    ops = [OpCost(op="x", ms_per_batch=60.0)]
    work = {
        "a": Work(computing=0.4, waiting=0.1, intra_op=0.5, ops=ops, calls=32.0, calling=1.0),
        "c": Work(at_work=6.0, computing=1.0, waiting=0.0, elements=8.0, ms=5.0, ops=ops),
    }
    before = [row.model_dump() for row in rows], repr(work)
    usage = CpuUsage(total_ms=45.0, loop_ms=1.0, waiting_share=0.2, interval_ms=25.0, batches=100)
    found = attribute_time(rows, work, usage, CORES)
    assert ([row.model_dump() for row in rows], repr(work)) == before
    assert found == attribute_time(rows, work, usage, CORES)
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


def test_one_call_at_a_time_takes_no_longer_than_passes():
    """Its CPU time, with that of threads that wake it, is more than the interval: it has kept up all the same."""
    time = StageTime(row=stage("a", 35.0, 35.0), inside_ms=35.0, cpu_ms=36.7, calling_ms=0.8, threads=1.0)
    rate, resource = stage_ceiling(time, 35.0, CORES) or (0.0, "cores")
    assert (rate, resource) == (pytest.approx(1000 / 35.0), "serial")
