"""Edits of a spec with flags: what the file says changes there, what a flag says is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.edits.edits import InsertStage, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.apply_files import apply_to_spec
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.loader import load_spec

SPEC = """\
version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: double, ops: [tf.square]}
  - shuffle: {buffer_size: 10}
  # of this spec
  - batch: {batch_size: 4}
  - flat_map:
      source: {range: {stop: 2}}
      stages: [{repeat: {count: 2}}]
"""
SETS = ["stages.batch.drop_remainder=true", "stages.+0={skip: {count: 1}}"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC, encoding="utf-8")
    return tmp_path / "spec.yaml"


@pytest.mark.parametrize(
    "edit",
    [
        SetArgument("stages.2", "shuffle", "buffer_size", 8),
        MoveStage("stages.4", "flat_map", "stages.2"),
        InsertStage("prefetch", {"buffer_size": 2}),
        InsertStage("take", {"count": 3}, after="stages.4.stages.0"),
        SetOption("deterministic", value=False),
    ],
)
def test_what_no_flag_says_changes_in_the_file(path: Path, edit: PipelineEdit) -> None:
    loaded = load_spec(path, SETS)
    path.write_text(apply_to_spec(loaded, [edit]), encoding="utf-8")
    assert same(load_spec(path, SETS).data, apply_to_data(loaded.data, [edit]))


@pytest.mark.parametrize(
    "edit", [SetArgument("stages.3", "batch", "batch_size", 8), InsertStage("cache", after="stages.0")]
)
def test_stages_that_a_flag_changes_or_adds_are_refused(path: Path, edit: PipelineEdit) -> None:
    with pytest.raises(EditError, match=r"stages\.\d is not as .*spec\.yaml has it"):
        apply_to_spec(load_spec(path, SETS), [edit])
