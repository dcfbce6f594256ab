"""TensorFlow's public functions by the code that runs when they are called (worker only: needs TensorFlow).

Most are wrapped, many by the same wrapper with the same code: the wrapper's closure identifies the function.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any, Final

from pipeprof.pipelines.build.signatures import UnknownFunctionError, resolve
from pipeprof.pipelines.from_python.plans import BRANCHES, PYTHON
from pipeprof.pipelines.ops.base import sources, stages
from pipeprof.pipelines.ops.functions.catalog import table
from pipeprof.pipelines.ops.functions.layers import layer_table
from pipeprof.pipelines.ops.traits import traits

# Functions behind Python's operators on tensors; those whose names begin with r take the tensor second.
_OPERATORS: Final = {
    "add": "tf.math.add", "sub": "tf.math.subtract", "mul": "tf.math.multiply", "truediv": "tf.math.truediv",
    "floordiv": "tf.math.floordiv", "mod": "tf.math.floormod", "pow": "tf.math.pow", "matmul": "tf.matmul",
    "and": "tf.math.logical_and", "or": "tf.math.logical_or", "xor": "tf.math.logical_xor",
}  # fmt: skip
_COMPARISONS: Final = {
    "lt": "tf.math.less", "le": "tf.math.less_equal", "gt": "tf.math.greater", "ge": "tf.math.greater_equal",
    "eq": "tf.math.equal", "ne": "tf.math.not_equal",
}  # fmt: skip
_UNARY: Final = {"neg": "tf.math.negative", "abs": "tf.math.abs", "invert": "tf.math.logical_not"}
_KERAS: Final = "tf.keras.utils"
_DATASETS: Final = ("tf.data.Dataset", "tf.data.experimental", "tf.data", _KERAS)


@dataclass(frozen=True)
class Public:
    """A public function.

    Attributes:
        kind: ``source``, ``stage``, ``function``, ``operator``, ``factory`` for what gives a function from dataset to
            dataset, ``apply``, ``seed``, ``load``, ``item`` for a part of an archive of arrays, ``object`` for what
            makes a table or layer, or ``method`` for what calls one.
        draws: Whether it draws a seed from NumPy's global generator, if it is given none.
    """

    name: str
    kind: str
    signature: inspect.Signature | None = None
    parameters: tuple[str, ...] = ()
    made: bool = False
    draws: bool = False

    def bind(self, frame: FrameType) -> dict[str, Any]:
        """Return the arguments of a call by name, without default values."""
        code, held = frame.f_code, frame.f_locals
        count = code.co_argcount
        positional = [held[name] for name in code.co_varnames[:count]]
        named = {name: held[name] for name in code.co_varnames[count : count + code.co_kwonlyargcount]}
        at = count + code.co_kwonlyargcount
        if code.co_flags & inspect.CO_VARARGS:
            positional += held[code.co_varnames[at]]
            at += 1
        if code.co_flags & inspect.CO_VARKEYWORDS:
            named |= held[code.co_varnames[at]]
        if self.parameters:
            return {**dict(zip(self.parameters, positional, strict=False)), **named}
        if self.signature is None:
            return {}
        bound = self.signature.bind(*positional, **named).arguments
        # The owner of a list or dict may change it.
        return {
            name: value.copy() if type(value) in (list, dict) else value
            for name, value in bound.items()
            if name != "cls" and not self._is_default(name, value)
        }

    def _is_default(self, name: str, value: Any) -> bool:
        default = self.signature.parameters[name].default if self.signature is not None else None
        if value is default:
            return True
        plain = (bool, int, float, str, tuple)
        return type(value) is type(default) and isinstance(value, plain) and value == default


class PublicTable:
    """Table of all recorded functions, by code.

    Args:
        layers: Whether Keras' layers are, which loads Keras.
    """

    def __init__(self, tf: Any, *, layers: bool = False) -> None:
        self._entries: dict[CodeType, dict[tuple[int, ...], Public]] = {}
        # Objects that are looked up by identity must stay alive.
        self._held: list[Any] = []
        for target, public in [*_publics(tf), *_tables(tf), *(_layers(tf) if layers else ())]:
            self._add(target, public)

    def _add(self, target: Any, public: Public) -> None:
        code = getattr(target, "__code__", None)
        if code is None:
            return
        cells = tuple(id(cell.cell_contents) for cell in target.__closure__ or ())
        self._held.append(target)
        self._entries.setdefault(code, {}).setdefault(cells, public)

    def find(self, frame: FrameType) -> Public | None:
        """Return the public function of a frame; None for any other."""
        entries = self._entries.get(frame.f_code)
        if entries is None:
            return None
        names = frame.f_code.co_freevars
        if not names:
            return entries.get(())
        held = frame.f_locals
        return entries.get(tuple(id(held.get(name)) for name in names))

    def codes(self) -> frozenset[CodeType]:
        """Return the code of all recorded functions."""
        return frozenset(self._entries)


def _publics(tf: Any) -> Iterator[tuple[Any, Public]]:
    """Yield functions; the first name of a function with several is used."""
    yield from _operators(tf)
    yield from _datasets(tf)
    numpy = importlib.import_module("numpy")
    yield inspect.unwrap(numpy.load), Public("npy", "load", inspect.signature(numpy.load))
    archive = importlib.import_module("numpy.lib.npyio").NpzFile.__getitem__
    yield archive, Public("npz", "item", inspect.signature(archive))
    yield tf.random.set_seed, Public("seed", "seed", inspect.signature(tf.random.set_seed))
    names = sorted(
        [*table(), *PYTHON, *BRANCHES], key=lambda name: (not name.startswith("tf.io."), name.count("."), name)
    )
    for name in names:
        try:
            target = resolve(name)
        except UnknownFunctionError:
            continue
        signature = _signature(target)
        if signature is not None:
            yield target, Public(name, "function", signature)


def _operators(tf: Any) -> Iterator[tuple[Any, Public]]:
    for kind in (tf.Tensor, tf.RaggedTensor):
        yield getattr(kind, "__getitem__", None), Public("getitem", "operator", None, ("x", "key"))
        for names in (_OPERATORS, _COMPARISONS):
            for word, name in names.items():
                first, second = ("a", "b") if name == "tf.matmul" else ("x", "y")
                yield getattr(kind, f"__{word}__", None), Public(name, "operator", None, (first, second))
                if names is _OPERATORS:
                    yield getattr(kind, f"__r{word}__", None), Public(name, "operator", None, (second, first))
        for word, name in _UNARY.items():
            yield getattr(kind, f"__{word}__", None), Public(name, "operator", None, ("x",))


def _datasets(tf: Any) -> Iterator[tuple[Any, Public]]:
    yield tf.data.Dataset.apply, Public("apply", "apply", inspect.signature(tf.data.Dataset.apply))
    for kind, known in (("source", sources()), ("stage", stages())):
        for name in known:
            holder = known[name].holder
            # A function that is both counts as the method.
            both = kind == "source" and name in stages()
            if both or traits(name).opaque or holder not in _DATASETS:
                continue
            attribute = functools.reduce(lambda at, part: getattr(at, part, None), [*holder.split(".")[1:], name], tf)
            is_class = inspect.isclass(attribute)
            target: Any = attribute.__init__ if is_class else attribute
            signature = _signature(target)
            if target is None or signature is None:
                continue
            factory = kind == "stage" and holder != "tf.data.Dataset"
            draws = holder == _KERAS and "seed" in signature.parameters
            yield target, Public(name, "factory" if factory else kind, signature, made=is_class, draws=draws)


def _tables(tf: Any) -> Iterator[tuple[Any, Public]]:
    for name in ("KeyValueTensorInitializer", "TextFileInitializer", "StaticHashTable", "StaticVocabularyTable"):
        kind = getattr(tf.lookup, name)
        yield kind.__init__, Public(f"tf.lookup.{name}", "object", _signature(kind.__init__), made=True)
        for method in ("lookup", "__getitem__"):
            target = getattr(kind, method, None)
            if target is not None:
                yield target, Public("lookup", "method", _signature(target))


def _layers(tf: Any) -> Iterator[tuple[Any, Public]]:
    call = tf.keras.layers.Layer.__call__
    yield call, Public("call", "method", _signature(call))
    for name in layer_table():
        kind = getattr(tf.keras.layers, name.rpartition(".")[2], None)
        if kind is not None:
            yield kind.__init__, Public(name, "object", _signature(kind.__init__), made=True)


def _signature(function: Callable[..., Any] | None) -> inspect.Signature | None:
    if function is None:
        return None
    try:
        # A method of a class: its frame has the class, too.
        return inspect.signature(getattr(function, "__func__", function))
    except (TypeError, ValueError):
        return None
