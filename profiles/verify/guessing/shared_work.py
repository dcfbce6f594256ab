"""Work that is the same for all elements which a function makes of one, done once for each: pure functions."""

from __future__ import annotations

import ast
import re

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.static.written_calls import WrittenFunction
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.view.texts import written_function
from pipeprof.profiles.wording import listed, percent, stage_name, stage_place

SHARED_FROM = 0.08
"""Share of a map's time from which such work is named."""
_NAMED = 3
_LIBRARY = frozenset({"tf", "tensorflow"})
_BEFORE_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def shared_part(stage: Stage, opener: Stage | None) -> list[OpCost]:
    """Return the measured ops of a map that give the same for all elements that the opener makes of one.

    Returns:
        The costliest first; none where they are a small part of its time.
    """
    ops = [op for op in stage.ops or () if op.ms_per_batch > 0]
    whole = max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in ops))
    found = [op for op in ops if op.op in (stage.shared_ops or ())]
    if opener is None or sum(op.ms_per_batch for op in found) < SHARED_FROM * whole:
        return []
    return sorted(found, key=lambda op: -op.ms_per_batch)


def shared_words(stage: Stage, opener: Stage) -> str:
    """Name these ops, with their share of the map's time, and what is to be done."""
    ops = shared_part(stage, opener)
    whole = max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in stage.ops or () if op.ms_per_batch > 0))
    total = sum(op.ms_per_batch for op in ops)
    names = listed([op.op for op in ops[:_NAMED] if op.ms_per_batch >= SHARED_FROM * total])
    made = f"the same for all elements that {stage_name(opener)} makes of one"
    return f"{names} {percent(total / whole)}: {made}, so do it once for each"


def once_for_each(stage: Stage, opener: Stage) -> str:
    """Return the lines that do one of these ops before the opener; empty where the file does not show them."""
    inner, outer = written_function(stage), written_function(opener)
    if inner is None:
        return ""
    for op in shared_part(stage, opener):
        call, variable = _call_of(inner, op.op) or ("", "")
        names = _parameters(inner)
        if variable in names:
            names = names if outer is not None and _hands_on(outer) else []
        elif pipeline_of(stage.id) == opener.id:
            names = _parameters(outer)
        if variable in names:
            made = ", ".join(call if name == variable else name for name in names)
            place = f"  # before {stage_name(opener)}, {stage_place(opener)}" if stage_place(opener) else ""
            return (
                f"dataset = dataset.map(lambda {', '.join(names)}: {f'({made})' if names[1:] else made}, "
                f"num_parallel_calls=tf.data.AUTOTUNE){place}\n"
                f"# in {stage_name(stage)}, {variable} is what {call} gives"
            )
    return ""


def _hands_on(opener: WrittenFunction) -> bool:
    """Whether the one dataset of a single element in a function is made of all its own arguments, in order."""
    nodes, names = list(ast.walk(_tree(opener))), _parameters(opener)
    made = [one for one in nodes if isinstance(one, ast.Call) and ast.unparse(one.func).endswith("from_tensors")]
    taken = [one.arg for one in nodes if isinstance(one, ast.arg)]
    written = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    if len(made) != 1 or len(made[0].args) != 1 or taken != names or written & {*names}:
        return False
    given = made[0].args[0]
    parts = given.elts if isinstance(given, ast.Tuple) else [given]
    return [one.id if isinstance(one, ast.Name) else None for one in parts] == names


def _call_of(function: WrittenFunction, op: str) -> tuple[str, str] | None:
    """The only call in a function that is an op's, with the variable that it is given; None where it takes others."""
    tree, name = _tree(function), _BEFORE_CAPITAL.sub("_", op).lower()
    calls = [one for one in ast.walk(tree) if isinstance(one, ast.Call) and ast.unparse(one.func).endswith(f".{name}")]
    names = [one for call in calls for part in (*call.args, *call.keywords) for one in ast.walk(part)]
    given = {one.id for one in names if isinstance(one, ast.Name)} - _LIBRARY
    own = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    return (ast.unparse(calls[0]), given.pop()) if len(calls) == 1 and len(given) == 1 and not given & own else None


def _parameters(function: WrittenFunction | None) -> list[str]:
    tree = _tree(function) if function is not None else None
    nodes = ast.walk(tree) if tree is not None else ()
    made = next((one for one in nodes if isinstance(one, ast.FunctionDef | ast.Lambda)), None)
    return [one.arg for one in made.args.args] if made is not None else []


def _tree(function: WrittenFunction) -> ast.Module:
    return ast.parse(function.definition or function.text)
