"""Construction of a tf.data.Dataset from a spec's data (worker only: imports TensorFlow).

A source or a stage is TensorFlow's function of its name, called with the arguments that were written, each converted by
the kind of its parameter. Nodes and functions are named after addresses.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import operator
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.addresses import join, node_name
from pipeprof.pipelines.build.arguments import converted, options, padding, tensorflow_datasets
from pipeprof.pipelines.build.arrays import BuildContext, arrays_in
from pipeprof.pipelines.build.chain import CallChain
from pipeprof.pipelines.build.fields import FieldError, describe, pick
from pipeprof.pipelines.build.pinned import pin_errors
from pipeprof.pipelines.build.python_files import dataset_of, imported, traceable
from pipeprof.pipelines.errors import PlainError
from pipeprof.pipelines.spec.operations import DATASET, Operation, is_pipeline, placed, sources, stages
from pipeprof.pipelines.target.target import split_reference


def load_arrays(data: Mapping[str, Any], context: BuildContext) -> None:
    """Read and make all arrays of a spec, each once, so that `build` finds them in ``context``."""
    for step in placed(data):
        for name, value in step.arguments.items():
            if name in step.operation.parameters and step.operation.parameters[name].kind in _WITH_ARRAYS:
                for array in arrays_in(value):
                    with pin_errors(step.address, ()):
                        context.array(array)


def build(data: Mapping[str, Any], context: BuildContext) -> Any:
    """The tf.data.Dataset of a spec.

    Args:
        data: The spec as it was written, checked against the schema.

    Raises:
        BuildError: TensorFlow refuses a stage, or a Python function of the user raises.
    """
    tf = importlib.import_module("tensorflow")
    seed = context.seed if context.seed is not None else (data.get("measure") or {}).get("seed")
    if seed is not None:
        tf.random.set_seed(seed)
    builder = Builder(tf, context, seed)
    dataset = builder.pipeline(data, "")
    if not data.get("options"):
        return dataset
    with pin_errors("options", ()):
        return dataset.with_options(options(data["options"], builder))


@dataclass(frozen=True)
class _Place:
    """Where an argument stands.

    Attributes:
        before: The dataset that the stage gets; None for a source.
        name: TensorFlow's name of the argument.
        below: The same where it was written, empty where its parts stand in the stage itself.
    """

    before: Any
    address: str
    name: str
    below: str = ""


class Builder:
    """Builds sources, stages and pipelines of one spec."""

    def __init__(self, tf: Any, context: BuildContext, seed: int | None = None) -> None:
        self.tf = tf
        self.context = context
        self.seed = seed
        self.files: list[str] = []
        """The user's Python files, whose lines errors show."""
        self._outer: list[Any] = []
        self._made: dict[Any, Any] = {}
        self._layers_seeded = False

    def pipeline(self, pipeline: Mapping[str, Any], address: str) -> Any:
        """The dataset of a source and its stages."""
        if pipeline.get("source") is None:
            dataset = self.outer(pipeline.get("on"))
            if not isinstance(dataset, self.tf.data.Dataset):
                raise FieldError(
                    f"the pipeline starts from {describe(dataset)}, expected a dataset such as `window` yields: "
                    "a pipeline of anything else needs a `source`"
                )
        else:
            dataset = self._step(pipeline["source"], None, join(address, "source"))
        for index, stage in enumerate(pipeline.get("stages") or ()):
            dataset = self._step(stage, dataset, join(address, "stages", index))
        return dataset

    def _step(self, written: Mapping[str, Any], before: Any, address: str) -> Any:
        ((op, arguments),) = written.items()
        with pin_errors(address, self.files):
            return self.step(op, arguments or {}, before, address)

    def step(self, op: str, written: Mapping[str, Any], before: Any, address: str) -> Any:
        """The dataset of a source, or with the dataset ``before`` it of a stage."""
        operation = (sources() if before is None else stages())[op]
        arguments = self._arguments(operation, written, before, address)
        special = _SPECIAL.get(("source" if before is None else "stage", op))
        if special is not None:
            return special(self, before, arguments, written)
        if before is not None and operation.holder == DATASET:
            return getattr(before, op)(**arguments)
        called = operator.attrgetter(f"{operation.holder}.{op}".removeprefix("tf."))(self.tf)(**arguments)
        return called if before is None else before.apply(called)

    def _arguments(self, operation: Operation, written: Mapping[str, Any], before: Any, address: str) -> dict[str, Any]:
        """The arguments as TensorFlow takes them, with the node's name."""
        known, arguments = operation.parameters, dict[str, Any]()
        own = {key: value for key, value in written.items() if key in operation.own}
        if own:
            name = operation.ways[-1][0]
            arguments[name] = self._argument(known[name].kind, own, _Place(before, address, name))
        for name, value in written.items():
            # The user's name of a stage is for reports, and notes are for readers.
            if name in known and name not in own and (name != "name" or known[name].required):
                arguments[name] = self._argument(known[name].kind, value, _Place(before, address, name, below=name))
        if operation.element and operation.element not in arguments and self._outer:
            arguments[operation.element] = converted(known[operation.element].kind, {"on": None}, self)
        return {**arguments, "name": node_name(address)} if operation.takes_name else arguments

    def _argument(self, kind: str, value: Any, place: _Place) -> Any:
        if value is None:
            return None
        if kind in _FUNCTIONS:
            return self._function(value, place, **_FUNCTIONS[kind])
        make = _MADE.get(kind)
        return make(self, value, place) if make is not None else converted(kind, value, self)

    def outer(self, field: Any = None) -> Any:
        """The outer element, or a field of it."""
        return self._outer[-1] if field is None else pick(self._outer[-1], field)

    def _function(
        self, value: Mapping[str, Any], place: _Place, unpacked: bool | None = None, **how: bool
    ) -> Callable[..., Any]:
        """A function over elements."""
        address = place.address
        if value.get("python") is not None:
            return self._named(self.python(value["python"]), address)
        if unpacked is None:
            unpacked = type(place.before.element_spec) is tuple
        chain = CallChain(self, address, place.below, self._made)
        chain.prepare(value["ops"])

        def run(*components: Any) -> Any:
            with self.tf.name_scope(node_name(address)):
                return chain.run(value["ops"], components if unpacked else components[0], **how)

        return self._traced(run, address)

    def pipeline_function(self, value: Mapping[str, Any], place: _Place) -> Callable[..., Any]:
        """The function of an ``interleave`` or ``flat_map``."""
        if value.get("python") is not None:
            return self._named(self.python(value["python"]), place.address)
        unpacked = type(place.before.element_spec) is tuple

        def make(*components: Any) -> Any:
            return self._inside(value, place.address, components if unpacked else components[0], place)

        return self._traced(make, place.address)

    def dataset_function(self, value: Mapping[str, Any], place: _Place) -> Callable[..., Any]:
        """The function of a ``group_by_window`` or ``snapshot`` from a dataset, its last parameter, to a dataset."""
        if value.get("python") is not None:
            return self._named(self.python(value["python"]), place.address)

        def make(*arguments: Any) -> Any:
            return self._inside(value, join(place.address, place.name), arguments[-1], place)

        return self._traced(make, place.address)

    def _inside(self, pipeline: Mapping[str, Any], address: str, element: Any, place: _Place) -> Any:
        self._outer.append(element)
        try:
            with self.tf.name_scope(node_name(place.address)):
                return self.pipeline(pipeline, address)
        finally:
            self._outer.pop()

    def pipeline_at(self, value: Mapping[str, Any], place: _Place) -> Any:
        """A pipeline that is an argument."""
        return self.pipeline(value, join(place.address, place.name))

    def weights(self, value: Any, place: _Place) -> Any:
        """Numbers, or a pipeline of them."""
        return self.pipeline_at(value, place) if isinstance(value, Mapping) else value

    def pipelines(self, value: Any, place: _Place) -> Any:
        """Pipelines in mappings and lists, numbered in the order they were written."""
        numbers = itertools.count()

        def built(value: Any) -> Any:
            if is_pipeline(value):
                return self.pipeline(value, join(place.address, place.name, next(numbers)))
            if isinstance(value, Mapping):
                return {key: built(inner) for key, inner in value.items()}
            return tuple(built(inner) for inner in value)

        return built(value)

    def padding_of(self, value: Any, place: _Place) -> Any:
        """Padding values in the dtypes of the elements before."""
        return padding(value, place.before.element_spec, self)

    def _traced(self, function: Callable[..., Any], address: str) -> Callable[..., Any]:
        """A function of our own, which needs no rewriting by autograph."""
        function.__name__ = node_name(address)
        traced: Callable[..., Any] = self.tf.autograph.experimental.do_not_convert(function)
        return traced

    def _named(self, function: Callable[..., Any], address: str) -> Callable[..., Any]:
        """The user's function under the name of its stage; autograph rewrites it as it would without us."""
        tf = self.tf
        name = node_name(address)

        def named(*components: Any) -> Any:
            with tf.name_scope(name):
                return function(*components)

        named.__name__ = name
        return named

    def python(self, reference: str) -> Callable[..., Any]:
        """The user's function."""
        file, _, _ = split_reference(reference) or (reference, "", "")
        path = Path(self.context.path(file)).resolve()
        if str(path) not in self.files:
            self.files.append(str(path))
        return imported(path, reference)

    def traceable(self, reference: str) -> Callable[..., Any]:
        """The user's function, which AutoGraph rewrites."""
        return traceable(self.tf, self.python(reference))

    def layer(self, make: Callable[[], Any]) -> Any:
        """A Keras layer: they draw their seeds from Python's generator, as tf.keras.utils.set_random_seed has it."""
        if self.seed is not None and not self._layers_seeded:
            random.seed(self.seed)
        self._layers_seeded = True
        return make()


_FUNCTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "answer": {"answers": True},
    "function": {},
    "predicate": {"answers": True, "predicate": True},
    "scan_function": {"unpacked": True},
    "size_function": {"answers": True, "unpacked": False},
}
"""Functions over elements: whether the last result stands alone, and what TensorFlow calls them with."""


_MADE: Final[Mapping[str, Callable[[Builder, Any, _Place], Any]]] = {
    "dataset_function": Builder.dataset_function,
    "padding": Builder.padding_of,
    "pipeline": Builder.pipeline_at,
    "pipeline_function": Builder.pipeline_function,
    "pipeline_structure": Builder.pipelines,
    "pipelines": Builder.pipelines,
    "python": lambda builder, value, _: builder.python(value),
    "python_function": lambda builder, value, _: builder.python(value["python"]),
    "weights": Builder.weights,
}
"""What is built of arguments of these kinds; the others are converted alone."""


_WITH_ARRAYS: Final = frozenset({"ops", "tensors", *_FUNCTIONS})
"""Kinds of parameters with arrays; sources and stages of pipelines inside have a place of their own."""


def _range(builder: Builder, _: Any, arguments: dict[str, Any], __: Any) -> Any:
    """TensorFlow takes the three by position."""
    ends = arguments.pop("start", 0), arguments.pop("stop"), arguments.pop("step", 1)
    return builder.tf.data.Dataset.range(*ends, **arguments)


