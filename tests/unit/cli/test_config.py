"""Defaults of options from pyproject.toml and the environment: what may be set where, and what is an error."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli import config, main
from pipeprof.pipelines.errors import UsageError
from tests.unit.cli.test_main import Pipeprof

SPEC = """version: 1
source: {range: {stop: 100}}
stages:
  - batch: {batch_size: 8}
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(SPEC)


def given(table: str, command: str = "gate", *arguments: str) -> tuple[dict[str, Any], str]:
    """What a table sets for a command."""
    Path("pyproject.toml").write_text(table)
    return config.defaults(command, main._options_of(command), main._options_of, arguments)


def test_a_file_without_end_is_named(pipeprof: Pipeprof) -> None:
    Path("pyproject.toml").write_text(f"[tool.pipeprof]\nx = {'[' * 100_000}{']' * 100_000}\n")
    done = pipeprof("check", "a.yaml")
    assert done.code == 2
    assert "pyproject.toml cannot be read: it is nested too deeply" in done.err


def test_keys_are_the_names_of_the_options_and_a_command_has_its_own() -> None:
    found, note = given(
        '[tool.pipeprof]\nstep = "simulate:12ms"\nmax-time = 300\nbudget = 40\nquiet = true\n'
        "[tool.pipeprof.compare]\npairs = 9\nmax-time = 200\n",
        "compare",
    )
    assert found == {"step": "simulate:12ms", "max_time": "200", "quiet": True, "pairs": "9"}
    assert note.endswith("/pyproject.toml: step = 'simulate:12ms', max-time = '200', quiet = true, pairs = '9'")


def test_a_file_has_no_say_in_how_a_gate_judges() -> None:
    table = "step = 'simulate:1s'\ndispatch = 4\nseed = 3\nmax-time = 300\nno-python = true\n"
    for own in ("", "[tool.pipeprof.gate]\nstep = 'simulate:2s'\n"):
        found, note = given(f"[tool.pipeprof]\n{table}{own}")
        assert found == {"max_time": "300", "no_python": True}
    assert note.endswith("no-python = true; not for gate: dispatch, seed, step")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stpe = 'none'", "[tool.pipeprof]: no option 'stpe' — did you mean step?"),
        ("max_time = 3", "no option 'max_time' — did you mean max-time?"),
        ("step = 'python:evil.py:step'", "none or simulate:… only"),
        ("step = 'keras:evil.py:model'", "none or simulate:… only"),
        ("against = 'git:HEAD'", "a file of a checkout cannot set it"),
        ("measure = false", "a file of a checkout cannot set it"),
        ("[tool.pipeprof.gate]\nmax-step-ms = 'off'", "a file of a checkout cannot set it"),
        ("[tool.pipeprof.gate]\nmax-stage-ms = ['decode=5%']", "a file of a checkout cannot set it"),
        ("[tool.pipeprof.gate]\nmax-pairs = 1", "a file of a checkout cannot set it"),
        ("allow-writes = true", "a file of a checkout cannot set it"),
        ("env = true", "a file of a checkout cannot set it"),
        ("out = ['x.html']", "a file of a checkout cannot set it"),
        ("force = true", "a file of a checkout cannot set it"),
        ("set = ['stages.0.batch_size=1']", "a file of a checkout cannot set it"),
        ("no-lock = true", "a file of a checkout cannot set it"),
        ("redact = false", "true only"),
        ("no-python = false", "true only"),
        ("quiet = 'yes'", "expected true or false"),
        ("max-time = true", "expected a text or a number"),
        ("max-time = [3]", "expected a text or a number"),
        ("seconds = 'x'", "[tool.pipeprof] seconds: got 'x'"),
        ("memory-limit = 'x'", "[tool.pipeprof] memory-limit: got 'x'"),
        ("[tool.pipeprof.compare]\npairs = 0", "[tool.pipeprof.compare] pairs: got '0'"),
        ("[tool.pipeprof.gaet]\nseed = 1", "no command 'gaet' — did you mean gate?"),
        ("[tool.pipeprof.check]\nmax-pairs = 1", "[tool.pipeprof.check]: no option 'max-pairs'"),
        # Also where the command that runs has no such option.
        ("soak = true", "expected a text or a number"),
        ("cold = 'yes'", "expected true or false"),
        # Of another command than the one that runs.
        ("[tool.pipeprof.fix]\nwrite = true", "a file of a checkout cannot set it"),
        ("[tool.pipeprof.fix]\nallow = ['order']", "a file of a checkout cannot set it"),
        ("seed = ", "cannot be read"),
    ],
)
def test_what_a_file_must_not_set_is_an_error(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"pyproject\.toml") as caught:
        given(f"[tool.pipeprof]\n{line}\n")
    assert message in str(caught.value)


