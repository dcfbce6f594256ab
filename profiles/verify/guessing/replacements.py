"""What could stand in place of the ops that take the time of a map: pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import cache
from importlib import resources

from pipeprof.pipelines.graph.read.function_facts import DECODING, PARSING
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.verify.guessing.dividing import steady_part
from pipeprof.profiles.verify.guessing.shared_work import shared_part, shared_words
from pipeprof.profiles.wording import listed, percent, stage_name

NAMED_FROM = 0.08
"""Share of a map's time from which a kind of op is named."""
_MOST = 3
_MUCH = 0.05
"""Share of the time of several ops from which one of them is named."""
_STORED = re.compile(r"^store |once, before the run")
_OF_BATCHES = re.compile(r"\bbatch(es)?\b")
_SHORT_MS = 0.05
"""Of an op in a call: one that computes for longer does as much for a whole batch. A call of an op costs some 5 µs."""
_PICTURE = 3
"""Dimensions of a picture: height, width and channels."""
_CUTS, _RESIZES = "Slice", re.compile(r"Resize\w+|ScaleAndTranslate")
SMALL_FROM = 0.5
"""Share of a map's time that no traced op has, from which its many small ops are what to change."""


def replacements(
    stage: Stage,
    *,
    batches: bool = True,
    parts: bool = True,
    opener: Stage | None = None,
    around: tuple[Stage | None, Stage | None] = (None, None),
) -> str:
    """State what could replace the ops of a map that take most of its time, with their shares; empty where unknown.

    Args:
        stage: The map.
        batches: Whether its function may be one of whole batches.
        parts: Whether what it does before its random ops may be a map of its own.
        opener: The stage that makes many elements of one, which it gets or is a part of.
        around: The stage whose elements it gets, and the one that gets its own.

    Example:
        >>> ops = [OpCost(op="DecodeCSV", ms_per_batch=9.0), OpCost(op="Pack", ms_per_batch=0.1)]
        >>> replacements(Stage(id="stages.0", origin="written", op="map", time_ms_per_batch=10.0, ops=ops))
        'DecodeCSV 90 %: parse lines after .batch(…) with tf.io.decode_csv, which takes a batch of them'
    """
    ops = [op for op in stage.ops or () if op.ms_per_batch > 0]
    whole = max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in ops))
    if not ops or not whole:
        return ""
    groups: dict[str, list[OpCost]] = {}
    shared = shared_part(stage, opener)
    for op in (op for op in ops if op not in shared):
        choices = next((choices for kind, choices in _instead() if re.fullmatch(kind, op.op)), {})
        drawn = _is_drawn(stage, op.op)
        on_batches = batches and _gains_on_batches(stage, op, drawn=drawn)
        known = _facts(stage, *around, batches=on_batches)
        text = next((text for fact, text in choices.items() if not fact or fact in known), None)
        text = text.format_map(_sizes(stage, around[1])) if text is not None else None
        # What is drawn anew in each epoch cannot be stored.
        if text is not None and (on_batches or not _OF_BATCHES.search(text)) and not (drawn and _STORED.search(text)):
            groups.setdefault(text, []).append(op)
    costs = {text: sum(op.ms_per_batch for op in members) / whole for text, members in groups.items()}
    largest = [text for text in sorted(costs, key=lambda text: -costs[text]) if costs[text] >= NAMED_FROM][:_MOST]
    texts = [f"{_named(groups[text], whole)}: {text}" for text in largest]
    small = share_of_small_ops(stage)
    if small >= SMALL_FROM and stage.loops:
        texts.insert(0, f"replace its loop by ops on whole tensors, {percent(small)} of its time")
    elif small >= SMALL_FROM and traits(stage.op).maps and batches and not stage.random:
        # One call for a batch would draw the same numbers for all of its elements: that has lines of its own.
        call = f"call {stage_name(stage)} once per batch, after .batch(…)"
        if alone := [op for op in ops if _takes_one(op.op)]:
            call = f"do what comes after {_names(alone)} once per batch, in a map after .batch(…)"
        texts.append(f"small ops {percent(small)}: each costs a call, so {call}")
    once = []
    if shared and opener is not None:
        call = f"in .map(…, num_parallel_calls=tf.data.AUTOTUNE) before {stage_name(opener)}"
        once = [f"{shared_words(stage, opener)}, {call}, which then gets the result"]
    return "; ".join([*(once or (_divided(stage, whole) if parts else [])), *texts])


def _is_drawn(stage: Stage, op: str) -> bool:
    """Whether an op of a map depends on its random numbers."""
    return bool(stage.random) and stage.steady_ops is not None and op not in stage.steady_ops


