"""What is refused about elements before anything runs; that TensorFlow refuses it too is shown in tests/integration."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.inference.flow_cases import ACCEPTED, REFUSED, as_spec

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.spec.diagnostics import SpecError


def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> SpecError | None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(as_spec(text))
    Path("f.py").write_text("def f(x):\n    return x\n")
    try:
        check_spec(Path("spec.yaml"))
    except SpecError as error:
        return error
    return None


def test_every_error_has_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]
) -> None:
    texts = []
    for name, spec in REFUSED.items():
        error = refused(tmp_path, monkeypatch, spec)
        texts.append(f"# {name}\n{error if error is not None else 'accepted'}\n")

    golden("flow/refused.txt", "\n".join(texts))


@pytest.mark.parametrize("name", REFUSED)
def test_an_error_says_what_was_got_and_expected_on_a_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(tmp_path, monkeypatch, REFUSED[name])

    assert error is not None
    for diagnostic in error.diagnostics:
        assert diagnostic.line
        assert not diagnostic.message.startswith("expected ")
        assert "expected " in diagnostic.message or ": " in diagnostic.message


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_may_run_is_accepted(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(tmp_path, monkeypatch, ACCEPTED[name]) is None


def test_only_the_first_of_several_consequences_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = """
    source: {range: {stop: 3}}
    stages:
      - map: {ops: [tf.strings.length, tf.image.flip_left_right]}
      - map: {ops: [tf.strings.lower]}
    """

    error = refused(tmp_path, monkeypatch, textwrap.dedent(spec))

    assert error is not None
    assert len(error.diagnostics) == 1
