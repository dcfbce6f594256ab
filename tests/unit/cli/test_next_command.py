"""The command that a report ends with: which one, and that it continues the run it is about."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pipeprof.cli.command_line import OUTPUTS, parse_command
from pipeprof.cli.report.blocks import Code
from pipeprof.cli.report.next_step import NextCommand, next_command
from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.document.findings import Kept, Unfinished, VerdictDetail
from pipeprof.profiles.document.memory import LedgerEntry, MemoryGrowth
from pipeprof.profiles.document.messages import Message, Problem
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Phase
from tests.unit.cli.reports import Golden, Recorded, as_function, by_hand, finding, measured, shown, verified

Change = Callable[[Profile], object]
SAVED = "pipeprof-out/spec-20260731T101112Z.json"
GIB = 1 << 30
ABOUT = {"target", "set", "sets", "env", "arg", "args", "no_python", "script_args"}
"""Options that no command changes: they are what a run is about."""


def differences(before: list[str], line: str) -> set[str]:
    """The options in which a command is not the run that it continues, but for one that it changes."""
    program, name, *words = shlex.split(line)
    assert program == "pipeprof"
    if name == "show":
        return set()
    # What `check` is given here, `run` reads too.
    was, now = (vars(parse_command(*one)) for one in (("run", before[2:]), (name.replace("check", "run"), words)))
    changed = {option for option in was.keys() & now.keys() - set(OUTPUTS) if was[option] != now[option]}
    return changed & ABOUT or (changed if name == "run" and len(changed - {"steps", "dispatch"}) > 1 else set())


def chosen(profile: Profile) -> NextCommand:
    command = next_command(profile, SAVED)
    assert command is not None
    assert differences(profile.command, command.line) == set()
    return command


def with_flags(profile: Profile, flags: str = "") -> Profile:
    """The profile as a run with these flags would have written it."""
    profile.command = ["pipeprof", "run", profile.target.text, *shlex.split(flags)]
    profile.target.overrides = [flags.split()[1]] if "--set" in flags else []
    return profile


def found(*findings: Any, function: bool = False, busy: bool = False, **tried: Any) -> Change:
    def change(profile: Profile) -> None:
        (as_function(profile) if function else profile).findings = list(findings)
        profile.verification = verified(**tried) if tried else None
        assert profile.verdict is not None
        profile.verdict.disturbed = busy

    return change


def grows(profile: Profile, *, leak: bool = True) -> None:
    profile.memory.growth = MemoryGrowth(mb_per_1000_steps=9, low=8, high=10, windows=9, leak=leak)


def incomplete(profile: Profile) -> None:
    profile.complete = False


def lasted(seconds: float, steps: int, *warnings: str) -> Change:
    def change(profile: Profile) -> None:
        assert profile.steps is not None
        profile.steps.count, profile.steps.seconds = steps, seconds
        profile.warnings = [Message(code=code, message="…") for code in warnings]

    return change


def full_memory(profile: Profile, held: float = 3.0, label: str = "memory") -> None:
    assert profile.verdict is not None
    assert profile.stages is not None
    profile.verdict.details = [VerdictDetail(label=label, text="5 GiB at the peak")]
    profile.memory.peak_bytes, profile.stages[0].op, stage = 5 * GIB, "shuffle", profile.stages[0].id
    profile.memory.ledger = [LedgerEntry(owner="shuffle", stage=stage, bytes=int(held * GIB), how="measured")]


def waiting(needed: int = 12, **fields: Any) -> Any:
    left = Unfinished(pairs=8, needed=needed, budget_seconds=40)
    return finding(measured=measured(1.7), unfinished=left, **fields)


KEPT = finding("kept", measured=measured(2.0))
CACHE = finding(
    "kept", InsertStage("cache", {}, "source"), measured=measured(9.0), cache=Kept(), diff="--- a/train.py\n"
)
SAVES = finding("kept", family="memory", measured=measured(1.0, peak_rss_delta_bytes=-GIB))
OPEN, WRITTEN = finding(in_spec=False), by_hand("ceiling", measured=measured(1.5))
WRONG = by_hand(family="correctness", edit=None)
TABLE: tuple[tuple[str, Change, str, Change], ...] = (
    ("a run that did not end", incomplete, "run SPEC", lasted(9.0, 99)),
    ("disturbed", found(busy=True), "run SPEC", found()),
    ("disturbed, and nothing tried", found(busy=True, needs_seconds=50), "run SPEC --budget 50",
     found(KEPT, busy=True, needs_seconds=50)),
    ("a gain that lacks rounds", found(waiting(), SAVES), "run SPEC --budget 40", found(waiting(), KEPT)),
    ("proven in a spec", found(OPEN, KEPT), "fix SPEC --change 2 --write", found(OPEN, finding())),
    ("proven in a function", found(waiting(), CACHE, function=True), "fix FUNCTION --change 2 --out change-2.patch",
     found(KEPT, function=True)),
    ("proven without a diff", found(KEPT, function=True), "run FUNCTION --change 1", found(CACHE, function=True)),
    ("a change that a spec takes", found(OPEN, finding()), "run SPEC --change 2", found(finding("rejected"))),
    ("lines to write", found(OPEN, WRITTEN, function=True), "run FUNCTION", found(OPEN, function=True)),
    ("memory grows", grows, "run SPEC --soak 5m", partial(grows, leak=False)),
    ("a change that is open", found(OPEN, function=True), "run FUNCTION --change 1", found(WRONG, function=True)),
    ("wrong data", found(WRONG, needs_seconds=90), "run SPEC", found(finding("rejected", family="correctness"))),
    ("rounds that may not decide", found(waiting(20, edit=None)), "run SPEC --budget 40", found(waiting(20), WRITTEN)),
    ("no time for a try", found(needs_seconds=130), "run SPEC --budget 130", found(KEPT, needs_seconds=130)),
    ("writes refused", lasted(9.0, 99, "would-overwrite"), "run SPEC --allow-writes", lasted(9.0, 99, "no-trace")),
    ("few steps", lasted(0.1, 5), "run SPEC --seconds 30", lasted(0.1, 5, "short-script")),
    ("few steps in a long time", lasted(40.0, 6), "run SPEC --seconds 2min", lasted(40.0, 20)),
    ("not settled", lasted(9.0, 99, "not-settled"), "run SPEC --seconds 30", lasted(9.0, 99)),
    ("memory is named", full_memory, "check SPEC --memory-limit 3GiB", partial(full_memory, label="because")),
    ("buffers are much of it", full_memory, "check SPEC --memory-limit 3GiB", partial(full_memory, held=0.1)),
)  # fmt: skip


@pytest.mark.parametrize(("change", "line", "unless"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_row_has_its_condition(change: Change, line: str, unless: Change, recorded: Recorded) -> None:
    profile, other = (with_flags(recorded("step-bound")) for _ in range(2))
    assert next_command(profile, SAVED) is None, "nothing is to be done after a healthy run"
    line = f"pipeprof {line.replace('SPEC', profile.target.text).replace('FUNCTION', 'train.py:make')}"
    change(profile)
    unless(other)
    assert chosen(profile).line == line
    assert getattr(next_command(other, SAVED), "line", None) != line


def test_golden(recorded: Recorded, golden: Golden) -> None:
    told = []
    for name, change, *_ in TABLE:
        change(profile := with_flags(recorded("step-bound")))
        command = chosen(profile)
        told.append(f"{name}\n{shown([Code(command.line, label='Next ', note=command.purpose)])}")
    golden("report/next.txt", "\n".join(told))


@pytest.mark.parametrize(
    ("code", "flags", "expected"),
    [
        ("hung", "--no-python", "pipeprof run spec.yaml --no-python --timeout 10min"),
        ("hung", "--timeout 50", "pipeprof run spec.yaml --timeout 250"),
        ("max-time", "--max-time 1min", "pipeprof run spec.yaml --max-time 3min"),
        ("step-raised", "--step simulate:1ms", "pipeprof run spec.yaml --step none"),
        ("out-of-memory", "--memory-limit 2GiB", "pipeprof check spec.yaml --memory-limit 2GiB"),
        ("write-before-steps", "", "pipeprof run spec.yaml --allow-writes"),
        ("ModuleNotFoundError: No module named 'cv2'", "", "pipeprof run spec.yaml"),
        ("raised", "", f"pipeprof show {SAVED} -v"),
        ("crashed", "", None),
        ("empty", "", None),
        ("interrupted", "--no-python", "pipeprof run spec.yaml --no-python"),
    ],
)
def test_after_a_failure(code: str, flags: str, expected: str | None, recorded: Recorded) -> None:
    profile = with_flags(recorded("out-of-memory"), flags)
    traceback = "ValueError: no" if code == "raised" else None
    profile.errors = [Problem(code=code, message=code, stage="stages.1", traceback=traceback)]
    assert getattr(next_command(profile, SAVED), "line", None) == expected
    assert code != "raised" or next_command(profile, None) is None


def test_after_an_early_end_it_is_measured_again_within_the_time_there_was(recorded: Recorded) -> None:
    for code, words in (("interrupted", ""), ("max-time", " --seconds 2")):
        profile = with_flags(recorded("interrupted"), "--arg split=train")
        profile.errors = [Problem(code=code, message="…")]
        assert chosen(profile).line == f"pipeprof run pipelines/load.py:train --arg split=train{words}"
    profile.errors, said = [Problem(code="hung", message="…")], []
    for phase in ("build", "measure"):
        profile.phases = [Phase(name="import"), Phase.model_validate({"name": phase})]
        said.append(chosen(profile).purpose)
    assert ("building" in said[0], "a batch" in said[1]) == (True, True), "what may only be slow is named"


def test_flags_of_the_run_are_kept(recorded: Recorded) -> None:
    flags = "--set options.deterministic=false --env --no-python"
    lines = set()
    changes: tuple[Change, ...] = (incomplete, found(KEPT), found(finding()), grows, lasted(0.1, 5), full_memory)
    for change in changes:
        change(profile := with_flags(recorded("step-bound"), flags))
        lines.add(chosen(profile).line)
    assert len([line for line in lines if flags in line]) == len(changes)


@pytest.mark.parametrize(
    ("batch_ms", "step"), [(1.2324, "1.3ms"), (83.0, "83ms"), (412.6, "420ms"), (0.0451, "1ms"), (1700.0, "1700ms")]
)
def test_without_a_step_one_as_long_as_a_batch_is_added(batch_ms: float, step: str, recorded: Recorded) -> None:
    profile = with_flags(recorded("step-none"), "--no-python")
    assert profile.steps is not None
    profile.steps.interval_ms.mean = batch_ms
    assert chosen(profile).line.endswith(f" --step simulate:{step}")


def test_a_change_of_a_profile_that_is_not_the_latest_names_its_file(recorded: Recorded) -> None:
    profile = with_flags(recorded("step-bound"))
    profile.findings = [KEPT]
    profile.reads_from("old.json")
    assert "old.json" in chosen(profile).line
    profile.target.edits = ["x"]
    assert next_command(profile, SAVED) is None, "a number would mean another change"
