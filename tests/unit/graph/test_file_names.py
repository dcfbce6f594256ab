"""Names of files and arguments of readers in a graph, as TensorFlow writes them."""

from __future__ import annotations

from collections import defaultdict
from types import SimpleNamespace
from typing import Any

from pipeprof.pipelines.graph.read.file_names import UNKNOWN, file_names, reader_arguments
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, dataset_node

TEXTS, NUMBERS = 7, 9


def node(name: str, op: str, *inputs: str, **attributes: Any) -> Any:
    attr: Any = defaultdict(lambda: SimpleNamespace(b=False, type=0))
    attr.update({key: SimpleNamespace(**value) for key, value in attributes.items()})
    return SimpleNamespace(name=name, op=op, input=list(inputs), attr=attr)


def constant(name: str, *values: Any) -> Any:
    texts = all(isinstance(value, str) for value in values)
    tensor = SimpleNamespace(
        tensor_shape=SimpleNamespace(unknown_rank=False, dim=[]),
        string_val=[value.encode() for value in values] if texts else [],
        int64_val=[] if texts else list(values),
        int_val=[],
        bool_val=[],
        tensor_content=b"",
    )
    return node(name, "Const", dtype={"type": TEXTS if texts else NUMBERS}, value={"tensor": tensor})


def graph(*nodes: Any, **functions: list[Any]) -> Any:
    library = [SimpleNamespace(signature=SimpleNamespace(name=name), node_def=body) for name, body in functions.items()]
    return SimpleNamespace(node=list(nodes), library=SimpleNamespace(function=library))


def names_of(*nodes: Any) -> dict[str, list[str]]:
    def texts(tensor: Any) -> list[str]:
        return [text.decode() for text in tensor.string_val]

    return file_names(graph(*nodes), texts, lambda text: text.endswith(".csv"))


def test_a_list_that_a_reader_was_given_is_names() -> None:
    listed = node("files", "TensorSliceDataset", "names", is_files={"b": True})
    assert names_of(constant("names", "a", "b"), listed) == {"files": ["a", "b"]}


def test_texts_are_names_where_they_are_files() -> None:
    tables, labels = constant("tables", "a.csv", "b.csv"), constant("labels", "cat", "dog")
    for inputs in (["tables"], ["labels", "tables"], ["tables:0", "labels", "^tables"]):
        assert names_of(tables, labels, node("slices", "TensorSliceDataset", *inputs)) == {"slices": ["a.csv", "b.csv"]}
    assert names_of(labels, node("slices", "TensorSliceDataset", "labels")) == {}
    assert names_of(tables, node("whole", "TensorDataset", "tables")) == {}
    assert names_of(tables, node("rows", "CSVDatasetV2", "tables")) == {"rows": ["a.csv", "b.csv"]}


def arguments_of(*body: Any) -> dict[str, dict[str, Any]]:
    reader: NodeDict = dataset_node("read::one::reader", "FixedLengthRecordDatasetV2", [], "read", 1)
    drawn: GraphDict = {"root": "read", "reason": None, "nodes": [dataset_node("read", "FlatMapDataset", []), reader]}
    return reader_arguments(graph(one=list(body)), drawn, lambda _: ["filenames", "header_bytes", "compression_type"])


def test_arguments_of_a_reader_stand_beside_it() -> None:
    reader = node("reader", "FixedLengthRecordDatasetV2", "file", "header:output:0", "packed:output:0")
    assert arguments_of(reader, constant("header", 4), constant("packed", "GZIP")) == {
        "read::one::reader": {"header_bytes": 4, "compression_type": "GZIP"}
    }
    assert arguments_of(reader, constant("packed", "")) == {
        "read::one::reader": {"header_bytes": UNKNOWN, "compression_type": ""}
    }
    nothing = constant("packed", "x")
    nothing.attr["value"].tensor.string_val = []
    assert arguments_of(reader, nothing)["read::one::reader"]["compression_type"] == ""
    assert arguments_of() == {}
