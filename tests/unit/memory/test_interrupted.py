"""The ledger of a run that was ended: as of its last look, and a stage is named only where there is one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.view.views import pipeline, stage, tensor

from pipeprof.profiles.memory.ledger.facts import Ledger
from pipeprof.profiles.memory.ledger.interrupted import LastLook, ledger_at, placed
from pipeprof.profiles.protocol.messages import MemoryMoment, MemoryReading
from pipeprof.profiles.view.view import PipelineView

MB = 1_000_000
IMAGE = (tensor("uint8", 1_000_000),)
NOTHING = PipelineView(kind="static", stages=(), options={}, cores=2)


def reading(name: str, rss: int, live: int = 0) -> MemoryReading:
    return MemoryReading(
        rss * MB, name, rss * MB, file=0, live=live * MB, live_peak=live * MB, heap=80 * MB, heap_free=0
    )


def node(name: str, held: int) -> dict[str, Any]:
    return {"name": name, "buffered_bytes": held * MB, "buffered_elements": held}


def seen(view: PipelineView = NOTHING, *nodes: dict[str, Any], **more: Any) -> LastLook:
    facts: dict[str, Any] = {
        "readings": [reading("import", 500), reading("data", 500), reading("build", 501), reading("iterator", 502)],
        "memory": MemoryMoment(107.5, 900 * MB, 380 * MB),
        "phase": "first_element",
        "model": {"nodes": list(nodes)},
        "origin": 100.0,
    }
    return LastLook(view=view, **{**facts, **more})


def shuffled(*more: Any) -> PipelineView:
    return pipeline(
        stage("source", "from_generator", element=IMAGE, elements=5000),
        stage("stages.0", "shuffle", element=IMAGE, elements=5000, arguments={"buffer_size": 1000}),
        *more,
    )


def entries(look: LastLook) -> dict[str, tuple[str | None, float]]:
    found = ledger_at(look)
    assert found is not None
    return {one.owner: (one.stage, one.bytes / MB) for one in found[1].entries}


def test_it_is_of_the_moment_of_the_look() -> None:
    found = ledger_at(seen(shuffled(), node("ShuffleV3", 380)))

    assert found is not None
    at, ledger, predicted = found
    assert (at.seconds, at.phase, at.rss_bytes) == (7.5, "first_element", 900 * MB)
    assert sum(one.bytes for one in ledger.entries) + ledger.unexplained == 900 * MB
    assert predicted.of("stages.0") == pytest.approx(1000 * MB, rel=0.01)


def test_child_processes_are_in_it() -> None:
    found = ledger_at(seen(shuffled(), node("ShuffleV3", 380), children=250 * MB))

    assert found is not None
    at, ledger, _ = found
    assert at.rss_bytes == 1150 * MB
    assert [one.bytes for one in ledger.entries if one.what == "child processes"] == [250 * MB]
    assert ledger.unexplained == ledger_of_one().unexplained


def ledger_of_one() -> Ledger:
    found = ledger_at(seen(shuffled(), node("ShuffleV3", 380)))
    assert found is not None
    return found[1]


def test_a_buffer_is_at_the_only_stage_that_it_can_be() -> None:
    assert entries(seen(shuffled(), node("ShuffleV3", 380)))["shuffle"] == ("stages.0", pytest.approx(380, abs=0.1))


def test_where_two_stages_could_be_meant_none_is() -> None:
    found = entries(seen(twice(), node("Shuffle", 380)))

    assert found["shuffle"] == (None, 380)


def twice() -> PipelineView:
    return shuffled(stage("stages.1", "shuffle", element=IMAGE, elements=5000, arguments={"buffer_size": 9}))


def test_iterators_are_made_from_the_end_on() -> None:
    nodes: Any = [node("Prefetch", 1), node("Map", 0), node("ShuffleV3", 9), node("ShuffleV3", 370), node("Range", 0)]

    assert placed(nodes, twice()) == [None, None, "stages.1", "stages.0", None]


def test_an_iterator_between_two_that_are_known_is_known() -> None:
    """The last cache has ended and given up what it read; a prefetch that TensorFlow added is not written."""
    view = pipeline(
        stage("source", "from_generator", element=IMAGE, elements=5000),
        stage("stages.0", "cache", element=IMAGE, elements=5000),
        stage("stages.1", "shuffle", element=IMAGE, elements=5000, arguments={"buffer_size": 9}),
        stage("stages.2", "cache", element=IMAGE, elements=5000),
    )
    nodes: Any = [node("Prefetch", 2), node("MemoryCacheImpl", 50), node("ShuffleV3", 9), node("MemoryCacheImpl", 70)]

    assert placed(nodes, view) == [None, "stages.2", "stages.1", "stages.0"]
    assert placed(nodes[:2], view) == [None, None], "either cache"


def test_iterators_of_a_function_are_all_its_stage() -> None:
    view = pipeline(
        stage("source", "range", elements=100),
        stage("stages.0", "interleave", element=IMAGE),
        stage("stages.0.source", "from_generator", element=IMAGE, owner="stages.0", depth=1, inputs=()),
        stage("stages.0.stages.0", "shuffle", element=IMAGE, owner="stages.0", depth=1, inputs=("stages.0.source",)),
    )

    assert placed([node("Shuffle", 3), node("Shuffle", 4)], view) == ["stages.0.stages.0"] * 2  # type: ignore[list-item]


def test_of_a_function_only_the_owners_are_known() -> None:
    assert entries(seen(NOTHING, node("Shuffle", 300), node("Prefetch", 80))) == {
        "runtime": (None, 500),
        "shuffle": (None, 300),
        "prefetch": (None, 80),
        "python": (None, pytest.approx(2, abs=0.01)),
    }


def test_texts_and_what_is_free_in_the_heap_are_known_where_it_was_looked_at() -> None:
    """The model counts 224 MB of texts of 1,096 letters; the heap has 263 MB more in use, and 30 free."""
    view = pipeline(
        stage("source", "from_generator", element=(tensor("string"),), elements=5_000_000),
        stage("stages.0", "shuffle", element=(tensor("string"),), arguments={"buffer_size": 200_000}),
    )
    texts = {"name": "ShuffleV3", "buffered_bytes": 224 * MB, "buffered_elements": 200_000}
    memory = MemoryMoment(107.5, 800 * MB, 0)

    without = entries(seen(view, texts, memory=memory))
    found = entries(seen(view, texts, memory=replace(memory, heap=343 * MB, heap_free=30 * MB)))

    assert "slack" not in without
    assert found["slack"][1] > 0
    assert found["shuffle"][1] > without["shuffle"][1]
    assert found["shuffle"][1] + found["slack"][1] == pytest.approx(293), "in use and free"


def test_what_was_ended_while_the_source_was_made_is_the_sources() -> None:
    rows = (tensor("float32", 100_000),)
    view = pipeline(stage("source", "from_tensor_slices", element=rows, elements=250, source_bytes=100 * MB))
    look = seen(view, readings=[reading("import", 500), reading("data", 602)], phase="build", model=None)

    found = ledger_at(look)

    assert found is not None
    source = [(one.bytes // MB, one.what) for one in found[1].entries if one.owner == "source"]
    assert source == [(100, "the array"), (100, "TensorFlow's tensors"), (200, "copies while it was made")]


def test_before_tensorflow_was_there_nothing_can_be_said() -> None:
    assert ledger_at(seen(readings=[])) is None
    assert ledger_at(seen(memory=MemoryMoment(101.0, None, None))) is None
