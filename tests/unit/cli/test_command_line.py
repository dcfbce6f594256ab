"""Commands that continue a run: all its flags kept, changes applied, and the one that a report ends with."""

import shlex
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import reduce
from typing import Any

import pytest

from pipeprof.cli.command_line import OUTPUTS, change_command, check_limit, parse_command, recover_options, rerun
from pipeprof.cli.options import RunOptions
from pipeprof.cli.report.blocks import Code
from pipeprof.cli.report.next_step import NextCommand, next_command
from pipeprof.cli.report.report import build_report
from pipeprof.pipelines.changes.edits import InsertStage
from pipeprof.profiles.document.findings import Kept, Unfinished
from pipeprof.profiles.document.memory import MemoryGrowth
from pipeprof.profiles.document.profile import Message, Problem, Profile, Target
from pipeprof.profiles.document.shared import Training
from tests.unit.cli.reports import MIB, Golden, Recorded, as_function, by_hand, finding, measured, shown, verified

EVERY_FLAG = (
    "spec.yaml --set stages.0.x=1 --env --no-python --seconds 5 --steps 9 --step simulate:12ms,dispatch=2 --timeout 3m"
    " --max-time 60 --memory-limit 8GiB --change a.json:2 --budget 9 --no-verify --redact --dataset-size 1TB --no-cache"
    " --workers 2 --cold"
)
OF_OTHERS = {"arg", "script_args", "to_end", "allow_writes", "soak"}
"""Options of a function, of a script and of a soak."""


def test_every_flag_is_kept_and_every_output_dropped(recorded: Recorded) -> None:
    profile = with_flags(recorded("input-bound"), "--out a.json --json --force -q -v --format json", EVERY_FLAG)
    line = rerun(profile)
    assert line is not None
    assert shlex.split(line)[:2] == ["pipeprof", "run"]
    given = parse_command("run", shlex.split(EVERY_FLAG))
    assert parse_command("run", shlex.split(line)[2:]) == given
    default = asdict(RunOptions(target="spec.yaml"))
    assert {name for name, value in asdict(given).items() if value == default[name]} == {"target", *OUTPUTS, *OF_OTHERS}


def test_changes_replace_flags_and_take_them_away(recorded: Recorded) -> None:
    for line, changes, expected in (
        ("'a b.py:f' --arg 'c=a b' --arg n=1", {"seconds": "3"}, "'a b.py:f' --arg 'c=a b' --arg n=1 --seconds 3"),
        ("spec.yaml --step none --budget 4", {"step": "simulate:12ms"}, "spec.yaml --budget 4 --step simulate:12ms"),
        ("spec.yaml --memory-limit 1GiB --no-cache", {"memory_limit": None, "no_cache": False}, "spec.yaml"),
        ("spec.yaml --no-redact", {}, "spec.yaml --no-redact"),
        ("./-y.yaml", {}, "./-y.yaml"),
        ("train.py --to-end -- --epochs 3", {"soak": "9m"}, "train.py --to-end --soak 9m -- --epochs 3"),
    ):
        profile = with_flags(recorded("step-bound"), target=line)
        if "train.py" in line:
            profile.target = Target(kind="script", text="train.py", script_arguments=["--epochs", "3"])
        assert rerun(profile, **changes) == f"pipeprof run {expected}"
    profile = with_flags(recorded("step-bound"), "--set stages.0.x=1 --env --seconds 3 --out a.json", "spec.yaml")
    line = "pipeprof check spec.yaml --set stages.0.x=1 --env --memory-limit 8GiB"
    assert check_limit(profile, "8GiB") == line
    assert parse_command("check", shlex.split(line)[2:]).targets == ["spec.yaml"]


@pytest.mark.parametrize("command", [[], ["pipeprof"], ["pipeprof", "run", "--no-such-flag"], ["pytest", "-q", "x"]])
def test_without_a_command_line_the_document_names_the_changes(command: list[str], recorded: Recorded) -> None:
    profile = recorded("no-model")
    profile.command = command
    assert recover_options(profile) == replace(RunOptions(target="spec.yaml"), set=["options.autotune.enabled=false"])
    assert rerun(profile) == "pipeprof run spec.yaml --set options.autotune.enabled=false"


