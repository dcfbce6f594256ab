"""The stages of two pipelines side by side: aligned by name, then by structure; and those of one process of a pair."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import SequenceMatcher
from typing import TypeAlias, TypeVar

from pipeprof.pipelines.spec.budgets import stage_of
from pipeprof.pipelines.spec.load import LoadedSpec
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.harness.received import locate, shorten
from pipeprof.profiles.harness.settings import written_stages
from pipeprof.profiles.judge import messages
from pipeprof.profiles.judge.result import StageChange
from pipeprof.profiles.protocol.messages import Graphs
from pipeprof.profiles.time.stage_table import explain_stages
from pipeprof.profiles.view.from_graph import ParsedGraphs
from pipeprof.profiles.wording import stage_name

_Pairs: TypeAlias = list[tuple[Stage | None, Stage | None]]
_Item = TypeVar("_Item")


def paired(
    a: Sequence[_Item], b: Sequence[_Item], *keys: Callable[[_Item], object]
) -> list[tuple[_Item | None, _Item | None]]:
    """Pair items with the same first key, in order, and what is between them by the next keys; None for a lone one."""
    if not keys:
        return [*((one, None) for one in a), *((None, one) for one in b)]
    found: list[tuple[_Item | None, _Item | None]] = []
    matcher = SequenceMatcher(None, list(map(keys[0], a)), list(map(keys[0], b)), autojunk=False)
    for what, start, end, other_start, other_end in matcher.get_opcodes():
        left, right = a[start:end], b[other_start:other_end]
        if what == "equal":
            found += zip(left, right, strict=True)
        else:
            between = paired(left, right, *keys[1:])
            found += between
    return found


def align(a: Sequence[Stage], b: Sequence[Stage]) -> _Pairs:
    """Pair the stages of two pipelines, in the order of the data.

    Stages with the same name and op belong together; between those, stages with the same op in the same order do. A
    stage that was moved is one that only A has and one that only B has, unless it has a name.
    """
    return _with_moved(paired(a, b, _key, lambda stage: (stage.op, stage.depth)))


def _key(stage: Stage) -> tuple[str, str, int]:
    return stage_name(stage), stage.op, stage.depth


def _with_moved(pairs: _Pairs) -> _Pairs:
    """Pair stages that were left alone and have the same name, where B has them."""
    lone = {_key(one): one for one, other in pairs if one is not None and other is None}
    moved = {_key(other): lone[_key(other)] for one, other in pairs if one is None and other and _key(other) in lone}
    found: _Pairs = []
    for one, other in pairs:
        if one is None and other is not None and _key(other) in moved:
            found.append((moved[_key(other)], other))
        elif not (one is not None and other is None and _key(one) in moved):
            found.append((one, other))
    return found


def stage_changes(a: Sequence[Stage] | None, b: Sequence[Stage] | None) -> list[StageChange]:
    """The rows of the result; none where one side's stages are not known."""
    if a is None or b is None:
        return []
    return [_row(one, other) for one, other in align(a, b)]


def _row(one: Stage | None, other: Stage | None) -> StageChange:
    known = other or one
    assert known is not None  # noqa: S101 - for the type checker: a row has a stage
    numbers = {
        f"{side}_{name}": getattr(stage, name)
        for side, stage in (("a", one), ("b", other))
        if stage is not None
        for name in ("cpu_ms_per_batch", "share", "buffered_bytes")
    }
    return StageChange(
        name=stage_name(known),
        a=one.location if one else None,
        b=other.location if other else None,
        status="only b" if one is None else "only a" if other is None else "changed" if _differ(one, other) else "same",
        **numbers,
    )


def _differ(one: Stage, other: Stage) -> bool:
    return any(getattr(one, name) != getattr(other, name) for name in ("op", "tf_op", "threads", "executed"))


def rows_of_process(graphs: Graphs, loaded: LoadedSpec | None) -> list[Stage]:
    """The stages of one process of a pair, with their times in all its blocks."""
    parsed, placed = ParsedGraphs.of(graphs), written_stages(loaded)

    def place(rows: list[Stage]) -> None:
        locate(rows, parsed)
        shorten(rows)

    rows, _ = explain_stages(
        parsed.pair({address: stage.op for address, stage in placed.items()} if loaded is not None else None),
        segments=parsed.snapshots,
        batches=parsed.batches,
        placed=placed,
        locate=place if loaded is None else None,
    )
    return rows


def find_stage(rows: Sequence[Stage], name: str) -> list[Stage]:
    """The stages that a budget means: by address, by name, else by an op that no other stage has.

    One function may make several stages: all of them have its name.
    """
    written = [row for row in rows if row.origin == "written"]
    for found in (
        [row for row in written if row.id == name],
        [row for row in written if row.name == name],
        [row for row in written if row.op == name],
    ):
        if found:
            return found if found[0].op != name or len(found) == 1 else []
    return []


def stage_values(rows: Sequence[Stage], metrics: Iterable[str]) -> dict[str, float]:
    """The values of the metrics that are about one stage, by name; without those that were not measured."""
    values = {}
    for metric in metrics:
        stage = stage_of(metric)
        times = [row.time_ms_per_batch for row in find_stage(rows, stage)] if stage is not None else []
        known = [time for time in times if time is not None]
        if known:
            values[metric] = sum(known)
    return values


def stages_without_time(side: str, rows: Sequence[Stage], metrics: Iterable[str]) -> list[Message]:
    """Warn of each stage of a budget that has no time on a side."""
    found = []
    names = list(dict.fromkeys(stage_name(row) for row in rows if row.origin == "written"))
    for metric in metrics:
        stage = stage_of(metric)
        if stage is not None and metric not in stage_values(rows, [metric]):
            meant = find_stage(rows, stage)
            fused_with = meant[0].fused_with if meant else None
            found.append(messages.stage_without_time(side, stage, names, fused_with, known=bool(meant)))
    return found
