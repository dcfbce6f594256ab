"""Edits that are tried although no rule has proposed them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace, Stage
from pipeprof.profiles.verify.search import guesses

Recorded = Callable[[str], Profile]


def profile_of(
    recorded: Recorded, *ops: str, stage: str, kind: str = "function", parallelism: float | None = None
) -> Profile:
    """A run of these stages whose verdict names one of them."""
    found = recorded("input-bound").model_copy(deep=True)
    found.target.kind = kind  # type: ignore[assignment]
    addresses = ["source", *(f"stages.{number}" for number in range(len(ops) - 1))]
    found.stages = [
        Stage(id=address, origin="written", op=op, parallelism=parallelism if address == stage else None)
        for address, op in zip(addresses, ops, strict=True)
    ]
    assert found.verdict is not None
    found.verdict.bound, found.verdict.stage = "input", stage
    found.findings = []
    return found


def kinds(found: Profile) -> list[str]:
    return [edit.kind or "" for finding in guesses(found) for edit in finding.edit or []]  # type: ignore[union-attr]


def test_a_map_before_a_batch_is_vectorised_made_parallel_and_prefetched(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    assert kinds(found) == ["VectoriseMap", "SetArgument", "InsertStage"]
    assert all(finding.status == "unverified" and finding.predicted is None for finding in guesses(found))


def test_what_runs_in_parallel_is_not_made_so(recorded: Recorded) -> None:
    assert kinds(profile_of(recorded, "range", "map", "shuffle", stage="stages.0", parallelism=4.0)) == ["InsertStage"]


def test_a_map_that_draws_at_random_gets_other_numbers_in_parallel(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0")
    assert found.stages is not None
    found.stages[1].random = True
    first = guesses(found)[0]
    assert (first.change, first.semantics) == ("num_parallel_calls: not set → AUTOTUNE", "randomness")


def test_a_spec_gets_what_its_flags_can_say(recorded: Recorded) -> None:
    found = guesses(profile_of(recorded, "range", "map", "batch", stage="stages.0", kind="spec"))
    assert [finding.overrides for finding in found] == [
        ["stages.0.num_parallel_calls=AUTOTUNE"],
        ["stages.+1={prefetch: {buffer_size: AUTOTUNE}}"],
    ]


def test_what_a_finding_proposes_is_not_tried_twice(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "shuffle", stage="stages.0")
    first = guesses(found)[0]
    found.findings = [Finding(rule="a", title="a", status="unverified", edit=first.edit)]
    assert kinds(found) == kinds(found)[: len(kinds(found))]
    assert isinstance(first.edit, list)
    assert first.edit[0] not in [edit for finding in guesses(found) for edit in finding.edit or ()]
    assert isinstance(first.edit[0], Edit)


@pytest.mark.parametrize("bound", ["step", None])
def test_nothing_is_tried_where_the_pipeline_is_not_the_limit(recorded: Recorded, bound: str | None) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    assert found.verdict is not None
    found.verdict.bound = bound  # type: ignore[assignment]
    assert guesses(found) == []


def test_nothing_is_tried_where_a_free_pipeline_gains_nothing(recorded: Recorded) -> None:
    found = profile_of(recorded, "range", "map", "batch", stage="stages.0")
    found.headspace = Headspace.of(10.0, 9.9, 4)
    assert guesses(found) == []


def test_a_stage_inside_a_function_is_left(recorded: Recorded) -> None:
    assert guesses(profile_of(recorded, "range", "map", "batch", stage="stages.0.stages.1")) == []
