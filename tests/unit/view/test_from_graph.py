from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest
from unit.view.recorded import GRAPHS, NAMES, recorded_view

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.constants import INFINITE
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.from_graph import _plain_arguments, view_of_graphs
from pipeprof.profiles.view.view import ComponentView, FunctionView, PipelineView, StageView

NO_GRAPH: Any = {"root": None, "reason": "too large", "nodes": []}


def graphs(name: str) -> list[Any]:
    recorded = json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    return [recorded["written"], recorded["executed"]]


def bare(written: Any, executed: Any, *, by_address: bool = True, **more: Any) -> PipelineView:
    """Without rows."""
    made = (StageGraph.from_dict(graph) for graph in (written, executed))
    return view_of_graphs(*made, [], by_address=by_address, **more)


def of(name: str, stage: str) -> StageView:
    return recorded_view(name).by_id[stage]


@pytest.mark.parametrize("name", NAMES)
def test_stages_are_those_of_the_profile(name: str) -> None:
    view = recorded_view(name)
    assert [stage.id for stage in view.stages] == [stage.id for stage in view.profile.stages]
    assert all(stage.measured is not None and stage.measured.id == stage.id for stage in view.stages)
    assert all(one in view.by_id for stage in view.stages for one in stage.inputs)
    assert all(stage.owner is None or stage.owner in view.by_id for stage in view.stages)


def told(function: FunctionView | None) -> str:
    """What a function does."""
    facts = {} if function is None else asdict(function)
    sets = {name: sorted(value) for name, value in facts.items() if isinstance(value, frozenset)}
    return "".join(f", {name} {value}" for name, value in {**facts, **sets}.items())


def test_stages_are_as_they_were_written(golden: Callable[[str, str], None]) -> None:
    """What each reads, whose function it stands in, its arguments, and what its function does."""
    lines = []
    for name in NAMES:
        view = recorded_view(name)
        lines += ["", f"{name} {dict(view.options)}"]
        for one in view.stages:
            inside = f" in {one.owner}" if one.owner else ""
            stage = f"{', '.join(one.inputs) or 'nothing'} -> {one.id}{inside}: {one.op} {dict(one.arguments)}"
            lines.append(f"  {stage}{told(one.function)}")
    golden("graph/views.txt", "\n".join([*lines[1:], ""]))


