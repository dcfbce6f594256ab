"""The report of a search, and ``pipeprof fix`` around it, with a recorded profile and a written result."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.report.blocks import Code, Heading, Pairs, Table, Text
from pipeprof.cli.report.fix import build_ending, build_fix
from pipeprof.pipelines.changes.in_words import unified
from pipeprof.profiles.document.findings import Finding, Fix, FixStep, Kept, LeftOut, Unfinished
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.experiment.version import Version
from pipeprof.profiles.harness.settings import RunSettings
from tests.unit.cli.reports import Golden, Recorded, as_function, finding, fix, measured, of, rows, shown

Pipeprof = Callable[..., Any]
CACHE = LeftOut(
    title="Cache load's output", semantics="order", speedup=5.83, known_by="measured", allow="--allow order"
)
NONE: dict[str, Any] = {"steps": [], "edits": [], "measured": None, "diff": None, "changes": []}
FAR: dict[str, Any] = {
    **NONE,
    "unfinished": Unfinished(pairs=8, needed=12, budget_seconds=70),
    "reason": "1.70× so far",
}


@pytest.fixture
def profile(recorded: Recorded) -> Profile:
    found = recorded("input-bound")
    found.command, found.target.text, found.target.overrides = ["pipeprof", "fix", "spec.yaml"], "spec.yaml", []
    return found


def step(title: str = "a", result: str = "rejected", **given: Any) -> FixStep:
    return FixStep.model_validate(
        {"round": 1, "title": title, "result": result, "reason": "it changes the data", **given}
    )


def test_golden(profile: Profile, golden: Golden) -> None:
    refused = [step(), step("b"), step("c", "not-tried", reason="base.yaml has it", predicted=1.1)]
    nothing = fix("nothing", **{**NONE, "steps": refused}, reason="none of 4 changes helps", left_out=[CACHE])
    memory = {"peak_bytes": 9 << 26, "peak_before_bytes": 1 << 29, "semantics": "order", "left_out": [CACHE]}
    found = fix(text="a", steps=[*fix().steps, *refused], **memory)
    texts = [
        shown([*build_fix(profile, one, full=full), *build_ending(profile, one, "run.json")])
        for one, full in ((found, False), (found, True), (nothing, False))
    ]
    for status, given in (
        ("taken", {}),
        ("interrupted", NONE),
        ("not-proven", NONE),
        ("not-proven", FAR),
        ("nothing", NONE),
    ):
        texts.append(shown(list(build_fix(profile, fix(status, **given), full=False))[:1]))
    golden("report/fix.txt", "\n".join(texts))


@pytest.mark.parametrize(
    ("given", "begins"),
    [
        ({"reason": "what is left of the budget is too short"}, "Nothing proven"),
        ({"reason": "the step is the limit, not the pipeline"}, "Nothing to change"),
        # None could be measured, or one that could not be tried promises much.
        ({"steps": [step()]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=17.0)]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=1.1)]}, "Nothing to change"),
        ({"left_out": [CACHE]}, "Nothing within"),
        ({"left_out": [CACHE], "reason": "the budget is used up"}, "Nothing proven"),
    ],
)
def test_what_was_not_decided_is_not_called_healthy(given: dict[str, Any], begins: str, profile: Profile) -> None:
    (head, *_) = build_fix(profile, fix("nothing", **{**NONE, "reason": "none of 4 helps", **given}), full=False)
    assert isinstance(head, Text)
    assert head.text[0][0] == begins


def facts(profile: Profile, found: Fix) -> dict[str, str]:
    return dict(row for pairs in of(Pairs, build_fix(profile, found, full=False)) for row in pairs.rows)


def test_facts_are_those_of_the_proof_and_of_what_was_left_out(profile: Profile) -> None:
    assert set(facts(profile, fix())) == {"data", "took"}
    assert "cache" in facts(profile, fix(steps=[step(result="taken", cache=Kept())]))
    assert "memory" in facts(profile, fix(peak_bytes=1 << 30, peak_before_bytes=1 << 20))
    assert "`--allow order`" in facts(profile, fix(left_out=[CACHE]))["left out"]
    assert "change" in facts(profile, fix("nothing", **NONE, left_out=[CACHE]))
    differs = measured(
        1.8, data="the first 7 batches have the same types; two processes of the pipeline itself differ in more"
    )
    assert "could not be compared" in facts(profile, fix(measured=differs))["data"]
    profile.target.kind = "script"
    assert "step" in facts(profile, fix())


def test_changes_of_one_name_are_told_apart_by_their_inputs_or_what_they_set(profile: Profile) -> None:
    sides = [step("calls=2", stage=f"source.inputs.{number}.stages.0", speedup=1.0) for number in (0, 1, 0)]
    values = [step("parallel", stage="stages.1", change=value, speedup=1.0) for value in ("a: 1 → 2", "a: 1 → 4")]
    (table,) = of(Table, build_fix(profile, fix(steps=[*sides, *values, step("one", speedup=1.0)]), full=False))
    assert [row[1] for row in rows(table)] == [
        *(f"calls=2 (input {number})" for number in (1, 2, 1)), "parallel (a: 1 → 2)", "parallel (a: 1 → 4)", "one",
    ]  # fmt: skip


def test_many_tried_changes_are_named_up_to_a_number_and_all_in_full(profile: Profile) -> None:
    found = fix(steps=[*(step(str(number), speedup=0.9) for number in range(20)), *fix().steps[:1], step("c")])
    short, full = ([*build_fix(profile, found, full=full)] for full in (False, True))
    names = [[row[1] for row in rows(of(Table, blocks)[0])] for blocks in (short, full)]
    assert [len(one) for one in names] == [12, 22]
    assert "Run decode in parallel" in names[0], "what was taken is always there"
    assert next(heading.rest for heading in of(Heading, short)).startswith("10 more")
    assert any(str(text.text).startswith("1 change rejected") for text in of(Text, short))


@pytest.mark.parametrize(
    ("command", "given", "line"),
    [
        ("fix spec.yaml", {"text": "a"}, "pipeprof show run.json --out spec.fast.yaml"),
        ("fix spec.yaml --write", {"text": "a"}, None),
        ("fix spec.yaml --change 1 --out new.yaml", {"text": "a", "status": "taken"},
         "pipeprof fix spec.yaml --change 1 --write"),
        ("fix spec.yaml --set a=1", {"text": "a"}, "pipeprof fix spec.yaml --set a=1 --out spec.fast.yaml"),
        ("fix train.py:make", {}, "pipeprof show run.json --out fast.patch"),
        ("fix train.py:make --out 'a b.patch'", {}, "git apply 'a b.patch'"),
        ("fix train.py:make", {"diff": None}, None),
        (
            "fix spec.yaml --allow order",
            {**FAR, "status": "not-proven"},
            "pipeprof fix spec.yaml --allow order --budget 70",
        ),
        ("fix spec.yaml", {**NONE, "status": "nothing", "needs_seconds": 90}, "pipeprof fix spec.yaml --budget 90"),
        ("fix spec.yaml", {**NONE, "status": "nothing", "left_out": [CACHE]}, "pipeprof fix spec.yaml --allow order"),
        ("fix spec.yaml", {**NONE, "status": "nothing"}, None),
    ],
)  # fmt: skip
def test_the_last_command_takes_the_result_or_goes_on(
    command: str, given: dict[str, Any], line: str | None, profile: Profile
) -> None:
    import shlex

    profile.command = ["pipeprof", *shlex.split(command)]
    profile.target.text = profile.command[2]
    profile.target.overrides = ["a=1"] if "--set" in command else []
    found = [code.text for code in of(Code, build_ending(profile, fix(**given), "run.json")) if code.label != "Saved"]
    assert found == ([line] if line is not None else [])


def test_changes_that_no_diff_has_are_written_by_hand_with_variables_quoted_for_the_shell(profile: Profile) -> None:
    as_function(profile)
    found = fix(diff=None, environment={"A; id #": "1", "OMP_NUM_THREADS": "1; id"})
    assert [code.text for code in of(Code, build_fix(profile, found, full=False))] == [
        "stages.0: num_parallel_calls: not set → 2", "'A; id #=1'", "OMP_NUM_THREADS='1; id'",
    ]  # fmt: skip


TEXT = "version: 1  # mine\nsource: {range: {stop: 9}}\n"
FASTER = TEXT + "stages: [{prefetch: {buffer_size: 2}}]\n"


@dataclass
class Session:
    """Stands in for the measurement and the search.

    Attributes:
        profile: What the measurement gives.
        result: What the search gives.
        meanwhile: Called while it measures.
        asked: Settings of the measurement and of the search.
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
        profile.exit_code = 130 if self.result.status == "interrupted" else profile.exit_code


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, profile: Profile, tmp_path: Path) -> Session:
    (tmp_path / "spec.yaml").write_text(TEXT)
    (tmp_path / "spec.yaml").chmod(0o640)
    (tmp_path / "train.py").write_text("def make():\n    return data()\n")
    found = Session(profile, fix(text=FASTER, diff=unified(TEXT, FASTER, "spec.yaml")))
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", found.run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.fix.find_best", found.search)
    return found


