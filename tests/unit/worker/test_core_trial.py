"""Whether another iterator of the pipeline is started on fewer cores, and what is sent of it; without TensorFlow."""

from __future__ import annotations

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
