"""Which step of a race is taken."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, SetOption, to_document
from pipeprof.profiles.advise.order import ordered
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.fix.candidates import EVERYWHERE
from pipeprof.profiles.fix.race import Raced
from pipeprof.profiles.fix.search import Aim, Decision, best_of
from tests.unit.intervals import compared

CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 8)
MANY: tuple[PipelineEdit, ...] = (CALLS, SetOption("threading.private_threadpool_size", 8))


def taken(**speedups: float) -> str | None:
    """The step of a race that is taken, of those with these speed-ups."""
    steps = {
        "together": Proposal("all changes", "", MANY),
        "alone": Proposal("8 calls", "", (CALLS,)),
        "autotune": Proposal(EVERYWHERE, "", MANY),
    }
    raced = {name: Raced(compared=compared(value, value - 0.1, 6)) for name, value in speedups.items()}
    return best_of(dict.fromkeys(raced, Decision("faster", "")), raced, Aim(None), steps)


def test_of_steps_that_are_about_as_fast_the_smallest_is_taken() -> None:
    assert taken(together=16.2, alone=16.0) == "alone"
    assert taken(together=18.0, alone=16.0) == "together"
    assert taken(together=15.0, alone=16.0) == "alone"


def test_of_steps_that_are_about_as_fast_autotune_everywhere_is_taken() -> None:
    assert taken(alone=1.87, autotune=1.86) == "autotune"
    assert taken(alone=1.87, autotune=1.91, together=1.90) == "autotune"
    assert taken(alone=1.87, autotune=1.70) == "alone"


CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 8)
AHEAD = InsertStage("prefetch", {"buffer_size": 2}, "stages.0")
KEPT = InsertStage("cache", {}, "stages.0")


@pytest.mark.parametrize(
    ("first", "second", "near", "best"),
    [
        ((AHEAD,), (CALLS, CALLS), 2.04, "second"),
        ((KEPT,), (AHEAD, AHEAD), 2.04, "second"),
        ((KEPT,), (CALLS, AHEAD), 2.04, "second"),
        ((CALLS, CALLS), (CALLS,), 2.04, "second"),
        ((KEPT,), (CALLS,), 2.2, "second"),
        ((CALLS, CALLS), (CALLS,), 2.2, "first"),
        ((SetArgument("stages.0", "map", "num_parallel_calls", None),), (CALLS, AHEAD), 2.04, "second"),
    ],
)
def test_of_like_gains_the_simpler_change_is_taken(
    first: tuple[PipelineEdit, ...], second: tuple[PipelineEdit, ...], near: float, best: str
) -> None:
    """An argument before a new stage; what is faster by more than 3 % comes first, a cache after all that gains."""
    raced = {name: Raced(compared=compared(value, value, 4)) for name, value in (("first", near), ("second", 2.0))}
    steps = {"first": Proposal("a", "", first), "second": Proposal("b", "", second)}
    assert best_of(dict.fromkeys(raced, Decision("faster", "")), raced, Aim(None), steps) == best
    findings = [
        Finding.model_validate(
            {
                "rule": "measured",
                "title": name,
                "family": "speed",
                "status": "kept",
                "cache": {} if candidate.caches else None,
                "edit": [to_document(edit) for edit in candidate.edits],
                "measured": {"speedup": raced[name].ratio.value, "low": 1.9},  # type: ignore[union-attr]
            }
        )
        for name, candidate in steps.items()
    ]
    assert next(finding.title for finding in ordered(findings)) == best
