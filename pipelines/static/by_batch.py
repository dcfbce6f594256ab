"""Functions of Python for one element as functions of a batch of them: one access for all rows, one call for all."""

from __future__ import annotations

import ast
import copy
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import is_named, is_text, names_in
from pipeprof.pipelines.static.unchanging import free_names, parameters, sets, sets_inside
from pipeprof.pipelines.static.written_calls import parsed

_WRAPPERS = frozenset({"numpy_function", "py_function", "py_func"})
_EACH, _PLACES = "each", "places"
_ARGUMENTS = ("func", "inp", "Tout")
_CASTS = frozenset({"asarray", "array", "float32", "float64", "int32", "int64", "uint8"})
_TABLES = frozenset(
    {"h5py", "jax", "keras", "netCDF4", "numpy", "pandas", "scipy", "sklearn", "tables", "tensorflow", "xarray", "zarr"}
)
"""Libraries whose objects are indexed by arrays."""
_TO_LISTS = frozenset({"to_dict", "to_list", "tolist"})
_DEPTH = 8
"""Of names given by names, as files have them."""


@dataclass(frozen=True)
class CalledInPython:
    """A function of TensorFlow that does nothing but call one of Python, and give shapes to what that makes.

    Attributes:
        function: What is called: ``read``, or a lambda.
        inputs: Those of ``parameters`` that are passed to the Python function.
        types: Types that it gives, as written.
        outputs: Names of what it gives.
        results: What comes out: names of ``outputs`` and ``parameters``, in TensorFlow's order.
        returned: The same as it is written.
        wrapper: As written: ``tf.numpy_function``.
        call: The call of it, as written.
        line: Where the call stands, counted from the first line of the function.
    """

    function: str
    parameters: tuple[str, ...]
    inputs: tuple[str, ...]
    types: str
    outputs: tuple[str, ...]
    results: tuple[str, ...]
    returned: str
    wrapper: str
    call: str
    line: int


def wrapped(text: str) -> CalledInPython | None:
    r"""Return what a function of a map calls in Python; None where it does more than that.

    Args:
        text: A ``def`` or a lambda.

    Example:
        >>> code = "def load(i, y):\n    x = tf.numpy_function(read, [i], tf.float32)\n    x.set_shape([3])\n"
        >>> found = wrapped(f"{code}    return x, y\n")
        >>> found.function, found.inputs, found.outputs, found.results
        ('read', ('i',), ('x',), ('x', 'y'))
    """
    tree = parsed(text)
    given = next(
        (one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, ast.FunctionDef | ast.Lambda)), None
    )
    if given is None or given.args.vararg or given.args.kwonlyargs or given.args.defaults:
        return None
    names = tuple(one.arg for one in given.args.args)
    body = (
        [ast.Return(given.body)] if isinstance(given, ast.Lambda) else [one for one in given.body if not is_text(one)]
    )
    calls = [one for node in body for one in ast.walk(node) if isinstance(one, ast.Call) and _wraps(one)]
    if len(calls) != 1 or not body or not isinstance(body[-1], ast.Return):
        return None
    (call,) = calls
    named = {one.arg: one.value for one in call.keywords}
    match [*call.args, *(named[name] for name in _ARGUMENTS[len(call.args) :] if name in named)]:
        case [function, ast.List(elts=inputs) | ast.Tuple(elts=inputs), types, *_]:
            pass
        case _:
            return None
    outputs = _outputs(body, call, names)
    returned = body[-1].value
    parts = list(_parts(returned)) if returned is not None else []
    results = [outputs[0] if one is call else ast.unparse(one) for one in map(_unshaped, parts)] if outputs else []
    plain = all(isinstance(one, ast.Name) and one.id in names for one in inputs)
    count = len(types.elts) if isinstance(types, ast.List | ast.Tuple) else 1
    if (
        not plain
        or not outputs
        or len(outputs) != count
        or len(results) != len(parts)
        or not {*results} <= {*outputs, *names}
    ):
        return None
    return CalledInPython(
        ast.unparse(function),
        names,
        tuple(ast.unparse(one) for one in inputs),
        ast.unparse(types),
        outputs,
        tuple(results),
        _written(returned, results),
        ast.unparse(call.func),
        ast.unparse(call),
        call.lineno,
    )


