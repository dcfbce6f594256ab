"""The step of a profile, replayed: its durations, its mode, and whether it computed on the pipeline's cores."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.commands.compare import warn_of_steps
from pipeprof.cli.targets.load import Changes, load_target
from pipeprof.pipelines.errors import ProfileError, UsageError
from pipeprof.pipelines.steps.kind import StepContext
from pipeprof.pipelines.steps.recorded_step import ResampledDuration, read_step, used_cores
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.pipelines.steps.step import parse_step
from pipeprof.profiles.advise.claims import CODE, withhold_findings, withhold_fix
from pipeprof.profiles.document.findings import Finding, Fix
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Quantiles
from pipeprof.profiles.harness.settings import RunSettings, plan

Recorded = Callable[[str], Profile]
STEADY = ResampledDuration(mean_ms=12.0, p50_ms=12.0, p95_ms=12.0, p99_ms=12.0, max_ms=12.0)
SKEWED = ResampledDuration(mean_ms=14.0, p50_ms=12.0, p95_ms=20.0, p99_ms=40.0, max_ms=400.0)
CHECKPOINTS = ResampledDuration(mean_ms=12.4, p50_ms=12.0, p95_ms=12.0, p99_ms=12.0, max_ms=412.0)


def drawn(duration: ResampledDuration, count: int = 40_000) -> list[float]:
    draw = duration.sequence()
    return sorted(draw(step, 0) / 1e6 for step in range(1, count + 1))


def test_a_steady_step_is_always_as_long() -> None:
    assert set(drawn(STEADY, 100)) == {12.0}


@pytest.mark.parametrize("duration", [SKEWED, CHECKPOINTS])
def test_a_resampled_step_has_the_quantiles_and_the_mean(duration: ResampledDuration) -> None:
    values = drawn(duration)
    at = {share: values[round(share * len(values))] for share in (0.5, 0.95, 0.985)}
    assert at[0.5] == pytest.approx(duration.p50_ms, rel=0.02)
    assert at[0.95] == pytest.approx(duration.p95_ms, rel=0.05)
    assert at[0.985] <= duration.p99_ms
    assert values[-1] == duration.max_ms
    assert sum(values) / len(values) == pytest.approx(duration.mean_ms, rel=0.04)


def test_single_long_steps_are_as_rare_as_they_were() -> None:
    least, longest = CHECKPOINTS.ends()
    assert least == 12.0
    assert 0.01 * longest == pytest.approx(0.001)


def test_a_mean_below_the_median_is_that_of_short_steps() -> None:
    short = ResampledDuration(mean_ms=8.0, p50_ms=10.0, p95_ms=10.0, p99_ms=10.0, max_ms=10.0)
    assert short.ends() == (pytest.approx(2.0), 0.0)


def test_the_seed_gives_the_sequence() -> None:
    first, same, other = (ResampledDuration(14.0, 12.0, 20.0, 40.0, 90.0, seed).sequence() for seed in (3, 3, 4))
    sequences = [[draw(step, 0) for step in range(20)] for draw in (first, same, other)]
    assert sequences[0] == sequences[1] != sequences[2]


def saved(tmp_path: Path, profile: Profile) -> Path:
    path = tmp_path / "profile.json"
    path.write_text(profile.model_dump_json())
    return path


@pytest.fixture
def trained(recorded: Recorded) -> Profile:
    """A run whose step was a function of the user's, on the cores of the machine."""
    profile = recorded("step-bound")
    assert profile.device is not None
    assert profile.steps is not None
    profile.device.kind, profile.device.text = "python", "python: train.py:step"
    profile.steps.busy_ms = Quantiles(mean=12.5, p50=12.0, p95=15.0, p99=16.0, max=20.0)
    profile.steps.dispatch, profile.device.cpu_ms, profile.host.gpus, profile.host.cores = 2, 25.0, [], 2
    return profile


def test_a_step_has_the_durations_and_the_mode_of_its_run(tmp_path: Path, trained: Profile) -> None:
    assert read_step(saved(tmp_path, trained)) == {
        **{"mean_ms": 12.5, "p50_ms": 12.0, "p95_ms": 15.0, "p99_ms": 16.0, "max_ms": 20.0},
        **{"dispatch": 2, "competes": True},
    }


def test_without_the_devices_times_a_step_is_what_the_wait_leaves_of_the_interval(
    tmp_path: Path, trained: Profile
) -> None:
    assert trained.steps is not None
    trained.steps.busy_ms = None
    trained.steps.interval_ms = Quantiles(mean=20.0, p50=20.0, p95=21.0, p99=22.0)
    trained.steps.wait_ms = Quantiles(mean=5.0, p50=5.0, p95=6.0, p99=7.0)
    assert {read_step(saved(tmp_path, trained))[name] for name in ("mean_ms", "p50_ms", "max_ms")} == {15.0}


@pytest.mark.parametrize(
    ("kind", "cpu_ms", "gpus", "cores", "competes"),
    [
        ("python", 25.0, [], 2, True),
        ("python", 0.5, [], 2, False),
        ("python", 12.0, [], 32, True),
        ("python", 12.0, ["GPU 0"], 16, False),
        ("python", 30.0, ["GPU 0"], 16, True),
        ("a kind of tomorrow", None, [], 2, True),
        ("a kind of tomorrow", None, ["GPU 0"], 2, False),
        ("simulate", 12.0, [], 2, False),
    ],
)
def test_a_step_competes_for_the_cores_that_it_has_used(
    tmp_path: Path, trained: Profile, kind: str, cpu_ms: float | None, gpus: list[str], cores: float, competes: bool
) -> None:
    assert trained.device is not None
    trained.device.kind, trained.device.cpu_ms, trained.cpu = kind, cpu_ms, None
    trained.host.gpus, trained.host.cores = gpus, cores
    assert read_step(saved(tmp_path, trained))["competes"] is competes


