"""Python of the user's as it could be written: loops over arrays without loops, rounds and texts at once."""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import bases_of, is_named, is_text, names_in, reads
from pipeprof.pipelines.static.written_calls import parsed

_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.expr_context)

_REDUCED = {"tf.maximum": "tf.reduce_max", "tf.minimum": "tf.reduce_min", "tf.add": "tf.reduce_sum"}

"""What combines the results of two rounds of a loop, and what does it for all."""

_FEW_ROUNDS = 64

_Definition = ast.FunctionDef | ast.Lambda

_LOADS = re.compile(r"tf(\.\w+)*\.(decode_\w+|read_file|parse_\w+)")

"""Functions of TensorFlow that read or decode."""

_CAST = "tf.cast"

_OF_ALL_TEXTS = frozenset({"format", "join", "reduce_join", "unsorted_segment_join", "ngrams", "bytes_split"})

"""Functions of tf.strings that make something else of many texts than of each."""


@dataclass(frozen=True)
class WholeArrays:
    """A loop over the values of an array, and what computes the same without it.

    Attributes:
        first: Its first line, from 1.
        last: Its last line.
        lines: What to write in its place.
    """

    first: int
    last: int
    lines: tuple[str, ...]


def whole_arrays(text: str, lines: Sequence[int]) -> WholeArrays | None:
    r"""Return the loop around hot lines, written on whole arrays; None where it is no sum or list of arithmetic.

    Args:
        lines: Hot ones, the hottest first.

    Example:
        >>> code = "import numpy as np\ntotal = 0.0\nfor value in row.tolist():\n    total += value ** 2\n"
        >>> whole_arrays(code, [4])
        WholeArrays(first=3, last=4, lines=('value = np.asarray(row, float)', 'total += float(np.sum(value ** 2))'))
    """
    tree = parsed(text)
    if tree is None:
        return None
    numpy = next((alias for alias, name in Imports(tree).names.items() if name == "numpy"), "np")
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.For) and not node.orelse]
    for line in lines:
        around = [node for node in loops if node.lineno <= line <= (node.end_lineno or node.lineno)]
        innermost = max(around, key=lambda node: node.lineno, default=None)
        made = _of_loop(innermost, numpy, _values_of(tree, innermost)) if innermost is not None else None
        if innermost is not None and made is not None:
            return WholeArrays(innermost.lineno, innermost.end_lineno or innermost.lineno, made)
    return None


@dataclass(frozen=True)
class InNumPy:
    """Calls of TensorFlow in a function that Python runs on arrays, and the same with NumPy.

    Attributes:
        calls: Names of what is called, each once.
        lines: Numbers of statements, from 1, with what to write there.
    """

    calls: tuple[str, ...]
    lines: tuple[tuple[int, str], ...]


def in_numpy(text: str, function: str) -> InNumPy | None:
    r"""Return a function's calls of TensorFlow as NumPy's; None where it has none, or one that NumPy lacks.

    Each of them is an op of its own outside of a graph, 20 to 100 µs, which copies the array.

    Example:
        >>> code = "def f(x):\n    x = tf.cast(x / 255, tf.float32)\n    return tf.expand_dims(x, -1)\n"
        >>> in_numpy(code, "f").lines
        ((2, 'x = np.asarray(x / 255, np.float32)'), (3, 'return np.expand_dims(x, -1)'))
        >>> in_numpy("def f(x):\n    return tf.image.flip_left_right(tf.cast(x, tf.float32))\n", "f") is None
        True
    """
    tree = parsed(text)
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)] if tree is not None else []
    named = [node for node in found if node.name == function]
    if len(named) != 1 or named[0].decorator_list:
        return None
    calls: list[str] = []
    lines: list[tuple[int, str]] = []
    for node in named[0].body:
        if not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Return | ast.Expr):
            if "tf." in ast.unparse(node):
                return None
            continue
        changed = _NumPy()
        new = ast.unparse(changed.visit(copy.deepcopy(node)))
        if re.search(r"\btf\.", new):
            return None
        if changed.calls:
            calls += changed.calls
            lines.append((node.lineno, new))
    return InNumPy(tuple(dict.fromkeys(calls)), tuple(lines)) if lines else None


