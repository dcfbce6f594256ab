"""All that is known of each stage: as written, as TensorFlow runs it, its time, bytes and elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import PurePath

from pipeprof.cli.report.ledger import stages_of_views
from pipeprof.cli.text.blocks import Alternatives, Block, Column, Heading, Legend, Prose, Table
from pipeprof.cli.text.names import draw_bar, list_library_lines, name_row, number_of, write_share
from pipeprof.cli.text.rows import TRACED, marked, note_inputs, write_inputs
from pipeprof.cli.text.units import Scale, byte_scale, time_scale
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.wording import library_text

LONG_NUMBER = 18
"""Cells of a stage's number that is shortened where a table would be cut."""

_COST_NOTE = "; time per batch, all threads together"
_TRACED_NOTE = "; time per batch while traced, which takes longer"


def _shorten_number(stage_id: str) -> str:
    """Shorten a long number to its end; the rows before it have the rest."""
    number = number_of(stage_id)
    return f"…/{number.rpartition('/')[2]}" if "/" in number and len(number) > LONG_NUMBER else number


def build_stages(profile: Profile) -> Iterator[Block]:
    """Build one row a stage with everything that is known of it; those inside a function are indented."""
    stages = profile.stages
    if not stages:
        return
    costs = any(stage.inside_ms is not None for stage in stages)
    known = any(stage.executed or stage.tf_op for stage in stages)
    what = "as written, and as TensorFlow runs it"
    if not known:
        what = "as written; the graph that TensorFlow runs was not read"
    if stages[0].id.startswith("running."):
        what = "as TensorFlow runs it; the graph of what was written was not read"
    traced = not any(stage.timed_by == "model" for stage in stages) and _any_traced(stages)
    yield Heading("Pipeline", what + ((_TRACED_NOTE if traced else _COST_NOTE) if costs else ""))
    main, lines = _find_lines(profile)
    # Where the table would be cut, why stands below it, and then addresses are shortened.
    short = [stage.model_copy(update={"executed": _split_reason(stage)[0]}) for stage in stages]
    reasons = [
        Prose(f"{', '.join(places)}: {reason}", style="dim", hang=2)
        for reason, places in _group_reasons(stages).items()
    ]
    columns = partial(_columns, views=stages_of_views(profile))
    versions: list[list[Block]] = [[Table(columns(stages, lines))], [Table(columns(short, lines)), *reasons]]
    places = [Prose(text, style="dim", hang=2) for text in list_library_lines(stages)]
    if places:
        versions.append([Table(columns(short, lines, libraries=False)), *places, *reasons])
    if any(_shorten_number(stage.id) != number_of(stage.id) for stage in short):
        versions.append([Table(columns(short, lines, _shorten_number, libraries=False)), *places, *reasons])
    yield Alternatives(versions)
    for text in _name_calls(stages, lines) if lines else ():
        yield Prose(text, style="dim", hang=2)
    legend = _legend(stages)
    if _any_traced(stages) and not traced:
        legend.append(("", TRACED))
    if main is not None:
        legend.append(("", f"line in {PurePath(main).name}"))
    yield Legend(legend)
    if profile.options:
        yield Prose(
            "Options: " + ", ".join(f"{name} = {str(value).lower()}" for name, value in profile.options.items())
        )
    if not costs and profile.steps:
        yield Prose("No cost per stage: TensorFlow gave no model of this pipeline.")


