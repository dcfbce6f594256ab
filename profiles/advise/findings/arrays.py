"""Arrays in memory: sources that copy them, and constants that a graph carries."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.advise.check import finding
from pipeprof.profiles.advise.facts.byte_gate import Weight, weigh
from pipeprof.profiles.advise.proposal import Prediction, Proposal
from pipeprof.profiles.constants import ARRAY_COPIES, CAPTURED_CONSTANT_COPIES, SOURCE_CONSTANT_COPIES
from pipeprof.profiles.memory.predict import memory_prediction
from pipeprof.profiles.view.view import ConstantView, PipelineView, StageView
from pipeprof.profiles.wording import listed, place_of, size

CONSTANT_BYTES: Final = 5_000_000
"""Of a constant: at the peak it is 19 times that, about the 100 MB from which memory counts, and 0.5 s per iterator."""
TENSOR_COPIES: Final = 3
"""Peak with 10 to 41 MB as a captured tensor, array counted."""
GRAPH_LIMIT: Final = 2**31
_MOST_NAMED: Final = 3


@finding("big-array", "memory", "same")
def big_array(view: PipelineView) -> Iterator[Proposal]:
    """A large array in memory as the source, of which TensorFlow makes copies."""
    for stage in view.stages:
        nbytes = stage.source_bytes
        weight = weigh(nbytes, view) if traits(stage.op).slices and nbytes and not stage.constant else None
        if weight is None or nbytes is None or not weight.matters:
            continue
        peak = min(ARRAY_COPIES * nbytes, _measured_most(weight), _own_part(view, stage, weight))
        compared = weigh(peak, view).words()
        wide = _float64_bytes(stage, nbytes)
        half = f" As float32, its {size(wide)} of float64 would be half as large, with rounded values." if wide else ""
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} slices {size(nbytes)} of arrays, and TensorFlow copies them: {size(peak)} at the peak"
                f"{f', {compared}' if compared else ''}."
            ),
            recommendation=(
                "Keep the rows in a file and read whole batches of them from a memory map: indices through the stages "
                f"up to the batch, and a map after it.{half}"
            ),
            evidence={"source_bytes": nbytes, "peak_bytes": round(peak), **weight.evidence()},
            predicted=Prediction(
                f"{size(nbytes)} of a mapped file instead of {size(peak)}",
                peak_rss_delta_bytes=-max(0, round(peak - nbytes)),
            ),
        )


def _measured_most(weight: Weight) -> float:
    """What a run took at the peak: where a program frees its array once the dataset is built, less than the copies."""
    return math.inf if weight.predicted or weight.peak_bytes is None else weight.peak_bytes


def _own_part(view: PipelineView, source: StageView, weight: Weight) -> float:
    """The source's part of the peak by the ledger, as far as the peak falls with it: what other stages hold stays."""
    memory = view.profile.memory if view.profile is not None else None
    ledger = (memory.ledger if memory is not None else None) or ()
    own = sum(entry.bytes for entry in ledger if entry.owner == "source" and entry.stage == source.id)
    if not own or weight.predicted or weight.peak_bytes is None:
        return math.inf
    others = sum(prediction.bytes for prediction in memory_prediction(view).held if prediction.owner != "source")
    return max(0.0, min(own, weight.peak_bytes - others))


def _float64_bytes(stage: StageView, nbytes: int) -> int:
    """Bytes of the arrays that are float64; 0 where a width is not known."""
    known = [(component.dtype, component.nbytes or 0) for component in stage.element or ()]
    total = sum(width for _, width in known)
    if not total or any(not width for _, width in known):
        return 0
    return round(nbytes * sum(width for dtype, width in known if dtype == "float64") / total)


