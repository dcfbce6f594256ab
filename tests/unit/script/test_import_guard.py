"""A script as Python runs it, and which loops count as a training that an import starts; no TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from pipeprof.pipelines.target.running import guard_imports, importing
from pipeprof.profiles.document.shared import CodePlace, DatasetUse, Training
from pipeprof.profiles.harness.received import shorten_training
from pipeprof.profiles.worker import memory_log
from pipeprof.profiles.worker.script.import_guard import (
    MOST_BATCHES,
    ImportGuard,
    TrainsAtImportError,
    of_script,
    run_as_main,
)


class Stopped(BaseException):
    """Stands for the end of the process."""


class Batches:
    """An iterator of a dataset, seen by a guard."""

    def __init__(self, guard: ImportGuard, dataset: object) -> None:
        self.guard = guard
        guard.iterator_made(dataset, self, 0)

    def take(self, count: int) -> None:
        for _ in range(count):
            self.guard.asked(self)(0)


class World:
    def __init__(self) -> None:
        self.said = ""
        self.guard = ImportGuard(self.stop)

    def stop(self, error: TrainsAtImportError) -> None:
        self.said = str(error)
        raise Stopped


class Dataset:
    """Anything that can be referenced."""


@pytest.fixture
def world() -> World:
    return World()


def test_fit_ends_the_import_with_its_line(world: World) -> None:
    with pytest.raises(Stopped):
        world.guard.fit_called(None, None)
    assert "test_import_guard.py:" in world.said
    assert "trains when the file is imported (model.fit): put it under `if __name__ == '__main__':`" in world.said
    assert "`pipeprof run " in world.said


@pytest.mark.parametrize(
    ("epochs", "batches", "stops"),
    [
        (1, MOST_BATCHES, False),
        (1, MOST_BATCHES + 1, True),
        # The batches of all epochs count together.
        (3, 30, False),
        (4, 30, True),
    ],
)
def test_many_batches_are_a_training(world: World, epochs: int, batches: int, *, stops: bool) -> None:
    dataset = Dataset()
    with pytest.raises(Stopped) if stops else nullcontext():
        for _ in range(epochs):
            Batches(world.guard, dataset).take(batches)
    if stops:
        assert "loops over a dataset when the file is imported (more than 100 batches)" in world.said


def test_adapt_goes_on(world: World) -> None:
    world.guard.entered("adapt")
    batches = Batches(world.guard, Dataset())
    world.guard.left("adapt")
    batches.take(10 * MOST_BATCHES)


def test_the_guard_stands_around_the_outermost_import_alone(world: World) -> None:
    seen: list[str] = []
    guarded = world.guard.guarded

    def noted():
        seen.append("guarded")
        return guarded()

    guard_imports(noted)
    try:
        with importing(), importing():
            pass
        with importing():
            pass
    finally:
        guard_imports(guarded)
    assert seen == ["guarded", "guarded"]


SCRIPT = """\
import os
import sys

os.chdir("..")
seen = (__file__, sys.argv, (lambda: 0).__code__.co_filename)


def fail():
    raise ValueError
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "code").mkdir()
    file = tmp_path / "code" / "train.py"
    file.write_text(SCRIPT)
    monkeypatch.chdir(tmp_path / "code")
    for name in ("argv", "path", "excepthook"):
        held = getattr(sys, name)
        monkeypatch.setattr(sys, name, held[:] if isinstance(held, list) else held)
    return file


def test_a_script_knows_its_file_as_python_tells_it(script: Path) -> None:
    names = run_as_main("train.py", ["7"])
    assert names["seen"] == (str(script), ["train.py", "7"], str(script))


def test_of_an_error_the_scripts_own_frames_are_shown(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fail = run_as_main("train.py", [])["fail"]
    try:
        fail()  # type: ignore[operator]
    except ValueError as error:
        shown = of_script(error.__traceback__, str(script))
        sys.excepthook(ValueError, error, error.__traceback__)
    assert shown is not None
    assert shown.tb_frame.f_code.co_name == "fail"
    assert __file__ not in capsys.readouterr().err


def test_a_profile_names_files_as_the_user_types_them(script: Path) -> None:
    main, other = DatasetUse(role="loop", file=str(script), line=3), DatasetUse(role="loop", file="/lib/data.py")
    saver = CodePlace(name="save", file=str(script), line=4)
    training = shorten_training(Training(datasets=[main, other], saver=saver))
    assert [use.file for use in training.datasets] == ["train.py", "/lib/data.py"]
    assert training.saver is not None
    assert training.saver.file == "train.py"


CONFIGURED = ("numpy", "tensorflow", "keras", "jax", "torch", "absl", "google.protobuf", "h5py", "psutil")


@pytest.mark.parametrize("module", ["pipeprof.profiles.worker.main", "pipeprof.profiles.worker.script.run_script"])
def test_nothing_that_a_script_may_configure_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*[name for name in {CONFIGURED} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_reading_before_the_script_starts_no_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    def starts() -> None:
        raise AssertionError("TensorFlow's devices were started")

    monkeypatch.setattr(memory_log, "tensor_bytes", starts)
    monkeypatch.setattr(memory_log, "forget_peak", starts)
    log = memory_log.MemoryLog(counts_arrays=False)
    log.read("import", used=False)
    found = log.report(sources=(), batch_bytes=None)
    assert [(one.name, one.live) for one in found.readings] == [("import", 0)]
