"""Python of the user's as it could be written: loops over arrays without loops, elements of a generator by number."""

from __future__ import annotations

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.written_calls import parsed

_ARITHMETIC = (ast.BinOp, ast.UnaryOp, ast.Name, ast.Constant, ast.operator, ast.unaryop, ast.expr_context)
_RANDOM_ORDER = frozenset({"permutation", "shuffle"})
_DRAWS = _RANDOM_ORDER | {"permuted", "sample", "choice", "choices"}
_GENERATORS = frozenset({"default_rng", "RandomState", "Random"})
"""What makes a generator of random numbers, each of whose draws holds a lock."""
_OF_OTHERS = frozenset(function.__name__ for function in (enumerate, reversed, zip))
_WHOLE = frozenset({"range", "sorted", "list", "glob.glob", "os.listdir", "np.load", "np.loadtxt", "np.arange"})
"""Functions whose results have an end, and that are in memory or take next to none."""

_REDUCED = {"tf.maximum": "tf.reduce_max", "tf.minimum": "tf.reduce_min", "tf.add": "tf.reduce_sum"}
"""What combines the results of two rounds of a loop, and what does it for all."""
_FEW_ROUNDS = 64
_LOADS = re.compile(r"tf(\.\w+)*\.(decode_\w+|read_file|parse_\w+)")
"""Functions of TensorFlow that read or decode."""
_IN_PLACE = frozenset({"shuffle", "seed"})
"""What changes something else than the generator's own state, or that for all."""
_CHANGING = frozenset(
    {"append", "add", "clear", "extend", "fill", "insert", "pop", "popitem", "put", "remove", "reverse", "setdefault"}
    | {"sort", "update", "appendleft", "popleft", "discard", "resize", "get_nowait", "read", "readline"}
)
"""Methods that change what they are called on."""
_GOING_ON = frozenset(
    {"iter", "open", "islice", "count", "cycle", "chain", "map", "filter", "reader", "DictReader"}
) | (_OF_OTHERS)
"""What makes iterators: each item comes once."""
_VIEWS = frozenset({"asarray", "asanyarray", "reshape", "ravel", "view", "squeeze", "transpose", "swapaxes", "get"})
"""Functions that may give the memory that they are given."""
_TAKING = frozenset({"imap", "imap_unordered", "map"})
"""Methods of a pool that give what its function makes of one item each."""
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


@dataclass(frozen=True)
class Numbered:
    """A generator's loop, as a list of what it loops over and a function that makes one element.

    Attributes:
        before: Lines of the generator that come before its loop.
        function: Lines of the function; its argument is one of the items.
        shuffled: Whether the loop draws an order.
        endless: Whether it begins again by itself.
        random: Whether an element is made with random numbers of a generator that all share.
        keys: Of what it gives, names of a dict or indices of a tuple; empty where its code does not show them.
        taken: All names of the file.
    """

    before: tuple[str, ...]
    items: str
    function: tuple[str, ...]
    name: str
    shuffled: bool
    endless: bool
    line: int
    random: bool = False
    keys: tuple[str, ...] = ()
    taken: frozenset[str] = frozenset()


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
    if not certain or _reads(loop.iter, made) or _reads(value, made):
        return None
    return (array, line) if _is_arithmetic(value, name, numbers, whole=listed) and _reads(value, name) else None


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


