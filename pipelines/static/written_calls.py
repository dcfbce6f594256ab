"""Calls as a file's text has them: the function that a stage is given, and the loop that makes parts of a pipeline."""

from __future__ import annotations

import ast
import copy
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_GIVEN: Final = frozenset({"map_func", "predicate", "reduce_func", "scan_func"})
ROW_FUNCTION: Final = "pack_row"
ROWS: Final = "rows"
"""Name for what all parts are made of."""


@dataclass(frozen=True)
class WrittenFunction:
    """A function as a call is given it.

    Attributes:
        text: The expression.
        parameters: How many it takes; None where the text does not show it.
        definition: Its ``def``, where the file has one and no other of its name; empty for a lambda.
    """

    text: str
    parameters: int | None = None
    definition: str = ""

    @property
    def called(self) -> str:
        """The expression as it stands before the arguments of a call."""
        return f"({self.text})" if self.text.startswith("lambda") else self.text


@dataclass(frozen=True)
class WrittenArguments:
    """What a call is of, and its arguments, each as the file has it."""

    called: str
    by_place: tuple[str, ...]
    by_name: Mapping[str, str]

    def with_values(self, names: Sequence[str], values: Mapping[str, str]) -> str | None:
        """Return them with other values for some, as they stand in the brackets; None where one has no known place.

        Args:
            names: Of the first arguments.

        Example:
            >>> given = WrittenArguments("ds.batch", ("SIZE", "True"), {"name": "'a'"})
            >>> given.with_values(("batch_size",), {"batch_size": "4"})
            "4, True, name='a'"
        """
        first, others = list(self.by_place), dict(self.by_name)
        for name, value in values.items():
            if name in names and names.index(name) < len(first):
                first[names.index(name)] = value
            elif name in others or len(first) <= len(names):
                others[name] = value
            else:
                return None
        return ", ".join([*first, *(f"{name}={value}" for name, value in others.items())])


@dataclass(frozen=True)
class RepeatedDtype:
    """A list of one dtype, repeated."""

    dtype: str
    count: str


@dataclass(frozen=True)
class PartsOfLoop:
    """Datasets that a loop makes, as one expression for what they are made of.

    Attributes:
        every: What the sources are given, as a list.
        kind: Whether one is a tuple, a dict or something else.
        source: The call of the source, given `ROWS`.
        variable: What the loop names the datasets that it has joined; empty where it gives them no name.
    """

    every: str
    kind: str
    source: str
    variable: str = ""


def function_given(text: str, line: int, column: int | None, name: str) -> WrittenFunction | None:
    r"""Return the function that a call is given.

    Args:
        line: Line of the method's name, from 1.
        column: Column of the method's name, from 1; None for any call of that name in the line.

    Example:
        >>> code = "def half(x):\n    return x / 2\nds = make().map(half)\nds = ds.map(lambda a, b: (b, a))\n"
        >>> function_given(code, 3, 13, "map")
        WrittenFunction(text='half', parameters=1, definition='def half(x):\n    return x / 2')
        >>> function_given(code, 4, None, "map")
        WrittenFunction(text='lambda a, b: (b, a)', parameters=2, definition='')
    """
    tree = parsed(text)
    call = call_in(tree, line, column, name) if tree is not None else None
    keywords = [one.value for one in call.keywords if one.arg in _GIVEN] if call is not None else []
    given = call.args[0] if call is not None and call.args else next(iter(keywords), None)
    if tree is None or given is None or isinstance(given, ast.Starred):
        return None
    if isinstance(given, ast.Lambda):
        return WrittenFunction(ast.unparse(given), _parameters(given))
    named = [one for one in ast.walk(tree) if isinstance(given, ast.Name) and _is_named(one, given.id)]
    if len(named) != 1:
        return WrittenFunction(ast.unparse(given))
    definition = textwrap.dedent(_lines_of(text, named[0]))
    return WrittenFunction(ast.unparse(given), _parameters(named[0]), definition)


