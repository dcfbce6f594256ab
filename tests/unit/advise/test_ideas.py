"""Each idea: pipelines that it is for, recorded and made up, with its change, and near twins that it is not for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from unit.advise.checks import found, only, short
from unit.advise.made_up import PAIR, csv, dropped, late_filter, python_map, readers, records, windows, zipped
from unit.view.recorded import recorded_view
from unit.view.views import MeasuredFacts, function, measured, pipeline, stage, tensor

from pipeprof.pipelines.changes.edits import SetArgument, SetOption, VectoriseMap
from pipeprof.pipelines.meaning.constants import AUTOTUNE
from pipeprof.pipelines.spec.spec import Ignore
from pipeprof.profiles.advise.apply import OF_STARTS, ideas_for
from pipeprof.profiles.advise.ideas import POOL
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.document.stages import Shuffle
from pipeprof.profiles.view.view import PipelineView, StageView

Make = Callable[[], PipelineView]
MB = 1_000_000
DECODES = function("ReadFile", "DecodeJpeg", elementwise=False)


def serial(
    *, ms: float = 18.0, body: Any = DECODES, blocked: float = 0.0, above: tuple[StageView, ...] = (), **run: Any
) -> PipelineView:
    """A map that runs one call at a time and takes most of each step."""
    view = pipeline(
        stage("source", "range", element=(tensor("int64"),)),
        stage("stages.0", "map", name="load", function=body, ms=ms, blocked_ms=blocked, element=(tensor("uint8", 9),)),
        *above,
        stage(f"stages.{1 + len(above)}", "batch", arguments={"batch_size": 32}),
        options=run.pop("options", None),
    )
    return measured(view, **run)


def parallel(calls: float, *, tunable: bool = False, used: float = 1.2, cores: float = 2.0, **run: Any) -> PipelineView:
    runs: dict[str, Any] = {"tf_op": "ParallelMapDatasetV2", "parallelism": calls, "tunable": tunable, "ms": 18.0}
    runs |= {"arguments": {"num_parallel_calls": AUTOTUNE}} if tunable else {}
    view = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", function=DECODES, blocked_ms=run.pop("blocked", 0.0), **runs),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
        options=run.pop("options", None),
        cores=cores,
    )
    return measured(view, worker_cores=used, **run)


def cached(*above: StageView, epochs: int = 4, limit: int | None = None, elements: int = 1000) -> PipelineView:
    """1,000 names, loaded; with a shuffle or a repeat before the map where `above` says so."""
    names = {"elements": elements, "element": (tensor("string"),), "arguments": {"shuffle": False}}
    loaded = {"function": DECODES, "ms": 18.0, "element": (tensor("uint8", 32, 32, 3),)}
    counted = None if any(one.op == "repeat" for one in above) else elements
    batches = {"arguments": {"batch_size": 32}, "element": (tensor("uint8", 32, 32, 32, 3),)}
    view = pipeline(
        stage("source", "list_files", tf_op="TensorSliceDataset", **names),
        *above,
        stage(f"stages.{len(above)}", "map", name="load", elements=counted, **loaded),
        stage(f"stages.{1 + len(above)}", "batch", **batches),
        memory_limit_bytes=limit,
    )
    run = measured(view)
    run.profile.steps.epochs = epochs
    return run


def shuffled(buffer: int = 300) -> StageView:
    mixed = stage("stages.0", "shuffle", arguments={"buffer_size": buffer}, elements=1000)
    facts = Shuffle(buffer_size=buffer, seeded=False, reshuffles=True)
    return replace(mixed, measured=mixed.measured.model_copy(update={"shuffle": facts}))


def after_cache() -> PipelineView:
    """A map that runs again in each epoch, behind a cache."""
    view = pipeline(
        stage("source", "range", elements=1000),
        stage("stages.0", "cache", elements=1000, ms=0.1),
        stage("stages.1", "map", name="load", function=DECODES, ms=18.0, element=(tensor("uint8", 9),)),
        stage("stages.2", "batch", arguments={"batch_size": 32}),
    )
    return measured(view)


def files(op: str = "flat_map", *, blocked: float = 0.0, written: dict[str, Any] | None = None) -> PipelineView:
    view = pipeline(
        stage("source", "list_files", elements=64),
        stage("stages.0", op, function=function(), written=written),
        stage("stages.0.source", "TFRecordDataset", ms=15.0, blocked_ms=blocked),
        stage("stages.1", "batch", arguments={"batch_size": 32}),
    )
    return measured(view)


def in_files(limit: int = 24_000 * MB) -> PipelineView:
    rows = {"element": (tensor("uint8", 999),), "elements": 700}
    view = pipeline(
        stage("source", "range", elements=700),
        stage("stages.0", "map", ms=1.0, **rows),
        stage("stages.1", "cache", ms=8.0, arguments={"filename": "no/x"}, **rows),
        stage("stages.2", "batch", arguments={"batch_size": 32}, ms=1.0),
        memory_limit_bytes=limit,
    )
    return measured(view, interval_ms=10.0)


def keeping(what: str, nbytes: int = 300 * MB, **facts: Any) -> PipelineView:
    """A run whose allocator keeps so many bytes of a peak of 1 GB above TensorFlow's runtime."""
    rows = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))
    view = measured(rows, baseline_bytes=400 * MB, peak_bytes=1400 * MB)
    view.profile.memory.ledger = [LedgerEntry(owner="slack", bytes=nbytes, how="measured", what=what)]
    return replace(view, facts=replace(view.facts, **facts))


