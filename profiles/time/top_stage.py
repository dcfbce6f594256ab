"""The stages with most of the time inside the pipeline, stages of unknown time, and work whose results are dropped.

What has most of it is decided here alone, for the verdict and for each limit: stages of one function count together,
and with the datasets that the function makes.

TensorFlow's model has no cost of an iterator that had ended when it was read, as those before a shuffle that holds the
whole dataset; then the trace may have the ops of the stage.

For dropped work, a call of the user's in which TensorFlow makes stages of other names, as `rejection_resample`, counts
as one stage: what goes in is what its members take from outside, what comes out is what its last one gives.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from pipeprof.pipelines.addresses import pipeline_of
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.profile import Message
from pipeprof.profiles.document.stages import OpCost, PythonCost
from pipeprof.profiles.lines import lines_of, reader_of, stages_around
from pipeprof.profiles.time.stage_notes import caveat_text
from pipeprof.profiles.wording import call_around, label_of, listed, milliseconds, percent, stage_label

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

    from pipeprof.profiles.document.stages import Stage

EQUAL_FROM = 0.8
"""Share of the largest stage's time from which another one is named with it."""
OPENS_FROM = 0.25
"""Share of the time of a stage and the datasets in its function from which the stage is named and not a dataset."""
MOST_FROM = 0.5
"""Share of the work, and of the interval, from which no other stage can have more."""
_UNSEEN = "stages-unseen"
_NUMBER = re.compile(r"_?\d+$")
_SUMMED = (
    "elements", "time_ms_per_batch", "cpu_ms_per_batch", "blocked_ms_per_batch", "intra_op_ms_per_batch",
    "calling_ms_per_batch", "calls_per_batch", "share", "buffered_bytes", "buffered_elements",
)  # fmt: skip
_Cost = TypeVar("_Cost", OpCost, PythonCost)


@dataclass(frozen=True)
class StageGroup:
    """Stages of one function, with the datasets that it makes: their work is one.

    Attributes:
        stages: One, or those that one line of the program makes with one function, the one with most work first.
        made: Stages inside their functions that call none themselves.
    """

    stages: tuple[Stage, ...]
    made: tuple[Stage, ...] = ()

    @property
    def stage(self) -> Stage:
        """The one that stands for all of them."""
        return self.stages[0]

    @property
    def members(self) -> tuple[Stage, ...]:
        """All of them."""
        return (*self.stages, *self.made)

    @property
    def share(self) -> float | None:
        """Their part of the pipeline's work; `None` where it is not known."""
        known = [member.share for member in self.members if member.share is not None]
        return sum(known) if known else None

    @property
    def label(self) -> str:
        """Their name in a sentence."""
        label = stage_label(self.stage)
        if len(self.stages) > 1:
            same = len({stage.name for stage in self.stages}) == 1
            name = self.stage.name if same or self.stage.name is None else _NUMBER.sub("", self.stage.name)
            op, place = self.stage.op, self.stage.location
            # What TensorFlow makes inside of one call is that call.
            label = label_of(name, op, place, times=1 if call_around(op, place) else len(self.stages))
        return f"{label} with the datasets in {'them' if len(self.stages) > 1 else 'it'}" if self.made else label

    def total(self, cost: Callable[[Stage], float | None]) -> float:
        """Sum a cost over all of them."""
        return sum(cost(member) or 0.0 for member in self.members)


Groups = tuple[StageGroup, ...]


def top_groups(stages: list[Stage] | None, epochs: int = 0, interval_ms: float = 0.0) -> Groups:
    """The stages with most of the work inside the pipeline, and those that take about as much.

    None where a stage that may be it has no known cost, and where one that TensorFlow added has more.

    Args:
        epochs: How often the dataset ended and was started again while it was measured.
        interval_ms: From one batch to the next. With it, stages of unknown cost do not matter where one of known cost
            has most of all the work, the CPU time that belongs to no stage included, and fills most of the interval.
    """
    found = _largest(stages or [], _cost)
    if not found:
        return ()
    top = found[0]
    active = top.total(lambda stage: stage.active_ms)
    most = (top.share or 0.0) > MOST_FROM and active > MOST_FROM * interval_ms > 0
    if not most and unknown_stages(stages, epochs):
        return ()
    least = EQUAL_FROM * (top.share or 0.0)
    return (top, *(group for group in found[1:] if (group.share or 0.0) >= least > 0))


def busiest_groups(stages: list[Stage] | None) -> Groups:
    """The stages with most of the work that is known."""
    return tuple(_largest(stages or [], _cost)[:1])


