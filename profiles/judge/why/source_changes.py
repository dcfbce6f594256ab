"""What differs between the texts of two Python targets, in the words of changes of specs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.wording import as_typed

MOST_CHANGES = 5
"""More of them name no cause."""
_LONGEST = 60
"""Characters of code that is quoted."""


@dataclass(frozen=True)
class SourceChange:
    """A change, as ``map.num_parallel_calls: 2 → 1`` or ``decode: with ‘x = x + 1’``; `line` is None if B lacks it."""

    text: str
    line: int | None


@dataclass(frozen=True)
class _Statement:
    """A simple statement, or the head of one with a body, in a function or in the file itself."""

    text: str
    line: int
    where: str
    node: ast.AST | None


def changes_of_targets(a: ParsedTarget, b: ParsedTarget) -> list[tuple[str, Location | None]]:
    """Changes between two targets, each with its place in B; none where they do not compare, or there are too many.

    Two versions of a file are compared as a whole, since a pipeline calls other functions of its file; two functions of
    one file by their own lines. Comments, docstrings and layout are no change, and other modules are not looked at.
    """
    if a.path != b.path and a.function != b.function:
        return []
    try:
        sides = [_read(one, alone=a.path == b.path) for one in (a, b)]
    except (OSError, ValueError, SyntaxError, RecursionError):
        # What cannot be read fails with its own message when it is measured.
        return []
    found = list(_changes(*sides))
    if len(found) > MOST_CHANGES:
        return []
    file = as_typed(str(b.path))
    return [(one.text, Location(file=file, line=one.line) if one.line is not None else None) for one in found]


def _read(target: ParsedTarget, *, alone: bool) -> list[_Statement]:
    tree = ast.parse(target.path.read_text(encoding="utf-8"))
    body: Sequence[ast.AST] = tree.body
    if alone:
        named = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == target.function]
        body = named[0].body if named else []
    return [one for node in body for one in _statements(node, (target.function or "") if alone else "the file")]


def _statements(node: ast.AST, where: str) -> Iterator[_Statement]:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    line = getattr(node, "lineno", 1)
    inner = [
        child
        for name in ("body", "handlers", "orelse", "finalbody")
        for child in getattr(node, name, ())
        if isinstance(child, ast.stmt | ast.excepthandler)
    ]
    text = ast.unparse(node)
    if not inner:
        yield _Statement(text, line, where, node)
        return
    yield _Statement(text.partition(":\n")[0], line, where, None)
    where = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else where
    for child in inner:
        yield from _statements(child, where)


def _changes(a: Sequence[_Statement], b: Sequence[_Statement]) -> Iterator[SourceChange]:
    matcher = SequenceMatcher(None, [one.text for one in a], [one.text for one in b], autojunk=False)
    for kind, a_from, a_to, b_from, b_to in matcher.get_opcodes():
        before, after = a[a_from:a_to], b[b_from:b_to]
        if kind == "equal":
            continue
        if len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                yield from _of_statement(one, other)
            continue
        yield from (SourceChange(f"{one.where}: without ‘{_short(one.text)}’", None) for one in before)
        yield from (SourceChange(f"{one.where}: with ‘{_short(one.text)}’", one.line) for one in after)


def _of_statement(one: _Statement, other: _Statement) -> list[SourceChange]:
    """The arguments that differ, where two statements differ in nothing else."""
    arguments = _arguments(one.node, other.node) if one.node is not None and other.node is not None else None
    return arguments or [SourceChange(f"{other.where}: changed to ‘{_short(other.text)}’", other.line)]


def _arguments(one: ast.AST, other: ast.AST) -> list[SourceChange] | None:
    """Arguments of calls that differ between two trees; None where anything else does."""
    if ast.dump(one) == ast.dump(other):
        return []
    if isinstance(one, ast.Call) and isinstance(other, ast.Call):
        return _of_call(one, other)
    found: list[SourceChange] = []
    for mine, its in _children(one, other) or ():
        inner = _arguments(mine, its)
        if inner is None:
            return None
        found += inner
    return found or None


def _children(one: ast.AST, other: ast.AST) -> list[tuple[ast.AST, ast.AST]] | None:
    """The children of two nodes, pair by pair; None where the nodes themselves differ."""
    own, theirs = (list(ast.iter_child_nodes(node)) for node in (one, other))
    plain = [
        [type(node), *(value for _, value in ast.iter_fields(node) if not isinstance(value, ast.AST | list))]
        for node in (one, other)
    ]
    return list(zip(own, theirs, strict=True)) if plain[0] == plain[1] and len(own) == len(theirs) else None


def _of_call(one: ast.Call, other: ast.Call) -> list[SourceChange] | None:
    found, name = _arguments(one.func, other.func), ast.unparse(other.func).rpartition(".")[2]
    if found is None or len(one.args) != len(other.args):
        return None
    sides = [
        {f"argument {number} of {name}" if call.args[1:] else name: value for number, value in enumerate(call.args, 1)}
        | {f"{name}.{word.arg}": word.value for word in call.keywords}
        for call in (one, other)
    ]
    for label in dict.fromkeys([*sides[0], *sides[1]]):
        before, after = (side.get(label) for side in sides)
        texts = ["not set" if value is None else _short(ast.unparse(value)) for value in (before, after)]
        inner = _arguments(before, after) if isinstance(before, ast.Call) and isinstance(after, ast.Call) else None
        if inner is not None:
            found += inner
        elif texts[0] != texts[1]:
            found.append(SourceChange(f"{label}: {' → '.join(texts)}", (after or other).lineno))
    return found


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
