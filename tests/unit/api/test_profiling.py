"""``pipeprof.profile`` without TensorFlow: what it refuses, what its result shows, and the magic of notebooks."""

from __future__ import annotations

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
    """What counts as a dataset, with three batches that are numbers."""

    element_spec = None

    def __iter__(self) -> Any:
        return iter(range(3))


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
        (Dataset(), {"seconds": 0}, ValueError, "seconds is 0"),
        (Dataset(), {"steps": 0}, ValueError, "steps is 0"),
        (Dataset(), {"steps": True}, ValueError, "steps is True"),
        (Dataset(), {"out": "missing/x.json"}, UsageError, "^pipeprof.profile: missing/x.json: the folder missing"),
        (Dataset(), {"step": lambda a, b: (a, b)}, UsageError, "takes a, b"),
    ],
)
def test_what_cannot_be_measured_is_refused(given: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        pipeprof.profile(given, **options)


def test_the_dataset_is_iterated_again_and_again_until_the_end_or_an_exception(recording: Recording) -> None:
    seen: list[int] = []

    def step(batch: int) -> None:
        seen.append(batch)
        recording.ended = len(seen) == 7

    found = pipeprof.profile(Dataset(), step, steps=7)
    assert seen == [0, 1, 2, 0, 1, 2, 0]
    assert (found.path, recording.error) == (Path("saved.json"), None)
    assert recording.given[1]["of"]() is None  # only a reference to it is kept
    assert recording.given[1]["steps"] == 7
    recording.ended = False
    with pytest.raises(ZeroDivisionError):
        pipeprof.profile(Dataset(), lambda _batch: 1 / 0)
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


@pytest.fixture
def cell() -> Any:
    """Runs the magic of a notebook on a cell, which fails with the error that is set, and gives what it returns."""
    magics: dict[str, Any] = {}
    shell = SimpleNamespace(
        error=None,
        ran=[],
        register_magic_function=lambda function, kind, name: magics.update({(kind, name): function}),
        run_cell=lambda text: (
            shell.ran.append(text) or SimpleNamespace(error_before_exec=None, error_in_exec=shell.error)
        ),
    )
    pipeprof.load_ipython_extension(shell)
    shell.run = magics["cell", "pipeprof"]
    return shell


def test_the_magic_measures_a_cell(recording: Recording, cell: Any) -> None:
    found = cell.run("", "for batch in ds: pass")
    assert cell.ran == ["for batch in ds: pass"]
    assert isinstance(found, pipeprof.Profile)
    assert recording.ended


@pytest.mark.usefixtures("recording")
def test_the_magic_names_itself_in_what_it_refuses(cell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^%%pipeprof: missing/x\.json: the folder missing does not exist"):
        cell.run("missing/x.json", "")
    monkeypatch.setattr(profiling, "is_worker", lambda: True)
    with pytest.raises(UsageError, match=r"^%%pipeprof: pipeprof measures this process already"):
        cell.run("", "")
    assert cell.ran == []


def test_a_cell_that_fails_or_iterates_nothing_has_no_profile(
    recording: Recording, cell: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    cell.error = KeyError("x")
    assert cell.run("", "") is None
    assert isinstance(recording.error, KeyError)
    cell.error = None
    recording.profile.errors = [Problem(code="never-iterated", message="nothing was iterated")]
    assert cell.run("", "x = 1") is None
    assert capsys.readouterr().err == "pipeprof: warning: %%pipeprof: nothing was iterated\n"
