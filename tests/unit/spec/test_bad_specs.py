"""Where `pipeprof check` finds fault with each of the bad specs, and how that is written for machines."""

import json
from pathlib import Path

import pytest
from unit.spec.bad_specs import BAD_SPECS, FOLDER, THEMES

from pipeprof.cli.main import invoke

FOREIGN_WORDS = ("pydantic", "jsonschema", "Traceback")


def test_none_is_lost():
    numbers = {name[:3] for name in BAD_SPECS}
    assert len(numbers) == sum(len(theme) for theme in THEMES.values()) >= 310
    assert {path.stem for path in FOLDER.glob("*.yaml")} <= set(BAD_SPECS)


@pytest.mark.parametrize("theme", THEMES)
def test_bad_specs(theme, tmp_path, monkeypatch, capsys, golden):
    texts = []
    for bad in THEMES[theme]:
        with monkeypatch.context() as patch:
            words = bad.enter(tmp_path, patch)
            code = invoke(["check", "--no-build", f"{bad.name}.yaml", *words])
        printed = capsys.readouterr()
        # What only TensorFlow can refuse has no places.
        assert code == (2 if bad.places else 0), bad.name
        assert not any(word in printed.out for word in FOREIGN_WORDS), printed.out
        texts.append(bad.as_text(printed.out if code else ""))
        if code:
            assert not printed.err, bad.name
            faults = printed.out.count(": error[")
            assert faults <= printed.out.count("\n") <= 3 * faults + 2, printed.out
    golden(f"bad_specs/{theme}.txt", "".join(texts))


NAMES = (
    "004-empty", "012-wide-characters", "018-unclosed-brace", "100-everything-at-once", "233-file-near-name",
    "602-extends", "619-set-text-for-number", "622-set-and-file", "625-env-wrong-value", "666-words-of-yaml",
    "667-step-of-no-file",
)  # fmt: skip


@pytest.mark.parametrize("form", ["github", "json"])
def test_errors_as_json_and_as_annotations_of_github(form, tmp_path, monkeypatch, capsys, golden):
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


def test_nothing_ends_the_line_or_begins_another_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("a,b:c.yaml").write_text('version: 1\nsource: {"x\\n::error::y%0A": {}}\n', encoding="utf-8")
    assert invoke(["check", "a,b:c.yaml", "--format", "github"]) == 2
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("::error file=a%2Cb%3Ac.yaml,line=2,col=10,")
    assert line.count("%250A") == 1
