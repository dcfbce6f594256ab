"""The plugin of pytest: the command line of a gate, and what its end does to a test."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeprof import pytest_plugin
from pipeprof.pytest_plugin import Pipeprof, as_target


def make_dataset() -> None:
    """A function at the top level of a file."""


class Command:
    """The command, which ends as it is told."""

    def __init__(self, code: int, said: str = "", error: str = "") -> None:
        self.code, self.said, self.error = code, said, error
        self.words: list[str] = []

    def __call__(self, words: list[str], **options: Any) -> Any:
        self.words, self.environment = words, options["env"]
        if self.code in (0, 3, 4):
            Path(words[-1]).write_text(json.dumps({"verdict": {0: "not regressed"}.get(self.code, "cannot tell")}))
        return subprocess.CompletedProcess(words, self.code, self.said, self.error)


def gate(command: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Any:
    monkeypatch.setattr(subprocess, "run", command)
    return Pipeprof(folder).gate(options.pop("target", make_dataset), against="git:main", **options)


def test_a_gate_is_the_command_with_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setenv("PYTEST_CURRENT_TEST", "x")
    command = Command(0, "Passed: steps unchanged\n")
    found = gate(
        command, tmp_path, monkeypatch, max_step_ms="5%", max_stage_ms=["a=5%", "b=6%"], rerun=True, no_lock=False
    )
    assert command.words == [
        *(sys.executable, "-m", "pipeprof", "gate", "test_pytest_plugin.py:make_dataset", "--against", "git:main"),
        *("--max-step-ms=5%", "--max-stage-ms=a=5%", "--max-stage-ms=b=6%", "--rerun", "--quiet"),
        *("--out", str(tmp_path / "gate-1.json")),
    ]
    assert (found.verdict, found.report) == ("not regressed", "Passed: steps unchanged")
    assert "PYTEST_CURRENT_TEST" not in command.environment


@pytest.mark.parametrize(
    ("code", "strict", "ends", "message"),
    [
        (3, False, pytest.fail.Exception, "Failed: steps are 45 % slower"),
        (4, False, pytest.skip.Exception, "Inconclusive"),
        (4, True, pytest.fail.Exception, "Inconclusive"),
        (2, False, pytest.fail.Exception, "pipeprof: error: no such option"),
        (5, False, pytest.fail.Exception, "pipeprof: error: it raised"),
    ],
)
def test_the_end_of_the_gate_is_the_end_of_the_test(
    code: int, strict: bool, ends: Any, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = message if code in (3, 4) else ""
    command = Command(code, said, "" if said else message)
    # pytest itself writes that the test has failed.
    with pytest.raises(ends, match=f"^{message.removeprefix('Failed: ')}"):
        gate(command, tmp_path, monkeypatch, strict=strict)


def test_only_what_another_process_can_call_is_a_target() -> None:
    def inner() -> None: ...

    assert as_target("spec.yaml") == "spec.yaml"
    for function in (inner, lambda: None, Command.__call__):
        with pytest.raises(TypeError, match="not at the top level of a file"):
            as_target(function)


def test_the_plugin_gives_the_fixture(tmp_path: Path) -> None:
    (tmp_path / "test_input.py").write_text(
        "def test_it(pipeprof):\n    pipeprof.gate('missing.yaml', against='git:main')\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload"]
    words += ["-p", pytest_plugin.__name__, "test_input.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "missing.yaml: no such file" in done.stdout
    assert "Traceback" not in done.stdout
