"""A tf.data service in the graph: what its dataset says, and the stages that its workers run."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.read.records import (
    UNKNOWN,
    GraphDict,
    NodeDict,
    ServiceFacts,
    compression,
    dataset_node,
    service_facts,
)
from pipeprof.profiles.time.stage_notes import describe_service, service_words, with_workers
from pipeprof.profiles.time.stage_table import explain_stages

READS = {"address": "h1:5000", "protocol": "grpc", "processing_mode": "\x08\x01", "job_name": "", "num_consumers": -1}


def test_the_arguments_of_a_reader_say_what_it_reads() -> None:
    facts = service_facts({**READS, "consumer_index": -1, "max_outstanding_requests": 8})
    assert facts == ServiceFacts("h1:5000", "DYNAMIC", max_outstanding_requests=8)
    assert facts.shares == ()
    assert service_facts({}).mode is None
    assert service_facts({"processing_mode": ""}).mode == "OFF"


def test_a_reader_of_what_others_read_shares_it() -> None:
    facts = service_facts({**READS, "job_name": "train", "num_consumers": 2, "cross_trainer_cache_options": "\n\x01a"})
    assert facts.shares == ("job_name", "num_consumers", "cross_trainer_cache")


@pytest.mark.parametrize(
    ("message", "found"), [(b"\x10\x01", None), (b"\x0a\x00\x10\x02", "AUTO"), (b"\x10\x03", "SNAPPY"), (b"", UNKNOWN)]
)
def test_how_elements_are_packed_is_in_the_metadata(message: bytes, found: str | None) -> None:
    assert compression(message) == found


def node(identity: str, op: str, *inputs: str, key: str | None = None, **arguments: object) -> NodeDict:
    return {**dataset_node(identity, op, list(inputs)), "key": key, "name": key, "arguments": arguments}


def read_from_service(*, known: bool) -> StageGraphs:
    """``range → batch → distribute → prefetch``: the executed graph lacks what the workers run."""
    remote = [node("reader@workers/0", "RangeDataset"), node("reader@workers/1", "BatchDatasetV2", "reader@workers/0")]
    reader = node("reader", "DataServiceDatasetV4", *(["reader@workers/1"] if known else []), **READS)
    unpack = node("unpack", "ParallelMapDatasetV2", "reader")
    unpack["function"] = {
        "ops": ["UncompressElement"], "constant_bytes": 0, "python": False, "random": False, "elementwise": None,
        "reads": None, "passes": [],
    }  # fmt: skip
    unpack["functions"] = ["uncompress_1"]
    line = [reader, unpack, node("ahead", "PrefetchDataset", "unpack")]

    def graph(nodes: list[NodeDict]) -> GraphDict:
        return {"root": "ahead", "reason": None, "nodes": nodes}

    written = graph([*(remote if known else []), *line])
    executed = graph([{**line[0], "inputs": []}, *line[1:]])
    return StageGraphs.of(written, executed, by_address=False)


def test_what_the_workers_run_is_written_but_not_executed() -> None:
    graphs = read_from_service(known=True)
    assert graphs.written.remote == {"reader@workers/0", "reader@workers/1"}
    rows, _ = explain_stages(graphs, batches=1)
    assert [(row.id, row.op, row.remote, row.executed) for row in rows[:2]] == [
        ("source", "range", True, "on the workers"),
        ("stages.0", "batch", True, "on the workers"),
    ]
    assert [(row.id, row.op, row.remote) for row in rows[2:]] == [
        ("stages.1", "distribute", False),
        ("stages.2", "prefetch", False),
    ]
    assert rows[2].service is not None
    assert (rows[2].service.address, rows[2].service.processing_mode, rows[2].service.known) == (
        "h1:5000",
        "DYNAMIC",
        True,
    )


def test_what_another_process_registered_is_said_to_be_unknown() -> None:
    rows, _ = explain_stages(read_from_service(known=False), batches=1)
    row = with_workers(rows, {"h1:5000": 2})[0]
    assert row.service is not None
    assert describe_service(row.service) == "the tf.data service at h1:5000 (2 workers)"
    assert row.executed == service_words(row.service)
    assert row.executed.endswith("its stages are n/a: registered by another process")
