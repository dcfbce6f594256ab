"""What must not happen by accident: a training during an import, and a file that a script overwrites."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from integration.left_over import MARK, left

from pipeprof.pipelines.target.running import guard_imports, import_file
from pipeprof.profiles.worker.script.hooks import Hooks, Observer
from pipeprof.profiles.worker.script.import_guard import ImportGuard
from pipeprof.profiles.worker.script.writes import READERS, Existing, Loss, WriteWatch

OLD = 1_600_000_000
MODEL = """
import keras
import tensorflow as tf
rows = tf.data.Dataset.range(200).map(lambda i: (tf.zeros([4]), tf.zeros([1])))
model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
model.compile(loss="mse")
"""
TRAININGS = {
    "fit": (f"{MODEL}\ntry:\n    model.fit(rows.batch(4))\nexcept Exception:\n    pass\n", 9, "(model.fit)"),
    "loop": ("import tensorflow as tf\nfor _ in tf.data.Dataset.range(101):\n    pass\n", 2, "more than 100 batches"),
}
PREPARATION = f"""
{MODEL}
norm = keras.layers.Normalization()
norm.adapt(rows.map(lambda x, y: x).batch(1))
first = next(iter(rows))
for x, y in rows.take(100):
    shape = x.shape
count = rows.reduce(0, lambda n, _: n + 1)
model.predict(rows.batch(4), verbose=0)
"""


class Stopped(BaseException):
    """Stands for the end of the process."""


def stop(error: object) -> None:
    raise Stopped(str(error))


@pytest.fixture
def guarded() -> Iterator[None]:
    ImportGuard(stop).begin()
    yield
    guard_imports(nullcontext)


def imported(folder: Path, text: str) -> object:
    path = folder / f"target_{uuid.uuid4().hex}.py"
    path.write_text(text)
    return import_file(path, path.stem)


@pytest.mark.usefixtures("guarded")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_ends_the_import(tmp_path: Path, name: str) -> None:
    text, line, words = TRAININGS[name]
    with pytest.raises(Stopped) as stopped:
        imported(tmp_path, text)
    said = str(stopped.value)
    assert f".py:{line} " in said
    assert words in said
    assert "when the file is imported" in said


@pytest.mark.usefixtures("guarded")
def test_what_prepares_one_goes_on_and_no_wrapper_is_left(tmp_path: Path) -> None:
    import tensorflow as tf

    before = tf.data.Dataset.__iter__
    imported(tmp_path, PREPARATION)
    assert tf.data.Dataset.__iter__ is before
    # What is not a part of the import is not looked at.
    assert sum(1 for _ in tf.data.Dataset.range(500)) == 500


class Saving(Observer):
    def __init__(self, watch: WriteWatch) -> None:
        self._watch = watch

    def saving(self, method: str, arguments: Sequence[Any], named: Mapping[str, Any]) -> None:
        self._watch.saving(method, arguments, named)


def test_writers_of_keras_and_tensorflow_are_seen_before_they_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py
    import keras
    import tensorflow as tf

    monkeypatch.chdir(tmp_path)
    names = ("m.keras", "m.weights.h5", "saved/saved_model.pb", "ckpt/checkpoint", "ckpt/c-1.index", "logs/events", "x")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("old")
        os.utime(tmp_path / name, (OLD, OLD))
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(1)])
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    manager = tf.train.CheckpointManager(checkpoint, "ckpt", max_to_keep=1)
    calls: dict[str, Callable[[], object]] = {
        "keras.Model.save": lambda: model.save("m.keras"),
        "keras.Model.save_weights": lambda: model.save_weights("m.weights.h5"),
        "keras.Model.export": lambda: model.export("saved"),
        "keras.saving.save_model": lambda: keras.saving.save_model(model, "m.keras"),
        "tensorflow.train.Checkpoint.save": lambda: checkpoint.save("ckpt/c"),
        "tensorflow.train.Checkpoint.write": lambda: checkpoint.write("ckpt/c-1"),
        "tensorflow.train.CheckpointManager.save": lambda: manager.save(),  # noqa: PLW0108 - found once it is wrapped
        "tensorflow.saved_model.save": lambda: tf.saved_model.save(checkpoint, "saved"),
        "tensorflow.io.write_file": lambda: tf.io.write_file("x", "new"),
        "tensorflow.io.TFRecordWriter.__init__": lambda: tf.io.TFRecordWriter("x"),
        "tensorflow.io.gfile.GFile.__init__": lambda: tf.io.gfile.GFile("x", "w"),
        "tensorflow.io.gfile.remove": lambda: tf.io.gfile.remove("x"),
        "tensorflow.io.gfile.rmtree": lambda: tf.io.gfile.rmtree("logs"),
        "h5py.File.__init__": lambda: h5py.File("x", "w"),
    }

    seen: list[str] = []

    def refuse(loss: Loss) -> None:
        seen.append(loss.call)
        raise Stopped

    watch = WriteWatch(Existing(time.time_ns()), refuse)
    hooks = Hooks(Saving(watch), time.perf_counter_ns)
    for library in ("tensorflow", "keras", "h5py"):
        hooks.install(library)
    watch.begin()
    try:
        for call in calls.values():
            with suppress(Stopped):
                call()
        model.save("new.keras")
        checkpoint.save("new/c")
        checkpoint.save("new/c")
        written = {file.file for file in watch.written()}
    finally:
        hooks.uninstall()
        watch._process = 0
    assert seen == list(calls)
    assert {(tmp_path / name).read_text() for name in names} == {"old"}
    assert {"new.keras", "new/checkpoint", "new/c-1.index", "new/c-2.index"} <= written


def test_readers_have_the_parameter_names_of_the_methods() -> None:
    import h5py
    import keras
    import tensorflow as tf

    libraries = {"tensorflow": tf, "keras": keras, "h5py": h5py}
    found = {name.split(".")[0] for name in READERS if parameters_of(name, libraries) is not None}
    assert found == set(libraries)
    for name, (at, parameter, _) in READERS.items():
        real = parameters_of(name, libraries)
        if real is not None:
            assert real[at] == parameter, name


def parameters_of(method: str, libraries: Mapping[str, Any]) -> list[str] | None:
    """Names of a method's parameters; None for a library that is not here."""
    module, *names = method.split(".")
    if module not in libraries:
        return None
    return list(inspect.signature(attrgetter(".".join(names))(libraries[module])).parameters)


