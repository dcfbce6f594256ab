"""A training script as the target of ``fix``, and the changes of its profile by their numbers; nothing runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipeprof.cli.command_line import change_command
from pipeprof.cli.targets.load import Changes, load_target
from pipeprof.pipelines.changes.edits import SetArgument, to_document
from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import WrittenFile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.harness.harness import target_of
from pipeprof.profiles.harness.settings import RunSettings, again, main_place, plan
from pipeprof.profiles.protocol.job import IteratedAt
from pipeprof.profiles.tries.fix import FindBest
from pipeprof.profiles.tries.plan import cannot_replay
from pipeprof.profiles.worker.script.training_facts import ON_GPU

Pipeprof = Callable[..., Any]
TEXT = "for batch in data(): pass\n"
EDIT = SetArgument("stages.0", "map", "num_parallel_calls", 2)
SAVED = "pipeprof-out/train-20260101T000000Z.json"
MAIN = IteratedAt("train.py", 26, "loop")


def finding(status: str = "kept", **changes: Any) -> Finding:
    measured = {"speedup": 1.9, "low": 1.8, "high": 2.0, "pairs": [1.9] * 12}
    given: dict[str, Any] = {"title": "Run decode in parallel", "family": "speed", "semantics": "same"}
    edit = [Edit.model_validate(to_document(EDIT))]
    return Finding.model_validate(
        {"rule": "measured", "edit": edit, "status": status, "measured": measured, **given, **changes}
    )


@pytest.fixture
def profile(recorded: Callable[[str], Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """Of ``pipeprof run train.py -- loop``, with one change."""
    monkeypatch.chdir(tmp_path)
    Path("train.py").write_text(TEXT)
    Path("pipeprof-out").mkdir()
    found = recorded("script-loop")
    parsed, loaded = load_target("train.py", Changes(), no_python=False, scripts=True)
    found.target = target_of(RunSettings(parsed, loaded, script_args=("loop",)))
    found.command = ["pipeprof", "run", "train.py", "--", "loop"]
    found.findings = [finding()]
    Path(SAVED).write_text(found.model_dump_json())
    return found


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, recorded: Callable[[str], Profile]) -> list[tuple[str, RunSettings, Any]]:
    """What was called, with its settings and options."""
    found: list[tuple[str, RunSettings, Any]] = []

    def run_sample(settings: RunSettings, writer: ProfileWriter, progress: Any, *_: object) -> Profile:
        del progress
        found.append(("run", settings, None))
        measured = recorded("script-loop")
        measured.target, measured.command = target_of(settings), list(settings.command)
        writer.write(measured, final=True)
        return measured

    def tried(name: str) -> Callable[..., None]:
        def call(
            profile: Profile, settings: RunSettings, ideas: object, budget: float, progress: Any, **options: Any
        ) -> None:
            del profile, ideas, progress
            found.append((name, settings, {**options, "budget": budget}))

        return call

    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.run.try_changes", tried("run"))
    monkeypatch.setattr("pipeprof.cli.commands.fix.find_best", tried("fix"))
    return found


def test_fix_searches_in_a_script(
    pipeprof: Pipeprof, profile: Profile, calls: list[tuple[str, RunSettings, Any]]
) -> None:
    del profile
    found = pipeprof("fix", "train.py", "--", "loop", "--epochs", "3")
    assert found.code == 0
    assert "train.py runs as it is and trains for real until 4 s are measured" in found.err
    assert "starts again, several times, up to its first batch, to try changes with its step replayed" in found.err
    (_, measured, _), (name, settings, options) = calls
    assert (name, options["budget"]) == ("fix", 60.0)
    assert list(settings.script_args) == ["loop", "--epochs", "3"]
    assert measured.tries


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fix", "train.py", "--write"], "--write changes a spec, but train.py is a training script: use --out"),
        (["fix", "train.py", "--change", "1", "--write"], "--write changes a spec, but train.py is a training script"),
        (["fix", "train.py:make", "--change", "1", "--write"], "but train.py:make is a Python function: use --out"),
        (["fix", "train.py", "--step", "simulate:2ms"], "--step replaces a step, but a script has its own"),
        (["fix", "train.py:make", "--", "a"], "got unexpected arguments (a): only a training script"),
        (["run", "train.py", "--change", f"{SAVED}:2", "--", "loop"], "train.py is not the file that was"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    pipeprof: Pipeprof, profile: Profile, calls: list[tuple[str, RunSettings, Any]], words: list[str], said: str
) -> None:
    del profile
    Path("train.py").write_text(f"def make():\n    return data()\n\n{TEXT}")
    found = pipeprof(*words)
    assert (found.code, calls) == (6 if f"{SAVED}:2" in words else 2, [])
    assert said in " ".join(found.err.split())


def test_run_measures_the_training_with_a_change(
    pipeprof: Pipeprof, profile: Profile, calls: list[tuple[str, RunSettings, Any]]
) -> None:
    del profile
    found = pipeprof("run", "train.py", "--change", "1", "--", "loop")
    assert found.code == 0
    assert "train.py runs with the change and trains for real" in found.err
    ((_, settings, _),) = calls
    assert [json.loads(edit)["argument"] for edit in settings.edits[0]] == ["num_parallel_calls"]
    assert settings.main == replace(MAIN, file=str(Path("train.py").absolute()))
    other = pipeprof("run", "train.py", "--change", f"{SAVED}:1", "--", "fit")
    assert (other.code, len(calls)) == (6, 1)
    assert "it was measured with different arguments of the script" in " ".join(other.err.split())


def test_a_change_is_taken_by_a_command_with_the_arguments_of_the_script(profile: Profile) -> None:
    assert change_command(profile, 1) == "pipeprof run train.py --change 1 -- loop"
    patch = change_command(profile, 1, "fix", out=["change-1.patch"])
    assert patch == "pipeprof fix train.py --change 1 --out change-1.patch -- loop"
    profile.command[2:2] = ["--soak", "20m"]
    assert change_command(profile, 1) == "pipeprof run train.py --change 1 -- loop"
    profile.command[2:4] = ["--change", "1"]
    assert change_command(profile, 1) is None


def test_the_step_of_a_script_is_replayed_where_it_does_not_train(profile: Profile) -> None:
    parsed, _ = load_target("train.py", Changes(), no_python=False, scripts=True)
    assert profile.device is not None
    for cpu_ms, proves in ((0.1, True), (2.4, False), (None, False)):
        profile.device.cpu_ms = cpu_ms
        changed = again(RunSettings(parsed), profile)
        step = plan(changed).step
        assert (step.kind, changed.main) == ("recorded", main_place(profile))
        assert step.arguments["mean_ms"] == pytest.approx(2.62, abs=0.01)
        assert (cannot_replay(changed.replayed) is None) is proves
    assert cannot_replay({}) is None


def test_further_processes_may_write_again_what_the_first_one_has_made(profile: Profile) -> None:
    parsed, _ = load_target("train.py", Changes(), no_python=False, scripts=True)
    assert profile.training is not None
    files = {"model.keras": True, "log.csv": False}
    profile.training.written = [WrittenFile(file=name, bytes=3, new=new) for name, new in files.items()]
    assert list(again(RunSettings(parsed), profile).made) == [str(Path("model.keras").absolute())]


def test_a_step_whose_length_is_not_known_is_not_replayed(profile: Profile) -> None:
    parsed, _ = load_target("train.py", Changes(), no_python=False, scripts=True)
    assert profile.training is not None
    assert profile.steps is not None
    profile.training.wait, profile.training.unknown = None, ON_GPU
    profile.steps.wait_ms = None
    with pytest.raises(ProfileError, match="on a GPU TensorFlow returns"):
        again(RunSettings(parsed), profile)
    search = SimpleNamespace(settings=RunSettings(parsed), profile=profile)
    why = "how long a step of the training takes is not known, as on a GPU TensorFlow returns before a step has ended"
    assert FindBest._prepare(search) == why  # type: ignore[arg-type]