def _wraps(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute | ast.Name) and ast.unparse(call.func).rpartition(".")[2] in _WRAPPERS


def _outputs(body: Sequence[ast.stmt], call: ast.Call, names: Sequence[str]) -> tuple[str, ...]:
    """The names of what a wrapper gives; empty where the function does more than name, shape and return it."""
    outputs: tuple[str, ...] = ()
    for node in body:
        match node:
            case ast.Assign(targets=[target], value=value) if _unshaped(value) is call:
                elements = target.elts if isinstance(target, ast.Tuple | ast.List) else [target]
                outputs = tuple(ast.unparse(one) for one in elements)
            case ast.Expr(value=ast.Call(func=ast.Attribute(attr="set_shape"))):
                continue
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if is_named(_unshaped(value), name):
                continue
            case ast.Return(value=value) if node is body[-1]:
                if value is not None and any(one is call for one in map(_unshaped, _parts(value))):
                    outputs = ("value" if "value" not in names else "made",)
            case _:
                return ()
    return outputs if all(one.isidentifier() for one in outputs) else ()


def _unshaped(node: ast.AST) -> ast.AST:
    """What `tf.ensure_shape` is given; another expression itself."""
    match node:
        case ast.Call(func=ast.Attribute(attr="ensure_shape"), args=[inner, *_]):
            return inner
    return node


def _parts(returned: ast.expr) -> Iterator[ast.expr]:
    """The components of what is returned, in TensorFlow's order."""
    match returned:
        case ast.Tuple(elts=parts):
            for part in parts:
                yield from _parts(part)
        case ast.Dict(keys=keys, values=values) if all(isinstance(one, ast.Constant) for one in keys):
            for _, value in sorted(zip(map(_key, keys), values, strict=True), key=lambda pair: pair[0]):
                yield from _parts(value)
        case _:
            yield returned


def _key(node: ast.expr | None) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ""


def _written(returned: ast.expr | None, results: Sequence[str]) -> str:
    text = _rendered(returned, iter(results))
    return text[1:-1] if isinstance(returned, ast.Tuple) else text


def _rendered(returned: ast.expr | None, results: Iterator[str]) -> str:
    match returned:
        case ast.Tuple(elts=parts):
            made = [_rendered(one, results) for one in parts]
            return f"({', '.join(made)}{',' if len(made) == 1 else ''})"
        case ast.Dict(keys=keys, values=values):
            pairs = sorted(zip(map(_key, keys), values, strict=True), key=lambda pair: pair[0])
            return "{" + ", ".join(f"{key!r}: {_rendered(value, results)}" for key, value in pairs) + "}"
    return next(results)


@dataclass(frozen=True)
class RowsAtOnce:
    """A function that takes rows of a table by their indices.

    Attributes:
        lines: Those of the function; its one argument is an array of indices.
    """

    lines: tuple[str, ...]
    name: str


