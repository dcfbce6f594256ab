"""From what a trace names to stages, on recorded graphs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.graph.test_naming import node

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.stages import StageGraph
from pipeprof.profiles.protocol.messages import Trace, TracedFunction, TracedWork
from pipeprof.profiles.time.trace_work import iterator_place, traced_elements, work_by_stage

GRAPHS = Path(__file__).parents[2] / "recorded" / "graphs"


def recorded(name: str) -> dict[str, Any]:
    return json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))


def node_of(graph: dict[str, Any], op: str) -> str:
    return next(node["id"] for node in graph["nodes"] if node["op"] == op)


def work(name: str, **trace: Any) -> dict[str, Any]:
    one = recorded(name)
    return work_by_stage(
        Trace(batches=10, **trace), StageGraphs.of(one["written"], one["executed"], by_address=one["by_address"])
    )


def path_to(executed: StageGraph, family: str) -> tuple[str, str]:
    """An iterator's path as a trace has it, and the dataset it leads to."""
    place, path = executed.skip_options(executed.root or ""), "Iterator::Root"
    while True:
        node = executed.nodes[place]
        path += f"::{'ForeverRepeat' if node.family == 'Repeat' else node.family}"
        if node.family == family:
            return path, place
        place = executed.skip_options((*node.inputs, *node.bodies)[-1])
        path += "[0]" if node.bodies else ""


@pytest.mark.parametrize(
    ("name", "family"), [("generator", "Generator"), ("zip", "Zip"), ("map_batch", "Range"), ("interleave", "TFRecord")]
)
def test_an_iterator_is_found_by_its_path(name: str, family: str):
    executed = StageGraph.from_dict(recorded(name)["executed"])
    path, place = path_to(executed, family)
    assert iterator_place(executed, path) == place
    assert iterator_place(executed, f"{path}::Nothing") is None


def graph_of(root: str, *nodes: dict[str, Any]) -> StageGraph:
    graph: Any = {"reason": None, "options": {}, "keys": None, "root": root, "nodes": nodes}
    return StageGraph.from_dict(graph)


def test_equal_inputs_are_told_apart_by_the_number_in_the_path():
    ranges = [node(f"r{side}", "RangeDataset", f"r{side}") for side in "ab"]
    maps = [node(f"m{side}", "ParallelMapDatasetV2", f"m{side}", f"r{side}") for side in "ab"]
    executed = graph_of("z", *ranges, *maps, node("z", "ZipDataset", "z", "ma", "mb"))
    assert iterator_place(executed, "Iterator::Root::Zip[0]::ParallelMapV2") == "ma"
    assert iterator_place(executed, "Iterator::Root::Zip[1]::ParallelMapV2::Range") == "rb"
    assert iterator_place(executed, "Iterator::Root::Zip::ParallelMapV2") is None
    executed = graph_of("z", *ranges, *maps, node("z", "DirectedInterleaveDataset", "z", "ma", "mb"))
    assert iterator_place(executed, "Iterator::Root::DirectedInterleave::ParallelMapV2") == "ma"
    assert iterator_place(executed, "Iterator::Root::DirectedInterleave[0]::ParallelMapV2") == "mb"


def test_elements_that_a_function_was_given_are_read_by_what_it_makes_of_them():
    inside = node("b", "BatchDatasetV2", "b", owner="f")
    executed = graph_of(
        "f", node("w", "WindowDataset", "w"), inside, node("f", "FlatMapDataset", "f", "w", bodies=("b",))
    )
    assert iterator_place(executed, "Iterator::Root::FlatMap[3]::BatchV2") == "b"
    assert iterator_place(executed, "Iterator::Root::FlatMap[3]::BatchV2::Window") == "b"
    assert iterator_place(executed, "Iterator::Root::FlatMap[3]::BatchV2::Range") is None
    assert iterator_place(executed, "Iterator::Root::FlatMap::Window") == "w"


def test_a_helper_that_stands_in_an_iterators_place_is_the_same_dataset_and_counts_once():
    graph = recorded("cache")["executed"]
    executed = StageGraph.from_dict(graph)
    path, below = path_to(executed, "Range")
    cache = path[: path.index("::Cache")]
    asked = {
        f"{cache}::MemoryCache": 50,
        f"{cache}::MemoryCacheImpl": 50,
        path.replace("::Cache::", "::MemoryCacheImpl::"): 10,
    }
    elements = traced_elements(Trace(elements=asked), executed)
    assert elements == {node_of(graph, "CacheDatasetV2"): 50, below: 10}


