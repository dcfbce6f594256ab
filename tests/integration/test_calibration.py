"""A run measures the fixed costs of its machine once, and keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.cli.options import step
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.store import ProfileFile, ProfileWriter
from pipeprof.profiles.harness import harness
from pipeprof.profiles.harness.harness import run_sample
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.model.calibration import FILE, costs_of, lacks
from pipeprof.profiles.model.costs import DEFAULT

SPEC = "version: 1\nsource: {range: {stop: 100000}}\nstages:\n  - batch: {batch_size: 8}\n"


def test_a_run_measures_the_costs_of_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    # Other tests use the cores.
    monkeypatch.setattr(harness, "measured_alone", lambda _profile: True)
    spec = tmp_path / "spec.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    settings = RunSettings(
        parse_target(str(spec)),
        check_spec(spec),
        ["pipeprof"],
        step=step("simulate:10ms"),
        seconds=0.2,
        lock=False,
        calibrate=True,
    )
    profile = run_sample(settings, ProfileWriter([ProfileFile(tmp_path / "profile.json")]), Silent())
    assert profile.exit_code == 0
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE]
    assert not lacks(profile.host)
    costs = costs_of(profile)
    assert costs != DEFAULT
    assert costs.row_us > 0
    assert costs.call_us > 0
    assert costs.few_calls_us > 0
    assert costs.epoch_us > 0
