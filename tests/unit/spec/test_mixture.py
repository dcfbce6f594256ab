"""Two specs as one: the changes between them, and the data with some of them."""

import copy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.spec.edits.places import same
from pipeprof.pipelines.spec.mixing.mixture import Mixture, address_in
from pipeprof.pipelines.spec.mixing.shared_paths import as_from

A = {
    "version": 1,
    "name": "a",
    "source": {"TFRecordDataset": {"filenames": "a/*.tfrecord"}},
    "stages": [
        {"shuffle": {"buffer_size": 100}},
        {"map": {"name": "decode", "ops": [{"tf.cast": {"dtype": "float32"}}, "tf.sqrt"]}},
        {"batch": {"batch_size": 8}},
        {"cache": None},
    ],
    "options": {"threading": {"private_threadpool_size": 4}, "deterministic": True},
}
B = {
    "version": 1,
    "name": "b",
    "source": {"TFRecordDataset": {"filenames": "a/*.tfrecord", "buffer_size": 1024}},
    "stages": [
        {"map": {"name": "decode", "ops": [{"tf.cast": {"dtype": "float32"}}, "tf.sin"], "num_parallel_calls": 1}},
        {"shuffle": {"buffer_size": 100}},
        {"padded_batch": {"batch_size": 8}},
        {"prefetch": {"buffer_size": 2}},
    ],
    "options": {"threading": {"private_threadpool_size": 1}},
    "measure": {"seconds": 3},
    "budgets": {"step_ms": "5%"},
}


def unnamed(data):
    return {key: value for key, value in data.items() if key not in {"name", "measure", "budgets"}}


def test_each_change_keeps_its_meaning_alone():
    mixture = Mixture(A, B)
    assert mixture.changes == [
        "source.buffer_size: not set → 1024",
        "stages.batch: replaced by padded_batch",
        "stages.decode: moved after the source",
        'stages.decode.ops: "tf.sqrt" → "tf.sin"',
        "stages.decode.num_parallel_calls: not set → 1",
        "stages.cache: removed",
        "stages.prefetch: added prefetch(buffer_size=2) after padded_batch",
        "options.threading.private_threadpool_size: 4 → 1",
        "options.deterministic: true → not set",
    ]
    assert same(mixture.data(()), A)
    assert same(unnamed(mixture.data(range(9))), unnamed(B))
    assert [next(iter(stage)) for stage in mixture.data({1, 2, 6})["stages"]] == [
        "map",
        "shuffle",
        "padded_batch",
        "cache",
        "prefetch",
    ]


def test_a_change_inside_of_a_function_is_named_by_its_place():
    resize = {"tf.image.resize": {"size": [8, 8], "method": "area"}}
    other = {"tf.image.resize": {"size": [8, 8], "method": "bicubic"}}
    more = {"tf.image.resize": {"size": [8, 8], "method": "area", "antialias": True, "name": "r"}}
    texts = [
        Mixture({"stages": [{"map": {"ops": ["tf.sin", one]}}]}, {"stages": [{"map": {"ops": ["tf.sin", two, *rest]}}]})
        .changes[0]
        .removeprefix("stages.map.ops")
        for one, two, rest in ((resize, other, []), (resize, more, []), (resize, resize, ["tf.sqrt"]))
    ]
    assert texts == [
        '.tf.image.resize.method: "area" → "bicubic"',
        '.tf.image.resize: added {"antialias": true, "name": "r"}',
        ': added "tf.sqrt"',
    ]


def test_what_is_not_measured_is_no_change():
    assert Mixture(A, {**A, "name": "c", "measure": {"seconds": 1}, "ignore": [], "budgets": {}}).changes == []
    assert Mixture(A, {**A, "measure": {"seed": 4}}).changes == ["measure.seed: not set → 4"]


