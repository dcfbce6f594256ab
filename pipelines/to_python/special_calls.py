"""Rendering of special calls: structures, control flow, layers, tables and Python inside a chain."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.functions.layers import layers
from pipeprof.pipelines.ops.values.values import DtypeName
from pipeprof.pipelines.to_python.body import Body, Result
from pipeprof.pipelines.to_python.code import call, listed, mapped, slug, text, tupled
from pipeprof.pipelines.to_python.control import CONTROL
from pipeprof.pipelines.to_python.elements import UNKNOWN, Form, Keyed, Single, TupleForm, express, pick, unpacked

if TYPE_CHECKING:
    from pipeprof.pipelines.ops.calls.opcall import OpCall
    from pipeprof.pipelines.to_python.body import Body


_CALLED: Final = ("training",)
_FILE: Final = {
    "filename": None,
    "key_dtype": "tf.string",
    "key_index": "tf.lookup.TextFileIndex.WHOLE_LINE",
    "value_dtype": "tf.int64",
    "value_index": "tf.lookup.TextFileIndex.LINE_NUMBER",
    "vocab_size": None,
    "delimiter": None,
}
_LINE: Final = {-2: "tf.lookup.TextFileIndex.WHOLE_LINE", -1: "tf.lookup.TextFileIndex.LINE_NUMBER"}
_LISTED: Final = 8


def layer(body: Body, operation: OpCall, element: Form) -> tuple[str, Form]:
    """Return a Keras layer and its call."""
    arguments: dict[str, str] = {}
    for name, value in operation.arguments.items():
        if name not in _CALLED:
            arguments[name] = text(value) if isinstance(value, DtypeName) else body.values.plain_list(value)
    made = call(operation.name, **arguments)
    seed = body.module.loaded.spec.measure.seed
    if seed is not None:
        # Layers take their default seeds from Python's generator.
        body.module.helper("seed of layers", f"tf.keras.utils.set_random_seed({seed})")
    name = _own_object(body, operation, slug(operation.name.rpartition(".")[2]), made)
    given = body.given(operation, element)
    called = {key: body.values.constant(operation.arguments[key]) for key in _CALLED if key in operation.arguments}
    if isinstance(operation.on, dict):
        named = {key: express(pick(element, field)) for key, field in operation.on.items()}
        return call(name, **named, **called), Single("value")
    first = tupled(map(express, given)) if isinstance(operation.on, tuple) else express(given[0])
    return call(name, first, **called), body.result_form(operation, given)


def _own_object(body: Body, operation: OpCall, wanted: str, made: str) -> str:
    """Return the variable at the top of the file; every call has an object of its own."""
    return body.module.maker(id(operation), wanted, made)


def table(body: Body, operation: OpCall) -> str:
    """Return the variable with a lookup table."""
    given = operation.arguments
    initializer = _from_file(body, given) if "filename" in given else _from_keys(body, given)
    if operation.name.endswith("StaticHashTable"):
        made = call(operation.name, initializer, default_value=body.values.constant(given["default_value"]))
    else:
        names = [name for name in ("num_oov_buckets", "lookup_key_dtype") if name in given]
        made = call(operation.name, initializer, **{name: body.values.constant(given[name]) for name in names})
    return _own_object(body, operation, "table" if operation.name.endswith("HashTable") else "vocabulary", made)


def _from_file(body: Body, given: dict[str, Any]) -> str:
    arguments: dict[str, str] = {}
    for name, default in _FILE.items():
        if name in given and name in ("key_index", "value_index"):
            arguments[name] = _LINE.get(given[name], str(given[name]))
        elif name in given:
            value = given[name]
            arguments[name] = body.values.path(str(value)) if name == "filename" else body.values.constant(value)
        elif default is not None:
            arguments[name] = default
    return call("tf.lookup.TextFileInitializer", **arguments)


def _from_keys(body: Body, given: dict[str, Any]) -> str:
    keys = body.values.constant(given["keys"])
    if keys.startswith("[") and len(keys) > _LISTED and "values" not in given:
        keys = body.module.constant("keys", keys)
    values: str
    if "values" in given:
        values = body.values.constant(given["values"])
        whole = isinstance(given["values"], list | tuple) and all(isinstance(item, int) for item in given["values"])
    else:
        values, whole = f"range(len({keys}))", True
    arguments: dict[str, str] = {"keys": keys, "values": values}
    if "key_dtype" in given:
        arguments["key_dtype"] = body.values.constant(given["key_dtype"])
    if "value_dtype" in given:
        arguments["value_dtype"] = body.values.constant(given["value_dtype"])
    elif whole:
        arguments["value_dtype"] = "tf.int64"
    return call("tf.lookup.KeyValueTensorInitializer", **arguments)


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
    "copy": lambda body, operation, element: body.given(operation, element)[0],
    "getitem": _getitem,
    "python": _python,
    "tf.numpy_function": _render_wrapped,
    "tf.py_function": _render_wrapped,
    "tf.lookup.StaticHashTable": _table,
    "tf.lookup.StaticVocabularyTable": _table,
}
