"""``from-generator-per-element``: a Python generator that yields one element at a time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import traits
from pipeprof.profiles.advise.batch_savings import alone, interval_ms, microseconds, per_batch, saving
from pipeprof.profiles.advise.byte_gate import BYTES
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.snippets import (
    arguments_of,
    free_name,
    function_file,
    function_name,
    function_names,
    source_yaml,
    stage_call,
    stage_yaml,
    structure_of,
)
from pipeprof.profiles.constants import (
    BATCH_HAND_OVER_US,
    HAND_OVER_COMPONENT_US,
    HAND_OVER_MB_US,
    HAND_OVER_US,
    TUNED_BUFFER_BATCHES,
    UNBATCH_ROW_US,
)
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.thread_chains import end, kind_of, tuned_buffer
from pipeprof.profiles.view.view import ComponentView, PipelineView, StageView
from pipeprof.profiles.wording import count, milliseconds, percent, significant, size


class FromGeneratorPerElement(Rule):
    """A generator that yields single elements into a batch.

    Seen:
        from_generator feeds a batch and takes most of the pipeline's time. An element costs about as much as its
        transfer from Python to TensorFlow: the generator itself does little.

    Why:
        Every element is transferred from Python to TensorFlow in a call of its own, about 57 µs under the GIL, and 12
        µs more for each further component: a row of 100 scalars costs as much as 20 rows of one tensor.
        num_parallel_calls and prefetch do not make that faster; fewer transfers do: 36 times as many rows per second
        when the generator yields 64 rows at a time, 40 to 60 times without a generator.

    Fix:
        If the rows are in an array or an indexable file, replace the generator with from_tensor_slices, or with range
        and a map that reads one slice per batch. Otherwise yield whole batches and remove the batch stage; if the rows
        are needed one by one before they are batched, split the chunks with unbatch. A prefetch with AUTOTUNE may then
        hold hundreds of batches: set buffer_size for large ones. Compare the output: pipeprof cannot know whether the
        generator only reads rows in order.

    Ignore when:
        The elements arrive one by one from outside, e.g. from a socket.
    """

    name = "from-generator-per-element"
    title = "Yield batches from the generator"
    family = "speed"
    semantics = "values"
    thresholds = (
        Threshold("hand-over", HAND_OVER_US, "µs", "measured on TensorFlow 2.21: rows of 256 floats"),
        Threshold("component", HAND_OVER_COMPONENT_US, "µs", "each further component of an element: 100 scalars"),
        Threshold("megabyte", HAND_OVER_MB_US, "µs", "each megabyte of an element: copied, however it is transferred"),
        Threshold("cost-over-hand-over", 3, "times", "an element that costs more is work in the generator", 10),
        Threshold(
            "chunk-cost", BATCH_HAND_OVER_US, "µs", "the transfer of a whole batch, measured with rows of 256 floats"
        ),
        Threshold(
            "unbatch-cost", UNBATCH_ROW_US, "µs", "a row that unbatch takes out, and batch puts back: rows of 64 floats"
        ),
        Threshold(
            "tuned-buffer",
            TUNED_BUFFER_BATCHES,
            "batches",
            "measured without a step: what a tuned prefetch came to hold",
        ),
        BYTES,
        Threshold("time-share", 0.5, "of the time inside the stages", "below it something else comes first", 0.25),
        Threshold("elements-per-batch", 8, "elements", "below it there are few hand-overs to save"),
        Threshold("predicted-speedup", 1.05, "times", "the share of the step below which speed is left alone"),
    )

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the cost of an element and the generator's part of the time."""
        for stage in view.stages:
            batch = next((other_stage for other_stage in view.above(stage) if traits(other_stage.op).stacks), None)
            if stage.op == "from_generator" and batch is not None:
                yield from self._judge(view, stage, batch)

    def _judge(self, view: PipelineView, stage: StageView, batch: StageView) -> Iterable[Proposal]:
        cost, given, interval = microseconds(view, stage), per_batch(view, stage), interval_ms(view)
        share = stage.measured.share if stage.measured is not None else None
        components = self.threshold("component") * max(0, len(stage.element or ()) - 1)
        floor = self.threshold("hand-over") + components
        copied = self.threshold("megabyte") * (stage.element_bytes or 0.0) / 1e6
        if cost is None or given is None or interval is None or share is None:
            return
        if given < self.threshold("elements-per-batch") or share < self.threshold("time-share"):
            return
        if alone(view, cost) - copied > floor * self.threshold("cost-over-hand-over"):
            return
        plan = _ChunkPlan.of(view, stage, batch)
        apart = 0.0 if plan.whole else self.threshold("unbatch-cost")
        chunks = given / plan.size
        ahead = _Ahead.of(view, plan, round(self.threshold("tuned-buffer")))
        bounded = ahead is not None and ahead.nbytes >= self.threshold("bytes")
        chunk = self.threshold("chunk-cost") + components
        saved = max(0.0, (given * (min(cost, floor) - apart) - chunks * chunk) / 1000)
        text = (
            f"{count(given)} transfers of {significant(min(cost, floor))} µs less {count(chunks)} of "
            f"{chunk:g} µs" + ("" if plan.whole else f" and {apart:g} µs per row to split them")
        )
        predicted = saving(view, text, saved, {stage.id})
        if predicted is None or (predicted.speedup or 0.0) < self.threshold("predicted-speedup"):
            return
        yield Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} transfers {count(given)} elements per batch one by one, {significant(cost)} µs each, "
                f"{_compared(cost, floor)}. That is {percent(share)} of the time inside the pipeline, "
                f"{milliseconds(given * cost / 1000)} of the {milliseconds(interval)} that a batch takes."
            ),
            recommendation=(
                "If the rows can be indexed (an array, a memory map), read them without a generator: "
                "from_tensor_slices if a copy fits into memory, else range with a map that reads a slice. Otherwise "
                f"yield {plan.size} rows at a time; {plan.words}"
                + (f" {ahead.words}" if ahead is not None and bounded else "")
            ),
            evidence={
                "elements_per_batch": given,
                "us_per_element": cost,
                "hand_over_us": floor,
                "time_share": share,
                "interval_ms": interval,
                **({"tuned_prefetch_bytes": round(ahead.nbytes)} if ahead is not None and bounded else {}),
            },
            edits=(plan.rewrite(bounded=bounded and plan.last),),
            predicted=_with_price(predicted, ahead, plan) if ahead is not None and bounded else predicted,
        )


