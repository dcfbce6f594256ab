"""Completion in the shell: targets, rules, words of options."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.cli import completion
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
