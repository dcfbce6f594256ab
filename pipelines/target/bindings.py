"""Names bound at the top level of a Python file, read from its text without running it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pipeprof.pipelines.errors import UsageError

Kind = Literal["function", "class", "import", "module", "made", "value"]
Definition: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
# Values of these expressions are not callable, so the name is no function.
_LETTERS = 160
"""Of a line that is shown with an error."""
_LITERALS = (
    ast.Constant, ast.JoinedStr, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp,
    ast.GeneratorExp, ast.BinOp, ast.UnaryOp, ast.Compare,
)  # fmt: skip
# Calls at the top level that may bind any name.
_BINDERS = frozenset({"globals", "vars", "locals", "setattr", "exec"})


@dataclass(frozen=True)
class Binding:
    """A name of a file's top level.

    Attributes:
        kind: Bound by ``def``, by ``class``, by ``from … import``, by ``import``, to what only running the file can
            make (a call, a lambda, another name), or to something that is certainly no function.
    """

    name: str
    kind: Kind
    node: ast.AST
    line: int
    script: bool = False


@dataclass(frozen=True)
class Bindings:
    """All names that a file binds at its top level.

    Attributes:
        open: There may be others, as after ``from … import *``.
    """

    all: tuple[Binding, ...]
    open: bool = False

    def of(self, name: str) -> tuple[Binding, ...]:
        """Return every binding of a name."""
        return tuple(binding for binding in self.all if binding.name == name)

    def callables(self) -> list[str]:
        """Return names that may be functions after the file's import, in order."""
        kinds = ("function", "import", "made")
        return list(dict.fromkeys(binding.name for binding in self.all if binding.kind in kinds and not binding.script))

    def defined(self) -> list[str]:
        """Return the callables meant to be called from outside, as far as the file shows, for the listing."""
        own = [binding for binding in self.all if not binding.script]
        names = [one.name for one in own if one.kind == "function"] or [one.name for one in own if one.kind == "made"]
        return sorted(dict.fromkeys(names), key=lambda name: name.startswith("_"))


def bindings_of(path: Path) -> Bindings:
    """Read the names that a Python file binds at module level."""
    return read_bindings(parse_file(path))


def read_bindings(tree: ast.Module) -> Bindings:
    """Read the bindings of a parsed file.

    Example:
        >>> [one.name for one in read_bindings(ast.parse("for n in names: from a import b as c")).all]
        ['c']
    """
    found = tuple(_bindings_in(tree.body, script=False))
    return Bindings(tuple(binding for binding in found if binding.name != "*"), _is_open(tree, found))


def parse_file(path: Path) -> ast.Module:
    """Parse a Python file to a syntax tree."""
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    except (SyntaxError, ValueError) as problem:
        raise UsageError(_describe_syntax(path, problem)) from problem
    except (MemoryError, RecursionError) as problem:
        # The parser of Python raises either at a depth of its own.
        msg = f"{path}: nested too deeply for Python's parser, or too large for the memory that is left"
        raise UsageError(msg) from problem


def _describe_syntax(path: Path, problem: SyntaxError | ValueError) -> str:
    """Format the error as ``file:line:column: SyntaxError: reason``, with the source line and a caret."""
    if not isinstance(problem, SyntaxError):
        return f"{path}: not a Python file: {problem}"
    place = ":".join(str(part) for part in (path, problem.lineno, problem.offset) if part)
    head = f"{place}: SyntaxError: {problem.msg}"
    line = (problem.text or "").rstrip("\n")
    if not line or not problem.lineno or not problem.offset:
        return head
    code = line.lstrip()
    column = max(0, problem.offset - 1 - (len(line) - len(code)))
    first = max(0, column - _LETTERS // 2)
    code, column = code[first : first + _LETTERS], column - first
    number = f"    {problem.lineno} | "
    return f"{head}\n{number}{code}\n{' | '.rjust(len(number))}{' ' * column}^"


def relative_import(tree: ast.Module) -> ast.ImportFrom | None:
    """Return the first relative import that runs unconditionally when the file is imported; None for none."""
    return next(
        (statement for statement in tree.body if isinstance(statement, ast.ImportFrom) and statement.level), None
    )


def is_foreign(binding: Binding) -> bool:
    """Return whether an import is of the standard library or a framework, which has no pipeline of the user's."""
    node = binding.node
    if isinstance(node, ast.ImportFrom):
        module = "" if node.level else node.module or ""
    elif isinstance(node, ast.Import):
        names = (alias.name for alias in node.names)
        module = next(name for name in names if binding.name in (name.partition(".")[0], _alias(node, name)))
    else:
        return False
    return module.partition(".")[0] in (*sys.stdlib_module_names, "tensorflow", "keras", "numpy")


def _alias(node: ast.Import, module: str) -> str | None:
    return next(alias.asname for alias in node.names if alias.name == module)


def _bindings_in(statements: Iterable[ast.stmt], *, script: bool) -> Iterator[Binding]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Binding(statement.name, "function", statement, statement.lineno, script)
        elif isinstance(statement, ast.ClassDef):
            yield Binding(statement.name, "class", statement, statement.lineno, script)
        elif isinstance(statement, ast.ImportFrom | ast.Import):
            kind: Kind = "import" if isinstance(statement, ast.ImportFrom) else "module"
            for alias in statement.names:
                name = alias.asname or (alias.name if kind == "import" else alias.name.partition(".")[0])
                yield Binding(name, kind, statement, statement.lineno, script)
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            yield from _assignment_bindings(statement, script=script)
        else:
            for inner, only in _blocks(statement, script=script):
                yield from _bindings_in(inner, script=only)


def _assignment_bindings(statement: ast.Assign | ast.AnnAssign, *, script: bool) -> Iterator[Binding]:
    value = statement.value
    if value is None:
        return
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if isinstance(target, ast.Name):
            kind: Kind = "value" if isinstance(value, _LITERALS) else "made"
            yield Binding(target.id, kind, value, statement.lineno, script)
        else:
            # `a, b = …`: the value of each is unknown.
            for node in ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield Binding(node.id, "made", value, statement.lineno, script)


def _blocks(statement: ast.stmt, *, script: bool) -> Iterator[tuple[list[ast.stmt], bool]]:
    if isinstance(statement, ast.If) and _is_main_test(statement.test):
        yield statement.body, True
        yield statement.orelse, script
        return
    for block in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ()), statement):
        for name in ("body", "orelse", "finalbody"):
            yield getattr(block, name, []), script


def _is_main_test(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or not isinstance(test.ops[0], ast.Eq):
        return False
    words = [ast.unparse(expression) for expression in (test.left, *test.comparators)]
    return sorted(words) == ["'__main__'", "__name__"]


def _is_open(tree: ast.Module, found: tuple[Binding, ...]) -> bool:
    if any(binding.name == "*" or (binding.name == "__getattr__" and binding.kind == "function") for binding in found):
        return True
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _BINDERS
        for node in _at_import(tree)
    )


def calls_at_import(tree: ast.Module) -> Iterator[str]:
    r"""Yield the names of the functions and methods that importing a file calls, also within its own functions.

    Example:
        >>> list(calls_at_import(ast.parse("def a(): b.c()\ndef d(): e()\na()")))
        ['a', 'c']
    """
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    todo: list[ast.AST] = [tree]
    while todo:
        for node in _at_import(todo.pop()):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            yield name
            if isinstance(node.func, ast.Name) and name in functions:
                todo.append(functions.pop(name))


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes inside one that run with it when the file is imported rather than run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_main_test(child.test):
            for other in child.orelse:
                yield from (other, *_at_import(other))
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _at_import(child)
