"""Chains of calls under ``ops:``, run while TensorFlow traces the function of a stage.

A call is a function of the allowlist with its keyword arguments, ``on`` (the fields that go in) and ``to`` (where the
result goes); a call that gives the element another structure (`STRUCTURE`); a Keras layer, made once when the pipeline
is built; ``python``, a function in a file; or ``tf.vectorized_map`` of a chain.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.build.allowlist import CALL_ARGUMENTS, TAKES_LIST, inputs, reads_nothing, resolve
from pipeprof.pipelines.build.arguments import Making, constant, converted
from pipeprof.pipelines.build.pinned import pin_errors
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import OF_CALLS, layers

Field: TypeAlias = str | int
"""A key, dotted into nested mappings, or an index."""
OpPath: TypeAlias = "tuple[str | int, ...]"
"""Place of a call below ``ops``: ``(2, "fn", 0)`` is the first call in the chain of the third call."""
ROUTES: Final = ("on", "to")
PYTHON: Final = "python"
VECTORIZED: Final = "tf.vectorized_map"
_CHAIN: Final = "fn"
"""The argument of `VECTORIZED` with the chain."""


def call_of(call: Any) -> tuple[str, Any]:
    """Name of a call, and what is written under it; nothing for a name alone.

    Example:
        >>> call_of("tf.size"), call_of({"select": ["a"]})
        (('tf.size', None), ('select', ['a']))
    """
    ((name, written),) = [(call, None)] if isinstance(call, str) else call.items()
    return name, written


@dataclass(frozen=True)
class CallChain:
    """A chain at its place; layers and functions of files are made once, by the place of their call.

    Attributes:
        argument: The stage's argument under which ``ops`` stands; empty when it stands in the stage itself.
        path: The place of the chain below ``ops``, and while a call runs of that call.
    """

    builder: Making
    address: str
    argument: str
    made: dict[Any, Any]
    path: OpPath = ()

    def prepare(self, calls: Sequence[Any]) -> None:
        """Make what exists once per pipeline."""
        for here, name, written in self._each(calls):
            if name == VECTORIZED:
                replace(here, path=(*here.path, _CHAIN)).prepare(written[_CHAIN])
            key = (self.address, self.argument, *here.path)
            if key in self.made or not (name == PYTHON or name in layers()):
                continue
            arguments = call_arguments(name, written)
            with here.pinned(name), self.builder.tf.init_scope():
                if name == PYTHON:
                    self.made[key] = self.builder.traceable(arguments["function"])
                else:
                    self.made[key] = self.builder.layer(functools.partial(self._layer, name, arguments))

    def run(self, calls: Sequence[Any], element: Any, *, answers: bool = False, predicate: bool = False) -> Any:
        """``element`` after calls; with ``answers`` the last result stands alone, also where ``on`` picked a field."""
        tf, count = self.builder.tf, len(calls)
        for number, (here, name, written) in enumerate(self._each(calls), 1):
            with tf.name_scope(here.scope()), here.pinned(name):
                element = here.call(name, written, element, alone=answers and number == count)
                if predicate and number == count:
                    _check_truth_value(tf, element)
        return element

    def _each(self, calls: Sequence[Any]) -> list[tuple[CallChain, str, Any]]:
        return [(replace(self, path=(*self.path, index)), *call_of(call)) for index, call in enumerate(calls)]

    def pinned(self, name: str) -> Any:
        """Errors inside are those of this call."""
        files = self.builder.files if name == PYTHON else ()
        return pin_errors(self.address, files, self.path, name, self.argument)

    def scope(self) -> str:
        """The name scope of this call, from the root of the graph: inner functions have graphs of their own."""
        parts = [f"ops_{part}" if isinstance(part, int) else part for part in self.path]
        return "/".join([node_name(self.address), *parts]) + "/"

    def call(self, name: str, written: Any, element: Any, *, alone: bool) -> Any:
        """The element after one call."""
        if name in STRUCTURE:
            return STRUCTURE[name](element, written)
        arguments = call_arguments(name, written)
        on, to = arguments.pop("on", None), arguments.pop("to", None)
        given = _picked(element, on)
        if name == "copy":
            result = given
        elif name == "getitem":
            result = given[_key(arguments["key"], element)]
        elif name == PYTHON:
            result = _called(self._made(), given, on)
        elif name == VECTORIZED:
            inner = replace(self, path=(*self.path, _CHAIN))
            calls = arguments.pop(_CHAIN)
            result = self.builder.tf.vectorized_map(lambda item: inner.run(calls, item), given, **arguments)
        elif name in layers():
            called = {key: arguments[key] for key in CALL_ARGUMENTS if key in arguments}
            result = self._made()(**given, **called) if isinstance(on, Mapping) else self._made()(given, **called)
        else:
            result = self._function(name, arguments, given, on)
        if type(result) is list:
            # As tf.data takes a list that a function returns; inside of a structure it would stack it.
            result = tuple(result)
        target = on if to is None and not alone and isinstance(on, str | int) else to
        if target is None and not alone and isinstance(on, list | tuple | Mapping) and on:
            raise PlainError("missing `to`: several inputs in `on` need `to: field` for the result")
        return result if target is None else place(element, tuple(to) if isinstance(to, list) else target, result)

    def _function(self, name: str, written: Mapping[str, Any], given: Any, on: Any) -> Any:
        arguments = {key: self._argument(key, value) for key, value in written.items()}
        if isinstance(on, Mapping):
            arguments |= given
        elif on is not None or not reads_nothing(name, arguments):
            values = given if isinstance(on, list | tuple) else (given,)
            names = inputs(name, arguments, len(values))
            if name in TAKES_LIST and isinstance(given, tuple) and names:
                values = (list(given),)
            arguments |= zip(names, values, strict=True)
        return resolve(name)(**arguments)

    def _argument(self, name: str, value: Any) -> Any:
        return converted(OF_CALLS.get(name, "constant"), value, self.builder)

    def _made(self) -> Any:
        return self.made[(self.address, self.argument, *self.path)]

    def _layer(self, name: str, written: Mapping[str, Any]) -> Any:
        known = [key for key in written if key not in (*ROUTES, *CALL_ARGUMENTS)]
        return resolve(name)(**{key: self._layer_argument(key, written[key]) for key in known})

    def _layer_argument(self, name: str, value: Any) -> Any:
        if OF_CALLS.get(name) == "dtype" and isinstance(value, str):
            return value.removeprefix("tf.")
        if name == "vocabulary" and isinstance(value, str):
            return self.builder.context.path(value)
        found = constant(value, self.builder)
        # Keras expects a list of texts, where files of lines give an array.
        if getattr(getattr(found, "dtype", None), "kind", None) in ("O", "S", "U"):
            return [item.decode() if isinstance(item, bytes) else item for item in found.tolist()]
        return found


def call_arguments(name: str, written: Any) -> dict[str, Any]:
    """What is written under a name by argument; a value that is no mapping is the one argument that there is."""
    if isinstance(written, Mapping):
        return dict(written)
    short = {"getitem": "key", PYTHON: "function"}.get(name)
    return {short: written} if short is not None else {}


def _picked(element: Any, on: Any) -> Any:
    """The input: the element, a field, a tuple of fields or a mapping of parameters."""
    if on is None:
        return element
    if isinstance(on, Mapping):
        return {name: pick(element, field) for name, field in on.items()}
    return tuple(pick(element, field) for field in on) if isinstance(on, list | tuple) else pick(element, on)


def _called(function: Callable[..., Any], given: Any, on: Any) -> Any:
    if isinstance(on, Mapping):
        return function(**given)
    return function(*given) if type(given) is tuple else function(given)


def _check_truth_value(tf: Any, result: Any) -> None:
    """TensorFlow's own message about a wrong predicate names only its internals."""
    if not tf.is_tensor(result) or result.dtype != tf.bool or result.shape.rank not in (0, None):
        shown = f"{result.dtype.name} of shape {result.shape}" if tf.is_tensor(result) else describe(result)
        raise FieldError(f"the last call returns {shown}: expected a single bool: an element is kept when it is true")


