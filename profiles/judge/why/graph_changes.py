"""The difference of two graphs as edits of the first one, as far as there are such edits: pure functions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from pipeprof.pipelines.edits.edits import InsertStage, PipelineEdit, ReplaceStages, SetArgument, SetOption
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.mixing.pair_stages import pair_stages
from pipeprof.profiles.view.view import PipelineView, StageView


@dataclass(frozen=True)
class GraphChange:
    """A change of a graph.

    Attributes:
        edits: That make it; their addresses are those of the first graph.
    """

    text: str
    edits: tuple[PipelineEdit, ...]


Names: TypeAlias = "Mapping[str, str]"
"""Of stages by their address, as a report has them."""


def graph_changes(a: PipelineView, b: PipelineView, names: tuple[Names, Names] = ({}, {})) -> list[GraphChange]:
    """The parts of a difference that are edits: arguments, options, and stages that pass elements on.

    What functions compute, sources, and stages with functions of their own are no part of it.

    Args:
        names: Of the stages of both, where the graph has none.
    """
    lines = _line(a), _line(b)
    titles = [
        [stage.name or known.get(stage.id) or stage.op for stage in line]
        for line, known in zip(lines, names, strict=True)
    ]
    paired = pair_stages(*([{stage.op: {"name": _known_by(stage)}} for stage in line] for line in lines))
    targets = {other: one for one, other in paired.moved.items()}
    found: list[GraphChange] = []
    last = "source"
    for one, other in paired.slots:
        if one is not None and other is not None:
            found += _arguments(titles[0][one], lines[0][one], lines[1][other])
            last = lines[0][one].id
        elif other is not None and _can_be_made(theirs := lines[1][other]):
            title, place = titles[1][other], _place(titles[1], other)
            insert = InsertStage(theirs.op, theirs.arguments, last)
            if other in targets:
                removed = ReplaceStages((lines[0][targets[other]].id,), ())
                found.append(GraphChange(f"{title}: moved {place}", (removed, insert)))
            else:
                found.append(GraphChange(f"{title}: added {_call(theirs)} {place}", (insert,)))
        elif one is not None and one not in paired.moved and traits(lines[0][one].op).passes:
            found.append(GraphChange(f"{titles[0][one]}: removed", (ReplaceStages((lines[0][one].id,), ()),)))
    return [*found, *_options(a.options, b.options)]


def _line(view: PipelineView) -> Sequence[StageView]:
    """The stages of the pipeline itself that follow its source."""
    return [
        stage for stage in view.stages if stage.depth == 0 and not stage.injected and stage.id.startswith("stages.")
    ]


def _known_by(stage: StageView) -> str | None:
    """What tells a stage from others of its op: its name, else what its function is made of."""
    ops = stage.function.ops if stage.function is not None else None
    return stage.name or (", ".join(sorted(ops)) if ops else None)


def _place(titles: Sequence[str], index: int) -> str:
    return f"after {titles[index - 1]}" if index else "after the source"


def _call(stage: StageView) -> str:
    arguments = ", ".join(f"{key}={_text(value)}" for key, value in stage.arguments.items() if value is not None)
    return f"{stage.op}({arguments})"


def _can_be_made(stage: StageView) -> bool:
    return traits(stage.op).passes and stage.function is None


def _arguments(title: str, one: StageView, other: StageView) -> Iterator[GraphChange]:
    for name in dict.fromkeys([*one.arguments, *other.arguments]):
        before, after = one.arguments.get(name), other.arguments.get(name)
        if before != after:
            text = f"{title}.{name}: {_text(before)} → {_text(after)}"
            yield GraphChange(text, (SetArgument(one.id, one.op, name, after),))


def _options(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[GraphChange]:
    for path in dict.fromkeys([*one, *other]):
        before, after = one.get(path), other.get(path)
        # An option cannot be taken away from a graph.
        if before != after and after is not None:
            yield GraphChange(f"options.{path}: {_text(before)} → {_text(after)}", (SetOption(path, after),))


def _text(value: Any) -> str:
    return "not set" if value is None else json.dumps(value, ensure_ascii=False, default=str)
