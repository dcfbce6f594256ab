"""What to change: which findings are shown where, what their cards have, and what is said where there is none."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from pipeprof.cli.report import changes
from pipeprof.cli.report.blocks import Card, Heading, Pairs, Table, Text
from pipeprof.cli.report.changes import build_changes, describe_gain, describe_measured, run_card
from pipeprof.cli.report.fix import build_ending, build_fix
from pipeprof.cli.report.next_step import next_command
from pipeprof.pipelines.changes.edits import InsertStage, SetEnvironment
from pipeprof.profiles.document.findings import FAILED, Finding, Kept, LeftOut, NotTried, Predicted, Unfinished, Verdict
from pipeprof.profiles.document.profile import DataSize, Message, Profile
from pipeprof.profiles.wording import NOT_REPRODUCIBLE
from tests.unit.cli import reports
from tests.unit.cli.reports import MIB, Golden, Recorded, as_function, by_hand, codes, finding, measured, of

CACHE, VARIABLE = InsertStage("cache", {}, "stages.1"), SetEnvironment("OMP_NUM_THREADS", "1; id")
LEFT, BOTH = Unfinished(pairs=8, needed=12, budget_seconds=40), (False, True)
SAVES = Predicted(peak_rss_delta_bytes=-MIB)


@pytest.fixture
def profile(recorded: Recorded) -> Profile:
    """Of a spec, with findings of each status in the order in which they are shown."""
    found = recorded("jpeg-folder")
    found.data_size = DataSize(elements=3_200_000)
    found.findings = [
        finding("kept", measured=measured(1.83, peak_rss_delta_bytes=5 * MIB, data="equal")),
        finding("kept", CACHE, title="Cache decode's output", change="insert cache after decode", rule="measured",
                cache=Kept(sample_bytes=435 * MIB), measured=measured(2.3, at_limit="as fast as the step allows")),
        finding("kept", title="Shuffle file names", change="move shuffle before decode", family="memory",
                semantics="order", measured=measured(1.0, peak_rss_delta_bytes=-115 * MIB)),
        finding("ceiling", None, title="Make decode cheaper", rule="measured", change=None, semantics=None,
                recommendation="Store the pictures at the size that is used.", reason="4.00× if decode cost nothing",
                measured=measured(4.0, conclusion="then the cores are the limit")),
        finding(title="Parse whole batches", measured=measured(1.7, pairs=8), predicted=Predicted(speedup=2.0),
                unfinished=LEFT, reason="too few rounds: --budget 40"),
        by_hand(title="Random augmentation is cached", family="correctness", semantics="values", reason=None,
                sentence="Every epoch sees the same crops.", change="cache before the random map"),
        finding("unverified", VARIABLE, title="Use one thread an op", in_spec=False, reason="not tried",
                predicted=Predicted(speedup=1.25, peak_rss_delta_bytes=-MIB), change="OMP_NUM_THREADS=1"),
        finding("rejected", title="Move batch up", measured=measured(0.99), reason="no gain: 0.99×"),
    ]  # fmt: skip
    found.verification = reports.verified(
        without_gain=[
            *(f"insert prefetch after stage {number}: no gain: 0.99×" for number in range(3)),
            f"move batch to just before map: {FAILED}raised: TypeError",
        ],
        undecided=["num_parallel_calls: 1 → 2: cannot tell: 1.30×"],
        bounds=["even without batch no gain: 1.00×", "unknown upper bound of shuffle: few rounds\nshuffle names",
                "decode: no upper bound: filter\nstore it\ndataset = dataset.map(other)", "x: no upper bound: y"],
        not_tried=[NotTried(reason="no time: --budget 90", changes=["a.yaml:9; more", "b"], out_of_budget=True)],
    )  # fmt: skip
    return found


def texts(profile: Profile, *, full: bool = False) -> list[str]:
    return reports.texts(build_changes(profile, full=full))


@pytest.mark.parametrize("full", BOTH)
def test_findings_stand_under_what_is_known_with_their_numbers(full: bool, profile: Profile, golden: Golden) -> None:
    following = next_command(profile, None)
    blocks = list(build_changes(profile, full=full, next_line=following.line if following is not None else ""))
    golden(f"sections/changes{'-full' if full else ''}.txt", reports.shown(blocks))
    assert reports.titles(blocks) == ["What to change", "Suspected", "Upper bounds"]
    assert [(card.number, card.status) for card in of(Card, blocks)] == [
        *((number, "kept") for number in (1, 2, 3)), *((number, "unverified") for number in (5, 6, 7)), (4, "ceiling"),
    ]  # fmt: skip
    assert any("Move batch up" in text for text in reports.texts(blocks))
    assert bool(of(Pairs, blocks)) == full
    profile.findings = None
    assert list(build_changes(profile, full=full)) == []


@pytest.mark.parametrize(
    ("one", "takes"),
    [
        (finding("kept"), "fix spec.yaml --change 1 --write"),
        (finding("kept", in_spec=False, diff="--- a\n"), "fix train.py:make --change 1 --out change-1.patch"),
        (finding("kept", in_spec=False), "run train.py:make --change 1"),
        (finding("unverified"), "run spec.yaml --change 1"),
        (finding("unverified", in_spec=False, diff="--- a\n"), "run train.py:make --change 1"),
        *((one, None) for one in (finding("ceiling"), finding("kept", None), finding("unverified", unfinished=LEFT))),
    ],
)
def test_a_card_has_the_command_that_takes_its_change(one: Finding, takes: str | None, recorded: Recorded) -> None:
    profile = recorded("input-bound") if one.in_spec else as_function(recorded("input-bound"))
    line = f"pipeprof {takes}" if takes is not None else ""
    assert (changes.take_command(profile, one, 1) or "") == line
    forms = ((False, ""), (False, line), (True, ""))
    cards = [run_card(profile, one, 1, full=full, hidden=hidden) for full, hidden in forms]
    own = [[code for code in codes([card]) if code.startswith("pipeprof ")] for card in cards]
    # What ends the report is said once; where no command takes it, there is the reason.
    assert own == ([[line], [], [line]] if line else [["pipeprof rules parallel-calls"]] * 2 + [[]])
    assert not changes.can_be_taken(recorded("input-bound"), finding("kept", in_spec=False)), (
        "the spec has no place for it"
    )
    as_function(profile).command += ["--change", "3"]
    line = str(changes.try_command(profile, finding("kept", VARIABLE, in_spec=False), 1))
    assert line == "OMP_NUM_THREADS='1; id' pipeprof run train.py:make --change 3"


def test_lines_are_those_of_the_target_and_shown_where_only_the_user_can_write_them(recorded: Recorded) -> None:
    def lines() -> list[list[str]]:
        cards = [run_card(profile, one, 1, full=full) for full in BOTH]
        return [[code for code in codes([card]) if "pipeprof" not in code] for card in cards]

    profile, one = recorded("jpeg-folder"), by_hand("kept", patch="--- a/spec.yaml\n- x\n")
    assert lines() == [[], ["--- a/spec.yaml\n- x"]]
    as_function(profile)
    assert lines() == [["x = 1"]] * 2
    one.diff = "--- a/train.py\n+++ b/train.py\n@@ -1,2 +1,3 @@\n a\n \n+b; dataset = 2\n"
    assert lines() == [[one.diff.rstrip("\n")]] * 2
    one.diff, one.edit = None, finding().edit
    assert lines() == [[], ["x = 1"]], "its change states the call"


def test_a_gain_is_stated_as_far_as_it_is_known() -> None:
    stage, step = {"measured": measured(9.0)}, measured(4.0, at_least=True, at_limit="as the step")
    for one, gain in (
        (finding("kept", measured=measured(1.83, peak_rss_delta_bytes=25 * MIB)), "1.83× (1.74–1.92), peak +25.0 MiB"),
        (finding("kept", measured=measured(1.83, peak_rss_delta_bytes=-15 * MIB)), "1.83× (1.74–1.92)"),
        (finding("kept", measured=measured(9.0), cache=Kept()), "from the second epoch on 9.00× (8.55–9.45)"),
        # A speed that was not seen is not stated.
        (
            finding("kept", measured=measured(1.19, 0.9, peak_rss_delta_bytes=-25 * MIB), family="memory"),
            "peak −25.0 MiB",
        ),
        (finding("kept", measured=measured(1.2, 0.01), family="memory"), "1.20× (1.19–1.21)"),
        (finding("ceiling", measured=measured(4.0, at_least=True)), "up to 3.80×, perhaps more"),
        (finding("ceiling", measured=step), "as the step"),
        # That of a stage is not what a change of a part of it gains.
        (finding("ceiling", **stage, predicted=Predicted(speedup=4.48)), "predicted 4.5× faster"),
        (finding("ceiling", **stage, predicted=Predicted(speedup=15.0)), "up to 9.00× (8.55–9.45)"),
        (finding("ceiling", **stage, family="memory", predicted=SAVES), "predicted up to −1.00 MiB"),
        (finding(measured=measured(1.7), unfinished=LEFT), "1.70× so far after 8 of 12 rounds"),
        (finding(measured=measured(0.99), predicted=Predicted(speedup=1.8)), "predicted 1.8× faster"),
        (finding(predicted=Predicted(speedup=1.001)), ""),
    ):
        assert describe_gain(one) == gain
    # In a step of unknown length it is a bound.
    assert describe_gain(finding(predicted=Predicted(speedup=1.7)), bounded=True) == "at most 1.7× faster"
    assert describe_measured(measured(2.0, pairs=2)) == "2.00×", "an interval needs rounds"


def test_what_was_tried_in_vain_is_named_and_all_of_it_in_full(profile: Profile) -> None:
    short, complete = (next(one for one in texts(profile, full=full) if "No gain" in one) for full in BOTH)
    assert (short.count("insert prefetch"), complete.count("insert prefetch")) == (2, 3)
    assert profile.verification is not None
    profile.verification.not_tried = [NotTried(reason="it writes files", changes=["a"])]
    for profile.verification.tried, said in ((3, False), (0, True)):
        assert any("it writes files" in one for one in texts(profile)) == said
    (profile.findings or [])[0].measured = measured(2.0, data=f"the first batch differs: {NOT_REPRODUCIBLE}")
    assert any(NOT_REPRODUCIBLE in text for text in texts(profile))


OPEN, NONE = ["decode: no upper bound: the budget has no time for it"], "No change found"
LATE = {"reason": "no time", "changes": ["a"], "out_of_budget": True}


def test_without_findings_only_what_was_decided_is_said_not_to_help(recorded: Recorded) -> None:
    writes = [{"reason": "it writes", "changes": ["a"]}]
    for share, done, title, rest in (
        (0.012, None, "Nothing to change", ""),
        (0.4, None, NONE, "no known change fits"),
        (0.5, {"bounds": ["without decode at most 1.02×"]}, NONE, "nothing that was tried helps"),
        (0.5, {"without_gain": ["b"], "undecided": ["a"]}, "Not finished", "some of the trials are undecided"),
        (0.5, {"without_gain": ["b"], "bounds": OPEN}, "Not finished", "some of the trials are undecided"),
        (0.5, {"bounds": OPEN, "tried": 0}, "Not finished", "no change could be tried"),
        (0.5, {"not_tried": writes, "tried": 0}, "Not finished", "no change could"),
        (0.5, {"not_tried": [LATE], "without_gain": ["a"]}, "Not finished", "there was no time for every change"),
    ):
        profile, tried = recorded("step-bound"), reports.verified(**done) if done is not None else None
        profile.findings, profile.verification = [], tried
        profile.verdict = Verdict(sentence="A.", headspace_share=share)
        (heading,) = of(Heading, build_changes(profile, full=False))
        assert (heading.title, rest in heading.rest) == (title, True)
        profile.verdict.disturbed = True
        assert reports.titles(build_changes(profile, full=False)) == ["Nothing found"]


def test_a_script_that_ended_before_its_costs_were_read_is_not_finished(recorded: Recorded) -> None:
    profile = recorded("script-fit")
    profile.findings, profile.verification = [], None
    profile.verdict = Verdict(sentence="A.", bound="input", headspace_share=0.4)
    for stage in profile.stages or ():
        stage.time_ms_per_batch = stage.cpu_ms_per_batch = None
    for warned, title, shorter in ((["script-ended"], "Not finished", True), (["no-trace"], "No change found", False)):
        profile.warnings = [Message(code=code, message="A.") for code in warned]
        assert of(Heading, build_changes(profile, full=False))[0].title == title
        command = next_command(profile, None)
        assert ("a shorter measurement" in (command.purpose if command is not None else "")) is shorter


LEFT_OUT = LeftOut(
    title="Cache its output", semantics="order", speedup=5.83, known_by="measured", allow="--allow order"
)
NOTHING: dict[str, Any] = {"steps": [], "edits": [], "measured": None, "diff": None, "changes": []}
FAR: dict[str, Any] = {**NOTHING, "unfinished": LEFT, "reason": "1.70× so far"}


@pytest.fixture
def searched(recorded: Recorded) -> Profile:
    found = recorded("input-bound")
    found.command, found.target.text, found.target.overrides = ["pipeprof", "fix", "spec.yaml"], "spec.yaml", []
    return found


def step(title: str = "a", result: str = "rejected", **given: Any) -> dict[str, Any]:
    return {"round": 1, "title": title, "result": result, "reason": "it changes data", **given}


def test_golden_of_a_search(searched: Profile, golden: Golden) -> None:
    refused = [step(), step("b"), step("c", "not-tried", reason="base.yaml has it", predicted=1.1)]
    memory = {"peak_bytes": 9 << 26, "peak_before_bytes": 1 << 29, "semantics": "order", "left_out": [LEFT_OUT]}
    found = reports.fix(text="a", steps=[*reports.fix().steps, *refused], **memory)
    given = {**NOTHING, "steps": refused, "reason": "none of 4 changes helps", "left_out": [LEFT_OUT]}
    nothing = reports.fix("nothing", **given)
    told = [
        reports.shown([*build_fix(searched, one, full=full), *build_ending(searched, one, "run.json")])
        for one, full in ((found, False), (found, True), (nothing, False))
    ]
    for status, fields in {"taken": {}, "interrupted": NOTHING, "not-proven": FAR, "nothing": NOTHING}.items():
        told.append(reports.shown(list(build_fix(searched, reports.fix(status, **fields), full=False))[:1]))
    golden("sections/fix.txt", "\n".join(told))


def test_what_was_not_decided_is_not_called_healthy(searched: Profile) -> None:
    for given, label in (
        ({"reason": "what is left of the budget is too short"}, "Nothing proven"),
        ({"reason": "the step is the limit, not the pipeline"}, "Nothing to change"),
        # None could be measured, or one that could not be tried promises much.
        ({"steps": [step()]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=17.0)]}, "Nothing proven"),
        ({"steps": [step(speedup=0.9), step(result="not-tried", predicted=1.1)]}, "Nothing to change"),
        ({"left_out": [LEFT_OUT]}, "Nothing proven"),
        ({"left_out": [LEFT_OUT], "reason": "the budget is used up"}, "Nothing proven"),
    ):
        found = reports.fix("nothing", **{**NOTHING, "reason": "none of 4 helps", **given})
        head, *_ = build_fix(searched, found, full=False)
        assert isinstance(head, Text)
        assert head.text[0][0] == label


def test_facts_are_those_of_the_proof(searched: Profile) -> None:
    differs = "the first 7 batches have the same types; two processes of the pipeline itself differ in more"
    for found, name, said in (
        (reports.fix(), "data", "equal"),
        (reports.fix(measured=measured(1.8, data=differs)), "data", "could not be compared"),
        (reports.fix(steps=[step(result="taken", cache=Kept())]), "cache", ""),
        (reports.fix("nothing", **NOTHING, left_out=[LEFT_OUT]), "change", ""),
    ):
        facts = dict(row for pairs in of(Pairs, build_fix(searched, found, full=False)) for row in pairs.rows)
        assert said in facts[name]


def test_many_tried_changes_are_named_up_to_a_number_and_all_in_full(searched: Profile) -> None:
    tried = [*(step(str(number), speedup=0.9) for number in range(20)), *reports.fix().steps[:1], step("c")]
    short, full = ([*build_fix(searched, reports.fix(steps=tried), full=full)] for full in (False, True))
    names = [[row[1] for row in reports.rows(of(Table, blocks)[0])] for blocks in (short, full)]
    assert ([*map(len, names)], "Run decode in parallel" in names[0]) == ([12, 22], True), "what is taken is there"
    assert of(Heading, short)[0].rest.startswith("10 more")
    assert any(text.startswith("1 change rejected") for text in reports.texts(short))


def test_the_last_command_takes_the_result_or_goes_on(searched: Profile) -> None:
    nothing, order = {**NOTHING, "status": "nothing"}, "spec.yaml --allow order"
    for command, given, line in (
        ("spec.yaml", {"text": "a"}, "show 'a run.json' --out spec.fast.yaml"),
        ("spec.yaml --write", {"text": "a"}, ""),
        ("spec.yaml --change 1 --out b.yaml", {"text": "a", "status": "taken"}, "fix spec.yaml --change 1 --write"),
        ("spec.yaml --set a=1", {"text": "a"}, "fix spec.yaml --set a=1 --out spec.fast.yaml"),
        ("train.py:make", {}, "show 'a run.json' --out fast.patch"),
        ("train.py:make --out 'a b.patch'", {}, "git apply 'a b.patch'"),
        ("train.py:make", {"diff": None}, ""),
        (order, {**FAR, "status": "not-proven"}, f"fix {order} --budget 40"),
        ("spec.yaml", {**nothing, "needs_seconds": 90}, "fix spec.yaml --budget 90"),
        ("spec.yaml", {**nothing, "left_out": [LEFT_OUT]}, f"fix {order}"),
        ("spec.yaml", nothing, ""),
    ):
        searched.command = ["pipeprof", "fix", *shlex.split(command)]
        searched.target.text, searched.target.overrides = searched.command[2], ["a=1"] if "--set" in command else []
        (saved, *last) = codes(build_ending(searched, reports.fix(**given), "a run.json"))
        assert (saved, [one.removeprefix("pipeprof ") for one in last]) == ("a run.json", [line] if line else [])


def test_what_no_diff_has_is_written_by_hand_with_variables_quoted_for_the_shell(searched: Profile) -> None:
    found = reports.fix(diff=None, environment={"A; id #": "1", "OMP_NUM_THREADS": "1; id"})
    blocks = build_fix(as_function(searched), found, full=False)
    assert codes(blocks) == [*found.changes, "'A; id #=1'", "OMP_NUM_THREADS='1; id'"]
