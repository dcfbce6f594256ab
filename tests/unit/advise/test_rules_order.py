"""A cache that keeps one order for all epochs: where it does harm, where it does none, and what its fix makes."""

from __future__ import annotations

from pathlib import Path

import pytest
from unit.advise.memory_views import batch, cache, found, indices, line, load, only, passing, run, shuffle
from unit.advise.specs import stages_with, static_findings
from unit.advise.views import function, stage, tensor

from pipeprof.pipelines.changes.edits import InsertStage, MoveStage
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.profiles.view.view import PipelineView, StageView

NAME = "cache-after-shuffle"
RECORDS = "source: {TFRecordDataset: {filenames: a.tfrecord}}"
SOURCE = "source: {from_tensor_slices: {tensors: {array: [4, 3, 2, 1, 0]}}}"
CAST = "{map: {ops: [{tf.io.decode_raw: {out_type: uint8}}]}}"
RANDOM = "{map: {ops: [{tf.random.uniform: {shape: [2]}}]}}"
SHUFFLE = "{shuffle: {buffer_size: 100}}"


def spec(folder: Path, *stages: str, source: str = RECORDS) -> Path:
    path = folder / "spec.yaml"
    (folder / "a.tfrecord").touch()
    path.write_text(f"version: 1\n{source}\nstages: [{', '.join(stages)}]\n", encoding="utf-8")
    return path


def silent(path: Path, *names: str) -> bool:
    return not {one.rule for one in static_findings(path)} & set(names or (NAME,))


@pytest.mark.parametrize(
    ("stages", "after"),
    [
        pytest.param([SHUFFLE, "{cache: {}}"], ["cache", "shuffle"], id="nothing between"),
        pytest.param([SHUFFLE, "{prefetch: {buffer_size: 2}}", "{cache: {}}"], ["cache", "shuffle", "prefetch"]),
        pytest.param(
            [SHUFFLE, CAST, "{cache: {}}", "{batch: {batch_size: 8}}"],
            ["map", "cache", "shuffle", "batch"],
            id="what the map made stays in the cache",
        ),
        pytest.param(
            [SHUFFLE, CAST, "{batch: {batch_size: 8}}", "{cache: {}}"],
            ["map", "cache", "shuffle", "batch"],
            id="the batch does not: a cached batch holds the same elements in every epoch",
        ),
        pytest.param(
            [SHUFFLE, CAST, RANDOM, "{cache: {}}"],
            ["map", "cache", "shuffle", "map"],
            id="nor does a map that draws random numbers",
        ),
        pytest.param(
            [SHUFFLE, "{filter: {ops: [tf.strings.length, {tf.greater: {y: 2}}]}}", CAST, "{cache: {}}"],
            ["filter", "map", "cache", "shuffle"],
            id="a filter lets the same elements through in any order",
        ),
        pytest.param(
            [SHUFFLE, "{take: {count: 50}}", "{cache: {}}"],
            ["shuffle", "take", "cache", "shuffle"],
            id="a take would give others: the choice stays, in a new order",
        ),
        pytest.param(
            ["{batch: {batch_size: 4}}", CAST, SHUFFLE, "{prefetch: {buffer_size: 2}}", "{cache: {}}"],
            ["batch", "map", "cache", "shuffle", "prefetch"],
            id="shuffled batches: their order is frozen first",
        ),
    ],
)
def test_the_fix_shuffles_after_the_cache(stages: list[str], after: list[str], tmp_path: Path) -> None:
    path = spec(tmp_path, *stages)
    (finding,) = [one for one in static_findings(path) if one.rule == NAME]
    assert finding.family == "correctness"
    assert finding.in_spec
    assert stages_with(path, finding.edits) == ["TFRecordDataset", *after]
    assert NAME not in {one.rule for one in static_findings(path, finding.edits)}


def test_a_source_that_is_in_memory_needs_no_cache(tmp_path: Path) -> None:
    path = spec(tmp_path, SHUFFLE, "{batch: {batch_size: 2}}", "{cache: {}}", source=SOURCE)
    (finding,) = [one for one in static_findings(path) if one.rule == NAME]
    assert stages_with(path, finding.edits) == ["from_tensor_slices", "shuffle", "batch"]
    assert "the same batches" in finding.sentence


@pytest.mark.parametrize(
    "stages",
    [
        pytest.param(["{cache: {}}", SHUFFLE], id="shuffled after the cache"),
        pytest.param([SHUFFLE, "{cache: {}}", SHUFFLE], id="and again after it"),
        pytest.param([SHUFFLE, "{batch: {batch_size: 2}}", "{cache: {}}", SHUFFLE], id="batches, again after it"),
        pytest.param(
            ["{shuffle: {buffer_size: 9, reshuffle_each_iteration: false}}", "{cache: {}}"], id="one order asked for"
        ),
        pytest.param(["{shuffle: {buffer_size: 1}}", "{cache: {}}"], id="a buffer of one"),
        pytest.param([SHUFFLE, "{cache: {filename: kept}}"], id="a file"),
        pytest.param([SHUFFLE, "{repeat: {}}", "{cache: {}}"], id="without end, it serves nothing"),
        pytest.param(["{repeat: {}}", SHUFFLE, "{cache: {}}"], id="without end before"),
        pytest.param([SHUFFLE, "{repeat: {count: 3}}", "{cache: {}}"], id="all epochs in the cache"),
        pytest.param([SHUFFLE, "{cache: {}}", "{take: {count: 2}}"], id="read in part, it may never be complete"),
        pytest.param([SHUFFLE], id="no cache"),
    ],
)
def test_where_no_order_is_lost_nothing_is_said(stages: list[str], tmp_path: Path) -> None:
    assert silent(spec(tmp_path, *stages))