def rows_at_once(text: str, function: str, line: int, file: str = "") -> RowsAtOnce | None:
    r"""Return a function that takes one row by its index as one that takes those of many; None where it does otherwise.

    Indices are sorted and each is read once, as files of HDF5 need it; then each row is put in its place. A list and
    what the file does not show to be an array or a table take no array of indices.

    Args:
        text: Python with the function.
        line: A line of the function, from 1.
        file: Python that shows what rows are taken of, where the text is a part of it.

    Example:
        >>> code = "import h5py\nSTORE = h5py.File('a.h5')\n"
        >>> code += "def read(i):\n    return STORE['x'][int(i)].astype(np.float32) / 255\n"
        >>> print(*rows_at_once(code, "read", 4).lines, sep="\n")
        def read_of_batch(i):
            each, places = np.unique(i, return_inverse=True)
            return STORE['x'][each][places].astype(np.float32) / 255
    """
    read = _row_function(text, function, line)
    if read is None:
        return None
    index, body, taken, imports = read
    tables = _Tables(parsed(file or text) or ast.Module([], []))
    if not all(tables.gives(one.value) for one in taken):
        return None
    bases = list(dict.fromkeys(ast.unparse(one.value) for one in taken))
    frames, name = [base for base in bases if base.endswith((".iloc", ".loc"))], f"{function}_of_batch"
    whole = all(_is_whole(node, body, taken, imports) for node in body)
    head = [f"def {name}({index}):", f"    {_EACH}, {_PLACES} = np.unique({index}, return_inverse=True)"]
    many = {base: f"{base}[{_EACH}][{_PLACES}]" for base in bases}
    if frames:
        # pandas takes rows in any order, and gives columns by their names.
        many, head = {base: f"{base}[{index}]" for base in bases}, head[:1]
    if whole:
        return RowsAtOnce((*head, *_replaced(body, taken, many)), name)
    rows = {base: f"row_{number}" if bases[1:] else "row" for number, base in enumerate(bases)}
    if frames or {*rows.values()} & {index}.union(*(sets(node) for node in body)):
        return None
    stacked = {
        ast.Tuple: "tuple(np.stack(part) for part in zip(*made))",
        ast.Dict: "{key: np.stack([row[key] for row in made]) for key in made[0]}",
    }.get(type(getattr(body[-1], "value", None)), "np.stack(made)")
    each = f"zip({', '.join(many.values())})" if bases[1:] else many[bases[0]]
    lines = (
        f"def {function}_of_row({', '.join(rows.values())}):",
        *_replaced(body, taken, rows),
        *head,
        f"    made = [{function}_of_row({'*' if bases[1:] else ''}row) for row in {each}]",
        f"    return {stacked}",
    )
    return RowsAtOnce(lines, name)


class _Tables:
    """What of a file is an array or a table of a library, as far as its text shows it."""

    def __init__(self, tree: ast.Module) -> None:
        self._imports = Imports(tree)
        self._functions: dict[str, list[ast.FunctionDef]] = {}
        self._calls: dict[str, list[ast.Call]] = {}
        self._given: dict[str, list[ast.expr | None]] = {}
        """What names and attributes are given, by their names; None for what is not known."""
        nodes = list(ast.walk(tree))
        for node in nodes:
            match node:
                case ast.Assign(targets=targets, value=value):
                    for target in targets:
                        self._give(target, value)
                case ast.AnnAssign(target=target, value=ast.expr() as value):
                    self._give(target, value)
                case ast.withitem(context_expr=value, optional_vars=ast.expr() as target):
                    self._give(target, value)
                case ast.For(target=target):
                    self._give(target, None)
                case ast.FunctionDef(name=name):
                    self._functions.setdefault(name, []).append(node)
                case ast.Call(func=ast.Name(id=name)):
                    self._calls.setdefault(name, []).append(node)
        for node in nodes:
            self._give_arguments(node)

    def gives(self, value: ast.expr | None, depth: int = _DEPTH) -> bool:
        """Whether all that an expression may be is certainly an array or a table."""
        if isinstance(value, ast.Call) and self._imports.dotted(value.func).partition(".")[0] in _TABLES:
            return True
        parts = self._made_of(value) if depth else []
        return bool(parts) and all(self.gives(one, depth - 1) for one in parts)

    def _made_of(self, value: ast.expr | None) -> Sequence[ast.expr | None]:
        """What must be tables for an expression to be one; empty where it is none."""
        parts: Sequence[ast.expr | None] = []
        match value:
            case ast.Name(id=name):
                parts = self._given.get(name, [])
            case ast.Attribute(value=inner, attr=attr):
                parts = self._given.get(f".{attr}", [inner])
            case ast.Subscript(value=inner, slice=key):
                parts = self._held(inner, key)
            case ast.BinOp(left=left, right=right):
                parts = [one for one in (left, right) if not isinstance(one, ast.Constant)]
            case ast.Call(func=ast.Name(id=name)):
                found = [one for function in self._functions.get(name, []) for one in ast.walk(function)]
                returned = [one.value for one in found if isinstance(one, ast.Return)]
                parts = [one for each in returned for one in getattr(each, "elts", [each])]
            case ast.Call(func=ast.Attribute(value=inner, attr=attr)) if attr not in _TO_LISTS:
                parts = [inner]
        return parts

    def _held(self, node: ast.expr, key: ast.expr) -> Sequence[ast.expr | None]:
        """What something holds by a key: itself, but a dict what it is made with."""
        match self._named(node):
            case ast.DictComp(value=value):
                return [value]
            case ast.Dict(keys=keys, values=values):
                pairs = zip(keys, values, strict=True)
                return [value for name, value in pairs if name is not None and ast.dump(name) == ast.dump(key)]
        return [node]

    def _named(self, node: ast.expr | None) -> ast.expr | None:
        """What a name is given, also by other names, where one statement says so."""
        for _ in range(_DEPTH):
            given = self._given.get(node.id, []) if isinstance(node, ast.Name) else []
            if len(given) != 1:
                break
            (node,) = given
        return node

    def _give(self, target: ast.expr, value: ast.expr | None) -> None:
        match target:
            case ast.Name(id=name):
                self._given.setdefault(name, []).append(value)
            case ast.Attribute(attr=attr):
                self._given.setdefault(f".{attr}", []).append(value)
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = getattr(value, "elts", [])
                each = values if len(values) == len(targets) else [value] * len(targets)
                for one, part in zip(targets, each, strict=True):
                    self._give(one, part)

    def _give_arguments(self, made: ast.AST) -> None:
        """Give the arguments of a function, or of a class, what its calls in the file give it."""
        match made:
            case ast.FunctionDef(name=name) if _has_readers(made):
                arguments = made.args.args
            case ast.ClassDef(name=name, body=body):
                begins = [one for one in body if isinstance(one, ast.FunctionDef) and one.name == "__init__"]
                arguments = [argument for one in begins for argument in one.args.args[1:]]
            case _:
                return
        calls = self._calls.get(name, [])
        for place, one in enumerate(arguments):
            given = self._given.setdefault(one.arg, [])
            for call in calls:
                named = [part.value for part in call.keywords if part.arg == one.arg]
                given += named or call.args[place : place + 1] or [None]
            given += [] if calls else [None]


