"""A script that takes turns, told by hand what its hooks would tell; datasets that it is handed."""

from __future__ import annotations

import gc
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.errors import UsageError
from pipeprof.profiles.document.shared import DatasetUse, Training, WrittenFile
from pipeprof.profiles.harness.settings import RunSettings, again
from pipeprof.profiles.protocol.job import IteratedAt, Job
from pipeprof.profiles.protocol.turns import Built, EditRefused, TurnEnded, TurnRequest, TurnsJob
from pipeprof.profiles.verify.plan import not_in_turns
from pipeprof.profiles.worker.rerun import script_turns
from pipeprof.profiles.worker.rerun.script_epochs import ScriptEpochs
from pipeprof.profiles.worker.rerun.script_turns import ScriptTurns, without_first
from pipeprof.profiles.worker.script import hand_out as hand_out_of
from pipeprof.profiles.worker.script import script_job
from pipeprof.profiles.worker.script.consumers import Pass, Place, StepClock
from pipeprof.profiles.worker.script.hand_out import HandOut
from tests.unit.worker.fakes import FakeChannel, FakeTime

MAIN = IteratedAt("train.py", 7, "loop")
script_turns_place = "pipeprof.profiles.worker.script.observer.users_place"


class Dataset:
    """Has a number of elements, and what was made of it."""

    element_spec = "x"

    def __init__(self, length: int = 5, words: str = "own") -> None:
        self.length, self.words = length, words
        self.of: Dataset | None = None

    def cardinality(self) -> int:
        return self.length

    def take(self, count: int) -> Dataset:
        made = Dataset(count, f"{self.words}, taken {count}")
        made.of = self
        return made


@pytest.fixture(autouse=True)
def _no_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_out_of, "detached", lambda made: Dataset(made.length, made.words))


def test_an_object_gets_one_dataset_with_as_many_elements() -> None:
    hand_out = HandOut(lambda dataset: Dataset(-1, f"changed {dataset.words}"))
    own, other = Dataset(5), Dataset(-1, "other")
    first = hand_out.of(own)
    assert hand_out.of(own) is first
    assert (first.words, first.cardinality()) == ("changed own, taken 5", 5)
    assert hand_out.of(other).words == "changed other"


@pytest.mark.parametrize("make", [lambda dataset: dataset, lambda dataset: dataset.take(2)], ids=["own", "made of it"])
def test_datasets_of_the_script_are_not_kept_alive(make: Any) -> None:
    gc.freeze()  # all that there was before, which takes seconds to look through
    hand_out = HandOut(make)
    hand_out.of(Dataset())
    gc.collect()
    assert not hand_out._made


class Channel(FakeChannel):
    """Gives turns, and ends the script's thread after the last one."""

    is_copy = False

    def __init__(self, time: FakeTime, turns: list[TurnRequest]) -> None:
        super().__init__(time)
        self.turns = turns
        self.parked_ms = 0.0

    def next_turn(self) -> TurnRequest | None:
        assert self._time is not None
        # The others have their turns.
        self._time.pass_ms(900)
        return self.turns.pop(0) if self.turns else None


class EndedError(Exception):
    pass


def told(monkeypatch: pytest.MonkeyPatch, turns: list[TurnRequest]) -> tuple[ScriptTurns, Channel, FakeTime]:
    time = FakeTime()
    fake = SimpleNamespace(**{**vars(script_turns.time), "perf_counter_ns": time.perf_counter_ns})
    for module in (script_turns, sys.modules["pipeprof.profiles.worker.turns.turn_run"]):
        monkeypatch.setattr(module, "time", fake)
    channel = Channel(time, turns)
    job = Job("script", "train.py", ["train.py"], turns=TurnsJob(), main=MAIN)
    run = ScriptTurns(job, channel)  # type: ignore[arg-type]
    monkeypatch.setattr(run, "_end", lambda: (_ for _ in ()).throw(EndedError()))
    monkeypatch.setattr(script_turns, "read_model", lambda _iterator: None)
    monkeypatch.setattr(script_turns, "asynchronous", lambda _main: None)
    run._observer._clock = time.perf_counter_ns
    run._built = Built([], False, None, 0.0, 0.0)
    return run, channel, time