def test_shuffled_batches_whose_order_a_cache_keeps_are_one_finding_at_a_time(tmp_path: Path) -> None:
    """Shuffling elements instead would change nothing: the cache would keep that order too."""
    path = spec(tmp_path, "{batch: {batch_size: 4}}", CAST, SHUFFLE, "{prefetch: {buffer_size: 2}}", "{cache: {}}")
    (first,) = [one for one in static_findings(path) if one.family == "correctness"]
    assert first.rule == NAME
    (second,) = [one for one in static_findings(path, first.edits) if one.family == "correctness"]
    assert second.rule == "batch-before-shuffle"


@pytest.mark.parametrize("kept", ["{cache: {}}", "{cache: {filename: kept}}"])
def test_any_cache_keeps_the_order_of_batches(kept: str, tmp_path: Path) -> None:
    batched = ["{batch: {batch_size: 4}}", SHUFFLE]
    assert silent(spec(tmp_path, *batched, kept), "batch-before-shuffle")
    assert not silent(spec(tmp_path, *batched, kept, "{take: {count: 2}}"), "batch-before-shuffle")
    assert not silent(spec(tmp_path, *batched), "batch-before-shuffle")


# On graphs: what a spec cannot show.


def kept_order(*between: StageView, count: int | None = 1000) -> PipelineView:
    image = load(count=count)
    mixed = shuffle("stages.1", 100, image)
    return line(indices(count), image, mixed, *between, cache(f"stages.{2 + len(between)}", image))


def test_a_graph_is_judged_as_a_spec_is() -> None:
    view = kept_order()
    for one in (view, run(view)):
        draft = only(NAME, one)
        assert draft.stage == "stages.2"
        assert draft.evidence == {"shuffle": "stages.1", "buffer_size": 100, "stages_between": 0}
        assert draft.edits == (MoveStage("stages.2", "cache", before="stages.1"),)
        assert draft.predicted is not None
        assert draft.predicted.speedup is None
        assert draft.semantics is None


def test_python_whose_randomness_is_not_known_stays_cached_as_it_is() -> None:
    python = stage("stages.2", "map", function=function("EagerPyFunc", random=None), element=(tensor(),), elements=1000)
    draft = only(NAME, kept_order(python))
    assert draft.edits == tuple(
        MoveStage(id_, op, before="stages.1") for id_, op in (("stages.2", "map"), ("stages.3", "cache"))
    )


def test_a_random_map_draws_anew_in_every_epoch_then() -> None:
    drawn = load("stages.2", 1000, "RandomUniform", "Mul")
    draft = only(NAME, kept_order(drawn))
    assert draft.edits == (MoveStage("stages.3", "cache", before="stages.1"),)
    assert draft.semantics == "randomness"


def test_shuffled_files_are_cached_as_their_records_so_the_records_are_shuffled_again() -> None:
    names = stage("source", "list_files", arguments={"shuffle": False}, element=(tensor("string"),), elements=8)
    mixed = shuffle("stages.0", 8, names)
    owner = stage("stages.1", "interleave", element=(tensor("string"),), elements=None, function=function())
    inner = stage("stages.1.source", "TFRecordDataset", element=(tensor("string"),))
    view = line(names, mixed, owner, inner, cache("stages.2", owner))
    draft = only(NAME, view)
    assert draft.edits == ()
    known = passing("stages.1", "flat_map", names, 5000)
    counted = line(names, mixed, known, inner, cache("stages.2", known))
    assert only(NAME, counted).edits == (InsertStage("shuffle", {"buffer_size": 5000}, after="stages.2"),)


def test_a_shuffle_inside_a_nested_pipeline_is_kept_too() -> None:
    owner = stage("stages.0", "interleave", element=(tensor(),), elements=80, function=function())
    inner = stage("stages.0.source", "range", element=(tensor(),), elements=10)
    mixed = shuffle("stages.0.stages.0", 10, inner)
    draft = only(NAME, line(indices(8), owner, inner, mixed, cache("stages.1", owner)))
    assert draft.edits == (InsertStage("shuffle", {"buffer_size": 80}, after="stages.1"),)
    inside = cache("stages.0.stages.1", mixed)
    assert found(NAME, line(indices(8), owner, inner, mixed, inside)) == []


def test_a_cache_that_is_read_through_another_shuffle_outside_is_left_alone() -> None:
    left = stage("source.inputs.0.source", "range", element=(tensor(),), elements=100)
    mixed = shuffle("source.inputs.0.stages.0", 10, left)
    kept = cache("source.inputs.0.stages.1", mixed, owner="source")
    right = stage("source.inputs.1.source", "range", element=(tensor(),), elements=100)
    pair = stage("source", "zip", inputs=(kept.id, right.id), element=(tensor(), tensor()), elements=100)
    assert only(NAME, line(pair, left, mixed, kept, right)).stage == kept.id
    assert found(NAME, line(pair, left, mixed, kept, right, shuffle("stages.0", 10, pair))) == []


def test_the_first_of_two_caches_is_the_finding() -> None:
    view = kept_order()
    again = cache("stages.3", load(count=1000))
    assert only(NAME, line(*view.stages, again)).stage == "stages.2"


def test_batches_of_a_part_cannot_be_told_apart_again() -> None:
    image = load(count=1000)
    mixed = shuffle("stages.1", 100, image)
    part = stage("stages.2", "take", arguments={"count": 500}, element=image.element, elements=500)
    groups = batch("stages.3", 32, part)
    draft = only(NAME, line(indices(1000), image, mixed, part, groups, cache("stages.4", groups)))
    assert draft.edits == ()


def test_one_element_has_one_order() -> None:
    assert found(NAME, kept_order(count=1)) == []
    assert found(NAME, kept_order(count=INFINITE)) == []