def test_every_option_is_either_for_a_file_or_refused_there() -> None:
    """A new option is refused in a file until somebody has decided that it is harmless."""
    names = {name for command in main._options_of("") for name in main._options_of(command)}
    assert names >= config._OF_A_FILE
    assert {name for name in config._OF_A_FILE if name.startswith("max-")} == {"max-time"}
    refused = {"allow", "allow-writes", "arg", "env", "force", "from", "no-lock", "out", "set"}
    assert refused | {"against"} <= names - config._OF_A_FILE
    assert {"write", "to-end"} <= names - config._OF_A_FILE


def test_an_error_in_the_file_ends_a_command_and_a_default_counts(pipeprof: Pipeprof) -> None:
    Path("pyproject.toml").write_text("[tool.pipeprof]\nstep = 'python:a.py:f'\n")
    refused = pipeprof("check", "a.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert "simulate:… only" in refused.err
    assert pipeprof("check", "--help").code == 0
    Path("pyproject.toml").write_text("[tool.pipeprof.check]\nmemory-limit = '1XB'\n")
    assert "[tool.pipeprof.check] memory-limit: got '1XB'" in pipeprof("check", "a.yaml", "--memory-limit", "8GiB").err
    Path("pyproject.toml").write_text("[tool.pipeprof.check]\nmemory-limit = '1KB'\n")
    assert "Limit 1000 B" in pipeprof("check", "a.yaml").out
    assert pipeprof("check", "a.yaml", "--memory-limit", "8GiB").code == 0
    Path("pyproject.toml").write_text("[tool.pipeprof]\nno-python = true\n")
    Path("train.py").write_text("def make():\n    return None\n")
    found = pipeprof("check", "train.py:make")
    assert found.code == 2
    assert "--no-python" in found.err
    assert "pyproject.toml: no-python = true" in found.err


def test_the_environment_comes_before_the_file_and_the_command_line_before_both(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("pyproject.toml").write_text("[tool.pipeprof]\nformat = 'json'\n")
    assert pipeprof("check", "a.yaml").out.startswith("{")
    monkeypatch.setenv("PIPEPROF_FORMAT", "text")
    assert pipeprof("check", "a.yaml").out.startswith("a.yaml: no errors")
    assert pipeprof("check", "a.yaml", "--format", "json").out.startswith("{")
    monkeypatch.delenv("PIPEPROF_FORMAT")
    monkeypatch.setenv("PIPEPROF_NO_PYTHON", "maybe")
    assert "PIPEPROF_NO_PYTHON: got 'maybe', expected 1 or 0" in pipeprof("check", "a.yaml").err


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("PIPEPROF_MAX_PAIR", "PIPEPROF_MAX_PAIRS"),
        ("PIPEPROF_max_pairs", "PIPEPROF_MAX_PAIRS"),
        ("PIPEPROF_GUARDS", None),
        ("PIPEPROF_CACHEDIR", "PIPEPROF_CACHE_DIR"),
        ("PIPEPROF_", None),
        ("PIPEPROF_QQQ", None),
    ],
)
def test_a_variable_that_is_no_option_is_an_error(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch, variable: str, meant: str | None
) -> None:
    monkeypatch.setenv(variable, "4")
    said = f"pipeprof: error: {variable}: no option of this name{f' — did you mean {meant}?' if meant else ''}\n"
    for words in (["check", "a.yaml"], ["explain", "E101"], ["data", "list"]):
        found = pipeprof(*words)
        assert (found.code, found.out, found.err) == (2, "", said)
    assert pipeprof("check", "--help").code == 0


