"""A tf.data service in the graph: what its dataset says, and the stages that its workers run."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.graph.align import StageGraphs
from pipeprof.pipelines.graph.read.records import UNKNOWN, ServiceFacts, compression, service_facts
from pipeprof.profiles.time.stage_notes import describe_service, service_words, with_workers
from pipeprof.profiles.time.stage_table import explain_stages

from .test_naming import node

READS = {"address": "h1:5000", "protocol": "grpc", "processing_mode": "\x08\x01", "job_name": "", "num_consumers": -1}


def test_the_arguments_of_a_reader_say_what_it_reads() -> None:
    facts = service_facts({**READS, "consumer_index": -1, "max_outstanding_requests": 8})
    assert facts == ServiceFacts("h1:5000", "DYNAMIC", max_outstanding_requests=8)
    assert facts.shares == ()
    assert service_facts({}).mode is None
    assert service_facts({"processing_mode": ""}).mode == "OFF"
    facts = service_facts({**READS, "job_name": "train", "num_consumers": 2, "cross_trainer_cache_options": "\n\x01a"})
    assert facts.shares == ("job_name", "num_consumers", "cross_trainer_cache")


@pytest.mark.parametrize(
    ("message", "found"), [(b"\x10\x01", None), (b"\x0a\x00\x10\x02", "AUTO"), (b"\x10\x03", "SNAPPY"), (b"", UNKNOWN)]
)
def test_how_elements_are_packed_is_in_the_metadata(message: bytes, found: str | None) -> None:
    assert compression(message) == found


def test_what_another_process_registered_is_said_to_be_unknown() -> None:
    nodes = [
        node("reader", "DataServiceDatasetV4", None, arguments=READS),
        node("ahead", "PrefetchDataset", None, "reader"),
    ]
    whole: Any = {"root": "ahead", "reason": None, "nodes": nodes}
    rows, _ = explain_stages(StageGraphs.of(whole, whole, by_address=False), batches=1)
    row = with_workers(rows, {"h1:5000": 2})[0]
    assert (row.service.address, row.service.processing_mode) == ("h1:5000", "DYNAMIC")
    assert describe_service(row.service) == "the tf.data service at h1:5000 (2 workers)"
    assert row.executed == service_words(row.service)
    assert row.executed.endswith("its stages are n/a: registered by another process")
