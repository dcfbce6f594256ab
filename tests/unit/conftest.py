"""Recorded runs by their names, and the command line as a function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from unit.looked import Looker

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile

RECORDED = Path(__file__).parents[1] / "recorded" / "profiles"


@pytest.fixture
def recorded() -> Callable[[str], Profile]:
    """A recorded profile by name, a new one each time."""
    return lambda name: load_profile(RECORDED / f"{name}.json")


@pytest.fixture(autouse=True)
def looked(monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorFlow is not asked."""
    monkeypatch.setattr("pipeprof.profiles.harness.look.Looker", Looker)


@dataclass(frozen=True)
class Ended:
    """How a command has ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def pipeprof(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Ended]:
    """Run a command line in an empty folder."""
    from pipeprof.cli.main import invoke
    from pipeprof.cli.private import SPEC_ENVIRONMENT

    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        SPEC_ENVIRONMENT.used.clear()
        code = invoke([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return call
