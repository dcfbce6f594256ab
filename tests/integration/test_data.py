"""Making inputs for real: the child process, its interruptions, and what TensorFlow reads from the files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from subprocess import PIPE
from typing import Any

import psutil
import pytest
import tensorflow as tf

from pipeprof.pipelines.data import make, photos
from pipeprof.pipelines.data.cache import ensure, list_entries
from pipeprof.pipelines.data.recipes import recipe_of
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.modules import child_command

PATIENCE = 300
"""Seconds for what takes one or two; other processes may use the machine."""
SMALL = recipe_of({"csv": {"rows": 3, "seed": 4}})

# Takes half a minute to make, and is never made to its end.
# A shell that starts the tests in the background has them ignore SIGINT, and every process below them: here it counts.
ENSURE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.data.recipes import recipe_of
report = lambda *progress: print(*progress, flush=True)
large = recipe_of({"text": {"lines": 50_000_000, "words": [1, 1]}})
ensure({"it": large}, progress=report, folder=Path(sys.argv[1]))
"""

CONTEXT = {
    "image": {"jpeg": {"size": [40, 30]}},
    "label": {"label": {"classes": 5}},
    "words": {"text": {"words": [2, 3]}},
    "boxes": {"floats": {"length": [1, 6]}},
    "classes": {"ints": {"length": "boxes", "max": 9}},
    "raw": {"raw": {"shape": [8, 4], "dtype": "int16", "max": 50}},
    "whole": {"raw": {"shape": [2, 3], "dtype": "float32", "serialized": True}},
    "film": {"jpeg": {"size": [20, 10], "frames": [2, 4]}},
}
STEPS = {"note": {"ints": {"length": 2, "max": 9}}, "level": {"dense": {"shape": [3]}}}
NESTED = {
    "tfrecord": {
        "shards": 2,
        "records": 16,
        "compression_type": "ZLIB",
        "features": CONTEXT,
        "sequences": STEPS,
        "steps": [3, 5],
    }
}


def made(entry: dict[str, Any], folder: Path) -> list[bytes]:
    """The bytes of an entry's files, made in this process; the last report of progress is that all is done."""
    folder.mkdir()
    recipe, reports = recipe_of(entry), [(0, 0)]
    make.make(recipe, folder, lambda *report: reports.append(report))
    assert reports[-1] == (recipe.items(), recipe.items())
    return [(folder / name).read_bytes() for name in recipe.file_names()]


def test_images_are_photo_like_in_size_and_all_different(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = made({"image_folder": {"count": 6, "classes": 3, "seed": 1}}, tmp_path / "jpeg")
    assert {tuple(tf.io.decode_jpeg(data).shape) for data in files} == {(360, 480, 3)}
    assert 0.15 < sum(map(len, files)) / (6 * 360 * 480) < 0.35
    assert len(set(files)) == 6
    monkeypatch.setattr(photos, "_TILE", 256)
    png = made({"image_folder": {"count": 2, "classes": 1, "format": "png", "size": [50, 20]}}, tmp_path / "png")
    assert [tuple(tf.io.decode_png(data).shape) for data in png] == [(20, 50, 3), (20, 50, 3)]


def test_records_parse_as_the_recipe_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photos, "_TILE", 256)
    # Whatever the threads do, the bytes are the same.
    assert made(NESTED, tmp_path / "first") == made(NESTED, tmp_path / "second")
    one = tf.io.FixedLenFeature([], tf.string)
    context = dict.fromkeys(("image", "words", "raw", "whole"), one)
    context |= {"label": tf.io.FixedLenFeature([], tf.int64)}
    dtypes = {"boxes": tf.float32, "classes": tf.int64, "film": tf.string}
    context |= {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()}
    lists = {
        "note": tf.io.FixedLenSequenceFeature([2], tf.int64),
        "level": tf.io.FixedLenSequenceFeature([3], tf.float32),
    }
    boxes, steps, labels = set(), set(), set()
    records = list(tf.data.TFRecordDataset(sorted(map(str, (tmp_path / "first").iterdir())), "ZLIB"))
    assert len(records) == 16
    for record in records:
        found, sequence = tf.io.parse_single_sequence_example(record, context, lists)
        boxes.add(int(found["boxes"].dense_shape[0]))
        assert found["classes"].dense_shape[0] == found["boxes"].dense_shape[0]
        film = found["film"].values.numpy().tolist()
        assert 2 <= len(film) == len(set(film)) <= 4
        assert tf.io.decode_jpeg(film[1]).shape[0] == 10
        steps.add(sequence["note"].shape[0])
        assert sequence["level"].shape[0] == sequence["note"].shape[0]
        labels.add(int(found["label"]))
        assert len(found["words"].numpy().split()) in (2, 3)
        assert tuple(tf.io.decode_jpeg(found["image"]).shape) == (30, 40, 3)
        assert tf.io.decode_raw(found["raw"], tf.int16).shape == 32
        assert tf.io.parse_tensor(found["whole"], tf.float32).shape == (2, 3)
    assert boxes <= set(range(1, 7))
    assert labels <= set(range(5))
    assert len(boxes) > 1 < len(labels)
    assert steps == {3, 4, 5}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interruption_ends_the_child_and_leaves_nothing_that_looks_finished(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENSURE, tmp_path], stdout=PIPE, stderr=PIPE, text=True)
    assert process.stdout is not None
    for _ in range(3):
        assert process.stdout.readline().startswith("it ")
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == -number, errors
    psutil.wait_procs([child], timeout=PATIENCE)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    left = [entry.name for entry in list_entries(tmp_path)]
    assert len(left) == (number == signal.SIGKILL)
    assert all(".unfinished-" in name for name in left)


@pytest.mark.parametrize(
    "code",
    [
        'print(\'{"error": "boom", "errno": null}\'); exit(1)',
        'print(\'{"error": "full", "errno": 28}\'); exit(1)',
        "import os; os.kill(os.getpid(), 9)",
        "raise SystemExit('no such module')",
        "exit(3)",
        None,
    ],
)
def test_a_child_that_fails_is_one_sentence_and_leaves_nothing(
    code: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["/no/python"] if code is None else [sys.executable, "-c", code]
    monkeypatch.setattr(make, "child_command", lambda _module: command)
    with pytest.raises(PipeprofError, match=r"\bt\b") as caught:
        ensure({"t": SMALL}, progress=lambda *_report: None, folder=tmp_path)
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_by_the_child_itself(tmp_path: Path) -> None:
    """The real child, whose files may not grow any more: the nearest thing to a full disk without a disk of our own."""
    (tmp_path / "data.txt").symlink_to("/dev/full")
    job = json.dumps({"entry": {"text": {}}, "folder": str(tmp_path), "parent": os.getpid()})
    done = subprocess.run(child_command(make.__name__), input=job, capture_output=True, text=True)
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["errno"] == 28
