"""What is reported of a verification does not contradict itself, nor the verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.report.findings import describe_gain
from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.profiles.document.findings import Finding, NotTried, Unfinished, Verification, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.tries.settle import cut_to_limit, is_covered, name_one_budget, without_repeats

Recorded = Callable[[str], Profile]


def unfinished(budget: int) -> Unfinished:
    return Unfinished(pairs=8, needed=12, budget_seconds=budget)


def finding(title: str = "Run load in parallel", stage: str | None = "stages.0", **facts: object) -> Finding:
    return Finding(**{"rule": "measured", "title": title, "stage": stage, "status": "kept", **facts})


def gain(one: Finding) -> float:
    return float((one.measured or {}).get("speedup", 0.0))


FINDINGS = st.lists(
    st.builds(
        lambda title, stage, status, speedup, late: finding(
            title,
            stage,
            status=status,
            measured={"speedup": speedup} if speedup is not None else None,
            unfinished=unfinished(80) if late else None,
        ),
        st.sampled_from(["Run load in parallel", "Cache load"]),
        st.sampled_from([None, "stages.0", "stages.1"]),
        st.sampled_from(["kept", "ceiling", "unverified", "rejected"]),
        st.none() | st.floats(0.5, 4.0),
        st.booleans(),
    )
)


@given(FINDINGS)
def test_a_change_stands_once_as_it_is_known_best(findings: list[Finding]) -> None:
    found = without_repeats(findings)
    keys = [(one.stage, one.title) for one in found]
    assert len(keys) == len(set(keys))
    assert set(keys) == {(one.stage, one.title) for one in findings}
    # In the order in which they came.
    assert [one for one in findings if any(one is each for each in found)] == found
    assert without_repeats(found) == found
    for one in found:
        others = [each for each in findings if (each.stage, each.title) == (one.stage, one.title)]
        if any(each.status == "kept" for each in others):
            assert one.status == "kept"
        same = [each for each in others if (each.status, each.unfinished) == (one.status, one.unfinished)]
        assert (one.measured or {}).get("speedup", 0.0) == max(
            (each.measured or {}).get("speedup", 0.0) for each in same
        )


def calls(value: object, stage: str = "stages.0") -> dict[str, object]:
    return {"edit": documents_of([SetArgument(stage, "map", "num_parallel_calls", value)])}


@pytest.mark.parametrize(
    ("other", "covered"),
    [
        (finding("Run load in parallel", status="unverified"), True),
        (finding("Use more calls", **calls(8)), True),
        (finding("Use more calls", **calls(8), status="unverified"), False),
        (finding("Use more calls", "stages.1", **calls(8, "stages.1")), False),
        (finding("Run load in parallel", status="rejected"), False),
    ],
)
def test_a_change_that_was_not_tried_is_left_out_where_a_reported_one_is_the_same(
    other: Finding, *, covered: bool
) -> None:
    assert is_covered(finding(**calls("AUTOTUNE")), [other]) is covered


@pytest.mark.parametrize("status", ["kept", "ceiling"])
def test_no_measured_gain_is_above_what_the_verdict_calls_best(recorded: Recorded, status: str) -> None:
    """The run's stored batches came 2.56 times as fast, a change in other processes 2.86 times."""
    profile = recorded("jpeg-folder")
    profile.headspace = Headspace.of(51.1, 20.0, 4)
    profile.verdict = None
    most = most_gain(profile)
    measured = {"speedup": 2.86, "low": 2.71, "high": 3.02, "pairs": [2.8, 2.92, 2.4] * 2, "data": "equal"}
    reason = "2.86× (2.71 to 3.02, 6 rounds) in two processes"
    slower = {"speedup": 1.5, "low": 1.4, "high": 1.6}
    profile.findings = [
        finding(status=status, measured=dict(measured), reason=reason),
        finding("Cache", measured=dict(slower), reason="1.50×"),
    ]
    cut_to_limit(profile)
    first, second = profile.findings
    assert first.measured == {
        **measured,
        **dict.fromkeys(("speedup", "low", "high"), most),
        "pairs": [min(pair, most) for pair in measured["pairs"]],  # type: ignore[attr-defined]
        "at_limit": "as fast as the step allows",
        "uncut": {name: measured[name] for name in ("speedup", "low", "high", "pairs")},
    }
    assert describe_gain(first) == "as fast as the step allows"
    assert first.reason == "as fast as the step allows in two processes"
    assert (second.measured, second.reason) == (slower, "1.50×")


def test_gains_are_as_measured_where_the_verdict_states_no_limit(recorded: Recorded) -> None:
    profile = recorded("jpeg-folder")
    profile.headspace = None
    profile.findings = [finding(measured={"speedup": 99.0})]
    cut_to_limit(profile)
    assert profile.findings[0].measured == {"speedup": 99.0}


@pytest.mark.parametrize(("least", "budget"), [(30.0, 90), (91.0, 100)])
def test_one_report_names_one_budget(recorded: Recorded, least: float, budget: int) -> None:
    profile = recorded("jpeg-folder")
    profile.findings = [
        finding(status="unverified", unfinished=unfinished(80), reason="too few rounds: --budget 80"),
        finding("Cheaper", status="unverified", reason="how fast it could get was not measured: --budget 60"),
        finding("Cache", reason="1.50×"),
    ]
    profile.verification = Verification(
        seconds=30.0,
        budget_seconds=30.0,
        mode="alternating",
        tried=1,
        bounds=["decode: was not measured: --budget 70"],
        not_tried=[NotTried(reason="the budget of 30 s has no time for it: --budget 90", changes=["a"])],
        needs_seconds=60,
        block_seconds=0.5,
    )
    name_one_budget(profile, least)
    document = profile.model_dump_json()
    assert document.count(f"--budget {budget}") == document.count("--budget ") == 4
    assert profile.verification.needs_seconds == budget
    assert profile.findings[0].unfinished == unfinished(budget)
