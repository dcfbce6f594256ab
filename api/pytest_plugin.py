"""A plugin of pytest: the fixture ``pipeprof``, whose ``gate`` fails a test as the command fails a job."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_FAILED, _INCONCLUSIVE = 3, 4


@dataclass(frozen=True)
class GateOutcome:
    """The end of a gate.

    Attributes:
        verdict: ``not regressed``: all others end the test.
        report: The report as text.
        result: All of it, as ``pipeprof schema result`` describes it.
    """

    verdict: str
    report: str
    result: dict[str, Any]


class Pipeprof:
    """What the fixture gives.

    Args:
        folder: For the result of each gate.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def gate(
        self, target: Callable[..., Any] | str, *, against: str, strict: bool = True, **options: Any
    ) -> GateOutcome:
        """Run ``pipeprof gate`` and fail the test where it fails.

        ::

            def test_input(pipeprof):
                pipeprof.gate(make_dataset, against="git:main", max_step_ms="5%")

        Args:
            target: A function at the top level of a file, or a target as the command takes it.
            against: As ``--against``.
            strict: Whether an inconclusive gate fails the test, as the command fails the job; else it is skipped.
            options: Other options of the command, with underscores: ``max_time=300``, ``step="simulate:12ms"``. True is
                a switch, a list an option that is repeated.

        Raises:
            TypeError: The function has no name that another process could call it by.
        """
        __tracebackhide__ = True
        self._count += 1
        out = self._folder / f"gate-{self._count}.json"
        words = ["gate", as_target(target), "--against", against, *_flags(options), "--quiet", "--out", str(out)]
        done = subprocess.run(
            [sys.executable, "-m", "pipeprof", *words], capture_output=True, text=True, check=False, env=_environment()
        )
        report = done.stdout.strip()
        if done.returncode == _INCONCLUSIVE and not strict:
            pytest.skip(report)
        if done.returncode in (_FAILED, _INCONCLUSIVE):
            # pytest writes "Failed: " before it.
            pytest.fail(report.removeprefix("Failed: "), pytrace=False)
        if done.returncode != 0:
            pytest.fail("\n".join(filter(None, [done.stderr.strip(), report])), pytrace=False)
        result = json.loads(out.read_text(encoding="utf-8"))
        return GateOutcome(result["verdict"], report, result)


@pytest.fixture
def pipeprof(tmp_path: Path) -> Pipeprof:
    """Gates for input pipelines: ``pipeprof.gate(make_dataset, against="git:main")``."""
    return Pipeprof(tmp_path)


def as_target(target: Callable[..., Any] | str) -> str:
    """A function as the command takes it: its file and its name.

    Raises:
        TypeError: It is not at the top level of a file.
    """
    if isinstance(target, str):
        return target
    name, file = getattr(target, "__qualname__", ""), inspect.getsourcefile(target)
    if file is None or not name.isidentifier():
        what = f"{name or target!r} is not at the top level of a file"
        raise TypeError(f"pipeprof.gate: {what}, so no other process can call it; move it there, or name a target")
    return f"{os.path.relpath(file)}:{name}"


def _flags(options: dict[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        for each in value if isinstance(value, (list, tuple)) else [value]:
            words += [flag] if each is True else [] if each is None or each is False else [f"{flag}={each}"]
    return words


def _environment() -> dict[str, str]:
    """The environment without what pytest, or a tool that watches it, sets for its own processes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_CORE_"))}
