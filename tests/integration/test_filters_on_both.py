"""A filter before maps, with the calls that it reads: the same by the spec's data and by its recorded calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from integration.changed_datasets import edited
from integration.same_graphs import graph_differences
from unit.changes.filters_at_random import pipeline

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import build
from pipeprof.pipelines.build.pinned import BuildError
from pipeprof.pipelines.changes.edits import MoveFilter, PipelineEdit
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data
from pipeprof.pipelines.spec.operations import placed

pytestmark = pytest.mark.usefixtures("recording")

PIPELINES = 8


def made(data: dict[str, Any]) -> Any:
    return build(data, BuildContext(base_dir=Path()))


def both(data: dict[str, Any], edits: Sequence[PipelineEdit], ends: Counter[str]) -> None:
    """Make the edits in the spec and in the graph: the same pipeline, with the elements of before."""
    try:
        dataset = made(data)
    except BuildError:
        ends["not built"] += 1
        return
    try:
        changed = apply_to_data(data, edits)
    except EditError:
        ends["refused"] += 1
        return
    expected = made(changed)
    ops = {one.address: one.op for one in placed(data)}
    found = edited(dataset, *edits, ops=ops)
    words = f"{data}\n{changed}"
    assert str(list(expected.as_numpy_iterator())) == str(list(dataset.as_numpy_iterator())), words
    assert graph_differences(found, expected) == [], words
    ends["same"] += 1


def test_a_filter_moves_over_maps_in_the_spec_as_in_the_graph() -> None:
    ends: Counter[str] = Counter()
    for seed in range(PIPELINES):
        data, at, before = pipeline(Random(seed))
        both(data, [MoveFilter(at, before)], ends)
    assert ends["same"] >= PIPELINES * 0.7, ends
