"""The ledger of a run that was ended, from what the parent has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.view.views import pipeline, stage, tensor
from unit.worker.fakes import facts, observed

from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.account_memory import account_memory
from pipeprof.profiles.harness.build_profile import assemble
from pipeprof.profiles.protocol.messages import MemoryLook, MemoryMoment, MemoryReading

if TYPE_CHECKING:
    from pipeprof.profiles.harness.received import Observed
    from pipeprof.profiles.host.sampler import Sampler

MB = 1_000_000


class Sampled:
    """A sampler's time line, and whether it saw children."""

    started = 100.0

    def __init__(self, *, children: bool) -> None:
        self.had_children = children


def looked(rss: int) -> Observed:
    """A worker that was ended in its first element, after a look at 2 s."""
    seen = observed()
    for name in ("import", "build", "iterator"):
        seen.take(MemoryReading(500 * MB, name, 500 * MB, file=0, live=0, live_peak=0, heap=0, heap_free=0))
    seen.take(MemoryLook("first_element", MemoryMoment(t=102.0, rss=rss, live=0), None))
    return seen


@pytest.mark.parametrize(("children", "held"), [(True, 700), (False, 0)])
def test_children_have_what_the_series_held_beyond_the_worker(children: bool, held: int) -> None:
    seen = looked(600 * MB)
    profile = assemble(facts(), seen, None, problem=Problem(code="out-of-memory", message="…"), exit_code=5)
    profile.series = Series(seconds=[1.0, 3.0], rss_bytes=[500 * MB, 2100 * MB], phase=["import", "first_element"])
    account_memory(profile, seen, cast("Sampler", Sampled(children=children)), None, {})

    assert profile.warnings == []
    assert profile.memory.ledger_at is not None
    assert profile.memory.ledger_at.rss_bytes == (600 + held) * MB
    assert sum(one.bytes for one in profile.memory.ledger or [] if one.what == "child processes") == held * MB


@pytest.mark.parametrize("code", ["interrupted", "terminated", "max-time", "hung", "raised"])
def test_a_run_without_a_step_has_no_owners_unless_memory_ended_it(code: str) -> None:
    seen = looked(600 * MB)
    profile = assemble(facts(), seen, None, problem=Problem(code=code, message="…"), exit_code=130)
    account_memory(profile, seen, cast("Sampler", Sampled(children=False)), None, {})

    assert (profile.memory.ledger, profile.memory.ledger_at, profile.memory.unexplained_bytes) == (None, None, None)


def test_of_a_function_that_died_the_stage_is_named_and_its_row_has_the_ledgers_bytes() -> None:
    image = (tensor("uint8", 1_000_000),)
    view = pipeline(
        stage("source", "from_generator", element=image, elements=5000),
        stage("stages.0", "cache", element=image, elements=5000),
    )
    seen = looked(900 * MB)
    node: Any = {"name": "MemoryCacheImpl", "buffered_bytes": 390 * MB, "buffered_elements": 390}
    moment = MemoryMoment(t=102.0, rss=900 * MB, live=390 * MB)
    seen.take(MemoryLook("first_element", moment, {"nodes": [node]}))  # type: ignore[typeddict-item]
    profile = assemble(facts(), seen, None, problem=Problem(code="out-of-memory", message="…"), exit_code=5)
    profile.stages = [Stage(id="stages.0", op="cache", origin="written")]
    sampler = cast("Sampler", Sampled(children=False))
    account_memory(profile, seen, sampler, None, {}, sketch_view=view)

    (entry,) = [one for one in profile.memory.ledger or () if one.owner == "cache"]
    assert entry.stage == "stages.0"
    assert entry.predicted_bytes == pytest.approx(5000 * MB, rel=0.01)
    assert (profile.stages[0].buffered_bytes, profile.stages[0].buffered_elements) == (entry.bytes, 390)
