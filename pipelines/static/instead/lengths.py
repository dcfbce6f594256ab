"""Functions of texts by the lengths of what they make: counted, kept by and cut for many texts at once."""

from __future__ import annotations

import ast
import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.static.rewritten import function_before, takes_any_texts
from pipeprof.pipelines.static.trees import is_named, is_text
from pipeprof.pipelines.static.written_calls import parsed

_SPLITS = frozenset({"split", "unicode_decode", "unicode_split", "bytes_split"})
"""Functions of tf.strings that make many parts of a text."""
_SLICES = "from_tensor_slices"


@dataclass(frozen=True)
class Counted:
    """A function whose results have as many values as one of its texts has parts.

    Attributes:
        parameters: The function's, in their order.
        counts: For each result, the parts of each of many texts, as Python.
        alone: Whether it gives one result, and no tuple of them.
    """

    parameters: tuple[str, ...]
    counts: tuple[str, ...]
    alone: bool


def counted(text: str, function: str, line: int) -> Counted | None:
    r"""Return how many values a function of texts makes of each; None where the file does not show it.

    Args:
        text: Python source of the whole file.
        function: Its name.
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> code = "def ids(a, b):\n    words = tf.strings.split(a)\n"
        >>> code += "    return table.lookup(words), tf.strings.split(b)\n"
        >>> counted(code, "ids", 4).counts
        ('tf.strings.split(a).row_lengths()', 'tf.strings.split(b).row_lengths()')
        >>> counted("def same(a):\n    return tf.strings.lower(a)\n", "same", 3) is None
        True
    """
    found = function_before(text, function, line)
    if found is None or not takes_any_texts(text, function, line):
        return None
    result = _result(found)
    parts = result.elts if isinstance(result, ast.Tuple) else [result] if result is not None else []
    counts = [_parts_of(one) for one in parts]
    if not counts or None in counts:
        return None
    names = tuple(one.arg for one in found.args.args)
    return Counted(names, tuple(f"{one}.row_lengths()" for one in counts), not isinstance(result, ast.Tuple))


def by_counts(text: str, given: str, line: int, counts: Sequence[str]) -> str | None:
    r"""Return what a function of such results gives, from their lengths alone; None where it needs more of them.

    Args:
        text: Python source of the whole file.
        given: The function's name, or a lambda.
        line: Where a stage is given it.
        counts: What stands for the length of each result.

    Example:
        >>> by_counts("", "lambda a, b: tf.maximum(tf.size(a), tf.shape(b)[0]) <= 50", 1, ["n", "m"])
        'tf.maximum(n, m) <= 50'
        >>> by_counts("", "lambda a, b: a[0] > 1", 1, ["n", "m"]) is None
        True
    """
    found = _function(text, given, line)
    result = _result(found)
    if found is None or result is None or len(found.args.args) != len(counts) or found.args.vararg is not None:
        return None
    names = {one.arg: count for one, count in zip(found.args.args, counts, strict=True)}
    changed = _Counts(names).visit(copy.deepcopy(result))
    return None if any(isinstance(one, ast.Name) and one.id in names for one in ast.walk(changed)) else _text(changed)


def is_of_each(value: str) -> bool:
    r"""Return whether an expression of numbers is the same for each of many: no choice of Python's is in it.

    Example:
        >>> is_of_each("tf.minimum(n, 9) > 4"), is_of_each("n > 4 and n < 9")
        (True, False)
    """
    tree = parsed(value)
    chosen = (ast.BoolOp, ast.IfExp, ast.Not, ast.Subscript)
    nodes = list(ast.walk(tree)) if tree is not None else []
    several = any(isinstance(one, ast.Compare) and len(one.ops) > 1 for one in nodes)
    return bool(nodes) and not several and not any(isinstance(one, chosen) for one in nodes)


@dataclass(frozen=True)
class Cut:
    """A function of a `flat_map` that cuts what it gets into rows of one length.

    Attributes:
        length: As written.
        padded: Whether the last row is filled with zeros; otherwise it is dropped.
    """

    length: str
    padded: bool


