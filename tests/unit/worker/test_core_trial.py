"""Whether another iterator of the pipeline is started on fewer cores, and what is sent of it; without TensorFlow."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace

import pytest
from unit.worker.fakes import FakeTime

from pipeprof.profiles.protocol.costs import FewerCores, StartsAgain
from pipeprof.profiles.worker.steps import core_trial
from pipeprof.profiles.worker.steps.fewer_cores import Loop
from pipeprof.profiles.worker.steps.loop import Feed

MOVED = FewerCores(1, fewer_ms=14.0, fewer_steps=50, all_ms=10.0, all_steps=400)


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
        tuned = replace(MOVED, tuned_ms=tuned_ms, tuned_steps=60) if tuned_ms is not None else None
        monkeypatch.setattr(core_trial.CoreTrial, "_tuned", lambda *_: tuned)
        steps = Loop(Feed([1]), None, lambda: stopped)
        trial.move(steps, SimpleNamespace(), 10**9)
        time.pass_ms(passed_ms)
        trial.start(SimpleNamespace(), steps, first_seconds, room)
        return sent

    return run


def test_a_pipeline_that_is_slower_with_fewer_cores_is_started_on_them(started):
    told = [MOVED, StartsAgain(core_trial.PATIENCE_SECONDS)]
    assert started() == [*told, replace(MOVED, tuned_ms=11.0, tuned_steps=60)]
    assert started(room=None)[-1].tuned_ms == 11.0
    assert started(tuned_ms=None) == told


@pytest.mark.parametrize(
    ("changed", "sent"),
    [
        pytest.param({"moved": None}, [], id="it was not tried with fewer cores"),
        pytest.param({"moved": (near := replace(MOVED, fewer_ms=10.9))}, [near], id="they do nearly as well"),
        pytest.param({"first_seconds": 2.1}, [MOVED], id="its buffers take long to fill"),
        pytest.param({"room": 9 * 10**7}, [MOVED], id="a second one may not fit"),
        pytest.param({"passed_ms": 7500}, [MOVED], id="the run would end late"),
        pytest.param({"stopped": True}, [MOVED], id="the user wants an end"),
    ],
)
def test_it_is_not_started_where_nothing_is_left_to_find_out(started, changed, sent):
    assert started(**changed) == sent


ALL, TUNED = (10.0, 300), (12.0, 40)


@pytest.fixture
def measured(monkeypatch):
    """Start a pipeline on one of two cores, with given blocks; returns what is sent and which cores each block had."""

    def run(*blocks, block_ms=900, moved=MOVED):
        time, given, seen, there = FakeTime(), list(blocks), [], [2]

        @contextmanager
        def only_on(chosen, _allowed):
            there.append(len(chosen))
            yield
            there.pop()

        def measure_block(_steps, count):
            seen.append((count, there[-1]))
            time.pass_ms(block_ms)
            return given.pop(0)

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
        errors = SimpleNamespace(OpError=RuntimeError)
        options = SimpleNamespace(autotune=SimpleNamespace(), threading=SimpleNamespace(private_threadpool_size=None))
        monkeypatch.setitem(sys.modules, "tensorflow", SimpleNamespace(
            data=SimpleNamespace(Options=lambda: options), errors=errors
        ))  # fmt: skip
        dataset = SimpleNamespace(options=lambda: options, with_options=lambda _options: [1])
        sent, steps = [], Loop(Feed([1]), None, lambda: False)
        trial = core_trial.CoreTrial(sent.append)
        trial.move(steps, SimpleNamespace(), 10**9)
        trial.start(dataset, steps, 0.5, None)
        return sent[-1], seen

    return run


def test_rates_that_do_not_decide_it_are_measured_again_in_turn(measured):
    found, seen = measured(TUNED, ALL, (13.0, 40), (14.0, 200), (14.0, 40))
    assert seen == [(1, 1), (2.0, 2), (1, 1), (2.0, 2), (1, 1)]
    assert (found.all_ms, found.all_steps) == (11.0, 900)
    assert (found.tuned_ms, found.tuned_steps) == (13.0, 120)


@pytest.mark.parametrize(
    ("blocks", "count"),
    [
        pytest.param([(10.2, 40)], 1, id="as fast as with all"),
        pytest.param([(14.5, 40)], 5, id="the pipeline as it runs is faster"),
        pytest.param([None], 1, id="disturbed"),
        pytest.param([TUNED, None], 2, id="disturbed with all cores"),
        pytest.param([TUNED, ALL, None], 3, id="disturbed again"),
        pytest.param([TUNED, ALL, (20.0, 40)], 3, id="decided by another block"),
    ],
)
def test_it_is_measured_until_it_is_decided(measured, blocks, count):
    moved = replace(MOVED, fewer_ms=13.9 if count == 5 else 18.0)
    _, seen = measured(*blocks, *[(10.0, 300), (14.5, 40)] * 2, moved=moved)
    assert len(seen) == count


@pytest.mark.parametrize(("block_ms", "count"), [(1500, 5), (2000, 3), (4000, 1)])
def test_what_is_measured_again_ends_in_time(measured, block_ms, count):
    _, seen = measured(TUNED, ALL, TUNED, ALL, TUNED, block_ms=block_ms)
    assert len(seen) == count
    assert count * block_ms <= 1e3 * core_trial.LATEST_END_SECONDS
