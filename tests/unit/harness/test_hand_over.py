"""Handing batches over to a step is a cause of its gaps."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pipeprof.pipelines.steps.consumer import StepFacts
from pipeprof.profiles.document.shared import Gaps
from pipeprof.profiles.harness.build_profile import _with_copies


@pytest.mark.parametrize(
    ("told", "causes"),
    [
        (StepFacts(None, None, 2.0, 1.0), {"pipeline": 5.0, "python": 0.7, "copy": 0.3}),
        (StepFacts(None, None, 20.0, 1.0), {"pipeline": 5.0, "python": 0.0, "copy": 1.0}),
        (StepFacts("a sum", "cpu", None, None), {"pipeline": 5.0, "python": 1.0}),
    ],
)
def test_copies_are_a_cause_of_gaps_of_their_own(told: StepFacts, causes: dict[str, float]) -> None:
    gaps = Gaps(count=100, by_cause={"pipeline": 5.0, "python": 1.0})
    found = _with_copies(SimpleNamespace(gaps=gaps, steps=SimpleNamespace(count=100)), told)  # type: ignore[arg-type]
    assert found is not None
    assert found.by_cause == pytest.approx(causes)
