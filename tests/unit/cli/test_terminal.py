"""Blocks in a terminal: colour, width, characters, units and tables."""

import io
import os
import re
import sys
import textwrap
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeprof.cli.render import style
from pipeprof.cli.render.style import Style, in_ascii, speaks_unicode, style_of, wants_color
from pipeprof.cli.report import units
from pipeprof.cli.report.blocks import Block, Card, Chart, Code, Column, Heading, Pairs, Table, Text
from pipeprof.cli.streams import visible
from tests.unit.cli.reports import each, shown

PIECES = st.sampled_from(
    (" ", "\n", "\t", "写真", "👩‍💻", "é", "e\u0301", "\u200b", "\x1b[1m", "\u202e", "12 ms", "x" * 50)
)
TEXTS = st.lists(PIECES | st.text(max_size=9), max_size=9).map("".join)
WORDS = st.text("abc", min_size=1, max_size=9)
BLOCKS = st.one_of(
    st.builds(Heading, TEXTS, TEXTS),
    st.builds(Text, TEXTS, indent=st.integers(0, 4)),
    st.builds(Pairs, st.lists(st.tuples(WORDS, TEXTS), min_size=1, max_size=3)),
    st.builds(Code, TEXTS, label=WORDS, note=TEXTS),
    st.builds(Code, TEXTS, cut=st.just(True)),
    st.lists(st.tuples(TEXTS, TEXTS, WORDS), min_size=1, max_size=4).map(
        lambda rows: Table([Column("a", [row[0] for row in rows], wrap=True, right=False),
                            Column("写真", [row[1] for row in rows], keep=1), Column("n", [row[2] for row in rows])])
    ),
)  # fmt: skip
CARDS = st.builds(Card, TEXTS, TEXTS, st.lists(BLOCKS, max_size=3), st.none() | st.integers(1, 99))


def code_of(blocks: list[Block]) -> list[str]:
    found = [block for block in each(blocks) if isinstance(block, Code) and not block.cut]
    return [
        in_ascii(visible(line.expandtabs(4)).rstrip())
        for code in found
        for line in code.text.splitlines()
        if line.strip()
    ]


@given(st.lists(BLOCKS | CARDS, max_size=4), st.integers(40, 120), st.booleans())
def test_no_line_is_wider_than_the_terminal_but_code_and_none_moves_the_cursor(
    blocks: list[Block], width: int, unicode: bool
) -> None:
    lines = shown(blocks, width=width, unicode=unicode).splitlines()
    wide = [in_ascii(line) for line in lines if cell_len(line) > width]
    assert [line for line in wide if not any(code in line for code in code_of(blocks))] == []
    assert not any(unicodedata.category(char) in {"Cc", "Cf", "Co"} for line in lines for char in line)
    assert unicode or "".join(lines).isascii()


def bare(text: str) -> str:
    return re.sub(r"\s", "", text)


@given(TEXTS, st.integers(40, 120))
def test_no_letter_is_lost(text: str, width: int) -> None:
    whole = bare(visible(text))
    assert bare(shown([Card(f"a{text}")], width=width)) == f"-a{whole}"
    tables = [Table([Column("", [text], wrap=wrap)]) for wrap in (True, False)]
    for block in (Text(text), Heading("", text), Pairs([("", text)]), *tables):
        assert bare(shown([block], width=width)) == whole


@pytest.mark.parametrize("width", range(40, 60))
def test_numbers_stay_with_their_units(width: int) -> None:
    words = "some words 12.1 ms and 3.4 GiB then 50 % of 1,320 elements/s and 2 cores at 31.4 kB/s (24.3 ms) end"
    for block in (Text(words), Heading("a", words), Pairs([("a", words)]), Table([Column("", [words], wrap=True)])):
        assert not any(line.endswith(tuple("0123456789")) for line in shown([block], width=width).splitlines())


