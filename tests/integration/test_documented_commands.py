"""The commands of the documentation that take less than two seconds, each in a process; `make docs-run` has a shell."""

from __future__ import annotations

import importlib.util
import json
import shlex
import sys
from pathlib import Path
from types import ModuleType

import pytest
from integration import forked

FILE = Path(__file__).resolve().parents[2] / "docs" / "run_commands.py"


def _module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_run_commands", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


runs = _module()
DATA = "import runpy; runpy.run_path('make_data.py')"
QUICK = [command for command, run in runs.read().items() if run and run["cpu"] < runs.QUICK and not runs.needs(command)]


def write_data(folder: Path) -> None:
    done = forked.run([], folder, DATA)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = tmp_path_factory.mktemp("documented") / "prepared"
    runs.prepare(prepared, write_data)
    return prepared


def test_some_commands_are_quick() -> None:
    assert len(QUICK) >= 20


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_does_its_work(command: str, folder: Path, tmp_path: Path) -> None:
    place, environment = runs.copied(command, folder, tmp_path)
    _, *words = shlex.split(command)
    # The shell's part of the line.
    ends = [words.index(sign) for sign in ("|", ">") if sign in words]
    done = forked.run(words[: min(ends, default=None)], place, forked.AS_FOR_USERS, **environment)
    assert done.returncode in runs.EXPECTED, done.stdout + done.stderr
    if "| jq" in command:
        json.loads(done.stdout)