def numbered(text: str, function: str, line: int) -> Numbered | None:
    r"""Return a generator as a function of one of the items that it loops over; None where its elements hang together.

    Args:
        line: A line in it, from 1.

    Example:
        >>> code = "def rows():\n    paths = sorted(found())\n    for path in paths:\n        yield load(path)\n"
        >>> made = numbered(code, "rows", 4)
        >>> made.before, made.items, made.function
        (('paths = sorted(found())',), 'paths', ('def one_of_rows(path):', '    return load(path)'))
    """
    tree = parsed(text)
    generator = _generator(tree, function, line) if tree is not None else None
    loop = next(_yielding_loops(generator), None) if generator is not None else None
    if tree is None or generator is None or loop is None or not isinstance(loop.target, ast.Name) or loop.orelse:
        return None
    *body, last = loop.body
    if any(isinstance(node, ast.Tuple) and len(node.elts) == 1 for node in ast.walk(generator)):
        return None
    endless = any(isinstance(node, ast.While) for node in generator.body)
    before = [node for node in generator.body if not isinstance(node, ast.While | ast.For) and not _is_text(node)]
    whole = [node for node in generator.body if isinstance(node, ast.While | ast.For)]
    if (
        not isinstance(last, ast.Expr)
        or not isinstance(last.value, ast.Yield)
        or last.value.value is None
        or len(whole) != 1
        or not _begins_again(whole[0], loop)
        or any(isinstance(one, ast.Return | ast.Global | ast.Nonlocal) for node in before for one in ast.walk(node))
        or sum(isinstance(node, ast.Yield | ast.YieldFrom | ast.Break) for node in ast.walk(generator)) > 1
        or generator.body[-1] is not whole[0]
        or not _has_end(loop.iter, known := _assigned_once(tree, generator))
        or _changes([*body, last], loop.target.id, before, tree, drawing := _drawing(known))
        or (order := _order(loop.iter, before, drawing, Imports(tree))) is None
        or (endless and order.once)
        or _meant_otherwise(order.before, tree, generator)
    ):
        return None
    name, taken = f"one_of_{generator.name}", _all_names(tree)
    while name in taken:
        name = f"all_{name}"
    lines = [*body, ast.Return(last.value.value)]
    made = ast.unparse(ast.fix_missing_locations(ast.Module(lines, []))).splitlines()
    return Numbered(
        before=tuple(part for node in order.before for part in ast.unparse(node).splitlines()),
        items=ast.unparse(loop.iter),
        function=(f"def {name}({loop.target.id}):", *(f"    {one}" for one in made)),
        name=name,
        shuffled=order.drawn,
        endless=endless,
        line=loop.lineno,
        random=any(name in drawing for node in loop.body for name in _names(node, ast.Load)),
        keys=_keys(last.value.value, body),
        taken=taken,
    )


def _all_names(tree: ast.Module) -> frozenset[str]:
    """Every name that a file uses or gives to something."""
    found = {*Imports(tree).names}
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
    return frozenset(found)


def _meant_otherwise(before: Sequence[ast.stmt], tree: ast.Module, generator: ast.FunctionDef) -> bool:
    """Whether a name that a generator sets is that of something else where its lines are to be pasted."""
    stored = {name for node in before for name in _names(node, ast.Store)}
    around = [one for one in ast.walk(tree) if isinstance(one, ast.Module | ast.FunctionDef) and one is not generator]
    others = set(Imports(tree).names)
    for scope in around:
        if any(one is generator for one in ast.walk(scope)):
            given = scope.args if isinstance(scope, ast.FunctionDef) else ast.Pass()
            others |= {one.arg for one in ast.walk(given) if isinstance(one, ast.arg)}
            for node in scope.body:
                inner = isinstance(node, ast.FunctionDef | ast.ClassDef)
                others |= {node.name} if inner else _names(node, ast.Store)  # type: ignore[attr-defined]
    return not stored.isdisjoint(others)


