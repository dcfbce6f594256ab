"""The main dataset of a script, taken where it is about to be iterated: what follows is the job, never the script."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.protocol.options import IteratedAt, Options, StepJob
from pipeprof.profiles.protocol.turns import TurnsJob
from pipeprof.profiles.worker.main import _run_of
from pipeprof.profiles.worker.sample import JobRun
from pipeprof.profiles.worker.script.consumers import Place
from pipeprof.profiles.worker.script.run_script import ScriptRun
from pipeprof.profiles.worker.script.script_job import TakenRun, TakenTurns
from pipeprof.profiles.worker.turns import TurnRun
from tests.unit.worker.fakes import FakeChannel, FakeTime

MAIN = IteratedAt("train.py", 7, "loop")
PLACE = Place("train.py", 7)
REPLAYED = StepJob("recorded", {"p50_ms": 2.0})


class EndedError(BaseException):
    pass


def fails(error: BaseException) -> Callable[..., Any]:
    def fail(*_arguments: Any) -> None:
        raise error

    return fail


class Dataset:
    """Has a number of elements, and what was made of it."""

    element_spec = "x"

    def __init__(self, length: int = 3, of: Dataset | None = None) -> None:
        self.length, self.of = length, of

    def cardinality(self) -> int:
        return self.length

    def take(self, count: int) -> Dataset:
        return Dataset(count, self)


def job(**changes: Any) -> Options:
    return Options(ParsedTarget("script", Path("train.py")), ["train.py"], main=MAIN, **changes)


def made(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Any, FakeChannel]:
    channel = FakeChannel(FakeTime())
    channel.is_copy = False
    run = _run_of(job(**changes), channel)
    run._end_process = fails(EndedError())
    run._know_sources = run._send_libraries = run._step.measure_floor = lambda: None
    monkeypatch.setattr(run._readings.memory, "read", lambda _name: None)
    return run, channel


def edits_into(run: Any, make: Callable[[Any], Any]) -> None:
    """Let an edit make a dataset of the script's own one."""

    def edit(_steps: object) -> None:
        run.pipeline.dataset = make(run.pipeline.dataset)

    run.pipeline.edit = edit


def test_the_step_decides_whether_a_script_trains() -> None:
    kinds = {
        ScriptRun: job(step=StepJob("script")),
        TakenRun: job(step=REPLAYED),
        TakenTurns: job(step=REPLAYED, turns=TurnsJob()),
    }
    for kind, one in kinds.items():
        assert type(_run_of(one, FakeChannel(FakeTime()))) is kind


@pytest.mark.parametrize("turns", [None, TurnsJob()])
def test_the_job_is_done_with_the_scripts_dataset_and_the_process_ends(
    monkeypatch: pytest.MonkeyPatch, turns: TurnsJob | None
) -> None:
    run, channel = made(monkeypatch, step=REPLAYED, turns=turns)
    done = []
    for kind in (JobRun, TurnRun):
        monkeypatch.setattr(kind, "_run_dataset", lambda self: done.append(self.pipeline.dataset))
    # Another line, and another role at the same line.
    assert run._give("other", Place("train.py", 8), "loop") == "other"
    assert run._give("other", PLACE, "validation") == "other"
    with pytest.raises(EndedError):
        run._give("the dataset", PLACE, "loop")
    assert done == ["the dataset"]
    assert not channel.of("error")


def test_an_error_is_reported_and_none_of_the_scripts_to_catch(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel = made(monkeypatch, step=REPLAYED, turns=TurnsJob())
    monkeypatch.setattr(TurnRun, "_run_dataset", fails(ValueError("no such file")))
    with pytest.raises(EndedError):
        run._give("the dataset", PLACE, "loop")
    assert [raised.message for raised in channel.of("error")] == ["ValueError: no such file"]


@pytest.mark.parametrize(("turns", "kind"), [(TurnsJob(), "refused"), (None, "error")])
def test_a_script_that_ends_before_says_nothing_against_a_change(
    monkeypatch: pytest.MonkeyPatch, turns: TurnsJob | None, kind: str
) -> None:
    run, channel = made(monkeypatch, step=REPLAYED, turns=turns)
    monkeypatch.setattr(run, "_run_script", dict)
    with pytest.raises(EndedError):
        run.run()
    (said,) = channel.of(kind)
    assert "the script did not iterate train.py:7 again" in (said if turns else said.message)


def test_an_object_gets_its_changed_dataset_at_each_line(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel = made(monkeypatch, step=StepJob("script"), edits=[["an edit"]])
    dataset, changed = Dataset(), Dataset()
    edits_into(run, lambda _: changed)
    assert run._give(dataset, Place("train.py", 5), "loop") is dataset
    for place in (PLACE, PLACE, Place("train.py", 5)):
        assert run._give(dataset, place, "loop") is changed
    assert run._give(dataset, Place("train.py", 9), "validation") is dataset
    assert not channel.of("error")


def test_a_changed_dataset_has_as_many_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _ = made(monkeypatch, step=StepJob("script"), edits=[["an edit"]])
    edits_into(run, lambda _: Dataset(-1))
    assert run._give(Dataset(5), PLACE, "loop").cardinality() == 5
    assert run._give(Dataset(-1), PLACE, "loop").cardinality() == -1


@pytest.mark.parametrize("make", [lambda dataset: dataset, lambda dataset: dataset.take(2)], ids=["own", "made of it"])
def test_datasets_of_the_script_are_not_kept_alive(monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    gc.freeze()  # all that there was before, which takes seconds to look through
    run, _ = made(monkeypatch, step=StepJob("script"), edits=[["an edit"]])
    edits_into(run, make)
    own = Dataset()
    run._give(own, PLACE, "loop")
    known = weakref.ref(own)
    del own
    gc.collect()
    assert known() is None


@pytest.mark.parametrize(
    ("step", "error", "message"),
    [
        ("edit", CannotChangeError(None, "it has no such stage"), "it has no such stage"),
        ("edit", ValueError("no"), "could not be made: ValueError: no"),
        ("cardinality", ValueError("no"), "could not be made: ValueError: no"),
    ],
)
def test_no_error_of_a_change_comes_out_of_the_scripts_loop(
    monkeypatch: pytest.MonkeyPatch, step: str, error: Exception, message: str
) -> None:
    run, channel = made(monkeypatch, step=StepJob("script"), edits=[["an edit"]])
    changed: Any = Dataset()
    changed.cardinality = fails(error)
    edits_into(run, fails(error) if step == "edit" else lambda _: changed)
    with pytest.raises(EndedError):
        run._give(Dataset(), PLACE, "loop")
    (said,) = channel.of("error")
    assert message in said.message
