"""The loop around the worker, with a fake clock, fake worker and real pipes: what ends it, when, and what is asked."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import (
    DONE,
    GREW,
    FakeSampler,
    FakeSeconds,
    FakeWorker,
    beat,
    changes,
    drained,
    error,
    measured,
    phase,
    phase_end,
    sample,
)

from pipeprof.profiles.harness import event_loop as watches
from pipeprof.profiles.harness.event_loop import Ended, Saver, Signals, Watch
from pipeprof.profiles.harness.received import GROWING_TIMES, STARTING_SECONDS, Observed
from pipeprof.profiles.protocol.channel import encode
from pipeprof.profiles.protocol.messages import Answer, Trace

TIMEOUT = 60.0
START = 100.0


def line(message: Any) -> bytes:
    return encode(changes(message)).encode()


@dataclass
class Scene:
    """A watch whose waiting for pipes moves the clock on instead, and a plan of what happens when."""

    clock: FakeSeconds
    worker: FakeWorker
    signals: Signals
    sampler: FakeSampler
    observed: Observed
    watch: Watch
    plan: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    saved: list[float] = field(default_factory=list)
    asked_at: list[tuple[str, float]] = field(default_factory=list)

    def at(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen `seconds` after the start."""
        self.plan.append((START + seconds, what))
        self.plan.sort(key=lambda one: one[0])

    def says(self, seconds: float, *messages: Any) -> None:
        self.at(seconds, lambda: self.worker.say(b"".join(map(line, messages))))

    def ends(self, seconds: float, status: int = 0) -> None:
        self.at(seconds, lambda: setattr(self.worker, "returncode", status))

    def interrupt(self, seconds: float, number: int = signal.SIGINT) -> None:
        self.at(seconds, lambda: self.signals._handle(number, None))

    def over_limit(self, seconds: float) -> None:
        def over() -> None:
            self.watch.over_limit = True
            self.signals.wake()

        self.at(seconds, over)

    def select(self, reading, writing, failing, timeout):
        """Whatever is there; else the time passes, to the next event at most."""
        self.waited.append(timeout)
        assert len(self.waited) < 20_000, "the loop turns without end"
        found = REAL_SELECT(reading, writing, failing, 0)
        if any(found):
            return found
        now, until = self.clock.now, self.clock.now + timeout
        if self.plan and self.plan[0][0] <= until:
            when, what = self.plan.pop(0)
            self.clock.now = max(now, when)
            what()
        else:
            self.clock.now = until
        return REAL_SELECT(reading, writing, failing, 0)

    def save(self) -> None:
        self.saved.append(self.clock.now - START)

    def run(self, on_hang: Callable[[], None] = lambda: None) -> tuple[Ended, float]:
        """How it ended, and how many seconds after the start."""
        ended = self.watch.run(on_hang)
        assert self.worker.ended == 1
        return ended, self.clock.now - START


REAL_SELECT = watches.select.select


@pytest.fixture
def scene(monkeypatch):
    clock = FakeSeconds(START)
    with FakeWorker() as worker, Signals().installed() as signals:
        observed = Observed(clock=clock)
        sampler = FakeSampler()
        made = Scene(clock, worker, signals, sampler, observed, None)
        monkeypatch.setattr(watches, "select", SimpleNamespace(select=made.select))
        made.watch = Watch(
            worker=worker,
            observed=observed,
            sampler=sampler,
            signals=signals,
            timeout=TIMEOUT,
            end_at=None,
            on_message=lambda: None,
            saver=Saver(made.save),
            clock=clock,
        )

        def heard(word: str) -> None:
            made.asked_at.append((word, round(clock.now - START, 6)))

        worker.script = heard
        yield made


def reacts(scene: Scene, to: str, after: float, *messages: Any) -> None:
    """Let the worker say something some seconds after a command; after "stop" it ends."""
    note = scene.worker.script

    def script(word: str) -> None:
        note(word)
        if word == to:
            now = scene.clock.now - START
            scene.says(now + after, *messages)
            if to == "stop":
                scene.ends(now + after + 0.001)

    scene.worker.script = script


# Ending by itself


def test_a_worker_that_ends_by_itself(scene):
    printed = []
    scene.at(0.5, lambda: scene.worker.print(b"hello"))
    scene.says(1, phase("measure"), measured(drained()), DONE)
    scene.at(1.5, lambda: printed.append(scene.worker.output))
    scene.ends(2)
    ended, seconds = scene.run()
    assert (ended.reason, ended.returncode) == ("exit", 0)
    assert seconds == pytest.approx(2, abs=0.3)
    assert scene.observed.complete
    assert (scene.worker.commands, printed) == ([], [b"hello"])


