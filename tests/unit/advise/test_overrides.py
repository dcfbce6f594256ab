"""Edits as `--set` flags and in one line: the flags make of the spec's text what the edits make of the stages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.advise.views import pipeline, stage

from pipeprof.pipelines.edits.edits import (
    HandWritten,
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
)
from pipeprof.pipelines.spec.edits.apply_files import apply_to_spec, spec_diff
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.advise.edits.overrides import describe_change, overrides
from pipeprof.profiles.view.attach_spec import with_written
from pipeprof.profiles.view.from_spec import view_of_spec
from pipeprof.profiles.view.view import PipelineView

SPEC = """\
version: 1
source: {range: {stop: 100}}
stages:
  - map: {name: decode, ops: [{tf.cast: {dtype: float32}}], num_parallel_calls: 1}
  - shuffle: {buffer_size: 200, seed: 7}
  - map: {ops: [tf.square]}
  - flat_map:
      source: {range: {stop: 2}}
      stages:
        - repeat: {count: 2}
  - batch: {batch_size: 32}
options: {deterministic: true}
"""
ZIP = """\
version: 1
source:
  zip:
    datasets:
      - source: {range: {stop: 100}}
        stages: [{batch: {batch_size: 4}}]
      - source: {range: {stop: 100}}
"""
PREFETCH = {"buffer_size": "AUTOTUNE"}


def spec_view(folder: Path, text: str) -> PipelineView:
    path = folder / "spec.yaml"
    path.write_text(text, encoding="utf-8")
    loaded = load_spec(path)
    return with_written(view_of_spec(loaded, cores=2), loaded)


def load_spec_text(folder: Path, text: str) -> dict[str, Any]:
    (folder / "changed.yaml").write_text(text, encoding="utf-8")
    return load_spec(folder / "changed.yaml").data


def with_flags(folder: Path, flags: list[str]) -> dict[str, Any]:
    return load_spec(folder / "spec.yaml", flags).data


@pytest.mark.parametrize(
    ("edits", "flags", "change"),
    [
        pytest.param(
            (SetArgument("stages.0", "map", "num_parallel_calls", 8),),
            ["stages.decode.num_parallel_calls=8"],
            "num_parallel_calls: 1 → 8",
            id="an argument of a named stage",
        ),
        pytest.param(
            (SetArgument("stages.2", "map", "num_parallel_calls", 8),),
            ["stages.2.num_parallel_calls=8"],
            "num_parallel_calls: not set → 8",
            id="an argument of one of two maps",
        ),
        pytest.param(
            (
                SetArgument("stages.0", "map", "num_parallel_calls", 8),
                SetArgument("stages.4", "batch", "num_parallel_calls", 2),
            ),
            ["stages.decode.num_parallel_calls=8", "stages.batch.num_parallel_calls=2"],
            "decode: num_parallel_calls: 1 → 8, batch: num_parallel_calls: not set → 2",
            id="arguments of two stages",
        ),
        pytest.param(
            (MoveStage("stages.1", "shuffle", "stages.0"),),
            ["stages.shuffle=null", "stages.+decode={shuffle: {buffer_size: 200, seed: 7}}"],
            "move shuffle before decode",
            id="a move",
        ),
        pytest.param(
            (
                SetArgument("stages.4", "batch", "batch_size", 64),
                MoveStage("stages.3", "flat_map", "stages.2"),
                MoveStage("stages.4", "batch", "stages.2"),
            ),
            [
                "stages.flat_map=null",
                "stages.+2={flat_map: {source: {range: {stop: 2}}, stages: [{repeat: {count: 2}}]}}",
                "stages.batch=null",
                "stages.+3={batch: {batch_size: 64}}",
            ],
            "batch_size: 32 → 64, move flat_map before map, move batch before map",
            id="moves, one of them with another argument",
        ),
        pytest.param(
            (InsertStage("prefetch", PREFETCH, after="stages.0"), InsertStage("prefetch", PREFETCH)),
            ["stages.+shuffle={prefetch: {buffer_size: AUTOTUNE}}", "stages.+={prefetch: {buffer_size: AUTOTUNE}}"],
            "insert prefetch(buffer_size=AUTOTUNE) after decode, insert prefetch(buffer_size=AUTOTUNE) at the end",
            id="insertions",
        ),
        pytest.param(
            (InsertStage("prefetch", PREFETCH, after="source"),),
            ["stages.+decode={prefetch: {buffer_size: AUTOTUNE}}"],
            "insert prefetch(buffer_size=AUTOTUNE) after range (spec.yaml:2)",
            id="after the source",
        ),
        pytest.param(
            (InsertStage("prefetch", PREFETCH, after="stages.3.stages.0"),),
            ["stages.3.stages.+={prefetch: {buffer_size: AUTOTUNE}}"],
            "insert prefetch(buffer_size=AUTOTUNE) after repeat",
            id="in a function",
        ),
        pytest.param(
            (SetOption("threading.private_threadpool_size", 16),),
            ["options.threading.private_threadpool_size=16"],
            "options.threading.private_threadpool_size: not set → 16",
            id="an option",
        ),
        pytest.param((ReplaceStages(("stages.1",)),), ["stages.shuffle=null"], "remove shuffle", id="a removal"),
        pytest.param(
            (
                MoveStage("stages.4", "batch", "stages.2"),
                ReplaceStages(("stages.2",), (NewStage("map", {"ops": ["tf.abs"]}),), summary="abs"),
            ),
            ["stages.2.ops=[tf.abs]", "stages.batch=null", "stages.+2={batch: {batch_size: 32}}"],
            "move batch before map, abs",
            id="a move and a replacement",
        ),
    ],
)
def test_flags_make_what_the_edits_make(
    tmp_path: Path, edits: tuple[PipelineEdit, ...], flags: list[str], change: str
) -> None:
    view = spec_view(tmp_path, SPEC)
    assert overrides(view, edits) == flags
    assert (describe_change(view, edits) or "").replace(" (spec.yaml:6)", "") == change
    before, after = with_flags(tmp_path, []), with_flags(tmp_path, flags)
    assert after != before
    # The diff of the spec's own file makes the same.
    assert view.loaded is not None
    text = apply_to_spec(view.loaded, edits)
    assert load_spec_text(tmp_path, text) == after
    diff = (spec_diff(view.loaded, edits) or "").splitlines()
    assert diff[0].startswith("--- a/")
    assert {line[1:] for line in diff[2:] if line[0] == "+"} <= set(text.splitlines())


def test_a_side_of_a_zip(tmp_path: Path) -> None:
    view = spec_view(tmp_path, ZIP)
    edits = [InsertStage("prefetch", {"buffer_size": 2}, after=stage.id) for stage in view.stages if stage.op != "zip"]
    flags = overrides(view, [edits[1], edits[2]])
    assert flags == [
        "source.datasets.0.stages.+={prefetch: {buffer_size: 2}}",
        "source.datasets.1.stages.+={prefetch: {buffer_size: 2}}",
    ]
    sides = with_flags(tmp_path, flags)["source"]["zip"]["datasets"]
    assert [side["stages"][-1] for side in sides] == [{"prefetch": {"buffer_size": 2}}] * 2


def test_a_source_argument(tmp_path: Path) -> None:
    flags = overrides(spec_view(tmp_path, SPEC), (SetArgument("source", "range", "stop", 50),))
    assert flags == ["source.stop=50"]
    assert with_flags(tmp_path, flags)["source"] == {"range": {"stop": 50}}


@pytest.mark.parametrize(
    "edits",
    [
        pytest.param((HandWritten(("source",), "source: …", "…", summary="new source"),), id="a rewrite"),
        pytest.param((HandWritten(("stages.0",), "- map: {ops: […]}", "…", summary="split"),), id="open code"),
        pytest.param(
            (SetOption("deterministic", False), HandWritten(("stages.0",), "…", "…", summary="split")),
            id="only one of two can be a flag",
        ),
        pytest.param((SetArgument("stages.9", "map", "num_parallel_calls", 8),), id="a stage that is not there"),
        pytest.param((SetArgument("stages.1", "shuffle", "name", "${HOME}"),), id="text that a flag would fill in"),
    ],
)
def test_what_flags_cannot_make_has_none(tmp_path: Path, edits: tuple[PipelineEdit, ...]) -> None:
    assert overrides(spec_view(tmp_path, SPEC), edits) == []


def test_a_pipeline_without_a_spec_has_no_flags() -> None:
    view = pipeline(stage("source", "range"), stage("stages.0", "map", arguments={"num_parallel_calls": 1}))
    edits = (SetArgument("stages.0", "map", "num_parallel_calls", 8),)
    assert overrides(view, edits) == []
    assert describe_change(view, edits) == "num_parallel_calls: 1 → 8"


def test_the_line_of_a_change_has_its_numbers() -> None:
    view = pipeline(stage("source", "range"), stage("stages.0", "map", name="decode"), stage("stages.1", "shuffle"))
    edits = (MoveStage("stages.1", "shuffle", "stages.0"),)
    line = describe_change(view, edits, "200 × 0.3 KiB instead of 200 × 588 KiB")
    assert line == "move shuffle before decode: 200 × 0.3 KiB instead of 200 × 588 KiB"
    assert describe_change(view, (HandWritten(("stages.0",), "…", "…"),)) is None
    assert describe_change(view, ()) is None
