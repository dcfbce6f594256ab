"""Texts of Python: expressions, names, and statements of at most 100 columns."""

from __future__ import annotations

import ast
import builtins
import keyword
import math
import re
from collections.abc import Container, Iterable, Sequence
from typing import Any, Final

WIDTH: Final = 100
INDENT: Final = "    "
_BUILTINS: Final = frozenset(dir(builtins))


def slug(words: str, default: str = "value") -> str:
    """Make a lower-case identifier from the letters and digits of ``words``.

    Example:
        >>> slug("Image/Encoded"), slug("3d"), slug("class"), slug("--")
        ('image_encoded', 'value_3d', 'class_', 'value')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", parted).strip("_")[:40].rstrip("_")
    if not plain:
        return default
    if plain[0].isdigit():
        plain = f"{default}_{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) or keyword.issoftkeyword(plain) or plain in _BUILTINS else plain


def verb(calls: Sequence[str], default: str) -> str:
    """Return the name of a function that makes these calls: a single call's own.

    Example:
        >>> verb(["tf.image.resize"], "apply"), verb(["tf.io.read_file", "tf.io.decode_jpeg"], "apply")
        ('resize', 'apply')
    """
    return slug(calls[0].rpartition(".")[2], default) if len(calls) == 1 else default


def unique(wanted: str, taken: Container[str]) -> str:
    """Return ``wanted`` if it is free, else with the first free number appended."""
    name, number = wanted, 2
    while name in taken or name in {"tf", "np", "glob", "sys", "importlib", "tfds", "Path", "HERE"}:
        name, number = f"{wanted.rstrip('_')}_{number}", number + 1
    return name


def call(function: str, /, *arguments: str, **named: str) -> str:
    """Return a call.

    Example:
        >>> call("tf.cast", "x", dtype="tf.float32")
        'tf.cast(x, dtype=tf.float32)'
    """
    return f"{function}({', '.join([*arguments, *(f'{key}={value}' for key, value in named.items())])})"


def listed(items: Iterable[str]) -> str:
    """Return a list."""
    return f"[{', '.join(items)}]"


def tupled(items: Iterable[str]) -> str:
    """Return a tuple."""
    parts = list(items)
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"


def mapped(items: Iterable[tuple[str, str]], unpacked: str = "") -> str:
    """Return a mapping of texts; ``unpacked`` is the expression of one whose items come first."""
    parts = [f"**{unpacked}"] if unpacked else []
    parts += [f"{text(key)}: {value}" for key, value in items]
    return f"{{{', '.join(parts)}}}"


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


def statement(start: str, expression: str, end: str = "", width: int = WIDTH) -> list[str]:
    """Return a statement as lines; one that is longer than ``width`` is broken in the outermost brackets."""
    parts = _bracketed(expression) if len(start + expression + end) > width else None
    if parts is None:
        return [start + expression + end]
    opening, items, closing = parts
    together = INDENT + ", ".join(before + item for before, item in items)
    if opening.endswith("(") and len(opening) > 1 and len(together) <= width:
        return [start + opening, together, closing + end]
    rows = [row for before, item in items for row in statement(before, item, ",", width - len(INDENT))]
    return [start + opening, *(INDENT + row for row in rows), closing + end]


def inside(start: str, expression: str) -> list[str]:
    """Return a statement of a function as lines, without the function's indentation."""
    return statement(start, expression, width=WIDTH - len(INDENT))


def returned(expression: str) -> list[str]:
    """Return the ``return`` of an expression as lines; a tuple that fits on the line has no parentheses."""
    tree = ast.parse(expression, mode="eval").body
    if isinstance(tree, ast.Tuple) and len(tree.elts) > 1 and len(expression) <= WIDTH - len(INDENT) - 5:
        return [f"return {expression[1:-1]}"]
    return inside("return ", expression)


def _bracketed(expression: str) -> tuple[str, list[tuple[str, str]], str] | None:
    """Return the opening, the items with what stands before each, and the closing; None without brackets to break."""
    tree, encoded = ast.parse(expression, mode="eval").body, expression.encode()

    def source(node: ast.expr) -> str:
        return encoded[node.col_offset : node.end_col_offset].decode()

    def item(node: ast.expr) -> tuple[str, str]:
        return ("*", source(node.value)) if isinstance(node, ast.Starred) else ("", source(node))

    items: list[tuple[str, str]] = []
    opening, closing = expression[0], expression[-1]
    if isinstance(tree, ast.Call):
        named = [(f"{word.arg}=" if word.arg else "**", source(word.value)) for word in tree.keywords]
        opening, items = f"{source(tree.func)}(", [*map(item, tree.args), *named]
    elif isinstance(tree, ast.Dict):
        pairs = zip(tree.keys, tree.values, strict=True)
        items = [(f"{source(key)}: " if key is not None else "**", source(value)) for key, value in pairs]
    elif isinstance(tree, ast.List | ast.Tuple):
        items = list(map(item, tree.elts))
    return (opening, items, closing) if items else None


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