def _has_readers(function: ast.FunctionDef) -> bool:
    """Whether what a function is given is seen by one inside of it, or by a generator's loop."""
    inner = (ast.FunctionDef, ast.Lambda, ast.Yield, ast.YieldFrom)
    return any(isinstance(one, inner) for one in ast.walk(function) if one is not function)


def _row_function(
    text: str, function: str, line: int
) -> tuple[str, list[ast.stmt], list[ast.Subscript], Imports] | None:
    """A function's index, its statements, and where they take rows by it; None for one that does anything else."""
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    defined = [one for one in nodes if isinstance(one, ast.FunctionDef) and one.name == function]
    found = next((one for one in defined if one.lineno <= line <= (one.end_lineno or one.lineno)), None)
    given = [one.arg for one in found.args.args] if found is not None else []
    if tree is None or found is None or len(given) != 1 or parameters(found) != {*given}:
        return None
    index, body = given[0], [node for node in copy.deepcopy(found.body) if not is_text(node)]
    parts = [one for node in body for one in ast.walk(node)]
    plain = all(isinstance(node, ast.Assign | ast.Return) for node in body) and isinstance(body[-1], ast.Return)
    changes = any(
        isinstance(getattr(one, "ctx", None), ast.Store) and not isinstance(one, ast.Name | ast.Tuple) for one in parts
    )
    taken = [one for one in parts if isinstance(one, ast.Subscript) and _is_row(one, index)]
    inside = {id(part) for one in taken for part in ast.walk(one.slice)}
    local = names_in(found, ast.Store) | {index}
    only = all(id(one) in inside for one in parts if is_named(one, index))
    if not plain or changes or not taken or not only or any(free_names(one.value) & local for one in taken):
        return None
    return index, body, taken, Imports(tree)


def _replaced(body: Sequence[ast.stmt], taken: Sequence[ast.Subscript], by: Mapping[str, str]) -> list[str]:
    """Lines of statements, with expressions in place of rows, by what these are taken of."""
    rows = {id(one): ast.parse(by[ast.unparse(one.value)], mode="eval").body for one in taken}

    class Change(ast.NodeTransformer):
        def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
            return rows.get(id(node)) or self.generic_visit(node)

    changed = [Change().visit(copy.copy(node)) for node in body]
    return [f"    {part}" for node in changed for part in ast.unparse(node).splitlines()]


