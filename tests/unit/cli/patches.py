"""What stands in for measurements of two sides, and for git."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def set_measure(monkeypatch: pytest.MonkeyPatch, measure: Callable[..., Any]) -> None:
    """Let `compare` and `gate` measure in another way."""
    for command in ("compare", "gate"):
        monkeypatch.setattr(f"pipeprof.cli.commands.{command}.measure", measure)


def set_dirty(monkeypatch: pytest.MonkeyPatch, dirty: bool | None = None) -> None:
    """Let files have uncommitted changes, or not, or be in no work tree."""
    monkeypatch.setattr("pipeprof.cli.targets.sides.is_dirty", lambda *_: dirty)
