"""Use of the time: inside the costly stages, by user of the CPU, the upper bounds, and reading files by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from pipeprof.cli.text.blocks import Block, Column, Heading, Legend, Prose, Table
from pipeprof.cli.text.names import name_rows, number_of
from pipeprof.cli.text.units import time_scale
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import PythonCost, Stage
from pipeprof.profiles.document.time import CeilingTerm
from pipeprof.profiles.time.limits.cores import cores_were_free, scheduled_on
from pipeprof.profiles.wording import called, count, milliseconds, percent, significant, stage_name

SHOWN_FROM = 0.05
"""Share of the work from which a stage is looked into."""
EACH = 3
"""Ops, and Python functions, that are listed of a stage."""
_LEAST = 0.02
_EXPLAINS = 0.1
"""Share of a stage's time from which a part of it is worth a line of its own."""
_CALLS_PYTHON = frozenset({"PyFunc", "EagerPyFunc", "NumpyFunction", "PyFuncStateless"})
_MOSTLY_CALLS = 0.5
"""Share of an op that calls Python, outside of the user's functions, from which it needs an explanation."""
_CALLING = "calling it"
OTHER_OPS = "other ops, copies and waiting"
_AROUND_PYTHON = "waiting and copies"
"""The rest of a generator, which has no other ops."""


class Part(NamedTuple):
    """A part of a stage's time; parts of one level never add up to more than the whole.

    Attributes:
        name: An op, a Python function, calling the stage's functions, or the rest.
        ms: Per batch.
    """

    name: str
    ms: float
    inside: tuple[Part, ...] = ()
    function: PythonCost | None = None


def split_stage(stage: Stage) -> list[Part]:
    """Split a stage's time into ops, calls and the rest, with Python functions inside the ops that call them.

    All of it is time on a core or blocked. In documents of earlier versions, where the parts add up to more than the
    stage, they are scaled down to it.
    """
    python = [Part(called(cost.function), cost.ms_per_batch, (), cost) for cost in stage.python or []]
    calls = {op.op: op.ms_per_batch for op in stage.ops or [] if op.op in _CALLS_PYTHON}
    caller = max(calls, key=lambda op: calls[op], default="")
    parts = [
        Part(op.op, op.ms_per_batch, tuple(_fit(python, op.ms_per_batch)) if op.op == caller else ())
        for op in stage.ops or []
    ]
    if not calls:
        parts += python
    if stage.calling_ms_per_batch and stage.calls_per_batch:
        times = count(stage.calls_per_batch)
        word = f"{_CALLING} {'once' if times == '1' else f'{times} times'}"
        parts.append(Part(word, stage.calling_ms_per_batch))
    whole = stage.active_ms
    if whole is not None and parts:
        parts = _fit(parts, whole)
        parts.append(Part(OTHER_OPS, whole - sum(part.ms for part in parts)))
    return sorted(parts, key=lambda part: -part.ms)


def _fit(parts: Sequence[Part], whole: float) -> list[Part]:
    """Scale parts down, with all that is inside of them, so that they do not exceed the whole."""
    total = sum(part.ms for part in parts)
    factor = min(1.0, whole / total) if total > 0 else 1.0
    return [_scale(part, factor) for part in parts]


def _scale(part: Part, factor: float) -> Part:
    return part._replace(ms=part.ms * factor, inside=tuple(_scale(pair, factor) for pair in part.inside))


def describe_inside(stage: Stage) -> str:
    """The parts of a stage with their shares of its time, largest first: ``DecodeJpeg 64 % · ReadFile 5 %``."""
    whole = stage.active_ms
    if not whole:
        return ""
    words = []
    others = _AROUND_PYTHON if traits(stage.op).python_iterator else OTHER_OPS
    for part in _largest(split_stage(stage), others):
        if part.ms < _LEAST * whole:
            continue
        inside = [f"{name} {ms / whole:.0%}" for name, ms in _functions_in(part) if ms >= _LEAST * whole][:EACH]
        left = part.ms - sum(pair.ms for pair in part.inside)
        if inside and left >= _MOSTLY_CALLS * part.ms:
            inside.append(f"calling Python and waiting for the GIL {left / whole:.0%}")
        nested = f" ({', '.join(inside)})" if inside else ""
        name = _CALLING if part.name.startswith(_CALLING) else part.name
        words.append(f"{name} {part.ms / whole:.0%}{nested}")
    return " · ".join(words).replace("%", " %")