def test_last_words_are_heard_after_the_end(scene):
    def dies() -> None:
        scene.worker.say(line(phase("build")) + line(DONE) + b'{"phases":"cut o')
        scene.worker.print(b"the last cry")
        scene.worker.returncode = -11

    scene.at(1, dies)
    ended, _ = scene.run()
    assert ended.returncode == -11
    assert scene.observed.phase == "build"
    assert scene.observed.done
    assert scene.worker.output == b"the last cry"


@pytest.mark.parametrize("closes", [FakeWorker.hang_up, FakeWorker.close_output], ids=["messages", "output"])
def test_a_closed_pipe_alone_does_not_end_it_and_costs_few_turns(scene, closes):
    scene.at(1, lambda: closes(scene.worker))
    scene.ends(1.9, 3)
    ended, _ = scene.run()
    assert (ended.reason, ended.returncode) == ("exit", 3)
    assert len(scene.waited) < 300


def test_a_worker_that_goes_on_without_its_pipe_is_ended_and_a_program_in_its_place_is_named(scene):
    def replaced():
        scene.worker.successor = "/bin/sleep 3600"
        scene.worker.hang_up()

    scene.at(1, replaced)
    ended, seconds = scene.run()
    assert (ended.reason, ended.successor) == ("silent", "/bin/sleep 3600")
    assert seconds == pytest.approx(1 + watches.SILENT_SECONDS, abs=0.1)


def test_the_worker_is_ended_whatever_goes_wrong(scene):
    def fails() -> None:
        raise OSError(28, "disk full")

    scene.watch.saver.save = fails
    scene.says(1, phase("build"))
    with pytest.raises(OSError, match="disk full"):
        scene.watch.run()
    assert scene.worker.ended == 1


# Hanging


def test_a_hang_is_looked_at_and_ended_once_it_has_answered(scene):
    scene.says(5, phase("build"))
    reacts(scene, "look", 0.5, Answer())
    ended, seconds = scene.run()
    assert (ended.reason, ended.returncode) == ("hung", -9)
    assert scene.asked_at == [("look", 65)]
    assert scene.worker.stack_dumps == 1
    assert seconds == pytest.approx(65.5)
    assert scene.observed.answer is not None


@pytest.mark.parametrize(
    ("timeout", "said", "asked"),
    [
        (TIMEOUT, {}, TIMEOUT),
        # A build that grows has more time, but not without end, and the step after it has not.
        (TIMEOUT, {1: [phase("build")], 50: [GREW]}, 50 + TIMEOUT),
        (TIMEOUT, {10: [phase("build")], **dict.fromkeys(range(11, 3000, 20), (GREW,))}, 10 + GROWING_TIMES * TIMEOUT),
        (TIMEOUT, {1: [phase("build")], 40: [GREW], 45: [phase_end("build"), phase("first_element")]}, 45 + TIMEOUT),
        # The start of TensorFlow has more time than the pipeline.
        (3.0, {0: [phase("import")], 50: [phase("build")]}, 53),
        (3.0, {0: [phase("import")]}, STARTING_SECONDS),
    ],
)
def test_a_hang_without_an_answer_is_ended_after_two_seconds(scene, timeout, said, asked):
    scene.watch.timeout = timeout
    for seconds, messages in said.items():
        scene.says(seconds, *messages)
    ended, seconds = scene.run()
    assert (ended.reason, ended.suspended, scene.asked_at) == ("hung", False, [("look", asked)])
    assert scene.worker.stack_dumps == 1
    assert seconds == pytest.approx(asked + 2)


@pytest.mark.parametrize(
    ("said", "stopped_at"),
    [
        ({1: [phase("build")], 50: [GREW], 100: [GREW], 150: [GREW], 205: [phase_end("build")]}, None),
        ({1: [phase("build")], 50: [GREW], 700: [phase_end("build")]}, 55),
        ({1: [phase("build")], 640: [beat(1)]}, 20),
        (dict.fromkeys(range(1, 200, 20), ({},)), None),
    ],
    ids=["growing build", "growing build stopped by Ctrl-Z", "stopped by Ctrl-Z, or asleep", "long step"],
)
def test_while_there_is_progress_or_it_could_not_be_heard_it_is_waited_for(scene, said, stopped_at):
    def stopped() -> None:
        scene.clock.now += 600

    for seconds, messages in said.items():
        scene.says(seconds, *messages)
    if stopped_at is not None:
        scene.at(stopped_at, stopped)
    scene.ends(max(said) + 1)
    assert (scene.run()[0].reason, scene.worker.commands) == ("exit", [])


