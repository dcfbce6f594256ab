"""The order in which edits are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import HandWritten, InsertStage, PipelineEdit, RewriteMap, SetArgument, to_document
from pipeprof.profiles.document.findings import Edit, Finding, Kept, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.propose.finding import MEASURED, finding_of
from pipeprof.profiles.verify.expected import by_worth, in_turn, is_guess, promises, time_for_best
from pipeprof.profiles.verify.guessing import search
from pipeprof.profiles.verify.plan import to_try

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


@pytest.mark.parametrize(
    ("predicted", "others", "found"),
    [
        (1.3, [], (0.0, 12)),
        (1.3, [1.5, 1.4], (1.5, 12)),
        # An answer about little leaves the time of a change that would gain far more.
        (1.3, [1.4, 60.0], (60.0, 6)),
        (None, [60.0], (60.0, 12)),
    ],
)
def test_an_edit_leaves_time_for_the_best_of_the_others(
    predicted: float | None, others: list[float], found: tuple[float, int]
) -> None:
    def one(speedup: float | None) -> Finding:
        return Finding(rule="a", title="a", status="unverified", predicted=Predicted(speedup=speedup))

    assert time_for_best(one(predicted), map(one, others), lambda best: best.predicted.speedup) == found


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


def test_only_a_good_gain_is_tried_before_upper_bounds() -> None:
    gains = (None, 0.9, 1.19, 1.2, 30.0)
    found = [finding("one", predicted=Predicted(speedup=gain)) for gain in gains]
    assert [promises(one) for one in found] == [False, False, False, True, True]
    assert not promises(finding("unknown"))


def test_python_that_calls_tensorflow_alone_comes_before_upper_bounds() -> None:
    sure = finding(MEASURED, RewriteMap("stages.0", "graph"), predicted=Predicted(speedup=2.0))
    assert not is_guess(sure)
    assert is_guess(finding(MEASURED, RewriteMap("stages.0", "graph")))
    assert is_guess(finding(MEASURED, RewriteMap("stages.0", "ratio"), predicted=Predicted(speedup=1.9)))
    assert not is_guess(finding("serial-map-cpu"))


def test_a_large_gain_on_all_data_comes_before_upper_bounds() -> None:
    large = finding(MEASURED, CALLS, predicted=Predicted(speedup=9.0))
    assert not is_guess(large)
    assert is_guess(finding(MEASURED, CALLS, predicted=Predicted(speedup=1.9)))
    large.cache = Kept()
    assert is_guess(large)


def expecting(name: str, speedup: float | None) -> Finding:
    return finding(name, predicted=Predicted(speedup=speedup) if speedup else None)


def test_findings_and_further_edits_are_one_list() -> None:
    reported = [expecting("rule", 1.4), expecting("unknown", None)]
    further = [expecting("much", 8.0), expecting("some", 1.3)]
    first, rest = in_turn(reported, further)
    assert [one.rule for one in first] == ["much", "rule", "some", "unknown"]
    assert rest == []


def test_upper_bounds_come_before_the_first_further_edit_that_promises_little() -> None:
    reported = [expecting("rule", 1.4), expecting("slight", 1.02), expecting("unknown", None)]
    further = [expecting("good", 1.25), expecting("little", 1.15), expecting("guess", None)]
    first, rest = in_turn(reported, further)
    assert [one.rule for one in first] == ["rule", "good"]
    assert [one.rule for one in rest] == ["little", "slight", "unknown", "guess"]


def test_no_cache_comes_before_a_change_that_may_gain_on_all_of_the_data() -> None:
    cache, refused, guess = expecting("cache", 60.0), expecting("refused", 3.0), expecting("guess", None)
    cache.cache = Kept()

    def can_try(one: Finding) -> bool:
        return one is not refused

    first, rest = in_turn([cache, refused], [], [guess], can_try)
    assert ([one.rule for one in first], [one.rule for one in rest]) == (["refused"], ["cache", "guess"])
    first, rest = in_turn([cache, refused], [], [], can_try)
    assert ([one.rule for one in first], rest) == (["cache", "refused"], [])
    first, rest = in_turn([cache, expecting("rule", 1.4)], [], [guess], can_try)
    assert ([one.rule for one in first], [one.rule for one in rest]) == (["cache", "rule"], ["guess"])
