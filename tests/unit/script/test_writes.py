"""What a script is about to overwrite or delete, on files of a made-up folder."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.shared import DatasetUse, Training
from pipeprof.profiles.harness.settings import with_made
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.worker.script.writes import READERS, Existing, Loss, WriteWatch, cache_folders, touches_of_method

OLD = 1_600_000_000


class Watching:
    def __init__(self, folder: Path, *, made: tuple[str, ...] = (), allow: bool = False) -> None:
        self.losses: list[Loss] = []
        environment = {"XDG_CACHE_HOME": str(folder / "cache"), "KERAS_HOME": str(folder / "keras")}
        existing = Existing(time.time_ns() - 1_000_000_000, made, environment)
        self.watch = WriteWatch(existing, None if allow else self.losses.append)

    @property
    def said(self) -> list[str]:
        return [str(loss) for loss in self.losses]

    @contextmanager
    def on(self) -> Iterator[None]:
        self.watch.begin()
        yield
        self.watch._process = 0


def lay_out(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("what was there")
        os.utime(path, (OLD, OLD))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    names = ("model.bin", "log.csv", "runs/old/a.bin", "cache/x", "keras/keras.json", "__pycache__/m.pyc")
    lay_out(tmp_path, *names)
    (tmp_path / "empty").touch()
    os.utime(tmp_path / "empty", (OLD, OLD))
    (tmp_path / "latest").symlink_to("model.bin")
    return tmp_path


class Heard:
    """The one audit hook of this process, where it stays: one more for each test would slow each `id` from then on."""

    __call__ = staticmethod(lambda *_: None)


@pytest.fixture(scope="module")
def heard() -> None:
    sys.addaudithook(Heard())


@pytest.fixture(autouse=True)
def one_hook(heard: None, monkeypatch: pytest.MonkeyPatch) -> None:
    del heard
    monkeypatch.setattr(sys, "addaudithook", lambda hook: monkeypatch.setattr(Heard, "__call__", staticmethod(hook)))


@pytest.fixture
def watching(folder: Path) -> Iterator[Watching]:
    found = Watching(folder)
    with found.on():
        yield found


def write(path: str, mode: str = "w") -> None:
    with Path(path).open(mode) as file:
        file.write("new")


def rotate() -> None:
    Path("model.bin").replace("model.bin.1")


def atomically() -> None:
    write("model.tmp")
    Path("model.tmp").replace("model.bin")


def twice() -> None:
    write("new.bin")
    write("new.bin")
    Path("new.bin").unlink()


def temporary() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"x")
    with tempfile.TemporaryDirectory() as made:
        Path(made, "x").write_text("x")


def by_a_child() -> None:
    subprocess.run([sys.executable, "-c", "open('child.bin', 'w').write('x')"], check=True)
    write("child.bin")


def copied_with_its_time() -> None:
    shutil.copy2("model.bin", "copy.bin")
    write("copy.bin")


def only_if_new() -> None:
    with pytest.raises(FileExistsError):
        write("model.bin", "x")


LOSSES: dict[str, tuple[Callable[[], object], str]] = {
    "open": (lambda: write("model.bin"), "overwrite model.bin"),
    "in place": (lambda: write("model.bin", "r+"), "overwrite model.bin"),
    "by a link": (lambda: write("latest"), "overwrite latest"),
    "os.open": (lambda: os.close(os.open("model.bin", os.O_WRONLY | os.O_TRUNC)), "overwrite model.bin"),
    "numpy": (lambda: np.zeros(3).tofile("model.bin"), "overwrite model.bin"),
    "memmap": (lambda: np.memmap("model.bin", mode="w+", shape=3), "overwrite model.bin"),
    "remove": (lambda: Path("model.bin").unlink(), "delete model.bin"),
    "rmtree": (lambda: shutil.rmtree("runs"), "delete runs/old/a.bin"),
    "rename over": (lambda: Path("log.csv").rename("model.bin"), "overwrite model.bin"),
    "atomic": (atomically, "overwrite model.bin"),
    "truncate": (lambda: os.truncate("model.bin", 3), "overwrite model.bin"),
    "appended, then emptied": (lambda: (write("log.csv", "a"), write("log.csv")), "overwrite log.csv"),
    "appended by a link, then emptied": (lambda: (write("latest", "a"), write("model.bin")), "overwrite model.bin"),
    "moved, then overwritten": (lambda: (rotate(), write("model.bin.1")), "overwrite model.bin.1"),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_is_told_with_its_line(watching: Watching, name: str) -> None:
    call, words = LOSSES[name]
    call()
    assert watching.said
    assert watching.said[0].endswith(f" would {words}: `--allow-writes`")
    frame = watching.losses[0].frame
    assert frame is not None
    assert frame.file == __file__


def test_a_thread_of_a_library_has_no_line(watching: Watching) -> None:
    thread = threading.Thread(target=shutil.rmtree, args=("runs",))
    thread.start()
    thread.join()
    assert set(watching.said) == {"the script would delete runs/old/a.bin: `--allow-writes`"}


@pytest.mark.parametrize(
    "call",
    [
        lambda: write("new.bin"),
        lambda: write("log.csv", "a"),
        lambda: write("empty"),
        lambda: write("cache/x"),
        lambda: write("keras/keras.json"),
        lambda: write("/dev/null"),
        lambda: Path("log.csv").replace("__pycache__/m.pyc"),
        lambda: Path("latest").unlink(),
        lambda: Path("model.bin").read_text(),
        lambda: os.close(os.open("model.bin", os.O_RDWR)),
        lambda: np.memmap("model.bin", dtype=np.uint8),
        lambda: logging.FileHandler("log.csv").close(),
        lambda: os.fdopen(os.open("log.csv", os.O_WRONLY | os.O_APPEND), "w").close(),
        only_if_new,
        os.pipe,
        rotate,
        twice,
        temporary,
        by_a_child,
        copied_with_its_time,
    ],
)
def test_what_loses_nothing_goes_on(watching: Watching, call: Callable[[], object]) -> None:
    call()
    assert watching.said == []


def test_the_call_waits_until_it_may_go_on(folder: Path) -> None:
    seen: list[str] = []
    watching = Watching(folder)
    watching.watch = WriteWatch(Existing(time.time_ns()), lambda _: seen.append(Path("model.bin").read_text()))
    with watching.on():
        write("model.bin")
    assert (seen, Path("model.bin").read_text()) == (["what was there"], "new")


def test_files_of_an_earlier_process_do_not_count_by_any_path(folder: Path) -> None:
    (folder / "linked").symlink_to("runs")
    watching = Watching(folder, made=(str(folder / "model.bin"), str(folder / "linked/old/a.bin")))
    with watching.on():
        for path in ("model.bin", "linked/old/a.bin", "runs/old/a.bin", "log.csv"):
            write(path)
    assert [Path(loss.path).name for loss in watching.losses] == ["log.csv"]


def test_what_goes_through_a_link_counts_for_its_file(watching: Watching) -> None:
    Path("to_log").symlink_to("log.csv")
    Path("to_new").symlink_to("new.bin")
    write("to_new")
    Path("new.bin").write_text("again")
    assert watching.said == []
    write("to_log", "a")
    write("log.csv")
    assert [Path(loss.path).name for loss in watching.losses] == ["log.csv"]


def test_what_was_written_is_listed_with_its_bytes(folder: Path) -> None:
    watching = Watching(folder, allow=True)
    watching.watch.begin()
    twice()
    temporary()
    write("cache/x")
    write("model.bin")
    write("log.csv", "a")
    # As TensorBoard's writer, which opens it in C++.
    by_library = os.open("events", os.O_WRONLY | os.O_CREAT)
    os.write(by_library, b"12345")
    watching.watch.saving("tensorflow.saved_model.save", (None, str(folder / "export")), {})
    Path("export/variables").mkdir(parents=True)
    subprocess.run(["cp", "model.bin", "export/variables/v"], check=True)
    found = watching.watch.written()
    watching.watch._process = 0
    os.close(by_library)
    assert [(file.file, file.bytes) for file in found] == [
        ("events", 5),
        ("export/variables/v", 3),
        ("log.csv", 17),
        ("model.bin", 3),
    ]


def made_by(folder: Path, body: Callable[[], object]) -> list[str]:
    """What one process hands to the next one, whose time has come."""
    watching = Watching(folder, allow=True)
    with watching.on():
        body()
        written = watching.watch.written()
    main = DatasetUse(role="loop", main=True, file="train.py", line=7)
    for file in folder.iterdir():
        os.utime(file, (OLD, OLD))
    profile = SimpleNamespace(training=Training(datasets=[main], written=written))
    settings = Options(ParsedTarget("script", Path("train.py")))
    os.chdir(folder)
    return list(with_made(settings, profile).made)


@pytest.mark.parametrize(
    ("body", "file", "stops"),
    [
        (lambda: write("new.bin"), "new.bin", False),
        (lambda: write("log.csv", "a"), "log.csv", True),
        (lambda: write("latest", "a"), "model.bin", True),
        (lambda: os.close(os.open("model.bin", os.O_RDWR)), "model.bin", True),
        (lambda: write("log.csv"), "log.csv", False),
        (lambda: (os.chdir("runs"), write("../new.bin")), "new.bin", False),
    ],
)
def test_the_next_process_may_overwrite_only_what_is_the_commands_own(
    folder: Path, body: Callable[[], object], file: str, stops: bool
) -> None:
    watching = Watching(folder, made=tuple(made_by(folder, body)))
    with watching.on():
        write(file)
    assert bool(watching.said) is stops


def test_paths_are_told_from_where_the_script_began(watching: Watching) -> None:
    os.chdir("runs")
    write("../model.bin")
    assert watching.said[0].endswith("would overwrite model.bin: `--allow-writes`")
    assert [file.file for file in watching.watch.written()] == ["model.bin"]


def test_a_folder_is_looked_at_to_its_end(folder: Path, watching: Watching, monkeypatch: pytest.MonkeyPatch) -> None:
    many = folder / "many"
    many.mkdir()
    names = [str(many / f"{number}") for number in range(12_000)]
    monkeypatch.setattr(Path, "rglob", lambda *_: iter([Path(name) for name in [*names, folder / "model.bin"]]))
    watching.watch.saving("tensorflow.io.gfile.rmtree", (str(many),), {})
    assert watching.said[0].endswith("would delete model.bin: `--allow-writes`")


@pytest.mark.parametrize(
    ("method", "arguments", "lost"),
    [
        ("keras.Model.save", (None, "model.bin"), "model.bin"),
        ("keras.Model.save", (None, Path("model.bin"), False), None),
        ("keras.Model.export", (None, "saved"), "saved/saved_model.pb"),
        ("keras.Model.export", (None, "runs"), None),
        ("tensorflow.train.Checkpoint.save", (None, "ckpt/c"), "ckpt/checkpoint"),
        ("tensorflow.train.Checkpoint.write", (None, "ckpt/c-1"), "ckpt/c-1.index"),
        ("tensorflow.train.CheckpointManager.save", (SimpleNamespace(directory="ckpt"),), "ckpt/checkpoint"),
        ("tensorflow.saved_model.save", (None, "saved"), "saved/saved_model.pb"),
        ("tensorflow.data.Dataset.save", (None, "runs"), "runs/old/a.bin"),
        ("tensorflow.io.write_file", (b"model.bin", b"x"), "model.bin"),
        ("tensorflow.io.write_file", ("gs://bucket/model.bin", b"x"), None),
        ("tensorflow.io.gfile.GFile.__init__", (None, "model.bin", "w"), "model.bin"),
        ("tensorflow.io.gfile.GFile.__init__", (None, "model.bin", "a"), None),
        ("tensorflow.io.gfile.GFile.__init__", (None, "model.bin"), None),
        ("tensorflow.io.gfile.copy", ("log.csv", "model.bin"), None),
        ("tensorflow.io.gfile.copy", ("log.csv", "model.bin", True), "model.bin"),
        ("tensorflow.io.gfile.rename", ("log.csv", "model.bin", True), "model.bin"),
        ("tensorflow.io.gfile.remove", ("model.bin",), "model.bin"),
        ("tensorflow.io.gfile.rmtree", ("runs",), "runs/old/a.bin"),
        ("h5py.File.__init__", (None, "model.bin", "w"), "model.bin"),
        ("h5py.File.__init__", (None, "model.bin", "a"), "model.bin"),
        ("h5py.File.__init__", (None, "model.bin", "x"), None),
        ("h5py.File.__init__", (None, "model.bin"), None),
        ("torch.save", (None, "model.bin"), "model.bin"),
    ],
)
def test_methods_of_libraries(folder: Path, method: str, arguments: tuple[object, ...], lost: str | None) -> None:
    lay_out(folder, "saved/saved_model.pb", "ckpt/checkpoint", "ckpt/c-1.index")
    watching = Watching(folder)
    with watching.on():
        watching.watch.saving(method, arguments, {})
    assert [str(Path(loss.path).relative_to(folder)) for loss in watching.losses][:1] == ([lost] if lost else [])


@pytest.mark.parametrize("method", READERS)
def test_arguments_may_be_named(method: str) -> None:
    named = {"src": "y", READERS[method][1]: "x", "mode": "w", "overwrite": True}
    assert touches_of_method(method, (), named)


def test_arguments_that_do_not_fit_are_left_to_the_method() -> None:
    assert all(touches_of_method(method, (), {"of": "no method"}) == () for method in READERS)


def test_a_cache_is_found_by_its_variable() -> None:
    assert cache_folders({"TFHUB_CACHE_DIR": "/hub"})[-1] == "/hub/"
