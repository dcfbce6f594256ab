"""Steps in JAX and PyTorch, with the libraries: `make test-extras` installs them, `make test` does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
import tensorflow as tf

def images():
    def one(number):
        return tf.random.stateless_uniform((16, 16, 3), seed=(1, number)), number % 10
    return tf.data.Dataset.range(512, output_type=tf.int32).map(one).batch(32).repeat()

def texts():
    return tf.data.Dataset.from_tensors("a").repeat().batch(4)

def in_jax(images, labels):
    import jax.numpy as jnp
    assert images.shape == (32, 16, 16, 3) and labels.dtype == jnp.int32
    return jnp.sum(images) + jnp.sum(labels)

def in_torch(images, labels):
    import torch
    assert isinstance(images, torch.Tensor) and images.shape == (32, 16, 16, 3) and labels.dtype == torch.int32
    return torch.nn.functional.conv2d(images.permute(0, 3, 1, 2), torch.ones((4, 3, 3, 3))).sum()

def model():
    import keras
    layers = keras.layers
    made = keras.Sequential([layers.Input((16, 16, 3)), layers.GlobalAveragePooling2D(), layers.Dense(10)])
    made.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made
"""


def run(folder: Path, target: str, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(PIPELINE)
    command = [sys.executable, "-m", "pipeprof", "run", f"train.py:{target}", "--step", step, "--seconds", "1"]
    variables = {**__import__("os").environ, **environment}
    return subprocess.run(
        [*command, "--no-verify", "--no-lock", "--out", "profile.json", "--force"],
        cwd=folder, capture_output=True, text=True, env=variables, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("library", ["jax", "torch"])
def test_a_step_gets_arrays_of_its_library_and_handing_over_is_counted_apart(library: str, tmp_path: Path) -> None:
    done = run(tmp_path, "images", f"{library}:train.py:in_{library}")

    assert done.returncode == 0, done.stderr
    profile = json.loads((tmp_path / "profile.json").read_text())
    device, steps = profile["device"], profile["steps"]
    assert (device["kind"], device["on"], steps["dispatch"]) == (library, "cpu", "sync")
    assert 0 < device["numpy_ms"] < steps["interval_ms"]["mean"]
    assert 0 < device["copy_ms"] < steps["interval_ms"]["mean"]
    assert device["gaps"]["by_cause"]["copy"] > 0
    assert steps["busy_ms"]["mean"] + device["numpy_ms"] + device["copy_ms"] <= 1.01 * steps["interval_ms"]["mean"]
    assert "Handing a batch over takes" in done.stdout


@pytest.mark.parametrize(("library", "name"), [("jax", "JAX"), ("torch", "PyTorch")])
def test_text_cannot_be_handed_over(library: str, name: str, tmp_path: Path) -> None:
    done = run(tmp_path, "texts", f"{library}:train.py:in_{library}")

    assert done.returncode == 2
    assert f"the step takes arrays of {name}, but a batch has text" in done.stderr


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_keras_trains_on_its_other_backends(backend: str, tmp_path: Path) -> None:
    done = run(tmp_path, "images", "keras:train.py:model", KERAS_BACKEND=backend)

    assert done.returncode == 0, done.stderr
    device = json.loads((tmp_path / "profile.json").read_text())["device"]
    assert device["computes"].endswith(f"as in fit on {backend}")
    assert device["numpy_ms"] > 0