_IN_NUMPY = {
    "tf.cast": "asarray",
    "tf.convert_to_tensor": "asarray",
    "tf.expand_dims": "expand_dims",
    "tf.reshape": "reshape",
    "tf.transpose": "transpose",
    "tf.squeeze": "squeeze",
    "tf.stack": "stack",
    "tf.concat": "concatenate",
}
"""What NumPy calls the same, with arguments in the same places."""
_TYPES = re.compile(r"tf\.(u?int(8|16|32|64)|float(16|32|64))")


class _NumPy(ast.NodeTransformer):
    """TensorFlow's calls and types as NumPy's, where that has them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = ast.unparse(node.func)
        if name in _IN_NUMPY and all(word.arg in {"axis", "dtype"} for word in node.keywords):
            self.calls.append(name)
            node.func = ast.parse(f"np.{_IN_NUMPY[name]}", mode="eval").body
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if _TYPES.fullmatch(ast.unparse(node)):
            return ast.parse(f"np.{node.attr}", mode="eval").body
        self.generic_visit(node)
        return node


def _values_of(tree: ast.Module, loop: ast.For) -> dict[str, list[ast.expr | None]]:
    """What is given to each name where a loop is, in its function or else the file; None for what is no value."""
    found: dict[str, list[ast.expr | None]] = {}
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.Module | ast.FunctionDef) or all(one is not loop for one in ast.walk(scope)):
            continue
        given = scope.args if isinstance(scope, ast.FunctionDef) else ast.Pass()
        own: dict[str, list[ast.expr | None]] = {one.arg: [None] for one in ast.walk(given) if isinstance(one, ast.arg)}
        nodes = [one for node in scope.body for one in ast.walk(node)]
        single = {
            id(node.targets[0]): node.value for node in nodes if isinstance(node, ast.Assign) and len(node.targets) == 1
        }
        added = {id(node.target) for node in ast.walk(loop) if isinstance(node, ast.AugAssign)}
        for node in nodes:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and id(node) not in added:
                own.setdefault(node.id, []).append(single.get(id(node)))
        found |= own
    return found


def _number(node: ast.expr | None) -> float | None:
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return value
    return None


def _of_loop(loop: ast.For, numpy: str, known: Mapping[str, list[ast.expr | None]]) -> tuple[str, ...] | None:
    match loop:
        case ast.For(target=ast.Name(id=name), iter=values, body=[step]) if _is_array(values):
            pass
        case _:
            return None
    numbers = {one: _number(given[0]) for one, given in known.items() if len(given) == 1 and one != name}
    listed = _calls(values, "tolist")
    if listed:
        # Numbers of Python, which become floats in a sum that is one.
        array = f"{name} = {numpy}.asarray({ast.unparse(values.func.value)}, float)"  # type: ignore[attr-defined]
    else:
        flat = isinstance(values, ast.Attribute)
        array = f"{name} = {f'{ast.unparse(values.value)}.ravel()' if flat else ast.unparse(values)}"  # type: ignore[attr-defined]
    match step:
        case ast.AugAssign(target=ast.Name(id=made), op=ast.Add(), value=value):
            line = f"{made} += float({numpy}.sum({ast.unparse(value)}))"
            certain = all(isinstance(_number(one), float) for one in known.get(made) or [None])
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id=made), attr="append"), args=[value], keywords=[])
        ):
            line = f"{made}.extend({ast.unparse(value)})"
            certain = not listed and all(isinstance(one, ast.List) for one in known.get(made) or [None])
        case _:
            return None
    if not certain or reads(loop.iter, made) or reads(value, made):
        return None
    return (array, line) if _is_arithmetic(value, name, numbers, whole=listed) and reads(value, name) else None


def _is_array(values: ast.expr) -> bool:
    """Whether a loop goes over the values of something that NumPy has."""
    if isinstance(values, ast.Call):
        return any(_calls(values, name) for name in ("tolist", "ravel", "flatten"))
    return isinstance(values, ast.Attribute) and values.attr == "flat"


def _calls(node: ast.expr, method: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method


def _is_arithmetic(value: ast.expr, name: str, numbers: Mapping[str, float | None], *, whole: bool) -> bool:
    """Whether an expression is the same of an array as of each number in it.

    Args:
        numbers: Values of other names.
        whole: Whether whole numbers may be in it: next to small integers of NumPy's they make others.
    """

    def number(node: ast.expr) -> float | None:
        return numbers.get(node.id) if isinstance(node, ast.Name) else _number(node)

    match value:
        case ast.Name(id=used) if used == name:
            return True
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult(), right=right):
            return all(_is_arithmetic(one, name, numbers, whole=whole) for one in (left, right))
        case ast.BinOp(left=left, op=ast.Div() | ast.Mod(), right=right) if number(right):
            return all(_is_arithmetic(one, name, numbers, whole=whole) for one in (left, right))
        case ast.BinOp(left=left, op=ast.Pow(), right=right) if whole:
            power = number(right)
            return isinstance(power, int) and power > 0 and _is_arithmetic(left, name, numbers, whole=whole)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand) if _number(value) is None:
            return _is_arithmetic(operand, name, numbers, whole=whole)
    given = number(value)
    return given is not None and (whole or isinstance(given, float))


def gathered(function: str) -> str | None:
    r"""Return a function whose slices begin at other places for each element with gathers in their place.

    TensorFlow's own vectorisation has gathers of a table at places that differ, and no slices.

    Args:
        function: A `def` or a lambda.

    Returns:
        None where it has no such slice, or one of a length that differs.

    Example:
        >>> print(gathered("lambda i: (series[i : i + 48], labels[i + 48, 0])"))
        lambda i: (tf.gather(series, i + tf.range(48, dtype=i.dtype)), tf.gather(labels, i + 48)[0])
    """
    tree = parsed(function)
    given = next((one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, _Definition)), None)
    if given is None:
        return None
    changed = _Gathers({one.arg for one in ast.walk(given.args) if isinstance(one, ast.arg)})
    made = changed.visit(copy.deepcopy(given))
    return ast.unparse(made) if changed.count and not changed.failed else None


class _Gathers(ast.NodeTransformer):
    """Puts gathers in place of slices of what is no part of an element, at places that are."""

    def __init__(self, varying: set[str]) -> None:
        self._varying = varying
        self.count = 0
        self.failed = False

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        """Note what is made of the element."""
        made = self.generic_visit(node)
        if names_in(node.value, ast.Load) & self._varying:
            self._varying |= {name for target in node.targets for name in names_in(target, ast.Store)}
        return made

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        """Change a slice or an index."""
        self.generic_visit(node)
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        rest = "".join(f", {ast.unparse(one)}" for one in places[1:])
        match places[0]:
            case ast.Slice(lower=ast.expr() as first, upper=ast.expr() as last, step=None):
                made = self._gather(node.value, first, _length(first, last), f"[:{rest}]" if rest else "")
            case ast.Slice():
                made = self._gather(node.value, places[0], None, "")
            case first:
                made = self._gather(node.value, first, "", f"[{rest.removeprefix(', ')}]" if rest else "")
        return node if made is None or any(self._varies(one) for one in places[1:]) else made

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Change `tf.slice`."""
        self.generic_visit(node)
        match node:
            case ast.Call(
                func=ast.Attribute(attr="slice"),
                args=[table, ast.List(elts=[first, *begins]), ast.List(elts=[length, *sizes])],
            ) if not any(map(self._varies, (*begins, length, *sizes))):
                parts = [_part(one, size) for one, size in zip(begins, sizes, strict=False)]
                rest = f"[:, {', '.join(parts)}]" if any(part != ":" for part in parts) else ""
                return self._gather(table, first, ast.unparse(length), rest) or node
        return node

    def _varies(self, node: ast.AST) -> bool:
        return not names_in(node, ast.Load).isdisjoint(self._varying)

    def _gather(self, table: ast.expr, first: ast.AST, length: str | None, rest: str) -> ast.expr | None:
        """The gather of a part of a table; None where it is the same for all elements, or no part of a table."""
        if not self._varies(first) or self._varies(table):
            return None
        self.failed = self.failed or length is None
        if length is None:
            return None
        self.count += 1
        name = min(names_in(first, ast.Load) & self._varying)
        more = f" + tf.range({length}, dtype={name}.dtype)" if length else ""
        return ast.parse(f"tf.gather({ast.unparse(table)}, {ast.unparse(first)}{more}){rest}", mode="eval").body