def train(
    run: ScriptTurns, time: FakeTime, batches: int, *, fetch_ms: float, step_ms: float, end_ms: float = 0
) -> None:
    """One epoch of a loop."""
    dataset = run.kept = Dataset()  # type: ignore[attr-defined]
    iterator = Dataset()
    run._observer.iterator_made(dataset, iterator, time.ns)
    for _ in range(batches):
        got = run._observer.asked(iterator)
        time.pass_ms(fetch_ms)
        got(time.ns)
        time.pass_ms(step_ms)
    run._observer.asked(iterator)
    time.pass_ms(end_ms)
    run._observer.ended(iterator)
    # A validation.
    time.pass_ms(500)


def epochs(run: ScriptTurns, time: FakeTime, count: int) -> None:
    for _ in range(count):
        train(run, time, 40, fetch_ms=6, step_ms=4, end_ms=4000)


@pytest.fixture(autouse=True)
def _at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Place(MAIN.file, MAIN.line)
    monkeypatch.setattr("pipeprof.profiles.worker.script.observer.users_place", lambda: place)


def blocks(channel: Channel) -> list[Any]:
    return [(block.steps, round(1e3 * block.seconds / block.steps, 3)) for block in channel.of(TurnEnded)]


def test_a_turn_counts_steps_and_nothing_that_is_between(monkeypatch: pytest.MonkeyPatch) -> None:
    turns = [TurnRequest("block", 0.2, 4, 0.02) for _ in range(3)]
    run, channel, time = told(monkeypatch, turns)
    with pytest.raises(EndedError):
        epochs(run, time, 10)
    assert isinstance(channel.sent[0], Built)
    # Neither the 900 ms of the others' turns, nor validation, nor the 4 s in which an ended iterator is freed.
    assert len(blocks(channel)) == 3
    assert all(steps >= 20 and ms == pytest.approx(10, abs=0.01) for steps, ms in blocks(channel))
    waits = [1e3 * (block.wait_seconds or 0) / block.steps for block in channel.of(TurnEnded)]
    assert waits == pytest.approx([6, 6, 6], abs=0.01)
    assert sum(block.freeing_seconds for block in channel.of(TurnEnded)) >= 4


def test_a_function_that_takes_the_batches_is_followed_by_the_model_of_its_iterator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run, channel, time = told(monkeypatch, [TurnRequest("block", 0.2, 4, 0.02) for _ in range(3)])
    iterator, began = Dataset(), time.ns
    run._in_python = SimpleNamespace(is_set=lambda: False, wait=lambda _: time.pass_ms(20))  # type: ignore[assignment]
    run._follower = SimpleNamespace()  # type: ignore[assignment]  # the test's own thread
    run.kept = Dataset()  # type: ignore[attr-defined]
    run._observer.iterator_made(run.kept, iterator, time.ns)

    def model(_iterator: object) -> tuple[int, list[int]]:
        """A batch every 5 ms, but while the process was stopped."""
        stopped = 900 * (3 - len(channel.turns))
        return 1 + int(((time.ns - began) / 1e6 - stopped) / 5), [2_000] * 100

    monkeypatch.setattr(script_turns, "read_model", model)
    next_turn, kept = channel.next_turn, []
    # A request of the script's thread waits meanwhile.
    monkeypatch.setattr(channel, "next_turn", lambda: (kept.append(run._folding.locked()), next_turn())[1])
    with pytest.raises(EndedError):
        run._follow_graph()
    assert kept == [True] * 4
    assert isinstance(channel.sent[0], Built)
    assert len(blocks(channel)) == 3
    assert all(steps >= 40 and ms == pytest.approx(5, abs=0.01) for steps, ms in blocks(channel))
    assert all(block.wait_seconds is None for block in channel.of(TurnEnded))


