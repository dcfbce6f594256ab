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

from pipeprof.pipelines.edits.edits import SetArgument, to_document
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.experiment.jobs import Change, JobMaker
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.job import IteratedAt
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


def run(folder: Path, *words: str, copied: bool = False) -> tuple[int, dict[str, Any], str]:
    """Run the script; returns the exit code, the profile and the report."""
    (folder / "train.py").write_text(SCRIPT)
    words = ("run", "train.py", "--no-lock", "--out", "profile.json", *words)
    if copied:
        done = forked.run(words, folder, forked.AS_FOR_USERS)
    else:
        command = [sys.executable, "-m", "pipeprof", *words]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, json.loads((folder / "profile.json").read_text()), done.stdout + done.stderr


@pytest.fixture(scope="module")
def looped(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("loop"), "--steps", "60", "--", "loop", "40")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    return run(tmp_path_factory.mktemp("fit"), "--steps", "60", "--", "fit", "40", copied=True)


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
    assert profile["memory"]["peak_bytes"] > profile["memory"]["baseline_bytes"] > 0
    assert [phase["name"] for phase in profile["phases"]][-3:] == ["warmup", "measure", "trace"]


ENDLESS = """
import keras
import tensorflow as tf

train, test = (tf.data.Dataset.range(count).map(lambda x: (tf.cast(x, tf.float32)[None], 0.0)) for count in (90, 4))
model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
model.compile(loss="mse")
model.fit(train.repeat().batch(2), steps_per_epoch=20, epochs=100000, validation_data=test.batch(2), verbose=0)
"""