def _length(first: ast.expr, last: ast.expr) -> str | None:
    """How long a slice is, where both ends are sums of the same and something; None for others."""
    match first, last:
        case _, ast.BinOp(left=same, op=ast.Add(), right=length) if ast.dump(same) == ast.dump(first):
            return ast.unparse(length)
        case ast.BinOp(left=one, op=ast.Add(), right=less), ast.BinOp(left=other, op=ast.Add(), right=more):
            return f"{ast.unparse(more)} - {ast.unparse(less)}" if ast.dump(one) == ast.dump(other) else None
    return None


def _part(begin: ast.expr, size: ast.expr) -> str:
    """A slice of a dimension, as it is between brackets."""
    first, length = _number(begin), _number(size)
    start = "" if first == 0 else ast.unparse(begin)
    if length == -1:
        return f"{start}:"
    return f"{start}:{f'{start} + ' if start else ''}{ast.unparse(size)}"


def function_before(text: str, function: str, line: int) -> ast.FunctionDef | None:
    """The last function of a name before a line; TensorFlow is `tf` in it, whatever the file calls it."""
    tree = parsed(text) or ast.Module([], [])
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    last = max((node for node in found if node.lineno <= line), key=lambda node: node.lineno, default=None)
    names = {alias for alias, name in Imports(tree).names.items() if name == "tensorflow" and alias != "tf"}
    return _Usual(names).visit(copy.deepcopy(last)) if last is not None and names else last


