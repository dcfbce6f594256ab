"""Every spec of the gallery is valid without TensorFlow, gives batches, and its elements are known beforehand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf
from integration.example_data import made
from integration.test_examples import EXAMPLES, first_batches

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.sources import ElementInfo
from pipeprof.pipelines.inference.tensor.shapes import Tensor, fits
from pipeprof.pipelines.spec.loader import LoadedSpec

GALLERY = EXAMPLES / "gallery"
SPECS = sorted(GALLERY.rglob("*.yaml"))
FEW = 80
KINDS = {"TensorSpec": "dense", "RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}
LEAST_KNOWN = 18
"""Specs whose batches are known to the last dimension before anything runs."""

CHECK = """
import contextlib, io, json, sys
from pipeprof.cli.main import invoke
results = {}
for path in sys.argv[1:]:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = invoke(["check", path])
    results[path] = [code, text.getvalue()]
print(json.dumps([results, "tensorflow" in sys.modules]))
"""


def name_of(path: Path) -> str:
    return str(path.relative_to(GALLERY))


def small(loaded: LoadedSpec) -> LoadedSpec:
    """The spec with fewer files and records than it says, where a pipeline does not count on them."""
    settings = [
        f"data.{name}.{entry.kind}.{key}={FEW}"
        for name, entry in loaded.spec.data.items()
        if entry.kind == "image_folder" or (entry.kind == "tfrecord" and entry.items() > FEW)
        for key in ("count", "records")
        if getattr(entry, key, 0) > FEW
    ]
    return check_spec(loaded.path, settings) if settings else loaded


@pytest.fixture(scope="module")
def checked() -> tuple[dict[str, tuple[int, str]], bool]:
    """What `check` says of all specs, and whether it took TensorFlow for that."""
    command = [sys.executable, "-c", CHECK, *map(str, SPECS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    results, tensorflow = json.loads(done.stdout)
    return results, tensorflow


def test_every_spec_is_valid_without_tensorflow(checked: tuple[dict[str, tuple[int, str]], bool]) -> None:
    results, tensorflow = checked
    assert {
        path: text for path, (code, text) in results.items() if code or "no errors" not in " ".join(text.split())
    } == {}
    assert len(results) == len(SPECS) >= 24
    assert not tensorflow


@pytest.mark.parametrize("path", SPECS, ids=name_of)
def test_a_spec_gives_the_batches_that_were_expected(path: Path) -> None:
    loaded = small(check_spec(path))
    context = BuildContext(loaded.base_dir, made(loaded), seed=1)
    load_arrays(loaded.spec, context)
    dataset = build(loaded.spec, context)

    said, expected = last_element(loaded, strict=True), last_element(loaded, strict=False)
    actual = tf.nest.flatten(dataset.element_spec)
    if said.components is not None:
        assert [shown(tensor) for tensor in said.components] == [spec_shown(spec) for spec in actual]
    assert said.cardinality in (None, int(dataset.cardinality()))
    batches = first_batches(dataset)
    assert len(batches) == 2
    for batch in batches:
        for tensor, part in zip(expected.components or (), batch, strict=expected.components is not None):
            assert fits_value(tensor, part)


def last_element(loaded: LoadedSpec, *, strict: bool) -> ElementInfo:
    """What is known of the batches without TensorFlow."""
    last = f"stages.{len(loaded.spec.stages) - 1}" if loaded.spec.stages else "source"
    return element_specs(loaded.spec, loaded.base_dir, strict=strict)[last]


def shown(tensor: Tensor) -> tuple[str, Any, str]:
    return tensor.dtype, tensor.shape, tensor.kind


def spec_shown(spec: Any) -> tuple[str, Any, str]:
    shape = None if spec.shape.rank is None else tuple(spec.shape)
    return spec.dtype.name, shape, KINDS[type(spec).__name__]


def fits_value(tensor: Tensor, part: Any) -> bool:
    if tensor.dtype != part.dtype.name:
        return False
    return tensor.shape is None or fits(tensor.shape, tuple(part.shape))


def test_many_batches_are_known_before_anything_runs() -> None:
    known = [path for path in SPECS if last_element(check_spec(path), strict=True).components is not None]
    assert len(known) >= LEAST_KNOWN


def test_specs_are_small_quick_and_explained() -> None:
    for path in SPECS:
        spec = check_spec(path).spec
        assert spec.measure.seconds == 3, path
        assert spec.step != "none", path
        assert spec.name == path.stem.replace("_", "-"), path
        assert 60 < len(spec.description or "") < 250, path


def test_the_index_names_every_spec_and_no_other() -> None:
    text = (GALLERY / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| [")]
    named = [row[1].strip().partition("](")[2].removesuffix(")") for row in rows]
    assert sorted(named) == [name_of(path) for path in SPECS]
    assert len({path.parent for path in SPECS}) >= 10
