"""Which edit is tried next: what was measured changes the order of those that wait."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import HandWritten, PipelineEdit, SetArgument
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Finding, Predicted
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.propose.finding import finding_of
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.propose.queue import Tried
from pipeprof.profiles.verify import verify as module


class Pace:
    """Trials that take as long as a restart or none takes."""

    def seconds_of(self, _pairs: int, *, first: bool) -> float:
        return 40.0 if first else 10.0


class Trials:
    def fits(self, *_: object) -> bool:
        return True


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    found = recorded("step-none").model_copy(deep=True)
    found.target.sha256 = None
    return found


@pytest.fixture
def run(profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A verification whose trials give scripted gains, by rule, and note who came."""
    path = tmp_path / "input.py"
    path.write_text("def make(): ...\n")
    settings = RunSettings(parse_target(f"{path}:make"), None, ["pipeprof"])
    made: Any = module._Verification(profile, settings, 60.0, Silent(), None, None, lambda: None, Signals())
    made._pace, made.gains, made.came = Pace(), {}, []

    def tried(_trials: object, finding: Finding, _reserved: object) -> None:
        made.came.append(finding.rule)
        if finding.rule in made.gains:
            finding.measured = {"speedup": made.gains[finding.rule]}
            made._measured.append(Tried(module.proposal_of(finding), made.gains[finding.rule]))

    monkeypatch.setattr(made, "_try", tried)
    monkeypatch.setattr(made, "_reserved", lambda: 0.0)
    return made


def edit(stage: str, value: int) -> SetArgument:
    return SetArgument(stage, "map", "num_parallel_calls", value)


def proposed(rule: str, speedup: float, *edits: PipelineEdit, stage: str = "stages.0") -> Finding:
    found = finding_of(
        Proposal(rule, rule, edits or (edit(stage, 8),), rule=rule, stage=stage, predicted=Prediction("", speedup))
    )
    assert found.predicted == Predicted(speedup=speedup, formula="")
    return found


@pytest.mark.parametrize(("gain", "came"), [(1.9, "abc"), (1.0, "acb")])
def test_a_stage_that_was_read_wrongly_waits_for_the_others(run: Any, profile: Profile, gain: float, came: str) -> None:
    run.gains = {"a": gain}
    findings = [proposed("a", 2.0), proposed("b", 1.8), proposed("c", 1.5, stage="stages.1")]
    profile.findings = findings
    run._try_all(Trials(), findings)
    assert "".join(run.came) == came


def test_what_cannot_be_tried_keeps_its_place(run: Any, profile: Profile) -> None:
    by_hand = proposed("hand", 1.2, HandWritten(("stages.0",), "", ""))
    findings = [by_hand, proposed("a", 2.0)]
    profile.findings = findings
    run._try_all(Trials(), findings)
    assert run.came == ["hand", "a"]


def test_a_try_against_another_pipeline_starts_it_first(run: Any, profile: Profile) -> None:
    # Edits of a graph are compared with what is there; another baseline has to be started.
    findings = [proposed("a", 2.0)]
    profile.findings = findings
    assert run._seconds(findings[0]) == 10.0
    run._baseline = "untouched"
    assert run._seconds(findings[0]) == 40.0
