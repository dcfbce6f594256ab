"""A training with stored batches in place of its pipeline, with workers that are made up: when it is decided."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, cast

import pytest

from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.evidence import Evidence
from pipeprof.profiles.experiment.statistics import Interval, estimate
from pipeprof.profiles.experiment.team import MemberFailedError, Team
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.protocol.turns import TurnEnded, TurnRequest
from pipeprof.profiles.verify.plan import Mode, pace_of
from pipeprof.profiles.verify.stages import headspace_of, tells_headspace
from pipeprof.profiles.verify.trials import Trials
from tests.unit.verify.test_trials import Cores, EpochsJob, Recorded, Standings, Workers


@pytest.mark.parametrize(
    ("changes", "share"), [((0.9, 1.33), None), ((0.99, 1.01), 0.0), ((1.9, 2.1), 0.5), ((1.0, 1.2), None)]
)
def test_stored_batches_overrule_a_wait_only_on_one_side(changes: tuple[float, float], share: float | None) -> None:
    speedup = estimate([math.log(changes[place % 2]) for place in range(12)])
    assert speedup is not None
    found = headspace_of(20.0, Comparison(speedup))
    assert (found and found.share) == (share if share is None else pytest.approx(share, abs=0.01))


@pytest.mark.parametrize(("pairs", "certain"), [(6, True), (12, False)])
@pytest.mark.parametrize("guard", [{"copies": (0.2, 0.0)}, {"same": Interval(0.09, 0.01, 5, 6), "one_start": True}])
def test_more_pairs_of_stored_batches_have_to_hold_against_the_copies(
    pairs: int, certain: bool, guard: dict[str, Any]
) -> None:
    """What the processes differ by from their start on is not averaged out by pairs."""
    compared = Comparison(Interval(0.1, 0.001, 11, pairs), **guard)
    assert tells_headspace(compared) is certain
    assert tells_headspace(Comparison(compared.change))
    assert tells_headspace(None) is False


def stored(
    recorded: Recorded,
    workers: Workers,
    mode: Mode = "alternating",
    *,
    reserved: float = 0.0,
    clock: Callable[[], float] = lambda: 0.0,
    disturbed: Collection[int] = (),
    progress: Silent | None = None,
) -> tuple[Evidence | str, Trials, list[int]]:
    """Look at stored batches; return also the pairs at which it was asked whether they tell."""
    profile, asked = recorded("script-loop"), list[int]()
    trials = Trials(
        cast("Team", workers),
        pace_of(profile, 60.0, 2.0, mode),
        lambda: dict.fromkeys(("A1", "A2"), cast("Any", None)),
        until=1000.0,
        timeout=60.0,
        progress=progress or Silent(),
        clock=clock,
        cores=lambda: Cores(disturbed),
    )

    def tells(compared: Comparison | None) -> bool:
        assert compared is not None
        asked.append(compared.change.pairs)
        return tells_headspace(compared)

    jobs = dict.fromkeys(("B1", "B2"), cast("Any", EpochsJob() if mode == "epochs" else None))
    return trials.look(jobs, 2 if mode == "sequential" else 6, tells, reserved), trials, asked


@pytest.mark.parametrize(
    ("speedup", "noise", "looks"),
    [(1.5, 0.005, [6]), (1.0, 0.005, [6]), (1.1, 0.04, [6, 12]), (1.053, 0.03, [6, 12, 20, 30])],
    ids=["gains", "none", "near", "at the floor"],
)
def test_stored_batches_near_their_decision_go_on_to_the_next_look(
    recorded: Recorded, speedup: float, noise: float, looks: list[int]
) -> None:
    found, _, asked = stored(recorded, Workers(speedup=speedup, noise=noise))
    assert isinstance(found, Evidence)
    assert (asked, len(found.ratios())) == (looks, looks[-1])


def test_the_ratio_of_stored_batches_is_shown_after_each_round(recorded: Recorded) -> None:
    standings = Standings()
    stored(recorded, Workers(speedup=1.5, noise=0.005), progress=standings)
    assert standings.words[-1] == "1.5× so far"


@pytest.mark.parametrize(("reserved", "rounds", "pairs"), [(0.0, 8, 16), (300.0, 8, 12), (980.0, 8, 6), (0.0, 1, 6)])
def test_stored_batches_go_on_in_the_time_that_others_leave(
    recorded: Recorded, reserved: float, rounds: int, pairs: int
) -> None:
    """A round takes an eighth of the time, or all of it: the first look is taken in any case."""
    workers = Workers(speedup=1.053, noise=0.03)
    clock = lambda: 999.0 / rounds * (len(workers.said) // 4)  # noqa: E731
    found, _, _ = stored(recorded, workers, reserved=reserved, clock=clock)
    assert isinstance(found, Evidence)
    assert len(found.ratios()) == pairs


@pytest.mark.parametrize(("mode", "pairs"), [("pairs", 12), ("sequential", 4)])
def test_stored_batches_have_as_many_pairs_as_fewer_processes_give(recorded: Recorded, mode: Mode, pairs: int) -> None:
    found, _, _ = stored(recorded, Workers(speedup=1.053, noise=0.03), mode)
    assert isinstance(found, Evidence)
    assert len(found.ratios()) == pairs


def test_stored_batches_end_where_the_machine_is_disturbed_again_and_again(recorded: Recorded) -> None:
    found, _, asked = stored(recorded, Workers(speedup=1.053, noise=0.03), disturbed=range(4, 99))
    assert isinstance(found, Evidence)
    assert (found.left_out, len(found.ratios()), asked) == (7, 8, [6])


@pytest.mark.parametrize(("turns", "pairs"), [(44, 22), (11, None)])
def test_what_stored_batches_have_shown_stays_where_the_script_ends(
    recorded: Recorded, turns: int, pairs: int | None
) -> None:
    class Short(Workers):
        def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
            if name == "A2" and len(self.said) >= turns:
                raise MemberFailedError(name, "the script came to its end", refused=True)
            return super().turn(name, request, seconds=seconds)

    workers = Short(speedup=1.053, noise=0.03)
    found, trials, _ = stored(recorded, workers)
    if pairs is None:
        assert (found, trials.refusal) == ("not tried: the script came to its end", "the script came to its end")
        return
    assert isinstance(found, Evidence)
    assert (len(found.ratios()), trials.refusal, workers.alive) == (pairs, None, set())


@pytest.mark.parametrize(("epochs", "pairs"), [(18, 8), (9, None)])
def test_what_epochs_of_stored_batches_have_shown_stays_where_there_are_too_few(
    recorded: Recorded, epochs: int, pairs: int | None
) -> None:
    workers = Workers(speedup=1.053, noise=0.03, room=1)
    workers.epochs = epochs
    found, trials, _ = stored(recorded, workers, "epochs")
    assert trials.mode == "alternating"
    if pairs is None:
        assert isinstance(found, str)
        assert "not tried: after 2 of 12 pairs of epochs" in found
        return
    assert isinstance(found, Evidence)
    assert len(found.ratios()) == pairs


def test_a_script_that_ends_after_other_trials_is_started_again(recorded: Recorded) -> None:
    class Short(Workers):
        """The pipeline as it is comes to its end once, in the second trial."""

        left = 22

        def turn(self, name: str, request: TurnRequest, *, seconds: float) -> TurnEnded:
            if name == "A1":
                self.left -= 1
                if self.left == 0:
                    raise MemberFailedError(name, "the script came to its end", refused=True)
            return super().turn(name, request, seconds=seconds)

    workers = Short(speedup=1.053, noise=0.03)
    found, trials, _ = stored(recorded, workers)
    assert isinstance(found, Evidence)
    workers._rates |= {"B1": 150.0, "B2": 150.0}
    trial = trials.measure(dict.fromkeys(("B1", "B2"), cast("Any", None)), "same", for_memory=False)
    assert (trial.status, trials.refusal) == ("kept", None)
    assert workers.started == ["A1", "A2"] * 2
