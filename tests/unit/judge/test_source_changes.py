"""What differs between two versions of a file, or two functions of one, in the words of a gate's first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.judge.source_changes import MOST_CHANGES, changes_of_targets
from pipeprof.profiles.wording import place_of

SOURCE = '''import tensorflow as tf


def decode(x):
    """Decode it."""
    x = tf.image.resize(x, [224, 224])
    return x


def make(n=3):
    ds = tf.data.Dataset.range(n).map(decode, num_parallel_calls=2)
    return ds.batch(32).prefetch(1)


def other():
    ds = tf.data.Dataset.range(3).map(decode, num_parallel_calls=8)
    return ds.batch(32).prefetch(1)
'''


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    paths = tmp_path / "a" / "input.py", tmp_path / "b" / "input.py"
    for path in paths:
        path.parent.mkdir()
        path.write_text(SOURCE)
    return paths


def function(path: Path, name: str = "make") -> ParsedTarget:
    return ParsedTarget("function", path, name)


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        ("num_parallel_calls=2", "num_parallel_calls=1", [("input.py:11", "map.num_parallel_calls: 2 → 1")]),
        (", num_parallel_calls=2", "", [("input.py:11", "map.num_parallel_calls: 2 → not set")]),
        ("batch(32).pre", "batch(32, True).pre",
         [("input.py:12", "make: changed to ‘return ds.batch(32, True).prefetch(1)’")]),
        ("    return ds.batch(32).prefetch(1)\n\n\ndef other", "    return ds.batch(8).prefetch(1)\n\n\ndef other",
         [("input.py:12", "batch: 32 → 8")]),
        ("[224, 224]", "[448, 448]", [("input.py:6", "argument 2 of resize: [224, 224] → [448, 448]")]),
        ("    return x\n", "    x = x + 1\n    return x\n", [("input.py:7", "decode: with ‘x = x + 1’")]),
        ("    x = tf.image.resize(x, [224, 224])\n", "",
         [(None, "decode: without ‘x = tf.image.resize(x, [224, 224])’")]),
        ("    return x\n", "    return -x\n", [("input.py:7", "decode: changed to ‘return -x’")]),
        ("make(n=3)", "make(n=4)", [("input.py:10", "the file: changed to ‘def make(n=4)’")]),
        ('"""Decode it."""', '"""Decode them."""  # all', []),
        ("range(n)", "range(\n        n,\n    )", []),
    ],
)  # fmt: skip
def test_a_change_has_its_line_and_what_it_was(
    before: str, after: str, changes: list[tuple[str | None, str]], both: tuple[Path, Path]
) -> None:
    a, b = both
    assert before in SOURCE
    b.write_text(SOURCE.replace(before, after, 1))
    found = changes_of_targets(function(a), function(b))
    assert [(place_of(place), text) for text, place in found] == changes


def test_two_functions_of_one_file_differ_in_their_own_lines(both: tuple[Path, Path]) -> None:
    a, _ = both
    found = changes_of_targets(function(a), function(a, "other"))
    assert [text for text, _ in found] == ["range: n → 3", "map.num_parallel_calls: 2 → 8"]
    assert [place.line for _, place in found if place is not None] == [16, 16]


def test_what_cannot_be_compared_names_no_change(both: tuple[Path, Path]) -> None:
    a, b = both
    b.write_text(SOURCE.replace("2", "7"))
    assert changes_of_targets(function(a), function(b, "other")) == []
    for text in ("def make(:\n", "x = '\0'\n"):
        b.write_text(text)
        assert changes_of_targets(function(a), function(b)) == []
    b.unlink()
    assert changes_of_targets(function(a), function(b)) == []


def test_too_many_changes_name_no_cause(both: tuple[Path, Path]) -> None:
    a, b = both
    lines = [f"    x = x + {number}\n" for number in range(MOST_CHANGES + 1)]
    b.write_text(SOURCE.replace("    return x\n", "".join([*lines, "    return x\n"])))
    assert changes_of_targets(function(a), function(b)) == []
    b.write_text(SOURCE.replace("    return x\n", "".join([*lines[1:], "    return x\n"])))
    assert len(changes_of_targets(function(a), function(b))) == MOST_CHANGES
