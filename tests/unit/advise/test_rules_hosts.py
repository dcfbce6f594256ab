"""Rules about data that several hosts divide: each has a view that it finds something in, and near twins without."""

from __future__ import annotations

import pytest
from unit.advise import host_views as views
from unit.advise.views import function, stage

from pipeprof.pipelines.changes.edits import MoveStage, SetArgument
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView

AFTER, SHUFFLE = "shard-after-read", "shuffle-before-shard-unseeded"


def found(name: str, view: PipelineView) -> list[Proposal]:
    return list(rules()[name].check(view))


def only(name: str, view: PipelineView) -> Proposal:
    (hit,) = found(name, view)
    return hit


def _shuffle(at: int, **more: int) -> StageView:
    return stage(f"stages.{at}", "shuffle", arguments={"buffer_size": 100, **more}, line=7)


@pytest.mark.parametrize("name", [AFTER, SHUFFLE])
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
