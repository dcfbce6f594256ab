"""Colour, width, characters, units and tables."""

import doctest
import io
import os
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from pipeprof.cli import streams
from pipeprof.cli.streams import visible
from pipeprof.cli.text import names, style, units
from pipeprof.cli.text.blocks import Code, Column, Prose, Table
from pipeprof.cli.text.names import draw_bar, number_of
from pipeprof.cli.text.paint import lay_out, paint
from pipeprof.cli.text.style import Style, in_ascii, speaks_unicode, style_of, wants_color


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


@pytest.mark.parametrize(
    ("encoding", "expected"), [("utf-8", True), ("ascii", False), ("latin-1", False), (None, False), ("?", False)]
)
def test_encodings(encoding: str | None, expected: bool) -> None:
    assert speaks_unicode(encoding) is expected


@given(st.text())
def test_visible_text_moves_nothing(text: str) -> None:
    shown = visible(text)
    shown.encode()
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in shown)
    assert visible(shown) == shown
    assert in_ascii(shown).isascii()


@given(st.lists(st.just(0.0) | st.floats(min_value=1e-9, max_value=1e15) | st.none(), min_size=1))
def test_a_column_has_one_unit_and_hides_nothing(values: list[float | None]) -> None:
    for scale in (units.byte_scale(values), units.time_scale(values)):
        for value in values:
            text = scale.text(value)
            assert (text == "") is (value is None)
            if value:
                assert text.strip("<0.,") or scale.unit == "B"


def test_units() -> None:
    assert units.byte_scale([0, None]).unit == "KiB"
    assert units.byte_scale([5 * 1024**2]).unit == "MiB"
    assert units.byte_scale([20 * 1024**3]).unit == "GiB"
    assert units.time_scale([0.5]).unit == "µs"
    assert units.time_scale([5, 9_999]).unit == "ms"
    assert units.time_scale([5, 10_000]).unit == "s"
    assert units.rate(792.9e6) == "756 MiB/s"
    assert units.rate(None) == "n/a"


@given(
    width=st.integers(40, 120),
    cells=st.lists(st.tuples(st.text(max_size=60), st.text(max_size=40)), min_size=1, max_size=5),
)
def test_a_table_fits_whatever_it_holds(width: int, cells: list[tuple[str, str]]) -> None:
    columns = [
        Column("first", [visible(first) for first, _ in cells], right=False, shrink_to=10),
        Column("second", [visible(second) for _, second in cells], keep=1),
        Column("n", ["1"] * len(cells)),
    ]
    laid_out = lay_out(Table(columns), width)
    lines, titles = laid_out.lines, laid_out.titles
    assert all(line.cell_len <= width for line in lines)
    assert "n" in titles
    assert len(lines) == len(cells) + 1


def test_columns_line_up() -> None:
    lines = lay_out(Table([Column("a", ["x", "yyy"], right=False), Column("ms", ["1.5", "10.0"])]), 80).lines
    assert [line.plain for line in lines] == ["  a      ms", "  x     1.5", "  yyy  10.0"]


def test_empty_columns_are_left_out() -> None:
    titles = lay_out(Table([Column("a", ["x"]), Column("b", [""])]), 80).titles
    assert titles == ["a"]


@pytest.mark.parametrize("width", range(40, 60))
def test_numbers_stay_with_their_units(width: int) -> None:
    words = "some words 12.1 ms and 3.4 GiB then 50 % of 1,320 elements/s and 2 cores at 31.4 kB/s (24.3 ms) end"
    for line in paint([Prose(words)], Style(width)).splitlines():
        assert not line.endswith(tuple("0123456789"))
        assert cell_len(line) <= width


@pytest.mark.parametrize(
    ("share", "expected"), [(None, ""), (0, ""), (0.01, ""), (0.07, "▌"), (0.5, "████"), (1, "████████")]
)
def test_bars(share: float | None, expected: str) -> None:
    assert draw_bar(share) == expected


def test_numbers_of_stages() -> None:
    assert [number_of(id_) for id_ in ("source", "stages.10", "stages.1.stages.0", "injected.0")] == [
        "source",
        "10",
        "1.0",
        "+",
    ]


@pytest.mark.parametrize("module", [names, streams, style, units])
def test_examples_in_the_docstrings(module: object) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


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


@pytest.mark.parametrize("width", [20, 80])
def test_code_is_copied_as_it_is_at_any_width(width: int) -> None:
    start = "    files = tf.data.Dataset.list_files('data/images/*.jpg', shuffle=True, seed=seed).map(load_image)"
    diff = f"@@ -3 +3 @@\n # a remark\n\n-{start}.batch(32)  # rows\n+{start}.cache().batch(32)  # rows"
    assert paint([Code(diff, indent=0)], Style(width=width)) == f"{diff}\n"
    assert textwrap.dedent(paint([Code(start, indent=7)], Style(width=width))) == f"{textwrap.dedent(start)}\n"
