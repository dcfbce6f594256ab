"""Edits of a finding that the graph of a Python function can take."""

from __future__ import annotations

from typing import Any

import pytest

from pipeprof.pipelines.edits.edits import HandWritten, MoveStage, PipelineEdit, SetArgument, to_document
from pipeprof.profiles.document.findings import Edit, Finding
from pipeprof.profiles.verify.jobs import graph_edits

ARGUMENT = SetArgument("stages.0", "map", "num_parallel_calls", 8)
MOVE = MoveStage("stages.1", "batch", "stages.0")
CODE = HandWritten(("stages.0",), "- map: …", "dataset = dataset.map(…)")


def finding(*edits: Any) -> Finding:
    return Finding(rule="some-rule", title="", status="unverified", edit=[Edit(**one) for one in edits])


@pytest.mark.parametrize(
    ("edits", "known"), [((ARGUMENT,), True), ((MOVE, ARGUMENT), True), ((MOVE, CODE), False), ((), False)]
)
def test_what_needs_the_users_code_is_not_tried(edits: tuple[PipelineEdit, ...], known: bool) -> None:
    assert (graph_edits(finding(*map(to_document, edits))) is not None) == known


def test_a_kind_of_another_version_is_not_tried() -> None:
    assert graph_edits(finding({"kind": "Rewrite", "stages": ["source"]})) is None
