"""Each finding: views that it must be found in, with its change, and near twins that it must not be found in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.advise.checks import found, only, short
from unit.advise.made_up import (
    GB,
    MB,
    batch,
    cache,
    direct_then_sharded,
    divided,
    generator,
    idling,
    indices,
    line,
    load,
    mapped_then_sharded,
    names,
    passing,
    python_map,
    read_then_sharded,
    run,
    sharded_then_read,
    shuffle,
    shuffled_names,
    slices,
    soaked,
    texts,
)
from unit.advise.training_views import CALLBACK_OF_KERAS, FLAWS, TWINS
from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.document.memory import LedgerEntry
from pipeprof.profiles.view.view import ConstantView, PipelineView, StageView

ROW = (tensor("float32", 256),)
Make = Callable[[], PipelineView]


def rows(op: str = "TFRecordDataset", **facts: Any) -> StageView:
    return stage("source", op, name="a", **({"element": ROW, "elements": 64_000} | facts))


def grouped(*above: StageView, size: int = 32, buffer: int = 100, **source: Any) -> Built:
    groups = batch("stages.0", size, rows(**source))
    return line(rows(**source), groups, shuffle("stages.1", buffer, groups), *above)


def mixed_before() -> Built:
    mixed = shuffle("stages.0", 3200, rows())
    groups = batch("stages.1", 32, mixed)
    return line(rows(), mixed, groups, shuffle("stages.2", 10, groups))


def zipped(*, whole: bool) -> Built:
    def side(number: int, batched: bool) -> list[StageView]:
        source = stage(f"source.inputs.{number}.source", "TFRecordDataset", element=ROW, elements=640)
        return [source, *([batch(f"source.inputs.{number}.stages.0", 32, source)] if batched else [])]

    sides = [side(0, batched=True), side(1, batched=whole)]
    pair = stage("source", "zip", inputs=tuple(one[-1].id for one in sides), element=ROW * 2, elements=20)
    return line(pair, *sides[0], *sides[1], shuffle("stages.0", 10, pair))


def drawn(id: str = "stages.1", *ops: str, **facts: Any) -> StageView:
    return load(id, 1000, *(ops or ("RandomUniform", "Mul")), **facts)


def frozen(*above: StageView, filename: str = "", **facts: Any) -> Built:
    random = drawn(**facts)
    return line(indices(1000), load(count=1000), random, cache("stages.2", random, filename), *above)


def noise(*ops: str) -> Built:
    random = drawn("stages.0", *ops)
    return line(indices(1000), random, cache("stages.1", random))


def nested(*, inside: bool) -> Built:
    owner = stage("stages.0", "interleave", element=ROW, function=function())
    parts = [
        stage("source", "list_files", element=(tensor("string"),), elements=8),
        owner,
        stage("stages.0.source", "TFRecordDataset", element=ROW),
        drawn("stages.0.stages.0", "RandomUniform"),
    ]
    kept = cache("stages.0.stages.1", parts[-1]) if inside else cache("stages.1", owner)
    return line(*parts, kept)


def kept_order(*between: StageView, last: StageView | None = None, filename: str = "", **facts: Any) -> Built:
    """Images, shuffled and then cached."""
    image = load(count=1000)
    mixed = replace(shuffle("stages.1", 1000, image), arguments={"buffer_size": 1000, **facts})
    kept = cache(f"stages.{2 + len(between)}", image, filename)
    return line(indices(1000), image, mixed, *between, kept, *([last] if last is not None else []))


def taken(count: int | None, *between: StageView, known: int | None = 1000, **facts: Any) -> Built:
    image = load(count=known, **facts)
    part = passing(f"stages.{2 + len(between)}", "take", image, count)
    kept = cache("stages.1", image)
    return line(indices(known), image, kept, *between, replace(part, arguments={"count": count}))


def read_again(elements: int) -> PipelineView:
    """Four epochs of 256 elements, in which the input of the cache gave so many."""
    view = measured(taken(256, known=None))
    assert view.profile is not None
    assert view.profile.steps is not None
    view.profile.steps.epochs = 4
    rows = [
        replace(one, measured=one.measured.model_copy(update={"elements": elements}))
        if one.id == "stages.0" and one.measured is not None
        else one
        for one in view.stages
    ]
    return replace(view, stages=tuple(rows))


def with_slip(kind: str, text: str = "ds.prefetch(2)", method: str = "prefetch") -> PipelineView:
    slip = Slip(kind, text, method, "ds", Path("input.py"), 7, 5)  # type: ignore[arg-type]
    return PipelineView("static", (), slips=(slip,))


def shuffled_images(buffer: int = 10_000, *above: StageView, count: int = 100_000) -> Built:
    image = load(count=count)
    return line(indices(count), image, shuffle("stages.1", buffer, image), *above)


def whole_cache(count: int | None, *above: StageView, filename: str = "", limit: int | None = GB) -> Built:
    image = load(count=count)
    return line(indices(count), image, cache("stages.1", image, filename), *above, limit=limit)


def endless(*, drawn_before: bool = False) -> Built:
    image = drawn("stages.0") if drawn_before else load(count=1000)
    again = passing("stages.1", "repeat", image, INFINITE)
    return line(indices(1000), image, again, cache("stages.2", again))


def captured(nbytes: int, **facts: Any) -> Built:
    body = function("GatherV2", constant_bytes=nbytes)
    return replace(line(indices(), load("stages.0", 100_000, function=body)), **facts)


def prefetched(buffer: int, size: int = 32, rows_: int = 100_000) -> Built:
    image = load(count=rows_)
    groups = batch("stages.1", size, image)
    ahead = stage("stages.2", "prefetch", arguments={"buffer_size": buffer}, element=groups.element)
    return line(indices(rows_), image, groups, ahead)


def waiting_generator(**facts: Any) -> PipelineView:
    view = pipeline(
        stage("source", "from_generator", name="a", ms=100.0, blocked_ms=95.0, element=(tensor("float32", 8),)),
        stage("stages.0", "batch", arguments={"batch_size": 8}, ms=0.1),
        static=False,
    )
    return measured(view, **{"interval_ms": 101.0, "worker_cores": 0.1, "headspace": 0.9, **facts})


BATCHED = batch("stages.2", 32, load(count=1000))
FOUND: dict[str, tuple[str, Make, str | None, str]] = {
    "batches are shuffled": ("batch-before-shuffle", grouped, "stages.1",
        "SetArgument stages.1 buffer_size 320; MoveStage stages.1 stages.0"),
    "no more than there are": ("batch-before-shuffle", lambda: grouped(elements=200), "stages.1",
        "SetArgument stages.1 buffer_size 200; MoveStage stages.1 stages.0"),
    "both sides of a zip are batches": ("batch-before-shuffle", lambda: zipped(whole=True), "stages.0", ""),
    "random below a cache": ("cache-after-augment", frozen, "stages.2", "MoveStage stages.2 stages.1"),
    "one map that loads and augments": ("cache-after-augment", lambda: noise("ReadFile", "RandomUniform"),
        "stages.1", ""),
    "nothing left to keep": ("cache-after-augment", noise, "stages.1", "ReplaceStages stages.1"),
    "random inside a function": ("cache-after-augment", lambda: nested(inside=False), "stages.1", ""),
    "shuffled and then cached": ("cache-after-shuffle", kept_order, "stages.2", "MoveStage stages.2 stages.1"),
    "shuffled, batched, cached": ("cache-after-shuffle", lambda: kept_order(BATCHED), "stages.3",
        "MoveStage stages.3 stages.1"),
    "shuffled, taken apart, cached": ("cache-after-shuffle",
        lambda: kept_order(passing("stages.2", "unbatch", load(count=1000))), "stages.3",
        "InsertStage buffer_size=1000 stages.3"),
    "a take that ends first": ("cache-never-complete", lambda: taken(256), "stages.1", "MoveStage stages.2 stages.1"),
    "a cache that each epoch fills anew": ("cache-never-complete", lambda: read_again(1000), "stages.1",
        "MoveStage stages.2 stages.1"),
    "a take of what differs": ("cache-never-complete", lambda: taken(256, function=function("RandomUniform", "Mul")),
        "stages.1", "ReplaceStages stages.1"),
    "a prefetch that nothing takes": ("discarded-transformation", lambda: with_slip("discarded"), None, ""),
    "a number of NumPy's": ("random-at-tracing", lambda: with_slip("drawn-once", "np.random.rand()", "map"), None,
        ""),
    "read, then sharded": ("shard-after-read", read_then_sharded, "stages.1", "MoveStage stages.1 stages.0"),
    "read by a map, then sharded": ("shard-after-read", mapped_then_sharded, "stages.1",
        "MoveStage stages.1 stages.0"),
    "read by the source, then sharded": ("shard-after-read", direct_then_sharded, "stages.0", ""),
    "names in an order of each host's": ("shuffle-before-shard-unseeded", shuffled_names, "source",
        "SetArgument source shuffle False"),
    "a strategy divides what each host shuffles": ("shuffle-before-shard-unseeded",
        lambda: divided("DATA", names(file_pattern="*")), "source", "SetArgument source seed 1"),
    "images in a shuffle": ("shuffle-buffer-bytes", shuffled_images, "stages.1", "MoveStage stages.1 stages.0"),
    "half a gigabyte": ("big-array", lambda: slices(500 * MB), "source", ""),
    "a cache that does not fit": ("cache-over-budget", lambda: whole_cache(20_000), "stages.1",
        "SetArgument stages.1 filename cache/elements"),
    "a cache after an endless repeat": ("cache-over-budget", endless, "stages.2", "MoveStage stages.2 stages.1"),
    "a cache of endless noise": ("cache-over-budget", lambda: endless(drawn_before=True), "stages.2",
        "ReplaceStages stages.2"),
    "an array in a function": ("graph-constant", lambda: captured(100 * MB), "stages.0", ""),
    "a source in a function": ("graph-constant", lambda: slices(100 * MB, constant=True), "source", ""),
    "memory over a soak": ("memory-grows", soaked, None, ""),
    "a prefetch of a thousand batches": ("prefetch-of-batches", lambda: prefetched(1000), "stages.2",
        "SetArgument stages.2 buffer_size 2"),
    "Python that holds the GIL": ("py-function-gil", python_map, "stages.0", ""),
    "rows of a generator": ("generator-per-element", generator, "source", ""),
    "a generator that waits": ("generator-per-element", waiting_generator, "source", ""),
    "texts of any length": ("retraced-step", texts, "stages.1", ""),
    "a device that idles": ("idle-device", idling, "stages.0", ""),
}  # fmt: skip
SILENT: dict[str, list[Make]] = {
    "batch-before-shuffle": [
        mixed_before, lambda: grouped(size=1), lambda: grouped(buffer=1), lambda: grouped(elements=32),
        lambda: grouped(op="from_generator"), lambda: grouped(op="list_files"),
        lambda: grouped(stage("stages.2", "unbatch")), lambda: zipped(whole=False), kept_order],
    "cache-after-augment": [
        lambda: line(indices(1000), load(count=1000), cache("stages.1", load(count=1000)), drawn("stages.2")),
        lambda: frozen(function=function("EagerPyFunc", random=None)), lambda: nested(inside=True),
        lambda: endless(drawn_before=True),
        lambda: frozen(replace(passing("stages.3", "take", drawn()), arguments={"count": 999}))],
    "cache-after-shuffle": [
        lambda: kept_order(filename="f"), lambda: kept_order(reshuffle_each_iteration=False),
        lambda: kept_order(buffer_size=1), lambda: kept_order(last=shuffle("stages.3", 100, load(count=1000))),
        lambda: kept_order(passing("stages.2", "repeat", load(count=1000), 3000))],
    "cache-never-complete": [
        lambda: taken(1000), lambda: taken(-1), lambda: taken(None), lambda: taken(256, known=None),
        lambda: taken(256, shuffle("stages.2", 1000, load(count=1000))),
        lambda: taken(256, cache("stages.2", load(count=1000))), lambda: read_again(256)],
    "discarded-transformation": [lambda: with_slip("drawn-once")],
    "random-at-tracing": [lambda: with_slip("discarded")],
    "shard-after-read": [sharded_then_read, lambda: read_then_sharded(files=2), lambda: read_then_sharded(parts=1)],
    "shuffle-before-shard-unseeded": [sharded_then_read, divided, lambda: divided("DATA")],
    "shuffle-buffer-bytes": [
        lambda: shuffled_images(50), lambda: line(indices(), shuffle("stages.0", 100_000, indices())),
        lambda: line(slices(500 * MB).stages[0], shuffle("stages.0", 10_000, slices(500 * MB).stages[0]))],
    "big-array": [lambda: slices(5 * MB), lambda: slices(500 * MB, constant=True)],
    "cache-over-budget": [
        lambda: whole_cache(100), lambda: whole_cache(20_000, filename="f"), lambda: whole_cache(20_000, limit=None),
        lambda: whole_cache(None),
        lambda: whole_cache(20_000, replace(passing("stages.2", "take", load()), arguments={"count": 10}))],
    "graph-constant": [lambda: captured(4 * MB), lambda: slices(100 * MB)],
    "memory-grows": [shuffled_images],
    "prefetch-of-batches": [lambda: prefetched(4), lambda: prefetched(16, size=64), lambda: prefetched(1000, size=1)],
    "py-function-gil": [
        lambda: python_map(limit="latency"), lambda: python_map("DecodeJpeg")],
    "generator-per-element": [
        lambda: generator(ms=40.0), lambda: generator(size=4), lambda: waiting_generator(worker_cores=0.9)],
}  # fmt: skip


@pytest.mark.parametrize("label", FOUND)
def test_what_is_wrong_is_found(label: str) -> None:
    name, make, stage_, edits = FOUND[label]
    built = make()
    views = [built, run(built)] if isinstance(built, Built) else [built]
    for view in views:
        proposal = only(name, view)
        assert (proposal.rule, proposal.stage) == (name, stage_)
        assert short(proposal.edits) == edits


@pytest.mark.parametrize("label", FLAWS)
def test_what_a_training_does_is_found(label: str) -> None:
    name, make = FLAWS[label]
    proposal = only(name, make())
    assert proposal.rule == name
    assert proposal.location is not None or label == CALLBACK_OF_KERAS
    assert proposal.edits == ()


@pytest.mark.parametrize(("name", "at"), [(name, at) for name, views in SILENT.items() for at in range(len(views))])
def test_near_twins_are_not(name: str, at: int) -> None:
    assert found(name, SILENT[name][at]()) == []


@pytest.mark.parametrize("at", range(len(TWINS)))
def test_near_twins_of_trainings_are_not(at: int) -> None:
    name, make = TWINS[at]
    assert found(name, make()) == []


def test_a_measured_buffer_counts_as_it_was_when_full() -> None:
    image = load(count=100_000)
    mixed = shuffle("stages.1", 10_000, image, buffered_bytes=300_000_000, buffered_elements=500.0)
    proposal = only("shuffle-buffer-bytes", run(line(indices(), image, mixed), peak=8 * GB))
    assert proposal.evidence["buffered_elements"] == 10_000


def test_of_an_array_only_its_own_part_of_the_peak_is_saved() -> None:
    view = run(slices(500 * MB), peak=4 * GB)
    entry = LedgerEntry(owner="source", stage="source", bytes=900 * MB, how="measured")
    view.profile.memory.ledger = [entry]
    predicted = only("big-array", view).predicted
    assert predicted.peak_rss_delta_bytes == -400 * MB


def test_an_array_is_described_and_of_float64_may_be_half_as_large() -> None:
    assert "float32" in only("big-array", slices(500 * MB, dtype="float64")).recommendation
    assert "float32" not in only("big-array", slices(500 * MB)).recommendation
    constant = ConstantView(100 * MB, "float32", (100, 1000), "stages.0")
    assert "float32[100,1000]" in only("graph-constant", captured(100 * MB, constants=(constant,))).sentence


@pytest.mark.parametrize(
    ("call", "op"),
    [
        ("np.random.normal()", "tf.random.normal([], mean, stddev)"),
        ("random.randint(1, 6)", "tf.random.uniform([], low, high + 1, tf.int64)"),
        ("np.random.randint(1, 6)", "tf.random.uniform([], low, high, tf.int64)"),
        ("np.random.poisson(3.0)", "`tf.random`"),
    ],
)
def test_the_op_that_draws_the_same_is_named(call: str, op: str) -> None:
    assert op in only("random-at-tracing", with_slip("drawn-once", call, "map")).recommendation


def test_a_seed_of_the_program_gives_all_hosts_one_order() -> None:
    view = run(shuffled_names())
    assert found("shuffle-before-shard-unseeded", view)
    view.profile.seed = 7
    assert found("shuffle-before-shard-unseeded", view) == []