def test_files_are_written_by_their_ending_and_the_spec_stays(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    names = ["new.yaml", "new.patch", "run.json", "report.txt"]
    found = pipeprof("fix", "spec.yaml", "--budget", "30", *(word for name in names for word in ("--out", name)))
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (0, TEXT)
    assert (tmp_path / "new.yaml").read_text() == FASTER
    assert (tmp_path / "new.patch").read_text() == session.result.diff
    assert json.loads((tmp_path / "run.json").read_text())["fix"]["steps"][0]["speedup"] == 1.8
    assert (tmp_path / "report.txt").read_text().splitlines()[0] == found.out.splitlines()[0]
    assert pipeprof("show", "run.json").out.splitlines()[0] == found.out.splitlines()[0]
    assert (session.asked[0].seconds, session.asked[0].memory_limit) == (3.0, None)


def test_write_changes_the_file_and_keeps_its_permissions(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    found = pipeprof("fix", "spec.yaml", "--write", "--memory-limit", "2GiB", "--allow", "order", "--budget", "30")
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (0, FASTER)
    assert (tmp_path / "spec.yaml").stat().st_mode & 0o777 == 0o640
    assert session.asked[-1].memory_limit == 2 * 2**30
    assert (list(session.options["allow"]), session.options["budget"]) == (["order"], 30.0)


@pytest.mark.parametrize(
    ("result", "edited", "code", "new"),
    [
        (None, True, 1, True),
        (fix("nothing", **NONE), False, 0, False),
        (fix("interrupted", **{**NONE, "text": FASTER}), False, 130, True),
    ],
)
def test_a_file_that_was_edited_or_whose_changes_are_not_proven_stays(
    result: Fix | None, edited: bool, code: int, new: bool, pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    text = f"{TEXT}# somebody was here\n" if edited else TEXT
    session.result = result or session.result
    session.meanwhile = lambda: (tmp_path / "spec.yaml").write_text(text)
    found = pipeprof("fix", "spec.yaml", "--write", "--out", "new.yaml")
    assert (found.code, (tmp_path / "spec.yaml").read_text()) == (code, text)
    assert "spec.yaml is unchanged" in found.err
    assert (tmp_path / "new.yaml").exists() == new


def test_what_was_measured_is_reported_and_saved_whatever_ends_the_search(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    def breaks() -> None:
        session.options["save"]()
        assert json.loads((tmp_path / "run.json").read_text())["fix"]["steps"]
        msg = "a fault of the search"
        raise ValueError(msg)

    session.meanwhile = breaks
    found = pipeprof("fix", "spec.yaml", "--out", "run.json", "--out", "new.yaml")
    assert (found.code, "a fault of the search" in found.err, found.out.startswith("Fixed")) == (1, True, True)
    assert (tmp_path / "new.yaml").read_text() == FASTER
    session.meanwhile = lambda: setattr(session.profile, "exit_code", 2)
    assert pipeprof("fix", "spec.yaml").code == 2
    session.profile.exit_code, session.asked[:] = 5, []
    assert (pipeprof("fix", "spec.yaml").code, len(session.asked)) == (5, 1), "what fails is not searched"


def test_the_spec_is_changed_also_where_the_report_cannot_be_written(
    pipeprof: Pipeprof, session: Session, tmp_path: Path
) -> None:
    (tmp_path / "away").mkdir()
    session.meanwhile = (tmp_path / "away").rmdir
    assert pipeprof("fix", "spec.yaml", "--write", "--out", "away/new.yaml").code == 1
    assert (tmp_path / "spec.yaml").read_text() == FASTER


def test_a_function_whose_diff_cannot_be_made_gets_none(pipeprof: Pipeprof, session: Session, tmp_path: Path) -> None:
    session.result, session.profile.target.kind = fix(diff=None), "function"
    found = pipeprof("fix", "train.py:make", "--out", "fast.patch")
    assert (found.code, "no diff: " in found.err, (tmp_path / "fast.patch").exists()) == (0, True, False)


@pytest.mark.parametrize(
    "words",
    [
        ["train.py:make", "--write"],
        ["train.py:make", "--out", "a.yaml"],
        ["spec.yaml", "--allow", "ordre"],
        ["spec.yaml", "--budget", "0"],
        ["-"],
        ["spec.yaml", "--out", "a.sarif"],
    ],
)
def test_what_can_not_work_is_refused_before_anything_runs(
    pipeprof: Pipeprof, session: Session, words: list[str]
) -> None:
    found = pipeprof("fix", *words)
    assert (found.code, session.asked) == (2, [])
    assert words[-2 if len(words) > 2 else -1] in found.err


@pytest.mark.parametrize(("edited", "known"), [(False, ["proven"]), (True, [])])
def test_the_search_begins_with_what_the_latest_run_of_the_same_files_has_proven(
    pipeprof: Pipeprof, session: Session, recorded: Recorded, edited: bool, known: list[str]
) -> None:
    from pipeprof.cli.targets.load import Changes, load_target
    from pipeprof.profiles.harness.harness import target_of

    saved = recorded("input-bound")
    saved.target = target_of(RunSettings(*load_target("spec.yaml", Changes(), no_python=False)))
    saved.command = ["pipeprof", "run", "spec.yaml"]
    saved.findings = [
        Finding.model_validate({**finding("kept", measured=measured(2.0)).model_dump(), "title": "proven"})
    ]
    Path("pipeprof-out").mkdir()
    Path("pipeprof-out/spec-20260101T000000Z.json").write_text(saved.model_dump_json())
    Path("spec.yaml").write_text(f"{TEXT}# more\n" if edited else TEXT)
    session.profile.target = target_of(RunSettings(*load_target("spec.yaml", Changes(), no_python=False)))
    assert pipeprof("fix", "spec.yaml").code == 0
    assert session.first == known
