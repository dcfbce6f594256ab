"""`check` lets TensorFlow build a target, a spec without its data: what that finds, and how it ends otherwise."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from integration.left_over import MARK, left

from pipeprof.cli.main import invoke
from pipeprof.profiles.document.profile import Profile

KEPT = ("shuffle: {buffer_size: 1000}", "batch: {batch_size: 32}", "cache: {}")
FUNCTIONS = """
import os, pathlib, sys, time
pathlib.Path(__file__).with_name("ran.txt").touch()

def same(number):
    return number

def wrong(number):
    return number.nothing

def hangs(number):
    time.sleep(600)

def dies(number):
    os.abort()

def leaves(number):
    sys.exit(3)
"""
CALLED = """
import os, pathlib, sys
import numpy as np
import tensorflow as tf
pathlib.Path(__file__).with_name("ran.txt").touch()

def train(size: int = 10):
    print("not for stdout")
    dataset = tf.data.Dataset.range(size).map(lambda x: tf.zeros([64, 64]) + tf.cast(x, tf.float32))
    dataset.repeat()
    return dataset.shuffle(1000).batch(32)

def rows():
    return tf.data.Dataset.from_tensor_slices(np.zeros([50000, 2560], np.float32)).shuffle(1000).batch(32)

def served(service):
    if not os.fork():
        sys.exit(0)
    away = tf.data.experimental.service.distribute("parallel_epochs", service)
    return tf.data.Dataset.range(9).shuffle(5).apply(away).batch(3)

def wrong():
    return tf.data.Dataset.range(9).map(lambda number: number.nothing)

def nothing():
    return 3