def _keys(given: ast.expr, body: Sequence[ast.stmt]) -> tuple[str, ...]:
    """Names or indices of what is written as a dict or a tuple, in TensorFlow's order; empty for others."""
    match given:
        case ast.Tuple(elts=parts) if not any(isinstance(one, ast.Starred | ast.Dict | ast.Tuple) for one in parts):
            return tuple(map(str, range(len(parts))))
        case ast.Dict(keys=keys):
            names = [one.value for one in keys if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            return tuple(sorted(names)) if len(names) == len(set(names)) == len(keys) else ()
        case ast.Name(id=name) if sum(name in _names(node, ast.Store) for node in body) == 1:
            made = [node.value for node in body if isinstance(node, ast.Assign) and _is(node.targets[0], name)]
            return _keys(made[0], []) if made else ()
    return ()


def _generator(tree: ast.Module, function: str, line: int) -> ast.FunctionDef | None:
    """The one function without arguments of a name that has a line."""
    found = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        and node.name == function.rpartition(".")[2]
        and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    given = [one for node in found for one in ast.walk(node.args) if isinstance(one, ast.arg)]
    return found[0] if len(found) == 1 and not given else None


def of_a_pool(text: str, function: str, line: int) -> Numbered | None:
    r"""Return a generator that gives what a pool makes of items as these items and the pool's function.

    None where it does anything else.

    Example:
        >>> code = "def rows():\n    with Pool(4) as pool:\n        yield from pool.imap(load, range(9))\n"
        >>> made = of_a_pool(code, "rows", 3)
        >>> made.items, made.name
        ('range(9)', 'load')
    """
    tree = parsed(text)
    generator = _generator(tree, function, line) if tree is not None else None
    if tree is None or generator is None:
        return None
    *before, last = generator.body
    known = _assigned_once(tree, generator)
    match _given_by(last):
        case ast.Call(
            func=ast.Attribute(value=ast.Name(id=pool), attr=taking),
            args=[ast.Name(id=name), items] | [ast.Name(id=name), items, ast.Constant(value=int())],
            keywords=[] | [ast.keyword(arg="chunksize")],
        ) if taking in _TAKING and _is_plain_pool(last, pool, known) and not _gives_one_tuple(tree, name):
            pass
        case _:
            return None
    before = [node for node in before if not _is_text(node) and _names(node, ast.Store) != {pool}]
    plain = all(isinstance(node, ast.Assign) and not _reads(node, pool) for node in before)
    order = _order(items, before, _drawing(known), Imports(tree))
    if not plain or not _has_end(items, known) or order is None or _meant_otherwise(order.before, tree, generator):
        return None
    return Numbered(
        before=tuple(ast.unparse(node) for node in before),
        items=ast.unparse(items),
        function=(),
        name=name,
        shuffled=order.drawn,
        endless=False,
        line=last.lineno,
        taken=_all_names(tree),
    )


def _given_by(last: ast.stmt) -> ast.expr | None:
    """What a generator only hands on, item by item."""
    match last.body if isinstance(last, ast.With) else [last]:
        case [ast.Expr(value=ast.YieldFrom(value=values))]:
            return values
        case [
            ast.For(
                target=ast.Name(id=each),
                iter=values,
                body=[ast.Expr(value=ast.Yield(value=ast.Name(id=given)))],
                orelse=[],
            )
        ] if each == given:
            return values
    return None


def _is_plain_pool(last: ast.stmt, pool: str, known: Mapping[str, ast.expr]) -> bool:
    """Whether a pool's processes do nothing before their work, which the function may need."""
    made = known.get(pool)
    match last:
        case ast.With(items=[ast.withitem(context_expr=made, optional_vars=ast.Name(id=given))]) if given == pool:
            pass
        case ast.With():
            return False
    match made:
        case ast.Call(func=function, args=[] | [_], keywords=settings):
            called = ast.unparse(function).rpartition(".")[2]
            plain = all(one.arg in {"processes", "max_workers", "maxtasksperchild"} for one in settings)
            return plain and called in {"Pool", "ThreadPool", "ProcessPoolExecutor", "ThreadPoolExecutor"}
    return False


def _gives_one_tuple(tree: ast.Module, function: str) -> bool:
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == function]
    given = [one.value for node in found for one in ast.walk(node) if isinstance(one, ast.Return)]
    return any(isinstance(one, ast.Tuple) and len(one.elts) == 1 for one in given)


@dataclass(frozen=True)
class _Order:
    """What a generator does before its loop, and whether each pass draws an order, or the first one ``once``."""

    before: tuple[ast.stmt, ...]
    drawn: bool
    once: bool


def _order(items: ast.expr, before: Sequence[ast.stmt], drawing: set[str], imports: Imports) -> _Order | None:
    """Return what comes before a loop without a shuffle of its items; None where anything else is drawn."""

    def is_order(value: ast.AST) -> bool:
        if not isinstance(value, ast.Call) or any(_draws(one, drawing, imports) for one in value.args):
            return False
        return imports.dotted(value.func).rpartition(".")[2] in _RANDOM_ORDER

    kept, once = [], False
    for node in before:
        match node:
            case ast.Expr(value=ast.Call(args=[given]) as call) if is_order(call) and _same(given, items):
                once = True
                continue
            case ast.Assign(targets=[ast.Name() as name], value=value) if is_order(value) and _same(name, items):
                once = True
            case _ if _draws(node, drawing, imports):
                return None
        kept.append(node)
    if not is_order(items) and _draws(items, drawing, imports):
        return None
    return _Order(tuple(kept), once or is_order(items), once)