@finding("graph-constant", "memory", "same")
def graph_constant(view: PipelineView) -> Iterator[Proposal]:
    """An array that became a constant of a graph, which is copied and rewritten as a whole for every iterator."""
    inside: dict[str, int] = {}
    for stage in view.stages:
        nbytes = stage.source_bytes or 0
        if traits(stage.op).in_memory and stage.constant and nbytes > CONSTANT_BYTES:
            # Inside the function of a stage it is copied like a captured constant.
            copies = SOURCE_CONSTANT_COPIES if stage.owner is None else CAPTURED_CONSTANT_COPIES
            what = f"{stage.label} was built inside a function: its {size(nbytes)}"
            text = f"Build the dataset outside of the function: there it takes {ARRAY_COPIES:g} times the array."
            yield _constant(view, nbytes, (copies, ARRAY_COPIES), what, text, stage=stage)
            if stage.owner is not None:
                inside[stage.owner] = inside.get(stage.owner, 0) + nbytes
    for stage in view.stages:
        carried = (stage.function.constant_bytes if stage.function is not None else None) or 0
        # The constants of a source inside the function are those of that source.
        own = carried - inside.get(stage.id, 0)
        if own > CONSTANT_BYTES:
            arrays = [constant for constant in view.constants if constant.stage == stage.id]
            yield _captured(view, own, f"The function of {stage.label}", arrays, stage)
    if not any(stage.function is not None for stage in view.stages):
        yield from _unplaced(view)


def _unplaced(view: PipelineView) -> Iterator[Proposal]:
    """Constants that were seen while the pipeline was built, where no graph has their stages."""
    sources = [stage for stage in view.stages if stage.constant]
    by_line: dict[tuple[str, int] | None, list[ConstantView]] = {}
    for constant in view.constants:
        place = constant.location
        if not any(_is_of_source(constant, stage) for stage in sources):
            by_line.setdefault((place.file, place.line) if place is not None else None, []).append(constant)
    for arrays in by_line.values():
        nbytes = sum(constant.nbytes for constant in arrays)
        if nbytes > CONSTANT_BYTES:
            yield _captured(view, nbytes, "A function of the pipeline", arrays, None)


def _captured(
    view: PipelineView, nbytes: int, who: str, arrays: Sequence[ConstantView], stage: StageView | None
) -> Proposal:
    largest = sorted(arrays, key=lambda one: -one.nbytes)[:_MOST_NAMED]
    named = f" ({listed([_words(one) for one in largest])})" if largest else ""
    text = "Convert the array once, outside of the function: array = tf.constant(array)."
    copies = (CAPTURED_CONSTANT_COPIES, TENSOR_COPIES)
    what = f"{who} carries {size(nbytes)}{named}, which"
    place = stage.location if stage is not None and stage.location is not None else None
    found = _constant(view, nbytes, copies, what, text, stage=stage)
    return replace(found, location=place or (largest[0].location if largest else None))


def _constant(
    view: PipelineView, nbytes: int, copies: tuple[float, float], what: str, text: str, *, stage: StageView | None
) -> Proposal:
    """One finding.

    Args:
        copies: Times the array at the peak, as it is and with the advice.
    """
    weight = weigh(copies[0] * nbytes, view)
    # At most all that was measured.
    peak = min(copies[0] * nbytes, max(_measured_most(weight), _of_sources(view)))
    compared = weight.words(peak)
    limit = f" A graph of {size(GRAPH_LIMIT)} cannot be built at all." if nbytes > GRAPH_LIMIT / 2 else ""
    return Proposal(
        stage=stage.id if stage is not None else None,
        sentence=(
            f"{what} are constants of a graph. Every new iterator copies and rewrites it as a whole: {size(peak)} at "
            f"the peak{f', {compared}' if compared else ''}.{limit}"
        ),
        recommendation=text,
        evidence={"constant_bytes": nbytes, "peak_bytes": round(peak), **weight.evidence()},
        predicted=Prediction(
            f"{copies[1]:g} times the array instead of {size(peak)}",
            peak_rss_delta_bytes=-max(0, round(peak - copies[1] * nbytes)),
        ),
    )


def _of_sources(view: PipelineView) -> float:
    """Bytes at the peak that the ledger gives to data of the program, copies included."""
    memory = view.profile.memory if view.profile is not None else None
    ledger = (memory.ledger if memory is not None else None) or ()
    return float(sum(entry.bytes for entry in ledger if entry.owner == "source"))


def _words(array: ConstantView) -> str:
    kind = f"{array.dtype}[{','.join(map(str, array.shape))}]"
    place = place_of(array.location)
    inside = f" {kind}" if array.name is not None else ""
    return f"{array.name or kind}{inside}{f', used in {place}' if place is not None else ''}"


def _is_of_source(array: ConstantView, source: StageView) -> bool:
    """Whether an array may be what a source in memory was made of, which is a finding of its own."""
    return any(
        component.dtype == array.dtype and component.shape in (array.shape, array.shape[1:])
        for component in source.element or ()
    )
