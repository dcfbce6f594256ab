"""The graph of a pipeline as it was observed at creation, without serialising it (worker only: needs TensorFlow).

It costs nothing: a run that dies before the graph could be read can still name its stages.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from pipeprof.pipelines.graph.observe.placeholder_source import datasets_of
from pipeprof.pipelines.graph.observe.provenance import CreatedDataset, Large
from pipeprof.pipelines.graph.observe.source_lines import Lines, place_of
from pipeprof.pipelines.graph.opnames import argument_names
from pipeprof.pipelines.graph.read.graphdef import ATTRIBUTES
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, PlaceDict, dataset_node
from pipeprof.pipelines.ops.executed_ops import family
from pipeprof.pipelines.ops.traits import traits

_MOST_DEPTH = 8
_MOST_ARGUMENTS = 12


def sketch(lines: Lines, dataset: Any) -> tuple[GraphDict, dict[str, PlaceDict]]:
    """Draw ``dataset`` as far as it was observed at creation; return also the places of its datasets by their ids."""
    return draw(lines, lines.created(dataset))


def draw(lines: Lines, root: CreatedDataset | None) -> tuple[GraphDict, dict[str, PlaceDict]]:
    """Draw the pipeline that ends with a dataset, as `sketch` does; without nodes where its creation was not seen."""
    if root is None:
        return {"root": None, "reason": "how the dataset was made was not seen", "nodes": []}, {}
    drawing = _Drawing(lines)
    identity = drawing.draw(root, owner=None, depth=0)
    return {"root": identity, "reason": None, "nodes": drawing.nodes, "options": {}, "keys": None}, drawing.places


class _Drawing:
    def __init__(self, lines: Lines) -> None:
        self.nodes: list[NodeDict] = []
        self.places: dict[str, PlaceDict] = {}
        self._lines = lines

    def draw(self, end: CreatedDataset, owner: str | None, depth: int) -> str:
        """Add a pipeline with all that it reads; the id of its last dataset."""
        ids: dict[CreatedDataset, str] = {}
        for dataset in datasets_of(end):
            ids[dataset] = identity = str(len(self.nodes))
            given = dataset.arguments or {}
            sizes, length = _held(given.get("components")) if traits(dataset.op).in_memory else (None, None)
            inputs = [ids[below] for below in dataset.reads if below in ids]
            record: NodeDict = {
                **dataset_node(identity, dataset.op, inputs, owner, depth),
                "name": dataset.name,
                "arguments": dict(_arguments(dataset.op, given)),
                "output_types": [
                    str(argument.name) for argument in given.get("output_types") or given.get("Toutput_types") or ()
                ],
                "output_shapes": [_shape(argument) for argument in given.get("output_shapes") or ()],
                "files": bool(given.get("is_files")),
                "held_bytes": sizes,
                "length": 1 if family(dataset.op) == "Tensor" else length,
            }
            self.nodes.append(record)
            place = place_of(dataset)
            if place is not None:
                self.places[identity] = place
            for function in functions_of(dataset) if depth < _MOST_DEPTH else ():
                body = self._lines.created_in(function)
                if body is not None:
                    record["functions"].append(str(function.name))
                    record["bodies"].append(self.draw(body, identity, depth + 1))
        return ids[end]


def functions_of(made: CreatedDataset) -> Iterator[Any]:
    """Yield the functions that a dataset was made with, as far as they still exist."""
    for value in (made.arguments or {}).values():
        for argument in value if isinstance(value, list) else (value,):
            if isinstance(argument, weakref.ref) and (function := argument()) is not None:
                yield function


def _arguments(op: str, given: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    names = {name for count in range(_MOST_ARGUMENTS) for name in argument_names(op, count)} | set(ATTRIBUTES)
    for name, value in given.items():
        known = plain_argument(value) if name and name in names else None
        if known is not None:
            yield name, known


def plain_argument(value: Any) -> int | bool | str | None:
    """Return one number, truth value or short text as Python has it; None for anything else."""
    import tensorflow as tf

    if isinstance(value, tf.Tensor):
        if tf.is_symbolic_tensor(value) or value.shape.num_elements() != 1 or value.dtype in (tf.variant, tf.resource):
            return None
        value = value.numpy()
        value = value.item() if hasattr(value, "item") else value
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return value if isinstance(value, (bool, int, str)) else None


def _held(components: Any) -> tuple[int | None, int | None]:
    """Bytes of the tensors of a source in memory, and the rows of the first one."""
    import tensorflow as tf

    if not isinstance(components, list) or not components:
        return None, None
    specs = [component.spec if isinstance(component, Large) else component for component in components]
    if any(not isinstance(spec, (tf.TensorSpec, tf.Tensor)) for spec in specs):
        return None, None
    counts = [spec.shape.num_elements() or 0 for spec in specs]
    nbytes = sum(
        count * int(spec.dtype.size)
        for count, spec in zip(counts, specs, strict=True)
        if spec.dtype not in (tf.string, tf.variant, tf.resource)
    )
    return nbytes, int(specs[0].shape[0]) if specs[0].shape.rank else None


def _shape(shape: Any) -> list[int | None] | None:
    rank = getattr(shape, "rank", None)
    return None if rank is None else [None if size is None else int(size) for size in shape.as_list()]
