"""Rows of a saved array read from its file: the same elements in the same order as slices of the array in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import yaml

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import build
from pipeprof.pipelines.changes.in_spec import apply_to_data
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.pipelines.spec.models import Spec
from pipeprof.profiles.advise.text.file_rows import records_instead
from pipeprof.profiles.view.attach_spec import with_written
from pipeprof.profiles.view.from_spec import view_of_spec

pytestmark = pytest.mark.usefixtures("without_autograph")

X, Y = {"npy": "x.npy"}, {"npy": "y.npy"}
SHUFFLED = [{"shuffle": {"buffer_size": 7, "seed": 3}}, {"repeat": {"count": 2}}]


def plain(data: dict[str, Any], folder: Path) -> tuple[Any, list[Any]]:
    dataset = build(Spec.model_validate(data), BuildContext(base_dir=folder))
    elements = [tf.nest.map_structure(lambda part: part.tolist(), one) for one in dataset.as_numpy_iterator()]
    return dataset.element_spec, elements


@pytest.mark.parametrize(
    ("tensors", "stages", "indexed"),
    [
        (X, [*SHUFFLED, {"batch": {"batch_size": 4}}, {"map": {"ops": [{"tf.multiply": {"y": 2}}]}}], 3),
        (X, [{"batch": {"batch_size": 4, "drop_remainder": True}}], 1),
        (X, SHUFFLED, 2),
        (Y, [{"batch": {"batch_size": 4}}], 1),
        ({"image": X, "label": Y}, [*SHUFFLED, {"batch": {"batch_size": 4}}], 3),
        ([X, Y], [], 0),
    ],
)
def test_elements_and_their_order_are_those_of_the_array(
    tmp_path: Path, tensors: Any, stages: list[Any], indexed: int
) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(1).random((30, 4, 3), dtype=np.float32))
    np.save(tmp_path / "y.npy", np.arange(30, dtype=np.uint8))
    data = {"version": 1, "source": {"from_tensor_slices": {"tensors": tensors}}, "stages": stages}
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    loaded = load_spec(tmp_path / "a.yaml")
    view = with_written(view_of_spec(loaded), loaded)
    edits = records_instead(view.stages[0], view.stages[1 : indexed + 1])
    assert edits is not None
    assert plain(apply_to_data(data, edits), tmp_path) == plain(data, tmp_path)
