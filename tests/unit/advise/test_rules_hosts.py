"""Rules about data that several hosts divide: each has a view that it finds something in, and near twins without."""

from __future__ import annotations

from typing import Any

import pytest
from unit.advise import host_views as views
from unit.advise.views import function, stage

from pipeprof.pipelines.edits.edits import MoveStage, SetArgument, SetOption
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView

AFTER, POLICY, FEW, UNEQUAL, SHUFFLE = (
    "shard-after-read",
    "autoshard-data-policy",
    "too-few-files",
    "unequal-shards",
    "shuffle-before-shard-unseeded",
)


def found(name: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[name].check(view))


def only(name: str, view: PipelineView) -> Proposal:
    (hit,) = found(name, view)
    return hit


def _shuffle(at: int, **more: int) -> StageView:
    return stage(f"stages.{at}", "shuffle", arguments={"buffer_size": 100, **more}, line=7)


@pytest.mark.parametrize("name", [AFTER, POLICY, FEW, UNEQUAL, SHUFFLE])
def test_a_host_gets_other_elements_by_every_fix(name: str) -> None:
    assert (rules()[name].family, rules()[name].semantics) == ("correctness", "values")


def test_a_shard_after_the_reader_reads_everything_on_each_host() -> None:
    hit = only(AFTER, views.read_then_sharded())
    assert hit.stage == "stages.1"
    assert hit.evidence == {"hosts": 4, "amplification": 4.0, "files": 8}
    assert hit.edits == (MoveStage("stages.1", "shard", before="stages.0"),)
    assert "each of 4 hosts reads all 8 files" in (hit.sentence or "")
    assert ".shard(num_shards=4, index=1) directly after list_files" in hit.recommendation
    assert only(AFTER, views.mapped_then_sharded()).edits == hit.edits


def test_names_that_are_shuffled_are_listed_in_their_order_before_they_are_divided() -> None:
    hit = only(AFTER, views.read_then_sharded(source=views.names(arguments={"file_pattern": "data/*"})))
    assert hit.edits[0] == SetArgument("source", "list_files", "shuffle", value=False)
    assert "shuffle=False" in hit.recommendation


def test_of_a_reader_the_call_to_write_has_an_interleave() -> None:
    hit = only(AFTER, views.direct_then_sharded())
    assert hit.edits == ()
    assert (
        "tf.data.Dataset.list_files(pattern, shuffle=False).shard(num_shards=4, index=1)"
        ".interleave(tf.data.TFRecordDataset)" in hit.recommendation
    )


@pytest.mark.parametrize(
    "view",
    [
        views.sharded_then_read(),
        views.read_then_sharded(parts=1),
        views.read_then_sharded(files=3),
        views.pipeline(stage("source", "range", elements=100), views.shard(0)),
    ],
)
def test_other_shards_divide_what_they_should(view: PipelineView) -> None:
    assert found(AFTER, view) == []


def test_the_shard_goes_before_a_costly_map_first() -> None:
    body = function("DecodeJpeg")
    costly = views.pipeline(
        views.names(), *views.reader(), stage("stages.1", "map", function=body, line=6), views.shard(2)
    )
    assert [one.rule for one in advise(costly)[0]] == ["drop-after-expensive-map"]


def test_the_policy_data_is_named_where_files_could_be_divided() -> None:
    hit = only(POLICY, views.divided("DATA"))
    assert hit.edits == (SetOption("experimental_distribute.auto_shard_policy", "FILE"),)
    assert "each host reads all of the data" in (hit.sentence or "")
    hit = only(POLICY, views.data_policy())
    assert "each of 4 hosts reads all 8 files (57.2 MiB)" in (hit.sentence or "")
    assert hit.evidence == {"policy": "DATA", "hosts": 4, "files": 8, "amplification": 4.0}


def test_auto_that_becomes_data_is_named_with_its_cause() -> None:
    body = function("ReadFile")
    view = views.pipeline(views.names(), stage("stages.0", "map", function=body, line=4))
    assert found(POLICY, view) == []
    hit = only(POLICY, views.told(view, applied="DATA", amplification=4.0))
    assert "AUTO becomes DATA: map (spec.yaml:4) reads the files" in (hit.sentence or "")
    assert hit.edits == ()
    assert ".shard(context.num_input_pipelines, context.input_pipeline_id)" in hit.recommendation
    assert only(POLICY, views.told(views.generated(), applied="DATA", files=None))


