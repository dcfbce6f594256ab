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


def test_injected_stages_read_what_they_were_put_behind() -> None:
    injected = of("tail_injected", "injected.0")
    assert (injected.op, injected.injected, injected.inputs) == ("prefetch", True, ("stages.1",))
    assert "injected.0" not in recorded_view("tail_inject_off").by_id


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


def test_elements_and_how_many() -> None:
    source = of("filter_on_input", "source")
    assert source.element == (ComponentView("uint8", (64, 64, 3)), ComponentView("int64", ()))
    assert (source.element_bytes, source.elements) == (64 * 64 * 3 + 8, 64)
    assert of("filter_on_input", "stages.0").elements == INFINITE
    assert of("filter_on_input", "stages.2").elements == INFINITE
    assert of("filter", "stages.0").op == "filter"
    assert of("filter", "stages.0").elements is None
    assert of("cast_before_batch", "stages.1").element == (ComponentView("float32", (None,)),)
    assert of("cast_before_batch", "stages.1").element_bytes == 1024.0  # the last batch may be smaller: as measured


@pytest.mark.parametrize(
    ("name", "stage", "constant"),
    [
        ("eager_source", "source", False),
        ("traced_source", "source", True),
        ("traced_pipeline", "source", True),
        ("array_in_function", "stages.0.source", True),
        ("dict_shuffle", "source", None),  # nobody looked while it was built
        ("cast_before_batch", "source", None),  # a range holds no tensors
    ],
)
def test_sources_that_are_constants_of_a_graph(name: str, stage: str, constant: bool | None) -> None:
    found = of(name, stage)
    assert found.constant is constant
    assert found.source_bytes == (3072 * 1024 * 4 if constant is not None else found.source_bytes)


def test_a_spec_is_built_eagerly() -> None:
    assert of("interleave", "source").constant is False


def test_constants_in_functions() -> None:
    def carried(name: str) -> int:
        function = of(name, "stages.0").function
        assert function is not None
        assert function.constant_bytes is not None
        return function.constant_bytes

    assert carried("captured_array") > 3072 * 1024 * 4
    assert carried("captured_tensor") < 100


@pytest.mark.parametrize(
    ("name", "stage", "facts"),
    [
        ("waiting_serial", "stages.0", {"python": True, "random": None, "elementwise": False, "stateful_op": "PyFunc"}),
        ("random_serial", "stages.0", {"python": False, "random": True, "elementwise": False}),
        ("cast_before_batch", "stages.0", {"python": False, "random": False, "elementwise": True, "stateful_op": None}),
        ("parse_before_batch", "stages.1", {"elementwise": False, "ops": frozenset({"ParseExampleV2"})}),
        ("filter_on_input", "stages.1", {"reads": frozenset({"image"}), "writes": frozenset({"image"})}),
        ("filter_on_input", "stages.2", {"reads": frozenset({"label"}), "writes": frozenset()}),
        ("filter_on_kept_input", "stages.1", {"reads": {"image"}, "writes": {"a", "image", "label"}}),
        ("generator_rows", "source", {"python": True, "ops": frozenset({"PyFunc"})}),
        ("array_in_function", "stages.0", {"ops": frozenset()}),
    ],
)
def test_what_functions_do(name: str, stage: str, facts: dict[str, Any]) -> None:
    function = of(name, stage).function
    assert {key: getattr(function, key) for key in facts} == facts


def test_stages_of_tensorflows_own_making_have_no_function_of_the_users() -> None:
    assert of("parse_before_batch", "source").function is None
    assert of("sample", "source").function is None
    assert of("unbatch", "stages.1").function is None
    assert of("waiting_serial", "stages.1").function is None


def test_what_runs() -> None:
    view = recorded_view("filter_on_input")
    assert view.by_id["stages.1"].executed_op == "ParallelMapDatasetV2"
    assert [stage.made_parallel for stage in view.stages] == [False, False, True, False, False, None]
    assert of("waiting_serial", "stages.0").executed_op == "MapAndBatchDataset"
    assert of("waiting_serial", "stages.0").made_parallel is False
    assert of("waiting_parallel", "stages.0").made_parallel is False
    assert of("fusions", "stages.4").executed_op is None


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
    recorded = json.loads((GRAPHS / "eager_source.json").read_text(encoding="utf-8"))
    made: Any = {"method": "", "types": ["float32"], "shapes": [[1024]], "elements": 1, "traced": False}
    here, there = ({**made, "file": "input.py", "line": line} for line in (7, 9))

    def place(*made: Any) -> Location | None:
        view = view_of_graphs(
            StageGraph.from_dict(recorded["written"]),
            StageGraph.from_dict(recorded["executed"]),
            [],
            by_address=False,
            made=made,
        )
        return view.by_id["source"].location

    assert place(here) == place(here, here) == Location(file="input.py", line=7)
    assert place(here, there) is None
    assert place({**here, "shapes": [[512]]}) is None


def test_places_that_are_known_otherwise_come_from_outside() -> None:
    recorded = json.loads((GRAPHS / "map_batch.json").read_text(encoding="utf-8"))
    view = view_of_graphs(
        StageGraph.from_dict(recorded["written"]),
        StageGraph.from_dict(recorded["executed"]),
        [],
        by_address=True,
        locations={"stages.0": Location(file="spec.yaml", line=4)},
    )
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
    recorded = json.loads((GRAPHS / "map_batch.json").read_text(encoding="utf-8"))
    recorded["written"]["keys"] = ["a"]
    view = view_of_graphs(
        StageGraph.from_dict(recorded["written"]), StageGraph.from_dict(recorded["executed"]), [], by_address=True
    )
    assert [stage.keys for stage in view.stages if not stage.injected] == [None, ("a",), ("a",)]
    assert of("dict_shuffle", "source").keys == ("a", "b")
