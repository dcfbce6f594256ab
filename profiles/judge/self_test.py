"""A gate tried on the user's own pipeline: unchanged it must pass, with longer steps and more memory it must fail."""

from __future__ import annotations

from collections.abc import Mapping

from pipeprof.profiles.constants import FLOOR
from pipeprof.profiles.judge.metrics import Judged
from pipeprof.profiles.judge.result import Metric, Result, SelfTest, WorseSession
from pipeprof.profiles.judge.verdict import EXIT_CODES, counted, ending_of_self_test

SLOWER = 0.10
"""Of the step interval: the slow-down that a gate has to find in 95 of 100 sessions at least."""
GROWTH = 0.20
"""Of the peak of memory."""
HELD = ("step_ms", "peak_bytes")
"""What the faults make worse."""


def faults_for(unchanged: Result) -> tuple[float, int]:
    """The share by which steps get longer and the bytes to keep, from a session of the pipeline against itself.

    Each is what a gate has to find, or what this session says that it can find, whichever is larger.
    """
    rows = {row.name: row for row in unchanged.metrics if row.limit is None}
    step, peak = rows.get("step_ms"), rows.get("peak_bytes")
    return (_size(step, SLOWER) if step else 0.0, round(_size(peak, GROWTH) * (peak.a or 0.0)) if peak else 0)


def _size(row: Metric, least: float) -> float:
    return max(least, row.floor + FLOOR, row.resolution or 0.0)


def conclude_self_test(result: Result, judged: Mapping[str, Judged]) -> None:
    """Write the receipt, the verdict and the exit code into the result of both sessions."""
    assert result.worse is not None  # noqa: S101 - for the type checker: it was measured
    receipt = result.self_test = _receipt_of(result, result.worse, judged)
    result.verdict = "not regressed" if receipt.passed else "cannot tell"
    result.exit_code = EXIT_CODES[ending_of_self_test(receipt)]


def _receipt_of(unchanged: Result, worse: WorseSession, judged: Mapping[str, Judged]) -> SelfTest:
    rows = [row for row in unchanged.metrics if row.level != "off"]
    verdicts = {row.name: row.verdict for row in worse.metrics if row.limit is None}
    asked = [name for name in HELD if name in judged and judged[name].level != "off"]
    found = SelfTest(
        target=unchanged.b.text,
        started=unchanged.started or "",
        host=unchanged.b.host.name if unchanged.b.host else None,
        passed=False,
        alarms=[row.name for row in rows if row.verdict == "regressed"],
        undecided=[row.name for row in rows if row.verdict == "cannot tell"],
        missed=[name for name in asked if verdicts.get(name, "not regressed") == "not regressed"],
        worse_undecided=[name for name in asked if verdicts.get(name) == "cannot tell"],
        slower=worse.slower,
        measured_slower=next((row.change - 1 for row in worse.metrics if row.name == "step_ms" and row.change), None),
        hold_bytes=worse.hold_bytes,
        detectable={row.name: row.resolution for row in rows if row.resolution is not None and row.limit is None},
        pairs=[len(counted(unchanged.pairs)), len(counted(worse.pairs))],
    )
    found.passed = not (found.alarms or found.undecided or found.missed or found.worse_undecided)
    return found
