"""Whether another iterator of the pipeline is started on fewer cores, and what is sent of it; without TensorFlow."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from unit.worker.fakes import FakeTime

from pipeprof.profiles.document.shared import CoreScaling
from pipeprof.profiles.protocol.messages import FewerCores, StartsAgain
from pipeprof.profiles.worker.steps import core_trial
from pipeprof.profiles.worker.steps.fewer_cores import Loop
from pipeprof.profiles.worker.steps.loop import Feed

MOVED = CoreScaling.of(1, (14.0, 50), (10.0, 400))
NEAR = CoreScaling.of(1, (10.9, 50), (10.0, 400))


@pytest.fixture
def started(monkeypatch):
    """Run both parts of a trial; returns its messages."""

    def run(moved=MOVED, first_seconds=0.5, room=10**9, stopped=False, tuned_ms=11.0, passed_ms=3000):
        time = FakeTime()
        monkeypatch.setattr(core_trial, "time", time)
        sent = []
        trial = core_trial.CoreTrial(sent.append)
        monkeypatch.setattr(core_trial, "on_fewer_cores", lambda *_: moved)
        monkeypatch.setattr(core_trial.procfs, "rss_bytes", lambda _pid: 10**8)
        tuned = MOVED.with_tuned(tuned_ms, 60) if tuned_ms is not None else None
        monkeypatch.setattr(core_trial.CoreTrial, "_tuned", lambda *_: tuned)
        steps = Loop(Feed([1]), None, lambda: stopped)
        trial.move(steps, SimpleNamespace(), 10**9)
        time.pass_ms(passed_ms)
        trial.start(SimpleNamespace(), steps, first_seconds, room)
        return sent

    return run


def test_a_pipeline_that_is_slower_with_fewer_cores_is_started_on_them(started):
    told = [FewerCores(MOVED), StartsAgain(core_trial.PATIENCE_SECONDS)]
    assert started() == [*told, FewerCores(MOVED.with_tuned(11.0, 60))]
    assert started(room=None)[-1].scaling.tuned_ms == 11.0
    assert started(tuned_ms=None) == told


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        pytest.param({"moved": None}, [], id="it was not tried with fewer cores"),
        pytest.param(
            {"moved": (near := replace(MOVED, fewer_ms=10.9))}, [FewerCores(near)], id="they do nearly as well"
        ),
        pytest.param({"first_seconds": 2.1}, [FewerCores(MOVED)], id="its buffers take long to fill"),
        pytest.param({"room": 9 * 10**7}, [FewerCores(MOVED)], id="a second one may not fit"),
        pytest.param({"passed_ms": 9200}, [FewerCores(MOVED)], id="the run would end late"),
        pytest.param({"stopped": True}, [FewerCores(MOVED)], id="the user wants an end"),
    ],
)
def test_it_is_not_started_where_nothing_is_left_to_find_out(started, changed, sent):
    assert started(**changed) == sent


TUNED = (12.0, 40)


@pytest.fixture
def measured(monkeypatch):
    """Start a pipeline on one of two cores, with given blocks; returns what is sent and which cores each block had."""

    def run(*blocks, block_ms=900, moved=MOVED, room=None, grows=0):
        time, given, seen, there = FakeTime(), list(blocks), [], [2]

        @contextmanager
        def only_on(chosen, _allowed):
            there.append(len(chosen))
            yield
            there.pop()

        def measure_block(_steps, count):
            seen.append((count, there[-1]))
            time.pass_ms(block_ms)
            block = given.pop(0)
            if isinstance(block, Exception):
                raise block
            return block

        for name, value in {
            "time": time,
            "on_fewer_cores": lambda *_: moved,
            "allowed_cores": lambda: frozenset({0, 1}),
            "cores": lambda _cgroup: 2.0,
            "half_of": lambda *_: frozenset({0}),
            "only_on": only_on,
            "measure_block": measure_block,
        }.items():
            monkeypatch.setattr(core_trial, name, value)
        monkeypatch.setattr(core_trial.procfs, "rss_bytes", lambda _pid: 10**8 + grows * len(seen))
        errors = SimpleNamespace(OpError=RuntimeError)
        options = SimpleNamespace(autotune=SimpleNamespace(), threading=SimpleNamespace(private_threadpool_size=None))
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(
            data=SimpleNamespace(Options=lambda: options), errors=errors
        ))  # fmt: skip
        dataset = SimpleNamespace(options=lambda: options, with_options=lambda _options: [1])
        sent, steps = [], Loop(Feed([1]), None, lambda: False)
        trial = core_trial.CoreTrial(sent.append)
        trial.move(steps, SimpleNamespace(), 10**9)
        trial.start(dataset, steps, 0.5, room)
        last = sent[-1]
        return last.scaling if isinstance(last, FewerCores) else last, seen

    return run


def test_a_pipeline_that_does_not_decide_it_is_started_again_and_the_fastest_counts(measured):
    found, seen = measured(TUNED, (11.5, 41), (13.0, 39))
    assert seen == [(1, 1)] * 3
    assert (found.tuned_ms, found.tuned_steps) == (11.5, 41)
    assert (found.all_ms, found.fewer_ms) == (MOVED.all_ms, MOVED.fewer_ms)


@pytest.mark.parametrize(
    ("moved_ms", "blocks", "count", "tuned_ms"),
    [
        pytest.param(18.0, [(10.2, 40)], 1, 10.2, id="as fast as with all"),
        pytest.param(18.0, [(14.5, 40)], 1, 14.5, id="clearly slower"),
        pytest.param(14.5, [(35.0, 40), (10.0, 40)], 2, 10.0, id="slower than the one that was moved"),
        pytest.param(18.5, [(19.0, 40)], 1, 19.0, id="slower than the one that was moved, which decides it"),
        pytest.param(18.0, [TUNED, (20.0, 40), (20.0, 40)], 3, 12.0, id="the others are slow"),
        pytest.param(18.0, [TUNED, None], 2, 12.0, id="disturbed the second time"),
        pytest.param(18.0, [TUNED, ValueError("read once")], 2, 12.0, id="failed the second time"),
    ],
)
def test_it_is_started_until_it_is_decided(measured, moved_ms, blocks, count, tuned_ms):
    found, seen = measured(*blocks, moved=replace(MOVED, fewer_ms=moved_ms))
    assert (len(seen), found.tuned_ms) == (count, tuned_ms)


def test_nothing_is_told_of_a_start_that_was_disturbed(measured):
    found, _ = measured(None)
    assert isinstance(found, StartsAgain)


@pytest.mark.parametrize(("block_ms", "count"), [(3000, 3), (5000, 2), (6000, 1)])
def test_what_is_started_again_ends_in_time(measured, block_ms, count):
    _, seen = measured(TUNED, TUNED, TUNED, block_ms=block_ms)
    assert len(seen) == count
    assert count * block_ms <= 1e3 * core_trial.LATEST_END_SECONDS


def test_it_is_not_started_again_without_room(measured):
    _, seen = measured(TUNED, TUNED, TUNED, room=10**9, grows=6 * 10**8)
    assert len(seen) == 2
