"""What could stand in the place of the ops that take the time of a map: pure functions."""

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
from pipeprof.profiles.wording import listed, percent, stage_name

NAMED_FROM = 0.08
"""Share of a map's time from which a kind of op is named."""
_MOST = 3
_STORED = re.compile(r"^store |once, before the run")
_OF_BATCHES = re.compile(r"\bbatch(es)?\b")
_SMALL_FROM = 0.5
"""Share of a map's time that no traced op has, from which its many small ops are what to change."""


def replacements(stage: Stage, *, batches: bool = True, opener: Stage | None = None) -> str:
    """State what could replace the ops of a map that take most of its time, with their shares; empty where unknown.

    Args:
        stage: The map.
        batches: Whether its function may be one of whole batches.
        opener: The stage that makes many elements of one, which it gets or is a part of.

    Example:
        >>> ops = [OpCost(op="DecodeCSV", ms_per_batch=9.0), OpCost(op="Pack", ms_per_batch=0.1)]
        >>> replacements(Stage(id="stages.0", origin="written", op="map", time_ms_per_batch=10.0, ops=ops))
        'DecodeCSV 90 %: tf.io.decode_csv after .batch(…): it takes a batch of lines'
    """
    ops = [op for op in stage.ops or () if op.ms_per_batch > 0]
    whole = max(stage.active_ms or 0.0, sum(op.ms_per_batch for op in ops))
    if not ops or not whole:
        return ""
    small = 1 - sum(op.ms_per_batch for op in ops) / whole
    groups: dict[str, list[OpCost]] = {}
    for op in ops:
        text = next((text for kind, text in _instead() if re.fullmatch(kind, op.op)), None)
        # What is drawn anew in each epoch cannot be stored.
        drawn = stage.random and stage.steady_ops is not None and op.op not in stage.steady_ops
        on_batches = batches and _gains_on_batches(stage, op.op, small, drawn=bool(drawn))
        if text is not None and (on_batches or not _OF_BATCHES.search(text)) and not (drawn and _STORED.search(text)):
            groups.setdefault(text, []).append(op)
    costs = {text: sum(op.ms_per_batch for op in members) / whole for text, members in groups.items()}
    largest = [text for text in sorted(costs, key=lambda text: -costs[text]) if costs[text] >= NAMED_FROM][:_MOST]
    parts = [f"{_names(groups[text])} {percent(costs[text])}: {text}" for text in largest]
    if small >= _SMALL_FROM and stage.loops:
        parts.insert(0, f"replace its loop by ops on whole tensors, {percent(small)} of its time")
    elif small >= _SMALL_FROM and traits(stage.op).maps and batches and not stage.random:
        # One call for a batch would draw the same numbers for all of its elements.
        once = f"call {stage_name(stage)} once per batch, after .batch(…)"
        if alone := [op for op in ops if _takes_one(op.op)]:
            once = f"do what comes after {_names(alone)} once per batch, in a map after .batch(…)"
        parts.append(f"small ops {percent(small)}: each costs a call, so {once}")
    return "; ".join([*_shared(stage, whole, opener), *_divided(stage, whole), *parts])


def _gains_on_batches(stage: Stage, op: str, small: float, *, drawn: bool) -> bool:
    """Whether an op on whole batches costs less and means the same.

    What costs much per number costs as much on a batch, but for records and lines, of which each makes many tensors.

    Args:
        small: Share of the map's time that calls and small ops take.
        drawn: Whether it depends on random numbers: one for a whole picture would be the same for a whole batch.
    """
    return (small >= _SMALL_FROM or op in PARSING | DECODING) and (not drawn or bool(stage.draws_by_number))


def _shared(stage: Stage, whole: float, opener: Stage | None) -> list[str]:
    """Which ops do the same for all elements that the opener makes of one."""
    ops = [op for op in stage.ops or () if op.op in (stage.shared_ops or ()) and op.ms_per_batch > 0]
    share = sum(op.ms_per_batch for op in ops) / whole
    if opener is None or share < NAMED_FROM:
        return []
    name = stage_name(opener)
    return [
        f"{_names(ops)} {percent(share)}: the same for all elements that {name} makes of one, so do it once for each, "
        f"in .map(…, num_parallel_calls=tf.data.AUTOTUNE) before {name}, which then gets the result"
    ]


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
        f"{_names(steady)} {percent(share)}: not dependent on the random numbers of {stage_name(stage)}, so do it in "
        "a map of its own, with a cache after it"
    ]


@cache
def _instead() -> tuple[tuple[str, str], ...]:
    """Patterns of op types, and what to do instead of such an op, in the order of the file."""
    text = resources.files(__package__).joinpath("replacements.json").read_text(encoding="utf-8")
    return tuple(json.loads(text).items())


def _names(ops: Sequence[OpCost]) -> str:
    ordered = sorted(ops, key=lambda op: -op.ms_per_batch)
    return listed([op.op for op in ordered[:_MOST]])
