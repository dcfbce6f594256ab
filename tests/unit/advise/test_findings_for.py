"""From a run's profile and graphs to findings: what is judged by, what is said when something is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.view.recorded import GRAPHS, recorded_view
from unit.view.views import measured, pipeline, stage, tensor

from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.profiles.advise import advise as module
from pipeprof.profiles.advise.advise import findings_for
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Message, Problem, Profile
from pipeprof.profiles.document.stages import Causes, Stage
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.view import from_graph as view_graph
from pipeprof.profiles.view.from_graph import ParsedGraphs
from pipeprof.profiles.view.view import PipelineView

SPEC = """\
version: 1
source: {range: {stop: 100}}
stages: [{map: {ops: [{tf.cast: {dtype: float32}}]}}, {batch: {batch_size: 10}}]
"""


@pytest.fixture
def views(monkeypatch: pytest.MonkeyPatch) -> list[PipelineView]:
    """The views that the only rule is shown; it finds something about speed at each map."""
    seen: list[PipelineView] = []

    def look(view: PipelineView) -> list[Proposal]:
        seen.append(view)
        maps = [one.id for one in view.stages if one.op == "map"]
        return [Proposal("Seen", sentence="Seen.", recommendation="Do.", stage=one) for one in maps]

    monkeypatch.setattr(module, "FINDINGS", (finding("cache", "speed", "same", waits=True)(look),))
    monkeypatch.setattr(module, "ideas_for", lambda *_, **__: ([], []))
    return seen


@pytest.fixture
def loaded(tmp_path: Path) -> LoadedSpec:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC)
    return load_spec(path)


def recorded(name: str) -> tuple[dict[str, Any], Profile]:
    """A recording, and its profile."""
    profile = recorded_view(name).profile
    profile.causes = Causes(worker_cores=1.5, python_share=0.25)
    return json.loads((GRAPHS / f"{name}.json").read_text()), profile


EMPTY = {"root": None, "reason": "2.3 GB in memory", "nodes": [], "options": {}, "keys": None}


def judged(graphs: dict[str, Any], profile: Profile, **more: Any) -> Any:
    parsed = ParsedGraphs.of(Graphs(written=graphs["written"], executed=graphs["executed"]))
    return findings_for(profile, parsed, **more)


def test_the_graphs_are_judged_with_what_was_measured(views: list[PipelineView], loaded: LoadedSpec) -> None:
    graphs, profile = recorded("map_batch")
    findings, messages = judged(graphs, profile, loaded=loaded)
    assert messages == []
    assert [found.stage for found in findings] == ["stages.0"]
    (view,) = views
    assert (view.kind, view.profile) == ("measured", profile)
    assert (view.cores, view.memory_limit_bytes) == (profile.host.cores, profile.host.memory_limit_bytes)
    assert (view.facts.worker_cores, view.facts.python_share) == (1.5, 0.25)


@pytest.mark.usefixtures("views")
def test_of_a_script_ideas_are_reported_untried(monkeypatch: pytest.MonkeyPatch) -> None:
    graphs, profile = recorded("map_batch")
    profile.target.kind = "script"
    (one,), _ = judged(graphs, profile)
    # The most promising ideas are reported as well: no measurement follows.
    further = [one.model_copy(update={"rule": f"idea-{number}"}) for number in range(5)]  # type: ignore[attr-defined]
    monkeypatch.setattr(module, "worth_a_try", lambda *_, **__: further)
    found, _ = judged(graphs, profile)
    assert [one.rule for one in found or ()] == ["cache", "idea-0", "idea-1", "idea-2"]
    assert [one.rule for one in profile.proposals] == ["idea-3", "idea-4"]
    # With `fix` it follows.
    found, _ = judged(graphs, profile, tries=True)
    assert [one.rule for one in found or ()] == ["cache"]
    assert [one.rule for one in profile.proposals] == [f"idea-{number}" for number in range(5)]


def test_the_spec_s_ignore_holds(views: list[PipelineView], tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(SPEC + "ignore: [{rule: cache, stage: 0, reason: known}]\n")
    graphs, profile = recorded("map_batch")
    other = load_spec(tmp_path / "other.yaml")
    findings, messages = judged(graphs, profile, loaded=other)
    assert (findings, [message.code for message in messages]) == ([], ["ignored"])
    assert views


def test_without_a_model_it_says_what_could_not_be_judged(views: list[PipelineView]) -> None:
    graphs, profile = recorded("autotune_off")
    assert all(one.time_ms_per_batch is None for one in profile.stages or [])
    findings, messages = judged(graphs, profile)
    assert findings
    assert views[0].options["autotune.enabled"] is False
    assert [message.code for message in messages] == ["not-judged"]
    assert "autotune off" in messages[0].message


def test_what_could_not_be_judged_has_no_findings_rather_than_none_found(
    views: list[PipelineView], loaded: LoadedSpec
) -> None:
    _, profile = recorded("map_batch")
    findings, messages = findings_for(profile)
    assert findings is None
    assert [message.message for message in messages] == ["TensorFlow's graph was not read: nothing was judged"]
    profile.errors = [Problem(code="raised", message="so")]
    assert findings_for(profile) == (None, [])
    profile.errors, profile.steps = [Problem(code="out-of-memory", message="so")], None
    assert findings_for(profile, loaded=loaded) == (None, [])
    assert views == []


def test_of_a_function_that_ended_early_the_memory_rules_see_what_its_stages_held() -> None:
    """It died while it filled a cache, of which a fifth was there."""
    rows = {"element": (tensor("string"),), "elements": 5000}
    stages = stage("source", "from_generator", **rows), stage("stages.0", "cache", **rows)
    profile = measured(pipeline(stage("source", "range"))).profile
    profile.complete, profile.errors = False, [Problem(code="out-of-memory", message="…")]
    row = Stage(id="stages.0", op="cache", origin="written", buffered_bytes=400_000_000, buffered_elements=1000)
    profile.stages = [row]
    found, messages = findings_for(profile, sketch_view=pipeline(*stages, memory_limit_bytes=10**9))
    assert [(one.rule, one.stage) for one in found or ()] == [("cache-over-budget", "stages.0")]
    (said,) = [one.message for one in messages if one.code == "not-judged"]
    assert "only memory was judged" in said


@pytest.mark.usefixtures("views")
@pytest.mark.parametrize(
    ("where", "name", "what"), [(view_graph, "view_of_graphs", "graphs"), (module, "findings_in", "findings")]
)
def test_nothing_raises(where: Any, name: str, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_arguments: object, **_keywords: object) -> PipelineView:
        raise IndexError

    graphs, profile = recorded("map_batch")
    monkeypatch.setattr(where, name, broken)
    findings, messages = judged(graphs, profile)
    assert (findings, messages[-1].message) == (None, f"the {what} could not be judged (IndexError)")


def test_a_graph_too_large_to_be_read_is_named_in_one_warning(views: list[PipelineView], loaded: LoadedSpec) -> None:
    graphs, profile = recorded("map_batch")
    _, (message,) = judged({**graphs, "written": EMPTY}, profile, loaded=loaded)
    assert "(2.3 GB in memory)" in message.message
    profile.warnings.append(Message(code="stages-unread", message="The stages could not be read: 2.3 GB in memory."))
    _, (message,) = judged({**graphs, "written": EMPTY}, profile, loaded=loaded)
    assert (profile.warnings, message.code, views) == ([], "stages-unread", [])
    assert message.message == "The stages could not be read: 2.3 GB in memory; nothing was judged"