def cut(text: str, given: str, line: int) -> Cut | None:
    r"""Return into which rows a `flat_map` cuts each of its elements; None for a function that does anything else.

    Args:
        text: Python source of the whole file.
        given: The function's name, or a lambda.
        line: Where the stage is given it.

    Example:
        >>> rows = "tf.reshape(tf.pad(x, [[0, -tf.size(x) % 64]]), [-1, 64])"
        >>> cut("", f"lambda x: tf.data.Dataset.from_tensor_slices({rows})", 1)
        Cut(length='64', padded=True)
        >>> cut("", "lambda x: tf.data.Dataset.from_tensor_slices(x).batch(N, drop_remainder=True)", 1)
        Cut(length='N', padded=False)
    """
    found = _function(text, given, line)
    result = _result(found)
    if found is None or result is None or len(found.args.args) != 1:
        return None
    name = found.args.args[0].arg
    size = (f"tf.size({name})", f"tf.shape({name})[0]")
    match result:
        case ast.Call(
            func=ast.Attribute(value=ast.Call(func=slices, args=[values], keywords=[]), attr="batch"),
            args=[length],
            keywords=[ast.keyword(arg="drop_remainder", value=ast.Constant(value=True))],
        ) if _ends(slices, _SLICES) and is_named(values, name):
            return _of_length(length, name, padded=False)
        case ast.Call(
            func=slices,
            args=[
                ast.Call(func=reshape, args=[values, ast.List(elts=[first, length]) | ast.Tuple(elts=[first, length])])
            ],
        ) if _ends(slices, _SLICES) and _text(reshape) == "tf.reshape" and _text(first) == "-1":
            whole, rest = _text(values), _text(length)
            if whole in {f"tf.pad({name}, [[0, -{one} % {rest}]])" for one in size}:
                return _of_length(length, name, padded=True)
            if whole in {f"{name}[:{one} // {rest} * {rest}]" for one in size}:
                return _of_length(length, name, padded=False)
    return None


def _of_length(length: ast.expr, name: str, *, padded: bool) -> Cut | None:
    """Rows of a length that is the same for all elements."""
    plain = isinstance(length, ast.Constant | ast.Name | ast.Attribute)
    return Cut(_text(length), padded) if plain and not any(is_named(one, name) for one in ast.walk(length)) else None


def _function(text: str, given: str, line: int) -> ast.FunctionDef | ast.Lambda | None:
    if not given.isidentifier():
        tree = parsed(given)
        return next((one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, ast.Lambda)), None)
    return function_before(text, given, line)


def _result(function: ast.FunctionDef | ast.Lambda | None) -> ast.expr | None:
    """What a function returns, with what its names are given in their place; None where it does more than that."""
    if not isinstance(function, ast.FunctionDef):
        return function.body if function is not None else None
    known: dict[str, ast.expr] = {}
    for node in function.body:
        match node:
            case _ if is_text(node):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                known[name] = _Names(known).visit(copy.deepcopy(value))
            case ast.Return(value=ast.expr() as value) if node is function.body[-1]:
                return _Names(known).visit(copy.deepcopy(value))  # type: ignore[no-any-return]
            case _:
                return None
    return None


def _parts_of(node: ast.expr) -> str | None:
    """The call that splits texts into parts, one for each value; None where there is none."""
    match node:
        case ast.Call(func=ast.Attribute(attr=attr) as function, args=[first, *_]):
            module = ast.unparse(function).rpartition(".")[0]
            if module == "tf.strings" and attr in _SPLITS:
                return _text(node)
            return _parts_of(first)
        case ast.BinOp(left=left, right=right):
            found = {one for one in (_parts_of(left), _parts_of(right)) if one is not None}
            return found.pop() if len(found) == 1 else None
        case ast.UnaryOp(operand=operand):
            return _parts_of(operand)
    return None


def _ends(function: ast.expr, name: str) -> bool:
    return isinstance(function, ast.Attribute) and function.attr == name


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


class _Names(ast.NodeTransformer):
    """Puts values in place of names."""

    def __init__(self, known: Mapping[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Change one name."""
        return copy.deepcopy(self._known.get(node.id, node))


class _Counts(ast.NodeTransformer):
    """Puts counts in place of the sizes of names."""

    def __init__(self, counts: Mapping[str, str]) -> None:
        self._counts = {f"tf.size({name})": count for name, count in counts.items()}
        self._counts |= {f"tf.shape({name})[0]": count for name, count in counts.items()}

    def visit(self, node: ast.AST) -> ast.AST:
        """Change one expression."""
        count = self._counts.get(ast.unparse(node)) if isinstance(node, ast.Call | ast.Subscript) else None
        return ast.parse(count, mode="eval").body if count is not None else self.generic_visit(node)
