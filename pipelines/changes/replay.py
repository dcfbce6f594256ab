"""Stages replaced by a replay of their outputs: the pipeline as if they cost nothing (worker only: needs TensorFlow).

Everything before the stages still runs: its elements are drawn as often as the stages draw them, and dropped. A source
is the replay alone. The replay is a memory cache of the stages' first outputs, which is filled here. What handing them
out costs is measured here too: it is no cost of the pipeline, and a bound with it would be too low.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from pipeprof.pipelines.build.dataset import Builder as SpecBuilder
from pipeprof.pipelines.changes.chain import CannotChangeError, ChainStage, Replay, first_line, ways_of, why_no_replay
from pipeprof.pipelines.changes.functions import components, is_stateful
from pipeprof.pipelines.changes.in_calls import build_again, restructured
from pipeprof.pipelines.changes.recorded_calls import RecordedCalls, RecordedPipeline
from pipeprof.pipelines.meaning.executed_ops import executed
from pipeprof.pipelines.meaning.traits import Traits, traits

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


@dataclass(frozen=True)
class Replayed:
    """A dataset in which a replay replaces stages."""

    dataset: Any
    own_seconds: float
    """CPU time per batch of handing out the replay's elements."""


def datasets_before(
    dataset: Any, wanted: Callable[[Traits], bool], calls: RecordedCalls, building: SpecBuilder
) -> list[Any]:
    """Return datasets as those that stages of a kind read, such as caches, with shuffles and caches of their own.

    Raises:
        CannotChangeError: How the dataset was made was not seen.
    """
    recorded = calls.read(dataset)
    ends = [place for place, call in enumerate(recorded.chain.calls) if place and wanted(traits(call.op))]
    made = []
    for end in ends:
        chain = recorded.chain.copy()
        del chain.calls[end:]
        for line in chain.lines():
            for call in line.calls:
                call.again = traits(call.op).reorders or traits(call.op).stores
        made.append(build_again(recorded, chain, building))
    return made


def replay_stages(
    dataset: Any, replay: Replay, calls: RecordedCalls, building: SpecBuilder, *, ops: Mapping[str, str] | None = None
) -> Replayed:
    """Replace stages by a replay of their outputs.

    Raises:
        CannotChangeError: That is not possible on this pipeline; the message names the stage and the reason.
    """
    recorded = calls.read(dataset, ops=ops)
    written = {address: stage.op for address, stage in recorded.stages.items()}
    reason = why_no_replay([*written.items()], replay.stages, replay.passing)
    if reason is not None:
        raise CannotChangeError(next(iter(replay.stages), None), reason)
    chain = recorded.chain.copy()
    shared = _Shared()
    ways = [*ways_of(written, replay.stages)]
    replaced = [_Replaced(recorded, replay, [address for address, _ in way], run, shared) for way, run in ways]
    for one in replaced:
        line, first = chain.find(one.run[0])
        line.calls[first : first + len(one.run)] = [ChainStage("replay", build=one.make)]
    made = build_again(recorded, chain, building)
    return Replayed(made, sum(one.own_seconds(len(ways)) for one in replaced))


@dataclass
class _Kept:
    """Outputs that are handed out again."""

    dataset: Any
    each_bytes: float
    """Of one output, on the mean."""


@dataclass
class _Shared:
    """What replaced parts of a pipeline share: outputs by their structure, and the CPU time of handing out one."""

    kept: dict[str, _Kept] = field(default_factory=dict)
    seconds: dict[Hashable, float] = field(default_factory=dict)


