"""What one can do about a stage that is the limit and that no edit makes faster, by its kind, hot line and ops.

A stage that holds no code of the user's and only passes on what others make has no advice: others have it.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import PurePath
from typing import TYPE_CHECKING

from pipeprof.pipelines.changes.edits import VectoriseMap
from pipeprof.pipelines.graph.read.function_facts import DECODING, PARSING
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.static.written_calls import HotCall, hot_call
from pipeprof.profiles.advise.batch_savings import is_mostly_called, once_per_batch, share_of_calls
from pipeprof.profiles.advise.facts.caching import can_be_saved, runs_python
from pipeprof.profiles.advise.order import finding_of
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.constants import COPIED_BYTES_PER_US
from pipeprof.profiles.document.stages import OpCost, Stage
from pipeprof.profiles.lines import inside, line_of, on_main_line
from pipeprof.profiles.time.top_stage import are_twins, as_one
from pipeprof.profiles.view.view import file_text
from pipeprof.profiles.wording import (
    as_typed,
    call_around,
    called,
    count,
    hot_function,
    listed,
    milliseconds,
    percent,
    size,
    stage_name,
    stages_in_a_row,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile

WORTH = 1.3
"""Upper bound from which it is worth knowing: what could bring less is no advice."""
_MANY = 64
"""Elements per batch from which on passing them one at a time may be what takes the time."""
_ABOUT_AS_COSTLY = 0.5
"""Of the work of the costliest side."""
_COPIES_FROM = 0.25
"""Of the time of a batch, for copying its bytes: rows of few bytes cost by their number."""
_OPS_NAMED = 3
"""Ops and Python functions that are named as what is inside a stage."""
_MUCH_OF_IT = 0.5
_TOO_LITTLE = 0.01
"""Of the time inside stages, up to which an op or the calls are not named."""
_ROWS = "draw row numbers for a batch and take the rows with one tf.gather"


@dataclass(frozen=True)
class Advice:
    """What to do; without a text, only that it costs is known. The stage is None where it is the last one asked for."""

    title: str
    text: str
    stage: Stage | None = None


def _may_be_on_batches(addresses: Collection[str], tried: Iterable[Finding]) -> bool:
    """Whether whole batches may still help at any of these stages: not where they were measured."""
    return not any(
        (one.status == "kept" or _is_no_gain(one)) and isinstance(edit, VectoriseMap) and edit.stage in addresses
        for one in tried
        for edit in one.edits
    )


def _mostly_copies(stage: Stage) -> bool:
    """Whether the bytes that go into a batch take much of its time, and not the number of its elements."""
    copied_ms = (stage.bytes_out_per_batch or math.inf) / COPIED_BYTES_PER_US / 1000
    return copied_ms >= _COPIES_FROM * (stage.inside_ms or 0.0)


def _is_no_gain(finding: Finding) -> bool:
    most = (finding.measured or {}).get("high")
    return finding.status == "rejected" or (finding.status == "unverified" and most is not None and most < WORTH)


def advice_for(
    profile: Profile, stage: Stage, tried: Sequence[Finding] = (), *, twins: Collection[str] = ()
) -> Advice | None:
    """What one can do about a stage, less what was tried without a gain; None where nothing could be less."""
    batches = _may_be_on_batches({stage.id, *twins}, tried)
    name, row = stage_name(stage), traits(stage.op)
    if row.combines or _costs_less_than_inside(profile, stage) or (row.opens and _only_reads(profile, stage)):
        return _of_sides(profile, stage, tried)
    if (text := _of_function(profile, stage, batches=batches)) is not None:
        return Advice(f"Make {name} cheaper", text)
    found: Advice | None = None
    if row.stacks and _mostly_copies(stage):
        copied = f", now {size(stage.bytes_out_per_batch)} per batch" if stage.bytes_out_per_batch else ""
        text = f"copy fewer bytes into a batch{copied}: smaller elements, or types such as uint8 that the step casts"
        found = Advice(f"Copy less in {name}", text)
    elif row.unbatches:
        text = "keep its batches together, or take them apart after the costly stages: each element costs a call"
        found = Advice(f"Produce fewer elements in {name}", text)
    elif stage.id == "source" and not (row.cheap or row.in_memory or row.generates_numbers or row.reorders):
        text = "read less: smaller records, or no compression"
        found = Advice(f"Read less in {name}", text)
    return found


def name_together(stages: Sequence[Stage]) -> str:
    """Name stages that one line of the program makes, or that follow each other."""
    twins = len(stages) > 1 and are_twins(stages)
    return f"the {len(stages)} stages of {stage_name(stages[0])}" if twins else stages_in_a_row(stages)


def advice_together(profile: Profile, stages: Sequence[Stage], tried: Sequence[Finding] = ()) -> Advice | None:
    """Return what one can do about such stages, less what was tried at one of them and did not help."""
    name, addresses = name_together(stages), [stage.id for stage in stages]
    if are_twins(stages):
        advice = advice_for(profile, as_one(stages), tried, twins=addresses)
        return replace(advice, title=f"Make {name} cheaper") if advice is not None else None
    title, on_batches = f"Make {stages_in_a_row(stages, places=False)} cheaper", _may_be_on_batches(addresses, tried)
    costly = sorted(stages, key=lambda stage: -(stage.share or 0.0))
    costliest = costly[0]
    costly = [one for one in costly if (one.share or 0.0) >= _ABOUT_AS_COSTLY * (costliest.share or 0.0)]
    costly = [stage for stage in costly if _has_function(stage)]
    known = {stage_name(stage): _known_of_function(profile, stage, batches=on_batches) for stage in costly}
    texts = [f"{one}: {text}" for one, text in known.items() if text]
    batches = f"{name}: on whole batches if possible" if on_batches and not _is_batched(profile, costliest) else ""
    return Advice(title, "; ".join(texts) or batches)


def _of_sides(profile: Profile, stage: Stage, tried: Sequence[Finding]) -> Advice | None:
    """What to do about a stage that waits for others: it is the costliest of them."""
    name, sides = stage_name(stage), [side for side in inside(profile, stage) if side.share]
    side = max(sides, key=lambda side: side.share or 0.0, default=stage)
    alike = [one for one in sides if are_twins([side, one])]
    text = _of_function(profile, as_one(alike), batches=_may_be_on_batches({side.id}, tried)) if sides else None
    # Its bound frees the stage as well as what it reads.
    title = f"Make {name} and {'what it reads' if traits(stage.op).combines else 'the datasets in it'} cheaper"
    if text is None:
        count = round((stage.bytes_out_per_batch or 0.0) / (stage.bytes_per_element or math.inf))
        rows = f", or {_ROWS}" if traits(stage.op).combines else ""
        text = f"each of its {count:,} elements per batch passes alone: batch the datasets that it reads{rows}"
        return Advice(f"Choose whole batches in {name}", text) if count >= _MANY else None
    return Advice(title, f"{stage_name(side)}: {text}" if text else "", stage=side)


def _costs_less_than_inside(profile: Profile, stage: Stage) -> bool:
    """Whether a stage that its function makes costs more than opening it, and is one of the user's code."""
    made = max(inside(profile, stage), key=lambda one: one.share or 0.0, default=None)
    return made is not None and (made.share or 0.0) > (stage.share or 0.0) and _has_function(made)


