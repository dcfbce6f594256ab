"""What hosts read of a function, from the graphs that it makes for them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.graph.read.file_names import UNKNOWN
from pipeprof.pipelines.graph.read.records import GraphDict, NodeDict, PlaceDict, dataset_node
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.advise.static import hosts_advice
from pipeprof.profiles.document.sharding import Sharding
from pipeprof.profiles.hosts.called import view_for_hosts
from pipeprof.profiles.hosts.files import GraphFiles, SourceFile, count_records
from pipeprof.profiles.protocol.source import HostGraph, HostsAnswer, packed

READER = "read::one::reader"


def place(line: int) -> PlaceDict:
    return {
        "file": "train.py", "line": line, "column": None, "call": None, "function": "make", "callers": [],
        "given": None, "library": None, "made": None,
    }  # fmt: skip


def graph(names: list[str], *above: NodeDict, shard: int | None = None, readers: Any = None) -> HostGraph:
    """Lines of files in batches of two; with a shard of the names if wanted."""
    source: Any = dataset_node("names", "TensorSliceDataset", []) | {"files": shard is None, "length": len(names)}
    parts: Any = dataset_node("shard", "ShardDataset", ["names"]) | {"arguments": {"num_shards": shard, "index": 0}}
    read: Any = dataset_node("read", "InterleaveDataset", ["names" if shard is None else "shard"])
    read |= {"functions": ["one"], "calls": ["one"], "bodies": [READER]}
    reader: Any = dataset_node(READER, "TextLineDataset", [], "read", 1)
    batch: Any = dataset_node("batch", "BatchDatasetV2", ["read"]) | {"arguments": {"batch_size": 2}}
    nodes = [source, *([parts] if shard is not None else []), read, reader, batch, *above]
    written: GraphDict = {"root": nodes[-1]["id"], "reason": None, "nodes": nodes, "options": {}, "keys": ["0"]}
    return HostGraph(
        packed(written), packed({"read": place(7), "batch": place(9)}), {"names": names}, {READER: readers or {}}
    )


def files(folder: Path, *lines: int) -> list[str]:
    """Files with so many lines each."""
    for number, count in enumerate(lines):
        (folder / f"{number}.txt").write_text("line\n" * count, encoding="utf-8")
    return [str(folder / f"{number}.txt") for number in range(len(lines))]


def told(answer: HostsAnswer, hosts: int) -> Sharding:
    found = view_for_hosts(answer, hosts, cores=2.0).sharding
    assert found is not None
    return found


def column(sharding: Sharding, name: str) -> list[int | None]:
    return [getattr(share, name) for share in sharding.shares]


def test_files_of_the_graph_are_dealt_out(tmp_path: Path) -> None:
    names = files(tmp_path, 2, 4, 6)
    found = told(HostsAnswer([graph(names)]), 3)
    assert (found.policy, found.applied, found.files, found.bytes, found.amplification) == ("AUTO", "FILE", 3, 60, 1.0)
    assert column(found, "records") == [2, 4, 6]
    found = told(HostsAnswer([graph(names)], "DATA"), 3)
    assert (found.applied, found.amplification) == ("DATA", 3.0)
    assert told(HostsAnswer([graph(names)]), 4).fails is not None


def test_a_context_is_the_only_division(tmp_path: Path) -> None:
    names = files(tmp_path, 2, 4, 6, 8)
    found = told(HostsAnswer([graph(names, shard=2)], context=True), 2)
    assert (found.policy, found.applied, found.why, found.amplification) == ("OFF", "own", None, 1.0)
    assert column(found, "records") == [8, 12]
    assert told(HostsAnswer([graph(names, shard=2)]), 2).why is not None


def test_hosts_that_name_their_files_are_called_one_by_one(tmp_path: Path) -> None:
    names = files(tmp_path, 2, 4, 6, 8)
    parts = [graph(names[index::2]) for index in range(2)]
    found = told(HostsAnswer(parts, context=True), 2)
    assert (found.applied, found.at, found.files, found.bytes, found.amplification) == ("own", [], 4, 100, 1.0)
    assert (column(found, "files"), column(found, "records"), column(found, "steps")) == ([2, 2], [8, 12], [4, 6])
    some = told(HostsAnswer(parts, context=True), 40)
    assert (some.files, some.amplification) == (None, None)
    assert some.unknown == ["the function was called for the first 2 hosts alone"]


def test_hosts_that_get_the_same_files_divide_nothing(tmp_path: Path) -> None:
    names = files(tmp_path, 2, 4)
    found = told(HostsAnswer([graph(names)] * 2, context=True), 2)
    assert (found.applied, found.amplification) == ("OFF", 2.0)
    assert found.why == "the function gets an InputContext, and gives all hosts the same files"


def test_rules_name_the_lines_of_the_function(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    path.write_text("def make(): ...\n", encoding="utf-8")
    late: Any = dataset_node("late", "ShardDataset", ["batch"]) | {"arguments": {"num_shards": 3, "index": 0}}
    answer = HostsAnswer([graph(files(tmp_path, 2, 2, 2), late)], notes=[("flags", "said")])
    advice = hosts_advice(parse_target(f"{path}:make"), answer, 3, cores=2.0)
    assert [finding.rule for finding in advice.findings or []] == ["shard-after-read"]
    assert [message.message for message in advice.messages] == ["said"]
    assert [(stage.op, stage.location and stage.location.line) for stage in advice.stages or []] == [
        ("list_files", None), ("interleave", 7), ("TextLineDataset", None), ("batch", 9), ("shard", None),
    ]  # fmt: skip


@pytest.mark.parametrize("arguments", [{"compression_type": UNKNOWN}, {"record_bytes": UNKNOWN, "header_bytes": 0}])
def test_records_of_a_reader_with_unknown_arguments_are_not_counted(arguments: dict[str, Any]) -> None:
    assert count_records([SourceFile(__file__, 10)], "FixedLengthRecordDataset", arguments) is None


def test_files_are_those_of_the_graph(tmp_path: Path) -> None:
    found = GraphFiles({"source": [*files(tmp_path, 1), "gs://bucket/2.txt"]})
    assert [file.bytes for file in found.of("source") or []] == [5, None]
    assert found.names_files("source")
    assert found.of("stages.0") is None
    assert not found.names_files("stages.0")