def test_progress_puts_off_the_hang_and_answers_do_not(scene):
    reacts(scene, "look", 0.0, Answer())
    scene.sampler.limit_bytes = 1000
    scene.sampler.last = sample(900)
    scene.says(30, beat(1))
    _, seconds = scene.run()
    assert seconds == pytest.approx(90, abs=0.3)


def test_silence_before_and_after_such_a_stop_counts(scene):
    def stopped() -> None:
        scene.clock.now += 600

    scene.at(20, stopped)
    ended, _ = scene.run()
    assert ended.reason == "hung"
    assert not ended.suspended
    (_, asked) = scene.asked_at[0]
    assert TIMEOUT < asked - 600 < TIMEOUT + 2


# The memory limit


@pytest.mark.parametrize("more", [[], [DONE]], ids=["an answer", "its end"])
def test_over_the_limit_what_it_says_ends_it_earlier_and_does_not_hide_the_limit(scene, more):
    scene.over_limit(5)
    reacts(scene, "look", 0.05, Answer(), *more)
    ended, seconds = scene.run()
    assert ended.reason == "memory-limit"
    assert seconds == pytest.approx(5.05)
    assert scene.observed.answers == 1


@pytest.mark.parametrize(("used", "looks"), [(499, 0), (500, 0), (501, 4), (999, 4)])
def test_above_half_the_limit_it_is_looked_at_every_second(scene, used, looks):
    scene.sampler.limit_bytes = 1000
    scene.sampler.last = sample(used)
    scene.ends(4.9)
    scene.run()
    asked = [seconds for _, seconds in scene.asked_at]
    assert len(asked) == looks
    assert all(b - a == pytest.approx(1, abs=0.25) for a, b in pairwise(asked))
    assert all(b - a >= 1 - 1e-6 for a, b in pairwise(asked))


# The user


SIGNALS = {"interrupted": signal.SIGINT, "terminated": signal.SIGTERM}
GRACE = {"interrupted": 8.0, "terminated": 2.0, "max-time": 4.0}


def asked_to_end(scene: Scene, reason: str, name: str | None) -> None:
    """In a phase, after three seconds: by a signal, or as the time is up."""
    if name:
        scene.says(1, phase(name))
    if reason in SIGNALS:
        scene.interrupt(3, SIGNALS[reason])
    else:
        scene.watch.end_at = START + 3


@pytest.mark.parametrize("name", ["warmup", "measure", "trace"])
@pytest.mark.parametrize("reason", GRACE)
def test_at_its_steps_the_worker_may_finish_its_sums(scene, name, reason):
    asked_to_end(scene, reason, name)
    reacts(scene, "stop", 1.0, measured(drained()), DONE)
    ended, seconds = scene.run()
    assert (ended.reason, ended.returncode) == (reason, 0)
    assert scene.asked_at == [("stop", 3)]
    assert seconds == pytest.approx(4, abs=0.3)
    assert scene.observed.final


@pytest.mark.parametrize("reason", GRACE)
def test_it_gets_its_grace_and_no_more(scene, reason):
    asked_to_end(scene, reason, "measure")
    ended, seconds = scene.run()
    assert (ended.reason, ended.returncode) == (reason, -9)
    assert seconds == pytest.approx(3 + GRACE[reason])
    assert min(scene.waited) > 0
    assert len(scene.waited) < 200


@pytest.mark.parametrize("name", [None, "import", "data", "build", "first_element"])
@pytest.mark.parametrize("reason", ["interrupted", "max-time"])
def test_in_other_phases_it_ends_at_once(scene, name, reason):
    asked_to_end(scene, reason, name)
    ended, seconds = scene.run()
    assert (ended.reason, scene.asked_at) == (reason, [])
    assert seconds == pytest.approx(3)