def _select(element: Any, fields: Any) -> Any:
    if not isinstance(fields, list | tuple):
        return pick(element, fields)
    if isinstance(element, Mapping):
        return {_key_of(element, field, field): pick(element, field) for field in fields}
    return tuple(pick(element, field) for field in fields)


def _drop(element: Any, fields: Any) -> Any:
    listed = fields if isinstance(fields, list | tuple) else [fields]
    gone = {_key_of(element, field, field) for field in listed}
    if isinstance(element, Mapping):
        return {name: value for name, value in element.items() if name not in gone}
    return tuple(value for index, value in enumerate(element) if index not in gone)


def _rename(element: Any, names: Mapping[str, str]) -> Any:
    new_names = {_key_of(element, old, old): new for old, new in names.items()}
    if not isinstance(element, Mapping):
        raise FieldError(f"no names to change: the element is {describe(element)}")
    changed = {new_names.get(name, name): value for name, value in element.items()}
    if len(changed) < len(element):
        twice = next(new for new in names.values() if new in element)
        raise FieldError(f"new name {twice!r} exists already: the element is {describe(element)}")
    return changed


def _structure(element: Any, structure: Any) -> Any:
    """Nested tuples and mappings of fields; null is the whole element."""
    if isinstance(structure, Mapping):
        return {name: _structure(element, inner) for name, inner in structure.items()}
    if isinstance(structure, list | tuple):
        return tuple(_structure(element, inner) for inner in structure)
    return element if structure is None else pick(element, structure)