class _Usual(ast.NodeTransformer):
    """Gives TensorFlow its usual name."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """Change one name."""
        return ast.copy_location(ast.Name("tf", node.ctx), node) if node.id in self._names else node


def takes_any_texts(text: str, function: str, line: int) -> bool:
    r"""Whether a function does the same for each of many texts: it calls nothing but what takes any number of them.

    Args:
        text: Python source of the whole file.
        function: Its name.
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> code = "def ids(line):\n    return table.lookup(tf.strings.split(line))\n"
        >>> takes_any_texts(code, "ids", 3), takes_any_texts(code.replace("line))", "line)[0])"), "ids", 3)
        (True, False)
    """
    found = function_before(text, function, line)
    if found is None:
        return False
    nodes = [node for step in found.body if not is_text(step) for node in ast.walk(step)]
    calls = [ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)]
    known = (ast.Return, ast.Assign, ast.Tuple, ast.Call, ast.keyword, ast.Attribute, *_ARITHMETIC)
    return any(_is_of_texts(call) for call in calls if call != _CAST) and all(
        isinstance(node, known) and (not isinstance(node, ast.Call) or _is_of_texts(ast.unparse(node.func)))
        for node in nodes
    )


def _is_of_texts(call: str) -> bool:
    module, _, name = call.rpartition(".")
    if module == "tf.strings":
        return name not in _OF_ALL_TEXTS
    return (name == "lookup" and bool(module)) or call == _CAST


def all_rounds(text: str, function: str, line: int) -> WholeArrays | None:
    r"""Return a loop of TensorFlow over numbers with its rounds at once; None where a round may need the one before.

    A loop of a few rounds, known before, is one of Python: its ops follow each other in the graph.

    Args:
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> code = "def f(x):\n    for i in tf.range(n):\n        one = x[i]\n        best = tf.maximum(best, one)\n"
        >>> print(*all_rounds(code, "f", 5).lines, sep="\n")
        def one_round(i):
            one = x[i]
            return one
        best = tf.maximum(best, tf.reduce_max(tf.vectorized_map(one_round, tf.range(n)), axis=0))
    """
    found = function_before(text, function, line)
    if found is None:
        return None
    for node in found.body:
        if isinstance(node, ast.For) and _is_range(node) and isinstance(node.target, ast.Name):
            if node.orelse or any(isinstance(one, ast.Return) for one in ast.walk(node)):
                return None
            copy_of = _Unrolled().visit(copy.deepcopy(node))
            lines = [ast.unparse(copy_of)] if not _is_range(copy_of) else _at_once(copy_of, found, node)
            if lines is not None:
                written = tuple(part for one in lines for part in one.splitlines())
                return WholeArrays(node.lineno, node.end_lineno or node.lineno, written)
    return None


def same_in_all_rounds(text: str, function: str, line: int) -> WholeArrays | None:
    r"""Return what reads or decodes in a loop of TensorFlow although no round changes it; None where nothing does.

    Args:
        text: Python source of the whole file.
        function: Its name.
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> code = "def f(raw):\n    def one(at):\n        full = tf.io.decode_jpeg(raw)\n        return full[at:]\n"
        >>> same_in_all_rounds(f"{code}    return tf.map_fn(one, places)\n", "f", 6)
        WholeArrays(first=3, last=3, lines=('full = tf.io.decode_jpeg(raw)',))
    """
    found = function_before(text, function, line)
    nodes = list(ast.walk(found)) if found is not None else []
    over = {_rounds_of(one) for one in nodes if isinstance(one, ast.Call) and _is_map_fn(one)}
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name, args=given) if name in over:
                changed = {one.arg for one in ast.walk(given) if isinstance(one, ast.arg)}
            case ast.For(target=target) if _is_range(node):
                changed = names_in(target, ast.Store)
            case _:
                continue
        if same := _unchanged(node.body, changed):
            written = tuple(part for one in same for part in ast.unparse(one).splitlines())
            return WholeArrays(same[0].lineno, same[-1].end_lineno or same[-1].lineno, written)
    return None


def _is_map_fn(call: ast.Call) -> bool:
    return ast.unparse(call.func) in {"tf.map_fn", "tf.vectorized_map"}


def _rounds_of(call: ast.Call) -> str:
    """The function that is called for each element of a tensor, also by name or by a lambda that does no more."""
    given = [*call.args[:1], *(one.value for one in call.keywords if one.arg == "fn")]
    match given[0] if given else None:
        case ast.Lambda(args=ast.arguments(args=[first]), body=ast.Call(func=function, args=[one], keywords=[])) if (
            is_named(one, first.arg)
        ):
            return ast.unparse(function)
    return ast.unparse(given[0]) if given else ""


def _unchanged(body: Sequence[ast.stmt], changed: set[str]) -> list[ast.stmt]:
    """The first statements in a row that only read or decode, and that nothing which a round sets has a part in."""
    stores = Counter(name for node in body for name in names_in(node, ast.Store))
    same = [node for node in body if _only_loads(node)]
    while True:
        others = changed.union(*(_set_by(node) for node in body if node not in same))
        known: set[str] = set()
        kept: list[ast.stmt] = []
        for place, node in enumerate(body):
            stored, read = names_in(node, ast.Store), names_in(node, ast.Load)
            later = set(stores) - others - known
            before = body[:place]
            if (
                node in same
                and not (read | stored) & others
                and not read & later
                and all(stores[name] == 1 for name in stored)
                and not any(names_in(one, ast.Load) & stored or _leaves(one) for one in before)
            ):
                kept.append(node)
                known |= stored
        if len(kept) == len(same):
            break
        same = kept
    places = [body.index(node) for node in same]
    return [node for number, node in enumerate(same) if places[number] == places[0] + number]


def _only_loads(node: ast.stmt) -> bool:
    """Whether a statement gives names to what functions of TensorFlow read or decode, and does nothing else."""
    if not isinstance(node, ast.Assign) or not all(isinstance(one, ast.Name | ast.Tuple) for one in node.targets):
        return False
    nodes = [one for one in ast.walk(node) if isinstance(one, ast.expr)]
    calls = [one for one in nodes if isinstance(one, ast.Call)]
    plain = (ast.Call, ast.Name, ast.Constant, ast.Attribute, ast.Subscript, ast.Tuple, ast.List)
    return (
        bool(calls)
        and all(isinstance(one, plain) for one in nodes)
        and all(_LOADS.fullmatch(ast.unparse(one.func)) for one in calls)
    )


def _set_by(node: ast.stmt) -> set[str]:
    """Names that a statement sets, and of what it may change: ``a`` of ``a.b = 1`` and of ``a.append(1)``."""
    found = names_in(node, ast.Store)
    for one in ast.walk(node):
        match one:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                found |= bases_of(one)
            case ast.Expr(value=ast.Call(func=ast.Attribute() as function)):
                found |= bases_of(function) - {"tf"}
            case ast.FunctionDef(name=name):
                found.add(name)
    return found


def _leaves(node: ast.stmt) -> bool:
    return any(isinstance(one, ast.Break | ast.Continue | ast.Return) for one in ast.walk(node))


class _Unrolled(ast.NodeTransformer):
    """Makes loops of a few rounds, known before and with those around them, loops of Python."""

    def __init__(self) -> None:
        self._around = 1

    def visit_For(self, node: ast.For) -> ast.AST:
        """Change the loop's range."""
        around = self._around
        match node.iter:
            case ast.Call(args=[ast.Constant(value=int(rounds))]) if (
                _is_range(node) and rounds * around <= _FEW_ROUNDS and not _has_break(node)
            ):
                node.iter = ast.Call(ast.Name("range", ast.Load()), node.iter.args, [])
                self._around *= rounds
        self.generic_visit(node)
        self._around = around
        return node


