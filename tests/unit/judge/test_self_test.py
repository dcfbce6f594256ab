"""A gate tried on the pipeline that it is for."""

import json

import pytest

from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.judge.self_test import faults_for, latest_receipt, receipt_of
from pipeprof.profiles.judge.verdicts.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdicts.tabulate import BY_DEFAULT, rows_of
from pipeprof.profiles.judge.words import describe_receipt, headline


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
    side = {"a": Side(text="spec.yaml"), "b": Side(text="spec.yaml")}
    started = "2026-11-22T01:00:00+00:00"
    found = Result(kind="self-test", tool=Tool(version="1"), started=started, pairs=pairs, **side)
    found.metrics = rows_of(pairs)
    return found


def test_faults_are_what_a_gate_has_to_find():
    slower, held = faults_for(session())
    assert slower == pytest.approx(0.1)
    assert held == pytest.approx(2e8, rel=0.01)


def test_on_a_noisy_machine_the_faults_are_what_the_session_can_find():
    noisy = session(noise=0.08)
    slower, _ = faults_for(noisy)
    assert slower > 0.3
    assert slower == pytest.approx(noisy.metrics[0].resolution)


@pytest.mark.parametrize(
    ("unchanged", "changed", "passed", "says"),
    [
        (
            session(),
            session(1.1, 1.2),
            True,
            "The gate works: it passes the pipeline, and fails it with steps 10 % longer",
        ),
        (session(), session(1.0, 1.2), False, "did not fail it for step_ms"),
        (session(noise=0.05), session(1.5, 1.5), False, "cannot tell whether the unchanged one has regressed (step_ms"),
        (session(1.1), session(1.1, 1.2), False, "it failed the unchanged pipeline (step_ms)"),
    ],
)
def test_each_outcome(unchanged, changed, passed, says):
    unchanged.self_test = receipt_of(unchanged, changed, (0.1, 200_000_000), BY_DEFAULT)
    assert unchanged.self_test.passed is passed
    assert says in "".join(headline(unchanged)[:2])


def test_the_latest_receipt_of_a_target_is_shown(tmp_path):
    for number, started in enumerate(("2026-11-20", "2026-11-22", "2026-11-21")):
        found = session()
        found.started = started
        found.self_test = receipt_of(found, session(1.1, 1.2), (0.1, 2), BY_DEFAULT)
        (tmp_path / f"self-test-{number}.json").write_text(found.model_dump_json())
    (tmp_path / "self-test-x.json").write_text("{")
    (tmp_path / "self-test-y.json").write_text(json.dumps({"self_test": {"target": "spec.yaml"}}))
    receipt = latest_receipt(tmp_path, "spec.yaml")
    assert receipt is not None
    assert describe_receipt(receipt).startswith("passed 2026-11-22; it finds changes from: step interval ")
    assert latest_receipt(tmp_path, "other.yaml") is None