def _same(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Name) and _is(other, one.id)


def _draws(node: ast.AST, drawing: set[str], imports: Imports) -> bool:
    """Whether a call draws random numbers, or may: what makes a generator of them does not."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            *parts, last = (imports.dotted(call.func) or ast.unparse(call.func)).split(".")
            drawn = "random" in parts or last in _DRAWS or (bool(parts) and parts[0] in drawing)
            if drawn and last not in _GENERATORS:
                return True
    return False


def _drawing(known: Mapping[str, ast.expr]) -> set[str]:
    """Names of generators of random numbers, which several threads may share."""
    return {
        name
        for name, value in known.items()
        if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _GENERATORS
    }


def gathered(text: str, function: str, line: int) -> list[tuple[str, str]]:
    r"""Return slices of a table at a function's own index, each with what takes those of a whole batch of indices.

    Args:
        function: Its name; its one argument is the index.
        line: Where a map is given it: of several functions of that name, the last one before counts.

    Example:
        >>> code = "def window(i):\n    return series[i : i + 48], series[i + 48, 0]\n"
        >>> for slice, gather in gathered(code, "window", 3):
        ...     print(slice, "→", gather)
        series[i:i + 48] → tf.gather(series, i[:, None] + tf.range(0, 48, dtype=i.dtype))
        series[i + 48, 0] → tf.gather(series, i + 48)[:, 0]
    """
    found = _function_before(text, function, line)
    if found is None or len(found.args.args) != 1:
        return []
    index = found.args.args[0].arg
    made: dict[str, str] = {}
    for node in ast.walk(found):
        if isinstance(node, ast.Subscript) and _reads(node.slice, index) and not _reads(node.value, index):
            whole = _gather(node, index)
            if whole is None:
                return []
            made[ast.unparse(node)] = whole
    return list(made.items())


def _function_before(text: str, function: str, line: int) -> ast.FunctionDef | None:
    """The last function of a name before a line."""
    nodes = ast.walk(parsed(text) or ast.Module([], []))
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
    return max((node for node in found if node.lineno <= line), key=lambda node: node.lineno, default=None)


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
    found = _function_before(text, function, line)
    if found is None:
        return False
    nodes = [node for step in found.body if not _is_text(step) for node in ast.walk(step)]
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
    found = _function_before(text, function, line)
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
    found = _function_before(text, function, line)
    nodes = list(ast.walk(found)) if found is not None else []
    over = {ast.unparse(one.args[0]) for one in nodes if isinstance(one, ast.Call) and one.args and _is_map_fn(one)}
    for node in nodes:
        match node:
            case ast.FunctionDef(name=name, args=given) if name in over:
                changed = {one.arg for one in ast.walk(given) if isinstance(one, ast.arg)}
            case ast.For(target=target) if _is_range(node):
                changed = _names(target, ast.Store)
            case _:
                continue
        if same := _unchanged(node.body, changed):
            written = tuple(part for one in same for part in ast.unparse(one).splitlines())
            return WholeArrays(same[0].lineno, same[-1].end_lineno or same[-1].lineno, written)
    return None


def _is_map_fn(call: ast.Call) -> bool:
    return ast.unparse(call.func) in {"tf.map_fn", "tf.vectorized_map"}


def _unchanged(body: Sequence[ast.stmt], changed: set[str]) -> list[ast.stmt]:
    """The first statements in a row that only read or decode, and that nothing which a round sets has a part in."""
    stores = Counter(name for node in body for name in _names(node, ast.Store))
    same = [node for node in body if _only_loads(node)]
    while True:
        others = changed.union(*(_set_by(node) for node in body if node not in same))
        known: set[str] = set()
        kept: list[ast.stmt] = []
        for place, node in enumerate(body):
            stored, read = _names(node, ast.Store), _names(node, ast.Load)
            later = set(stores) - others - known
            before = body[:place]
            if (
                node in same
                and not (read | stored) & others
                and not read & later
                and all(stores[name] == 1 for name in stored)
                and not any(_names(one, ast.Load) & stored or _leaves(one) for one in before)
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
    found = _names(node, ast.Store)
    for one in ast.walk(node):
        match one:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                found |= _bases(one)
            case ast.Expr(value=ast.Call(func=ast.Attribute() as function)):
                found |= _bases(function) - {"tf"}
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
    if any(isinstance(one, ast.Break | ast.Continue | ast.Expr) for one in inner) or _reads(value, made):
        return None
    if _needs_the_round_before(body, made) or (combine == "tf.add" and not _is_of_numbers(made, around)):
        return None
    set_inside = {name for node in (*body, loop.target) for name in _names(node, ast.Store)}
    end = written.end_lineno or written.lineno
    if any(_names(one, ast.Load) & set_inside for one in around if isinstance(one, ast.Name) and one.lineno > end):
        return None
    index = ast.unparse(loop.target)
    lines = ast.unparse(ast.Module([*body, ast.Return(value)], [])).splitlines()
    rounds = f"{_REDUCED[combine]}(tf.vectorized_map(one_round, {ast.unparse(loop.iter)}), axis=0)"
    return [f"def one_round({index}):", *(f"    {one}" for one in lines), f"{made} = {combine}({made}, {rounds})"]


def _is_of_numbers(made: str, nodes: Sequence[ast.AST]) -> bool:
    """Whether what a loop adds to begins as a number or zeros: texts are added as well, but have no sum."""
    values = [
        node.value for node in nodes if isinstance(node, ast.Assign) and any(_is(one, made) for one in node.targets)
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
    found = _function_before(text, function, line)
    body = [node for node in found.body if not _is_text(node)] if found is not None else []
    if found is None or len(found.args.args) != 1 or len(body) != 1 or not isinstance(body[0], ast.Return):
        return None
    name, value = found.args.args[0].arg, copy.deepcopy(body[0].value)
    if value is None:
        return None
    cut = [node for node in ast.walk(value) if isinstance(node, ast.Subscript) and _is(node.value, name)]
    uses = [node for node in ast.walk(value) if _is(node, name)]
    allowed = (*_ARITHMETIC, ast.Subscript, ast.Slice, ast.Tuple, ast.Dict)
    if len(cut) != len(uses) or not all(isinstance(node, allowed) for node in ast.walk(value)):
        return None
    for node in cut:
        places = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        node.slice = ast.Tuple([ast.Slice(), *places], ast.Load())
    return f"lambda {name}: {ast.unparse(value)}"


def _is(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _needs_the_round_before(body: Sequence[ast.stmt], made: str) -> bool:
    """Whether statements read what the ones after them, or the end of the loop, set."""
    stored = {made, *(name for node in body for name in _names(node, ast.Store))}
    known: set[str] = set()
    for node in body:
        changed = {ast.unparse(one.target) for one in ast.walk(node) if isinstance(one, ast.AugAssign)}
        if not (_names(node, ast.Load) | changed) & stored <= known:
            return True
        known |= _names(node, ast.Store)
    return made in known


def _names(node: ast.AST, context: type[ast.expr_context]) -> set[str]:
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, context)}


def _gather(node: ast.Subscript, index: str) -> str | None:
    first, *others = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if any(_reads(one, index) or (isinstance(one, ast.Constant) and one.value in {None, ...}) for one in others):
        return None
    rest = ", ".join(map(ast.unparse, others))
    if not isinstance(first, ast.Slice):
        return f"tf.gather({ast.unparse(node.value)}, {ast.unparse(first)}){f'[:, {rest}]' if rest else ''}"
    bounds = [_beyond(bound, index) for bound in (first.lower, first.upper)]
    if first.step is not None or None in bounds:
        return None
    places = f"{index}[:, None] + tf.range({bounds[0]}, {bounds[1]}, dtype={index}.dtype)"
    return f"tf.gather({ast.unparse(node.value)}, {places}){f'[:, :, {rest}]' if rest else ''}"


def _beyond(bound: ast.expr | None, index: str) -> str | None:
    """How far a bound is beyond the index: ``48`` of ``i + 48``; None where it is no sum with it."""
    match bound:
        case ast.Name(id=name) if name == index:
            return "0"
        case ast.BinOp(left=left, op=ast.Add(), right=right) if _reads(left, index) and not _reads(right, index):
            before = _beyond(left, index)
            return before and (ast.unparse(right) if before == "0" else f"{before} + {ast.unparse(right)}")
    return None


def _reads(node: ast.AST, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node))


def _yielding_loops(generator: ast.FunctionDef) -> Iterator[ast.For]:
    """Loops with a yield that is none of an inner one's."""
    for node in ast.walk(generator):
        if isinstance(node, ast.For) and any(
            isinstance(one, ast.Expr) and isinstance(one.value, ast.Yield) for one in node.body
        ):
            yield node