def test_columns_go_as_a_whole_those_that_matter_least_first() -> None:
    cells = {"first": None, "fourth": 4, "none": 1, "second": 2}
    columns = [Column(title, ["" if title == "none" else "x" * 18], keep=keep) for title, keep in cells.items()]
    heads = [shown([Table(columns)], width=width).split("\n")[0].split() for width in (80, 50, 40)]
    assert heads == [["first", "fourth", "second"], ["first", "fourth"], ["first", "fourth"]]
    name = Column("name", ["a_name_of_one_word (map)"], right=False, wrap=True)
    lines = shown([Table([name, *columns])], width=58).splitlines()
    assert [line.split() for line in lines] == [["name", "first"], ["a_name_of_one_word", "(map)", "x" * 18]]
    assert [line.split() for line in shown([Table([name, *columns])], width=40).splitlines()] == [
        ["name", "first"], ["a_name_of_one_word", "x" * 18], ["(map)"],
    ]  # fmt: skip


def test_columns_line_up_and_empty_ones_are_left_out() -> None:
    table = Table([Column("a", ["x", "yyy"], right=False), Column("b", ["", ""]), Column("ms", ["1.5", "10.0"])])
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


@pytest.mark.parametrize(
    ("choice", "terminal", "environ", "expected"),
    [
        ("auto", True, {}, True),
        ("auto", False, {}, False),
        ("auto", True, {"NO_COLOR": "1"}, False),
        ("auto", True, {"NO_COLOR": ""}, True),
        ("auto", False, {"FORCE_COLOR": "1"}, True),
        ("auto", True, {"FORCE_COLOR": "0"}, True),
        ("auto", True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("auto", True, {"TERM": "dumb"}, False),
        ("always", False, {"NO_COLOR": "1"}, True),
        ("never", True, {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour(choice: str, terminal: bool, environ: Mapping[str, str], expected: bool) -> None:
    assert wants_color(choice, is_terminal=terminal, environ=environ) is expected


def test_width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    for columns, expected in (("80", 80), ("7", 40), ("500", 120), ("", 100), ("x", 100)):
        monkeypatch.setenv("COLUMNS", columns)
        assert style_of(stream, "auto") == Style(expected, color=False, unicode=True)


class Pipe(io.StringIO):
    """A stream that is no terminal, and a descriptor of a pipe or a file."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor


def test_a_pager_shows_the_width_of_its_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    terminals = {2: os.terminal_size((72, 40))}
    monkeypatch.setattr(os, "get_terminal_size", lambda number=1: terminals.get(number, os.terminal_size((72, 40))))
    monkeypatch.setattr(sys, "__stderr__", Pipe(2))
    reading, writing = os.pipe()
    with (tmp_path / "report.txt").open("w") as file:
        widths = [style_of(Pipe(number), "auto").width for number in (writing, file.fileno())]
    os.close(reading)
    os.close(writing)
    assert widths == [72, style.NO_TERMINAL_WIDTH], "a pipe has a reader, a file may be read anywhere"


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("?", False)]
)
def test_encodings(encoding: str | None, expected: bool) -> None:
    assert speaks_unicode(encoding) is expected


@given(st.text())
def test_visible_text_moves_nothing(text: str) -> None:
    seen = visible(text)
    seen.encode()
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in seen)
    assert visible(seen) == seen
    assert in_ascii(seen).isascii()


@given(st.lists(st.just(0.0) | st.floats(min_value=1e-9, max_value=1e15) | st.none(), min_size=1))
def test_a_column_has_one_unit_and_hides_nothing(values: list[float | None]) -> None:
    for scale in (units.byte_scale(values), units.time_scale(values)):
        for value in values:
            text = scale.text(value)
            assert (text == "") is (value is None)
            if value:
                assert text.strip("<0.,") or scale.unit == "B"


def test_units() -> None:
    assert [units.byte_scale([size]).unit for size in (0, None, 5 << 20, 20 << 30)] == ["KiB", "KiB", "MiB", "GiB"]
    assert [units.time_scale([5, ms]).unit for ms in (0.5, 9_999, 10_000)] == ["ms", "ms", "s"]
    assert (units.time_scale([0.5]).unit, units.rate(792.9e6), units.rate(None)) == ("µs", "756 MiB/s", "n/a")
