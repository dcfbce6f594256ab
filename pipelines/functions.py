"""The functions of a spec as TensorFlow takes them: chains of calls, functions in Python files, and their constants.

Part of `pipeprof.pipelines.build`, for the worker only: it is handed the module tensorflow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pipeprof.pipelines.addresses import node_name
from pipeprof.pipelines.context import BuildContext
from pipeprof.pipelines.ops.calling import FieldError, call, describe
from pipeprof.pipelines.ops.element import ElementFunction, OpCall, Required
from pipeprof.pipelines.ops.features import FeatureSpec
from pipeprof.pipelines.ops.pinning import pinned
from pipeprof.pipelines.ops.structures import MadeArray, NpyArray, NpzArray, ShapeOf, TensorSpec
from pipeprof.pipelines.ops.values import DtypeName, PythonRef
from pipeprof.pipelines.spec.paths import PathError, resolve
from pipeprof.pipelines.target import import_file


class Functions:
    """Builds the functions of one spec; the builder of pipelines extends it."""

    def __init__(self, tf: Any, context: BuildContext) -> None:
        self.tf = tf
        self.context = context
        self.files: list[str] = []
        """The user's Python files, whose lines errors show."""

    def constant(self, value: Any) -> Any:
        """An argument of a function: nested lists and mappings of literals, dtypes and arrays."""
        if isinstance(value, dict):
            return {name: self.constant(inner) for name, inner in value.items()}
        if isinstance(value, tuple | list):
            return [self.constant(inner) for inner in value]
        return self.component(value)

    def component(self, value: Any) -> Any:
        """A single value: arrays, dtypes, specs and features become TensorFlow's, anything else stays."""
        if isinstance(value, NpyArray | NpzArray | MadeArray):
            return self.context.loaded(value)
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

    def element_function(
        self,
        function: ElementFunction,
        dataset: Any,
        address: str,
        *,
        predicate: bool = False,
        answers: bool = False,
        unpacked: bool | None = None,
    ) -> Callable[..., Any]:
        """The function of a ``map`` or, as a ``predicate``, of a ``filter``.

        Args:
            function: What was written.
            dataset: What it is called on.
            address: Address of the stage.
            predicate: Whether the last call gives a single truth value.
            answers: Whether the result of the last call stands alone (a key, a length), also when ``on`` picked a field.
            unpacked: Whether TensorFlow calls it with the components of a tuple; default: as it does for ``dataset``.
        """
        if function.python is not None:
            return self.named(self.python(function.python), address)
        if unpacked is None:
            unpacked = type(dataset.element_spec) is tuple
        calls = function.ops or []

        def run(*components: Any) -> Any:
            with self.tf.name_scope(node_name(address)):
                element = components if unpacked else components[0]
                return self._run(calls, element, address, answers=answers or predicate, predicate=predicate)

        return self.traced(run, address)

    def _run(self, calls: list[OpCall], element: Any, address: str, *, answers: bool, predicate: bool) -> Any:
        for index, operation in enumerate(calls):
            last = index == len(calls) - 1
            with self.tf.name_scope(f"ops_{index}"), pinned(address, (), index, operation.name):
                element = call(operation, element, self.constant, whole=answers and last)
                if predicate and last:
                    self._check_truth_value(element)
        return element

    def _check_truth_value(self, result: Any) -> None:
        """TensorFlow's own message about a wrong predicate names only its internals."""
        if not self.tf.is_tensor(result) or result.dtype != self.tf.bool or result.shape.rank not in (0, None):
            shown = f"{result.dtype.name} of shape {result.shape}" if self.tf.is_tensor(result) else describe(result)
            msg = f"got {shown} from the last call, expected a single bool: an element is kept when it is true"
            raise FieldError(msg)

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

    def python(self, reference: PythonRef) -> Callable[..., Any]:
        """The user's function, imported from its file.

        Raises:
            PathError: The file has no such function.
        """
        path = resolve(reference.file, self.context.base_dir, self.context.data_dirs).resolve()
        if str(path) not in self.files:
            self.files.append(str(path))
        # A name of its own, so that the user's file can neither hide nor be hidden by an installed module.
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
        module = import_file(path, f"_pipeprof_python_{digest}")
        function = getattr(module, reference.function, None)
        if not callable(function):
            msg = f"got {reference}, but {reference.function} is no function once the file has run"
            raise PathError(msg)
        return function  # type: ignore[no-any-return]  # callable, as was just seen
