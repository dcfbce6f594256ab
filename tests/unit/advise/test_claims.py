"""What is measured with a step that leaves the pipeline too much proves nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeprof.profiles.advise.claims import withhold_findings, withhold_fix
from pipeprof.profiles.document.findings import Finding, Fix
from pipeprof.profiles.document.profile import Profile


def test_nothing_is_proven_by_a_replay_that_is_too_optimistic(recorded: Callable[[str], Profile]) -> None:
    kept = Finding(rule="a", title="a", status="kept", reason="2.0× (1.9 to 2.1)", measured={"speedup": 2.0})
    bound = Finding(rule="b", title="b", status="ceiling", reason="at most 3.0×")
    lost = Finding(rule="c", title="c", status="rejected", reason="no gain")
    fix = Fix(status="fixed", reason="2.0×", seconds=1.0, budget_seconds=2.0, wall_seconds=3.0, allow=["same"])
    trained: Any = recorded("step-bound")
    trained.findings = [kept, bound, lost]
    told = []
    for why in (None, "the step may compute on the same cores"):
        trained.device.too_optimistic = why
        withhold_findings(trained)
        withhold_fix(trained, fix)
        told.append(([finding.status for finding in trained.findings], fix.status, kept.measured))
    assert told == [
        (["kept", "ceiling", "rejected"], "fixed", {"speedup": 2.0}),
        (["unverified", "unverified", "rejected"], "not-proven", {"speedup": 2.0}),
    ]
