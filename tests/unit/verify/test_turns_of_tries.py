"""What is done with each change that is tried, and with those that lack time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.advise.as_finding import finding_of
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.document.findings import Finding, Kept, Predicted, Unfinished, Verdict
from pipeprof.profiles.document.messages import Message
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.subject import DataSize
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.tries.plan import which_change
from pipeprof.profiles.verify import verify as module
from pipeprof.profiles.wording import stage_label, stage_name


class Pace:
    """Trials that take as long as a restart or none takes."""

    block = TurnRequest("block", 0.35, 8, 0.05)

    def least_pairs(self, pairs: int) -> int:
        return pairs

    def seconds_of(self, _pairs: int, *, first: bool) -> float:
        return 40.0 if first else 10.0


class Trials:
    refusal: str | None = None

    def __init__(self, seconds: float = 100.0) -> None:
        self._seconds = seconds

    def left(self) -> float:
        return self._seconds

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
    made: Any = module._Verification(profile, settings, 60.0, Silent(), None, lambda: None, Signals())
    made._pace, made.gains, made.came = Pace(), {}, []

    def tried(_trials: object, finding: Finding, _reserved: object) -> None:
        made.came.append(finding.rule)
        if finding.rule in made.gains:
            finding.measured = {"speedup": made.gains[finding.rule]}

    monkeypatch.setattr(made, "_try", tried)
    return made


def edit(stage: str, value: int) -> SetArgument:
    return SetArgument(stage, "map", "num_parallel_calls", value)


def proposed(rule: str, speedup: float, *edits: PipelineEdit, stage: str = "stages.0") -> Finding:
    found = finding_of(
        Proposal(rule, rule, edits or (edit(stage, 8),), rule=rule, stage=stage, predicted=Prediction("", speedup))
    )
    assert found.predicted == Predicted(speedup=speedup, formula="")
    return found


def cached(rule: str, speedup: float) -> Finding:
    found = proposed(rule, speedup, InsertStage("cache", {}, "stages.0"), stage="stages.2")
    found.cache = Kept(sample_bytes=1)
    return found


@pytest.mark.parametrize(("limit", "came"), [("cpu", ["a"]), ("serial-stage", ["p", "a"])])
def test_no_time_goes_into_a_prefetch_where_the_cores_are_full(
    run: Any, profile: Profile, limit: Any, came: list[str]
) -> None:
    profile.verdict = Verdict(headline="", sentence="", bound="input", limit=limit)
    profile.findings = []
    run._try_all(Trials(), [proposed("p", 1.9, InsertStage("prefetch", {}, "stages.0")), proposed("a", 1.6)])
    assert run.came == came


@pytest.mark.parametrize("predicted", [0.99, 1.5])
def test_what_is_predicted_to_gain_nothing_is_no_finding_without_an_end(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch, predicted: float
) -> None:
    def begun(_trials: object, finding: Finding, _reserved: object) -> None:
        finding.measured = {"speedup": 1.07}
        finding.unfinished = Unfinished(pairs=4, needed=12, budget_seconds=80)

    monkeypatch.setattr(run, "_try", begun)
    profile.findings = []
    run._try_all(Trials(), [proposed("a", predicted)])
    assert len(profile.findings) == (predicted > 1)
    assert len(run._undecided) == (predicted < 1)


def test_a_change_without_a_finding_names_the_stage_that_it_is_made_at(profile: Profile) -> None:
    """Of two batches in a pipeline the reader could not tell which one got the calls."""
    assert profile.stages is not None
    at = next(stage for stage in profile.stages if stage.id == "stages.1")
    calls = proposed("a", 1.5, stage="stages.1")
    calls.change = "num_parallel_calls: not set → AUTOTUNE"
    assert which_change(profile, calls) == f"{stage_label(at)}: num_parallel_calls: not set → AUTOTUNE"
    calls.change = f"insert prefetch(buffer_size=AUTOTUNE) after {stage_name(at)}"
    assert which_change(profile, calls) == calls.change
    calls.change, calls.stage = "threading.private_threadpool_size: not set → 8", None
    assert which_change(profile, calls) == calls.change


def test_what_is_refused_or_has_no_time_is_counted_by_its_reason(run: Any, profile: Profile) -> None:
    class Late(Trials):
        def fits(self, *_: object) -> bool:
            return False

        refusal: str | None = "the pipeline writes files"

    run._try_all(Late(), [proposed("a", 1.6), proposed("b", 1.2)])
    Late.refusal = None
    run._try_all(Late(), [proposed("c", 1.6), proposed("d", 1.2)])
    profile.data_size = DataSize(bytes=1 << 50)
    run._limit = 1 << 30
    run.leave_out(cached("cache", 96.0), run.why_not(cached("cache", 96.0)))
    run.finish()
    assert profile.verification is not None
    assert [(one.reason, one.changes) for one in profile.verification.not_tried] == [
        ("the pipeline writes files", ["a", "b"]),
        ("the budget of 60 s has no time for it: --budget 70", ["c", "d"]),
        (
            "a cache of the whole data set takes about 1,020 TiB, the memory limit is 1.00 GiB",
            ["cache, 1 B of this sample in memory"],
        ),
    ]
    assert profile.verification.needs_seconds == 70


@pytest.mark.parametrize(("time", "came"), [(True, ["rule", "guess", "without stages.0"]), (False, ["rule"])])
def test_upper_bounds_come_last_and_only_where_every_change_had_time(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch, time: bool, came: list[str]
) -> None:
    def bound(_trials: object, finding: Finding, stages: Sequence[str], _before: str = "") -> None:
        run.came.append(f"without {','.join(stages)}")
        finding.status, finding.measured = "ceiling", {"speedup": 4.0, "replayed": list(stages)}

    class Never:
        def __init__(self, *_: object, **__: object) -> None: ...

        def closing(self) -> Any:
            return nullcontext(self)

    class Scripted(Trials):
        def fits(self, *_: object) -> bool:
            return time

    monkeypatch.setattr(run, "_bound", bound)
    monkeypatch.setattr(module, "Team", Never)
    monkeypatch.setattr(module, "Trials", lambda *_, **__: Scripted())
    monkeypatch.setattr(module.ceiling, "further_bounds", lambda *_: [("stages.0",)])
    monkeypatch.setattr(module, "pays", lambda *_: True)
    rule, guess = proposed("rule", 3.0), proposed("guess", 1.8, edit("stages.1", 4), stage="stages.1")
    profile.findings = [rule]
    run.run([rule], [guess], [])
    assert run.came == came


def test_a_budget_that_holds_no_try_says_what_it_takes(run: Any, profile: Profile) -> None:
    assert "trying up to 2 changes" in run.announce(2)
    run._budget = 20.0
    assert run.announce(2).startswith("no change can be tried: one try of this pipeline takes --budget 33")
    run.finish()
    assert profile.verification is not None
    assert profile.verification.needs_seconds == 33
    run._tried = 1
    run.finish()
    assert profile.verification.needs_seconds is None


@pytest.mark.parametrize(
    ("python", "before", "reason"),
    [
        (None, "not tried: a; ", "not tried: a; no upper bound: b"),
        ("ds.map(f)", "not tried: a; ", "not tried: a"),
        ("ds.map(f)", "", "no upper bound: b"),
    ],
)
def test_why_there_is_no_bound_is_left_out_beside_code_alone(
    run: Any, monkeypatch: pytest.MonkeyPatch, python: str | None, before: str, reason: str
) -> None:
    monkeypatch.setattr(module.ceiling, "replay_job", lambda *_: "b")
    finding = Finding(rule="r", title="t", status="unverified", family="speed", semantics="same", python=python)
    run._bound(Trials(), finding, ["stages.0"], before)
    assert finding.reason == reason


def kept(rule: str, *edits: PipelineEdit, speedup: float, within: float) -> Finding:
    found = proposed(rule, 1.5, *edits)
    found.status = "kept"
    found.measured = {"speedup": speedup, "low": speedup / within, "high": speedup * within}
    return found


@pytest.mark.parametrize(("within", "reported"), [(1.094, False), (1.02, True)])
def test_what_is_added_is_reported_where_it_is_better_for_certain(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch, within: float, reported: bool
) -> None:
    def measured(_trials: object, found: Finding, *_: object) -> None:
        found.status = "kept"
        found.measured = {"speedup": 4.82, "low": 4.82 / within, "high": 4.82 * within}

    monkeypatch.setattr(run, "_start", measured)
    profile.findings = [kept("cached", InsertStage("cache", {}, "stages.0"), speedup=4.25, within=within)]
    run._no_help = [proposed("more", 1.5, edit("stages.1", 8))]
    run._try_with_more(Trials())
    assert [one.rule for one in profile.findings] == ["cached", *(["combined"] if reported else [])]
    assert len(run._without_gain) == (0 if reported else 1)


def test_edits_that_exclude_each_other_are_counted_as_not_tried(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise PipeprofError("stages.1 is gone")

    monkeypatch.setattr(run._jobs, "edited", refused)
    profile.findings = [kept("a", edit("stages.0", 8), speedup=2.0, within=1.1)]
    run._no_help = [proposed("b", 1.5, edit("stages.1", 8))]
    run._try_with_more(Trials())
    (reason,) = run._not_tried
    assert reason.startswith("the edit does not apply")
    assert [one.change for one in run._not_tried[reason]] == ["a; b"]


def test_after_an_interruption_what_was_not_tried_is_reported_with_the_reason(run: Any, profile: Profile) -> None:
    """An end by Ctrl-C left the report empty where rules had only proposed changes that are worth a try."""
    found, half_done, further, hopeless = (
        proposed("found", 1.5),
        proposed("half-done", 2.0),
        proposed("further", 1.8, stage="stages.1"),
        proposed("hopeless", 1.0),
    )
    half_done.measured, half_done.reason = {"speedup": 1.9}, "interrupted; so far 1.90×"
    profile.findings = [found]
    run.end(
        [found], [half_done, further, hopeless], Message(code="verification-interrupted", message="so"), "interrupted"
    )
    run.finish()
    run.settle()
    assert {one.title: one.reason for one in profile.findings} == {
        "half-done": "interrupted; so far 1.90×",
        "further": "not tried: interrupted",
        "found": "not tried: interrupted",
    }


def test_a_report_has_no_change_twice_and_one_budget(run: Any, profile: Profile) -> None:
    measured, other, untried, late = (proposed(name, 2.0) for name in ("a", "b", "c", "d"))
    measured.title = other.title = untried.title = "Run load in parallel"
    measured.status, measured.measured = "kept", {"speedup": 2.0}
    other.unfinished, other.reason = Unfinished(pairs=8, needed=12, budget_seconds=80), "too few pairs: --budget 80"
    late.stage = "stages.1"
    late = late.model_copy(update={"edit": [one.model_copy(update={"stage": "stages.1"}) for one in late.documents]})
    profile.findings = [other, measured]
    for one in (untried, late):
        run._without_time.append((one, "the budget of 60 s has no time for it: --budget 70"))
        run.leave_out(*run._without_time[-1])
    run.finish()
    run.settle()
    assert [one.rule for one in profile.findings] == ["a"]
    assert profile.verification is not None
    (group,) = profile.verification.not_tried
    assert (len(group.changes), group.reason) == (1, "the budget of 60 s has no time for it: --budget 70")
    profile.findings = [other]
    run.finish()
    run.settle()
    # Twenty seconds for what is not finished, ten for what was not tried.
    assert other.reason == "too few pairs: --budget 90"
    assert [one.reason for one in profile.verification.not_tried] == [
        "the budget of 60 s has no time for it: --budget 90"
    ]
