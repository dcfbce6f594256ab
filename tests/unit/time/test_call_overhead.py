"""CPU time of the executor goes to the stages that call functions, as calls and between ops, and to nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.constants import CALL_TURN_US, MOST_CALL_OVERHEAD
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.time.attribution.trace_work import Work
from pipeprof.profiles.time.cpu_account import CpuUsage, attribute_time

CORES = 4.0
TURN = CALL_TURN_US / 1000


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


def called(calls: float, each_ms: float = TURN, short_ms: float = 0.0) -> Work:
    """Calls whose turns took that long beside ops that are traced, and of it ops that are too short for a trace."""
    return Work(computing=1.0, waiting=0.0, calls=calls, calling=calls * each_ms, model_ms=calls * short_ms)


def test_what_is_left_goes_to_those_that_call():
    one, two, three = stage("a", 1.0, 10.0), stage("b", 5.0, 10.0), stage("c", 4.0, 10.0)
    work = {"a": called(200), "b": called(100), "c": Work(computing=1.0, waiting=0.0)}
    account = attribute([one, two, three], work, CpuUsage(total_ms=10 + 600 * TURN), CORES)
    assert account is not None
    more = [400 * TURN, 200 * TURN]
    assert [row.calling_ms_per_batch for row in (one, two, three)] == [*map(pytest.approx, more), None]
    assert [row.cpu_ms_per_batch for row in (one, two, three)] == pytest.approx([1.0 + more[0], 5.0 + more[1], 4.0])
    assert [row.time_ms_per_batch for row in (one, two, three)] == pytest.approx([1.0 + more[0], 5.0 + more[1], 4.0])
    assert sum(row.share or 0.0 for row in (one, two, three)) == pytest.approx(1.0)
    assert (one.calls_per_batch, two.calls_per_batch) == (200.0, 100.0)
    assert (account.stages_ms, account.runtime_ms) == pytest.approx((10 + 600 * TURN, 0.0))


@pytest.mark.parametrize("ops", [5, 50, 500])
def test_ops_that_are_too_short_for_a_trace_are_no_part_of_calling(ops: int):
    """Each takes 0.5 µs, and the executor 0.3 µs between two of them; a call 8 µs, and more that no trace has."""
    calls, short, passed = 64, ops * 0.0005, ops * 0.0003
    one = stage("a", calls * short, calls * short)
    total = calls * (short + passed + 2 * TURN)
    account = attribute([one], {"a": called(calls, TURN + short + passed, short)}, CpuUsage(total_ms=total), CORES)
    assert account is not None
    assert calls * 2 * TURN <= (one.calling_ms_per_batch or 0.0) <= calls * MOST_CALL_OVERHEAD * TURN * 1.001
    assert one.cpu_ms_per_batch == pytest.approx(total)
    assert account.runtime_ms == pytest.approx(0.0)


def test_beginning_calls_is_part_of_calling_and_of_no_op():
    """A quarter of the model's 4 ms in the trace window, and so of 2 ms in the measured one."""
    one = stage("a", 2.0, 2.0)
    ops = [OpCost(op="Mul", ms_per_batch=3.5)]
    work = Work(computing=1.0, waiting=0.0, calls=64, calling=64 * TURN, beginning=1.0, model_ms=4.0, ms=3.5, ops=ops)
    attribute([one], {"a": work}, CpuUsage(total_ms=2 + 64 * TURN), CORES)
    assert (one.calling_ms_per_batch, one.cpu_ms_per_batch) == pytest.approx((0.5 + 64 * TURN, 2 + 64 * TURN))
    assert [op.ms_per_batch for op in one.ops or []] == pytest.approx([1.5])


def test_cpu_time_that_no_stage_has_was_no_waiting_for_a_core():
    """The samplers of the trace window want cores, too: stages wait longer for one than in the measured window."""
    one = stage("a", 10.0, 10.0)
    work = {"a": Work(computing=0.5, waiting=0.4)}
    account = attribute([one], work, CpuUsage(total_ms=8.0), CORES)
    assert account is not None
    assert (one.cpu_ms_per_batch, one.blocked_ms_per_batch) == pytest.approx((8.0, 1.0))
    account = attribute([stage("a", 10.0, 10.0)], work, CpuUsage(total_ms=20.0), CORES)
    assert account is not None
    assert (account.stages_ms, account.runtime_ms) == pytest.approx((9.0, 11.0))


def test_what_ops_take_while_their_stage_is_not_in_the_model_is_taken_for_no_call():
    one = stage("a", 1.0, 1.0)
    work = Work(computing=1.0, waiting=0.0, calls=10, calling=10 * 50 * TURN)
    attribute([one], {"a": work}, CpuUsage(total_ms=99.0), CORES)
    assert one.calling_ms_per_batch == pytest.approx(3 * 10 * TURN)


