"""``windows-from-array``: rows of an array in memory that are taken one element at a time, and batched after it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.edits.edits import HandWritten
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.propose.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import of_interval

_TAKES = frozenset({"GatherV2", "Slice", "StridedSlice"})
_KERAS = "timeseries_dataset_from_array"
_FOURTH = 4


class WindowsFromArray(Rule):
    """Windows of an array, each a call of a map with the whole array as an argument.

    Seen:
        zip gives an array, the same each time, and row numbers; a map takes these rows of it, for one element at a
        time, and its results are put into batches. Keras' timeseries_dataset_from_array makes such pipelines.

    Why:
        Each window passes several zips and maps alone, 50 to 100 µs of calls for copying some hundred bytes. tf.gather
        takes the rows of a whole batch in one call.

    Fix:
        Draw numbers of windows, batch them, and take the rows of the batch with one tf.gather, whose indices are the
        first rows of the windows and the steps within them.

    Ignore when:
        The array does not fit in memory as a tensor.
    """

    name = "windows-from-array"
    title = "Take the rows of whole batches with tf.gather"
    family = "speed"
    semantics = "order"
    thresholds = (
        Threshold("time-share", 0.3, "of the interval", "below it something else comes first", 0.1),
        Threshold("batch-size", 8, "windows", "below it there are few calls to save"),
        Threshold("batched-gain", 10, "times", "measured on TensorFlow 2.21: 256 windows of 24 rows, 30x to 70x"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside everything that makes the windows."""
        interval = interval_ms(view)
        found = _found(view) if interval else None
        if found is None or interval is None or found.size < self.threshold("batch-size"):
            return
        stages = [found.first, *view.below(found.first)]
        ms = sum(stage.table_ms or 0.0 for stage in stages)
        if ms < self.threshold("time-share") * interval:
            return
        by_hand = HandWritten((found.first.id,), "", found.python(), "take the rows of whole batches with tf.gather")
        saved = ms * (1 - 1 / self.threshold("batched-gain")) / max(1.0, view.cores)
        yield Proposal(
            stage=found.takes[0].id,
            sentence=(
                f"{found.takes[0].label} takes the rows of one window in each call, {found.size} calls for a batch"
                f"{' in each of ' + str(len(found.takes)) + ' maps' if len(found.takes) > 1 else ''}: with the zips "
                f"before them {of_interval(ms, interval)}."
            ),
            recommendation=(
                f"Batch {found.size} numbers of windows, and take all their rows with one tf.gather, in place of "
                f"{found.name}."
            ),
            evidence={"windows_per_batch": found.size, "windows_ms_per_batch": ms},
            edits=(by_hand,),
            by_hand=by_hand,
            semantics="order" if found.shuffled else "same",
            predicted=saving(view, f"{found.size} windows in one call", saved, {stage.id for stage in stages}),
            covers=tuple(stage.id for stage in stages),
        )


@dataclass(frozen=True)
class _Windows:
    """Maps that take rows of an array, up to the stage that their results are zipped by or that they end with.

    Attributes:
        count: Windows in an epoch; None if unknown.
        arrays: Tensors whose rows each map takes.
    """

    first: StageView
    takes: tuple[StageView, ...]
    size: int
    count: int | None
    shuffled: bool

    @property
    def call(self) -> Mapping[str, str]:
        """What the user's call of Keras' loader was given, by its names; empty where it is none."""
        return _call_at(self.first)

    @property
    def name(self) -> str:
        return _KERAS if self.call else "these stages"

    def python(self) -> str:
        given, element = self.call, self.takes[0].element
        window = element[0].shape if element else None
        length = given.get("sequence_length") or (window[0] if window and window[0] else "length")
        stride, rate = given.get("sequence_stride", "1"), given.get("sampling_rate", "1")
        count = self.count if self.count is not None else "windows"
        order = f".shuffle({count})" if self.shuffled else ""
        data, targets = given.get("data", "array"), given.get("targets")
        if "start_index" in given or "end_index" in given:
            cut = f"[{given.get('start_index', '')}:{given.get('end_index', '')}]"
            data, targets = f"{data}{cut}", targets if targets in {None, "None"} else f"{targets}{cut}"
        at, step = "i" if stride == "1" else f"i * {stride}", "" if rate == "1" else f" * {rate}"
        taken = f"tf.gather(data, ({at})[:, None] + tf.range({length}, dtype=i.dtype){step})"
        names, values = ("data, targets", f"tf.constant({data}), tf.constant({targets})")
        if targets in {None, "None"}:
            names, values = "data", f"tf.constant({data})"
        else:
            taken = f"({taken}, tf.gather(targets, {at}))"
        place = f"  # line {self.first.location.line}" if self.first.location is not None else ""
        return "\n".join(
            [
                f"{names} = {values}{place}",
                f"dataset = tf.data.Dataset.range({count}){order}.batch({self.size})",
                f"dataset = dataset.map(lambda i: {taken.replace('(i)[', 'i[')}, num_parallel_calls=tf.data.AUTOTUNE)",
            ]
        )


def _found(view: PipelineView) -> _Windows | None:
    takes = tuple(stage for stage in view.stages if _takes_rows(view, stage))
    batch = next((stage for stage in view.stages if stage.depth == 0 and traits(stage.op).stacks), None)
    size = batch.arguments.get("batch_size") if batch is not None else None
    if not takes or batch is None or not isinstance(size, int):
        return None
    below = list(view.below(batch))
    first = next((one for one in below if not traits(one.op).by_position), None)
    passing = (
        all(traits(one.op).by_position and not traits(one.op).stores for one in below[: below.index(first)])
        if first
        else False
    )
    inside = {one.id for one in (first, *view.below(first))} if first is not None else set()
    if first is None or not passing or not all(stage.id in inside for stage in takes):
        return None
    if not (first in takes or traits(first.op).combines):
        return None
    return _Windows(first, takes, size, first.elements, any(traits(one.op).shuffles for one in below))


def _takes_rows(view: PipelineView, stage: StageView) -> bool:
    """Whether it is a map that takes rows of an array which comes with each element."""
    function, below = stage.function, view.input_of(stage)
    if not traits(stage.op).maps or function is None or function.ops is None or below is None:
        return False
    if not function.ops & _TAKES or not traits(below.op).combines or not is_outside_functions(stage.id):
        return False
    sides = [view.by_id[name] for name in below.inputs if name in view.by_id]
    same = [side for side in sides if traits(side.op).repeats and side.elements == INFINITE]
    return any(_is_one(view, side) for side in same) and len(function.ops) <= _FOURTH


def _is_one(view: PipelineView, repeat: StageView) -> bool:
    below = view.input_of(repeat)
    return below is not None and traits(below.op).in_memory and not traits(below.op).slices


def _call_at(stage: StageView) -> dict[str, str]:
    """The arguments of the call of Keras' loader at a stage's line, as the user's file has them."""
    place = stage.location
    if place is None:
        return {}
    try:
        tree = ast.parse(Path(place.file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.lineno <= place.line <= (node.end_lineno or node.lineno):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == _KERAS:
                given = dict(
                    zip(
                        ("data", "targets", "sequence_length", "sequence_stride", "sampling_rate"),
                        node.args,
                        strict=False,
                    )
                )
                given |= {word.arg: word.value for word in node.keywords if word.arg is not None}
                return {key: ast.unparse(value) for key, value in given.items()}
    return {}
