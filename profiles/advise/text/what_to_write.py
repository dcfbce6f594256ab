"""What to write for a stage that no edit makes cheaper: a sentence by its kind, with its hot line or its ops."""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import PurePath

from pipeprof.pipelines.graph.read.function_facts import DECODING, PARSING
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.static.written_calls import HotCall, hot_call
from pipeprof.profiles.advise.batch_savings import is_mostly_called, once_per_batch, share_of_calls
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.wording import as_typed, called, hot_function, listed, percent, stage_name

NAMED_FROM = 0.08
"""Share of a map's time from which a kind of op is named."""
_STEADY_FROM = 0.25
"""Share from which ops that need no random numbers are worth a map of their own: layers of libraries have a few."""
SMALL_FROM = 0.5
"""Share of a map's time that no traced op has, from which its many small ops are what to change."""
_HOT_FROM = 0.2
"""Share of the time inside Python functions from which a call is named."""
_LOCKED_FROM = 0.3
"""Share of a function's time with the GIL from which parallel calls of it bring next to nothing: 0.99 times as much at
0.47, with NumPy on arrays of 150 KB and 2 cores."""
_WAITS_FROM = 0.5
"""Share of a stage's time, blocked and not on a core, from which it waits."""
_ONE_CALL = 1.5
"""Calls per batch up to which a function gets whole batches already."""
_MOST = 3
_MUCH = 0.05
"""Share of the time of several ops from which one of them is named."""
_CALLED_FROM = 0.1
"""Share of a stage's time that calls take, from which fewer of them are worth a word."""
_STORED = re.compile(r"^store |once, before the run")
_OF_BATCHES = re.compile(r"\bbatch(es)?\b")
_SHORT_MS = 0.05
"""Of an op in a call: one that computes for longer does as much for a whole batch. A call of an op costs some 5 µs."""
_LONGEST = 60


def of_python(stage: Stage) -> str:
    """State what to do about the Python of a stage, with the call that takes most of it."""
    row, name = traits(stage.op), stage_name(stage)
    file, hot = _hot_call(stage)
    at = f"{_place(stage, file, hot)}, {percent(hot.share)} of the Python time" if hot is not None else ""
    if hot is not None and hot.kind == "same each time":
        return f"{at}: it takes nothing of an element, so make it once, outside of {called(hot.function)}"
    if hot is not None and hot.kind == "from processes":
        return f"{at}: each element crosses a pipe to one thread, so make it in a map with parallel calls instead"
    held = max((cost.lock_share or 0.0 for cost in stage.python or ()), default=0.0)
    if row.wrapped and row.computes:
        text = f"let {name} give only names or numbers, and make its elements in a map with parallel calls"
        if held >= _LOCKED_FROM:
            text += f", with TensorFlow's ops: it holds the GIL {percent(held)} of the time"
    elif (stage.blocked_ms_per_batch or 0.0) >= _WAITS_FROM * (stage.active_ms or math.inf) and held < _LOCKED_FROM:
        text = "let more calls of it wait at a time, each with a thread: options.threading.private_threadpool_size"
    else:
        function = hot_function(stage) or "its Python"
        if is_mostly_called(stage):
            return f"{once_per_batch(function)}; or as TensorFlow ops"
        batch = ", or, where NumPy can take many elements at once, for whole batches: .batch(…) before the map"
        many = (stage.calls_per_batch or 0.0) > _ONE_CALL
        many = many and (not stage.ops or share_of_calls(stage) >= _CALLED_FROM)
        text = f"write {function} as TensorFlow ops, called in the map itself{batch if many else ''}"
    return f"{at}: {text}" if at else text


def _hot_call(stage: Stage) -> tuple[str, HotCall | None]:
    """The call with most of the time of a stage's Python, and its file; None where it is little, or not shown."""
    costs = stage.python or []
    best: tuple[str, HotCall | None] = ("", None)
    for file in dict.fromkeys(cost.file for cost in costs if cost.file is not None):
        own = [cost for cost in costs if cost.file == file]
        shares: dict[int, float] = defaultdict(float)
        for cost in own:
            for line, share in cost.lines or ([(cost.line, 1.0)] if cost.line is not None else []):
                shares[line] += cost.share * share
        found = hot_call(file_text(file), {cost.function.rpartition(".")[2] for cost in own}, shares)
        if found is not None and found.share >= (best[1].share if best[1] is not None else _HOT_FROM):
            best = file, found
    return best


def _place(stage: Stage, file: str, hot: HotCall) -> str:
    here = stage.location is not None and as_typed(stage.location.file) == as_typed(file)
    text = hot.text if len(hot.text) <= _LONGEST else f"{hot.text.partition('(')[0]}(…)"
    return f"line {hot.line}{'' if here else f' of {PurePath(file).name}'}{f', `{text}`' if text else ''}"


