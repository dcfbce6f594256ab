"""A first measurement that others disturbed is made once more, where the budget is enough."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.document.shared import Training, WrittenFile
from pipeprof.profiles.harness import harness
from pipeprof.profiles.harness.settings import make_options

TOOK = 10.0
BUDGET = 100.0
SETTINGS = make_options(ParsedTarget("script", Path("train.py")), made=["/earlier"])


def profile(others: float, *, disturbed: bool, exit_code: int = 0) -> SimpleNamespace:
    return SimpleNamespace(
        exit_code=exit_code,
        verdict=SimpleNamespace(disturbed=disturbed),
        contention=SimpleNamespace(others_cores=others),
        phases=[SimpleNamespace(seconds=TOOK), SimpleNamespace(seconds=None)],
        training=None,
    )


QUIET, BUSY, BUSIER = (profile(0.0, disturbed=False), profile(0.5, disturbed=True), profile(0.9, disturbed=True))


@dataclass
class Measured:
    """What a command did.

    Attributes:
        runs: How many samples it measured.
        headlines: Profiles whose headline was printed before the trace.
        written: Profiles that it saved itself.
    """

    kept: Any = None
    budget: float = 0.0
    runs: int = 0
    notes: list[str] = field(default_factory=list)
    written: list[Any] = field(default_factory=list)
    settings: list[Any] = field(default_factory=list)
    headlines: list[Any] = field(default_factory=list)


def measure(
    monkeypatch: pytest.MonkeyPatch, samples: list[SimpleNamespace], budget: float = BUDGET, end_at: float | None = None
) -> Measured:
    found, left = Measured(), list(samples)

    def run_sample(*given: object) -> SimpleNamespace:
        found.runs += 1
        found.settings.append(given[0])
        if len(given) > 3:
            given[3](left[0])  # type: ignore[operator]
        return left.pop(0)

    def write(kept: SimpleNamespace, *, final: bool) -> None:
        assert final
        found.written.append(kept)

    monkeypatch.setattr(harness, "run_sample", run_sample)
    monkeypatch.setattr(harness, "time", SimpleNamespace(monotonic=lambda: 1000.0))
    found.kept, found.budget = harness.run_undisturbed(
        SETTINGS,
        SimpleNamespace(write=write),
        SimpleNamespace(note=found.notes.append),
        budget=budget,
        end_at=end_at,
        tell=found.headlines.append,
    )
    return found


FAILED = profile(0.0, disturbed=False, exit_code=5)


@pytest.mark.parametrize(
    ("samples", "budget", "end_at", "kept"),
    [
        ([QUIET], BUDGET, None, 0),
        # Of two the one that others disturbed less is kept, and none that failed.
        ([BUSY, QUIET], BUDGET, None, 1),
        ([BUSIER, BUSY], BUDGET, None, 1),
        ([BUSY, BUSIER], BUDGET, None, 0),
        ([BUSY, profile(0.0, disturbed=True)], BUDGET, None, 1),
        ([BUSY, FAILED], BUDGET, None, 0),
        # Just enough time for two, and too little.
        ([BUSY, QUIET], 3 * TOOK, 1000.0 + TOOK, 1),
        ([BUSY], 3 * TOOK - 0.1, None, 0),
        ([BUSY], BUDGET, 1000.0 + TOOK - 0.1, 0),
    ],
)
def test_a_disturbed_measurement_is_made_once_more_where_there_is_time(
    monkeypatch: pytest.MonkeyPatch, samples: list[SimpleNamespace], budget: float, end_at: float | None, kept: int
) -> None:
    found = measure(monkeypatch, samples, budget, end_at)
    twice = len(samples) == 2
    assert (found.runs, found.kept, found.kept.exit_code) == (len(samples), samples[kept], 0)
    assert found.budget == budget - TOOK * twice
    assert found.written == [found.kept] * twice
    assert found.notes == ["other processes used the cores: measuring once more"] * twice
    # A headline is printed early unless another measurement may follow.
    assert len(found.headlines) == (not twice)


def test_who_ends_the_second_keeps_the_first_with_the_exit_code_of_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    first, code = profile(0.5, disturbed=True), next(iter(harness.EXIT_CODES.values()))
    found = measure(monkeypatch, [first, profile(0.0, disturbed=False, exit_code=code)])
    assert found.kept is first
    assert found.kept.exit_code == code


def test_the_second_one_may_overwrite_what_the_first_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    first = profile(0.9, disturbed=True)
    files = [WrittenFile(file=f"/{name}", bytes=1, new=name == "weights") for name in ("weights", "log")]
    first.training = Training(written=files)
    found = measure(monkeypatch, [first, QUIET])
    assert [settings.made for settings in found.settings] == [["/earlier"], ["/earlier", "/weights"]]
