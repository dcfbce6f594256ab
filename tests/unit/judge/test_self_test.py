"""A gate tried on the pipeline that it is for."""

import pytest

from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.judge.metrics import BY_DEFAULT, rows_of
from pipeprof.profiles.judge.result import PairValues, Result, Side, WorseSession
from pipeprof.profiles.judge.self_test import conclude_self_test, faults_for
from pipeprof.profiles.judge.verdict import ending_of


def session(step: float = 1.0, peak: float = 1.0, noise: float = 0.002) -> Result:
    pairs = [
        PairValues(
            order=[],
            a={"step_ms": 10.0 * (1 + one), "peak_bytes": 1e9},
            b={"step_ms": 10.0 * step * (1 - one), "peak_bytes": 1e9 * peak},
            again={"step_ms": 10.0 * (1 - one), "peak_bytes": 1e9 * (1 + one / 10)},
        )
        for one in (-noise, 0.0, noise, noise / 2, -noise / 2)
    ]
    side, tool = Side(text="spec.yaml"), Tool(version="1")
    return Result(kind="self-test", tool=tool, a=side, b=side, pairs=pairs, metrics=rows_of(pairs))


def test_faults_are_what_a_gate_has_to_find():
    slower, held = faults_for(session())
    assert slower == pytest.approx(0.1)
    assert held == pytest.approx(2e8, rel=0.01)


def test_on_a_noisy_machine_the_faults_are_what_the_session_can_find():
    noisy = session(noise=0.08)
    slower, _ = faults_for(noisy)
    assert slower > 0.3
    assert slower == pytest.approx(noisy.metrics[0].resolution)


def concluded(unchanged: Result, changed: Result) -> Result:
    unchanged.worse = WorseSession(slower=0.1, hold_bytes=200_000_000, metrics=changed.metrics, pairs=changed.pairs)
    conclude_self_test(unchanged, BY_DEFAULT)
    return unchanged


@pytest.mark.parametrize(
    ("unchanged", "changed", "code", "found"),
    [
        (session(), session(1.1, 1.2), 0, {}),
        (session(), session(1.0, 1.2), 3, {"missed": ["step_ms"]}),
        (session(), session(1.1, 1.2, noise=0.2), 4, {"worse_undecided": ["step_ms"]}),
        (session(noise=0.05), session(1.5, 1.5), 4, {"undecided": ["step_ms"]}),
        (session(1.1), session(1.1, 1.2), 3, {"alarms": ["step_ms"]}),
    ],
)
def test_each_outcome(unchanged, changed, code, found):
    result = concluded(unchanged, changed)
    receipt = result.self_test
    assert (result.exit_code, receipt.passed) == (code, code == 0)
    lists = ("alarms", "undecided", "missed", "worse_undecided")
    assert {name: names for name in lists if (names := getattr(receipt, name))} == found
    assert ending_of(result) == {0: "passed", 3: "failed", 4: "inconclusive"}[code]
