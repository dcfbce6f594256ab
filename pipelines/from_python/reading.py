"""Plain records made from the TensorFlow objects that a `CallRecorder` kept; worker only."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterator
from typing import Any, Final

from pipeprof.pipelines.build.signatures import resolve
from pipeprof.pipelines.from_python.call_recorder import CallRecorder, FunctionTrace, ObservedCall, UserCall
from pipeprof.pipelines.from_python.naming import FunctionReferences
from pipeprof.pipelines.from_python.records import (
    Array,
    Call,
    Dataset,
    Dtype,
    Opaque,
    RecordedBody,
    RecordedCalls,
    RecordedFeature,
    RecordedFunction,
    RecordedKey,
    RecordedOptions,
    RecordedSpec,
    RecordedTensor,
    Shape,
    SourcePlace,
)
from pipeprof.pipelines.ops.functions.layers import layer_table
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.values.features import KINDS
from pipeprof.pipelines.ops.values.options import Options as OptionsModel

_MOST_VALUES: Final = 200
_MOST_TEXTS: Final = 5_000
_DEPTH: Final = 3
_ASIDE: Final = frozenset({"self", "name", "experimental_is_anonymous"})


class Objects:
    """Converter of method calls on objects to the arguments of their construction."""

    def __init__(self, watch: CallRecorder, value: Callable[[Any], Any]) -> None:
        self._watch = watch
        self._value = value

    def call(self, seen: ObservedCall, number: int) -> Call:
        """Make the record of a call of a table or layer; its input is ``x``."""
        given = seen.arguments
        thing = given.get("self")
        made = self._construction_of(thing)
        name = type(thing).__name__
        if seen.public.name != "lookup" and f"tf.keras.layers.{name}" not in layer_table():
            return self._record(seen, number, name, {"made": Opaque("inputs, and it is no layer that `ops:` knows")})
        if made is None:
            return self._record(seen, number, name, {"made": Opaque(f"a {name} that was made before pipeprof looked")})
        if seen.public.name == "lookup":
            return self._record(seen, number, made.public.name, self._table(made, given.get("keys")))
        name = f"tf.keras.layers.{name}"
        return self._record(seen, number, name, self._layer(made, given))

    def _record(self, seen: ObservedCall, number: int, name: str, arguments: dict[str, Any]) -> Call:
        return Call(name, "function", arguments, self._value(seen.result), seen.where, number)

    def _construction_of(self, thing: Any) -> ObservedCall | None:
        made = (call for call in self._watch.seen if call.public.kind == "object" and call.result is thing)
        return next(made, None)

    def _arguments(self, made: ObservedCall) -> dict[str, Any]:
        given = {**made.arguments, **made.arguments.get("kwargs", {})}
        return {name: value for name, value in given.items() if name not in _ASIDE and name != "kwargs"}

    def _table(self, made: ObservedCall, keys: Any) -> dict[str, Any]:
        given = self._arguments(made)
        initializer = self._construction_of(given.pop("initializer", None))
        arguments = {name: self._value(value) for name, value in given.items()} | {"x": self._value(keys)}
        if initializer is None:
            return {**arguments, "made": Opaque("an initializer that was made before pipeprof looked")}
        filled = {name: self._value(value) for name, value in self._arguments(initializer).items()}
        for part in ("key", "value"):
            values = filled.get(f"{part}s")
            if values is not None and f"{part}_dtype" not in filled:
                dtype = values.dtype if isinstance(values, Array) else _natural(values)
                filled |= (
                    {f"{part}_dtype": dtype} if dtype not in (None, "string" if part == "key" else "int64") else {}
                )
        return {**filled, **arguments}

    def _layer(self, made: ObservedCall, given: dict[str, Any]) -> dict[str, Any]:
        constructed = {name: self._value(value) for name, value in self._arguments(made).items()}
        positional = given.get("args", ())
        inputs = {"x": self._value(positional[0])} if len(positional) == 1 else {"made": Opaque("several inputs")}
        called = {name: self._value(value) for name, value in given.get("kwargs", {}).items()}
        return {**constructed, **called, **inputs}


def _natural(values: Any) -> str | None:
    first = values[0] if isinstance(values, list | tuple) and values else None
    return {str: "string", int: "int32", float: "float32"}.get(type(first))


class Recorder:
    """Converter of kept objects to records; the same object always gets the same number."""

    def __init__(self, tf: Any, watch: CallRecorder, own: Callable[[str], bool]) -> None:
        import numpy as np

        self._tf, self._np = tf, np
        self._watch = watch
        self._own = own
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self._loaded: dict[int, dict[str, str]] = {}
        self.arrays: dict[int, Any] = {}
        self._objects = Objects(watch, self.value)
        self._references = FunctionReferences(
            own, [(call.function, _given(call) or {}, call.result) for call in watch.makers]
        )

    def read(self, dataset: Any) -> RecordedCalls:
        """Convert a dataset to a recording."""
        calls: dict[int, Call] = {}
        seed: int | None = None
        for seen in self._watch.seen:
            if seen.public.kind in ("load", "item"):
                self._note_loaded(seen)
        for seen in self._watch.seen:
            if seen.public.kind == "seed":
                given = seen.arguments.get("seed")
                seed = given if isinstance(given, int) else None
            elif isinstance(seen.result, self._tf.data.Dataset):
                number = self._number(seen.result)
                calls.setdefault(number, self._call(seen))
        users = tuple(call for used in self._watch.used if (call := self._user(used)) is not None)
        return RecordedCalls(Dataset(self._number(dataset)), calls, users, seed)

    def _note_loaded(self, seen: ObservedCall) -> None:
        given = seen.arguments
        if seen.result is None:
            return
        if seen.public.kind == "load":
            file = given.get("file")
            if isinstance(file, str | os.PathLike) and isinstance(seen.result, self._np.ndarray):
                mode = {"mmap_mode": given["mmap_mode"]} if given.get("mmap_mode") in ("r", "c") else {}
                self._loaded[self._number(seen.result)] = {"npy": os.fspath(file), **mode}
            return
        archive = getattr(getattr(given.get("self"), "zip", None), "filename", None)
        if archive is not None and isinstance(given.get("key"), str):
            self._loaded[self._number(seen.result)] = {"npz": str(archive), "key": given["key"]}

    def _number(self, thing: Any) -> int:
        if isinstance(thing, self._tf.data.Dataset):
            # Each method of `tf.compat.v1` wraps the dataset that it makes: both have the same variant.
            thing = self._tf.data.experimental.to_variant(thing)
        if id(thing) not in self._numbers:
            self._numbers[id(thing)] = len(self._numbers) + 1
            self._kept.append(thing)
        return self._numbers[id(thing)]

    def _call(self, seen: ObservedCall) -> Call:
        public, given = seen.public, seen.arguments
        if public.kind == "method":
            return self._objects.call(seen, self._number(seen))
        if public.kind == "apply":
            made = next(call for call in self._watch.seen if call.result is given["transformation_func"])
            arguments = {"self": given["self"], **made.arguments}
            public = made.public
        else:
            arguments = given
        kind = {"operator": "function", "factory": "stage"}.get(public.kind, public.kind)
        if public.made:
            arguments = {name: value for name, value in arguments.items() if name != "self"}
        if public.kind == "operator":
            arguments = self._operands(arguments)
        read = {name: self._argument(public.name, name, value, seen) for name, value in arguments.items()}
        return Call(public.name, kind, read, self.value(seen.result), seen.where, self._number(seen), drawn=seen.drawn)

    def _operands(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a number combined with a tensor the tensor's dtype, in either order."""
        first = "a" if "a" in arguments else "x"
        dtypes = {argument.dtype for argument in arguments.values() if isinstance(argument, self._tf.Tensor)}
        if type(arguments[first]) not in (int, float) or len(dtypes) != 1:
            return arguments
        return {**arguments, first: self._np.asarray(arguments[first], dtypes.pop().as_numpy_dtype)}

    def _argument(self, name: str, argument: str, value: Any, seen: ObservedCall) -> Any:
        if name == "getitem" and argument == "key":
            items = value if isinstance(value, tuple) else (value,)
            return RecordedKey(tuple(self._item(item) for item in items), not isinstance(value, tuple))
        return self.value(value, seen)

    def _item(self, item: Any) -> Any:
        if isinstance(item, slice):
            return slice(self._item(item.start), self._item(item.stop), self._item(item.step))
        return item if item is Ellipsis else self.value(item)

    def _user(self, used: UserCall) -> Call | None:
        if used.function is None:
            return None
        function = self._function(used.function, None)
        kept = _given(used)
        if kept is None:
            return None
        read = {name: self.value(value) for name, value in kept.items()}
        return Call(function.name, "user", read, self.value(used.result), None, self._number(used), function)

    def value(self, raw: Any, seen: ObservedCall | None = None) -> Any:
        """Convert any object; ``seen`` is the call that it was an argument of."""
        if raw is None or isinstance(raw, bool | str) or type(raw) in (int, float):
            return raw
        if type(raw) is list and _leaf_count(raw) > _MOST_VALUES:
            try:
                values = self._np.asarray(raw)
            except ValueError:
                return Opaque("a list of lists of different lengths")
            natural = {"i": self._np.int32, "f": self._np.float32}.get(values.dtype.kind)
            if natural is not None and values.dtype != natural:
                values = values.astype(natural)
            return self._array(values, raw)
        if type(raw) in (list, tuple):
            return type(raw)(self.value(item, seen) for item in raw)
        if isinstance(raw, dict) and all(isinstance(key, str) for key in raw):
            return {key: self.value(item, seen) for key, item in raw.items()}
        known = self._type_of(raw) or self._of_tensorflow(raw)
        return known if known is not None else self._other(raw, seen)

    def _other(self, raw: Any, seen: ObservedCall | None) -> Any:
        unknown = Opaque(f"a {type(raw).__name__}")
        if isinstance(raw, bytes):
            return raw.decode() if _is_text(raw) else Opaque("bytes")
        if isinstance(raw, os.PathLike):
            return os.fspath(raw)
        if isinstance(raw, tuple):
            return tuple(self.value(item, seen) for item in raw)
        if callable(raw):
            return self._function(raw, seen)
        try:
            return self._array(self._np.asarray(raw), raw) if hasattr(raw, "__array__") else unknown
        except ValueError:  # a symbolic tensor of Keras
            return unknown

    def _type_of(self, raw: Any) -> Dtype | None:
        tf = self._tf
        if isinstance(raw, tf.DType):
            return Dtype(str(raw.name))
        kinds = (self._np.generic, bool, int, float, str)
        if isinstance(raw, self._np.dtype) or (isinstance(raw, type) and issubclass(raw, kinds)):
            return Dtype(str(tf.as_dtype(raw).name))
        return None

    def _of_tensorflow(self, raw: Any) -> Any:
        tf, kind = self._tf, type(raw).__name__
        record: Any = None
        if isinstance(raw, tf.data.Dataset):
            record = Dataset(self._number(raw))
        elif isinstance(raw, tf.TensorShape):
            record = Shape(None if raw.rank is None else tuple(raw.as_list()))
        elif isinstance(raw, tf.TensorSpec | tf.RaggedTensorSpec | tf.SparseTensorSpec):
            record = self._spec(raw)
        elif kind in KINDS and hasattr(raw, "_fields"):
            record = self._feature(raw)
        elif isinstance(raw, tf.data.Options):
            record = RecordedOptions(dict(_changed_fields(raw, tf.data.Options(), OptionsModel)))
        elif isinstance(raw, tf.Variable):
            record = Opaque("a tf.Variable")
        elif isinstance(raw, tf.Tensor):
            record = self._tensor(raw)
        elif isinstance(raw, tf.RaggedTensor | tf.SparseTensor):
            has_values = hasattr(raw.flat_values if isinstance(raw, tf.RaggedTensor) else raw.values, "numpy")
            record = Opaque(f"a {kind}") if has_values else RecordedTensor(self._number(raw), kind)
        return record

    def _tensor(self, raw: Any) -> Any:
        # Only tensors that hold values have this method.
        if not hasattr(raw, "numpy"):
            return RecordedTensor(self._number(raw), str(raw.op.type), raw.dtype.base_dtype.name)
        if raw.dtype in (self._tf.resource, self._tf.variant):
            return Opaque(f"a tensor of {raw.dtype.name}")
        return self._array(raw.numpy(), raw)

    def _array(self, values: Any, raw: Any) -> Array | Opaque:
        values = self._np.asarray(values)
        try:
            dtype = str(self._tf.as_dtype(values.dtype).name)
        except TypeError:
            return Opaque(f"an array of {values.dtype}")
        number = self._number(raw)
        shape = tuple(int(size) for size in values.shape)
        most = _MOST_TEXTS if dtype == "string" else _MOST_VALUES
        listed = _texts(values.tolist()) if values.size <= most else None
        self.arrays[number] = values
        return Array(dtype, shape, listed, self._fill_of(values, dtype), self._loaded.get(number), number)

    def _fill_of(self, values: Any, dtype: str) -> dict[str, Any] | None:
        """Describe the array by shape and fill, if a spec can make it; else return None."""
        if values.dtype.kind not in "biuf" or not values.size:
            return None
        described = {"shape": list(values.shape), "dtype": dtype}
        if not values.any():
            return {**described, "fill": "zeros"}
        ends = values.flat[0] == 0 and values.flat[-1] == values.size - 1
        if not ends:
            return None
        ranged = self._np.arange(values.size).astype(values.dtype).reshape(values.shape)
        return {**described, "fill": "arange"} if self._np.array_equal(values, ranged) else None

    def _spec(self, raw: Any) -> RecordedSpec:
        kind = {"RaggedTensorSpec": "ragged", "SparseTensorSpec": "sparse"}.get(type(raw).__name__, "dense")
        shape = None if raw.shape.rank is None else tuple(raw.shape.as_list())
        return RecordedSpec(kind, shape, str(raw.dtype.name), getattr(raw, "ragged_rank", None))

    def _feature(self, raw: Any) -> RecordedFeature:
        kind = type(raw)
        defaults = {name: parameter.default for name, parameter in inspect.signature(kind).parameters.items()}
        given = {name: getattr(raw, name) for name in raw._fields}
        differing = {name: value for name, value in given.items() if not _same(value, defaults.get(name))}
        return RecordedFeature(kind.__name__, self.value(differing))

    def _function(self, raw: Any, seen: ObservedCall | None) -> RecordedFunction:
        name = str(getattr(raw, "__name__", type(raw).__name__))
        file, why = self._references.find(raw)
        code = getattr(inspect.unwrap(getattr(raw, "python_function", raw)), "__code__", None)
        where = SourcePlace(code.co_filename, code.co_firstlineno) if code is not None else None
        bodies = (
            [body for body in seen.bodies if body.complete and _calls(body.function, raw)] if seen is not None else []
        )
        read = tuple(body for function in bodies if (body := self._body(function, raw)) is not None)
        return RecordedFunction(name, file, why, where if where is not None and self._own(where.file) else None, read)

    def _body(self, traced: FunctionTrace, raw: Any) -> RecordedBody | None:
        calls = [self._call(call) if isinstance(call, ObservedCall) else self._user(call) for call in traced.seen]
        element, result = traced.element, traced.result
        if traced.function is not raw:
            inner = next((call for call in traced.seen if _is_call_of(call, raw)), None)
            result = inner.result if inner is not None else result
        try:
            parameters = tuple(inspect.signature(raw).parameters)
        except (TypeError, ValueError):
            parameters = ()
        kept = tuple(call for call in calls if call is not None)
        return RecordedBody(self.value(element), kept, self.value(result), parameters)