def _gains_on_batches(stage: Stage, op: OpCost, *, drawn: bool) -> bool:
    """Whether an op on whole batches means the same, and may cost less: what computes for long does as much there.

    Of records and lines it makes a tensor for each of their fields.

    Args:
        drawn: Whether it depends on random numbers: one that is drawn for a picture would be one for a batch.
    """
    short = not stage.calls_per_batch or op.ms_per_batch < _SHORT_MS * stage.calls_per_batch
    return (short or op.op in PARSING | DECODING) and (not drawn or bool(stage.draws_by_number))


def _facts(stage: Stage, before: Stage | None, after: Stage | None, *, batches: bool) -> set[str]:
    """Return what is known of a map: what it does to pictures first, and whether one call may do a whole batch.

    Where it does neither, what the next map does to them counts.
    """
    ops = [op.op for op in stage.ops or ()]
    found: set[str] = set()
    for one in (stage, after):
        if one is None or not traits(one.op).maps or found:
            continue
        does = [op.op for op in one.ops or ()]
        # A size that is drawn is that of a crop.
        resizing = [op for op in does if _RESIZES.fullmatch(op)]
        if any(not _is_drawn(one, op) for op in resizing):
            found = {"resizes"}
        elif _CUTS in does and (one is stage or _picture_size(one)):
            found = {"crops"}
        elif resizing:
            found = {"drawn"}
    if batches:
        found.add("batches")
        # What is decoded may have any size.
        if before is not None and _picture_size(before) and not any(map(_takes_one, ops)):
            found.add("one size")
    return found


def _sizes(stage: Stage, after: Stage | None) -> dict[str, str]:
    """Words for the size of the pictures that a map gives, and for the files that it reads, one for an element."""
    last = after if after is not None and traits(after.op).maps and not _picture_size(stage) else stage
    cuts = _CUTS in {op.op for op in last.ops or ()}
    size = None if cuts else _picture_size(last)
    files = f"the {stage.cardinality:,} files" if (stage.cardinality or 0) > 0 else "the files"
    return {"size": size or "the size to which they are resized", "files": files}


def _picture_size(stage: Stage) -> str | None:
    """Height and width of the only pictures among a stage's elements; None where they are not known."""
    shapes = [one.shape for one in stage.element_spec or () if one.shape is not None and len(one.shape) == _PICTURE]
    sides = shapes[0][:2] if len(shapes) == 1 else []
    return "×".join(map(str, sides)) if sides and None not in sides else None


def share_of_small_ops(stage: Stage) -> float:
    """Return the part of a map's time that none of its traced ops has: calling it, small ops and copies."""
    traced = sum(op.ms_per_batch for op in stage.ops or () if op.ms_per_batch > 0)
    whole = max(stage.active_ms or 0.0, traced)
    return 1 - traced / whole if whole else 0.0


def _takes_one(op: str) -> bool:
    """Whether an op takes one file or picture, and no batch of them."""
    return op == "ReadFile" or (op.startswith("Decode") and op not in DECODING | PARSING)


def _divided(stage: Stage, whole: float) -> list[str]:
    """Which ops do not depend on random numbers, of a map that draws some."""
    steady = steady_part(stage)
    share = sum(op.ms_per_batch for op in steady) / whole
    if share < NAMED_FROM:
        return []
    return [
        f"{_named(steady, whole)}: not dependent on the random numbers of {stage_name(stage)}, so do it in "
        "a map of its own, with a cache after it if what that gives of all elements fits into memory"
    ]


@cache
def _instead() -> tuple[tuple[str, dict[str, str]], ...]:
    """Patterns of op types, and what to do instead of such an op by what is known, in the order of the file."""
    text = resources.files(__package__).joinpath("replacements.json").read_text(encoding="utf-8")
    found = json.loads(text).items()
    return tuple((kind, {"": choices} if isinstance(choices, str) else choices) for kind, choices in found)


def _named(ops: Sequence[OpCost], whole: float) -> str:
    """Name the ops that take most of what all of them take, with the share of these in the whole."""
    shown = _largest(ops)
    return f"{_names(ops)} {percent(sum(op.ms_per_batch for op in shown) / whole)}"


def _names(ops: Sequence[OpCost]) -> str:
    return listed([op.op for op in _largest(ops)])


def _largest(ops: Sequence[OpCost]) -> list[OpCost]:
    much = _MUCH * sum(op.ms_per_batch for op in ops)
    return [op for op in sorted(ops, key=lambda op: -op.ms_per_batch)[:_MOST] if op.ms_per_batch >= much]
