"""Where the time goes: the costly stages; in full every stage, what is inside of it, and who uses the CPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from pipeprof.cli.report.blocks import Block, Column, Heading, Table, Text
from pipeprof.cli.report.memory import stages_of_views
from pipeprof.cli.report.rows import (
    Row,
    name_row,
    name_rows,
    note_inputs,
    number_of,
    rows_per_line,
    write_inputs,
    write_share,
)
from pipeprof.cli.report.units import Scale, byte_scale, time_scale
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import PythonCost, Stage
from pipeprof.profiles.time.flow import cores_were_free, scheduled_on
from pipeprof.profiles.wording import (
    called,
    count,
    library_text,
    milliseconds,
    percent,
    stage_label,
    stage_name,
    stage_place,
)

SHOWN_FROM = 0.05
"""Share of the work from which a stage is looked into."""
EACH = 3
"""Ops, and Python functions, that are listed of a stage."""
_SMALL = 0.01
"""Share of the work below which a stage has no row of its own in the short table."""
_MOST_ROWS = 8
_LEAST = 0.02
_INSIDE_FROM = 0.25
"""Share of the work from which a stage's ops are listed in the short table."""
_EXPLAINS = 0.1
"""Share of a stage's time from which a part of it is worth a line of its own."""
_CALLS_PYTHON = frozenset({"PyFunc", "EagerPyFunc", "NumpyFunction", "PyFuncStateless"})
_MOSTLY_CALLS = 0.5
"""Share of an op that calls Python, outside of the user's functions, from which it needs an explanation."""
_CALLING = "overhead of"
_AROUND_CALLS = "calling Python and waiting for the GIL"
OTHER_OPS = "other ops, copies and waiting"
_AROUND_PYTHON = "waiting and copies"
"""The rest of a generator, which has no other ops."""
_NO_COST = "No cost per stage: TensorFlow gave no model of this pipeline."