def arguments_given(text: str, line: int, column: int | None, name: str) -> WrittenArguments | None:
    r"""Return the arguments of a call; None where the place has no such call, or it has them in another object.

    Example:
        >>> arguments_given("ds = ds.shuffle(SIZE, seed=7)\n", 1, None, "shuffle")
        WrittenArguments(called='ds.shuffle', by_place=('SIZE',), by_name={'seed': '7'})
    """
    call = call_at(text, line, column, name)
    if call is None or any(isinstance(one, ast.Starred) for one in call.args):
        return None
    keywords = {one.arg: ast.unparse(one.value) for one in call.keywords if one.arg is not None}
    if len(keywords) < len(call.keywords):
        return None
    return WrittenArguments(ast.unparse(call.func), tuple(map(ast.unparse, call.args)), keywords)


def call_text(text: str, line: int, column: int | None, name: str) -> str | None:
    r"""Return a call of a method as the file has it, from its dot on; None where the place has no such call.

    Example:
        >>> call_text("ds = make().take( 3 )\n", 1, None, "take")
        '.take(3)'
    """
    call = call_at(text, line, column, name)
    if call is None:
        return None
    given = [*map(ast.unparse, call.args), *map(ast.unparse, call.keywords)]
    return f".{name}({', '.join(given)})"


def call_at(text: str, line: int, column: int | None, name: str) -> ast.Call | None:
    """Return the call of a method or function at a place; None where it has none, or several."""
    tree = parsed(text)
    return call_in(tree, line, column, name) if tree is not None else None


def parts_of_loop(
    text: str, source: tuple[int, int | None, str], joined: tuple[int, int | None, str]
) -> PartsOfLoop | None:
    r"""Return what the parts that a loop joins are made of; None where the text does not show it.

    Args:
        source: Line, column and name of the call that begins a part.
        joined: The same of the call that joins it to those before.

    Example:
        >>> code = '''
        ... def part(name):
        ...     return TFRecordDataset(name + ".rec").map(f)
        ... ds = part("a")
        ... for name in NAMES:
        ...     ds = ds.concatenate(part(name))
        ... '''
        >>> parts_of_loop(code, (3, None, "TFRecordDataset"), (6, None, "concatenate"))
        PartsOfLoop(every="[name + '.rec' for name in NAMES]", kind='', source='TFRecordDataset(rows)', variable='ds')
    """
    tree = parsed(text)
    made, join = (call_in(tree, *source), call_in(tree, *joined)) if tree is not None else (None, None)
    if tree is None or made is None or join is None or not made.args or isinstance(made.args[0], ast.Starred):
        return None
    loop = next((one for one in _around(tree, join) if isinstance(one, ast.For)), None)
    if loop is None or not isinstance(loop.target, ast.Name) or loop.orelse:
        return None
    variable = loop.target.id
    function = next((one for one in _around(tree, made) if isinstance(one, _FUNCTIONS)), None)
    scope: ast.AST = loop
    if function is not None and not any(one is loop for one in ast.walk(function)):
        # A function of one argument makes a part, and the loop calls it with its variable.
        if isinstance(function, ast.Lambda) or _parameters(function) != 1 or not _calls(loop, function.name, variable):
            return None
        variable, scope = [*function.args.posonlyargs, *function.args.args][0].arg, function
    each = made.args[0]
    own = {one.id for one in ast.walk(each) if isinstance(one, ast.Name)} - {variable}
    if own & (_stored(scope) - _stored(each)):
        return None
    kind = "tuple" if isinstance(each, ast.Tuple) else "dict" if isinstance(each, ast.Dict) else ""
    whole = copy.deepcopy(made)
    whole.args[0] = ast.Name(ROWS)
    every = f"[{ast.unparse(each)} for {variable} in {ast.unparse(loop.iter)}]"
    named = [
        one for one in ast.walk(loop) if isinstance(one, ast.Assign) and any(part is join for part in ast.walk(one))
    ]
    names = [one.id for each in named for one in each.targets if isinstance(one, ast.Name)]
    return PartsOfLoop(every, kind, ast.unparse(whole), names[0] if len(names) == 1 else "")


