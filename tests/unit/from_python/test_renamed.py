"""Names of files that differ are said where something looks at them."""

from __future__ import annotations

from pipeprof.pipelines.from_python.compare import PlainFunction, PlainGraph, PlainNode, renamed_files


def node(op: str, *inputs: str, functions: dict[str, list[str]] | None = None, **attributes: object) -> PlainNode:
    return {"op": op, "inputs": list(inputs), "attributes": attributes, "functions": functions or {}}


def body(op: str, returns: str) -> PlainFunction:
    nodes = {"made": node(op, "name"), "same": node("Identity", "name")}
    return {"arguments": ["name"], "nodes": nodes, "returns": [returns], "controls": []}


def graph(name: bytes, op: str, returns: str = "made:0", types: tuple[int, ...] = (3,)) -> PlainGraph:
    nodes = {
        "names": node("Const", value=("string", (1,), (name,))),
        "slices": node("TensorSliceDataset", "names:0"),
        "shuffled": node("ShuffleDatasetV3", "slices:0", output_types=(7,)),
        "root": node("MapDataset", "shuffled:0", functions={"f": ["f"]}, output_types=types),
    }
    return {"root": "root:0", "nodes": nodes, "functions": {"f": body(op, returns)}}


def renamed(op: str, returns: str = "made:0", types: tuple[int, ...] = (3,), first: bytes = b"a.jpg") -> bool:
    said = renamed_files(graph(first, op, returns, types), graph(b"/data/a.jpg", op, returns, types), "input.py:train")
    return said is not None


def test_names_that_are_only_read_may_differ():
    assert not renamed("ReadFile")
    # Lines of the files are texts, too.
    assert not renamed("TextLineDataset", types=(7,))


def test_names_that_are_cut_or_returned_are_said():
    assert renamed("StringSplitV2")
    assert renamed("ReadFile", "same:0", (7,))
    assert renamed("ReadFile", "name", (3, 7))
    assert not renamed("StringSplitV2", first=b"/data/a.jpg")


def test_a_function_inside_of_another_one_looks_too():
    first, second = (graph(name, "PartitionedCall") for name in (b"a.jpg", b"/data/a.jpg"))
    for each in (first, second):
        each["functions"]["f"]["nodes"]["made"]["functions"]["f"] = ["inner"]
        each["functions"]["inner"] = body("StaticRegexReplace", "made:0")
    assert renamed_files(first, second, "input.py:train") is not None


def test_graphs_that_could_not_be_read_say_nothing():
    assert renamed_files("too large", graph(b"a", "ReadFile"), "input.py:train") is None
