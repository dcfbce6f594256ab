"""The order in which edits are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import (
    HandWritten,
    InsertStage,
    PipelineEdit,
    SetArgument,
    VectoriseMap,
    to_document,
)
from pipeprof.profiles.advise.as_finding import finding_of
from pipeprof.profiles.document.findings import Edit, Finding, Kept, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.tries.plan import to_try
from pipeprof.profiles.verify.expected import by_worth, in_trial_order
from pipeprof.profiles.verify.guessing import search

Recorded = Callable[[str], Profile]


def guesses(*given: Any, **more: Any) -> list[Finding]:
    """What is tried, as the profile has it."""
    return [finding_of(one) for one in search.guesses(*given, **more)]


def waiting(recorded: Recorded) -> Profile:
    """A run without a step whose map waits for nearly all of each 20 ms."""
    found = recorded("step-none").model_copy(deep=True)
    assert found.steps is not None
    found.steps.interval_ms.mean = 20.0
    found.headspace, found.cpu, found.contention = None, None, None
    found.stages = [
        Stage(id="source", origin="written", op="range", tf_op="RangeDataset", time_ms_per_batch=1.0),
        Stage(
            id="stages.0", origin="written", op="map", tf_op="MapDataset", time_ms_per_batch=19.0, parallelism=1.0,
            cpu_ms_per_batch=0.5, blocked_ms_per_batch=18.5,
        ),
        Stage(id="stages.1", origin="written", op="shuffle", tf_op="ShuffleDatasetV3", time_ms_per_batch=0.1),
    ]  # fmt: skip
    found.findings = []
    return found


def finding(name: str, *edits: PipelineEdit, predicted: Predicted | None = None) -> Finding:
    documents = [Edit.model_validate(to_document(edit)) for edit in edits]
    return Finding(rule=name, title=name, family="speed", status="unverified", edit=documents, predicted=predicted)


CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 2)


def test_a_guess_has_the_prediction_of_the_model(recorded: Recorded) -> None:
    found = waiting(recorded)
    assert found.verdict is not None
    found.verdict.bound, found.verdict.stage = "input", "stages.0"
    found.target.kind = "function"
    tried = by_worth(found, guesses(found))
    assert len(tried) > 1
    assert tried[0].edit[0].argument == "num_parallel_calls"  # type: ignore[index,union-attr]
    assert tried[0].predicted is not None
    assert (tried[0].predicted.speedup or 0.0) > 1.5
    assert "ms per step" in (tried[0].predicted.formula or "")


def test_the_largest_predicted_effect_is_tried_first(recorded: Recorded) -> None:
    found = waiting(recorded)
    little = finding("little", InsertStage("prefetch", {"buffer_size": 2}, "source"))
    much = finding("much", CALLS)
    unknown = finding("unknown", HandWritten(("stages.0",), "", ""))
    found.findings = [unknown, little, much]
    assert [one.rule for one in to_try(found)] == ["much", "little", "unknown"]


def test_the_prediction_of_a_rule_stays(recorded: Recorded) -> None:
    own = finding("own", CALLS, predicted=Predicted(speedup=1.25))
    assert by_worth(waiting(recorded), [own])[0].predicted == Predicted(speedup=1.25)


def test_a_mistake_in_the_model_does_not_end_the_verification(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("pipeprof.profiles.verify.expected.predicted_of", mistaken)
    assert by_worth(waiting(recorded), [finding("a", CALLS)])[0].predicted is None


def test_what_is_easiest_to_apply_is_tried_first(recorded: Recorded) -> None:
    peak = waiting(recorded).memory.peak_bytes
    assert peak
    calls = finding("calls", CALLS, predicted=Predicted(speedup=1.2))
    prefetch = finding(
        "prefetch", InsertStage("prefetch", {"buffer_size": 2}, "source"), predicted=Predicted(speedup=2)
    )
    slight = finding("slight", SetArgument("stages.1", "shuffle", "seed", 2), predicted=Predicted(speedup=1.05))
    rewrite = finding("rewrite", VectoriseMap("stages.0", "stages.1"), predicted=Predicted(speedup=9.0))
    cache = finding("cache", InsertStage("cache", {}, "stages.0"), predicted=Predicted(speedup=200.0))
    cache.cache = Kept()
    saving, little = (finding(name, predicted=Predicted(peak_rss_delta_bytes=-saved)) for name, saved in (
        ("saving", peak // 5), ("little", peak // 50),
    ))  # fmt: skip
    for one in (saving, little):
        one.family = "memory"
    found = in_trial_order(waiting(recorded), [little, rewrite, slight, cache, saving, calls, prefetch])
    assert [one.rule for one in found] == ["prefetch", "calls", "saving", "cache", "rewrite", "slight", "little"]
