"""The laboratory around the measurements: what is saved before each, and files that change meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from pipeprof.pipelines.changes.version import Version
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.experiment.jobs import JobMaker
from pipeprof.profiles.experiment.team import Team
from pipeprof.profiles.fix.laboratory import Laboratory
from pipeprof.profiles.fix.race import ChangedFileError
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.tries import plan as plans


class Nobody(Team):
    """A team whose workers are never started."""

    measured = 0.0

    def __init__(self) -> None:
        self.end_called = 0

    def end(self, *names: str) -> None:
        del names
        self.end_called += 1

    def start_each(self, jobs: Any, *, seconds: float) -> Any:
        del jobs, seconds
        raise AssertionError


@pytest.mark.parametrize("measurement", ["race", "look", "prove"])
def test_nothing_is_measured_of_a_file_that_has_changed_and_what_was_found_is_saved(
    measurement: str, tmp_path: Path, recorded: Callable[[str], Profile]
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("version: 1\nsource: {range: {stop: 9}}\n")
    profile, loaded = recorded("input-bound"), check_spec(path)
    settings = RunSettings(parse_target(str(path)), loaded, ["pipeprof"], lock=False)
    jobs = JobMaker(settings, memory_limit=None, digest_seconds=1.0, data_progress=lambda *_: None)
    saved: list[str] = []
    lab = Laboratory(
        cast("Any", Nobody()),
        plans.pace_of(profile, 60.0, 2.0),
        jobs,
        settings,
        Silent(),
        budget=60.0,
        spent=4.0,
        most=4,
        profile=profile,
        save=lambda: saved.append(measurement),
    )
    path.write_text("version: 1\nsource: {range: {stop: 10}}\n")
    version = Version((), loaded)
    calls: dict[str, Callable[[], object]] = {
        "race": lambda: lab.race(version, {}),
        "look": lambda: lab.look(version),
        "prove": lambda: lab.prove(version, "same", for_memory=False),
    }
    with pytest.raises(ChangedFileError, match=r"^spec\.yaml has changed while fix was measuring$"):
        calls[measurement]()
    assert saved == [measurement]
