"""The diff of a change in the files of a Python target."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeprof.pipelines.changes.edits import InsertStage, SetArgument, SetEnvironment, to_document
from pipeprof.pipelines.static.python_text import CannotChangeSourceError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.advise.text.in_words import add_diffs, changed_source
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.experiment.jobs import with_source
from pipeprof.profiles.protocol.options import IteratedAt, Options

TEXT = "ds = numbers().map(parse)\n\nfor x in ds:\n    step(x)\n"
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)


@pytest.fixture
def script(recorded: Callable[[str], Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
    """A profile of a script, with a finding for each of two changes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TEXT)
    found = recorded("input-bound").model_copy(deep=True)
    found.target.kind, found.target.text = "script", "train.py"
    found.target.sha256 = hashlib.sha256(TEXT.encode()).hexdigest()
    place = Location(file="train.py", line=1, column=16, call="map")
    found.stages = [
        Stage(id="source", op="range", origin="written"),
        Stage(id="stages.0", op="map", origin="written", location=place),
        Stage(id="injected.0", op="prefetch", origin="injected"),
    ]
    edits = [Edit(**to_document(edit)) for edit in (PARALLEL, SetEnvironment("A", "1"))]
    found.findings = [Finding(rule="measured", title="A", status="unverified", edit=edit) for edit in edits]
    return found


def test_changes_get_diffs_where_the_text_has_a_place_for_them(script: Profile) -> None:
    add_diffs(script)
    first, second = [one.diff for one in script.findings or ()]
    assert first.startswith("--- a/train.py\n+++ b/train.py\n@@ -1,4 +1,4 @@\n-ds = numbers().map(parse)\n")
    assert "+ds = numbers().map(parse, num_parallel_calls=2)\n" in first
    assert second is None


def test_a_file_that_was_edited_meanwhile_gets_none(script: Profile) -> None:
    Path("train.py").write_text(f"{TEXT}\n")
    with pytest.raises(CannotChangeSourceError, match=r"train\.py was edited while it was measured"):
        changed_source(script.target, script.stages or (), [[PARALLEL]])


def test_what_is_proven_is_the_changed_text(script: Profile) -> None:
    """Where a script iterates its dataset moves with the lines before it."""
    cached = InsertStage("cache", {}, "stages.0")
    source = changed_source(script.target, script.stages or (), [[PARALLEL], [cached]])
    path = str(Path("train.py").absolute())
    job = Options(ParsedTarget("script", Path(path)), [path], edits=[["an edit"]], main=IteratedAt(path, 3, "loop"))
    found = with_source(job, source)
    assert (found.edits, found.texts, found.main) == ([], {path: source.texts["train.py"]}, job.main)
    lines = TEXT.replace("numbers().", "numbers()\nds = ds.")
    Path("train.py").write_text(lines)
    script.target.sha256 = hashlib.sha256(lines.encode()).hexdigest()
    (script.stages or [])[1].location = Location(file="train.py", line=2, column=9, call="map")
    moved = with_source(job, changed_source(script.target, script.stages or (), [[PARALLEL], [cached]]))
    assert moved.main == IteratedAt(path, 4, "loop")
