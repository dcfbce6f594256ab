"""``--change N`` of run and fix: the change that a saved profile numbers, for files that are still the same."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.targets.load import Changes, load_target
from pipeprof.pipelines.changes.edits import InsertStage, PipelineEdit, SetArgument, SetEnvironment, to_document
from pipeprof.pipelines.changes.in_source import ChangedSource
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import ProfileWriter
from pipeprof.profiles.harness.harness import target_of
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.redaction.document import redact

Pipeprof = Callable[..., Any]
TEXT = "version: 1  # mine\nsource: {range: {stop: 9}}\nstages:\n- batch: {batch_size: 3}\n"
CACHE = InsertStage("cache", {}, "source")
SAVED = "pipeprof-out/spec-20260101T000000Z.json"


def finding(*edits: PipelineEdit, status: str = "kept", **changes: Any) -> Finding:
    documents = [Edit.model_validate(to_document(edit)) for edit in edits]
    measured = {"speedup": 5.83, "low": 5.44, "high": 6.24, "pairs": [5.8] * 12}
    given: dict[str, Any] = {"title": "Cache it", "family": "speed", "semantics": "same", "measured": measured}
    return Finding.model_validate({"rule": "measured", "edit": documents, "status": status, **given, **changes})


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, recorded: Callable[[str], Profile], tmp_path: Path) -> list[RunSettings]:
    """Settings of what was measured; nothing is."""
    found: list[RunSettings] = []

    def run_sample(settings: RunSettings, writer: ProfileWriter, progress: Any, *_: object) -> Profile:
        del progress
        found.append(settings)
        profile = recorded("input-bound")
        profile.target, profile.command = target_of(settings), ["pipeprof", "run", "spec.yaml"]
        writer.write(profile, final=True)
        return profile

    (tmp_path / "spec.yaml").write_text(TEXT)
    (tmp_path / "train.py").write_text("def make():\n    return data()\n")
    (tmp_path / "pipeprof-out").mkdir()
    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.run.try_changes", lambda *_, **__: None)
    monkeypatch.setattr("pipeprof.cli.commands.fix.find_best", lambda *_, **__: pytest.fail("a search was begun"))
    return found


def save(profile: Profile, *findings: Finding, target: str = "spec.yaml", path: str = SAVED, **changes: Any) -> None:
    parsed, loaded = load_target(target, Changes(), no_python=False)
    profile.target, profile.command = target_of(RunSettings(parsed, loaded)), ["pipeprof", "run", target]
    profile.findings = list(findings)
    Path(path).write_text(profile.model_copy(update=changes).model_dump_json())


def test_run_measures_the_change_and_its_profile_is_not_that_of_the_pipeline_as_it_is(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile]
) -> None:
    save(recorded("input-bound"), finding(SetArgument("stages.0", "batch", "batch_size", 5)), finding(CACHE))
    assert pipeprof("run", "spec.yaml", "--change", "2", "-q", "--no-verify").code == 0
    (settings,) = measured
    assert settings.loaded is not None
    assert [list(stage) for stage in settings.loaded.data["stages"]] == [["cache"], ["batch"]]
    assert Path("spec.yaml").read_text() == TEXT
    # The changed pipeline is another one: the number still means the same change.
    assert pipeprof("run", "spec.yaml", "--change", "2", "-q", "--no-verify").code == 0
    assert len(measured[1].loaded.data["stages"]) == 2  # type: ignore[union-attr]


def test_of_a_function_the_graph_gets_the_edits(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile]
) -> None:
    save(recorded("input-bound"), finding(CACHE), target="train.py:make", path="a.json")
    assert pipeprof("run", "train.py:make", "--change", "a.json:1", "-q").code == 0
    assert [json.loads(edit)["op"] for edit in measured[0].edits[0]] == ["cache"]


def test_variables_of_a_change_are_set(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    save(recorded("input-bound"), finding(SetEnvironment("OMP_NUM_THREADS", "1")))
    assert pipeprof("run", "spec.yaml", "--change", "1", "-q", "--no-verify").code == 0
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert len(measured) == 1


def test_fix_writes_it_without_a_search(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile]
) -> None:
    save(recorded("input-bound"), finding(CACHE))
    found = pipeprof("fix", "spec.yaml", "--change", "1")
    assert (found.code, measured, Path("spec.yaml").read_text()) == (0, [], TEXT)
    assert found.out.startswith("Taken: 5.83× (5.44–6.24, 12 rounds)")
    assert "+- cache: {}" in found.out
    found = pipeprof("fix", "spec.yaml", "--change", "1", "--write", "--out", "new.yaml")
    assert (found.code, measured) == (0, [])
    assert "- cache: {}\n- batch" in Path("spec.yaml").read_text()
    assert Path("new.yaml").read_text() == Path("spec.yaml").read_text()
    again = pipeprof("fix", "spec.yaml", "--change", f"{SAVED}:1", "--write")
    assert again.code == 6
    assert "spec.yaml is not the file that was measured: measure it again with `pipeprof run`" in again.err


def test_of_a_function_fix_gives_the_diff(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeprof.cli.commands.fix.changed_source",
        lambda *_: ChangedSource(
            {"train.py": Path("train.py").read_text()}, {"train.py": "def make():\n    return data().cache()\n"}, {}
        ),
    )
    save(recorded("input-bound"), finding(CACHE), target="train.py:make", path="a.json")
    words = ("--change", "a.json:1", "--out", "fast.patch")
    found = pipeprof("fix", "train.py:make", *words)
    assert (found.code, measured) == (0, [])
    assert "+    return data().cache()" in found.out
    assert "+    return data().cache()" in Path("fast.patch").read_text()
    assert Path("train.py").read_text() == "def make():\n    return data()\n"


def test_what_was_not_proven_is_not_written_into_the_spec(
    pipeprof: Pipeprof, measured: list[RunSettings], recorded: Callable[[str], Profile]
) -> None:
    save(recorded("input-bound"), finding(CACHE, status="unverified", measured=None, reason="not tried: budget"))
    found = pipeprof("fix", "spec.yaml", "--change", "1", "--write", "--out", "new.yaml")
    assert (found.code, measured, Path("spec.yaml").read_text()) == (0, [], TEXT)
    assert "change 1 was not proven: not tried: budget" in found.err
    assert "- cache: {}\n- batch" in Path("new.yaml").read_text()


HOSTILE = InsertStage("map", {"python": "subprocess.py:getoutput('id')"}, None)


@pytest.mark.parametrize("command", ["run", "fix"])
@pytest.mark.parametrize(
    ("edits", "changes", "words", "code", "said"),
    [
        ([HOSTILE], {}, ["--change", "1"], 6, "pipeprof proposes no such edit"),
        ([], {"edit": None}, ["--change", "1"], 6, "change 1 has no edit that can be made without you"),
        ([CACHE], {}, ["--change", "2"], 2, "--change: got 2, but pipeprof-out/spec-20260101T000000Z.json has only"),
        ([CACHE], {}, ["--change", "0"], 2, "--change: got '0', expected a whole number from 1"),
        ([CACHE], {}, ["--change", "no.json:1"], 6, "no.json"),
        ([CACHE], {}, ["--change", f"{SAVED}:1", "--set", "stages.0.batch_size=4"], 6, "with different values of"),
        ([CACHE], {}, ["--change", "1", "--set", "stages.0.batch_size=4"], 6, "has no complete run of spec.yaml"),
    ],
)
def test_what_cannot_be_taken_is_refused_before_anything_runs(
    pipeprof: Pipeprof,
    measured: list[RunSettings],
    recorded: Callable[[str], Profile],
    command: str,
    edits: list[PipelineEdit],
    changes: dict[str, Any],
    words: list[str],
    code: int,
    said: str,
) -> None:
    save(recorded("input-bound"), finding(*edits, **changes))
    found = pipeprof(command, "spec.yaml", *words)
    assert (found.code, measured, Path("spec.yaml").read_text()) == (code, [], TEXT)
    assert said in " ".join(found.err.split())


def hide(profile: Profile) -> None:
    profile.findings = [finding(InsertStage("cache", {"filename": "/home/somebody/cache"}, "source"))]
    Path("a.json").write_text(redact(profile).model_dump_json())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (hide, "the profile is redacted"),
        (
            lambda profile: Path("a.json").write_text(profile.model_copy(update={"complete": False}).model_dump_json()),
            "its run did not finish",
        ),
        (lambda _: Path("a.json").write_text("{}"), "not a saved profile"),
        (lambda _: Path("spec.yaml").write_text(f"{TEXT}# more\n"), "spec.yaml is not the file that was measured"),
        (
            lambda profile: Path("a.json").write_text(
                profile.model_copy(
                    update={"target": profile.target.model_copy(update={"text": "other.yaml"})}
                ).model_dump_json()
            ),
            "it is about other.yaml, not spec.yaml",
        ),
    ],
)
def test_a_profile_of_other_files_is_refused_with_the_reason(
    pipeprof: Pipeprof,
    measured: list[RunSettings],
    recorded: Callable[[str], Profile],
    spoil: Callable[[Profile], object],
    said: str,
) -> None:
    profile = recorded("input-bound")
    save(profile, finding(CACHE), path="a.json")
    spoil(profile)
    found = pipeprof("fix", "spec.yaml", "--change", "a.json:1", "--write")
    assert (found.code, measured) == (6, [])
    assert said in " ".join(found.err.split())
    assert "cache" not in Path("spec.yaml").read_text()
