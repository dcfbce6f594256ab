"""Functions that read in Python and compute with NumPy, with TensorFlow's ops for what they compute."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import is_text, names_in, reads
from pipeprof.pipelines.static.written_calls import parsed

_REDUCED = {
    "mean": "tf.reduce_mean",
    "sum": "tf.reduce_sum",
    "max": "tf.reduce_max",
    "min": "tf.reduce_min",
    "prod": "tf.reduce_prod",
    "std": "tf.math.reduce_std",
    "var": "tf.math.reduce_variance",
}
_EACH = frozenset({"abs", "exp", "log", "log1p", "sqrt", "square", "sign", "floor", "sin", "cos", "tanh"})
_BOTH = frozenset({"maximum", "minimum", "where"})
_KEPT = frozenset({"ascontiguousarray", "copy", "array", "asarray"})
_KEPT_OPS = frozenset({"tensorflow.cast", "tensorflow.expand_dims", "tensorflow.reshape", "tensorflow.squeeze"})
"""Ops that the user's function calls already, whose other arguments are no tensors."""
_JOINED = {"stack": "stack", "concatenate": "concat"}
_TYPES = re.compile(r"(numpy\.)?(u?int(8|16|32|64)|float(16|32|64))")
_COMPARED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
_NUMBERS = frozenset({ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow})
_UNIFORM, _NORMAL, _WHOLE = (
    frozenset({"uniform"}),
    frozenset({"normal", "randn", "standard_normal"}),
    frozenset({"integers", "randint"}),
)
_TYPED = re.compile(r"tf\.(cast|shape)\(|tf\.int64")
"""Ops whose results may have another type than what they are given."""
_DRAWN = frozenset({"random", "rand", "random_sample"})
_GENERATORS = frozenset({"numpy.random.default_rng", "numpy.random.RandomState", "random.Random"})


class UnknownError(Exception):
    """TensorFlow has no such op, or may mean something else by it."""


@dataclass(frozen=True)
class InTensors:
    """A function in two: what only Python can do, and what TensorFlow's ops do with that.

    Attributes:
        read: Statements of Python.
        given: Names that they give to the ops.
        types: Of each of these in TensorFlow: ``float32``.
        ops: Statements of ops.
        results: What comes out, as expressions of ops, in the order of the components.
        lines: First and last line of the statements that became ops, from 1.
        random: Whether ops draw random numbers.
        names: What the ops use and set.
    """

    read: tuple[str, ...]
    given: tuple[str, ...]
    types: tuple[str, ...]
    ops: tuple[str, ...]
    results: tuple[str, ...]
    lines: tuple[int, int]
    random: bool
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Defined:
    """A function of a file.

    Attributes:
        text: Its ``def``.
        parameters: As written.
        line: Its first line in the file, from 1.
    """

    text: str
    parameters: str
    line: int


def definition_of(text: str, function: str) -> Defined | None:
    r"""Return the only function of a name in a file; None where there is none, or several, or one with decorators.

    Example:
        >>> definition_of("x = 1\ndef f(a, b=2):\n    return a\n", "f")
        Defined(text='def f(a, b=2):\n    return a', parameters='a, b=2', line=2)
    """
    tree = parsed(text)
    functions = [one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, ast.FunctionDef)]
    found = [one for one in functions if one.name == function]
    if len(found) != 1 or found[0].decorator_list:
        return None
    lines = text.splitlines()[found[0].lineno - 1 : found[0].end_lineno]
    return Defined(textwrap.dedent("\n".join(lines)), ast.unparse(found[0].args), found[0].lineno)


def in_tensors(function: str, text: str, components: Mapping[str, str], *, pictures: bool = False) -> InTensors | None:
    r"""Return a function that reads and then computes on arrays, with ops for what it computes; None for others.

    Args:
        function: Its ``def``.
        text: The file, whose imports and values it uses.
        components: Types of what it gives, by its key in a dict or its place in a tuple.
        pictures: Whether each of these has three dimensions, as ops for pictures need.

    Example:
        >>> code = "def one(path):\n    x = np.load(path)\n    x = x / x.max()\n    return np.clip(x, 0, 1)\n"
        >>> made = in_tensors(code, f"import numpy as np\n{code}", {"0": "float32"})
        >>> made.read, made.ops, made.results
        (('x = np.load(path)',), ('x = x / tf.reduce_max(x)',), ('tf.clip_by_value(x, 0, 1)',))
    """
    tree, whole = parsed(function), parsed(text)
    found = next((one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, ast.FunctionDef)), None)
    body = [node for node in found.body if not is_text(node)] if found is not None else []
    if found is None or whole is None or len(body) < _LEAST or not isinstance(body[-1], ast.Return):
        return None
    found_at = (_split(body, first, whole, components, pictures=pictures) for first in range(1, len(body)))
    return next((made for made in found_at if made is not None), None)


