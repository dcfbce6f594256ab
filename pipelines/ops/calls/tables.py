"""Lookup tables, made once when the pipeline is built."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.calls.base import Making, Running, SpecialCall
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import error
from pipeprof.pipelines.ops.values.structures import Constant
from pipeprof.pipelines.ops.values.values import ArrayPath, Dtype, Integer, NotNegative, Positive, Text

_KEYS = "The keys: a list, or `{lines: path}`."
_FILENAME = "Text file, relative to the spec, with one key per line."
_LINE = "Part of a line: -2 the whole line, -1 the line number, 0 and above a column."


class _Table(SpecialCall):
    family: ClassVar[str] = "table"
    makes: ClassVar[bool] = True

    keys_: Annotated[Constant, None] = argument(_KEYS, default=None, alias="keys")
    values: Constant = argument("The values, one for each key; default 0, 1, 2, …", default=None)
    filename: ArrayPath | None = argument(_FILENAME, default=None)
    key_dtype: Dtype = argument("dtype of the keys.", default="string")
    value_dtype: Dtype = argument("dtype of the values.", default="int64")
    key_index: Integer = argument(f"{_LINE} The key.", default=-2)
    value_index: Integer = argument(f"{_LINE} The value.", default=-1)
    vocab_size: Positive | None = argument("Number of lines, if known.", default=None)
    delimiter: Text = argument("Column separator.", default="\t")

    @classmethod
    def keys(cls) -> list[str]:
        """Names as they are written."""
        return ["keys" if name == "keys_" else name for name in cls.model_fields]

    @model_validator(mode="after")
    def _complete(self) -> _Table:
        if (self.keys_ is None) == (self.filename is None):
            got = "both" if self.filename is not None else "neither"
            raise error(f"{got} of `keys` and `filename`: expected exactly one", "table")
        lengths = [len(value) for value in (self.keys_, self.values) if isinstance(value, list)]
        if len(set(lengths)) > 1:
            message = f"number of keys is {lengths[0]}, number of values is {lengths[1]}: expected the same number"
            raise error(message, "table")
        return self

    @classmethod
    def initializer(cls, operation: OpCall, making: Making) -> Any:
        """Make the initializer of the table."""
        tf, given = making.tf, operation.arguments
        if "filename" in given:
            names = ("filename", "key_dtype", "key_index", "value_dtype", "value_index", "vocab_size", "delimiter")
            defaults = {name: cls.model_fields[name].default for name in names[1:5]}
            arguments = defaults | {name: given[name] for name in names if name in given}
            return tf.lookup.TextFileInitializer(**{name: making.constant(each) for name, each in arguments.items()})
        keys = making.constant(given["keys"])
        values = making.constant(given["values"]) if "values" in given else list(range(len(keys)))
        return tf.lookup.KeyValueTensorInitializer(
            keys,
            values,
            key_dtype=making.constant(given["key_dtype"]) if "key_dtype" in given else None,
            value_dtype=making.constant(given["value_dtype"]) if "value_dtype" in given else _of_values(tf, values),
        )

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The values of the keys."""
        return running.made(operation).lookup(given)


def _of_values(tf: Any, values: Any) -> Any:
    """Whole numbers are int64, as the numbers of lines are; others as TensorFlow takes them."""
    return tf.int64 if all(isinstance(item, int) for item in values) else None


class StaticHashTable(_Table):
    """Looks up values by keys, or by the lines of a file.

    ``tf.lookup.StaticHashTable: {keys, values, default_value}`` is equivalent to
    ``tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), default_value).lookup(x)``, with
    ``filename`` for ``tf.lookup.TextFileInitializer(filename, …)``: the number of each line by the line unless
    ``key_index`` and ``value_index`` say otherwise. Whole numbers among the values are int64. The table is made once,
    when the pipeline is built; ``x`` is the element or the field in ``on``.
    """

    call: ClassVar[str] = "tf.lookup.StaticHashTable"

    default_value: Constant = argument("Value for unknown keys.")

    @classmethod
    def make(cls, operation: OpCall, making: Making) -> Any:
        """The table."""
        default = making.constant(operation.arguments["default_value"])
        return making.tf.lookup.StaticHashTable(cls.initializer(operation, making), default)


class StaticVocabularyTable(_Table):
    """Looks up indices by keys, or by the lines of a file, with buckets for unknown keys.

    ``tf.lookup.StaticVocabularyTable: {filename, num_oov_buckets}`` is equivalent to
    ``tf.lookup.StaticVocabularyTable(initializer, num_oov_buckets).lookup(x)`` with ``initializer =
    tf.lookup.TextFileInitializer(filename, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
    tf.lookup.TextFileIndex.LINE_NUMBER)``, and with ``keys`` for ``initializer =
    tf.lookup.KeyValueTensorInitializer(keys, values)``, where ``values`` are 0, 1, 2, … in int64 unless written. The
    table is made once, when the pipeline is built; ``x`` is the element or the field in ``on``.
    """

    call: ClassVar[str] = "tf.lookup.StaticVocabularyTable"

    num_oov_buckets: NotNegative = argument("Number of hash buckets for unknown keys.")
    lookup_key_dtype: Dtype | None = argument("dtype of the lookup keys.", default=None)

    @classmethod
    def make(cls, operation: OpCall, making: Making) -> Any:
        """The table."""
        names = ("num_oov_buckets", "lookup_key_dtype")
        given = {name: making.constant(operation.arguments[name]) for name in names if name in operation.arguments}
        return making.tf.lookup.StaticVocabularyTable(cls.initializer(operation, making), **given)