def top_cpu_groups(stages: list[Stage] | None) -> Groups:
    """The stages that take the most CPU time, and those that take about as much; none where TensorFlow added them."""

    def cost(stage: Stage) -> float | None:
        return stage.cpu_ms_per_batch

    found = _largest(stages or [], cost)
    return tuple(group for group in found if group.total(cost) >= EQUAL_FROM * found[0].total(cost) > 0)


def label_groups(groups: Groups) -> str:
    """Name the groups in a sentence."""
    return listed([group.label for group in groups])


def share_of_work(groups: Groups) -> str:
    """State the groups' share of the work, as the table of stages has it."""
    together = "together " if len(groups) == 1 and len(groups[0].members) > 1 else ""
    return f"{together}{listed([percent(group.share or 0.0) for group in groups])} of the pipeline's work"


def _largest(stages: list[Stage], cost: Callable[[Stage], float | None]) -> list[StageGroup]:
    """The groups with any cost, largest first; none where a stage that TensorFlow added has more."""
    known = [stage for stage in stages if cost(stage)]
    added = max((cost(stage) or 0.0 for stage in known if stage.origin != "written"), default=0.0)
    made = _made_inside(known, cost)
    inside = {stage.id for group in made.values() for stage in group}
    alike: dict[tuple[object, ...], list[Stage]] = {}
    for stage in known:
        if stage.origin == "written" and stage.id not in inside:
            alike.setdefault(_kind(stage), []).append(stage)
    for stage in stages:
        # Those that were not at work are of the same line.
        if stage.origin == "written" and not cost(stage) and _kind(stage) in alike:
            alike[_kind(stage)].append(stage)
    found = []
    for group in alike.values():
        inner = {stage.id: sum(cost(one) or 0.0 for one in made.get(stage.id, ())) for stage in group}
        ordered = sorted(group, key=lambda stage: -(cost(stage) or 0.0) - inner[stage.id])
        found.append(StageGroup(tuple(ordered), tuple(one for stage in ordered for one in made.get(stage.id, ()))))
    found.sort(key=lambda group: -group.total(cost))
    return found if found and found[0].total(cost) >= added else []


def _kind(stage: Stage) -> tuple[object, ...]:
    """Key of stages that one line of the program makes with one function, as for each of several inputs.

    Each may then have little of the work, and all together the most. Names may end in the number of the input.
    """
    place = stage.library or stage.location
    if stage.location is not None and call_around(stage.op, stage.location) and stage.library is None:
        return (stage.location.call, stage.location.file, stage.location.line, stage.location.column)
    column = None if stage.library is not None else stage.location and stage.location.column
    if place is None or not (stage.name or column):
        return (stage.id,)
    return (stage.op, _NUMBER.sub("", stage.name or ""), place.file, place.line, column)


def are_twins(stages: Sequence[Stage]) -> bool:
    """Whether one line of the program makes all of the stages with one function; one alone is."""
    return all(stage.origin == "written" for stage in stages) and len(set(map(_kind, stages))) == 1


def as_one(stages: Sequence[Stage]) -> Stage:
    """Return the first of several stages with the costs of all of them; None where all lack one.

    A trace shows what is inside of those that ran meanwhile: the others are taken to do the same.
    """
    same = len({stage.parallelism for stage in stages}) == 1
    seen = _total(stage.active_ms for stage in stages if stage.ops or stage.python)
    more = max(1.0, (_total(stage.active_ms for stage in stages) or 0.0) / seen) if seen else 1.0
    update: dict[str, object] = {
        **{name: _total(getattr(stage, name) for stage in stages) for name in _SUMMED},
        "ops": _together((cost for stage in stages for cost in stage.ops or ()), lambda cost: cost.op, more),
        "python": _together(
            (cost for stage in stages for cost in stage.python or ()),
            lambda cost: (cost.function, cost.file, cost.parent),
            more,
        ),
        "parallelism": stages[0].parallelism if same else None,
        "timed_by": next((stage.timed_by for stage in stages if stage.timed_by is not None), None),
    }
    return stages[0].model_copy(update=update)


def _total(values: Iterable[float | None]) -> float | None:
    known = [number for number in values if number is not None]
    return sum(known) if known else None


def _together(costs: Iterable[_Cost], key: Callable[[_Cost], Hashable], more: float) -> list[_Cost] | None:
    """Costs of one kind, those of one op or function as one: the largest of them with so many times the time of all."""
    found: dict[Hashable, list[_Cost]] = defaultdict(list)
    for cost in costs:
        found[key(cost)].append(cost)
    return [
        max(alike, key=lambda cost: cost.ms_per_batch).model_copy(
            # A share is one of what was sampled, and has no more of that for stages that were not.
            update={
                name: factor * sum(getattr(cost, name) for cost in alike)
                for name, factor in (("ms_per_batch", more), ("share", 1.0))
                if hasattr(alike[0], name)
            }
        )
        for alike in found.values()
    ] or None


