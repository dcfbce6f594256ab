"""A filter before maps, with the calls that it reads: the same pipeline by the spec's data and by the graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from unit.ops.filters_at_random import pipeline

from pipeprof.pipelines.build.context import BuildContext
from pipeprof.pipelines.build.dataset import BuiltStage, build, builder
from pipeprof.pipelines.build.pin_errors import BuildError
from pipeprof.pipelines.edits.edits import MoveFilter
from pipeprof.pipelines.from_python.graphs import GraphPair, compare
from pipeprof.pipelines.graph.edit.apply import apply_edits
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.models import Spec

PIPELINES = 100


@pytest.fixture(scope="module")
def tf() -> Any:
    import tensorflow

    return tensorflow


def made(data: dict[str, Any], built: dict[str, BuiltStage] | None = None) -> Any:
    return build(Spec.model_validate(data), BuildContext(base_dir=Path()), built)


def test_a_filter_moves_over_maps_in_the_spec_as_in_the_graph(tf: Any) -> None:
    building = builder(BuildContext(base_dir=Path()))
    ends: Counter[str] = Counter()
    for seed in range(PIPELINES):
        data, at, before = pipeline(Random(seed))
        edits = [MoveFilter(at, before)]
        built: dict[str, BuiltStage] = {}
        try:
            dataset = made(data, built)
        except BuildError:
            ends["not built"] += 1
            continue
        try:
            changed = apply_to_data(data, edits)
        except EditError:
            ends["refused"] += 1
            continue
        expected = made(changed)
        ops = {address: stage.op for address, stage in built.items()}
        shapes = {address: stage.element_spec for address, stage in built.items()}
        found = apply_edits(dataset, edits, building=building, ops=ops, elements=shapes)
        assert list(expected.as_numpy_iterator()) == list(dataset.as_numpy_iterator()), f"{data}\n{changed}"
        assert compare(GraphPair(tf, found, 0), GraphPair(tf, expected, 0)) == ([], []), f"{data}\n{changed}"
        ends["same"] += 1
    assert ends["same"] >= PIPELINES * 0.7, ends
