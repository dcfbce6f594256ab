"""What stands in for measuring and trying, and saved profiles with changes by their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.commands import compare, gate
from pipeprof.cli.targets import sides
from pipeprof.cli.targets.load import load_target
from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit
from pipeprof.profiles.document.findings import Finding, Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter, load_profile
from pipeprof.profiles.experiment.jobs import Version
from pipeprof.profiles.harness.settings import make_options, target_of
from pipeprof.profiles.protocol.options import Options
from tests.unit.cli.reports import RECORDED, finding, measured

TEXT = "version: 1  # mine\nsource: {range: {stop: 9}}\nstages:\n- batch: {batch_size: 3}\n"
FUNCTION = "def make():\n    return data()\n"
CACHE = InsertStage("cache", {}, "source")
SAVED = "pipeprof-out/spec-20260101T000000Z.json"


@dataclass
class Harness:
    """Gives a profile in place of a measurement, or the result of a search, and keeps what it was asked for."""

    profile: Profile
    asked: list[Options] = field(default_factory=list)
    tried: list[dict[str, Any]] = field(default_factory=list)
    meanwhile: Callable[[dict[str, Any]], object] = lambda _: None
    result: Fix | None = None

    def run_sample(
        self, settings: Options, writer: ProfileWriter, progress: Any, tell: Any = lambda _: None, *_: object
    ) -> Profile:
        self.asked.append(settings)
        progress.phase("measure", 10.0)
        progress.note("a note")
        self.profile.target = target_of(settings)
        writer.write(self.profile)
        if not self.profile.exit_code:
            tell(self.profile)
        writer.write(self.profile, final=True)
        return self.profile

    def try_changes(
        self, profile: Profile, settings: Options, ideas: Any, budget: float, progress: Any, **options: Any
    ) -> None:
        progress.close()
        known = [one.title for one in ideas(profile, Version()) if one.measured is not None] if callable(ideas) else []
        profile.fix = self.result
        self.tried.append({**options, "settings": settings, "budget": budget, "known": known})
        self.meanwhile(options)


def proven(made: PipelineEdit | None = CACHE, *, status: str = "kept", **fields: Any) -> Finding:
    return finding(status, made, **{"measured": measured(5.83), **fields})


def save(profile: Profile, *findings: Finding, target: str = "spec.yaml", path: str = SAVED, **changes: Any) -> Profile:
    """Save the profile as a run of this target would have."""
    parsed, loaded = load_target(target, no_python=False, scripts=True)
    arguments = ("loop",) if parsed.kind == "script" else ()
    profile.target = target_of(make_options(parsed, loaded, script_args=arguments))
    profile.command = ["pipeprof", "run", target, *(("--", *arguments) if arguments else ())]
    profile.findings = list(findings)
    Path(path).write_text(profile.model_copy(update=changes).model_dump_json())
    return profile


def save_run(*findings: Finding, **given: Any) -> Profile:
    """Save the profile of an input-bound run; see `save`."""
    return save(load_profile(RECORDED / "input-bound.json"), *findings, **given)


def set_measure(monkeypatch: pytest.MonkeyPatch, measure: Callable[..., Any]) -> None:
    """Call this in place of the sessions of `compare` and `gate`; the work tree has no changes."""
    monkeypatch.setattr(sides, "is_dirty", lambda *_: None)
    for module in (compare, gate):
        monkeypatch.setattr(module, "measure", measure)
