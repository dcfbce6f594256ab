"""What a `numpy_function` computes on what it has read, as lines with TensorFlow's ops in the map itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.profiles.advise.edits.own_python import in_less_python
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Component, PythonCost, Stage

FILE = """
import numpy as np
import tensorflow as tf

def load(path):
    x = np.load(path.decode())
    x = (x - x.mean()) / x.std()
    return np.clip(x, -2, 2), np.int64(x.sum())

def get(path, label):
    x, total = tf.numpy_function(load, [path], [tf.float32, tf.int64])
    x.set_shape([4, 4])
    return x, total, label

dataset = names.map(get)
"""


def lines(folder: Path, text: str, parts: dict[int, float], parent: str = "PyFunc") -> list[str] | None:
    file = folder / "input.py"
    file.write_text(text)
    cost = PythonCost(
        function="load", file=str(file), line=7, lines=[*parts.items()], parent=parent, ms_per_batch=9.0, share=1.0
    )
    shapes = (("float32", [4, 4]), ("int64", []), ("int64", []))
    components = [Component(name=str(at), dtype=kind, shape=shape) for at, (kind, shape) in enumerate(shapes)]
    place = Location(file=str(file), line=15, column=17, call="map")
    stage = Stage(
        id="stages.0", origin="written", op="map", name="get", python=[cost], location=place, element_spec=components
    )
    found = in_less_python(stage)
    return found[1].splitlines() if found is not None and "only reading stays Python" in found[0] else None


def test_only_reading_stays_python(tmp_path: Path) -> None:
    assert lines(tmp_path, FILE, {6: 0.4, 7: 0.6}) == [
        "# in place of get(), input.py:15",
        "def read_in_load(path):",
        "    x = np.load(path.decode())",
        "    return x",
        "def get(path, label):",
        "    x = tf.numpy_function(lambda path: np.asarray(read_in_load(path), 'float32'), [path], tf.float32)",
        "    x = (x - tf.reduce_mean(x)) / tf.math.reduce_std(x)",
        "    x, total = tf.ensure_shape(tf.clip_by_value(x, -2, 2), [4, 4]), "
        "tf.ensure_shape(tf.cast(tf.reduce_sum(x), tf.int64), [])",
        "    return x, total, label",
    ]


@pytest.mark.parametrize(
    ("old", "new", "parts", "parent"),
    [
        ("", "", {6: 0.8, 7: 0.2}, "PyFunc"),
        ("", "", {6: 0.4, 7: 0.6}, "EagerPyFunc"),
        ("np.clip(x, -2, 2)", "cv2.blur(x, 3)", {6: 0.4, 7: 0.6}, "PyFunc"),
        ("    x = (x", "    label = x.min()\n    x = (x", {6: 0.4, 7: 0.6}, "PyFunc"),
    ],
    ids=["reading takes the time", "tensors", "another library", "a name of the map's"],
)
def test_others_stay_as_they_are(tmp_path: Path, old: str, new: str, parts: dict[int, float], parent: str) -> None:
    assert lines(tmp_path, FILE.replace(old, new) if old else FILE, parts, parent) is None
