"""Names of files that differ are said where something looks at them."""

from __future__ import annotations

from pipeprof.pipelines.describe.plain_graph import PlainGraph, PlainNode
from pipeprof.pipelines.describe.renamed import renamed_files


def node(op: str, *inputs: str, **attributes: object) -> PlainNode:
    return {"op": op, "inputs": list(inputs), "attributes": attributes, "functions": {}}


def graph(name: bytes, *ops: str, types: tuple[int, ...] = (3,)) -> PlainGraph:
    nodes = {
        "names": node("Const", value=("string", (1,), (name,))),
        "slices": node("TensorSliceDataset", "names:0"),
        "root": node("MapDataset", "slices", output_types=types),
    }
    body = {"arguments": [], "nodes": {op: node(op) for op in ops}, "returns": [], "controls": []}
    return {"root": "root:0", "nodes": nodes, "functions": {"f": body}}


def renamed(first: PlainGraph, second: PlainGraph) -> bool:
    return renamed_files(first, second, "input.py:train") is not None


def test_names_that_are_only_read_may_differ():
    assert not renamed(graph(b"a.jpg", "ReadFile"), graph(b"/data/a.jpg", "ReadFile"))


def test_names_that_are_cut_or_given_are_said():
    assert renamed(graph(b"a.jpg", "StringSplitV2"), graph(b"/data/a.jpg", "StringSplitV2"))
    assert renamed(graph(b"a.jpg", types=(3, 7)), graph(b"/data/a.jpg", types=(3, 7)))
    assert not renamed(graph(b"/data/a.jpg", "StringSplitV2"), graph(b"/data/a.jpg", "StringSplitV2"))


def test_graphs_that_could_not_be_read_say_nothing():
    assert renamed_files("too large", graph(b"a"), "input.py:train") is None
