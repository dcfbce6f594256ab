"""What is reported of a verification does not contradict itself, nor the verdict."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.cli.report.changes import describe_gain
from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.profiles.advise.claims import cut_to_limit
from pipeprof.profiles.document.findings import Finding, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.time.verdict import most_gain
from pipeprof.profiles.tries.outcome import is_covered

Recorded = Callable[[str], Profile]


def finding(title: str = "Run load in parallel", stage: str | None = "stages.0", **facts: object) -> Finding:
    return Finding(**{"rule": "measured", "title": title, "stage": stage, "status": "kept", **facts})


def calls(value: object, stage: str = "stages.0") -> dict[str, object]:
    return {"edit": documents_of([SetArgument(stage, "map", "num_parallel_calls", value)])}


def test_a_change_that_was_not_tried_is_left_out_where_a_reported_one_is_the_same() -> None:
    for other, covered in (
        (finding("Run load in parallel", status="unverified"), True),
        (finding("Use more calls", **calls(8)), True),
        (finding("Use more calls", **calls(8), status="unverified"), False),
        (finding("Use more calls", "stages.1", **calls(8, "stages.1")), False),
        (finding("Run load in parallel", status="rejected"), False),
    ):
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
