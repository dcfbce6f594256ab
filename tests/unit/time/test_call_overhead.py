"""What calling functions takes is given to the stages that call, out of what is nobody's."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.document.time import CpuAccount
from pipeprof.profiles.time.cpu_account import CpuUsage, attribute_time
from pipeprof.profiles.time.trace_work import Work

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


def called(ms: float, calls: float = 32.0) -> Work:
    return Work(computing=1.0, waiting=0.0, calls=calls, calling=ms)


def test_what_is_left_goes_to_those_that_call_by_what_was_seen():
    one, two, three = stage("a", 1.0, 10.0), stage("b", 5.0, 10.0), stage("c", 4.0, 10.0)
    work = {"a": called(1.0), "b": called(0.5, 16.0), "c": Work(computing=1.0, waiting=0.0)}
    account = attribute([one, two, three], work, CpuUsage(total_ms=13.0), CORES)
    assert account is not None
    assert [row.calling_ms_per_batch for row in (one, two, three)] == [pytest.approx(2.0), pytest.approx(1.0), None]
    assert [row.cpu_ms_per_batch for row in (one, two, three)] == pytest.approx([3.0, 6.0, 4.0])
    assert [row.time_ms_per_batch for row in (one, two, three)] == pytest.approx([3.0, 6.0, 4.0])
    assert [row.share for row in (one, two, three)] == pytest.approx([3 / 13, 6 / 13, 4 / 13])
    assert (one.calls_per_batch, two.calls_per_batch) == (32.0, 16.0)
    assert (account.stages_ms, account.runtime_ms) == pytest.approx((13.0, 0.0))


@pytest.mark.parametrize(("op", "calls"), [("map", 16.0), ("scan", 16.0), ("take_while", 16.0), ("filter", 13.3)])
def test_what_calls_once_for_each_element_does_so_whatever_buffers_held_when_the_trace_began(op, calls):
    one = stage("a", 1.0, 1.0, elements=160).model_copy(update={"op": op})
    attribute([one], {"a": called(1.0, 13.3)}, CpuUsage(total_ms=5.0, batches=10), CORES)
    assert one.calls_per_batch == calls


def test_never_more_than_some_times_what_was_seen():
    one = stage("a", 1.0, 1.0)
    account = attribute([one], {"a": called(0.1, 1.0)}, CpuUsage(total_ms=5.0), CORES)
    assert account is not None
    assert one.calling_ms_per_batch == pytest.approx(0.3)
    assert (account.stages_ms, account.runtime_ms) == pytest.approx((1.3, 3.7))


def test_a_turn_that_waited_for_a_core_took_no_more_time_of_it():
    looked, other = stage("a", 1.0, 2.0), stage("b", 1.0, 2.0)
    work = {"a": Work(computing=0.2, waiting=0.6, calls=1.0, calling=0.4), "b": Work(calls=1.0, calling=0.4)}
    attribute([looked, other], work, CpuUsage(total_ms=9.0, waiting_share=0.5), CORES)
    assert looked.calling_ms_per_batch == pytest.approx(3 * 0.4 * 0.25)
    assert other.calling_ms_per_batch == pytest.approx(3 * 0.4 * 0.5)


def test_nothing_where_nothing_is_left():
    one = stage("a", 10.0, 10.0)
    account = attribute([one], {"a": called(1.0)}, CpuUsage(total_ms=8.0), CORES)
    assert account is not None
    assert (one.calling_ms_per_batch, one.cpu_ms_per_batch) == (None, pytest.approx(8.0))


def test_nothing_without_the_processs_time():
    one = stage("a", 10.0, 10.0)
    assert attribute([one], {"a": called(1.0)}, CpuUsage(), CORES) is None
    assert (one.calling_ms_per_batch, one.cpu_ms_per_batch) == (None, 10.0)


def test_calls_of_a_fused_part_stand_where_its_time_does():
    whole = stage("a", 2.0, 2.0)
    part = Stage(id="b", origin="written", op="batch", fused_with="a")
    attribute([whole, part], {"b": called(1.0)}, CpuUsage(total_ms=4.0), CORES)
    assert (whole.calling_ms_per_batch, whole.calls_per_batch) == (pytest.approx(2.0), 32.0)
    assert (part.calling_ms_per_batch, part.time_ms_per_batch) == (None, None)


def test_no_calls_are_paid_out_of_what_may_be_the_cost_of_a_stage_that_could_not_be_read():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="MapDataset")
    account = attribute([one, unread], {"a": called(1.0), "b": called(3.0)}, CpuUsage(total_ms=6.0), CORES)
    assert account is not None
    assert (one.calling_ms_per_batch, unread.calling_ms_per_batch) == (None, None)
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((2.0, 4.0, 0.0))


def test_what_could_not_be_told_apart_is_not_given_to_calls():
    one = stage("a", 30.0, 40.0)
    account = attribute([one], {"a": called(100.0)}, CpuUsage(total_ms=50.0), CORES)
    assert account is not None
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((40.0, 10.0, 0.0))


def test_one_call_at_a_time_is_held_to_the_clock_and_its_ceiling_to_what_was_measured():
    one = stage("a", 2.0, 2.0, 500.0)
    attribute([one], {"a": called(1.0)}, CpuUsage(total_ms=5.0, interval_ms=4.0), CORES)
    assert (one.cpu_ms_per_batch, one.time_ms_per_batch) == pytest.approx((5.0, 4.0))
    assert (one.ceiling_resource, one.ceiling_batches_per_second) == ("serial", pytest.approx(250.0))


def test_the_ceiling_counts_the_calls():
    one = stage("a", 2.0, 2.0, 1000.0)
    attribute([one], {"a": called(1.0)}, CpuUsage(total_ms=4.0, interval_ms=4.0), CORES)
    assert (one.ceiling_resource, one.ceiling_batches_per_second) == ("threads", pytest.approx(500.0))


def test_what_is_left_may_be_of_a_stage_that_only_the_trace_saw():
    one, unread = stage("a", 2.0, 2.0), Stage(id="b", origin="written", op="map", tf_op="ParallelMapDatasetV2")
    ops = [OpCost(op="DecodeJpeg", ms_per_batch=3.0)]
    account = attribute([one, unread], {"b": Work(ms=3.0, ops=ops)}, CpuUsage(total_ms=6.0), CORES)
    assert account is not None
    assert (account.stages_ms, account.unattributed_ms, account.runtime_ms) == pytest.approx((2.0, 4.0, 0.0))