def _is_row(node: ast.Subscript, index: str) -> bool:
    """Whether one row is taken by the index, also by a number that is made of it."""
    match node.slice:
        case ast.Call(func=ast.Name(id="int"), args=[one]):
            pass
        case one:
            pass
    match one:
        case ast.Call(func=ast.Attribute(value=inner, attr="numpy" | "item"), args=[]):
            return is_named(inner, index)
    return is_named(one, index)


def _is_whole(node: ast.AST, body: Sequence[ast.stmt], taken: Sequence[ast.AST], imports: Imports) -> bool:
    """Whether a statement means the same of many rows as of each: it names, casts and scales them."""
    local = {name for one in body for name in sets(one)}

    def plain(value: ast.AST) -> bool:
        match value:
            case _ if any(value is one for one in taken):
                whole = True
            case ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str())):
                whole = name in local
            case ast.Tuple(elts=parts) | ast.Dict(values=parts):
                whole = all(map(plain, parts))
            case ast.BinOp(left=one, right=ast.Constant()) | ast.BinOp(left=ast.Constant(), right=one):
                whole = plain(one)
            case ast.UnaryOp(operand=one) | ast.Call(func=ast.Attribute(value=one, attr="astype")):
                whole = plain(one)
            case ast.Call(func=function, args=[one, *_]):
                whole = imports.called(function) in _CASTS and plain(one)
            case _:
                whole = False
        return whole

    match node:
        case ast.Assign(targets=[ast.Name()], value=value) | ast.Return(value=ast.expr() as value):
            return plain(value)
    return False


def calls_tensorflow(text: str, function: str) -> bool:
    r"""Return whether all that a function of a file calls is TensorFlow, without Python of its own on values.

    Example:
        >>> code = "import tensorflow as tf\ndef read(p):\n    return tf.io.decode_jpeg(tf.io.read_file(p))\n"
        >>> calls_tensorflow(code, "read"), calls_tensorflow(code.replace("(p))", "(p.numpy()))"), "read")
        (True, False)
    """
    tree = parsed(text)
    if tree is None:
        return False
    imports = Imports(tree)
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == function]
    if len(found) != 1:
        return False
    plain = (ast.Assign, ast.Return)
    nodes = [one for node in found[0].body if not is_text(node) for one in ast.walk(node)]
    calls = [one for one in nodes if isinstance(one, ast.Call)]
    kept = parameters(found[0]) | sets_inside(found[0])
    return (
        bool(calls)
        and all(isinstance(one, plain) for one in found[0].body if not is_text(one))
        and not any(isinstance(one, ast.JoinedStr | ast.Yield | ast.Await | ast.comprehension) for one in nodes)
        and all(imports.dotted(one.func).startswith("tensorflow.") for one in calls)
        and not any(
            kept & names_in(one, ast.Load) for one in nodes if isinstance(one, ast.IfExp | ast.BoolOp | ast.Compare)
        )
    )


_NUMBERS = frozenset({"bool", "float", "int"})
"""Functions of Python that take a tensor and a value of NumPy alike."""


def without_tensors(text: str, function: str, name: str) -> str | None:
    r"""Return a function of a file that gets values of NumPy where it gets tensors now; None if it uses more of these.

    Args:
        function: Of `tf.py_function`, which needs its tensors only for their ``.numpy()``, or for a number.
        name: Of what is made.

    Example:
        >>> code = "def read(path, row):\n    return np.load(path.numpy().decode())[int(row)]\n"
        >>> print(without_tensors(code, "read", "read_row"))
        def read_row(path, row):
            return np.load(path.decode())[int(row)]
        >>> print(without_tensors(code.replace("int(row)", "row"), "read", "read_row"))
        None
    """
    tree = parsed(text)
    found = [one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name == function] if tree else []
    if tree is None or len(found) != 1 or found[0].decorator_list or found[0].args.defaults:
        return None
    made = copy.deepcopy(found[0])
    made.name, given, imports = name, parameters(found[0]), Imports(tree)
    values = _Values(given)
    made.body = [values.visit(one) for one in made.body if not is_text(one)]
    calls = [one for part in made.body for one in ast.walk(part) if isinstance(one, ast.Call)]
    if given & sets_inside(made) or any(imports.dotted(one.func).startswith("tensorflow.") for one in calls):
        return None
    if not made.body or len(values.taken) != sum(
        isinstance(one, ast.Name) and one.id in given for part in made.body for one in ast.walk(part)
    ):
        return None
    return ast.unparse(made)