_LONGEST_LINE = 100
_TWO = 2
"""Batches that a prefetch needs to work ahead."""


@dataclass(frozen=True)
class _Ahead:
    """The prefetch at the end of the pipeline, where TensorFlow chooses its size.

    Attributes:
        batch_bytes: Bytes of a batch.
        most: Batches that such a prefetch came to hold.
    """

    batch_bytes: float
    most: int

    @classmethod
    def of(cls, view: PipelineView, plan: _ChunkPlan, most: int) -> _Ahead | None:
        """``None`` where there is none, or where the size of a batch is not known."""
        last, element = end(view), plan.source.element_bytes
        if last is None or kind_of(last) != "Prefetch" or not (last.injected or tuned_buffer(last)):
            return None
        return cls(element * plan.size, most) if element and plan.whole else None

    @property
    def nbytes(self) -> float:
        """Bytes that the prefetch may come to hold."""
        return self.batch_bytes * self.most

    @property
    def words(self) -> str:
        """The price, and what bounds it."""
        return (
            f"A batch is {size(self.batch_bytes)}. The prefetch that TensorFlow tunes doubles its buffer whenever it "
            f"was empty: with fast batches it may hold hundreds of them, above all without a step; {self.most} would "
            f"be {size(self.nbytes)}. buffer_size={_TWO} limits it."
        )


def _with_price(predicted: Prediction, ahead: _Ahead, plan: _ChunkPlan) -> Prediction:
    if plan.last:
        return replace(predicted, formula=f"{predicted.formula}; {_TWO} × {size(ahead.batch_bytes)} in the prefetch")
    more = f"up to {ahead.most} × {size(ahead.batch_bytes)} = {size(ahead.nbytes)} more in the tuned prefetch"
    return replace(predicted, formula=f"{predicted.formula}; {more}")


def _compared(cost: float, floor: float) -> str:
    """Compare the cost of an element with that of a transfer alone."""
    if cost < floor:
        return f"no more than a transfer alone (about {floor:g} µs where it was measured)"
    return f"including about {floor:g} µs for the transfer alone"


