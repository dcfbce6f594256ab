"""The functions of a spec as TensorFlow takes them: chains of calls, functions in Python files, and their constants."""

from __future__ import annotations

import functools
import hashlib
import inspect
import random
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.build.chain_run import ChainRun
from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.layers import make_layer
from pipeprof.pipelines.build.pin_errors import pin_errors, remember_lines
from pipeprof.pipelines.ops.calls.base import special_calls
from pipeprof.pipelines.ops.calls.element import ElementFunction, Required
from pipeprof.pipelines.ops.calls.opcall import OpCall, walk_calls
from pipeprof.pipelines.ops.functions.layers import layers
from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.ops.values.structures import ARRAYS, ShapeOf, Structure, TensorSpec, map_leaves
from pipeprof.pipelines.ops.values.values import ArrayFile, DtypeName
from pipeprof.pipelines.spec.paths import PathError, resolve
from pipeprof.pipelines.target.running import import_file, leave_defaults


def resolve_reference(module: ModuleType, reference: PythonRef) -> Any:
    """Return what a reference names: a function, or a dataset that the file makes when it is imported."""
    found: Any = module
    for part in reference.function.split("."):
        found = getattr(found, part, None)
    call = reference.call
    if call is not None and callable(found):
        if call.partial:
            return functools.partial(found, *call.positional, **call.named)
        found = found(*call.positional, **call.named)
    if not callable(found) and not _is_dataset(found):
        what = f"what {reference.function} returns" if call is not None else reference.function
        raise PathError(f"{reference}: {what} is not a function after the file has run")
    return found


def _is_dataset(value: Any) -> bool:
    return any(kind.__name__ == "DatasetV2" for kind in type(value).__mro__)


def rewrite(tf: Any, function: Callable[..., Any]) -> tuple[Callable[..., Any], Any]:
    """Rewrite a function as autograph does it."""
    if isinstance(function, functools.partial):
        inner, lines = rewrite(tf, function.func)
        return functools.partial(inner, *function.args, **function.keywords), lines
    if inspect.ismethod(function):
        rewritten = tf.autograph.to_graph(function.__func__)
        return functools.partial(rewritten, function.__self__), rewritten.ag_source_map
    rewritten = tf.autograph.to_graph(function)
    return rewritten, rewritten.ag_source_map


class FunctionBuilder:
    """Builds the functions of one spec; the builder of pipelines extends it."""

    def __init__(self, tf: Any, context: BuildContext) -> None:
        self.tf = tf
        self.context = context
        self.files: list[str] = []
        """The user's Python files, whose lines errors show."""
        self.seed: int | None = None
        """The seed of the whole pipeline."""
        self._made: dict[int, Any] = {}
        self._layers_seeded = False

    def constant(self, value: Any) -> Any:
        """An argument of a function: nested lists and mappings of literals, dtypes and arrays."""
        if isinstance(value, Structure):
            return map_leaves(self.component, value.value)
        if isinstance(value, dict):
            return {name: self.constant(inner) for name, inner in value.items()}
        if isinstance(value, tuple | list):
            return [self.constant(inner) for inner in value]
        return self.component(value)

    def component(self, value: Any) -> Any:
        """A single value: arrays, dtypes, specs and features become TensorFlow's, anything else stays."""
        if isinstance(value, ARRAYS):
            return self.context.loaded(value)
        if isinstance(value, DtypeName):
            return self.tf.as_dtype(str(value))
        if isinstance(value, Required):
            return self.tf.constant([], dtype=value.dtype)
        if isinstance(value, TensorSpec):
            return value.made(self.tf)
        return self._described(value)

    def _described(self, value: Any) -> Any:
        """Files, shapes and features."""
        if isinstance(value, ArrayFile):
            return str(resolve(value, self.context.base_dir, self.context.data_dirs))
        if isinstance(value, ShapeOf):
            return self.tf.TensorShape(value.dimensions)
        return self._feature(value) if isinstance(value, FeatureSpec) else value

    def _feature(self, feature: FeatureSpec) -> Any:
        arguments = {name: self.constant(inner) for name, inner in feature.arguments.items()}
        return getattr(self.tf.io, feature.kind)(**arguments)

    def element_function(
        self,
        function: ElementFunction,
        dataset: Any,
        address: str,
        *,
        predicate: bool = False,
        answers: bool = False,
        unpacked: bool | None = None,
        argument: str = "",
    ) -> Callable[..., Any]:
        """The Python function of a stage, as `Building.element_function` describes."""
        if function.python is not None:
            return self.named(self.python(function.python), address)
        if unpacked is None:
            unpacked = type(dataset.element_spec) is tuple
        calls = function.ops or []
        self._make(calls, address, argument)
        chain = ChainRun(self, address, argument)

        def run(*components: Any) -> Any:
            with self.tf.name_scope(node_name(address)):
                element = components if unpacked else components[0]
                return chain.run(calls, element, answers=answers or predicate, predicate=predicate)

        return self.traced(run, address)

    def made(self, operation: OpCall) -> Any:
        """The layer, table or function that was made for a call."""
        return self._made[id(operation)]

    def _make(self, calls: Sequence[OpCall], address: str, argument: str) -> None:
        for path, operation in walk_calls(calls):
            special = special_calls().get(operation.name)
            is_layer = operation.name in layers()
            if id(operation) in self._made or not (is_layer or (special is not None and special.makes)):
                continue
            files = self.files if special is not None and special.family == "python" else ()
            with pin_errors(address, files, path, operation.name, argument), self.tf.init_scope():
                if special is not None:
                    self._made[id(operation)] = special.make(operation, self)
                else:
                    # Layers draw their seeds from Python's generator, as tf.keras.utils.set_random_seed has it.
                    if self.seed is not None and not self._layers_seeded:
                        random.seed(self.seed)
                    self._layers_seeded = True
                    self._made[id(operation)] = make_layer(operation, self)

    def generator(self, reference: PythonRef, address: str) -> Callable[..., Any]:
        """The function of a ``from_generator``."""
        del address
        return self.python(reference)

    def traced(self, function: Callable[..., Any], address: str) -> Callable[..., Any]:
        """A function of our own, which needs no rewriting by autograph."""
        function.__name__ = node_name(address)
        traced: Callable[..., Any] = self.tf.autograph.experimental.do_not_convert(function)
        return traced

    def named(self, function: Callable[..., Any], address: str) -> Callable[..., Any]:
        """The user's function under the name of its stage; autograph rewrites it as it would without us."""
        tf = self.tf
        name = node_name(address)

        def named(*components: Any) -> Any:
            with tf.name_scope(name):
                return function(*components)

        named.__name__ = name
        return named

    def traceable(self, reference: PythonRef) -> Callable[..., Any]:
        """The user's function as autograph rewrites it; inside of our own functions it would not."""
        rewritten, lines = rewrite(self.tf, self.python(reference))

        def located(*inputs: Any, **named: Any) -> Any:
            try:
                return rewritten(*inputs, **named)
            except Exception as problem:
                remember_lines(problem, lines)
                raise

        return located

    def python(self, reference: PythonRef) -> Callable[..., Any]:
        """The user's function, imported from its file; for a dataset, a function that returns it."""
        path = resolve(reference.file, self.context.base_dir, self.context.data_dirs).resolve()
        if str(path) not in self.files:
            self.files.append(str(path))
        # A name of its own, so that the user's file can neither hide nor be hidden by an installed module.
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
        module = import_file(path, f"_pipeprof_python_{digest}")
        leave_defaults()
        found = resolve_reference(module, reference)
        return found if callable(found) else lambda: found