def test_pipelines_inside_of_stages_are_compared_stage_by_stage():
    inner = {
        "source": {"TFRecordDataset": {"filenames": "{}"}},
        "stages": [{"map": {"ops": ["tf.sqrt"]}}],
        "cycle_length": 2,
    }
    other = {**inner, "stages": [{"map": {"ops": ["tf.sqrt"]}}, {"prefetch": {"buffer_size": 1}}]}
    mixture = Mixture({"stages": [{"interleave": inner}]}, {"stages": [{"interleave": other}]})
    assert mixture.changes == ["stages.interleave.stages.prefetch: added prefetch(buffer_size=1) after map"]
    zipped = [{"source": {"range": {"stop": 9}}}, {"source": {"range": {"stop": 9}}}]
    other_zip = [zipped[0], {"source": {"range": {"stop": 8}}}]
    mixture = Mixture({"source": {"zip": {"datasets": zipped}}}, {"source": {"zip": {"datasets": other_zip}}})
    assert mixture.changes == ["source.datasets.1.source.stop: 9 → 8"]
    assert mixture.data({0}) == {"source": {"zip": {"datasets": other_zip}}}


def test_stages_of_a_pipeline_that_has_none_are_added_one_by_one():
    bare = {"source": {"range": {"stop": 9}}}
    inner = {**bare, "stages": [{"map": {"name": "root", "ops": ["tf.sqrt"]}}, {"batch": {"batch_size": 4}}]}
    for one, other, path in (
        (bare, inner, "stages."),
        (
            {"stages": [{"flat_map": {"map_func": bare}}]},
            {"stages": [{"flat_map": {"map_func": inner}}]},
            "stages.flat_map.map_func.stages.",
        ),
    ):
        mixture = Mixture(one, other)
        assert mixture.changes == [
            f'{path}root: added map(ops=["tf.sqrt"]) after the source',
            f"{path}batch: added batch(batch_size=4) after root",
        ]
        assert same(mixture.data(()), one)
        assert same(mixture.data((0, 1)), other)
        assert Mixture(other, one).changes == [f"{path}root: removed", f"{path}batch: removed"]


def test_a_long_value_is_cut():
    (change,) = Mixture({}, {"stages": [{"map": {"ops": ["tf.sqrt"] * 20}}]}).changes
    assert change == 'stages.map: added map(ops=["tf.sqrt", "tf.sqrt", "tf.sqrt", "tf.sqrt", "tf.sq… after the source'


def test_several_stages_of_one_op_are_numbered():
    one = {"stages": [{"batch": {"batch_size": 2}}, {"batch": {"batch_size": 4}}]}
    other = {"stages": [{"batch": {"batch_size": 2}}, {"batch": {"batch_size": 8}}]}
    assert Mixture(one, other).changes == ["stages.batch#2.batch_size: 4 → 8"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["source", "stages", "options", "step", "data", "measure"]), VALUES))
def test_any_data_is_compared(data):
    assert Mixture(data, copy.deepcopy(data)).changes == []
    mixture = Mixture(data, A)
    mixture.data(range(len(mixture.changes)))


def test_a_moved_stage_may_change_as_well():
    one = [{"map": {"ops": ["tf.sqrt"]}}, {"prefetch": {"buffer_size": 1}}]
    other = [{"prefetch": {"buffer_size": 3}}, {"map": {"ops": ["tf.sqrt"]}}]
    mixture = Mixture({"stages": one}, {"stages": other})
    assert [text.partition(":")[0] for text in mixture.changes] in (
        ["stages.prefetch", "stages.prefetch.buffer_size"],
        ["stages.map", "stages.prefetch.buffer_size"],
    )
    assert mixture.data({0, 1}) == {"stages": other}


STAGES = st.lists(
    st.one_of(
        st.builds(lambda size: {"batch": {"batch_size": size}}, st.integers(1, 3)),
        st.builds(lambda size: {"shuffle": {"buffer_size": size}}, st.integers(1, 3)),
        st.builds(lambda op, name: {"map": {"name": name, "ops": [op]}}, st.sampled_from("ab"), st.sampled_from("xyz")),
        st.builds(lambda op: {"map": {"ops": [op]}}, st.sampled_from("ab")),
        st.just({"cache": None}),
        st.just({"prefetch": {"buffer_size": 1}}),
    ),
    max_size=6,
)
SPECS = st.builds(
    lambda stages, stop, options: {"source": {"range": {"stop": stop}}, "stages": stages, "options": options},
    STAGES,
    st.integers(1, 3),
    st.dictionaries(st.sampled_from(["deterministic", "autotune"]), st.booleans()),
)


