"""The one rule for when a gain of speed is called measured: the documents state what the code decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.profiles.experiment.purposes import LARGE_GAIN, MEASURED_AFTER, QUICK

DOCS = Path(__file__).parents[3] / "docs"


def test_the_rule_in_words_has_the_numbers_of_the_code() -> None:
    assert MEASURED_AFTER == "after 12 pairs, or after 6 whose interval lies above 2×"
    assert (QUICK.pairs, QUICK.looks[0], QUICK.early, LARGE_GAIN) == (12, 12, 6, 2.0)


@pytest.mark.parametrize("name", ["verification.md", "fix.md"])
def test_documents_state_the_rule(name: str) -> None:
    assert MEASURED_AFTER in " ".join((DOCS / name).read_text(encoding="utf-8").split())
