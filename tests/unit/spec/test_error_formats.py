"""Errors of a spec as JSON and as annotations of GitHub, of files, flags and the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.spec.bad_specs import BAD_SPECS

from pipeprof.cli.main import invoke

NAMES = (
    "004-empty",
    "012-wide-characters",
    "018-unclosed-brace",
    "100-everything-at-once",
    "233-file-near-name",
    "602-extends",
    "619-set-text-for-number",
    "622-set-and-file",
    "625-env-wrong-value",
    "666-words-of-yaml",
    "667-step-of-no-file",
)


@pytest.mark.parametrize("form", ["github", "json"])
def test_errors(
    form: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[str, str], None],
) -> None:
    printed = {}
    for name in NAMES:
        with monkeypatch.context() as patch:
            words = BAD_SPECS[name].enter(tmp_path, patch)
            assert invoke(["check", "--no-build", f"{name}.yaml", "--format", form, *words]) == 2
        captured = capsys.readouterr()
        assert captured.err == ""
        printed[name] = captured.out.replace(str(tmp_path), "FOLDER")
    if form == "github":
        golden("check/errors-github.txt", "".join(printed.values()))
    else:
        found = {name: json.loads(text)["errors"] for name, text in printed.items()}
        golden("check/errors.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def test_nothing_ends_the_line_or_begins_another_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b:c.yaml").write_text('version: 1\nsource: {"x\\n::error::y%0A": {}}\n', encoding="utf-8")

    assert invoke(["check", "a,b:c.yaml", "--format", "github"]) == 2

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("::error file=a%2Cb%3Ac.yaml,line=2,col=10,")
    assert lines[0].count("%250A") == 1
