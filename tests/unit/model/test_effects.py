"""What edits do to the running pipeline."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    VectoriseMap,
)
from pipeprof.profiles.predict.costs import Costs
from pipeprof.profiles.predict.effects import apply
from pipeprof.profiles.predict.flow import Flow

from .flows import FREE, line, part


def after(flow: Flow, *edits: PipelineEdit, costs: Costs = FREE) -> Flow:
    for edit in edits:
        changed = apply(flow, edit, costs)
        assert changed is not None
        flow = changed.flow
    return flow


def bytes_of(flow: Flow, edit: PipelineEdit) -> float | None:
    changed = apply(flow, edit, FREE)
    assert changed is not None
    return changed.bytes


TWO = line(part("source", "from_generator", 4.0), part("stages.0", "map", 6.0, stateful=True))
FILTERED = line(
    part("source", "range", per_batch=100.0),
    part("stages.0", "map", 10.0, per_batch=100.0, calls_per_batch=100.0),
    part("stages.1", "filter", 1.0, per_batch=10.0),
)
BATCHED = line(
    part("source", "range", 0.1, per_batch=256.0, element_bytes=8.0),
    part("stages.0", "map", 5.0, ahead=True, calls=4.0, per_batch=256.0, calls_per_batch=256.0, element_bytes=4.0),
    part("stages.1", "batch", ahead=True, fused="stages.0", element_bytes=1024.0),
)


def test_a_prefetch_between_two_stages_lets_them_work_at_the_same_time() -> None:
    assert TWO.interval_ms() == 10.0
    assert after(TWO, InsertStage("prefetch", {"buffer_size": 2}, "source")).interval_ms() == 6.0


def test_a_prefetch_of_many_small_elements_costs_their_passing() -> None:
    costs = Costs(hand_over_us=10.0)
    edit = InsertStage("prefetch", {"buffer_size": 2}, "source")
    flow = line(part("source", "range", 0.1, per_batch=1000.0), part("stages.0", "map", 0.2, per_batch=1000.0))
    assert after(flow, edit, costs=costs).interval_ms() == pytest.approx(5.2)


def test_a_prefetch_at_the_end_takes_the_step_out_of_turn() -> None:
    flow = line(part("source", "range", 6.0), step_ms=8.0, in_turn=True)
    assert after(flow, InsertStage("prefetch", {"buffer_size": 2})).interval_ms() == 8.0


def test_tensorflow_adds_a_prefetch_where_an_edit_leaves_a_synchronous_end() -> None:
    flow = line(
        part("source", "range", 6.0), part("stages.0", "prefetch", ahead=True, buffer=2.0), step_ms=8.0, in_turn=True,
        injects=True,
    )  # fmt: skip
    assert after(flow, ReplaceStages(("stages.0",))).interval_ms() == 8.0


def test_a_removed_prefetch_makes_stages_take_turns() -> None:
    flow = line(
        part("source", "range", 6.0), part("stages.0", "prefetch", ahead=True, buffer=2.0), part("stages.1", "map", 5.0)
    )
    assert after(flow, ReplaceStages(("stages.0",))).interval_ms() == 11.0


@pytest.mark.parametrize(("calls", "ms"), [(2, 4.0), (4, 4.0), ("AUTOTUNE", 4.0)])
def test_parallel_calls_leave_the_rest(calls: int | str, ms: float) -> None:
    assert after(TWO, SetArgument("stages.0", "map", "num_parallel_calls", calls)).interval_ms() == ms


def test_an_interleave_in_parallel_reads_on_threads_of_its_own() -> None:
    flow = line(part("source", "from_tensor_slices"), part("stages.0", "interleave", 8.0), part("stages.1", "map", 3.0))
    assert flow.interval_ms() == 11.0
    edit = SetArgument("stages.0", "interleave", "num_parallel_calls", "AUTOTUNE")
    assert after(flow, edit).interval_ms() == 3.0
    assert apply(flow, SetArgument("stages.0", "interleave", "block_length", 8), FREE) is None


def test_calls_taken_away_bring_back_the_turns() -> None:
    parallel = after(TWO, SetArgument("stages.0", "map", "num_parallel_calls", 4))
    assert after(parallel, SetArgument("stages.0", "map", "num_parallel_calls", None)).interval_ms() == 10.0


def test_calls_that_were_never_asked_for_are_not_taken_away() -> None:
    waiting = part("stages.0", "map", waiting_ms=54.0, ahead=True, stateful=True, per_batch=16.0)
    flow = line(part("source", "range", 0.1), waiting, part("stages.1", "batch", ahead=True, fused="stages.0"))
    again = after(flow, SetArgument("stages.0", "map", "num_parallel_calls", None))
    assert again.interval_ms() == flow.interval_ms() >= 54.0


def test_a_larger_pool_lets_more_calls_wait() -> None:
    flow = line(part("source", "range"), part("stages.0", "map", 32.0, waits=True, ahead=True, calls=16.0))
    assert flow.interval_ms() == 8.0
    assert after(flow, SetOption("threading.private_threadpool_size", 16)).interval_ms() == 2.0


def test_more_calls_than_cores_keep_the_threads_awake() -> None:
    costs = replace(FREE, few_calls_us=26.0, many_calls_us=6.5)
    tiny = part("stages.0", "map", 7.0, ahead=True, calls=2.0, tuned=True, calls_per_batch=256.0, per_batch=256.0,
                idle_ms=3.0)  # fmt: skip
    batch = part("stages.1", "batch", ahead=True, fused="stages.0")
    flow = line(part("source", "range"), tiny, batch, cores=2.0, pool=2.0)
    assert flow.interval_ms() == 5.0
    # Of 27 µs of each call 19.5 are saved, and as much of what the threads idle.
    more = after(flow, SetArgument("stages.0", "map", "num_parallel_calls", 16), costs=costs)
    left = 1 - 256 * 0.0195 / 7.0
    assert more.interval_ms() == pytest.approx(5.0 * left)
    assert more.by_id["stages.0"].cpu_ms == pytest.approx(7.0 * left)
    # What the ops of the function take stays, and so does a call of next to nothing.
    parsing = flow.changed(replace(tiny, parsing_ms=3.0))
    more = after(parsing, SetArgument("stages.0", "map", "num_parallel_calls", 16), costs=costs)
    assert more.by_id["stages.0"].cpu_ms == pytest.approx(3.0 + 256 * 0.0065)
    as_many = after(flow, SetArgument("stages.0", "map", "num_parallel_calls", 2), costs=costs)
    assert as_many.interval_ms() == flow.interval_ms()
    # A function that computes for long gains next to nothing.
    slow = flow.changed(replace(tiny, computing_ms=700.0, cpu_ms=700.0, idle_ms=0.0))
    assert after(slow, SetArgument("stages.0", "map", "num_parallel_calls", 16), costs=costs).interval_ms() > 345.0


def test_calls_that_tensorflow_chooses_grow_with_the_pool() -> None:
    tuned = part("stages.0", "map", 32.0, waits=True, ahead=True, calls=4.0, tuned=True)
    flow = line(part("source", "range"), tuned)
    assert after(flow, SetOption("threading.private_threadpool_size", 16)).interval_ms() == 2.0


def test_a_map_on_whole_batches_is_called_once() -> None:
    seen = BATCHED.changed(replace(BATCHED.by_id["stages.0"], op_ms=(0.1,)))
    flow = after(seen, VectoriseMap("stages.0", "stages.1"), costs=Costs(call_us=12, row_us=0.5, bytes_per_us=4000))
    moved = flow.by_id["stages.0"]
    assert (moved.calls_per_batch, moved.reads, flow.by_id["stages.1"].reads) == (1.0, ("stages.1",), ("source",))
    assert flow.by_id["stages.1"].held_ms == pytest.approx(0.1285, abs=1e-4)
    assert moved.held_ms < 0.02


def test_a_map_inside_a_function_is_called_for_whole_batches() -> None:
    inside = (replace(BATCHED.by_id["stages.0"], ahead=False, op_ms=(0.1,)), BATCHED.by_id["stages.1"])
    inside = tuple(replace(one, id=f"stages.0.{one.id}", reads=(f"stages.0.{name}",), fused=None)
                   for one, name in zip(inside, ("source", "stages.0"), strict=True))  # fmt: skip
    read = part("stages.0.source", "range", 0.1, per_batch=256.0, element_bytes=8.0)
    owner = part("stages.0", "flat_map", 6.0, inside=(read, *inside))
    flow = after(line(part("source", "range"), owner), VectoriseMap("stages.0.stages.0", "stages.0.stages.1"))
    assert flow.by_id["stages.0"].held_ms == pytest.approx(1.1)


def test_a_moved_batch_is_the_same_as_a_vectorised_map() -> None:
    moved = after(BATCHED, MoveStage("stages.1", "batch", before="stages.0"))
    assert moved.interval_ms() == after(BATCHED, VectoriseMap("stages.0", "stages.1")).interval_ms()


def test_a_map_written_anew_after_its_batch_is_the_same_as_a_vectorised_one() -> None:
    by = (NewStage("batch", {"batch_size": 256}), NewStage("map", {"ops": ["tf.strings.lower"]}))
    flow = after(BATCHED, ReplaceStages(("stages.0", "stages.1"), by))
    assert flow.interval_ms() == after(BATCHED, VectoriseMap("stages.0", "stages.1")).interval_ms()
    for other in (by[:1], (NewStage("shuffle", {"buffer_size": 9}), by[1])):
        assert apply(BATCHED, ReplaceStages(("stages.0", "stages.1"), other), FREE) is None


def test_what_splits_a_fused_map_and_batch_gives_each_its_own_time() -> None:
    flow = after(BATCHED, InsertStage("prefetch", {"buffer_size": 2}, "stages.0"), costs=Costs(row_us=4.0))
    assert flow.by_id["stages.1"].fused is None
    assert flow.by_id["stages.1"].held_ms > 1.0


def test_a_filter_before_a_map_leaves_it_fewer_elements() -> None:
    for edit in (MoveStage("stages.1", "filter", before="stages.0"), MoveFilter("stages.1", before="stages.0")):
        assert after(FILTERED, edit).by_id["stages.0"].held_ms == pytest.approx(1.0)


def test_a_filter_that_has_moved_lets_the_map_go_to_whole_batches() -> None:
    moved = after(line(*FILTERED.parts, part("stages.2", "batch", 0.5)), MoveFilter("stages.1", "stages.0"))
    assert moved.by_id["stages.0"].reads == ("stages.1",)
    assert moved.by_id["stages.1"].reads == ("source",)
    assert moved.by_id["stages.2"].reads == ("stages.0",)
    both = after(moved, VectoriseMap("stages.0", "stages.2"))
    assert both.by_id["stages.0"].reads == ("stages.2",)


def test_a_cache_of_a_pass_with_an_end_frees_what_comes_before_it() -> None:
    flow = line(part("source", "range", 1.0, passes=50), part("stages.0", "map", 6.0, passes=50))
    edit = InsertStage("cache", {}, "stages.0")
    assert after(flow, edit).by_id["stages.0"].held_ms == 0.0
    assert bytes_of(flow, edit) == 50 * (100 + 186)


def test_a_cache_behind_a_filter_that_has_moved_holds_what_the_filter_keeps() -> None:
    flow = line(
        part("source", "range", 1.0, per_batch=40.0, passes=400),
        part("stages.0", "map", 6.0, per_batch=40.0, passes=400),
        part("stages.1", "filter", 1.0, per_batch=10.0, passes=100),
    )
    moved = after(flow, MoveFilter("stages.1", "stages.0"))
    assert moved.by_id["stages.0"].passes == 100
    assert bytes_of(moved, InsertStage("cache", {}, "stages.0")) == 100 * (100 + 186)


def test_a_map_before_a_cache_that_was_after_it_does_nothing_any_more() -> None:
    flow = line(
        part("source", "range", per_batch=10.0, element_bytes=8.0, passes=100),
        part("stages.0", "cache", per_batch=10.0, element_bytes=8.0, passes=100),
        part("stages.1", "shuffle", per_batch=10.0, element_bytes=8.0, passes=100),
        part("stages.2", "map", 6.0, per_batch=10.0, calls_per_batch=10.0, element_bytes=1008.0, passes=100),
    )
    edit = MoveStage("stages.2", "map", "stages.0")
    assert after(flow, edit).by_id["stages.2"].held_ms == 0.0
    assert bytes_of(flow, edit) == 100 * 1000.0
    assert apply(flow, MoveStage("stages.2", "map", "stages.1"), FREE) is None


def test_a_repeat_after_a_cache_gives_the_pass_before_it_an_end() -> None:
    flow = line(
        part("source", "range", 1.0, passes=50),
        part("stages.0", "repeat", 0.0, passes=-1),
        part("stages.1", "map", 6.0, passes=-1),
        part("stages.2", "batch", 1.0, passes=-1),
    )
    cache = InsertStage("cache", {}, "stages.1")
    assert after(flow, cache).by_id["stages.1"].held_ms == 6.0
    moved = after(flow, MoveStage("stages.0", "repeat", before="stages.2"))
    assert moved.interval_ms() == flow.interval_ms()
    assert after(moved, cache).by_id["stages.1"].held_ms == 0.0
    assert after(moved, cache).by_id["stages.2"].held_ms == 1.0


def test_a_repeat_that_goes_leaves_passes_with_an_end_of_what_filters_keep() -> None:
    flow = line(
        part("source", "range", 1.0, per_batch=40.0, passes=400),
        part("stages.0", "repeat", 0.0, per_batch=40.0, passes=-1),
        part("stages.1", "filter", 1.0, per_batch=10.0, passes=-1),
        part("stages.2", "map", 6.0, per_batch=10.0, passes=-1),
    )
    gone = after(flow, ReplaceStages(("stages.0",)))
    assert {name: one.passes for name, one in gone.by_id.items()} == {"source": 400, "stages.1": 100, "stages.2": 100}
    again = after(after(gone, InsertStage("cache", {}, "stages.2")), InsertStage("repeat", {}, "stages.2"))
    assert [one.passes for one in again.parts if one.op in {"cache", "repeat"}] == [-1, 100]
    assert again.by_id["stages.2"].held_ms == 0.0


def test_a_cache_without_an_end_helps_nothing_and_has_no_size() -> None:
    flow = line(part("source", "range", 1.0, passes=-1))
    edit = InsertStage("cache", {}, "source")
    assert after(flow, edit).interval_ms() == flow.interval_ms()
    assert bytes_of(flow, edit) is None


def test_buffers_hold_elements() -> None:
    held = line(part("source", "range"), part("stages.0", "prefetch", ahead=True, buffer=2.0))
    assert bytes_of(held, SetArgument("stages.0", "prefetch", "buffer_size", 10)) == 8 * (100 + 56 + 115)
    shuffled = line(part("stages.0", "shuffle", held=1000.0, passes=-1))
    assert bytes_of(shuffled, SetArgument("stages.0", "shuffle", "buffer_size", 400)) == -600 * (100 + 56 + 115)


@pytest.mark.parametrize(
    "edit",
    [
        HandWritten(("source",), "", ""),
        SetEnvironment("MALLOC_ARENA_MAX", "2"),
        SetOption("autotune.ram_budget", 1),
        SetArgument("stages.9", "map", "num_parallel_calls", 2),
        InsertStage("filter", {}, "source"),
        ReplaceStages(("source",)),
    ],
)
def test_what_the_model_does_not_know_it_does_not_predict(edit: PipelineEdit) -> None:
    assert apply(TWO, edit, FREE) is None


def test_a_function_without_traced_ops_keeps_a_part_of_its_own_time_on_batches() -> None:
    seen = BATCHED.changed(replace(BATCHED.by_id["stages.0"], calling_ms=3.0))
    costs = Costs(call_us=0, row_us=0, bytes_per_us=4000, batched_share=0.25)
    assert after(seen, VectoriseMap("stages.0", "stages.1"), costs=costs).by_id["stages.0"].held_ms == pytest.approx(
        0.5
    )


def test_an_op_that_parses_costs_its_features_in_each_call() -> None:
    """What the other ops of the function take beyond the fixed cost of an op stays."""
    seen = BATCHED.changed(replace(BATCHED.by_id["stages.0"], op_ms=(0.256,), parsing_ms=4.0))
    costs = Costs(call_us=0, op_us=1.0, row_us=0, bytes_per_us=math.inf, batched_share=0.25)
    found = after(seen, VectoriseMap("stages.0", "stages.1"), costs=costs).by_id["stages.0"]
    assert found.held_ms == pytest.approx(1.0, abs=0.005)


def test_each_pass_over_a_cache_still_makes_an_iterator() -> None:
    flow = line(part("source", "range", 8.0, passes=50), restart_ms=1.0)
    cached = after(flow, InsertStage("cache", {}, "source"), costs=Costs(epoch_us=1000.0))
    assert cached.restart_ms == pytest.approx(0.02)
