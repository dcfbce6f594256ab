"""The pipeline on one screen: one row a stage, what is inside the costly ones, and the upper bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePath

from pipeprof.cli.report.ledger import stages_of_views
from pipeprof.cli.report.time import describe_inside, explains_stage
from pipeprof.cli.text.blocks import Alternatives, Block, Column, Heading, Legend, Prose, Table
from pipeprof.cli.text.names import draw_bar, list_library_lines, name_row, number_of, write_share
from pipeprof.cli.text.rows import TRACED, Row, marked, note_inputs, rows_per_line, write_inputs
from pipeprof.cli.text.units import Scale, byte_scale, time_scale
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import library_text, stage_name

FOLD_FROM = 8
"""Rows; where there are more stages, those that cost next to nothing share one row."""
FULL_SCREEN_ROWS = 5
"""Rows of a table on a screen that has no place for more."""
_SMALL_SHARE = 0.01
_LOOKED_INTO = 2
_INSIDE_FROM = 0.25
"""Share of the work from which a stage's ops are listed."""
_SHARE_DIFFERS = 0.01
_TUNED_CALLS = re.compile(r"parallelism tuned to \d+")
_TUNED_BUFFER = "buffer tuned to "
_TUNED_SIZE = re.compile(rf"(, )?{_TUNED_BUFFER}[\d,.]+")
_MADE_OF_IT = re.compile(r" \([^)]*\)|: .*")
"""In what TensorFlow made of a stage: numbers that other columns have, and the reason."""


def build_pipeline(profile: Profile) -> Iterator[Block]:
    """Build one row a stage with its time, share, calls in parallel and bytes."""
    stages = profile.stages
    if not stages:
        return
    costs = any(stage.inside_ms is not None for stage in stages)
    heading = Heading("Pipeline", "; ".join(_notes(stages, costs=costs)))
    rows = rows_per_line(stages)
    # The heading goes with the table.
    whole, fewer = (
        [[heading, *version] for version in _versions(profile, *_fold(profile, rows, most))]
        for most in (None, FULL_SCREEN_ROWS)
    )
    yield Alternatives(whole, spare=8, instead=[Alternatives(fewer, spare=9)])
    yield Legend(_legend([row.stage for row in _fold(profile, rows)[0]]))
    for stage in _costly([row.stage for row in rows]):
        if explains_stage(stage):
            yield Prose(f"{stage_name(stage)}: {describe_inside(stage)}", hang=2, spare=6)
    if not costs and profile.steps:
        yield Prose("No cost per stage: TensorFlow gave no model of this pipeline.", spare=9)


def _versions(profile: Profile, shown: Sequence[Row], folded: Sequence[Row]) -> list[list[Block]]:
    """The table of some rows, with the others in one, for wide lines and for narrow ones."""
    places = [Prose(text, style="dim", hang=2) for text in list_library_lines([row.stage for row in shown])]
    # As rows have them.
    names = {one: row.stage.name or row.stage.op for row in (*shown, *folded) for one in row.ids}
    versions: list[list[Block]] = [[_table(profile, shown, folded, names, short=short)] for short in (False, True)]
    if places:
        # Where the column with the lines of libraries does not fit, they follow the table.
        versions += [
            [_table(profile, shown, folded, names, short=short, libraries=False), *places] for short in (False, True)
        ]
    return versions


def _notes(stages: Sequence[Stage], *, costs: bool) -> list[str]:
    notes = []
    if stages[0].id.startswith("running."):
        notes.append("as TensorFlow runs it: the graph of what was written was not read")
    elif not any(stage.executed or stage.tf_op for stage in stages):
        notes.append("as written: the graph that TensorFlow runs was not read")
    if not costs:
        return notes
    traced = any(stage.timed_by == "trace" for stage in stages)
    if traced and not any(stage.timed_by == "model" for stage in stages):
        notes.append("time per batch while traced, which takes longer")
    else:
        notes.append("time per batch, all threads together")
    whole = sum(stage.inside_ms or 0.0 for stage in stages)
    if whole and any(
        abs(stage.share - (stage.inside_ms or 0.0) / whole) >= _SHARE_DIFFERS
        for stage in stages
        if stage.share is not None
    ):
        notes.append("share: without the time waiting for a core")
    return notes


def _fold(profile: Profile, rows: list[Row], most: int | None = None) -> tuple[list[Row], list[Row]]:
    """The rows of their own, and those that share one.

    Args:
        most: Rows of their own, those with most work; None for all that are worth one.
    """
    if most is not None:
        busiest = sorted(rows, key=lambda row: -(row.stage.share or 0.0))[:most]
        return _split(rows, busiest) if len(rows) > most + 1 else (rows, [])
    if len(rows) <= FOLD_FROM:
        return rows, []
    named = profile.verdict.stage if profile.verdict is not None else None
    memory = profile.memory
    above = max((memory.peak_bytes or 0) - (memory.baseline_bytes or 0), 0)
    small = [
        row
        for row in rows
        if named not in row.ids
        and (row.stage.share or 0.0) < _SMALL_SHARE
        and (row.stage.buffered_bytes or 0) <= _SMALL_SHARE * above
        and row.stage.share is not None
        and not write_inputs(row.stage)
    ]
    if len(small) < 2:
        return rows, []
    return _split(rows, small)[::-1]