def _begins_again(whole: ast.stmt, loop: ast.For) -> bool:
    """Whether a statement is a loop, or one without an end around it and nothing else."""
    match whole:
        case ast.While(test=ast.Constant(value=True | 1), body=[inner], orelse=[]):
            return inner is loop
    return whole is loop


def _assigned_once(tree: ast.Module, generator: ast.FunctionDef) -> dict[str, ast.expr]:
    """What the names are that a generator sees, where one statement says so."""
    found: dict[str, ast.expr] = {}
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.Module | ast.FunctionDef) or all(one is not generator for one in ast.walk(scope)):
            continue
        own = [node for node in scope.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)]
        nodes = [one for node in own for one in ast.walk(node)]
        stores = Counter(one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store))
        taken = scope.args if isinstance(scope, ast.FunctionDef) else ast.Pass()
        given = {one.arg for one in ast.walk(taken) if isinstance(one, ast.arg)}
        for name in (*stores, *given):
            found.pop(name, None)
        for node in nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if stores[name] == 1 and name not in given:
                    found[name] = value
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    pairs = zip(names, values, strict=False)
                    single = [(to.id, value) for to, value in pairs if isinstance(to, ast.Name)]
                    found |= {name: value for name, value in single if stores[name] == 1 and name not in given}
    return found