def statements_in_ops(body: Sequence[ast.stmt], tensors: set[str], tree: ast.Module) -> list[str]:
    """Return statements on tensors, the last a `return`, with ops in place of NumPy.

    Args:
        tensors: Names that are tensors before them.
        tree: The file, whose imports and values they use.

    Raises:
        UnknownError: One of them has no form in ops.
    """
    ops = _Ops({*tensors}, _values(tree), Imports(tree))
    *before, last = body
    if not isinstance(last, ast.Return) or last.value is None:
        raise UnknownError
    made = [ast.unparse(ops.statement(node)) for node in before]
    return [*made, f"return {ast.unparse(ops.value(last.value))}"]


_LEAST = 2


def _values(tree: ast.Module) -> set[str]:
    """Names that a file gives numbers or arrays."""
    return {name for node in tree.body if isinstance(node, ast.Assign) for name in names_in(node, ast.Store)}


def _without_generators(
    before: Sequence[ast.stmt], after: Sequence[ast.stmt], imports: Imports
) -> tuple[list[ast.stmt], set[str]]:
    """What stands before the ops without generators of random numbers that only these use, and their names."""
    kept, names = list(before), set[str]()
    for node in before:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function)):
                made = imports.dotted(function) in _GENERATORS
            case _:
                continue
        others = [one for one in (*before, *after) if one is not node]
        drawn = [part for one in others for part in ast.walk(one) if isinstance(part, ast.Attribute)]
        uses = sum(isinstance(part, ast.Name) and part.id == name for one in others for part in ast.walk(one))
        alone = not any(reads(one, name) for one in before if one is not node)
        if made and alone and uses == sum(isinstance(one.value, ast.Name) and one.value.id == name for one in drawn):
            kept.remove(node)
            names.add(name)
    return kept, names


def _split(
    body: Sequence[ast.stmt], first: int, tree: ast.Module, components: Mapping[str, str], *, pictures: bool
) -> InTensors | None:
    """A function whose statements from a place on are ops."""
    before, after = body[:first], body[first:]
    before, generators = _without_generators(before, after, Imports(tree))
    stored = {name for node in before for name in names_in(node, ast.Store)}
    given = sorted({name for node in after for name in names_in(node, ast.Load)} & stored)
    ops = _Ops(set(given), _values(tree) - stored - generators, Imports(tree), pictures=pictures)
    returned = after[-1]
    parts = _parts(returned.value if isinstance(returned, ast.Return) else None, list(components))
    if not given or len(parts) != len(components) or any(isinstance(one, ast.Return) for one in before):
        return None
    try:
        statements = [ast.unparse(ops.statement(node)) for node in after[:-1]]
        results = [ast.unparse(ops.value(one)) for one in parts]
    except UnknownError:
        return None
    sources = _sources(given, after[:-1])
    kinds = _kinds(given, sources, parts, list(components.values()))
    if kinds is None or not ops.computes:
        return None
    if any("float" not in kinds[one] for name in ops.computed for one in sources.get(name, ())):
        return None
    typed = any(map(_TYPED.search, statements))
    return InTensors(
        read=tuple(line for node in before for line in ast.unparse(node).splitlines()),
        given=tuple(given),
        types=tuple(kinds[name] for name in given),
        ops=tuple(statements),
        results=tuple(
            f"tf.cast({one}, tf.{kind})" if (typed or _TYPED.search(one)) and not one.endswith(f", tf.{kind})") else one
            for one, kind in zip(results, components.values(), strict=True)
        ),
        lines=(after[0].lineno, after[-1].end_lineno or after[-1].lineno),
        random=ops.random,
        names=frozenset({*given, *sources}),
    )


def _parts(value: ast.expr | None, keys: Sequence[str]) -> list[ast.expr]:
    match value:
        case ast.Tuple(elts=parts):
            return list(parts)
        case ast.Dict(keys=names, values=parts):
            found = {one.value: part for one, part in zip(names, parts, strict=True) if isinstance(one, ast.Constant)}
            return [found[key] for key in keys] if {*keys} == {*found} and len(found) == len(parts) else []
        case ast.expr():
            return [value]
    return []


def _sources(given: Sequence[str], statements: Sequence[ast.stmt]) -> dict[str, set[str]]:
    """What each name is made of, of what is given."""
    made_of = {name: {name} for name in given}
    for node in statements:
        sources = {one for name in names_in(node, ast.Load) for one in made_of.get(name, ())}
        for name in names_in(node, ast.Store):
            made_of[name] = made_of.get(name, set()) | sources
    return made_of