SCRIPT = """
import atexit, os, signal, sys, time
import tensorflow as tf

for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
    signal.signal(number, lambda *_: None)
atexit.register(lambda first=os.getpid(): os.getpid() == first and open("at_exit", "w").close())
if os.fork() == 0:
    sys.exit(0)
if os.fork() == 0:
    time.sleep(1000)
print("x" * 100_000)
try:
    for step, x in enumerate(tf.data.Dataset.range(10_000).batch(8)):
        time.sleep(0.005)
        if step == 400:
            with open("log.csv", "a") as log:
                log.write("appended")
            open("model.bin", "wb").write(b"new")
except BaseException:
    open("caught", "w").close()
finally:
    open("finally", "w").close()
"""


@dataclass
class Run:
    folder: Path
    code: int
    profile: dict[str, Any]
    report: str
    left: list[int]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of a script that does all that could keep a run from its end."""
    folder, mark = tmp_path_factory.mktemp("script"), uuid.uuid4().hex
    (folder / "train.py").write_text(SCRIPT)
    for name in ("model.bin", "log.csv"):
        (folder / name).write_text("old")
        os.utime(folder / name, (OLD, OLD))
    command = [sys.executable, "-m", "pipeprof", "run", "train.py", "--seconds", "60", "--out", "p.json"]
    ended = subprocess.run(
        command, cwd=folder, env={**os.environ, MARK: mark}, capture_output=True, text=True, timeout=300
    )
    profile = json.loads((folder / "p.json").read_text())
    return Run(folder, ended.returncode, profile, ended.stdout, left(mark))


def test_the_run_ends_before_a_file_is_overwritten(run: Run) -> None:
    assert run.code == 0, run.report
    assert (run.folder / "model.bin").read_text() == "old"
    assert "train.py:19 would overwrite model.bin: `--allow-writes`" in run.report.replace("\n    ", " ")
    assert run.profile["complete"]
    assert [use["batches"] for use in run.profile["training"]["datasets"]] == [401]
    assert run.profile["training"]["ended"] == "train.py:19 would overwrite model.bin: `--allow-writes`"


def test_it_ends_without_an_exception_and_without_a_process_and_what_it_has_written_is_listed(run: Run) -> None:
    assert [path.name for path in run.folder.iterdir() if path.name in ("caught", "finally", "at_exit")] == []
    assert run.left == []
    assert run.profile["training"]["written"] == [{"file": "log.csv", "bytes": 11, "new": False}]