def _has_end(values: ast.expr, known: Mapping[str, ast.expr]) -> bool:
    """Whether something certainly ends and fits in memory as a list."""
    match values:
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Constant(value=str()):
            return True
        case ast.Name(id=name) if name in known:
            return _has_end(known[name], {other: value for other, value in known.items() if other != name})
        case ast.Call(func=function, args=[*given]):
            name = ast.unparse(function).replace("numpy.", "np.")
            if name in _OF_OTHERS:
                return all(_has_end(one, known) for one in given)
            return name in _WHOLE or name.rpartition(".")[2] in _RANDOM_ORDER
    return False


def _changes(
    body: Sequence[ast.stmt], item: str, before: Sequence[ast.stmt], tree: ast.Module, drawing: set[str]
) -> bool:
    """Whether a loop changes, or may change, what was there before it: then an element depends on the one before.

    Args:
        drawing: Generators of random numbers, whose draws may come in another order.
    """
    stored = {name for node in body for name in _names(node, ast.Store)}
    defined = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    imports = Imports(tree)
    harmless = stored | {item} | set(defined) | set(imports.names)
    if any(not stored.isdisjoint(_names(node, ast.Store)) for node in before):
        return True
    if _has_state(body, stored, tree, imports) or any(
        _draws(one, drawing, imports) or _keeps_state(one) for one in _reached(body, defined)
    ):
        return True
    shared = {item} | {name for name in stored if not _is_own(name, body)}
    nodes = [one for node in body for one in ast.walk(node)]
    calls = [one for one in nodes if isinstance(one, ast.Call)]
    return any(_changes_outside(one, stored - shared) for one in nodes) or any(
        _calls_outside(one, harmless, shared, drawing, imports) for one in calls
    )


def _changes_outside(node: ast.AST, own: set[str]) -> bool:
    """Whether something goes another way, or changes what is not a loop's own."""
    match node:
        case ast.Continue() | ast.Nonlocal() | ast.Global() | ast.Return():
            return True
        case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
            return not _bases(node) <= own
        case ast.AugAssign(target=ast.Name(id=name)):
            return name not in own
    return False


