"""The resolved spec with the origin of every line, and that it says the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec
from pipeprof.pipelines.spec.show import origins, show, with_defaults
from pipeprof.pipelines.spec.yaml.reader import read
from pipeprof.pipelines.spec.yaml.writer import flow

ROOT = Path(__file__).parents[3]
SPECS = sorted(path for path in (ROOT / "examples").rglob("*.yaml"))

BASE = """\
version: 1
name: flowers
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
        - tf.image.resize: {size: [224, 224]}
      num_parallel_calls: 1
  - shuffle: {buffer_size: 500, seed: 7}
  - batch: {batch_size: 32}
"""
SPEC = """\
extends: base/base.yaml
description: What the pipeline is for, in a text that goes on for so long that no line of a hundred columns can hold it.
stages:
  shuffle: null
  batch: {batch_size: "${BATCH:-16}"}
step: {simulate: 20ms}
"""
OVERLAY = """\
stages:
  - map: {name: decode, num_parallel_calls: AUTOTUNE}
  - cache: {filename: made/cache}
"""


def same(loaded: LoadedSpec) -> LoadedSpec:
    """What the shown text resolves to, saved beside the spec."""
    path = loaded.base_dir / "shown.yaml"
    path.write_text(show(loaded), encoding="utf-8")
    try:
        again = load_spec(path)
    finally:
        path.unlink()
    assert again.spec == loaded.spec
    assert again.data == with_defaults(loaded)
    assert show(again).count("# default") == 0
    return again


def test_golden(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (("base/base.yaml", BASE), ("spec.yaml", SPEC), ("over/laptop.yaml", OVERLAY)):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text)
    sets = ["stages.+={prefetch: {buffer_size: 2}}", "measure.seconds=3"]
    loaded = load_spec(Path("spec.yaml"), sets, overlays=["over/laptop.yaml"], environment={"BATCH": "64"})
    text = show(loaded)
    assert all(len(line) <= 100 for line in text.splitlines())
    golden("show/resolved.yaml", text)
    same(loaded)
    by_path = {tuple(each["path"]): each for each in origins(loaded)}
    assert by_path["stages", 1, "batch", "batch_size"]["file"] == "spec.yaml"
    assert by_path["measure", "seconds"]["flag"] == "--set measure.seconds=3"
    assert by_path["measure", "cold"] == {"path": ["measure", "cold"], "value": False, "default": True}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_shown_resolves_to_itself(path: Path, tmp_path: Path) -> None:
    # The folder of the example under another name, so that nothing is written there.
    (tmp_path / "here").mkdir()
    for file in path.parent.iterdir():
        (tmp_path / "here" / file.name).symlink_to(file)
    loaded = same(load_spec(tmp_path / "here" / path.name))
    lines = [line for line in show(loaded).splitlines() if not line.startswith("#")]
    assert sum("# " not in line for line in lines) <= 5 * sum(">-" in line for line in lines)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
    | st.sampled_from(["1e3", "0x10", "1_000", "null", "~", "a: b", "a #b", "<<", "- a", "%x", "...", "---", "=", "${"])
    | st.lists(st.text("abc:#-.\"'", min_size=1, max_size=12), min_size=8, max_size=30).map(" ".join)
)  # fmt: skip
KEYS = st.text(min_size=1, max_size=8) | st.integers(0, 2000) | st.text("k", min_size=130, max_size=1100)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    notes=st.dictionaries(
        KEYS,
        st.recursive(
            SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
        ),
        max_size=4,
    ),
    base=st.booleans(),
)
def test_any_data_shown_is_read_back(notes: dict[Any, Any], base: bool, tmp_path: Path) -> None:
    text = flow(notes)
    document = read(text)
    if document.problems:
        # Two keys that are written alike, or characters that no spec may hold.
        assert all(problem.code in {"duplicate-key", "control-character", "syntax"} for problem in document.problems)
        return
    assert document.data == notes
    spec = "version: 1\nsource: {range: {stop: 3}}\n"
    (tmp_path / "base.yaml").write_text(spec, encoding="utf-8")
    (tmp_path / "spec.yaml").write_text(("extends: base.yaml\n" if base else spec) + f"x-a: {text}\n", encoding="utf-8")
    loaded = load_spec(tmp_path / "spec.yaml", ["x-b=" + text])
    assert loaded.data["x-a"] == loaded.data["x-b"] == notes
    same(loaded)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (math.inf, ".inf"),
        (-math.inf, "-.inf"),
        (1e-05, "1e-05"),
        (int("9" * 300), hex(int("9" * 300))),
        (True, "true"),
        ("20ms", "20ms"),
        ("a\u2028b\x7f\U000e0001", '"a\\u2028b\\x7f\\U000e0001"'),
        ("é 写真", '"é 写真"'),
    ],
)
def test_scalars(value: object, text: str) -> None:
    assert flow(value) == text
    assert read(f"a: {text}").data == {"a": value}
    assert math.isnan(read(f"a: {flow(math.nan)}").data["a"])
