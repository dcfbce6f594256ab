"""Blocks in a terminal: width, characters, units, tables and colour."""

import os
import re
import sys
import textwrap
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeprof.cli.render import style
from pipeprof.cli.render.diagnostics import color_errors
from pipeprof.cli.render.style import Style, in_ascii, speaks_unicode, style_of, wants_color
from pipeprof.cli.report.blocks import Block, Card, Chart, Code, Column, Heading, Pairs, Table, Text
from pipeprof.cli.streams import visible
from tests.unit.cli.reports import of, shown

PIECES = st.sampled_from(
    (" ", "\n", "\t", "写真", "👩‍💻", "é", "e\u0301", "\u200b", "\x1b[1m", "\u202e", "12 ms", "x" * 50)
)
TEXTS = st.lists(PIECES | st.text(max_size=9), max_size=9).map("".join)
WORDS = st.text("abc", min_size=1, max_size=9)
BLOCKS = st.one_of(
    st.builds(Heading, TEXTS, TEXTS),
    st.builds(Text, TEXTS, indent=st.integers(0, 4)),
    st.builds(Pairs, st.lists(st.tuples(WORDS, TEXTS), min_size=1, max_size=3)),
    st.builds(Code, TEXTS, label=WORDS, note=TEXTS, cut=st.booleans()),
    st.builds(
        lambda rows, wrap: Table([Column("a", rows, wrap=wrap), Column("写真", rows[::-1], keep=1)]),
        st.lists(TEXTS, min_size=1, max_size=4), st.booleans(),
    ),
)  # fmt: skip
CARDS = st.builds(Card, TEXTS, TEXTS, st.lists(BLOCKS, max_size=3), st.none() | st.integers(1, 99))


@given(st.lists(BLOCKS | CARDS, max_size=4), st.integers(40, 120), st.booleans())
def test_only_code_is_wider_than_the_terminal(blocks: list[Block], width: int, unicode: bool) -> None:
    raw = [line for code in of(Code, blocks) if not code.cut for line in code.text.splitlines()]
    copied = [in_ascii(visible(line.expandtabs(4)).rstrip()) for line in raw if line.strip()]
    lines = shown(blocks, width=width, unicode=unicode).splitlines()
    wide = [in_ascii(line) for line in lines if cell_len(line) > width]
    assert [line for line in wide if not any(code in line for code in copied)] == []
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Co"} for line in lines for char in line)
    assert unicode or "".join(lines).isascii()
    colored = [COLOR.sub("", line).rstrip() for line in shown(blocks, width=width, color=True).splitlines()]
    assert colored == [line.rstrip() for line in shown(blocks, width=width).splitlines()]


@given(TEXTS, st.integers(40, 120))
def test_no_letter_is_lost(text: str, width: int) -> None:
    def bare(some: str) -> str:
        return re.sub(r"\s", "", some)

    assert bare(shown([Card(f"a{text}")], width=width)) == bare(f"-a{visible(text)}")
    tables = [Table([Column("", [text], wrap=wrap)]) for wrap in (True, False)]
    for block in (Text(text), Heading("", text), Pairs([("", text)]), *tables):
        assert bare(shown([block], width=width)) == bare(visible(text))


@pytest.mark.parametrize("width", range(40, 60))
def test_numbers_stay_with_their_units(width: int) -> None:
    words = "some words 12.1 ms and 3.4 GiB then 50 % of 1,320 elements/s and 2 cores at 31.4 kB/s (24.3 ms) end"
    for block in (Text(words), Heading("a", words), Pairs([("a", words)]), Table([Column("", [words], wrap=True)])):
        assert not re.search(r"\d$", shown([block], width=width), re.MULTILINE)


