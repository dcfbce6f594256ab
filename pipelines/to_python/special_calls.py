"""Rendering of special calls: structures, control flow, layers, tables and Python inside a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.functions.layers import layers
from pipeprof.pipelines.to_python.body import Body, Result
from pipeprof.pipelines.to_python.code import call, listed, mapped, text
from pipeprof.pipelines.to_python.control import CONTROL
from pipeprof.pipelines.to_python.elements import UNKNOWN, Form, Keyed, Single, TupleForm, express, pick, unpacked
from pipeprof.pipelines.to_python.objects import layer, table


def render_special_call(body: Body, operation: OpCall, element: Form) -> Result | None:
    """Render a special call; None for a function of the allowlist."""
    if operation.name in layers():
        return layer(body, operation, element)
    found = _CALLS.get(operation.name) or CONTROL.get(operation.name)
    return found(body, operation, element) if found is not None else None


def _select(_body: Body, operation: OpCall, element: Form) -> Result:
    fields = operation.arguments["fields"]
    if not isinstance(fields, tuple):
        return pick(element, fields)
    if isinstance(element, TupleForm) or (
        isinstance(element, Single) and all(isinstance(field_, int) for field_ in fields)
    ):
        return TupleForm(tuple(pick(element, field_) for field_ in fields))
    return Keyed({str(field_): pick(_as_mapping(element), field_) for field_ in fields})


def _drop(_body: Body, operation: OpCall, element: Form) -> Result:
    fields = operation.arguments["fields"]
    if isinstance(element, TupleForm):
        return TupleForm(tuple(part for index, part in enumerate(element.parts) if index not in fields), element.rest)
    gone = {str(field_) for field_ in fields}
    if isinstance(element, Keyed) and element.complete:
        return Keyed({key: part for key, part in element.parts.items() if key not in gone})
    names = ", ".join(text(name) for name in sorted(gone))
    kept = f"{{key: value for key, value in {express(element)}.items() if key not in ({names},)}}"
    return kept, Keyed({}, complete=False)


def _rename(body: Body, operation: OpCall, element: Form) -> Result:
    names = operation.arguments["names"]
    if isinstance(element, Keyed) and element.complete:
        return Keyed({names.get(key, key): part for key, part in element.parts.items()})
    shown = body.module.constant("names", mapped((old, text(new)) for old, new in names.items()))
    made = f"{{{shown}.get(key, key): value for key, value in {express(element)}.items()}}"
    return made, Keyed({}, complete=False)


def _as_mapping(element: Form) -> Form:
    """Return an unknown element as a mapping."""
    if isinstance(element, Single):
        return Keyed({}, complete=False, expression=element.expression)
    return element


def _structure(_body: Body, operation: OpCall, element: Form) -> Result:
    structure = operation.arguments["structure"]
    if operation.name == "to_dict" and isinstance(structure, tuple):
        parts: list[Form] = [element]
        if not (isinstance(element, Single) and element.known and len(structure) == 1):
            parts = [pick(element, index) for index in range(len(structure))]
        return Keyed(dict(zip(structure, parts, strict=True)))
    return _pick_structure(element, structure)


def _pick_structure(element: Form, structure: Any) -> Form:
    if isinstance(structure, dict):
        return Keyed({name: _pick_structure(element, inner) for name, inner in structure.items()})
    if isinstance(structure, tuple):
        return TupleForm(tuple(_pick_structure(element, inner) for inner in structure))
    return element if structure is None else pick(element, structure)


def _copy(body: Body, operation: OpCall, element: Form) -> Result:
    return body.given(operation, element)[0]


def _getitem(body: Body, operation: OpCall, element: Form) -> Result:
    given = body.given(operation, element)[0]
    key = operation.arguments["key"]
    words = [_key_item(item, element) for item in key.items]
    shown = words[0] if key.alone else ", ".join(words) + ("," if len(words) == 1 else "")
    noun = given.noun if isinstance(given, Single) else "value"
    return f"{express(given)}[{shown}]", Single(noun)


def _key_item(item: Any, element: Form) -> str:
    if item is Ellipsis:
        return "..."
    if item is None:
        return "tf.newaxis"
    if isinstance(item, str):
        return express(pick(element, item))
    if isinstance(item, int):
        return str(item)
    bounds = [item.begin, item.end, *([item.step] if item.step is not None else [])]
    words = ["" if bound is None else _key_item(bound, element) for bound in bounds]
    if all(word.lstrip("-").isalnum() or not word for word in words):
        return ":".join(words)
    # An expression other than a plain name or number is separated from the colon.
    return " ".join(f"{word} :" if index < len(words) - 1 else word for index, word in enumerate(words)).strip()


def _python(body: Body, operation: OpCall, element: Form) -> Result:
    function = body.module.python(operation.arguments["function"])
    if isinstance(operation.on, dict):
        named = {key: express(pick(element, field)) for key, field in operation.on.items()}
        return call(function, **named), UNKNOWN
    given = body.given(operation, element)
    if len(given) == 1 and operation.on is None:
        return call(function, *unpacked(given[0])), UNKNOWN
    return call(function, *map(express, given)), UNKNOWN


def _render_wrapped(body: Body, operation: OpCall, element: Form) -> Result:
    function = body.module.python(operation.arguments["func"])
    given = body.given(operation, element)
    inputs = listed(unpacked(given[0]) if len(given) == 1 else map(express, given))
    named = {
        name: body.values.constant(value) for name, value in operation.arguments.items() if name not in ("func", "Tout")
    }
    tout = operation.arguments["Tout"]
    node = call(operation.name, function, inputs, body.values.constant(tout), **named)
    written = tout.value if hasattr(tout, "value") else tout
    if isinstance(written, tuple):
        return node, TupleForm(tuple(Single(f"value_{index}") for index in range(len(written))))
    return node, Single("value")


def _table(body: Body, operation: OpCall, element: Form) -> Result:
    given = body.given(operation, element)[0]
    name = table(body, operation)
    noun = given.noun if isinstance(given, Single) else "index"
    return call(f"{name}.lookup", express(given)), Single(noun)


_CALLS: Final[dict[str, Callable[[Body, OpCall, Form], Result]]] = {
    "select": _select,
    "drop": _drop,
    "rename": _rename,
    "to_tuple": _structure,
    "to_dict": _structure,
    "copy": _copy,
    "getitem": _getitem,
    "python": _python,
    "tf.numpy_function": _render_wrapped,
    "tf.py_function": _render_wrapped,
    "tf.lookup.StaticHashTable": _table,
    "tf.lookup.StaticVocabularyTable": _table,
}