def _made_inside(stages: list[Stage], cost: Callable[[Stage], float | None]) -> dict[str, list[Stage]]:
    """By stage whose function makes datasets, those stages inside it that call no function themselves.

    Opening the datasets has to be a good part of their cost: of a file that is read for long, its reader is named.
    """
    by_id = {stage.id: stage for stage in stages}
    found: dict[str, list[Stage]] = {}
    for stage in stages:
        owner = _owner_of(stage, by_id)
        if owner is not None and traits(stage.op).function is None:
            found.setdefault(owner.id, []).append(stage)
    return {
        id_: inside
        for id_, inside in found.items()
        if (cost(by_id[id_]) or 0.0) >= OPENS_FROM * sum(cost(stage) or 0.0 for stage in (by_id[id_], *inside))
    }


def _owner_of(stage: Stage, by_id: Mapping[str, Stage]) -> Stage | None:
    owner = next((by_id[address] for address in stages_around(stage.id) if address in by_id), None)
    return owner if owner is not None and owner.origin == "written" and traits(owner.op).nests else None


def unknown_stages(stages: list[Stage] | None, epochs: int = 0) -> list[Stage]:
    """Return the stages of unknown cost that may cost much, while the costs of others are known."""
    stages = stages or []
    if not any(_cost(stage) for stage in stages if stage.origin == "written"):
        return []
    idle = _served_from_caches(stages) if epochs > 1 else frozenset()
    unread = [stage for stage in stages if _cost(stage) is None and not _is_gone(stage) and stage.id not in idle]
    # A function of it computes elements, or makes the datasets that they come from.
    return [stage for stage in unread if traits(stage.op).computes or traits(stage.op).opens]


def _cost(stage: Stage) -> float | None:
    """Time by TensorFlow's model, else by the trace of the ops of its function."""
    if stage.active_ms is not None:
        return stage.active_ms
    if stage.ops:
        return sum(op.ms_per_batch for op in stage.ops)
    return stage.share


def unread_note(stages: list[Stage] | None, epochs: int, notes: Iterable[Message] = ()) -> Message | None:
    """Warn of costs that the table lacks beyond `notes`, in a dataset that was started again `epochs` times."""
    written = [stage for stage in stages or [] if stage.origin == "written"]
    restarted = epochs > 0 or any(stage.op == "repeat" for stage in written)
    if not restarted or all(stage.inside_ms is None for stage in written):
        return None
    named = {id_ for note in notes if note.code == _UNSEEN for id_ in note.stages} | _served_from_caches(written)
    unread = [
        stage
        for stage in written
        if stage.inside_ms is None and stage.tf_op is not None and not _is_gone(stage) and stage.id not in named
    ]
    if not unread:
        return None
    traced = [(stage_label(stage), sum(op.ms_per_batch for op in stage.ops)) for stage in unread if stage.ops]
    ops = "".join(f" By the trace, the ops of {label} take {milliseconds(ms)} per batch." for label, ms in traced)
    them = "it" if len(unread) == 1 else "them"
    text = f"{caveat_text('unseen', unread)} The shares of the other stages leave {them} out.{ops}"
    return Message(code=_UNSEEN, message=text, stages=[stage.id for stage in unread])


def _is_gone(stage: Stage) -> bool:
    return stage.fused_with is not None or stage.remote or (stage.executed or "").startswith("removed")


def _served_from_caches(stages: list[Stage]) -> frozenset[str]:
    """Stages before a cache, which no longer run once an epoch has filled it."""
    found: set[str] = set()
    for line in lines_of(stages).values():
        ops = [stage.op for stage in line]
        # A cache that is never read to its end is never full.
        cut = max((place for place, op in enumerate(ops) if op == "take"), default=0)
        last = max((place for place, op in enumerate(ops) if op == "cache" and place > cut), default=0)
        found |= {stage.id for stage in line[:last]}
    return frozenset(stage.id for stage in stages if not found.isdisjoint([stage.id, *stages_around(stage.id)]))


LOST_FROM = 0.10
"""Share of the pipeline's work from which it matters that its results are dropped."""


@dataclass(frozen=True)
class Dropped:
    """Work before a stage that drops elements.

    Attributes:
        stage: The costliest stage before it.
        each: Elements that go in for one that comes out; where branches differ, in the first of them.
        share: Part of the pipeline's work whose results are dropped there, and at other stages of its line of code.
    """

    stage: Stage
    by: Stage
    each: float
    share: float


