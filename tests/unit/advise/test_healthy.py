"""Pipelines that deserve no advice on speed, and advice that looks right and is not: all rules, the gate included."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.advise.function_views import generator, late_filter, python_map, records, small_map
from unit.advise.healthy_views import ALL, HEALTHY, HUNGRY, TEXT, TRAPS
from unit.advise.recorded import recorded_view
from unit.advise.views import function, measured, pipeline, stage, unnamed

from pipeprof.profiles.advise.advise import advise, worth_a_try
from pipeprof.profiles.advise.rule import rules
from pipeprof.profiles.document.stages import Headspace
from pipeprof.profiles.view.view import PipelineView


def speed(view: PipelineView) -> list[str]:
    """Rules of the family `speed` that have something to say; none of the others may have failed."""
    findings, messages = advise(view)
    assert not [message for message in messages if message.code == "rule-failed"]
    return [finding.rule for finding in findings if finding.family == "speed"]


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_on_speed(name: str) -> None:
    build, run = HEALTHY[name]
    view = measured(build(), **run)
    assert speed(view) == []
    assert speed(unnamed(view)) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_tried_where_nothing_could_be_won(name: str) -> None:
    build, run = HEALTHY[name]
    assert [finding.rule for finding in worth_a_try(measured(build(), **run), [])] == []


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_on_speed_even_if_the_device_waits(name: str) -> None:
    """Whatever it waits for: the rules themselves find nothing."""
    build, run = HEALTHY[name]
    assert speed(measured(build(), **{**run, **HUNGRY})) == []


@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_on_speed_without_a_run(name: str) -> None:
    built = HEALTHY[name][0]()
    given = tuple(replace(one, measured=None, executed_op=None) for one in built.given)
    assert speed(replace(built, kind="static", stages=given)) == []


@pytest.mark.parametrize("name", TRAPS)
def test_traps(name: str) -> None:
    build, silent = TRAPS[name]
    said = speed(build())
    assert said == [] if silent == ALL else not silent.intersection(said)


RECORDED = [
    "cache_before_random",
    "cache_encoded",
    "cast_after_batch",
    "filter_first",
    "generator_chunks",
    "index_shuffle",
    "parse_after_batch",
    "small_slices",
    "uniform_padding",
]
"""Pipelines that ran as fast as they could, with nothing to find in them."""


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_pipelines(name: str) -> None:
    assert speed(recorded_view(name)) == []


def test_calls_for_waiting_work_come_with_threads() -> None:
    view = pipeline(
        stage("source", "list_files", element=(TEXT,)),
        stage("stages.0", "map", function=function("PyFunc"), ms=80.0),
        stage("stages.1", "batch", arguments={"batch_size": 16}),
        static=False,
        cores=2.0,
    )
    run = measured(view, interval_ms=81.0, worker_cores=0.05, blocked_share=1.0, python_share=0.9, **HUNGRY)
    findings = {finding.rule: finding for finding in advise(run)[0]}
    assert "private_threadpool_size" in str(findings["serial-map-latency"].edit)
    assert "py-function-gil" not in findings


@pytest.mark.parametrize(
    "view",
    [
        python_map(headspace=0.04),
        generator(),
        measured(small_map(), interval_ms=4.0),
        measured(records(), interval_ms=6.0),
        late_filter(),
    ],
)
@pytest.mark.parametrize("what", ["wait", "headspace"])
def test_a_step_bound_pipeline_is_left_alone(view: PipelineView, what: str) -> None:
    steps = replace(view.profile.steps, wait_share=0.04 if what == "wait" else 0.6)
    share = 0.5 if what == "wait" else 0.04
    headspace = Headspace.of(view.headspace.interval_ms, view.headspace.interval_ms * (1 - share), 4)
    profile = view.profile.model_copy(update={"steps": steps})
    assert speed(replace(view, profile=profile, headspace=headspace)) == []


def test_every_rule_was_asked() -> None:
    assert {rule.family for rule in rules().values()} == {"memory", "speed", "correctness"}
    assert len([rule for rule in rules().values() if rule.family == "speed"]) >= 11
