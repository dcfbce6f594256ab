"""Specs between two specs: which parts of the difference are possible alone."""

from pathlib import Path

from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.judge.why.effects import units_of
from pipeprof.profiles.judge.why.versions import SpecVersions

A = """version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: half, ops: [{tf.cast: {dtype: float32}}]}
  - batch: {batch_size: 8}
ignore: [{rule: no-prefetch, stage: half, reason: known}]
"""


def versions(tmp_path: Path, a: str, b: str) -> SpecVersions:
    (tmp_path / "a.yaml").write_text(a)
    (tmp_path / "b.yaml").write_text(b)
    return SpecVersions(check_spec(tmp_path / "a.yaml"), check_spec(tmp_path / "b.yaml"))


def test_a_part_that_is_not_possible_alone_is_joined_with_the_one_that_it_needs(tmp_path: Path) -> None:
    data = "data:\n  rows: {npy: {shape: [100], dtype: float32, seed: 1}}\n"
    source = 'source: {from_tensor_slices: {tensors: {npy: "data:rows/data.npy"}}}'
    other = A.replace("source: {range: {stop: 100}}", data + source).replace("batch_size: 8", "batch_size: 16")
    between = versions(tmp_path, A, other)
    assert [text.partition(":")[0] for text in between.changes] == ["source", "stages.batch.batch_size", "data.rows"]
    (first, second) = units_of(3, between.problem)
    assert first.members == {0, 2}
    assert first.reason is not None
    assert "rows" in first.reason
    assert (second.members, second.reason) == ({1}, None)
    made = between.loaded(first.members)
    assert made.spec.source.op == "from_tensor_slices"
    assert set(made.spec.data) == {"rows"}
    assert made.data["stages"][1] == {"batch": {"batch_size": 8}}


def test_a_stage_whose_place_decides_about_shapes_is_joined_with_it(tmp_path: Path) -> None:
    stage = "{map: {ops: [{tf.reshape: {shape: [8, 1]}}]}}"
    spec = "version: 1\nsource: {range: {stop: 100}}\nstages: [%s]\n"
    between = versions(
        tmp_path,
        spec % "{prefetch: {buffer_size: 1}}",
        spec % f"{{batch: {{batch_size: 8, drop_remainder: true}}}}, {stage}, {{prefetch: {{buffer_size: 2}}}}",
    )
    assert between.problem(frozenset(range(len(between.changes)))) is None
    units = units_of(len(between.changes), between.problem)
    texts = [[between.changes[number] for number in sorted(unit.members)] for unit in units]
    assert texts == [
        [
            "stages.batch: added batch(batch_size=8, drop_remainder=true) after the source",
            'stages.map: added map(ops=[{"tf.reshape": {"shape": [8, 1]}}]) after batch',
        ],
        ["stages.prefetch.buffer_size: 1 → 2"],
    ]