def build_time(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build a row for each stage with much of the work; in full, all that is known of every stage."""
    stages = profile.stages
    if not stages:
        return
    if full:
        yield from _all_stages(profile, stages)
        yield from _inside(profile)
        yield from _cpu(profile)
    elif any(stage.inside_ms is not None for stage in stages):
        yield from _costly(profile, stages)
    elif profile.steps and not any(warning.code == "stages-no-model" for warning in profile.warnings):
        yield Heading("Time per batch", _NO_COST)


def _costly(profile: Profile, stages: Sequence[Stage]) -> Iterator[Block]:
    """The stages with a hundredth of the work and more in the order of the pipeline, and one row for the others."""
    rows = rows_per_line(stages)
    named = profile.verdict.stage if profile.verdict is not None else None
    busiest = sorted(rows, key=lambda row: -(row.stage.share or 0.0))[:_MOST_ROWS]
    known = {id(row) for row in busiest if (row.stage.share or 0.0) >= _SMALL}
    known |= {id(row) for row in rows if named in row.ids}
    shown = [row for row in rows if id(row) in known]
    others = [row for row in rows if id(row) not in known]
    stages_shown = [row.stage for row in shown]
    lines = [(stage.active_ms, stage.share) for stage in stages_shown]
    if others:
        lines.append((sum(one.stage.active_ms or 0.0 for one in others), sum(one.stage.share or 0.0 for one in others)))
    number = sum(len(row.ids) for row in others)
    rest = [f"{number} other{'s' if number > 1 else ''}"] if others else []
    scale = time_scale(ms for ms, _ in lines)
    yield Heading("Time per batch", _note(stages))
    yield Table(
        [
            Column("", [*map(_label, shown), *rest], right=False, wrap=True),
            Column("", [f"{scale.text(ms)} {scale.unit}" if ms is not None else "" for ms, _ in lines]),
            Column("", [write_share(share) for _, share in lines]),
            Column("", [*map(_short_inside, stages_shown), *([""] if others else [])], right=False, keep=0),
        ]
    )


def _label(row: Row) -> str:
    return f"{stage_label(row.stage)}{f' ×{row.times}' if row.times > 1 else ''}"


def _note(stages: Sequence[Stage]) -> str:
    traced = any(stage.timed_by == "trace" for stage in stages)
    if traced and not any(stage.timed_by == "model" for stage in stages):
        return "on a core or blocked, added up over threads, while traced, which takes longer"
    return "on a core or blocked, added up over threads"


def _short_inside(stage: Stage) -> str:
    """The two largest parts of a costly stage, ``of it DecodeJpeg 62 %``; empty if they explain little."""
    whole = stage.active_ms
    if not whole or (stage.share or 0.0) < _INSIDE_FROM or not explains_stage(stage):
        return ""
    spent: Counter[str] = Counter()
    for part in split_stage(stage):
        for inner in part.inside or (part,):
            spent[inner.name] += inner.ms  # type: ignore[assignment]
    del spent[OTHER_OPS]
    parts = [f"{name} {ms / whole * 100:.0f} %" for name, ms in spent.most_common(2) if ms >= _EXPLAINS * whole]
    return f"of it {', '.join(parts)}" if parts else ""


class Part(NamedTuple):
    """An op, a Python function, calls or the rest: its part of a stage's milliseconds per batch, and what is inside."""

    name: str
    ms: float
    inside: tuple[Part, ...] = ()
    function: PythonCost | None = None


def split_stage(stage: Stage) -> list[Part]:
    """Split a stage's time on a core or blocked into ops, calls and the rest, with functions inside an op."""
    python = [Part(called(cost.function), cost.ms_per_batch, (), cost) for cost in stage.python or []]
    calls = {op.op: op.ms_per_batch for op in stage.ops or [] if op.op in _CALLS_PYTHON}
    caller = max(calls, key=lambda op: calls[op], default="")
    parts = [
        Part(op.op, op.ms_per_batch, _inside_call(python, op.ms_per_batch) if op.op == caller else ())
        for op in stage.ops or []
    ]
    if not calls:
        parts += python
    if stage.calling_ms_per_batch and stage.calls_per_batch:
        many = count(stage.calls_per_batch)
        parts.append(Part(f"{_CALLING} {many} call{'' if many == '1' else 's'}", stage.calling_ms_per_batch))
    whole = stage.active_ms
    if whole is not None and parts:
        others = _AROUND_PYTHON if traits(stage.op).python_iterator else OTHER_OPS
        parts.append(Part(others, whole - sum(part.ms for part in parts)))
    return sorted(parts, key=lambda part: -part.ms)


def _inside_call(functions: Sequence[Part], whole: float) -> tuple[Part, ...]:
    """The functions inside of an op that calls them, and what is in none of them where that is most of it."""
    # Those of all ops that call Python stand in the one that takes longest.
    factor = min(1.0, whole / (sum(part.ms for part in functions) or 1.0))
    parts = [part._replace(ms=part.ms * factor) for part in functions]
    rest = whole - sum(part.ms for part in parts)
    if parts and rest >= _MOSTLY_CALLS * whole:
        parts.append(Part(_AROUND_CALLS, rest))
    return tuple(sorted(parts, key=lambda part: -part.ms))


def explains_stage(stage: Stage) -> bool:
    """Whether the parts of a stage name more of its time than that it runs, or that its one function does."""
    whole, parts = stage.active_ms or 0.0, split_stage(stage)
    own = {called(stage.name or ""), OTHER_OPS, _AROUND_PYTHON, *_CALLS_PYTHON}
    # Calls are what a stage does; they explain it where nothing in it takes longer.
    own |= {part.name for part in parts[1:] if part.name.startswith(_CALLING)}
    inner = [one for part in parts for one in (part.inside or (part,))]
    return any(part.ms >= _EXPLAINS * whole > 0 and part.name not in own for part in inner)


def _all_stages(profile: Profile, stages: Sequence[Stage]) -> Iterator[Block]:
    """One row a stage with everything that is known of it; those inside a function are indented."""
    known = any(stage.executed or stage.tf_op for stage in stages)
    written = "as written" + (", and as TensorFlow runs it" if known else ": the graph that it runs was not read")
    yield Heading("Stages", written)
    views = stages_of_views(profile)
    per_batch = time_scale(stage.inside_ms for stage in stages)
    sizes = byte_scale(stage.buffered_bytes for stage in stages if stage.id not in views)
    each = byte_scale(stage.bytes_per_element for stage in stages)
    columns = [
        Column("#", [number_of(stage.id) for stage in stages], right=False, style="dim"),
        Column("written", [_written(stage) for stage in stages], right=False, wrap=True),
        Column("place", [_place(stage) for stage in stages], right=False, keep=5),
        Column("as TensorFlow runs it", [_executed(stage, stages) for stage in stages], right=False, wrap=True),
        Column(per_batch.unit, [per_batch.text(stage.inside_ms) for stage in stages]),
        Column("on CPU", [per_batch.text(stage.cpu_ms_per_batch) for stage in stages], keep=3),
        Column("share", [write_share(stage.share) for stage in stages], keep=5),
        Column("calls", [_calls(stage) for stage in stages], keep=2),
        Column(f"holds {sizes.unit}", [_held(sizes, stage, stage.id in views) for stage in stages], keep=4),
        Column(f"{each.unit}/element", [_bytes(each, stage.bytes_per_element) for stage in stages], keep=0),
        Column("in:out", [*map(write_inputs, stages)], keep=4),
        Column("elements", ["" if one.elements is None else f"{one.elements:,}" for one in stages], keep=-1),
        Column("an element", [_element(stage) for stage in stages], right=False, keep=-2),
    ]
    yield Table(columns)
    notes = [
        f"{per_batch.unit}: per batch, {_note(stages)}" if any(one.inside_ms is not None for one in stages) else "",
        "+ added by TensorFlow" if any(stage.origin == "injected" for stage in stages) else "",
        "* chosen by TensorFlow" if any(stage.tunable and stage.parallelism for stage in stages) else "",
        note_inputs(stages),
    ]
    if any(notes):
        yield Text(" · ".join(filter(None, notes)), style="dim")
    if profile.options:
        options = (f"{name} = {str(value).lower()}" for name, value in profile.options.items())
        yield Text(f"Options: {', '.join(options)}")
    if profile.steps and not any(stage.inside_ms is not None for stage in stages):
        yield Text(_NO_COST)


def _written(stage: Stage) -> str:
    return f"{'  ' * stage.depth}{f'({stage.op})' if stage.origin == 'injected' else name_row(stage)}"


def _place(stage: Stage) -> str:
    return " ".join(filter(None, (stage_place(stage), library_text(stage, short=True))))


def _executed(stage: Stage, stages: Sequence[Stage]) -> str:
    if stage.fused_with:
        other = next((one for one in stages if one.id == stage.fused_with), None)
        return f"fused into {stage_name(other) if other is not None else number_of(stage.fused_with)}"
    # Without an op of TensorFlow's the graph was not read, and what runs is unknown.
    return stage.executed or ("as written" if stage.tf_op else "")


def _calls(stage: Stage) -> str:
    return "" if stage.parallelism is None else f"{stage.parallelism:.3g}{'*' if stage.tunable else ' '}"


def _held(scale: Scale, stage: Stage, has_views: bool) -> str:
    """Bytes in a stage's buffer; ``n/a`` if it held elements of unknown size, ``views`` if they are another one's."""
    if has_views:
        return "views"
    return "n/a" if stage.buffered_bytes is None and stage.buffered_elements else _bytes(scale, stage.buffered_bytes)


def _bytes(scale: Scale, value: float | None) -> str:
    return "0" if value == 0 else scale.text(value)


def _element(stage: Stage) -> str:
    """Components of an element: ``image uint8[224,224,3], label int64``."""
    return ", ".join(
        ("" if component.name.isdigit() else f"{component.name} ")
        + component.dtype
        + ("[…]" if component.shape is None else f"[{','.join('?' if n is None else str(n) for n in component.shape)}]")
        for component in stage.element_spec or []
    ).replace("[]", "")


def _inside(profile: Profile) -> Iterator[Block]:
    names = name_rows(profile.stages)
    rows: list[tuple[str, str, float, Part]] = []
    for stage in profile.stages or []:
        whole = stage.active_ms or 0.0
        if (stage.share or 0.0) < SHOWN_FROM or not whole:
            continue
        label = names[stage.id]
        for part in split_stage(stage):
            for one, indent in ((part, ""), *((inner, "  ") for inner in part.inside[:EACH])):
                if one.ms >= _LEAST * whole:
                    rows.append((label, f"{indent}{one.name}", one.ms / whole, one))
                    label = ""
    if not rows:
        return
    scale = time_scale(part.ms for *_, part in rows)
    yield Heading("Inside the stages", "on a core or blocked, per batch")
    yield Table(
        [
            Column("stage", [stage for stage, *_ in rows], right=False, wrap=True),
            Column("op or Python function", [what for _, what, *_ in rows], right=False, wrap=True),
            Column(scale.unit, [scale.text(part.ms) for *_, part in rows]),
            Column("of stage", [f"{share * 100:.0f} %" for *_, share, _ in rows], keep=4),
            Column("holds the GIL", [_lock(part) for *_, part in rows], keep=2),
            Column("", [_where(part) for *_, part in rows], right=False, keep=3, style="dim"),
        ]
    )


def _lock(part: Part) -> str:
    share = part.function.lock_share if part.function is not None else None
    return percent(share) if share is not None else ""


def _where(part: Part) -> str:
    function = part.function
    if function is None or function.file is None:
        return ""
    return PurePath(function.file).name + (f":{function.line}" if function.line is not None else "")


def _cpu(profile: Profile) -> Iterator[Block]:
    cpu = profile.cpu
    if cpu is not None and cpu.total_ms > 0:
        parts = [f"stages {percent(cpu.stages_ms / cpu.total_ms)}"]
        for word, ms in (
            ("not attributed", cpu.unattributed_ms or None),
            ("Python loop", cpu.loop_ms),
            ("pipeprof", cpu.pipeprof_ms),
            ("TensorFlow's runtime", cpu.runtime_ms or None),
        ):
            if ms is not None:
                parts.append(f"{word} {percent(ms / cpu.total_ms)}")
        blocked = sum(stage.blocked_ms_per_batch or 0.0 for stage in profile.stages or [])
        more = [f"plus {milliseconds(blocked)} blocked"] if blocked >= 0.01 * cpu.total_ms else []
        # Of what the stages' threads did: the kernel's own sum is mostly the time until a thread wakes up.
        if (cpu.waiting_ms or 0.0) >= 0.01 * cpu.total_ms:
            more.append(f"plus {milliseconds(cpu.waiting_ms or 0.0)} waiting for a core")
        elif cpu.waiting_ms is None and not cores_were_free(profile.contention, scheduled_on(profile.host)):
            more.append(f"waiting for a core {percent(cpu.waiting_share or 0.0)} of the threads' time")
        yield Text("; ".join([f"On CPU {milliseconds(cpu.total_ms)} per batch: {', '.join(parts)}", *more]))
