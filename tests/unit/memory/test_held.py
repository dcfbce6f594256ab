"""What is known of the elements that a stage held at a look."""

from __future__ import annotations

import math

import pytest
from unit.view.views import function, pipeline, stage, tensor

from pipeprof.profiles.document.base import Owner
from pipeprof.profiles.memory.ledger.buffers import Buffered, Look
from pipeprof.profiles.memory.ledger.facts import Buffer
from pipeprof.profiles.memory.ledger.held import held_buffers, in_flight_batches
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView


def held(seen: PipelineView, owner: Owner, stage_id: str, size: int, elements: int) -> Buffer:
    """The buffer of the only stage that holds anything."""
    look = Look(1.0, "measure", 1, 0, 0, {stage_id: Buffered(owner, size * elements, elements)})
    (found,) = held_buffers(seen, memory_prediction(seen), look)
    return found


def test_texts_that_ops_made_may_have_room_for_as_many_letters_again() -> None:
    texts = (ComponentView("string", ()),)
    seen = pipeline(
        stage("source", "range"),
        stage("stages.0", "map", element=texts, function=function("StaticRegexReplace")),
        stage("stages.1", "shuffle", element=texts, arguments={"buffer_size": 600}),
    )

    assert held(seen, "shuffle", "stages.1", 124, 600).most == pytest.approx(600 * (2 * 124 + 24 + 64))


def test_each_tensor_in_a_cache_may_leave_less_than_an_aligned_block_free() -> None:
    element = (tensor("float32", 50), tensor("bool"))
    seen = pipeline(
        stage("source", "fixed_length_records", element=element), stage("stages.0", "cache", element=element)
    )

    assert held(seen, "cache", "stages.0", 201, 100).holes == 2 * 96


@pytest.mark.parametrize(("op", "parts"), [("from_tensor_slices", True), ("TextLineDataset", False)])
def test_texts_that_are_slices_keep_the_tensors_that_they_are_parts_of(op: str, parts: bool) -> None:
    texts = (ComponentView("string", ()),)
    seen = pipeline(
        stage("source", "list_files", element=texts),
        stage("stages.0", "flat_map", element=texts),
        stage("stages.0.source", op, element=texts, owner="stages.0", depth=1, inputs=()),
        stage("stages.1", "shuffle", element=texts, inputs=("stages.0",), arguments={"buffer_size": 600}),
    )

    found = held(seen, "shuffle", "stages.1", 124, 600)

    assert (found.parts, math.isinf(found.most)) == (parts, parts)


@pytest.mark.parametrize(
    ("nbytes", "holes"), [(400, 0.45 * (171 + 400)), (2_000, 0.45 * 171 + 0.8 * 2_000), (300_000, 0.45 * 171)]
)
def test_elements_of_unknown_shape_leave_holes_by_what_they_are_measured_to_have(nbytes: int, holes: float) -> None:
    element = (tensor("float32", None, 10),)
    seen = pipeline(
        stage("source", "flat_map", element=element),
        stage("stages.0", "shuffle", element=element, arguments={"buffer_size": 100}),
    )

    assert held(seen, "shuffle", "stages.0", nbytes, 100).holes == pytest.approx(holes, abs=1)


@pytest.mark.parametrize(("joined_by", "together"), [("concatenate", False), ("zip", True)])
def test_of_parts_that_are_read_one_after_another_one_has_batches_in_flight(joined_by: str, together: bool) -> None:
    """Three sources with a batch each, joined one by one, the second one larger; one look shows nothing of them."""

    def part(address: str, size: int, source: str) -> list[StageView]:
        rows = (tensor("uint8", size, 200_000),)
        return [
            stage(source, "range", inputs=(), elements=600),
            stage(address, "batch", element=rows, inputs=(source,), arguments={"batch_size": size}),
        ]

    seen = pipeline(
        *part("stages.0", 32, "source"),
        *part("stages.1.inputs.1.stages.0", 64, "stages.1.inputs.1.source"),
        stage("stages.1", joined_by, inputs=("stages.0", "stages.1.inputs.1.stages.0")),
        *part("stages.2.inputs.1.stages.0", 32, "stages.2.inputs.1.source"),
        stage("stages.2", joined_by, inputs=("stages.1", "stages.2.inputs.1.stages.0")),
        static=False,
    )

    found = in_flight_batches(seen, memory_prediction(seen), Look(1.0, "measure", 1, 0, 0, {}))

    batches = ["stages.0", "stages.1.inputs.1.stages.0", "stages.2.inputs.1.stages.0"]
    assert [stage_id for _, stage_id, _ in found] == (batches if together else batches[1:2])
