"""`pipeprof.watch` and `pipeprof.keras.Profile` in one process of the user's, shared by all assertions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import time
import pipeprof

def read(i):
    time.sleep(0.002)
    return i

with pipeprof.watch("loop.json"):
    import tensorflow as tf

    def decode(i):
        x = tf.ensure_shape(tf.numpy_function(read, [i], tf.int64), [])
        x = tf.cast(x, tf.float32)[tf.newaxis]
        return x, x

    def make(count):
        return tf.data.Dataset.range(count).map(decode).batch(2)

    dataset, seen = make(150), 0
    for _ in range(2):
        for batch in dataset:
            seen += int(batch[0].shape[0])
assert seen == 300
real = tf.data.Dataset.__iter__

from pipeprof.keras import Profile
import keras

class Last(keras.callbacks.Callback):
    async_safe = True
    def on_train_begin(self, logs=None):
        self.iter = tf.data.Dataset.__iter__
    def on_epoch_end(self, epoch, logs=None):
        # However long the warm-up takes: when the steps are measured, the hooks are gone.
        self.model.stop_training = tf.data.Dataset.__iter__ is real

model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
model.compile(loss="mse")
profile, last = Profile(steps=40, out="fit.json"), Last()
model.fit(make(120), epochs=1000, verbose=0, callbacks=[profile, last])
assert last.iter is not real
assert tf.data.Dataset.__iter__ is real
print("waits:", [name for name in vars(Profile) if name.endswith("batch_end")])

train, other = make(200), make(100)
assert pipeprof.watch(train) is train
for batch in other:
    pass
for batch in train:
    pass
raise ValueError("at the end")
"""


@dataclass(frozen=True)
class Watched:
    code: int
    out: str
    err: str
    folder: Path

    def profile(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name).read_text())


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    folder = tmp_path_factory.mktemp("watch")
    (folder / "train.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )
    return Watched(done.returncode, done.stdout, done.stderr, folder)


def test_a_block_is_measured(watched: Watched) -> None:
    profile = watched.profile("loop.json")
    assert profile["complete"]
    assert (profile["target"]["kind"], profile["target"]["text"]) == ("script", "train.py")
    training = profile["training"]
    assert (training["consumer"], training["fetch"], training["ended"]) == ("loop", "exact", "the block")
    assert training["written"] == []
    # Each batch has two reads, one after the other.
    assert profile["steps"]["interval_ms"]["mean"] >= 4
    stages = {stage["op"]: stage for stage in profile["stages"]}
    assert Path(stages["map"]["location"]["file"]).name == "train.py"
    # TensorFlow was imported in the block.
    assert profile["memory"]["baseline_bytes"] > 0
    assert "pipeprof: the profile is loop.json: pipeprof show loop.json\n" in watched.err


def test_the_callback_measures_a_fit_and_ends_by_itself(watched: Watched) -> None:
    profile = watched.profile("fit.json")
    assert "waits: []" in watched.out
    assert profile["complete"]
    assert (profile["training"]["consumer"], profile["training"]["fetch"]) == ("fit", "mean")
    assert profile["steps"]["count"] == 40


def test_a_dataset_is_the_main_one_and_an_exception_ends_it(watched: Watched) -> None:
    assert watched.code == 1
    (saved,) = (watched.folder / "pipeprof-out").glob("train-*.json")
    profile = json.loads(saved.read_text())
    assert not profile["complete"]
    assert [use["main"] for use in profile["training"]["datasets"]] == [False, True]
    assert profile["steps"]["count"] > 0
    # It was there before; what the process held then is not TensorFlow's alone.
    assert profile["memory"]["baseline_bytes"] is None
    (problem,) = profile["errors"]
    assert "ValueError: at the end" in problem["message"]
    assert problem["line"] == SCRIPT.splitlines().index('raise ValueError("at the end")') + 1
    assert watched.err.index("ValueError: at the end") < watched.err.index(f"pipeprof show pipeprof-out/{saved.name}")
