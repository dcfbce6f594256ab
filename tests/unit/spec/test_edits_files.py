"""Edits of a spec that extends another one, or has overlays and flags: its own stages change, others are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeprof.pipelines.edits.edits import InsertStage, MoveFilter, MoveStage, PipelineEdit, SetArgument, SetOption
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.apply_files import apply_to_spec
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.loader import load_spec

BASE = """\
version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: double, ops: [tf.square]}
  - shuffle: {buffer_size: 10}
"""
OWN = """\
extends: base.yaml
stages:
  # of this spec
  - batch: {batch_size: 4}
  - flat_map:
      source: {range: {stop: 2}}
      stages: [{repeat: {count: 2}}]
  - map: {ops: [{to_tuple: [null, null]}]}
  - filter: {ops: [{tf.math.less: {y: 3, on: 1}}]}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")
    (tmp_path / "own.yaml").write_text(OWN, encoding="utf-8")
    return tmp_path / "own.yaml"


@pytest.mark.parametrize(
    "edit",
    [
        SetArgument("stages.2", "batch", "batch_size", 8),
        MoveStage("stages.3", "flat_map", "stages.2"),
        MoveFilter("stages.5", "stages.4"),
        InsertStage("prefetch", {"buffer_size": 2}),
        InsertStage("take", {"count": 3}, after="stages.3.stages.0"),
        SetOption("deterministic", value=False),
    ],
)
def test_stages_of_its_own_change(path: Path, edit: PipelineEdit) -> None:
    loaded = load_spec(path)
    path.write_text(apply_to_spec(loaded, [edit]), encoding="utf-8")
    assert same(load_spec(path).data, apply_to_data(loaded.data, [edit]))
    assert (path.parent / "base.yaml").read_text(encoding="utf-8") == BASE


@pytest.mark.parametrize(
    "edit", [SetArgument("stages.1", "shuffle", "buffer_size", 8), InsertStage("cache", after="source")]
)
def test_stages_of_another_file_are_refused_with_its_name(path: Path, edit: PipelineEdit) -> None:
    with pytest.raises(EditError, match=r"base\.yaml:\d+:\d+"):
        apply_to_spec(load_spec(path), [edit])


def test_stages_that_an_overlay_or_a_flag_changes_are_refused(path: Path) -> None:
    over = path.with_name("over.yaml")
    over.write_text("stages:\n  batch: {batch_size: 5}\n", encoding="utf-8")
    edit = SetArgument("stages.2", "batch", "batch_size", 8)
    with pytest.raises(EditError, match=r"stages\.2 is not written in .*own\.yaml alone"):
        apply_to_spec(load_spec(path, overlays=[str(over)]), [edit])
    with pytest.raises(EditError, match=r"stages\.2 is not written in .*own\.yaml alone"):
        apply_to_spec(load_spec(path, ["stages.batch.batch_size=6"]), [edit])
