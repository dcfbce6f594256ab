"""Making inputs for real: the child process, its interruptions, and what TensorFlow reads from the files."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import tensorflow as tf

from pipeprof.cli.main import invoke
from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.data.errors import DataError, DiskSpaceError
from pipeprof.pipelines.data.folders import CacheFolder, list_entries
from pipeprof.pipelines.data.makers import make_photos, making
from pipeprof.pipelines.data.makers.make import make, total_items
from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import DataEntry, file_names
from pipeprof.pipelines.target.import_path import child_command

PATIENCE = 300
"""Seconds for what takes one or two; other processes may use the machine."""
SMALL = DataEntry.model_validate({"csv": {"rows": 3, "seed": 4}})
# Takes half a minute to make, and is never made to its end.
LARGE = {"text": {"lines": 50_000_000, "words": [1, 1]}}

# A shell that starts the tests in the background has them ignore SIGINT, and every process below them: here it counts.
ENSURE = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from pipeprof.pipelines.data.cache import ensure
from pipeprof.pipelines.data.folders import CacheFolder
from pipeprof.pipelines.data.recipes.models import DataEntry
entry = DataEntry.model_validate(json.loads(sys.argv[2]))
report = lambda *progress: print(*progress, flush=True)
print(ensure({"it": entry}, progress=report, cache=CacheFolder(Path(sys.argv[1])))["it"], "tensorflow" in sys.modules)
"""


