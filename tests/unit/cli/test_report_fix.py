"""The report of a search: its result, what was tried, and the command that goes on."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from pipeprof.cli.report.blocks import Heading, Pairs, Table, Text
from pipeprof.cli.report.fix import build_ending, build_fix
from pipeprof.profiles.document.findings import Fix, FixStep, Kept, LeftOut, Unfinished
from pipeprof.profiles.document.profile import Profile
from tests.unit.cli.reports import Golden, Recorded, as_function, codes, fix, measured, of, rows, shown, texts

CACHE = LeftOut(title="Cache its output", semantics="order", speedup=5.83, known_by="measured", allow="--allow order")
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
    return FixStep.model_validate({"round": 1, "title": title, "result": result, "reason": "it changes data", **given})


def test_golden(profile: Profile, golden: Golden) -> None:
    refused = [step(), step("b"), step("c", "not-tried", reason="base.yaml has it", predicted=1.1)]
    nothing = fix("nothing", **{**NONE, "steps": refused}, reason="none of 4 changes helps", left_out=[CACHE])
    memory = {"peak_bytes": 9 << 26, "peak_before_bytes": 1 << 29, "semantics": "order", "left_out": [CACHE]}
    found, ends = fix(text="a", steps=[*fix().steps, *refused], **memory), {"interrupted": NONE, "not-proven": FAR}
    told = [
        shown([*build_fix(profile, one, full=full), *build_ending(profile, one, "run.json")])
        for one, full in ((found, False), (found, True), (nothing, False))
    ]
    for status, given in {"taken": {}, **ends, "nothing": NONE}.items():
        told.append(shown(list(build_fix(profile, fix(status, **given), full=False))[:1]))
    golden("sections/fix.txt", "\n".join(told))


def test_what_was_not_decided_is_not_called_healthy(profile: Profile) -> None:
    for given, label in (
        ({"reason": "what is left of the budget is too short"}, "Nothing proven"),
        ({"reason": "the step is the limit, not the pipeline"}, "Nothing to change"),
        # None could be measured, or one that could not be tried promises much.
        ({"steps": [step()]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=17.0)]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=1.1)]}, "Nothing to change"),
        ({"left_out": [CACHE]}, "Nothing within"),
        ({"left_out": [CACHE], "reason": "the budget is used up"}, "Nothing proven"),
    ):
        head, *_ = build_fix(profile, fix("nothing", **{**NONE, "reason": "none of 4 helps", **given}), full=False)
        assert isinstance(head, Text)
        assert head.text[0][0] == label


def test_facts_are_those_of_the_proof_and_of_what_was_left_out(profile: Profile) -> None:
    def facts(found: Fix) -> dict[str, str]:
        return dict(row for pairs in of(Pairs, build_fix(profile, found, full=False)) for row in pairs.rows)

    assert set(facts(fix())) == {"data", "took"}
    assert "cache" in facts(fix(steps=[step(result="taken", cache=Kept())]))
    assert "`--allow order`" in facts(fix(left_out=[CACHE]))["left out"]
    assert "change" in facts(fix("nothing", **NONE, left_out=[CACHE]))
    differs = "the first 7 batches have the same types; two processes of the pipeline itself differ in more"
    assert "could not be compared" in facts(fix(measured=measured(1.8, data=differs)))["data"]


def test_many_tried_changes_are_named_up_to_a_number_and_all_in_full_each_by_another_name(profile: Profile) -> None:
    found = fix(steps=[*(step(str(number), speedup=0.9) for number in range(20)), *fix().steps[:1], step("c")])
    short, full = ([*build_fix(profile, found, full=full)] for full in (False, True))
    names = [[row[1] for row in rows(of(Table, blocks)[0])] for blocks in (short, full)]
    assert ([*map(len, names)], "Run decode in parallel" in names[0]) == ([12, 22], True), "what is taken is there"
    assert of(Heading, short)[0].rest.startswith("10 more")
    assert any(text.startswith("1 change rejected") for text in texts(short))
    sides = [step("calls=2", stage=f"source.inputs.{number}.stages.0", speedup=1.0) for number in (0, 1)]
    (table,) = of(Table, build_fix(profile, fix(steps=[*sides, step("one", speedup=1.0)]), full=False))
    assert len({row[1] for row in rows(table)}) == 3


def test_the_last_command_takes_the_result_or_goes_on(profile: Profile) -> None:
    nothing, order = {**NONE, "status": "nothing"}, "spec.yaml --allow order"
    for command, given, line in (
        ("spec.yaml", {"text": "a"}, "show run.json --out spec.fast.yaml"),
        ("spec.yaml --write", {"text": "a"}, ""),
        ("spec.yaml --change 1 --out b.yaml", {"text": "a", "status": "taken"}, "fix spec.yaml --change 1 --write"),
        ("spec.yaml --set a=1", {"text": "a"}, "fix spec.yaml --set a=1 --out spec.fast.yaml"),
        ("train.py:make", {}, "show run.json --out fast.patch"),
        ("train.py:make --out 'a b.patch'", {}, "git apply 'a b.patch'"),
        ("train.py:make", {"diff": None}, ""),
        (order, {**FAR, "status": "not-proven"}, f"fix {order} --budget 70"),
        ("spec.yaml", {**nothing, "needs_seconds": 90}, "fix spec.yaml --budget 90"),
        ("spec.yaml", {**nothing, "left_out": [CACHE]}, f"fix {order}"),
        ("spec.yaml", nothing, ""),
    ):
        profile.command = ["pipeprof", "fix", *shlex.split(command)]
        profile.target.text, profile.target.overrides = profile.command[2], ["a=1"] if "--set" in command else []
        (saved, *last) = codes(build_ending(profile, fix(**given), "run.json"))
        assert (saved, [one.removeprefix("pipeprof ") for one in last]) == ("run.json", [line] if line else [])


def test_what_no_diff_has_is_written_by_hand_with_variables_quoted_for_the_shell(profile: Profile) -> None:
    found = fix(diff=None, environment={"A; id #": "1", "OMP_NUM_THREADS": "1; id"})
    blocks = build_fix(as_function(profile), found, full=False)
    assert codes(blocks) == [*found.changes, "'A; id #=1'", "OMP_NUM_THREADS='1; id'"]
