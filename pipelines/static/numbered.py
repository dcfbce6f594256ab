"""Generators of the user's as a function of one element, and what these are made of."""

from __future__ import annotations

import ast
import copy
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import bases_of, is_named, is_text, names_in, reads
from pipeprof.pipelines.static.written_calls import parsed

_RANDOM_ORDER = frozenset({"permutation", "shuffle"})

_DRAWS = _RANDOM_ORDER | {"permuted", "sample", "choice", "choices"}

_GENERATORS = frozenset({"default_rng", "RandomState", "Random"})

"""What makes a generator of random numbers, each of whose draws holds a lock."""

_OF_OTHERS = frozenset(function.__name__ for function in (enumerate, reversed, zip))

_WHOLE = frozenset({"range", "sorted", "list", "glob.glob", "os.listdir", "np.load", "np.loadtxt", "np.arange"})

"""Functions whose results have an end, and that are in memory or take next to none."""

_IN_PLACE = frozenset({"shuffle", "seed"})

"""What changes something else than the generator's own state, or that for all."""

CHANGING = frozenset(
    {"append", "add", "clear", "extend", "fill", "insert", "pop", "popitem", "put", "remove", "reverse", "setdefault"}
    | {"sort", "update", "appendleft", "popleft", "discard", "resize", "get_nowait", "read", "readline"}
)
"""Methods that change what they are called on."""

READING = frozenset(
    {"astype", "clip", "copy", "count", "decode", "encode", "format", "index", "items", "join", "keys", "lower", "max"}
    | {"mean", "min", "reshape", "round", "split", "std", "strip", "sum", "tolist", "transpose", "upper", "values"}
)
"""Methods of texts, arrays and tables that change nothing of what they are called on."""

GOING_ON = (
    frozenset({"iter", "open", "islice", "count", "cycle", "chain", "reader", "DictReader"})
    | {function.__name__ for function in (map, filter)}
    | _OF_OTHERS
)
"""What makes iterators: each item comes once."""

_VIEWS = frozenset({"asarray", "asanyarray", "reshape", "ravel", "view", "squeeze", "transpose", "swapaxes", "get"})

"""Functions that may give the memory that they are given."""

_Defined: TypeAlias = Mapping[str, ast.FunctionDef | ast.ClassDef]
"""The file's own functions and classes, by their names."""

_TAKING = frozenset({"imap", "imap_unordered", "map"})

"""Methods of a pool that give what its function makes of one item each."""


@dataclass(frozen=True)
class Numbered:
    """A generator's loop, as a list of what it loops over and a function that makes one element.

    Attributes:
        before: Lines of the generator that come before its loop.
        function: Lines of the function; its argument is one of the items.
        shuffled: Whether the loop draws an order.
        endless: Whether it begins again by itself.
        random: Whether an element is made with random numbers of a generator that all share.
        keys: Names of the dict or indices of the tuple that it gives; empty where its code does not show them.
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
    before = [node for node in generator.body if not isinstance(node, ast.While | ast.For) and not is_text(node)]
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
        or not _has_end(loop.iter, known := _assigned_once(tree, generator), Imports(tree))
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
        random=any(name in drawing for node in loop.body for name in names_in(node, ast.Load)),
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
    stored = {name for node in before for name in names_in(node, ast.Store)}
    around = [one for one in ast.walk(tree) if isinstance(one, ast.Module | ast.FunctionDef) and one is not generator]
    others = set(Imports(tree).names)
    for scope in around:
        if any(one is generator for one in ast.walk(scope)):
            given = scope.args if isinstance(scope, ast.FunctionDef) else ast.Pass()
            others |= {one.arg for one in ast.walk(given) if isinstance(one, ast.arg)}
            for node in scope.body:
                inner = isinstance(node, ast.FunctionDef | ast.ClassDef)
                others |= {node.name} if inner else names_in(node, ast.Store)  # type: ignore[attr-defined]
    return not stored.isdisjoint(others)


def _keys(given: ast.expr, body: Sequence[ast.stmt]) -> tuple[str, ...]:
    """Names or indices of what is written as a dict or a tuple, in TensorFlow's order; empty for others."""
    match given:
        case ast.Tuple(elts=parts) if not any(isinstance(one, ast.Starred | ast.Dict | ast.Tuple) for one in parts):
            return tuple(map(str, range(len(parts))))
        case ast.Dict(keys=keys):
            names = [one.value for one in keys if isinstance(one, ast.Constant) and isinstance(one.value, str)]
            return tuple(sorted(names)) if len(names) == len(set(names)) == len(keys) else ()
        case ast.Name(id=name) if sum(name in names_in(node, ast.Store) for node in body) == 1:
            made = [node.value for node in body if isinstance(node, ast.Assign) and is_named(node.targets[0], name)]
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

    What it does with a result becomes a part of the function. None where it does anything else.

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
            args=[given, items] | [given, items, ast.Constant(value=int())],
            keywords=[] | [ast.keyword(arg="chunksize")],
        ) if taking in _TAKING and _is_plain_pool(last, pool, known):
            name = ast.unparse(given)
        case _:
            return _in_turn(tree, generator, known)
    defined = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    if _gives_one_tuple(tree, name) or any(_keeps_state(one) for one in _reached([last], defined)):
        # Each process has a state of its own, threads share it.
        return None
    before = [node for node in before if not is_text(node) and names_in(node, ast.Store) != {pool}]
    order = _order(items, before, _drawing(known), Imports(tree))
    if order is None or not all(isinstance(node, ast.Assign) and not reads(node, pool) for node in order.before):
        return None
    if not _has_end(items, known, Imports(tree)) or _meant_otherwise(order.before, tree, generator):
        return None
    return Numbered(
        before=tuple(ast.unparse(node) for node in order.before),
        items=ast.unparse(items),
        function=(),
        name=f"({name})" if isinstance(given, ast.Lambda) else name,
        shuffled=order.drawn,
        endless=False,
        line=last.lineno,
        taken=_all_names(tree),
    )