def _concatenated(_: Builder, __: Any, arguments: dict[str, Any], ___: Any) -> Any:
    """TensorFlow has it as a method of the first dataset."""
    return functools.reduce(lambda one, other: one.concatenate(other, name=arguments["name"]), arguments["datasets"])


def _several(op: str) -> Callable[..., Any]:
    return lambda builder, _, arguments, __: getattr(builder.tf.data.Dataset, op)(
        [*arguments.pop("datasets")], **arguments
    )


def _from_generator(builder: Builder, _: Any, arguments: dict[str, Any], __: Any) -> Any:
    args = arguments.get("args")
    # The element, where it is made for each.
    if args is not None and not isinstance(args, tuple | list):
        arguments["args"] = (args,)
    return builder.tf.data.Dataset.from_generator(**arguments)


def _tfds_load(_: Builder, __: Any, arguments: dict[str, Any], ___: Any) -> Any:
    return tensorflow_datasets().load(**{**arguments, "download": False})


def _of_python(builder: Builder, _: Any, arguments: dict[str, Any], written: Mapping[str, Any]) -> Any:
    made = dataset_of(arguments["function"]())
    if not isinstance(made, builder.tf.data.Dataset):
        raise PlainError(f"{written['function']} returned {type(made).__name__}: expected a tf.data.Dataset")
    return made


def _on_device(op: str) -> Callable[..., Any]:
    def moved(builder: Builder, before: Any, arguments: dict[str, Any], _: Any) -> Any:
        for key in ("device", "target_device", "source_device"):
            if key in arguments:
                _check_device(builder.tf, arguments[key])
        return before.apply(getattr(builder.tf.data.experimental, op)(**arguments))

    return moved


def _check_device(tf: Any, name: str) -> None:
    """Refuse a device that is not there, which TensorFlow says in its own words, or not before the first element."""
    wanted = tf.DeviceSpec.from_string(name)
    there = [tf.DeviceSpec.from_string(device.name) for device in tf.config.list_logical_devices()]
    if not any(
        one.device_type == wanted.device_type and wanted.device_index in (one.device_index, None) for one in there
    ):
        listed = ", ".join(f"/{one.device_type}:{one.device_index}" for one in there)
        raise PlainError(f"no device {name} on this machine: expected one of {listed}")


_SPECIAL: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("source", "choose_from_datasets"): _several("choose_from_datasets"),
    ("source", "concatenate"): _concatenated,
    ("source", "from_generator"): _from_generator,
    ("source", "python"): _of_python,
    ("source", "range"): _range,
    ("source", "sample_from_datasets"): _several("sample_from_datasets"),
    ("source", "tfds.load"): _tfds_load,
    ("stage", "copy_to_device"): _on_device("copy_to_device"),
    ("stage", "prefetch_to_device"): _on_device("prefetch_to_device"),
}
"""Sources and stages that are more than one call with the arguments as they are."""
