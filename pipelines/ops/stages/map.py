"""``map``, ``filter`` and other stages that call a function on each element."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, model_validator

from pipeprof.pipelines.ops.base import Stage
from pipeprof.pipelines.ops.calls.element import OPS, PYTHON, Call, ElementFunction, check_targets
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.protocol import Building
from pipeprof.pipelines.ops.values.features import Features
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.structures import Tensors
from pipeprof.pipelines.ops.values.values import Flag, PositiveOrAutotune

if TYPE_CHECKING:
    from typing_extensions import Self

_OWN = "The function, by TensorFlow's argument name."
Calls = Annotated[list[Call], Field(min_length=1)]


class _Calling(Stage):
    """A stage that calls a function on each element: `ops`, `python`, or TensorFlow's name of its argument."""

    own_name: ClassVar[str]
    is_predicate: ClassVar[bool] = False
    unpacked: ClassVar[bool | None] = None

    ops: Calls | None = argument(OPS, default=None)
    python: Python | None = argument(PYTHON, default=None)

    @model_validator(mode="after")
    def _complete(self) -> "Self":
        place = (self.own_name,) if self._own else ()
        check_targets(self.function.ops or [], place, predicate=self.is_predicate)
        return self

    @property
    def _own(self) -> ElementFunction | None:
        """The function where it was written under TensorFlow's name."""
        own: ElementFunction | None = getattr(self, self.own_name)
        return own

    @property
    def function(self) -> ElementFunction:
        """The function, in whichever way it was written."""
        return self._own or ElementFunction.model_construct(ops=self.ops, python=self.python)

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """Call the function on the elements of ``dataset``."""
        function = building.element_function(
            self.function,
            dataset,
            address,
            predicate=self.is_predicate,
            unpacked=self.unpacked,
            argument=self.own_name if self._own else "",
        )
        return getattr(dataset, self.op)(**{self.own_name: function}, **building.arguments(self, address))


class Map(_Calling):
    """Calls a function on each element."""

    op: ClassVar[str] = "map"
    own_name: ClassVar[str] = "map_func"
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "map_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "map_func")

    map_func: ElementFunction | None = argument(_OWN, default=None)
    num_parallel_calls: PositiveOrAutotune | None = argument(
        "Number of elements processed in parallel, or AUTOTUNE.", default=None
    )
    deterministic: Flag | None = argument("Whether parallel calls keep the order of elements.", default=None)
    synchronous: Flag | None = argument("Whether to prevent TensorFlow from making the map parallel.", default=None)
    use_unbounded_threadpool: Flag = argument("Whether to run calls outside the bounded thread pool.", default=False)


class Filter(_Calling):
    """Keeps the elements for which a function returns true."""

    op: ClassVar[str] = "filter"
    own_name: ClassVar[str] = "predicate"
    is_predicate: ClassVar[bool] = True
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "predicate"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "predicate")

    ops: Calls | None = argument(OPS + " The last call returns a single bool.", default=None)
    predicate: ElementFunction | None = argument(_OWN, default=None)


class TakeWhile(Filter):
    """Stops at the first element for which a function returns false."""

    op: ClassVar[str] = "take_while"


class ParseExampleDataset(Stage):
    """Parses batches of serialised examples."""

    op: ClassVar[str] = "parse_example_dataset"
    holder: ClassVar[str] = "tf.data.experimental"
    takes_name: ClassVar[bool] = False

    features: Features = argument("The features of an example, as for tf.io.parse_example.")
    num_parallel_calls: PositiveOrAutotune | None = argument(
        "Number of batches parsed in parallel, or AUTOTUNE.", default=1
    )
    deterministic: Flag | None = argument("Whether parallel calls keep the order of batches.", default=None)


class Scan(_Calling):
    """Calls a function on a state and each element; it returns the next state and the output element."""

    op: ClassVar[str] = "scan"
    own_name: ClassVar[str] = "scan_func"
    unpacked: ClassVar[bool | None] = True
    own_fields: ClassVar[frozenset[str]] = frozenset({"ops", "python", "scan_func"})
    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = ("ops", "python", "scan_func")

    initial_state: Tensors = argument("The state before the first element: arrays and literals.")
    ops: Calls | None = argument(
        OPS + " Its input is the tuple (state, element), its output (state, output).", default=None
    )
    scan_func: ElementFunction | None = argument(_OWN, default=None)
