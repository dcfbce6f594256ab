"""Defaults of options from pyproject.toml and the environment: what may be set where, and what is an error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli import config, main
from pipeprof.cli.parser import COMMANDS, make_parser
from pipeprof.pipelines.errors import UsageError
from tests.unit.cli.patches import TEXT
from tests.unit.cli.reports import Pipeprof


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.yaml").write_text(TEXT)


def given(table: str, line: str = "gate a.yaml") -> dict[str, Any]:
    """What a table sets for a command line."""
    Path("pyproject.toml").write_text(table)
    command, *words = line.split()
    parent = main.make_parser().make_context("pipeprof", [])
    context: Any = make_parser(command).make_context(command, words, parent=parent)
    sources = {name: context.get_parameter_source(name).name for name in context.params}
    return {name: value for name, value in context.params.items() if value and sources[name] == "DEFAULT_MAP"}


REFUSED = frozenset(
    {
        "against", "all", "allow", "allow-writes", "arg", "change", "env", "force", "from", "limit", "max-pairs",
        "measure", "no-build", "out", "self-test", "set", "to-end", "workers", "write",
    }
)  # fmt: skip
"""What runs code, writes, weakens a refusal or judges; and what is about one run alone."""


def test_keys_are_the_names_of_the_options_and_a_command_has_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    table = (
        '[tool.pipeprof]\nstep = "simulate:12ms"\nmax-time = 300\nbudget = 40\nno-python = true\n'
        "[tool.pipeprof.compare]\npairs = 9\nmax-time = 200\n"
    )
    assert given(table, "compare a b") == {"step": "simulate:12ms", "max_time": "200", "no_python": True, "pairs": "9"}
    assert capsys.readouterr().err.endswith(
        "/pyproject.toml: step = 'simulate:12ms', max-time = 200, no-python = true, pairs = 9\n"
    )
    given(table, "compare a b -q")
    assert capsys.readouterr().err == ""


def test_a_file_has_no_say_in_how_a_gate_judges(capsys: pytest.CaptureFixture[str]) -> None:
    for own in ("", "[tool.pipeprof.gate]\nstep = 'simulate:2s'\n"):
        found = given(f"[tool.pipeprof]\nstep = 'simulate:1s'\nmax-time = 300\nno-python = true\n{own}")
        assert found == {"max_time": "300", "no_python": True}
        assert capsys.readouterr().err.endswith("no-python = true; not for gate: step\n")
    # What is typed is quiet, not what a file says of itself; and a larger machine has fewer findings.
    assert given("[tool.pipeprof]\nmemory-limit = '9TB'\nfail-on = 'warning'\n", "check a.yaml") == {
        "fail_on": "warning"
    }
    assert capsys.readouterr().err.endswith("fail-on = 'warning'; not for check: memory-limit\n")
    assert given("[tool.pipeprof]\nquiet = true\n") == {"quiet": True}
    assert capsys.readouterr().err.endswith("quiet = true\n")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("stpe = 'none'", "[tool.pipeprof]: no option 'stpe' — did you mean step?"),
        ("step = 'python:evil.py:step'", "none or simulate:… only"),
        ("step = 'keras:evil.py:model'", "none or simulate:… only"),
        ("redact = false", "true only"),
        ("no-python = false", "true only"),
        ("quiet = 'yes'", "expected true or false"),
        ("max-time = true", "expected a text or a number"),
        ("max-time = [3]", "expected a text, a number, true or false"),
        ("[tool.pipeprof.gaet]\nmax-time = 1", "no command 'gaet' — did you mean gate?"),
        # Of another command than the one that runs.
        ("[tool.pipeprof.fix]\nwrite = true", "a file of a checkout cannot set it"),
        ("[tool.pipeprof.fix]\nallow = ['order']", "a file of a checkout cannot set it"),
        ("step = ", "cannot be read"),
        (f"x = {'[' * 100_000}{']' * 100_000}", "nested too deeply"),
        *((f"{name} = 'x'", f"{name}: a file of a checkout cannot set it") for name in sorted(REFUSED)),
    ],
)
def test_what_a_file_must_not_set_is_an_error(line: str, message: str) -> None:
    with pytest.raises(UsageError, match=r"pyproject\.toml") as caught:
        given(f"[tool.pipeprof]\n{line}\n")
    assert message in str(caught.value)


def test_every_option_is_either_for_a_file_or_refused_there() -> None:
    """A new option is refused in a file until somebody has decided that it is harmless."""
    flags = {flag for name in COMMANDS for one in make_parser(name).params for flag in one.opts if flag[:2] == "--"}
    assert flags == {f"--{one}" for one in config._OF_A_FILE | REFUSED}
    assert not config._OF_A_FILE & REFUSED


def test_an_error_in_the_file_ends_a_command_and_a_default_counts(pipeprof: Pipeprof) -> None:
    Path("pyproject.toml").write_text("[tool.pipeprof]\nstep = 'python:a.py:f'\n")
    refused = pipeprof("check", "a.yaml")
    assert (refused.code, refused.out, pipeprof("check", "--help").code) == (2, "", 0)
    Path("pyproject.toml").write_text("[tool.pipeprof.check]\nfail-on = 'idle'\n")
    assert "--fail-on: got 'idle'" in pipeprof("check", "a.yaml").err
    assert pipeprof("check", "a.yaml", "--fail-on", "warning").code == 0
    Path("pyproject.toml").write_text("[tool.pipeprof]\nno-python = true\n")
    Path("train.py").write_text("def make():\n    return None\n")
    found = pipeprof("check", "train.py:make")
    assert (found.code, "pyproject.toml: no-python = true" in found.err) == (2, True)


def test_the_environment_comes_before_the_file_and_the_command_line_before_both(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_json(*words: str) -> bool:
        done = pipeprof("check", "a.yaml", *words)
        assert done.code == 0, done.err
        return str(done.out).startswith("{")

    Path("pyproject.toml").write_text("[tool.pipeprof]\nformat = 'json'\n")
    assert is_json()
    monkeypatch.setenv("PIPEPROF_CHECK_FORMAT", "text")
    assert [is_json(), is_json("--json"), is_json("--format", "json")] == [False, True, True]
    Path("pyproject.toml").write_text("[tool.pipeprof]\njson = true\n")
    assert not is_json()
    monkeypatch.setenv("PIPEPROF_CHECK_FORMAT", "")
    monkeypatch.setenv("PIPEPROF_CHECK_JSON", "1")
    with monkeypatch.context() as patch:
        # What has no effect beside what was typed is left out.
        patch.setenv("PIPEPROF_CHECK_FAIL_ON", "idle")
        patch.setenv("PIPEPROF_CHECK_ARG", "a=1")
        assert [is_json("--no-build"), is_json("--no-build", "--format", "text")] == [True, False]
    monkeypatch.setenv("PIPEPROF_CHECK_NO_PYTHON", "maybe")
    assert pipeprof("check", "a.yaml").code == 2
    monkeypatch.setenv("PIPEPROF_CHECK_NO_PYTHON", "1")
    monkeypatch.setenv("PIPEPROF_CHECK_SET", "stages.0.batch_size=4 stages.0.nope=1")
    assert "stages.0.nope=1" in pipeprof("check", "a.yaml").out


def test_a_variable_of_no_option_is_an_error(pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, meant in (
        ("PIPEPROF_CHECK_FORMT", "PIPEPROF_CHECK_FORMAT"),
        ("PIPEPROF_FORMAT", "PIPEPROF_CHECK_FORMAT"),
        ("PIPEPROF_CACHEDIR", "PIPEPROF_CACHE_DIR"),
        ("PIPEPROF_QQQ", None),
        ("PIPEPROF_CHECK_TARGETS", "PIPEPROF_CHECK_ARG"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(variable, "4")
            found = pipeprof("check", "a.yaml")
            more = f" — did you mean {meant}?" if meant else ""
            assert (found.code, found.err) == (2, f"pipeprof: error: {variable}: no option has this variable{more}\n")
            assert pipeprof("check", "--help").code == 0
    # All are set that a run gives its own processes, so that a pipeprof in a pipeprof is not refused.
    others = ("PORT", "PORT_80_TCP_ADDR", "SERVICE_HOST", "WORKER_SERVICE_PORT_GRPC", "WORKER_PORT_80_TCP")
    for name in (*config._OTHER, *(f"PIPEPROF_{one}" for one in ("GATE_MAX_PAIRS", "FIX_WRITE", *others))):
        monkeypatch.setenv(name, "")
    assert [pipeprof(*words).code for words in (["check", "a.yaml"], ["data", "list"])] == [0, 0]


def test_isolated_python_reads_no_file_of_the_checkout() -> None:
    """As the recipes for CI call it: a merge request must not loosen its own gate."""
    Path("pyproject.toml").write_text("[tool.pipeprof]\nformat = 'json'\n")
    words = ["-m", "pipeprof", "check", "--no-build", "a.yaml"]
    outputs = [
        subprocess.run([sys.executable, *flags, *words], capture_output=True, text=True, check=True).stdout
        for flags in ([], ["-I"])
    ]
    assert [text[0] for text in outputs] == ["{", "a"]


def test_the_file_is_looked_for_up_to_the_root_of_the_repository(tmp_path: Path) -> None:
    below = tmp_path / "repository" / "training" / "inputs"
    below.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.pipeprof]\nbudget = 1\n")
    assert config.find_file(below) == (None, {})
    (tmp_path / "repository" / ".git").mkdir()
    assert config.find_file(below) == (None, {})
    (tmp_path / "repository" / "pyproject.toml").write_text("[tool.pipeprof]\nbudget = 2\n")
    (below.parent / "pyproject.toml").write_text("[project]\nname = 'uses-pipeprof'\n")
    assert config.find_file(below) == (tmp_path / "repository" / "pyproject.toml", {"budget": 2})


def test_a_default_that_does_not_fit_what_was_typed_is_left_out() -> None:
    values = "budget = 40\nseconds = 4\nstep = 'none'\ntimeout = 9\njson = true\ncold = true\n"
    for line, left in {
        "run train.py": "seconds timeout json",
        "fix train.py": "budget timeout json",
        "run train.py --soak 20m": "timeout json",
        "run spec.yaml --no-verify": "seconds step timeout json cold",
        "run train.py:make --budget=9": "seconds step timeout json cold",
        "run spec.yaml --format md --seconds 3": "budget step timeout cold",
        "compare a.json b.json": "json",
    }.items():
        assert given(f"[tool.pipeprof]\n{values}", line).keys() == set(left.split()), line
    assert given("[tool.pipeprof]\nsoak = '9m'\n", "run spec.yaml --seconds 3") == {}
