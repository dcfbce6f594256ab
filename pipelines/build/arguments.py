"""Values of a spec as TensorFlow takes them, by the kind of the parameter."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.errors import PlainError, shown
from pipeprof.pipelines.meaning.constants import AUTOTUNE, LOCAL, WIDTHS
from pipeprof.pipelines.spec.operations import array_kind, mappings
from pipeprof.pipelines.units import parse_size

_NATURAL: Final = {bool: "bool", int: "int32", float: "float32", str: "string"}
"""The dtype that TensorFlow makes of a value by itself."""
_MODES: Final = ("parallel_epochs", "distributed_epoch")
"""Processing modes that TensorFlow takes as text."""
_ENUMERATIONS: Final = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}


class Making(Protocol):
    """What conversions and chains need of the builder of a dataset."""

    tf: Any
    context: BuildContext
    files: list[str]

    def outer(self, field: Any = None) -> Any:
        """The element around a pipeline that is made for each, or a field of it."""

    def traceable(self, reference: str) -> Callable[..., Any]:
        """The user's function, which AutoGraph rewrites."""

    def layer(self, make: Callable[[], Any]) -> Any:
        """A Keras layer, whose seeds are drawn as those of the ones before it."""


def converted(kind: str, value: Any, making: Making) -> Any:
    """A value of a kind as TensorFlow takes it; kinds that are no different for TensorFlow pass."""
    convert = _CONVERSIONS.get(kind)
    return value if convert is None or value is None else convert(value, making)


