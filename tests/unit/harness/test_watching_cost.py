"""What watching a worker costs in its measured window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from unit.worker.fakes import facts

from pipeprof.profiles.harness import process


@pytest.mark.parametrize(("soaks", "cores"), [(False, 0.05), (True, 0.2)])
def test_what_is_read_once_after_the_window_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, *, soaks: bool, cores: float
) -> None:
    now, cpu = [5.0], [0.0]

    def stop() -> None:
        cpu[0] += 3.0
        now[0] += 5.0

    monkeypatch.setattr(process, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(process, "bytes_read", lambda _pid: None)
    monkeypatch.setattr(process, "uncounted", lambda _pid: frozenset())
    probe: Any = SimpleNamespace(start=list, stop=stop)
    made = facts()
    window = process.Outside(made, 1, probe, lambda: cpu[0])
    assert not window.is_open
    if soaks:
        window.begin_watching()
        now[0], cpu[0] = 10.0, 2.5
    now[0] = 10.0
    window.begin()
    assert window.is_open
    now[0], cpu[0] = 20.0, cpu[0] + 0.5
    window.end()
    assert not window.is_open
    assert made.sampler_cores == pytest.approx(cores)