def _largest(parts: Sequence[Part], others: str) -> list[Part]:
    """The largest ops, calls and all the rest, largest first."""
    calling = [part for part in parts if part.name.startswith(_CALLING)]
    shown = [*[part for part in parts if part not in calling and part.name != OTHER_OPS][:EACH], *calling]
    rest = sum(part.ms for part in parts) - sum(part.ms for part in shown)
    return sorted([*shown, Part(others, rest)], key=lambda part: -part.ms)


def _functions_in(part: Part) -> list[tuple[str, float]]:
    """The Python functions in a part, one that was seen in two places once, largest first."""
    found: dict[str, float] = {}
    for pair in part.inside:
        found[pair.name] = found.get(pair.name, 0.0) + pair.ms
    return sorted(found.items(), key=lambda one: -one[1])


def explains_stage(stage: Stage) -> bool:
    """Whether the parts of a stage name more of its time than that it runs, or that its one function does."""
    whole, parts = stage.active_ms or 0.0, split_stage(stage)
    own = {called(stage.name or ""), OTHER_OPS, *_CALLS_PYTHON}
    # Calls are what a stage does; they explain it where nothing in it takes longer.
    own |= {part.name for part in parts[1:] if part.name.startswith(_CALLING)}
    inner = [one for part in parts for one in (part.inside or (part,))]
    return any(part.ms >= _EXPLAINS * whole > 0 and part.name not in own for part in inner)


def describe_limits(profile: Profile) -> str:
    """The upper bounds on the rate of the pipeline as it is that it has not reached, lowest first."""
    mean = profile.steps.interval_ms.mean if profile.steps is not None else 0.0
    reached = 1e3 / mean if mean > 0 else 0.0
    terms = [term for term in profile.ceiling.terms if term.batches_per_second > reached] if profile.ceiling else []
    if not terms or {term.resource for term in terms} == {"step"}:
        return ""
    first, *others = (f"{significant(term.batches_per_second)}@{_resource(term, profile)}" for term in terms)
    return " · ".join([first.replace("@", " batches/s "), *(other.replace("@", " ") for other in others)])


def _resource(term: CeilingTerm, profile: Profile) -> str:
    stages = profile.stages or []
    named = [stage for stage in stages if stage.id == term.stage or stage.id in term.stages]
    where = f" ({', '.join(_which(stage, stages) for stage in named)})" if named else ""
    cores = profile.host.cores
    words = {
        "cores": f"with {'both cores' if cores == 2 else 'one core' if cores == 1 else f'all {cores:g} cores'} busy",
        "serial": "in turn on one thread" if term.stages else "with one call at a time",
        "disk": "from the disk",
        "step": "by the step alone",
        "threads": f"with {count(term.threads or 1.0)} threads in the pool",
    }
    return f"{words[term.resource]}{where}"


def _which(stage: Stage, stages: Sequence[Stage]) -> str:
    """The name of a stage, with its number in the table where others share the name.

    Example:
        ``decode``, ``batch 4``
    """
    name, number = stage_name(stage), number_of(stage.id)
    others = [one for one in stages if one.id != stage.id and stage_name(one) == name and one.origin == "written"]
    # Of the copies of one line, each is the same.
    return f"{name} {number}" if others and "/" not in number else name


def build_time(profile: Profile) -> Iterator[Block]:
    """Build the account of the CPU, the upper bounds and what is inside the costly stages."""
    limits = describe_limits(profile)
    blocks = [
        *(Prose(text, hang=2) for text in (_cpu(profile), f"Upper bounds: {limits}" if limits else "") if text),
        *_build_inside(profile),
    ]
    if blocks:
        yield Heading("Time", "inside the stages, and who uses the CPU")
        yield from blocks