_USUAL = 64


@dataclass(frozen=True)
class _ChunkPlan:
    """The generator in chunks.

    Attributes:
        source: The ``from_generator``.
        between: Stages between it and the batch, each with the arguments that change.
        batch: The batch to remove, if the chunks can be the batches.
        last: Whether the batch is the end of what was written, and TensorFlow adds the prefetch.
    """

    source: StageView
    size: int
    between: tuple[tuple[StageView, dict[str, Any]], ...] = ()
    batch: StageView | None = None
    taken: tuple[str, ...] = ()
    last: bool = False

    @classmethod
    def of(cls, view: PipelineView, source: StageView, batch: StageView) -> _ChunkPlan:
        """Chunks as batches where only counting lies between, and it can be counted in chunks."""
        given = batch.arguments.get("batch_size")
        size = given if isinstance(given, int) and given > 0 else _USUAL
        plain = cls(source, size, taken=function_names(view))
        between: list[tuple[StageView, dict[str, Any]]] = []
        at = source
        while True:
            readers = [stage for stage in view.readers(at) if not stage.injected]
            if len(readers) != 1 or len(readers[0].inputs) != 1:
                return plain
            at = readers[0]
            if at.id == batch.id and at.op == "batch" and isinstance(given, int):
                added = any(stage.injected and stage.op == "prefetch" for stage in view.readers(at))
                return replace(plain, between=tuple(between), batch=batch, last=added and batch == view.root)
            change = _in_chunks(at, size)
            if change is None:
                return plain
            between.append((at, change))

    @property
    def whole(self) -> bool:
        """Whether a chunk is a batch."""
        return self.batch is not None

    @property
    def _full_only(self) -> bool:
        return self.batch is not None and self.batch.arguments.get("drop_remainder") is True

    @property
    def words(self) -> str:
        """Advice on the batch, for the recommendation."""
        if not self.whole:
            return "unbatch then splits the chunks, at half a microsecond per row."
        if self._full_only:
            return "remove the batch. The generator drops what does not fill a batch, as drop_remainder does today."
        if any(one.op == "repeat" for one, _ in self.between):
            return (
                "remove the batch. The last batch of each epoch is then shorter if the rows do not divide evenly; "
                "today it is filled with rows of the next epoch."
            )
        return "remove the batch."

    def rewrite(self, *, bounded: bool) -> HandWritten:
        """The part of the pipeline that changes, whole; ``bounded`` with a prefetch of a fixed size at its end."""
        gone = [one.id for one, _ in self.between] + ([self.batch.id] if self.batch is not None else [])
        replaced = (self.source.id, *gone)
        where = replaced[0] + (f" to {replaced[-1]}" if gone else "")
        rest = [*self._stages(), *([f"- prefetch: {{buffer_size: {_TWO}}}"] if bounded else [])]
        yaml = [
            f"source:   # in place of {where}",
            *(f"  {line}" for line in source_yaml("from_generator", self._arguments())),
            *(["stages:"] if rest else []),
            *(f"  {line}" for line in rest),
        ]
        python = [*self._python(), *([f"dataset = dataset.prefetch({_TWO})"] if bounded else [])]
        what = f", remove {self.batch.op}" if self.batch is not None else ", then unbatch"
        return HandWritten(
            replaced, "\n".join(yaml), "\n".join(python), summary=f"yield {self.size} rows at a time{what}"
        )

    def _stages(self) -> list[str]:
        if not self.whole:
            return ["- unbatch: {}   # the later stages stay the same"]
        return [line for one, change in self.between for line in stage_yaml(one.op, {**arguments_of(one), **change})]

    def _arguments(self) -> dict[str, Any]:
        rows = self.size if self._full_only else None
        written = dict(self.source.written or {})
        file = function_file(self.source)
        written.pop("generator", None)
        return {
            **written,
            "python": f"{file}:{self._function}",
            "output_signature": _signature_of_batches(self.source, rows),
        }

    @property
    def _generator(self) -> str:
        """Name of the present generator in Python."""
        return function_name(self.source) if self.source.written is not None else "generator"

    @property
    def _function(self) -> str:
        """Name of the new generator in Python."""
        return free_name("chunks", self._generator, *self.taken)

    def _python(self) -> list[str]:
        # Called like a name in the lines below, the generator would not be found there.
        name = self._generator
        each_row, some = free_name("one_by_one", name), free_name("rows", name)
        alias = ["generator = dataset  # the name is needed"] if name == "dataset" else []
        found = structure_of(self.source)
        several = (isinstance(found, int) and found > 1) or len(self.source.element or ()) > 1
        each = f"np.stack({some})"
        if isinstance(found, list):
            each = f"{{key: np.stack([row[key] for row in {some}]) for key in {some}[0]}}"
        elif several:
            each = f"tuple(np.stack(column) for column in zip(*{some}))"
        taken = f"{some} := list(itertools.islice({each_row}, {self.size}))"
        rows = self.size if self._full_only else None
        lines = [
            *alias,
            f"def {self._function}():  # better still without a loop over rows: yield slices of what they come from",
            f"    {each_row} = iter({'generator' if alias else name}())",
            f"    while {f'len({taken}) == {self.size}' if self._full_only else taken}:",
            f"        yield {each}",
            *_source_python(self._function, _tensor_specs(self.source, rows), free_name("signature", name)),
        ]
        if not self.whole:
            return [*lines, "dataset = dataset.unbatch()"]
        return [*lines, *(f"dataset = dataset{stage_call(one, {**one.arguments, **new})}" for one, new in self.between)]


