"""``padding-waste``: batches that are mostly padding."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from pipeprof.pipelines.changes.edits import HandWritten, NewStage, PipelineEdit, ReplaceStages
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView
from pipeprof.profiles.wording import count, percent, ratio_text, size

_PARTS_OF_MEAN = (0.5, 1.0, 2.0, 4.0)
"""Where the buckets end: lengths often have a long tail."""


class PaddingWaste(Rule):
    """Elements of different lengths, padded to the longest one of their batch.

    Seen:
        A padded_batch gives batches that are much larger than the elements that it was given.

    Why:
        The step computes padding like data. With lognormal lengths up to 1,000, batches of 64 were 79 % padding, and 30
        % in buckets of similar length. The pipeline itself does not become faster by that: what it gains is in the
        step, up to 1 / (1 - the padding).

    Fix:
        Group by length: bucket_by_sequence_length with a few boundaries, or ragged_batch where the model takes ragged
        tensors. The elements of a batch then have similar lengths, which is another order of training.

    Ignore when:
        The step takes the same time for any batch, or the order of the elements matters.
    """

    name = "padding-waste"
    title = "Put elements of similar length into a batch"
    family = "speed"
    semantics = "randomness"
    pays_in_step = True
    thresholds = (Threshold("padding", 0.3, "of a batch", "what buckets leave: below it there is little to win"),)

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """From the bytes that go into the padded batch and those that come out of it."""
        for stage in view.stages:
            below, rows = view.input_of(stage), stage.arguments.get("batch_size")
            if stage.op != "padded_batch" or below is None or not isinstance(rows, int) or rows < 2:
                continue
            given, made = _measured_bytes(below), _measured_bytes(stage)
            if given is None or made is None or not _varies(below) or _is_used(view, stage):
                continue
            padding = 1 - rows * given / made
            if not self.threshold("padding") <= padding < 1:
                continue
            boundaries = _boundaries(below, given)
            edits = _buckets(below, stage, rows, boundaries) or (_by_hand(below, stage, rows, boundaries),)
            yield Proposal(
                stage=stage.id,
                sentence=(
                    f"{stage.label} makes batches of {size(made)} from {count(rows)} elements of {size(given)} on "
                    f"average: {percent(padding)} of a batch is padding."
                ),
                recommendation="Batch elements of similar length: bucket_by_sequence_length.",
                evidence={"padding_share": padding, "element_bytes": given, "batch_bytes": made, "batch_size": rows},
                edits=edits,
                predicted=Prediction(
                    f"at most {ratio_text(1 / (1 - padding))} in a step whose time grows with the batch; the "
                    "pipeline itself stays as it is"
                ),
            )


def _is_used(view: PipelineView, stage: StageView) -> bool:
    """Whether a later stage computes with its batches: the padding may never come to the step."""
    return any(traits(one.op).function is not None for one in view.stages[view.stages.index(stage) + 1 :])


def _measured_bytes(stage: StageView) -> float | None:
    """Bytes of an element as the run has seen them: its shape does not say how long it is."""
    measured = stage.measured
    if measured is None or measured.fused_with is not None or not measured.bytes_per_element:
        return None
    return measured.bytes_per_element


def _varies(stage: StageView) -> bool:
    """Whether elements differ in length, and none of their parts is text, whose bytes are counted in another way."""
    parts = stage.element or ()
    shapes = [part.shape for part in parts]
    if any(part.dtype in ("string", "variant") for part in parts) or any(shape is None for shape in shapes):
        return False
    return any(None in shape for shape in shapes if shape is not None)


def _lengths(below: StageView) -> list[tuple[int, ComponentView]]:
    """The parts of an element whose length differs, with their places."""
    return [(place, part) for place, part in enumerate(below.element or ()) if None in (part.shape or ())]


def _boundaries(below: StageView, given: float) -> list[int]:
    """Where buckets may end, around the mean length: all parts of different length count as equally long."""
    fixed = sum(part.nbytes or 0 for part in below.element or ())
    parts = [part for _, part in _lengths(below)]
    steps = [replace(part, shape=tuple(one for one in part.shape or () if one is not None)) for part in parts]
    mean = max(2.0, (given - fixed) / max(1, sum(step.nbytes or 0 for step in steps)))
    return sorted({math.ceil(mean * part) for part in _PARTS_OF_MEAN})


def _buckets(below: StageView, stage: StageView, rows: int, boundaries: list[int]) -> tuple[PipelineEdit, ...]:
    """Buckets around the mean length; none where the length is not that of a single vector."""
    parts = below.element or ()
    if len(parts) != 1 or parts[0].shape != (None,) or replace(parts[0], shape=()).nbytes is None:
        return ()
    kept = {name: stage.arguments[name] for name in ("drop_remainder",) if name in stage.arguments}
    arguments = {
        "element_length_func": {"ops": ["tf.size"]},
        "bucket_boundaries": boundaries,
        "bucket_batch_sizes": [rows] * (len(boundaries) + 1),
        **kept,
    }
    new = NewStage("bucket_by_sequence_length", arguments)
    return (ReplaceStages((stage.id,), (new,), "replace {stage} with buckets of similar length"),)


def _by_hand(below: StageView, stage: StageView, rows: int, boundaries: list[int]) -> HandWritten:
    """The same as code, by the length of the first part whose length differs."""
    place, part = _lengths(below)[0]
    axis = (part.shape or ()).index(None)
    taken, of = _accessor(below, place)
    same = "".join(f", {name}={stage.arguments[name]!r}" for name in ("drop_remainder",) if stage.arguments.get(name))
    more = "  # padded_shapes and padding_values as before" if "padded_shapes" in stage.arguments else ""
    python = (
        f"dataset = dataset.bucket_by_sequence_length(  # in place of {stage.label}\n"
        f"    lambda {taken}: tf.shape({of})[{axis}],\n"
        f"    bucket_boundaries={boundaries},\n"
        f"    bucket_batch_sizes={[rows] * (len(boundaries) + 1)}{same},{more}\n"
        ")"
    )
    return HandWritten((stage.id,), "", python, f"replace {{stage}} with buckets of similar length of {of}")


def _accessor(below: StageView, place: int) -> tuple[str, str]:
    """The arguments of a function of an element, and one of its parts in them."""
    parts = below.element or ()
    key = below.keys[place] if below.keys and place < len(below.keys) else str(place) if len(parts) > 1 else ""
    names = [name for name in key.split(".") if name]
    items = "".join(f"[{name}]" if name.isdigit() else f"[{name!r}]" for name in names)
    several = bool(names) and names[0].isdigit()
    return ("*element" if several else "element"), f"element{items}"
