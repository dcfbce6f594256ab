"""The report's table of who owned the peak of memory."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeprof.cli.report.ledger import build_ledger, group_owners
from pipeprof.cli.report.memory import build_phases
from pipeprof.cli.report.stages import build_stages
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.memory import (
    AutotuneMemory,
    LedgerEntry,
    LedgerMoment,
    MemoryEpochs,
    MemoryGrowth,
    PhaseGrew,
)
from pipeprof.profiles.document.profile import Profile

MIB = 1 << 20
Recorded = Callable[[str], Profile]


def accounted(profile: Profile) -> Profile:
    memory = profile.memory
    memory.baseline_bytes, memory.peak_bytes, memory.unexplained_bytes = 550 * MIB, 1550 * MIB, 20 * MIB
    memory.predicted_bytes = 900 * MIB
    memory.ledger = [
        LedgerEntry(owner="runtime", bytes=550 * MIB, how="measured"),
        LedgerEntry(
            owner="source", stage="source", bytes=300 * MIB, how="measured", what="the array", predicted_bytes=310 * MIB
        ),
        LedgerEntry(owner="source", stage="source", bytes=300 * MIB, how="measured", what="TensorFlow's tensors"),
        LedgerEntry(owner="shuffle", stage="stages.1", bytes=350 * MIB, how="model", predicted_bytes=340 * MIB),
        LedgerEntry(owner="cache", stage="stages.2", bytes=0, how="alias", predicted_bytes=200 * MIB),
        LedgerEntry(owner="slack", bytes=30 * MIB, how="measured", what="TensorFlow's pool"),
        LedgerEntry(owner="prefetch", stage="stages.3", bytes=1000, how="model"),
    ]
    return profile


def rendered(profile: Profile, width: int = 120) -> str:
    return paint(build_ledger(profile), Style(width))


@pytest.mark.parametrize("width", [80, 120])
def test_golden(width: int, recorded: Recorded, golden: Callable[[str, str], None]) -> None:
    profile = accounted(recorded("input-bound"))
    profile.memory.growth = MemoryGrowth(
        mb_per_1000_steps=12.5, low=11, high=14, windows=6, leak=True, bytes=24 * MIB, steps=2000
    )
    profile.memory.epochs = MemoryEpochs(first_peak_bytes=1550 * MIB, later_peak_bytes=1400 * MIB)
    profile.memory.autotune = AutotuneMemory(
        budget_bytes=6000 * MIB, limit_bytes=7000 * MIB, uncounted_bytes=1500 * MIB, exceeds_limit=True
    )
    golden(f"report/ledger-{width}.txt", rendered(profile, width))


def test_a_run_without_a_ledger_has_no_table(recorded: Recorded) -> None:
    assert rendered(recorded("input-bound")) == ""


def test_what_is_too_small_to_matter_has_no_row(recorded: Recorded) -> None:
    assert "prefetch" not in rendered(accounted(recorded("input-bound")))


def test_an_alias_takes_nothing(recorded: Recorded) -> None:
    (row,) = [line for line in rendered(accounted(recorded("input-bound"))).splitlines() if "cache" in line]

    assert row.split()[-6:] == ["0", "200.0", "shared,", "no", "extra", "memory"]


def test_a_ledger_that_counts_too_much_says_so(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    profile.memory.unexplained_bytes = -20 * MIB

    assert "not attributed: −20.0 MiB (2.0 %)." in rendered(profile)


def test_budgets_within_the_limit_and_steady_memory_are_not_mentioned(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    profile.memory.growth = None
    profile.memory.epochs = MemoryEpochs(first_peak_bytes=1550 * MIB, later_peak_bytes=1550 * MIB)
    profile.memory.autotune = AutotuneMemory(
        budget_bytes=6000 * MIB, limit_bytes=20_000 * MIB, uncounted_bytes=1500 * MIB, exceeds_limit=False
    )
    text = rendered(profile)

    assert "AUTOTUNE" not in text
    assert "grew" not in text
    assert "first epoch" not in text


def test_a_tuned_prefetch_that_is_much_of_the_peak_is_told_with_what_bounds_it(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    assert profile.memory.ledger is not None
    profile.memory.autotune = AutotuneMemory(budget_bytes=6000 * MIB, uncounted_bytes=0, exceeds_limit=False)
    row = next(one for one in profile.stages or [] if one.id == "stages.3")
    row.buffered_elements = 300.0
    profile.memory.ledger[-1].bytes = 300 * MIB
    assert "with 2 elements" not in rendered(profile), "its size was not known"
    profile.memory.ledger[-1].predicted_bytes = 2 * MIB
    text = " ".join(rendered(profile).split())

    assert "900 MiB predicted with 2 elements in a tuned prefetch, 1,000 MiB measured" in text
    assert "held 300 elements, 300 MiB: AUTOTUNE chose how many" in text
    assert "its budget of 5.86 GiB for all tuned buffers. buffer_size: 2 bounds it" in text
    row.origin = "injected"
    assert "A prefetch of your own at the end, with buffer_size: 2, bounds it" in " ".join(rendered(profile).split())
    row.tunable = False
    assert "AUTOTUNE" not in rendered(profile)


def test_a_prediction_that_lacks_a_buffer_is_a_lower_bound(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    *_, prefetch = profile.memory.ledger or ()

    assert ": 900 MiB predicted," in rendered(profile)
    prefetch.bytes = 150 * MIB
    assert ": at least 900 MiB predicted, 1,000 MiB measured" in rendered(profile)
    prefetch.predicted_bytes = 100 * MIB
    assert "at least" not in rendered(profile)


def test_a_tiny_part_of_what_it_may_be_is_no_prediction(recorded: Recorded) -> None:
    """138 MiB of a cache, of whose elements 12 B were known."""
    profile = accounted(recorded("input-bound"))
    *_, prefetch = profile.memory.ledger or ()
    prefetch.bytes, profile.memory.predicted_bytes = 150 * MIB, 12
    text = rendered(profile)

    assert ": not predicted (the size of an element is unknown before a run), 1,000 MiB measured" in " ".join(
        text.split()
    )
    assert "12 B" not in text
    profile.memory.predicted_bytes = None
    assert ": not predicted, 1,000 MiB measured" in rendered(profile)


def test_python_objects_of_the_build_have_their_line(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    entry = LedgerEntry(owner="python", bytes=90 * MIB, how="measured", what="Python objects of the build")
    entry.location, entry.function = Location(file="code/input.py", line=12), "load"
    profile.memory.ledger = [*(profile.memory.ledger or ()), entry]

    (row,) = [line for line in rendered(profile, 160).splitlines() if "Python objects" in line]
    assert row.endswith("most at input.py:12, in load")
    assert ("Python objects of the build (input.py:12)", 90 * MIB) in group_owners(profile)


def test_what_a_stage_held_is_not_said_where_no_possible_number_was_read(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    row = next(one for one in profile.stages or [] if one.id == "stages.1")
    row.buffered_bytes, row.buffered_elements = None, 400.0

    assert "n/a" in paint(build_stages(profile), Style(200))
    row.buffered_elements = None
    assert "n/a" not in paint(build_stages(profile), Style(200))


def test_a_buffer_that_was_still_filling_is_all_there_is_to_say(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    profile.memory.filling = "stages.1"

    text = rendered(profile)

    assert "was still filling when the measurement ended." in text
    assert "per 1,000 steps" not in text


def test_the_ledger_of_a_run_that_was_ended_says_of_when_it_is(recorded: Recorded) -> None:
    profile = accounted(recorded("input-bound"))
    profile.memory.ledger_at = LedgerMoment(seconds=4.25, phase="first_element", rss_bytes=1450 * MIB)

    text = rendered(profile)

    assert "at the last reading" in text
    assert "1.42 GiB after 4.25 s, in phase first element" in text


def test_each_phase_names_the_buffer_that_grew_most(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.memory.grew = [PhaseGrew(phase="first_element", stage="stages.1", bytes=350 * MIB)]
    lines = _memory(profile)

    (row,) = [line for line in lines if line.strip().startswith("first element")]
    assert row.endswith("+350 MiB")
    assert any("buffer that grew most" in line for line in lines)
    assert not any("buffer that grew" in line for line in _memory(recorded("input-bound")))


def _memory(profile: Profile) -> list[str]:
    return paint(build_phases(profile), Style(120)).splitlines()
