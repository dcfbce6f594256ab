"""Graphs of thousands of datasets are read with loops: Python's limit of nested calls does not limit pipelines."""

import sys

import pytest

from pipeprof.pipelines.graph.align import join, match
from pipeprof.pipelines.graph.costs.costs import Costs
from pipeprof.pipelines.graph.costs.unobserved import calls_per_batch
from pipeprof.pipelines.graph.elements import cardinalities, component_names, final_elements
from pipeprof.pipelines.graph.observe.reading import shapes
from pipeprof.pipelines.graph.read.records import dataset_node
from pipeprof.pipelines.graph.stages import StageGraph

from .conftest import iterator

LONG = 3000


@pytest.fixture(autouse=True)
def _usual_limit():
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(1000)
    yield
    sys.setrecursionlimit(limit)


def long_graph():
    """A range and maps after it, the last one first, as the worst order for whoever works from the inputs on."""
    nodes = [dataset_node(f"map{number}", "MapDataset", [f"map{number - 1}"]) for number in range(LONG, 1, -1)]
    nodes += [dataset_node("map1", "MapDataset", ["range"]), dataset_node("range", "RangeDataset", [])]
    for node in nodes:
        node["output_types"], node["output_shapes"], node["functions"] = ["int64"], [[]], ["f"]
    nodes[-1]["arguments"] = {"start": 0, "stop": 7, "step": 1}
    return StageGraph.from_dict({"root": f"map{LONG}", "reason": None, "nodes": nodes})


def long_model():
    names = ["Root", *["Map"] * LONG, "Range"]
    nodes = [
        iterator(number, name, *[number + 1] * (number < LONG + 1), elements=5) for number, name in enumerate(names)
    ]
    return {"output": 0, "nodes": nodes, "ram_budget": 1.0}


def test_facts_that_follow_from_the_inputs():
    graph = long_graph()
    assert set(cardinalities(graph).values()) == {7}
    assert set(shapes(graph).values()) == {((),)}
    assert final_elements(graph) is not None
    assert len(component_names(graph)) == LONG + 1
    assert calls_per_batch(graph, Costs(), {}, 1)["map1"] == 1.0


def test_a_model_is_matched_to_its_graph():
    graph = long_graph()
    assert len(join(graph, graph).executed) == LONG + 1
    found = match(graph, long_model())
    assert found.unattributed == ()
    assert found.places[1] == f"map{LONG}"
    assert found.places[LONG + 1] == "range"
