"""What differs between two specs, two files or two pipelines: in words, with its line, stage by stage."""

import copy
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.load import load_spec
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.judge.source_changes import MOST_CHANGES, changes_of_targets
from pipeprof.profiles.judge.spec_changes import _differences, _measured, changes_of_specs
from pipeprof.profiles.judge.stages import align, find_stage, stage_changes, stage_values, stages_without_time
from pipeprof.profiles.wording import place_of

A = yaml.safe_load("""
version: 1
name: a
source: {TFRecordDataset: {filenames: a/*.tfrecord}}
stages:
  - shuffle: {buffer_size: 100}
  - map: {name: decode, ops: [{tf.cast: {dtype: float32}}, tf.sqrt]}
  - batch: {batch_size: 8}
  - batch: {batch_size: 2}
  - cache:
options: {threading: {private_threadpool_size: 4}, deterministic: true}
measure: {seconds: 1}
""")
B = yaml.safe_load("""
version: 1
name: b
source: {TFRecordDataset: {filenames: a/*.tfrecord, buffer_size: 1024}}
stages:
  - map: {name: decode, ops: [{tf.cast: {dtype: int32}}, tf.sin], num_parallel_calls: 1}
  - batch: {batch_size: 8}
  - batch: {batch_size: 4}
  - cache: {name: kept}
  - prefetch: {buffer_size: 2}
options: {threading: {private_threadpool_size: 1}}
measure: {seconds: 9, seed: 4}
budgets: {step_ms: 5%}
""")


def between(one: object, other: object) -> list[str]:
    return [text for text, _ in _differences(one, other, "", ())]


def test_each_argument_option_and_stage_is_a_change():
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


def test_pipelines_inside_of_stages_are_compared_stage_by_stage():
    inner = {"source": {"range": {"stop": 9}}, "stages": [{"map": {"ops": ["tf.sqrt"]}}]}
    other = {"source": {"range": {"stop": 8}}, "stages": [*inner["stages"], {"prefetch": {"buffer_size": 1}}]}
    mapped = [{"stages": [{"flat_map": {"map_func": one}}]} for one in (inner, other)]
    assert between(*mapped) == [
        "stages.flat_map.map_func.source.stop: 9 → 8",
        "stages.flat_map.map_func.stages.prefetch: added prefetch(buffer_size=1) after map",
    ]
    zipped = [{"zip": {"datasets": [inner, one]}} for one in (inner, {**inner, "source": {"range": {"stop": 1}}})]
    assert between({"source": zipped[0]}, {"source": zipped[1]}) == ["source.datasets.1.source.stop: 9 → 1"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "stages", "options", "step", "data"]), VALUES))
def test_any_data_is_compared(data):
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
        ("input.py", {"wait(i)\n": "wait(i) + 1\n"}, [("input.py:10", "nap: changed to ‘return wait(i) + 1’")]),
        ("input.py", {"sleep(0.005)": "sleep(1)", "return i\n": "return i + 1\n"}, [
            ("input.py:5", f"input.py {name}() differs in lines 5 and 6") for name in ("nap", "wait")
        ]),
        ("input.py", {"range(8)": "range(9)"}, []),
        ("input.py", {"import time": "import time  # seconds"}, []),
        ("rows.txt", {"1": "2"}, [(None, "rows.txt differs")]),
        ("spec.yaml", {"batch_size: 8": "batch_size: 4"}, [("spec.yaml:6", "stages.batch.batch_size: 8 → 4")]),
        ("spec.yaml", {"  - batch: {batch_size: 8}\n": ""}, [(None, "stages.batch: removed")]),
    ],
)  # fmt: skip
def test_what_differs_between_two_versions_of_a_spec_and_its_files(tmp_path, file, edits, changes):
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


SOURCE = '''import tensorflow as tf


def decode(x):
    """Decode it."""
    x = tf.image.resize(x, [224, 224])
    return x


def make(n=3):
    ds = tf.data.Dataset.range(n).map(decode, num_parallel_calls=2)
    return ds.batch(32).prefetch(1)


def other():
    ds = tf.data.Dataset.range(3).map(decode, num_parallel_calls=8)
    return ds.batch(32).prefetch(1)
'''


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a" / "input.py", tmp_path / "b" / "input.py"
    for path in paths:
        path.parent.mkdir()
        path.write_text(SOURCE)
    return paths


