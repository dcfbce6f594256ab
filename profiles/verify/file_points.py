"""Where the elements of a pipeline can be kept in files, and where that saves most: pure functions.

What is before the point is done once, in the conversion; the pipeline then reads files. Nothing before it may give
other elements, or another order, in another epoch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.lines import inside, main_line
from pipeprof.profiles.verify.stages import pays, runs_python
from pipeprof.profiles.wording import percent, stage_label, stage_name

LEAST_SAVED = 0.1
"""Share of the pipeline's work that files have to save."""
READ_MB_PER_SECOND = 1_100.0
"""That `tf.data.Dataset.load` gives of pictures of 150 KB from the page cache, on one thread. TensorFlow 2.21."""
READ_US_PER_ELEMENT = 10.0
"""That an element takes in addition: 98,000 per second of 784 bytes and a label. TensorFlow 2.21."""
LARGE_ARRAY_BYTES = 50_000_000
"""From which an array in memory is kept in a file."""
_MADE_BEFORE = (
    "the array is made by your function before the dataset exists, and memory peaks there: files would not lower the "
    "peak; read its rows from a memory map in your code (pipeprof explain from-tensor-slices-big-array)"
)
"""Measured with 294 MB of float32: the peak is 1.41 GiB with slices and with rows of files. TensorFlow 2.21."""
_VARIANT = "variant"
_ENDLESS = -1


@dataclass(frozen=True)
class Point:
    """A stage whose elements are kept in files.

    Attributes:
        stages: Addresses of what the files replace, the source first, this stage last.
        count_at: Address of the first stage that gives as many elements; None where that is the stage itself.
        for_memory: The source holds a large array, and nothing after it is worth keeping: memory is what is saved.
        saved: Share of the pipeline's work that is done once and not again.
        python: Names of the stages up to it that run Python.
    """

    stages: tuple[str, ...]
    name: str
    count_at: str | None = None
    for_memory: bool = False
    saved: float = 0.0
    python: tuple[str, ...] = ()


def choose_point(profile: Profile) -> Point | str:
    """Return where files save most; else why there is no such place, in one sentence that names the stage."""
    line = main_line(profile)
    if not line:
        return "the stages of the pipeline are not known"
    reached, obstacle = _reach(profile, line)
    places = [place for place in range(reached) if not _has_variants(line[place])]
    if not places:
        stage = stage_label(line[reached - 1])
        return obstacle or f"{stage} produces ragged or sparse tensors, which are not kept in files"
    work = [_work(profile, stage) for stage in line]
    total = sum(work)
    # What reading would cost is not known of a stage whose bytes are not.
    known = [place for place in places if _bytes(profile, line[place])] or places
    best = max(known, key=lambda place: (round(_saved(profile, line, work, place), 3), -_bytes(profile, line[place])))
    saved = _saved(profile, line, work, best) / total if total else 0.0
    faster = pays(profile)
    if faster and saved >= LEAST_SAVED:
        return _point(line, best, saved=saved)
    if 0 in places and array_bytes(line[0]) >= LARGE_ARRAY_BYTES:
        return _point(line, 0, for_memory=True) if profile.target.kind == "spec" else _MADE_BEFORE
    if not faster:
        return "the step is the limit, not the pipeline: reading files would not make it faster"
    until = f"the stages up to {stage_name(line[reached - 1])} do" if reached < len(line) else "all stages together do"
    done = sum(work[:reached]) / total if total else 0.0
    why = f"; {obstacle}" if obstacle is not None else ""
    return f"{until} {percent(done)} of the work, and reading files would save less than {percent(LEAST_SAVED)}{why}"


def array_bytes(source: Stage) -> int:
    """Bytes of the arrays that a source holds in memory; 0 for other sources, and where they are not known."""
    if not traits(source.op).in_memory or not source.bytes_per_element or (source.cardinality or 0) <= 0:
        return 0
    return round(source.bytes_per_element * (source.cardinality or 0))


def _reach(profile: Profile, line: Sequence[Stage]) -> tuple[int, str | None]:
    """Return how many stages give the same elements in every epoch, and what the next one does otherwise."""
    for place, stage in enumerate(line):
        reason = next(_obstacles(profile, stage), None)
        if reason is not None:
            return place, reason
    return len(line), None


def _obstacles(profile: Profile, stage: Stage) -> Iterator[str]:
    """Why what a stage gives cannot be kept, in sentences."""
    name, row = stage_label(stage), traits(stage.op)
    if stage.cardinality == _ENDLESS:
        yield f"{name} produces elements without end"
    if stage.tf_op is not None and traits(executed(stage.tf_op).op).shuffles and not row.shuffles:
        yield (
            f"{name} shuffles its files anew in each epoch: with shuffle=False, and a shuffle after the costly stages, "
            "what these give can be kept"
        )
    if row.repeats:
        yield f"{name} repeats its elements"
    if row.stores:
        yield f"{name} already keeps its elements"
    if row.windows:
        yield f"{name} produces datasets, which are not kept in files"
    for other in (stage, *inside(profile, stage)):
        place = "" if other is stage else f" in {name}"
        if other.random:
            yield f"{stage_label(other)}{place} draws random numbers: its elements differ from epoch to epoch"
        # A generator may give another order, or may not: two epochs of it are compared.
        if traits(other.op).reorders and not (traits(other.op).wrapped and traits(other.op).computes):
            yield f"{stage_label(other)}{place} produces a different order in each epoch"


def _has_variants(stage: Stage) -> bool:
    return any(component.dtype == _VARIANT for component in stage.element_spec or ())


def _work(profile: Profile, stage: Stage) -> float:
    """Milliseconds per batch of a stage and of those inside it."""
    return sum(other.active_ms or 0.0 for other in (stage, *inside(profile, stage)))


def _saved(profile: Profile, line: Sequence[Stage], work: Sequence[float], place: int) -> float:
    """Milliseconds per batch that files after a stage save."""
    steps = profile.steps.count if profile.steps is not None else 0
    elements = (line[place].elements or 0) / steps if steps else 0.0
    reading = _bytes(profile, line[place]) / (1e3 * READ_MB_PER_SECOND) + 1e-3 * READ_US_PER_ELEMENT * elements
    return sum(work[: place + 1]) - reading


def _bytes(profile: Profile, stage: Stage) -> float:
    """Bytes per batch that a stage gives; 0 where that is not known."""
    if stage.bytes_out_per_batch is not None:
        return stage.bytes_out_per_batch
    steps = profile.steps.count if profile.steps is not None else 0
    if not steps or not stage.bytes_per_element or not stage.elements:
        return 0.0
    return stage.bytes_per_element * stage.elements / steps


def _point(line: Sequence[Stage], place: int, *, for_memory: bool = False, saved: float = 0.0) -> Point:
    first = place
    while first and _keeps_count(line[first]):
        first -= 1
    return Point(
        tuple(stage.id for stage in line[: place + 1]),
        stage_name(line[place]),
        line[first].id if first < place else None,
        for_memory,
        saved,
        tuple(dict.fromkeys(stage_name(stage) for stage in line[: place + 1] if runs_python(stage))),
    )


def _keeps_count(stage: Stage) -> bool:
    row = traits(stage.op)
    return row.one_to_one and not row.combines