def _split(rows: Sequence[Row], chosen: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The chosen rows and the others, in their order; by identity, since comparing 500 stages takes seconds."""
    known = set(map(id, chosen))
    return [row for row in rows if id(row) in known], [row for row in rows if id(row) not in known]


def _table(
    profile: Profile,
    rows: Sequence[Row],
    others: Sequence[Row],
    names: Mapping[str, str],
    *,
    short: bool,
    libraries: bool = True,
) -> Table:
    stages, folded = [row.stage for row in rows], [row.stage for row in others]
    times = time_scale(stage.inside_ms for stage in stages)
    views = stages_of_views(profile)
    sizes = byte_scale(stage.buffered_bytes for stage in stages if stage.id not in views)
    by_model = any(stage.timed_by == "model" for stage in stages)
    marks = ["~" if by_model and stage.timed_by == "trace" else "" for stage in stages]
    rest = [f"{sum(len(row.ids) for row in others)} other stages"] if folded else []
    blank = [""] * len(rest)
    changed = [_changed(stage, names, short=short) for stage in stages]
    return Table(
        [
            Column("#", [*(_number(row.stage, short=short) for row in rows), *blank], right=False, style="dim"),
            Column("stage", [*("  " * row.stage.depth + _name(row) for row in rows), *rest], right=False, shrink_to=20),
            *_lines(profile, stages, blank),
            *([_libraries(stages, blank, short=short)] if libraries else []),
            Column(
                times.unit,
                [
                    *(marked(mark, times.text(stage.inside_ms)) for mark, stage in zip(marks, stages, strict=True)),
                    *([times.text(sum(stage.inside_ms or 0.0 for stage in folded))] if folded else []),
                ],
            ),
            Column(
                "share",
                [
                    *(marked(mark, write_share(stage.share)) for mark, stage in zip(marks, stages, strict=True)),
                    *([write_share(sum(stage.share or 0.0 for stage in folded))] if folded else []),
                ],
                keep=5,
            ),
            Column("", [*(draw_bar(stage.share) for stage in stages), *blank], right=False, keep=1, gap=1),
            Column("in:out", [*map(write_inputs, stages), *blank], keep=4),
            Column("calls", [*(_calls(stage) for stage in stages), *blank], keep=4),
            Column("holds", [*(_held(sizes, stage, views) for stage in stages), *blank], keep=4),
            Column("", [*changed, *blank], right=False, keep=3, shrink_to=20, style="dim"),
        ]
    )


def _libraries(stages: Sequence[Stage], blank: Sequence[str], *, short: bool) -> Column:
    """The lines of the libraries that made stages for the user's code."""
    cells = [library_text(stage, short=short) for stage in stages]
    return Column("", [*cells, *blank], right=False, keep=3, style="dim")


def _lines(profile: Profile, stages: Sequence[Stage], blank: Sequence[str]) -> list[Column]:
    """For a Python target the line of each stage, where its name alone does not say which call it is."""
    if profile.target.kind != "function":
        return []
    places = [stage.location for stage in stages]
    files = {place.file for place in places if place}
    cells = [
        "" if place is None else str(place.line) if len(files) == 1 else f"{PurePath(place.file).name}:{place.line}"
        for place in places
    ]
    return [Column("line", [*cells, *blank], keep=4)] if any(cells) else []


def _number(stage: Stage, *, short: bool) -> str:
    """The number of a stage; a short one of a nested stage is its end, whose beginning is in the rows before it."""
    number = number_of(stage.id)
    return f".{re.split('[./]', number)[-1]}" if short and stage.depth else number


def _name(row: Row) -> str:
    name = f"({row.stage.op})" if row.stage.origin == "injected" else name_row(row.stage)
    return f"{name} ×{row.times}" if row.times > 1 else name


def _changed(stage: Stage, names: Mapping[str, str], *, short: bool) -> str:
    """Describe what TensorFlow runs instead of the written stage; empty if nothing changed."""
    if stage.fused_with:
        return f"fused into {names.get(stage.fused_with, stage.fused_with)}"
    text = (stage.executed or "").removeprefix(f"{stage.op} injected").removeprefix(", ")
    if (stage.buffered_elements or 0.0) > (stage.buffer_size or math.inf):
        # It was larger, or of two iterators, when it held the most.
        text = _TUNED_SIZE.sub("", text).strip(", ")
    text = _TUNED_CALLS.sub("calls chosen by TensorFlow" if not short else "calls tuned", text)
    if stage.origin == "injected":
        text = "" if short else text.replace(_TUNED_BUFFER, "buffer of ")
        return f"added by TensorFlow{f', {text}' if text else ''}"
    if short:
        return _MADE_OF_IT.sub("", text.replace(_TUNED_BUFFER, "buffer of "))
    return text.replace(_TUNED_BUFFER, "TensorFlow chose a buffer of ")


def _calls(stage: Stage) -> str:
    return "" if stage.parallelism is None else f"{stage.parallelism:.3g}"


def _held(sizes: Scale, stage: Stage, views: Collection[str]) -> str:
    """Bytes in a stage's buffer; ``n/a`` if it held elements of unknown size, ``views`` if they are another one's."""
    if stage.id in views:
        return "views"
    if stage.buffered_bytes is None and stage.buffered_elements:
        return "n/a"
    return _size(sizes.text(stage.buffered_bytes), sizes.unit)


def _size(text: str, unit: str) -> str:
    return f"{text} {unit}" if text.strip("0.,") and not text.startswith("<") else ""


def _legend(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    found = []
    model = any(stage.timed_by == "model" for stage in stages)
    if model and any(stage.timed_by == "trace" for stage in stages):
        found.append(("", TRACED))
    found.append(("in:out", note_inputs(stages)))
    return found


def _costly(stages: Sequence[Stage]) -> list[Stage]:
    """The stages whose ops are listed: those with much of the work, the costliest first."""
    costly = [stage for stage in stages if (stage.share or 0.0) >= _INSIDE_FROM]
    return sorted(costly, key=lambda stage: -(stage.share or 0.0))[:_LOOKED_INTO]
