"""Every command that a report or a page names: the command line takes it, also for that kind of target."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.test_named_commands import ROOT, commands_in, refusal

from pipeprof.cli.report.next_step import next_command
from pipeprof.cli.report.report import build_page, build_report
from pipeprof.pipelines.changes.edits import InsertStage, SetEnvironment
from pipeprof.profiles.document.findings import Unfinished
from pipeprof.profiles.document.memory import MemoryGrowth
from pipeprof.profiles.document.profile import Problem, Profile
from tests.unit.cli.reports import PARALLEL, Pipeprof, Recorded, codes, finding, measured, shown, verified

TARGETS = {"spec": "spec.yaml", "function": "train.py:make", "script": "train.py"}
SAVED = "pipeprof-out/run.json"


@pytest.fixture(params=TARGETS)
def profile(request: pytest.FixtureRequest, recorded: Recorded, tmp_path: Path) -> Profile:
    """The profile of a run of each kind of target, whose files are in the folder."""
    kind, text = request.param, TARGETS[request.param]
    (tmp_path / "spec.yaml").write_text((ROOT / "examples/jpeg_folder/spec.yaml").read_text(encoding="utf-8"))
    (tmp_path / "train.py").write_text("import tensorflow as tf\n\ndef make():\n    return tf.data.Dataset.range(9)\n")
    (tmp_path / "pipeprof-out").mkdir()
    found = recorded("script-fit" if kind == "script" else "jpeg-folder")
    found.target.kind, found.target.text, found.target.overrides = kind, text, []
    found.command = ["pipeprof", "run", text, *(["--", "fit"] if kind == "script" else [])]
    return found


def printed(profile: Profile) -> set[str]:
    """The commands that can be copied from a report, short, long and as a page; those that it names are understood."""
    blocks = [*build_report(profile, SAVED), *build_report(profile, SAVED, full=True), *build_page(profile, SAVED)]
    following = next_command(profile, SAVED)
    text = shown(blocks, width=1000)
    assert [(name, words) for name, words in commands_in(text) if refusal(name, words)] == []
    lines = {line for code in codes(blocks) for line in code.splitlines()}
    return {line for line in lines if re.match(r"(\w+=\S+ )*pipeprof ", line)} | {following.line if following else ""}


def with_findings(profile: Profile) -> Iterator[Profile]:
    """The profile with a change that a spec takes, with others, and with none, each as far as it may be known."""
    tried = verified(needs_seconds=80) if profile.target.kind != "script" else None
    for status in ("kept", "unverified", "unfinished", "ceiling"):
        left = Unfinished(pairs=2, needed=12, budget_seconds=90) if tried and status == "unfinished" else None
        for edit in (None, SetEnvironment("OMP_NUM_THREADS", "1"), InsertStage("cache", {}, "stages.1"), PARALLEL):
            in_spec = edit is PARALLEL and profile.target.kind == "spec"
            known = {"rule": "parallel-calls", "measured": measured(2.0), "unfinished": left, "in_spec": in_spec}
            profile.findings = [finding("unverified" if status == "unfinished" else status, edit, **known)]
            profile.verification = tried
            yield profile


def with_ends(profile: Profile) -> Iterator[Profile]:
    """The profile with memory that grows, and after each end."""
    profile.findings, profile.memory.soak = [], None
    profile.memory.growth = MemoryGrowth(leak=True)
    yield profile
    profile.host.memory_limit_bytes = 8 << 30
    own = "would-overwrite" if profile.target.kind == "script" else "step-raised"
    for code in ("hung", "out-of-memory", "raised", "interrupted", "max-time", own):
        profile.errors = [Problem(code=code, message="No module named 'x'", stage="stages.1", traceback="Traceback")]
        yield profile


@pytest.mark.parametrize(("changed", "some"), [(with_findings, "--change 1"), (with_ends, "--soak")])
def test_what_a_report_names_is_taken(
    changed: Any, some: str, profile: Profile, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(*_given: object, **_named: object) -> None:
        raise KeyboardInterrupt

    for name in ("run.run_sample", "fix.run_sample", "compare.compared", "gate.compared"):
        monkeypatch.setattr(f"pipeprof.cli.commands.{name}", reached)
    lines = {line for one in changed(profile) for line in printed(one) if line}
    assert any(some in line for line in lines)
    Path(SAVED).write_text(profile.model_dump_json())
    for line in sorted(lines):
        words = shlex.split(line)
        done = pipeprof(*words[words.index("pipeprof") + 1 :])
        # It would measure now (130); a profile of other files is refused with 6, and the command itself is right.
        assert done.code in {0, 6, 130}, f"{line}: {done.err}"
        assert "internal error" not in done.err, line
