"""The Python that specs render as: goldens, names and paths, and any spec gives Python that compiles."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.pipelines.to_python.code import call, listed, statement, text
from pipeprof.pipelines.to_python.render import render

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
GOLDENS = [
    "array/spec.yaml",
    "jpeg_folder/spec.yaml",
    "tfrecord_shards/spec.yaml",
    "text_padded/per_batch.yaml",
    "tabular_csv/csv_dataset.yaml",
    "generator/in_parallel.yaml",
    "loading_in_batches/map_and_prefetch.yaml",
]


def rendered(path: Path, folder: Path | None = None) -> str:
    loaded = load_spec(path)
    return render(loaded, {name: Path("/cache") / name for name in loaded.spec.data}, folder)


def of(tmp_path: Path, spec: dict[str, Any]) -> str:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump({"version": 1, **spec}, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return rendered(path)


@pytest.mark.parametrize("name", GOLDENS)
def test_examples_render_as_python(name, golden):
    golden(f"python/{name.replace('/', '-').removesuffix('.yaml')}.py.txt", rendered(EXAMPLES / name))


def test_every_kind_of_call_renders_as_python(golden):
    golden("python/everything.py.txt", rendered(ROOT / "tests" / "golden" / "python" / "everything.yaml"))


def test_rendering_is_the_same_each_time():
    path = EXAMPLES / GOLDENS[2]
    assert rendered(path) == rendered(path)


def test_a_file_elsewhere_reaches_the_folder_of_the_spec(tmp_path):
    found = rendered(EXAMPLES / "generator" / "in_parallel.yaml", tmp_path / "out")
    assert "sys.path.insert(0, str(HERE))" in found
    assert "HERE = Path(__file__).resolve().parent" in found
    ast.parse(found)


def test_a_python_file_whose_name_cannot_be_imported_is_loaded_by_its_path(tmp_path):
    for name in ("my-steps.py", "json.py"):
        (tmp_path / name).write_text("def double(x):\n    return x * 2\n")
        found = of(tmp_path, {"source": {"range": {"stop": 3}}, "stages": [{"map": {"python": f"{name}:double"}}]})
        assert f'double = load_function(HERE / "{name}", "double")' in found
        assert ".map(double)" in found


def test_two_stages_of_the_same_deed_have_names_that_differ(tmp_path):
    stages = [{"map": {"ops": [{"tf.add": {"y": 1}}]}}, {"map": {"ops": [{"tf.add": {"y": 2}}]}}]
    found = of(tmp_path, {"source": {"range": {"stop": 3}}, "stages": stages})
    assert ".map(add)" in found
    assert ".map(add_2)" in found


def test_variables_that_are_still_needed_are_not_overwritten(tmp_path):
    ops = [{"tf.add": {"on": "a.x", "y": 1}}, {"tf.add": {"on": "b.x", "y": 2}}]
    source = {"from_tensor_slices": {"tensors": {"a": {"x": [1, 2]}, "b": {"x": [3, 4]}}}}
    tree = ast.parse(of(tmp_path, {"source": source, "stages": [{"map": {"name": "both", "ops": ops}}]}))
    both = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "both")
    targets = [node.targets[0].id for node in both.body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
    assert len(set(targets)) == 2


def test_a_list_breaks_one_item_to_a_line():
    lines = statement("x = ", listed([text("a" * 40)] * 3))
    assert lines[0] == "x = ["
    assert lines[-1] == "]"
    assert all(line.endswith(",") for line in lines[1:-1])


def test_arguments_share_a_line_if_they_fit():
    lines = statement("x = ", call("f" * 50, "a" * 30, "b" * 30))
    assert lines == [f"x = {'f' * 50}(", f"    {'a' * 30}, {'b' * 30}", ")"]


@given(st.text())
def test_any_text_is_a_literal(value):
    assert ast.literal_eval(text(value)) == value
    assert "\n" not in text(value)


hostile = st.one_of(
    st.text(min_size=1, max_size=12),
    st.sampled_from(["class", "tf", "np", "def", "HERE", '"""', "\\", "a b", "0", "1x", "é", "self", "make_dataset"]),
)
plain_names = hostile.map(lambda name: name.replace(".", "_")).filter(
    lambda name: not name.isdigit() and all(letter.isprintable() and letter not in "\ufeff\x85" for letter in name)
)
values = st.one_of(
    st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), plain_names, st.booleans()
)


@st.composite
def specs(draw: Any) -> dict[str, Any]:
    names = draw(st.lists(plain_names, min_size=1, max_size=3, unique=True))
    numbers = {name: [draw(values)] * 4 for name in names}
    ops: list[Any] = []
    for name in names:
        ops.append({"tf.identity": {"on": name, "to": draw(plain_names)}})
    if draw(st.booleans()):
        ops.append({"tf.cond": {"probability": 0.5, "on": names[0], "true_fn": ["tf.identity", "tf.identity"]}})
    ops.append(draw(st.sampled_from([{"drop": [names[0]]}, {"select": [names[0]]}, {"to_tuple": names}])))
    stages: list[Any] = [{"map": {"ops": ops, "name": draw(plain_names)}}, {"batch": {"batch_size": 2}}]
    features = {name: {"FixedLenFeature": {"shape": [], "dtype": "int64"}} for name in names}
    parse = {"map": {"name": f"{names[0]} 2", "ops": [{"tf.io.parse_single_example": {"features": features}}]}}
    if draw(st.booleans()):
        source: Any = {"from_tensors": {"tensors": "record"}}
        stages = [parse, *stages]
    else:
        source = {"from_tensor_slices": {"tensors": numbers}}
    return {"name": draw(plain_names), "description": draw(plain_names), "source": source, "stages": stages}


@given(specs())
def test_any_names_and_texts_give_python_that_compiles(spec):
    from pipeprof.pipelines.spec.errors.diagnostics import SpecError

    with tempfile.TemporaryDirectory() as folder:
        try:
            found = of(Path(folder), spec)
        except SpecError:
            return
    compile(found, "rendered.py", "exec")
    assert "def make_dataset():" in found


def test_columns_that_are_alike_are_written_once(tmp_path):
    (tmp_path / "a.csv").write_text(",".join(["1"] * 23))
    columns = ["int64", "string", {"repeat": "float32", "count": 20}, 0.5]
    text = of(tmp_path, {"source": {"CsvDataset": {"filenames": "a.csv", "record_defaults": columns}}})
    assert "[tf.int64] + [tf.string] + [tf.float32] * 20 + [0.5]" in text
