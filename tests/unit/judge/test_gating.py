"""Which pairs of a session count, and what a gate ends with."""

from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.spec.budgets import UNITS, parse_budget, stage_metric
from pipeprof.profiles.document.profile import Tool
from pipeprof.profiles.experiment.turns import BEYOND_USUAL
from pipeprof.profiles.judge.metrics import METRICS, Judged, rows_of
from pipeprof.profiles.judge.result import PairValues, Result, Side
from pipeprof.profiles.judge.verdict import (
    conclude_gate,
    counted,
    has_seen_enough,
    judged_for,
    judged_of,
    main_metric,
    mark,
    not_measured,
)

DECODE = stage_metric("decode")


def result(factor: float, *, pairs: int = 5, spread: float = 0.002, of: str = "step_ms", **budgets) -> Result:
    """A gate of pipelines of which B takes `factor` times as long, in its steps or in one stage."""
    same = {"step_ms": 10.0, "peak_bytes": 1e9}
    values = []
    for number in range(pairs):
        wiggle = (-1) ** number * spread * (1 + number / 9)
        sides = {"a": 1.0, "b": factor * (1 + wiggle), "again": 1 - wiggle / 2}
        values.append(PairValues(order=[], **{side: {**same, of: 10.0 * one} for side, one in sides.items()}))
    judged = judged_of({}, {name: parse_budget(text, UNITS.get(name, "ms")) for name, text in budgets.items()})
    rows = rows_of(values, judged)
    return Result(kind="gate", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"), pairs=values, metrics=rows)


@pytest.mark.parametrize(
    ("factor", "verdict", "code"),
    [(1.0, "not regressed", 0), (1.1, "regressed", 3), (1.03, "cannot tell", 4), (0.5, "not regressed", 0)],
)
def test_each_end(factor, verdict, code):
    found = result(factor)
    conclude_gate(found)
    assert (found.verdict, found.exit_code) == (verdict, code)


@pytest.mark.parametrize("of", ["step_ms", DECODE])
@pytest.mark.parametrize(
    ("factor", "budget", "code", "warnings"),
    [
        *((1.2, change, code, []) for change, code in (("10%", 3), ("30%", 0), ("off", 0))),
        *((1.0, limit, code, []) for limit, code in (("9ms", 3), ("11ms", 0))),
        (1.2, {"change": "10%", "level": "warn"}, 0, ["budget"]),
        (1.0, {"limit": "9ms", "level": "warn"}, 0, ["budget"]),
        (1.2, {"change": "5%", "limit": "9ms", "level": "warn"}, 0, ["budget"]),
    ],
)
def test_a_budget_of_a_step_or_a_stage_decides(of, factor, budget, code, warnings):
    found = result(factor, of=of, **{of: budget})
    conclude_gate(found)
    assert (found.exit_code, [warning.code for warning in found.warnings]) == (code, warnings)
    titles = {row.title for row in found.metrics if row.stage == "decode"}
    assert titles == ({"time in decode"} if of == DECODE else set())


def test_a_limit_does_not_say_which_side_is_faster():
    assert main_metric(result(1.0, step_ms="20ms")).limit is None


def test_nothing_measured_neither_passes_nor_fails():
    found = result(1.0)
    found.pairs, found.metrics = [], []
    conclude_gate(found)
    assert (found.verdict, found.exit_code, found.errors[0].code) == ("cannot tell", 5, "not-measured")


def test_a_metric_that_one_side_lacks_neither_passes_nor_fails():
    found = result(1.0)
    judged = {"wait_ms": Judged(), "idle_share": Judged(level="off"), "step_ms": Judged(), DECODE: Judged()}
    lacking = not_measured(found, judged)
    assert lacking == ["wait_ms", DECODE]
    conclude_gate(found, lacking)
    assert (found.verdict, found.exit_code) == ("cannot tell", 6)
    assert found.errors[0].message.startswith("wait per step and time in decode: ")


@pytest.mark.parametrize(
    ("factor", "pairs", "enough"),
    [(1.0, 3, False), (1.0, 4, True), (1.0, 5, False), (1.03, 6, False), (1.03, 15, True)],
)
def test_the_gate_looks_at_few_numbers_of_pairs_and_ends_when_all_is_decided(factor, pairs, enough):
    assert has_seen_enough(result(factor, pairs=pairs), 15) is enough


def test_a_gate_ends_when_something_has_regressed_whatever_the_rest_is():
    found = result(1.2, pairs=4)
    step, peak = (row for row in found.metrics if row.name in ("step_ms", "peak_bytes"))
    peak.verdict = "cannot tell"
    assert has_seen_enough(found, 15)
    assert not has_seen_enough(found, 15, each=True)
    step.level = "warn"
    assert not has_seen_enough(found, 15)


def test_a_machine_that_makes_differences_out_of_nothing_gets_no_verdict():
    found = result(1.2)
    for pair in found.pairs:
        pair.again = {"step_ms": 12.0, "peak_bytes": 1e9}
    found.metrics = rows_of(found.pairs)
    conclude_gate(found)
    assert found.metrics[0].disturbed
    assert found.exit_code == 4


def test_budgets_have_the_metrics_and_units_of_sessions():
    assert {metric.name: metric.unit for metric in METRICS} == UNITS


@pytest.mark.parametrize(
    ("budget", "unit"),
    [("fast", "ms"), ("20ms", "B"), ({"chance": "5%"}, "ms"), ({"level": "loud"}, "ms"), ({"change": 5}, "ms")],
)
def test_a_wrong_budget_is_refused(budget, unit):
    with pytest.raises(ValueError, match="expected"):
        parse_budget(budget, unit)


@pytest.mark.parametrize(("budget", "meant"), [(8, "8GiB"), ({"limit": 500}, "500MiB")])
def test_a_number_of_bytes_without_a_unit_is_told_what_it_may_mean(budget, meant):
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        parse_budget(budget, "B")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
@pytest.mark.parametrize("number", ["0", f"0.{'0' * 320}1", "9" * 400, "0.000001", "1"])
def test_every_limit_that_is_taken_can_be_judged_by(metric, number):
    unit = {"1/s": "/s", "": "%"}.get(metric.unit, metric.unit)
    zero = metric.name in {"wait_ms", "idle_share", "disk_bytes_per_element"}
    try:
        budget = parse_budget(f"{number}{unit}", metric.unit, zero=zero)
    except ValueError:
        assert number != "1"
        return
    values = {metric.name: 0.5, "step_ms": 0.5}
    pairs = [PairValues(order=[], a=values, b=values, again=values) for _ in range(4)]
    (row,) = [row for row in rows_of(pairs, judged_of({metric.name: budget}, {})) if row.limit is not None]
    assert isfinite(row.change)


@pytest.mark.parametrize(
    ("size", "budgets", "code"),
    [
        (128, {}, 0),
        (128, {"step_ms": "30ms"}, 0),
        (128, {"step_ms": "19ms"}, 3),
        (128, {"step_ms": {"change": "1%", "limit": "30ms"}}, 0),
        (96, {}, 3),
        (96, {"step_ms": "30ms"}, 3),
        (96, {"elements_per_second": "off"}, 3),
        (96, {"elements_per_second": {"change": "5%", "level": "warn"}}, 3),
        (96, {"elements_per_second": "50%"}, 0),
        (96, {"step_ms": "off"}, 0),
    ],
)
def test_steps_with_other_batches_are_compared_by_their_elements(size, budgets, code):
    """A step of B takes twice as long, for twice as many elements, or for half as many more."""
    found = result(2.0)
    for pair in found.pairs:
        for side, elements in ((pair.a, 64), (pair.b, size), (pair.again, 64)):
            side["elements_per_second"] = 1e3 * elements / side["step_ms"]
    assert rows_of(found.pairs)[0].verdict == "regressed"
    given = judged_of({}, {name: parse_budget(text, UNITS[name]) for name, text in budgets.items()})
    found.a.elements_per_batch, found.b.elements_per_batch = 64, size
    judged = judged_for(found.a, found.b, given)
    found.metrics = rows_of(found.pairs, judged)
    conclude_gate(found, not_measured(found, judged))
    assert found.exit_code == code


@pytest.mark.parametrize(("wait", "code"), [(21.0, 0), (23.0, 3)])
def test_a_share_of_a_wait_is_one_of_the_wait_of_a(wait, code):
    found = result(1.0)
    for pair in found.pairs:
        for side, waits in ((pair.a, 20.0), (pair.b, wait), (pair.again, 20.0)):
            side["wait_ms"] = waits + side["step_ms"] / 100
    judged = judged_of({}, {"wait_ms": parse_budget("10%", "ms", zero=True)})
    found.metrics = rows_of(found.pairs, judged)
    conclude_gate(found)
    assert found.exit_code == code


def test_batches_of_nearly_one_size_are_compared_by_their_steps():
    found = result(1.0)
    found.a.elements_per_batch, found.b.elements_per_batch = 64, 64.2
    assert judged_for(found.a, found.b, judged_of({}, {})) == judged_of({}, {})


def test_what_a_batch_takes_is_not_compared_where_batches_differ():
    found = result(1.0)
    found.a.elements_per_batch, found.b.elements_per_batch = 32.0, 64.0
    judged = {DECODE: Judged(floor=0.1), stage_metric("read"): Judged(limit=4.0), "wait_ms": Judged(limit=2.0)}
    levels = {name: (one.level, one.compared) for name, one in judged_for(found.a, found.b, judged).items()}
    limited = dict.fromkeys(("stages.read.time_ms", "wait_ms"), ("error", False))
    assert levels == {"stages.decode.time_ms": ("off", False), **limited}


SHARES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


def pairs_of(shares: list[float | None]) -> list[PairValues]:
    found = [PairValues(order=[], a={}, b={}, stolen_share=share) for share in shares]
    mark(found)
    return found


@pytest.mark.parametrize(
    ("shares", "count"),
    [
        ([0.0, 0.02, 0.05, 0.36], [True] * 4),
        ([0.0, 0.02, 0.05, 0.36, 0.01], [True, True, True, False, True]),
        ([0.36, 0.0, 0.02, 0.36, 0.05, 0.0], [False, True, True, False, True, True]),
        ([0.4, 0.41, 0.45, 0.4], [True] * 4),
        ([0.4], [True]),
        ([0.0, None, 0.6], [True] * 3),
    ],
)
def test_pairs_from_which_other_machines_took_the_cores_do_not_count(shares, count):
    assert [pair.counts for pair in pairs_of(shares)] == count


@given(SHARES)
def test_four_pairs_count_in_any_case(shares):
    pairs = pairs_of(shares)
    assert len(counted(pairs)) >= min(4, len(pairs))
    quietest = min(shares)
    assert all(pair.counts for pair in pairs if (pair.stolen_share or 0.0) <= quietest + BEYOND_USUAL)


@given(SHARES, st.integers(1, 15))
def test_a_gate_never_measures_more_pairs_than_it_may(shares, most):
    found = Result(kind="gate", tool=Tool(version="1"), a=Side(text="a"), b=Side(text="b"), pairs=pairs_of(shares))
    assert has_seen_enough(found, most) or len(shares) < most
