"""The graph of stages: as written and as executed, with the critical path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from pipeprof.cli.html.parts import Idents, StageGraph, StageRow
from pipeprof.cli.report.ledger import stages_of_views
from pipeprof.cli.report.time import describe_inside, explains_stage
from pipeprof.cli.report.names import number_of, write_share
from pipeprof.cli.report.rows import Row, rows_per_line, write_inputs
from pipeprof.cli.report.units import time_scale
from pipeprof.pipelines.steps.registry import step_kind
from pipeprof.profiles.lines import joined_lines, main_line, within
from pipeprof.profiles.wording import size, stage_name, stage_place

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

MOST_ROWS = 40
"""Stages with a row; of more, those with least work share one."""
_MOST_DEPTH = 4
_LONGEST_NUMBER = 7


def stage_graph(profile: Profile, idents: Idents) -> StageGraph | None:
    """The graph; None where no stage is known."""
    stages = profile.stages
    if not stages:
        return None
    rows = rows_per_line(stages)
    shown = _largest(profile, rows)
    path, branched = critical_path(profile)
    unit = time_scale(row.stage.inside_ms for row in shown)
    views = stages_of_views(profile)
    names = {ident: row.stage.name or row.stage.op for row in rows for ident in row.ids}
    bottleneck = profile.verdict.stage if profile.verdict is not None else None
    limited = profile.verdict is not None and profile.verdict.bound in {"input", None, "balanced"}
    found = [
        StageRow(
            idents.of(f"stage {number_of(row.stage.id)}"),
            _short(number_of(row.stage.id)),
            f"{_name(row.stage)}{f' ×{row.times}' if row.times > 1 else ''}",
            row.stage.op if row.stage.op != _name(row.stage) else "",
            stage_place(row.stage) or "",
            _runs(row.stage, names),
            unit.text(row.stage.inside_ms),
            min(row.stage.share, 1.0) if row.stage.share is not None else None,
            write_share(row.stage.share),
            f"{row.stage.parallelism:.3g}" if row.stage.parallelism is not None else "",
            "views" if row.stage.id in views else size(row.stage.buffered_bytes) if row.stage.buffered_bytes else "",
            write_inputs(row.stage),
            describe_inside(row.stage) if explains_stage(row.stage) else "",
            min(row.stage.depth, _MOST_DEPTH),
            not path.isdisjoint(row.ids),
            limited and bottleneck in row.ids,
            row.stage.origin == "injected",
        )
        for row in shown
    ]
    return StageGraph(
        found, _step(profile), f"{unit.unit} per batch", _caption(rows, shown, branched=branched), branched
    )


def _name(stage: Stage) -> str:
    """The user's name of a stage, else its op: of several that one call makes, each has a row."""
    return stage_name(stage) if stage.name else stage.op


def _largest(profile: Profile, rows: Sequence[Row]) -> list[Row]:
    """The rows that are shown, in their order: all of a few, else those with most work, and the one at fault."""
    if len(rows) <= MOST_ROWS:
        return list(rows)
    named = {profile.verdict.stage if profile.verdict else None, *(one.stage for one in profile.findings or ())}
    order = sorted(rows, key=lambda row: (named.isdisjoint(row.ids), -(row.stage.share or 0.0)))
    kept = {id(row) for row in order[:MOST_ROWS]}
    return [row for row in rows if id(row) in kept]


def critical_path(profile: Profile) -> tuple[set[str], bool]:
    """The stages through which most of the work of a batch goes, and whether there is another way.

    Where several pipelines are joined, the way goes through the one with most work.
    """
    line = main_line(profile)
    others = set(_slower_sides(profile, line))
    stages = profile.stages or []
    path = {stage.id for stage in stages if not any(stage.id == other or within(stage.id, other) for other in others)}
    return path, bool(others)


def _slower_sides(profile: Profile, line: Sequence[Stage]) -> Iterator[str]:
    """The stages of joined pipelines that have less work than the largest of them."""
    for sides in joined_lines(profile, line):
        most = max(sides, key=_work)
        for side in sides:
            if side is not most:
                yield from (stage.id for stage in side)


def _work(stages: Iterable[Stage]) -> float:
    return sum(stage.active_ms or 0.0 for stage in stages)


def _runs(stage: Stage, names: dict[str, str]) -> str:
    """What TensorFlow runs in place of a stage; empty where it is as written."""
    if stage.fused_with:
        return f"TensorFlow: part of {names.get(stage.fused_with, number_of(stage.fused_with))}"
    if stage.origin == "injected":
        added = (stage.executed or "").removeprefix(f"{stage.op} injected").removeprefix(", ")
        return f"added by TensorFlow{f', {added}' if added else ''}"
    return f"TensorFlow: {stage.executed}" if stage.executed else ""


def _short(number: str) -> str:
    """The number of a stage where it has room, else its end."""
    if len(number) <= _LONGEST_NUMBER:
        return number
    return f"/{number.rpartition('/')[2]}"[:_LONGEST_NUMBER] if "/" in number else f"…{number[1 - _LONGEST_NUMBER :]}"


def _step(profile: Profile) -> str:
    steps, device = profile.steps, profile.device
    if steps is None or device is None:
        return ""
    text = device.text or device.kind
    return (
        step_kind(text.partition(":")[0]).sentence(text) if steps.dispatch is not None else "none: the pipeline alone"
    )


def _caption(rows: Sequence[Row], shown: Sequence[Row], *, branched: bool) -> str:
    times = "Times are those of all threads together; share is that of the work without waiting for a core."
    parts = [times] if any(row.stage.share is not None or row.stage.inside_ms for row in shown) else []
    if not any(row.stage.executed or row.stage.fused_with for row in shown):
        known = any(row.stage.tf_op for row in shown)
        parts.append("TensorFlow runs them as written." if known else "What TensorFlow runs was not read.")
    parts.append(
        "The thick line is the critical path: of joined pipelines, the one with most work."
        if branched
        else "There is one path from the source to the step: all of it is critical."
    )
    if len(shown) < len(rows):
        hidden = [row for row in rows if not any(row is one for one in shown)]
        share = sum(row.stage.share or 0.0 for row in hidden)
        parts.append(
            f"{len(hidden):,} more stages have {write_share(share) or 'an unknown part'} of the work together."
        )
    return " ".join(parts)
