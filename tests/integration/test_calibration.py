"""A run measures the fixed costs of its machine once, and keeps them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from integration import forked

from pipeprof.cli.options import step
from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.store import ProfileFile, ProfileWriter, load_profile
from pipeprof.profiles.harness import harness
from pipeprof.profiles.harness.progress import Silent
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.model.calibration import FILE, costs_of, lacks
from pipeprof.profiles.model.costs import DEFAULT
from pipeprof.profiles.worker.steps import calibrate

SPEC = "version: 1\nsource: {range: {stop: 100000}}\nstages:\n  - batch: {batch_size: 8}\n"
MEASURE = "from integration.test_calibration import measure; measure()"


def measure() -> None:
    """Measure the spec of the first argument, and write its profile to the second."""
    # Other tests use the cores.
    harness.measured_alone = lambda _profile: True
    calibrate.SECONDS = 1.0  # type: ignore[misc]
    spec, out = map(Path, sys.argv[1:])
    settings = RunSettings(
        parse_target(str(spec)),
        check_spec(spec),
        ["pipeprof"],
        step=step("simulate:10ms"),
        seconds=0.2,
        lock=False,
        calibrate=True,
    )
    sys.exit(harness.run_sample(settings, ProfileWriter([ProfileFile(out)]), Silent()).exit_code)


def test_a_run_measures_the_costs_of_its_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEPROF_CACHE_DIR", str(tmp_path / "cache"))
    spec, out = tmp_path / "spec.yaml", tmp_path / "profile.json"
    spec.write_text(SPEC, encoding="utf-8")
    done = forked.run([str(spec), str(out)], tmp_path, forked.SHORT + MEASURE)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [FILE]
    profile = load_profile(out)
    assert not lacks(profile.host)
    costs = costs_of(profile)
    assert costs != DEFAULT
    assert costs.row_us > 0
    assert costs.call_us > 0
    assert costs.few_calls_us > 0
    assert costs.epoch_us > 0
