"""``--change N`` of run and fix, of scripts too: the change that a saved profile numbers, for unchanged files."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.command_line import change_command
from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, SetEnvironment
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.profiles.document.profile import Profile, Target
from pipeprof.profiles.protocol.options import IteratedAt
from pipeprof.profiles.redaction.document import redact
from tests.unit.cli.patches import CACHE, FUNCTION, SAVED, TEXT, Harness, proven, save, save_run
from tests.unit.cli.reports import Pipeprof, Recorded


def test_run_measures_the_change_and_its_profile_is_not_that_of_the_pipeline_as_it_is(
    pipeprof: Pipeprof, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    edits = (SetArgument("stages.0", "batch", "batch_size", 5), CACHE, SetEnvironment("OMP_NUM_THREADS", "1"))
    save_run(*map(proven, edits))
    for number in ("2", "2", "3"):
        # The changed pipeline is another one: the number still means the same change.
        assert pipeprof("run", "spec.yaml", "--change", number, "-q", "--no-verify").code == 0
    stages = [[list(stage) for stage in one.loaded.data["stages"]] for one in harness.asked if one.loaded is not None]
    assert stages == [[["cache"], ["batch"]], [["cache"], ["batch"]], [["batch"]]]
    assert (Path("spec.yaml").read_text(), os.environ["OMP_NUM_THREADS"]) == (TEXT, "1")
    save_run(proven(), target="train.py:make", path="a.json")
    assert pipeprof("run", "train.py:make", "--change", "a.json:1", "-q").code == 0
    assert [json.loads(edit)["op"] for edit in harness.asked[-1].edits[0]] == ["cache"], "the graph gets the edits"


def test_fix_writes_it_without_a_search(pipeprof: Pipeprof, harness: Harness) -> None:
    save_run(proven())
    found = pipeprof("fix", "spec.yaml", "--change", "1")
    assert (found.code, Path("spec.yaml").read_text()) == (0, TEXT)
    assert found.out.startswith("Taken: 5.83×")
    assert "+- cache: {}" in found.out
    assert pipeprof("fix", "spec.yaml", "--change", "1", "--write", "--out", "new.yaml").code == 0
    assert "- cache: {}\n- batch" in Path("spec.yaml").read_text()
    assert Path("new.yaml").read_text() == Path("spec.yaml").read_text()
    again = pipeprof("fix", "spec.yaml", "--change", f"{SAVED}:1", "--write")
    assert (again.code, "spec.yaml is not the file that was measured" in again.err) == (6, True)
    assert (harness.asked, harness.tried) == ([], [])


def test_fix_of_a_function_gives_a_diff(pipeprof: Pipeprof, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = ChangedSource({"train.py": FUNCTION}, {"train.py": FUNCTION.replace("()\n", "().cache()\n")}, {})
    monkeypatch.setattr("pipeprof.cli.commands.fix.changed_source", lambda *_: changed)
    save_run(proven(), target="train.py:make", path="a.json")
    found = pipeprof("fix", "train.py:make", "--change", "a.json:1", "--out", "fast.patch")
    assert (found.code, harness.asked, Path("train.py").read_text()) == (0, [], FUNCTION)
    for text in (found.out, Path("fast.patch").read_text()):
        assert "+    return data().cache()" in text


def test_what_was_not_proven_is_not_written_into_the_spec(pipeprof: Pipeprof, harness: Harness) -> None:
    save_run(proven(status="unverified", measured=None, reason="not tried: budget"))
    found = pipeprof("fix", "spec.yaml", "--change", "1", "--write", "--out", "new.yaml")
    assert (found.code, harness.asked, Path("spec.yaml").read_text()) == (0, [], TEXT)
    assert "change 1 was not proven: not tried: budget" in found.err
    assert "- cache: {}\n- batch" in Path("new.yaml").read_text()


@pytest.mark.parametrize("command", ["run", "fix"])
@pytest.mark.parametrize(
    ("edit", "words", "code", "said"),
    [
        (InsertStage("map", {"python": "subprocess.py:getoutput('id')"}, None), "1", 6, "proposes no such edit"),
        (None, "1", 6, "change 1 has no edit that can be made without you"),
        (CACHE, "2", 2, "--change: got 2, but pipeprof-out/spec-20260101T000000Z.json has only"),
        (CACHE, "no.json:1", 6, "no.json"),
        (CACHE, f"{SAVED}:1 --set stages.0.batch_size=4", 6, "with different values of"),
        (CACHE, "1 --set stages.0.batch_size=4", 6, "has no complete run of spec.yaml"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_runs(
    pipeprof: Pipeprof, harness: Harness, command: str, edit: PipelineEdit | None, words: str, code: int, said: str
) -> None:
    save_run(proven(edit))
    found = pipeprof(command, "spec.yaml", "--change", *words.split())
    assert (found.code, harness.asked, Path("spec.yaml").read_text()) == (code, [], TEXT)
    assert said in " ".join(found.err.split())


def changed(**fields: Any) -> Callable[[Profile], object]:
    return lambda profile: Path("a.json").write_text(profile.model_copy(update=fields).model_dump_json())


CACHE_FILE = InsertStage("cache", {"filename": "/home/somebody/cache"}, "source")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda saved: Path("a.json").write_text(redact(saved).model_dump_json()), "the profile is redacted"),
        (changed(complete=False), "its run did not finish"),
        (changed(target=Target(kind="spec", text="other.yaml")), "it is about other.yaml, not spec.yaml"),
        (lambda _: Path("a.json").write_text("{}"), "not a saved profile"),
        (lambda _: Path("spec.yaml").write_text(f"{TEXT}# more\n"), "spec.yaml is not the file that was measured"),
    ],
)
def test_a_profile_of_other_files_is_refused_with_the_reason(
    pipeprof: Pipeprof, harness: Harness, spoil: Callable[[Profile], object], said: str
) -> None:
    spoil(save_run(proven(CACHE_FILE), path="a.json"))
    found = pipeprof("fix", "spec.yaml", "--change", "a.json:1", "--write")
    assert (found.code, harness.asked, said in " ".join(found.err.split())) == (6, [], True)
    assert "cache" not in Path("spec.yaml").read_text()


OF_SCRIPT = "pipeprof-out/train-20260101T000000Z.json"


@pytest.fixture
def trained(recorded: Recorded, harness: Harness) -> Profile:
    """Of ``pipeprof run train.py -- loop``, with one change."""
    Path("train.py").write_text("for batch in data(): pass\n")
    found, harness.profile = recorded("script-loop"), recorded("script-loop")
    save(found, proven(SetArgument("stages.0", "map", "num_parallel_calls", 2)), target="train.py", path=OF_SCRIPT)
    return found


@pytest.mark.usefixtures("trained")
def test_fix_searches_in_a_script_and_run_measures_it_with_a_change(pipeprof: Pipeprof, harness: Harness) -> None:
    found = pipeprof("fix", "train.py", "--", "loop", "--epochs", "3")
    assert (found.code, "trains for real" in found.err) == (0, True)
    ((asked,), (tried,)) = harness.asked, harness.tried
    arguments = list(tried["settings"].script_args)
    assert (asked.tries, tried["budget"], arguments) == (True, 60.0, ["loop", "--epochs", "3"])
    assert pipeprof("run", "train.py", "--change", "1", "--", "loop").code == 0
    settings = harness.asked[1]
    assert [json.loads(edit)["argument"] for edit in settings.edits[0]] == ["num_parallel_calls"]
    assert settings.main == replace(IteratedAt("train.py", 26, "loop"), file=str(Path("train.py").absolute()))
    other = pipeprof("run", "train.py", "--change", f"{OF_SCRIPT}:1", "--", "fit")
    assert (other.code, len(harness.asked)) == (6, 2)
    assert "different arguments of the script" in " ".join(other.err.split())


def test_a_change_is_taken_by_a_command_with_the_arguments_of_the_script(trained: Profile) -> None:
    assert change_command(trained, 1) == "pipeprof run train.py --change 1 -- loop"
    patch = change_command(trained, 1, "fix", out=["change-1.patch"])
    assert patch == "pipeprof fix train.py --change 1 --out change-1.patch -- loop"
    trained.command[2:2] = ["--soak", "20m", "--budget", "9"]
    assert change_command(trained, 1) == "pipeprof run train.py --change 1 -- loop"
    trained.command[2:6] = ["--change", "1"]
    assert change_command(trained, 1) is None
