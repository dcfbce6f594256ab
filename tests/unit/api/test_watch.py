"""`pipeprof.watch` without TensorFlow: what it takes and refuses, and what becomes of an exception."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import pipeprof
from pipeprof import recording, watching
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.protocol.channel import Changes, LocalEnd, WorkerEnd
from pipeprof.profiles.protocol.messages import Warned
from tests.unit.worker.fakes import drained


class Recorded:
    """A recording that only notes what happens to it."""

    made: list[Recorded]
    interrupted = False

    def __init__(self, out: Path | None, *, reason: str, **options: Any) -> None:
        self.out, self.reason, self.options = out, reason, options
        self.ended = self.is_trained_on = False
        self.error: BaseException | None = None
        Recorded.made.append(self)

    def begin(self, model: Any = None) -> None:
        self.model = model
        if self.interrupted:
            raise KeyboardInterrupt

    def end(self, error: BaseException | None = None) -> None:
        self.ended, self.error = True, error

    make_way = end


class Dataset:
    element_spec = None


@pytest.fixture(autouse=True)
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Recorded]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(recording, "Recording", Recorded)
    monkeypatch.setattr(watching, "_current", [])
    monkeypatch.setattr(watching, "_registered", [])
    monkeypatch.setattr(watching.atexit, "register", lambda *_: None)
    Recorded.made = []
    return Recorded.made


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_ends_the_recording_and_goes_on(kind: type[BaseException], made: list[Recorded]) -> None:
    error = kind("mine")
    with pytest.raises(kind, match="mine") as raised, pipeprof.watch("out.json"):
        raise error
    assert raised.value is error
    assert made[0].error is error


def test_a_block_in_a_block_is_refused_and_one_after_it_is_not(made: list[Recorded]) -> None:
    with (
        pipeprof.watch("out.json"),
        pytest.raises(UsageError, match=r"another pipeprof\.watch is measuring"),
        pipeprof.watch("b.json"),
    ):
        pass
    with pipeprof.watch("out.json"):
        pass
    assert [one.ended for one in made] == [True, True]


def test_blocks_of_two_threads_begin_one_after_the_other(made: list[Recorded], monkeypatch: pytest.MonkeyPatch) -> None:
    beginning, refused = threading.Event(), []

    def second() -> None:
        assert beginning.wait(60)
        try:
            pipeprof.watch("b.json").__enter__()
        except UsageError as error:
            refused.append(error)

    other = threading.Thread(target=second)

    # The other thread comes to the same place, or waits before it.
    monkeypatch.setattr(watching, "_require_tensorflow", lambda: (beginning.set(), other.join(0.2)))
    other.start()
    with pipeprof.watch("out.json"):
        other.join(60)
    assert len(refused) == 1
    assert [one.out.name for one in made if one.out is not None] == ["out.json"]


def test_a_dataset_comes_back_and_is_recorded_until_a_block_begins(made: list[Recorded]) -> None:
    dataset, other = Dataset(), Dataset()
    assert pipeprof.watch(dataset) is dataset
    assert pipeprof.watch(other) is other
    (one,) = made
    assert one.out is None
    assert [reference() for reference in one.options["registered"]] == [dataset, other]
    with pipeprof.watch("out.json"):
        assert one.ended
        assert pipeprof.watch(dataset) is dataset
        assert len(made) == 2


def test_an_interrupt_while_a_measurement_begins_ends_it(monkeypatch: pytest.MonkeyPatch, made: list[Recorded]) -> None:
    monkeypatch.setattr(Recorded, "interrupted", True)
    with pytest.raises(KeyboardInterrupt), pipeprof.watch("out.json"):
        pass
    assert isinstance(made[0].error, KeyboardInterrupt)
    monkeypatch.setattr(Recorded, "interrupted", False)
    with pipeprof.watch("out.json"):
        assert [one.ended for one in made] == [True, False]


@pytest.mark.parametrize("prompt", [False, True])
def test_what_ends_the_program_ends_it_too(monkeypatch: pytest.MonkeyPatch, made: list[Recorded], prompt: bool) -> None:
    error = ValueError("mine")
    monkeypatch.setattr(sys, "last_value", error, raising=False)
    monkeypatch.delattr(sys, "ps1", raising=False)
    if prompt:
        monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    pipeprof.watch(Dataset())
    watching._end_at_exit()
    assert made[0].error is (None if prompt else error)


@pytest.mark.parametrize("what", [7, None, b"out.json", iter(())])
def test_other_things_are_refused(what: object) -> None:
    with pytest.raises(TypeError, match="takes the path of a profile"):
        pipeprof.watch(what)


def test_only_a_profile_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("mine")
    with pytest.raises(UsageError, match="the file exists and is not a profile of pipeprof"):
        pipeprof.watch(path)
    assert path.read_text() == "mine"
    path.write_text(json.dumps({"schema_version": 1, "tool": {"name": "pipeprof"}}))
    with pipeprof.watch(path):
        pass
    with pytest.raises(UsageError, match="does not exist"):
        pipeprof.watch(tmp_path / "no" / "out.json")


def test_nothing_happens_where_pipeprof_measures_already(monkeypatch: pytest.MonkeyPatch, made: list[Recorded]) -> None:
    monkeypatch.setattr(WorkerEnd, "in_worker", True)
    dataset = Dataset()
    with pipeprof.watch("out.json"):
        assert pipeprof.watch(dataset) is dataset
    assert made == []


def test_messages_arrive_as_through_a_pipe_and_not_from_a_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[Changes] = []
    end = LocalEnd(taken.append)
    end.warn("a", "first")
    assert taken == [{"warnings": [Warned("a", "first")]}]
    monkeypatch.setattr(LocalEnd, "is_copy", True)
    end.warn("a", "second")
    assert len(taken) == 1


def test_what_was_measured_is_saved_now_and_then(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(recording, "time", SimpleNamespace(monotonic=lambda: clock.now))
    writer = ProfileWriter([tmp_path / "out.json"])
    run = recording.LocalRun(make_options(target=ParsedTarget("script", Path("train.py")), to_end=True), writer)
    saved: list[float] = []

    def save(_sampler: object) -> None:
        saved.append(clock.now)
        clock.now += 0.05

    monkeypatch.setattr(run, "_save", save)
    monkeypatch.setattr(run, "_follow_phases", lambda _sampler: None)
    for second in range(100, 400):
        clock.now = max(clock.now, float(second))
        # Before there are steps, there is nothing to save.
        run.take({} if second < 130 else {"measured": drained()})
    # One save takes 50 ms: a thousandth of 50 s.
    assert saved == pytest.approx([130, 181, 232, 283, 334, 385], abs=1)


def cells(monkeypatch: pytest.MonkeyPatch, kernel: object) -> list[Callable[[Any], None]]:
    """What is called at the end of a notebook's cells."""
    listeners: list[Callable[[Any], None]] = []
    events = SimpleNamespace(
        register=lambda _, listener: listeners.append(listener),
        unregister=lambda _, listener: listeners.remove(listener),
    )
    shell = SimpleNamespace(kernel=kernel, events=events)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return listeners


def test_in_a_notebook_a_callback_measures_until_its_cell_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: Any = Recorded(None, reason="the training")
    listeners = cells(monkeypatch, None)
    recording.end_with_cell(recorded)
    assert listeners == []
    listeners = cells(monkeypatch, object())
    recording.end_with_cell(recorded)
    ((listener,), error) = (listeners, KeyboardInterrupt())
    listener(SimpleNamespace(error_in_exec=error))
    assert (recorded.error, listeners) == (error, [])


def test_a_notebooks_dataset_is_measured_until_a_training(
    monkeypatch: pytest.MonkeyPatch, made: list[Recorded]
) -> None:
    listeners = cells(monkeypatch, object())
    pipeprof.watch(Dataset())
    (one,), (listener,) = made, listeners
    listener(SimpleNamespace(error_in_exec=ValueError("of another cell")))
    assert (one.ended, listeners) == (False, [listener])
    one.is_trained_on = True
    listener(SimpleNamespace(error_in_exec=None))
    assert (one.ended, one.error, listeners) == (True, None, [])
