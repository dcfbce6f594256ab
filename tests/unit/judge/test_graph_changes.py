"""The difference of two graphs as edits of the first, and what no edit makes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeprof.pipelines.edits.edits import InsertStage, ReplaceStages, SetArgument, SetOption
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.judge.why import versions
from pipeprof.profiles.judge.why.versions import GraphVersions, graph_changes
from pipeprof.profiles.protocol.source import GraphAnswer, GraphJob, packed
from pipeprof.profiles.view.view import FunctionView, PipelineView, StageView


def view(*stages: tuple[str, dict[str, Any]], options: dict[str, object] | None = None) -> PipelineView:
    made = [
        StageView(
            id="source" if number == 0 else f"stages.{number - 1}",
            op=op,
            name=None,
            arguments=arguments,
            function=FunctionView() if op == "map" else None,
        )
        for number, (op, arguments) in enumerate(stages)
    ]
    return PipelineView(kind="measured", stages=tuple(made), options=options or {})


SOURCE = ("range", {"stop": 100})
MAP = ("map", {"num_parallel_calls": 4})
BATCH = ("batch", {"batch_size": 8})
SHUFFLE = ("shuffle", {"buffer_size": 10})
PREFETCH = ("prefetch", {"buffer_size": "AUTOTUNE"})


def test_arguments_options_and_stages_that_pass_elements_on_are_edits() -> None:
    a = view(SOURCE, SHUFFLE, MAP, BATCH, options={"deterministic": True})
    b = view(
        SOURCE,
        ("map", {}),
        ("batch", {"batch_size": 16}),
        PREFETCH,
        options={"deterministic": False, "threading.private_threadpool_size": 2},
    )
    found = {change.text: change.edits for change in graph_changes(a, b)}
    assert found == {
        "shuffle: removed": (ReplaceStages(("stages.0",), ()),),
        "map.num_parallel_calls: 4 → not set": (SetArgument("stages.1", "map", "num_parallel_calls", None),),
        "batch.batch_size: 8 → 16": (SetArgument("stages.2", "batch", "batch_size", 16),),
        'prefetch: added prefetch(buffer_size="AUTOTUNE") after batch': (
            InsertStage("prefetch", {"buffer_size": "AUTOTUNE"}, "stages.2"),
        ),
        "options.deterministic: true → false": (SetOption("deterministic", False),),
        "options.threading.private_threadpool_size: not set → 2": (SetOption("threading.private_threadpool_size", 2),),
    }


def test_stages_have_the_names_of_the_report() -> None:
    a, b = view(SOURCE, MAP, BATCH), view(SOURCE, ("map", {"num_parallel_calls": 2}), PREFETCH, BATCH)
    names = ({"stages.0": "load"}, {"stages.0": "read", "stages.2": "batch"})
    assert [change.text for change in graph_changes(a, b, names)] == [
        "load.num_parallel_calls: 4 → 2",
        'prefetch: added prefetch(buffer_size="AUTOTUNE") after read',
    ]


def test_a_moved_stage_is_one_change() -> None:
    (change,) = graph_changes(view(SOURCE, SHUFFLE, MAP, BATCH), view(SOURCE, MAP, BATCH, SHUFFLE))
    assert change.text == "shuffle: moved after batch"
    assert change.edits == (ReplaceStages(("stages.0",), ()), InsertStage("shuffle", {"buffer_size": 10}, "stages.2"))


def test_what_functions_and_sources_make_is_no_edit() -> None:
    assert graph_changes(view(SOURCE, BATCH), view(("range", {"stop": 9}), MAP, BATCH)) == []


def made_versions(
    monkeypatch: Any, after_edits: str, failure: str | None = None
) -> tuple[GraphVersions, list[GraphJob]]:
    """Functions whose graphs are made up."""
    views = {"a.py:make": view(SOURCE, MAP, BATCH), "b.py:make": view(SOURCE, ("map", {}), BATCH)}
    asked: list[GraphJob] = []

    def ask(job: GraphJob) -> GraphAnswer:
        asked.append(job)
        what = after_edits if job.steps else "b" if job.target.startswith("b") else "a"
        return GraphAnswer(packed(what), "int64", failure, packed(job.target) if job.stages else None)

    monkeypatch.setattr(versions, "_view", lambda answer: views[versions.unpacked(answer.stages)])
    monkeypatch.setattr(versions, "differences", lambda one, other: [] if one == other else [_Difference()])
    targets = [ParsedTarget("function", Path(name), "make") for name in ("a.py", "b.py")]
    return GraphVersions(*targets, ask), asked


class _Difference:
    what = "Mul and Add"
    seed = None


def test_where_the_edits_make_the_other_graph_nothing_is_left(monkeypatch: Any) -> None:
    found, asked = made_versions(monkeypatch, "b")
    assert found.changes == ["map.num_parallel_calls: 4 → not set"]
    assert found.rest == frozenset()
    assert [job.steps is not None for job in asked] == [False, False, True]
    ((edit,),) = found.edits(frozenset({0}))
    assert json.loads(edit)["kind"] == "SetArgument"
    assert found.edits(frozenset()) == []


def test_what_no_edit_makes_is_the_rest(monkeypatch: Any) -> None:
    found, _ = made_versions(monkeypatch, "c")
    assert found.changes == ["map.num_parallel_calls: 4 → not set", "the rest (Mul and Add)"]
    assert found.rest == frozenset({1})


def test_without_a_graph_all_of_it_is_the_rest(monkeypatch: Any) -> None:
    found, _ = made_versions(monkeypatch, "b", failure="the graph is too large")
    assert found.changes == ["the rest (the graph is too large)"]
    assert found.rest == frozenset({0})


def test_maps_without_names_are_known_by_their_functions() -> None:
    def of(*maps: tuple[str, int | None]) -> PipelineView:
        made = [
            StageView(
                id=f"stages.{number}",
                op="map",
                arguments={"num_parallel_calls": calls} if calls else {},
                function=FunctionView(ops=frozenset({op})),
            )
            for number, (op, calls) in enumerate(maps)
        ]
        return PipelineView(kind="measured", stages=(StageView(id="source", op="range"), *made), options={})

    found = graph_changes(of(("Sqrt", 8)), of(("Cast", None), ("Sqrt", 2)))
    assert [change.text for change in found] == ["map.num_parallel_calls: 8 → 2"]
