"""Rules about the text of a file: each reports its own kind of slip, with the line to write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from unit.advise.views import function, measured, pipeline, stage

from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.advise.rules.python.random_at_tracing import RandomAtTracing
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.view.view import PipelineView, StageView

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
        ("np.random.normal()", "Write `tf.random.normal([], mean, stddev)` in place of"),
        ("random.randint(1, 6)", "Write `tf.random.uniform([], low, high + 1, tf.int64)` in place of"),
        ("np.random.randint(1, 6)", "Write `tf.random.uniform([], low, high, tf.int64)` in place of"),
        ("random.randrange(1, 6)", "Write `tf.random.uniform([], low, high, tf.int64)` in place of"),
        ("np.random.poisson(3.0)", "Draw from the same distribution with an op of `tf.random` in place of"),
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


def test_what_a_cache_would_save_is_the_costliest_stage_before_it() -> None:
    stages = (
        stage("source", "list_files", location=Location(file="input.py", line=20), ms=0.1),
        stage("stages.0", "map", location=Location(file="input.py", line=21), ms=9.0, function=function("Mul")),
        stage("stages.1", "map", location=Location(file="input.py", line=9), ms=20.0, function=function("Mul")),
        stage("stages.2", "batch", location=Location(file="input.py", line=10), ms=30.0),
    )
    slip = Slip("discarded", "ds.cache()", "cache", "ds", Path("input.py"), 7, 5, "train", (6, 12))

    def found(slip: Slip, *changed: StageView) -> Finding:
        view = replace(measured(pipeline(*(changed or stages))), slips=(slip,))
        return next(one for one in advise(view)[0] if one.rule == "discarded-transformation")

    assert (found(slip).stage, found(slip).semantics) == ("stages.0", "same")
    assert found(slip).predicted is not None
    random = replace(stages[1], function=function("RandomUniform"))
    assert found(slip, stages[0], random, *stages[2:]).semantics == "values"
    shuffled = stage("stages.3", "shuffle", location=Location(file="input.py", line=22), ms=0.1)
    assert found(slip, stages[0], shuffled, *stages[1:]).semantics == "order"
    for other in (replace(slip, around=(6, 8)), replace(slip, stage="prefetch"), replace(slip, line=11)):
        assert (found(other).stage, found(other).predicted) == (None, None)


def test_two_datasets_of_one_loop_are_one_finding_with_its_lines() -> None:
    one = replace(SLIPS["first-again"], function="rows", around=(8, 10), text="next(iter(cats))", variable="cats")
    two = replace(one, text="next(iter(self.dogs))", variable="self.dogs", column=30)
    view = replace(pipeline(stage("source", "from_generator", name="rows")), slips=(one, two))
    (finding,) = (one for one in advise(view)[0] if one.rule == "first-again")
    assert finding.stage == "source"
    assert finding.predicted is not None
    assert finding.python == (
        "cats_iterator = iter(cats.repeat())  # before the loop, line 8\n"
        "dogs_iterator = iter(self.dogs.repeat())  # before the loop, line 8\n"
        "# line 9: next(cats_iterator), next(dogs_iterator)"
    )
    assert "`next(iter(cats))` and `next(iter(self.dogs))` start their pipelines" in (finding.sentence or "")
    apart = replace(view, slips=(one, replace(two, function="others")))
    assert len([one for one in advise(apart)[0] if one.rule == "first-again"]) == 2
