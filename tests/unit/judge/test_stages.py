"""Stages of two pipelines, aligned."""

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.judge.stages import align, stage_changes


def stage(op: str, name: str | None = None, **fields) -> Stage:
    return Stage(id="x", op=op, name=name, origin="written", **fields)


def names(pairs):
    return [tuple(one and (one.name or one.op) for one in both) for both in pairs]


def test_stages_with_the_same_name_belong_together():
    a = [stage("range"), stage("map", "decode"), stage("map", "augment"), stage("batch")]
    b = [stage("range"), stage("map", "decode"), stage("shuffle"), stage("map", "augment"), stage("batch")]
    assert names(align(a, b)) == [
        ("range", "range"),
        ("decode", "decode"),
        (None, "shuffle"),
        ("augment", "augment"),
        ("batch", "batch"),
    ]


def test_a_renamed_function_is_the_same_stage():
    a, b = [stage("range"), stage("map", "old"), stage("batch")], [stage("range"), stage("map", "new"), stage("batch")]
    assert names(align(a, b)) == [("range", "range"), ("old", "new"), ("batch", "batch")]


def test_a_stage_that_was_moved_is_one_row():
    a = [stage("range"), stage("shuffle"), stage("map", "decode"), stage("batch")]
    b = [stage("range"), stage("map", "decode"), stage("batch"), stage("shuffle")]
    found = names(align(a, b))
    assert ("shuffle", "shuffle") in found
    assert len(found) == 4


def test_another_implementation_is_a_change():
    a = [stage("map", "decode", tf_op="MapDataset", cpu_ms_per_batch=4.0)]
    b = [stage("map", "decode", tf_op="ParallelMapDatasetV2", cpu_ms_per_batch=5.0)]
    (row,) = stage_changes(a, b)
    assert (row.status, row.a_cpu_ms_per_batch, row.b_cpu_ms_per_batch) == ("changed", 4.0, 5.0)
    assert stage_changes(None, b) == []
