"""Steps and training scripts in JAX and PyTorch: `make test-extras` installs the libraries, `make test` does not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

TRAINING = Path(__file__).parents[2] / "benchmarks" / "training"
sys.path.append(str(TRAINING))
from planted_cases import CASES  # noqa: E402

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


def profiled(folder: Path, *target: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeprof", "run", *target, "--seconds", "1"]
    return subprocess.run(
        [*command, "--no-verify", "--out", "profile.json", "--force"],
        cwd=folder, capture_output=True, text=True, env=os.environ | environment, timeout=300, check=False,
    )  # fmt: skip


def run(folder: Path, target: str, step: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "train.py").write_text(PIPELINE)
    return profiled(folder, f"train.py:{target}", "--step", step, **environment)


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


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.library])
def test_a_training_is_measured_as_the_table_of_kinds_has_it(name: str, tmp_path: Path) -> None:
    done = profiled(tmp_path, str(TRAINING / "planted" / f"{name}.py"))

    assert done.returncode == 0, done.stderr
    profile, case = json.loads((tmp_path / "profile.json").read_text()), CASES[name]
    steps, training = profile["steps"], profile["training"]
    assert [training[one] for one in ("interval", "fetch", "wait")] == [case.interval, case.fetch, case.wait]
    assert (steps["wait_ms"] is None) == (case.wait is None)
    assert "source-in-python" not in [finding["rule"] for finding in profile["findings"]]
    # A batch sleeps 20 ms and a step 10: a loaded machine makes both longer, never shorter.
    assert steps["fetch_ms"]["mean"] >= 19.9
    assert steps["interval_ms"]["mean"] >= 29.9


def test_a_loader_of_torch_is_named_as_the_source(tmp_path: Path) -> None:
    script = "import torch\nfor _ in torch.utils.data.DataLoader(list(range(100))):\n    pass\n"
    (tmp_path / "train.py").write_text(script)
    done = profiled(tmp_path, "train.py")

    assert done.returncode != 0
    assert "a DataLoader" in done.stdout
