"""A cast to a wider type behind the batch, so that buffers hold narrow numbers: pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.pipelines.edits.edits import SplitMap
from pipeprof.pipelines.ops.constants import WIDTHS
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.view.view import ComponentView
from pipeprof.profiles.wording import listed, percent, size, stage_name

CAST_FROM = 1e6
"""Bytes of a batch that are saved from which it is tried: 1 MB is copied in 0.1 to 0.3 ms."""


def cast_last(line: Sequence[Stage]) -> Iterator[Proposal]:
    """Return, for each map whose function ends with a cast to a wider type, that cast behind the batch after it."""
    for place, stage in enumerate(line):
        batch = _batch(line, place)
        carried = batch.bytes_out_per_batch if batch is not None else None
        if batch is None or stage.widens is None or runs_python(stage) or not carried:
            continue
        before, after = stage.widens
        saved = _part(stage) * (1 - WIDTHS.get(before, 1) / WIDTHS.get(after, 1))
        if saved * carried < CAST_FROM:
            continue
        between = line[place + 1 : line.index(batch) + 1]
        name, names = stage_name(stage), listed([stage_name(one) for one in between])
        yield Proposal(
            f"Cast {name}'s output after {stage_name(batch)}",
            f"{name} gives {before}, and a map after {stage_name(batch)} makes it {after}: {names} carry "
            f"{percent(1 - saved)} of the bytes, now {size(carried)} per batch",
            (SplitMap(stage.id, (), batch.id),),
            stage=stage.id,
            predicted=_expected(batch, saved),
            python=(
                f"# {name} returns {before}: without the cast to {after} at its end, and what follows it\n"
                f"dataset = dataset.map({name}, num_parallel_calls=tf.data.AUTOTUNE)"
                f"{''.join(f'.{one.op}(…)' for one in between)}\n"
                f"dataset = dataset.map(cast, num_parallel_calls=tf.data.AUTOTUNE)  # what {name} did with {before}"
            ),
        )


def _part(stage: Stage) -> float:
    """The part of an element's bytes that the numbers made wider take; 0 where it is not known."""
    made = [
        ComponentView(one.dtype, None if one.shape is None else tuple(one.shape)) for one in stage.element_spec or ()
    ]
    if len(made) == 1:
        return 1.0
    sizes = [one.nbytes for one in made if one.nbytes is not None]
    at, whole = stage.widens_at, sum(sizes)
    return sizes[at] / whole if at is not None and at < len(sizes) == len(made) and whole else 0.0


def _expected(batch: Stage, saved: float) -> Prediction | None:
    """What a batch gains that copies less; None where its work was not measured."""
    if not batch.share:
        return None
    words = f"{stage_name(batch)} is {percent(batch.share)} of the work, and copies {percent(saved)} less"
    return Prediction(words, 1 / (1 - saved * batch.share))


def _batch(line: Sequence[Stage], place: int) -> Stage | None:
    """The batch after a map, with nothing between them but what goes by the position of elements."""
    if line[place].op != "map":
        return None
    after = next((one for one in line[place + 1 :] if not traits(one.op).by_position or traits(one.op).stacks), None)
    row = traits(after.op) if after is not None else None
    return after if row is not None and row.stacks and row.same_components and row.keeps_shapes else None