def _kinds(
    given: Sequence[str], made_of: Mapping[str, set[str]], parts: Sequence[ast.expr], types: Sequence[str]
) -> dict[str, str] | None:
    """The type in which each name comes to the ops: that of the component which is made of it."""
    found: dict[str, set[str]] = {name: set() for name in given}
    for part, kind in zip(parts, types, strict=True):
        for name in {one for used in names_in(part, ast.Load) for one in made_of.get(used, ())}:
            found[name].add(kind)
    # What a number of a float becomes at the end, such as its sum, is cast there.
    each = {name: {kind for kind in kinds if "float" in kind} or kinds for name, kinds in found.items()}
    if any(len(kinds) != 1 for kinds in each.values()):
        return None
    return {name: next(iter(kinds)) for name, kinds in each.items()}


class _Ops:
    """Statements and expressions of NumPy as TensorFlow's.

    Attributes:
        computes: Whether there is anything to compute.
        computed: Names whose values are computed with, and not only taken from place to place.
        random: Whether random numbers are drawn.
    """

    def __init__(self, tensors: set[str], known: set[str], imports: Imports, *, pictures: bool = False) -> None:
        self._tensors = tensors
        self._known = known
        self._imports = imports
        self._pictures = pictures
        self.computes = False
        self.computed: set[str] = set()
        self.random = False

    def statement(self, node: ast.stmt) -> ast.stmt:
        """One statement.

        Raises:
            UnknownError: It has no form in ops.
        """
        match node:
            case ast.Assign(targets=[ast.Name(id=name) as target], value=value):
                made: ast.stmt = ast.Assign([target], self.value(value))
                self._tensors.add(name)
            case ast.AugAssign(target=ast.Name(id=name), op=op, value=value) if name in self._tensors:
                whole = ast.BinOp(ast.Name(name, ast.Load()), op, value)
                made = ast.Assign([ast.Name(name, ast.Store())], self.value(whole))
            case ast.If(test=test, body=body, orelse=other):
                made = self._either(test, body, other)
            case _:
                raise UnknownError
        return ast.fix_missing_locations(made)

    def _either(self, test: ast.expr, body: Sequence[ast.stmt], other: Sequence[ast.stmt]) -> ast.stmt:
        """A choice of what names are given; each has a value already."""
        branches = [self._branch(one) for one in (body, other)]
        names = sorted({*branches[0], *branches[1]})
        if not names or not {*names} <= self._tensors:
            raise UnknownError
        values = [[self.value(one.get(name, ast.Name(name, ast.Load()))) for name in names] for one in branches]
        sides = [ast.unparse(one[0]) if len(one) == 1 else f"({', '.join(map(ast.unparse, one))})" for one in values]
        code = f"{', '.join(names)} = tf.cond({ast.unparse(self.value(test))}, lambda: {sides[0]}, lambda: {sides[1]})"
        return ast.parse(code).body[0]

    def _branch(self, body: Sequence[ast.stmt]) -> dict[str, ast.expr]:
        found: dict[str, ast.expr] = {}
        for node in body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    pass
                case ast.AugAssign(target=ast.Name(id=name), op=op, value=added):
                    value = ast.BinOp(ast.Name(name, ast.Load()), op, added)
                case _:
                    raise UnknownError
            if names_in(value, ast.Load) & {*found}:
                raise UnknownError
            found[name] = value
        return found

    def value(self, node: ast.expr) -> ast.expr:
        """One expression.

        Raises:
            UnknownError: It has no form in ops.
        """
        made: ast.expr | None = None
        match node:
            case ast.Constant(value=bool() | int() | float()):
                made = node
            case ast.Name(id=name) if name in self._tensors:
                made = node
            case ast.Name(id=name) if name in self._known:
                made = _code(f"tf.cast({name}, tf.float32)")
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _NUMBERS:
                self.computes = True
                self.computed |= names_in(node, ast.Load)
                made = ast.BinOp(self.value(left), op, self.value(right))
            case ast.UnaryOp(op=ast.USub() as op, operand=operand):
                made = ast.UnaryOp(op, self.value(operand))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if isinstance(op, _COMPARED):
                made = ast.Compare(self.value(left), [op], [self.value(right)])
            case ast.IfExp(test=test, body=body, orelse=other):
                sides = f"lambda: {self._text(body)}, lambda: {self._text(other)}"
                made = _code(f"tf.cond({self._text(test)}, {sides})")
            case ast.Subscript(value=ast.Attribute(value=shaped, attr="shape"), slice=ast.Constant(value=int() as at)):
                made = _code(f"tf.shape({self._text(shaped)})[{at}]")
            case ast.Subscript(value=inner, slice=places):
                self.computes = True
                made = ast.Subscript(self.value(inner), self._places(places), ast.Load())
            case ast.Attribute(value=inner, attr="T"):
                self.computes = True
                made = _code(f"tf.transpose({self._text(inner)})")
            case ast.Call():
                made = self._call(node)
        if made is None:
            raise UnknownError
        return made

    def _text(self, node: ast.expr) -> str:
        return ast.unparse(self.value(node))

    def _places(self, node: ast.expr) -> ast.expr:
        """What stands between brackets: whole dimensions, parts of them and single places."""
        match node:
            case ast.Tuple(elts=parts):
                return ast.Tuple([self._places(one) for one in parts], ast.Load())
            case ast.Slice(lower=lower, upper=upper, step=step):
                first, last, each = (self.value(one) if one is not None else None for one in (lower, upper, step))
                return ast.Slice(first, last, each)
            case ast.Constant(value=None) | ast.Constant(value=int()):
                return node
            case ast.Constant(value=value) if value is Ellipsis:
                return node
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int())):
                return node
        raise UnknownError

    def _call(self, call: ast.Call) -> ast.expr:
        named = {one.arg: one.value for one in call.keywords if one.arg is not None}
        if len(named) < len(call.keywords) or any(isinstance(one, ast.Starred) for one in call.args):
            raise UnknownError
        name, given = self._imports.dotted(call.func), list(call.args)
        if name in _KEPT_OPS and given:
            rest = [ast.unparse(one) for one in (*given[1:], *call.keywords)]
            return _code(f"{ast.unparse(call.func)}({', '.join([self._text(given[0]), *rest])})")
        if len(given) == 1 and not named and (of_one := self._of_one(name, given[0])) is not None:
            return of_one
        if not isinstance(call.func, ast.Attribute):
            raise UnknownError
        base, attr = call.func.value, call.func.attr
        if name == f"numpy.{attr}":
            return self._function(attr, given, named)
        if not names_in(base, ast.Load) & self._tensors:
            return self._draw(name, attr, given, named)
        if attr == "astype" and len(given) == 1 and not named:
            return self._cast(base, self._type(given[0]))
        if attr in {"reshape", "transpose"} and len(given) > 1:
            given = [ast.List(given, ast.Load())]
        if attr in _REDUCED or attr in {"clip", "copy", "reshape", "transpose", "squeeze"}:
            return self._function(attr, [base, *given], named)
        raise UnknownError

    def _of_one(self, name: str, value: ast.expr) -> ast.expr | None:
        """A call of a type, or of Python on a number or an array."""
        if _TYPES.fullmatch(name):
            return self._cast(value, name.rpartition(".")[2])
        makers = {"float": "{}", "int": "tf.cast({}, tf.int64)", "len": "tf.shape({})[0]"}
        return _code(makers[name].format(self._text(value))) if name in makers else None

    def _cast(self, value: ast.expr, kind: str) -> ast.expr:
        inner = self._text(value)
        drawn = inner.startswith("tf.random.") and inner.endswith(f", tf.{kind})")
        return _code(inner if drawn else f"tf.cast({inner}, tf.{kind})")

    def _type(self, node: ast.expr) -> str:
        name = node.value if isinstance(node, ast.Constant) else self._imports.dotted(node)
        found = _TYPES.fullmatch(str(name))
        if found is None:
            raise UnknownError
        return found[2]

    def _function(self, name: str, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> ast.expr:
        """A function of NumPy, or a method of an array with the array as the first of its arguments."""
        self.computes = self.computes or name not in _KEPT
        if name in _REDUCED or name in _EACH or name == "clip":
            self.computed |= {one for value in given for one in names_in(value, ast.Load)}
        makers: dict[str, Callable[[], str | None]] = {
            "clip": lambda: self._same("tf.clip_by_value", given, named, 3),
            "expand_dims": lambda: self._axes("tf.expand_dims", given, named, ("axis",)),
            "squeeze": lambda: self._axes("tf.squeeze", given, named, ("axis",)),
            "transpose": lambda: self._axes("tf.transpose", given, named, ("axes",)),
            "reshape": lambda: self._axes("tf.reshape", given, named, ("shape",)),
            "flip": lambda: self._flipped(given, named),
            "fliplr": lambda: self._flipped(given, {"axis": ast.Constant(1)}),
            "flipud": lambda: self._flipped(given, {"axis": ast.Constant(0)}),
            "rot90": lambda: self._turned(given, named),
        }
        made: str | None = None
        if name in _KEPT and given:
            made = self._copied(given, named)
        elif name in _REDUCED:
            made = self._axes(_REDUCED[name], given, named, ("axis", "keepdims"))
        elif name in _EACH and len(given) == 1 and not named:
            made = f"tf.math.{name}({self._text(given[0])})"
        elif name in _BOTH:
            made = self._same(f"tf.{name}", given, named, 3 if name == "where" else 2)
        elif name in _JOINED and given and isinstance(given[0], ast.List | ast.Tuple):
            parts = ", ".join(map(self._text, given[0].elts))
            axis = [*given[1:], *(value for key, value in named.items() if key == "axis"), ast.Constant(0)][0]
            made = f"tf.{_JOINED[name]}([{parts}], {ast.unparse(axis)})" if set(named) <= {"axis"} else None
        elif name in makers:
            made = makers[name]()
        if made is None:
            raise UnknownError
        return _code(made)

    def _copied(self, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> str | None:
        """An array as it is, or in another type."""
        types = [*given[1:], *named.values()]
        if len(types) > 1 or not set(named) <= {"dtype"}:
            return None
        return ast.unparse(self._cast(given[0], self._type(types[0]))) if types else self._text(given[0])

    def _same(self, name: str, given: Sequence[ast.expr], named: Mapping[str, ast.expr], count: int) -> str | None:
        return f"{name}({', '.join(map(self._text, given))})" if len(given) == count and not named else None

    def _axes(
        self, name: str, given: Sequence[ast.expr], named: Mapping[str, ast.expr], others: Sequence[str]
    ) -> str | None:
        """A function of one array, and of axes or shapes that are written as numbers."""
        more = dict(zip(others, given[1:], strict=False)) | dict(named)
        if not given or len(given) - 1 + len(named) > len(others) or not set(more) <= set(others):
            return None
        if any(names_in(one, ast.Load) for one in more.values()):
            return None
        parts = [
            ast.unparse(value) if key in {"axes", "shape"} else f"{key}={ast.unparse(value)}"
            for key, value in more.items()
        ]
        return f"{name}({', '.join([self._text(given[0]), *parts])})"

    def _flipped(self, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> str | None:
        axis = [*given[1:], *named.values()]
        if len(axis) != 1 or names_in(axis[0], ast.Load):
            return None
        places = ast.unparse(axis[0])
        return f"tf.reverse({self._text(given[0])}, {places if isinstance(axis[0], ast.Tuple) else f'[{places}]'})"

    def _turned(self, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> str | None:
        """A picture, turned by a number of right angles against the clock as NumPy does."""
        times = [*given[1:], *named.values()]
        if not self._pictures or len(times) != 1 or not set(named) <= {"k"}:
            return None
        return f"tf.image.rot90({self._text(given[0])}, tf.cast({self._text(times[0])}, tf.int32))"

    def _draw(self, name: str, attr: str, given: Sequence[ast.expr], named: Mapping[str, ast.expr]) -> ast.expr:
        """Random numbers of a generator, of NumPy or of Python."""
        module = name.rpartition(".")[0]
        of_numpy = module in {"numpy.random", "random"}
        if named or (not of_numpy and (module in self._imports.names.values() or "." in module)):
            raise UnknownError
        self.random = self.computes = True
        numbers = [ast.unparse(one) for one in given if not names_in(one, ast.Load)]
        made = None
        if attr in _DRAWN and not given:
            made = "tf.random.uniform([])"
        elif attr in _UNIFORM and len(numbers) == len(given) == _LEAST:
            made = f"tf.random.uniform([], {', '.join(numbers)})"
        elif attr in _WHOLE and module != "random" and len(numbers) == len(given) and numbers:
            made = f"tf.random.uniform([], {', '.join(['0', *numbers][-2:])}, tf.int64)"
        elif attr in _NORMAL and given:
            made = self._normal(attr, given)
        if made is None:
            raise UnknownError
        return _code(made)

    def _normal(self, attr: str, given: Sequence[ast.expr]) -> str | None:
        """Normal random numbers in the shape of an array."""
        last = given[-1].value if isinstance(given[-1], ast.Starred) else given[-1]
        if not isinstance(last, ast.Attribute) or last.attr != "shape" or len(given) != (3 if attr == "normal" else 1):
            return None
        return f"tf.random.normal({', '.join([f'tf.shape({self._text(last.value)})', *map(ast.unparse, given[:-1])])})"


def _code(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body
