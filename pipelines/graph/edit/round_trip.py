"""A dataset made again from its serialised graph, as every edit does it, and what prevents this.

What the new dataset refers to in this process (Python functions, resources) lives as long as the original one; so the
new one keeps it. State that TensorFlow itself makes for a dataset, a cache in memory or the generator of a shuffle's
seeds, is made anew: with the original's, an edited pipeline would read what the original one has cached.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.resources import hand_through
from pipeprof.pipelines.graph.observe.held import LightGraph
from pipeprof.pipelines.graph.observe.light_graph import MOST_COPIED_BYTES, copied, light_graph
from pipeprof.pipelines.graph.observe.reading import LIGHT, serialise

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading

_AGAIN: Final = itertools.count()


def round_trip(dataset: Any, **reading: Unpack[Reading]) -> Any:
    """Make a dataset again from its graph, without a change.

    Raises:
        CannotEditError: It holds too much in memory, or a function changes a resource that it captures.
    """
    graph = editable(dataset, **reading)
    return dataset_of_graph(graph, dataset.element_spec, dataset)


def editable(dataset: Any, **reading: Unpack[Reading]) -> EditableGraph:
    """Return a dataset's graph for edits, without the large tensors of its sources and of its functions."""
    import tensorflow as tf

    if not tf.executing_eagerly():
        raise CannotEditError("eager execution is disabled: a dataset is serialised only with it")
    found = light_graph(dataset, **reading)
    if isinstance(found, str):
        raise CannotEditError(found)
    if (size := found.graph.ByteSize()) >= MOST_COPIED_BYTES:
        raise CannotEditError(copied(size))
    graph = EditableGraph(found.graph, found.held)
    # New names for the handles of datasets' own state: TensorFlow makes state that it does not find.
    number = next(_AGAIN)
    for node in graph.nodes.values():
        if (
            node.op == "Const"
            and graph.held.live_of(node) is None
            and node.attr["dtype"].type == tf.resource.as_datatype_enum
        ):
            for handle in node.attr["value"].tensor.resource_handle_val:
                handle.name = f"{handle.name}_again_{number}"
    hand_through(graph, dataset)
    return graph


def dataset_of_graph(graph: EditableGraph, element_spec: Any, *originals: Any) -> Any:
    """Return the dataset that a graph describes.

    Args:
        originals: Datasets whose functions and resources it refers to; the options of the first one are set.
    """
    import tensorflow as tf

    made = tf.data.experimental.from_variant(graph.real_variant(graph.root), element_spec)
    made.pipeprof_made_from = originals
    if graph.held:
        # Serialised again: nodes that were moved give other elements than their attributes say.
        light = serialise(graph.variant(graph.root))
        if isinstance(light, str):
            raise CannotEditError(light)
        setattr(made, LIGHT, LightGraph(light, graph.held))
    return made
