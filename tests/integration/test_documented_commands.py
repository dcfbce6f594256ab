"""The commands of the documentation that take less than two seconds, run as a reader would."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

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
QUICK = [command for command, run in runs.read().items() if run and run["cpu"] < runs.QUICK and not runs.needs(command)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = tmp_path_factory.mktemp("documented") / "prepared"
    runs.prepare(prepared)
    return prepared


def test_some_commands_are_quick() -> None:
    assert len(QUICK) >= 20


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_does_its_work(command: str, folder: Path) -> None:
    code, _, _, printed = runs.execute(command, folder)
    assert code in runs.EXPECTED, printed
