"""What edits of a pipeline would give: from a profile, and for any pipeline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeprof.pipelines.changes.edits import HandWritten, InsertStage, PipelineEdit, SetArgument, SetOption
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.predict.flow import Flow
from pipeprof.profiles.predict.predict import predict, predicted_of
from pipeprof.profiles.predict.read import flow_of

from .flows import FREE, line, part

MS = st.floats(0.01, 100)
CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 4)
PREFETCH = InsertStage("prefetch", {"buffer_size": 2}, "source")
EDITS: list[PipelineEdit] = [
    CALLS,
    PREFETCH,
    InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}),
    SetOption("threading.private_threadpool_size", 16),
    SetArgument("stages.1", "prefetch", "buffer_size", 16),
]


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A source, a map that computes and waits, a prefetch or none, a step or none."""
    computing, waiting = draw(MS), draw(MS)
    own = part("stages.0", "map", computing, stateful=True)
    parts = [part("source", "range", draw(MS)), replace(own, waiting_ms=waiting, lock_ms=draw(st.floats(0, computing)))]
    if draw(st.booleans()):
        parts.append(part("stages.1", "prefetch", ahead=True, buffer=float(draw(st.integers(1, 20)))))
    step = draw(st.floats(0, 100))
    cores = float(draw(st.integers(1, 16)))
    return line(
        *parts,
        step_ms=step,
        floor_ms=step + draw(st.floats(0, 1)),
        in_turn=draw(st.booleans()),
        cores=cores,
        pool=cores,
        other_cpu_ms=draw(st.floats(0, 5)),
        bursts=draw(st.floats(0, 1)),
        injects=draw(st.booleans()),
    )


@given(flows(), st.sampled_from(EDITS))
def test_more_cores_never_predict_a_longer_step(flow: Flow, edit: PipelineEdit) -> None:
    few, many = predicted_of(flow, [edit], FREE), predicted_of(replace(flow, cores=flow.cores + 4), [edit], FREE)
    if few is not None and many is not None:
        assert (
            flow.interval_ms() / few.speedup >= replace(flow, cores=flow.cores + 4).interval_ms() / many.speedup - 1e-6
        )


@given(flows(), st.sampled_from([PREFETCH, EDITS[2]]))
def test_a_prefetch_never_predicts_less_but_for_the_passing_of_elements(flow: Flow, edit: PipelineEdit) -> None:
    found = predicted_of(replace(flow, bursts=0.0), [edit], FREE)
    assert found is not None
    assert found.speedup >= 1 - 1e-9


@given(flows(), st.sampled_from(EDITS))
def test_nothing_is_faster_than_preloaded_batches(flow: Flow, edit: PipelineEdit) -> None:
    found = predicted_of(flow, [edit], FREE)
    if found is not None:
        assert flow.interval_ms() / found.speedup >= max(flow.step_ms, flow.floor_ms) - 1e-6
        assert found.wait_ms >= 0


@pytest.mark.parametrize("name", ["input-bound", "step-bound"])
def test_a_profile_is_read_as_long_as_it_was_measured(recorded: Callable[[str], Profile], name: str) -> None:
    profile = recorded(name)
    flow = flow_of(profile)
    assert flow is not None
    assert profile.steps is not None
    assert flow.interval_ms() == pytest.approx(profile.steps.interval_ms.mean, rel=0.02)


def test_a_profile_without_steps_is_not_read(recorded: Callable[[str], Profile]) -> None:
    profile = recorded("input-bound")
    profile.steps = None
    assert flow_of(profile) is None
    assert predict(profile, [CALLS]) is None


def test_the_formula_names_what_limits_afterwards() -> None:
    flow = line(part("source", "range", 4.0), part("stages.0", "map", 16.0, waits=True, stateful=True), step_ms=1.0)
    found = predicted_of(flow, [CALLS], FREE)
    assert found is not None
    assert found.speedup == 5.0
    assert found.formula == "20.0 → 4.00 ms per step (5.00×): source takes 4.00 ms"


def test_edits_are_predicted_together_or_not_at_all() -> None:
    flow = line(part("source", "range", 1.0), part("stages.0", "map", 32.0, waits=True, stateful=True))
    more = SetArgument("stages.0", "map", "num_parallel_calls", 16)
    together = predicted_of(flow, [more, SetOption("threading.private_threadpool_size", 16)], FREE)
    assert together is not None
    assert together.speedup == pytest.approx(33 / 2)
    assert predicted_of(flow, [CALLS, HandWritten((), "", "")], FREE) is None
