"""``pipeprof fix`` around the search, which a recorded profile and a written result stand in for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import SetArgument, to_document
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.profiles.document.findings import Edit, Finding, Fix, FixStep, LeftOut, Unfinished
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.version import Version
from pipeprof.profiles.harness.settings import RunSettings

Pipeprof = Callable[..., Any]
TEXT = "version: 1  # mine\nsource: {range: {stop: 9}}\n"
FASTER = TEXT + "stages: [{prefetch: {buffer_size: 2}}]\n"
EDIT = SetArgument("stages.0", "map", "num_parallel_calls", 2)


def result(status: str = "fixed", **changes: Any) -> Fix:
    step = FixStep(
        round=1,
        title="Run decode in parallel",
        change="num_parallel_calls: 1 → 2",
        result="taken",
        reason="1.80×",
        speedup=1.8,
        low=1.7,
        high=1.9,
        ratios=[1.8] * 4,
        peak_rss_delta_bytes=5_000_000,
    )
    lost = FixStep(round=1, title="AUTOTUNE everywhere", result="rejected", reason="no gain", speedup=0.9)
    given: dict[str, Any] = {
        "measured": {"speedup": 1.79, "low": 1.71, "high": 1.86, "pairs": [1.8] * 12, "data": "equal"},
        "edits": [[Edit.model_validate(to_document(EDIT))]],
        "semantics": "same",
        "steps": [step, lost],
        "changes": ["stages.0: num_parallel_calls: not set → 2"],
        **changes,
    }
    return Fix(
        status=status,  # type: ignore[arg-type]
        reason="1.79× (1.71 to 1.86, 12 rounds) in two processes",
        seconds=51.0,
        budget_seconds=60.0,
        wall_seconds=90.0,
        allow=["same"],
        **given,
    )


@dataclass
class Session:
    """Stands in for the measurement and the search.

    Attributes:
        profile: What the measurement gives.
        result: What the search gives.
        meanwhile: Called while it measures.
        asked: Settings of the search.
        options: Of the search.
        first: Changes that it gets first, as an earlier run has proven them.
    """

    profile: Profile
    result: Fix
    meanwhile: Callable[[], object] = lambda: None
    asked: list[RunSettings] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    first: list[str] = field(default_factory=list)

    def run_sample(self, settings: RunSettings, writer: ProfileWriter, progress: Any, *_: object) -> Profile:
        progress.phase("measure", 4.0)
        self.asked.append(settings)
        self.profile.target.sha256 = hashlib.sha256(settings.target.path.read_bytes()).hexdigest()
        writer.write(self.profile, final=True)
        return self.profile

    def search(
        self, profile: Profile, settings: RunSettings, ideas: Any, budget: float, progress: Any, **options: Any
    ) -> None:
        progress.note("searching")
        self.asked.append(settings)
        self.options = {**options, "budget": budget}
        self.first = [one.title for one in ideas(profile, Version()) if one.measured is not None]
        profile.fix = self.result
        self.meanwhile()
        if self.result.status == "interrupted":
            profile.exit_code = 130
        profile.fix = self.result


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, recorded: Callable[[str], Profile], tmp_path: Path) -> Session:
    (tmp_path / "spec.yaml").write_text(TEXT)
    (tmp_path / "spec.yaml").chmod(0o640)
    (tmp_path / "train.py").write_text("def make():\n    return data()\n")
    found = Session(recorded("input-bound"), result(text=FASTER, diff=unified(TEXT, FASTER, "spec.yaml")))
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", found.run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.fix.find_best", found.search)
    return found


def test_the_report_has_the_factor_every_step_and_the_diff(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    found = pipeprof("fix", "spec.yaml", "-q")
    assert found.code == 0
    assert found.out.startswith("Fixed: 1.79× (1.71–1.86, 12 rounds) steps per second\n")
    lines = [line.split() for line in found.out.splitlines()]
    assert any("AUTOTUNE" in line and "0.900×" in line for line in lines)
    assert "     1  Run decode in parallel  1.80× (1.70–1.90)  +4.77 MiB  taken" in found.out
    assert "+stages: [{prefetch: {buffer_size: 2}}]" in found.out
    assert (tmp_path / "spec.yaml").read_text() == TEXT
    assert session.asked[0].memory_limit is None


def test_write_changes_the_file_and_keeps_its_permissions(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    session.profile.command = ["pipeprof", "fix", "spec.yaml", "--write"]
    found = pipeprof("fix", "spec.yaml", "--write", "--memory-limit", "2GiB", "--allow", "order", "--budget", "30")
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (0, FASTER)
    assert (tmp_path / "spec.yaml").stat().st_mode & 0o777 == 0o640
    assert session.asked[-1].memory_limit == 2 * 2**30
    assert (session.options["allow"], session.options["budget"]) == (["order"], 30.0)
    assert "Next" not in found.out


def test_a_file_that_was_edited_meanwhile_stays(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    edited = TEXT + "# somebody was here\n"
    session.meanwhile = lambda: (tmp_path / "spec.yaml").write_text(edited)
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "new.yaml")
    assert found.code == 1
    assert "spec.yaml is unchanged: it was edited while fix was measuring" in found.err
    assert (tmp_path / "spec.yaml").read_text() == edited
    assert (tmp_path / "new.yaml").read_text() == FASTER


def test_files_by_extension(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    names = ["new.yaml", "new.patch", "run.json", "report.txt"]
    assert pipeprof("fix", "spec.yaml", *(word for name in names for word in ("--out", name))).code == 0
    assert (tmp_path / "new.yaml").read_text() == FASTER
    assert (tmp_path / "new.patch").read_text() == session.result.diff
    assert json.loads((tmp_path / "run.json").read_text())["fix"]["steps"][0]["speedup"] == 1.8
    assert (tmp_path / "report.txt").read_text().startswith("Fixed: ")
    assert pipeprof("show", "run.json").out.startswith("Fixed: ")


def test_a_healthy_pipeline_is_left_alone(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    session.result = result("nothing", steps=[], edits=[], measured=None)
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "new.yaml")
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (0, TEXT)
    assert found.out.startswith("Nothing to change")
    assert not (tmp_path / "new.yaml").exists()
    assert "new.yaml is not written: no change was proven to help" in found.err


def test_an_interruption_writes_out_but_not_the_file(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    session.result = result("interrupted", text=FASTER, measured=None)
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "new.yaml")
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (130, TEXT)
    assert (tmp_path / "new.yaml").read_text() == FASTER
    assert "spec.yaml is unchanged: the changes were not proven" in found.err
    assert found.out.startswith("Interrupted: ")


def test_a_function_whose_diff_cannot_be_made_gets_none_and_hears_why(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    session.result = result()
    session.profile.target.kind = "function"
    found = pipeprof("fix", "train.py:make", "--out", "fast.patch")
    assert found.code == 0
    assert not (tmp_path / "fast.patch").exists()
    assert "pipeprof: note: no diff: " in found.err


@pytest.mark.parametrize(("written", "commands"), [("fast.patch", ["git apply fast.patch"]), (None, None)])
def test_the_diff_of_a_function_is_applied_next(
    pipeprof: Pipeprof, session: Session, monkeypatch: pytest.MonkeyPatch, written: str | None, commands: list[str]
) -> None:
    session.result = result()
    session.profile.target.kind = "function"
    changed = ChangedSource({"train.py": "def make(): …"}, {"train.py": "def make(): …, 2"}, {})
    monkeypatch.setattr("pipeprof.cli.commands.fix.changed_source", lambda *_: changed)
    session.profile.command = ["pipeprof", "fix", "train.py:make", *(["--out", written] if written else [])]
    found = pipeprof("fix", "train.py:make", "--out", "run.json", *(["--out", written] if written else []))
    shown = [line.split(maxsplit=1)[1] for line in found.out.splitlines() if line.startswith(("Next", "then"))]
    commands = commands or ["pipeprof show run.json --out fast.patch", "git apply fast.patch"]
    assert [line.partition("     ")[0] for line in shown] == commands


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.py:make", "--write"], "--write changes a spec, but train.py:make is a Python function"),
        (["train.py:make", "--out", "a.yaml"], "YAML is the output of a spec"),
        (["spec.yaml", "--allow", "ordre"], "--allow: got 'ordre', expected same, order, randomness or values"),
        (["spec.yaml", "--budget", "0"], "--budget: got '0'"),
        (["-"], "fix needs a file"),
        (["spec.yaml", "--out", "a.sarif"], "unknown output format .sarif"),
    ],
)
def test_what_can_not_work_is_refused_before_anything_runs(
    pipeprof: Pipeprof, session: Session, words: list[str], said: str
) -> None:
    found = pipeprof("fix", *words)
    assert (found.code, session.asked) == (2, [])
    assert said in found.err


def test_a_pipeline_that_fails_is_not_searched(pipeprof: Pipeprof, session: Session) -> None:
    session.profile.exit_code = 5
    assert pipeprof("fix", "spec.yaml").code == 5
    assert len(session.asked) == 1


def test_what_was_measured_is_reported_and_saved_whatever_ends_the_search(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    def breaks() -> None:
        msg = "a fault of the search"
        raise ValueError(msg)

    session.meanwhile = breaks
    found = pipeprof("fix", "spec.yaml", "--out", "run.json", "--out", "new.yaml")
    assert found.code == 1
    assert "a fault of the search" in found.err
    assert found.out.startswith("Fixed: ")
    assert json.loads((tmp_path / "run.json").read_text())["fix"]["steps"]
    assert (tmp_path / "new.yaml").read_text() == FASTER


def test_each_step_of_the_search_is_saved(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    saved: list[int] = []

    def step() -> None:
        session.options["save"]()
        saved.append(len(json.loads((tmp_path / "run.json").read_text())["fix"]["steps"]))

    session.meanwhile = step
    assert pipeprof("fix", "spec.yaml", "--out", "run.json").code == 0
    assert saved == [2]


def test_the_spec_is_changed_also_where_the_report_cannot_be_written(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    (tmp_path / "away").mkdir()
    session.meanwhile = (tmp_path / "away").rmdir
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "away/new.yaml")
    assert found.code == 1
    assert "could not be written to away/new.yaml" in found.err
    assert (tmp_path / "spec.yaml").read_text() == FASTER


@pytest.mark.parametrize(
    ("reason", "begins"),
    [
        ("what is left of the budget is too short", "Nothing proven: what is left of the budget is too short"),
        ("none of 4 changes that were measured helps", "Nothing to change: none of 4 changes"),
        ("the step is the limit, not the pipeline", "Nothing to change: the step is the limit"),
    ],
)
def test_what_was_not_decided_is_not_called_healthy(
    pipeprof: Pipeprof, session: Session, reason: str, begins: str
) -> None:
    session.result = result("nothing", steps=[], edits=[], measured=None)
    session.result.reason = reason
    assert pipeprof("fix", "spec.yaml").out.startswith(begins)


def test_changes_that_were_rejected_without_a_measurement_are_counted(pipeprof: Pipeprof, session: Session) -> None:
    why = "it changes the data: batch 1 has different values than before"
    steps = [FixStep(round=1, title=name, result="rejected", reason=why) for name in ("a", "b")]
    session.result = result("nothing", steps=steps, edits=[], measured=None)
    found = pipeprof("fix", "spec.yaml").out
    assert "Tried" in found
    assert f"2 changes rejected: {why}" in " ".join(found.split())


def test_changes_of_one_name_are_told_apart_by_their_inputs(pipeprof: Pipeprof, session: Session) -> None:
    twins = ("source.inputs.0.stages.0", "source.inputs.1.stages.0", "source.inputs.0.stages.0")
    steps = [
        FixStep(round=1, title="calls=2 in load", stage=one, result="behind", reason="", speedup=1.0) for one in twins
    ]
    steps += [FixStep(round=2, title="calls=2 in batch", stage="stages.1", result="behind", reason="", speedup=1.0)] * 2
    session.result = result("nothing", steps=steps, edits=[], measured=None)
    found = pipeprof("fix", "spec.yaml").out
    assert found.count("calls=2 in load (input 1)") == 2
    assert found.count("calls=2 in load (input 2)") == 1
    assert found.count("calls=2 in batch  ") == 2


def test_changes_of_one_name_and_stage_are_told_apart_by_what_they_set(pipeprof: Pipeprof, session: Session) -> None:
    values = ("not set → 16, options.threading.private_threadpool_size: not set → 16", "not set → AUTOTUNE")
    steps = [
        FixStep(
            round=1,
            title="Run load in parallel",
            change=f"num_parallel_calls: {value}",
            stage="stages.0",
            result="behind",
            reason="",
            speedup=2.0,
        )
        for value in values
    ]
    session.result = result("nothing", steps=steps, edits=[], measured=None)
    found = pipeprof("fix", "spec.yaml", "--out", "found.md", "--out", "found.html").out
    for text in (found, Path("found.md").read_text().replace("\\", ""), Path("found.html").read_text()):
        assert "Run load in parallel (num_parallel_calls=16)" in text
        assert "Run load in parallel (num_parallel_calls=AUTOTUNE)" in text


def test_titles_of_changes_are_wrapped_and_not_cut(
    pipeprof: Pipeprof, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = "Run load in parallel, with a prefetch at the end of the pipeline"
    step = FixStep(round=1, title=title, result="behind", reason="", speedup=2.0, peak_rss_delta_bytes=9_000_000)
    session.result = result("nothing", steps=[step], edits=[], measured=None)
    monkeypatch.setenv("COLUMNS", "40")
    found = pipeprof("fix", "spec.yaml").out
    assert title in " ".join(found.split())
    assert "…" not in found
    assert max(map(len, found.partition("Tried")[2].partition("Saved")[0].splitlines())) <= 40


def test_an_error_without_a_profile_error_keeps_its_exit_code(pipeprof: Pipeprof, session: Session) -> None:
    session.result = result("nothing", steps=[], edits=[], measured=None)
    session.meanwhile = lambda: setattr(session.profile, "exit_code", 2)
    session.profile.errors = []
    found = pipeprof("fix", "spec.yaml")
    assert (found.code, found.err.splitlines()[-1]) == (2, f"pipeprof: error: {session.result.reason}")


def test_a_promising_change_that_is_not_possible_is_stated(pipeprof: Pipeprof, session: Session) -> None:
    why = "stages.0 comes from base.yaml:4:5; edit it there"
    step = FixStep(round=1, title="a", result="not-tried", reason=why, predicted=17.0)
    session.result = result("nothing", steps=[step], edits=[], measured=None)
    found = pipeprof("fix", "spec.yaml").out
    assert found.startswith("Nothing proven")
    assert f"  1 change could not be tried: {why}\n" in found


def test_what_could_not_be_compared_is_not_called_the_same(pipeprof: Pipeprof, session: Session) -> None:
    data = "the first 7 batches have the same types; two processes of the pipeline itself differ in more than that"
    session.result = result(measured={**(result().measured or {}), "data": data})
    found = pipeprof("fix", "spec.yaml").out
    assert "order and values could not be compared" in found
    assert "same order" not in found


def test_names_and_values_of_variables_are_quoted_for_the_shell(pipeprof: Pipeprof, session: Session) -> None:
    session.result = result(environment={"A; id #": "1", "OMP_NUM_THREADS": "1; id"})
    shown = pipeprof("fix", "train.py:make").out
    assert "'A; id #=1'" in shown
    assert "OMP_NUM_THREADS='1; id'" in shown


CACHE = LeftOut(
    title="Cache load's output", semantics="order", speedup=5.83, known_by="measured", allow="--allow order"
)


@pytest.mark.parametrize(
    ("known_by", "words"),
    [
        ("measured", "Nothing within `same`. Reordering elements was measured at 5.83×: `--allow order`"),
        ("predicted", "Nothing within `same`. Reordering elements is predicted to give 5.83×: `--allow order`"),
    ],
)
def test_what_was_left_out_is_stated_with_its_worth_and_its_flag(
    pipeprof: Pipeprof, session: Session, known_by: str, words: str
) -> None:
    left = CACHE.model_copy(update={"known_by": known_by})
    session.result = result("nothing", steps=[], edits=[], measured=None, left_out=[left])
    session.result.reason = "none of 4 changes that were measured helps; --allow order tries 1 more change"
    found = pipeprof("fix", "spec.yaml", "--out", "run.json")
    assert " ".join(found.out.split()).startswith(words)
    assert "Cache load's output" in found.out
    assert "none of 4 changes that were measured helps" in found.out
    left_out = json.loads(Path("run.json").read_text())["fix"]["left_out"]
    assert [(one["semantics"], one["speedup"], one["known_by"], one["allow"]) for one in left_out] == [
        ("order", 5.83, known_by, "--allow order")
    ]


def test_what_was_left_out_is_stated_next_to_what_was_found(pipeprof: Pipeprof, session: Session) -> None:
    session.result.left_out = [CACHE]
    found = pipeprof("fix", "spec.yaml").out
    assert found.startswith("Fixed: 1.79×")
    assert "Reordering elements was measured at 5.83×: `--allow order`" in " ".join(found.split())


@pytest.mark.parametrize(("edited", "known"), [(False, True), (True, False)])
def test_the_search_begins_with_what_the_latest_run_of_the_same_files_has_proven(
    pipeprof: Pipeprof, session: Session, recorded: Callable[[str], Profile], edited: bool, known: bool
) -> None:
    from pipeprof.cli.targets.load import Changes, load_target
    from pipeprof.profiles.harness.harness import target_of

    parsed, loaded = load_target("spec.yaml", Changes(), no_python=False)
    saved = recorded("input-bound")
    saved.target, saved.command = target_of(RunSettings(parsed, loaded)), ["pipeprof", "run", "spec.yaml"]
    edit = [Edit.model_validate(to_document(EDIT))]
    saved.findings = [Finding(rule="cache", title="proven", status="kept", edit=edit, measured={"speedup": 2.0})]
    Path("pipeprof-out").mkdir()
    Path("pipeprof-out/spec-20260101T000000Z.json").write_text(saved.model_dump_json())
    if edited:
        Path("spec.yaml").write_text(f"{TEXT}# more\n")
    session.profile.target = target_of(RunSettings(*load_target("spec.yaml", Changes(), no_python=False)))
    session.profile.command = ["pipeprof", "fix", "spec.yaml"]
    assert pipeprof("fix", "spec.yaml").code == 0
    assert session.first == (["proven"] if known else [])


def test_what_is_not_finished_says_how_far_it_is_and_the_command_that_decides(
    pipeprof: Pipeprof, session: Session
) -> None:
    unfinished = Unfinished(pairs=8, needed=12, budget_seconds=70)
    session.result = result("not-proven", edits=[], unfinished=unfinished)
    session.result.reason = "1.70× so far after 8 of 12 rounds: --budget 70"
    session.profile.command = ["pipeprof", "fix", session.profile.target.text, "--allow", "order", "--out", "a.json"]
    session.profile.target.overrides = []
    found = pipeprof("fix", "spec.yaml", "--out", "run.json").out
    assert found.startswith("Not finished: 1.70× so far after 8 of 12 rounds: --budget 70\n")
    line = next(line for line in found.splitlines() if line.startswith("Next")).split()
    assert line[1:] == ["pipeprof", "fix", session.profile.target.text, "--allow", "order", "--budget", "70", "decides"]
    assert json.loads(Path("run.json").read_text())["fix"]["unfinished"]["needed"] == 12


def test_the_first_measurement_is_as_long_as_the_user_says(pipeprof: Pipeprof, session: Session) -> None:
    assert pipeprof("fix", "spec.yaml", "--seconds", "7", "--steps", "90", "--cold", "--budget", "30").code == 0
    assert (session.asked[0].seconds, session.asked[0].steps, session.asked[0].cold) == (7.0, 90, True)
    assert pipeprof("fix", "spec.yaml", "--budget", "30").code == 0
    assert (session.asked[2].seconds, session.asked[2].steps, session.asked[2].cold) == (3.0, None, None)
    refused = pipeprof("fix", "spec.yaml", "--seconds", "60")
    assert refused.code == 2
    assert "--seconds 60 is a part of --budget 60 and leaves no time for changes: raise --budget" in refused.err
