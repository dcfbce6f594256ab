"""From a file to a checked spec, or to everything that is wrong with it."""

import hashlib
import json
import re
from pathlib import Path

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.diagnostics import SpecError
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec

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


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(text: str, *sets: str) -> LoadedSpec:
    Path("spec.yaml").write_text(text, encoding="utf-8")
    return load_spec(Path("spec.yaml"), sets)


def test_good_spec(folder):
    overrides = ["stages.2.batch_size=64", "stages.decode.num_parallel_calls=AUTOTUNE", "step=none"]
    for sets, batch, step in (([], 32, "simulate"), (overrides, 64, "none")):
        loaded = load(GOOD, *sets)
        assert (loaded.path, loaded.base_dir, loaded.overrides) == (Path("spec.yaml"), folder, sets)
        # The file is not the overrides.
        assert (loaded.text, loaded.sha256) == (GOOD, hashlib.sha256(GOOD.encode()).hexdigest())
        assert (loaded.spec.name, loaded.spec.step.kind) == ("flowers", step)
        assert [stage.op for stage in loaded.spec.placed()] == ["list_files", "map", "shuffle", "batch", "prefetch"]
        assert loaded.spec.placed()[3].arguments == {"batch_size": batch}
        assert loaded.data["stages"][2] == {"batch": {"batch_size": batch}}
        assert loaded.data["x-size"] == [224, 224]
        assert json.loads(json.dumps(loaded.data)) == loaded.data


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("stages.0", "spec.yaml:10:5"),
        (("stages", 2, "batch_size"), "spec.yaml:18:25"),
        (("stages", 2, "batch", "drop_remainder"), "spec.yaml:18:12"),
        ("stages.1.buffer_size", "--set stages.1.buffer_size=5"),
        ("nowhere.at.all", "None"),
    ],
)
def test_what_is_found_later_is_shown_at_its_place(address, place):
    loaded = load(GOOD, "stages.1.buffer_size=5")
    assert str(loaded.locate(address)) == place
    if isinstance(address, str):
        shown = str(loaded.error_at(address, "build", "got x, expected y"))
        assert shown.startswith(f"{'spec.yaml:1:1' if place == 'None' else place}: error[build]")


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("flower.yaml", "flowers.yaml?"),
        ("specs", "specs/a.yaml"),
        ("nowhere/x.yaml", ""),
        ("a\0b.yaml", ""),
        ("x" * 5000, ""),
        ("flowers.yaml/x.yaml", ""),
    ],
)
def test_what_is_no_file_is_refused_with_one_that_may_be_meant(name, end):
    Path("specs").mkdir()
    for path in ("flowers.yaml", "specs/a.yaml"):
        Path(path).write_text(GOOD, encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        load_spec(Path(name))
    assert str(caught.value).endswith(end)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("pattern", ["~nobody-of-that-name/x", "x" * 5000, "x" * 300 + "*", "[", "data:", "data:../x"])
def test_paths_that_cannot_be_looked_up(pattern):
    with pytest.raises(SpecError) as caught:
        load(f'version: 1\nsource: {{list_files: {{file_pattern: "{pattern}"}}}}\n')
    assert [d.code for d in caught.value.diagnostics] == ["missing-file"]


PAGE = Path(__file__).resolve().parents[3] / "docs" / "spec.md"
SOURCE = "{from_tensors: {tensors: {image: {array: {shape: [200, 200, 3]}}, mask: {array: {shape: [200, 200, 1]}}}}}"


def test_the_chain_and_the_whole_spec_of_the_documentation_are_accepted():
    page = PAGE.read_text(encoding="utf-8")
    whole = re.search(r"```yaml\n(version: 1\n.*?)```", page, re.DOTALL)
    chain = re.search(r"```yaml\n(.*?)```", page.partition("\n## Chains\n")[2], re.DOTALL)
    for text in (whole[1], f"version: 1\nsource: {SOURCE}\nstages:\n{chain[1]}"):
        assert load(text).spec.stages
