"""From a spec to a tf.data.Dataset; only the worker calls it, since it imports TensorFlow."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.ops.base import Op
from pipeprof.pipelines.ops.calling import FieldError, call, describe, pick
from pipeprof.pipelines.ops.element import ElementFunction, OpCall, Required
from pipeprof.pipelines.ops.features import FeatureSpec
from pipeprof.pipelines.ops.filling import load_array
from pipeprof.pipelines.ops.nested import PipelineFunction
from pipeprof.pipelines.ops.pinning import BuildError, essential, pinned, user_lines
from pipeprof.pipelines.ops.structures import (
    Array,
    MadeArray,
    NpyArray,
    NpzArray,
    ShapeOf,
    Structure,
    TensorSpec,
    map_leaves,
)
from pipeprof.pipelines.ops.values import Autotune, DtypeName, FilePatterns, OuterElement, OutputFile, PythonRef
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import PathError, expand_all, leaves, resolve, resolve_pattern
from pipeprof.pipelines.target import import_file

_ENUMERATIONS = {
    "auto_shard_policy": "AutoShardPolicy",
    "autotune_algorithm": "AutotuneAlgorithm",
    "experimental_external_state_policy": "ExternalStatePolicy",
}


__all__ = ["BuildContext", "BuildError", "build", "essential", "load_arrays", "user_lines"]


@dataclass
class BuildContext:
    """Where a spec's files are, its seed, and the arrays that it holds in memory."""

    base_dir: Path
    data_dirs: dict[str, Path] = field(default_factory=dict)
    seed: int | None = None
    arrays: dict[Array, Any] = field(default_factory=dict)


def load_arrays(spec: Spec, context: BuildContext) -> None:
    """Read and make all arrays of a spec, each once, so that `build` finds them in ``context``.

    Raises:
        BuildError: One cannot be read or made.
    """
    for leaf in leaves(spec):
        if isinstance(leaf.value, NpyArray | NpzArray | MadeArray):
            with pinned(leaf.address, ()):
                _loaded(leaf.value, context)


def _loaded(array: Array, context: BuildContext) -> Any:
    if array not in context.arrays:
        context.arrays[array] = load_array(array, lambda path: resolve(path, context.base_dir, context.data_dirs))
    return context.arrays[array]


def build(spec: Spec, context: BuildContext) -> Any:
    """The tf.data.Dataset of a spec, every node and function named after its stage's address.

    Raises:
        BuildError: TensorFlow refuses a stage, or a Python function of the user raises.
    """
    tf = importlib.import_module("tensorflow")
    seed = context.seed if context.seed is not None else spec.measure.seed
    if seed is not None:
        tf.random.set_seed(seed)
    builder = _Builder(tf, context)
    dataset = builder.pipeline(spec, "")
    options = spec.options.written()
    if not options:
        return dataset
    with pinned("options", ()):
        return dataset.with_options(_tf_options(tf, options))


def _tf_options(tf: Any, written: dict[str, Any]) -> Any:
    options = tf.data.Options()
    _set_options(tf, options, written)
    return options


def _set_options(tf: Any, options: Any, written: dict[str, Any]) -> None:
    for name, value in written.items():
        if not hasattr(options, name):
            msg = f"got {name}, which TensorFlow {tf.__version__} does not have"
            raise AttributeError(msg)
        if isinstance(value, dict):
            _set_options(tf, getattr(options, name), value)
        elif name in _ENUMERATIONS:
            setattr(options, name, getattr(getattr(tf.data.experimental, _ENUMERATIONS[name]), value))
        else:
            setattr(options, name, value)