def _has_break(loop: ast.For) -> bool:
    return any(isinstance(node, ast.Break) for node in ast.walk(loop))


def _is_range(loop: ast.For) -> bool:
    return isinstance(loop.iter, ast.Call) and ast.unparse(loop.iter.func) == "tf.range"


def _at_once(loop: ast.For, whole: ast.FunctionDef, written: ast.For) -> list[str] | None:
    *body, last = loop.body
    around = [one for one in ast.walk(whole) if one not in ast.walk(written)]
    match last:
        case ast.Assign(
            targets=[ast.Name(id=made)], value=ast.Call(func=function, args=[ast.Name(id=before), value])
        ) if before == made and ast.unparse(function) in _REDUCED:
            combine = ast.unparse(function)
        case ast.AugAssign(target=ast.Name(id=made), op=ast.Add(), value=value):
            combine = "tf.add"
        case _:
            return None
    inner = [one for node in body for one in ast.walk(node)]
    if any(isinstance(one, ast.Break | ast.Continue | ast.Expr) for one in inner) or reads(value, made):
        return None
    if _needs_the_round_before(body, made) or (combine == "tf.add" and not _is_of_numbers(made, around)):
        return None
    set_inside = {name for node in (*body, loop.target) for name in names_in(node, ast.Store)}
    end = written.end_lineno or written.lineno
    if any(names_in(one, ast.Load) & set_inside for one in around if isinstance(one, ast.Name) and one.lineno > end):
        return None
    index = ast.unparse(loop.target)
    lines = ast.unparse(ast.Module([*body, ast.Return(value)], [])).splitlines()
    rounds = f"{_REDUCED[combine]}(tf.vectorized_map(one_round, {ast.unparse(loop.iter)}), axis=0)"
    return [f"def one_round({index}):", *(f"    {one}" for one in lines), f"{made} = {combine}({made}, {rounds})"]