FLOAT = ComponentView("float32", (None,))
IMAGES = (ComponentView("uint8", (64, 64, 3)), ComponentView("int64", ()))
HELD = 3072 * 1024 * 4
FACTS: list[tuple[str, str, dict[str, Any]]] = [
    ("filter_on_input", "source", {"element": IMAGES, "element_bytes": 64 * 64 * 3 + 8, "elements": 64}),
    ("filter_on_input", "stages.0", {"elements": INFINITE}),
    ("filter_on_input", "stages.1", {"executed_op": "ParallelMapDatasetV2", "made_parallel": True}),
    ("filter_on_input", "stages.2", {"elements": INFINITE, "made_parallel": False}),
    ("filter", "stages.0", {"op": "filter", "elements": None}),
    # The last batch may be smaller: as measured.
    ("cast_before_batch", "stages.1", {"element": (FLOAT,), "element_bytes": 1024.0}),
    ("waiting_serial", "stages.0", {"executed_op": "MapAndBatchDataset", "made_parallel": False}),
    ("waiting_parallel", "stages.0", {"made_parallel": False}),
    ("fusions", "stages.4", {"executed_op": None}),
    # Sources that are constants of a graph; a spec is built eagerly.
    ("eager_source", "source", {"constant": False, "source_bytes": HELD}),
    ("traced_source", "source", {"constant": True, "source_bytes": HELD}),
    ("traced_pipeline", "source", {"constant": True, "source_bytes": HELD}),
    ("array_in_function", "stages.0.source", {"constant": True, "source_bytes": HELD}),
    ("interleave", "source", {"constant": False}),
    # Nobody looked while it was built; a range holds no tensors.
    ("dict_shuffle", "source", {"constant": None}),
    ("cast_before_batch", "source", {"constant": None}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stage", "facts"), FACTS)
def test_what_is_known_of_a_stage(name: str, stage: str, facts: dict[str, Any]) -> None:
    found = of(name, stage)
    assert {key: getattr(found, key) for key in facts} == facts


def unread(stages: list[Stage], **more: Any) -> PipelineView:
    return view_of_graphs(*[StageGraph.from_dict(NO_GRAPH)] * 2, stages, by_address=False, **more)


def test_without_a_graph_there_are_the_measured_stages() -> None:
    rows = [
        Stage(id="source", origin="written", op="from_tensor_slices", location=Location(file="spec.yaml", line=3)),
        Stage(id="stages.0", name="decode", origin="written", op="map"),
        Stage(id="injected.0", origin="injected", op="prefetch", tf_op="PrefetchDataset"),
    ]
    view = unread(rows)
    assert [(one.id, one.inputs, one.name, one.injected) for one in view.stages] == [
        ("source", (), None, False),
        ("stages.0", ("source",), "decode", False),
        ("injected.0", ("stages.0",), None, True),
    ]
    assert (view.stages[1].function, view.stages[0].location) == (None, rows[0].location)


def test_without_a_graph_and_stages_there_are_the_sources_that_were_seen() -> None:
    made: Any = {"method": "from_tensor_slices", "types": ["float32", "int64"], "shapes": [[1000, 1000], []]}
    made |= {"elements": 400, "traced": False, "file": "input.py", "line": 7}
    (source,) = unread([], made=[made]).stages
    assert (source.id, source.op, source.constant, source.elements) == ("source", "from_tensor_slices", False, 400)
    assert source.source_bytes == 400 * 4_000_008
    assert source.location == Location(file="input.py", line=7)
    assert [one.id for one in unread([], made=[made, made]).stages] == ["source.inputs.0", "source.inputs.1"]
    (unknown,) = unread([], made=[{**made, "elements": None}]).stages
    assert unknown.source_bytes is None


def test_a_source_has_the_place_where_it_was_seen() -> None:
    made: Any = {"method": "", "types": ["float32"], "shapes": [[1024]], "elements": 1, "traced": False}
    here, there = ({**made, "file": "input.py", "line": line} for line in (7, 9))

    def place(*made: Any) -> Location | None:
        return bare(*graphs("eager_source"), by_address=False, made=made).by_id["source"].location

    assert place(here) == place(here, here) == Location(file="input.py", line=7)
    assert place(here, there) is None
    assert place({**here, "shapes": [[512]]}) is None


def test_places_that_are_known_otherwise_come_from_outside() -> None:
    view = bare(*graphs("map_batch"), locations={"stages.0": Location(file="spec.yaml", line=4)})
    assert (view.by_id["stages.0"].name, view.by_id["source"].location) == (None, None)
    assert view.by_id["stages.0"].location == Location(file="spec.yaml", line=4)
    assert view.by_id["stages.0"].measured is None


@pytest.mark.parametrize(("seeds", "given"), [((87654321, 7), {"seed": 7}), ((3, 0), {"seed": 0}), ((0, 0), {})])
def test_a_seed_is_the_one_that_was_given(seeds: tuple[int, int], given: dict[str, int]) -> None:
    node: Any = SimpleNamespace(
        arguments={"buffer_size": 32, "seed": seeds[0], "seed2": seeds[1]}, family="Shuffle", op="ShuffleDatasetV3"
    )
    assert _plain_arguments(node) == {"buffer_size": 32, **given}


def test_names_of_the_element_are_known_down_to_where_it_is_built() -> None:
    written, executed = graphs("map_batch")
    view = bare({**written, "keys": ["a"]}, executed)
    assert [stage.keys for stage in view.stages if not stage.injected] == [None, ("a",), ("a",)]
    assert of("dict_shuffle", "source").keys == ("a", "b")
