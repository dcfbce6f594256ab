"""What measured changes are in the verdict, and the price of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.report.findings import describe_gain
from pipeprof.profiles.document.findings import Finding, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.time.proven import describe_price

Recorded = Callable[[str], Profile]
MIB = 1 << 20


def memory(speedup: float, low: float, high: float, **facts: Any) -> Finding:
    measured = {
        "speedup": speedup,
        "low": low,
        "high": high,
        "pairs": [speedup] * 6,
        "peak_rss_delta_bytes": -300 * MIB,
    }
    given = {"rule": "a", "title": "a", "family": "memory", "status": "kept", "measured": measured}
    return Finding(**(given | facts))


def bound(recorded: Recorded, name: str, dispatch: str | None = "sync") -> Profile:
    profile = recorded("input-bound").model_copy(deep=True)
    assert profile.verdict is not None
    assert profile.steps is not None
    profile.verdict.bound = name  # type: ignore[assignment]
    profile.steps.dispatch = dispatch  # type: ignore[assignment]
    return profile


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (memory(0.88, 0.86, 0.9), "saves 300 MiB, costs 12 % of the steps per second. Both matter here"),
        (memory(1.0, 0.99, 1.02), "saves 300 MiB at the same speed, within what was measured"),
        (memory(1.2, 1.18, 1.22), "saves 300 MiB, and is 1.20× faster"),
        (memory(1.19, 0.01, 99.0), "saves 300 MiB; too few rounds to tell whether it changes the speed. Both matter"),
        (memory(0.74, 0.2, 2.78), "saves 300 MiB, and seems slower: 0.740× (0.200–2.78)"),
        (memory(0.5, 0.2, 0.8), "saves 300 MiB, costs 50 % of the steps per second."),
    ],
)
def test_memory_is_stated_with_its_price(recorded: Recorded, finding: Finding, text: str) -> None:
    found = describe_price(bound(recorded, "input"), finding)
    assert found is not None
    assert found.startswith(text)


def test_which_of_the_two_matters_follows_the_step(recorded: Recorded) -> None:
    slower = memory(0.88, 0.86, 0.9)
    found = describe_price(bound(recorded, "step"), slower)
    assert found is not None
    assert "Speed matters little here: the step sets the pace" in found
    found = describe_price(bound(recorded, "input", None), slower)
    assert found is not None
    assert found.endswith("Without a training step it is unknown whether the speed matters")


def test_only_kept_memory_has_a_price(recorded: Recorded) -> None:
    profile = bound(recorded, "input")
    for finding in (
        memory(1.0, 0.9, 1.1, status="rejected"),
        memory(1.0, 0.9, 1.1, family="speed"),
        memory(1.0, 0.9, 1.1, measured=None),
    ):
        assert describe_price(profile, finding) is None


def test_a_speed_that_was_not_seen_is_not_stated() -> None:
    assert describe_gain(memory(1.19, 0.01, 99.0)) == "−300 MiB"
    assert describe_gain(memory(1.19, 1.15, 1.23)) == "1.19× (1.15–1.23, 6 rounds), −300 MiB"


def test_beside_an_undecided_measurement_a_prediction_is_called_one() -> None:
    found = Finding(rule="a", title="a", status="unverified", predicted=Predicted(speedup=1.8))
    assert describe_gain(found) == "1.8× faster"
    found.measured = {"speedup": 0.99}
    assert describe_gain(found) == "predicted 1.8× faster"
