"""``groups-never-full``: elements that wait in groups, buckets or windows which are seldom or never full."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import HandWritten, SetArgument
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import per_batch
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.rules.dropped.group_after_expensive_map import dropping
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import percent, place_of, size

_GROUPS = "group_by_window"
_BUCKETS = "bucket_by_sequence_length"


class GroupsNeverFull(Rule):
    """Groups of elements that hold more than they give.

    Seen:
        group_by_window or bucket_by_sequence_length has taken many more elements than it has given: the rest waits in
        groups that are not full. Or a window that drops what is left over is larger than the data.

    Why:
        Each key has a group of its own, which gives nothing before it has window_size elements: with 100 keys and 256
        elements each, 25,600 elements are made and held before the rare ones give a batch, and many of an epoch come
        at its end, in groups that are not full. The memory is that of the elements, and the first batch is late.

    Fix:
        Fewer keys (wider buckets, a key that is rounded), or smaller groups for rare keys (window_size_func,
        bucket_batch_sizes). Group what is small, names or ids, and make the rest after the batch. For windows, a size
        below the number of elements.

    Ignore when:
        The elements that wait are few bytes, and the order of the epoch does not matter.
    """

    name = "groups-never-full"
    title = "Make groups that fill"
    family = "memory"
    semantics = "values"
    thresholds = (
        Threshold("held-share", 0.5, "of the elements taken", "that have not come out when the window ends"),
        Threshold("held-batches", 4, "batches", "that wait at least: fewer are what any group holds"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Find windows that are larger than the data."""
        for stage in view.stages:
            below, wanted = view.input_of(stage), stage.arguments.get("size")
            given = below.elements if below is not None else None
            if not traits(stage.op).windows or not isinstance(wanted, int) or not given or given < 0:
                continue
            stride = stage.arguments.get("stride", 1)
            span = (wanted - 1) * stride + 1 if isinstance(stride, int) else wanted
            if stage.arguments.get("drop_remainder") and span > given:
                yield Proposal(
                    stage=stage.id,
                    title="The window is larger than the data",
                    sentence=f"{stage.label} needs {span:,} elements, and {given:,} come: it never gives one.",
                    recommendation=f"Give it a size of at most {given:,}, or leave out drop_remainder.",
                    evidence={"window_elements": span, "elements": given},
                    edits=(SetArgument(stage.id, stage.op, "drop_remainder", value=False),),
                )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the elements that went in and came out."""
        yield from self.check(view)
        steps = view.profile.steps.count if view.profile is not None and view.profile.steps is not None else 0
        for stage in view.stages:
            below = view.input_of(stage)
            # What a group drops does not wait in it.
            if not _groups(stage) or below is None or dropping(view, stage) is not None:
                continue
            rows, taken, given = _rows(below, stage), per_batch(view, below), per_batch(view, stage)
            if rows is None or not taken or given is None:
                continue
            given *= rows
            held, waiting = max(0.0, 1 - given / taken), (taken - given) * steps
            if held < self.threshold("held-share") or waiting < self.threshold("held-batches") * rows:
                continue
            nbytes = below.element_bytes
            held_bytes = f", {size(waiting * nbytes)}" if nbytes else ""
            yield Proposal(
                stage=stage.id,
                sentence=(
                    f"{stage.label} took {taken * steps:,.0f} elements and gave {given * steps:,.0f} of them: "
                    f"{percent(held)} wait in groups that are not full, {waiting:,.0f} elements{held_bytes}."
                ),
                recommendation=(
                    f"Use fewer keys in {stage.op}, or smaller groups for rare ones ({_sizes(stage)}); before it, make "
                    "only what the key needs, and the rest after the batch."
                ),
                evidence={"taken_per_batch": taken, "given_per_batch": given, "held_share": held},
                edits=(_by_hand(stage),),
            )


def _groups(stage: StageView) -> bool:
    return stage.op in {_GROUPS, _BUCKETS}


def _by_hand(stage: StageView) -> HandWritten:
    place = place_of(stage.location)
    code = f".{stage.op}(…, {_sizes(stage)}=…)  # fewer keys, smaller groups for rare ones"
    return HandWritten((stage.id,), "", f"{code}, {place}" if place else code, "fewer keys, or smaller groups")


def _sizes(stage: StageView) -> str:
    call = stage.location.call if stage.location is not None else None
    return "bucket_batch_sizes" if _BUCKETS in {stage.op, call} else "window_size_func"


def _rows(below: StageView, stage: StageView) -> float | None:
    """Elements in one that comes out; at least, where their bytes say it: padding adds to those."""
    shapes = [one.shape for one in stage.element or () if one.shape]
    rows = next((shape[0] for shape in shapes if shape[0]), None)
    given, each = stage.element_bytes, below.element_bytes
    return float(rows) if rows else given / each if given and each else None