def test_a_model_that_cannot_be_read_says_nothing_against_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel, _ = told(monkeypatch, [])
    run._in_python = SimpleNamespace(is_set=lambda: False, wait=lambda _: None)  # type: ignore[assignment]
    run._main = SimpleNamespace(fold=lambda *_: 1 / 0)  # type: ignore[assignment]
    with pytest.raises(EndedError):
        run._follow_graph()
    assert [refused.reason for refused in channel.of(EditRefused)] == [
        "its steps could not be followed: ZeroDivisionError: division by zero"
    ]


def test_other_datasets_are_no_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel, time = told(monkeypatch, [TurnRequest("block", 0.2, 4)])
    monkeypatch.setattr("pipeprof.profiles.worker.script.observer.users_place", lambda: Place(MAIN.file, MAIN.line + 1))
    train(run, time, 40, fetch_ms=6, step_ms=4)
    assert not channel.sent


def test_the_end_of_a_script_says_nothing_against_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel, time = told(monkeypatch, [TurnRequest("block", 60.0, 4)])
    train(run, time, 40, fetch_ms=6, step_ms=4)
    monkeypatch.setattr(script_job, "run_as_main", lambda *_: {})
    monkeypatch.setattr(run._writes, "begin", lambda: None)
    with pytest.raises(EndedError):
        run.run()
    assert [refused.reason for refused in channel.of(EditRefused)] == [script_turns.TOO_SHORT]


def test_the_step_that_was_under_way_is_left_out() -> None:
    assert without_first([1, 2, 3], [0, 2]) == ([2, 3], [1])  # type: ignore[list-item]


def test_freeing_an_iterator_counts_where_a_run_is_described() -> None:
    def extra(*, counts: bool) -> int:
        clock = StepClock()
        clock.counts_ends = counts
        first = Pass(0, 0, lambda: None, ended=1065)
        clock.loop(first, [10, 30, 40, 60, 62])
        clock.end_loop(first)
        return clock.loop(Pass(2000, 2000, lambda: None), [2001, 2021, 2030]).readings[-1].got - 62

    assert extra(counts=True) == 1003 + 20
    assert extra(counts=False) == 20


OWN, CHANGED = (TurnRequest("block", settle_seconds=0.06, own=own) for own in (True, False))


def in_epochs(monkeypatch: pytest.MonkeyPatch, turns: list[TurnRequest]) -> tuple[ScriptEpochs, Channel, FakeTime]:
    _, channel, time = told(monkeypatch, turns)
    job = Job("script", "train.py", ["train.py"], turns=TurnsJob(epochs=True), main=MAIN)
    run = ScriptEpochs(job, channel)  # type: ignore[arg-type]
    monkeypatch.setattr(run, "_end", lambda: (_ for _ in ()).throw(EndedError()))
    monkeypatch.setattr(run, "_own_batches", lambda _dataset: [])
    monkeypatch.setattr("pipeprof.profiles.worker.rerun.script_epochs.read_model", lambda _iterator: None)
    run._observer._clock = time.perf_counter_ns
    run._built = Built([], False, None, 0.0, 0.0)
    run._hand_out = run._handed_out = HandOut(lambda dataset: Dataset(dataset.length, f"changed {dataset.words}"))
    return run, channel, time


def iterate(run: ScriptEpochs, time: FakeTime, dataset: Dataset, batches: int, ms: dict[str, float]) -> str:
    """Iterate a dataset, or the one that is handed out for it; return what it was. A first batch takes 100 ms more."""
    handed, iterator = run._observer.given(dataset), Dataset()
    run._observer.iterator_made(dataset, iterator, time.ns)
    run.kept = iterator  # type: ignore[attr-defined]
    for number in range(batches):
        got = run._observer.asked(iterator)
        time.pass_ms(ms[handed.words] + (0 if number else 100))
        got(time.ns)
    return handed.words


