"""Markdown for a pull request, an issue or the summary of a CI job: the same blocks as in the terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pipeprof.cli.report.blocks import Block, Card, Chart, Code, Heading, Line, Pairs, Table, Text
from pipeprof.cli.streams import visible

_SPECIAL = str.maketrans({letter: f"\\{letter}" for letter in "\\`*_[]<>|#~&"})
_LIVE = re.compile(
    r"@(?=[A-Za-z0-9])|\\#(?=\d)|(?<![A-Za-z0-9])GH-(?=\d)|(?<=[A-Za-z]):(?=//)|(?<![A-Za-z0-9])www(?=\.)",
    re.IGNORECASE,
)
"""Texts that GitHub turns into links or notifications: mentions, issues, addresses of the web and of mail."""
_SPANS = re.compile(r"(?<![`\\\w])`(?! )([^`|]+)(?<! )`(?![`\w])")
"""Code between words. A cell of a table would end at a `|` of it."""
_BREAK = "&#8203;"
"""A space of no width: the text reads as before, and GitHub sees two words; a backslash would not stop mentions."""


def markdown(blocks: Iterable[Block]) -> str:
    """Blocks as GitHub's Markdown; texts of any origin stay texts."""
    return "\n\n".join(part for block in blocks for part in _parts(block)) + "\n"


def _parts(block: Block) -> Iterator[str]:
    match block:
        case Heading():
            yield f"### {_plain(block.title)}"
            if block.rest:
                yield _plain(block.rest)
        case Text():
            yield _line(block.text)
        case Pairs():
            yield "\n".join(f"- **{_plain(label)}** {_plain(text)}" for label, text in block.rows)
        case Code():
            if block.label and "\n" not in block.text:
                note = f" ({_plain(block.note)})" if block.note else ""
                yield f"**{_plain(block.label.strip())}** {_code(block.text)}{note}"
            else:
                yield _fenced(block.text)
        case Table():
            yield from _table(block)
        case Card():
            number = f"{block.number}. " if block.number is not None else ""
            yield f"**{number}{_plain(block.title)}**{f': {_plain(block.gain)}' if block.gain else ''}"
            yield from (part for inner in block.blocks for part in _parts(inner))
        case Chart():
            return


def _plain(text: str) -> str:
    shown = visible(text).replace("\n", " ")
    return "".join(f"`{part}`" if number % 2 else _escaped(part) for number, part in enumerate(_SPANS.split(shown)))


def _escaped(text: str) -> str:
    return _LIVE.sub(rf"\g<0>{_BREAK}", text.translate(_SPECIAL))


def _line(line: Line) -> str:
    if isinstance(line, str):
        return _plain(line).strip()
    parts = []
    for span in line:
        text = _plain(span.text)
        inner = text.strip()
        bold = "bold" in span.style and inner
        parts.append(text.replace(inner, f"**{inner}**") if bold else text)
    return "".join(parts).strip()


def _code(text: str) -> str:
    fence = "`" * (_longest_run(text) + 1)
    return f"{fence}{visible(text)}{fence}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _longest_run(text) + 1)
    return "\n".join([fence, *(visible(line) for line in text.splitlines()), fence])


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _table(table: Table) -> Iterator[str]:
    if not (columns := table.filled):
        return
    rows = [
        [_plain(cell).strip() for cell in cells] for cells in zip(*(column.cells for column in columns), strict=True)
    ]
    lines = [
        "| " + " | ".join(_plain(column.title).strip() for column in columns) + " |",
        "| " + " | ".join("---:" if column.right else "---" for column in columns) + " |",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    yield "\n".join(lines)
