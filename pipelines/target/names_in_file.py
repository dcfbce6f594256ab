"""What a Python file of the user's defines, from its text: the file is never run to find a name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.errors import UsageError

Definition = ast.FunctionDef | ast.AsyncFunctionDef
_LISTED = 10
# Values of these expressions are certainly no functions.
_LITERALS = (
    ast.Constant, ast.JoinedStr, ast.Tuple, ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp,
    ast.GeneratorExp, ast.BinOp, ast.UnaryOp, ast.Compare,
)  # fmt: skip
# A file that uses one of these at its top level, or within it, may bind any name.
_BINDERS = frozenset({"globals", "vars", "locals", "setattr", "exec"})
_DATASET = re.compile(r"Dataset\b|_dataset_from_|\btfds\.load\b")


@dataclass(frozen=True)
class ListedFunction:
    """A function of a file, by its text: ``train(split, n=3) -> tf.data.Dataset``.

    Attributes:
        likely: Its annotation says that it returns a dataset; without an annotation
            it returns something and names one of TensorFlow's.
    """

    name: str
    text: str
    likely: bool


def parse_file(path: Path) -> ast.Module:
    """Parse a Python file.

    Raises:
        UsageError: It cannot be read, or is no Python.
    """
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as problem:
        raise UsageError(f"{path} cannot be read: {problem.strerror or problem}") from problem
    except SyntaxError as problem:
        place = ":".join(str(part) for part in (path, problem.lineno, problem.offset) if part)
        raise UsageError(f"{place}: SyntaxError: {problem.msg}") from problem
    except ValueError as problem:
        raise UsageError(f"{path}: not a Python file: {problem}") from problem
    except (MemoryError, RecursionError) as problem:
        # The parser of Python raises either at a depth of its own.
        msg = f"{path}: nested too deeply for Python's parser, or too large for the memory that is left"
        raise UsageError(msg) from problem


def names_of(tree: ast.Module) -> dict[str, ast.AST]:
    """Return what binds each name of the top level at last, unless the file does so only when it runs as a script.

    Example:
        >>> list(names_of(ast.parse("for n in names: from a import b as c")))
        ['c']
    """
    return dict(_bound(tree.body))


def _bound(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield statement.name, statement
        elif isinstance(statement, ast.ImportFrom | ast.Import):
            for alias in statement.names:
                yield alias.asname or alias.name.partition(".")[0], statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
            for target in statement.targets if isinstance(statement, ast.Assign) else [statement.target]:
                # Of `a, b = 1, 2` the value of each is unknown.
                value = statement.value if isinstance(target, ast.Name) else statement
                stored = (node for node in ast.walk(target) if isinstance(node, ast.Name))
                yield from ((node.id, value) for node in stored if isinstance(node.ctx, ast.Store))
        else:
            for block in _blocks(statement):
                yield from _bound(block)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    if isinstance(statement, ast.If) and _is_main_test(statement.test):
        yield statement.orelse
        return
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ()), statement):
        for name in ("body", "orelse", "finalbody"):
            yield getattr(part, name, [])


def _is_main_test(test: ast.expr) -> bool:
    return sorted(ast.unparse(test).split(" == ")) == ["'__main__'", "__name__"]


def missing_name(path: Path, name: str, shown: str) -> tuple[str, list[str]] | None:
    """Return why a file has no function of this name, with the names that it has; None if it may have it.

    What only running the file can tell is left for then.

    Args:
        name: A function, or ``Class.method`` and ``object.method``.
    """
    tree = parse_file(path)
    names = names_of(tree)
    if "*" in names or "__getattr__" in names or any(_binds(node) for node in ast.walk(tree)):
        return (
            None if all(part.isidentifier() for part in name.split(".")) else (f"no function {name!r} in {shown}", [])
        )
    first, _, method = name.partition(".")
    node = names.get(first)
    own = [other for other, what in names.items() if _may_be_function(what) and not isinstance(what, ast.ImportFrom)]
    if method and isinstance(node, ast.ClassDef):
        own = [f"{first}.{member}" for member in _members(node)]
        if name in own or node.bases or "." in method:
            return None
    elif _may_be_function(node) or (method and node is not None):
        return None
    listed = f"{', '.join(own[:_LISTED])}{', …' if len(own) > _LISTED else ''}" or "no functions"
    line = f" (see line {node.lineno})" if isinstance(node, ast.expr | ast.stmt) else ""
    return f"no function {name!r} in {shown}{line}, which defines {listed}", own


def _binds(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _BINDERS


def _may_be_function(node: ast.AST | None) -> bool:
    if isinstance(node, ast.ClassDef):
        # A class of datasets derives from TensorFlow's.
        return bool(node.bases)
    return node is not None and not isinstance(node, (*_LITERALS, ast.Import))


def _members(node: ast.ClassDef) -> Iterator[str]:
    """What a class has that needs no object of it."""
    for name, member in _bound(node.body):
        arguments = member.args.args if isinstance(member, Definition) else ()
        if not arguments or arguments[0].arg != "self":
            yield name


def functions_in(path: Path) -> list[ListedFunction]:
    """List the functions at a file's top level, the likeliest to return a dataset first, else in order."""
    found = [
        ListedFunction(name, f"{name}({ast.unparse(node.args)}){_arrow(node)}", _is_likely(node))
        for name, node in names_of(parse_file(path)).items()
        if isinstance(node, Definition)
    ]
    return sorted(found, key=lambda one: (not one.likely, one.name.startswith("_")))


def _arrow(node: Definition) -> str:
    return f" -> {ast.unparse(node.returns)}" if node.returns is not None else ""


def _is_likely(node: Definition) -> bool:
    if node.returns is not None:
        return _DATASET.search(ast.unparse(node.returns)) is not None
    returns = any(isinstance(inner, ast.Return) and inner.value is not None for inner in ast.walk(node))
    return returns and _DATASET.search(ast.unparse(node)) is not None


def describe(name: str, path: Path) -> str:
    """Return the functions of a file as lines of text; `name` is the file or module as typed."""
    functions = functions_in(path)
    head = f"Functions in {name} (nothing was run):" if functions else f"{name} defines no functions."
    return "".join(f"{line}\n" for line in (head, *(f"  {name}:{function.text}" for function in functions)))


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
            yield node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if isinstance(node.func, ast.Name) and node.func.id in functions:
                todo.append(functions.pop(node.func.id))


def _at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes inside one that run with it when the file is imported rather than run."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and _is_main_test(child.test):
            for other in child.orelse:
                yield from (other, *_at_import(other))
        elif not isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            yield child
            yield from _at_import(child)
