"""What stages do between two looks at TensorFlow's model."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.graph.read.records import ModelDict, ModelNodeDict, ParameterDict
from pipeprof.profiles.view.running import running_stages

WRITTEN = [("list_files", "", "spec.yaml:4"), ("map", "decode", "spec.yaml:10"), ("batch", "", "spec.yaml:12")]


def parameter(value: float) -> ParameterDict:
    return {"state_value": value, "value": 1.0, "min": 1.0, "max": 16.0, "tunable": True}


def iterator(
    identity: int, name: str, *inputs: int, elements: int = 0, ms: float = 0.0, **more: float
) -> ModelNodeDict:
    return {
        "id": identity,
        "name": name,
        "autotune": True,
        "num_elements": elements,
        "processing_time": round(1e6 * ms),
        "bytes_consumed": 0,
        "bytes_produced": 0,
        "buffered_bytes": round(more.pop("nbytes", 0)),
        "buffered_elements": round(more.pop("held", 0)),
        "parameters": {name: parameter(value) for name, value in more.items()},
        "ratio": 1.0,
        "inputs": list(inputs),
        "node_class": "known_ratio",
    }


def look(batches: int) -> ModelDict:
    """A pipeline with two parallel calls, a prefetch of TensorFlow's, and the marks of its options."""
    nodes = [
        iterator(0, "Root", 1),
        iterator(1, "Model", 2),
        iterator(2, "Prefetch", 3, elements=batches, held=2, nbytes=200, buffer_size=4),
        iterator(3, "BatchV2", 4, elements=batches, ms=batches),
        iterator(4, "ParallelMapV2", 5, elements=32 * batches, ms=64 * batches, held=3, nbytes=30, parallelism=2),
        iterator(5, "TensorSlice", elements=32 * batches),
    ]
    return {"output": 0, "nodes": nodes, "gap_times_us": [], "cpu_budget": 2.0, "ram_budget": 1e9}


def test_stages_are_in_the_order_of_their_data_with_the_rates_between_two_looks() -> None:
    source, decode, batch, prefetch = running_stages(look(30), look(10), 2.0, WRITTEN)
    assert (decode.name, decode.place) == ("decode", "spec.yaml:10")
    assert decode.per_second == pytest.approx(320.0)
    # 64 ms of two threads for each of ten batches a second.
    assert decode.busy == pytest.approx(0.64)
    assert (decode.calls, decode.held, decode.room, decode.bytes) == (2.0, 3, None, 30)
    assert (batch.name, batch.per_second) == ("batch", pytest.approx(10.0))
    assert (prefetch.name, prefetch.place, prefetch.held, prefetch.room) == ("prefetch", "", 2, 4.0)
    assert source.calls is None


def test_an_iterator_that_has_ended_takes_the_rates_of_all_that_it_read_with_it() -> None:
    found = running_stages(look(2), look(30), 1.0, WRITTEN)
    assert {(stage.per_second, stage.busy) for stage in found} == {(None, None)}
    # The one below the batch began again, and has come further than the last one since.
    mixed = look(40)
    mixed["nodes"][4]["processing_time"] = 0
    source, decode, batch, prefetch = running_stages(mixed, look(30), 1.0, WRITTEN)
    assert (source.per_second, decode.per_second) == (None, None)
    assert (batch.per_second, prefetch.per_second) == (10.0, 10.0)


def test_the_first_look_has_no_rates() -> None:
    assert {stage.per_second for stage in running_stages(look(30), None, 0.0, WRITTEN)} == {None}
    assert {stage.busy for stage in running_stages(look(30), look(30), 0.0, WRITTEN)} == {None}


def test_a_stage_whose_iterator_has_ended_meanwhile_has_no_rate() -> None:
    """The source of a part that is repeated: its next iterator may have given more by now than the one before had."""
    after = look(30)
    (old,) = [node for node in after["nodes"] if node["name"] == "TensorSlice"]
    old["id"] = 6
    next(node for node in after["nodes"] if node["id"] == 4)["inputs"] = [6]
    source, *others = running_stages(after, look(10), 2.0, WRITTEN)
    assert (source.per_second, source.busy) == (None, None)
    assert None not in {stage.per_second for stage in others}


def test_an_iterator_that_began_meanwhile_counts_from_its_begin() -> None:
    after = look(30)
    after["nodes"].append(iterator(6, "TensorSlice", elements=100))
    next(node for node in after["nodes"] if node["id"] == 4)["inputs"].append(6)
    source, *_ = running_stages(after, look(10), 2.0, WRITTEN)
    assert source.per_second == pytest.approx((32 * 20 + 100) / 2)


def test_a_name_is_given_only_where_it_is_clear_whose_it_is() -> None:
    twice = [*WRITTEN, ("map", "augment", "spec.yaml:11")]
    assert [stage.name for stage in running_stages(look(1), None, 0.0, twice)][1] == "map"


def test_a_fused_stage_has_the_names_of_its_parts() -> None:
    nodes = [
        iterator(0, "Root", 1),
        iterator(1, "MapAndBatch", 2, elements=9, parallelism=2),
        iterator(2, "Range", elements=2),
    ]
    model: ModelDict = {"output": 0, "nodes": nodes, "gap_times_us": [], "cpu_budget": 2.0, "ram_budget": 1e9}
    _, fused = running_stages(model, None, 0.0, WRITTEN)
    assert (fused.name, fused.place) == ("decode+batch", "spec.yaml:10")


def test_inner_iterators_of_one_kind_are_one_stage() -> None:
    nodes = [
        iterator(0, "Root", 1),
        iterator(1, "ParallelInterleaveV4", 2, 3, 4, elements=9, parallelism=2),
        iterator(2, "TensorSlice", elements=2),
        iterator(3, "TFRecord", elements=5, held=1),
        iterator(4, "TFRecord", elements=4, held=1),
    ]
    model: ModelDict = {"output": 0, "nodes": nodes, "gap_times_us": [], "cpu_budget": 2.0, "ram_budget": 1e9}
    stages = running_stages(model, None, 0.0, ())
    assert [(stage.name, stage.held) for stage in stages] == [
        ("from_tensor_slices", 0),
        ("TFRecordDataset", 2),
        ("interleave", 0),
    ]
    # A cycle, which no model has, ends as well.
    nodes[3]["inputs"] = [1]
    assert len(running_stages(model, None, 0.0, ())) == 3