def _is_of_numbers(made: str, nodes: Sequence[ast.AST]) -> bool:
    """Whether what a loop adds to begins as a number or zeros: texts are added as well, but have no sum."""
    values = [
        node.value
        for node in nodes
        if isinstance(node, ast.Assign) and any(is_named(one, made) for one in node.targets)
    ]
    for value in values:
        match value:
            case ast.Call(func=function, args=[given, *_]) if ast.unparse(function) == "tf.constant":
                certain = _number(given) is not None
            case ast.Call(func=function):
                certain = ast.unparse(function) in {"tf.zeros", "tf.ones"}
            case _:
                certain = _number(value) is not None
        if not certain or "string" in ast.unparse(value):
            return False
    return bool(values)


def on_rows(text: str, function: str, line: int) -> str | None:
    r"""Return a function that only slices its argument as one of a batch of rows; None for one that does more.

    Args:
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> on_rows("def split(row):\n    return row[:-1], row[-1:] / 2\n", "split", 3)
        'lambda row: (row[:, :-1], row[:, -1:] / 2)'
    """
    found = function_before(text, function, line)
    body = [node for node in found.body if not is_text(node)] if found is not None else []
    if found is None or len(found.args.args) != 1 or len(body) != 1 or not isinstance(body[0], ast.Return):
        return None
    name, value = found.args.args[0].arg, copy.deepcopy(body[0].value)
    if value is None:
        return None
    cut = [node for node in ast.walk(value) if isinstance(node, ast.Subscript) and is_named(node.value, name)]
    uses = [node for node in ast.walk(value) if is_named(node, name)]
    allowed = (*_ARITHMETIC, ast.Subscript, ast.Slice, ast.Tuple, ast.Dict)
    if len(cut) != len(uses) or not all(isinstance(node, allowed) for node in ast.walk(value)):
        return None
    for node in cut:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        node.slice = ast.Tuple([ast.Slice(), *places], ast.Load())
    return f"lambda {name}: {ast.unparse(value)}"


def _needs_the_round_before(body: Sequence[ast.stmt], made: str) -> bool:
    """Whether statements read what the ones after them, or the end of the loop, set."""
    stored = {made, *(name for node in body for name in names_in(node, ast.Store))}
    known: set[str] = set()
    for node in body:
        changed = {ast.unparse(one.target) for one in ast.walk(node) if isinstance(one, ast.AugAssign)}
        if not (names_in(node, ast.Load) | changed) & stored <= known:
            return True
        known |= names_in(node, ast.Store)
    return made in known
