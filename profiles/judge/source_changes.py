"""What differs between the texts of two Python targets, in the words of changes of specs."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

from pipeprof.pipelines.target.target import ParsedTarget, split_reference
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.wording import as_typed, listed

MOST_CHANGES = 5
"""More of them name no cause."""
_LONGEST = 60
"""Characters of code, or of a value, that are quoted."""


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

    Two versions of a file are compared in what the function reaches, since a pipeline calls other functions of its
    file; two functions of one file by their own lines. Comments, docstrings and layout are no change, and other modules
    are not looked at.
    """
    found = _compared(a, b) or []
    if len(found) > MOST_CHANGES:
        return []
    file = as_typed(str(b.path))
    return [(one.text, Location(file=file, line=one.line) if one.line is not None else None) for one in found]


def is_same_function(one: Path, other: Path, function: str) -> bool:
    """Whether a function and what it reaches is the same in two versions of its file; comments and layout are none."""
    return _compared(*(ParsedTarget("function", path, function) for path in (one, other))) == []


def change_of_reference(folders: tuple[Path, Path], text: str) -> tuple[str, Location | None]:
    """What differs in a function that two specs in these folders name, as one change, and its place in B."""
    reference = split_reference(text)
    if reference is None:
        return f"{text} differs", None
    file, function, _ = reference
    a, b = (ParsedTarget("function", folder / file, function) for folder in folders)
    found = changes_of_targets(a, b)
    if len(found) == 1:
        return found[0]
    places = [place for _, place in found if place is not None]
    lines = listed([str(line) for line in dict.fromkeys(place.line for place in places)]) if places else ""
    where = f" in line{'s' if ' ' in lines else ''} {lines}" if lines else ""
    return f"{file} {function}() differs{where}", next(iter(places), None)


def _compared(a: ParsedTarget, b: ParsedTarget) -> list[SourceChange] | None:
    """All changes between two targets; None where they do not compare."""
    if a.path != b.path and a.function != b.function:
        return None
    try:
        sides = [_read(one, alone=a.path == b.path) for one in (a, b)]
    except (OSError, ValueError, SyntaxError, RecursionError):
        # What cannot be read fails with its own message when it is measured.
        return None
    return list(_changes(*sides))


def _read(target: ParsedTarget, *, alone: bool) -> list[_Statement]:
    tree = ast.parse(target.path.read_text(encoding="utf-8"))
    body: Sequence[ast.AST] = tree.body
    if alone:
        named = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == target.function]
        body = named[0].body if named else []
    elif target.function is not None:
        body = _reached(tree, target.function.partition(".")[0])
    return [one for node in body for one in _statements(node, (target.function or "") if alone else "the file")]


def _reached(tree: ast.Module, function: str) -> list[ast.stmt]:
    """What a call of a function may run: all but the functions and classes that nothing names from there on.

    A definition with a decorator may be registered, and a name in a text may be looked up.
    """
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    left = [node for node in tree.body if isinstance(node, kinds) and not node.decorator_list]
    if all(node.name != function for node in left):
        return tree.body
    names = {function}.union(*(_names(node) for node in tree.body if node not in left))
    while reached := [node for node in left if node.name in names]:
        left = [node for node in left if node not in reached]
        names = names.union(*map(_names, reached))
    return [node for node in tree.body if node not in left]


def _names(node: ast.AST) -> set[str]:
    found = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.add(part.value)
    return found


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
    return cut(" ".join(text.split()))


def cut(text: str) -> str:
    """As much of a text as is quoted."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
