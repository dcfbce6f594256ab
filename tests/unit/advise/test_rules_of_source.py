"""Rules about the text of a file: each reports its own kind of slip, with the line to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from unit.advise.views import pipeline, stage

from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rules.python.random_at_tracing import RandomAtTracing
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.view.view import PipelineView

SLIPS: dict[str, Slip] = {
    "discarded-transformation": Slip("discarded", "ds.prefetch(2)", "prefetch", "ds", Path("input.py"), 7, 5),
    "random-at-tracing": Slip("drawn-once", "np.random.rand()", "map", None, Path("input.py"), 3, 12),
    "first-again": Slip("first-again", "next(iter(ds))", "iter", "ds", Path("input.py"), 9, 9),
}
WRITTEN = {
    "discarded-transformation": "ds = ds.prefetch(2)",
    "random-at-tracing": "tf.random.uniform([])",
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


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        ("np.random.normal()", "Write `tf.random.normal([], mean, stddev)` in the place of"),
        ("random.randint(1, 6)", "Write `tf.random.uniform([], low, high + 1, tf.int64)` in the place of"),
        ("np.random.randint(1, 6)", "Write `tf.random.uniform([], low, high, tf.int64)` in the place of"),
        ("random.randrange(1, 6)", "Write `tf.random.uniform([], low, high, tf.int64)` in the place of"),
        ("np.random.poisson(3.0)", "Draw from the same distribution with an op of `tf.random` in the place of"),
    ],
)
def test_the_distribution_stays(call: str, advice: str) -> None:
    slip = Slip("drawn-once", call, "map", None, Path("a.py"), 1, 1)
    assert RandomAtTracing().words(slip)[1].startswith(advice)


@pytest.mark.parametrize(
    ("stage", "effect"),
    [("prefetch", "same"), ("with_options", "same"), ("shuffle", "order"), ("map", "values"), ("cache", "values")],
)
def test_the_effect_of_a_discarded_stage_is_that_of_the_stage(stage: str, effect: str) -> None:
    slip = Slip("discarded", f"ds.{stage}(2)", stage, "ds", Path("input.py"), 7, 5)
    found, _ = advise(PipelineView("static", (), slips=(slip,)))
    assert [finding.semantics for finding in found] == [effect]


def test_a_slip_in_a_generator_is_reported_at_its_own_line() -> None:
    source = replace(stage("source", "from_generator", name="rows"), location=Location(file="input.py", line=20))
    view = replace(pipeline(source), slips=(replace(SLIPS["first-again"], function="rows"),))
    (finding,) = (one for one in advise(view)[0] if one.rule == "first-again")
    assert finding.stage == "source"
    assert finding.location is not None
    assert (finding.location.line, finding.location.column) == (9, 9)
