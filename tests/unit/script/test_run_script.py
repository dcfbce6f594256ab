"""The end of a script's run, whichever thread comes to it first; and what it tells meanwhile."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pipeprof import recording
from pipeprof.pipelines.steps.step import SCRIPT
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.shared import CodePlace
from pipeprof.profiles.protocol.options import Options, StepJob
from pipeprof.profiles.worker import main
from pipeprof.profiles.worker.memory_log import ModelLog
from pipeprof.profiles.worker.script import hooks, run_script, script_job
from pipeprof.profiles.worker.script.consumers import Consumer, Pass, Place, main_of
from pipeprof.profiles.worker.script.run_script import ScriptRun
from pipeprof.profiles.worker.script.script_job import ScriptWarmUp
from pipeprof.profiles.worker.script.writes import Loss
from pipeprof.profiles.worker.steps import window as windows
from pipeprof.profiles.worker.steps.loop import NeverIteratedError
from pipeprof.profiles.worker.steps.statistics import StepReading
from tests.unit.worker.fakes import MS, FakeChannel, FakeTime, in_a_child

TRAIN = ParsedTarget("script", Path("train.py"))


class Channel(FakeChannel):
    is_copy = False


class Ended(BaseException):
    """Stands for the end of the process."""


class Run(ScriptRun):
    """A run whose description lasts until it is let go."""

    def __init__(self, *, soak: bool = False, steps: int | None = None) -> None:
        self.channel = Channel(FakeTime())
        job = Options(TRAIN, ["train.py"], soak=soak, steps=steps, seconds=10.0, step=StepJob(SCRIPT))
        super().__init__(job, self.channel)
        self._writes.begin = self._reporter.start = self._stop_reporter = self._training = lambda: None
        self.describing, self.described = threading.Event(), threading.Event()
        self.ends: list[str] = []

    def _why_nothing(self) -> str:
        self.describing.set()
        assert self.described.wait(60)
        return "nothing"

    def _end_process(self) -> None:
        self.ends.append(threading.current_thread().name)
        raise Ended


def started(name: str, call: Any) -> threading.Thread:
    def until_the_end() -> None:
        with suppress(Ended, NeverIteratedError):
            call()

    thread = threading.Thread(target=until_the_end, name=name, daemon=True)
    thread.start()
    return thread


WINDOW: Any = SimpleNamespace(statistics=SimpleNamespace(previous=None))
"""One without a step."""
LOSS = Loss("/m.keras", "overwrite", "open")
LATER: dict[str, Any] = {
    "its end": lambda run: run._finish("the script"),
    "a write": lambda run: run._refuse_write(LOSS),
    "os._exit": lambda run: run._exiting(3),
    "an exception": lambda run: run.run(),
}


@pytest.mark.parametrize("name", LATER)
def test_a_thread_that_comes_later_waits_for_the_end(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    run = Run()
    run._run_script = lambda: int("no")
    waiting = threading.Event()
    monkeypatch.setattr(run._one_end._over, "wait", lambda: (waiting.set(), threading.Event().wait()))
    first = started("first", lambda: run._end_with("10 s", run_script.ScriptEndedError()))
    assert run.describing.wait(60)
    later = started("later", lambda: LATER[name](run))
    assert waiting.wait(60)
    assert run.ends == []
    run.described.set()
    first.join()
    assert later.is_alive()
    assert run.ends == ["first"]


def test_after_a_normal_end_a_write_ends_the_process() -> None:
    run = Run()
    run.described.set()
    with pytest.raises(NeverIteratedError):
        run._finish("the script")
    # While it describes, what is written is pipeprof's.
    run._refuse_write(LOSS)
    assert run.ends == []
    run._one_end.go_on()
    started("another", lambda: run._refuse_write(LOSS)).join()
    with pytest.raises(Ended):
        run._refuse_write(LOSS)
    assert run.ends == ["another", threading.current_thread().name]


def watched(call: str | None = None) -> Any:
    """A run of a process that is watched."""
    job, channel = Options(TRAIN, ["train.py"]), Channel(FakeTime())
    return recording.WatchRun(job, channel, registered=(), lines=False, over=lambda: None, call=call)


def test_a_watched_process_goes_on_when_another_thread_has_described() -> None:
    run = watched()
    describing, described = threading.Event(), threading.Event()
    run._stop_reporter = run._training = lambda: None
    run._why_nothing = lambda: (describing.set(), described.wait(60), run._channel.send(described=True))
    first = started("first", lambda: run._finish("10 steps"))
    assert describing.wait(60)
    last = started("last", lambda: run.stop("the program", None, lambda: None))
    described.set()
    for thread in (first, last):
        thread.join(60)
        assert not thread.is_alive()
    assert run._channel.sent[-2:] == [{"described": True}, {"done": True}]


def test_an_interrupt_while_a_watched_process_is_described_is_its_users(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ScriptRun, "_finish", interrupted)
    run = watched()
    with pytest.raises(KeyboardInterrupt):
        run._end_with("10 steps")
    assert run._channel.sent[-1] == {"done": True}


@pytest.mark.parametrize("failed", [True, False])
def test_a_watch_that_ends_well_in_its_warm_up_says_what_to_do(*, failed: bool) -> None:
    run = watched()
    run._warming = ScriptWarmUp(WINDOW, None)
    run._begin_measure = lambda *_, **__: SimpleNamespace(take=lambda _rows: False)
    run._finish = lambda _reason: run._measure_warm_up()
    run._finish_with("the block", ValueError("loss is nan") if failed else None, lambda: None)
    (warning,) = run._channel.warned()
    assert warning.code == "short-script"
    assert warning.text.endswith("Let it go on for longer.") is not failed


def measuring(**options: Any) -> Run:
    """A run that takes steps, and looks at nothing beside them."""
    run = Run(**options)
    run._follow_pass = run._look_inside = lambda *_: None
    run._readings.memory = SimpleNamespace(read=lambda _name: None)
    run._warming = ScriptWarmUp(WINDOW, None)
    return run


def window(taken: list[Any], seconds: float) -> Any:
    """A window that notes what it takes, after steps of so many seconds."""
    statistics = SimpleNamespace(count=2, seconds=seconds)
    return SimpleNamespace(statistics=statistics, most=lambda: None, take=taken.append, reason=None)


def test_a_script_that_ends_soon_after_its_warm_up_is_measured_with_it() -> None:
    run, taken = measuring(), list[Any]()
    rows = rows_of(*range(0, 400, 10), begins=(80, 160, 340))
    run._window, warm = window(taken, 0.5), run._readings.models
    run._warming.rows = [rows[:30]]
    run._warming.models, run._readings.models = warm, ModelLog()
    run._take(SimpleNamespace(), rows[30:])
    run._measure_warm_up()
    # The first quarter is left out; starts of epochs are counted from there.
    assert [(len(steps), [*steps[:, -1].nonzero()[0]]) for steps in taken] == [(10, [4]), (30, [6, 24])]
    assert run._readings.models is warm
    (warning,) = run.channel.warned()
    assert "soon after the warm-up" in warning.text


def test_the_warm_up_tells_its_steps_for_who_is_killed_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run, clock = measuring(), FakeTime()
    monkeypatch.setattr(windows, "time", clock)
    run._warm, run._send_libraries = (lambda _looked: None), (lambda: None)
    run._change_main(iterated(run, 3))
    for look in range(16):
        clock.pass_ms(100)
        at = 100 * MS * look
        run._take(run._followed.main, rows_of(*range(at, at + 100 * MS, 10 * MS)))
    # After 0.25 s, and each time when it has lasted twice as long.
    assert [one.steps.count for one in run.channel.of("measured")] == [29, 59, 119]
    assert run._phases.current == "warmup"


def rows_of(*times: int, begins: Sequence[int] = ()) -> Any:
    """Steps of a loop whose batches came at these times; some began an epoch."""
    return np.asarray([StepReading(0, 0, at, at + 1, at + 1, at + 2, at in begins) for at in times])


def read(first: int, count: int) -> Any:
    """So many steps of a loop, numbered from the first one."""
    return rows_of(*[10 * MS * one for one in range(first, first + count)])


def test_steps_that_come_after_those_asked_for_are_left_out() -> None:
    run = measuring(steps=60)
    window = run._begin_measure(None)
    # The first step opens the window; the script's thread is slow to see that it is over.
    for first, count in ((0, 41), (41, 30), (71, 1), (72, 5)):
        run._take(run._followed.main, read(first, count))
    assert (run._one_end.reason, window.statistics.count) == ("60 steps", 60)


def test_a_script_that_ends_soon_has_no_more_steps_than_those_asked_for() -> None:
    run = measuring(steps=10)
    run._warming.rows = [read(0, 40)]
    assert run._measure_warm_up().statistics.count == 10


def test_costs_of_an_iterator_are_those_of_the_batches_since_it_began(monkeypatch: pytest.MonkeyPatch) -> None:
    """With epochs shorter than the time between two looks, each look finds another iterator."""
    run, counts = measuring(), list[int]()
    run._followed = feed = SimpleNamespace(reference=object(), alive=True)
    run._window = window([], 9.0)
    run._window.statistics.count = 100
    monkeypatch.setattr(run, "_follow_pass", lambda *_: setattr(feed, "reference", object()))
    monkeypatch.setattr(run._readings.models, "follow", counts.append)
    monkeypatch.setattr(run._readings.models, "resume", lambda *_: counts.append(-1))
    run._take(SimpleNamespace(), rows_of(*range(40), begins=(12, 32)))
    run._take(SimpleNamespace(), rows_of(*range(40)))
    assert counts == [132, 140]


def test_a_script_that_fails_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    run, finished = Run(), []

    def fails(*_arguments: object) -> None:
        run._phases.current = "measure"
        raise ValueError("loss is nan")

    def finish(reason: str) -> None:
        finished.append(reason)
        run._enter("trace")
        raise NeverIteratedError

    monkeypatch.setattr(script_job, "run_as_main", fails)
    monkeypatch.setattr(run, "_finish", finish)
    with pytest.raises(ValueError, match="loss is nan"):
        run.run()
    assert finished == ["the script"]
    # Nothing is traced: the error belongs to the phase in which it came.
    assert run._phases.current == "measure"


def test_why_there_was_no_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "train.py"
    script.write_text("import os\npid = os.fork()\n")
    monkeypatch.chdir(tmp_path)
    run = ScriptRun(Options(TRAIN, ["train.py"]), Channel(FakeTime()))
    # The script may change the folder.
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setattr(os, "times", lambda: SimpleNamespace(children_user=0.1))
    assert run._why_nothing() == "train.py finished without iterating over a tf.data dataset"
    making = "import tensorflow as tf\ndef make():\n    return tf.data.Dataset.range(3)\n"
    script.write_text(f"{making}def normalize(volume):\n    return volume - 1\ndef make_data(n):\n    return [n]\n")
    assert run._why_nothing().endswith("name it: train.py:make")
    run._observer.habits.source = CodePlace(name="Rows", file=str(script), line=9)
    assert f"dataset; its batches come from Rows ({script}:9);" in run._why_nothing()
    monkeypatch.setattr(os, "times", lambda: SimpleNamespace(children_user=12.3))
    assert "; its child processes computed for 12 s: they are not measured, so run their script;" in run._why_nothing()
    looked = Consumer(Place("train.py", 3), "loop", iterators=1)
    run._observer.consumers.append(looked)
    assert run._why_nothing().startswith("train.py:3 takes no batch of its dataset:")
    looked.clock.batches = 1
    assert run._why_nothing().startswith("train.py:3 takes a batch of a dataset, but no second one:")


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_that_a_signal_ends_is_not_traced(*, stopped: bool) -> None:
    run = Run()
    run._phases.current, run.channel.stopped = "measure", stopped
    run._enter("trace")
    assert run._phases.current == ("measure" if stopped else "trace")


SECOND = 1_000_000_000


def iterated(run: Run, line: int, fetch: float = 0.0, seconds: float = 0.0, moved: float = 0.0) -> Consumer:
    """A dataset that the script has iterated, with its numbers in seconds."""
    consumer = Consumer(Place("train.py", line), "loop", steps=100, seconds=seconds, moved_ns=round(moved * SECOND))
    consumer.clock.fetch_ns = round(fetch * SECOND)
    run._observer.consumers.append(consumer)
    return consumer


def test_datasets_that_take_turns_do_not_take_each_others_place() -> None:
    run, main = Run(), None
    changed: list[Consumer | None] = []
    epochs = [iterated(run, line) for line in (3, 5)]
    for epoch in range(10):
        one = epochs[epoch % 2]
        one.clock.fetch_ns += SECOND
        one.seconds += 2.0 + 0.01 * epoch
        one.moved_ns = 2 * epoch * SECOND
        before, main = main, main_of(epochs, main, one.moved_ns)
        changed += [main] if main is not before else []
    assert changed == epochs[:1]
    # One that has clearly more is the main one.
    epochs[1].clock.fetch_ns *= 2
    assert main_of(epochs, main, epochs[1].moved_ns) is epochs[1]


@pytest.mark.parametrize(("quiet", "ends"), [(2.0, False), (20.0, True)])
def test_a_run_ends_where_its_main_dataset_comes_no_more(
    monkeypatch: pytest.MonkeyPatch, quiet: float, *, ends: bool
) -> None:
    run, time = Run(), FakeTime()
    monkeypatch.setattr(run_script, "time", time)
    run._followed.main, other = iterated(run, 3, moved=time.perf_counter_ns() / SECOND), iterated(run, 5)
    run._one_end.reason = "10 s"
    other.passes.append(one := Pass(0, 0, lambda: None))
    time.pass_ms(1000 * quiet)
    monkeypatch.setattr(run, "_finish", lambda _: None)
    with suppress(Ended):
        run._attend(one)
    assert bool(run.ends) is ends
    assert run._followed.taking is None


def test_on_a_gpu_some_more_steps_follow_the_measured_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    clock = SimpleNamespace(
        **{name: lambda *_, name=name: calls.append(name) for name in ("start", "requested", "came", "read")}
    )
    monkeypatch.setattr(hooks, "_clock_for", lambda _main: clock)
    monkeypatch.setattr(hooks, "is_enough", lambda count, _seconds: count >= 2)
    run = Run()
    run._followed.main = iterated(run, 3)
    iterator = Consumer(Place("train.py", 3), "loop")  # anything that can be referenced
    one = Pass(0, 0, weakref.ref(iterator))
    run._followed.main.passes.append(one)
    run._observer._passes[id(iterator)] = one
    run._one_end.reason, run._observer.attention = "10 s", True
    monkeypatch.setattr(run, "_finish", calls.append)
    for _ in range(2):
        run._observer.asked(iterator)(1)
    assert run._followed.main.steps == 100
    with pytest.raises(Ended):
        run._observer.asked(iterator)
    assert calls == ["start", "requested", "came", "requested", "came", "read", "10 s"]
    assert run._observer.came is None


def test_a_child_that_the_script_forks_is_left_alone() -> None:
    run = Run()
    run._imports.begin()
    hooked = run._hooks._seen

    def child() -> None:
        os._exit(0 if run._imports not in sys.meta_path and run._hooks._seen is not hooked else 1)

    try:
        assert in_a_child(child) == 0
        assert run._imports in sys.meta_path
        assert run._hooks._seen is hooked
    finally:
        run._imports.end()


@pytest.mark.parametrize(("error", "code"), [(None, 40), (SystemExit(3), 43), (ValueError(), 41)])
def test_a_child_ends_as_it_does_without_pipeprof(error: BaseException | None, code: int) -> None:
    run = Run()
    sent: list[object] = []
    channel: Any = SimpleNamespace(is_copy=True, send=sent.append)

    def child() -> None:
        try:
            main._end(channel, run, error)
        except SystemExit as ending:
            os._exit(40 + int(ending.code or 0))
        except ValueError:
            os._exit(41)
        os._exit(40 if not sent else 79)

    assert in_a_child(child) == code
