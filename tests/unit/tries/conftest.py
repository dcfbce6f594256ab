"""What the tests of races begin with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.harness.settings import make_options
from pipeprof.profiles.protocol.options import Options


@pytest.fixture
def profile(recorded: Callable[[str], Profile]) -> Profile:
    """A run without findings, of a pipeline whose files nobody knows."""
    found = recorded("input-bound")
    found.findings, found.target.sha256 = [], None
    found.host.memory_limit_bytes = None
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "input.py"
    path.write_text("def make(): ...\n")
    return path


@pytest.fixture
def settings(file: Path) -> Options:
    return make_options(parse_target(f"{file}:make"), None, ["pipeprof"])
