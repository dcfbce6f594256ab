"""Rules about what the model gets to see: each has a view that it must find something in, and near twins without."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.advise.memory_views import (
    IMAGE_BYTES,
    RULES,
    batch,
    cache,
    found,
    indices,
    line,
    load,
    only,
    passing,
    run,
    shuffle,
)
from unit.advise.views import function, stage, tensor

from pipeprof.pipelines.changes.edits import MoveStage, ReplaceStages, to_document
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.profiles.view.attach_spec import with_counts
from pipeprof.profiles.view.view import PipelineView, StageView

ROW = (tensor("float32", 256),)


@pytest.mark.parametrize("name", ["batch-before-shuffle", "cache-after-augment"])
def test_rules_say_what_they_are_about(name: str) -> None:
    rule = RULES[name]
    assert (rule.family, rule.semantics) == ("correctness", "values")
    assert all((rule.seen, rule.why, rule.fix, rule.ignore_when))


# batch-before-shuffle


def rows(op: str = "TFRecordDataset", **facts: Any) -> StageView:
    return stage("source", op, name="a", **({"element": ROW, "elements": 64_000} | facts))


def grouped(source: StageView | None = None, *above: StageView, size: int = 32, buffer: int = 100) -> PipelineView:
    source = source or rows()
    groups = batch("stages.0", size, source)
    return line(source, groups, shuffle("stages.1", buffer, groups), *above)


def test_batches_are_shuffled() -> None:
    view = grouped()
    for one in (view, run(view)):
        draft = only("batch-before-shuffle", one)
        assert draft.stage == "stages.1"
        assert draft.evidence["batch_size"] == 32
        assert draft.evidence["buffered_elements"] == 3200
        assert draft.evidence["buffer_bytes"] == 100 * round(1.45 * (32 * 1024 + 171))
        assert [to_document(edit) for edit in draft.edits] == [
            {"kind": "SetArgument", "stage": "stages.1", "op": "shuffle", "argument": "buffer_size", "value": 320},
            {"kind": "MoveStage", "stage": "stages.1", "op": "shuffle", "before": "stages.0"},
        ]
        assert draft.predicted is not None
        assert draft.predicted.peak_rss_delta_bytes == 320 * round(1.45 * (1024 + 171)) - 100 * round(
            1.45 * (32 * 1024 + 171)
        )


def test_shuffled_elements_are_batched() -> None:
    source = rows()
    assert (
        found("batch-before-shuffle", line(source, shuffle("stages.0", 3200, source), batch("stages.1", 32, source)))
        == []
    )


def test_the_proposed_buffer_is_no_longer_than_the_data() -> None:
    assert only("batch-before-shuffle", grouped(buffer=1000)).evidence["proposed_buffer_size"] == 1000
    assert only("batch-before-shuffle", grouped(rows(elements=200))).evidence["proposed_buffer_size"] == 200
    assert only("batch-before-shuffle", grouped(rows(elements=None))).evidence["proposed_buffer_size"] == 320


@pytest.mark.parametrize(
    "above",
    [
        stage("stages.2", "unbatch"),
        stage("stages.2", "batch", arguments={"batch_size": 8}),
        stage("stages.2", "flat_map", function=function()),
    ],
)
def test_groups_that_are_taken_apart_or_grouped_again_are_no_batches(above: StageView) -> None:
    assert found("batch-before-shuffle", grouped(None, above)) == []
    assert only("batch-before-shuffle", grouped(None, stage("stages.2", "map", function=function("Cast"))))


@pytest.mark.parametrize("op", ["unbatch", "flat_map", "interleave"])
def test_elements_that_came_out_of_batches_are_no_batches(op: str) -> None:
    source = rows()
    groups = batch("stages.0", 32, source)
    single = passing("stages.1", op, source)
    assert found("batch-before-shuffle", line(source, groups, single, shuffle("stages.2", 100, single))) == []


def test_a_batch_inside_a_nested_pipeline_alone_is_none() -> None:
    source = stage("source", "list_files", arguments={"shuffle": False}, element=(tensor("string"),), elements=8)
    owner = stage("stages.0", "interleave", element=ROW, function=function())
    inner = stage("stages.0.source", "TFRecordDataset", element=ROW)
    groups = batch("stages.0.stages.0", 32, inner)
    view = line(source, owner, inner, groups, shuffle("stages.1", 100, owner))
    assert found("batch-before-shuffle", view) == []
    nested = shuffle("stages.0.stages.1", 100, groups)
    assert only("batch-before-shuffle", line(source, owner, inner, groups, nested)).stage == nested.id
    apart = stage("stages.1", "unbatch", element=ROW)
    assert found("batch-before-shuffle", line(source, owner, inner, groups, nested, apart)) == []


@pytest.mark.parametrize(
    "source",
    [
        rows("from_generator"),
        rows("random"),
        rows("sample_from_datasets"),
        rows("list_files"),
        rows("list_files", arguments={"shuffle": True}),
    ],
)
def test_where_neighbours_may_differ_each_time_nothing_is_said(source: StageView) -> None:
    assert found("batch-before-shuffle", grouped(source)) == []


def test_names_in_fixed_order_stay_neighbours() -> None:
    assert only("batch-before-shuffle", grouped(rows("list_files", arguments={"shuffle": False})))


def test_a_second_shuffle_of_batches_is_harmless() -> None:
    source = rows()
    mixed = shuffle("stages.0", 3200, source)
    groups = batch("stages.1", 32, mixed)
    assert found("batch-before-shuffle", line(source, mixed, groups, shuffle("stages.2", 10, groups))) == []


@pytest.mark.parametrize("view", [grouped(size=1), grouped(buffer=1), grouped(rows(elements=32))])
def test_groups_of_one_and_buffers_of_one_are_nothing(view: PipelineView) -> None:
    assert found("batch-before-shuffle", view) == []


def test_maps_between_are_crossed_and_caches_are_not() -> None:
    source = rows()
    groups = batch("stages.0", 32, source)
    cast = stage("stages.1", "map", element=groups.element, elements=groups.elements, function=function("Cast"))
    view = line(source, groups, cast, shuffle("stages.2", 100, cast))
    assert to_document(only("batch-before-shuffle", view).edits[1])["before"] == "stages.0"
    view = line(source, groups, cache("stages.1", groups), shuffle("stages.2", 100, groups))
    draft = only("batch-before-shuffle", view)
    assert draft.edits == ()


def test_sides_of_a_zip_are_batches_if_all_are() -> None:
    def side(number: int, *, whole: bool) -> list[StageView]:
        source = stage(f"source.inputs.{number}.source", "TFRecordDataset", element=ROW, elements=640)
        last = batch(f"source.inputs.{number}.stages.0", 32, source)
        return [source, last] if whole else [source]

    def zipped(*, whole: bool) -> PipelineView:
        sides = [side(0, whole=True), side(1, whole=whole)]
        pair = stage("source", "zip", inputs=tuple(one[-1].id for one in sides), element=ROW * 2, elements=20)
        return line(pair, *sides[0], *sides[1], shuffle("stages.0", 10, pair))

    draft = only("batch-before-shuffle", zipped(whole=True))
    assert draft.stage == "stages.0"
    assert draft.edits == ()
    assert found("batch-before-shuffle", zipped(whole=False)) == []


# cache-after-augment


def augmented(id: str = "stages.1", *ops: str, **facts: Any) -> StageView:
    return load(id, 1000, *(ops or ("RandomUniform", "Mul")), **facts)


def frozen(*above: StageView, filename: str = "", **facts: Any) -> PipelineView:
    drawn = augmented(**facts)
    return line(indices(1000), load(count=1000), drawn, cache("stages.2", drawn, filename), *above)


@pytest.mark.parametrize("filename", ["", "f"])
def test_random_numbers_below_a_cache(filename: str) -> None:
    view = frozen(filename=filename)
    for one in (view, run(view)):
        draft = only("cache-after-augment", one)
        assert draft.stage == "stages.2"
        assert draft.evidence == {"random_stage": "stages.1", "random_stages": 1, "random_op": "RandomUniform"}
        assert to_document(draft.edits[0]) == {
            "kind": "MoveStage",
            "stage": "stages.2",
            "op": "cache",
            "before": "stages.1",
        }
        assert draft.predicted is not None
        assert draft.predicted.speedup is None


@pytest.mark.parametrize(
    ("op", "count", "complete"),
    [("take", 999, False), ("take", 1000, True), ("take", -1, True), ("take_while", 0, False)],
)
def test_a_cache_that_is_read_in_part_freezes_nothing(op: str, count: int, complete: bool) -> None:
    part = replace(passing("stages.3", op, augmented()), arguments={"count": count} if op == "take" else {})
    assert bool(found("cache-after-augment", frozen(part))) is complete


def test_random_numbers_above_a_cache_are_right() -> None:
    image = load(count=1000)
    assert (
        found("cache-after-augment", line(indices(1000), image, cache("stages.1", image), augmented("stages.2"))) == []
    )


def test_both_sides_are_still_a_finding() -> None:
    draft = only("cache-after-augment", frozen(augmented("stages.3")))
    assert draft.evidence["random_stages"] == 1


@pytest.mark.parametrize("random", [None, False])
def test_python_whose_randomness_is_not_known_is_left_alone(random: bool | None) -> None:
    assert found("cache-after-augment", frozen(function=function("EagerPyFunc", random=random))) == []
    assert found("cache-after-augment", frozen(function=function(ops=None, random=random))) == []


def test_python_that_is_known_to_be_random_is_not() -> None:
    draft = only("cache-after-augment", frozen(function=function("EagerPyFunc", random=True)))
    assert "random_op" not in draft.evidence


def test_one_map_that_loads_and_augments_is_split() -> None:
    drawn = augmented("stages.0", "ReadFile", "DecodeJpeg", "RandomUniform")
    draft = only("cache-after-augment", line(indices(1000), drawn, cache("stages.1", drawn)))
    assert to_document(draft.edits[0])["kind"] == "HandWritten"
    assert draft.edits[0].python == "dataset = dataset.map(load).cache().map(augment)  # stages.0 split in two"


def test_where_nothing_is_left_to_keep_the_cache_goes() -> None:
    drawn = augmented("stages.0")
    draft = only("cache-after-augment", line(indices(1000), drawn, cache("stages.1", drawn)))
    assert draft.edits == (ReplaceStages(("stages.1",)),)


def test_stages_between_change_nothing() -> None:
    drawn = augmented()
    groups = batch("stages.2", 32, drawn)
    view = line(indices(1000), load(count=1000), drawn, groups, cache("stages.3", groups))
    assert only("cache-after-augment", view).stage == "stages.3"


def test_the_lowest_of_several_is_where_the_cache_goes() -> None:
    second = augmented("stages.2")
    draft = only(
        "cache-after-augment", line(indices(1000), load(count=1000), augmented(), second, cache("stages.3", second))
    )
    assert draft.evidence["random_stages"] == 2
    assert to_document(draft.edits[0])["before"] == "stages.1"


def nested(random: bool) -> tuple[StageView, StageView, StageView, StageView]:
    inner = stage("stages.0.source", "TFRecordDataset", element=ROW)
    drawn = augmented("stages.0.stages.0", "RandomUniform" if random else "Mul")
    owner = stage("stages.0", "interleave", name="f", element=ROW, function=function())
    return stage("source", "list_files", element=(tensor("string"),), elements=8), owner, inner, drawn


def test_random_numbers_inside_a_nested_pipeline_are_kept_too() -> None:
    source, owner, inner, drawn = nested(random=True)
    draft = only("cache-after-augment", line(source, owner, inner, drawn, cache("stages.1", owner)))
    assert draft.stage == "stages.1"
    assert draft.evidence["random_stage"] == "stages.0.stages.0"
    assert draft.edits == ()
    source, owner, inner, drawn = nested(random=False)
    assert found("cache-after-augment", line(source, owner, inner, drawn, cache("stages.1", owner))) == []


def test_a_cache_inside_a_function_is_made_anew() -> None:
    source, owner, inner, drawn = nested(random=True)
    inside = cache("stages.0.stages.1", drawn)
    assert found("cache-after-augment", line(source, owner, inner, drawn, inside)) == []
    kept = replace(inside, arguments={"filename": "f"})
    assert only("cache-after-augment", line(source, owner, inner, drawn, kept)).stage == inside.id


def test_a_cache_on_one_side_of_a_zip_is_a_cache() -> None:
    left = stage("source.inputs.0.source", "range", element=ROW, elements=100)
    drawn = augmented("source.inputs.0.stages.0")
    kept = cache("source.inputs.0.stages.1", drawn, owner="source")
    right = stage("source.inputs.1.source", "range", element=ROW, elements=100)
    pair = stage("source", "zip", inputs=(kept.id, right.id), element=ROW * 2, elements=100)
    assert only("cache-after-augment", line(pair, left, drawn, kept, right)).stage == kept.id
    plain = cache("source.inputs.0.stages.1", left)
    other = augmented("source.inputs.1.stages.0")
    pair = replace(pair, inputs=(plain.id, other.id))
    plain = replace(plain, inputs=(left.id,))
    assert found("cache-after-augment", line(pair, left, plain, right, other)) == []


def test_two_caches_are_one_finding() -> None:
    view = frozen(cache("stages.3", augmented()))
    assert only("cache-after-augment", view).stage == "stages.2"


def test_a_cache_that_never_ends_gives_nothing_again() -> None:
    drawn = augmented("stages.0")
    again = passing("stages.1", "repeat", drawn, INFINITE)
    assert found("cache-after-augment", line(indices(1000), drawn, again, cache("stages.2", again))) == []
    thrice = passing("stages.1", "repeat", drawn, 3000)
    assert only("cache-after-augment", line(indices(1000), drawn, thrice, cache("stages.2", thrice)))


def test_a_snapshot_keeps_random_numbers_too() -> None:
    drawn = augmented("stages.0")
    assert only("cache-after-augment", line(indices(1000), drawn, passing("stages.1", "snapshot", drawn, path="p")))


def test_images_are_what_the_views_say() -> None:
    assert load().element_bytes == IMAGE_BYTES


# cache-never-complete


def taken(count: int | None, *between: StageView, known: int | None = 1000, **facts: Any) -> PipelineView:
    """A cache of `known` elements, what stands `between`, and a take."""
    image = load(count=known, **facts)
    kept = cache("stages.1", image)
    part = passing(f"stages.{2 + len(between)}", "take", image, count)
    return line(indices(known), image, kept, *between, replace(part, arguments={"count": count}))


def test_a_cache_that_is_never_read_to_its_end() -> None:
    view = taken(256)
    for one in (view, run(view)):
        draft = only("cache-never-complete", one)
        assert draft.stage == "stages.1"
        assert draft.evidence == {"taken": 256, "elements": 1000}
        assert draft.edits == (MoveStage("stages.2", "take", before="stages.1"),)
        assert draft.semantics == "same"


def test_what_starting_again_takes_is_told() -> None:
    again = run(taken(256))
    assert again.profile is not None
    assert again.profile.steps is not None
    steps = replace(again.profile.steps, epochs=72, restart_share=0.4)
    profile = again.profile.model_copy(update={"steps": steps})
    draft = only("cache-never-complete", replace(again, profile=profile))
    assert (draft.evidence["epochs"], draft.evidence["restart_share"]) == (72, 0.4)


def test_the_number_may_be_that_of_the_specs_inputs() -> None:
    view = taken(256, known=None)
    assert found("cache-never-complete", view) == []
    spec = taken(256)
    draft = only("cache-never-complete", with_counts(view, spec))
    assert draft.evidence["elements"] == 1000


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(taken(1000), id="all of them: TensorFlow completes it"),
        pytest.param(taken(1001), id="more than there are"),
        pytest.param(taken(-1), id="without end"),
        pytest.param(taken(None), id="a number that is not known"),
        pytest.param(taken(256, known=None), id="nobody knows how many there are"),
        pytest.param(taken(256, known=INFINITE), id="no end to reach"),
        pytest.param(taken(256, shuffle("stages.2", 1000, load(count=1000))), id="a shuffle reads on"),
        pytest.param(taken(256, passing("stages.2", "prefetch", load(count=1000))), id="a prefetch reads on"),
        pytest.param(taken(256, cache("stages.2", load(count=1000))), id="two caches, perhaps one"),
    ],
)
def test_caches_that_may_become_complete_are_left_alone(view: PipelineView) -> None:
    assert found("cache-never-complete", view) == []


def test_take_below_the_cache_is_right() -> None:
    image = load(count=1000)
    part = replace(passing("stages.1", "take", image, 256), arguments={"count": 256})
    assert found("cache-never-complete", line(indices(1000), image, part, cache("stages.2", part))) == []


def test_a_cache_that_is_read_by_two_is_left_alone() -> None:
    view = taken(256)
    other = replace(passing("stages.3", "skip", load(count=1000)), inputs=("stages.1",), arguments={"count": 256})
    assert found("cache-never-complete", replace(view, stages=(*view.stages, other))) == []


def test_a_cache_on_disk_is_left_alone() -> None:
    view = taken(256)
    kept = replace(view.stages[2], arguments={"filename": "f"})
    assert found("cache-never-complete", replace(view, stages=(*view.stages[:2], kept, *view.stages[3:]))) == []


@pytest.mark.parametrize(
    ("facts", "options"),
    [
        ({"function": function("RandomUniform", "Mul")}, {}),
        ({"function": function("EagerPyFunc", random=None)}, {}),
        ({"function": function(ops=None, random=None)}, {}),
        ({"arguments": {"num_parallel_calls": 4, "deterministic": False}}, {}),
        ({}, {"deterministic": False}),
    ],
)
def test_where_epochs_may_differ_the_cache_only_goes(facts: dict[str, Any], options: dict[str, Any]) -> None:
    draft = only("cache-never-complete", replace(taken(256, **facts), options=options))
    assert [to_document(edit)["kind"] for edit in draft.edits] == ["ReplaceStages"]


def test_elements_in_another_order_each_time_are_not_frozen() -> None:
    rows_ = indices(1000)
    mixed = shuffle("stages.0", 1000, rows_)
    part = replace(passing("stages.2", "take", mixed, 256), arguments={"count": 256})
    draft = only("cache-never-complete", line(rows_, mixed, cache("stages.1", mixed), part))
    assert [to_document(edit)["kind"] for edit in draft.edits] == ["ReplaceStages"]
