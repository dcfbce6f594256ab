"""Errors of a spec as JSON and as annotations of GitHub, of files, flags and the environment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from unit.spec.test_bad_specs import FOLDER, arguments

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
)


def printed(
    name: str, form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int, str]:
    words = arguments(name, monkeypatch)
    code = invoke(["check", f"{name}.yaml", "--format", form, *words])
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out.replace(str(FOLDER), "FOLDER")


def test_github(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    texts = []
    for name in NAMES:
        code, text = printed(name, "github", monkeypatch, capsys)
        assert code == 2
        # In a work tree, files are named from its root.
        texts.append(text.replace("tests/golden/bad_specs/", ""))
    golden("check/errors-github.txt", "".join(texts))


def test_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], golden: Callable[[str, str], None]
) -> None:
    found = {}
    for name in NAMES:
        code, text = printed(name, "json", monkeypatch, capsys)
        document = json.loads(text)
        assert code == document["exit_code"] == 2
        found[name] = document["errors"]
    golden("check/errors.json", json.dumps(found, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", NAMES)
def test_all_formats_say_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, text = printed(name, "json", monkeypatch, capsys)
    _, lines = printed(name, "github", monkeypatch, capsys)
    in_words = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    errors = json.loads(text)["errors"]
    assert in_words.count(": error[") == len(errors) == lines.count("::error ")
    for error in errors:
        fault, _, suggestion = error["message"].partition(" — did you mean ")
        assert f"error[{error['code']}]: {fault}\n" in in_words
        assert not suggestion or f"    help: did you mean {suggestion}\n" in in_words
        assert f"title={error['code']}::" in lines


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


def test_a_spec_without_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text("version: 1\nsource: {range: {stop: 3}}\n", encoding="utf-8")
    assert invoke(["check", "spec.yaml", "--format", "github"]) == 0
    assert capsys.readouterr().out == "spec.yaml: no errors\n"
    Path("spec.yaml").write_text(
        "version: 1\nsource: {range: {stop: 3}}\nignore: [{rule: no-rule, reason: none}]\n", encoding="utf-8"
    )
    assert invoke(["check", "spec.yaml", "--format", "github"]) == 0
    assert capsys.readouterr().out.startswith("::warning title=unknown-rule::")