class _Builder:
    """Turns the parts of a spec into TensorFlow's; implements `pipeprof.pipelines.ops.base.Building`."""

    def __init__(self, tf: Any, context: BuildContext) -> None:
        self.tf = tf
        self._context = context
        self._outer: list[Any] = []
        self._files: list[str] = []

    def pipeline(self, pipeline: Any, address: str) -> Any:
        """The dataset of a source and its stages: a `Spec`, or a `PipelineFunction` whose outer element is set."""
        prefix = f"{address}." if address else ""
        here = f"{prefix}source"
        with pinned(here, self._files):
            dataset = pipeline.source.build(self, here)
        for index, stage in enumerate(pipeline.stages or []):
            here = f"{prefix}stages.{index}"
            with pinned(here, self._files):
                dataset = stage.apply(dataset, self, here)
        return dataset

    def arguments(self, op: Op, address: str) -> dict[str, Any]:
        """The arguments that were written, as TensorFlow takes them, and the node's name."""
        arguments = {name: self.convert(value) for name, value in op.written().items()}
        return {**arguments, "name": node_name(address)} if op.takes_name else arguments

    def convert(self, value: Any) -> Any:
        """A value of the spec as TensorFlow takes it."""
        if isinstance(value, Structure):
            return map_leaves(self._component, value.value)
        if isinstance(value, OuterElement):
            return self._outer[-1] if value.on is None else pick(self._outer[-1], value.on)
        if isinstance(value, FilePatterns):
            return self._existing(value)
        if isinstance(value, OutputFile):
            return str(resolve(value, self._context.base_dir, self._context.data_dirs)) if value else ""
        if isinstance(value, Autotune):
            return self.tf.data.AUTOTUNE
        return self.constant(value)

    def constant(self, value: Any) -> Any:
        """An argument of a function: nested lists and mappings of literals, dtypes and arrays."""
        if isinstance(value, dict):
            return {name: self.constant(inner) for name, inner in value.items()}
        if isinstance(value, tuple | list):
            return [self.constant(inner) for inner in value]
        return self._component(value)

    def _component(self, value: Any) -> Any:
        if isinstance(value, NpyArray | NpzArray | MadeArray):
            return _loaded(value, self._context)
        if isinstance(value, DtypeName):
            return self.tf.as_dtype(str(value))
        if isinstance(value, Required):
            return self.tf.constant([], dtype=value.dtype)
        if isinstance(value, TensorSpec):
            return self.tf.TensorSpec(value.shape, self.tf.as_dtype(value.dtype))
        if isinstance(value, ShapeOf):
            return self.tf.TensorShape(value.dimensions)
        return self._feature(value) if isinstance(value, FeatureSpec) else value

    def _feature(self, feature: FeatureSpec) -> Any:
        arguments = {name: self.constant(inner) for name, inner in feature.arguments.items()}
        return getattr(self.tf.io, feature.kind)(**arguments)

    def patterns(self, files: FilePatterns | OuterElement) -> Any:
        """Files as patterns that TensorFlow matches itself."""
        if isinstance(files, OuterElement):
            return self.convert(files)
        context = self._context
        return [resolve_pattern(pattern, context.base_dir, context.data_dirs) for pattern in files.patterns]

    def _existing(self, files: FilePatterns) -> list[str]:
        found = expand_all(files, self._context.base_dir, self._context.data_dirs)
        expanded = [
            each
            for file in found
            for each in (self.tf.io.gfile.glob(file) if "://" in file and "*" in file else [file])
        ]
        if not expanded:
            msg = f"got {', '.join(files.patterns)}, which matches no file any more"
            raise PathError(msg)
        return expanded

    def element_function(
        self, function: ElementFunction, dataset: Any, address: str, *, predicate: bool = False
    ) -> Callable[..., Any]:
        """The function of a ``map`` or, as a ``predicate``, of a ``filter``."""
        if function.python is not None:
            return self._named(self._python(function.python), address)
        unpacked = type(dataset.element_spec) is tuple
        calls = function.ops or []

        def run(*components: Any) -> Any:
            with self.tf.name_scope(node_name(address)):
                return self._run(calls, components if unpacked else components[0], address, predicate=predicate)

        return self._traced(run, address)

    def _run(self, calls: list[OpCall], element: Any, address: str, *, predicate: bool) -> Any:
        for index, operation in enumerate(calls):
            answers = predicate and index == len(calls) - 1
            with self.tf.name_scope(f"ops_{index}"), pinned(address, (), index, operation.name):
                element = call(operation, element, self.constant, whole=answers)
                if answers:
                    self._check_truth_value(element)
        return element

    def _check_truth_value(self, result: Any) -> None:
        """TensorFlow's own message about a wrong predicate names only its internals."""
        if not self.tf.is_tensor(result) or result.dtype != self.tf.bool or result.shape.rank not in (0, None):
            shown = f"{result.dtype.name} of shape {result.shape}" if self.tf.is_tensor(result) else describe(result)
            msg = f"got {shown} from the last call, expected a single bool: an element is kept when it is true"
            raise FieldError(msg)

    def pipeline_function(self, function: PipelineFunction, dataset: Any, address: str) -> Callable[..., Any]:
        """The function of an ``interleave`` or ``flat_map``."""
        if function.python is not None:
            return self._named(self._python(function.python), address)
        unpacked = type(dataset.element_spec) is tuple

        def make(*components: Any) -> Any:
            self._outer.append(components if unpacked else components[0])
            try:
                with self.tf.name_scope(node_name(address)):
                    return self.pipeline(function, address)
            finally:
                self._outer.pop()

        return self._traced(make, address)

    def generator(self, reference: PythonRef, address: str) -> Callable[..., Any]:
        """The function of a ``from_generator``."""
        del address
        return self._python(reference)

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

    def _python(self, reference: PythonRef) -> Callable[..., Any]:
        path = resolve(reference.file, self._context.base_dir, self._context.data_dirs).resolve()
        if str(path) not in self._files:
            self._files.append(str(path))
        # A name of its own, so that the user's file can neither hide nor be hidden by an installed module.
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
        module = import_file(path, f"_pipeprof_python_{digest}")
        function = getattr(module, reference.function, None)
        if not callable(function):
            msg = f"got {reference}, but {reference.function} is no function once the file has run"
            raise PathError(msg)
        return function  # type: ignore[no-any-return]  # callable, as was just seen