def test_columns_go_as_a_whole_those_that_matter_least_first_and_words_are_not_broken() -> None:
    def words(width: int, *more: Column) -> list[list[str]]:
        return [line.split() for line in shown([Table([*more, *columns])], width=width).splitlines()]

    cells, keep = "x" * 18, {"first": None, "fourth": 4, "empty": 1, "second": 2}
    columns = [Column(title, ["" if title == "empty" else cells], keep=number) for title, number in keep.items()]
    heads = (["first", "fourth", "second"], ["first", "fourth"], ["first", "fourth"])
    assert tuple(words(width)[0] for width in (80, 50, 40)) == heads
    name = Column("name", ["a_name_of_one_word (map)"], right=False, wrap=True)
    assert words(58, name) == [["name", "first"], ["a_name_of_one_word", "(map)", cells]]
    assert words(40, name) == [["name", "first"], ["a_name_of_one_word", cells], ["(map)"]]
    fixed = [Column("", [letter * size]) for letter, size in {"a": 30, "b": 1, "c": 30}.items()]
    assert sorted("".join(shown([Table(fixed)], width=40).split())) == [*"a" * 30, "b", *"c" * 30]
    table = Table([Column("a", ["x", "yyy"], right=False), Column("ms", ["1.5", "10.0"])])
    assert shown([table]).splitlines() == ["  a      ms", "  x     1.5", "  yyy  10.0"]


@pytest.mark.parametrize("width", [40, 80])
def test_code_is_copied_as_it_is_and_output_is_cut(width: int) -> None:
    start = "    files = tf.data.Dataset.list_files('data/images/*.jpg', shuffle=True, seed=seed).map(load_image)"
    diff = f"@@ -3 +3 @@\n # a remark\n\n-{start}.batch(32)  # rows\n+{start}.cache().batch(32)  # rows"
    assert shown([Code(diff, indent=0)], width=width) == f"{diff}\n"
    assert textwrap.dedent(shown([Code(start, indent=7)], width=width)) == f"{textwrap.dedent(start)}\n"
    assert [cell_len(line) for line in shown([Code("写" * 99, cut=True)], width=width).splitlines()] == [width]
    assert [shown([Code("x" * 30, note="写真" * count)], width=40).count("\n") for count in (1, 2)] == [1, 2]
    assert shown([Chart("time", "a", "b")]) == ""


COLOR = re.compile(r"\x1b\[[0-9;]*m")


def test_colour() -> None:
    for terminal, environ, expected in (
        (True, "", True), (False, "", False), (True, "NO_COLOR=1", False), (True, "NO_COLOR=", True),
        (False, "FORCE_COLOR=1", True), (True, "FORCE_COLOR=0", True), (True, "FORCE_COLOR=1 NO_COLOR=1", False),
        (True, "TERM=dumb", False),
    ):  # fmt: skip
        variables = dict(item.split("=") for item in environ.split())
        assert wants_color(is_terminal=terminal, environ=variables) is expected


def test_colors_of_an_error() -> None:
    text = "a.yaml:5:5: error[unknown-stage]: unknown stage 'shufle'\n    5 |   - shufle: {x: 1}\n      |     ^^^\n"
    colored = color_errors(text)
    assert COLOR.sub("", colored) == text
    for part in ("\x1b[1ma.yaml:5:5:\x1b[0m \x1b[1;31merror[unknown-stage]:", "\x1b[1;31m    ^^^"):
        assert part in colored
    assert color_errors("pipeprof: error: x") == "\x1b[1mpipeprof:\x1b[0m \x1b[1;31merror:\x1b[0m x"


def test_a_pipe_is_as_wide_as_its_terminal_or_as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    with (tmp_path / "a.txt").open("w") as file, os.fdopen(writing, "w") as pipe, os.fdopen(reading):
        for columns, width in (("80", 80), ("7", 40), ("500", 120)):
            monkeypatch.setenv("COLUMNS", columns)
            assert style_of(file) == Style(width)
        monkeypatch.setenv("COLUMNS", "")
        monkeypatch.setattr(os, "get_terminal_size", lambda _descriptor=1: os.terminal_size((72, 40)))
        monkeypatch.setattr(sys, "__stderr__", pipe)
        widths = [style_of(stream).width for stream in (pipe, file)]
    assert widths == [72, style.NO_TERMINAL_WIDTH], "a pipe has a reader, a file may be read anywhere"
    known = ("utf-8", "ascii", "latin-1", None, "?")
    assert [speaks_unicode(encoding) for encoding in known] == [True, False, False, False, False]
