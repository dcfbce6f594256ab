from __future__ import annotations

import json
from typing import Any

import pytest

from pipeprof.pipelines.graph.places import enclosing_stage

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


def test_other_text_blames_nobody() -> None:
    assert enclosing_stage(ERRORS[0]["written"], "No space left on device") is None
    assert enclosing_stage({"root": None, "reason": "none", "nodes": []}, ERRORS[0]["text"]) is None