@dataclass
class _Replaced:
    """Stages that follow each other and are being replaced."""

    recorded: RecordedPipeline
    replay: Replay
    way: Sequence[str]
    """Addresses from the source of their line to the end of the pipeline."""
    run: Sequence[str]
    shared: _Shared
    _each_seconds: float = 0.0

    @property
    def _after(self) -> Sequence[str]:
        return self.way[self.way.index(self.run[-1]) + 1 :]

    def own_seconds(self, ways: int) -> float:
        """CPU time per batch of handing out what replaces the stages, on one of so many ways with about as much."""
        exact = self._exact()
        return self._each_seconds * (exact if exact is not None else (self.replay.per_batch or 0.0) / ways)

    def make(self, drawn: Any) -> Any:
        """Return the replay in place of the stages.

        Args:
            drawn: The dataset that they read; None where they begin with the source.
        """
        import tensorflow as tf

        address = self.run[0]
        try:
            original = self.recorded.dataset_of(self.run[-1])
            outputs = _flat(original)
            drawn = None if drawn is None else _flat(drawn)
            key = repr(outputs.element_spec)
            if key not in self.shared.kept:
                few = outputs.take(elements := self._elements()).cache()
                self.shared.kept[key] = _Kept(few, self._fill(few, elements))
            kept = self.shared.kept[key]
            replayed = kept.dataset.repeat()
            if drawn is not None:
                made = self._drawing(drawn, replayed, kept.each_bytes)
            else:
                count = int(outputs.cardinality())
                made = replayed.take(count) if count >= 0 else replayed
            self._each_seconds = self._seconds(drawn, outputs, kept)
        except (tf.errors.OpError, ValueError, TypeError) as error:
            msg = f"TensorFlow does not accept a replay of its outputs: {first_line(error)}"
            raise CannotChangeError(address, msg) from error
        return restructured(made, original.element_spec)

    def _seconds(self, drawn: Any, outputs: Any, kept: _Kept) -> float:
        """CPU time of handing out one element, measured once for each kind of what hands out."""
        kind = (
            repr(outputs.element_spec),
            drawn is not None and repr(drawn.element_spec),
            *((self.recorded.stages[one].op, self._parallel(one), self._is_stateful(one)) for one in self.run),
            *map(self._batch_size, (*self.run, *self._after)),
            self._drops_remainder(),
        )
        if kind not in self.shared.seconds:
            self.shared.seconds[kind] = self._time(drawn, outputs, kept.each_bytes)
        return self.shared.seconds[kind]

    def _time(self, drawn: Any, outputs: Any, each_bytes: float) -> float:
        import tensorflow as tf

        # What hands them on has their number of components, and not their bytes, which it does not copy.
        made = tf.data.Dataset.from_tensors(_nothings(outputs)).repeat()
        if drawn is not None:
            made = self._drawing(tf.data.Dataset.from_tensors(_nothings(drawn)).repeat(), made, each_bytes)

        def taken(count: int) -> float:
            iterator = iter(made.skip(count))
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

    def _fill(self, kept: Any, elements: int) -> float:
        """Fill the cache; return the bytes of an element, on the mean."""
        import tensorflow as tf

        held = count = 0
        for element in kept:
            count += 1
            parts = tf.nest.flatten(element, expand_composites=True)
            held += sum(int(tf.size(part)) * part.dtype.size for part in parts if part.dtype.is_numpy_compatible)
            if held > self.replay.most_bytes:
                limit = f"{self.replay.most_bytes / 1e6:,.0f} MB"
                msg = f"its outputs for {self.replay.batches} batches, {elements:,} of them, hold more than {limit}"
                raise CannotChangeError(self.run[0], msg)
        if not count:
            raise CannotChangeError(self.run[0], "it gave no element to replay")
        return held / count

    def _elements(self) -> int:
        exact = self._exact()
        if exact is not None:
            return math.ceil(self.replay.batches * exact)
        if self.replay.per_batch is None:
            raise CannotChangeError(self.run[0], "how many of its outputs make a batch is not known")
        return max(1, math.ceil(self.replay.batches * self.replay.per_batch))

    def _exact(self) -> float | None:
        """Return how many outputs make a batch of the pipeline, where the stages after them fix that."""
        exact = 1.0
        for address in self._after:
            row = traits(self.recorded.stages[address].op)
            if (size := self._batch_size(address)) is not None:
                exact *= size
            elif not (row.one_to_one or (row.by_position and row.consecutive)):
                return None
        return exact

    def _argument(self, address: str, name: str) -> Any:
        """An argument of a stage's call as a number or truth value; None where it is none or not known."""
        import tensorflow as tf

        try:
            call, _ = self.recorded.call_of(address)
        except CannotChangeError:
            return None
        value = call.arguments.get(name)
        return value.numpy().item() if isinstance(value, tf.Tensor) and value.shape.rank == 0 else value

    def _batch_size(self, address: str) -> int | None:
        """Return how many inputs become one output of a stage that stacks them; None for other stages."""
        row = traits(self.recorded.stages[address].op)
        size = self._argument(address, row.batches) if row.batches is not None and row.stacks else None
        return int(size) if size is not None and not isinstance(size, list | tuple) and size > 0 else None

    def _drawing(self, drawn: Any, replayed: Any, each_bytes: float) -> Any:
        """Return the replay as what the stages give: its elements come as the stages' inputs are drawn."""
        import tensorflow as tf

        plain = tf.autograph.experimental.do_not_convert
        inputs, outputs = self._ratio()
        last = self.run[-1]
        together = self._together(inputs, outputs, each_bytes)
        if together == 1 and inputs == 1 and outputs == 1 and traits(self.recorded.stages[last].op).maps:
            # TensorFlow then treats it as it treats the map.
            second = plain(partial(_second, self._is_stateful(last)))
            return tf.data.Dataset.zip((drawn, replayed)).map(second, num_parallel_calls=self._parallel(last))
        inputs, outputs = inputs * together, outputs * together
        drop = outputs == 1 and self._drops_remainder()
        left = drawn.window(inputs, drop_remainder=drop) if max(inputs, outputs) > 1 else drawn
        both = tf.data.Dataset.zip((left, replayed.window(outputs) if outputs > 1 else replayed))
        if outputs > 1:
            # No function is called for each element: that would take longer than many a stage.
            made = both.flat_map(plain(partial(_group, inputs, outputs)))
        else:
            made = both.scan(0, plain(lambda state, pair: (state, pair[1])))
        # One of them on a thread of its own leaves the thread that reads them free.
        return made.prefetch(_AHEAD * outputs) if any(map(self._runs_ahead, self.run)) else made

    def _together(self, inputs: int, outputs: int, each_bytes: float) -> int:
        """Return how many times so many inputs and outputs are drawn at once: no more than a few batches have."""
        if (inputs > 1 and outputs == 1) or each_bytes >= _LARGE_BYTES:
            return 1
        size = next((size for one in self._after if (size := self._batch_size(one)) is not None), 1)
        most = min(_BATCHES_TOGETHER * size, _MOST_TOGETHER) if size > 1 else 1
        return max(1, most // max(inputs, outputs))

    def _runs_ahead(self, address: str) -> bool:
        """Whether TensorFlow runs a stage on threads of its own, as written or as it rewrites it by default."""
        if self._parallel(address) is not None:
            return True
        options = self.recorded.dataset.options()
        rewritten = options.experimental_optimization.apply_default_optimizations is not False
        rewritten = rewritten and options.autotune.enabled is not False
        return rewritten and traits(self.recorded.stages[address].op).maps and not self._is_stateful(address)

    def _is_stateful(self, address: str) -> bool:
        function = self.recorded.made(address).function
        return is_stateful(function() if function is not None else None)

    def _parallel(self, address: str) -> int | None:
        """Return how many calls of a stage as written run at a time; None where it has no threads of its own."""
        if not executed(self.recorded.made(address).op).asynchronous:
            return None
        value = self._argument(address, "num_parallel_calls")
        return value if isinstance(value, int) else -1

    def _drops_remainder(self) -> bool:
        return any(self._argument(address, "drop_remainder") is True for address in self.run)

    def _ratio(self) -> tuple[int, int]:
        """Return how many inputs the stages draw for how many outputs: by their arguments where these fix it."""
        exact = 1
        for address in self.run:
            if (size := self._batch_size(address)) is not None:
                exact *= size
            elif not traits(self.recorded.stages[address].op).one_to_one:
                break
        else:
            return exact, 1
        if not self.replay.inputs or not self.replay.outputs:
            raise CannotChangeError(self.run[0], "how many inputs it takes for an output is not known")
        return self.replay.inputs, self.replay.outputs


def _flat(dataset: Any) -> Any:
    """Return a dataset with its elements as a tuple of their components, of which None is none."""
    return restructured(dataset, tuple(components(dataset.element_spec)))


def _nothings(dataset: Any) -> tuple[int, ...]:
    return (0,) * len(dataset.element_spec)


def _group(inputs: int, outputs: int, drawn: Any, given: Any) -> Any:
    """Return a window of the replay; less where the window of inputs is the last one."""
    import tensorflow as tf

    count = drawn[0].cardinality()
    return tf.data.Dataset.zip(given).take((count * outputs + inputs - 1) // inputs)


def _second(stateful: bool, _: Any, given: Any) -> Any:
    """Keep the replay's part of a pair.

    Args:
        stateful: With an op that has state: TensorFlow makes no such map parallel by itself.
    """
    import tensorflow as tf

    if not stateful:
        return given
    with tf.control_dependencies([tf.timestamp()]):
        return tf.nest.map_structure(tf.identity, given, expand_composites=True)