def _calls_outside(call: ast.Call, harmless: set[str], shared: set[str], drawing: set[str], imports: Imports) -> bool:
    match call.func:
        case ast.Name(id="next"):
            return True
        case ast.Attribute() as function:
            drawn = not _bases(function).isdisjoint(drawing) and function.attr not in _IN_PLACE
            unknown = not _bases(function) <= harmless or _draws(ast.Call(function, [], []), set(), imports)
            changed = function.attr in _CHANGING and not _bases(function).isdisjoint(shared)
            return (unknown and not drawn) or changed
    return _draws(ast.Call(call.func, [], []), set(), imports)


def _has_state(body: Sequence[ast.stmt], stored: set[str], tree: ast.Module, imports: Imports) -> bool:
    """Whether statements call what a name was given somewhere, or use what goes on from where it was."""
    nodes = list(ast.walk(tree))
    givers = {name for node in nodes if isinstance(node, ast.FunctionDef) and _yields(node) for name in [node.name]}
    assigned = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    assigned |= {one.arg for one in nodes if isinstance(one, ast.arg)}
    read = {name for node in body for name in _names(node, ast.Load)} - stored
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                going = any(
                    isinstance(one, ast.GeneratorExp)
                    or (
                        isinstance(one, ast.Call)
                        and (imports.dotted(one.func).rpartition(".")[2] in _GOING_ON | givers)
                    )
                    for one in [value, *getattr(value, "elts", [])]
                )
                if going and any(not read.isdisjoint(_names(target, ast.Store)) for target in targets):
                    return True
            case ast.withitem(optional_vars=ast.Name(id=name)) if name in read:
                return True
    calls = {one.func.id for node in body for one in ast.walk(node) if _is_bare_call(one)}  # type: ignore[attr-defined]
    return not calls.isdisjoint(assigned)


def _is_bare_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(function))


def _reached(
    body: Sequence[ast.stmt], defined: Mapping[str, ast.FunctionDef | ast.ClassDef]
) -> list[ast.FunctionDef | ast.ClassDef]:
    """The file's own functions and classes that statements use, and those that these use."""
    found: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    left = [name for node in body for name in _names(node, ast.Load)]
    while left:
        name = left.pop()
        if name in defined and name not in found:
            found[name] = defined[name]
            left += _names(defined[name], ast.Load)
    return list(found.values())


def _keeps_state(function: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function changes what is outside of it."""
    own = _names(function, ast.Store) | {one.arg for one in ast.walk(function) if isinstance(one, ast.arg)}
    for one in ast.walk(function):
        match one:
            case ast.Global() | ast.Nonlocal() | ast.Call(func=ast.Name(id="next")):
                return True
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                if not _bases(one) <= own:
                    return True
            case ast.Call(func=ast.Attribute(attr=attr) as called) if attr in _CHANGING and not _bases(called) <= own:
                return True
    return False


def _is_own(name: str, body: Sequence[ast.stmt]) -> bool:
    """Whether everything that a name is given is made anew, and no view or alias of what was there before."""
    nodes = [one for node in body for one in ast.walk(node)]
    new = 0
    for one in nodes:
        match one:
            case ast.Assign(targets=[ast.Name(id=to)], value=value) if to == name:
                new += _is_new(value)
            case ast.AugAssign(target=ast.Name(id=to)) | ast.withitem(optional_vars=ast.Name(id=to)) if to == name:
                new += 1
    return new == sum(_is(one, name) and isinstance(one.ctx, ast.Store) for one in nodes)  # type: ignore[attr-defined]


def _is_new(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return ast.unparse(value.func).rpartition(".")[2] not in _VIEWS
    return isinstance(value, ast.BinOp | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.Constant)


def _bases(node: ast.AST) -> set[str]:
    """What is changed or called: ``a`` of ``a.b["x"].c``; none of a constant."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
        node = node.func if isinstance(node, ast.Call) else node.value
    return {node.id} if isinstance(node, ast.Name) else set()


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