def function(path: Path, name: str = "make") -> ParsedTarget:
    return ParsedTarget("function", path, name)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("num_parallel_calls=2", "num_parallel_calls=1", [("input.py:11", "map.num_parallel_calls: 2 → 1")]),
        (", num_parallel_calls=2", "", [("input.py:11", "map.num_parallel_calls: 2 → not set")]),
        ("batch(32).pre", "batch(32, True).pre",
         [("input.py:12", "make: changed to ‘return ds.batch(32, True).prefetch(1)’")]),
        ("    return ds.batch(32).prefetch(1)\n\n\ndef other", "    return ds.batch(8).prefetch(1)\n\n\ndef other",
         [("input.py:12", "batch: 32 → 8")]),
        ("[224, 224]", "[448, 448]", [("input.py:6", "argument 2 of resize: [224, 224] → [448, 448]")]),
        ("    return x\n", "    x = x + 1\n    return x\n", [("input.py:7", "decode: with ‘x = x + 1’")]),
        ("    x = tf.image.resize(x, [224, 224])\n", "",
         [(None, "decode: without ‘x = tf.image.resize(x, [224, 224])’")]),
        ("    return x\n", "    return -x\n", [("input.py:7", "decode: changed to ‘return -x’")]),
        ("make(n=3)", "make(n=4)", [("input.py:10", "the file: changed to ‘def make(n=4)’")]),
        ('"""Decode it."""', '"""Decode them."""  # all', []),
        ("range(n)", "range(\n        n,\n    )", []),
    ],
)  # fmt: skip
def test_a_change_has_its_line_and_what_it_was(before, after, changes, both):
    a, b = both
    assert before in SOURCE
    b.write_text(SOURCE.replace(before, after, 1))
    found = changes_of_targets(function(a), function(b))
    assert [(place_of(place), text) for text, place in found] == changes


def test_two_functions_of_one_file_differ_in_their_own_lines(both):
    a, _ = both
    found = changes_of_targets(function(a), function(a, "other"))
    assert [text for text, _ in found] == ["range: n → 3", "map.num_parallel_calls: 2 → 8"]
    assert [place.line for _, place in found if place is not None] == [16, 16]


def test_what_cannot_be_compared_names_no_change(both):
    a, b = both
    b.write_text(SOURCE.replace("2", "7"))
    assert changes_of_targets(function(a), function(b, "other")) == []
    for text in ("def make(:\n", "x = '\0'\n"):
        b.write_text(text)
        assert changes_of_targets(function(a), function(b)) == []
    b.unlink()
    assert changes_of_targets(function(a), function(b)) == []


def test_too_many_changes_name_no_cause(both):
    a, b = both
    lines = "".join(f"    x = x + {number}\n" for number in range(MOST_CHANGES + 1))
    b.write_text(SOURCE.replace("    return x\n", f"{lines}    return x\n"))
    assert changes_of_targets(function(a), function(b)) == []


def stage(op: str, name: str | None = None, ms: float | None = None, *, id: str = "x", **fields) -> Stage:
    return Stage(id=id, op=op, name=name, origin="written", time_ms_per_batch=ms, **fields)


@pytest.mark.parametrize(
    ("a", "b", "rows"),
    [
        ("range decode augment batch", "range decode shuffle augment batch", "range decode -shuffle augment batch"),
        # A function of another name is the same stage; one that was moved is one row.
        ("range old= batch", "range new= batch", "range old=new= batch"),
        ("range shuffle decode batch", "range decode batch shuffle", "range decode batch shuffle"),
    ],
)
def test_stages_that_belong_together(a, b, rows):
    def made(text: str) -> list[Stage]:
        maps = ("decode", "augment", "old=", "new=")
        return [stage("map", word) if word in maps else stage(word) for word in text.split()]

    found = [[one and (one.name or one.op) for one in both] for both in align(made(a), made(b))]
    assert " ".join(one if one == other else f"{one or '-'}{other or '-'}" for one, other in found) == rows


def test_another_implementation_is_a_change():
    a = [stage("map", "decode", tf_op="MapDataset", cpu_ms_per_batch=4.0)]
    b = [stage("map", "decode", tf_op="ParallelMapDatasetV2", cpu_ms_per_batch=5.0)]
    (row,) = stage_changes(a, b)
    assert (row.status, row.a_cpu_ms_per_batch, row.b_cpu_ms_per_batch) == ("changed", 4.0, 5.0)
    assert stage_changes(None, b) == []


ROWS = [
    stage("range", ms=0.1, id="source"),
    stage("map", "decode", 4.0, id="stages.0"),
    stage("map", "augment", 2.0, id="stages.1"),
    stage("map", "augment", 1.0, id="stages.2"),
    stage("batch", ms=0.5, id="stages.3"),
    stage("map", "normalise", id="stages.4", fused_with="stages.3"),
    stage("cache", id="stages.5"),
]


def test_a_budget_means_a_stage_by_address_name_or_op():
    meant = {
        "stages.1": ["stages.1"],
        "decode": ["stages.0"],
        "augment": ["stages.1", "stages.2"],
        "batch": ["stages.3"],
    }
    assert {name: [row.id for row in find_stage(ROWS, name)] for name in meant} == meant
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
