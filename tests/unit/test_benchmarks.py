"""What benchmarks conclude from their measurements: decided early, late, or not on a noisy machine."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from random import Random
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def loaded(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmark_{Path(path).stem}", BENCHMARKS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sequential, runner = loaded("overhead/sequential.py"), loaded("run.py")
PAIRS = 200


def pairs(ratio: float, noise: float) -> list[list[float]]:
    """Blocks of a hundred steps in about a second, of which ours take longer by `ratio`."""
    chance = Random(3)
    return [[100, chance.gauss(1.0, noise), 100, chance.gauss(1.0, noise) / ratio] for _ in range(PAIRS)]


def measured(raw: list[list[float]], limit: float) -> int:
    return next(n for n in range(1, PAIRS + 1) if sequential.is_decided(raw[:n], limit, PAIRS))


def test_a_clear_ratio_is_decided_at_the_first_look() -> None:
    assert sequential.looks(PAIRS) == [40, 80, 120, 160, 200]
    for ratio, outcome in ((0.999, "holds"), (0.97, "does not hold")):
        raw = pairs(ratio, 0.003)
        assert measured(raw, 0.99) == 40
        assert sequential.outcome(raw[:40], 0.99) == outcome


def test_a_ratio_near_the_limit_takes_all_pairs() -> None:
    raw = pairs(0.99, 0.003)
    assert measured(raw, 0.99) == PAIRS
    assert sequential.outcome(raw, 0.99) == "does not hold"


@pytest.mark.parametrize("ratio", [0.99, 0.985])
def test_a_machine_noisier_than_the_margin_cannot_tell(ratio: float) -> None:
    raw = pairs(ratio, 0.1)
    assert measured(raw, 0.99) == PAIRS
    assert sequential.outcome(raw, 0.99) == "cannot tell"


def test_noise_does_not_hide_what_is_slow() -> None:
    assert sequential.outcome(pairs(0.8, 0.1), 0.99) == "does not hold"


@pytest.mark.parametrize(
    ("written", "code", "outcome"),
    [
        ({"holds": True}, 0, "holds"),
        ({"holds": True}, 1, "does not hold"),
        ({"holds": False}, 1, "does not hold"),
        ({"holds": False, "outcome": "cannot tell"}, 3, "cannot tell"),
        ({"holds": False}, 3, "does not hold"),
    ],
)
def test_a_result_has_one_of_three_outcomes(written: dict[str, object], code: int, outcome: str) -> None:
    assert runner.outcome(written, code) == outcome
