"""What a person may paste of a saved profile is made from edits that a plan may hold, never taken from the file."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.cli.targets.remade import remade
from pipeprof.pipelines.changes.edits import InsertStage, NewStage, ReplaceStages, SetEnvironment, SetOption
from pipeprof.profiles.document.findings import Verification, documents_of
from pipeprof.profiles.document.profile import Profile, Tool
from pipeprof.profiles.judge.result import Result, Side
from tests.unit.cli.patches import CACHE, SAVED, TEXT, proven, save_run
from tests.unit.cli.reports import Pipeprof, fix

EVIL = "os.system('id')"
DIFF = f"--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n+import os; {EVIL}\n x = 1\n"
CODE = {"diff": DIFF, "patch": DIFF, "python": f"import os; {EVIL}"}
TARGETS = pytest.mark.parametrize("target", ["spec.yaml", "train.py:make"])
pytestmark = pytest.mark.usefixtures("harness")


def searched(*steps: Any, target: str = "spec.yaml") -> None:
    """Save the profile of a search with a text, a diff, changes and variables of somebody else."""
    evil = {"text": f"# {EVIL}\n", "diff": DIFF, "changes": [f"import os; {EVIL}"]}
    found = fix(edits=[documents_of(one) for one in steps], environment={"LD_PRELOAD": "/evil.so"}, **evil)
    save_run(target=target, fix=found)


@TARGETS
@pytest.mark.parametrize("status", ["kept", "unverified", "ceiling"])
def test_show_prints_no_code_of_the_file(status: str, target: str, pipeprof: Pipeprof) -> None:
    save_run(proven(status=status, **CODE), target=target)
    for words in ((), ("-v",), ("--format", "md"), ("--format", "html"), ("--json",)):
        found = pipeprof("show", SAVED, *words)
        assert (found.code, "os.system" in html.unescape(found.out)) == (0, False), words


def test_show_says_where_lines_are_that_no_command_writes(pipeprof: Pipeprof) -> None:
    new = ReplaceStages(("stages.0",), (NewStage("batch", {"batch_size": 2}),))
    for edit, says in ((new, True), (CACHE, False)):
        save_run(proven(edit, python="x = 1"), target="train.py:make")
        assert ("pipeprof: note: " in pipeprof("show", SAVED).err) is says


def test_saved_texts_and_lines_for_an_upper_bound_are_left_out() -> None:
    searched([SetEnvironment("OMP_NUM_THREADS", "1")])
    profile = Profile.model_validate_json(Path(SAVED).read_text())
    profile.findings = [proven(**CODE), proven(InsertStage("map", {"python": "a.py:f"}, None), **CODE)]
    profile.verification = Verification(seconds=1, budget_seconds=9, mode="alternating", tried=1, block_seconds=1)
    profile.verification.bounds = [f"even without decode it is 1.0×\nwrite this:\nimport os; {EVIL}"]
    found = remade(profile, None)
    left = [(one.diff, one.python, one.patch, one.in_spec) for one in found.findings or ()]
    assert left == [("", None, None, False)] * 2
    assert (found.verification and found.verification.bounds) == ["even without decode it is 1.0×"]
    assert (found.fix and found.fix.environment) == {"OMP_NUM_THREADS": "1"}
    assert (found.fix and found.fix.changes) == ["OMP_NUM_THREADS=1 in the environment"]
    assert profile.findings[0].diff == DIFF, "the profile itself stays"


def test_show_writes_a_spec_and_its_patch_from_the_edits(pipeprof: Pipeprof) -> None:
    searched([CACHE], [SetOption("autotune.enabled", True)])
    assert pipeprof("show", SAVED, "--out", "new.yaml", "--out", "new.patch").code == 0
    for name in ("new.yaml", "new.patch"):
        text = Path(name).read_text()
        assert ["cache" in text, "autotune" in text, "os.system" in text] == [True, True, False]
    assert Path("new.yaml").read_text().startswith("version: 1  # mine\n")
    for words in ((), ("-v",), ("--format", "html")):
        shown = html.unescape(pipeprof("show", SAVED, *words).out)
        assert ("os.system" in shown, "evil.so" in shown) == (False, False)


@pytest.mark.parametrize("spoil", [lambda path: path.write_text(f"{TEXT}# more\n"), Path.unlink])
def test_show_writes_nothing_for_a_file_that_is_another_one_and_no_patch_of_a_function(
    spoil: Callable[[Path], object], pipeprof: Pipeprof
) -> None:
    searched([CACHE])
    spoil(Path("spec.yaml"))
    found = pipeprof("show", SAVED, "--out", "new.yaml", "--out", "new.patch")
    assert (found.code, "spec.yaml" in found.err) == (0, True)
    searched([CACHE], target="train.py:make")
    assert "new.patch is not written" in pipeprof("show", SAVED, "--out", "new.patch").err
    assert not [*Path().glob("new.*")]


@TARGETS
def test_fix_takes_nothing_of_the_file_but_the_edits(target: str, pipeprof: Pipeprof) -> None:
    save_run(proven(**CODE), target=target)
    found = pipeprof("fix", target, "--change", f"{SAVED}:1", "--out", "fix.diff", "--out", "fix.html")
    assert found.code == 0, found.err
    written = "".join(path.read_text() for path in map(Path, ("fix.diff", "fix.html")) if path.exists())
    assert "os.system" not in html.unescape(found.out + written)
    assert "cache" in found.out


@pytest.mark.parametrize("kind", ["gate", "compare"])
def test_the_next_command_of_a_result_is_not_one_of_the_file(kind: Any, pipeprof: Pipeprof) -> None:
    tool = Tool(name="pipeprof", version="1")
    result = Result(kind=kind, tool=tool, a=Side(text="a.yaml"), b=Side(text="b.yaml"), complete=True, exit_code=0)
    result.command, result.unchanged = ["rm", "-rf", "here"], "both sides are the same target"
    Path("r.json").write_text(result.model_dump_json())
    found = pipeprof("show", "r.json")
    assert (found.code, "rm" in found.out.split()) == (0, False)
