"""The measured constants: each has its row, and the rows are complete."""

from pathlib import Path

import pytest

from pipeprof.profiles import constants
from pipeprof.profiles.constants import CONSTANTS, Constant

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_every_number_has_a_row() -> None:
    numbers = {name: value for name, value in vars(constants).items() if isinstance(value, int | float)}
    assert {name: row.value for name, row in CONSTANTS.items()} == numbers


@pytest.mark.parametrize("row", CONSTANTS.values(), ids=CONSTANTS)
def test_a_row_is_complete(row: Constant) -> None:
    assert row.unit
    assert row.meaning
    assert row.source
    assert row.benchmark is None or (BENCHMARKS / row.benchmark).exists()