def nameless(value):
    """Data without names, and without the difference between no arguments and an empty mapping of them."""
    if isinstance(value, dict):
        return {key: nameless(inner) for key, inner in value.items() if key != "name"}
    return [nameless(inner) for inner in value] if isinstance(value, list) else value if value is not None else {}


@given(SPECS, SPECS)
def test_no_change_is_a_and_all_changes_are_b(a, b):
    mixture = Mixture(a, b)
    everything = range(len(mixture.changes))
    assert nameless(mixture.data(())) == nameless(a)
    assert nameless(mixture.data(everything)) == nameless(b)
    assert len(Mixture(b, a).changes) == len(mixture.changes) or a["stages"] != b["stages"]


@given(SPECS, SPECS, st.sets(st.integers(0, 12)))
def test_a_mixture_is_between_both(a, b, chosen):
    mixture = Mixture(a, b)
    between = mixture.data(chosen)
    left = [number for number in range(len(mixture.changes)) if number not in chosen]
    assert bool(mixture.changes) or nameless(a) == nameless(b)
    if not left:
        assert nameless(between) == nameless(b)


SPEC = """version: 1
source: {TextLineDataset: {filenames: rows.txt}}
stages: [{batch: {batch_size: 2}}]
"""


@pytest.mark.parametrize(("text", "path"), [("1\n", "rows.txt"), ("2\n", "../b/rows.txt")])
def test_paths_of_another_folder_stay_where_they_lead_to_the_same(tmp_path: Path, text, path):
    for name, rows in (("a", "1\n"), ("b", text)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "rows.txt").write_text(rows)
        (tmp_path / name / "spec.yaml").write_text(SPEC)
    other = check_spec(tmp_path / "b" / "spec.yaml")
    moved, written = as_from(tmp_path / "a", other.base_dir, other.data, other.spec)
    assert moved["source"]["TextLineDataset"]["filenames"] == path
    assert written == ({path: "rows.txt"} if path != "rows.txt" else {})
    mixture = Mixture(check_spec(tmp_path / "a" / "spec.yaml").data, moved, written)
    assert mixture.changes == (['source.filenames: other content of "rows.txt"'] if written else [])
    assert mixture.data({0})["source"]["TextLineDataset"]["filenames"] == path
    assert other.data["source"]["TextLineDataset"]["filenames"] == "rows.txt"


def test_a_change_of_an_op_has_its_place():
    casts = [{"tf.cast": {"dtype": "int32"}}, {"tf.cast": {"dtype": "float32"}}]
    one, other = ({"stages": [{"map": {"ops": ["tf.sqrt", *casts[:1], last]}}]} for last in (casts[0], casts[1]))
    (change,) = Mixture(one, other).changes
    assert change == 'stages.map.ops.tf.cast#2.dtype: "int32" → "float32"'
    assert address_in(other, change) == ["stages", 0, "map", "ops", 2, "tf.cast", "dtype"]


def test_a_rewritten_path_is_named_as_its_spec_has_it():
    moved = "../b/f.py:g"
    stage = {"map": {"python": moved, "name": "g"}}
    mixture = Mixture(
        {"stages": [], "step": "simulate:1ms"}, {"stages": [stage], "step": f"python:{moved}"}, {moved: "f.py:g"}
    )
    assert mixture.changes == [
        'stages.g: added map(python="f.py:g") after the source',
        'step: "simulate:1ms" → "python:f.py:g"',
    ]
    assert mixture.data({0, 1}) == {"stages": [stage], "step": f"python:{moved}"}
