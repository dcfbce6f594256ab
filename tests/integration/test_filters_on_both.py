"""A filter before maps, with the calls that it reads: the same by the spec's data and by its recorded calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
from integration.changed_datasets import edited, written
from unit.changes.filters_at_random import pipeline

from pipeprof.pipelines.build.arrays import BuildContext
from pipeprof.pipelines.build.dataset import BuiltStage, build
from pipeprof.pipelines.build.pinned import BuildError
from pipeprof.pipelines.changes.edits import MoveFilter, PipelineEdit
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data

pytestmark = pytest.mark.usefixtures("recording")

PIPELINES = 8


def made(data: dict[str, Any], built: dict[str, BuiltStage] | None = None) -> Any:
    return build(data, BuildContext(base_dir=Path()), built)


def both(data: dict[str, Any], edits: Sequence[PipelineEdit], ends: Counter[str]) -> None:
    """Make the edits in the spec and in the graph: the same pipeline, with the elements of before."""
    built: dict[str, BuiltStage] = {}
    try:
        dataset = made(data, built)
    except BuildError:
        ends["not built"] += 1
        return
    try:
        changed = apply_to_data(data, edits)
    except EditError:
        ends["refused"] += 1
        return
    expected = made(changed)
    ops = {address: stage.op for address, stage in built.items()}
    found = edited(dataset, *edits, ops=ops)
    words = f"{data}\n{changed}"
    for one in (expected, found):
        assert str(list(one.as_numpy_iterator())) == str(list(dataset.as_numpy_iterator())), words
    assert written(found) == written(expected), words
    ends["same"] += 1


def test_a_filter_moves_over_maps_in_the_spec_as_in_the_graph() -> None:
    ends: Counter[str] = Counter()
    for seed in range(PIPELINES):
        data, at, before = pipeline(Random(seed))
        both(data, [MoveFilter(at, before)], ends)
    assert ends["same"] >= PIPELINES * 0.7, ends
