from __future__ import annotations

import json
from typing import Any

import pytest

from pipeprof.pipelines.graph.error_stage import call_path, enclosing_stage
from pipeprof.pipelines.graph.read.records import dataset_node

from .conftest import GRAPHS

ERRORS: list[dict[str, Any]] = json.loads((GRAPHS / "errors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("error", ERRORS, ids=[one["case"] for one in ERRORS])
def test_the_stage_that_failed(error: dict[str, Any]) -> None:
    found = enclosing_stage(error["written"], error["text"])
    assert (found["key"] if found else None) == error["key"]


def test_the_innermost_function_is_blamed() -> None:
    written = next(one["written"] for one in ERRORS if one["case"] == "inside a function")
    inner = next(node for node in written["nodes"] if node["key"] == "stages_0_stages_0")
    found = enclosing_stage(written, f"{{{{function_node {inner['functions'][0]}}}}} failed")
    assert found is inner


@pytest.mark.parametrize(
    ("node", "path"),
    [
        ("stages_1/ops_0/DecodeJpeg", "ops.0"),
        ("stages_1/ops_12/loop_body/_0/stages_1/ops_12/fn/ops_3/Mul", "ops.12.fn.3"),
        ("stages_1/ops_2/fn/ops_1/fn/ops_0/crop/Slice", "ops.2.fn.1.fn.0"),
        ("stages_1/read/ops_1/Slice", ""),
        ("stages_11/ops_1/Slice", ""),
        ("stages_0_stages_1/ops_1/Slice", ""),
        ("stages_1/Slice", ""),
    ],
)
def test_the_call_that_failed(node: str, path: str) -> None:
    text = f"{{{{function_node __wrapped__IteratorGetNext}}}} no JPEG [[{{{{node {node}}}}}]] [Op:IteratorGetNext]"
    assert call_path("stages_1", text) == path


def test_other_text_blames_nobody() -> None:
    assert enclosing_stage(ERRORS[0]["written"], "No space left on device") is None
    assert enclosing_stage({"root": None, "reason": "none", "nodes": []}, ERRORS[0]["text"]) is None


def graph(*ops: str) -> dict[str, Any]:
    return {"root": "0", "reason": None, "nodes": [dataset_node(str(n), op, []) for n, op in enumerate(ops)]}


@pytest.mark.parametrize(
    ("ops", "found"),
    [
        (["BatchDatasetV2", "TFRecordDatasetV2"], "1"),
        (["TextLineDataset", "RangeDataset"], "0"),
        (["TextLineDataset", "TFRecordDatasetV2"], None),
        (["RangeDataset"], None),
    ],
)
def test_a_file_that_is_not_there_is_the_only_readers(ops: list[str], found: str | None) -> None:
    node = enclosing_stage(graph(*ops), "{{function_node __wrapped__IteratorGetNext}} x.rec; No such file or directory")
    assert (node["id"] if node else None) == found
