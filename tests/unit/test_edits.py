"""Edits as values: each kind is in the table of targets, and a document gives the value back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipeprof.pipelines.changes import edits
from pipeprof.pipelines.changes.edits import PipelineEdit, from_document, to_document
from pipeprof.pipelines.changes.in_spec import apply_to_data
from pipeprof.pipelines.changes.in_words import in_words

STAGES = [{"map": {"ops": ["tf.square"]}}, {"batch": {"batch_size": 3}}, {"cache": None}, {"batch": {"batch_size": 2}}]
DATA: dict[str, Any] = {"source": {"range": {"stop": 9}}, "stages": STAGES}
EDITS: tuple[PipelineEdit, ...] = (
    edits.InsertStage("prefetch", {"buffer_size": 2}, after="stages.0"),
    edits.SetArgument("stages.1", "batch", "batch_size", 4),
    edits.MoveStage("stages.1", "batch", "stages.0"),
    edits.ReplaceStages(("stages.0", "stages.1"), (edits.NewStage("take", {"count": 3}),)),
    edits.ReplaceStages(("stages.2",)),
    edits.VectoriseMap("stages.0", "stages.1"),
    edits.SetOption("threading.private_threadpool_size", 8),
    edits.SetEnvironment("MALLOC_ARENA_MAX", "2"),
)


def test_every_kind_is_tried() -> None:
    assert {type(edit) for edit in EDITS} == set(PipelineEdit.kinds.values())


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: type(edit).__name__)
def test_each_edit_has_a_document_and_words_and_changes_a_spec(edit: PipelineEdit) -> None:
    assert from_document(json.loads(json.dumps(to_document(edit)))) == edit
    assert in_words(edit)
    assert (apply_to_data(DATA, [edit]) != DATA) != isinstance(edit, edits.SetEnvironment)


def test_edits_of_other_versions_are_not_read() -> None:
    assert from_document({"kind": "Rewrite", "stages": ["source"], "yaml": "", "python": ""}) is None