def crowded(**facts: Any) -> PipelineView:
    view = python_map(python_lock=0.05, runnable_wait_share=0.4)
    return replace(view, facts=MeasuredFacts(**{**vars(view.facts), **facts}))


def second(op: str = "Slice") -> StageView:
    return stage("stages.1", "map", name="crop", function=function(op), ms=18.0)


FOR: dict[str, tuple[str, Make, str, str]] = {
    "one call at a time": ("parallel-calls", serial, "stages.0", "SetArgument stages.0 num_parallel_calls AUTOTUNE"),
    "one call that waits": ("parallel-calls", lambda: serial(blocked=17.0), "stages.0",
        "SetArgument stages.0 num_parallel_calls 16; SetOption threading.private_threadpool_size 16"),
    "one call that waits for forty steps": ("parallel-calls", lambda: serial(ms=400.0, blocked=390.0), "stages.0",
        "SetArgument stages.0 num_parallel_calls 64; SetOption threading.private_threadpool_size 64"),
    "one call of a process that hardly computes": ("parallel-calls", lambda: recorded_view("waiting_serial"),
        "stages.0", "SetArgument stages.0 num_parallel_calls 16; SetOption threading.private_threadpool_size 16"),
    "eight calls that wait": ("parallel-calls", lambda: parallel(8.0, blocked=17.0), "stages.0",
        "SetArgument stages.0 num_parallel_calls 32; SetOption threading.private_threadpool_size 32"),
    "as many calls as cores, which idle": ("parallel-calls", lambda: parallel(2.0), "stages.0",
        "SetArgument stages.0 num_parallel_calls 8"),
    "a number that TensorFlow left low": ("parallel-calls",
        lambda: parallel(2.0, tunable=True, used=2.1, cores=16.0), "stages.0",
        "SetArgument stages.0 num_parallel_calls 16"),
    "too many calls": ("fewer-calls", lambda: parallel(64.0, used=1.9), "stages.0",
        "SetArgument stages.0 num_parallel_calls AUTOTUNE"),
    "too many threads": ("fewer-calls", lambda: parallel(1.0, used=1.9, options={POOL: 128}), "source",
        "SetOption threading.private_threadpool_size 2"),
    "readers of small records": ("fewer-calls", readers, "source", "SetArgument source num_parallel_reads None"),
    "two slow stages on one thread": ("prefetch-between", lambda: recorded_view("serial_after_serial"), "stages.0",
        "InsertStage buffer_size=AUTOTUNE stages.0"),
    "two sides of a zip": ("prefetch-between", lambda: recorded_view("zip_serial"), "source.inputs.0.stages.0",
        "InsertStage buffer_size=AUTOTUNE source.inputs.0.stages.0; "
        "InsertStage buffer_size=AUTOTUNE source.inputs.1.stages.0"),
    "a map before a batch": ("whole-batches", lambda: recorded_view("map_batch"), "stages.0",
        "VectoriseMap stages.0 stages.1"),
    "Python that is called for each element": ("whole-batches", python_map, "stages.0",
        "MoveStage stages.1 stages.0"),
    "records that are parsed one by one": ("parse-in-batches", lambda: recorded_view("parse_before_batch"),
        "stages.1", "VectoriseMap stages.1 stages.2"),
    "windows that are batches": ("windows-at-once", lambda: windows(window={"shift": 26}), "stages.0",
        "ReplaceStages stages.0,stages.1 op=batch arguments=batch_size=26 drop_remainder=True"),
    "a skip after a map": ("drop-earlier", dropped, "stages.1", "MoveStage stages.1 stages.0"),
    "a shard after a zip": ("drop-earlier", zipped, "stages.0",
        "InsertStage num_shards=4 index=0 source.inputs.0.source; "
        "InsertStage num_shards=4 index=0 source.inputs.1.source; ReplaceStages stages.0"),
    "a filter that reads what no map changes": ("drop-earlier", late_filter, "stages.1",
        "MoveStage stages.1 stages.0"),
    "a shuffle of what a map makes": ("drop-earlier", lambda: recorded_view("shuffle_after_decode"), "stages.2",
        "MoveStage stages.2 stages.1"),
    "what each epoch makes again": ("cache", cached, "stages.1", "InsertStage stages.1"),
    "what is shuffled before": ("cache", lambda: cached(shuffled()), "stages.1",
        "InsertStage stages.1; InsertStage buffer_size=300 stages.1"),
    "what is repeated before": ("cache", lambda: cached(stage("stages.0", "repeat", elements=-1)), "stages.1",
        "MoveStage stages.0 stages.2; InsertStage stages.1"),
    "both sides of a zip in each epoch": ("cache", lambda: recorded_view("zip_serial"), "source.inputs.0.stages.0",
        "InsertStage source.inputs.0.stages.0; InsertStage source.inputs.1.stages.0"),
    "a map behind a cache": ("cache", after_cache, "stages.1", "MoveStage stages.1 stages.0"),
    "a cache in files that fits": ("cache", in_files, "stages.1", "ReplaceStages stages.1 op=cache arguments="),
    "autotune is off": ("default-options", lambda: recorded_view("autotune_off"), "source",
        "SetOption autotune.enabled True"),
    "a pool smaller than the cores": ("default-options", lambda: serial(options={POOL: 2, "autotune.cpu_budget": 1}),
        "source", "SetOption threading.private_threadpool_size 4; SetOption autotune.cpu_budget 0"),
    "file after file": ("parallel-files", files, "stages.0", "SetArgument stages.0 num_parallel_calls AUTOTUNE"),
    "file after file, and waiting": ("parallel-files", lambda: files("interleave", blocked=14.0), "stages.0",
        "SetArgument stages.0 cycle_length 16; SetArgument stages.0 num_parallel_calls 16; "
        "SetOption threading.private_threadpool_size 16"),
    "a flat_map of a spec": ("parallel-files", lambda: files(written={"source": "x"}), "stages.0",
        "ReplaceStages stages.0 op=interleave arguments=source=x num_parallel_calls=AUTOTUNE"),
    "one reader of files": ("parallel-files", lambda: recorded_view("readers"), "source",
        "SetArgument source num_parallel_reads AUTOTUNE"),
    "a pool that keeps memory": ("process-environment", lambda: keeping("TensorFlow's pool"), "source",
        "SetEnvironment TF_ONEDNN_USE_SYSTEM_ALLOCATOR true"),
    "a heap that keeps memory": ("process-environment", lambda: keeping("glibc's heap"), "source",
        "SetEnvironment MALLOC_ARENA_MAX 2; SetEnvironment MALLOC_TRIM_THRESHOLD_ 131072"),
    "another allocator is there": ("process-environment",
        lambda: keeping("glibc's heap", allocator="/usr/lib/libjemalloc.so.2"), "source",
        "SetEnvironment LD_PRELOAD /usr/lib/libjemalloc.so.2"),
    "threads of libraries": ("process-environment", crowded, "stages.0",
        "SetEnvironment MKL_NUM_THREADS 1; SetEnvironment OMP_NUM_THREADS 1; SetEnvironment OPENBLAS_NUM_THREADS 1"),
}  # fmt: skip
NOT_FOR: dict[str, list[Make]] = {
    "parallel-calls": [
        lambda: parallel(2.0, used=1.95), lambda: parallel(64.0, blocked=17.0),
        lambda: parallel(16.0, tunable=True, cores=16.0), lambda: python_map(python_lock=0.9),
        lambda: parallel(1.0, tunable=True, used=1.95),
        lambda: python_map(python_lock=0.9, parallelism=8.0)],
    "fewer-calls": [
        lambda: parallel(4.0, used=1.9), lambda: parallel(64.0, used=1.9, blocked=17.0),
        lambda: readers(size=60_000.0), lambda: readers(tf_op="TFRecordDatasetV2"), lambda: readers(blocked_ms=1.9)],
    "prefetch-between": [
        lambda: recorded_view("zip_prefetched"), lambda: parallel(4.0), lambda: recorded_view("readers")],
    "whole-batches": [
        lambda: serial(body=function("StringSplitV2")), lambda: serial(body=function("RandomUniform")),
        lambda: serial(body=function("PyFunc", random=True)), records],
    "parse-in-batches": [lambda: csv(columns=2), lambda: recorded_view("parse_after_batch")],
    "windows-at-once": [lambda: windows(bytes_per_element=4e6), lambda: windows(function=function("Cast"))],
    "drop-earlier": [
        lambda: dropped(op="take", arguments={"count": 120}), lambda: dropped(elements=1190),
        lambda: late_filter(kept=0.97), lambda: late_filter(predicate=function("PyFunc")),
        lambda: late_filter(element=PAIR[:1]),
        lambda: recorded_view("filter_first")],
    "cache": [
        lambda: cached(stage("stages.0", "map", function=function("RandomUniform"))),
        lambda: cached(stage("stages.0", "take", arguments={"count": 5}), shuffled()), lambda: cached(limit=10 * MB),
        lambda: cached(elements=-1), lambda: in_files(limit=MB), lambda: serial(body=function("RandomUniform"))],
    "default-options": [serial, lambda: serial(options={POOL: 4, "autotune.cpu_budget": 0})],
    "parallel-files": [lambda: recorded_view("parallel_interleave"), windows],
    "process-environment": [
        lambda: keeping("glibc's heap", 20 * MB), lambda: keeping("glibc's heap", environment={"LD_PRELOAD": "x"}),
        lambda: keeping("TensorFlow's pool", environment={"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}),
        lambda: crowded(others_cores=3.0), lambda: crowded(runnable_wait_share=0.1),
        lambda: crowded(python_lock_share=0.9)],
}  # fmt: skip


@pytest.mark.parametrize("label", FOR)
def test_a_pipeline_gets_the_idea_that_is_for_it(label: str) -> None:
    name, make, stage_, edits = FOR[label]
    view = make()
    proposals = {short(one.edits): one for one in found(name, view)}
    assert edits in proposals
    proposal = proposals[edits]
    assert (proposal.rule, proposal.stage) == (name, stage_)
    named = {*proposal.left, *proposal.calls, *proposal.covers, *proposal.prefetched}
    assert named <= set(view.by_id)
    assert all(0 <= share <= 1 for share in proposal.left.values())


@pytest.mark.parametrize(("name", "make"), [(name, one) for name, makes in NOT_FOR.items() for one in makes])
def test_a_near_twin_does_not(name: str, make: Make) -> None:
    assert found(name, make()) == []


def test_two_slow_stages_are_made_parallel_at_once_and_each_alone() -> None:
    both, *each = found("parallel-calls", serial(above=(second(),)))
    assert [one.stage for one in both.edits if isinstance(one, SetArgument)] == ["stages.0", "stages.1"]
    assert both.calls == {"stages.0": 4, "stages.1": 4}
    assert [len(one.edits) for one in each] == [1, 1]


def test_maps_in_a_row_go_after_their_batch_together_the_last_one_first() -> None:
    view = serial(body=function("Cast"), above=(second(),))
    every, *_ = found("whole-batches", view)
    assert every.edits == (VectoriseMap("stages.1", "stages.2"), VectoriseMap("stages.0", "stages.2"))


def test_rows_of_csv_are_parsed_by_lines() -> None:
    vectorised, replaced, option = only("parse-in-batches", csv()).edits
    assert [type(edit) for edit in (vectorised, option)] == [VectoriseMap, SetOption]
    assert [new.op for new in replaced.by] == ["TextLineDataset", "batch", "map"]  # type: ignore[attr-defined]


def test_a_cache_of_smaller_elements_saves_memory() -> None:
    small = {"element": (tensor("uint8", 10**5),), "elements": 1000}
    large = {"element": (tensor("float32", 10**5, 2),), "elements": 1000}
    kept = {**large, "buffered_bytes": 800 * MB, "buffered_elements": 1000}
    view = pipeline(
        stage("source", "range", elements=1000),
        stage("stages.0", "map", function=function("ReadFile"), **small),
        stage("stages.1", "map", function=function("Cast"), **large),
        stage("stages.2", "cache", **kept),
    )
    proposal = only("cache", measured(view, peak_bytes=2000 * MB))
    assert (short(proposal.edits), proposal.for_memory) == ("MoveStage stages.2 stages.1", True)
    assert proposal.predicted.peak_rss_delta_bytes == pytest.approx(-700 * MB, rel=0.01)


def test_the_most_promising_idea_comes_first_and_each_change_once() -> None:
    proposals, messages = ideas_for(cached())
    assert messages == []
    gains = [max(1.0, one.speedup or 1.0) for one in proposals]
    assert gains == sorted(gains, reverse=True)
    assert {"cache", "parallel-calls"} <= {one.rule for one in proposals}
    assert len({str(one.edits) for one in proposals}) == len(proposals)
    assert all(one.change and one.sentence and one.title for one in proposals)


def test_nothing_is_proposed_where_nothing_could_be_won() -> None:
    assert ideas_for(serial())[0]
    assert ideas_for(serial(wait_share=0.01, headspace=0.01)) == ([], [])
    static = pipeline(stage("source", "range"), stage("stages.0", "map", function=DECODES))
    assert ideas_for(static) == ([], [])
    assert {one.rule for one in ideas_for(serial(restart_share=0.48))[0]} <= OF_STARTS


def test_memory_is_worth_a_try_whatever_the_step_waits_for() -> None:
    view = keeping("glibc's heap")
    view.profile.steps.wait_share = 0.0
    assert [one.rule for one in ideas_for(view)[0]] == ["process-environment"]


def test_what_a_spec_ignores_is_not_proposed_and_not_listed() -> None:
    assert "parallel-calls" in {one.rule for one in ideas_for(serial())[0]}
    proposals, messages = ideas_for(serial(), ignore=[Ignore(rule="parallel-calls", reason="x")])
    assert ("parallel-calls" in {one.rule for one in proposals}, messages) == (False, [])


def test_an_order_that_each_run_draws_anew_is_no_change_of_it() -> None:
    proposals, _ = ideas_for(cached(shuffled()))
    assert [(one.semantics, one.redrawn) for one in proposals if one.rule == "cache"] == [("same", "order")]


def test_stages_of_one_line_change_together() -> None:
    sides = [stage(f"source.inputs.{side}.stages.0", "map", function=DECODES, ms=4.0, line=3) for side in range(4)]
    sources = [stage(f"source.inputs.{side}.source", "range") for side in range(4)]
    joined = stage("source", "zip", inputs=tuple(one.id for one in sides))
    view = pipeline(*sources, *sides, joined, stage("stages.0", "batch", arguments={"batch_size": 8}))
    assert len(found("parallel-calls", measured(view))[0].edits) == 4


def test_a_cache_stands_at_all_stages_that_one_line_makes() -> None:
    sides = ("source", "stages.1.inputs.1.source")
    names = [stage(side, "range", elements=600, element=(tensor("int64"),)) for side in sides]
    loaded = {
        "name": "load",
        "function": DECODES,
        "ms": 9.0,
        "element": (tensor("uint8", 9),),
        "elements": 600,
        "line": 7,
    }
    maps = [stage("stages.0", "map", **loaded), stage("stages.1.inputs.1.stages.0", "map", **loaded)]
    joined = stage("stages.1", "concatenate", inputs=tuple(one.id for one in maps), elements=1200)
    view = measured(pipeline(*names, *maps, joined, stage("stages.2", "batch", arguments={"batch_size": 32})))
    view.profile.steps.epochs = 4
    (place, *_) = found("cache", view)
    assert [edit.after for edit in place.edits] == [one.id for one in maps]
