"""Datasets with edits, and what they give: for tests of edits of graphs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tensorflow as tf

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import builder
from pipeprof.pipelines.edits.edits import PipelineEdit
from pipeprof.pipelines.graph.edit.apply import apply_edits
from pipeprof.pipelines.graph.observe.reading import serialised

BUILDING = builder(BuildContext(base_dir=Path()))


def edited(dataset: tf.data.Dataset, *edits: PipelineEdit) -> tf.data.Dataset:
    """The dataset made again from its graph, with edits."""
    return apply_edits(dataset, edits, building=BUILDING)


def elements(dataset: tf.data.Dataset) -> list[Any]:
    """All elements with the shapes of their components."""
    return [tf.nest.map_structure(lambda part: (part.shape, part.numpy().tolist()), one) for one in dataset]


def assert_same(found: tf.data.Dataset, dataset: tf.data.Dataset) -> None:
    """The elements are those of another dataset, and no function loops over rows."""
    assert found.element_spec == dataset.element_spec
    assert elements(found) == elements(dataset)
    graph = serialised(found, in_memory=0)
    ops = {node.op for function in graph.library.function for node in function.node_def}
    assert not any("While" in op or "Map" in op for op in ops)