def _cpu(profile: Profile) -> str:
    cpu = profile.cpu
    if cpu is None or cpu.total_ms <= 0:
        return ""
    blocked = sum(stage.blocked_ms_per_batch or 0.0 for stage in profile.stages or [])
    intra = sum(stage.intra_op_ms_per_batch or 0.0 for stage in profile.stages or [])
    stages = f"stages {percent(cpu.stages_ms / cpu.total_ms)}"
    if intra >= 0.01 * cpu.total_ms:
        stages += f" ({percent(intra / cpu.total_ms)} on more threads of single ops)"
    parts = [stages]
    for word, ms in (
        ("not attributed", cpu.unattributed_ms or None),
        ("Python loop", cpu.loop_ms),
        ("pipeprof", cpu.pipeprof_ms),
        ("TensorFlow's runtime", cpu.runtime_ms or (None if cpu.unattributed_ms else 0.0)),
    ):
        if ms is not None:
            parts.append(f"{word} {percent(ms / cpu.total_ms)}")
    text = f"On CPU {milliseconds(cpu.total_ms)} per batch: {', '.join(parts)}"
    more = []
    if blocked >= 0.01 * cpu.total_ms:
        more.append(f"plus {milliseconds(blocked)} blocked")
    throttled = f"throttled by the CPU quota {percent(cpu.throttled_share)} of the time" if cpu.throttled_share else ""
    if cpu.waiting_ms is not None:
        # Of what the stages' threads did: the kernel's own sum is mostly the time until a thread wakes up.
        if cpu.waiting_ms >= 0.01 * cpu.total_ms:
            more.append(f"plus {milliseconds(cpu.waiting_ms)} waiting for a core")
    elif cpu.waiting_share is not None and not cores_were_free(profile.contention, scheduled_on(profile.host)):
        more.append(f"waiting for a core {percent(cpu.waiting_share)} of the threads' time")
    return "; ".join([text, *more, *([throttled] if throttled else [])])


def _build_inside(profile: Profile) -> Iterator[Block]:
    names = name_rows(profile.stages)
    rows: list[tuple[str, str, float, float, Part]] = []
    for stage in profile.stages or []:
        whole = stage.active_ms or 0.0
        if (stage.share or 0.0) < SHOWN_FROM or not whole:
            continue
        label = names[stage.id]
        for part in split_stage(stage):
            for one, indent in ((part, ""), *((inner, "  ") for inner in part.inside[:EACH])):
                if one.ms >= _LEAST * whole:
                    rows.append((label, f"{indent}{one.name}", one.ms, one.ms / whole, one))
                    label = ""
    if not rows:
        return
    scale = time_scale(ms for _, _, ms, _, _ in rows)
    yield Table(
        [
            Column("inside", [stage for stage, *_ in rows], right=False, shrink_to=12),
            Column("op or Python function", [what for _, what, *_ in rows], right=False, shrink_to=20),
            Column(scale.unit, [scale.text(ms) for _, _, ms, _, _ in rows]),
            Column("of stage", [f"{share * 100:.0f} %" for *_, share, _ in rows], keep=4),
            Column("lock", [_lock(part) for *_, part in rows], keep=2),
            Column("", [_where(part) for *_, part in rows], right=False, keep=3, shrink_to=16, style="dim"),
        ]
    )
    legend = [(scale.unit, f"{scale.unit}: on a core or blocked, per batch")]
    if any(_lock(part) for *_, part in rows):
        legend.append(("lock", "lock: share of the function's time with the GIL held"))
    yield Legend(legend)


def _lock(part: Part) -> str:
    share = part.function.lock_share if part.function is not None else None
    return percent(share) if share is not None else ""


def _where(part: Part) -> str:
    function = part.function
    if function is None or function.file is None:
        return ""
    line = f":{function.line}" if function.line is not None else ""
    return f"{PurePath(function.file).name}{line}"
