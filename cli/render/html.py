"""A page of HTML from the blocks of a report: one file that loads nothing and reads well without its script."""

from __future__ import annotations

import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import sha256
from itertools import groupby
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup, escape

from pipeprof import __version__
from pipeprof.cli.render.charts import draw, legend_of
from pipeprof.cli.report.blocks import Block, Chart, Column, Heading, Line, Table
from pipeprof.cli.streams import visible

_MOST_ROWS = 60
"""Of a table: the saved document has the others."""
_STATUS = {"kept": "measured", "ceiling": "upper bound", "unverified": "not proven", "rejected": "no gain"}
_CODE = re.compile(r"`(?! )([^`\n]+)(?<! )`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]{1,20}")
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|[µA-Za-z]{1,3}\b)")
"""The space between a number and its unit, at which no line is broken."""


class _Section(NamedTuple):
    """A heading, but of the first one, with the blocks below it; charts that follow each other are a list."""

    ident: str
    heading: Heading | None
    parts: list[Block | list[Block]]


def render_page(blocks: Sequence[Block], title: str) -> str:
    """The page with a title; texts of any origin stay texts."""
    name = _namer()
    sections = [section for section in _sections(blocks, name) if section.parts or section.heading]
    return _template().render(title=title, sections=sections, name=name, version=__version__, status=_STATUS)


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("pipeprof.cli.render", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": _kind, "prose": _prose, "lines": _lines, "rows": _rows, "digest": _digest}
    environment.globals |= {"draw": draw, "legend_of": legend_of}
    return environment.get_template("page.html")


def _namer() -> Callable[[str], str]:
    """A function that makes a name for a part of the page out of its title, none twice."""
    taken: Counter[str] = Counter()

    def name(title: str) -> str:
        words = "-".join(re.findall(r"[a-z0-9]+", title.lower()))[:60] or "part"
        taken[words] += 1
        # No title becomes a name with two hyphens.
        return words if taken[words] == 1 else f"{words}--{taken[words]}"

    return name


def _sections(blocks: Iterable[Block], name: Callable[[str], str]) -> list[_Section]:
    sections = [_Section("", None, [])]
    for is_chart, group in groupby(blocks, lambda block: isinstance(block, Chart)):
        if is_chart:
            sections[-1].parts.append(list(group))
            continue
        for block in group:
            if isinstance(block, Heading):
                sections.append(_Section(name(block.title), block, []))
            else:
                sections[-1].parts.append(block)
    return sections


def _kind(block: object) -> str:
    return type(block).__name__


def _shown(value: Any) -> Any:
    """A text with everything spelled out that would hide or reorder other text; markup as it is."""
    return visible(value) if isinstance(value, str) and not hasattr(value, "__html__") else value


def _prose(line: Line) -> Markup:
    """A line with its looks, and with code where a text has backticks."""
    spans = ((line, ""),) if isinstance(line, str) else line
    return Markup("").join(_span(text, style) for text, style in spans)


def _span(text: str, style: str) -> Markup:
    parts = [
        Markup("<code>{}</code>").format(part) if number % 2 else _unbroken(part)
        for number, part in enumerate(_CODE.split(visible(text)))
    ]
    inner = Markup("").join(parts)
    return Markup('<span class="{}">{}</span>').format(style, inner) if style else inner


def _unbroken(text: str) -> Markup:
    """A text whose lines break neither before a unit nor in an option."""
    escaped = str(escape(_BEFORE_UNIT.sub("\u00a0", text)))
    return Markup(_OPTION.sub(r'<span class="whole">\g<0></span>', escaped))  # noqa: S704 - it is escaped


def _lines(text: str) -> list[tuple[str, Markup]]:
    """Lines with their classes: of a unified diff, what it does with each."""
    lines = text.rstrip("\n").split("\n")
    is_diff = lines[0].startswith(("--- ", "diff --git "))
    shown = [escape("\t".join(visible(part) for part in line.split("\t"))) for line in lines]
    return [(_kind_of(line) if is_diff else "", one) for line, one in zip(lines, shown, strict=True)]


def _kind_of(line: str) -> str:
    if line.startswith(("--- ", "+++ ", "@@", "diff ")):
        return "hunk"
    return {"+": "added", "-": "removed"}.get(line[:1], "")


def _rows(table: Table) -> tuple[list[Column], list[list[tuple[Column, str]]], int]:
    """The columns with anything in them, the cells of the first rows, and how many rows are left out."""
    columns = table.filled
    rows = [list(zip(columns, cells, strict=True)) for cells in zip(*(one.cells for one in columns), strict=True)]
    return columns, rows[:_MOST_ROWS], len(rows[_MOST_ROWS:])


def _digest(text: str) -> str:
    """What a policy names the text of an element by."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
