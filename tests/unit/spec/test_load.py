"""From a file to a checked spec, or to everything that is wrong with it."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.pipelines.spec.yaml_text import MAX_BYTES

GOOD = """\
# yaml-language-server: $schema=./pipeprof.schema.json
version: 1
name: flowers
x-size: &size [224, 224]
data:
  photos: {image_folder: {count: 600, size: [480, 360], classes: 4, format: jpeg, seed: 1}}
source:
  list_files: {file_pattern: "data:photos/*/*.jpg", shuffle: false}
stages:
  - map:
      name: decode
      ops:
        - tf.io.read_file
        - tf.io.decode_jpeg: {channels: 3}
        - tf.image.resize: {size: *size}
      num_parallel_calls: 1
  - shuffle: {buffer_size: 500, seed: 7}
  - batch: {batch_size: 32}
  - prefetch: {buffer_size: AUTOTUNE}
options: {deterministic: false, threading: {private_threadpool_size: 8}}
step: {simulate: 20ms, dispatch: sync}
measure: {seconds: 10}
"""


pytestmark = pytest.mark.usefixtures("folder")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str | bytes, *sets: str) -> LoadedSpec:
    path = Path("spec.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_spec(path, sets)


def refused(text: str | bytes, *sets: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        load(text, *sets)
    return caught.value


def test_good_spec(folder: Path) -> None:
    loaded = load(GOOD)
    assert loaded.path == Path("spec.yaml")
    assert loaded.base_dir == folder
    assert loaded.text == GOOD
    assert loaded.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()
    assert loaded.overrides == []
    assert loaded.spec.name == "flowers"
    assert [stage.op for stage in loaded.spec.placed()] == ["list_files", "map", "shuffle", "batch", "prefetch"]
    assert loaded.data["stages"][2] == {"batch": {"batch_size": 32}}
    assert loaded.data["x-size"] == [224, 224]
    assert json.loads(json.dumps(loaded.data)) == loaded.data
    assert "ignore" not in loaded.data


def test_overrides_reach_the_model_and_the_data() -> None:
    loaded = load(GOOD, "stages.2.batch_size=64", "stages.decode.num_parallel_calls=AUTOTUNE", "step=none")
    assert loaded.overrides == ["stages.2.batch_size=64", "stages.decode.num_parallel_calls=AUTOTUNE", "step=none"]
    assert loaded.spec.placed()[3].arguments == {"batch_size": 64}
    assert loaded.spec.step.kind == "none"
    assert loaded.data["stages"][2] == {"batch": {"batch_size": 64}}
    # The file is not the overrides.
    assert loaded.text == GOOD
    assert loaded.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("stages.0", "spec.yaml:10:5"),
        (("stages", 2, "batch", "batch_size"), "spec.yaml:18:25"),
        (("stages", 2, "batch_size"), "spec.yaml:18:25"),
        (("stages", 2, "batch", "drop_remainder"), "spec.yaml:18:12"),
        ("source", "spec.yaml:8:3"),
        ("stages.1", "spec.yaml:17:5"),
        ("stages.1.buffer_size", "--set stages.1.buffer_size=5"),
        ("nowhere.at.all", "None"),
    ],
)
def test_locate(address: str | tuple[str | int, ...], place: str) -> None:
    loaded = load(GOOD, "stages.1.buffer_size=5")
    assert str(loaded.locate(address)) == place


def test_error_found_later_is_shown_at_its_stage() -> None:
    loaded = load(GOOD, "stages.1.buffer_size=5")
    assert str(loaded.error_at("stages.2", "build", "got shapes that differ, expected equal ones")) == (
        "spec.yaml:18:5: error[build]: got shapes that differ, expected equal ones\n"
        "    18 |   - batch: {batch_size: 32}\n"
        "       |     ^^^^^^^^^^^^^^^^^^^^^^^"
    )
    assert str(loaded.error_at("stages.1.buffer_size", "build", "got x, expected y")).startswith(
        "--set stages.1.buffer_size=5: error[build]"
    )
    assert str(loaded.error_at("nowhere", "build", "got x, expected y")).startswith(
        "spec.yaml:1:1: error[build]: got x"
    )


def test_everything_wrong_is_said_in_one_pass() -> None:
    text = GOOD.replace("batch_size: 32", "batch_size: 32, batch_size: 1, dropremainder: 1").replace("20ms", "20")
    error = refused(text, "stages.1.buffer_size=x", "stages.7=3")
    assert [(d.code, d.line) for d in error.diagnostics] == [
        ("duplicate-key", 18),
        ("unknown-argument", 18),
        ("step", 21),
        ("wrong-value", None),
        ("out-of-range", None),
    ]


def test_what_the_text_is_refused_for_is_not_said_twice() -> None:
    error = refused(GOOD.replace("batch_size: 32", "batch_size: !!int '32'"))
    assert [d.code for d in error.diagnostics] == ["tag"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty"),
        (b"\x89PNG\0\0", "encoding"),
        (GOOD.encode() + b"\0", "control-character"),
        (GOOD.encode("utf-16"), "encoding"),
        (b"[" * 3000, "too-deep"),
        (b"#" * (MAX_BYTES + 1), "too-large"),
        (b"\tversion: 1", "syntax"),
        (b"3", "wrong-type"),
        (b"[version]", "wrong-type"),
        (b"just a text", "wrong-type"),
    ],
)
def test_files_that_are_no_specs(content: bytes, code: str) -> None:
    error = refused(content, "stages.0.batch_size=3")
    assert [d.code for d in error.diagnostics] == [code]
    assert error.exit_code == 2


def test_deepest_pipelines_that_can_be_written() -> None:
    stage = "{batch: {batch_size: x}}"
    for _ in range(20):
        stage = "{interleave: {source: {TFRecordDataset: {}}, stages: [" + stage + "]}}"
    error = refused(f"version: 1\nsource: {{range: {{stop: 3}}}}\nstages: [{stage}]\n")
    assert [d.code for d in error.diagnostics] == ["wrong-value"]


def test_file_that_does_not_exist() -> None:
    Path("flowers.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"flower\.yaml: no such file.*did you mean flowers\.yaml\?$"):
        load_spec(Path("flower.yaml"))
    with pytest.raises(UsageError, match=r"nowhere/x\.yaml: no such file$"):
        load_spec(Path("nowhere/x.yaml"))


def test_folder_instead_of_a_file() -> None:
    Path("specs").mkdir()
    Path("specs/a.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"specs is a folder: expected a YAML file such as specs/a\.yaml$"):
        load_spec(Path("specs"))


@pytest.mark.parametrize("name", ["a\0b.yaml", "x" * 5000, "spec.yaml/x.yaml"])
def test_names_that_no_file_can_have(name: str) -> None:
    Path("spec.yaml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError, match=r"no such file|cannot be (read|looked up)|cannot look up|folder"):
        load_spec(Path(name))


def test_control_characters_in_a_file_name_are_escaped() -> None:
    path = Path("a\x1b[31m.yaml")
    path.write_text("version: 2", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_spec(path)
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["~nobody-of-that-name/x", "x" * 5000, "x" * 300 + "*", "[", "data:", "data:../x"])
def test_paths_that_cannot_be_looked_up(pattern: str) -> None:
    error = refused(f'version: 1\nsource: {{list_files: {{file_pattern: "{pattern}"}}}}\n')
    assert [d.code for d in error.diagnostics] == ["missing-file"]


def test_misspelt_file_name() -> None:
    Path("in").mkdir()
    Path("in/train.tfrecord").write_bytes(b"")
    error = refused("version: 1\nsource:\n  TFRecordDataset: {filenames: [in/train.tfrecord, in/trian.tfrecord]}\n")
    assert [(d.line, d.column, d.suggestion) for d in error.diagnostics] == [(3, 52, "in/train.tfrecord")]


ANY_FOLDER = settings(
    max_examples=75, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def load_or_refuse(content: bytes, *sets: str) -> None:
    try:
        load(content, *sets)
    except SpecError as error:
        shown = str(error)
    else:
        shown = ""
    assert "\x1b" not in shown


@ANY_FOLDER
@given(content=st.one_of(st.binary(max_size=100), st.text(max_size=100).map(lambda text: text.encode())))
def test_any_bytes_are_loaded_or_refused(content: bytes) -> None:
    load_or_refuse(content)


@ANY_FOLDER
@given(seed=st.integers(0, 2**32), count=st.integers(1, 4))
def test_any_damage_to_a_good_spec_is_loaded_or_refused(seed: int, count: int) -> None:
    chance = random.Random(seed)
    text = GOOD
    for _ in range(count):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.choice([0, 0, 1, 3, 30]))
        text = (
            text[:start]
            + chance.choice(["", "\n", ":", " ", "- ", "[", "}", '"', "*", "0", "\t", text[end:][:40]])
            + text[end:]
        )
    load_or_refuse(text.encode())


@ANY_FOLDER
@given(data=st.data())
def test_any_value_anywhere_is_loaded_or_refused(data: st.DataObject) -> None:
    path = data.draw(
        st.sampled_from(
            [
                "version",
                "name",
                "data",
                "data.photos",
                "data.photos.size",
                "data.photos.size.0",
                "data.x.npy",
                "source",
                "source.file_pattern",
                "source.shuffle",
                "stages",
                "stages.0",
                "stages.0.map",
                "stages.0.ops",
                "stages.0.ops.1",
                "stages.0.ops.2.size",
                "stages.0.num_parallel_calls",
                "stages.2.batch_size",
                "stages.2.batch",
                "options",
                "options.threading",
                "step",
                "step.simulate",
                "step.simulate.every",
                "step.dispatch",
                "measure",
                "measure.seconds",
                "ignore",
                "stages.0.map_func",
                "stages.2.interleave",
            ]
        )
    )
    leaf = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False),
        st.text("ab:*~/\\'é\u2028 ", max_size=8),
        st.sampled_from(["AUTOTUNE", "data:photos/*", "12ms", "steps.py:f", "tf.abs", "none"]),
    )
    key = st.sampled_from(
        ["on", "to", "ops", "python", "source", "range", "stop", "array", "npy", "name", "x-a", "batch"]
    )
    value = data.draw(
        st.recursive(
            leaf, lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(key, v, max_size=3)), max_leaves=5
        )
    )
    load_or_refuse(GOOD.encode(), f"{path}={json.dumps(value)}")