"""
TRAINS = "import tensorflow as tf\nfor _ in tf.data.Dataset.range(9).repeat():\n    pass\ndef make():\n    pass\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    Path("f.py").write_text(FUNCTIONS)
    return tmp_path


def spec(name: str, *stages: str, source: str = "range: {stop: 9}", more: str = "") -> str:
    Path(name).write_text(
        f"version: 1\n{more}source: {{{source}}}\nstages:\n" + "".join(f"  - {one}\n" for one in stages)
    )
    return name


def document(capsys: pytest.CaptureFixture[str], name: str, code: int = 0, more: Sequence[str] = ()) -> Profile:
    capsys.readouterr()
    assert invoke(["check", name, "--json", *more]) == code
    return Profile.model_validate_json(capsys.readouterr().out)


def test_data_is_known_by_its_names_and_nothing_is_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = "{photos: {image_folder: {count: 40, size: [32, 32]}}}"
    photo = "map: {ops: [tf.io.read_file, {tf.io.decode_jpeg: {channels: 3}}, {tf.image.resize: {size: [64, 64]}}]}"
    keeps = ("cache: {filename: kept/cache}", "snapshot: {path: kept/snapshot}")
    photos, files = 'directory: "data:photos"', 'list_files: {file_pattern: "data:photos/*/*.jpg", shuffle: false}'
    for name, source, stages in (
        ("files.yaml", files, (photo, "shuffle: {buffer_size: 50}", *keeps, "batch: {batch_size: 8}")),
        ("away.yaml", files, ("shuffle: {buffer_size: 9}", "distribute: {processing_mode: OFF, service: local}")),
        ("array.yaml", "from_tensor_slices: {tensors: {array: {shape: [50000, 2560], dtype: float32}}}", KEPT),
        ("unmade.yaml", f"image_dataset_from_directory: {{{photos}}}", ("take: {count: 1}",)),
    ):
        spec(name, *stages, source=source, more=f"data: {data}\n")
    before = sorted(folder.rglob("*"))
    (held,) = [one for one in document(capsys, "files.yaml").memory.ledger or () if one.owner == "shuffle"]
    assert held.stage == "stages.1"
    assert 40 * 64 * 64 * 3 * 4 <= held.bytes <= 60 * 64 * 64 * 3 * 4
    away = document(capsys, "away.yaml")
    assert [stage.op for stage in away.stages or ()] == ["list_files", "shuffle", "distribute"]
    assert "shuffle" not in [one.owner for one in away.memory.ledger or ()]
    # An array that is not there in memory.
    array = {one.stage: one for one in document(capsys, "array.yaml").memory.ledger or ()}
    assert array["source"].bytes >= 512_000_000
    assert (array["stages.0"].bytes, array["stages.0"].how) == (0, "alias")
    assert 512_000_000 <= array["stages.2"].bytes <= 560_000_000
    assert [one.code for one in document(capsys, "unmade.yaml").warnings] == ["not-built"]
    assert sorted(folder.rglob("*")) == before


def test_python_of_a_spec_runs_as_far_as_building_needs_it_and_not_at_all_where_that_is_said(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = spec("python.yaml", "map: {python: f.py:same}")
    for words, code in ((["--no-build"], 0), (["--no-python"], 2)):
        assert invoke(["check", name, *words]) == code
        assert not Path("ran.txt").exists()
    capsys.readouterr()
    assert invoke(["check", spec("raises.yaml", "map: {python: f.py:wrong}")]) == 5
    said = capsys.readouterr().err
    assert [place for place in ("raises.yaml:4:5: ", "f.py:9 ") if place not in said] == []
    assert Path("ran.txt").exists()


def test_a_function_is_called_and_judged_as_a_spec_is(capsys: pytest.CaptureFixture[str]) -> None:
    Path("g.py").write_text(CALLED)
    train = document(capsys, "g.py:train")
    assert [(one.op, one.location and one.location.line) for one in train.stages or ()] == [
        ("range", 9), ("map", 9), ("shuffle", 11), ("batch", 11),
    ]  # fmt: skip
    assert [one.rule for one in train.findings or ()][:1] == ["discarded-transformation"]
    ledger = {(one.owner, one.stage): one for one in train.memory.ledger or ()}
    assert 160_000 < ledger["shuffle", "stages.1"].bytes < 300_000
    spec("rows.yaml", *KEPT[:2], source="from_tensor_slices: {tensors: {array: {shape: [50000, 2560]}}}")
    function, written = (
        {one.owner: (one.bytes, one.how) for one in document(capsys, name).memory.ledger or ()}
        for name in ("g.py:rows", "rows.yaml")
    )
    assert function == written
    served = document(capsys, "g.py:served", more=("--arg", "service={service}"))
    assert [one.op for one in served.stages or ()] == ["distribute", "batch"]


def test_how_a_function_ends_that_cannot_be_called(capsys: pytest.CaptureFixture[str]) -> None:
    Path("g.py").write_text(CALLED)
    Path("trains.py").write_text(TRAINS)
    assert invoke(["check", "g.py:train", "--no-build"]) == invoke(["check", "g.py:train", "--no-python"]) - 2 == 0
    assert not Path("ran.txt").exists()
    for words, code, said in (
        (["g.py:train", "--arg", "size=x"], 2, "--arg size: got 'x', expected int"),
        (["g.py:train", "--arg", "sise=3"], 2, "did you mean size?"),
        (["g.py:nothing"], 2, "returned an int; expected a tf.data.Dataset"),
        (["trains.py:make"], 2, "trains.py:2 loops over a dataset when the file is imported"),
        (["g.py:wrong"], 5, "\n    g.py:23 in wrong: return "),
    ):
        capsys.readouterr()
        assert invoke(["check", *words]) == code
        assert said in capsys.readouterr().err


def test_one_that_hangs_or_ends_its_process_is_not_the_others_concern(capsys: pytest.CaptureFixture[str]) -> None:
    names = [spec(f"{name}.yaml", f"map: {{python: f.py:{name}}}") for name in ("dies", "leaves", "hangs")]
    right = spec("right.yaml", "shuffle: {buffer_size: 100}", "cache: {}")
    assert invoke(["check", *names, right, "--max-time", "5"]) == 5
    lines = capsys.readouterr().out.splitlines()
    for name, words in zip(names, ("SIGABRT", "sys.exit(3)", "after 5 s"), strict=True):
        assert any(line.startswith(name) and words in line for line in lines), "\n".join(lines)
    assert any(line.startswith("  right.yaml:5: cache-after-shuffle") for line in lines)


def test_ctrl_c_ends_it_with_all_that_it_started(folder: Path) -> None:
    spec("hangs.yaml", "map: {python: f.py:hangs}")
    words = [sys.executable, "-m", "pipeprof", "check", "hangs.yaml"]
    started = subprocess.Popen(
        words,
        env={**os.environ, MARK: str(folder)},
        # A shell's background ignores it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
    )
    while not Path("ran.txt").exists() and started.poll() is None:
        time.sleep(0.1)
    started.send_signal(signal.SIGINT)
    assert started.wait(60) == 130
    assert left(str(folder)) == []


def test_python_that_counts_the_rows_of_a_large_array_gets_all_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.py").write_text("def counted(dataset):\n    assert sum(1 for _ in dataset) == 50000\n    return dataset\n")
    array = "from_tensor_slices: {tensors: {array: {shape: [50000, 2560], dtype: float32}}}"
    name = spec("count.yaml", 'apply: {python: "f.py:counted"}', "batch: {batch_size: 8}", source=array)
    source = (document(capsys, name).stages or [])[0]
    assert source.op == "from_tensor_slices"


def test_a_large_array_that_is_cut_off_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    np.save("cut.npy", np.zeros((1000, 500), np.float32))
    os.truncate("cut.npy", 5000)
    name = spec("cut.yaml", "batch: {batch_size: 4}", source="from_tensor_slices: {tensors: {npy: cut.npy}}")
    (error,) = document(capsys, name, 2).errors or ()
    assert (error.line, "could only read" in error.message) == (2, True)