def _only_reads(profile: Profile, stage: Stage) -> bool:
    """Whether all that the datasets of a stage do is to read: its function only opens them."""
    made = inside(profile, stage)
    return bool(made) and not runs_python(stage) and not any(map(_has_function, made))


def _of_function(profile: Profile, stage: Stage, *, batches: bool) -> str | None:
    """What to do about a stage that runs the user's code, empty where that is not known; None for other stages."""
    if not _has_function(stage):
        return None
    if known := _known_of_function(profile, stage, batches=batches):
        return known
    if is_mostly_called(stage):
        drawn = ", with random numbers for each of its elements" if stage.random else ""
        return f"call {stage_name(stage)} once per batch, after .batch(…){drawn}"
    return "replace its loop by ops on whole tensors" if stage.loops else ""


def _has_function(stage: Stage) -> bool:
    row = traits(stage.op)
    return row.function is not None or row.opaque


def _known_of_function(profile: Profile, stage: Stage, *, batches: bool) -> str:
    """What could replace the Python of such a stage, or the ops that take its time; empty where unknown."""
    if runs_python(stage):
        return of_python(stage)
    on_batches = batches and _comes_into_batches(profile, stage) and not _is_batched(profile, stage)
    return of_ops(stage, batches=on_batches)


def _comes_into_batches(profile: Profile, stage: Stage) -> bool:
    """Whether nothing needs what a stage gives element by element before a batch of its line: no filter, no opener."""
    rows = [traits(one.op) for one in around(profile, stage.id)[1]]
    before = itertools.takewhile(lambda row: not row.stacks, rows)
    return all(row.maps or row.function is None for row in before)


def _is_batched(profile: Profile, stage: Stage) -> bool:
    rows = [traits(one.op) for one in around(profile, stage.id)[0]]
    last = next((row for row in reversed(rows) if row.stacks or row.unbatches), None)
    return last is not None and last.stacks


def around(profile: Profile, address: str) -> tuple[list[Stage], list[Stage]]:
    """The stages before and after one on its line."""
    line = line_of(profile, address)
    place = next((place for place, stage in enumerate(line) if stage.id == address), len(line))
    return list(line[:place]), list(line[place + 1 :])


def stages_at(profile: Profile, addresses: Collection[str]) -> list[Stage]:
    """The stages with these addresses, in the order of the data."""
    return [stage for stage in profile.stages or () if stage.id in addresses]