def _in_turn(tree: ast.Module, generator: ast.FunctionDef, known: Mapping[str, ast.expr]) -> Numbered | None:
    """A generator that does more with what a pool makes, as one that calls the function itself."""
    *before, last = generator.body
    match last.body if isinstance(last, ast.With) else [last]:
        case [
            ast.For(
                target=target,
                iter=ast.Call(
                    func=ast.Attribute(value=ast.Name(id=pool), attr=taking),
                    args=[given, items] | [given, items, ast.Constant(value=int())],
                    keywords=[] | [ast.keyword(arg="chunksize")],
                ),
                body=body,
                orelse=[],
            )
        ] if taking in _TAKING and _is_plain_pool(last, pool, known):
            pass
        case _:
            return None
    item = "item"
    while item in _all_names(tree):
        item = f"one_{item}"
    made = ast.Assign([target], ast.Call(given, [ast.Name(item, ast.Load())], []))
    loop = ast.For(ast.Name(item, ast.Store()), items, [made, *body], [])
    kept = [node for node in before if names_in(node, ast.Store) != {pool}]
    changed = copy.copy(generator)
    changed.body = [*kept, loop]
    whole = [changed if node is generator else node for node in tree.body]
    if all(node is not generator for node in tree.body):
        return None
    text = ast.unparse(ast.fix_missing_locations(ast.Module(whole, [])))
    lines = [number for number, one in enumerate(text.splitlines(), 1) if one.startswith(f"def {generator.name}(")]
    return numbered(text, generator.name, lines[-1])


def _given_by(last: ast.stmt) -> ast.expr | None:
    """What a generator gives as it is, with nothing done to it."""
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
        return imports.called(value.func) in _RANDOM_ORDER

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
    return isinstance(one, ast.Name) and is_named(other, one.id)


