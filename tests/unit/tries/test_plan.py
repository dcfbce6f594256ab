"""What is tried, why not, what it may cost, and how changes are named."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pipeprof.pipelines.changes.edits import SetEnvironment
from pipeprof.profiles.advise.claims import too_dear
from pipeprof.profiles.advise.text.in_words import as_change, which_change
from pipeprof.profiles.document.findings import Finding, Kept, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.tries.outcome import cannot_try, cannot_verify
from pipeprof.profiles.wording import stage_label, stage_name

MIB = 1 << 20


def finding(**facts: Any) -> Finding:
    return Finding(**{"rule": "cache", "title": "a", "status": "unverified", "semantics": "same", **facts})


@pytest.mark.parametrize(
    ("facts", "has_edit", "reason"),
    [
        ({"semantics": "order"}, True, None),
        ({"semantics": "order"}, False, "needs your code"),
        ({"semantics": "values"}, True, "may change values"),
        ({"family": "correctness"}, True, "about the data"),
    ],
)
def test_what_is_not_tried_has_its_reason(facts: dict[str, Any], has_edit: bool, reason: str | None) -> None:
    why = cannot_try(finding(**facts), has_edit=has_edit)
    assert why is None if reason is None else reason in str(why)
    assert cannot_try(finding(), has_edit=True, cache="it does not fit") == "it does not fit"


def test_a_run_that_did_not_end_well_has_nothing_tried(recorded: Callable[[str], Profile]) -> None:
    ends = {name: cannot_verify(recorded(name)) is None for name in ("input-bound", "interrupted", "raised")}
    assert ends == {"input-bound": True, "interrupted": False, "raised": False}


def test_a_change_names_its_stage_and_what_it_keeps(recorded: Callable[[str], Profile]) -> None:
    """Of two batches in a pipeline the reader could not tell which one got the calls."""
    profile = recorded("input-bound")
    at = next(stage for stage in profile.stages or () if stage.id == "stages.1")
    calls = finding(stage=at.id, change="num_parallel_calls: not set → AUTOTUNE", cache=Kept(sample_bytes=2 * MIB))
    assert which_change(profile, calls) == f"{stage_label(at)}: num_parallel_calls: not set → AUTOTUNE"
    assert "2.00 MiB" in as_change(profile, calls)
    calls.change = f"insert prefetch(buffer_size=AUTOTUNE) after {stage_name(at)}"
    assert which_change(profile, calls) == calls.change


@pytest.mark.parametrize(
    ("saved", "speedup", "high", "limit", "dear"),
    [
        *((77, 0.41, 0.47, None, True), (77, 0.41, 0.47, 1000, False), (77, 0.41, 0.47, 10_000, True)),
        *((77, 0.74, 2.78, None, True), (77, 0.74, 2.78, 1000, False), (77, 0.95, 1.02, None, False)),
        *((77, 0.9, None, None, False), (400, 0.6, 0.7, None, False), (400, 0.3, 0.4, None, True)),
    ],
)
def test_a_small_part_of_the_memory_is_not_worth_much_of_the_speed(
    saved: int, speedup: float, high: float | None, limit: int | None, dear: bool
) -> None:
    ends = {"low": 0.5, "high": high, "pairs": [speedup] * 6, "peak_rss_delta_bytes": -saved * MIB}
    found = finding(family="memory", status="kept", measured={"speedup": speedup, **ends})
    most = limit * MIB if limit is not None else None
    assert (too_dear(found, 734 * MIB, most) is not None) is dear
    found.edit = documents_of([SetEnvironment("MALLOC_ARENA_MAX", "2")])
    if limit is None and saved == 77:
        # Of a setting of the process, the speed must be known.
        assert too_dear(found, 734 * MIB, None) is not None
    found.family = "speed"
    assert too_dear(found, 734 * MIB, most) is None
