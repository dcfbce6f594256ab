"""The warm-up of a worker that takes turns."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from pipeprof.profiles.protocol.turns import TurnRequest, TurnsJob
from pipeprof.profiles.worker.steps.statistics import Floor, StepStatistics
from pipeprof.profiles.worker.steps.window import Looked
from pipeprof.profiles.worker.turns.turn_run import TurnRun

MS = 1_000_000


class Warming(TurnRun):
    """A run whose loop takes steps of ten milliseconds, ten between two looks."""

    def __init__(self, turns: TurnsJob) -> None:
        self._turns = turns
        self._floor = Floor()
        self._paced, self._making_peak, self._own_seconds = None, 0, 0.0
        self.feed = self._service = None
        self._models = SimpleNamespace(parameters=lambda _feed: ())  # type: ignore[assignment]

    def _open(self, _name: str, statistics: StepStatistics, finished: Callable[[Looked], str | None]) -> tuple:  # type: ignore[override, type-arg]
        return statistics, finished

    def _loop(self, window: tuple[StepStatistics, Callable[[Looked], str | None]], _step: object) -> None:  # type: ignore[override]
        statistics, finished = window
        reason = None
        while reason is None:
            statistics.fold_drain(0, [(number + 1) * 10 * MS for number in range(10)])
            reason = finished(Looked(0.1, 10, 10.0))


@pytest.mark.parametrize(("wanted", "taken"), [(0, 100), (100, 100), (330, 330), (331, 340)])
def test_a_warm_up_goes_on_until_what_has_to_fill_is_full(wanted: int, taken: int) -> None:
    ended = Warming(TurnsJob(warm_steps=wanted))._warm(TurnRequest("warm", 1.0), None, 0.0)
    assert ended.steps == taken