@pytest.mark.parametrize(
    "view",
    [
        views.divided(),
        views.divided("FILE"),
        views.divided("OFF"),
        views.told(views.divided("DATA"), 16, applied="DATA"),
        views.told(views.pipeline(stage("source", "range", elements=100)), applied="DATA", files=None),
        views.generated(),
    ],
)
def test_other_policies_divide_the_files_or_have_none(view: PipelineView) -> None:
    assert found(POLICY, view) == []


def test_more_hosts_than_files_cannot_start() -> None:
    hit = only(FEW, views.too_few())
    assert hit.stage == "stages.0"
    assert hit.evidence == {"hosts": 16, "files": 8}
    assert hit.sentence is not None
    assert hit.sentence.endswith("TensorFlow refuses the first element.")
    hit = only(FEW, views.sharded_then_read(files=3))
    assert hit.sentence == "shard (spec.yaml:9) divides 3 files among 4 hosts: 1 of them gets none, and ends at once."


@pytest.mark.parametrize(
    "view",
    [
        views.sharded_then_read(files=4),
        views.sharded_then_read(files=None),
        views.told(views.divided(), 8),
        views.pipeline(stage("source", "range", elements=3), views.shard(0)),
        views.read_then_sharded(files=3),
    ],
)
def test_as_many_files_as_hosts_are_enough(view: PipelineView) -> None:
    assert found(FEW, view) == []


def test_the_host_with_the_most_records_is_named() -> None:
    hit = only(UNEQUAL, views.unequal())
    assert hit.evidence["largest_over_mean"] == pytest.approx(2.6)
    assert (hit.evidence["most_records"], hit.evidence["least_records"]) == (260, 20)
    assert hit.sentence == (
        "Host 2 of 3 gets 260 records, 2.6 times the mean: 87 % of the data. An epoch has 260 steps there and 20 on "
        "the host with the fewest. Every step waits for all hosts."
    )


@pytest.mark.parametrize(
    ("facts", "fires"),
    [
        ({"shares": views.shares(100, 100, 131)}, True),
        ({"shares": views.shares(100, 100, 110)}, False),
        ({"shares": views.shares(2, 2, 3, unit="files")}, True),
        ({"shares": views.shares(2_000, 2_000, 2_001, unit="bytes")}, False),
        ({"shares": []}, False),
        ({"shares": views.shares(1, 9), "applied": "DATA"}, False),
        ({"shares": views.shares(1, 9), "fails": "too few"}, False),
    ],
)
def test_a_tenth_more_than_the_mean_is_unequal(facts: dict[str, Any], fires: bool) -> None:
    assert bool(found(UNEQUAL, views.told(views.divided(), 3, **facts))) is fires


def test_hosts_that_shuffle_by_themselves_divide_different_orders() -> None:
    hit = only(SHUFFLE, views.shuffled_names())
    assert hit.stage == "source"
    assert hit.edits == (SetArgument("source", "list_files", "shuffle", value=False),)
    shuffled = views.pipeline(views.names(), _shuffle(0), views.shard(1), *views.reader(2))
    assert only(SHUFFLE, shuffled).edits == (MoveStage("stages.1", "shard", before="stages.0"),)
    batched = views.pipeline(
        views.names(),
        *views.reader(),
        _shuffle(1),
        stage("stages.2", "batch", arguments={"batch_size": 2}),
        views.shard(3),
    )
    assert only(SHUFFLE, batched).edits == (SetArgument("stages.1", "shuffle", "seed", value=1),)


def test_batches_that_are_divided_are_of_different_orders_too() -> None:
    hit = only(SHUFFLE, views.divided("DATA", _shuffle(1)))
    assert hit.edits == (SetArgument("stages.1", "shuffle", "seed", value=1),)
    both = only(SHUFFLE, views.divided("DATA", _shuffle(1), source=views.names(arguments={})))
    assert both.covers == ("source", "stages.1")
    ranged = views.pipeline(stage("source", "range", elements=9), _shuffle(0))
    assert found(SHUFFLE, ranged) == []
    assert only(SHUFFLE, views.told(ranged, applied="DATA"))


@pytest.mark.parametrize(
    "view",
    [
        views.sharded_then_read(),
        views.divided("FILE", _shuffle(1)),
        views.divided("DATA", _shuffle(1, seed=3)),
        views.pipeline(views.names(), views.shard(0), _shuffle(1), *views.reader(2)),
        views.divided("DATA"),
    ],
)
def test_a_seed_or_a_shard_before_the_shuffle_is_one_order(view: PipelineView) -> None:
    assert found(SHUFFLE, view) == []
