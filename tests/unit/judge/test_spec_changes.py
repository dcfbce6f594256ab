"""What differs between two specs, in words and with its line."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.profiles.judge.spec_changes import _differences, _measured, changes_of_specs
from pipeprof.profiles.wording import place_of

A = {
    "version": 1,
    "name": "a",
    "source": {"TFRecordDataset": {"filenames": "a/*.tfrecord"}},
    "stages": [
        {"shuffle": {"buffer_size": 100}},
        {"map": {"name": "decode", "ops": [{"tf.cast": {"dtype": "float32"}}, "tf.sqrt"]}},
        {"batch": {"batch_size": 8}},
        {"batch": {"batch_size": 2}},
        {"cache": None},
    ],
    "options": {"threading": {"private_threadpool_size": 4}, "deterministic": True},
    "measure": {"seconds": 1},
}
B = {
    "version": 1,
    "name": "b",
    "source": {"TFRecordDataset": {"filenames": "a/*.tfrecord", "buffer_size": 1024}},
    "stages": [
        {"map": {"name": "decode", "ops": [{"tf.cast": {"dtype": "int32"}}, "tf.sin"], "num_parallel_calls": 1}},
        {"batch": {"batch_size": 8}},
        {"batch": {"batch_size": 4}},
        {"cache": {"name": "kept"}},
        {"prefetch": {"buffer_size": 2}},
    ],
    "options": {"threading": {"private_threadpool_size": 1}},
    "measure": {"seconds": 9, "seed": 4},
    "budgets": {"step_ms": "5%"},
}


def between(one: object, other: object) -> list[str]:
    return [text for text, _ in _differences(one, other, "", ())]


def test_each_argument_option_and_stage_is_a_change() -> None:
    assert between(_measured(A), _measured(B)) == [
        "source.buffer_size: not set → 1024",
        "stages.shuffle: removed",
        'stages.decode.ops.tf.cast.dtype: "float32" → "int32"',
        "stages.decode.ops.tf.sqrt: removed",
        "stages.decode.ops.tf.sin: added tf.sin() after tf.cast",
        "stages.decode.num_parallel_calls: not set → 1",
        "stages.batch#2.batch_size: 2 → 4",
        "stages.prefetch: added prefetch(buffer_size=2) after kept",
        "options.threading.private_threadpool_size: 4 → 1",
        "options.deterministic: true → not set",
        "measure.seed: not set → 4",
    ]


def test_pipelines_inside_of_stages_are_compared_stage_by_stage() -> None:
    inner = {"source": {"range": {"stop": 9}}, "stages": [{"map": {"ops": ["tf.sqrt"]}}]}
    other = {"source": {"range": {"stop": 8}}, "stages": [*inner["stages"], {"prefetch": {"buffer_size": 1}}]}
    assert between(
        {"stages": [{"flat_map": {"map_func": inner}}]}, {"stages": [{"flat_map": {"map_func": other}}]}
    ) == [
        "stages.flat_map.map_func.source.stop: 9 → 8",
        "stages.flat_map.map_func.stages.prefetch: added prefetch(buffer_size=1) after map",
    ]
    zipped = [{"zip": {"datasets": [inner, one]}} for one in (inner, {**inner, "source": {"range": {"stop": 1}}})]
    assert between({"source": zipped[0]}, {"source": zipped[1]}) == ["source.datasets.1.source.stop: 9 → 1"]


def test_a_long_value_is_cut() -> None:
    (change,) = between({}, {"stages": [{"map": {"ops": ["tf.sqrt"] * 20}}]})
    assert change.startswith("stages.map: added map(ops=[")
    assert len(change) < 110
    assert "…" in change


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "stages", "options", "step", "data"]), VALUES))
def test_any_data_is_compared(data: dict[str, object]) -> None:
    assert between(data, copy.deepcopy(data)) == []
    assert between(data, A)


CODE = """import time


def wait(i):
    time.sleep(0.005)
    return i


def nap(i):
    return wait(i)


def make():
    return range(8)
"""
SPEC = """version: 1
source: {TextLineDataset: {filenames: rows.txt}}
stages:
  - map: {name: nap, python: "input.py:nap"}
  - map: {name: again, python: "input.py:wait"}
  - batch: {batch_size: 8}
"""


@pytest.mark.parametrize(
    ("file", "edits", "changes"),
    [
        ("input.py", {"sleep(0.005)": "sleep(0.012)"}, [("input.py:5", "sleep: 0.005 → 0.012")]),
        (
            "input.py",
            {"return wait(i)": "return wait(i) + 1"},
            [("input.py:10", "nap: changed to ‘return wait(i) + 1’")],
        ),
        (
            "input.py",
            {"sleep(0.005)": "sleep(1)", "return i\n": "return i + 1\n"},
            [("input.py:5", f"input.py {name}() differs in lines 5 and 6") for name in ("nap", "wait")],
        ),
        ("input.py", {"range(8)": "range(9)"}, []),
        ("input.py", {"import time": "import time  # seconds"}, []),
        ("rows.txt", {"1": "2"}, [(None, "rows.txt differs")]),
        ("spec.yaml", {"batch_size: 8": "batch_size: 4"}, [("spec.yaml:6", "stages.batch.batch_size: 8 → 4")]),
        ("spec.yaml", {"  - batch: {batch_size: 8}\n": ""}, [(None, "stages.batch: removed")]),
    ],
)
def test_what_differs_between_two_versions_of_a_spec_and_its_files(
    tmp_path: Path, file: str, edits: dict[str, str], changes: list[tuple[str | None, str]]
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for path, text in (("input.py", CODE), ("rows.txt", "1\n"), ("spec.yaml", SPEC)):
            (tmp_path / name / path).write_text(text)
    changed = tmp_path / "b" / file
    text = changed.read_text()
    for before, after in edits.items():
        assert before in text
        text = text.replace(before, after)
    changed.write_text(text)
    found = changes_of_specs(*(load_spec(tmp_path / name / "spec.yaml") for name in "ab"))
    assert [(place_of(place), text) for text, place in found] == changes
