"""What a person may paste of a saved profile is made from edits that a plan may hold, never taken from the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.cli.test_change_numbers import CACHE, SAVED, TEXT, finding, save

from pipeprof.cli.targets.remade import remade
from pipeprof.pipelines.changes.edits import InsertStage, MoveFilter, SetArgument, SetEnvironment, SetOption
from pipeprof.profiles.document.findings import Fix, Verification, documents_of
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.subject import Tool
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.judge.result import Result, Side

Pipeprof = Callable[..., Any]
Recorded = Callable[[str], Profile]
EVIL = "os.system('id')"
DIFF = f"--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n+import os; {EVIL}\n x = 1\n"
CODE = {"diff": DIFF, "patch": DIFF, "python": f"import os; {EVIL}"}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "spec.yaml").write_text(TEXT)
    (tmp_path / "train.py").write_text("def make():\n    return data()\n")
    (tmp_path / "pipeprof-out").mkdir()


def searched(profile: Profile, *steps: Any, **changes: Any) -> None:
    given: dict[str, Any] = {
        "status": "fixed", "reason": "nothing else helps", "seconds": 9.0, "budget_seconds": 60.0, "wall_seconds": 70.0,
        "allow": ["same"], "measured": {"speedup": 9.9, "low": 9.8, "high": 10.0},
        "edits": [documents_of(one) for one in steps], "text": f"# {EVIL}\n", "diff": DIFF,
        "changes": [f"import os; {EVIL}"], "environment": {"LD_PRELOAD": "/evil.so"},
    }  # fmt: skip
    save(profile, fix=Fix.model_validate({**given, **changes}))


@pytest.mark.parametrize("words", [(), ("-v",), ("--format", "md"), ("--format", "html"), ("--json",)])
@pytest.mark.parametrize("target", ["spec.yaml", "train.py:make"])
@pytest.mark.parametrize("status", ["kept", "unverified", "ceiling"])
def test_show_prints_no_code_of_the_file(
    status: str, target: str, words: tuple[str, ...], pipeprof: Pipeprof, recorded: Recorded
) -> None:
    save(recorded("input-bound"), finding(CACHE, status=status, **CODE), target=target)
    found = pipeprof("show", SAVED, *words)
    assert found.code == 0, found.err
    assert "os.system" not in found.out.replace("&#39;", "'")


@pytest.mark.parametrize(("edit", "says"), [(MoveFilter("stages.1", "stages.0"), True), (CACHE, False)])
def test_show_says_where_lines_are_that_no_command_writes(
    edit: Any, says: bool, pipeprof: Pipeprof, recorded: Recorded
) -> None:
    save(recorded("input-bound"), finding(edit, python="x = 1"), target="train.py:make")
    assert ("pipeprof: note: " in pipeprof("show", SAVED).err) is says


def test_a_saved_text_is_left_out(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    save(profile, finding(CACHE, **CODE), finding(InsertStage("map", {"python": "a.py:f"}, None), **CODE))
    for one in remade(profile, None).findings or []:
        assert (one.diff, one.python, one.patch, one.in_spec) == ("", None, None, False)
    assert (profile.findings or [])[0].diff == DIFF


def test_lines_for_an_upper_bound_are_left_out(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    profile.verification = Verification(seconds=1, budget_seconds=9, mode="pairs", tried=1, block_seconds=1)
    profile.verification.bounds = [f"even without decode it is 1.0×\nwrite this:\nimport os; {EVIL}"]
    found = remade(profile, None).verification
    assert found is not None
    assert found.bounds == ["even without decode it is 1.0×"]


def test_show_writes_a_spec_and_its_patch_from_the_edits(pipeprof: Pipeprof, recorded: Recorded) -> None:
    searched(recorded("input-bound"), [CACHE], [SetOption("deterministic", False)])
    assert pipeprof("show", SAVED, "--out", "new.yaml", "--out", "new.patch").code == 0
    for name in ("new.yaml", "new.patch"):
        text = Path(name).read_text()
        assert "cache" in text
        assert "deterministic: false" in text
        assert "os.system" not in text
    assert Path("new.yaml").read_text().startswith("version: 1  # mine\n")
    for words in ((), ("-v",), ("--format", "html")):
        shown = pipeprof("show", SAVED, *words).out.replace("&#39;", "'")
        assert "os.system" not in shown
        assert "evil.so" not in shown


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda: Path("spec.yaml").write_text(f"{TEXT}# more\n"), "spec.yaml is not the file that was measured"),
        (lambda: Path("spec.yaml").unlink(), "spec.yaml"),
    ],
)
@pytest.mark.parametrize("name", ["new.yaml", "new.patch"])
def test_show_writes_nothing_for_a_file_that_is_another_one(
    name: str, spoil: Callable[[], object], says: str, pipeprof: Pipeprof, recorded: Recorded
) -> None:
    searched(recorded("input-bound"), [CACHE])
    spoil()
    found = pipeprof("show", SAVED, "--out", name)
    assert found.code == 0
    assert says in found.err
    assert not Path(name).exists()


def test_show_writes_no_patch_of_a_function(pipeprof: Pipeprof, recorded: Recorded) -> None:
    profile = recorded("input-bound")
    save(profile, target="train.py:make")
    searched(profile, [CACHE])
    document = json.loads(Path(SAVED).read_text())
    document["target"] = json.loads(profile.model_dump_json())["target"] | {"kind": "function", "text": "train.py:make"}
    Path(SAVED).write_text(json.dumps(document))
    found = pipeprof("show", SAVED, "--out", "new.patch")
    assert "new.patch is not written" in found.err
    assert not Path("new.patch").exists()


@pytest.mark.parametrize("target", ["spec.yaml", "train.py:make"])
def test_fix_takes_nothing_of_the_file_but_the_edits(target: str, pipeprof: Pipeprof, recorded: Recorded) -> None:
    save(recorded("input-bound"), finding(CACHE, **CODE), target=target)
    found = pipeprof("fix", target, "--change", f"{SAVED}:1", "--out", "fix.diff", "--out", "fix.html")
    assert found.code == 0, found.err
    written = "".join(path.read_text() for path in map(Path, ("fix.diff", "fix.html")) if path.exists())
    assert "os.system" not in (found.out + written).replace("&#39;", "'")
    assert found.out.startswith("Taken: ")
    assert "cache" in found.out


def test_a_change_is_measured_as_its_edits_make_it(
    pipeprof: Pipeprof, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[RunSettings] = []

    def run_sample(settings: RunSettings, writer: Any, *_: object, **__: object) -> Profile:
        measured.append(settings)
        profile = recorded("input-bound")
        writer.write(profile, final=True)
        return profile

    monkeypatch.setattr("pipeprof.profiles.harness.harness.run_sample", run_sample)
    monkeypatch.setattr("pipeprof.cli.commands.run.try_changes", lambda *_, **__: None)
    save(recorded("input-bound"), finding(SetArgument("stages.0", "batch", "num_parallel_calls", 2), **CODE))
    assert pipeprof("run", "spec.yaml", "--change", f"{SAVED}:1", "-q").code == 0
    (settings,) = measured
    assert settings.loaded is not None
    assert settings.loaded.data["stages"][0]["batch"]["num_parallel_calls"] == 2


@pytest.mark.parametrize("kind", ["gate", "compare"])
def test_the_next_command_of_a_result_is_not_one_of_the_file(kind: Any, pipeprof: Pipeprof) -> None:
    tool = Tool(name="pipeprof", version="1")
    result = Result(kind=kind, tool=tool, a=Side(text="a.yaml"), b=Side(text="b.yaml"), complete=True, exit_code=0)
    result.command, result.unchanged = ["rm", "-rf", "here"], "both sides are the same target"
    Path("r.json").write_text(result.model_dump_json())
    found = pipeprof("show", "r.json")
    assert found.code == 0, found.err
    assert "rm" not in found.out.split()


def test_variables_are_those_of_the_edits(recorded: Recorded) -> None:
    profile = recorded("input-bound")
    searched(profile, [SetEnvironment("OMP_NUM_THREADS", "1")])
    found = remade(Profile.model_validate_json(Path(SAVED).read_text()), None).fix
    assert found is not None
    assert found.environment == {"OMP_NUM_THREADS": "1"}
    assert found.changes == ["OMP_NUM_THREADS=1 in the environment"]