def _in_chunks(stage: StageView, size: int) -> dict[str, Any] | None:
    """Changed arguments of a stage that counts rows if it gets chunks; ``None`` if it cannot count chunks."""
    if stage.op == "repeat":
        return {}
    row = traits(stage.op)
    argument = row.counts if row.consecutive else None
    value = stage.arguments.get(argument) if argument is not None else None
    if argument is None or (stage.op != "prefetch" and not isinstance(value, int)):
        return None
    if not isinstance(value, int) or value < 0:
        return {}
    if stage.op == "prefetch":
        return {argument: max(1, math.ceil(value / size))}
    return {argument: value // size} if value % size == 0 else None


def _signature_of_batches(source: StageView, rows: int | None) -> Any:
    """The ``output_signature`` as the spec writes it, with a first dimension of ``rows``, ``None`` for any number."""
    written = (source.written or {}).get("output_signature")
    if written is not None:
        return _batched(written, rows)
    found = [
        {**({} if component.shape is None else {"shape": [rows, *component.shape]}), "dtype": component.dtype}
        for component in source.element or ()
    ]
    return found[0] if len(found) == 1 else found


def _batched(written: Any, rows: int | None) -> Any:
    if isinstance(written, Mapping) and "dtype" in written:
        shape = written.get("shape", [])
        return {**written, "shape": None if shape is None else [rows, *shape]}
    if isinstance(written, Mapping):
        return {key: _batched(inner, rows) for key, inner in written.items()}
    return [_batched(inner, rows) for inner in written] if isinstance(written, list | tuple) else written


def _tensor_specs(source: StageView, rows: int | None) -> str:
    """The signature of batches as Python writes it."""
    found = structure_of(source)
    specs = [_spec(component, rows) for component in source.element or ()]
    if isinstance(found, list) and len(found) == len(specs):
        return "{" + ", ".join(f"{name!r}: {spec}" for name, spec in zip(found, specs, strict=True)) + "}"
    if len(specs) == 1 and not isinstance(found, int):
        return specs[0]
    return f"({', '.join(specs)}{',' if len(specs) == 1 else ''})" if specs else "…"


def _spec(one: ComponentView, rows: int | None) -> str:
    shape = None if one.shape is None else [rows, *one.shape]
    return f"tf.TensorSpec({shape}, tf.{one.dtype})"


def _source_python(function: str, signature: str, name: str = "signature") -> list[str]:
    """The call that makes the dataset; ``name`` is that of the signature where it stands in a line of its own."""
    line = f"dataset = tf.data.Dataset.from_generator({function}, output_signature={signature})"
    if len(line) <= _LONGEST_LINE:
        return [line]
    return [f"{name} = {signature}", f"dataset = tf.data.Dataset.from_generator({function}, output_signature={name})"]