def _to_dict(element: Any, structure: Any) -> Any:
    if isinstance(structure, Mapping):
        return _structure(element, structure)
    parts = element if isinstance(element, tuple) else (element,)
    if isinstance(element, Mapping) or len(parts) != len(structure):
        count = f"{len(structure)} name{'s' * (len(structure) != 1)}"
        raise FieldError(f"{count}, but the element is {describe(element)}")
    return dict(zip(structure, parts, strict=True))


STRUCTURE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "select": _select,
    "drop": _drop,
    "rename": _rename,
    "to_tuple": _structure,
    "to_dict": _to_dict,
}
"""Calls that give the element another structure: what stands under the name is their one argument."""


def _key(text: Any, element: Any) -> Any:
    """The index of ``x[…]``: numbers, ``begin:end:step``, ``...`` and tf.newaxis; a name is a field of the element.

    Raises:
        PlainError: It is another expression.
    """
    try:
        return _index(ast.parse(f"x[{text}]", mode="eval").body.slice, element)  # type: ignore[attr-defined]
    except (SyntaxError, AttributeError):
        raise PlainError(f'getitem: {text!r}: expected an index such as "..., :3", "1:-1" or 0') from None


def _index(node: ast.expr | None, element: Any) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(_index(one, element) for one in node.elts)
    if isinstance(node, ast.Slice):
        return slice(*(_index(bound, element) for bound in (node.lower, node.upper, node.step)))
    if node is None or ast.unparse(node) in ("None", "tf.newaxis"):
        return None
    if isinstance(node, ast.Name | ast.Attribute):
        return pick(element, ast.unparse(node))
    value = ast.literal_eval(node) if isinstance(node, ast.Constant | ast.UnaryOp) else None
    if value is not ... and type(value) is not int:
        raise SyntaxError(ast.unparse(node))
    return value


class FieldError(PlainError):
    """An element does not have the field that ``on`` or ``to`` names."""


def describe(element: Any) -> str:
    """Describe the fields of an element for a message.

    Example:
        >>> describe({"image": 1, "label": 2}), describe((1, 2)), describe(1)
        ('a mapping with image, label', 'a tuple of 2', 'a single tensor')
    """
    if isinstance(element, Mapping):
        return f"a mapping with {', '.join(map(str, element))}"
    if isinstance(element, tuple):
        return f"a tuple of {len(element)}"
    return "a single tensor"


def _parts(element: Any, field: Field) -> list[Field]:
    """A field as a path; a key that has dots of its own is taken as it is."""
    if isinstance(field, int) or (isinstance(element, Mapping) and field in element):
        return [field]
    return [int(part) if part.isdigit() else part for part in field.split(".")]


def _key_of(element: Any, part: Field, field: Field, *, new: bool = False) -> Any:
    """The key or index of a part of ``field``; with ``new`` a mapping gets one that it lacks."""
    if isinstance(element, Mapping):
        key = part if part in element else str(part)
        if key in element or new:
            return key
    elif isinstance(element, tuple) and isinstance(part, int) and part < len(element):
        return part
    raise FieldError(f"no field {field!r}: the element is {describe(element)}")


def pick(element: Any, field: Field) -> Any:
    """The component of ``element`` that ``field`` names.

    Example:
        >>> pick({"a": (1, {"b": 2})}, "a.1.b")
        2
    """
    for part in _parts(element, field):
        element = element[_key_of(element, part, field)]
    return element


def put(element: Any, field: Field, value: Any) -> Any:
    """A copy of ``element`` with ``value`` as its component ``field``; mappings grow by new keys, tuples do not.

    Example:
        >>> put({"a": 1}, "b", 2), put((1, 2), 0, 9)
        ({'a': 1, 'b': 2}, (9, 2))
    """
    return _put(element, _parts(element, field), value, field)


def _put(element: Any, parts: list[Field], value: Any, field: Field) -> Any:
    part, *rest = parts
    key = _key_of(element, part, field, new=not rest)
    inner = _put(element[key], rest, value, field) if rest else value
    if isinstance(element, Mapping):
        return {**element, key: inner}
    changed = [*element[:key], inner, *element[key + 1 :]]
    return type(element)(*changed) if hasattr(element, "_fields") else tuple(changed)


def place(element: Any, target: Field | tuple[Field, ...], result: Any) -> Any:
    """A copy of ``element`` with a result at its target; several targets take a list or tuple apart.

    Raises:
        FieldError: The element cannot have such a component, or the result has another number of parts.

    Example:
        >>> place({"a": 1}, ("b", "c"), (2, 3))
        {'a': 1, 'b': 2, 'c': 3}
    """
    if not isinstance(target, tuple):
        return put(element, target, result)
    if not isinstance(result, list | tuple) or len(result) != len(target):
        got = f"{len(result)} results" if isinstance(result, list | tuple) else "a single result"
        raise FieldError(f"{got} for the {len(target)} fields of `to` ({', '.join(map(str, target))})")
    for each, part in zip(target, result, strict=True):
        element = put(element, each, part)
    return element
