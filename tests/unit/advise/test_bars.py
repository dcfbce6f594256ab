"""Two bars for a rule: what it is sure of, and what is worth a try."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from unit.advise.function_views import function, python_map
from unit.advise.views import measured, pipeline, stage

from pipeprof.cli.commands.rules import as_dict
from pipeprof.cli.pages.rules import bars_words
from pipeprof.pipelines.spec.models import Ignore
from pipeprof.profiles.advise.advise import advise, worth_a_try
from pipeprof.profiles.advise.predicates import OWNS_STEP
from pipeprof.profiles.advise.rule import Threshold, bar_to_try, rules, trying
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.view.view import PipelineView


def names(findings: list[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def tried(view: PipelineView, *ignore: Ignore) -> list[Finding]:
    found, _ = advise(view, ignore=ignore)
    return worth_a_try(view, found, ignore=ignore)


def waiting_map(share: float, **facts: float) -> PipelineView:
    """A serial map that waits for a share of each step of 20 ms."""
    return measured(
        pipeline(
            stage("source", "range"),
            stage("stages.0", "map", function=function("PyFunc"), ms=20.0 * share, blocked_ms=20.0 * share),
            stage("stages.1", "batch", arguments={"batch_size": 8}),
        ),
        **({"worker_cores": 0.1} | facts),  # type: ignore[arg-type]
    )


def test_a_threshold_has_its_second_value_within_the_bar_to_try() -> None:
    two, one = Threshold("a", 0.5, "", "", to_try=0.2), Threshold("b", 0.5, "", "")
    with bar_to_try():
        assert (two.value, one.value, trying()) == (0.2, 0.5, True)
    assert (two.value, one.value, trying()) == (0.5, 0.5, False)
    assert OWNS_STEP.value == OWNS_STEP.to_report


def test_what_a_rule_is_not_sure_of_is_proposed_and_not_reported() -> None:
    view = waiting_map(0.35)
    found, _ = advise(view)
    assert names(found) == []
    (proposal, *_) = tried(view)
    assert (proposal.rule, proposal.stage) == ("serial-map-latency", "stages.0")
    assert proposal.predicted is not None
    assert proposal.predicted.speedup is not None
    assert proposal.predicted.speedup > 1.05


def test_what_a_rule_is_sure_of_is_not_proposed_again() -> None:
    view = waiting_map(0.8)
    assert names(advise(view)[0]) == ["serial-map-latency"]
    assert "serial-map-latency" not in names(tried(view))


def test_a_python_map_with_two_thirds_of_the_traced_time_is_proposed_on_a_machine_that_others_use() -> None:
    view = python_map()
    assert view.facts is not None
    view = replace(
        view, facts=replace(view.facts, python_share=0.66, runnable_wait_share=0.45, worker_cores=1.0, others_cores=1.0)
    )
    assert "py-function-gil" not in names(advise(view)[0])
    assert "py-function-gil" in names(tried(view))


@pytest.mark.parametrize(("wait", "headspace"), [(0.01, 0.5), (0.5, 0.01)])
def test_nothing_is_proposed_where_nothing_could_be_kept(wait: float, headspace: float) -> None:
    assert tried(waiting_map(0.35, wait_share=wait, headspace=headspace)) == []


def test_a_try_decides_where_the_headspace_is_unknown() -> None:
    view = waiting_map(0.8, headspace=None)  # type: ignore[arg-type]
    assert names(advise(view)[0]) == []
    assert "serial-map-latency" in names(tried(view))


def test_what_the_spec_ignores_is_not_proposed() -> None:
    assert tried(waiting_map(0.35), Ignore(rule="serial-map-latency", reason="one connection")) == []


def test_a_static_view_proposes_nothing() -> None:
    view = pipeline(stage("source", "range"), stage("stages.0", "map", function=function("Cast")))
    assert worth_a_try(view, []) == []


def test_proposals_are_neither_saved_nor_findings() -> None:
    view = waiting_map(0.35)
    profile = view.profile
    assert profile is not None
    profile.propose(tried(view))
    assert profile.proposals
    saved = json.loads(profile.model_dump_json())
    assert saved["findings"] is None
    assert "serial-map-latency" not in json.dumps(saved)
    assert type(profile).model_validate(saved).proposals == []


def test_both_bars_are_published() -> None:
    assert bars_words(OWNS_STEP) == "50 % of the interval (to try: 20 %)"
    published = as_dict(rules()["serial-map-latency"])["thresholds"]
    assert {"name": "owns-step", "value": 0.5, "to_try": 0.2}.items() <= published[0].items()
    gated = [rule.name for rule in rules().values() if rule.family == "speed" and not rule.pays_in_step]
    lower = [name for name in gated if any(threshold.to_try is not None for threshold in rules()[name].thresholds)]
    assert lower == gated