def _calls(function: Any, raw: Any, depth: int = _DEPTH) -> bool:
    if function is raw:
        return True
    cells = getattr(function, "__closure__", None) or ()
    return depth > 0 and any(_calls(cell.cell_contents, raw, depth - 1) for cell in cells if _is_function(cell))


def _is_call_of(call: ObservedCall | UserCall, raw: Any) -> bool:
    if isinstance(call, ObservedCall):
        return call.public.kind == "function" and resolve(call.public.name) is raw
    code = getattr(raw, "__code__", None)
    return call.function is raw or (code is not None and call.code is code)


def _is_function(cell: Any) -> bool:
    try:
        return callable(cell.cell_contents)
    except ValueError:
        return False


def _given(used: UserCall) -> dict[str, Any] | None:
    """Return the arguments of a call by name, defaults left out; None where they do not fit the function."""
    named: dict[str, Any] = dict(used.named)
    if used.positional:
        try:
            named = dict(inspect.signature(used.function).bind(*used.positional, **used.named).arguments)
        except TypeError:
            return None
    return {name: value for name, value in named.items() if not _is_default(used.function, name, value)}


def _is_default(function: Any, name: str, value: Any) -> bool:
    try:
        default = inspect.signature(function).parameters[name].default
    except (TypeError, ValueError, KeyError):
        return False
    return _same(value, default)


