"""What the graph shows of elements: how many a dataset gives, their batch dimensions, names that components keep."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import Node, StageGraph
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.pipelines.meaning.executed_ops import written_op
from pipeprof.pipelines.meaning.traits import STAGES, Cardinality

_LAST_INT64: Final = 2**63 - 1


def _shortest(inputs: list[int | None]) -> int | None:
    finite = [count for count in inputs if count is not None and count != INFINITE]
    return None if None in inputs else min(finite, default=INFINITE)


def _sum(inputs: list[int | None]) -> int | None:
    known = [count for count in inputs if count is not None]
    return INFINITE if INFINITE in inputs else sum(known) if len(known) == len(inputs) else None


def _repeated(count: int | None, times: int | None) -> int | None:
    if count == 0 or times == 0:
        return 0
    if times is None:
        return None
    if times < 0:
        return INFINITE
    return count if count is None or count == INFINITE else count * times


def _taken(count: int | None, most: int | None) -> int | None:
    if most is None:
        return None
    if most < 0:
        return count
    return most if count == INFINITE else None if count is None else min(count, most)


def _skipped(count: int, first: int) -> int:
    return 0 if first < 0 else max(0, count - first)


def _batches(count: int, size: int, *, drop: bool) -> int:
    return count // size if drop else -(-count // size)


def _windows(count: int, size: int, shift: int, stride: int, *, drop: bool) -> int:
    if not drop:
        return -(-count // shift)
    rest = count - ((size - 1) * stride + 1)
    return 0 if rest < 0 else rest // shift + 1


def _sharded(count: int, shards: int, index: int) -> int:
    return count // shards + (index < count % shards)


_OF_SEVERAL: Final[dict[Cardinality, Callable[[list[int | None]], int | None]]] = {"shortest": _shortest, "sum": _sum}
_OF_ANY: Final[dict[Cardinality, Callable[..., int | None]]] = {"times": _repeated, "first": _taken}
_OF_KNOWN: Final[dict[Cardinality, tuple[Callable[..., int], tuple[str, ...]]]] = {
    "rest": (_skipped, ("count",)),
    "groups": (_batches, ("batch_size",)),
    "windows": (_windows, ("size", "shift", "stride")),
    "share": (_sharded, ("num_shards", "index")),
}
"""How arguments, which are whole numbers, change a known number of elements."""
_DIVISORS: Final = ("batch_size", "shift", "num_shards")


def cardinalities(graph: StageGraph) -> dict[str, int | None]:
    """Return the elements of one pass by id of the dataset: None if not known, `INFINITE` without end."""
    found: dict[str, int | None] = {}
    for node in graph.dependencies_first():
        # In a cycle of a broken graph an input is not there yet.
        found[node.id] = _count(node, [found.get(input_) for input_ in node.inputs])
        if node.family == "Unbatch" and found[node.id] is None and node.inputs:
            count = found.get(node.inputs[0])
            lengths = {shape[0] if shape else None for shape in graph.nodes[node.inputs[0]].output_shapes}
            length = lengths.pop() if len(lengths) == 1 else None
            found[node.id] = None if count is None or length is None else count * length
    return found


def _count(node: Node, inputs: list[int | None]) -> int | None:
    if not inputs:
        return _of_source(node)
    if node.traits.cardinality is not None:
        return _by_rule(node, node.traits.cardinality, inputs)
    # Marks of options and checks have one input and pass its elements through.
    if node.traits.one_to_one or is_option(node.op):
        return inputs[0]
    return INFINITE if node.traits.endless and inputs[0] == INFINITE else None


def _of_source(node: Node) -> int | None:
    if node.family == "Random":
        return INFINITE
    if node.family == "Range":
        start, stop, step = (node.arguments.get(literal) for literal in ("start", "stop", "step"))
        if stop == _LAST_INT64:
            return INFINITE
        if isinstance(start, int) and isinstance(stop, int) and isinstance(step, int) and step:
            return max(0, -(-(stop - start) // step))
    return node.length


def _by_rule(node: Node, rule: Cardinality, inputs: list[int | None]) -> int | None:
    below = inputs[0]
    if rule == "chosen":
        # The first input selects which other input gives the next element.
        return below if len(inputs) > 1 and all(input_ == INFINITE for input_ in inputs[1:]) else None
    if rule in _OF_SEVERAL:
        return _OF_SEVERAL[rule](inputs)
    if rule == "told":
        number = node.arguments.get("cardinality")
        return number if isinstance(number, int) and number >= INFINITE else below
    if rule in _OF_ANY:
        number = node.arguments.get("count")
        return _OF_ANY[rule](below, number if isinstance(number, int) else None)
    return below if below is None or below == INFINITE else _of_known(node, rule, below)


def _of_known(node: Node, rule: Cardinality, below: int) -> int | None:
    change, names = _OF_KNOWN[rule]
    numbers = {name: node.arguments.get(name) for name in names}
    if not all(isinstance(number, int) and (number > 0 or name not in _DIVISORS) for name, number in numbers.items()):
        return None
    drop = {"drop": bool(node.arguments.get("drop_remainder"))} if rule in ("groups", "windows") else {}
    return change(below, *numbers.values(), **drop)


@dataclass(frozen=True)
class Batching:
    """Batch dimensions of the elements of a dataset."""

    inner: Elements = None
    size: int | None = None
    exact: bool = True
    """No function has changed the first dimension of the first component, the number of elements."""
    whole: bool = False
    node: str | None = None
    """Id of the dataset that makes the batches; None for several of them."""


@dataclass(frozen=True)
class SingleElements:
    """Elements that no stage has made batches of."""

    in_windows: bool = False
    """Of an unknown dataset, or of a window that may share elements with the next: a batch of them is a sequence."""


SINGLE = SingleElements()
_IN_WINDOWS = SingleElements(in_windows=True)
Elements: TypeAlias = "Batching | SingleElements | None"
"""Kind of a dataset's elements; None if unknown."""


