"""What watching a worker costs in its measured window."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.harness import harness


@pytest.mark.parametrize(("soak_began", "cores"), [(None, 0.05), ((15.0, 0.5), 0.2)])
def test_what_is_read_once_after_the_window_is_no_part_of_it(
    monkeypatch: pytest.MonkeyPatch, soak_began: tuple[float, float] | None, cores: float
) -> None:
    run: Any = harness.Run.__new__(harness.Run)
    now, cpu = [20.0], [1.5]

    def stop() -> None:
        cpu[0] += 3.0
        now[0] += 5.0

    monkeypatch.setattr(harness, "time", SimpleNamespace(monotonic=lambda: now[0], process_time=lambda: cpu[0]))
    monkeypatch.setattr(harness, "in_memory", lambda _files: False)
    run._contention, run._gpus = SimpleNamespace(stop=stop), None
    run._facts = SimpleNamespace()
    run._evicted, run._disk, run._soak_began = [], lambda seconds: seconds, soak_began
    run._measure_began, run._cpu_at_measure = 10.0, 1.0
    run._end_measure(SimpleNamespace(sample=lambda: None))
    assert run._facts.sampler_cores == pytest.approx(cores)
    assert run._facts.disk == 15.0
