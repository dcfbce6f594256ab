"""Report: the pipeline as written beside the one that TensorFlow runs, with what each stage costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Alternatives, Block, Column, Heading, Legend, Prose, Table
from pipeprof.cli.text.units import Scale, byte_scale, time_scale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

BAR_CELLS = 8
LONG_PLACE = 18
"""Cells of an address that is shortened where a table would be cut."""


def place_of(stage_id: str) -> str:
    """A stage's address as short as it stays unambiguous: ``stages.1.stages.0`` is ``1.0``, ``source`` stays.

    The sides of a stage with several inputs stand behind a slash.

    Example:
        >>> place_of("stages.1.source"), place_of("source.inputs.0.stages.1"), place_of("injected.0")
        ('1.source', 'source/0.1', '+')
    """
    if stage_id.startswith("injected"):
        return "+"
    parts = (part for part in stage_id.removeprefix("running.").split(".") if part != "stages")
    return ".".join(parts).replace(".inputs.", "/").replace(".datasets.", "/")


def _end_of(stage_id: str) -> str:
    """The end of a long address, which the rows above it tell the rest of."""
    place = place_of(stage_id)
    return f"…/{place.rpartition('/')[2]}" if "/" in place and len(place) > LONG_PLACE else place


def name_of(stage: Stage) -> str:
    """A stage as the user knows it: ``decode (map)``, or the op alone."""
    return f"{stage.name} ({stage.op})" if stage.name and stage.name != stage.op else stage.op


def bar(share: float | None) -> str:
    """A share between 0 and 1 as up to eight blocks, rounded to half a block."""
    if not share or not 0 < share <= 1.001:
        return ""
    halves = round(min(share, 1.0) * BAR_CELLS * 2)
    return "█" * (halves // 2) + "▌" * (halves % 2)


def render_pipeline(profile: Profile) -> Iterator[Block]:
    """One row a stage, those inside a function indented, those TensorFlow added marked ``+``."""
    stages = profile.stages
    if not stages:
        return
    costs = any(stage.inside_ms is not None for stage in stages)
    known = any(stage.executed or stage.tf_op for stage in stages)
    what = "as written, and as TensorFlow runs it" if known else "as written; TensorFlow's graph of it was not read"
    if stages[0].id.startswith("running."):
        what = "as TensorFlow runs it; the graph of what was written was not read"
    traced = not any(stage.timed_by == "model" for stage in stages) and _any_traced(stages)
    yield Heading("Pipeline", what + ((_TRACED_NOTE if traced else _COST_NOTE) if costs else ""))
    main, lines = _lines(profile)
    # Where the table would be cut, why stands below it, and then addresses are shortened.
    short = [stage.model_copy(update={"executed": _split(stage)[0]}) for stage in stages]
    reasons = [
        Prose(f"{', '.join(places)}: {reason}", style="dim", hang=2) for reason, places in _reasons(stages).items()
    ]
    versions: list[list[Block]] = [
        [Table(_columns(stages, lines))],
        [Table(_columns(short, lines)), *reasons],
    ]
    if any(_end_of(one.id) != place_of(one.id) for one in short):
        versions.append([Table(_columns(short, lines, _end_of)), *reasons])
    yield Alternatives(versions)
    for said in _calls(stages, lines) if lines else ():
        yield Prose(said, style="dim", hang=2)
    legend = _legend(stages)
    if _any_traced(stages) and not traced:
        legend.append(("", "~ as the trace shows: its iterators had ended whenever costs were read"))
    if main is not None:
        legend.append(("", f"line in {PurePath(main).name}"))
    yield Legend(legend)
    if profile.options:
        yield Prose("Options: " + ", ".join(f"{name} = {_option(value)}" for name, value in profile.options.items()))
    if not costs and profile.steps:
        yield Prose("No cost per stage: TensorFlow gave no model of this pipeline.")


def _legend(stages: Sequence[Stage]) -> list[tuple[str, str]]:
    return [
        *([("", "+ added by TensorFlow")] if any(stage.origin == "injected" for stage in stages) else []),
        ("par.", "par. calls in parallel, * chosen by TensorFlow"),
        ("buf.", "buf. held in the stage"),
        ("CPU", "CPU the time on cores for it, summed over threads"),
    ]


def _any_traced(stages: Sequence[Stage]) -> bool:
    return any(stage.timed_by == "trace" for stage in stages)


_COST_NOTE = "; time inside each stage per batch, summed over threads"
_TRACED_NOTE = "; time inside each stage per batch while traced, which takes longer"


def _lines(profile: Profile) -> tuple[str | None, list[str]]:
    """For a Python target the line of each stage; with the file's name where it is not the file of most of them."""
    places = [stage.location for stage in profile.stages or []] if profile.target.kind == "function" else []
    files = Counter(place.file for place in places if place)
    main = files.most_common(1)[0][0] if files else None
    return main, [
        "" if place is None else str(place.line) if place.file == main else f"{PurePath(place.file).name}:{place.line}"
        for place in places
    ]


