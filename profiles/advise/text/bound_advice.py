"""What one can do about a stage that is the limit and that no edit makes faster, by its kind: pure functions.

A stage that holds no code of the user's and only passes on what others make has no advice: others have it.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.changes.edits import VectoriseMap
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.batch_savings import is_mostly_called
from pipeprof.profiles.advise.facts.caching import can_be_saved, runs_python
from pipeprof.profiles.advise.order import finding_of
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.advise.text.what_to_write import of_ops, of_python
from pipeprof.profiles.constants import COPIED_BYTES_PER_US
from pipeprof.profiles.lines import inside, line_of, on_main_line
from pipeprof.profiles.time.top_stage import are_twins, as_one
from pipeprof.profiles.wording import called, count, listed, milliseconds, size, stage_name, stages_in_a_row

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipeprof.profiles.document.findings import Finding
    from pipeprof.profiles.document.profile import Profile
    from pipeprof.profiles.document.stages import Stage

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
    if row.combines or (row.opens and (_costs_less_than_inside(profile, stage) or _only_reads(profile, stage))):
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
        text = "read less: smaller records, no compression, or several files at a time if there are several"
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
    text = _of_function(profile, side, batches=_may_be_on_batches({side.id}, tried)) if sides else None
    if text is None:
        count = round((stage.bytes_out_per_batch or 0.0) / (stage.bytes_per_element or math.inf))
        rows = f", or {_ROWS}" if traits(stage.op).combines else ""
        text = f"each of its {count:,} elements per batch passes alone: batch the datasets that it reads{rows}"
        return Advice(f"Choose whole batches in {name}", text) if count >= _MANY else None
    text = f"{stage_name(side)}: {text}" if text else ""
    return Advice(f"Make {name} cheaper", text, stage=side if text else None)


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
    return of_ops(stage, batches=on_batches, opener=_opener(profile, stage))


def _opener(profile: Profile, stage: Stage) -> Stage | None:
    """The stage that makes many elements of one: the one before, or that whose function this stage is in."""
    line, owner = line_of(profile, stage.id), pipeline_of(stage.id)
    places = [at for at, one in enumerate(line) if one.id == stage.id and at]
    near = [line[places[0] - 1]] if places else []
    outer = [one for one in profile.stages or () if one.id == owner]
    return next((one for one in (*near, *outer) if traits(one.op).opens), None)


def _comes_into_batches(profile: Profile, stage: Stage) -> bool:
    """Whether nothing needs what a stage gives element by element before a batch of its line: no filter, no opener."""
    after = itertools.dropwhile(lambda one: one.id != stage.id, line_of(profile, stage.id))
    rows = [traits(one.op) for one in itertools.islice(after, 1, None)]
    before = itertools.takewhile(lambda row: not row.stacks, rows)
    return all(row.maps or row.function is None for row in before)


def _is_batched(profile: Profile, stage: Stage) -> bool:
    line = line_of(profile, stage.id)
    before = itertools.takewhile(lambda one: one.id != stage.id, line)
    rows = [traits(one.op) for one in before]
    last = next((row for row in reversed(rows) if row.stacks or row.unbatches), None)
    return last is not None and last.stacks


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
    stages = [stage for stage in profile.stages or () if stage.id in addresses]
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
    parts = [f"{name} {milliseconds(ms)}" for name, ms in sorted(found.items(), key=lambda one: -one[1]) if ms > 0]
    lines = [f"{called(one.function)} {milliseconds(one.ms_per_batch)}" for one in python if one.ms_per_batch > 0]
    text = [f"{listed(parts[:_OPS_NAMED])} per batch"] if parts else []
    return ", ".join([*text, f"in Python {listed(lines)}"] if lines else text)