def add_save_lines(profile: Profile, finding: Finding, stages: Sequence[str]) -> None:
    """Add how the work of stages is done once to a finding whose upper bound is a gain, unless it has lines already."""
    last = next((stage for stage in profile.stages or () if stage.id == stages[-1]), None)
    if finding.status == "ceiling" and not finding.python and last is not None and can_be_saved(profile, last):
        finding.python = (
            f"ds.save(path)  # once, after {stage_name(last)}\n"
            "ds = tf.data.Dataset.load(path)  # from then on, in place of the stages up to it"
        )


def bottleneck_finding(profile: Profile, addresses: Sequence[str], tried: Sequence[Finding]) -> Finding:
    """The finding of stages whose upper bound is measured: what is inside, and what can be done about them."""
    stages = stages_at(profile, addresses)
    name, inner = name_together(stages), _inside([one for own in stages for one in (own, *inside(profile, own))])
    advice = advice_together(profile, stages, tried) if stages[1:] else advice_for(profile, stages[0], tried)
    stage = (advice.stage if advice is not None else None) or stages[-1]
    at = [{finding.stage, on_main_line(finding.stage)} for finding in tried if finding.status == "rejected"]
    here = sum(not own.isdisjoint(addresses) for own in at)
    what = f"{here} change{'s' if here != 1 else ''} tried at {name}, none helped" if here else ""
    text = advice.text if advice is not None else ""
    return finding_of(
        Proposal(
            advice.title if advice is not None else name,
            text,
            stage=stage.id,
            location=stage.location,
            sentence=". ".join(part for part in (what, f"Inside: {inner}" if inner else "") if part) or None,
            recommendation=text,
        )
    )


def _inside(stages: Sequence[Stage]) -> str:
    """What takes the time inside stages, in words; empty where that is not known."""
    found: dict[str, float] = defaultdict(float)
    for stage in stages:
        for op in stage.ops or ():
            found[op.op] += op.ms_per_batch
        if stages[1:] and not stage.ops and not stage.python:
            # Its ops were not seen: all of it has its name.
            found[stage_name(stage)] += stage.inside_ms or 0.0
        elif stage.ops and stage.calling_ms_per_batch:
            times = f" {count(stage.calls_per_batch)} times" if stage.calls_per_batch and not stages[1:] else ""
            found[f"calling {'them' if stages[1:] else 'it'}{times}"] += stage.calling_ms_per_batch
    python = sorted(as_one(stages).python or (), key=lambda one: -one.ms_per_batch)[:_OPS_NAMED]
    work = sum(stage.inside_ms or 0.0 for stage in stages)
    others = work - sum(found.values())
    if not python and found and others > _MUCH_OF_IT * work:
        found[f"{'a loop of' if any(stage.loops for stage in stages) else 'other'} small ops and copies"] = others
    large = {name: ms for name, ms in found.items() if ms > _TOO_LITTLE * work}
    parts = [f"{name} {milliseconds(ms)}" for name, ms in sorted(large.items(), key=lambda one: -one[1])]
    lines = [f"{called(one.function)} {milliseconds(one.ms_per_batch)}" for one in python if one.ms_per_batch > 0]
    text = [f"{listed(parts[:_OPS_NAMED])} per batch"] if parts else []
    return ", ".join([*text, f"in Python {listed(lines)}"] if lines else text)


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
        if call_around(stage.op, stage.location):
            # There is no map that the user could write: Keras makes the dataset of what it is given.
            return f"compute less in {name}, or give a keras.utils.PyDataset workers=2, use_multiprocessing=True"
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
        text = f"write {function} as TensorFlow ops, without a call of Python{batch if many else ''}"
    return f"{at}: {text}" if at else text


def _hot_call(stage: Stage) -> tuple[str, HotCall | None]:
    """The call with most of the time of a stage's Python, and its file; None where it is little, or not shown."""
    costs = stage.python or []
    best: tuple[str, HotCall | None] = ("", None)
    for file in dict.fromkeys(cost.file for cost in costs if cost.file is not None):
        own = [cost for cost in costs if cost.file == file]
        shares: dict[int, float] = defaultdict(float)
        for cost in own:
            for line, share in cost.lines:
                shares[line] += cost.share * share
        found = hot_call(file_text(file), {cost.function.rpartition(".")[2] for cost in own}, shares)
        if found is not None and found.share >= (best[1].share if best[1] is not None else _HOT_FROM):
            best = file, found
    return best


def _place(stage: Stage, file: str, hot: HotCall) -> str:
    here = stage.location is not None and as_typed(stage.location.file) == as_typed(file)
    text = hot.text if len(hot.text) <= _LONGEST else f"{hot.text.partition('(')[0]}(…)"
    return f"line {hot.line}{'' if here else f' of {PurePath(file).name}'}{f', `{text}`' if text else ''}"


def of_ops(stage: Stage, *, batches: bool = True) -> str:
    """State what could replace the ops of a map that take most of its time, with their shares; empty where unknown.

    Args:
        batches: Whether its function may be one of whole batches.

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
    for op in ops:
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