class _Values(ast.NodeTransformer):
    """Takes ``.numpy()`` away from parameters; counts those that are then the same as before."""

    def __init__(self, given: Collection[str]) -> None:
        self._given = given
        self.taken: list[str] = []

    def visit_Call(self, node: ast.Call) -> ast.AST:
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name) as value, attr="numpy"), args=[], keywords=[]):
                if name in self._given:
                    self.taken.append(name)
                    return value
            case ast.Call(func=ast.Name(id=kind), args=[ast.Name(id=name)], keywords=[]) if kind in _NUMBERS:
                if name in self._given:
                    self.taken.append(name)
                    return node
        return self.generic_visit(node)


_READERS = frozenset({"frombuffer", "fromfile", "fromstring", "genfromtxt", "load", "loadtxt", "memmap"})
_GENERATORS = frozenset({"Generator", "RandomState", "default_rng"})
_NOT_OF_TENSORS = frozenset({*dir(str), *dir(bytes), "get", "items", "keys", "values"})
"""Methods of texts and of dicts, which no tensor has."""
_NOT_IN_GRAPHS = frozenset({"eval", "exec", "input", "open"})


def may_be_a_graph(text: str, function: str) -> bool:
    r"""Return whether all that a function calls may be TensorFlow's, or NumPy's that TensorFlow has too.

    Functions and variables of the file are followed. What the file does not show may be anything.

    Example:
        >>> code = "import cv2\ndef blur(x):\n    return cv2.blur(x, (3, 3))\ndef f(x):\n    return blur(x) / 2\n"
        >>> may_be_a_graph(code, "f"), may_be_a_graph(code.replace("cv2", "numpy"), "f")
        (False, True)
    """
    tree = parsed(text)
    return tree is None or _Origins(tree).may_be_a_graph(function)


class _Origins:
    """Where what a file calls comes from."""

    def __init__(self, tree: ast.Module) -> None:
        self._imports = Imports(tree)
        self._functions: dict[str, list[ast.FunctionDef]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                self._functions.setdefault(node.name, []).append(node)
        self._classes = {one.name for one in tree.body if isinstance(one, ast.ClassDef)}
        self._values = {name: one.value for one in tree.body if isinstance(one, ast.Assign) for name in sets(one)}
        self._seen: set[str] = set()

    def may_be_a_graph(self, name: str) -> bool:
        return all(self._may(one, sets_inside(one) | parameters(one)) for one in self._functions.get(name, ()))

    def _may(self, node: ast.AST, own: set[str]) -> bool:
        return all(self._of(one, own) for one in ast.walk(node) if isinstance(one, ast.Call))

    def _of(self, call: ast.Call, own: set[str]) -> bool:
        """Whether one call may be TensorFlow's; what it is given is looked at by itself."""
        function = call.func
        if isinstance(function, ast.Attribute) and function.attr in _NOT_OF_TENSORS:
            return self._imports.dotted(function).startswith(("tensorflow.", "numpy."))
        base: ast.AST = function
        while isinstance(base, ast.Attribute):
            base = base.value
        if not isinstance(base, ast.Name):
            # What a function gives is called itself: its kind is unknown.
            return isinstance(function, ast.Attribute)
        return base.id in own or self._named(base.id, function)

    def _named(self, name: str, function: ast.expr) -> bool:
        """Whether what the file calls by a name may be TensorFlow's."""
        if name in self._imports.names:
            first, *parts = self._imports.dotted(function).split(".")
            return first in ("keras", "numpy", "tensorflow") and not (
                first == "numpy" and {*parts} & (_READERS | _GENERATORS)
            )
        if name in self._classes or name in _NOT_IN_GRAPHS:
            return False
        if name in self._seen:
            return True
        self._seen.add(name)
        value = self._values.get(name)
        return self.may_be_a_graph(name) and (value is None or self._may(value, set()))