def _draws(node: ast.AST, drawing: set[str], imports: Imports) -> bool:
    """Whether a call draws random numbers, or may: what makes a generator of them does not."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            *parts, last = (imports.dotted(call.func) or ast.unparse(call.func)).split(".")
            drawn = "random" in parts or last in _DRAWS or (bool(parts) and parts[0] in drawing)
            if drawn and last not in _GENERATORS:
                return True
    return False


def may_draw(text: str, function: str) -> bool:
    r"""Return whether functions of a name in a file, or those that they use, draw random numbers.

    Example:
        >>> code = "import random\ndef rows():\n    yield random.random()\ndef others():\n    yield 1\n"
        >>> may_draw(code, "rows"), may_draw(code, "others")
        (True, False)
    """
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
    if tree is None or not found:
        return False
    defined, imports = (
        {one.name: one for one in nodes if isinstance(one, ast.FunctionDef | ast.ClassDef)},
        Imports(tree),
    )
    drawing = _drawing(_assigned_once(tree, found[0]))
    return any(_draws(one, drawing, imports) for one in (*found, *_reached(found, defined)))


def may_start_threads(text: str, function: str) -> bool:
    r"""Return whether functions of a name in a file, or those that they use, may call a library with its own threads.

    NumPy starts some in linear algebra only. What other packages do is not known; nor what a function does whose
    text is not found.

    Example:
        >>> code = "import cv2\ndef a(x):\n    return x[::-1]\ndef b(x):\n    return cv2.blur(x)\n"
        >>> may_start_threads(code, "a"), may_start_threads(code, "b"), may_start_threads(code, "c")
        (False, True, True)
    """
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    found = [node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == function]
    if tree is None or not found:
        return True
    defined = {one.name: one for one in nodes if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    used = [*found, *_reached(found, defined)]
    imports = Imports(tree)
    relative = {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.level
        for alias in node.names
    }
    names = {name for one in used for name in names_in(one, ast.Load)}
    packages = {imports.names[name].partition(".")[0] for name in names if name in imports.names}
    if names & relative or packages - sys.stdlib_module_names - _ON_ONE_THREAD:
        return True
    return any(_is_linear_algebra(node, imports, defined) for one in used for node in ast.walk(one))


def _is_linear_algebra(node: ast.AST, imports: Imports, defined: _Defined) -> bool:
    """Whether a node multiplies matrices, or calls what NumPy's linear algebra has, no function of the file's."""
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.MatMult)
    if not isinstance(node, ast.Call):
        return False
    name, own = imports.called(node.func), isinstance(node.func, ast.Name) and node.func.id in defined
    return not own and (name in _LINEAR_ALGEBRA or imports.dotted(node.func).startswith("numpy.linalg."))


_ON_ONE_THREAD = {"numpy", "tensorflow", "keras", "PIL", "h5py"}
"""Packages that start no threads for a call, or whose threads are TensorFlow's own; of NumPy see the next."""
_LINEAR_ALGEBRA = frozenset(
    {"dot", "vdot", "inner", "matmul", "tensordot", "einsum", "cov", "corrcoef", "lstsq", "polyfit"}
)


def _drawing(known: Mapping[str, ast.expr]) -> set[str]:
    """Names of generators of random numbers, which several threads may share."""
    return {
        name
        for name, value in known.items()
        if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in _GENERATORS
    }


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


def _has_end(values: ast.expr, known: Mapping[str, ast.expr], imports: Imports) -> bool:
    """Whether something certainly ends and fits in memory as a list."""
    match values:
        case ast.List() | ast.Tuple() | ast.Dict() | ast.Constant(value=str()):
            return True
        case ast.Name(id=name) if name in known:
            return _has_end(known[name], {other: value for other, value in known.items() if other != name}, imports)
        case ast.Call(func=function, args=[*given]):
            name = imports.dotted(function).replace("numpy.", "np.")
            if name in _OF_OTHERS:
                return all(_has_end(one, known, imports) for one in given)
            return name in _WHOLE or imports.called(function) in _RANDOM_ORDER
    return False


def _changes(
    body: Sequence[ast.stmt], item: str, before: Sequence[ast.stmt], tree: ast.Module, drawing: set[str]
) -> bool:
    """Whether a loop changes, or may change, what was there before it: then an element depends on the one before.

    Args:
        drawing: Generators of random numbers, whose draws may come in another order.
    """
    stored = {name for node in body for name in names_in(node, ast.Store)}
    defined = {one.name: one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    imports = Imports(tree)
    harmless = stored | {item} | set(defined) | set(imports.names)
    if any(not stored.isdisjoint(names_in(node, ast.Store)) for node in before):
        return True
    if _has_state(body, stored, tree, imports) or any(
        _draws(one, drawing, imports) or _keeps_state(one) for one in _reached(body, defined)
    ):
        return True
    shared = {item} | {name for name in stored if not _is_own(name, body, defined)}
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
            return not bases_of(node) <= own
        case ast.AugAssign(target=ast.Name(id=name)):
            return name not in own
    return False


def _calls_outside(call: ast.Call, harmless: set[str], shared: set[str], drawing: set[str], imports: Imports) -> bool:
    match call.func:
        case ast.Name(id="next"):
            return True
        case ast.Attribute() as function:
            drawn = not bases_of(function).isdisjoint(drawing) and function.attr not in _IN_PLACE
            reads_only = function.attr in READING
            unknown = not (reads_only or bases_of(function) <= harmless) or _draws(
                ast.Call(function, [], []), set(), imports
            )
            changed = function.attr in CHANGING and not bases_of(function).isdisjoint(shared)
            return (unknown and not drawn) or changed
    return _draws(ast.Call(call.func, [], []), set(), imports)


def _has_state(body: Sequence[ast.stmt], stored: set[str], tree: ast.Module, imports: Imports) -> bool:
    """Whether statements call what a name was given somewhere, or use what goes on from where it was."""
    nodes = list(ast.walk(tree))
    givers = {name for node in nodes if isinstance(node, ast.FunctionDef) and _yields(node) for name in [node.name]}
    assigned = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    assigned |= {one.arg for one in nodes if isinstance(one, ast.arg)}
    read = {name for node in body for name in names_in(node, ast.Load)} - stored
    for node in nodes:
        match node:
            case ast.Assign(targets=targets, value=value):
                going = any(
                    isinstance(one, ast.GeneratorExp)
                    or (isinstance(one, ast.Call) and (imports.called(one.func) in GOING_ON | givers))
                    for one in [value, *getattr(value, "elts", [])]
                )
                if going and any(not read.isdisjoint(names_in(target, ast.Store)) for target in targets):
                    return True
            case ast.withitem(optional_vars=ast.Name(id=name)) if name in read:
                return True
    calls = {one.func.id for node in body for one in ast.walk(node) if _is_bare_call(one)}  # type: ignore[attr-defined]
    return not calls.isdisjoint(assigned)


def _is_bare_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name)


