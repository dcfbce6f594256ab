"""A dataset made again from its serialised graph, as every edit does it, and what prevents this.

What the new dataset refers to in this process (Python functions, resources) lives as long as the original one; so the
new one keeps it. State that TensorFlow itself makes for a dataset, a cache in memory or the generator of a shuffle's
seeds, is made anew: with the original's, an edited pipeline would read what the original one has cached.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, base_of, data_inputs
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.observe.held import LightGraph
from pipeprof.pipelines.graph.observe.light_graph import MOST_COPIED_BYTES, copied, light_graph
from pipeprof.pipelines.graph.observe.reading import LIGHT
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.ops.executed_ops import is_dataset

if TYPE_CHECKING:
    from pipeprof.pipelines.graph.observe.in_memory_sources import SourceWatch

_VARIABLE: Final = re.compile(r"VarHandleOp|Variable(?:V2)?")
_TABLE: Final = re.compile(r"Mutable\w*HashTable\w*")
_GENERATOR: Final = re.compile(r"Rng\w+|Stateful(?:Uniform|StandardNormal|TruncatedNormal|Random)\w*")
_MANGLED: Final = re.compile(r"(\d+)([A-Za-z_]+)$")
"""The end of a C++ type's name: the length of its last part, and that part."""
_KEEPS: Final = "pipeprof_made_from"
_AGAIN: Final = itertools.count()


def round_trip(dataset: Any, *, in_memory: int, room: int | None = None, watch: SourceWatch | None = None) -> Any:
    """Make a dataset again from its graph, without a change.

    Args:
        dataset: A ``tf.data.Dataset``.
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
        room: Bytes that reading may take; None for any number.

    Raises:
        CannotEditError: It holds too much in memory, or captures state that would be frozen.
    """
    graph = editable(dataset, in_memory=in_memory, room=room, watch=watch)
    return dataset_of_graph(graph, dataset.element_spec, dataset)


def editable(
    dataset: Any, *, in_memory: int, room: int | None = None, watch: SourceWatch | None = None
) -> EditableGraph:
    """Return the graph of a dataset for edits; large tensors of its sources and captured by its functions are no part.

    Args:
        dataset: A ``tf.data.Dataset``.
        in_memory: Bytes that its sources and captured tensors hold in memory, at most.
        room: Bytes that reading may take; None for any number.

    Raises:
        CannotEditError: It holds too much in memory, or captures state that would be frozen.
    """
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise CannotEditError("eager execution is disabled: a dataset is serialised only with it")
    found = light_graph(dataset, in_memory=in_memory, room=room, watch=watch)
    if isinstance(found, str):
        raise CannotEditError(found)
    if (size := found.graph.ByteSize()) >= MOST_COPIED_BYTES:
        raise CannotEditError(copied(size))
    graph = EditableGraph(found.graph, found.held)
    _refuse_mutable_state(graph)
    _renew_state(graph)
    return graph


def dataset_of_graph(graph: EditableGraph, element_spec: Any, *originals: Any) -> Any:
    """Return the dataset that a graph describes.

    Args:
        originals: Datasets whose functions and resources it refers to; the options of the first one are set.

    Raises:
        CannotEditError: TensorFlow does not accept the graph.
    """
    import tensorflow as tf

    made = tf.data.experimental.from_variant(graph.real_variant(graph.root), element_spec)
    setattr(made, _KEEPS, originals)
    if graph.held:
        setattr(made, LIGHT, LightGraph(graph.graph_def(graph.root), graph.held))
    return made


def _refuse_mutable_state(graph: EditableGraph) -> None:
    for holder, resource in _captured(graph):
        what = _mutable(graph, holder, resource)
        if what is not None:
            stage = next((stage.address for stage in _stages(graph) if holder in stage.nodes), None)
            raise CannotEditError(f"its function captures {what}, whose later changes would not reach a copy", stage)


def _captured(graph: EditableGraph) -> Iterator[tuple[str, Any]]:
    """Yield the nodes behind what functions of datasets capture, with the dataset."""
    for node in graph.nodes.values():
        if not is_dataset(node.op):
            continue
        seen: set[str] = set()
        todo = [reference for reference in data_inputs(node) if not is_dataset(graph.nodes[base_of(reference)].op)]
        while todo:
            name = base_of(todo.pop())
            if name not in seen and not is_dataset(graph.nodes[name].op):
                seen.add(name)
                todo.extend(graph.nodes[name].input)
                yield node.name, graph.nodes[name]


def _mutable(graph: EditableGraph, holder: str, resource: Any) -> str | None:
    import tensorflow as tf

    if _VARIABLE.fullmatch(resource.op):
        if any(_GENERATOR.fullmatch(op) for op in _ops_of(graph, holder)):
            return "a tf.random.Generator"
        return f"a tf.Variable ({tf.dtypes.as_dtype(resource.attr['dtype'].type).name})"
    if _TABLE.fullmatch(resource.op):
        return "a mutable hash table"
    is_state = resource.op == "Const" and resource.attr["dtype"].type == tf.resource.as_datatype_enum
    if is_state and not _is_own_state(graph, holder, resource.name):
        handle = next(iter(resource.attr["value"].tensor.resource_handle_val), None)
        kind = _MANGLED.search(handle.maybe_type_name) if handle is not None else None
        return f"a resource of this process ({kind[2][: int(kind[1])]})" if kind else "a resource of this process"
    return None


def _ops_of(graph: EditableGraph, holder: str) -> Iterator[str]:
    for name in graph.used_functions([graph.nodes[holder]]):
        yield from (node.op for node in graph.functions[name].node_def)


def _is_own_state(graph: EditableGraph, holder: str, resource: str) -> bool:
    """Return whether a resource is a dataset's own state: it is no argument of a function, since it has none."""
    node = graph.nodes[holder]
    return resource in map(base_of, node.input) and not graph.used_functions([node])


def _renew_state(graph: EditableGraph) -> None:
    """Give the handles of datasets' own state new names: TensorFlow makes state that it does not find."""
    import tensorflow as tf

    number = next(_AGAIN)
    for node in graph.nodes.values():
        if node.op == "Const" and node.attr["dtype"].type == tf.resource.as_datatype_enum:
            for handle in node.attr["value"].tensor.resource_handle_val:
                handle.name = f"{handle.name}_again_{number}"


def _stages(graph: EditableGraph) -> Any:
    read: StageGraph = graph.read()
    return read.stages()
