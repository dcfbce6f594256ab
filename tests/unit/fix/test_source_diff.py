"""The text of a function with the changes of a search is taken only where it gives the graph of its edits."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import (
    HandWritten,
    InsertStage,
    PipelineEdit,
    SetArgument,
    SetEnvironment,
    to_document,
)
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.target.target import parse_target
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import DatasetUse, Phase, Training, WrittenFile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.fix import source_diff
from pipeprof.profiles.fix.source_diff import EditedSource, edited_source, in_text
from pipeprof.profiles.harness.settings import RunSettings
from pipeprof.profiles.protocol.job import IteratedAt
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, ScriptGraphJob, packed, unpacked

TEXT = "def make():\n    ds = numbers()\n    return ds.map(parse)\n"
AFTER = TEXT.replace("parse)", "parse, num_parallel_calls=2)")
STAGES = [Stage(id=name, op=op, origin="written") for name, op in (("source", "range"), ("stages.0", "map"))]
PARALLEL = SetArgument("stages.0", "map", "num_parallel_calls", 2)


def graph(calls: int) -> dict[str, Any]:
    """A graph of one node, with so many calls."""
    node = {"op": "ParallelMapDatasetV2", "inputs": [], "attributes": {"calls": calls}, "functions": {}}
    return {"root": "map", "nodes": {"map": node}, "functions": {}}


def edited(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, written: GraphAnswer, *edits: PipelineEdit
) -> tuple[EditedSource, list[GraphJob]]:
    asked: list[GraphJob] = []

    def ask(job: GraphJob) -> GraphAnswer:
        asked.append(job)
        return written if job.text is not None else GraphAnswer(packed(graph(2)), "int64")

    monkeypatch.setattr(source_diff, "ask_for_graph", ask)
    profile = run_of()
    return edited_source(settings_of(profile), profile, TEXT, [edits]), asked


def test_a_text_with_the_graph_of_the_edits_is_taken(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, asked = edited(run_of, monkeypatch, GraphAnswer(packed(graph(2)), "int64"), PARALLEL)
    assert found.text == AFTER
    assert [(job.text, len(job.steps or ())) for job in asked] == [(None, 1), (AFTER, 0)]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        (GraphAnswer(packed(graph(3)), "int64"), "the edited text gives another graph than the changes"),
        (GraphAnswer(packed(graph(2)), "float32"), "the edited text gives another graph than the changes"),
        (GraphAnswer(failure="NameError: parse"), "the edited text could not be checked: NameError: parse"),
    ],
)
def test_a_text_with_another_graph_is_not(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, written: GraphAnswer, reason: str
) -> None:
    found, _ = edited(run_of, monkeypatch, written, PARALLEL)
    assert (found.text, found.reason) == (None, reason)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (SetEnvironment("A", "1"), "the changes are those of the environment alone"),
        (HandWritten(("stages.0",), "", ""), "HandWritten has to be written by hand: no tool applies it"),
    ],
)
def test_nothing_is_started_for_what_has_no_text(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, edit: PipelineEdit, reason: str
) -> None:
    found, asked = edited(run_of, monkeypatch, GraphAnswer(), edit)
    assert (found, asked) == (EditedSource(None, reason), [])


SCRIPT = "ds = numbers()\nds = ds.map(parse)\n\nfor x in ds:\n    step(x)\n"


def settings_of(profile: Profile) -> RunSettings:
    return RunSettings(parse_target(profile.target.text, scripts=True))


def test_calls_in_a_function_that_the_targets_function_calls(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_diff, "ask_for_graph", lambda _: GraphAnswer(packed(graph(2)), "int64"))
    text = "def parsed(ds):\n    return ds.map(parse)\n\n\ndef make():\n    return parsed(numbers())\n"
    profile = run_of()
    place = Location(file="train.py", line=2, column=15, call="map")
    profile.stages = [STAGES[0], STAGES[1].model_copy(update={"location": place})]
    found = edited_source(settings_of(profile), profile, text, [[PARALLEL]])
    assert found.text == text.replace("parse)", "parse, num_parallel_calls=2)")
    several = text + "\n\ntest = parsed(others())\n"
    found = edited_source(settings_of(profile), profile, several, [[PARALLEL]])
    assert found.text == several.replace("parse)", "parse, num_parallel_calls=2)")
    found = edited_source(settings_of(profile), profile, several, [[InsertStage("cache", {}, "stages.0")]])
    assert (found.text, found.reason) == (None, "the calls in make are not the stages of its pipeline")


@pytest.mark.parametrize(("call", "stages"), [("read", 1), ("map", 2)])
def test_a_call_of_a_library_or_of_several_stages_is_left_alone(
    run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch, call: str, stages: int
) -> None:
    """Its argument would be one of another function, or of all these stages."""
    monkeypatch.setattr(source_diff, "ask_for_graph", lambda _: pytest.fail("there is no text to check"))
    text = f"def parsed(ds):\n    return ds.{call}(parse){'' if call == 'map' else '.map(other)'}\n\n\n"
    text += "def make():\n    return parsed(numbers()), parsed(others())\n"
    profile = run_of()
    place = Location(file="train.py", line=2, column=15, call=call)
    each = [Stage(id=f"stages.{number}", op="map", origin="written", location=place) for number in range(stages)]
    profile.stages = [STAGES[0], *each]
    assert edited_source(settings_of(profile), profile, text, [[PARALLEL]]).text is None


@pytest.fixture
def of_script(run_of: Callable[..., Profile], tmp_path: Path) -> Profile:
    """A profile of a script, with a finding."""
    profile = run_of(PARALLEL)
    file = tmp_path / "train.py"
    file.write_text(SCRIPT, encoding="utf-8")
    profile.target.kind, profile.target.text = "script", str(file)
    profile.target.sha256 = hashlib.sha256(SCRIPT.encode()).hexdigest()
    place = Location(file="train.py", line=2, column=9, call="map")
    profile.stages = [STAGES[0], STAGES[1].model_copy(update={"location": place})]
    main = DatasetUse(role="loop", main=True, file=str(file), line=4)
    written = [WrittenFile(file=name, bytes=1, new=name == "new") for name in ("new", "log")]
    profile.training = Training(datasets=[main], written=written)
    return profile


def test_a_script_whose_loop_is_not_known_is_not_started(of_script: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_diff, "ask_for_graph", lambda _: pytest.fail("it has no end"))
    of_script.training = None
    found = edited_source(settings_of(of_script), of_script, SCRIPT, [[PARALLEL]])
    assert found == EditedSource(None, "the run has not seen where the script iterates its main dataset")


def test_a_script_is_run_until_its_dataset_is_there(
    of_script: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ScriptGraphJob] = []

    def ask(job: ScriptGraphJob) -> GraphAnswer:
        asked.append(job)
        return GraphAnswer(packed(graph(2)), "int64")

    monkeypatch.setattr(source_diff, "ask_for_graph", ask)
    cached = [InsertStage("cache", {}, "stages.0")]
    found = edited_source(settings_of(of_script), of_script, SCRIPT, [[PARALLEL], cached])
    assert found.text == SCRIPT.replace("parse)", "parse, num_parallel_calls=2)\nds = ds.cache()")
    planned, written = asked
    assert (planned.text, len(planned.steps or ()), written.text, written.steps) == (None, 2, found.text, None)
    file = str(tmp_path / "train.py")
    assert [job.job.main for job in asked] == [IteratedAt(file, line, "loop") for line in (4, 5)]
    # The profile may come from somebody else: what it has written is no permission.
    assert [job.job.made for job in asked] == [[], []]


def test_a_script_whose_lines_do_not_show_its_stages_has_no_diff(of_script: Profile) -> None:
    for place in (None, Location(file="other.py", line=2)):
        of_script.stages = [one.model_copy(update={"location": place}) for one in of_script.stages or ()]
        found = edited_source(settings_of(of_script), of_script, SCRIPT, [[PARALLEL]])
        assert (found.text, found.reason) == (None, "no line of train.py makes the last stage")


def test_a_script_that_takes_long_to_make_its_dataset_gets_no_diff(
    of_script: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert diffs_of(of_script, monkeypatch) != [None]
    of_script.findings = [one.model_copy(update={"diff": None}) for one in of_script.findings or ()]
    of_script.phases = [Phase(name="import", seconds=5.0), Phase(name="build", seconds=20.0)]
    assert diffs_of(of_script, monkeypatch) == [None]


def grouped(*addresses: str) -> list[Stage]:
    """A range, and stages that the one call of `bucket_by_sequence_length` has made."""
    place = Location(file="train.py", line=3, column=15, call="bucket_by_sequence_length")
    made = [Stage(id=one, op="group_by_window", origin="written", location=place) for one in addresses]
    return [Stage(id="source", op="range", origin="written"), *made]


def test_a_call_may_have_made_a_stage_of_another_name() -> None:
    text = "def make():\n    ds = numbers()\n    return ds.bucket_by_sequence_length(size, [9], [2, 2])\n"
    cached, step = text.replace("[2, 2])", "[2, 2]).cache()"), [InsertStage("cache", {}, "stages.0")]
    assert in_text(text, "make", grouped("stages.0"), [step]) == cached
    assert in_text(text, "make", grouped("stages.0", "stages.0.source"), [step]) == cached
    # Of several in a row, none is the call.
    with pytest.raises(CannotEditSourceError, match="the calls in make are not the stages"):
        in_text(text, "make", grouped("stages.0", "stages.1"), [step])


def test_a_graph_survives_its_way() -> None:
    value = {"a": [("float32", (2, 3), b"\x00\xff"), None, True, 1.5], "b": {"c": "d"}}
    assert unpacked(packed(value)) == value


@pytest.fixture
def run_of(tmp_path: Path, recorded: Callable[[str], Profile]) -> Callable[..., Profile]:
    """Makes a profile of the function, with a finding for each edit."""

    def make(*edits: PipelineEdit, status: str = "kept") -> Profile:
        file = tmp_path / "train.py"
        file.write_text(TEXT, encoding="utf-8")
        profile = recorded("input-bound").model_copy(deep=True)
        profile.target.kind, profile.target.text = "function", f"{file}:make"
        profile.target.sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
        profile.stages = STAGES
        profile.findings = [
            Finding(rule="measured", title="A change", status=status, edit=Edit(**to_document(edit))) for edit in edits
        ]
        return profile

    return make


def diffs_of(profile: Profile, monkeypatch: pytest.MonkeyPatch, end_at: float | None = None) -> list[str | None]:
    """The diffs that a run gives its changes, where all edited texts give the right graph."""
    answer = GraphAnswer(packed(graph(2)), "int64")
    monkeypatch.setattr(source_diff, "ask_for_graph", lambda _: answer)
    said: list[str] = []
    source_diff.add_diffs(profile, settings_of(profile), said.append, end_at)
    found = [one.diff for one in profile.findings or ()]
    assert len(said) == sum(diff is not None for diff in found)
    return found


def test_the_proven_changes_of_a_run_get_diffs(run_of: Callable[..., Profile], monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = diffs_of(run_of(PARALLEL, SetEnvironment("A", "1")), monkeypatch)
    assert first is not None
    assert first.endswith("-    return ds.map(parse)\n+    return ds.map(parse, num_parallel_calls=2)\n")
    assert second is None
    many = diffs_of(run_of(*[PARALLEL] * (source_diff.MOST_DIFFS + 1)), monkeypatch)
    assert [diff == first for diff in many] == [True] * source_diff.MOST_DIFFS + [False]


def test_no_diff_is_made_of_what_is_not_proven_was_edited_since_or_has_no_time(
    run_of: Callable[..., Profile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert diffs_of(run_of(PARALLEL, status="unverified"), monkeypatch) == [None]
    assert diffs_of(run_of(PARALLEL), monkeypatch, time.monotonic()) == [None]
    profile = run_of(PARALLEL)
    (tmp_path / "train.py").write_text(f"{TEXT}\n")
    assert diffs_of(profile, monkeypatch) == [None]
    assert diffs_of(run_of(PARALLEL), monkeypatch) != [None]