def test_variables_of_other_commands_and_of_others_are_no_error(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are set that a run gives its own processes, so that a pipeprof in a pipeprof is not refused."""
    others = ("PORT", "PORT_80_TCP_ADDR", "SERVICE_HOST", "WORKER_SERVICE_PORT_GRPC", "WORKER_PORT_80_TCP")
    for name in (*config._OTHER, *(f"PIPEPROF_{one}" for one in ("MAX_PAIRS", "WRITE", *others))):
        monkeypatch.setenv(name, "")
    for words in (["check", "a.yaml"], ["data", "list"]):
        assert pipeprof(*words).code == 0


def test_every_variable_in_the_source_is_known() -> None:
    options = {config._variable(name) for command in main._options_of("") for name in main._options_of(command)}
    named = {
        name
        for path in Path(config.__file__).parents[1].rglob("*.py")
        for name in re.findall(r"\bPIPEPROF_[A-Z][A-Z_]*[A-Z]\b", path.read_text(encoding="utf-8"))
    }
    assert {"PIPEPROF_GUARD"} <= named <= {*options, *config._OTHER}


def test_isolated_python_reads_no_file_of_the_checkout() -> None:
    """As the recipes for CI call it: a merge request must not loosen its own gate."""
    Path("pyproject.toml").write_text("[tool.pipeprof]\nformat = 'json'\n")
    words = ["-m", "pipeprof", "check", "a.yaml"]
    outputs = [
        subprocess.run([sys.executable, *flags, *words], capture_output=True, text=True, check=True).stdout
        for flags in ([], ["-I"])
    ]
    assert [text[0] for text in outputs] == ["{", "a"]


def test_the_file_is_looked_for_up_to_the_root_of_the_repository(tmp_path: Path) -> None:
    below = tmp_path / "repository" / "training" / "inputs"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.pipeprof]\nseed = 1\n")
    assert config.find_file(below) is None
    (tmp_path / "repository" / ".git").mkdir()
    assert config.find_file(below) is None
    (tmp_path / "repository" / "pyproject.toml").write_text("[tool.pipeprof]\nseed = 2\n")
    (below.parent / "pyproject.toml").write_text("[project]\nname = 'uses-pipeprof'\n")
    assert config.find_file(below) == tmp_path / "repository" / "pyproject.toml"


@pytest.mark.parametrize(
    ("words", "left"),
    [
        ("run train.py", {"seconds", "timeout"}),
        ("fix train.py", {"budget", "seconds", "timeout"}),
        ("run train.py --soak 20m -- --seconds 3", {"timeout"}),
        ("run spec.yaml --no-verify", {"seconds", "step", "timeout"}),
        ("run train.py:make --budget=9", {"budget", "seconds", "step", "timeout"}),
    ],
)
def test_a_default_that_does_not_fit_is_left_out(words: str, left: set[str]) -> None:
    values = {"budget": "40", "seconds": "4", "step": "none", "timeout": "9"}
    assert config.fitting(values, words.split()).keys() == left


@pytest.mark.parametrize(
    ("words", "left_out"),
    [
        ("gate a.yaml --self-test", {"against"}),
        ("run a.yaml --json", {"form", "section"}),
        ("run a.yaml --format=md", {"json", "section"}),
        ("run a.yaml --budget 9", {"no_verify", "soak"}),
        ("show --finding 1", {"section"}),
    ],
)
def test_so_is_one_that_a_typed_option_contradicts(words: str, left_out: set[str]) -> None:
    names = ("against", "budget", "form", "json", "no_verify", "quiet", "section", "soak")
    values = dict.fromkeys(names, "x")
    assert values.keys() - config.fitting(values, words.split()).keys() == left_out


def test_the_note_has_what_counts_here() -> None:
    found, note = given("[tool.pipeprof]\nbudget = 40\nseed = 3\n", "run", "run", "a.yaml", "--no-verify")
    assert found == {"seed": "3"}
    assert note.endswith("pyproject.toml: seed = '3'")


def test_every_typed_option_that_contradicts_a_default_is_one() -> None:
    parameters = {p for command in main._options_of("") for p in main._options_of(command).values()}
    flags = {flag for parameter in parameters for flag in parameter.opts}
    names = {parameter.name for parameter in parameters}
    assert flags >= config._NOT_WITH.keys()
    assert {name for each in config._NOT_WITH.values() for name in each} <= names