def key_of_inputs(made: str, key: ast.expr, text: str = "") -> str | None:
    r"""Return a function of a map's results as one of what the map gets; None where it reads what the map makes.

    Args:
        made: The map's function: a `def` or a lambda.
        key: As the call has it; a name is that of a function of the file.
        text: The file.

    Example:
        >>> code = "def load(path, label):\n    return read(path), label\n"
        >>> key_of_inputs(code, ast.parse("lambda image, label: label // 2", mode="eval").body)
        'lambda path, label: label // 2'
    """
    before, after = _function_in(parsed(made)), key if isinstance(key, ast.Lambda) else _function_in(parsed(text), key)
    first, result = _result(before), _result(after)
    if before is None or after is None or first is None or result is None:
        return None
    inputs, names = _argument_names(before), _argument_names(after)
    parts = first.elts if isinstance(first, ast.Tuple) else [first]
    changed = _stored(before)
    known = {
        name: part.id
        for name, part in zip(names, parts, strict=False)
        if isinstance(part, ast.Name) and part.id in inputs and part.id not in changed
    }
    read = {one.id for one in ast.walk(result) if isinstance(one, ast.Name)} & {*names}
    if len(names) != len(parts) or not read or not read <= known.keys():
        return None
    made_of = copy.deepcopy(result)
    for node in ast.walk(made_of):
        if isinstance(node, ast.Name) and node.id in known:
            node.id = known[node.id]
    return f"lambda {', '.join(inputs)}: {ast.unparse(made_of)}"


def last_call(function: ast.expr, name: str, text: str = "") -> str | None:
    """Return the call that makes a function's result, if it is of this method and needs nothing of the function's own.

    Args:
        function: As a call has it; a name is that of a function of the file.
        text: The file.
    """
    given = function if isinstance(function, ast.Lambda) else _function_in(parsed(text), function)
    result = _result(given)
    if given is None or not isinstance(result, ast.Call) or not isinstance(result.func, ast.Attribute):
        return None
    parts = [*result.args, *result.keywords]
    own = {*_argument_names(given)} | _stored(given)
    reads = {one.id for part in parts for one in ast.walk(part) if isinstance(one, ast.Name)}
    return None if result.func.attr != name or reads & own else f".{name}({', '.join(map(ast.unparse, parts))})"


def _function_in(tree: ast.Module | None, name: ast.expr | None = None) -> ast.FunctionDef | ast.Lambda | None:
    """The only function in a tree, or the only one of a name."""
    found = [
        one
        for one in ast.walk(tree or ast.Module([], []))
        if isinstance(one, ast.FunctionDef | ast.Lambda)
        and (name is None or (isinstance(one, ast.FunctionDef) and ast.unparse(name) == one.name))
    ]
    return found[0] if found and (name is None or len(found) == 1) else None


def _result(function: ast.FunctionDef | ast.Lambda | None) -> ast.expr | None:
    """What a function returns, where it does so in one place."""
    if isinstance(function, ast.Lambda):
        return function.body
    found = [one for one in ast.walk(function or ast.Module([], [])) if isinstance(one, ast.Return)]
    return found[0].value if len(found) == 1 else None


def _argument_names(function: ast.FunctionDef | ast.Lambda) -> list[str]:
    return [one.arg for one in (*function.args.posonlyargs, *function.args.args)]


def stacked_row(definition: str) -> str | None:
    r"""Return a function that stacks its arguments as one of the row that it makes of them; None for other functions.

    Args:
        definition: Its ``def``.

    Example:
        >>> print(stacked_row("def pack(*columns):\n    row = tf.stack(columns)\n    return row[:-1], row[-1]"))
        def pack_row(columns):
            row = columns
            return (row[:-1], row[-1])
    """
    tree = parsed(definition)
    function = tree.body[0] if tree is not None and tree.body else None
    if not isinstance(function, ast.FunctionDef) or function.args.vararg is None or function.args.args:
        return None
    name = function.args.vararg.arg
    stacks = [one for one in ast.walk(function) if isinstance(one, ast.Call) and _stacks(one, name)]
    uses = [one for one in ast.walk(function) if isinstance(one, ast.Name) and one.id == name]
    if len(stacks) != 1 or len(uses) != 1:
        return None
    changed = copy.deepcopy(function)
    changed.args.args, changed.args.vararg, changed.name = [ast.arg(name)], None, ROW_FUNCTION
    return ast.unparse(_Stacked(name).visit(changed))


