"""Stages of a live dataset replaced by a replay of their outputs: the pipeline as if they cost nothing.

Everything before the stages still runs: its elements are drawn as often as the stages draw them, and dropped. A source
is the replay alone. The replay is a memory cache of the stages' first outputs, which is filled here. What handing them
out costs is measured here too: it is no cost of the pipeline, and a bound with it would be too low. TensorFlow 2.21.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.graph.edit.assemble import Inlet, end_inlet, inlets
from pipeprof.pipelines.graph.edit.editable import EditableGraph, FlatElement, flat_element
from pipeprof.pipelines.graph.edit.elements import unstructured
from pipeprof.pipelines.graph.edit.errors import CannotEditError, first_line
from pipeprof.pipelines.graph.edit.replay.available import ways_of, why_no_replay
from pipeprof.pipelines.graph.edit.replay.line import read_line
from pipeprof.pipelines.graph.edit.round_trip import dataset_of_graph
from pipeprof.pipelines.graph.observe.reading import serialise
from pipeprof.pipelines.graph.stages import Node, WrittenStage
from pipeprof.pipelines.ops.executed_ops import executed
from pipeprof.pipelines.ops.traits import traits

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from pipeprof.pipelines.graph.observe.light_graph import Reading

_MARKS: Final = itertools.count()
_AHEAD: Final = 2
"""Groups of elements that a replaced stage with threads of its own gives ahead."""
_MOST_TOGETHER: Final = 128
_BATCHES_TOGETHER: Final = 4
"""Batches whose elements are drawn together at most: making a group costs as much as handing out dozens of elements."""
_LARGE_BYTES: Final = 1 << 16
"""Of an element, from which copying it takes longer than a call: a map of one is then fused as the user's map is."""
_TIMED_SECONDS: Final = 0.03
"""CPU time over which the cost of handing out an element is measured."""
_MOST_TIMED: Final = 1 << 17
_REWRITING: Final = ("autotune.enabled", "experimental_optimization.apply_default_optimizations")
"""Options without which TensorFlow makes no stage parallel by itself."""


@dataclass(frozen=True)
class Replay:
    """Stages to replace, and the size of the replay.

    Attributes:
        stages: Addresses of stages, in the order of the data; the source may be the first. Those that follow each other
            are replaced together, and all that give elements of the same kind have one replay.
        batches: The replay holds the outputs for so many batches of the pipeline, where an epoch has as many.
        per_batch: Outputs of all of them per batch, where the graph does not fix that; None where it is not known.
        inputs: Together with `outputs`: that the stages draw so many inputs for so many outputs, where the graph does
            not fix that. 0 where it is not known.
    """

    stages: tuple[str, ...]
    batches: int = 3
    per_batch: float | None = None
    inputs: int = 0
    outputs: int = 0
    most_bytes: int = 256_000_000
    passing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Replayed:
    """A dataset in which a replay replaces stages.

    Attributes:
        own_seconds: CPU time per batch of handing out the replay's elements.
    """

    dataset: Any
    own_seconds: float


@dataclass
class _Kept:
    """Outputs that are handed out again.

    Attributes:
        each_bytes: Of one output, on the mean.
        own_seconds: CPU time of handing out one; None before it was measured.
    """

    dataset: Any
    each_bytes: float
    own_seconds: float | None = None


@dataclass(frozen=True)
class _Pattern:
    """What replaces stages, to be put in place of others of the same kind: making it takes a tenth of a second.

    Attributes:
        mark: In the name of one of its datasets, in whose place the stages' input is put.
    """

    graph: Any
    mark: str
    own_seconds: float


