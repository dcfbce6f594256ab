"""Conversion of ``--arg name=value`` to the type of a parameter's annotation."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
_NONE = ("none", "null")
_ENUM = re.compile(r"<(?:enum|flag) '(\w+)'>")
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence")
_TUPLES = ("tuple", "Tuple")
# In a union the strictest type wins: str only where nothing else fits.
_ORDER = ("None", "bool", "int", "float", "Literal", *_LISTS, *_TUPLES, "Path", "PathLike", "str")


class UnsupportedError(Exception):
    """A value of this annotation cannot be given as text."""


def read_value(
    text: str, annotation: str | None, default: object = None, enums: Mapping[str, type[Enum]] | None = None
) -> Any:
    """Convert a text to the type of an annotation.

    Raises:
        ValueError: The text is no such value; says what was expected.
        UnsupportedError: It is not one of int, float, bool, str, Path, Literal, Optional, and lists of them.

    Example:
        >>> read_value("1,2", "list[int]"), read_value("none", "Optional[int]"), read_value("1", "str | int")
        ([1, 2], None, 1)
    """
    if annotation is None:
        kind = type(default).__name__
        if isinstance(default, Enum):
            return _member(text, type(default))
        if isinstance(default, (bool, int, float, str, Path)):
            annotation = "Path" if isinstance(default, Path) else kind
        else:
            return _guess(text)
    return _read(text, _WithEnums(enums or {}).visit(_parse(annotation)))


class _WithEnums(ast.NodeTransformer):
    """Transformer that replaces the names of enums by the enums."""

    def __init__(self, enums: Mapping[str, type[Enum]]) -> None:
        self._enums = enums

    def visit(self, node: ast.AST) -> Any:
        """Replace the name of an enum; keep any other node."""
        found = self._enums.get(_name(node)) if isinstance(node, ast.Name | ast.Attribute) else None
        return self.generic_visit(node) if found is None else ast.Constant(found)  # type: ignore[arg-type]  # see _enum


def _enum(node: ast.expr) -> type[Enum] | None:
    value: object = node.value if isinstance(node, ast.Constant) else None
    return value if isinstance(value, type) and issubclass(value, Enum) else None


def _member(text: str, enum: type[Enum]) -> Enum:
    for other_enum in enum:
        if text == other_enum.name or text == str(other_enum.value):
            return other_enum
    near = [other_enum for other_enum in enum if other_enum.name.lower() == text.lower()]
    if len(near) == 1:
        return near[0]
    raise ValueError(f"expected one of {', '.join(other_enum.name for other_enum in enum)}")


def _parse(annotation: str) -> ast.expr:
    try:
        return ast.parse(annotation.strip(), mode="eval").body
    except SyntaxError:
        raise UnsupportedError(annotation) from None


def _guess(text: str) -> Any:
    if text.lower() in _NONE:
        return None
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and node.value is None:
        return "None"
    if _enum(node) is not None:
        return "Literal"
    if isinstance(node, ast.Subscript):
        return _name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _read(text: str, node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _read(text, _parse(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(text, _members(node), node)
    name = _name(node)
    inside: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        inside = list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]
    if inside and name in _SPECIAL:
        return _SPECIAL[name](text, inside, node)
    if name in _LISTS:
        return [_read(item, inside[0]) if inside else _guess(item) for item in _items(text)]
    if name in _TUPLES:
        return _tuple(text, inside, node) if inside else tuple(_guess(item) for item in _items(text))
    enum = _enum(node)
    reader = _SCALARS.get(name) if enum is None else partial(_member, enum=enum)
    if reader is None:
        raise UnsupportedError(ast.unparse(node))
    return reader(text)


def _members(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return [*_members(node.left), *_members(node.right)]
    return [node]


def _union(text: str, members: list[ast.expr], whole: ast.expr) -> Any:
    known = sorted(members, key=lambda one: _ORDER.index(_name(one)) if _name(one) in _ORDER else len(_ORDER))
    readable = 0
    for member in known:
        try:
            return _read(text, member)
        except ValueError:
            readable += 1
        except UnsupportedError:
            continue
    if readable <= any(_name(member) == "None" for member in members):
        # Only None has a text, and the text is another.
        raise UnsupportedError(ast.unparse(whole))
    words = _ENUM.sub(r"\1", ast.unparse(whole))
    raise ValueError(f"expected {words}")


def _choice(text: str, values: list[ast.expr], whole: ast.expr) -> Any:
    for value in values:
        if isinstance(value, ast.Constant) and str(value.value) == text:
            return value.value
    msg = f"expected one of {', '.join(ast.unparse(value) for value in values)}"
    raise ValueError(msg if values else f"expected {ast.unparse(whole)}")


def _tuple(text: str, inside: list[ast.expr], whole: ast.expr) -> Any:
    items = _items(text)
    if len(inside) == 2 and isinstance(inside[1], ast.Constant) and inside[1].value is ...:
        return tuple(_read(item, inside[0]) for item in items)
    if len(items) != len(inside):
        raise ValueError(f"expected {len(inside)} values for {ast.unparse(whole)}, separated by commas")
    return tuple(_read(item, kind) for item, kind in zip(items, inside, strict=True))


def _items(text: str) -> list[str]:
    """Split ``1,2,3``, ``[1, 2, 3]`` or ``['a', 'b']``."""
    text = text.strip()
    if text[:1] in ("[", "("):
        try:
            return [str(item) for item in ast.literal_eval(text)]
        except (SyntaxError, ValueError, TypeError):
            text = text.strip("[]()")
    return [item.strip() for item in text.split(",")] if text else []


def _bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError("expected bool (true or false)")


def _number(kind: type[int] | type[float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            return kind(text)
        except ValueError:
            raise ValueError(f"expected {kind.__name__}") from None

    return read


def _none(text: str) -> None:
    if text.lower() not in _NONE:
        raise ValueError("expected none")


_SCALARS: dict[str, Callable[[str], Any]] = {
    "int": _number(int), "float": _number(float), "bool": _bool, "str": str, "Path": Path, "PathLike": Path,
    "PurePath": Path, "Any": _guess, "object": _guess, "None": _none,
}  # fmt: skip
_SPECIAL: dict[str, Callable[[str, list[ast.expr], ast.expr], Any]] = {
    "Optional": lambda text, inside, whole: _union(text, [ast.Constant(None), *inside], whole),
    "Union": _union,
    "Annotated": lambda text, inside, _whole: _read(text, inside[0]),
    "Literal": _choice,
}
# Supported names of annotations, from any module.
KNOWN = frozenset({*_SCALARS, *_SPECIAL, *_LISTS, *_TUPLES})
