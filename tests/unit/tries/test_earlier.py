"""What an earlier run has proven, and what a search says of changes that are not allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.cli.targets.saved import is_run_of
from pipeprof.profiles.advise.order import proven_changes
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.findings import Finding, Fix, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.tries.result import left_out


def kept(title: str, speedup: float, **changes: Any) -> Finding:
    edit = [{"kind": "InsertStage", "op": "cache", "arguments": {}, "after": "stages.1"}]
    measured = {"speedup": speedup, "low": speedup * 0.9, "high": speedup * 1.1}
    given = {"rule": "measured", "title": title, "family": "speed", "semantics": "order", "status": "kept"}
    return Finding.model_validate({**given, "edit": edit, "measured": measured, **changes})


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    return recorded("jpeg-folder")


def test_what_was_kept_is_proven_the_fastest_first(profile: Profile) -> None:
    profile.findings = [kept("a", 1.5), kept("b", 5.8), kept("c", 9.0, status="unverified"), kept("d", 9.0, edit=None)]
    found = proven_changes(profile)
    assert [(one.title, one.effect, one.speedup) for one in found] == [("b", "order", 5.8), ("a", "order", 1.5)]
    assert found[0].measured == (5.8, pytest.approx(5.22), pytest.approx(6.38))


def test_with_another_step_the_gain_of_an_earlier_run_is_not_claimed(
    profile: Profile, recorded: Callable[[str], Profile]
) -> None:
    profile.findings = [kept("a", 5.8, predicted={"speedup": 3.0})]
    assert proven_changes(profile, recorded("jpeg-folder"))[0].measured is not None
    (other,) = proven_changes(profile, recorded("step-none"))
    assert (other.measured, other.speedup) == (None, 3.0)


@pytest.mark.parametrize(
    "edit",
    [
        {"kind": "InsertStage", "op": "map", "arguments": {"python": "os:system"}, "after": None},
        {"kind": "InsertStage", "op": "cache", "arguments": {"filename": "/etc/x"}, "after": None},
        {"kind": "SetArgument", "stage": "stages.0", "op": "map", "argument": "num_parallel_calls", "value": 1 << 40},
        {"kind": "Unknown"},
    ],
)
def test_of_a_profile_of_somebody_else_only_edits_that_a_plan_may_hold_are_tried(
    profile: Profile, edit: dict[str, Any]
) -> None:
    profile.findings = [kept("hostile", 9.0, edit=[edit])]
    assert proven_changes(profile) == []


@pytest.mark.parametrize(
    "other",
    [{"sha256": "0"}, {"text": "b.yaml"}, {"overrides": ["a=1"]}, {"arguments": {"a": "3"}}, {"resolved_sha256": "0"}],
)
def test_a_profile_counts_only_for_the_same_target_and_files(profile: Profile, other: dict[str, Any]) -> None:
    profile.command = ["pipeprof", "run", "spec.yaml"]
    target = profile.target.model_copy(deep=True)
    assert is_run_of(profile, target)
    assert not is_run_of(profile, target.model_copy(update=other))
    assert not is_run_of(profile.model_copy(update={"complete": False}), target)
    assert not is_run_of(profile.model_copy(update={"command": ["pipeprof", "fix", "spec.yaml"]}), target)


def candidate(title: str, predicted: float | None, measured: float | None = None, **changes: Any) -> Proposal:
    interval = (measured, measured * 0.9, measured * 1.1) if measured is not None else None
    expected = Predicted(formula="", speedup=predicted) if predicted is not None else None
    return Proposal(title, title, (title,), "order", predicted=expected, measured=interval, **changes)  # type: ignore[arg-type]


def test_what_is_left_out_is_called_measured_or_predicted_and_names_its_flag() -> None:
    proposed = [candidate("a", 9.0), candidate("b", 5.8, 5.8), candidate("c", None), candidate("d", 1.01)]
    found = left_out(proposed)
    assert [(one.title, one.speedup, one.known_by, one.allow) for one in found] == [
        ("b", 5.8, "measured", "--allow order"),
        ("a", 9.0, "predicted", "--allow order"),
        ("c", None, None, "--allow order"),
    ]
    assert Fix.model_construct(left_out=found).best_left_out is found[0]
    assert Fix.model_construct(left_out=found[2:]).best_left_out is None


def test_what_gives_no_more_than_what_was_found_is_not_left_out() -> None:
    assert left_out([candidate("a", 1.01), candidate("b", 2.0, 2.0)], gain=2.0) == []
    assert [one.title for one in left_out([candidate("b", 2.2, 2.2)], gain=2.0)] == ["b"]
