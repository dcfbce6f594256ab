"""Numbers as people read them: no negative zero, one unit in a row, the sign and the size of the value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.cli.report import units
from pipeprof.cli.report.metric import clause_of, facts_of
from pipeprof.profiles import wording
from pipeprof.profiles.judge.result import Metric

VALUES = st.floats(min_value=-1e12, max_value=1e12) | st.sampled_from([0.0, -0.0, 0.5, -0.4, 1023.7, 999.96, 9999.9])
POSITIVE = st.floats(min_value=1e-6, max_value=1e12)
RATIOS = st.floats(min_value=1e-5, max_value=1e5)
NEGATIVE_ZERO = re.compile(r"[-−](?:0(?:[.,]0*)?|\.0+)(?![\d.,])")
NUMBER = re.compile(r"[-−+]?\d[\d,]*(?:\.\d+)?")
FACTORS = {
    "B": 1.0, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40, "µs": 1e-3, "ms": 1.0, "s": 1e3,
}  # fmt: skip
IN_PROSE = {"milliseconds": wording.milliseconds, "size": wording.size}
OTHERS = {
    "significant": wording.significant,
    "count": wording.count,
    "percent": wording.percent,
    "cores_text": lambda value: wording.cores_text(max(-1e4, min(value, 1e4))),
    "seconds": units.seconds,
    "rate": units.rate,
    "ratio_text": wording.ratio_text,
}


def read(text: str) -> float:
    """The value of a number with a unit."""
    number, _, unit = text.partition(" ")
    return float(number.replace(",", "")) * FACTORS[unit]


@pytest.mark.parametrize("name", [*IN_PROSE, *OTHERS])
@given(value=VALUES)
def test_there_is_no_negative_zero(name: str, value: float) -> None:
    text = {**IN_PROSE, **OTHERS}[name](value)
    assert not NEGATIVE_ZERO.search(text), (value, text)
    assert "nan" not in text
    assert not re.search(r"\de[-+]?\d", text), "no exponent"


@pytest.mark.parametrize("name", list(IN_PROSE))
@given(value=VALUES)
def test_a_text_says_the_size_and_the_sign(name: str, value: float) -> None:
    text = IN_PROSE[name](value)
    least = 0.5 if name == "size" else 0.0
    assert read(text) == pytest.approx(value, rel=0.006, abs=least), (value, text)
    assert name != "size" or abs(float(text.partition(" ")[0].replace(",", ""))) < 1024 or text.endswith("TiB")


@given(values=st.lists(st.just(0.0) | st.floats(min_value=1e-9, max_value=1e15), min_size=1, max_size=6))
def test_a_column_has_one_unit_in_which_what_is_not_0_does_not_look_like_it(values: list[float]) -> None:
    for scale in (units.byte_scale(values), units.time_scale(values)):
        texts = [scale.text(value) for value in values]
        assert not any(NEGATIVE_ZERO.search(text) for text in texts)
        for value, text in zip(values, texts, strict=True):
            smallest = 10.0**-scale.decimals
            assert value == 0 or scale.unit == "B" or float(text.strip("<").replace(",", "")) > 0, (value, text)
            if not text.startswith("<"):
                assert float(text.replace(",", "")) == pytest.approx(value / scale.factor, abs=0.51 * smallest)


@given(ratio=RATIOS)
def test_a_small_ratio_is_a_fraction(ratio: float) -> None:
    text = wording.ratio_text(ratio)
    assert not text.startswith("0.0"), text
    top, _, below = text.removesuffix("×").partition("/")
    found = float(top.replace(",", "")) / (float(below.replace(",", "")) if below else 1.0)
    assert found == pytest.approx(ratio, rel=0.006)


@given(before=POSITIVE, after=POSITIVE)
def test_two_durations_have_one_unit(before: float, after: float) -> None:
    for text in (wording.change_text(before, after, "why"), wording.part_of(before, after)):
        assert len(re.findall(r"\b(?:µs|ms|s)\b", text.partition("per step")[0])) == 1, text


def metric(name: str, unit: str, scale: str, a: float, b: float, change: float, half: float) -> Metric:
    return Metric(
        name=name, title=name, unit=unit, scale=scale, a=a, b=b, change=change,  # type: ignore[arg-type]
        low=change - half, high=change + half, pairs=5, floor=0.03,
    )  # fmt: skip


UNITS = st.sampled_from([("step_ms", "ms"), ("peak_bytes", "B"), ("first_batch_s", "s"), ("idle_share", "")])
CHANGES = st.floats(min_value=-1e10, max_value=1e10) | st.sampled_from([0.0, -0.4, 0.3, -4.9e-4, 4e-5])


@given(kind=UNITS, change=CHANGES, half=st.floats(min_value=0, max_value=1e10))
def test_a_difference_has_one_unit_and_a_sign(kind: tuple[str, str], change: float, half: float) -> None:
    facts = facts_of(metric(*kind, "difference", 1.0, 1.0, change, half))
    ends = facts["98 % interval"].split(" to ")
    assert len({unit for end in ends if (unit := end.partition(" ")[2])}) <= 1
    for text in (facts["change"], *ends):
        assert not NEGATIVE_ZERO.search(text), (change, half, text)
        number = NUMBER.search(text)
        assert number is not None
        nothing = not float(number[0].replace(",", "").lstrip("+-−"))
        assert not (nothing and "+" in text), text


@given(kind=UNITS, a=st.just(0.0) | st.floats(1e-6, 1e10), b=st.just(0.0) | st.floats(1e-6, 1e10))
def test_the_values_of_both_sides_have_one_unit(kind: tuple[str, str], a: float, b: float) -> None:
    row = metric(*kind, "ratio", a, b, b / a if a and b else 1.5, 0.0)
    facts = facts_of(row)
    assert len({text.rpartition(" ")[2] for text in (facts["A"], facts["B"])}) == 1
    clause = clause_of(row)
    assert clause.count("→") == 1
    assert not NEGATIVE_ZERO.search(clause)


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_what_is_no_number_is_not_known(value: float) -> None:
    for write in (wording.significant, wording.percent, wording.size, units.seconds, units.rate):
        assert write(value) == "n/a"


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (wording.significant, 9.996, "10.0"),
        (wording.significant, 999.6, "1,000"),
        (wording.significant, -12.345, "-12.3"),
        (wording.percent, 0.0994, "9.9 %"),
        (wording.percent, 0.0996, "10 %"),
        (wording.percent, 1.0, "100 %"),
        (wording.percent, 12.5, "1250 %"),
        (wording.percent, 1e308, "n/a"),
        (wording.milliseconds, 0.0, "0 ms"),
    ],
)
def test_rounding(function: Callable[[float], str], value: float, expected: str) -> None:
    assert function(value) == expected