def of_ops(stage: Stage, *, batches: bool = True, opener: Stage | None = None) -> str:
    """State what could replace the ops of a map that take most of its time, with their shares; empty where unknown.

    Args:
        batches: Whether its function may be one of whole batches.
        opener: The stage that makes many elements of one, which it gets or is a part of.

    Example:
        >>> ops = [OpCost(op="DecodeCSV", ms_per_batch=9.0), OpCost(op="Pack", ms_per_batch=0.1)]
        >>> of_ops(Stage(id="stages.0", origin="written", op="map", time_ms_per_batch=10.0, ops=ops))
        'DecodeCSV 90 %: parse lines after .batch(…) with tf.io.decode_csv, which takes a batch of them'
    """
    ops = [op for op in stage.ops or () if op.ms_per_batch > 0]
    whole = max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in ops))
    if not ops or not whole:
        return ""
    groups: dict[str, list[OpCost]] = {}
    shared = [op for op in ops if op.op in (stage.shared_ops or ())] if opener is not None else []
    for op in (op for op in ops if op not in shared):
        choices = next((choices for kind, choices in _instead() if re.fullmatch(kind, op.op)), {})
        drawn = bool(stage.random) and stage.steady_ops is not None and op.op not in stage.steady_ops
        on_batches = batches and _gains_on_batches(stage, op, drawn=drawn)
        text = choices.get("batches" if on_batches and "batches" in choices else "")
        # What is drawn anew in each epoch cannot be stored.
        if text is not None and (on_batches or not _OF_BATCHES.search(text)) and not (drawn and _STORED.search(text)):
            groups.setdefault(text, []).append(op)
    costs = {text: sum(op.ms_per_batch for op in members) / whole for text, members in groups.items()}
    largest = [text for text in sorted(costs, key=lambda text: -costs[text]) if costs[text] >= NAMED_FROM][:_MOST]
    texts = [f"{_named(groups[text], whole)}: {text}" for text in largest]
    small = share_of_small_ops(stage)
    if small >= SMALL_FROM and stage.loops:
        texts.insert(0, f"replace its loop by ops on whole tensors, {percent(small)} of its time")
    elif small >= SMALL_FROM and traits(stage.op).maps and batches and (not stage.random or stage.draws_by_number):
        texts.append(f"small ops {percent(small)}: each costs a call, so {_on_batches(stage, ops)}")
    if opener is not None and sum(op.ms_per_batch for op in shared) >= NAMED_FROM * whole:
        name = stage_name(opener)
        made = f"the same for all elements that {name} makes of one, so do it once for each, before {name}"
        return "; ".join([f"{_named(shared, whole)}: {made}", *texts])
    return "; ".join([*_steady(stage, whole), *texts])


def share_of_small_ops(stage: Stage) -> float:
    """Return the part of a map's time that none of its traced ops has: calling it, small ops and copies."""
    traced = sum(op.ms_per_batch for op in stage.ops or () if op.ms_per_batch > 0)
    whole = max(stage.active_ms or 0.0, traced)
    return 1 - traced / whole if whole else 0.0


def _gains_on_batches(stage: Stage, op: OpCost, *, drawn: bool) -> bool:
    """Whether an op on whole batches means the same, and may cost less: what computes for long does as much there.

    Of records and lines it makes a tensor for each of their fields. What is drawn for a picture would be one for a
    batch.
    """
    short = not stage.calls_per_batch or op.ms_per_batch < _SHORT_MS * stage.calls_per_batch
    return (short or op.op in PARSING | DECODING) and (not drawn or bool(stage.draws_by_number))


def _on_batches(stage: Stage, ops: Sequence[OpCost]) -> str:
    """How many small ops are called once per batch."""
    if stage.random:
        # One call for a batch would draw the same numbers for all of its elements.
        return f"apply {stage_name(stage)} after .batch(…) with tf.vectorized_map, where each row draws its own numbers"
    decodes = [op for op in ops if op.op.startswith(("Decode", "ReadFile")) and op.op not in DECODING | PARSING]
    if decodes:
        return f"do what comes after {_names(decodes)} once per batch, in a map after .batch(…)"
    return f"call {stage_name(stage)} once per batch, after .batch(…)"


def _steady(stage: Stage, whole: float) -> list[str]:
    """Which ops do not depend on random numbers, of a map that draws some."""
    if not traits(stage.op).maps or stage.python:
        return []
    steady = [op for op in stage.ops or () if op.op in (stage.steady_ops or ()) and op.ms_per_batch > 0]
    if sum(op.ms_per_batch for op in steady) < _STEADY_FROM * whole:
        return []
    return [
        f"{_named(steady, whole)}: not dependent on the random numbers of {stage_name(stage)}, so do it in a map of "
        "its own, with a cache after it, before any repeat or shuffle, if what that gives of all fits into memory"
    ]


@cache
def _instead() -> tuple[tuple[str, dict[str, str]], ...]:
    """Patterns of op types, and what to do instead of such an op, in the order of the file."""
    text = resources.files(__package__).joinpath("what_to_write.json").read_text(encoding="utf-8")
    found = json.loads(text).items()
    return tuple((kind, {"": choices} if isinstance(choices, str) else choices) for kind, choices in found)


def _named(ops: Sequence[OpCost], whole: float) -> str:
    shown = _largest(ops)
    return f"{_names(ops)} {percent(sum(op.ms_per_batch for op in shown) / whole)}"


def _names(ops: Sequence[OpCost]) -> str:
    return listed([op.op for op in _largest(ops)])


def _largest(ops: Sequence[OpCost]) -> list[OpCost]:
    much = _MUCH * sum(op.ms_per_batch for op in ops)
    return [op for op in sorted(ops, key=lambda op: -op.ms_per_batch)[:_MOST] if op.ms_per_batch >= much]