class _Stacked(ast.NodeTransformer):
    """Puts what is stacked in place of the stack."""

    def __init__(self, name: str) -> None:
        self._name = name

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Replace the call."""
        return ast.Name(self._name) if _stacks(node, self._name) else self.generic_visit(node)


def _stacks(call: ast.Call, name: str) -> bool:
    given = [getattr(one, "id", None) for one in call.args]
    return ast.unparse(call.func) in ("tf.stack", "tensorflow.stack") and given == [name] and not call.keywords


def repeated_dtype(expression: str) -> RepeatedDtype | None:
    """Return what a list of one dtype, repeated, is made of; None for other expressions.

    Example:
        >>> repeated_dtype("[tf.float32] * COLUMNS")
        RepeatedDtype(dtype='float32', count='COLUMNS')
    """
    tree = parsed(expression)
    match tree.body if tree is not None else []:
        case [
            ast.Expr(
                value=ast.BinOp(
                    left=ast.List(elts=[ast.Attribute(value=ast.Name(id="tf" | "tensorflow"), attr=dtype)]),
                    op=ast.Mult(),
                    right=count,
                )
            )
        ]:
            return RepeatedDtype(dtype, ast.unparse(count))
    return None


@lru_cache(maxsize=4)
def parsed(text: str) -> ast.Module | None:
    """Return the tree of a file's text, never to be changed by a caller; None where it is no Python."""
    try:
        return ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None


def call_in(tree: ast.Module, line: int, column: int | None, name: str) -> ast.Call | None:
    """Return the call of a method or function at a place of a tree; None where it has none, or several."""
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and _name_place(one.func)[:2] == (name, line)]
    exact = [one for one in found if column is None or _name_place(one.func)[2] == column]
    chosen = exact or found
    return chosen[0] if len(chosen) == 1 else None


def _name_place(function: ast.expr) -> tuple[str, int, int]:
    """Name of what is called, and the line and the column of it, from 1."""
    if isinstance(function, ast.Attribute):
        return function.attr, function.end_lineno or 0, (function.end_col_offset or 0) - len(function.attr) + 1
    return (function.id, function.lineno, function.col_offset + 1) if isinstance(function, ast.Name) else ("", 0, 0)


def _is_named(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name


def _parameters(function: ast.AST) -> int | None:
    """How many arguments a function takes by position; None where that may be any number."""
    assert isinstance(function, _FUNCTIONS)  # noqa: S101 - for the type checker
    given = function.args
    return None if given.vararg is not None else len(given.posonlyargs) + len(given.args) - len(given.defaults)


def _lines_of(text: str, node: ast.AST) -> str:
    lines = text.splitlines()
    return "\n".join(lines[getattr(node, "lineno", 1) - 1 : getattr(node, "end_lineno", 0)])


def _around(tree: ast.Module, inner: ast.AST) -> Iterator[ast.AST]:
    """What a node is in, the innermost first."""
    outer = [one for one in ast.walk(tree) if one is not inner and any(part is inner for part in ast.walk(one))]
    return reversed(outer)


def _calls(loop: ast.For, function: str, variable: str) -> bool:
    """Whether a loop calls a function with its variable alone."""
    return any(
        isinstance(one, ast.Call)
        and _name_place(one.func)[0] == function
        and [getattr(given, "id", None) for given in one.args] == [variable]
        and not one.keywords
        for one in ast.walk(loop)
    )


def _stored(node: ast.AST) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
