"""The part of a live dataset up to a stage, as a dataset of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.graph.edit.elements import structured, unstructured
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.replay.line import read_line
from pipeprof.pipelines.graph.edit.round_trip import dataset_of_graph
from pipeprof.pipelines.ops.traits import Traits, traits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading


def parts_before(dataset: Any, wanted: Callable[[Traits], bool], **reading: Unpack[Reading]) -> list[Any]:
    """Return the datasets that stages of a kind read, such as caches.

    Raises:
        CannotEditError: That is not possible on this pipeline; the message names the stage and the reason.
    """
    stages = read_line(dataset, **reading).stages
    kept = [place for place, following in enumerate(stages[1:]) if wanted(traits(following.op))]
    return [_part_up_to(dataset, place, **reading) for place in kept]


def _part_up_to(dataset: Any, place: int, **reading: Unpack[Reading]) -> Any:
    """Return the dataset that gives what a stage gives.

    Its elements are structured as those of the whole dataset where no stage after it changes that; else they are tuples
    of their components, which is what the functions of the later stages get.
    """
    line = read_line(dataset, **reading)
    graph, stage = line.graph, line.stages[place]
    if stage.head not in graph.nodes:
        raise CannotEditError("it is made in a function that the graph calls", stage.address)
    element = graph.element_at(stage.head)
    kept = all(traits(later.op).same_components for later in line.stages[place + 1 :])
    spec = structured(dataset.element_spec, element) if kept else None
    graph.root = stage.head
    return dataset_of_graph(graph, unstructured(element) if spec is None else spec, dataset)