def find_dropped(stages: Sequence[Stage]) -> Dropped | None:
    """Find the work whose results are dropped most; `None` where it is little."""
    lines = lines_of(stages)
    found: dict[object, Dropped] = {}
    for dropper, each, fed_by in _droppers(stages, lines):
        before = _up_to(stages, lines, fed_by)
        share = (1 - 1 / each) * sum(stage.share or 0.0 for stage in before)
        if share > 0:
            key = (dropper.op, str(dropper.location)) if dropper.location is not None else dropper.id
            costliest = max(before, key=lambda stage: stage.share or 0.0)
            same = found.get(key, Dropped(costliest, dropper, each, 0.0))
            found[key] = replace(same, share=min(1.0, same.share + share))
    most = max(found.values(), key=lambda one: one.share, default=None)
    return most if most is not None and most.share >= LOST_FROM else None


def _droppers(stages: Sequence[Stage], lines: dict[str, list[Stage]]) -> Iterator[tuple[Stage, float, Sequence[Stage]]]:
    """Yield stages that drop elements, how many go in for one that comes out, and the stages that feed them."""
    calls = [call for call in _dropping_calls(lines) if (call[-1].inputs_each or 0.0) > 1]
    members = {stage.id for call in calls for stage in call}
    for call in calls:
        dropper = next(stage for stage in call if traits(stage.op).drops)
        yield dropper, call[-1].inputs_each or 1.0, _fed_by(lines, call)
    for stage in stages:
        if stage.id not in members and traits(stage.op).drops and (stage.inputs_each or 0.0) > 1:
            line = lines.get(pipeline_of(stage.id), [])
            yield stage, stage.inputs_each or 1.0, line[: line.index(stage)][-1:] if stage in line else []


def _up_to(stages: Sequence[Stage], lines: dict[str, list[Stage]], ends: Sequence[Stage]) -> list[Stage]:
    before: set[str] = set()
    for end in ends:
        line = lines.get(pipeline_of(end.id), [])
        before.update(stage.id for stage in line[: line.index(end) + 1])
    return [
        stage
        for stage in stages
        if stage.origin == "written" and not before.isdisjoint([stage.id, *stages_around(stage.id)])
    ]


def _dropping_calls(lines: dict[str, list[Stage]]) -> list[list[Stage]]:
    """Return the stages of each call that drops elements and makes no batches of them, its last one at the end."""
    found: dict[str, list[Stage]] = defaultdict(list)
    for stage in (stage for line in lines.values() for stage in line):
        if stage.library is None and call_around(stage.op, stage.location) is not None:
            found[str(stage.location)].append(stage)
    calls = [call for group in found.values() for call in _connected(lines, group)]
    return [sorted(call, key=lambda stage: -stage.depth) for call in calls if _drops(call)]


def _drops(call: Sequence[Stage]) -> bool:
    rows = [traits(stage.op) for stage in call]
    return any(row.drops for row in rows) and not any(row.stacks or row.unbatches or row.opens for row in rows)


def _connected(lines: dict[str, list[Stage]], group: Sequence[Stage]) -> list[list[Stage]]:
    """Divide the stages of one place into its calls: in each, stages read each other's elements."""
    reads = {stage.id: {one.id for one in _read(lines, stage)} for stage in group}
    calls: list[set[str]] = []
    for stage in group:
        near = [call for call in calls if call & reads[stage.id] or any(stage.id in reads[one] for one in call)]
        calls = [call for call in calls if call not in near]
        calls.append({stage.id}.union(*near))
    return [[stage for stage in group if stage.id in call] for call in calls]


def _read(lines: dict[str, list[Stage]], stage: Stage) -> list[Stage]:
    """Return the stages whose elements a stage takes: the one before it, and the last of each further input."""
    line = lines[pipeline_of(stage.id)]
    sides = [side[-1] for pipeline, side in lines.items() if reader_of(pipeline) == stage.id]
    return [*line[: line.index(stage)][-1:], *sides]


def _fed_by(lines: dict[str, list[Stage]], call: Sequence[Stage]) -> list[Stage]:
    members = {stage.id for stage in call}
    return [one for stage in call for one in _read(lines, stage) if one.id not in members]


def count_inputs(stages: Iterable[Stage]) -> None:
    """Write into the last stage of each such call how many elements go into the call for one that comes out.

    A dataset that the call reads several times makes its elements as often.
    """
    lines = lines_of(stages)
    for call in _dropping_calls(lines):
        taken: dict[str, int] = defaultdict(int)
        for stage in _fed_by(lines, call):
            taken[stage.same_as or stage.id] += stage.elements or 0
        if call[-1].elements and any(taken.values()):
            call[-1].inputs_each = max(taken.values()) / call[-1].elements
            call[-1].inputs_each_by = "counters"
