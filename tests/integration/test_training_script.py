"""A training script as the target, run as it is: one run of a loop, one of `fit`, shared by all assertions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import sys
# What these read when they are imported is the script's to set.
assert not {"numpy", "tensorflow", "keras", "absl", "google.protobuf"} & set(sys.modules)
import os, time
import tensorflow as tf

def read(i):
    time.sleep(0.004)
    return i

def decode(i):
    x = tf.ensure_shape(tf.numpy_function(read, [i], tf.int64), [])
    x = tf.cast(x, tf.float32)[tf.newaxis]
    return x, x

def make(count):
    return tf.data.Dataset.range(count).map(decode).batch(2)

def loop(count):
    train, other = make(count), make(4)
    for _ in range(1000):
        for batch in train:
            time.sleep(0.002)
        for batch in other:
            pass

def fit(count):
    import keras
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(make(count), epochs=1000, validation_data=make(4), verbose=0)

if __name__ == "__main__":
    assert sys.path[0] == os.path.dirname(os.path.abspath(__file__))
    globals()[sys.argv[1]](int(sys.argv[2]))
    print("never printed")
"""


def run(folder: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Run the script; returns the exit code, the profile and the report."""
    (folder / "train.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "pipeprof", "run", "train.py", "--no-lock", "--out", "profile.json", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, json.loads((folder / "profile.json").read_text()), done.stdout + done.stderr


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("loop"), "--steps", "60", "--", "loop", "40")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("fit"), "--steps", "60", "--", "fit", "40")


def test_a_loop_is_measured(looped: tuple[int, dict[str, Any], str]) -> None:
    code, profile, report = looped
    assert code == 0
    assert profile["complete"]
    assert profile["target"]["kind"] == "script"
    assert profile["target"]["script_arguments"] == ["loop", "40"]
    training, steps = profile["training"], profile["steps"]
    assert (training["consumer"], training["fetch"], training["wait"]) == ("loop", "exact", "exact")
    assert steps["count"] == 60
    assert steps["epoch_steps"] == pytest.approx(20)
    # Each batch has two reads, one after the other; the step sleeps.
    assert steps["interval_ms"]["mean"] >= 8
    assert steps["busy_ms"]["p50"] >= 2
    main, other = training["datasets"]
    assert main["main"]
    assert main["batches"] > other["batches"] > 0
    assert main["datasets"] == 1
    assert training["epochs"] <= main["iterators"] <= training["epochs"] + 1
    assert training["between_seconds"] > 0
    assert "trains for real" in report
    assert "never printed" not in report
    assert "Also iterated (train.py:" in report


def test_its_pipeline_has_lines_and_costs(looped: tuple[int, dict[str, Any], str]) -> None:
    _, profile, _ = looped
    stages = {stage["op"]: stage for stage in profile["stages"]}
    assert Path(stages["map"]["location"]["file"]).name == "train.py"
    assert stages["map"]["share"] > 0.5
    assert profile["memory"]["peak_bytes"] > profile["memory"]["baseline_bytes"] > 0
    assert [phase["name"] for phase in profile["phases"]][-3:] == ["warmup", "measure", "trace"]


def test_fit_is_measured_by_means(fitted: tuple[int, dict[str, Any], str]) -> None:
    code, profile, report = fitted
    assert code == 0
    training, steps = profile["training"], profile["steps"]
    assert (training["consumer"], training["interval"], training["fetch"]) == ("fit", "exact", "mean")
    assert steps["count"] == 60
    assert 0 < steps["fetch_ms"]["mean"] < steps["interval_ms"]["mean"]
    assert training["validations"] > 0
    assert [use["role"] for use in training["datasets"]] == ["training", "validation"]
    assert "fetch and wait are means" in report


GROWS = """
import time
import numpy as np
import tensorflow as tf

dataset = tf.data.Dataset.range(40).batch(4)
kept = []

def remember(epoch):
    kept.append(np.full(125_000, float(epoch)))

for epoch in range(100_000):
    for batch in dataset:
        time.sleep(0.001)
    GROWTH
"""


@pytest.mark.parametrize(("growth", "grows"), [("remember(epoch)", True), ("np.full(125_000, 0.0)", False)])
def test_a_soak_tells_growth_from_a_plateau(tmp_path: Path, growth: str, *, grows: bool) -> None:
    (tmp_path / "train.py").write_text(GROWS.replace("GROWTH", growth))
    command = [sys.executable, "-m", "pipeprof", "run", "train.py", "--no-lock", "--out", "p.json", "--soak", "5s"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    profile = json.loads((tmp_path / "p.json").read_text())
    soak = profile["memory"]["soak"]
    assert (soak["state"] == "growth") is grows
    assert ("memory-grows" in [finding["rule"] for finding in profile["findings"]]) is grows
    assert soak["series"]["epoch"][-1] > 3
    if grows:
        assert (soak["owner"]["owner"], soak["owner"]["location"]["line"]) == ("python", 10)
        assert soak["bytes_per_epoch"] == pytest.approx(1e6, rel=0.2)
        assert "train.py:10 are kept" in done.stdout
    else:
        assert "Memory in use: plateau" in done.stdout or "Memory" in done.stdout
