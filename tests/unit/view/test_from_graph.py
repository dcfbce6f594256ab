from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from unit.view.recorded import GRAPHS, NAMES, recorded_view

from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.pipelines.meaning.constants import AUTOTUNE, INFINITE
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.view.from_graph import _plain_arguments, view_of_graphs
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView

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
    assert view.profile is not None
    assert view.profile.stages is not None
    assert [stage.id for stage in view.stages] == [stage.id for stage in view.profile.stages]
    assert all(stage.measured is not None and stage.measured.id == stage.id for stage in view.stages)
    assert all(one in view.by_id for stage in view.stages for one in stage.inputs)
    assert all(stage.owner is None or stage.owner in view.by_id for stage in view.stages)


@pytest.mark.parametrize("name", NAMES)
def test_all_of_the_main_line_flows_into_the_root(name: str) -> None:
    view = recorded_view(name)
    assert view.root is not None
    main = {stage.id for stage in view.stages if stage.depth == 0 and not stage.injected}
    assert main <= {view.root.id, *(stage.id for stage in view.below(view.root))}


def test_sides_flow_into_the_stage_that_joins_them() -> None:
    view = recorded_view("zip_serial")
    zipped = view.by_id["source"]
    assert zipped.inputs == ("source.inputs.0.stages.0", "source.inputs.1.stages.0")
    assert [stage.id for stage in view.below(zipped)][:2] == list(zipped.inputs)
    assert all(view.by_id[one].owner is None for one in zipped.inputs)
    concatenated = recorded_view("concatenate").by_id["stages.2"]
    assert concatenated.inputs == ("stages.1", "stages.2.inputs.1.stages.0")


def test_stages_inside_a_function_have_an_owner_and_a_line_of_their_own() -> None:
    view = recorded_view("interleave")
    inner = [stage for stage in view.stages if stage.owner == "stages.0"]
    assert [(stage.id, stage.inputs) for stage in inner] == [
        ("stages.0.source", ()),
        ("stages.0.stages.0", ("stages.0.source",)),
        ("stages.0.stages.1", ("stages.0.stages.0",)),
    ]
    assert view.by_id["stages.0"].inputs == ("source",)


@pytest.mark.parametrize(
    ("name", "stage", "arguments"),
    [
        ("waiting_serial", "stages.0", {}),
        ("waiting_parallel", "stages.0", {"num_parallel_calls": 16}),
        ("waiting_autotune", "stages.0", {"num_parallel_calls": AUTOTUNE}),
        ("tail_written", "stages.1", {"batch_size": 4}),
        ("tail_written", "stages.2", {"buffer_size": AUTOTUNE}),
        ("serial_prefetch_serial", "stages.1", {"buffer_size": 2}),
        ("shuffle_after_decode", "source", {}),
        ("shuffle_after_decode", "stages.0", {}),
        ("shuffle_after_decode", "stages.2", {"buffer_size": 32}),
        ("cache_after_random", "stages.2", {}),
        ("list_files", "source", {"shuffle": True}),
        ("interleave", "stages.0", {"cycle_length": 2}),
        ("parallel_interleave", "stages.1", {"cycle_length": 3, "num_parallel_calls": 2, "deterministic": False}),
        ("generator_rows", "source", {}),
        ("window", "stages.0", {"size": 4, "shift": 2, "stride": 1}),
    ],
)
def test_arguments_are_those_that_were_given(name: str, stage: str, arguments: dict[str, Any]) -> None:
    assert dict(of(name, stage).arguments) == arguments


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("waiting_parallel", {}),
        ("waiting_pool", {"threading.private_threadpool_size": 16}),
        ("tail_autotune_off", {"autotune.enabled": False}),
        ("tail_inject_off", {"experimental_optimization.inject_prefetch": False}),
        ("optimizations_off", {"experimental_optimization.apply_default_optimizations": False}),
        ("thread_pool", {"threading.private_threadpool_size": 4, "threading.max_intra_op_parallelism": 1}),
    ],
)
def test_options_are_those_that_were_set(name: str, options: dict[str, Any]) -> None:
    assert dict(recorded_view(name).options) == options


FLOAT = ComponentView("float32", (None,))
IMAGES = (ComponentView("uint8", (64, 64, 3)), ComponentView("int64", ()))
HELD = 3072 * 1024 * 4
FACTS: list[tuple[str, str, dict[str, Any]]] = [
    ("tail_injected", "injected.0", {"op": "prefetch", "injected": True, "inputs": ("stages.1",)}),
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
    # Stages of TensorFlow's own making have no function of the user's.
    ("parse_before_batch", "source", {"function": None}),
    ("sample", "source", {"function": None}),
    ("unbatch", "stages.1", {"function": None}),
    ("waiting_serial", "stages.1", {"function": None}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "stage", "facts"), FACTS)
def test_what_is_known_of_a_stage(name: str, stage: str, facts: dict[str, Any]) -> None:
    found = of(name, stage)
    assert {key: getattr(found, key) for key in facts} == facts


def test_nothing_is_injected_where_that_is_off() -> None:
    assert "injected.0" not in recorded_view("tail_inject_off").by_id


def test_constants_in_functions() -> None:
    carried = [of(name, "stages.0").function for name in ("captured_array", "captured_tensor")]
    many, few = (one.constant_bytes or 0 if one is not None else 0 for one in carried)
    assert (many > HELD, few < 100) == (True, True)


@pytest.mark.parametrize(
    ("name", "stage", "facts"),
    [
        ("waiting_serial", "stages.0", {"python": True, "random": None, "elementwise": False, "stateful_op": "PyFunc"}),
        ("random_serial", "stages.0", {"python": False, "random": True, "elementwise": False}),
        ("cast_before_batch", "stages.0", {"python": False, "random": False, "elementwise": True, "stateful_op": None}),
        ("parse_before_batch", "stages.1", {"elementwise": False, "ops": frozenset({"ParseExampleV2"})}),
        ("filter_on_input", "stages.1", {"reads": frozenset({0}), "writes": frozenset({0})}),
        ("filter_on_input", "stages.2", {"reads": frozenset({1}), "writes": frozenset()}),
        ("filter_on_kept_input", "stages.1", {"reads": {0}, "writes": {0, 1, 2}}),
        ("generator_rows", "source", {"python": True, "ops": frozenset({"PyFunc"})}),
        ("array_in_function", "stages.0", {"ops": frozenset()}),
    ],
)
def test_what_functions_do(name: str, stage: str, facts: dict[str, Any]) -> None:
    function = of(name, stage).function
    assert {key: getattr(function, key) for key in facts} == facts


def unread(stages: list[Stage], **more: Any) -> PipelineView:
    return view_of_graphs(
        StageGraph.from_dict(NO_GRAPH), StageGraph.from_dict(NO_GRAPH), stages, by_address=False, **more
    )


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
    assert view.stages[1].function is None
    assert view.stages[0].location == rows[0].location
    assert dict(view.options) == {}


def test_without_a_graph_and_stages_there_are_the_sources_that_were_seen() -> None:
    made: Any = {
        "method": "from_tensor_slices",
        "types": ["float32", "int64"],
        "shapes": [[1000, 1000], []],
        "elements": 400,
        "traced": False,
        "file": "input.py",
        "line": 7,
    }
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
