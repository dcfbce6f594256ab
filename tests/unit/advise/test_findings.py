"""Each finding: views that it must be found in, with its change, and near twins that it must not be found in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.advise.checks import found, only, short
from unit.advise.made_up import GB, MB, batch, cache, generator, indices, line, load, python_map, run, shuffle, slices
from unit.advise.training_views import CALLBACK_OF_KERAS, FLAWS, TWINS
from unit.view.views import Built, function, measured, pipeline, stage, tensor

from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.static.slips import Slip
from pipeprof.profiles.advise.findings.correctness import POLICY
from pipeprof.profiles.document.memory import Device, LedgerEntry, Soak, SoakEnd, SoakSeries
from pipeprof.profiles.document.shared import Gaps, Quantiles
from pipeprof.profiles.view.view import ConstantView, PipelineView, StageView

ROW = (tensor("float32", 256),)
Make = Callable[[], PipelineView]


def rows(op: str = "TFRecordDataset", **facts: Any) -> StageView:
    return stage("source", op, name="a", **({"element": ROW, "elements": 64_000} | facts))


def passing(id: str, op: str, below: StageView, count: int | None = None, **arguments: Any) -> StageView:
    elements = below.elements if count is None else count
    return stage(id, op, arguments=arguments, element=below.element, elements=elements)


def grouped(*above: StageView, size: int = 32, buffer: int = 100, **source: Any) -> Built:
    groups = batch("stages.0", size, rows(**source))
    return line(rows(**source), groups, shuffle("stages.1", buffer, groups), *above)


def mixed_before() -> Built:
    mixed = shuffle("stages.0", 3200, rows())
    groups = batch("stages.1", 32, mixed)
    return line(rows(), mixed, groups, shuffle("stages.2", 10, groups))


def zipped(*, whole: bool) -> Built:
    sources = [stage(f"source.inputs.{at}.source", "TFRecordDataset", element=ROW, elements=640) for at in (0, 1)]
    batches = [batch(f"source.inputs.{at}.stages.0", 32, one) for at, one in enumerate(sources)][: 1 + whole]
    sides = batches[0].id, (batches if whole else sources)[1].id
    pair = stage("source", "zip", inputs=sides, element=ROW * 2, elements=20)
    return line(pair, *sources, *batches, shuffle("stages.0", 10, pair))


def drawn(id: str = "stages.1", *ops: str, **facts: Any) -> StageView:
    return load(id, 1000, *(ops or ("RandomUniform", "Mul")), **facts)


def frozen(*above: StageView, filename: str = "", **facts: Any) -> Built:
    random = drawn(**facts)
    return line(indices(1000), load(count=1000), random, cache("stages.2", random, filename), *above)


def noise(*ops: str) -> Built:
    random = drawn("stages.0", *ops)
    return line(indices(1000), random, cache("stages.1", random))


def nested(*, inside: bool) -> Built:
    """Random numbers in the function of an interleave, cached in it or after it."""
    owner = stage("stages.0", "interleave", element=ROW, function=function())
    body = stage("stages.0.source", "TFRecordDataset", element=ROW), drawn("stages.0.stages.0", "RandomUniform")
    kept = cache("stages.0.stages.1", body[1]) if inside else cache("stages.1", owner)
    return line(stage("source", "list_files", elements=8), owner, *body, kept)


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
    view.profile.steps.epochs = 4
    view.by_id["stages.0"].measured.elements = elements
    return view


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
    )
    return measured(view, **{"interval_ms": 101.0, "worker_cores": 0.1, "headspace": 0.9, **facts})


def texts() -> PipelineView:
    """Texts padded to the longest of their batch, and a real step."""
    view = measured(
        pipeline(
            stage("source", "TFRecordDataset"),
            stage("stages.0", "map", element=(tensor("int32", None),)),
            stage("stages.1", "padded_batch", arguments={"batch_size": 64}, element=(tensor("int32", 64, None),)),
        )
    )
    view.profile.device = Device(kind="python", text=None)
    view.profile.steps.count = 400
    view.profile.steps.busy_ms = Quantiles(mean=14.0, p50=12.0, p95=13.0, p99=130.0)
    return view


def idling() -> PipelineView:
    """A step on a GPU whose trace says why it idles."""
    view = measured(pipeline(stage("source", "range"), stage("stages.0", "batch", ms=2.0)))
    gaps = Gaps(count=40, by_cause={"sync": 0.8, "copy": 0.4}, seconds=2.0)
    view.profile.device = Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=None)
    return view


def soaked() -> PipelineView:
    rows_ = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))
    view = measured(rows_, baseline_bytes=400 * MB, peak_bytes=500 * MB)
    view.profile.memory.soak = Soak(
        seconds=1200.0,
        state="growth",
        sentence="Memory grows by 977 KiB in each epoch: Python's heap grows.",
        bytes_per_second=500_000.0,
        low=450_000.0,
        high=550_000.0,
        bytes_per_epoch=1_000_000.0,
        owner="python",
        ends=SoakEnd(seconds=12_030.0, low=11_300.0, high=12_800.0, limit_bytes=20_000_000_000),
        series=SoakSeries(**{name: [] for name in SoakSeries.model_fields}),
    )
    return view


def names(files: int = 8, **arguments: Any) -> StageView:
    """A list of files in its order, unless told otherwise."""
    given = arguments or {"file_pattern": "data/*.tfrecord", "shuffle": False}
    return stage("source", "list_files", line=2, elements=files, arguments=given)


def reader(at: int = 0) -> tuple[StageView, StageView]:
    """An interleave over TFRecord files."""
    return stage(f"stages.{at}", "interleave", line=4), stage(f"stages.{at}.source", "TFRecordDataset", line=5)


def shard(at: int, parts: int = 4) -> StageView:
    return stage(f"stages.{at}", "shard", arguments={"num_shards": parts, "index": 1}, line=9)


def read_then_sharded(*, files: int = 8, parts: int = 4) -> Built:
    return pipeline(names(files), *reader(), shard(1, parts))


def sharded_then_read(source: StageView | None = None) -> Built:
    return pipeline(source or names(), shard(0), *reader(1))


def mapped_then_sharded() -> Built:
    """Files that a map reads."""
    return pipeline(names(), stage("stages.0", "map", function=function("ReadFile"), line=4), shard(1))


def direct_then_sharded() -> Built:
    """Files that the source reads."""
    files = {"filenames": ["a", "b", "c", "d"]}
    return pipeline(stage("source", "TFRecordDataset", arguments=files, line=2), shard(0))


def divided(policy: str | None = None, source: StageView | None = None) -> Built:
    """Files whose division is left to a strategy."""
    return pipeline(source or names(), *reader(), options={} if policy is None else {POLICY: policy})


def shuffled_names() -> Built:
    return sharded_then_read(names(file_pattern="data/*.tfrecord"))


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


@pytest.mark.parametrize(("name", "make"), [*((name, one) for name in SILENT for one in SILENT[name]), *TWINS])
def test_near_twins_are_not(name: str, make: Make) -> None:
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
