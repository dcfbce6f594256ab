"""A training script as the target of ``fix``, and the changes of its profile by their numbers; nothing runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pipeprof.cli.command_line import change_command
from pipeprof.pipelines.changes.edits import SetArgument
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.protocol.job import IteratedAt
from tests.unit.cli.patches import Harness, proven, save
from tests.unit.cli.reports import Pipeprof, Recorded

SAVED = "pipeprof-out/train-20260101T000000Z.json"


@pytest.fixture
def profile(recorded: Recorded, harness: Harness) -> Profile:
    """Of ``pipeprof run train.py -- loop``, with one change."""
    Path("train.py").write_text("for batch in data(): pass\n")
    found, harness.profile = recorded("script-loop"), recorded("script-loop")
    save(found, proven(SetArgument("stages.0", "map", "num_parallel_calls", 2)), target="train.py", path=SAVED)
    return found


@pytest.mark.usefixtures("profile")
def test_fix_searches_in_a_script(pipeprof: Pipeprof, harness: Harness) -> None:
    found = pipeprof("fix", "train.py", "--", "loop", "--epochs", "3")
    assert (found.code, "trains for real" in found.err) == (0, True)
    ((asked,), (tried,)) = harness.asked, harness.tried
    assert (asked.tries, tried["budget"], list(tried["settings"].script_args)) == (
        True,
        60.0,
        ["loop", "--epochs", "3"],
    )


@pytest.mark.usefixtures("profile")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("fix train.py --write", 2, "--write changes a spec, but train.py is a training script: use --out"),
        ("fix train.py --change 1 --write", 2, "--write changes a spec, but train.py is a training script"),
        ("fix train.py:make --change 1 --write", 2, "but train.py:make is a Python function: use --out"),
        ("fix train.py --step simulate:2ms", 2, "--step replaces a step, but a script has its own"),
        ("fix train.py:make -- a", 2, "got unexpected arguments (a): only a training script"),
        (f"run train.py --change {SAVED}:2 -- loop", 6, "train.py is not the file that was"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(
    words: str, code: int, said: str, pipeprof: Pipeprof, harness: Harness
) -> None:
    Path("train.py").write_text("def make():\n    return data()\n")
    found = pipeprof(*words.split())
    assert (found.code, harness.asked, said in " ".join(found.err.split())) == (code, [], True)


@pytest.mark.usefixtures("profile")
def test_run_measures_the_training_with_a_change(pipeprof: Pipeprof, harness: Harness) -> None:
    assert pipeprof("run", "train.py", "--change", "1", "--", "loop").code == 0
    (settings,) = harness.asked
    assert [json.loads(edit)["argument"] for edit in settings.edits[0]] == ["num_parallel_calls"]
    assert settings.main == replace(IteratedAt("train.py", 26, "loop"), file=str(Path("train.py").absolute()))
    other = pipeprof("run", "train.py", "--change", f"{SAVED}:1", "--", "fit")
    assert (other.code, len(harness.asked)) == (6, 1)
    assert "different arguments of the script" in " ".join(other.err.split())


def test_a_change_is_taken_by_a_command_with_the_arguments_of_the_script(profile: Profile) -> None:
    assert change_command(profile, 1) == "pipeprof run train.py --change 1 -- loop"
    patch = change_command(profile, 1, "fix", out=["change-1.patch"])
    assert patch == "pipeprof fix train.py --change 1 --out change-1.patch -- loop"
    profile.command[2:2] = ["--soak", "20m"]
    assert change_command(profile, 1) == "pipeprof run train.py --change 1 -- loop"
    profile.command[2:4] = ["--change", "1"]
    assert change_command(profile, 1) is None
