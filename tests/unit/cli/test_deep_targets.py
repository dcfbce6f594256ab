"""Targets with hundreds of stages or thousands of terms, and profiles that are nested without end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.main import invoke

Pipeprof = Callable[..., Any]


def test_a_function_of_hundreds_of_chained_calls_is_listed(pipeprof: Pipeprof, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    calls = ".map(lambda x: x + 1)" * 250
    path.write_text(f"import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range(9){calls}\n")
    result = pipeprof("run", f"{path}:")
    assert result.code == 0, result.err
    assert "make" in result.out


def test_an_expression_of_many_terms(pipeprof: Pipeprof, tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    terms = " + ".join(["1"] * 1500)
    path.write_text(f"import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range({terms})\n")
    result = pipeprof("check", f"{path}:make")
    assert result.code == 0, result.err


@pytest.mark.parametrize("depth", [1000, 100_000])
def test_a_profile_without_end_is_refused(pipeprof: Pipeprof, tmp_path: Path, depth: int) -> None:
    path = tmp_path / "deep.json"
    path.write_text('{"schema": ' + "[" * depth + "]" * depth + "}")
    result = pipeprof("show", path)
    assert result.code in (2, 6)
    assert "Traceback" not in result.err
    assert "internal error" not in result.err


def test_what_is_too_deep_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeprof.cli import main

    def endless(*_: object, **__: object) -> None:
        raise RecursionError

    monkeypatch.setattr(main, "_parser", lambda _only: type("Command", (), {"main": endless}))
    assert invoke(["rules"]) == 2
    assert "nested too deeply" in capsys.readouterr().err
