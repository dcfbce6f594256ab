"""Stages of two pipelines, aligned."""

from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.judge.stages import align, find_stage, stage_changes, stage_values, stages_without_time


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
    found = stages_without_time("b", ROWS, ["step_ms", *(f"stages.{name}.time_ms" for name in names)])
    assert {one.code for one in found} == {"stage-not-timed"}
    unknown, fused, hidden = (one.message for one in found)
    assert "did you mean decode?" in unknown
    assert "fused it with stages.3" in fused
    assert "'cache'" in hidden
    assert all(text.startswith("B: ") for text in (unknown, fused, hidden))