def _calls(stages: Sequence[Stage], lines: Sequence[str]) -> list[str]:
    """The user's calls that are several stages, none of which has the call's name."""
    found: dict[tuple[str, str], list[Stage]] = {}
    for stage, line in zip(stages, lines, strict=True):
        if stage.location is not None and stage.location.call is not None:
            found.setdefault((stage.location.call, line), []).append(stage)
    return [
        f"{call} (line {line}) is {_places([place_of(one.id) for one in parts])}"
        for (call, line), parts in found.items()
        if len(parts) > 1 and call not in {one.op for one in parts}
    ]


def _places(places: Sequence[str]) -> str:
    if len(places) > 3:
        return f"{places[0]} to {places[-1]}, {len(places)} stages"
    return f"{', '.join(places[:-1])} and {places[-1]}"


def _columns(stages: Sequence[Stage], lines: Sequence[str], place: Callable[[str], str] = place_of) -> list[Column]:
    names = {stage.id: f"{place(stage.id)} {stage.name or stage.op}" for stage in stages}
    per_batch = time_scale(stage.inside_ms for stage in stages)
    sizes = byte_scale(stage.buffered_bytes for stage in stages)
    each = byte_scale(stage.bytes_per_element for stage in stages)
    apart = any(stage.time_ms_per_batch is not None for stage in stages)
    cpu = 3 if place is place_of else 2
    by_model = any(stage.timed_by == "model" for stage in stages)
    marks = ["~" if by_model and stage.timed_by == "trace" else "" for stage in stages]
    inside = [f"{mark}{per_batch.text(stage.inside_ms)}" for mark, stage in zip(marks, stages, strict=True)]
    return [
        Column("at", [place(stage.id) for stage in stages], right=False, style="dim"),
        Column("written", [_written(stage) for stage in stages], right=False, shrink_to=16),
        *([Column("line", lines, keep=5)] if any(lines) else []),
        Column("as TensorFlow runs it", [_executed(stage, names) for stage in stages], right=False, shrink_to=20),
        Column(per_batch.unit, inside),
        *([Column("CPU", [per_batch.text(stage.cpu_ms_per_batch) for stage in stages], keep=cpu)] if apart else []),
        Column("share", [_share(stage.share) for stage in stages], keep=5),
        Column("", [bar(stage.share) for stage in stages], right=False, keep=1, gap=1),
        Column("par.", [_parallel(stage) for stage in stages], keep=2),
        Column(f"buf. {sizes.unit}", [_bytes(sizes, stage.buffered_bytes) for stage in stages], keep=4),
        Column(f"{each.unit}/element", [_bytes(each, stage.bytes_per_element) for stage in stages], keep=0),
        Column("elements", ["" if one.elements is None else f"{one.elements:,}" for one in stages], keep=-1),
        Column("an element", [_element(stage) for stage in stages], right=False, keep=-2),
    ]


def _element(stage: Stage) -> str:
    """What an element is made of: ``image uint8[224,224,3], label int64``."""
    return ", ".join(
        ("" if one.name.isdigit() else f"{one.name} ")
        + one.dtype
        + ("[…]" if one.shape is None else f"[{','.join('?' if n is None else str(n) for n in one.shape)}]")
        for one in stage.element_spec or []
    ).replace("[]", "")


def _option(value: bool | int) -> str:
    return str(value).lower()


def _written(stage: Stage) -> str:
    indent = "  " * stage.depth
    return f"{indent}{'(' + stage.op + ')' if stage.origin == 'injected' else name_of(stage)}"


def _executed(stage: Stage, names: dict[str, str]) -> str:
    if stage.fused_with:
        return f"fused into {names.get(stage.fused_with, place_of(stage.fused_with))}"
    # Without an op of TensorFlow's the graph was not read: then nobody knows what runs.
    return stage.executed or ("as written" if stage.tf_op and not stage.id.startswith("running.") else "")


def _split(stage: Stage) -> tuple[str | None, str]:
    """What TensorFlow made of it, and why, where that is said: ``stays serial`` and ``stateful op PyFunc``."""
    for mark in (": ", " because "):
        what, found, why = (stage.executed or "").partition(mark)
        if found:
            return what, f"{mark.strip(': ')} {why}".strip()
    # Its name stands beside it.
    return stage.executed and stage.executed.removeprefix(f"{stage.op} injected, "), ""


def _reasons(stages: Sequence[Stage]) -> dict[str, list[str]]:
    """The places of the stages by what there is to say about them."""
    found: dict[str, list[str]] = {}
    for stage in stages:
        what, why = _split(stage)
        if why:
            found.setdefault(f"{(what or '').rpartition(', ')[2]}: {why}", []).append(place_of(stage.id))
    return found


def _share(share: float | None) -> str:
    if share is None:
        return ""
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def _parallel(stage: Stage) -> str:
    if stage.parallelism is None:
        return ""
    return f"{stage.parallelism:.3g}{'*' if stage.tunable else ' '}"


def _bytes(scale: Scale, value: float | None) -> str:
    return "0" if value == 0 else scale.text(value)
