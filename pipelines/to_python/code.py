"""Trees of Python expressions, and their layout: at most 100 columns, broken like ruff's formatter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

WIDTH: Final = 100
INDENT: Final = "    "


@dataclass(frozen=True)
class Bracket:
    """Items between an opening and a closing text; a call if the opening text ends with a name."""

    opening: str
    items: tuple[Node, ...]
    closing: str

    @property
    def is_call(self) -> bool:
        """Whether the items are arguments, which share a line of their own if they fit there."""
        return len(self.opening) > 1

    @property
    def needs_comma(self) -> bool:
        """Whether it is a tuple of one item."""
        return self.opening == "(" and len(self.items) == 1


@dataclass(frozen=True)
class Prefixed:
    """A node after a text: a keyword argument, an item of a mapping, an unpacked value."""

    text: str
    node: Node


@dataclass(frozen=True)
class CallChain:
    """Chained method calls: ``head.repeat().batch(32)``; every link's opening begins with a dot."""

    head: Node
    links: tuple[Bracket, ...]


Node = str | Bracket | Prefixed | CallChain


def call(function: str, *arguments: Node, **named: Node) -> Bracket:
    """Return a call.

    Example:
        >>> flat(call("tf.cast", "x", dtype="tf.float32"))
        'tf.cast(x, dtype=tf.float32)'
    """
    return Bracket(f"{function}(", (*arguments, *(Prefixed(f"{key}=", value) for key, value in named.items())), ")")


def listed(items: Iterable[Node]) -> Bracket:
    """Return a list."""
    return Bracket("[", tuple(items), "]")


def tupled(items: Iterable[Node]) -> Bracket:
    """Return a tuple."""
    return Bracket("(", tuple(items), ")")


def mapped(items: Iterable[tuple[str, Node]]) -> Bracket:
    """Return a mapping of texts."""
    return Bracket("{", tuple(Prefixed(f"{text(key)}: ", value) for key, value in items), "}")


def text(value: str) -> str:
    r"""Return a string literal: double quotes unless the text has some, everything that cannot be printed spelled out.

    Example:
        >>> print(text("it's"), text('a "b"'), text("a\n"))
        "it's" 'a "b"' "a\n"
    """
    shown = repr(str(value))
    if shown[0] == "'" and '"' not in shown:
        return '"' + shown[1:-1].replace("\\'", "'") + '"'
    return shown


def scalar(value: Any) -> str:
    """Return a number, text, truth value or None.

    Example:
        >>> scalar(0.5), scalar(float("inf")), scalar("a"), scalar(None)
        ('0.5', 'float("inf")', '"a"', 'None')
    """
    if isinstance(value, str):
        return text(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)


def flat(node: Node) -> str:
    """Format the node on a single line."""
    if isinstance(node, str):
        return node
    if isinstance(node, Prefixed):
        return node.text + flat(node.node)
    if isinstance(node, CallChain):
        return flat(node.head) + "".join(map(flat, node.links))
    comma = "," if node.needs_comma else ""
    return f"{node.opening}{', '.join(map(flat, node.items))}{comma}{node.closing}"


def statement(start: str, node: Node, indent: str = "") -> list[str]:
    """Format ``start`` and an expression as lines; ``start`` is e.g. ``return `` or ``image = ``.

    A chain of several links that does not fit on a line stands in parentheses, one call on each line.
    """
    if isinstance(node, CallChain) and len(node.links) > 1 and not _fits(indent + start + flat(node)):
        return [f"{indent}{start}(", *(indent + INDENT + line for line in lines(node, len(indent) + 4)), f"{indent})"]
    first, *rest = lines(node, len(indent), len(start))
    return [indent + start + first, *(indent + line for line in rest)]


def inside(start: str, node: Node) -> list[str]:
    """Format a statement inside a function, without the function's indentation."""
    return [line[len(INDENT) :] for line in statement(start, node, INDENT)]


def returned(node: Node) -> list[str]:
    """Format the return of an expression; a tuple that fits on the line has no parentheses."""
    if isinstance(node, Bracket) and node.opening == "(" and len(node.items) > 1:
        bare = f"return {', '.join(map(flat, node.items))}"
        if _fits(INDENT + bare):
            return [bare]
    return inside("return ", node)


def lines(node: Node, column: int, before: int = 0, after: int = 0) -> list[str]:
    """Format an expression as lines, without the indentation of the first one.

    Args:
        column: The indentation of the line that it begins on.
        before: Columns in front of it on that line.
        after: Columns behind it on its last line: a comma.
    """
    on_one = flat(node)
    if isinstance(node, str) or column + before + len(on_one) + after <= WIDTH:
        return [on_one]
    if isinstance(node, Prefixed):
        first, *rest = lines(node.node, column, before + len(node.text), after)
        return [node.text + first, *rest]
    if isinstance(node, CallChain):
        return _chain(node, column, before, after)
    return _break_lines(node, column)


def _break_lines(node: Bracket, column: int) -> list[str]:
    if not node.items:
        return [node.opening + node.closing]
    inner = column + len(INDENT)
    together = ", ".join(map(flat, node.items))
    if node.is_call and inner + len(together) <= WIDTH:
        return [node.opening, INDENT + together, node.closing]
    # A generator or an unpacked value alone in a call takes a comma like every other argument.
    rows: list[str] = []
    for item in node.items:
        *front, last = lines(item, inner, after=1)
        rows += [INDENT + line for line in (*front, f"{last},")]
    return [node.opening, *rows, node.closing]


def _chain(node: CallChain, column: int, before: int, after: int) -> list[str]:
    head = lines(node.head, column, before)
    if len(node.links) > 1:
        return [*head, *(line for link in node.links for line in lines(link, column, after=after))]
    *front, last = head
    first, *rest = lines(node.links[0], column, before + len(last) if len(head) == 1 else len(last), after)
    return [*front, last + first, *rest]


def _fits(line: str) -> bool:
    return len(line) <= WIDTH


def comment(words: str, indent: str = "") -> list[str]:
    """Format a comment, broken between words; unprintable characters become spaces."""
    return [f"{indent}# {line}" for line in wrapped(words, WIDTH - len(indent) - 2)]


def wrapped(words: str, width: int) -> list[str]:
    """Wrap text in lines of at most ``width`` columns, between words where possible."""
    import textwrap

    printable = "".join(letter if letter.isprintable() else " " for letter in words)
    return textwrap.wrap(printable, width, break_long_words=False, break_on_hyphens=False)


def docstring(paragraphs: Sequence[str]) -> list[str]:
    """Format a docstring as lines."""
    written: list[list[str]] = []
    for paragraph in paragraphs:
        # Doubled backslashes take more columns, and three quotes would end it.
        escaped = paragraph.replace("\\", "\\\\").replace('"""', "'''")
        written.append(wrapped(escaped, WIDTH - (3 if not written else 0)))
    rows = [row for paragraph in written if paragraph for row in (*paragraph, "")][:-1]
    if not rows:
        return []
    if rows[-1].endswith('"'):
        rows[-1] = rows[-1][:-1] + "'"
    if len(rows) == 1 and len(rows[0]) + 6 <= WIDTH:
        return [f'"""{rows[0]}"""']
    return [f'"""{rows[0]}', *(row.rstrip() for row in rows[1:]), '"""']
