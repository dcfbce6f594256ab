"""Rendering of layers and tables: created once at the top of the file, called in functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.ops.values.values import DtypeName
from pipeprof.pipelines.to_python.code import call, slug, text, tupled
from pipeprof.pipelines.to_python.elements import Form, Single, express, pick

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