def map_leaves(function: Callable[[Any], Any], value: Any) -> Any:
    """``value`` with every component replaced by ``function`` of it."""
    if isinstance(value, Mapping):
        return {key: map_leaves(function, inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map_leaves(function, inner) for inner in value)
    return function(value)


def constant(value: Any, making: Making) -> Any:
    """An argument of a function: a literal, an array, or lists and mappings of them."""
    if array_kind(value) is not None:
        return making.context.array(value)
    if isinstance(value, Mapping):
        return {key: constant(inner, making) for key, inner in value.items()}
    return [constant(inner, making) for inner in value] if isinstance(value, list | tuple) else value


def dtype(value: str, making: Making) -> Any:
    """A dtype by its name."""
    return making.tf.as_dtype(value.removeprefix("tf."))


def features(value: Mapping[str, Any], making: Making) -> Any:
    """Features of an example by their names."""
    return {name: _feature(inner, making) for name, inner in value.items()}


def record_defaults(columns: Sequence[Any], making: Making) -> list[Any]:
    """Defaults of CSV columns: a dtype's name makes the column required, anything else stands in where it is empty.

    ``{repeat: float32, count: 430}`` stands for 430 columns that are alike.
    """
    found: list[Any] = []
    for column in columns:
        alike, count = (column["repeat"], column["count"]) if isinstance(column, Mapping) else (column, 1)
        found += [making.tf.constant([], dtype=alike) if alike in (*WIDTHS, "string") else alike] * count
    return found


def padding(written: Any, element_spec: Any, making: Making) -> Any:
    """Padding values in the dtypes of the components of elements: ``0`` is int32 to TensorFlow, which refuses others.

    Raises:
        PlainError: A component's dtype cannot hold its value.
    """
    nest = making.tf.nest
    if isinstance(written, Mapping | list | tuple):
        return nest.map_structure(_padding, _tuples(written), element_spec)
    return nest.map_structure(lambda spec: _padding(written, spec), element_spec)


def _padding(value: Any, spec: Any) -> Any:
    kind = getattr(spec, "dtype", None)
    if value is None or kind is None or _NATURAL.get(type(value)) == kind.name:
        return value
    # A number of NumPy's stands in the graph as one that Python wrote would; a tensor would be captured by functions.
    with contextlib.suppress(TypeError, ValueError, OverflowError):
        made = kind.as_numpy_dtype(value)
        if made == value or (kind.is_floating and not isinstance(value, str)):
            return made
    raise PlainError(f"padding value {shown(value)} for {kind.name}: expected a value of that dtype")


def options(written: Mapping[str, Any], making: Making) -> Any:
    """A tf.data.Options."""
    found = making.tf.data.Options()
    _set_options(making.tf, found, written)
    return found


def _set_options(tf: Any, holder: Any, written: Mapping[str, Any]) -> None:
    for name, value in written.items():
        if value is None or name.startswith("x-"):
            continue
        if not hasattr(holder, name):
            raise AttributeError(f"TensorFlow {tf.__version__} does not have {name}")
        if isinstance(value, Mapping):
            _set_options(tf, getattr(holder, name), value)
        elif name in _ENUMERATIONS:
            setattr(holder, name, getattr(getattr(tf.data.experimental, _ENUMERATIONS[name]), value))
        else:
            setattr(holder, name, parse_size(value) if name == "ram_budget" else value)


def _tuples(value: Any) -> Any:
    """Lists as tuples, which are structures to TensorFlow."""
    if isinstance(value, Mapping):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _structure(value: Any, leaf: Callable[[Any], Any], *, is_leaf: Callable[[Any], bool]) -> Any:
    if is_leaf(value):
        return leaf(value)
    if isinstance(value, Mapping):
        return {key: _structure(inner, leaf, is_leaf=is_leaf) for key, inner in value.items()}
    return tuple(_structure(inner, leaf, is_leaf=is_leaf) for inner in value)


def _shapes(value: Any, making: Making) -> Any:
    """A list of numbers and nulls (or -1) is a shape, any other list a tuple."""

    def shape(sizes: Any) -> Any:
        return making.tf.TensorShape(None if sizes is None else [None if size == -1 else size for size in sizes])

    return _structure(value, shape, is_leaf=_is_shape)


def _is_shape(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and all(isinstance(size, int | None) for size in value))


def _dtypes(value: Any, making: Making) -> Any:
    return _structure(value, lambda leaf: dtype(leaf, making), is_leaf=lambda leaf: isinstance(leaf, str))


def _signature(value: Any, making: Making) -> Any:
    return _structure(value, lambda leaf: _tensor_spec(leaf, making), is_leaf=_is_tensor_spec)


def _is_tensor_spec(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return value.keys() <= {"shape", "dtype"}


def _tensor_spec(value: Any, making: Making) -> Any:
    return making.tf.TensorSpec(value["shape"], dtype(value["dtype"], making))


def _tensors(value: Any, making: Making) -> Any:
    """Arrays and literals; a list that holds arrays or mappings is a tuple of components, another one a literal."""
    if _is_outer(value):
        return making.outer(value["on"])
    if array_kind(value) is not None:
        return making.context.array(value)
    if isinstance(value, Mapping):
        return {key: _tensors(inner, making) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return (tuple if _holds_components(value) else list)(_tensors(inner, making) for inner in value)
    return value


def _holds_components(value: Any) -> bool:
    return isinstance(value, list | tuple) and any(isinstance(one, Mapping) or _holds_components(one) for one in value)


def _is_outer(value: Any) -> bool:
    return isinstance(value, Mapping) and list(value) == ["on"]


def _files(value: Any, making: Making) -> Any:
    return making.outer(value["on"]) if _is_outer(value) else making.context.files(value)


def _patterns(value: Any, making: Making) -> Any:
    return making.outer(value["on"]) if _is_outer(value) else making.context.patterns(value)


def _range_end(value: Any, making: Making) -> Any:
    return making.tf.cast(making.outer(value["on"]), making.tf.int64) if _is_outer(value) else value


def _feature(value: Mapping[str, Any], making: Making) -> Any:
    ((name, written),) = value.items()
    return getattr(making.tf.io, name)(**_keys(name, written, making))


def _keys(mapping: str, written: Mapping[str, Any], making: Making) -> dict[str, Any]:
    known = mappings()[mapping]
    return {key: converted(known[key].kind, value, making) for key, value in written.items() if key in known}


def _service(value: str, making: Making) -> str:
    if value != LOCAL:
        return value
    if making.context.service is None:
        raise PlainError("`service: local` is started for a run of the whole spec, and here is none")
    return making.context.service


def _processing_mode(value: str, making: Making) -> Any:
    return value if value in _MODES else making.tf.data.experimental.service.ShardingPolicy[value]


def _cross_trainer_cache(value: Mapping[str, Any], making: Making) -> Any:
    return making.tf.data.experimental.service.CrossTrainerCache(value["trainer_id"])


def tensorflow_datasets() -> Any:
    """The module tensorflow_datasets."""
    if importlib.util.find_spec("tensorflow_datasets") is None:
        raise PlainError("tfds.load needs the package tensorflow_datasets: pip install tensorflow-datasets")
    return importlib.import_module("tensorflow_datasets")


def _read_config(value: Mapping[str, Any], making: Making) -> Any:
    return tensorflow_datasets().ReadConfig(**_keys("read_config", value, making))


def _path(value: str, making: Making) -> str:
    return making.context.path(value)


_CONVERSIONS: Final[Mapping[str, Callable[[Any, Making], Any]]] = {
    "constant": constant,
    "cross_trainer_cache": _cross_trainer_cache,
    "dtype": dtype,
    "dtypes": _dtypes,
    "features": features,
    "file": _path,
    "files": _files,
    "folder": _path,
    "options": options,
    "output": _path,
    "output_or_empty": _path,
    "parallel": lambda value, making: making.tf.data.AUTOTUNE if value == AUTOTUNE else value,
    "patterns": _patterns,
    "processing_mode": _processing_mode,
    "range_end": _range_end,
    "read_config": _read_config,
    "reader": lambda value, making: getattr(making.tf.data, value),
    "record_defaults": record_defaults,
    "record_dtype": dtype,
    "service": _service,
    "shapes": _shapes,
    "signature": _signature,
    "tensors": _tensors,
}
