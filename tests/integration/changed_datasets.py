"""Datasets with changes, built again from the calls that made them, and what they give."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import Builder
from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_calls import apply_changes
from pipeprof.pipelines.changes.recorded_calls import CallWatch
from pipeprof.pipelines.changes.replay import Replay, Replayed, replay_stages
from pipeprof.pipelines.graph.observe.reading import read_written
from pipeprof.pipelines.graph.stages import StageGraph

BUILDING = Builder(tf, BuildContext(base_dir=Path()))


_WATCHES: list[CallWatch] = []


@contextmanager
def recording() -> Iterator[CallWatch]:
    """Record the calls of the body, for `edited`."""
    with CallWatch(own=lambda file: file.startswith(str(Path(__file__).parent))) as watch:
        _WATCHES.append(watch)
        try:
            yield watch
        finally:
            _WATCHES.pop()
    assert watch.note is None


def written(dataset: Any) -> Any:
    """The options and stages of a dataset, with their arguments, as its graph has them, and which are one dataset; what
    functions do is seen in elements.
    """
    graph = StageGraph.from_dict(read_written(dataset, in_memory=0))
    numbers: dict[str, int] = {}

    def node(name: str) -> tuple[int, dict[str, Any]]:
        return numbers.setdefault(name, len(numbers)), dict(graph.nodes[name].arguments)

    return dict(graph.options), [(one.address, one.op, [*map(node, one.nodes)]) for one in graph.stages()]


def edited(dataset: Any, *edits: PipelineEdit, **options: Any) -> Any:
    """A dataset of the body with changes."""
    if not options:
        assert_addresses(dataset, _WATCHES[-1])
    return apply_changes(dataset, [edits], _WATCHES[-1].calls, BUILDING, **options)


def assert_addresses(dataset: Any, watch: CallWatch) -> None:
    """The recorded stages are those of the graph."""
    recorded = watch.calls.read(dataset).stages.values()
    written = StageGraph.from_dict(read_written(dataset, in_memory=0)).stages()
    assert [(stage.address, stage.op) for stage in recorded] == [(stage.address, stage.op) for stage in written]


def replayed(dataset: Any, replay: Replay) -> Replayed:
    """A dataset of the body in which a replay replaces stages."""
    return replay_stages(dataset, replay, _WATCHES[-1].calls, BUILDING)


def elements(dataset: Any) -> list[Any]:
    """All elements with the shapes of their components."""
    return [tf.nest.map_structure(lambda part: (part.shape, part.numpy().tolist()), one) for one in dataset]


def first(dataset: Any, count: int = 50) -> list[Any]:
    """The first elements as plain data; ragged ones as dense tensors."""

    def plain(part: Any) -> Any:
        return np.asarray(part.to_tensor() if isinstance(part, tf.RaggedTensor) else part).tolist()

    return [tf.nest.map_structure(plain, one) for one in dataset.take(count)]
