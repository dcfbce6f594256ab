"""Rules about the text of a file: each reports its own kind of slip, with the line to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.view.view import PipelineView

SLIPS: dict[str, Slip] = {
    "discarded-transformation": Slip("discarded", "ds.prefetch(2)", "prefetch", "ds", Path("input.py"), 7, 5),
    "random-at-tracing": Slip("drawn-once", "np.random.rand()", "map", None, Path("input.py"), 3, 12),
    "first-again": Slip("first-again", "next(iter(ds))", "iter", "ds", Path("input.py"), 9, 9),
}
WRITTEN = {
    "discarded-transformation": "ds = ds.prefetch(2)",
    "random-at-tracing": "tf.random.uniform([], low, high)",
    "first-again": "iterator = iter(ds)",
}


def with_slip(rule: str) -> PipelineView:
    return PipelineView("static", (), slips=(SLIPS[rule],))


@pytest.mark.parametrize("rule", SLIPS)
def test_one_kind_is_one_rules(rule: str) -> None:
    (finding,), _ = advise(with_slip(rule))
    assert finding.rule == rule
    assert finding.location is not None
    assert finding.location.line == SLIPS[rule].line
    assert SLIPS[rule].text in (finding.sentence or "")
    assert WRITTEN[rule] in (finding.recommendation or "")


@pytest.mark.parametrize("rule", SLIPS)
def test_another_kind_is_not(rule: str) -> None:
    kinds: tuple[SlipKind, ...] = ("discarded", "drawn-once", "first-again")
    others = [replace(SLIPS[rule], kind=kind) for kind in kinds if kind != SLIPS[rule].kind]
    found, _ = advise(PipelineView("static", (), slips=tuple(others)))
    assert rule not in {finding.rule for finding in found}
