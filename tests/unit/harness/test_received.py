"""The worker's messages, folded, and the places in the user's files."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.protocol.test_messages import FIELDS, values
from unit.worker.fakes import (
    DONE,
    FakeSampler,
    FakeSeconds,
    beat,
    changes,
    drained,
    error,
    facts,
    measured,
    phase,
    phase_end,
    warned,
)

from pipeprof.pipelines.graph.read.records import GraphDict
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.shared import CodePlace, ErrorFrame
from pipeprof.profiles.document.stages import Caller, Stage
from pipeprof.profiles.harness.build_profile import assemble
from pipeprof.profiles.harness.received import Observed, locate, shorten
from pipeprof.profiles.protocol.messages import Answer, Graphs, Trace
from pipeprof.profiles.view.from_graph import ParsedGraphs


@pytest.fixture
def seen():
    return Observed(clock=FakeSeconds())


NO_GRAPH: GraphDict = {"root": None, "reason": "too large", "nodes": []}
ANSWER = Answer([])
FRAME = ErrorFrame("a.py", 1, "f")
PROGRESS = [phase("build"), beat(1), measured(drained()), {}, warned("x", "y"), error(), DONE]


AS_JSON = ("answer", "device", "graphs", "memory", "model", "sketch", "trace")
"""Fields with graphs of TensorFlow's, which stay as they are in JSON, or with files."""


@pytest.mark.parametrize("name", [name for name in FIELDS if name not in AS_JSON])
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_of_its_type_there_is_a_profile(name: str, data: st.DataObject) -> None:
    seen = Observed()
    seen.take({name: data.draw(values(FIELDS[name]))})
    assert assemble(facts(), seen, FakeSampler(), exit_code=5).exit_code == 5


@pytest.mark.parametrize("message", PROGRESS, ids=lambda message: next(iter(changes(message)), "alive"))
def test_whatever_the_worker_does_is_progress(seen, message):
    assert seen.heard == seen.clock.now == 100, "from the start of the run"
    seen.clock.now = 150
    seen.take(changes(message))
    assert seen.heard == 150


def test_an_answer_is_no_progress(seen):
    seen.clock.now = 150
    seen.take(changes(ANSWER))
    assert seen.heard == 100
    assert (seen.answers, seen.answer) == (1, ANSWER)


def test_phases_are_kept_in_order(seen):
    ended = phase_end("import", seconds=2.5, peak=7, end_rss=5)
    for message in (phase("import"), ended, phase("data"), phase_end("data", note="as is"), phase("build")):
        seen.take(changes(message))
    assert [(one.name, one.seconds, one.peak_rss_bytes, one.end_rss_bytes, one.note) for one in seen.phases] == [
        ("import", 2.5, 7, 5, None),
        ("data", 1.0, None, None, "as is"),
        ("build", None, None, None, None),
    ]
    assert seen.phase == "build"


def test_a_new_phase_has_no_steps_yet(seen):
    seen.take(phase("warmup"))
    seen.take(beat(40, 2.0))
    assert (seen.steps, seen.rate, seen.phase_seconds) == (40, 20.0, 2.0)
    seen.take(phase("measure"))
    assert (seen.steps, seen.phase_seconds) == (0, 0.0)


def test_results_are_partial_until_there_are_final_ones_and_incomplete_after_an_error(seen):
    assert not seen.complete
    for said, steps, final in (
        (drained(5), 5, False),
        (ANSWER, 5, False),
        (Answer(measured=drained(6)), 6, False),
        (measured(drained(9)), 9, True),
        (drained(7), 9, True),
        (Answer(measured=drained(8)), 9, True),
    ):
        seen.take(changes(said))
        assert (seen.measured.steps.count, seen.final, seen.complete) == (steps, final, final)
    assert seen.measured.loop.overhead_ns == 1_000_000
    seen.take(changes(error()))
    assert (seen.final, seen.complete) == (True, False)


def test_the_rest_is_kept_as_it_is(seen):
    for message in (
        Graphs(NO_GRAPH, NO_GRAPH),
        Trace(batches=2),
        warned("no-trace", "It failed."),
        error("empty"),
        DONE,
    ):
        assert not seen.done
        seen.take(changes(message))
    assert (seen.parsed, seen.trace) == (ParsedGraphs.of(Graphs(NO_GRAPH, NO_GRAPH)), Trace(batches=2))
    assert [(one.code, one.text) for one in seen.warnings] == [("no-trace", "It failed.")]
    assert (seen.error.code, seen.done) == ("empty", True)


def test_the_last_look_at_the_model_is_kept() -> None:
    first: Any = {"nodes": [{"name": "a"}]}
    later: Any = {"nodes": []}
    observed = Observed()
    observed.take({"model": first})
    observed.take(changes(ANSWER))
    assert observed.model is first

    observed.take(changes(Answer(model=later)))
    assert observed.model is later


def test_files_below_the_working_directory_are_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    callers = [Caller(file=str(tmp_path / "main.py"), line=1, function="main")]
    places = [
        Location(file="/elsewhere/input.py", line=3),
        Location(file=str(tmp_path / "data/input.py"), line=7),
        None,
    ]
    shorten(
        Stage(id="source", origin="written", op="map", location=place, called_from=place and callers)
        for place in places
    )
    assert [place and place.file for place in places] == ["/elsewhere/input.py", "data/input.py", None]
    assert callers[0].file == "main.py"


@pytest.mark.parametrize(("source", "name"), [(CodePlace(name="Patches"), "Patches"), (None, "_get_iterator")])
def test_what_keras_makes_of_an_object_of_the_users_has_its_name(source: CodePlace | None, name: str) -> None:
    of_keras = {"file": "keras/src/trainers/data_adapters/py_dataset_adapter.py", "line": 314, "function": "get"}
    place = {"file": "train.py", "line": 66, "column": 11, "given": "_get_iterator", "library": of_keras, "callers": []}
    own = place | {"given": "numbers", "library": None}
    written = SimpleNamespace(
        stages=lambda: [SimpleNamespace(address=one, nodes=[one]) for one in ("source", "stages.0.source")]
    )
    graphs: Any = SimpleNamespace(places={"source": place, "stages.0.source": own}, written=written)
    stages = [Stage(id=one, origin="written", op="from_generator") for one in ("source", "stages.0.source")]
    locate(stages, graphs, source)
    assert [stage.name for stage in stages] == [name, "numbers"]
