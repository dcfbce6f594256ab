"""Command lines that repeat a run: all flags kept, changes applied, read back by the command's own parser."""

import shlex
from dataclasses import asdict, replace

import pytest

from pipeprof.cli.command_line import OUTPUTS, change_command, check_limit, parse_command, recover_options, rerun
from pipeprof.cli.options import RunOptions
from pipeprof.cli.report.report import build_report
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Training
from pipeprof.profiles.document.subject import Target
from tests.unit.cli.reports import Recorded, finding

EVERY_FLAG = (
    "spec.yaml --set stages.0.x=1 --env --no-python --seconds 5 --steps 9 --step simulate:12ms,dispatch=2 --timeout 3m"
    " --max-time 60 --memory-limit 8GiB --change a.json:2 --budget 9 --no-verify --redact --dataset-size 1TB --no-cache"
    " --workers 2 --cold"
)
OF_OTHERS = {"arg", "script_args", "to_end", "allow_writes", "soak"}
"""Options of a function, of a script and of a soak."""


def ran(profile: Profile, line: str) -> Profile:
    """The profile as a run with these words would have written it."""
    words = shlex.split(line)
    options = parse_command("run", words)
    profile.command = ["pipeprof", "run", *words]
    profile.target.text = options.target
    profile.target.overrides = options.set or []
    return profile


def test_every_flag_is_kept_and_every_output_dropped(recorded: Recorded) -> None:
    profile = ran(recorded("input-bound"), f"{EVERY_FLAG} --out a.json --json --force -q -v --format json")
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
        ("train.py --to-end -- --epochs 3", {"soak": "9m"}, "train.py --to-end --soak 9m -- --epochs 3"),
    ):
        profile = ran(recorded("step-bound"), line)
        if "train.py" in line:
            profile.target = Target(kind="script", text="train.py", script_arguments=["--epochs", "3"])
        assert rerun(profile, **changes) == f"pipeprof run {expected}"
    profile = ran(recorded("step-bound"), "spec.yaml --set stages.0.x=1 --env --seconds 3 --out a.json")
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
