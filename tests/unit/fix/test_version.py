"""Versions of a spec: steps of edits on its text, each on what the one before it made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeprof.pipelines.check import check_spec
from pipeprof.pipelines.edits.edits import HandWritten, InsertStage, PipelineEdit, SetArgument, SetEnvironment
from pipeprof.pipelines.errors import PipeprofError
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.places import EditError
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.profiles.fix.laboratory import rivals_that_fit
from pipeprof.profiles.fix.version import Version

TEXT = """\
# mine
version: 1
source: {range: {stop: 100}}
stages:
  - map: {ops: [tf.identity]}   # first
  - batch: {batch_size: 4}
"""


def version(folder: Path, text: str = TEXT, sets: tuple[str, ...] = (), overlays: tuple[str, ...] = ()) -> Version:
    path = folder / "spec.yaml"
    path.write_text(text)

    def reread(text: str, *, alone: bool = False) -> LoadedSpec:
        return check_spec(path, () if alone else sets, overlays=() if alone else overlays, content=text.encode())

    return Version(loaded=check_spec(path, sets, overlays=overlays), reread=reread)


def test_a_step_has_the_addresses_of_the_version_before_it(tmp_path: Path) -> None:
    one = version(tmp_path).then([InsertStage("prefetch", {"buffer_size": 2}, "source")])
    two = one.then([SetArgument("stages.1", "map", "num_parallel_calls", 4)])
    assert two.loaded is not None
    assert two.loaded.text == TEXT.replace(
        "  - map: {ops: [tf.identity]}   # first\n",
        "  - prefetch: {buffer_size: 2}\n  - map: {ops: [tf.identity], num_parallel_calls: 4}   # first\n",
    )
    assert len(two.steps) == 2
    assert (tmp_path / "spec.yaml").read_text() == TEXT


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (SetArgument("stages.7", "map", "num_parallel_calls", 4), "stages.7"),
        (SetArgument("stages.1", "map", "num_parallel_calls", 4), "stages.1: it is batch, expected map"),
        (SetArgument("stages.1", "batch", "batch_size", 4), "it changes nothing"),
        (HandWritten(("stages.0",), "", ""), "HandWritten has to be made by hand"),
        (SetArgument("stages.0", "map", "num_parallel_calls", "many"), "num_parallel_calls"),
    ],
)
def test_a_step_that_is_not_possible_says_why(tmp_path: Path, edit: SetArgument, said: str) -> None:
    with pytest.raises(PipeprofError, match=said):
        version(tmp_path).then([edit])


CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 4)
ALIASED = """\
version: 1
x-function: &function {ops: [tf.identity]}
source: {range: {stop: 100}}
stages:
  - map: *function
  - batch: {batch_size: 4}
"""


@pytest.mark.parametrize(
    ("own", "edit", "sets", "overlays"),
    [
        ("extends: base.yaml\n", CALLS, (), ()),
        ("extends: base.yaml\nstages: {batch: {batch_size: 8}}\n", CALLS, (), ()),
        (TEXT, SetArgument("stages.1", "batch", "batch_size", 8), ("stages.1.batch_size=2",), ()),
        (TEXT, InsertStage("batch", {"batch_size": 1}, "source"), ("stages.0.num_parallel_calls=2",), ()),
        (TEXT, CALLS, (), ("map.yaml",)),
        (ALIASED, CALLS, (), ()),
    ],
    ids=["another file", "two files", "a flag", "a flag for another stage then", "an overlay", "an alias"],
)
def test_what_others_say_is_changed_in_one_file(
    tmp_path: Path, own: str, edit: PipelineEdit, sets: tuple[str, ...], overlays: tuple[str, ...]
) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    (tmp_path / "map.yaml").write_text("stages: {map: {ops: [tf.abs]}}\n")
    start = version(tmp_path, own, sets, tuple(str(tmp_path / name) for name in overlays))
    two = start.then([edit]).then([InsertStage("prefetch", {"buffer_size": 2})])
    assert start.loaded is not None
    assert two.loaded is not None
    assert two.in_one_file
    changed = apply_to_data(start.loaded.data, [edit])
    assert two.loaded.data == {**changed, "stages": [*changed["stages"], {"prefetch": {"buffer_size": 2}}]}
    # It needs no other file and no flag.
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "spec.yaml").write_text(two.loaded.text)
    assert check_spec(tmp_path / "alone" / "spec.yaml").data == two.loaded.data


def test_the_one_file_says_what_it_was_made_of(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    one = version(tmp_path, "extends: base.yaml\n").then([CALLS])
    assert one.loaded is not None
    head, *lines = one.loaded.text.splitlines()
    assert head.endswith("base.yaml, in one file")
    assert lines == [
        "version: 1",
        "source: {range: {stop: 100}}",
        "stages:",
        "  - map: {ops: [tf.identity], num_parallel_calls: 4}",
        "  - batch: {batch_size: 4}",
    ]


def test_what_the_spec_itself_says_is_changed_there(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    own = "extends: base.yaml\nstages: [prefetch: {buffer_size: 2}]  # mine\n"
    one = version(tmp_path, own).then([SetArgument("stages.2", "prefetch", "buffer_size", 4)])
    assert one.loaded is not None
    assert (one.in_one_file, one.loaded.text) == (False, own.replace("buffer_size: 2", "buffer_size: 4"))


def test_values_of_the_environment_are_not_written_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text(TEXT)
    start = version(tmp_path, "extends: base.yaml\n")
    (tmp_path / "base.yaml").write_text(TEXT.replace("batch_size: 4", "batch_size: ${BATCH:-2}"))
    with_values = replace(start, loaded=check_spec(tmp_path / "spec.yaml", environment={"BATCH": "4"}))
    with pytest.raises(EditError, match="comes from"):
        with_values.then([CALLS])


def test_a_python_target_keeps_its_steps_and_its_environment() -> None:
    edits = [SetEnvironment("OMP_NUM_THREADS", "1")]
    found = Version().then(edits).then([InsertStage("cache")])
    assert (found.environment, found.graph_steps) == ({"OMP_NUM_THREADS": "1"}, [[InsertStage("cache")]])


@pytest.mark.parametrize(
    ("peak", "limit", "most"), [(None, 100, 4), (10, 100, 4), (10, 50, 2), (10, 47, 2), (10, 45, 0)]
)
def test_only_as_many_processes_as_fit_into_memory(peak: int | None, limit: int, most: int) -> None:
    assert rivals_that_fit(peak, limit) == most
