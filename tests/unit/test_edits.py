"""Edits as values: each kind is in the table of targets, and a document gives the value back."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from pipeprof.pipelines.changes.edits import (
    SUPPORT,
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetEnvironment,
    SetOption,
    TargetKind,
    VectoriseMap,
    from_document,
    supports,
    to_document,
)
from pipeprof.pipelines.changes.in_spec import EditError, apply_to_data
from pipeprof.pipelines.changes.in_words import in_words

FILTER = {"filter": {"ops": [{"tf.math.less": {"y": 3}}]}}
DATA: dict[str, Any] = {
    "source": {"range": {"stop": 9}},
    "stages": [
        {"map": {"ops": ["tf.square"]}},
        {"batch": {"batch_size": 3}},
        {"cache": None},
        FILTER,
        {"batch": {"batch_size": 2}},
    ],
}
EDITS: tuple[PipelineEdit, ...] = (
    InsertStage("prefetch", {"buffer_size": 2}, after="stages.0"),
    SetArgument("stages.1", "batch", "batch_size", 4),
    MoveStage("stages.1", "batch", "stages.0"),
    MoveFilter("stages.3", "stages.2"),
    ReplaceStages(("stages.0", "stages.1"), (NewStage("take", {"count": 3}),)),
    ReplaceStages(("stages.2",)),
    VectoriseMap("stages.0", "stages.1"),
    SetOption("threading.private_threadpool_size", 8),
    SetEnvironment("MALLOC_ARENA_MAX", "2"),
    HandWritten(("source",), "source: …", "dataset = …", "write {stage}"),
)


def test_every_kind_has_a_row() -> None:
    assert set(SUPPORT) == set(PipelineEdit.kinds.values())
    assert all(set(row) == set(get_args(TargetKind)) for row in SUPPORT.values())
    assert {type(edit) for edit in EDITS} == set(SUPPORT)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: type(edit).__name__)
def test_a_document_gives_the_edit_back(edit: PipelineEdit) -> None:
    assert from_document(json.loads(json.dumps(to_document(edit)))) == edit


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: type(edit).__name__)
def test_each_edit_can_be_read(edit: PipelineEdit) -> None:
    assert isinstance(edit, HandWritten) or in_words(edit)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: type(edit).__name__)
def test_a_spec_takes_the_edits_that_the_table_has_for_it(edit: PipelineEdit) -> None:
    if not supports(edit, "spec"):
        with pytest.raises(EditError, match="by hand"):
            apply_to_data(DATA, [edit])
        return
    changed = apply_to_data(DATA, [edit])
    assert (changed != DATA) != isinstance(edit, SetEnvironment)


def test_edits_of_other_versions_are_not_read() -> None:
    assert from_document({"kind": "Rewrite", "stages": ["source"], "yaml": "", "python": ""}) is None
