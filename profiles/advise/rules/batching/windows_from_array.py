"""``windows-from-array``: rows of an array in memory that are taken one element at a time, and batched after it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.constants import INFINITE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import interval_ms, saving
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.rules.batching.windows_one_by_one import Windows, windows_of
from pipeprof.profiles.advise.text.snippets import function_name, in_place, stage_call
from pipeprof.profiles.lines import is_outside_functions
from pipeprof.profiles.propose.proposal import Proposal, Semantics
from pipeprof.profiles.view.texts import call_of, first_argument
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import listed, milliseconds, of_interval

_TAKES = frozenset({"GatherV2", "Slice", "StridedSlice"})
_KERAS = "timeseries_dataset_from_array"
_FOURTH = 4


class WindowsFromArray(Rule):
    """Windows of an array, each a call of a map with the whole array as an argument.

    Seen:
        zip gives an array, the same each time, and row numbers; a map takes these rows of it, for one element at a
        time, and its results are put into batches. Keras' timeseries_dataset_from_array makes such pipelines. Or window
        slides over the rows of an array in memory, and a flat_map batches each window.

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
        Threshold("number-us", 2, "µs", "measured on TensorFlow 2.21: a number that is drawn, shuffled and batched"),
        Threshold("batch-us", 150, "µs", "measured on TensorFlow 2.21: batch, tf.gather and a map of a whole batch"),
        Threshold("bytes-per-us", 900, "bytes", "measured on TensorFlow 2.21: rows that tf.gather copies into a batch"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the time inside everything that makes the windows."""
        interval = interval_ms(view)
        found = (_found(view) or _sliding(view)) if interval else None
        if found is None or interval is None or found.size < self.threshold("batch-size"):
            return
        stages = found.stages(view)
        ms = sum(stage.table_ms or 0.0 for stage in stages)
        if ms < self.threshold("time-share") * interval:
            return
        # A replay of one of them alone would be no bound of what replaces both.
        own = (*((found.windows.window.id,) if isinstance(found, _Sliding) else ()), found.first.id)
        by_hand = HandWritten(own, "", found.python(), "take the rows of whole batches with tf.gather")
        # One call after the other saves its time on the clock, whatever cores there are.
        took = min(interval, sum((stage.table_ms or 0.0) / _calls_at_a_time(view, stage) for stage in stages))
        batched = self._batched_ms(found)
        if batched >= took:
            return
        yield Proposal(
            stage=found.takes[0].id,
            sentence=f"{found.sentence} {of_interval(ms, interval)}.",
            recommendation=(
                f"Batch {found.size} numbers of windows, and take all their rows with one tf.gather, in place of "
                f"{found.name}."
            ),
            evidence={"windows_per_batch": found.size, "windows_ms_per_batch": ms},
            edits=(by_hand,),
            by_hand=by_hand,
            semantics=found.semantics,
            predicted=saving(
                view,
                f"{milliseconds(took)} now, {milliseconds(batched)} for {found.size} windows in one call",
                took - batched,
                {stage.id for stage in stages},
            ),
            covers=tuple(stage.id for stage in stages),
        )

    def _batched_ms(self, found: _Windows | _Sliding) -> float:
        """Milliseconds of a batch whose rows one call takes."""
        copied = found.size * (found.takes[0].element_bytes or 0.0) / self.threshold("bytes-per-us")
        return (found.size * self.threshold("number-us") + self.threshold("batch-us") + copied) / 1000


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
    def sentence(self) -> str:
        """What makes a window, up to what it takes of the interval."""
        maps = f" in each of {len(self.takes)} maps" if len(self.takes) > 1 else ""
        return (
            f"{self.takes[0].label} takes the rows of one window in each call, {self.size} calls for a batch{maps}: "
            "with the zips before them"
        )

    @property
    def semantics(self) -> Semantics:
        return "order" if self.shuffled else "same"

    def stages(self, view: PipelineView) -> list[StageView]:
        """All that is replaced."""
        return [self.first, *view.below(self.first)]

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
        length = given.get("sequence_length") or (window[0] if window and window[0] else "...")
        stride, rate = given.get("sequence_stride", "1"), given.get("sampling_rate", "1")
        count = self.count if self.count is not None else "..."
        order = f".shuffle({count})" if self.shuffled else ""
        data, targets = given.get("data", "..."), given.get("targets")
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
        mapped = f".map(lambda i: {taken.replace('(i)[', 'i[')}, num_parallel_calls=tf.data.AUTOTUNE)"
        new = f"tf.data.Dataset.range({count}){order}.batch({self.size}){mapped}"
        return "\n".join([f"{names} = {values}{place}", f"dataset = {new}"])


@dataclass(frozen=True)
class _Sliding:
    """Windows that slide over the rows of an array in memory, up to the batch that they go into.

    Attributes:
        repeats: Between the array and the windows.
        after: From the stage that batches each window to the batch of windows, without both.
    """

    windows: Windows
    source: StageView
    repeats: tuple[StageView, ...]
    after: tuple[StageView, ...]
    batch: StageView
    size: int

    @property
    def first(self) -> StageView:
        return self.windows.flat

    @property
    def takes(self) -> tuple[StageView, ...]:
        return (self.windows.flat,)

    @property
    def sentence(self) -> str:
        """What makes a window, up to what it takes of the interval."""
        maps = [stage for stage in self.after if traits(stage.op).maps]
        calls = f", and calls of {listed([stage.name or stage.op for stage in maps])}" if maps else ""
        return f"{self.first.label} opens a dataset for each of {self.size} windows per batch{calls}:"

    @property
    def semantics(self) -> Semantics:
        # Windows over the end of one epoch and the begin of the next one are none of the array's.
        return "values" if self.repeats else "same"

    @property
    def name(self) -> str:
        return f"{self.windows.window.op} and {self.first.name or self.first.op}"

    def stages(self, view: PipelineView) -> list[StageView]:
        """All that is replaced."""
        del view
        return [self.source, *self.repeats, *self.windows.stages, *self.after, self.batch]

    def python(self) -> str:
        found, place = self.windows, self.source.location
        array = first_argument(self.source, "from_tensor_slices") or "..."
        last = f" - {found.span - 1}" if found.span > 1 else ""
        steps = "" if found.shift == 1 else f", {found.shift}"
        stride = "" if found.stride == 1 else f" * {found.stride}"
        counted = [stage for stage in (*self.repeats, *self.after, self.batch) if not traits(stage.op).maps]
        calls = "".join(stage_call(stage, stage.arguments) for stage in counted)
        taken = f"tf.gather(rows, i[:, None] + tf.range({found.size}, dtype=i.dtype){stride})"
        functions = [function_name(stage) for stage in self.after if traits(stage.op).maps]
        maps = "".join(f".map(lambda rows: tf.vectorized_map({name}, rows))" for name in functions)
        mapped = f".map(lambda i: {taken}, num_parallel_calls=tf.data.AUTOTUNE){maps}"
        numbers = f"tf.data.Dataset.range(0, len(rows){last}{steps})"
        replaced = [self.source, *self.repeats, found.window, found.flat, *self.after, self.batch]
        over = f"# without the {found.span - 1} windows that go over the end, to the begin of the next pass"
        return "\n".join(
            [
                *([over] if self.repeats and found.span > 1 else ()),
                f"rows = tf.constant({array}){f'  # line {place.line}' if place is not None else ''}",
                in_place(replaced, f"{numbers}{calls}{mapped}", source=True),
            ]
        )


def _calls_at_a_time(view: PipelineView, stage: StageView) -> float:
    """How many calls of a stage run side by side on cores of their own."""
    calls = stage.measured.parallelism if stage.measured is not None else None
    return max(1.0, min(calls or 1.0, view.cores))


def _sliding(view: PipelineView) -> _Sliding | None:
    for window in view.stages:
        found = windows_of(view, window)
        if found is None or found.are_batches or found.keys or not is_outside_functions(window.id):
            continue
        below, after = list(view.below(window)), list(view.above(found.flat))
        repeats = list(itertools.takewhile(lambda one: traits(one.op).repeats, below))
        rest, before = below[len(repeats) :], list(itertools.takewhile(lambda one: not traits(one.op).stacks, after))
        batch = next(iter(after[len(before) :]), None)
        size = batch.arguments.get("batch_size") if batch is not None else None
        if batch is None or not isinstance(size, int) or len(rest) != 1:
            continue
        if traits(rest[0].op).in_memory and traits(rest[0].op).slices and all(map(_goes_along, before)):
            return _Sliding(found, rest[0], tuple(reversed(repeats)), tuple(before), batch, size)
    return None


def _goes_along(stage: StageView) -> bool:
    """Whether a stage after windows may come after their numbers, or be a function of a whole batch of them."""
    if traits(stage.op).maps:
        pure = stage.function is not None and stage.function.python is False and stage.function.random is False
        return pure and function_name(stage) not in {"fn", "<lambda>"}
    return traits(stage.op).by_position and not traits(stage.op).stores


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
    call = call_of(stage, _KERAS)
    if call is None:
        return {}
    names = ("data", "targets", "sequence_length", "sequence_stride", "sampling_rate")
    given = dict(zip(names, call.args, strict=False))
    given |= {word.arg: word.value for word in call.keywords if word.arg is not None}
    return {key: ast.unparse(value) for key, value in given.items()}