def final_elements(graph: StageGraph) -> Elements:
    """Return the batch dimensions of the pipeline's elements; None if unknown.

    Elements that no stage has made batches of may have been batches from the start, or become some in a function,
    unless they are scalars. Of batches of batches it is not known which dimension counts: the inner one may be time.
    """
    if graph.root is None:
        return None
    elements = _BatchingWalk(graph, cardinalities(graph)).of(graph.root)
    if isinstance(elements, SingleElements):
        return SINGLE if not elements.in_windows and _gives_scalars(graph.nodes[graph.root]) else None
    return None if elements is None or isinstance(elements.inner, Batching) else elements


@dataclass
class _BatchingWalk:
    graph: StageGraph
    counts: Mapping[str, int | None]
    _found: dict[str, Elements] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Each dataset comes after those that it depends on: a loop, because pipelines may be long.
        for node in self.graph.dependencies_first():
            self.of(node.id)

    def of(self, node_id: str) -> Elements:
        if node_id not in self._found:
            self._found[node_id] = None  # guards against a cycle in a broken graph
            self._found[node_id] = self._of(self.graph.nodes[node_id])
        return self._found[node_id]

    def _of(self, node: Node) -> Elements:
        traits = node.traits
        if traits.nests:
            return self._common(node.bodies) if node.bodies else _known_elements(self._function_input(node))
        if traits.combines:
            return self._common(self._element_inputs(node))
        if not node.inputs and written_op(node.op) not in STAGES:
            # The elements of a saved dataset or of a generator may be batches; those of any other source are single.
            unknown = traits.stores or traits.opaque or traits.loads_batches or traits.function
            return None if unknown else SINGLE
        below = self.of(node.inputs[0]) if node.inputs else self._function_input(self._owner(node))
        return self._elements_after(node, below)

    def _elements_after(self, node: Node, below: Elements) -> Elements:
        traits = node.traits
        if traits.batches is not None:
            return self._batch_elements(node, below)
        if traits.unbatches:
            return _unbatch_elements(below)
        if is_option(node.op) or traits.passes or traits.stores:
            return below
        return _function_result(node, below) if traits.one_to_one else None

    def _owner(self, node: Node) -> Node | None:
        return self.graph.nodes[node.owner] if node.owner is not None else None

    def _function_input(self, owner: Node | None) -> Elements:
        """Return the elements of the dataset passed to the function of ``owner``: those of a window or a group."""
        if owner is None or len(owner.inputs) != 1:
            return None
        if not owner.traits.single_function:
            return self.of(owner.inputs[0])
        outer = self.graph.nodes[self.graph.skip_options(owner.inputs[0])]
        while outer.traits.passes and outer.inputs:
            outer = self.graph.nodes[self.graph.skip_options(outer.inputs[0])]
        apart = outer.traits.windows and outer.inputs and _holds_each_once(outer)
        return self.of(outer.inputs[0]) if apart else _IN_WINDOWS

    def _element_inputs(self, node: Node) -> tuple[str, ...]:
        """Return the inputs that supply elements, without counters and selectors of the next input."""
        if not node.traits.equal_inputs:
            return node.inputs
        if not node.traits.one_to_one:
            return node.inputs[1:]
        counters = [
            input_
            for input_ in node.inputs
            if self.graph.nodes[input_].traits.generates_numbers and self.counts.get(input_) == INFINITE
        ]
        return tuple(input_ for input_ in node.inputs if input_ not in counters) or node.inputs

    def _batch_elements(self, node: Node, below: Elements) -> Elements:
        if below == _IN_WINDOWS:
            return None
        argument = node.arguments.get("batch_size")
        size = argument if isinstance(argument, int) and argument > 0 else None
        count = self.counts.get(node.inputs[0]) if node.inputs else None
        even = size is not None and count is not None and (count == INFINITE or count % size == 0)
        return Batching(
            _unbatch_elements(below) if node.traits.unbatches else below,
            size=size,
            whole=even or node.arguments.get("drop_remainder") is True,
            node=node.id,
        )

    def _common(self, ends: tuple[str, ...]) -> Elements:
        """Return the batch dimensions common to several datasets; None where they differ."""
        known = [self.of(end) for end in ends]
        if len(known) == 1 or len(set(known)) == 1:
            return known[0]
        batchings = [elements for elements in known if isinstance(elements, Batching)]
        if not batchings or len(batchings) < len(known) or len({batching.inner for batching in batchings}) > 1:
            return None
        return Batching(
            batchings[0].inner,
            size=batchings[0].size if len({batching.size for batching in batchings}) == 1 else None,
            exact=all(batching.exact for batching in batchings),
            whole=all(batching.whole for batching in batchings),
        )