def test_the_dataset_of_an_epoch_is_the_one_that_its_turn_names(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel, time = in_epochs(monkeypatch, [OWN, CHANGED, CHANGED, OWN])
    dataset, seen = Dataset(), []

    def train() -> None:
        seen.append(iterate(run, time, dataset, 40, {"own": 10.0, "changed own": 5.0}))
        # A look at the first batch is no epoch, and a loop at another line none of this one.
        iterate(run, time, dataset, 1, {"own": 1.0, "changed own": 1.0})
        with monkeypatch.context() as elsewhere:
            elsewhere.setattr(script_turns_place, lambda: Place(MAIN.file, MAIN.line + 5))
            iterate(run, time, dataset, 30, {"own": 1.0, "changed own": 1.0})

    for _ in range(3):
        train()
    with pytest.raises(EndedError):
        train()
    assert seen == ["own", "changed own", "changed own", "own"]
    # The first batch and the warm-up are left out: 60 ms, or a quarter of the steps.
    assert blocks(channel) == [(32, 10.0), (29, 5.0), (29, 5.0), (32, 10.0)]


def test_a_whole_epoch_counts_from_its_iterator_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [replace(OWN, settle_seconds=0.0)] * 2
    run, channel, time = in_epochs(monkeypatch, whole)
    for _ in range(2):
        iterate(run, time, Dataset(), 41, {"own": 10.0})
    with pytest.raises(EndedError):
        iterate(run, time, Dataset(), 41, {"own": 10.0})
    assert blocks(channel) == [(40, 12.5)] * 2


def test_the_last_epoch_counts_where_the_script_ends_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, channel, time = in_epochs(monkeypatch, [OWN, CHANGED, CHANGED])
    for _ in range(2):
        iterate(run, time, Dataset(), 40, {"own": 10.0, "changed own": 5.0})
    monkeypatch.setattr(script_job, "run_as_main", lambda *_: {})
    monkeypatch.setattr(run._writes, "begin", lambda: None)
    with pytest.raises(EndedError):
        run.run()
    assert blocks(channel) == [(32, 10.0), (29, 5.0)]
    assert [refused.reason for refused in channel.of(EditRefused)] == [script_turns.TOO_SHORT]


def profile(**facts: Any) -> Any:
    return SimpleNamespace(training=Training(**facts))


def test_further_processes_are_about_the_dataset_of_the_run(tmp_path: Any) -> None:
    settings = RunSettings(target=SimpleNamespace(kind="script"), rerun=True)  # type: ignore[arg-type]
    uses = [
        DatasetUse(role="validation", file="train.py", line=9),
        DatasetUse(role="loop", main=True, file="train.py", line=7),
    ]
    written = [WrittenFile(file=str(tmp_path / "model.keras"), bytes=3, new=True)]
    written += [WrittenFile(file=str(tmp_path / "log.csv"), bytes=30)]
    found = again(settings, profile(datasets=uses, written=written))
    assert found.main == replace(MAIN, file=str(Path("train.py").absolute()))
    assert list(found.made) == [str(tmp_path / "model.keras")]
    assert again(settings, SimpleNamespace(training=None)) is settings  # type: ignore[arg-type]


@pytest.mark.parametrize(("consumer", "may"), [("loop", True), ("fit", True), ("graph", True), ("graph-loop", False)])
def test_a_loop_over_a_dataset_inside_of_tensorflow_takes_no_turns(consumer: Any, may: bool) -> None:
    why = not_in_turns(profile(consumer=consumer))
    assert (why is None) is may
    assert may or "tf.function" in (why or "")


def test_a_script_is_compared_only_where_the_user_says_so() -> None:
    from pipeprof.cli.targets.scripts import script_settings

    given = SimpleNamespace(rerun=False, script_args=None, allow_writes=False)
    with pytest.raises(UsageError, match="--rerun"):
        script_settings(given, "train.py")  # type: ignore[arg-type]
    given = SimpleNamespace(rerun=True, script_args="--name 'a b'", allow_writes=True)
    found = script_settings(given, "train.py")  # type: ignore[arg-type]
    assert found == {"script_args": ["--name", "a b"], "allow_writes": True, "rerun": True}
    for name, value in (("self_test", True), ("step", "simulate:2ms"), ("script_args", "'open")):
        with pytest.raises(UsageError):
            script_settings(SimpleNamespace(**{**vars(given), name: value}), "train.py")  # type: ignore[arg-type]
