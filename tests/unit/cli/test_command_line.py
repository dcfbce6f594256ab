"""Command lines that repeat a run: all flags kept, changes applied, read back by the command's own parser."""

import shlex
from collections.abc import Callable
from dataclasses import asdict, replace

import pytest

from pipeprof.cli.command_line import OUTPUTS, build_parser, change_command, parse_run, recover_options, rerun
from pipeprof.cli.main import make_app
from pipeprof.cli.options import RunOptions
from pipeprof.cli.report.report import build_report
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.document.subject import Target

Recorded = Callable[[str], Profile]

EVERY_FLAG = (
    "spec.yaml --set stages.0.x=1 --env --no-python --seconds 5 --steps 9"
    " --step simulate:12ms --dispatch 2 --cold --seed 0 --timeout 3min --max-time 60 --memory-limit 8GiB"
    " --change 2 --from a.json --budget 9 --no-verify --redact --no-lock --dataset-size 1TB --no-cache"
    " --workers 2"
)


def ran(profile: Profile, line: str) -> Profile:
    """The profile as a run with these words would have written it."""
    words = shlex.split(line)
    options = parse_run(words)
    profile.command = ["pipeprof", "run", *words]
    profile.target.text = options.target
    profile.target.overrides = options.sets or []
    return profile


def again(line: str | None) -> RunOptions:
    """What the command line means to the parser."""
    assert line is not None
    words = shlex.split(line)
    assert words[:2] == ["pipeprof", "run"]
    return parse_run(words[2:])


def test_every_flag_is_kept_and_every_output_dropped(recorded: Recorded) -> None:
    profile = ran(
        recorded("input-bound"), f"{EVERY_FLAG} --out a.json --json --force --color never -q -v --format json"
    )
    assert again(rerun(profile)) == parse_run(shlex.split(EVERY_FLAG))


def test_the_flags_of_this_test_are_all_flags() -> None:
    function = parse_run(["f.py:make", "--arg", "n=1"])
    given = asdict(parse_run(shlex.split(EVERY_FLAG)))
    default = asdict(RunOptions(target="spec.yaml"))
    unchanged = {name for name in given if given[name] == default[name]} - {"target"}
    script = {"script_args", "to_end", "allow_writes", "soak"}
    assert unchanged == OUTPUTS | {"args"} | script
    given = parse_run(["train.py", "--to-end", "--allow-writes", "--", "--epochs", "3"])
    assert (given.script_args, given.to_end, given.allow_writes) == (["--epochs", "3"], True, True)
    assert function.args == ["n=1"]


def test_arguments_of_a_function_are_kept(recorded: Recorded) -> None:
    profile = ran(recorded("interrupted"), "'my load.py:train' --arg 'split=a b' --arg n=1")
    assert rerun(profile, seconds="3") == "pipeprof run 'my load.py:train' --arg 'split=a b' --arg n=1 --seconds 3"


def test_a_change_replaces_the_flag(recorded: Recorded) -> None:
    profile = ran(recorded("step-bound"), "spec.yaml --step none --dispatch 1 --seed 4")
    assert rerun(profile, step="simulate:12ms") == ("pipeprof run spec.yaml --dispatch 1 --seed 4 --step simulate:12ms")


def test_a_flag_can_be_taken_away(recorded: Recorded) -> None:
    profile = ran(recorded("step-bound"), "spec.yaml --memory-limit 1GiB --cold")
    assert rerun(profile, memory_limit=None, cold=False) == "pipeprof run spec.yaml"


@pytest.mark.parametrize("command", [[], ["pipeprof"], ["pipeprof", "run", "--no-such-flag"], ["pytest", "-q", "x"]])
def test_without_a_command_line_the_document_names_the_changes(command: list[str], recorded: Recorded) -> None:
    profile = recorded("no-model")
    profile.command = command
    assert recover_options(profile) == replace(RunOptions(target="spec.yaml"), sets=["options.autotune.enabled=false"])
    assert rerun(profile) == "pipeprof run spec.yaml --set options.autotune.enabled=false"


def test_the_parser_is_that_of_the_command() -> None:
    import typer

    command = typer.main.get_command(make_app()).commands["run"]  # type: ignore[attr-defined]
    assert [(p.name, p.opts, p.default) for p in command.params] == [
        (p.name, p.opts, p.default) for p in build_parser().params
    ]


@pytest.mark.parametrize(
    ("text", "ended", "command"),
    [
        ("train.py", "the block", "pipeprof run train.py --change 1"),
        ("train.py", "pipeprof.profile", None),
        ("train.py", "the cell", None),
        ("notebook", "the cell", None),
        ("interactive", "the block", None),
    ],
)
def test_what_a_notebook_or_a_call_has_measured_no_command_measures_again(
    recorded: Recorded, text: str, ended: str, command: str | None
) -> None:
    profile = recorded("input-bound")
    profile.command = ["python", "ipykernel_launcher.py", "-f", "kernel.json"]
    profile.target = Target(kind="script", text=text)
    profile.training = Training(ended=ended)
    profile.findings = [Finding(rule="parallel-calls", title="In parallel", patch="- map: {}", status="unverified")]
    assert change_command(profile, 1) == command
    lines = [rerun(profile), change_command(profile, 1, "fix")]
    assert all((line is None) == (command is None) for line in lines), lines
    shown = paint(build_report(profile, "a.json"), Style())
    assert ("pipeprof fix tries them" in shown) is (command is not None), shown
    assert ("pipeprof run FILE.py:FUNCTION tries them" in shown) is (command is None), shown
