"""Options that have no effect beside another one or on the target: refused where they were typed, else left out."""

from __future__ import annotations

from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.cli.refused import MODES, flag_of
from tests.unit.cli.reports import Pipeprof

REFUSED = {
    "run s.yaml --json --format md": "--format",
    "rules --json --format md": "",
    "show a.json --json -v": "--verbose",
    "check s.yaml --force": "--force",
    "init --out - --force": "--force",
    "run f.py:make --set a=1": "--set",
    "check f.py:make --env": "--env",
    "compare f.py:make git:main --set a=1": "--set",
    "compare a.json b.json --set a=1": "--set",
    "run s.yaml --arg a=1": "--arg",
    "gate s.yaml --against git:main:s.yaml --arg a=1": "--arg",
    "run train.py --step none": "--step",
    "fix train.py --dataset-size 9": "--dataset-size",
    "run train.py --cold": "--cold",
    "run f.py:make -- x": "what follows TARGET",
    "run s.yaml --to-end": "--to-end",
    "fix s.yaml --allow-writes": "--allow-writes",
    "run train.py --budget 3": "--budget",
    "run f.py: --workers 2": "--workers",
    "run f.py: --soak 9m": "--soak",
    "run f.py: --change 1": "--change",
    "run f.py: --cold": "--cold",
    "fix f.py: --dataset-size 9": "--dataset-size",
    "fix f.py: --write": "--write",
    "run s.yaml --soak 9m --seconds 3": "--seconds",
    "run s.yaml --soak 9m --budget 3": "--budget",
    "run train.py --soak 9m --to-end": "--to-end",
    "run train.py --to-end --steps 3": "--steps",
    "run s.yaml --no-verify --budget 3": "--budget",
    "fix s.yaml --change 1 --budget 3": "--budget",
    "run s.yaml --change 1 --budget 3": "--budget",
    "fix s.yaml --change 1 --allow order": "--allow",
    "fix s.yaml --change 1 --step none": "--step",
    "compare a.json s.yaml --pairs 3": "--pairs",
    "compare a.json b.json --step none": "--step",
    "compare a.json b.json --max-time 9": "--max-time",
    "gate s.yaml --self-test --against s.yaml": "--against",
    "gate s.yaml --self-test --measure": "--measure",
    "check s.yaml --no-build --fail-on warning": "--fail-on",
    "check f.py:make --no-build --arg a=1": "--arg",
    "data list --all": "--all",
    "data list x": "a name",
    "data rm --all --json": "--json",
}


def test_an_option_without_effect_is_refused_in_a_sentence(pipeprof: Pipeprof) -> None:
    for line, named in REFUSED.items():
        done = pipeprof(*line.split())
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1 if named else 2), line
        assert not named or done.err.startswith(f"pipeprof: error: {named} has no effect "), done.err
    known = {str(one.name) for name in COMMANDS for one in make_parser(name).params}
    assert {name for mode in MODES for name in (*mode.others, mode.option or "target")} <= known
    tested = {flag for flag in REFUSED.values() if flag}
    assert {flag_of(name) for mode in MODES[:-1] for name in mode.others} - tested == {
        "--timeout", "--memory-limit", "--no-cache",
    }  # fmt: skip


def test_what_forbids_what_does_not_happen_anyway_is_kept_and_a_git_ref_is_for_comparisons(pipeprof: Pipeprof) -> None:
    kept = ("run train.py --no-verify", "run s.yaml --soak 9m --no-verify", "compare a.json b.json --no-python -q")
    assert not any("has no effect" in pipeprof(*line.split()).err for line in kept)
    for command in ("run", "fix", "check"):
        done = pipeprof(command, "git:main:s.yaml")
        assert (done.code, "only compare and gate take a target at a git ref" in done.err) == (2, True)