def replay_stages(
    dataset: Any, replay: Replay, *, ops: Mapping[str, str] | None = None, **reading: Unpack[Reading]
) -> Replayed:
    """Replace stages by a replay of their outputs.

    Raises:
        CannotEditError: That is not possible on this pipeline; the message names the stage and the reason.
    """
    line = read_line(dataset, ops=ops, **reading)
    by_address = {stage.address: stage for stage in line.all}
    written = {address: stage.op for address, stage in by_address.items()}
    reason = why_no_replay([*written.items()], replay.stages, replay.passing)
    if reason is not None:
        raise CannotEditError(reason, next(iter(replay.stages), None))
    kept: dict[FlatElement, _Kept] = {}
    patterns: dict[Hashable, _Pattern] = {}
    made: list[Any] = []
    own_seconds, ways = 0.0, [*ways_of(written, replay.stages)]
    for way, run in ways:
        stages = [by_address[address] for address, _ in way]
        part = replace(replay, stages=tuple(run))
        replaced = _Replaced(line.graph, stages, line.written.nodes, line.written.options, part)
        made += replaced.make(kept, patterns)
        own_seconds += replaced.own_seconds(len(ways))
    return Replayed(dataset_of_graph(line.graph, dataset.element_spec, dataset, *made), own_seconds)


