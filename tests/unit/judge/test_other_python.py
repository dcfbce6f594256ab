"""Another Python environment as a side of a comparison: what it is asked, what is brought, and what is refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.main import invoke
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.import_path import Interpreter, child_command
from pipeprof.profiles.judge import other_python as module
from pipeprof.profiles.judge.other_python import BROUGHT, other_python

HERE = f"{sys.implementation.cache_tag} {sys.platform} {os.uname().machine}"
Program = Callable[..., str]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """A program that answers as an environment would."""

    def make(answer: object, code: int = 0) -> str:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        done = subprocess.CompletedProcess([], code, stdout=text, stderr="Traceback\nno such thing\n" if text else "")
        monkeypatch.setattr(module.subprocess, "run", lambda *_, **__: done)
        path = tmp_path / "python"
        path.touch(0o755)
        return str(path)

    return make


def folder(tmp_path: Path) -> Path:
    place = tmp_path / "links"
    place.mkdir()
    return place


def answer(build: str = HERE, **more: Any) -> dict[str, Any]:
    return {"build": build, "python": "3.11.1", "lacking": [], **more}


def test_a_process_of_another_python_finds_pipeprof_first_and_what_it_lacks_last() -> None:
    own, other = child_command("a.b", "1"), child_command("a.b", "1", interpreter=Interpreter("/o/python", "/f", "/l"))
    assert (own[0], other[0]) == (sys.executable, "/o/python")
    assert "sys.path.insert(0, '/f'); sys.path.append('/l')" in other[3]
    assert "insert" not in own[3]
    assert own[4:] == other[4:] == ["1"]


def test_what_the_worker_imports_is_linked(tmp_path: Path, program: Program) -> None:
    found = other_python(program(answer()), folder(tmp_path), spec=True)
    assert [path.name for path in Path(found.first).iterdir()] == ["pipeprof"]
    linked = {path.name.partition(".")[0] for path in Path(found.last).iterdir()}
    assert {"pydantic", "pydantic_core", "yaml"} <= linked <= set(BROUGHT)
    assert "numpy" not in linked


def test_compiled_modules_go_to_the_same_build_alone(tmp_path: Path, program: Program) -> None:
    path = program(answer("cpython-399 linux x86_64", lacking=["pydantic", "yaml", "_yaml"]))
    with pytest.raises(
        UsageError, match=r"lacks pydantic pyyaml, as its Python is 3.11.1 and not as this one: .* -m pip"
    ):
        other_python(path, folder(tmp_path), spec=True)
    assert list((tmp_path / "links" / "beside-pipeprof").iterdir()) == []
    (tmp_path / "again").mkdir()
    assert other_python(path, tmp_path / "again", spec=False).path == path


@pytest.mark.parametrize(
    ("said", "code", "refusal"),
    [
        (answer(lacking=["tensorflow"]), 0, "lacks tensorflow: .*python -m pip install tensorflow"),
        ("not JSON", 0, "is no Python 3.10 or newer .*: no such thing"),
        ("", 3, "is no Python 3.10 or newer"),
        ({"build": HERE}, 0, "is no Python 3.10 or newer"),
    ],
)
def test_what_cannot_run_the_worker_is_refused(
    tmp_path: Path, program: Program, said: object, code: int, refusal: str
) -> None:
    with pytest.raises(UsageError, match=refusal):
        other_python(program(said, code), folder(tmp_path), spec=True)


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["a.yaml", "--b-python", "gone/python"], "no such program"),
        (["a.yaml", "--b-python", "/etc/passwd"], "no such program"),
        (["a.yaml", "--b-python", "python", "--why"], "--why"),
        (["a.yaml", "--b-python", "python", "--scan", "stages.0.x=1,2"], "--scan"),
        (["a.yaml", "b.yaml", "c.yaml", "--b-python", "python"], "--b-python is about two"),
        (["a.yaml", "old.json", "--b-python", "python"], "saved profile"),
    ],
)
def test_what_it_is_not_for_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str], refusal: str
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = "version: 1\nsource: {range: {stop: 8}}\nstages:\n  - batch: {batch_size: 4}\n"
    for name in ("a.yaml", "b.yaml", "c.yaml"):
        Path(name).write_text(spec)
    recorded = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"
    Path("old.json").write_bytes(recorded.read_bytes())
    assert invoke(["compare", *words]) == 2
    assert refusal in capsys.readouterr().err