def _same(value: Any, default: Any) -> bool:
    if value is default:
        return True
    return type(value) is type(default) and isinstance(value, bool | int | float | str) and value == default


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _leaf_count(raw: Any) -> int:
    if isinstance(raw, list):
        if not raw or isinstance(raw[0], str | int | float):
            return len(raw) if all(isinstance(item, str | int | float) for item in raw) else 0
        return sum(map(_leaf_count, raw))
    return 0


def _texts(values: Any) -> Any:
    """Decode the bytes in nested lists; None where they are not text."""
    if isinstance(values, list):
        inner = [_texts(item) for item in values]
        return None if None in inner else inner
    if isinstance(values, bytes):
        return values.decode() if _is_text(values) else None
    return values


def _changed_fields(raw: Any, fresh: Any, model: type[Closed]) -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        if not hasattr(raw, name):
            continue
        value, default = getattr(raw, name), getattr(fresh, name)
        inner = next(_models(field.annotation), None)
        if inner is not None:
            changed = dict(_changed_fields(value, default, inner))
            if changed:
                yield name, changed
        elif value is not None and value != default:
            yield name, getattr(value, "name", value)


def _models(annotation: Any) -> Iterator[type[Closed]]:
    if isinstance(annotation, type) and issubclass(annotation, Closed):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models(argument)
