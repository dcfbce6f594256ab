"""What the rows of a run that was ended say of its buffers: what the worker's last look had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from unit.worker.fakes import facts, observed

from pipeprof.profiles.document.messages import Problem
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.account_memory import account_memory
from pipeprof.profiles.harness.build_profile import assemble

if TYPE_CHECKING:
    from pipeprof.profiles.host.sampler import Sampler

MB = 1_000_000


@pytest.mark.parametrize(("ops", "held"), [(("cache", "map"), [390 * MB, None]), (("cache", "cache"), [None, None])])
def test_a_stage_of_which_there_is_one_has_what_it_held_at_the_last_look(
    ops: tuple[str, ...], held: list[int | None]
) -> None:
    seen = observed()
    node: Any = {"name": "MemoryCacheImpl", "buffered_bytes": 390 * MB, "buffered_elements": 390}
    seen.take({"model": {"nodes": [node]}})
    profile = assemble(facts(), seen, None, problem=Problem(code="out-of-memory", message="…"), exit_code=5)
    profile.stages = [Stage(id=f"stages.{n}", op=op, origin="written") for n, op in enumerate(ops)]
    account_memory(profile, seen, cast("Sampler", None), None, {})

    assert [stage.buffered_bytes for stage in profile.stages] == held
    assert profile.memory.ledger is None