def test_what_a_notebook_or_a_call_has_measured_no_command_measures_again(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.command = ["python", "ipykernel_launcher.py", "-f", "kernel.json"]
    profile.findings = [finding(rule="parallel-calls", patch="- map: {}", made=None)]
    for text, ended, command in (
        ("train.py", "the block", "pipeprof run train.py --change 1"),
        ("train.py", "pipeprof.profile", None),
        ("train.py", "the cell", None),
        ("notebook", "the cell", None),
        ("interactive", "the block", None),
    ):
        profile.target, profile.training = Target(kind="script", text=text), Training(ended=ended)
        assert change_command(profile, 1) == command
        lines = [rerun(profile), change_command(profile, 1, "fix")]
        assert all((line is None) == (command is None) for line in lines), lines
        shown = str(list(build_report(profile, "a.json")))
        assert ("pipeprof fix" in shown) is (command is not None), shown


Change = Callable[[Profile], object]
SAVED = "pipeprof-out/spec-20260731T101112Z.json"


def chosen(profile: Profile) -> NextCommand:
    command = next_command(profile, SAVED)
    assert command is not None
    return command


def with_flags(profile: Profile, flags: str = "", target: str = "") -> Profile:
    """The profile as a run of this target with these flags would have written it."""
    words = [*(shlex.split(target) or [profile.target.text]), *shlex.split(flags)]
    profile.command = ["pipeprof", "run", *words]
    profile.target.text, profile.target.overrides = words[0], parse_command("run", words).set or []
    return profile


def given(*findings: Any, function: bool = False, needs: int | None = None, **values: Any) -> Change:
    """A profile with findings, a budget that it needs, and with other values by their places."""

    def change(profile: Profile) -> None:
        (as_function(profile) if function else profile).findings = list(findings)
        profile.verification = verified(needs_seconds=needs) if needs is not None else None
        for place, value in values.items():
            *way, name = place.split("__")
            setattr(reduce(getattr, way, profile), name, value)

    return change


def lasted(seconds: float, steps: int, *warnings: str) -> Change:
    messages = [Message(code=code, message="…") for code in warnings]
    return given(steps__seconds=seconds, steps__count=steps, warnings=messages)


def waiting(needed: int = 12, **fields: Any) -> Any:
    return finding(measured=measured(1.7), unfinished=Unfinished(pairs=8, needed=needed, budget_seconds=40), **fields)


LEAK, STEADY = (MemoryGrowth(leak=leak) for leak in (True, False))
KEPT = finding("kept", measured=measured(2.0))
CACHE = finding("kept", InsertStage("cache", {}, "source"), measured=measured(9.0), cache=Kept(), diff="--- a\n")
SAVES = finding("kept", family="memory", measured=measured(1.0, peak_rss_delta_bytes=-1024 * MIB))
OPEN, WRITTEN = finding(in_spec=False), by_hand("ceiling", measured=measured(1.5))
WRONG = by_hand(family="correctness", edit=None)
TABLE: tuple[tuple[str, Change, str, Change], ...] = (
    ("a run that did not end", given(complete=False), "run SPEC", lasted(9.0, 99)),
    ("disturbed", given(verdict__disturbed=True), "run SPEC", given()),
    ("a gain that lacks rounds", given(waiting(), SAVES), "run SPEC --budget 40", given(waiting(), KEPT)),
    ("proven in a spec", given(OPEN, KEPT), "fix SPEC --change 2 --write", given(OPEN, finding())),
    ("proven in a function", given(waiting(), CACHE, function=True), "fix FUNCTION --change 2 --out change-2.patch",
     given(KEPT, function=True)),
    ("proven without a diff", given(KEPT, function=True), "run FUNCTION --change 1", given(CACHE, function=True)),
    ("a change that a spec takes", given(OPEN, finding()), "run SPEC --change 2", given(finding("rejected"))),
    ("lines to write", given(WRITTEN, OPEN, function=True), "run FUNCTION", given(OPEN, function=True)),
    ("memory grows", given(finding(), memory__growth=LEAK), "run SPEC --soak 5m", given(memory__growth=STEADY)),
    ("a change that is open", given(OPEN, function=True), "run FUNCTION --change 1", given(WRONG, function=True)),
    ("wrong data", given(WRONG, needs=90), "run SPEC", given(finding("rejected", family="correctness"))),
    ("rounds that may not decide", given(waiting(20)), "run SPEC --budget 40", given(waiting(20), KEPT)),
    ("no time for a try", given(needs=130), "run SPEC --budget 130", given(finding("kept", None), needs=130)),
    ("writes refused", lasted(9.0, 99, "would-overwrite"), "run SPEC --allow-writes", lasted(9.0, 99, "no-trace")),
    ("few steps", lasted(0.1, 5), "run SPEC --seconds 30", lasted(0.1, 5, "short-script")),
    ("few steps in a long time", lasted(40.0, 6), "run SPEC --seconds 2min", lasted(40.0, 20)),
    ("not settled", lasted(9.0, 99, "not-settled"), "run SPEC --seconds 30", lasted(9.0, 99)),
)  # fmt: skip


@pytest.mark.parametrize(("change", "line", "unless"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_each_row_has_its_condition(change: Change, line: str, unless: Change, recorded: Recorded) -> None:
    flags = "--set options.deterministic=false --env --no-python"
    profile, other, flagged = (with_flags(recorded("step-bound"), given) for given in ("", "", flags))
    assert next_command(profile, SAVED) is None, "nothing is to be done after a healthy run"
    line = f"pipeprof {line.replace('SPEC', profile.target.text).replace('FUNCTION', 'train.py:make')}"
    for changed in (profile, flagged):
        change(changed)
    unless(other)
    assert chosen(profile).line == line
    assert flags in chosen(flagged).line or profile.target.kind == "function", "flags of the run are kept"
    assert getattr(next_command(other, SAVED), "line", None) != line


def test_golden(recorded: Recorded, golden: Golden) -> None:
    told = []
    for name, change, *_ in TABLE:
        change(profile := with_flags(recorded("step-bound")))
        command = chosen(profile)
        told.append(f"{name}\n{shown([Code(command.line, label='Next ', note=command.purpose)])}")
    golden("sections/next.txt", "\n".join(told))


def test_after_a_failure_comes_what_may_end_well(recorded: Recorded) -> None:
    for code, flags, expected in (
        ("hung", "--no-python", "run spec.yaml --no-python --timeout 10min"),
        ("hung", "--timeout 50", "run spec.yaml --timeout 250"),
        ("max-time", "--max-time 1min", "run spec.yaml --max-time 3min"),
        ("step-raised", "--step simulate:1ms", "run spec.yaml --step none"),
        ("out-of-memory", "--memory-limit 2GiB", "check spec.yaml --memory-limit 2GiB"),
        ("write-before-steps", "", "run spec.yaml --allow-writes"),
        ("ModuleNotFoundError: No module named 'cv2'", "", "run spec.yaml"),
        ("raised", "", f"show {SAVED} -v"),
        ("crashed", "", ""),
        ("empty", "", ""),
        ("interrupted", "--no-python", "run spec.yaml --no-python"),
    ):
        profile, traceback = with_flags(recorded("out-of-memory"), flags), "no" if code in {"raised", "empty"} else None
        profile.errors = [Problem(code=code, message=code, stage="stages.1", traceback=traceback)]
        assert getattr(next_command(profile, SAVED), "line", "") == (f"pipeprof {expected}" if expected else "")
        assert code != "raised" or next_command(profile, None) is None
    half = " --seconds 2"
    for code, flags, words in (("interrupted", "", ""), ("max-time", "", half), ("max-time", " --soak 9m", half)):
        profile = with_flags(recorded("interrupted"), f"--arg split=train{flags}")
        profile.errors = [Problem(code=code, message="…")]
        assert chosen(profile).line == f"pipeprof run pipelines/load.py:train --arg split=train{words}"


def test_without_a_step_one_as_long_as_a_batch_is_added(recorded: Recorded) -> None:
    profile = with_flags(recorded("step-none"), "--no-python")
    assert profile.steps is not None
    steps = {1.2324: "1.3ms", 83.0: "83ms", 412.6: "420ms", 0.0451: "1ms", 1700.0: "1700ms"}
    for profile.steps.interval_ms.mean, step in steps.items():
        assert chosen(profile).line.endswith(f" --step simulate:{step}")
    profile = with_flags(recorded("step-bound"))
    profile.findings, profile.target.edits = [KEPT], ["x"]
    assert next_command(profile, SAVED) is None, "a number would mean another change"