def _yields(function: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Yield | ast.YieldFrom) for one in ast.walk(function))


def _reached(body: Sequence[ast.stmt], defined: _Defined) -> list[ast.FunctionDef | ast.ClassDef]:
    """The file's own functions and classes that statements use, and those that these use."""
    found: dict[str, ast.FunctionDef | ast.ClassDef] = {}
    left = [name for node in body for name in names_in(node, ast.Load)]
    while left:
        name = left.pop()
        if name in defined and name not in found:
            found[name] = defined[name]
            left += names_in(defined[name], ast.Load)
    return list(found.values())


def _keeps_state(function: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether a function changes what is outside of it."""
    going = any(
        isinstance(one, ast.Global | ast.Nonlocal) or (_is_bare_call(one) and is_named(one.func, "next"))  # type: ignore[attr-defined]
        for one in ast.walk(function)
    )
    return going or bool(changed_outside(function))


def changed_outside(function: ast.AST) -> set[str]:
    """Return the names of what a function changes that is not its own."""
    own = names_in(function, ast.Store) | {one.arg for one in ast.walk(function) if isinstance(one, ast.arg)}
    found: set[str] = set()
    for one in ast.walk(function):
        match one:
            case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                found |= bases_of(one)
            case ast.Call(func=ast.Attribute(attr=attr) as called) if attr in CHANGING:
                found |= bases_of(called)
    return found - own


def _is_own(name: str, body: Sequence[ast.stmt], defined: _Defined) -> bool:
    """Whether everything that a name is given is made anew, and no view or alias of what was there before."""
    nodes = [one for node in body for one in ast.walk(node)]
    new = 0
    for one in nodes:
        match one:
            case ast.Assign(targets=[ast.Name(id=to)], value=value) if to == name:
                new += _is_new(value, defined)
            case ast.AugAssign(target=ast.Name(id=to)) | ast.withitem(optional_vars=ast.Name(id=to)) if to == name:
                new += 1
    return new == sum(is_named(one, name) and isinstance(one.ctx, ast.Store) for one in nodes)  # type: ignore[attr-defined]


def _is_new(value: ast.expr, defined: _Defined) -> bool:
    if isinstance(value, ast.Call):
        called = ast.unparse(value.func).rpartition(".")[2]
        return called not in _VIEWS and _returns_new(defined.get(called), defined)
    return isinstance(value, ast.BinOp | ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.Constant)


def _returns_new(function: ast.FunctionDef | ast.ClassDef | None, defined: _Defined) -> bool:
    """Whether a function of the file makes what it returns in each call; one of another file is trusted to."""
    if not isinstance(function, ast.FunctionDef):
        return True
    given = [one.value for one in ast.walk(function) if isinstance(one, ast.Return) and one.value is not None]
    others = {name: one for name, one in defined.items() if one is not function}
    stored = names_in(function, ast.Store)
    # A decorator may keep what the function gives.
    return not function.decorator_list and all(
        one.id in stored and _is_own(one.id, function.body, others)
        if isinstance(one, ast.Name)
        else _is_new(one, others)
        for value in given
        for one in (value.elts if isinstance(value, ast.Tuple) else [value])
    )
