"""Flags that nobody parses have their defaults; those of libraries are left alone."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.target.absl_flags import leave_defaults


class FakeFlags:
    def __init__(self, *modules: str, parsed: bool = False) -> None:
        self.modules, self.parsed = modules, parsed

    def is_parsed(self) -> bool:
        return self.parsed

    def flags_by_module_dict(self) -> dict[str, list[Any]]:
        return {module: [SimpleNamespace(name=f"{module}_size")] for module in self.modules}

    def mark_as_parsed(self) -> None:
        self.parsed = True


@pytest.mark.parametrize(
    ("flags", "names", "parsed"),
    [
        (FakeFlags("mine"), ["--mine_size"], True),
        (FakeFlags("mine", "library"), ["--mine_size"], True),
        (FakeFlags("library"), [], False),
        (FakeFlags("mine", parsed=True), [], True),
    ],
)
def test_flags_of_the_users_files(
    flags: FakeFlags, names: list[str], parsed: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    absl, mine, library = ModuleType("absl.flags"), ModuleType("mine"), ModuleType("library")
    absl.FLAGS = flags  # type: ignore[attr-defined]
    mine.__file__, library.__file__ = str(tmp_path / "mine.py"), pytest.__file__
    for module in (absl, mine, library):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    assert leave_defaults() == names
    assert flags.parsed is parsed


def test_without_absl_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "absl.flags", raising=False)
    assert leave_defaults() == []
