"""Types and shapes of NumPy arrays, from the expressions that make them; nothing is run."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.data.inspect.look_numpy import look_at_arrays
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.static.names import Imported, Scope, Written, resolve

_NAMES: Final = {"float": "float64", "int": "int64", "double": "float64", "single": "float32", "bool_": "bool"}
_SHORT: Final = {"f2": "float16", "f4": "float32", "f8": "float64", "i4": "int32", "i8": "int64", "u1": "uint8"}
_FLOAT: Final = "float64"
_WHOLE: Final = "int64"
_MOST_DEEP: Final = 40
_MOST_BITS: Final = 64
"""Larger numbers are no sizes."""
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.FloorDiv: operator.floordiv,
    ast.Div: operator.truediv, ast.Mod: operator.mod, ast.Pow: operator.pow, ast.LShift: operator.lshift,
}  # fmt: skip


@dataclass(frozen=True)
class ArraySize:
    """An array of numbers."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of its values."""
        return math.prod(self.shape) * WIDTHS[self.dtype]


def literal(node: ast.AST | None, scope: Scope, deep: int = 0) -> Any:
    """Return the number, text, truth value or tuple that an expression stands for; None where the text shows none."""
    read = _LITERALS.get(type(node))
    if read is None or deep > _MOST_DEEP or not scope.spend():
        return None
    return read(node, scope, deep)


def _constant(node: ast.Constant, _scope: Scope, _deep: int) -> bool | int | float | str | None:
    return node.value if isinstance(node.value, bool | int | float | str) else None


def _tuple(node: ast.Tuple | ast.List, scope: Scope, deep: int) -> tuple[Any, ...] | None:
    parts = [literal(expression, scope, deep + 1) for expression in node.elts]
    return None if None in parts else tuple(parts)


def _signed(node: ast.UnaryOp, scope: Scope, deep: int) -> int | float | None:
    value = literal(node.operand, scope, deep + 1)
    return -value if isinstance(node.op, ast.USub) and _is_number(value) else None


def _converted(node: ast.Call, scope: Scope, deep: int) -> int | float | None:
    if not isinstance(node.func, ast.Name) or len(node.args) != 1 or scope.find(node.func.id) is not None:
        return None
    value = literal(node.args[0], scope, deep + 1)
    if node.func.id not in ("int", "float") or not _is_number(value) or not math.isfinite(value):
        return None
    return int(value) if node.func.id == "int" else float(value)


def _named(node: ast.expr, scope: Scope, deep: int) -> Any:
    found = resolve(node, scope, deep)
    return literal(found.node, found.scope, deep + 1) if isinstance(found, Written) and found.node is not node else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _calculated(node: ast.BinOp, scope: Scope, deep: int) -> int | float | None:
    left, right = (literal(expression, scope, deep + 1) for expression in (node.left, node.right))
    apply = _OPERATORS.get(type(node.op))
    if apply is None or not (_is_number(left) and _is_number(right)):
        return None
    if isinstance(node.op, ast.Pow | ast.LShift) and not 0 <= right <= _MOST_BITS:
        return None
    try:
        result = apply(left, right)
    except (ArithmeticError, TypeError, ValueError):
        return None
    return result if isinstance(result, int | float) and abs(result) < 2.0**_MOST_BITS else None


_LITERALS: Final[Mapping[type, Callable[..., Any]]] = {
    ast.Constant: _constant,
    **dict.fromkeys((ast.Tuple, ast.List), _tuple),
    ast.UnaryOp: _signed,
    ast.BinOp: _calculated,
    ast.Call: _converted,
    **dict.fromkeys((ast.Name, ast.Attribute), _named),
}


def array_size(node: ast.AST, scope: Scope, deep: int = 0) -> ArraySize | None:
    """Return type and shape of the NumPy array that an expression makes; None where the text does not show them."""
    if deep > _MOST_DEEP or not scope.spend():
        return None
    if isinstance(node, ast.BinOp):
        return _combined(node, scope, deep)
    if isinstance(node, ast.Attribute) and node.attr == "T":
        turned = array_size(node.value, scope, deep + 1)
        return replace(turned, shape=turned.shape[::-1]) if turned is not None else None
    if isinstance(node, ast.Call):
        found = _made(node, scope, deep)
        if found is not None:
            return found
    meant = resolve(node, scope, deep)
    if isinstance(meant, Written) and meant.node is not node:
        return array_size(meant.node, meant.scope, deep + 1)
    return None


def _combined(node: ast.BinOp, scope: Scope, deep: int) -> ArraySize | None:
    """Return the size of an array with a number, or with an array of its type and shape."""
    left, right = (array_size(expression, scope, deep + 1) for expression in (node.left, node.right))
    array, other = (left, node.right) if left is not None else (right, node.left)
    if array is None or not isinstance(node.op, ast.Add | ast.Sub | ast.Mult | ast.Div):
        return None
    if left is not None and right is not None:
        same = left if left == right else None
    else:
        number = literal(other, scope, deep + 1)
        floats = array.dtype.startswith(("float", "complex"))
        same = array if _is_number(number) and (floats or isinstance(number, int)) else None
    if same is None or not isinstance(node.op, ast.Div) or same.dtype.startswith(("float", "complex")):
        return same
    return replace(same, dtype=_FLOAT)


