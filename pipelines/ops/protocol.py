"""The builder and inner pipelines as sources and stages see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from pipeprof.pipelines.ops.calls.element import ElementFunction
from pipeprof.pipelines.ops.values.options import Options
from pipeprof.pipelines.ops.values.values import FilePatterns, OuterElement


class InnerPipeline(Protocol):
    """A pipeline that is an argument of a source or stage."""

    @property
    def source(self) -> Any:
        """The source; ``None`` where the pipeline begins with the outer element."""

    @property
    def stages(self) -> Any:
        """The stages."""

    @property
    def on(self) -> Any:
        """The field of the outer element that the pipeline begins with."""


class Building(Protocol):
    """The builder, as sources and stages use it; TensorFlow's objects are all `Any` here."""

    @property
    def tf(self) -> Any:
        """The module tensorflow."""

    @property
    def tfds(self) -> Any:
        """The module tensorflow_datasets."""

    def arguments(self, op: Any, address: str) -> dict[str, Any]:
        """The arguments that were written, as TensorFlow takes them, and the node's name."""

    def convert(self, value: Any) -> Any:
        """A single value as TensorFlow takes it."""

    def patterns(self, files: FilePatterns | OuterElement) -> Any:
        """Files as patterns that TensorFlow matches itself; `convert` gives the files that match now."""

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
        """The Python function of a ``map`` over ``dataset``.

        Args:
            predicate: Whether the last call gives a single truth value, as that of a ``filter`` does.
            answers: Whether the result of the last call stands alone (a key, a length), also if ``on`` picked a field.
            unpacked: Whether TensorFlow calls it with the components of a tuple; default: as it does for ``dataset``.
            argument: The stage's argument that the function is, when it does not stand in the stage itself.
        """

    def pipeline_function(self, function: Any, dataset: Any, address: str) -> Callable[..., Any]:
        """The Python function of an ``interleave`` or ``flat_map`` over ``dataset``."""

    def dataset_function(self, function: Any, address: str, argument: str) -> Callable[..., Any]:
        """The Python function from a dataset, its last parameter, to a dataset; ``argument`` is its name."""

    def function(self, reference: Any) -> Callable[..., Any]:
        """The user's own function, as it is."""

    def returned(self, reference: Any, without: Any) -> Any:
        """Dataset that the user's function returns, without the last stages named in ``without``."""

    def service(self, address: str) -> str:
        """The dispatcher's address, of the service that this process has started where none is written."""

    def options(self, options: Options) -> Any:
        """A tf.data.Options."""

    def inner(self, pipeline: InnerPipeline, address: str) -> Any:
        """The dataset of a pipeline that is an argument; ``address`` is where its sources and stages stand below."""

    def generator(self, reference: Any, address: str) -> Callable[..., Any]:
        """The Python function of a ``from_generator``."""
