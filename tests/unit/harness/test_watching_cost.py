"""What watching a worker costs in its measured window."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from unit.worker.fakes import facts

from pipeprof.profiles.harness import process


@pytest.mark.parametrize(("soaks", "cores"), [(False, 0.05), (True, 0.2)])
def test_what_is_read_once_after_the_window_is_no_part_of_it(monkeypatch, soaks, cores):
    at = SimpleNamespace(now=5.0, cpu=0.0)

    def later(seconds: float, cpu: float) -> None:
        at.now, at.cpu = at.now + seconds, at.cpu + cpu

    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: at.now))
    monkeypatch.setattr(process, "bytes_read", lambda _pid: None)
    monkeypatch.setattr(process, "uncounted", lambda _pid: frozenset())
    made = facts()
    probe = SimpleNamespace(start=list, stop=lambda: later(5.0, 3.0))
    window = process.Outside(made, 1, probe, lambda: at.cpu)
    if soaks:
        window.begin_watching()
    later(5.0, 2.5)
    assert not window.is_open
    window.begin()
    assert window.is_open
    later(10.0, 0.5)
    window.end()
    assert not window.is_open
    assert made.sampler_cores == pytest.approx(cores)
