"""Stages of two pipelines, aligned."""

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.judge.stages import align, find_stage, lacking_stages, stage_changes, stage_values


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


def timed(address: str, op: str, name: str | None = None, ms: float | None = None, **fields) -> Stage:
    return Stage(id=address, op=op, name=name, origin="written", time_ms_per_batch=ms, **fields)


ROWS = [
    timed("source", "range", ms=0.1),
    timed("stages.0", "map", "decode", 4.0),
    timed("stages.1", "map", "augment", 2.0),
    timed("stages.2", "map", "augment", 1.0),
    timed("stages.3", "batch", None, 0.5),
    timed("stages.4", "map", "normalise", fused_with="stages.3"),
    timed("stages.5", "cache"),
]


def test_a_budget_means_a_stage_by_address_name_or_op():
    assert [row.id for row in find_stage(ROWS, "stages.1")] == ["stages.1"]
    assert [row.id for row in find_stage(ROWS, "decode")] == ["stages.0"]
    assert [row.id for row in find_stage(ROWS, "augment")] == ["stages.1", "stages.2"]
    assert [row.id for row in find_stage(ROWS, "batch")] == ["stages.3"]
    # Several stages have this op: it names none of them.
    assert find_stage(ROWS, "map") == []


def test_the_values_of_stages():
    metrics = ["step_ms", *(f"stages.{name}.time_ms" for name in ("decode", "augment", "batch", "cache", "none"))]
    assert stage_values(ROWS, metrics) == {
        "stages.decode.time_ms": 4.0,
        "stages.augment.time_ms": 3.0,
        "stages.batch.time_ms": 0.5,
    }


def test_why_a_stage_has_no_time():
    names = ("decode", "decod", "normalise", "cache")
    unknown, fused, hidden = lacking_stages(ROWS, [f"stages.{name}.time_ms" for name in names])
    assert unknown.endswith("has range, decode, augment, batch, normalise, cache — did you mean decode?")
    assert fused == "'normalise' has no time of its own: TensorFlow fused it with stages.3"
    assert hidden.startswith("the time of 'cache' is not known")