PHOTOS = {"image_folder": {"count": 12, "classes": 3, "seed": 1}}
FEATURES = {
    "image": {"jpeg": {"size": [40, 30]}},
    "x": {"dense": {"shape": [2, 3]}},
    "n": {"dense": {"shape": [4], "dtype": "int64"}},
    "ids": {"ints": {"length": [0, 7], "max": 50}},
    "label": {"label": {"classes": 5}},
    "words": {"text": {"words": [2, 3]}},
}
SHARDS = {"tfrecord": {"shards": 3, "records": 20, "compression_type": "GZIP", "features": FEATURES, "seed": 2}}
CONTEXT = {
    "mask": {"mask": {"size": [40, 30], "classes": 4}},
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


def made(recipe, folder):
    """The bytes of a recipe's files by name, made in this process; its last report of progress is that all is done."""
    folder.mkdir()
    recipe = DataEntry.model_validate(recipe).recipe
    reports = []
    make(recipe, folder, DataProgress(total_items(recipe), lambda *report: reports.append(report)))
    assert reports[-1][0] == reports[-1][1]
    return {name: (folder / name).read_bytes() for name in recipe.file_names()}


def made_twice(recipe, folder):
    """As `made`; a second time it gives the same bytes, whatever the threads do."""
    files = made(recipe, folder / "first")
    assert made(recipe, folder / "second") == files
    return files


@pytest.fixture
def small_scenes(monkeypatch):
    """Photos are cut from scenes that are made in no time; how they look does not count."""
    monkeypatch.setattr(make_photos, "_TILE", 256)


def test_images_are_photo_like_in_size_and_all_different(tmp_path, monkeypatch):
    files = made(PHOTOS, tmp_path / "jpeg")
    images = [tf.io.decode_jpeg(data) for data in files.values()]
    assert {tuple(image.shape) for image in images} == {(360, 480, 3)}
    assert 0.15 < sum(map(len, files.values())) / sum(image.shape[0] * image.shape[1] for image in images) < 0.35
    assert len(set(files.values())) == 12
    monkeypatch.setattr(make_photos, "_TILE", 256)
    png = made({"image_folder": {"count": 2, "classes": 1, "format": "png", "size": [50, 20]}}, tmp_path / "png")
    assert [tuple(tf.io.decode_png(data).shape) for data in png.values()] == [(20, 50, 3), (20, 50, 3)]


@pytest.mark.usefixtures("small_scenes")
def test_records_parse_as_the_recipe_says(tmp_path):
    made_twice(SHARDS, tmp_path)
    spec = {
        "image": tf.io.FixedLenFeature([], tf.string),
        "x": tf.io.FixedLenFeature([2, 3], tf.float32),
        "n": tf.io.FixedLenFeature([4], tf.int64),
        "ids": tf.io.VarLenFeature(tf.int64),
        "label": tf.io.FixedLenFeature([], tf.int64),
        "words": tf.io.FixedLenFeature([], tf.string),
    }
    files = sorted(str(path) for path in (tmp_path / "first").iterdir())
    dataset = tf.data.TFRecordDataset(files, compression_type="GZIP")
    records = [tf.io.parse_single_example(record, spec) for record in dataset]
    assert len(records) == 20
    lengths = {int(record["ids"].dense_shape[0]) for record in records}
    assert lengths <= set(range(8))
    assert len(lengths) > 1
    labels = {int(record["label"]) for record in records}
    assert labels <= set(range(5))
    assert len(labels) > 1
    assert {tuple(tf.io.decode_jpeg(record["image"]).shape) for record in records} == {(30, 40, 3)}
    assert {len(record["words"].numpy().split()) for record in records} == {2, 3}


@pytest.mark.usefixtures("small_scenes")
def test_nested_records_hold_lists_of_one_length_films_arrays_and_steps(tmp_path):
    made_twice(NESTED, tmp_path)
    context = {name: tf.io.FixedLenFeature([], tf.string) for name in ("mask", "raw", "whole")}
    dtypes = {"boxes": tf.float32, "classes": tf.int64, "film": tf.string}
    context |= {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()}
    lists = {
        "note": tf.io.FixedLenSequenceFeature([2], tf.int64),
        "level": tf.io.FixedLenSequenceFeature([3], tf.float32),
    }
    boxes, steps, pixels = set(), set(), set()
    for record in tf.data.TFRecordDataset(sorted(map(str, (tmp_path / "first").iterdir())), "ZLIB"):
        found, sequence = tf.io.parse_single_sequence_example(record, context, lists)
        boxes.add(int(found["boxes"].dense_shape[0]))
        assert found["classes"].dense_shape[0] == found["boxes"].dense_shape[0]
        film = found["film"].values.numpy().tolist()
        assert 2 <= len(film) == len(set(film)) <= 4
        steps.add(sequence["note"].shape[0])
        assert sequence["level"].shape[0] == sequence["note"].shape[0]
        mask = tf.io.decode_png(found["mask"])
        pixels |= set(mask.numpy().ravel().tolist())
        assert tuple(mask.shape) == (30, 40, 1)
        assert tf.io.decode_raw(found["raw"], tf.int16).shape == 32
        assert tf.io.decode_jpeg(film[1]).shape[0] == 10
        assert tf.io.parse_tensor(found["whole"], tf.float32).shape == (2, 3)
    assert boxes <= set(range(1, 7))
    assert len(boxes) > 1
    assert steps == {3, 4, 5}
    assert pixels == {0, 1, 2, 3}


def test_an_entry_is_made_once_with_progress_and_without_tensorflow_in_the_parent(tmp_path):
    cache = CacheFolder(tmp_path / "new" / "cache")
    reports = []
    paths = ensure({"table": SMALL, "same": SMALL}, progress=lambda *report: reports.append(report), cache=cache)
    assert paths["table"] == paths["same"]
    assert reports[0] == ("table", 0, 3)
    assert reports[-1] == ("table", 3, 3)
    assert [path.name for path in cache.folder.iterdir()] == [paths["table"].name]
    first = (paths["table"] / "data.csv").read_bytes()
    (entry,) = list_entries(cache)
    assert entry.bytes == len(first)
    assert ensure({"table": SMALL}, progress=lambda *_report: pytest.fail("made again"), cache=cache) == {
        "table": paths["table"]
    }
    other = ensure({"t": SMALL}, progress=lambda *_report: None, cache=CacheFolder(tmp_path / "other"))
    assert (other["t"] / "data.csv").read_bytes() == first
    mode = paths["table"].stat().st_mode & 0o777
    umask = os.umask(0)
    os.umask(umask)
    assert mode == 0o777 & ~umask


def start(folder, entry=LARGE, lines=1):
    """A process that makes ``entry``, after it has reported progress ``lines`` times."""
    command = [sys.executable, "-c", ENSURE, str(folder), json.dumps(entry)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(lines):
        assert process.stdout.readline().startswith("it ")
    return process


def parent_of(process):
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def children_of(pid):
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if parent_of(path) == pid]


def gone(pid):
    """Whether a process ends."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        threading.Event().wait(0.02)
    return False


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, -signal.SIGINT)])
def test_an_interruption_leaves_nothing_behind(number, code, tmp_path):
    process = start(tmp_path, lines=3)
    (child,) = children_of(process.pid)
    assert len(list(tmp_path.iterdir())) == 2
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, errors
    assert gone(child)
    assert list(tmp_path.iterdir()) == []


def test_a_killed_parent_takes_the_child_along_and_the_next_run_clears_up(tmp_path):
    process = start(tmp_path, lines=3)
    (child,) = children_of(process.pid)
    process.kill()
    process.communicate(timeout=PATIENCE)
    assert gone(child)
    assert len(list(tmp_path.iterdir())) == 2
    made = ensure({"t": SMALL}, progress=lambda *_report: None, cache=CacheFolder(tmp_path))
    assert list(tmp_path.iterdir()) == [made["t"]]


def test_two_at_once_make_it_once(tmp_path):
    entry = {"text": {"lines": 1_000_000, "words": [3, 3]}}
    one = start(tmp_path, entry, lines=2)
    makers = children_of(one.pid)
    for pid in makers:
        os.kill(pid, signal.SIGSTOP)
    two = start(tmp_path, entry, lines=1)
    assert children_of(two.pid) == []
    for pid in makers:
        os.kill(pid, signal.SIGCONT)
    outputs = [process.communicate(timeout=PATIENCE) for process in (one, two)]
    assert [process.returncode for process in (one, two)] == [0, 0], outputs
    results = [out.splitlines()[-1] for out, _ in outputs]
    assert results[0] == results[1]
    assert results[0].endswith(" False")
    # The second one was told that there is something to wait for, and made nothing itself.
    assert outputs[1][0].count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == [Path(results[0].split()[0]).name]


def child_that(monkeypatch, code):
    monkeypatch.setattr(making, "child_command", lambda _module: [sys.executable, "-c", code])


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        ('print(\'{"error": "boom", "errno": null}\'); exit(1)', DataError, "generating t in .* failed: boom"),
        ('print(\'{"error": "full", "errno": 28}\'); exit(1)', DiskSpaceError, "disk became full while generating t"),
        ("import os; os.kill(os.getpid(), 9)", DataError, "killed by SIGKILL; it may have run out of memory"),
        ("raise SystemExit('no such module')", DataError, "failed: no such module"),
        ("exit(3)", DataError, "failed: exit code 3"),
        ("exit(0)", DataError, "cannot generate t in .*No such file"),
    ],
)
def test_a_child_that_fails_is_one_sentence_and_leaves_nothing(code, error, words, tmp_path, monkeypatch):
    child_that(monkeypatch, code)
    with pytest.raises(error, match=words) as caught:
        ensure({"t": SMALL}, progress=lambda *_report: None, cache=CacheFolder(tmp_path))
    assert type(caught.value) is error
    assert caught.value.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_an_error_in_the_callers_progress_ends_the_child_too(tmp_path):
    before, children = set(children_of(os.getpid())), []

    def report(_name, done, _total):
        if done:
            children.extend(set(children_of(os.getpid())) - before)
            raise BrokenPipeError(32, "stderr is gone")

    with pytest.raises(BrokenPipeError, match="stderr is gone"):
        ensure({"t": DataEntry.model_validate(LARGE)}, progress=report, cache=CacheFolder(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert children
    assert all(gone(child) for child in children)


def test_a_full_disk_is_told_by_the_maker_itself(tmp_path):
    """The real child, whose files may not grow any more: the nearest thing to a full disk without a disk of our own."""
    (tmp_path / "data.txt").symlink_to("/dev/full")
    job = json.dumps({"entry": {"text": {}}, "folder": str(tmp_path), "parent": os.getpid()})
    done = subprocess.run(child_command(making._MAKER), input=job, capture_output=True, text=True)
    assert done.returncode == 1
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["errno"] == 28


def test_modules_in_the_users_folder_do_not_get_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong json')")
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    made = ensure({"t": SMALL}, progress=lambda *_report: None, cache=CacheFolder(tmp_path / "cache"))
    assert sorted(path.name for path in made["t"].iterdir()) == [*file_names(SMALL), "pipeprof-data.json"]


@pytest.fixture(scope="module")
def cache_of_three(tmp_path_factory):
    """A cache of three entries, and their paths by name."""
    folder = tmp_path_factory.mktemp("three")
    entries = {f"t{rows}": DataEntry.model_validate({"csv": {"rows": rows}}) for rows in (1, 2)}
    entries["x"] = DataEntry.model_validate({"npy": {"shape": [1000]}})
    return folder, ensure(entries, progress=lambda *_report: None, cache=CacheFolder(folder))


@pytest.fixture
def three(cache_of_three, tmp_path, monkeypatch):
    """The names in a copy of the cache, which commands use."""
    folder, paths = cache_of_three
    shutil.copytree(folder, tmp_path / "cache")
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    return {name: path.name for name, path in paths.items()}


def test_what_was_made_is_listed(three, capfd):
    assert invoke(["data", "list"]) == 0
    output, errors = capfd.readouterr()
    lines = output.splitlines()
    assert lines[0].startswith("in ")
    assert lines[1].split() == ["name", "size", "files", "age"]
    assert [line.split()[0] for line in lines[2:]] == sorted(three.values())
    assert lines[-1].split()[1:4] == ["4.0", "KiB", "1"]
    assert errors == ""
    assert invoke(["data", "list", "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)
    assert listed["folder"] == os.environ["PIPEPROF_CACHE_DIR"]
    assert [entry["name"] for entry in listed["entries"]] == sorted(three.values())
    assert listed["entries"][-1]["recipe"]["shape"] == [1000]


def test_removing_by_name_and_by_the_beginning_of_one(three, capfd):
    assert invoke(["data", "rm", three["t1"], "npy"]) == 0
    assert [entry.name for entry in list_entries()] == [three["t2"]]
    assert capfd.readouterr().err.startswith("Removed 2 entries, 4.")
    assert invoke(["data", "rm", "--all"]) == 0
    assert list_entries() == []
    assert "Removed 1 entry, " in capfd.readouterr().err
    assert invoke(["data", "list"]) == 0
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.startswith("No generated data in ")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the inputs to remove, or use --all"),
        (["--all", "npy"], "names and --all"),
        (["csv"], "ambiguous"),
        (["nyp"], "see: pipeprof data list"),
        ([""], "no generated data named"),
    ],
)
def test_removing_nothing_by_mistake(three, capfd, arguments, words):
    assert invoke(["data", "rm", *arguments]) == 2
    errors = capfd.readouterr().err
    assert words in errors
    assert errors.count("\n") == 1
    assert len(list_entries()) == len(three)


def test_a_name_that_is_nearly_right_is_suggested(three, capfd):
    name = three["x"].replace("npy-", "np-")
    assert invoke(["data", "rm", name]) == 2
    assert f"did you mean {three['x']}?" in capfd.readouterr().err