@dataclass
class _Replaced:
    """A pipeline in which stages that follow each other are being replaced."""

    graph: EditableGraph
    line: Sequence[WrittenStage]
    nodes: Mapping[str, Node]
    options: Mapping[str, Any]
    replay: Replay
    first: int = field(init=False)
    last: int = field(init=False)
    _each_seconds: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.first = [stage.address for stage in self.line].index(self.replay.stages[0])
        self.last = self.first + len(self.replay.stages) - 1

    def own_seconds(self, ways: int) -> float:
        """CPU time per batch of handing out what replaces the stages, on one of so many ways with about as much."""
        exact = self._exact()
        return self._each_seconds * (exact if exact is not None else (self.replay.per_batch or 0.0) / ways)

    def make(self, known: dict[FlatElement, _Kept], patterns: dict[Hashable, _Pattern]) -> list[Any]:
        """Replace the stages; return the datasets whose resources the graph uses, in addition to those known."""
        import tensorflow as tf

        address = self.replay.stages[0]
        ends, full = self._ends(), []
        pattern = patterns.get(self._kind()) if self.first else None
        if pattern is not None:
            self._each_seconds = pattern.own_seconds
            self._put(pattern.graph, pattern.mark, ends)
            return []
        try:
            outputs = self._at(self.line[self.last])
            element = self.graph.element_at(self.line[self.last].head)
            if element not in known:
                few = outputs.take(elements := self._elements()).cache()
                full = [self.graph.real(few)]
                known[element] = _Kept(few, self._fill(full[0], elements))
            kept = known[element]
            made, mark = kept.dataset.repeat(), ""
            if self.first:
                mark = f"pipeprof_replay_{next(_MARKS)}_"
                drawn = self._at(self.line[self.first - 1]).skip(0, name=mark)
                made = self._drawing(drawn, made, kept.each_bytes)
            elif (count := int(self.graph.real(outputs).cardinality())) >= 0:
                made = made.take(count)
            graph = serialise(tf.data.experimental.to_variant(made))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            msg = f"TensorFlow does not accept a replay of its outputs: {first_line(error)}"
            raise CannotEditError(msg, address) from error
        if isinstance(graph, str):
            raise CannotEditError(graph, address)
        kind = self._kind()
        self._put(graph, mark or "pipeprof_no_mark", ends)
        if kept.own_seconds is None:
            kept.own_seconds = self._time(kept)
        self._each_seconds = kept.own_seconds
        if self.first:
            patterns[kind] = _Pattern(graph, mark, kept.own_seconds)
        return [kept.dataset, *full, made]

    def _put(self, graph: Any, mark: str, ends: Iterable[Inlet]) -> None:
        """Let what read the stages read the end of a graph, in which what they read stands at the mark."""
        reference = self.graph.graft(graph, mark, self.line[self.first - 1].head if self.first else "")
        for inlet in ends:
            inlet.connect(self.graph, reference)

    def _kind(self) -> Hashable:
        """All that what replaces the stages depends on, of stages that have others before them."""
        stages = self.line[self.first - 1 : self.last + 1]
        return (
            *((stage.op, flat_element(self.graph.nodes[stage.head]), self._parallel(stage)) for stage in stages),
            *(self.nodes[stage.head].stateful_op is not None for stage in stages),
            *(size for stage in self.line[self.first :] if (size := self._batch_size(stage)) is not None),
            self._drops_remainder(),
        )

    def _time(self, kept: _Kept) -> float:
        """Measure the CPU time of handing out one element, with inputs and outputs that cost nothing."""
        import tensorflow as tf

        # What hands them on has their number of components, and not their bytes, which it does not copy.
        outputs = tf.data.Dataset.from_tensors(_nothings(kept.dataset)).repeat()
        if self.first:
            inputs = tf.data.Dataset.from_tensors(_nothings(self._at(self.line[self.first - 1]))).repeat()
            outputs = self._drawing(inputs, outputs, kept.each_bytes)

        def taken(count: int) -> float:
            iterator = iter(outputs.skip(count))
            began = time.process_time()
            next(iterator)
            return time.process_time() - began

        count = 1 << 9
        taken(count)
        while True:
            seconds = taken(3 * count) - taken(count)
            if seconds >= _TIMED_SECONDS or count >= _MOST_TIMED:
                return max(0.0, seconds / (2 * count))
            count *= 4

    def _at(self, stage: WrittenStage) -> Any:
        """The dataset of the pipeline up to a stage, its elements as a tuple of their components."""
        import tensorflow as tf

        if stage.head not in self.graph.nodes:
            raise CannotEditError("it is made in a function that the graph calls", stage.address)
        element = unstructured(self.graph.element_at(stage.head))
        return tf.data.experimental.from_variant(self.graph.variant(stage.head), element)

    def _ends(self) -> list[Inlet]:
        head = self.line[self.last].head
        if self.last + 1 < len(self.line):
            found = inlets(self.graph, self.line[self.last + 1].nodes, head)
        else:
            end = end_inlet(self.graph, head)
            found = [end] if end is not None else []
        if not found:
            raise CannotEditError("what reads it is not a stage of the pipeline", self.line[self.last].address)
        return found

    def _fill(self, kept: Any, elements: int) -> float:
        """Fill the cache; return the bytes of an element, on the mean."""
        import tensorflow as tf

        held = count = 0
        for element in kept:
            count += 1
            held += sum(int(tf.size(part)) * part.dtype.size for part in element if part.dtype.is_numpy_compatible)
            if held > self.replay.most_bytes:
                limit = f"{self.replay.most_bytes / 1e6:,.0f} MB"
                msg = f"its outputs for {self.replay.batches} batches, {elements:,} of them, hold more than {limit}"
                raise CannotEditError(msg, self.replay.stages[0])
        if not count:
            raise CannotEditError("it gave no element to replay", self.replay.stages[0])
        return held / count

    def _elements(self) -> int:
        exact = self._exact()
        if exact is not None:
            return math.ceil(self.replay.batches * exact)
        if self.replay.per_batch is None:
            raise CannotEditError("how many of its outputs make a batch is not known", self.replay.stages[0])
        return max(1, math.ceil(self.replay.batches * self.replay.per_batch))

    def _exact(self) -> float | None:
        """Return how many outputs make a batch of the pipeline, where the graph fixes that."""
        exact = 1.0
        for stage in self.line[self.last + 1 :]:
            row = traits(stage.op)
            if (size := self._batch_size(stage)) is not None:
                exact *= size
            elif not (row.one_to_one or (row.by_position and row.consecutive)):
                return None
        return exact

    def _batch_size(self, stage: WrittenStage) -> int | None:
        """Return how many inputs become one output of a stage that stacks them; None for other stages."""
        row = traits(stage.op)
        size = self.nodes[stage.head].arguments.get(row.batches) if row.batches is not None and row.stacks else None
        return size if isinstance(size, int) and size > 0 else None

    def _drawing(self, drawn: Any, replayed: Any, each_bytes: float) -> Any:
        """Return the replay as what the stages give: its elements come as the stages' inputs are drawn."""
        import tensorflow as tf

        inputs, outputs = self._ratio()
        last = self.line[self.last]
        together = self._together(inputs, outputs, each_bytes)
        if together == 1 and inputs == 1 and outputs == 1 and traits(last.op).maps:
            # TensorFlow then treats it as it treats the map.
            second = _second(self.nodes[last.head].stateful_op is not None)
            return tf.data.Dataset.zip(drawn, replayed).map(second, num_parallel_calls=self._parallel(last))
        inputs, outputs = inputs * together, outputs * together
        drop = outputs == 1 and self._drops_remainder()
        left = drawn.window(inputs, drop_remainder=drop) if max(inputs, outputs) > 1 else drawn
        both = tf.data.Dataset.zip(left, replayed.window(outputs) if outputs > 1 else replayed)
        if outputs > 1:
            # No function is called for each element: that would take longer than many a stage.
            made = both.flat_map(_group(inputs, outputs))
        else:
            made = both.scan(0, lambda state, pair: (state, pair[1]))
        # One of them on a thread of its own leaves the thread that reads them free.
        ahead = any(self._runs_ahead(stage) for stage in self.line[self.first : self.last + 1])
        return made.prefetch(_AHEAD * outputs) if ahead else made

    def _together(self, inputs: int, outputs: int, each_bytes: float) -> int:
        """Return how many times so many inputs and outputs are drawn at once: no more than a few batches have."""
        if (inputs > 1 and outputs == 1) or each_bytes >= _LARGE_BYTES:
            return 1
        size = next((size for stage in self.line[self.last + 1 :] if (size := self._batch_size(stage)) is not None), 1)
        most = min(_BATCHES_TOGETHER * size, _MOST_TOGETHER) if size > 1 else 1
        return max(1, most // max(inputs, outputs))

    def _runs_ahead(self, stage: WrittenStage) -> bool:
        """Whether TensorFlow runs a stage on threads of its own, as written or as it rewrites it by default."""
        if self._parallel(stage) is not None:
            return True
        rewritten = all(self.options.get(name) is not False for name in _REWRITING)
        return rewritten and traits(stage.op).maps and self.nodes[stage.head].stateful_op is None

    def _parallel(self, stage: WrittenStage) -> int | None:
        """Return how many calls of a stage as written run at a time; None where it has no threads of its own."""
        node = self.nodes[stage.head]
        if not executed(node.op).asynchronous:
            return None
        value = node.arguments.get("num_parallel_calls")
        return value if isinstance(value, int) else -1

    def _drops_remainder(self) -> bool:
        return any(
            self.nodes[stage.head].arguments.get("drop_remainder") is True
            for stage in self.line[self.first : self.last + 1]
        )

    def _ratio(self) -> tuple[int, int]:
        """Return how many inputs the stages draw for how many outputs: by the graph where that fixes it."""
        exact = 1
        for stage in self.line[self.first : self.last + 1]:
            if (size := self._batch_size(stage)) is not None:
                exact *= size
            elif not traits(stage.op).one_to_one:
                break
        else:
            return exact, 1
        if not self.replay.inputs or not self.replay.outputs:
            raise CannotEditError("how many inputs it takes for an output is not known", self.replay.stages[0])
        return self.replay.inputs, self.replay.outputs


def _nothings(dataset: Any) -> tuple[Any, ...]:
    """Return a number for each component of the elements of a dataset."""
    return (0,) * len(dataset.element_spec)


def _group(inputs: int, outputs: int) -> Any:
    """Return the function that gives a window of the replay; less where the window of inputs is the last one."""
    import tensorflow as tf

    def group(drawn: Any, given: Any) -> Any:
        count = drawn[0].cardinality()
        return tf.data.Dataset.zip(tuple(given)).take((count * outputs + inputs - 1) // inputs)

    return group


def _second(stateful: bool) -> Any:
    """Return the function that keeps the replay's part of a pair.

    Args:
        stateful: With an op that has state: TensorFlow makes no such map parallel by itself.
    """
    import tensorflow as tf

    def second(_: Any, given: Any) -> Any:
        if not stateful:
            return given
        with tf.control_dependencies([tf.timestamp()]):
            return tuple(tf.identity(part) for part in given)

    return second