def test_elements_of_a_stage_are_those_of_its_last_dataset():
    graph = recorded("generator")["executed"]
    path, _ = path_to(StageGraph.from_dict(graph), "FlatMap")
    assert work("generator", elements={path: 50, f"{path}[0]::Generator": 70})["source"].elements == 5.0


def test_ops_of_a_dataset_belong_to_its_stage_and_addresses_of_a_spec_stand_as_they_are():
    mapped = node_of(recorded("map_batch")["written"], "MapDataset")
    found = work("map_batch", work={f"in:{mapped}": TracedWork(50.0, 0.5, 0.1, 10.0, {"Mul": 40.0, "Add": 10.0})})
    (address,) = found
    assert (address, found[address].ms) == ("stages.0", 5.0)
    assert (found[address].computing, found[address].waiting, found[address].intra_op) == (0.5, 0.1, 0.2)
    assert [(op.op, op.ms_per_batch) for op in found[address].ops] == [("Mul", 4.0), ("Add", 1.0)]
    found = work("map_batch", work={"at:stages.0": TracedWork(10.0, ops={"Mul": 10.0})})
    assert (found["stages.0"].ms, found["stages.0"].computing) == (1.0, None)


def test_a_stages_functions_and_iterators_count_by_their_time():
    path, _ = path_to(StageGraph.from_dict(recorded("generator")["executed"]), "Generator")
    traced = {f"it:{path}": TracedWork(10.0, 1.0, 0.0), f"in:{GENERATOR}": TracedWork(30.0, 0.2, 0.4)}
    found = work("generator", work=traced)["source"]
    assert (found.at_work, found.computing, found.waiting) == pytest.approx((4.0, 0.4, 0.3))


def generator_work(*functions: TracedFunction, **trace: Any) -> Any:
    """What the stage of the recorded generator did in a second in which functions were sampled."""
    return work("generator", functions=functions, sampled_seconds=1.0, seconds=1.0, **trace)["source"]


GENERATOR = node_of(recorded("generator")["written"], "GeneratorDataset")


def test_python_functions_belong_to_the_stage_that_calls_them():
    found = generator_work(
        TracedFunction("pyfunc_0", "count", "a.py", 3, 0.3, 0.15, GENERATOR),
        TracedFunction("pyfunc_1", "lost", "a.py", 9, 0.1, 0.0),
        unattributed_ops={"PyFunc": 40.0, "Add": 1.0},
    )
    (function,) = found.python
    assert function.function == "count"
    assert (function.ms_per_batch, function.share, function.lock_share) == pytest.approx((30.0, 0.75, 0.5))
    # Calls that could be several stages' are the one's whose function was seen.
    assert [(op.op, op.ms_per_batch) for op in found.ops] == [("PyFunc", 4.0)]


def test_the_time_of_the_op_that_calls_functions_is_shared_out_among_them():
    """The sampler gets the lock when a short function returns, and sees a fifth of what it takes."""
    found = generator_work(
        TracedFunction("pyfunc_0", "count", "a.py", 3, 0.003, 0.0, GENERATOR, call_seconds=0.004),
        TracedFunction("pyfunc_0", "helper", "a.py", 9, 0.001, 0.0, GENERATOR, call_seconds=0.004),
        work={f"in:{GENERATOR}": TracedWork(40.0, ops={"PyFunc": 40.0})},
    )
    times = [(one.function, one.ms_per_batch, one.parent) for one in found.python]
    assert times == [("count", 3.0, "PyFunc"), ("helper", 1.0, "PyFunc")]


@pytest.mark.parametrize(("calls", "own_ms", "lines"), [(0, 3.0, [(4, 1.0)]), (100, 3.0, [(4, 1.0)]), (1000, 0.3, [])])
def test_a_short_call_has_what_was_sampled_and_no_line(calls: int, own_ms: float, lines: list[Any]):
    """Samples of a call of 40 µs are where the lock is handed over."""
    seen = TracedFunction("pyfunc_0", "count", "a.py", 3, 0.003, 0.0, GENERATOR, call_seconds=0.004, lines=[(4, 1.0)])
    called = TracedWork(40.0, ops={"PyFunc": 40.0}, python_calls=calls)
    (function,) = generator_work(seen, work={f"in:{GENERATOR}": called}).python
    assert (function.ms_per_batch, function.lines) == (pytest.approx(own_ms), lines)


def test_the_model_of_the_trace_window_counts_what_the_trace_leaves_out():
    one = recorded("map_batch")
    found = work("map_batch", model=(one["snapshots"][0], one["snapshots"][-1]))
    assert (found["stages.0"].model_ms or 0.0) > 0.0
    assert found["stages.0"].model_ms == found["stages.1"].model_ms
