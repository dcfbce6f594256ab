"""The worker's messages, folded."""

from __future__ import annotations

from typing import Any

import pytest
from unit.worker.fakes import FakeSeconds, beat, drained, error, measured, phase, phase_end

from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.profiles.harness.received import Observed
from pipeprof.profiles.protocol.messages import Answer, BuildGrew, Done, Graphs, Libraries, ModelLook, Trace, Warned
from pipeprof.profiles.view.parsed_graphs import ParsedGraphs


@pytest.fixture
def clock():
    return FakeSeconds()


@pytest.fixture
def seen(clock):
    return Observed(clock=clock)


NO_GRAPH: GraphDict = {"root": None, "reason": "too large", "nodes": []}
ANSWER = Answer(phase="measure")
PROGRESS = [
    phase("build"),
    beat(1),
    drained(),
    measured(drained()),
    Graphs(NO_GRAPH, NO_GRAPH),
    Trace(batches=1),
    Libraries({}, []),
    Warned("x", "y"),
    error(),
    Done(),
]


def test_the_wait_for_a_sign_of_life_starts_with_the_run(seen, clock):
    assert seen.heard == clock.now == 100
    assert seen.phase == "import"
    assert not seen.complete


@pytest.mark.parametrize("message", PROGRESS, ids=lambda message: type(message).__name__)
def test_whatever_the_worker_does_is_progress(seen, clock, message):
    clock.now = 150
    seen.take(message)
    assert seen.heard == 150


def test_an_answer_is_no_progress(seen, clock):
    clock.now = 150
    seen.take(ANSWER)
    assert seen.heard == 100
    assert (seen.answers, seen.answer) == (1, ANSWER)


def test_growing_memory_alone_is_no_progress(seen, clock):
    clock.now = 150
    seen.take(BuildGrew())
    assert (seen.heard, seen.grew) == (100, 150)


def test_the_latest_answer_counts(seen):
    seen.take(ANSWER)
    seen.take(Answer(phase="trace"))
    assert (seen.answers, seen.answer.phase) == (2, "trace")


def test_phases_are_kept_in_order(seen):
    for message in (
        phase("import"),
        phase_end("import", seconds=2.5, peak=7, end_rss=5),
        phase("data"),
        phase_end("data", note="as is"),
        phase("build"),
    ):
        seen.take(message)
    assert [(one.name, one.seconds, one.peak_rss_bytes, one.end_rss_bytes, one.note) for one in seen.phases] == [
        ("import", 2.5, 7, 5, None),
        ("data", 1.0, None, None, "as is"),
        ("build", None, None, None, None),
    ]
    assert seen.phase == "build"


def test_a_new_phase_has_no_steps_yet(seen):
    seen.take(phase("warmup"))
    seen.take(beat(40, 2.0))
    assert (seen.steps, seen.rate, seen.beat_seconds) == (40, 20.0, 2.0)
    seen.take(phase("measure"))
    assert (seen.steps, seen.beat_seconds) == (0, 0.0)


def test_partial_results_are_not_final(seen):
    seen.take(drained(5))
    assert seen.measured.steps.count == 5
    assert not seen.final
    assert not seen.complete


def test_the_final_result_replaces_partial_ones(seen):
    seen.take(drained(5))
    seen.take(measured(drained(9)))
    assert seen.measured.steps.count == 9
    assert seen.measured.loop.overhead_ns == 1_000_000
    assert seen.complete


def test_an_error_after_the_result_leaves_it_incomplete(seen):
    seen.take(measured(drained()))
    seen.take(error())
    assert seen.final
    assert not seen.complete


def test_an_answer_may_carry_results_until_there_are_final_ones(seen):
    seen.take(Answer(phase="measure", measured=drained(5)))
    assert seen.measured.steps.count == 5
    assert not seen.final
    seen.take(measured(drained(9)))
    seen.take(Answer(phase="measure", measured=drained(8)))
    assert seen.measured.steps.count == 9
    assert seen.final


def test_an_answer_without_results_takes_none_away(seen):
    seen.take(drained(5))
    seen.take(ANSWER)
    assert seen.measured.steps.count == 5


def test_the_rest_is_kept_as_it_is(seen):
    seen.take(Graphs(NO_GRAPH, NO_GRAPH))
    seen.take(Trace(batches=2))
    seen.take(Libraries({"tensorflow": "2.21"}, ["GPU:0"]))
    seen.take(Warned("no-trace", "It failed."))
    seen.take(error("empty"))
    assert seen.graphs == ParsedGraphs.of(Graphs(NO_GRAPH, NO_GRAPH))
    assert seen.trace == Trace(batches=2)
    assert (seen.versions, seen.gpus) == ({"tensorflow": "2.21"}, ["GPU:0"])
    assert [(one.code, one.message) for one in seen.warnings] == [("no-trace", "It failed.")]
    assert seen.error.code == "empty"
    assert not seen.done
    seen.take(Done())
    assert seen.done


def test_the_last_look_at_the_model_is_kept() -> None:
    first: Any = {"nodes": [{"name": "a"}]}
    later: Any = {"nodes": []}
    observed = Observed()
    observed.take(ModelLook(first))
    observed.take(Answer(phase="measure"))
    assert observed.last_model is first

    observed.take(Answer(phase="measure", model=later))
    assert observed.last_model is later
