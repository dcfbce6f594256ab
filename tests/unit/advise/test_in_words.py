"""Edits in one line, and as a diff of the spec's text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from unit.view.views import pipeline, stage

from pipeprof.pipelines.changes.edits import (
    InsertStage,
    MoveStage,
    NewStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
)
from pipeprof.pipelines.changes.in_spec import can_change
from pipeprof.pipelines.changes.in_spec_text import apply_to_spec, spec_diff
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
from pipeprof.profiles.advise.text.in_words import describe_change
from pipeprof.profiles.harness.settings import written_stages
from pipeprof.profiles.view.view import PipelineView, StageView, with_written

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


CALLS = SetArgument("stages.0", "map", "num_parallel_calls", 8)
WIDER = SetArgument("stages.4", "batch", "num_parallel_calls", 2)
LARGER = SetArgument("stages.4", "batch", "batch_size", 64)
EARLY = MoveStage("stages.4", "batch", "stages.2")
ABS = ReplaceStages(("stages.2",), (NewStage("map", {"ops": ["tf.abs"]}),), summary="abs")


def written_view(loaded: LoadedSpec) -> PipelineView:
    """The stages of `SPEC` with what is written."""
    stages, last = [], {0: "source"}
    for row in written_stages(loaded).values():
        inputs = (last[row.depth],) if row.id.rpartition(".")[2] != "source" else ()
        owner = "stages.3" if row.depth else None
        stages.append(StageView(row.id, row.op, row.name, inputs, row.depth, owner, location=row.location))
        last[row.depth] = row.id
    found = with_written(PipelineView("static", tuple(stages)), loaded)
    return replace(found, stages=tuple(replace(one, arguments=one.written or {}) for one in found.stages))


def prefetch(after: str | None = None) -> InsertStage:
    return InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, after)


CHANGES: list[tuple[PipelineEdit, ...]] = [
    (CALLS,),
    (SetArgument("stages.2", "map", "num_parallel_calls", 8),),
    (CALLS, WIDER),
    (MoveStage("stages.1", "shuffle", "stages.0"),),
    (LARGER, MoveStage("stages.3", "flat_map", "stages.2"), EARLY),
    (prefetch("stages.0"), prefetch()),
    (prefetch("source"),),
    (prefetch("stages.3.stages.0"),),
    (SetOption("autotune.cpu_budget", 16),),
    (ReplaceStages(("stages.1",)),),
    (EARLY, ABS),
]


def test_a_change_has_a_line_and_a_diff(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(SPEC, encoding="utf-8")
    loaded = load_spec(path)
    lines = [describe_change(written_view(loaded), edits) or "" for edits in CHANGES]
    golden("changes/words.txt", "\n".join([*lines, ""]))
    for edits in CHANGES:
        assert can_change(loaded.data, edits)
        diff = (spec_diff(loaded, edits) or "").splitlines()
        assert diff[0].startswith("--- a/")
        assert {line[1:] for line in diff[2:] if line[0] == "+"} <= set(apply_to_spec(loaded, edits).splitlines())


def test_the_line_of_a_change_has_its_numbers() -> None:
    view = pipeline(stage("source", "range"), stage("stages.0", "map", name="decode"), stage("stages.1", "shuffle"))
    edits = (MoveStage("stages.1", "shuffle", "stages.0"),)
    line = describe_change(view, edits, "200 × 0.3 KiB instead of 200 × 588 KiB")
    assert line == "move shuffle to just before decode: 200 × 0.3 KiB instead of 200 × 588 KiB"
    assert describe_change(view, ()) is None