@pytest.mark.parametrize(
    ("meanwhile", "seconds"),
    [
        (lambda scene: setattr(scene.worker, "takes_commands", False), 3),
        (lambda scene: scene.interrupt(4), 4),
        (lambda scene: scene.interrupt(4, signal.SIGTERM), 4),
        (lambda scene: scene.over_limit(4), 4),
    ],
    ids=["it takes no commands", "a second time", "another signal", "memory"],
)
def test_its_grace_ends_where_it_is_of_no_use(scene, meanwhile, seconds):
    asked_to_end(scene, "interrupted", "measure")
    meanwhile(scene)
    ended, after = scene.run()
    assert ended.reason == "interrupted"
    assert after == pytest.approx(seconds)


# The time


@pytest.mark.parametrize(
    ("said", "reason", "seconds"), [({}, "long-trace", 13), ({5: [Trace()], 40: [DONE]}, "exit", 41)]
)
def test_a_trace_that_takes_too_long_is_given_up_and_costs_nothing_else(scene, said, reason, seconds):
    scene.says(1, phase("trace"), measured(drained()), {"trace_ends_in": 12.0})
    for at, messages in said.items():
        scene.says(at, *messages)
    scene.ends(41)
    ended, after = scene.run()
    assert (ended.reason, after) == (reason, pytest.approx(seconds, abs=0.3))
    assert scene.asked_at == []
    assert scene.observed.complete


def test_an_error_that_came_while_the_time_ran_out_has_ended_it(scene):
    scene.watch.end_at = START + 20
    scene.says(1, phase("measure"))
    reacts(scene, "stop", 1.0, measured(drained()), error(), DONE)
    assert scene.run()[0].reason == "exit"


# Saving


def test_each_phase_and_the_first_steps_are_saved_as_they_come(scene):
    for seconds, message in {0.5: phase("build"), 0.9: phase("measure"), 1.2: measured(drained())}.items():
        scene.says(seconds, message)
    scene.says(1.4, measured(drained()))
    scene.ends(1.9)
    scene.run()
    assert scene.saved == [0, *map(pytest.approx, (0.5, 0.9, 1.2))]


@pytest.mark.parametrize("news", [0, 30])
def test_it_is_saved_from_the_start_on_and_every_two_seconds_whether_there_is_news_or_not(scene, news):
    for n in range(news):
        scene.says(0.3 + n / 4, beat(n))
    scene.ends(7.5)
    scene.run()
    assert scene.saved == [pytest.approx(at, abs=0.01) for at in (0, 2, 4, 6)]


# Signals


@pytest.fixture
def hang_up():
    """SIGHUP as a terminal has it: under nohup it is ignored, and stays so."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hang_up")
def test_what_nohup_has_switched_off_stays_off():
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals().installed() as signals:
        signal.raise_signal(signal.SIGHUP)
        assert signals.asked is None


@pytest.mark.usefixtures("hang_up")
def test_signals_are_handled_while_installed_and_given_back():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    signals = Signals()
    with signals.installed():
        assert signal.getsignal(signal.SIGINT) == signals._handle
        signal.raise_signal(signal.SIGTERM)
        assert (signals.asked, signals.times) == ("terminated", 1)
        assert REAL_SELECT([signals.read_fd], [], [], 0)[0]
        signals.rest()
        assert not REAL_SELECT([signals.read_fd], [], [], 0)[0]
        signal.raise_signal(signal.SIGINT)
        assert (signals.asked, signals.times) == ("interrupted", 2)
        signal.raise_signal(signal.SIGHUP)
        assert (signals.asked, signals.times) == ("hung-up", 3)
    assert {number: signal.getsignal(number) for number in before} == before


def test_waking_never_blocks():
    with Signals().installed() as signals:
        for _ in range(100_000):
            signals.wake()
        signals.rest()


def test_outside_of_the_main_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGINT)
    found = []

    def inside() -> None:
        with Signals().installed() as signals:
            signals.wake()
            found.append((signal.getsignal(signal.SIGINT), os.read(signals.read_fd, 9)))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [(before, b"!")]


def test_what_a_build_waits_for_may_end_it_long_before_its_time(scene: Scene) -> None:
    hung: list[float] = []
    scene.says(1, phase("build"))
    scene.says(4, {"awaited": "h1:5000"})
    scene.at(8, scene.watch.cut_short)
    ended, seconds = scene.run(lambda: hung.append(scene.clock.now - START))
    assert scene.observed.awaited == "h1:5000"
    # What it waits for is no sign of progress.
    assert (ended.reason, ended.waited) == ("hung", pytest.approx(7, abs=0.5))
    assert hung == [pytest.approx(seconds)]
    assert seconds < 11
