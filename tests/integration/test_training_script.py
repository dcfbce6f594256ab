"""A training script as the target, run as it is: one run of a loop, one of `fit`, shared by all assertions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from integration import forked

from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.pipelines.steps.step import RECORDED
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.protocol.options import IteratedAt, StepJob
from pipeprof.profiles.protocol.turns import TurnRequest

SCRIPT = """
import sys
# What these read when they are imported is the script's to set. The run of `fit` is a copy, where they are there.
assert sys.argv[1] == "fit" or not {"numpy", "tensorflow", "keras", "absl", "google.protobuf"} & set(sys.modules)
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


def run(folder: Path, script: str, *words: str, code: str | None = forked.COMMAND) -> tuple[dict[str, Any], str]:
    """Run a script, in a copy that runs `code` or in a process of its own; its profile and report."""
    (folder / "train.py").write_text(script)
    words = ("run", "train.py", "--no-verify", "--out", "profile.json", *words)
    if code is not None:
        done = forked.run(words, folder, code)
    else:
        command = [sys.executable, "-m", "pipeprof", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return json.loads((folder / "profile.json").read_text()), said


def test_a_loop_is_measured_and_its_pipeline_has_lines_and_costs(tmp_path: Path) -> None:
    profile, report = run(tmp_path, SCRIPT, "--steps", "60", "--", "loop", "40", code=None)
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
    stages = {stage["op"]: stage for stage in profile["stages"]}
    assert Path(stages["map"]["location"]["file"]).name == "train.py"
    assert profile["memory"]["peak_bytes"] > profile["memory"]["baseline_bytes"] > 0
    assert [phase["name"] for phase in profile["phases"]][-3:] == ["warmup", "measure", "trace"]


ANEW = """
import time
import tensorflow as tf

base = tf.data.Dataset.range(60)
for epoch in range(1000):
    train = base.map(lambda x: x + 1)
    for x in train.batch(2):
        time.sleep(0.001)
"""


def test_a_dataset_that_is_made_anew_in_each_epoch_has_the_lines_of_an_equal_one(tmp_path: Path) -> None:
    """Only the first one's creation is observed."""
    profile, _ = run(tmp_path, ANEW, "--steps", "100")
    assert [stage["location"]["line"] for stage in profile["stages"][:3]] == [5, 7, 8]


def test_fit_is_measured_by_means(tmp_path: Path) -> None:
    profile, _ = run(tmp_path, SCRIPT, "--steps", "60", "--", "fit", "40")
    training, steps = profile["training"], profile["steps"]
    assert (training["consumer"], training["interval"], training["fetch"]) == ("fit", "exact", "mean")
    assert steps["count"] == 60
    assert 0 < steps["fetch_ms"]["mean"] < steps["interval_ms"]["mean"]
    assert training["validations"] > 0
    assert [use["role"] for use in training["datasets"]] == ["training", "validation"]


TAKEN = """
import sys
import tensorflow as tf

def make():
    return tf.data.Dataset.range(40).map(lambda i: i + 1).batch(2)

for _ in range(int(sys.argv[1])):
    for batch in make():
        print("trains", flush=True)
"""


def measure_taken(script: Path) -> dict[str, Any]:
    """A warm-up and a block of workers that take the dataset out of the script: as it is, and with a change."""
    target = parse_target(str(script), scripts=True)
    line = TAKEN.splitlines().index("    for batch in make():") + 1
    step = {"mean_ms": 1.0, "p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "max_ms": 1.0, "dispatch": "sync"}
    main = IteratedAt(str(script), line, "loop")
    options = make_options(target, script_args=["1000"], main=main)
    settings = replace(options, step=StepJob(RECORDED, step), dispatch="sync")
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=20, data_progress=lambda *_: None)
    edit = SetArgument("stages.0", "map", "num_parallel_calls", 8)
    several = {"own": jobs.untouched(), "changed": jobs.in_calls([edit])}
    turns: dict[str, Any] = {}
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        built: Any = dict(team.start(several, seconds=200))
        for name in several:
            warmed = team.turn(name, TurnRequest("warm", 0.1), seconds=200)
            ended = team.turn(name, TurnRequest("block", 0.1, 50, 0.0), seconds=200)
            turns[name] = {
                "batches": [batch.data for batch in built[name].batches],
                "warmed": warmed.steps,
                "steps": ended.steps,
                "restarts": ended.restarts,
                "printed": team._members[name].worker.output.text(),
            }
    return turns


def test_the_dataset_is_taken_out_of_the_script_which_does_not_train(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TAKEN)
    code = (
        "import json, pathlib\nfrom integration.test_training_script import measure_taken\n"
        "print(json.dumps(measure_taken(pathlib.Path('train.py').resolve())))"
    )
    done = forked.run([], tmp_path, code)
    assert done.returncode == 0, done.stderr
    turns = json.loads(done.stdout)
    for turn in turns.values():
        assert turn["warmed"] > 1
        assert turn["steps"] >= 50
        assert (turn["restarts"] or 0) >= 2
        assert "trains" not in turn["printed"]
    assert turns["own"]["batches"] == turns["changed"]["batches"]


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
        time.sleep(0.01)
    remember(epoch)
"""


def test_a_soak_tells_growth(tmp_path: Path) -> None:
    profile, said = run(tmp_path, GROWS, "--soak", "12s", code=forked.AS_FOR_USERS)
    soak = profile["memory"]["soak"]
    assert soak["state"] == "growth"
    assert "memory-grows" in [finding["rule"] for finding in profile["findings"]]
    assert soak["series"]["epoch"][-1] > 3
    assert soak["owner"] == "python"
    assert soak["bytes_per_epoch"] == pytest.approx(1e6, rel=0.2)
    assert "Memory grows by" in said
