"""Graphs are the same when structure, ops and arguments are, whatever their nodes are called."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

from pipeprof.pipelines.graph.compare import PlainFunction, PlainGraph, PlainNode, differences
from pipeprof.profiles.worker.source.plain_graphs import structure_of, texts_of


def node(op: str, *inputs: str, functions: dict[str, list[str]] | None = None, **attributes: Any) -> PlainNode:
    return {"op": op, "inputs": list(inputs), "attributes": attributes, "functions": functions or {}}


def const(value: Any, dtype: str = "int64") -> PlainNode:
    return node("Const", value=(dtype, (), value))


def named(text: str) -> bytes:
    return bytes([0x0A, len(text)]) + text.encode()


def graph(
    nodes: dict[str, PlainNode], functions: dict[str, PlainFunction] | None = None, root: str = "root"
) -> PlainGraph:
    return {"root": root, "nodes": nodes, "functions": functions or {}}


def batches(size: bytes, prefix: str = "") -> PlainGraph:
    nodes = {
        f"{prefix}range": node("RangeDataset", metadata=named("source")),
        f"{prefix}size": const(size),
        "root": node("BatchDatasetV2", f"{prefix}range", f"{prefix}size", metadata=named("stages_0")),
    }
    return graph(nodes)


def test_names_do_not_count():
    assert differences(batches(b"8"), batches(b"8", "other_")) == []


def test_whether_a_map_ends_the_dataset_does_not_count():
    one, other = (graph({"root": node("MapDataset", preserve_cardinality=kept)}) for kept in (True, False))
    assert differences(one, other) == []


def test_another_argument_is_found_at_its_stage():
    found = differences(batches(b"8"), batches(b"9"))
    assert [(one.node, one.what) for one in found] == [("stages_0", "a constant: b'8' in A, b'9' in B")]


def test_constants_that_are_no_text_are_told_by_what_they_are():
    one, other = (
        graph({"root": node("Const", value=("float32", (256, 2), value), metadata=named("source"))})
        for value in (b"\xff\x01", b"\xfe\x01")
    )
    assert [found.what for found in differences(one, other)] == ["a constant: float32 [256, 2], with different values"]


def test_only_another_seed_is_that():
    def shuffled(seed: int) -> PlainGraph:
        nodes = {
            "range": node("RangeDataset", metadata=named("source")),
            "size": const(b"8"),
            "seed": const((5).to_bytes(8, "little")),
            "seed2": const(seed.to_bytes(8, "little")),
            "generator": const("x", "resource"),
            "root": node("ShuffleDatasetV3", "range", "size", "seed", "seed2", "generator", metadata=named("stages_0")),
        }
        return graph(nodes)

    assert differences(shuffled(3), shuffled(3)) == []
    (found,) = differences(shuffled(3), shuffled(4))
    assert (found.node, found.seed) == ("stages_0", 3)
    assert found.what == "random seed: 3 in A, 4 in B"


def test_another_op_is_found():
    other = batches(b"8")
    other["nodes"]["range"] = node("TensorDataset", metadata=named("source"))
    found = differences(batches(b"8"), other)
    assert [(one.node, one.what) for one in found] == [("source", "RangeDataset in A, TensorDataset in B")]


def mapped(function: PlainFunction, *captured: PlainNode) -> PlainGraph:
    nodes = {
        "range": node("RangeDataset"),
        **{f"captured{index}": each for index, each in enumerate(captured)},
        "root": node(
            "MapDataset",
            "range",
            *(f"captured{index}" for index in range(len(captured))),
            functions={"f": ["body"]},
            Targuments=[9] * len(captured),
            metadata=named("stages_0"),
        ),
    }
    return graph(nodes, {"body": function})


def body(nodes: dict[str, PlainNode], result: str, *arguments: str) -> PlainFunction:
    return {"arguments": list(arguments), "nodes": nodes, "returns": [result], "controls": []}


def test_a_captured_constant_is_as_good_as_one_inside():
    inside = body({"two": const(b"2"), "mul": node("Mul", "x", "two:output:0")}, "mul:z:0", "x")
    outside = body({"Mul_1": node("Mul", "x", "y"), "pass": node("Identity", "Mul_1:z:0")}, "pass:output:0", "x", "y")
    assert differences(mapped(outside, const(b"2")), mapped(inside)) == []
    found = differences(mapped(outside, const(b"3")), mapped(inside))
    assert [one.node for one in found] == ["stages_0"]


def test_operands_in_another_order_are_found():
    one = body({"sub": node("Sub", "x", "y")}, "sub:z:0", "x", "y")
    other = body({"sub": node("Sub", "y", "x")}, "sub:z:0", "x", "y")
    assert [found.what for found in differences(mapped(one), mapped(other))] == [
        "different inputs: component 0 in A, component 1 in B",
        "different inputs: component 1 in A, component 0 in B",
    ]


def test_paths_to_the_same_file_are_the_same():
    def files(*names: bytes) -> PlainGraph:
        return graph(
            {"names": node("Const", value=("string", (2,), names)), "root": node("TensorSliceDataset", "names")}
        )

    assert differences(files(b"/a/b.jpg", b"/a/c.jpg"), files(b"/a/./b.jpg", b"/a/d/../c.jpg")) == []
    assert len(differences(files(b"/a/b.jpg", b"/a/c.jpg"), files(b"/a/b.jpg", b"/a/d.jpg"))) == 1


def test_a_function_that_also_writes_is_another_one():
    quiet = body({"add": node("Add", "x", "x")}, "add:z:0", "x")
    loud = {**body({"add": node("Add", "x", "x"), "print": node("PrintV2")}, "add:z:0", "x"), "controls": ["print"]}
    assert len(differences(mapped(quiet), mapped(loud))) == 1


def test_texts_of_a_stored_tensor():
    long = b"x" * 200
    assert list(texts_of(bytes([1, 0, 0xC8, 0x01]) + b"a" + long, 3)) == [b"a", b"", long]
    assert list(texts_of(b"", 0)) == []


def shuffled_twice(*names: str, reshuffle: bool = True) -> PlainGraph:
    nodes = {"range": node("RangeDataset")}
    for index, name in enumerate(names):
        nodes[f"state{index}"] = node("Const", value=("resource", (), name))
        inputs = ("range", f"state{index}")
        nodes[f"shuffle{index}"] = node(
            "ShuffleDatasetV3", *inputs, reshuffle_each_iteration=reshuffle, metadata=named(f"stages_{index}")
        )
    return graph({**nodes, "root": node("ZipDataset", "shuffle0", "shuffle1")})


def test_a_state_that_is_shared_is_shared_in_both():
    once, twice = shuffled_twice("a/1", "a/1"), shuffled_twice("a/1", "a/2")
    assert differences(once, shuffled_twice("a/3", "a/3")) == []
    assert differences(twice, shuffled_twice("a/4", "a/5")) == []
    for first, second in ((once, twice), (twice, once)):
        (found,) = differences(first, second)
        assert found.what == "a: shared by several datasets in A, separate in B"
        assert found.node in ("stages_0", "stages_1")
    fixed = (shuffled_twice("a/1", "a/1", reshuffle=False), shuffled_twice("a/1", "a/2", reshuffle=False))
    assert differences(*fixed) == []


def test_differences_come_from_the_source_on():
    one, other = batches(b"8"), batches(b"9")
    other["nodes"]["range"] = node("TensorDataset", metadata=named("source"))
    assert [found.node for found in differences(one, other)] == ["source", "stages_0"]


def test_tables_of_functions_need_not_be_shared():
    looked = body({"find": node("LookupTableFindV2", "table", "x")}, "find:values:0", "x", "table")

    def tables(*names: str) -> PlainGraph:
        one = mapped(looked, node("Const", value=("resource", (), names[0])))
        one["nodes"]["again"] = node(
            "MapDataset", "root", "other", functions={"f": ["body"]}, Targuments=[20], metadata=named("stages_1")
        )
        one["nodes"]["other"] = node("Const", value=("resource", (), names[1]))
        return {**one, "root": "again"}

    assert differences(tables("t/1", "t/1"), tables("t/2", "t/3")) == []


def test_the_structure_of_an_element_in_words():
    class Spec:
        pass

    assert structure_of({"b": (Spec(), [1]), "a": Spec()}) == "{a: Spec, b: (Spec, list)}"
    assert structure_of(namedtuple("Point", "x y")(Spec(), None)) == "Point(Spec, NoneType)"


def csv_lines(shape: tuple[int, ...], value: bytes = b"\0\0\0\0", dtype: str = "float32", op: str = "DecodeCSV"):
    default = node("Const", value=(dtype, shape, value))
    return graph({"lines": node("TextLine"), "default": default, "root": node(op, "lines", "default")})


def test_the_default_of_a_column_may_be_a_list_of_one():
    assert differences(csv_lines((1,)), csv_lines(())) == []
    # An empty list is another thing: the column must have a value.
    for other in (csv_lines((0,), b""), csv_lines((), b"\0\0\x80?"), csv_lines((), dtype="int32")):
        assert len(differences(csv_lines((1,)), other)) == 1
    assert len(differences(csv_lines((1,), op="AddV2"), csv_lines((), op="AddV2"))) == 1
