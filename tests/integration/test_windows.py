"""Windows that are cut many at a time are the windows that were made one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from integration.changed_datasets import edited
from unit.advise.checks import only
from unit.advise.made_up import windows
from unit.view.views import tensor

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build, load_arrays
from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.changes.edits import VectoriseMap
from pipeprof.pipelines.changes.in_spec import changed_spec
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.profiles.advise.proposal import Proposal

pytestmark = pytest.mark.usefixtures("without_autograph", "recording")

ROWS = 80
WIDE = np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3)
FLAT = np.arange(ROWS, dtype=np.int64)
TEXT = np.array([f"row {number}" for number in range(ROWS)])

Window = tuple[int, int, int]
"""Size, shift and stride."""


def one_by_one(rows: Any, window: Window, *, drop_first: bool) -> tf.data.Dataset:
    """Windows as tutorials have them, of a tensor, a tuple or a dict."""
    size, shift, stride = window
    made = tf.data.Dataset.from_tensor_slices(rows).window(size, shift, stride, drop_remainder=drop_first)

    def batch(part: tf.data.Dataset) -> tf.data.Dataset:
        return part.batch(size, drop_remainder=not drop_first)

    if isinstance(rows, dict):
        return made.flat_map(lambda parts: tf.data.Dataset.zip({key: batch(part) for key, part in parts.items()}))
    if isinstance(rows, tuple):
        return made.flat_map(lambda *parts: tf.data.Dataset.zip(tuple(map(batch, parts))))
    return made.flat_map(batch)


def proposal(window: Window, count: int, keys: tuple[str, ...] | None = None, *, spec: bool = False) -> Proposal:
    """What is proposed, for so many components."""
    size, shift, stride = window
    element, steps = (tensor("float32", 3),) * count, {"shift": shift, "stride": stride}
    view = windows(element, steps, keys, {} if spec else None, size, bytes_per_element=400_000.0)
    return only("windows-at-once", view)


def plain(dataset: tf.data.Dataset) -> list[Any]:
    return [tf.nest.map_structure(lambda part: np.asarray(part).tolist(), one) for one in dataset]


LONG, WITH_GAPS, STRIDED, SINGLE = (26, 1, 1), (4, 9, 1), (5, 2, 3), (1, 1, 1)
# Which windows there are depends on the number of rows alone: their kinds are tried with one shape.
TRIED: list[tuple[Window, Any]] = [
    *((window, rows) for window in (LONG, WITH_GAPS) for rows in (WIDE, WIDE[:30], WIDE[:3])),
    (SINGLE, WIDE),
    *((STRIDED, rows) for rows in (FLAT, TEXT, (WIDE, FLAT), {"x": WIDE, "y": FLAT})),
]


@pytest.mark.parametrize("drop_first", [True, False])
@pytest.mark.parametrize(("window", "rows"), TRIED)
def test_the_windows_are_the_same(window: Window, rows: Any, drop_first: bool) -> None:
    many = len(rows) if isinstance(rows, dict | tuple) else 1
    before = one_by_one(rows, window, drop_first=drop_first)
    proposed = proposal(window, many, tuple(rows) if isinstance(rows, dict) else None)
    assert plain(edited(before, *proposed.edits)) == plain(before)


def test_what_comes_after_them_stays() -> None:
    before = one_by_one({"x": WIDE, "y": FLAT}, (26, 1, 1), drop_first=True).shuffle(50, seed=3).batch(8)
    after = edited(before, *proposal((26, 1, 1), 2).edits)
    assert list(after.element_spec) == ["x", "y"]
    assert plain(after) == plain(before)


def halves(part: Any) -> Any:
    return part[:-1], part[-1]


def test_a_map_after_them_can_take_whole_batches() -> None:
    """Before, its elements had no fixed shape, as far as the graph told."""
    before = one_by_one(WIDE, (26, 1, 1), drop_first=True).map(halves).batch(8)
    batches = VectoriseMap("stages.2", "stages.3")
    with pytest.raises(CannotChangeError, match="may differ in shape"):
        edited(before, batches)
    after = edited(before, *proposal((26, 1, 1), 1).edits, batches)
    assert plain(after) == plain(before)


SPEC = """
version: 1
source: {from_tensor_slices: {tensors: TENSORS}}
stages:
  - window: {size: 5, shift: 2, stride: 3}
  - flat_map: INSIDE
  - batch: {batch_size: 4}
"""
BATCH = "stages: [{batch: {batch_size: 5, drop_remainder: true}}]"
ARRAY = "{array: {shape: [300, 3], dtype: float32, seed: 1}}"


@pytest.mark.parametrize(
    ("tensors", "inside", "keys"),
    [
        (ARRAY, f"{{{BATCH}}}", None),
        (
            f"{{x: {ARRAY}, y: {ARRAY}}}",
            f"{{source: {{zip: {{datasets: {{x: {{on: x, {BATCH}}}, y: {{on: y, {BATCH}}}}}}}}}}}",
            ("x", "y"),
        ),
        (
            f"[{ARRAY}, {ARRAY}]",
            f"{{source: {{zip: {{datasets: [{{on: 0, {BATCH}}}, {{on: 1, {BATCH}}}]}}}}}}",
            ("0", "1"),
        ),
    ],
)
def test_a_spec_gives_the_same_windows(tensors: str, inside: str, keys: tuple[str, ...] | None, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC.replace("TENSORS", tensors).replace("INSIDE", inside), encoding="utf-8")
    loaded = load_spec(path)
    proposed = proposal((5, 2, 3), len(keys or "1"), keys, spec=True)
    before, after = (built(spec, tmp_path) for spec in (loaded, changed_spec(loaded, proposed.edits)))
    assert plain(after) == plain(before)


def built(loaded: LoadedSpec, folder: Path) -> tf.data.Dataset:
    context = BuildContext(folder)
    load_arrays(loaded.data, context)
    return build(loaded.data, context)