def _known_elements(elements: Elements) -> Elements:
    return None if elements == _IN_WINDOWS else elements


def _holds_each_once(window: Node) -> bool:
    """Whether windows lie side by side: together they hold each element once."""
    size, shift, stride = (window.arguments.get(name) for name in ("size", "shift", "stride"))
    return isinstance(size, int) and size == shift and stride == 1


def _gives_scalars(node: Node) -> bool:
    return bool(node.output_shapes) and all(
        shape == () and dtype != "variant" for dtype, shape in zip(node.output_types, node.output_shapes, strict=False)
    )


def _unbatch_elements(below: Elements) -> Elements:
    if not isinstance(below, Batching):
        return below
    inner = below.inner
    return replace(inner, exact=inner.exact and below.exact) if isinstance(inner, Batching) else inner


def _function_result(node: Node, below: Elements) -> Elements:
    """Return the batch dimensions after a function, which may change the number of rows."""
    if not isinstance(below, Batching) or not below.exact:
        return below
    if node.function is None:
        return below if node.traits.keeps_rows else replace(below, exact=False)
    passes = node.function["passes"] or []
    # The measured length is that of the first dense component; ragged and sparse ones are variants.
    tensors = zip(node.output_types, node.output_shapes, strict=False)
    first = next((index for index, (dtype, shape) in enumerate(tensors) if shape != () or dtype == "variant"), None)
    kept = first is not None and first < len(passes) and passes[first] is not None
    return below if kept or node.function["elementwise"] is True else replace(below, exact=False)


def components_written(node: Node) -> frozenset[int] | None:
    """Return the components that the function of a dataset changes, adds or puts elsewhere; None if not known."""
    if node.traits.predicate:
        return frozenset()
    passes = node.function["passes"] if node.traits.maps and node.function is not None else None
    if passes is None or len(passes) != len(node.output_types):
        return None
    return frozenset(index for index, place in enumerate(passes) if place != index)


def component_names(graph: StageGraph) -> dict[str, tuple[str, ...]]:
    """Return the names of all components of each dataset by its id: those of the pipeline's keys, or indices."""
    names: dict[str, tuple[str, ...]] = {}
    todo: list[tuple[str, tuple[str, ...]]] = []
    if graph.root is not None:
        count = len(graph.nodes[graph.root].output_types)
        keys = graph.keys
        todo.append((graph.root, keys if keys is not None and len(keys) == count else _indices(count)))
    while todo:
        node_id, own = todo.pop()
        if node_id in names:
            continue
        names[node_id] = own
        node = graph.nodes[node_id]
        below = []
        start = 0
        for input_ in node.inputs:
            count = len(graph.nodes[input_].output_types)
            below.append((input_, _input_names(node, own, start, count)))
            start += count
        for body in node.bodies:
            count = len(graph.nodes[body].output_types)
            below.append((body, own if count == len(own) else _indices(count)))
        todo += reversed(below)
    return names


def _input_names(node: Node, names: tuple[str, ...], start: int, count: int) -> tuple[str, ...]:
    if node.family == "Zip" and start + count <= len(names):
        return names[start : start + count]
    if len(names) == count and (node.traits.same_components or is_option(node.op)):
        return names
    passes = node.function["passes"] if node.traits.maps and node.function is not None else None
    if passes is None or len(passes) != len(names):
        return _indices(count)
    # Of several copies the first one has the name.
    pairs = reversed([*zip(passes, names, strict=True)])
    found = {place: name for place, name in pairs if place is not None}
    if len(names) == count:
        # One that is changed in its place keeps its name.
        found = {index: name for index, name in enumerate(names) if passes[index] is None} | found
    return tuple(found.get(index, str(index)) for index in range(count))


def _indices(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))
