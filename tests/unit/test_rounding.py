"""Rounding in texts, at its edges."""

from collections.abc import Callable

import pytest

from pipeprof.profiles import wording


@pytest.mark.parametrize(
    ("function", "value", "expected"),
    [
        (wording.significant, 9.996, "10.0"),
        (wording.significant, 999.6, "1,000"),
        (wording.significant, -12.345, "-12.3"),
        (wording.significant, float("inf"), "n/a"),
        (wording.percent, 0.0994, "9.9 %"),
        (wording.percent, 0.0996, "10 %"),
        (wording.percent, 1.0, "100 %"),
        (wording.milliseconds, 0.0, "0 ms"),
    ],
)
def test_rounding(function: Callable[[float], str], value: float, expected: str) -> None:
    assert function(value) == expected