def _legend(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    legend = []
    if any(stage.origin == "injected" for stage in stages):
        legend.append(("", "+ added by TensorFlow"))
    if any(stage.tunable for stage in stages):
        legend.append(("calls", "* chosen by TensorFlow"))
    legend.append(("in:out", note_inputs(stages)))
    used = f"{time_scale(stage.active_ms_per_element for stage in stages).unit}/used"
    legend.append((used, f"{used}: on a core or blocked, for each element that reaches the step"))
    return [*legend, ("on CPU", "on CPU: core time per batch, all threads")]


def _any_traced(stages: Sequence[Stage]) -> bool:
    return any(stage.timed_by == "trace" for stage in stages)


def _find_lines(profile: Profile) -> tuple[str | None, list[str]]:
    """For a Python target the line of each stage; with the file's name where it is not the file of most of them."""
    places = [stage.location for stage in profile.stages or []] if profile.target.kind == "function" else []
    files = Counter(place.file for place in places if place)
    main = files.most_common(1)[0][0] if files else None
    return main, [
        "" if place is None else str(place.line) if place.file == main else f"{PurePath(place.file).name}:{place.line}"
        for place in places
    ]


def _name_calls(stages: Sequence[Stage], lines: Sequence[str]) -> list[str]:
    """Find the user's calls that became several stages without a stage of the call's own name."""
    found: dict[tuple[str, str], list[Stage]] = {}
    for stage, line in zip(stages, lines, strict=True):
        if stage.location is not None and stage.location.call is not None:
            found.setdefault((stage.location.call, line), []).append(stage)
    return [
        f"{call} (line {line}) is {_list_places([number_of(stage.id) for stage in parts])}"
        for (call, line), parts in found.items()
        if len(parts) > 1 and call not in {stage.op for stage in parts}
    ]


def _list_places(places: Sequence[str]) -> str:
    if len(places) > 3:
        return f"{places[0]} to {places[-1]}, {len(places)} stages"
    return f"{', '.join(places[:-1])} and {places[-1]}"


def _columns(
    stages: Sequence[Stage],
    lines: Sequence[str],
    place: Callable[[str], str] = number_of,
    *,
    libraries: bool = True,
    views: Collection[str] = (),
) -> list[Column]:
    names = {stage.id: f"{place(stage.id)} {stage.name or stage.op}" for stage in stages}
    per_batch = time_scale(stage.inside_ms for stage in stages)
    sizes = byte_scale(stage.buffered_bytes for stage in stages if stage.id not in views)
    each = byte_scale(stage.bytes_per_element for stage in stages)
    used = time_scale(stage.active_ms_per_element for stage in stages)
    apart = any(stage.time_ms_per_batch is not None for stage in stages)
    cpu = 3 if place is number_of else 2
    has_model = any(stage.timed_by == "model" for stage in stages)
    marks = ["~" if has_model and stage.timed_by == "trace" else "" for stage in stages]
    executed = [_describe_executed(stage, names) for stage in stages]
    inside = [marked(mark, per_batch.text(stage.inside_ms)) for mark, stage in zip(marks, stages, strict=True)]
    shares = [marked(mark, write_share(stage.share)) for mark, stage in zip(marks, stages, strict=True)]
    return [
        Column("#", [place(stage.id) for stage in stages], right=False, style="dim"),
        Column("written", [_name_written(stage) for stage in stages], right=False, shrink_to=16),
        *([Column("line", lines, keep=5)] if any(lines) else []),
        *([Column("", [library_text(stage) for stage in stages], right=False, keep=3)] if libraries else []),
        Column("as TensorFlow runs it", executed, right=False, shrink_to=20),
        Column(per_batch.unit, inside),
        *([Column("on CPU", [per_batch.text(stage.cpu_ms_per_batch) for stage in stages], keep=cpu)] if apart else []),
        Column("share", shares, keep=5),
        Column("", [draw_bar(stage.share) for stage in stages], right=False, keep=1, gap=1),
        Column("calls", [_count_calls(stage) for stage in stages], keep=2),
        Column(f"holds {sizes.unit}", [_held(sizes, stage, views) for stage in stages], keep=4),
        Column(f"{each.unit}/element", [_write_bytes(each, stage.bytes_per_element) for stage in stages], keep=0),
        Column("in:out", [*map(write_inputs, stages)], keep=4),
        Column(f"{used.unit}/used", [used.text(stage.active_ms_per_element) for stage in stages], keep=1),
        Column("elements", ["" if stage.elements is None else f"{stage.elements:,}" for stage in stages], keep=-1),
        Column("an element", [_describe_element(stage) for stage in stages], right=False, keep=-2),
    ]


def _describe_element(stage: Stage) -> str:
    """Components of an element: ``image uint8[224,224,3], label int64``."""
    return ", ".join(
        ("" if component.name.isdigit() else f"{component.name} ")
        + component.dtype
        + ("[…]" if component.shape is None else f"[{','.join('?' if n is None else str(n) for n in component.shape)}]")
        for component in stage.element_spec or []
    ).replace("[]", "")


def _name_written(stage: Stage) -> str:
    indent = "  " * stage.depth
    return f"{indent}{'(' + stage.op + ')' if stage.origin == 'injected' else name_row(stage)}"


def _describe_executed(stage: Stage, names: dict[str, str]) -> str:
    if stage.fused_with:
        return f"fused into {names.get(stage.fused_with, number_of(stage.fused_with))}"
    # Without an op of TensorFlow's the graph was not read, and what runs is unknown.
    return stage.executed or ("as written" if stage.tf_op and not stage.id.startswith("running.") else "")


def _split_reason(stage: Stage) -> tuple[str | None, str]:
    """Split TensorFlow's change from its reason: ``stays serial`` and ``stateful op PyFunc``."""
    for mark in (": ", " because "):
        what, found, why = (stage.executed or "").partition(mark)
        if found:
            return what, f"{mark.strip(': ')} {why}".strip()
    # The column before it has the name.
    return stage.executed and stage.executed.removeprefix(f"{stage.op} injected, "), ""


def _group_reasons(stages: Sequence[Stage]) -> dict[str, list[str]]:
    """Group the numbers of stages by why TensorFlow runs them as it does."""
    found: dict[str, list[str]] = {}
    for stage in stages:
        what, why = _split_reason(stage)
        if why:
            found.setdefault(f"{(what or '').rpartition(', ')[2]}: {why}", []).append(number_of(stage.id))
    return found


def _count_calls(stage: Stage) -> str:
    if stage.parallelism is None:
        return ""
    return f"{stage.parallelism:.3g}{'*' if stage.tunable else ' '}"


def _held(scale: Scale, stage: Stage, views: Collection[str]) -> str:
    """Bytes in a stage's buffer; ``n/a`` if it held elements of unknown size, ``views`` if they are another one's."""
    if stage.id in views:
        return "views"
    unknown = stage.buffered_bytes is None and stage.buffered_elements
    return "n/a" if unknown else _write_bytes(scale, stage.buffered_bytes)


def _write_bytes(scale: Scale, value: float | None) -> str:
    return "0" if value == 0 else scale.text(value)
