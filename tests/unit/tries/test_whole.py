"""Both commands from their changes to the profile, with workers that are made up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from unit.tries.workers import MB, SLOW, Workers, change

from pipeprof.pipelines.errors import PipeprofError
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.experiment.rounds import Rounds
from pipeprof.profiles.experiment.team import InterruptedVerificationError, MemberFailedError
from pipeprof.profiles.harness.settings import Silent
from pipeprof.profiles.protocol.options import Options
from pipeprof.profiles.tries import fix as fix_module
from pipeprof.profiles.tries import run as run_module
from pipeprof.profiles.tries import track as track_module
from pipeprof.profiles.tries.fix import find_best
from pipeprof.profiles.tries.run import try_changes
from pipeprof.profiles.tries.track import TrackClosedError

A, B = change("a", "stages.0"), change("b", "stages.1")


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch, profile: Profile) -> Callable[[Workers], None]:
    """Lets both commands have these workers."""
    monkeypatch.setattr(track_module, "Rounds", partial(Rounds, cores=None))
    monkeypatch.setattr(track_module, "run_sample", lambda *_: profile)
    monkeypatch.setattr(run_module, "upper_bounds", lambda *_: [])

    def chosen(workers: Workers) -> None:
        @contextmanager
        def measuring(*_: object) -> Iterator[Workers]:
            yield workers

        for module in (run_module, fix_module):
            monkeypatch.setattr(module, "measuring", measuring)
            monkeypatch.setattr(module, "memory_for", lambda _wanted: None)

    return chosen


def test_without_time_nothing_is_tried_and_a_budget_is_named(profile: Profile, settings: Options, use: Any) -> None:
    workers = Workers(SLOW)
    use(workers)
    try_changes(profile, settings, [A], 0.1, Silent())
    assert workers.started == []
    done = profile.verification
    assert ([one.out_of_budget for one in done.not_tried], done.needs_seconds > 0.1) == ([True], True)


def test_a_pipeline_that_writes_files_has_nothing_tried(profile: Profile, settings: Options, use: Any) -> None:
    use(Workers(SLOW, {"A1": MemberFailedError("A1", "the pipeline writes files", refused=True)}))
    try_changes(profile, settings, [A], 200.0, Silent())
    done = profile.verification
    assert (done.tried, [one.out_of_budget for one in done.not_tried]) == (0, [False])


@pytest.mark.parametrize(
    ("error", "code", "warning"),
    [
        (InterruptedVerificationError(), 130, "verification-interrupted"),
        (PipeprofError("another command measures"), None, "verification-ended"),
    ],
)
def test_what_ends_a_run_early_keeps_what_is_known(
    profile: Profile, settings: Options, use: Any, error: Exception, code: int | None, warning: str
) -> None:
    use(Workers({**SLOW, "C1": 20.0, "C2": 10.5}, stops=lambda one: error if len(one.turns) == 20 else None))
    try_changes(profile, settings, [A, B], 200.0, Silent())
    assert (profile.exit_code or None, profile.warnings[-1].code) == (code, warning)
    assert profile.verification.tried == (2 if code is not None else 0)


def fixed(profile: Profile, settings: Options, ideas: Sequence[Proposal], budget: float = 300.0) -> Any:
    def proposed(_profile: Profile, version: Version) -> Sequence[Proposal]:
        return [one for one in ideas if all(edits != one.edits for edits in version.steps)]

    find_best(profile, settings, proposed, budget, Silent())
    return profile.fix


def test_a_fix_takes_what_helps_and_proves_it(profile: Profile, settings: Options, use: Any) -> None:
    workers = Workers({**SLOW, "C1": 20.0, "C2": 9.0})
    use(workers)
    found = fixed(profile, settings, [A, B, change("c", "stages.2", semantics="order")])
    assert found.status == "fixed"
    assert [one.result for one in found.steps][:2] == ["taken", "rejected"]
    assert found.measured["speedup"] == pytest.approx(2.0, rel=0.02)
    assert workers.started[-4:] == ["A1", "A2", "C1", "C1+"], "the proof"
    assert [one.title for one in found.left_out] == ["c"]
    assert (len(found.edits), found.peak_bytes, found.peak_before_bytes) == (1, 1000 * MB, 1000 * MB)


def test_a_fix_without_time_names_the_least_budget(profile: Profile, settings: Options, use: Any) -> None:
    use(Workers(SLOW))
    spent = sum(phase.seconds or 0.0 for phase in profile.phases if phase.name == "measure")
    found = fixed(profile, settings, [A], budget=spent + 1.0)
    assert (found.status, found.needs_seconds > spent) == ("nothing", True)


@pytest.mark.parametrize(
    ("end", "code"), [(InterruptedVerificationError(), 130), (TrackClosedError("input.py has changed"), 1)]
)
def test_what_ends_a_fix_early_keeps_its_steps(
    profile: Profile, settings: Options, use: Any, end: Exception, code: int
) -> None:
    use(Workers({**SLOW, "C1": 20.0, "C2": 9.0}, stops=lambda one: end if one.started.count("A1") == 2 else None))
    found = fixed(profile, settings, [A, B])
    assert (found.status, len(found.edits), profile.exit_code) == ("interrupted", 1, code)
