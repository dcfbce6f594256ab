"""The warm-up of a worker that takes turns."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.profiles.protocol.turns import TurnRequest, TurnsJob
from pipeprof.profiles.worker import turns
from pipeprof.profiles.worker.steps.loop import Chunk
from pipeprof.profiles.worker.steps.statistics import StepStatistics
from pipeprof.profiles.worker.steps.window import Looked
from pipeprof.profiles.worker.turns import TurnRun

MS = 1_000_000


class Warming(TurnRun):
    """A run whose loop takes steps of ten milliseconds, ten between two looks."""

    def __init__(self, turns: TurnsJob) -> None:
        self._turns = turns
        self._paced, self._making_peak, self._own_seconds = None, 0, 0.0
        self.feed = SimpleNamespace(ended=0)  # type: ignore[assignment]
        self._service = None
        self._models = SimpleNamespace(parameters=lambda _feed: ())  # type: ignore[assignment]

    def _open(self, _name: str, finished: Callable[[Looked], str | None]) -> Any:  # type: ignore[override]
        return SimpleNamespace(statistics=StepStatistics(device=False), finished=finished)


def take_steps(_feed: object, _step: object, window: Any) -> None:
    reason = None
    while reason is None:
        window.statistics.fold(Chunk(0, times=[(number + 1) * 10 * MS for number in range(10)]).take())
        reason = window.finished(Looked(0.1, 10, 10.0))


@pytest.mark.parametrize(("wanted", "taken"), [(0, 100), (100, 100), (330, 330), (331, 340)])
def test_a_warm_up_goes_on_until_what_has_to_fill_is_full(
    wanted: int, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "take_steps", take_steps)
    ended = Warming(TurnsJob(warm_steps=wanted))._warm(TurnRequest("warm", 1.0), None, 0.0)
    assert ended.steps == taken
