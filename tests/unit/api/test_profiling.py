"""``pipeprof.profile`` without TensorFlow: what it refuses, what its result shows, and the magic of notebooks."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pipeprof
from pipeprof import profiling, watching
from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.profile import Problem
from pipeprof.profiles.document.store import load_profile

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"


class Dataset:
    """What counts as a dataset, with batches that are numbers."""

    element_spec = None

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Any:
        return iter(range(self.count))


def divmod_step(a: int, b: int) -> tuple[int, int]:
    """A step of two parts."""
    return divmod(a, b)


class Recording:
    """A measurement that is over after some batches."""

    reason = profiling.MODULE

    def __init__(self, name: str = "jpeg-folder.json") -> None:
        self.ended = False
        self.error: BaseException | None = None
        self.profile = load_profile(RECORDED / name)
        self.path = Path("saved.json")

    def end(self, error: BaseException | None = None) -> None:
        self.ended, self.error = True, error


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    made = Recording()

    def begin(*given: Any, **options: Any) -> Recording:
        made.given = (given, options)
        return made

    monkeypatch.setattr(profiling, "begin", begin)
    monkeypatch.setattr(watching, "_current", [])
    return made


@pytest.mark.parametrize(
    ("given", "options", "error", "message"),
    [
        ([1, 2], {}, TypeError, "pipeprof.profile takes a tf.data.Dataset, not a list"),
        (Dataset(3), {"seconds": 0}, ValueError, "seconds is 0"),
        (Dataset(3), {"steps": 0}, ValueError, "steps is 0"),
        (Dataset(3), {"steps": True}, ValueError, "steps is True"),
        (
            Dataset(3),
            {"out": "missing/x.json"},
            UsageError,
            "^pipeprof.profile: missing/x.json: the folder missing does",
        ),
        (Dataset(3), {"step": divmod_step}, UsageError, "takes a, b"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pipeprof.profile(given, **options)


def test_the_dataset_is_iterated_again_and_again_and_each_batch_is_a_step(recording: Recording) -> None:
    seen: list[int] = []

    def step(batch: int) -> None:
        seen.append(batch)
        recording.ended = len(seen) == 7

    found = pipeprof.profile(Dataset(3), step, steps=7)
    assert seen == [0, 1, 2, 0, 1, 2, 0]
    assert (found.path, recording.error) == (Path("saved.json"), None)
    assert recording.given[1]["of"]() is None  # only a reference to it is kept
    assert recording.given[1]["steps"] == 7


def test_pythons_look_at_all_objects_comes_before_the_first_batch(
    recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    monkeypatch.setattr(gc, "collect", lambda: events.append("collected"))

    def step(_batch: int) -> None:
        events.append("a batch")
        recording.ended = True

    pipeprof.profile(Dataset(3), step)
    assert events == ["collected", "a batch"]


def test_an_exception_of_the_step_ends_the_measurement_and_goes_on(recording: Recording) -> None:
    def step(_batch: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pipeprof.profile(Dataset(3), step)
    assert isinstance(recording.error, ZeroDivisionError)


def test_a_profile_has_the_verdict_the_findings_the_stages_and_a_page() -> None:
    found = pipeprof.Profile(load_profile(RECORDED / "jpeg-folder.json"), None)
    assert "waits for data" in found.verdict
    assert [finding.rule for finding in found.findings][:1] == ["parallel-calls"]
    assert [stage.op for stage in found.stages][:2] == ["list_files", "repeat"]
    assert str(found).startswith(found.verdict[:30])
    page = found.to_html()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    shown = found._repr_html_()
    assert shown.startswith("<iframe ")
    # All of the page is in an attribute: nothing of it can end the frame, or run in the notebook.
    assert shown.count("<") == 2
    assert "&lt;" in shown
    assert set(found._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_names_are_listed_without_loading_them() -> None:
    assert {"profile", "Profile", "watch", "dataset", "keras"} <= set(dir(pipeprof))


class Shell:
    """A notebook's shell, as far as the magic needs one."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error
        self.magics: dict[str, Any] = {}
        self.ran: list[str] = []

    def register_magic_function(self, function: Any, kind: str, name: str) -> None:
        assert kind == "cell"
        self.magics[name] = function

    def run_cell(self, cell: str) -> Any:
        self.ran.append(cell)
        return SimpleNamespace(error_before_exec=None, error_in_exec=self.error)


def test_the_magic_measures_a_cell(recording: Recording) -> None:
    shell = Shell()
    pipeprof.load_ipython_extension(shell)
    found = shell.magics["pipeprof"]("", "for batch in ds: pass")
    assert shell.ran == ["for batch in ds: pass"]
    assert isinstance(found, pipeprof.Profile)
    assert recording.ended


@pytest.mark.usefixtures("recording")
def test_the_magic_names_itself_in_what_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell()
    pipeprof.load_ipython_extension(shell)
    with pytest.raises(UsageError, match=r"^%%pipeprof: missing/x\.json: the folder missing does not exist"):
        shell.magics["pipeprof"]("missing/x.json", "")
    monkeypatch.setattr(profiling, "is_worker", lambda: True)
    with pytest.raises(UsageError, match=r"^%%pipeprof: pipeprof measures this process already"):
        shell.magics["pipeprof"]("", "")
    assert shell.ran == []


def test_a_cell_that_fails_or_iterates_nothing_has_no_profile(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(KeyError("x"))
    pipeprof.load_ipython_extension(shell)
    assert shell.magics["pipeprof"]("", "") is None
    assert isinstance(recording.error, KeyError)
    shell.error = None
    recording.profile.errors = [Problem(code="never-iterated", message="nothing was iterated")]
    assert shell.magics["pipeprof"]("", "x = 1") is None
    assert capsys.readouterr().err == "pipeprof: warning: %%pipeprof: nothing was iterated\n"
