"""What is tried, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.pipelines.changes.edits import SetOption, to_document
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.tries.plan import OVER_BUDGET, WORKERS, cannot_try, cannot_verify, pace_of, too_long

Recorded = Callable[[str], Profile]


def paced(recorded: Recorded, interval_ms: float, budget: float = 60.0) -> tuple[float, float]:
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.interval_ms.mean = interval_ms
    pace = pace_of(found, budget, 2.0)
    return pace.block.seconds, pace.round_seconds


def test_a_block_has_its_seconds_and_its_steps(recorded: Recorded) -> None:
    assert paced(recorded, 1.0)[0] == pytest.approx(0.35)
    assert paced(recorded, 100.0)[0] == pytest.approx(0.8)
    # Slow steps: fewer of them.
    assert paced(recorded, 500.0)[0] == pytest.approx(2.5)
    assert paced(recorded, 2000.0)[0] == pytest.approx(6.0)
    block, whole = paced(recorded, 100.0)
    assert whole == pytest.approx(WORKERS * (block + 0.1))


@pytest.mark.parametrize(
    ("epochs", "share", "block"),
    [
        (40, 0.20, (0.5, 50, 0.0)),
        (10, 0.20, (1.0, 100, 0.0)),
        (7, 0.02, (10 / 7, 143, 0.0)),
        # Longer epochs, fewer of them, or restarts that take no time: seconds and steps as usual.
        (6, 0.20, (10 / 6, 167, 0.0)),
        (4, 0.20, (0.35, 8, 0.05)),
        (2, 0.20, (0.35, 8, 0.05)),
        (40, 0.01, (0.35, 8, 0.05)),
    ],
)
def test_where_restarts_count_a_block_is_whole_epochs(
    recorded: Recorded, epochs: int, share: float, block: tuple[float, int, float]
) -> None:
    """A run of 1,000 steps of 10 ms: with a restart more or less, two blocks of a pipeline differ by that alone."""
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.count, found.steps.interval_ms.mean = 1000, 10.0
    found.steps.epochs, found.steps.restart_share = epochs, share
    turn = pace_of(found, 60.0, 2.0).block
    assert (turn.seconds, turn.steps, turn.settle_seconds) == (pytest.approx(block[0]), *block[1:])


def test_an_epoch_is_as_long_as_the_graph_says(recorded: Recorded) -> None:
    """Five restarts in a run of 1,000 steps do not say whether an epoch has 170 of them or 240."""
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.count, found.steps.interval_ms.mean = 1000, 10.0
    found.steps.epochs, found.steps.restart_share = 8, 0.20
    line = [stage for stage in found.stages or () if stage.origin == "written"]
    line[-1].cardinality = 120
    block = pace_of(found, 60.0, 2.0).block
    assert (block.steps, block.seconds) == (120, pytest.approx(1.2))


def test_an_epoch_is_as_long_as_its_restarts_say(recorded: Recorded) -> None:
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.count, found.steps.interval_ms.mean = 1000, 10.0
    found.steps.epochs, found.steps.restart_share, found.steps.epoch_steps = 8, 0.20, 117.5
    assert pace_of(found, 60.0, 2.0).block.steps == 118


def test_a_larger_budget_has_time_for_longer_epochs(recorded: Recorded) -> None:
    found = recorded("input-bound").model_copy(deep=True)
    assert found.steps is not None
    found.steps.count, found.steps.interval_ms.mean = 1000, 10.0
    found.steps.epochs, found.steps.restart_share = 6, 0.20
    assert pace_of(found, 20.0, 2.0).block.steps == 8
    whole = pace_of(found, 60.0, 2.0)
    assert whole.block.steps == 167
    assert whole.seconds_of(12, first=True) < 60.0
    found.steps.epochs = 4
    assert pace_of(found, 120.0, 2.0).block.steps == 250


def test_an_edit_that_does_not_fit_states_the_budget_that_it_needs(recorded: Recorded) -> None:
    pace = pace_of(recorded("input-bound"), 5.0, 2.0)
    reason = too_long(pace, 5.0 * OVER_BUDGET, 5.0, first=True, pairs=12)
    assert reason is not None
    assert reason.startswith("does not fit into the budget of 5 s: --budget ")
    needed = float(reason.rsplit(" ", 1)[1])
    assert too_long(pace, needed * OVER_BUDGET, needed, first=True, pairs=12) is None
    assert too_long(pace, 1.0, 600.0, first=False, pairs=12) == "the budget of 600 s has no time for it"


def test_what_may_change_values_is_not_tried() -> None:
    finding = Finding(rule="a", title="a", status="unverified", semantics="values")
    assert cannot_try(finding, has_edit=False) == "the change needs your code"
    finding.edit = [Edit.model_validate(to_document(SetOption("deterministic", False)))]
    assert cannot_try(finding, has_edit=True) == "it may change values"
    finding.semantics = "order"
    assert cannot_try(finding, has_edit=True) is None
    assert cannot_try(finding, has_edit=False) == "the change needs your code"


def test_what_is_wrong_with_the_data_is_not_judged_by_speed() -> None:
    finding = Finding(rule="a", title="a", status="unverified", semantics="order", family="correctness")
    assert cannot_try(finding, has_edit=True) == "it is about the data, not about speed or memory"


def test_a_run_that_did_not_end_well_verifies_nothing(recorded: Recorded) -> None:
    assert cannot_verify(recorded("input-bound")) is None
    assert cannot_verify(recorded("interrupted")) == "the measurement did not finish"
    assert cannot_verify(recorded("raised")) == "the measurement did not finish"
