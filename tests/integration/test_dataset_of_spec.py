"""`pipeprof.dataset`: the dataset of a spec in the user's own Python is the one that a run measures."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration import forked

import pipeprof

SPEC = """
version: 1
data: {rows: {npy: {shape: [40], dtype: int64, fill: arange}}}
source: {from_tensor_slices: {tensors: {npy: "data:rows/data.npy"}}}
stages:
  - shuffle: {buffer_size: 40}
  - map: {python: "functions.py:noted"}
measure: {seed: 7, steps: 50}
"""
FUNCTIONS = """
import pathlib
import tensorflow as tf

def noted(number):
    def note(value):
        with pathlib.Path(__file__).with_name("seen.txt").open("a") as file:
            print(value.numpy(), file=file)
        return value
    return tf.py_function(note, [number], tf.int64)
"""


def test_its_elements_are_those_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    built = [int(number) for number in pipeprof.dataset(tmp_path / "spec.yaml").as_numpy_iterator()]
    assert sorted(built) == list(range(40)) != built
    (tmp_path / "seen.txt").unlink()
    done = forked.run(["run", "spec.yaml", "--no-verify", "--seconds", "0.1"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert [int(number) for number in (tmp_path / "seen.txt").read_text().split()][:40] == built
