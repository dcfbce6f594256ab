"""Other ops in the function of a map: its Python as a graph, its pictures decoded for less; pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipeprof.pipelines.edits.edits import PipelineEdit, RewriteMap, SetArgument
from pipeprof.pipelines.ops.constants import AUTOTUNE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.by_batch import may_be_a_graph
from pipeprof.profiles.advise.edits.own_python import is_called_itself
from pipeprof.profiles.document.stages import Stage
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.verify.guessing.many_calls import PARALLEL_CALLS
from pipeprof.profiles.verify.stages import runs_python
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.wording import called, percent, ratio_text, stage_name

_DECODED_JPEG = frozenset({"DecodeJpeg"})
_CROPS = frozenset({"Slice", "StridedSlice"})
_SHRINKS = frozenset({"ResizeBilinear", "ResizeArea", "ResizeBicubic", "ResizeNearestNeighbor", "ScaleAndTranslate"})
_SCALES = frozenset({"AddV2", "Cast", "Mul", "RealDiv", "Sub"})
JPEG_FROM = 0.15
"""Share of the pipeline's work from which decoding pictures for less is tried."""


def as_graph(stage: Stage) -> Iterator[Proposal]:
    """Return the Python of a map as a graph, whose calls may run at the same time; nothing for other stages."""
    if not traits(stage.op).maps or not runs_python(stage):
        return
    if not all(may_be_a_graph(file_text(one.file), one.function) for one in stage.python or () if one.file):
        return
    name = stage_name(stage)
    parallel = _in_parallel(stage)
    function = max(stage.python or (), key=lambda one: one.ms_per_batch, default=None)
    what = called(function.function) if function is not None else "the Python function"
    numpy = any(op.op == "PyFunc" for op in stage.ops or ())
    how_called = (
        "without tf.numpy_function, with tf.experimental.numpy in place of numpy" if numpy else "without tf.py_function"
    )
    python = (
        f"# in {name}: call {what} itself, {how_called}\n"
        f"dataset = dataset.map({name}, num_parallel_calls=tf.data.AUTOTUNE)"
    )
    # Without Python's lock two of its calls run at a time.
    halved = 1 / (1 - (stage.share or 0.0) / 2)
    words = f"{ratio_text(halved)} if two calls of {what} run at a time, which Python's lock prevents"
    predicted = Prediction(words, halved) if is_called_itself(stage) else None
    for how, semantics, draws in (("graph", "same", ""), ("random-graph", "randomness", ", with its random ops")):
        yield Proposal(
            f"Call {what} in {name} as a graph",
            f"call {what} {how_called}{draws}",
            (RewriteMap(stage.id, how), *parallel),
            "randomness" if semantics == "randomness" else "same",
            stage=stage.id,
            python=python,
            predicted=predicted if semantics == "same" else None,
        )


def _in_parallel(stage: Stage) -> tuple[PipelineEdit, ...]:
    parallel = stage.parallelism is not None and stage.parallelism > 1
    return () if parallel else (SetArgument(stage.id, stage.op, PARALLEL_CALLS, AUTOTUNE),)


def decoded_for_less(stage: Stage) -> Iterator[Proposal]:
    """Return ways to decode JPEG pictures for less; nothing where that is no good part of the work."""
    ops = {op.op: op.ms_per_batch for op in stage.ops or ()}
    whole = max(stage.active_ms or 0.0, sum(ops.values()))
    decoding = sum(ms for op, ms in ops.items() if op in _DECODED_JPEG)
    if not whole or not traits(stage.op).maps or decoding / whole * (stage.share or 0.0) < JPEG_FROM:
        return
    name, part = stage_name(stage), percent(decoding / whole)

    def change(how: str, title: str, words: str, python: str) -> Proposal:
        return Proposal(title, words, (RewriteMap(stage.id, how),), "values", stage=stage.id, python=python)

    if ops.keys() & _CROPS:
        yield change(
            "crop",
            f"Decode only what {name} crops",
            f"tf.image.decode_and_crop_jpeg instead of a crop after tf.io.decode_jpeg, which takes {part} of {name}",
            "height, width, _ = tf.unstack(tf.io.extract_jpeg_shape(raw))\n"
            "image = tf.image.decode_and_crop_jpeg(raw, [top, left, crop_height, crop_width], channels=3)",
        )
    elif ops.keys() & _SHRINKS:
        yield change(
            "ratio",
            f"Decode the pictures of {name} at half of their size",
            f"tf.io.decode_jpeg(…, ratio=2) before the resize: decoding takes {part} of {name}",
            "image = tf.io.decode_jpeg(raw, channels=3, ratio=2)  # where the resize at least halves the size",
        )
    yield change(
        "fast-dct",
        f"Decode the pictures of {name} with a faster method",
        f"tf.io.decode_jpeg(…, dct_method='INTEGER_FAST'): decoding takes {part} of {name}",
        "image = tf.io.decode_jpeg(raw, channels=3, dct_method='INTEGER_FAST')",
    )


def resized_first(stage: Stage) -> Iterator[Proposal]:
    """Return a map that resizes pictures before it makes their numbers wider; nothing where that is little work."""
    ops = {op.op: op.ms_per_batch for op in stage.ops or ()}
    whole = max(stage.active_ms or 0.0, sum(ops.values()))
    scaling = sum(ms for op, ms in ops.items() if op in _SCALES | _SHRINKS)
    shrinks = "Cast" in ops and not _SHRINKS.isdisjoint(ops)
    if not whole or not traits(stage.op).maps or not shrinks or scaling / whole * (stage.share or 0.0) < JPEG_FROM:
        return
    name = stage_name(stage)
    yield Proposal(
        f"Resize the pictures of {name} before the cast",
        f"tf.image.resize of whole numbers (uint8), then the cast and what scales them: they take "
        f"{percent(scaling / whole)} of {name}",
        (RewriteMap(stage.id, "resize-first"),),
        "values",
        stage=stage.id,
        python="image = tf.image.resize(image, size)  # of uint8: float32 in the same range\nimage = image / 255.0",
    )


def rewritten(line: Sequence[Stage], place: int, least_share: float) -> Iterator[Proposal]:
    """Return what may be rewritten in the maps with much of the work, that at a place first."""
    others = [stage for number, stage in enumerate(line) if number != place and (stage.share or 0.0) >= least_share]
    for stage in (line[place], *others):
        yield from as_graph(stage)
        yield from decoded_for_less(stage)
        yield from resized_first(stage)
