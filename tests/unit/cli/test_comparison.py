"""The report of `compare` and `gate`: a golden text for each kind of verdict, and what it must and must not say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.cli.results import STAGES, interrupted, of_four, result_of

from pipeprof.cli.render.style import Style
from pipeprof.cli.render.terminal import paint
from pipeprof.cli.report.blocks import Chart, Interval
from pipeprof.cli.report.comparison import build_result, headline_of, next_command
from pipeprof.cli.report.metric import facts_of
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.judge.metrics import BY_DEFAULT, BY_NAME
from pipeprof.profiles.judge.result import Metric, Result, Side, WorseSession
from pipeprof.profiles.judge.self_test import conclude_self_test
from tests.unit.cli.reports import of

CALLS = "stages.decode.num_parallel_calls: 2 → 1"


def saved_profiles() -> Result:
    found = result_of()
    found.a, found.b = Side(text="before.json", saved=True), Side(text="after.json", saved=True)
    found.pairs, found.data, found.order, found.command = [], None, None, []
    for row in found.metrics:
        row.pairs, row.low, row.high, row.words = 0, None, None, "cannot tell"
    return found


def self_test(factor: float) -> Result:
    found, worse = result_of("self-test", 1.0), result_of("self-test", factor)
    found.worse = WorseSession(slower=0.1, hold_bytes=200 << 20, metrics=worse.metrics, pairs=worse.pairs)
    found.started = "2026-11-22T01:00:00+00:00"
    conclude_self_test(found, BY_DEFAULT)
    return found


def without_pairs(**fields: object) -> Result:
    """A gate that has measured nothing."""
    found = result_of("gate", 1.0, **fields)
    found.metrics, found.pairs, found.data = [], [], None
    return found


UNCHANGED = without_pairs(unchanged="both sides are the same target, and no file differs")


def failed_side(words: str = "", said: str = "raised: no such file") -> Result:
    found = without_pairs(exit_code=5)
    found.command = [*found.command, *words.split()]
    found.errors = [Message(code="side-failed", message=f"B: {said}")]
    return found


LEFT_OUT = result_of("gate", 1.0)
LEFT_OUT.pairs[1].counts = False


@pytest.mark.parametrize(
    ("name", "found", "full"),
    [
        ("slower", result_of("compare", 1.12, CALLS, stages=STAGES), False),
        ("faster", result_of("compare", 0.8), False),
        ("no_difference", result_of("compare", 1.0), False),
        ("cannot_tell", result_of("compare", 1.03), False),
        ("saved_profiles", saved_profiles(), False),
        ("of_four", of_four(), False),
        ("interrupted", interrupted(), False),
        ("gate_failed", result_of("gate", 1.12, CALLS), False),
        ("gate_passed", result_of("gate", 1.0), False),
        ("gate_inconclusive", result_of("gate", 1.03), False),
        ("gate_unchanged", UNCHANGED, False),
        ("gate_no_verdict", failed_side(), False),
        ("self_test_failed", self_test(1.0), False),
        ("full", LEFT_OUT, True),
    ],
)
def test_the_report_of_each_verdict(name: str, found: Result, full: bool, golden: Callable[[str, str], None]) -> None:
    golden(f"compare/{name}.txt", paint(build_result(found, "pipeprof-out/compare-spec.json", full=full), Style(100)))


def test_the_full_form_draws_what_counts() -> None:
    (chart,) = of(Chart, build_result(LEFT_OUT, None, full=True))
    dots = [(row.name, len(row.dots)) for row in chart.rows if isinstance(row, Interval)]
    assert dots == [("time per step", 4), ("peak memory", 4)]
    assert chart.floor == pytest.approx((1 / 1.03, 1.03))
    of_each = of(Chart, build_result(of_four(), None, full=True))
    assert {row.name for block in of_each for row in block.rows} >= {f"time per step, {name}" for name in "BCD"}


def row_of(name: str, a: float | None, b: float, change: float, **fields: object) -> Metric:
    kind = BY_NAME[name]
    given = {"floor": kind.floor, "pairs": 5, **fields}
    return Metric.model_validate({**kind.heads(), "a": a, "b": b, "change": change, **given})


def test_facts_of_a_metric() -> None:
    one = (1.0, 1.0, 1.0)
    for row, facts in (
        (row_of("elements_per_second", 800.0, 400.0, 0.5), {"A": "800/s", "B": "400/s", "limit": "−3 %"}),
        (row_of("wait_ms", 0.0, 1.5, 1.5), {"A": "0 ms", "change": "+1.50 ms", "limit": "+0.100 ms"}),
        (row_of("idle_share", 0.1, 0.22, 0.12), {"A": "10 %", "change": "+12.0 points", "limit": "+1.0 points"}),
        (row_of("step_ms", None, 11.2, 1.12, limit=10.0, floor=0.0), {"A": "", "B": "11.2 ms", "limit": "10.0 ms"}),
        # Medians that say something else than the pairs are not shown.
        (row_of("step_ms", 10.3, 19.6, 1.62, low=1.61, high=1.63), {"A": "", "B": "", "change": "1.62×"}),
        (row_of("step_ms", 0.0606, 0.102, 1.68), {"A": "0.0606 ms", "B": "0.102 ms"}),
        (row_of("peak_bytes", 900 << 20, 1200 << 20, 1.33), {"A": "0.879 GiB", "B": "1.17 GiB"}),
        (row_of("step_ms", *one, level="off"), {"limit": "", "verdict": ""}),
        (row_of("step_ms", *one, level="warn", verdict="regressed"), {"verdict": "regressed (warning)"}),
        (row_of("step_ms", *one, words="no difference"), {"B is": "the same ±3 %"}),
        (row_of("step_ms", *one, rules_out="slower"), {"B is": "not slower"}),
        (row_of("step_ms", *one, pairs=0), {"B is": ""}),
        # Two pairs that decide nothing may have any interval.
        (row_of("step_ms", *one, pairs=2, low=1 / 44400, high=68900.0), {"98 % interval": ""}),
        (row_of("step_ms", *one, pairs=2, low=0.5, high=2.0, words="slower"), {"98 % interval": "0.500–2.00"}),
    ):
        assert {name: facts_of(row)[name] for name in facts} == facts


def test_what_both_sides_lack_has_no_row() -> None:
    for b, level, shown in ((0.0, "off", False), (4096.0, "off", True), (0.0, "error", True)):
        found = result_of(factor=1.0)
        row = row_of("disk_bytes_per_element", 0.0, b, b, low=-0.2, high=0.3, level=level)
        found.metrics.append(row)
        assert (row.title in paint(build_result(found, None), Style(100))) is shown


def test_the_headline_has_what_has_regressed_first_and_of_an_interrupted_session_what_it_has_found() -> None:
    found = result_of("gate", 1.0, CALLS, "seed: 1 → 2")
    memory = next(metric for metric in found.metrics if metric.name == "peak_bytes")
    memory.b, memory.change, memory.words, memory.verdict, found.verdict = 900e6, 1.5, "more", "regressed", "regressed"
    assert headline_of(found).text.startswith("peak memory ")
    assert CALLS in headline_of(found).text
    # What has passed has no cause.
    assert CALLS not in headline_of(result_of("gate", 1.0, CALLS)).text
    for kind in ("compare", "gate"):
        found = interrupted(kind)
        assert "1.34×" in headline_of(found).text
        found.pairs, found.metrics = [], []
        assert headline_of(found).text == found.errors[0].message


def test_a_file_of_a_stranger_may_have_any_numbers() -> None:
    for value in (-1.0, 0.0, 1e308, 5e-324):
        found = of_four()
        for row in (row for rows in found.rows().values() for row in rows):
            row.a = row.b = row.change = row.low = row.high = row.resolution = value
        for pair in found.pairs:
            pair.a = pair.b = pair.again = {"step_ms": value, "peak_bytes": value}
        assert paint(build_result(Result.model_validate_json(found.model_dump_json()), None, full=True), Style(100))


def undecided(kind: str, words: str = "", *codes: str) -> Result:
    found = result_of(kind, 1.02)
    found.seconds = 250.0
    found.metrics[0].verdict, found.metrics[0].more_pairs, found.verdict = "cannot tell", 7, "cannot tell"
    found.metrics[1].more_pairs = None
    found.command = [*GATE.split(), *words.split()] if kind == "gate" else found.command
    found.warnings = [Message(code=code, message="-") for code in codes]
    return found


def again(words: str) -> Result:
    found = result_of("gate", 1.12, CALLS, "seed: 1 → 2")
    found.command = [*found.command, *words.split()]
    return found


GATE = "pipeprof gate spec.yaml --against git:main"
AGAIN = "pipeprof gate spec.yaml --against git:main --step simulate:8ms"
OF_A_GATE = "--max-time 300 --limit step=5% --out r.md --json"


@pytest.mark.parametrize(
    ("found", "command"),
    [
        (failed_side(said="input.py has changed since the session began"), AGAIN),
        (failed_side(), "pipeprof run spec.yaml --step simulate:8ms"),
        (failed_side("--arg n=1 --max-pairs 5 --json"), "pipeprof run spec.yaml --step simulate:8ms --arg n=1"),
        (UNCHANGED, "pipeprof gate spec.yaml --against git:main --measure --step simulate:8ms"),
        (result_of("gate", 1.12, CALLS), AGAIN),
        (again(OF_A_GATE), "pipeprof compare git:main:spec.yaml spec.yaml --step simulate:8ms --max-time 300"),
        (undecided("compare"), "pipeprof compare git:main spec.yaml --pairs 12"),
        (undecided("gate", "--max-pairs 5"), f"{GATE} --max-pairs 12"),
        # The time has ended it: more pairs alone would end as it did.
        (undecided("gate", "--max-time=250", "time-over"), f"{GATE} --max-pairs 12"),
        (result_of("gate", 1.0), None),
        (result_of(), None),
        (saved_profiles(), None),
    ],
)
def test_what_is_next(found: Result, command: str | None) -> None:
    assert (next_command(found) or (None,))[0] == command