def _made(node: ast.Call, scope: Scope, deep: int) -> ArraySize | None:
    """Return the size of what a function of NumPy or a method of an array makes."""
    call = _Call(node, scope, deep)
    function = resolve(node.func, scope, deep + 1)
    if isinstance(function, Imported):
        name = function.name.removeprefix("numpy.")
        return call.of_numpy(name) if name != function.name else None
    if not isinstance(node.func, ast.Attribute):
        return None
    maker = resolve(node.func.value, scope, deep + 1)
    if isinstance(maker, Written) and isinstance(maker.node, ast.Call):
        of = resolve(maker.node.func, maker.scope, deep + 1)
        if isinstance(of, Imported) and of.name in ("numpy.random.default_rng", "numpy.random.RandomState"):
            return call.of_numpy(f"random.{node.func.attr}")
    inner = array_size(node.func.value, scope, deep + 1)
    return call.of_array(node.func.attr, inner) if inner is not None else None


@dataclass(frozen=True)
class _Call:
    """A call of NumPy, with the names that it sees."""

    node: ast.Call
    scope: Scope
    deep: int

    def argument(self, position: int, name: str) -> ast.expr | None:
        for keyword in self.node.keywords:
            if keyword.arg == name:
                return keyword.value
        given = self.node.args
        return given[position] if position < len(given) else None

    def value(self, position: int, name: str) -> Any:
        return literal(self.argument(position, name), self.scope, self.deep + 1)

    def plain(self) -> bool:
        return all(keyword.arg for keyword in self.node.keywords) and not any(
            isinstance(expression, ast.Starred) for expression in self.node.args
        )

    def of(self, shape: Any, dtype: str | None) -> ArraySize | None:
        dimensions = shape if isinstance(shape, tuple) else (shape,)
        if dtype not in WIDTHS or not all(type(dimension) is int and dimension >= 0 for dimension in dimensions):
            return None
        return ArraySize(dtype, dimensions)

    def dtype(self, position: int, default: str | None) -> str | None:
        node = self.argument(position, "dtype")
        return default if node is None else dtype_of(node, self.scope)

    def of_numpy(self, name: str) -> ArraySize | None:
        """Return the size of what a function makes."""
        if not self.plain():
            return None
        if name in _CONVERSIONS and self.node.args:
            inner = array_size(self.node.args[0], self.scope, self.deep + 1)
            return self.of(inner.shape, self.dtype(1, inner.dtype)) if inner is not None else None
        if name in WIDTHS and len(self.node.args) == 1:
            inner = array_size(self.node.args[0], self.scope, self.deep + 1)
            return replace(inner, dtype=name) if inner is not None else None
        make = _FUNCTIONS.get(name)
        return make(self) if make is not None else None

    def of_array(self, method: str, array: ArraySize) -> ArraySize | None:
        """Return the size of what a method of an array gives."""
        if not self.plain():
            return None
        if method == "copy":
            return array
        if method == "astype":
            return self.of(array.shape, self.dtype(0, None))
        if method != "reshape":
            return None
        given = self.node.args
        shape = (
            self.value(0, "shape")
            if len(given) == 1
            else tuple(literal(expression, self.scope) for expression in given)
        )
        dimensions = shape if isinstance(shape, tuple) else (shape,)
        if not all(type(dimension) is int for dimension in dimensions):
            return None
        known, count = math.prod(dimension for dimension in dimensions if dimension >= 0), math.prod(array.shape)
        if sum(dimension < 0 for dimension in dimensions) == 1 and known and count % known == 0:
            dimensions = tuple(count // known if dimension < 0 else dimension for dimension in dimensions)
        return self.of(dimensions, array.dtype) if math.prod(dimensions) == count else None


def _sized(position: int, default: str = _FLOAT, typed_at: int | None = None) -> Callable[[_Call], ArraySize | None]:
    """Make the reader of a function with the shape at a position, called ``size``."""

    def read(call: _Call) -> ArraySize | None:
        dtype = call.dtype(typed_at, default) if typed_at is not None else default
        return call.of(call.value(position, "size"), dtype)

    return read


def _filled(call: _Call) -> ArraySize | None:
    return call.of(call.value(0, "shape"), call.dtype(1, _FLOAT))


def _full(call: _Call) -> ArraySize | None:
    value = call.value(1, "fill_value")
    default = "bool" if isinstance(value, bool) else _WHOLE if isinstance(value, int) else None
    return call.of(call.value(0, "shape"), call.dtype(2, _FLOAT if isinstance(value, float) else default))


def _dimensions(call: _Call) -> ArraySize | None:
    return (
        call.of(tuple(literal(expression, call.scope) for expression in call.node.args), _FLOAT)
        if call.node.args
        else None
    )


def _arange(call: _Call) -> ArraySize | None:
    numbers = [literal(expression, call.scope) for expression in call.node.args]
    if not 1 <= len(numbers) <= 3 or not all(_is_number(number) for number in numbers):
        return None
    start, stop, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    if not step:
        return None
    whole = all(isinstance(number, int) for number in numbers)
    return call.of(max(0, math.ceil((stop - start) / step)), call.dtype(3, _WHOLE if whole else _FLOAT))


def _linspace(call: _Call) -> ArraySize | None:
    given = call.argument(2, "num")
    return call.of(50 if given is None else call.value(2, "num"), call.dtype(5, _FLOAT))


def _eye(call: _Call) -> ArraySize | None:
    rows = call.value(0, "N")
    given = call.argument(1, "M")
    return call.of((rows, rows if given is None else call.value(1, "M")), call.dtype(3, _FLOAT))


def _like(call: _Call) -> ArraySize | None:
    inner = array_size(call.node.args[0], call.scope, call.deep + 1) if call.node.args else None
    return call.of(inner.shape, call.dtype(1, inner.dtype)) if inner is not None else None


def _loaded(call: _Call) -> ArraySize | None:
    """Return what the header of the file says."""
    path = path_of(call.argument(0, "file"), call.scope)
    if path is None or path.suffix.lower() != ".npy" or not path.is_file():
        return None
    try:
        (array,) = look_at_arrays(path).arrays
    except UsageError:
        return None
    return call.of(array.shape, array.dtype)


_CONVERSIONS: Final = frozenset({"array", "asarray", "asanyarray", "ascontiguousarray", "copy"})
_FUNCTIONS: Final[Mapping[str, Callable[[_Call], ArraySize | None]]] = {
    **dict.fromkeys(("zeros", "ones", "empty"), _filled),
    **dict.fromkeys(("zeros_like", "ones_like", "empty_like"), _like),
    "full": _full,
    "arange": _arange,
    "linspace": _linspace,
    "eye": _eye,
    "load": _loaded,
    **dict.fromkeys(("random.rand", "random.randn"), _dimensions),
    "random.random": _sized(0, typed_at=1),
    "random.random_sample": _sized(0),
    "random.standard_normal": _sized(0, typed_at=1),
    **dict.fromkeys(("random.normal", "random.uniform"), _sized(2)),
    **dict.fromkeys(("random.randint", "random.integers"), _sized(2, _WHOLE, typed_at=3)),
}
"""Readers of the calls of NumPy that make arrays, by the function's name."""


def dtype_of(node: ast.AST, scope: Scope) -> str | None:
    """Return NumPy's name of a type that is written as ``np.float32``, ``tf.float32``, ``"f4"`` or ``float``."""
    name = literal(node, scope)
    if name is None:
        found = resolve(node, scope)
        name = found.name.rpartition(".")[2] if isinstance(found, Imported) else getattr(node, "id", None)
    if not isinstance(name, str):
        return None
    name = _NAMES.get(name, _SHORT.get(name.lstrip("<="), name))
    return name if name in WIDTHS else None


def path_of(node: ast.AST | None, scope: Scope, deep: int = 0) -> Path | None:
    """Return the path that an expression stands for: a text, ``Path(__file__).parent / "x"``, ``os.path.join(…)``."""
    if node is None or deep > _MOST_DEEP or not scope.spend():
        return None
    found: Path | None = None
    if isinstance(node, ast.Name) and node.id == "__file__" and scope.find(node.id) is None:
        found = scope.path.absolute()
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        left, right = path_of(node.left, scope, deep + 1), path_of(node.right, scope, deep + 1)
        found = left / right if left is not None and right is not None else None
    elif isinstance(node, ast.Attribute) and node.attr == "parent":
        inner = path_of(node.value, scope, deep + 1)
        found = inner.parent if inner is not None else None
    elif isinstance(node, ast.Call):
        found = _called_path(node, scope, deep)
    elif isinstance(text := literal(node, scope), str):
        found = Path(text) if "\0" not in text else None
    elif isinstance(meant := resolve(node, scope, deep), Written) and meant.node is not node:
        found = path_of(meant.node, meant.scope, deep + 1)
    return found


def _called_path(node: ast.Call, scope: Scope, deep: int) -> Path | None:
    parts = [path_of(expression, scope, deep + 1) for expression in node.args]
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("resolve", "absolute") and not parts:
        return path_of(node.func.value, scope, deep + 1)
    function = resolve(node.func, scope, deep + 1)
    if not isinstance(function, Imported) or None in parts or not parts:
        return None
    known = [path for path in parts if path is not None]
    if function.name in ("pathlib.Path", "os.path.join"):
        return known[0].joinpath(*known[1:])
    if function.name == "os.path.dirname":
        return known[0].parent
    return known[0] if function.name in ("os.path.abspath", "os.path.realpath", "os.fspath") else None
