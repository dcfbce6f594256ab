"""The step of a profile, replayed: its durations, its mode, and whether it computed on the pipeline's cores."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.commands.compare import warn_of_steps
from pipeprof.cli.targets.load import load_target
from pipeprof.pipelines.errors import ProfileError
from pipeprof.pipelines.steps.consumer import StepContext
from pipeprof.pipelines.steps.recorded import read_step, resampled
from pipeprof.pipelines.steps.step import parse_step, start_step
from pipeprof.profiles.advise.claims import CODE
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import Quantiles
from pipeprof.profiles.harness.settings import make_options

SPEC = "version: 1\nsource: {range: {stop: 8}}\n"


def times(mean: float, p50: float, p95: float, p99: float, longest: float) -> dict[str, float]:
    return {"mean_ms": mean, "p50_ms": p50, "p95_ms": p95, "p99_ms": p99, "max_ms": longest}


SKEWED = times(14.0, 12.0, 20.0, 40.0, 400.0)
CHECKPOINTS = times(12.4, 12.0, 12.0, 12.0, 412.0)


@pytest.mark.parametrize("of", [SKEWED, CHECKPOINTS])
def test_a_resampled_step_has_the_quantiles_and_the_mean(of):
    draw = resampled(**of)
    values = sorted(draw(step) / 1e6 for step in range(40_000))
    assert values[20_000] == pytest.approx(of["p50_ms"], rel=0.02)
    assert values[38_000] == pytest.approx(of["p95_ms"], rel=0.05)
    assert values[39_400] <= of["p99_ms"]
    assert values[-1] == of["max_ms"]
    assert sum(values) / len(values) == pytest.approx(of["mean_ms"], rel=0.04)


def test_the_seed_gives_the_sequence():
    sequences = [[draw(0) for _ in range(20)] for draw in (resampled(**SKEWED, seed=seed) for seed in (3, 3, 4))]
    assert sequences[0] == sequences[1] != sequences[2]


def saved(folder: Path, profile: Profile) -> Path:
    path = folder / "profile.json"
    path.write_text(profile.model_dump_json())
    return path


@pytest.fixture
def trained(recorded: Callable[[str], Profile]) -> Any:
    """A run whose step was a function of the user's, on the cores of the machine."""
    profile: Any = recorded("step-bound")
    profile.device.kind, profile.device.text = "python", "python: train.py:step"
    profile.steps.busy_ms = Quantiles(mean=12.5, p50=12.0, p95=15.0, p99=16.0, max=20.0)
    profile.steps.dispatch, profile.device.cpu_ms, profile.host.gpus, profile.host.cores = 2, 25.0, [], 2
    return profile


def test_a_step_has_the_durations_and_the_mode_of_its_run(tmp_path, trained):
    of_run = times(12.5, 12.0, 15.0, 16.0, 20.0)
    assert read_step(saved(tmp_path, trained)) == {**of_run, "dispatch": 2, "competes": True}
    # Without the device's times a step is what the wait leaves of the interval.
    trained.steps.busy_ms = None
    trained.steps.interval_ms = Quantiles(mean=20.0, p50=20.0, p95=21.0, p99=22.0)
    trained.steps.wait_ms = Quantiles(mean=5.0, p50=5.0, p95=6.0, p99=7.0)
    assert {read_step(saved(tmp_path, trained))[name] for name in of_run} == {15.0}


@pytest.mark.parametrize(
    ("kind", "cpu_ms", "gpus", "cores", "competes"),
    [
        ("python", 25.0, [], 2, True), ("python", 0.5, [], 2, False), ("python", 12.0, [], 32, True),
        ("python", 12.0, ["GPU 0"], 16, False), ("python", 30.0, ["GPU 0"], 16, True),
        ("a kind of tomorrow", None, [], 2, True), ("a kind of tomorrow", None, ["GPU 0"], 2, False),
        ("simulate", 12.0, [], 2, False),
    ],
)  # fmt: skip
def test_a_step_competes_for_the_cores_that_it_has_used(tmp_path, trained, kind, cpu_ms, gpus, cores, competes):
    trained.device.kind, trained.device.cpu_ms, trained.cpu = kind, cpu_ms, None
    trained.host.gpus, trained.host.cores = gpus, cores
    assert read_step(saved(tmp_path, trained))["competes"] is competes
    # A replay of a replay is no better.
    trained.device.too_optimistic = "the step may compute on the same cores"
    assert read_step(saved(tmp_path, trained))["competes"]


@pytest.mark.parametrize(
    "text",
    [
        None,
        "[" * 10_000,
        '{"schema_version": 1, "host": {}, "steps": {"busy_ms": 3}, "device": {}}',
        '{"schema_version": 1, "host": {}, "steps": {}, "device": {"kind": "none"}}',
    ],
)
def test_what_is_no_profile_of_a_step_is_refused(tmp_path, text):
    path = tmp_path / "profile.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ProfileError):
        read_step(path)


def test_a_replay_runs_as_far_ahead_as_the_training_did(tmp_path, trained):
    (tmp_path / "spec.yaml").write_text(SPEC)
    step = parse_step(f"recorded:{saved(tmp_path, trained)}")
    target, loaded = load_target(str(tmp_path / "spec.yaml"), no_python=True, step=step)
    planned = make_options(target=target, loaded=loaded, step=step)
    assert planned.dispatch == 2
    start, end = start_step("recorded", planned.step.arguments, StepContext(dispatch=2)).submit("batch")
    assert 0 < end - start <= 20e6


@pytest.mark.parametrize(("factor", "codes"), [(1, [CODE]), (2, ["other-step", CODE])])
def test_comparisons_warn_of_replays_that_differ_or_prove_nothing(factor, codes, tmp_path, trained):
    sides: list[Any] = []
    for name, of_first in (("a", 1), ("b", factor)):
        folder = tmp_path / name
        folder.mkdir()
        trained.steps.busy_ms.p50 = 12.0 * of_first
        (folder / "spec.yaml").write_text(f"{SPEC}step: {{recorded: {saved(folder, trained).name}}}\n")
        target, loaded = load_target(str(folder / "spec.yaml"), no_python=True)
        sides.append(SimpleNamespace(settings=make_options(target=target, loaded=loaded)))
    result: Any = SimpleNamespace(warnings=[])
    warn_of_steps(sides, result)
    assert [one.code for one in result.warnings] == codes
