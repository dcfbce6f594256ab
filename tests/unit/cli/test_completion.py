"""Completion in the shell: targets, rules, words of options."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.cli import completion, main
from pipeprof.cli.commands.explain import complete_name

MODULE = """\
import tensorflow as tf

def make_train():
    return tf.data.Dataset.range(3)

def make_test():
    return tf.data.Dataset.range(3)
"""


def test_words_of_an_option() -> None:
    assert completion.one_of("auto", "always", "never")("a") == ["auto", "always"]


def test_names_of_rules_and_codes() -> None:
    assert complete_name("no-pre") == ["no-prefetch", "no-prefetch-between"]
    assert "not-settled" in complete_name("not-")


def test_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "train.py").write_text(MODULE)
    (tmp_path / "spec.yaml").write_text("version: 1\n")
    (tmp_path / "notes.txt").write_text("no target\n")
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "other.yml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert completion.targets("") == ["inner/", "spec.yaml", "train.py"]
    assert completion.targets("inner/") == ["inner/other.yml"]
    assert completion.targets("train.py:make_te") == ["train.py:make_test"]
    assert completion.targets("missing.py:") == []
    assert completion.targets("nowhere/") == []


SPEC = """\
version: 1
source: {range: {stop: 10}}
stages:
  - map: {name: double, ops: [{tf.math.multiply: {y: 2}}]}
  - batch: {batch_size: 4}
"""


def complete(words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What bash gets for the last of the words, which are as bash divides a line."""
    monkeypatch.setenv("_PIPEPROF_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "\n".join(words))
    monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
    monkeypatch.setattr("sys.argv", ["pipeprof"])
    with pytest.raises(SystemExit):
        main.main()
    return capsys.readouterr().out.splitlines()


WITHOUT_DATA = "version: 1\nsource: {TextLineDataset: {filenames: missing.txt}}\nstages:\n  - batch: {batch_size: 8}\n"


def twice(word: str) -> list[str]:
    """A word that goes on: bash puts no space after one of two."""
    return [word, f"{word} "]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("run train.py : make_te", ["make_test"]),
        ("run train.py :", ["make_train", "make_test"]),
        ("run train.py : make_test --step simulate : 1", ["12ms"]),
        ("run train.py : make_test --step = python : train.py : make_tr", ["make_train"]),
        ("run spec.yaml --step s", twice("simulate:")),
        ("run spec.yaml --set stages.double.num", twice("stages.double.num_parallel_calls=")),
        ("run spec.yaml --set stages.1.batch", twice("stages.1.batch_size=")),
        ("run spec.yaml --set stages.1.batch_size = 8", []),
        ("run missing.yaml --set stages.", []),
        ("run without_data.yaml --set stages.0.batch", twice("stages.0.batch_size=")),
        ("schema re", ["result"]),
        ("gate spec.yaml --against git :", ["HEAD", "fix/a", "main", "v1"]),
        ("gate spec.yaml --against git : fi", ["fix/a"]),
        ("compare spec.yaml git : v", ["v1"]),
        ("compare spec.yaml g", twice("git:")),
    ],
)
def test_words_that_bash_divides_are_completed(
    line: str, found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "train.py").write_text(MODULE)
    (tmp_path / "spec.yaml").write_text(SPEC)
    (tmp_path / "without_data.yaml").write_text(WITHOUT_DATA)
    git = tmp_path / ".git"
    for name in ("HEAD", "refs/heads/main", "refs/heads/fix/a"):
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).write_text("ref: refs/heads/main\n" if name == "HEAD" else f"{'0' * 40}\n")
    (git / "objects").mkdir()
    (git / "packed-refs").write_text(f"# pack-refs with: peeled fully-peeled sorted\n{'1' * 40} refs/tags/v1\n")
    monkeypatch.chdir(tmp_path)
    assert complete(["pipeprof", *line.split(" ")], monkeypatch, capsys) == found


def test_words_without_breaks_stay_as_they_are() -> None:
    words = ["pipeprof", "run", "spec.yaml", "--se"]
    assert completion.join_words(words, "3") == (words, 3, "")
    assert completion.join_words(["pipeprof", "run", ""], "2") == (["pipeprof", "run", ""], 2, "")