def test_the_graph_tells_how_often_it_is_called_whatever_buffers_held_when_the_trace_began():
    one = stage("a", 1.0, 1.0, calls_per_batch=32.0)
    attribute([one], {"a": called(26.6)}, CpuUsage(total_ms=1.0 + 32 * TURN), CORES)
    assert (one.calls_per_batch, one.calling_ms_per_batch) == (32.0, pytest.approx(32 * TURN))


def test_never_more_than_some_times_what_was_seen():
    one = stage("a", 1.0, 1.0)
    account = attribute([one], {"a": called(10.0)}, CpuUsage(total_ms=5.0), CORES)
    assert account is not None
    assert one.calling_ms_per_batch == pytest.approx(30 * TURN)
    assert (account.stages_ms, account.runtime_ms) == pytest.approx((1 + 30 * TURN, 4 - 30 * TURN))


def test_a_turn_that_waited_for_a_core_took_no_more_time_of_it():
    looked, other = stage("a", 1.0, 2.0), stage("b", 1.0, 2.0)
    work = {
        "a": Work(computing=0.2, waiting=0.6, calls=10.0, calling=10 * TURN, model_ms=0.0),
        "b": Work(calls=10.0, calling=10 * TURN, model_ms=0.0),
    }
    attribute([looked, other], work, CpuUsage(total_ms=9.0, waiting_share=0.5), CORES)
    assert looked.calling_ms_per_batch == pytest.approx(3 * 10 * TURN * 0.25)
    assert other.calling_ms_per_batch == pytest.approx(3 * 10 * TURN * 0.5)


def test_nothing_where_nothing_is_left():
    one = stage("a", 10.0, 10.0)
    account = attribute([one], {"a": called(32)}, CpuUsage(total_ms=8.0), CORES)
    assert account is not None
    assert (one.calling_ms_per_batch, one.cpu_ms_per_batch) == (None, pytest.approx(8.0))


def test_nothing_without_the_processs_time():
    one = stage("a", 10.0, 10.0)
    assert attribute([one], {"a": called(32)}, CpuUsage(), CORES) is None
    assert (one.calling_ms_per_batch, one.cpu_ms_per_batch) == (None, 10.0)


def test_calls_of_a_fused_part_stand_where_its_time_does():
    whole = stage("a", 2.0, 2.0)
    part = Stage(id="b", origin="written", op="batch", fused_with="a")
    attribute([whole, part], {"b": called(32)}, CpuUsage(total_ms=2 + 64 * TURN), CORES)
    assert (whole.calling_ms_per_batch, whole.calls_per_batch) == (pytest.approx(64 * TURN), 32.0)
    assert (part.calling_ms_per_batch, part.time_ms_per_batch) == (None, None)


def test_no_calls_are_paid_out_of_what_may_be_the_cost_of_a_stage_that_could_not_be_read():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="MapDataset")
    account = attribute([one, unread], {"a": called(32), "b": called(96)}, CpuUsage(total_ms=6.0), CORES)
    assert account is not None
    assert (one.calling_ms_per_batch, unread.calling_ms_per_batch) == (None, None)
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((2.0, 4.0, 0.0))


def test_what_could_not_be_told_apart_is_not_given_to_calls():
    one = stage("a", 30.0, 40.0)
    account = attribute([one], {"a": called(1e4)}, CpuUsage(total_ms=50.0), CORES)
    assert account is not None
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((40.0, 10.0, 0.0))


def test_one_call_at_a_time_is_held_to_the_clock_and_its_ceiling_to_what_was_measured():
    one = stage("a", 2.0, 2.0, 500.0, threads=1.0)
    attribute([one], {"a": called(1 / TURN)}, CpuUsage(total_ms=5.0, interval_ms=4.0), CORES)
    assert (one.cpu_ms_per_batch, one.time_ms_per_batch) == pytest.approx((5.0, 4.0))
    assert (one.ceiling_resource, one.ceiling_batches_per_second) == ("serial", pytest.approx(250.0))


def test_the_ceiling_counts_the_calls():
    one = stage("a", 2.0, 2.0, 1000.0)
    attribute([one], {"a": called(1 / TURN)}, CpuUsage(total_ms=4.0, interval_ms=4.0), CORES)
    assert (one.ceiling_resource, one.ceiling_batches_per_second) == ("threads", pytest.approx(500.0))


def test_what_is_left_may_be_of_a_stage_that_only_the_trace_saw():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="ParallelMapDatasetV2")
    ops = [OpCost(op="DecodeJpeg", ms_per_batch=3.0)]
    account = attribute([one, unread], {"b": Work(ms=3.0, ops=ops)}, CpuUsage(total_ms=6.0), CORES)
    assert account is not None
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((2.0, 4.0, 0.0))
