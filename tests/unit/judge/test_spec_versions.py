"""Specs between two specs: which parts of the difference are possible alone."""

from pathlib import Path

import pytest

from pipeprof.pipelines.check import check_spec
from pipeprof.profiles.judge.clauses import describe_part
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


CODE = """import time


def wait(i):
    time.sleep(0.005)
    return i


def nap(i):
    return wait(i)


def make():
    return range(8)
"""
OF_CODE = """version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: nap, python: "input.py:nap"}
  - batch: {batch_size: 8}
"""


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ({"sleep(0.005)": "sleep(0.012)"}, "input.py:5 sleep 0.005 → 0.012"),
        ({"return wait(i)": "return wait(i) + 1"}, "input.py:10 nap changed to ‘return wait(i) + 1’"),
        ({"sleep(0.005)": "sleep(0.012)", "wait(i)\n": "wait(2 * i)\n"}, "input.py nap() differs in lines 5 and 10"),
        ({"range(8)": "range(9)"}, None),
        ({"import time": "import time  # seconds"}, None),
        ({"    return i\n": "    i = i + 1\n" * 6 + "    return i\n"}, "input.py nap() differs"),
    ],
)
def test_a_function_that_differs_is_a_change_of_its_file_and_runs_the_right_one(
    tmp_path: Path, edits: dict[str, str], words: str | None
) -> None:
    code = CODE
    for before, after in edits.items():
        assert before in code
        code = code.replace(before, after)
    for name, text in (("a", CODE), ("b", code)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "input.py").write_text(text)
        (tmp_path / name / "spec.yaml").write_text(OF_CODE)
    a = check_spec(tmp_path / "a" / "spec.yaml")
    between = SpecVersions(a, check_spec(tmp_path / "b" / "spec.yaml"))
    found = [describe_part(*one) for one in zip(between.changes, between.places, strict=True)]
    assert found == ([words] if words is not None else [])
    # A with the change runs the function of B.
    made = between.loaded(frozenset(range(len(found))))
    assert made.data["stages"][0]["map"]["python"] == ("../b/input.py:nap" if words is not None else "input.py:nap")


def test_a_change_that_two_functions_share_is_named_once(tmp_path: Path) -> None:
    spec = OF_CODE.replace("- batch", '- map: {name: again, python: "input.py:wait"}\n  - batch')
    for name, seconds in (("a", 5), ("b", 12)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "input.py").write_text(CODE.replace("0.005", f"0.0{seconds:02}"))
        (tmp_path / name / "spec.yaml").write_text(spec)
    between = SpecVersions(*(check_spec(tmp_path / name / "spec.yaml") for name in "ab"))
    found = [describe_part(*one) for one in zip(between.changes, between.places, strict=True)]
    assert found == ["input.py:5 sleep 0.005 → 0.012", 'spec.yaml:5 again.python other content of "input.py:wait"']