def test_profiles_of_older_versions_have_the_cpu_time_of_the_loop(trained: Profile) -> None:
    document: dict[str, Any] = json.loads(trained.model_dump_json())
    document["device"].pop("cpu_ms")
    document["cpu"] = {"loop_ms": 6.0}
    assert used_cores(document, 12.0) == 0.5


def test_a_replay_of_a_replay_is_no_better(tmp_path: Path, trained: Profile) -> None:
    assert trained.device is not None
    trained.device.kind, trained.device.too_optimistic = "recorded", "the step may compute on the same cores"
    assert read_step(saved(tmp_path, trained))["competes"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file"),
        ("{}", "is not a profile"),
        ("[1", "is not a profile"),
        ('{"schema_version": 1, "host": {}, "steps": {"busy_ms": 3}, "device": {}}', "is damaged"),
        ('{"schema_version": 1, "host": {}, "steps": null, "device": null}', "does not say how long"),
    ],
)
def test_what_is_no_profile_of_a_step_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    path = tmp_path / "profile.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ProfileError, match=message):
        read_step(path)


def test_a_run_without_a_step_has_none_to_replay(tmp_path: Path, recorded: Recorded) -> None:
    with pytest.raises(ProfileError, match=r"expected the profile of a training script, or of a run with --step"):
        read_step(saved(tmp_path, recorded("step-none")))


@pytest.fixture
def replaying(tmp_path: Path, trained: Profile) -> RunSettings:
    """A spec, with the step of that run on the command line."""
    (tmp_path / "spec.yaml").write_text("version: 1\nsource: {range: {stop: 8}}\n")
    step = parse_step(f"recorded:{saved(tmp_path, trained)}")
    target, loaded = load_target(str(tmp_path / "spec.yaml"), Changes(), no_python=True, step=step)
    return RunSettings(target=target, loaded=loaded, step=step)


def test_a_replay_runs_as_far_ahead_as_the_training_did(replaying: RunSettings) -> None:
    planned = plan(replaying)
    assert planned.dispatch == 2
    context = StepContext(dispatch=2)
    start, end = step_kind("recorded").start(planned.step.arguments, context).submit("batch")
    assert 0 < end - start <= 20e6


def test_comparisons_warn_of_a_replay_that_is_too_optimistic(replaying: RunSettings) -> None:
    result: Any = SimpleNamespace(warnings=[])
    side: Any = SimpleNamespace(settings=replaying)
    warn_of_steps([side, side], result)
    assert [(one.code, "nothing is proven" in one.message) for one in result.warnings] == [(CODE, True)]


@pytest.mark.parametrize(("factor", "codes"), [(1, []), (2, ["other-step"])])
def test_a_recorded_step_is_what_its_file_says(factor: int, codes: list[str], tmp_path: Path, trained: Profile) -> None:
    sides: list[Any] = []
    for name, times in (("a", 1), ("b", factor)):
        (tmp_path / name).mkdir()
        path = saved(tmp_path / name, trained)
        document = json.loads(path.read_text())
        busy = document["steps"]["busy_ms"]
        document["steps"]["busy_ms"] = {key: value * times for key, value in busy.items()}
        path.write_text(json.dumps(document))
        text = f"version: 1\nsource: {{range: {{stop: 8}}}}\nstep: {{recorded: {path.name}}}\n"
        (tmp_path / name / "spec.yaml").write_text(text)
        target, loaded = load_target(str(tmp_path / name / "spec.yaml"), Changes(), no_python=True)
        sides.append(SimpleNamespace(settings=RunSettings(target=target, loaded=loaded)))
    result: Any = SimpleNamespace(warnings=[])
    warn_of_steps(sides, result)
    assert [one.code for one in result.warnings if one.code != CODE] == codes


def test_a_profile_that_is_not_there_is_seen_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("version: 1\nsource: {range: {stop: 8}}\n")
    with pytest.raises(ProfileError, match="cannot be read"):
        load_target(str(tmp_path / "spec.yaml"), Changes(), no_python=False, step=parse_step("recorded:gone.json"))
    with pytest.raises(ValueError, match=r"such as profile\.json"):
        parse_step("recorded:profile.txt")
    assert not issubclass(ProfileError, UsageError)


def test_nothing_is_proven_by_a_replay_that_is_too_optimistic(trained: Profile) -> None:
    kept = Finding(rule="a", title="a", status="kept", reason="2.0× (1.9 to 2.1)", measured={"speedup": 2.0})
    bound = Finding(rule="b", title="b", status="ceiling", reason="at most 3.0×")
    lost = Finding(rule="c", title="c", status="rejected", reason="no gain")
    fix = Fix(status="fixed", reason="2.0×", seconds=1.0, budget_seconds=2.0, wall_seconds=3.0, allow=["same"])
    assert trained.device is not None
    trained.findings = [kept, bound, lost]
    withhold_findings(trained)
    withhold_fix(trained, fix)
    assert [finding.status for finding in trained.findings] == ["kept", "ceiling", "rejected"]
    assert fix.status == "fixed"

    trained.device.too_optimistic = "the step may compute on the same cores"
    withhold_findings(trained)
    withhold_fix(trained, fix)

    assert [finding.status for finding in trained.findings] == ["unverified", "unverified", "rejected"]
    assert kept.reason == "the step may compute on the same cores; in its replay: 2.0× (1.9 to 2.1)"
    assert kept.measured == {"speedup": 2.0}
    assert (fix.status, fix.reason) == ("not-proven", "the step may compute on the same cores; in its replay: 2.0×")