def test_all_epochs_of_a_dataset_without_an_end_are_measured(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(ENDLESS)
    words = ["run", "train.py", "--no-lock", "--no-verify", "--steps", "100", "--out", "profile.json"]
    done = forked.run(words, tmp_path, forked.AS_FOR_USERS)
    assert done.returncode == 0, done.stderr
    profile = json.loads((tmp_path / "profile.json").read_text())
    main, _ = profile["training"]["datasets"]
    assert (main["iterators"], main["epochs"], profile["steps"]["count"]) == (1, 1, 100)
    assert main["batches"] >= 20 * (profile["training"]["validations"] - 1) > 100


ANEW = """
import time
import tensorflow as tf

base = tf.data.Dataset.range(60)
for epoch in range(1000):
    train = base.map(lambda x: x + 1)
    if epoch % 2:
        train = LAST
    else:
        train = train.batch(2)
    for x in train:
        time.sleep(0.001)
"""


@pytest.mark.parametrize("last", ["train.batch(2)", "train.take(9)"])
def test_a_dataset_that_is_made_anew_in_each_epoch_has_the_lines_of_an_equal_one(tmp_path: Path, last: str) -> None:
    """Only the first one's creation is observed."""
    (tmp_path / "train.py").write_text(ANEW.replace("LAST", last))
    words = ["run", "train.py", "--no-lock", "--no-verify", "--steps", "100", "--out", "profile.json"]
    done = forked.run(words, tmp_path, forked.AS_FOR_USERS)
    assert done.returncode == 0, done.stderr
    profile = json.loads((tmp_path / "profile.json").read_text())
    places = [stage["location"] and stage["location"]["line"] for stage in profile["stages"][:3]]
    assert places == ([5, 7, 11] if last == "train.batch(2)" else [None] * 3)


def test_fit_is_measured_by_means(fitted: tuple[int, dict[str, Any], str]) -> None:
    code, profile, report = fitted
    assert code == 0
    training, steps = profile["training"], profile["steps"]
    assert (training["consumer"], training["interval"], training["fetch"]) == ("fit", "exact", "mean")
    assert steps["count"] == 60
    assert 0 < steps["fetch_ms"]["mean"] < steps["interval_ms"]["mean"]
    assert training["validations"] > 0
    assert [use["role"] for use in training["datasets"]] == ["training", "validation"]
    assert "fetch and wait are known as means only" in report


TURNS = """
import sys, threading, time
import tensorflow as tf

running = most = seen = 0
lock = threading.Lock()

def read(i):
    global running, most
    with lock:
        running += 1
        most = max(most, running)
    time.sleep(0.004)
    with lock:
        running -= 1
    return i

def decode(i):
    return tf.cast(tf.ensure_shape(tf.numpy_function(read, [i], tf.int64), []), tf.float32)[tf.newaxis]

def make():
    return tf.data.Dataset.range(int(sys.argv[1])).map(decode).batch(2)

for _ in range(int(sys.argv[2])):
    for batch in make():
        seen += int(batch.shape[0])
    print("at once", most, flush=True)
print("seen", seen, sys.stdin.read())
if len(sys.argv) > 3:
    raise ValueError(sys.argv[3])
sys.exit(7)
"""


MANY_STEPS = """
import tensorflow as tf

ds = tf.data.Dataset.range(64).map(lambda x: x + 1).repeat()
batches = iter(ds)

@tf.function
def train(batches, steps):
    total = tf.constant(0, tf.int64)
    for _ in tf.range(steps):
        total += next(batches)
    return total

while True:
    train(batches, tf.constant(1000))
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("turns")
    (folder / "train.py").write_text(TURNS)
    return folder


def measure_turns(script: Path) -> dict[str, Any]:
    """Of workers that run the script as it is, with a change, from stored batches, and without training."""
    target = parse_target(str(script), scripts=True)
    line = TURNS.splitlines().index("    for batch in make():") + 1
    settings = RunSettings(target=target, script_args=("40", "1000"), main=IteratedAt(str(script), line, "loop"))
    jobs = JobMaker(settings, None, memory_limit=None, digest_seconds=20, data_progress=lambda *_: None)
    edit = SetArgument("stages.0", "map", "num_parallel_calls", 8)
    changed = jobs.edited(Change(edits=(json.dumps(to_document(edit)),)))
    step = {"mean_ms": 1.0, "p50_ms": 1.0, "p95_ms": 1.0, "p99_ms": 1.0, "max_ms": 1.0, "dispatch": "sync"}
    replaying = JobMaker(
        replace(settings, replayed=step), None, memory_limit=None, digest_seconds=20, data_progress=lambda *_: None
    )
    taken = replaying.workers(["taken"], None, [[json.dumps(to_document(edit))]])
    return turns_of({"own": jobs.untouched(), "changed": changed["B1"], "stored": jobs.stored(3)["B1"], **taken})


def measure_graph_turns(script: Path) -> dict[str, Any]:
    """Of workers whose tf.function takes the batches: as it is, with a change, from stored batches."""
    script = script.with_name("many_steps.py")
    script.write_text(MANY_STEPS)
    line = MANY_STEPS.splitlines().index("batches = iter(ds)") + 1
    settings = RunSettings(target=parse_target(str(script), scripts=True), main=IteratedAt(str(script), line, "loop"))
    jobs = JobMaker(settings, None, memory_limit=None, digest_seconds=20, data_progress=lambda *_: None)
    edit = json.dumps(to_document(SetArgument("stages.0", "map", "num_parallel_calls", 8)))
    changed = jobs.edited(Change(edits=(edit,)))
    stored = jobs.stored(3, modelled=True)
    return turns_of({"own": jobs.untouched(), "changed": changed["B1"], "stored": stored["B1"]})


def turns_of(several: dict[str, Any]) -> dict[str, Any]:
    """A warm-up and a block of each worker."""
    turns: dict[str, Any] = {}
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        built = team.start(several, seconds=200)
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


def test_a_function_that_takes_the_batches_takes_turns(script: Path) -> None:
    turns = turns_in(script, "graph_turns")
    for turn in turns.values():
        assert turn["warmed"] > 1
        assert turn["steps"] >= 50
    assert turns["own"]["batches"] == turns["changed"]["batches"] != turns["stored"]["batches"]


def turns_in(script: Path, which: str) -> dict[str, Any]:
    code = (
        f"import json, pathlib\nfrom integration.test_training_script import measure_{which}\n"
        f"print(json.dumps(measure_{which}(pathlib.Path('train.py').resolve())))"
    )
    done = forked.run([], script, code)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_change_is_measured_in_the_script_itself(script: Path) -> None:
    """A dataset that is built again each epoch is changed each time; stored batches are read once; one is taken."""
    turns = turns_in(script, "turns")
    for turn in turns.values():
        assert turn["warmed"] > 1
        assert turn["steps"] >= 50
        assert (turn["restarts"] or 0) >= 2
    own = turns["own"]["batches"]
    assert own == turns["changed"]["batches"] == turns["taken"]["batches"]
    printed = {name: turn["printed"] for name, turn in turns.items()}
    assert "at once 1\n" in printed["own"]
    assert "at once 2\n" not in printed["own"]
    assert "at once 1\n" not in printed["changed"]
    assert "at once" in printed["stored"]
    # It does not train.
    assert "at once" not in printed["taken"]


EPOCHS = (
    TURNS.split("for _ in range", maxsplit=1)[0]
    + """
def took(epoch):
    global most
    print(epoch, "at once" if most > 1 else "one by one", flush=True)
    most = 0

def loop(count):
    dataset = make()
    for epoch in range(count):
        for batch in dataset:
            pass
        took(epoch)

def fit(count):
    import keras
    class Took(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            took(epoch)
    model = keras.Sequential([keras.Input([1]), keras.layers.Dense(1)])
    model.compile(loss="mse")
    model.fit(make().map(lambda x: (x, x)), epochs=count, verbose=0, callbacks=[Took()])

globals()[sys.argv[3]](int(sys.argv[2]))
"""
)


def measure_epochs(script: Path, how: str, role: str) -> dict[str, Any]:
    """Of one process, whose epochs are of its own dataset and of the changed one, until it has no more."""
    target = parse_target(str(script), scripts=True)
    called = {"loop": "        for batch in dataset:", "fit": "    model.fit(make()"}[how]
    line = next(number for number, text in enumerate(EPOCHS.splitlines(), 1) if text.startswith(called))
    settings = RunSettings(target=target, script_args=("40", "5", how), main=IteratedAt(str(script), line, role))
    jobs = JobMaker(settings, None, memory_limit=None, digest_seconds=20, data_progress=lambda *_: None)
    edit = SetArgument("stages.0", "map", "num_parallel_calls", 8)
    job = jobs.edited(Change(edits=(json.dumps(to_document(edit)),)))["B1"].in_epochs()
    steps, ended = [], ""
    with Signals().installed() as signals, Team(signals, None).closing() as team:
        built = team.start({"B1": job}, seconds=200)["B1"]
        for own in (True, False, False, True, True):
            steps.append(team.turn("B1", TurnRequest("block", settle_seconds=9.0, own=own), seconds=200).steps)
        try:
            team.turn("B1", TurnRequest("block", own=True), seconds=200)
        except MemberFailedError as error:
            ended = error.reason
        printed = team._members["B1"].worker.output.text()
    batches = [[batch.data for batch in found] for found in (built.batches, *built.own)]
    return {"steps": steps, "ended": ended, "printed": printed, "batches": batches}


@pytest.mark.parametrize(("how", "role"), [("loop", "loop"), ("fit", "training")])
def test_epochs_of_one_process_take_turns(tmp_path: Path, how: str, role: str) -> None:
    """Each iterates the dataset that its turn names; `fit` makes two iterators for each."""
    (tmp_path / "train.py").write_text(EPOCHS)
    code = (
        "import json, pathlib\nfrom integration.test_training_script import measure_epochs\n"
        f"print(json.dumps(measure_epochs(pathlib.Path('train.py').resolve(), {how!r}, {role!r})))"
    )
    done = forked.run([], tmp_path, code)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    own, other = "one by one", "at once"
    printed = [line for line in found["printed"].splitlines() if line.endswith((own, other))]
    # The first one still has what describing the first batches has read.
    assert printed[1:] == [f"1 {other}", f"2 {other}", f"3 {own}", f"4 {own}"]
    # Of 20 steps, the first one and a quarter are warm-up; of `fit`, the end of the last one is not known.
    assert found["steps"] == [14] * 5
    assert "the script finished" in found["ended"]
    changed, once, twice = found["batches"]
    assert changed == once == twice
    assert len(changed) == 8


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
    GROWTH
"""


@pytest.mark.parametrize(
    ("growth", "grows", "soaked"), [("remember(epoch)", True, "12s"), ("np.full(125_000, 0.0)", False, "5s")]
)
def test_a_soak_tells_growth_from_a_plateau(tmp_path: Path, growth: str, soaked: str, *, grows: bool) -> None:
    (tmp_path / "train.py").write_text(GROWS.replace("GROWTH", growth))
    words = ["run", "train.py", "--no-lock", "--out", "p.json", "--soak", soaked]
    done = forked.run(words, tmp_path, forked.AS_FOR_USERS)
    assert done.returncode == 0, done.stdout + done.stderr
    profile = json.loads((tmp_path / "p.json").read_text())
    soak = profile["memory"]["soak"]
    assert (soak["state"] == "growth") is grows
    assert ("memory-grows" in [finding["rule"] for finding in profile["findings"]]) is grows
    assert soak["series"]["epoch"][-1] > 3
    if grows:
        assert (soak["owner"]["owner"], soak["owner"]["location"]["line"]) == ("python", 10)
        assert soak["bytes_per_epoch"] == pytest.approx(1e6, rel=0.2)
        assert "Memory grows by" in done.stdout
    else:
        assert "leak" not in [warning["code"] for warning in profile["warnings"]]
