"""Which edit is tried next: what was measured changes the order of those that wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import HandWritten, InsertStage, PipelineEdit, RewriteMap, SetArgument
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.findings import Finding, Kept, Predicted, Unfinished, Verdict
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.subject import DataSize
from pipeprof.profiles.experiment.decision import Comparison
from pipeprof.profiles.experiment.statistics import Interval
from pipeprof.profiles.harness.event_loop import Signals
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.propose.finding import MEASURED, finding_of
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.propose.queue import Tried
from pipeprof.profiles.protocol.turns import TurnRequest
from pipeprof.profiles.verify import verify as module
from pipeprof.profiles.verify.plan import which_change
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


def cached(rule: str, speedup: float) -> Finding:
    found = proposed(rule, speedup, InsertStage("cache", {}, "stages.0"), stage="stages.2")
    found.cache = Kept(sample_bytes=1)
    return found


def test_a_change_without_a_cache_is_measured_before_a_cache(run: Any, profile: Profile) -> None:
    run.gains = {"cache": 96.0, "a": 1.5, "b": 1.2}
    findings = [cached("cache", 96.0), proposed("a", 1.6), proposed("b", 1.2, stage="stages.1")]
    profile.findings = findings
    run._try_all(Trials(), findings)
    assert run.came == ["a", "cache", "b"]


@pytest.mark.parametrize("predicted", [0.99, 1.02, 1.5])
def test_a_change_without_a_cache_comes_first_whatever_is_predicted(
    run: Any, profile: Profile, predicted: float
) -> None:
    findings = [cached("cache", 66.0), proposed("a", predicted)]
    profile.findings = findings
    run._try_all(Trials(11.0), findings)
    assert run.came[0] == "a"


@pytest.mark.parametrize(
    ("kept", "named"), [("cache", ["a"]), ("b", []), (None, [])], ids=["a cache alone", "another", "nothing"]
)
def test_what_has_no_time_beside_a_cache_alone_is_named(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch, kept: str | None, named: list[str]
) -> None:
    late = proposed("a", 0.99)
    run._without_time = [(cached("other", 3.0), "no time: --budget 60"), (late, "no time: --budget 60")]
    if kept is not None:
        found = cached("cache", 66.0) if kept == "cache" else proposed("b", 1.5)
        found.status = "kept"
        profile.findings = [found]
        run._measured.append(Tried(module.proposal_of(found), 1.5))
    said: list[tuple[str, bool]] = []
    monkeypatch.setattr(run, "leave_out", lambda one, _reason, *, expected: said.append((one.rule, expected)))
    run._drop_needless([])
    assert [rule for rule, expected in said if expected] == named


def test_the_first_change_without_a_cache_needs_time_for_the_fewest_pairs_alone(run: Any) -> None:
    asked: list[bool] = []

    class Late(Trials):
        def too_long(self, _budget: float, _further: float, *, early: bool) -> str:
            asked.append(early)
            return "the budget was used up"

    for measured in (None, cached("cache", 66.0), proposed("b", 1.2)):
        if measured is not None:
            run._measured.append(Tried(module.proposal_of(measured), 1.0))
        module._Verification._try(run, Late(), proposed("a", 1.1))  # type: ignore[arg-type]
    assert asked == [True, True, False]


def test_why_stored_batches_say_nothing_is_told(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(Trials):
        def look(self, *_: object) -> str:
            return "not tried: the script finished before enough steps were measured"

    monkeypatch.setattr(run, "_begin", lambda _: None)
    monkeypatch.setattr(run, "_note_mode", lambda _: None)
    run._find_headspace(Short(), ())
    assert run._profile.headspace is None
    assert run._undecided == ["the script with stored batches: the script finished before enough steps were measured"]
    speedup = Interval(0.3, 0.2, 5, 6)
    seen = SimpleNamespace(speedup=lambda: speedup, comparison=lambda: Comparison(speedup))
    monkeypatch.setattr(Short, "look", lambda *_: seen)
    run._find_headspace(Short(), ())
    assert run._profile.headspace is None
    assert run._undecided[1].startswith("the script with stored batches: undecided: 1.35× (0.")


def test_stored_batches_leave_time_for_every_good_change(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[float] = []

    class Reserving(Trials):
        def look(self, _jobs: object, pairs: int, tells: object, reserved: float) -> str:
            assert (pairs, tells) == (6, module.tells_headspace)
            left.append(reserved)
            return "not tried"

    monkeypatch.setattr(run, "_begin", lambda _: None)
    monkeypatch.setattr(run, "_note_mode", lambda _: None)
    small = proposed("c", 1.05)
    profile.findings = [reported := proposed("a", 1.05)]
    for candidates in ([], [small], [reported, small, proposed("b", 1.5), proposed("d", 1.5)]):
        run._find_headspace(Reserving(), candidates)
    # At least for an upper bound, or for the best change.
    assert left == [10.0, 10.0, 30.0]


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
    # Nothing else stands for all of the data where the other change is a cache.
    profile.findings = []
    run._try_all(Trials(), [proposed("b", predicted), cached("cache", 66.0)])
    assert "b" in [one.rule for one in profile.findings]


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
        ("the budget of 60 s was used up: --budget 70", ["c", "d"]),
        (
            "a cache of the whole data set takes about 1,020 TiB, the memory limit is 1.00 GiB",
            ["cache, 1 B of this sample in memory"],
        ),
    ]
    assert profile.verification.needs_seconds == 70


@pytest.mark.parametrize(
    ("predicted", "came"),
    [(1.8, ["rule", "without stages.0", MEASURED, "saves"]), (5.0, [MEASURED, "rule", "without stages.0", "saves"])],
)
def test_the_bottleneck_is_bounded_before_anything_is_guessed_that_promises_little(
    run: Any, profile: Profile, monkeypatch: pytest.MonkeyPatch, predicted: float, came: list[str]
) -> None:
    def bound(_trials: object, finding: Finding, stages: Sequence[str], _before: str = "") -> None:
        run._bounded.setdefault(tuple(stages), None)
        run.came.append(f"without {','.join(stages)}")
        finding.status, finding.measured = "ceiling", {"speedup": 4.0, "replayed": list(stages)}

    class Never:
        def __init__(self, *_: object, **__: object) -> None: ...

        def closing(self) -> Any:
            return nullcontext(self)

    monkeypatch.setattr(run, "_bound", bound)
    monkeypatch.setattr(module, "Team", Never)
    monkeypatch.setattr(module, "Trials", lambda *_, **__: Trials())
    monkeypatch.setattr(module.ceiling, "further_bounds", lambda *_: [("stages.0",)])
    monkeypatch.setattr(module, "pays", lambda *_: True)
    rule, guess = proposed("rule", 3.0), proposed(MEASURED, predicted, edit("stages.1", 4), stage="stages.1")
    # Of memory there is enough.
    saves = proposed("saves", 4.0, edit("stages.1", 2), stage="stages.1").model_copy(update={"family": "memory"})
    profile.findings, profile.memory.peak_bytes, run._limit = [saves, rule], 1 << 20, 1 << 30
    run.gains = {"rule": 1.0}
    run.run([saves, rule], [guess], [])
    assert run.came == came
    assert [finding.status for finding in profile.findings] == ["unverified", "unverified", "ceiling"]


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


def test_python_that_is_no_graph_is_nothing_that_could_be_tried(run: Any, profile: Profile) -> None:
    as_graph = proposed("graph", 1.2, RewriteMap("stages.0", "graph"))
    run.leave_out(as_graph, "not tried: the edit does not apply (load() does not work as a graph: …)")
    run.leave_out(proposed("crop", 1.2, RewriteMap("stages.0", "crop")), "the pipeline writes files")
    run.leave_out(as_graph, "the budget of 60 s was used up: --budget 70")
    run.finish()
    assert profile.verification is not None
    assert [one.changes for one in profile.verification.not_tried] == [["crop"], ["graph"]]


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
    assert run._not_tried[reason] == ["a; b"]
