"""``from-tensor-slices-big-array``: several copies of a large array."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.changes.edits import HandWritten
from pipeprof.pipelines.ops.traits import RETAINING_OWNERS, traits
from pipeprof.profiles.advise.added_cost import Slower, slower
from pipeprof.profiles.advise.batch_savings import per_batch
from pipeprof.profiles.advise.byte_gate import MEMORY_GATE, Weight, weigh
from pipeprof.profiles.advise.rule import Rule, Threshold
from pipeprof.profiles.advise.text.file_rows import records_instead
from pipeprof.profiles.advise.text.snippets import (
    arguments_of,
    free_name,
    from_python,
    function_names,
    stage_call,
    stage_yaml,
    structure_of,
)
from pipeprof.profiles.constants import (
    ARRAY_COPIES,
    BATCH_HAND_OVER_US,
    NOT_REWRITTEN_COPIES,
    ROW_FUNCTION_US,
    STEADY_ARRAY_COPIES,
    UNBATCH_ROW_US,
)
from pipeprof.profiles.memory.predict.execution import rewritten
from pipeprof.profiles.memory.predict.predict import memory_prediction
from pipeprof.profiles.propose.proposal import Prediction, Proposal
from pipeprof.profiles.view.view import PipelineView, StageView
from pipeprof.profiles.wording import size

_BLOCK_BYTES = 1 << 20
_LARGEST_BLOCK = 1024


class FromTensorSlicesBigArray(Rule):
    """A large array as the source.

    Seen:
        from_tensor_slices over in-memory arrays that are a large part of the memory that the worker uses or may use.

    Why:
        from_tensor_slices copies the array into a tensor. Creating the iterator copies it once more while the graph is
        rewritten, and TensorFlow's CPU allocator keeps that memory. With the array itself this is 3.1 times its size
        for as long as the pipeline exists, and 4.1 times at the peak, because TensorFlow releases its reference to the
        first copy only at the next conversion. The stages after the source change nothing: the peak is the same with
        batch(), and with batch() and prefetch().

    Fix:
        Keep the rows in a file and read them from a memory map (np.load with mmap_mode='r'), many per call: send
        indices through shuffle, repeat and batch, and gather the rows of a batch in a map after it, about 0.1 ms more
        than slicing. If nothing can be batched first, read blocks of rows and unbatch them; a single row costs about 60
        µs. Where a spec's array is a .npy file, FixedLengthRecordDataset reads its rows without Python: run and fix try
        that. TFRecord files work as well. If the array must stay in memory: float32 instead of NumPy's default float64
        halves every copy, and deleting the array after the dataset is built saves one.

    Ignore when:
        Four times the array fits into memory, and nothing else needs the space.
    """

    name = "from-tensor-slices-big-array"
    title = "Read the array from a memory map"
    family = "memory"
    semantics = "same"
    thresholds = (
        *MEMORY_GATE,
        Threshold(
            "steady-copies",
            STEADY_ARRAY_COPIES,
            "times the array",
            "measured on 400 MB: array, tensor, the allocator's rest",
        ),
        Threshold("peak-copies", ARRAY_COPIES, "times the array", "measured on 400 MB, with batch() and without"),
        Threshold("own-peak", 0.9, "of the usual peak", "below it the run's own peak is stated"),
        Threshold(
            "call-cost",
            BATCH_HAND_OVER_US,
            "µs",
            "measured on TensorFlow 2.21: a call more than slicing, small batches",
        ),
        Threshold("unbatch-cost", UNBATCH_ROW_US, "µs", "a row that unbatch takes out: rows of 64 floats"),
        Threshold("slower", 0.95, "times", "a speed below it is stated: less is within the noise of a run"),
        Threshold("row-cost", ROW_FUNCTION_US, "µs", "measured on TensorFlow 2.21: one row through numpy_function"),
    )

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the bytes of the arrays; `graph-constant` has those that are constants of a graph."""
        for stage in view.stages:
            if stage.op != "from_tensor_slices" or not stage.source_bytes or stage.constant:
                continue
            weight = weigh(stage.source_bytes, view)
            if weight.matters:
                yield self._draft(view, stage, stage.source_bytes, weight)

    def _draft(self, view: PipelineView, stage: StageView, nbytes: int, weight: Weight) -> Proposal:
        fewer = 0 if rewritten(view) else NOT_REWRITTEN_COPIES
        copies = self.threshold("peak-copies") - fewer
        steady = round((self.threshold("steady-copies") - fewer) * nbytes)
        peak = round(copies * nbytes)
        # Where the program frees its array once the dataset is built, the run needed less than the rule of thumb.
        lower = (
            not weight.predicted
            and weight.peak_bytes is not None
            and weight.peak_bytes < self.threshold("own-peak") * peak
        )
        most = round(weight.peak_bytes) if lower and weight.peak_bytes is not None else peak
        wide = _float64_bytes(stage, nbytes)
        batch = any(traits(above.op).stacks for above in view.above(stage))
        compared = weight.words(peak)
        narrower = (
            f" As float32, every copy of its {size(wide)} of float64 would be half as large, with rounded values."
            if wide
            else ""
        )
        kept = "" if fewer else " and the freed copy that the allocator keeps"
        plan = _IndexPlan.of(view, stage)
        records = records_instead(stage, plan.indexed)
        held = _held_above(view, plan, indices=records is None)
        price = self._slower(view, plan) if records is None else None
        mapped = nbytes if records is None else 0
        more = f" + {size(held)} of rows in buffers, which are views of the array now" if held else ""
        own = _own_bytes(view, stage, weight)
        stays = f" - {size(nbytes)}" if mapped else ""
        if own is not None:
            less = f"-({size(own)} of the source at the peak{stays})"
        elif lower:
            less = f"at most -({size(most)}{stays}), other stages included"
        else:
            less = f"-({copies:g} - 1) × {size(nbytes)}" if mapped else f"-{copies:g} × {size(nbytes)}"
        saved = (most if own is None else own) - mapped - held
        words = plan.words(self.threshold("row-cost"), self.threshold("call-cost"))
        return Proposal(
            stage=stage.id,
            sentence=(
                f"{stage.label} slices {size(nbytes)} of arrays. Array{' and' if fewer else ','} tensor{kept} are "
                f"{'up to ' if lower else ''}{size(steady)} for as long as the pipeline exists, and {size(peak)} at "
                f"the peak{f': {compared}' if compared and not lower else ''}. "
                + (f"This run reached {size(most)} above TensorFlow itself. " if lower else "")
                + ("The batch() after it does not change that." if batch else "A batch() would not change that.")
            ),
            recommendation=f"{words if records is None else plan.record_words}{narrower}",
            evidence={
                "source_bytes": nbytes,
                "steady_bytes": steady,
                "peak_bytes": peak,
                **({"float64_bytes": wide} if wide else {}),
                **weight.evidence(),
            },
            edits=(plan.rewrite(),) if records is None else records,
            by_hand=plan.rewrite(),
            title="" if records is None else "Read the rows from the file",
            predicted=Prediction(
                f"{less}{more}"
                + ("; the system may drop the pages of the mapped file, at most its own size, when memory runs low")
                * bool(mapped)
                + f"{price.words if price is not None else ''}",
                speedup=price.speedup if price is not None else None,
                peak_rss_delta_bytes=-max(0, round(saved)),
            ),
        )

    def _slower(self, view: PipelineView, plan: _IndexPlan) -> Slower | None:
        """Cost of the Python calls per step, if nothing hides it; ``None`` if unknown."""
        given, apart = per_batch(view, plan.source), 0.0
        cost = self.threshold("row-cost" if plan.batch is None and plan.block == 1 else "call-cost")
        calls = given
        if plan.batch is not None:
            calls = per_batch(view, plan.batch)
        elif given is not None and plan.block > 1:
            calls, apart = given / plan.block, given * self.threshold("unbatch-cost")
        found = slower(view, plan.source, (calls * cost + apart) / 1000) if calls is not None else None
        return found if found is not None and found.speedup < self.threshold("slower") else None


def _float64_bytes(stage: StageView, nbytes: int) -> int:
    """Bytes of the arrays that are float64."""
    known = [(component.dtype, component.nbytes) for component in stage.element or ()]
    total = sum(width or 0 for _, width in known)
    if not total or any(width is None for _, width in known):
        return 0
    return round(nbytes * sum(width or 0 for dtype, width in known if dtype == "float64") / total)


def _held_above(view: PipelineView, plan: _IndexPlan, *, indices: bool) -> int:
    """Bytes of rows in shuffles and caches, which are views of the array now.

    Args:
        indices: Whether stages before the new map get indices, which are small, in place of rows.
    """
    row = plan.source.element_bytes or 0
    ids = {stage.id for stage in plan.indexed} if indices else set()
    total = 0.0
    for prediction in memory_prediction(view).held:
        stage = view.by_id.get(prediction.stage)
        if stage is None or prediction.how != "alias" or stage.id in ids or prediction.owner not in RETAINING_OWNERS:
            continue
        if plan.source.id not in {below.id for below in view.below(stage)}:
            continue
        count = stage.arguments.get("buffer_size") if prediction.owner == "shuffle" else None
        every = plan.rows or 0
        total += row * (min(count, every) if isinstance(count, int) else every)
    return round(total)


def _own_bytes(view: PipelineView, source: StageView, weight: Weight) -> int | None:
    """The source's share of the peak, as far as the peak falls with it; ``None`` without a ledger.

    What the other stages hold while the pipeline runs stays, also where the peak was before they held it.
    """
    memory = view.profile.memory if view.profile is not None else None
    own = sum(
        entry.bytes
        for entry in (memory.ledger if memory is not None else None) or ()
        if entry.owner == "source" and entry.stage == source.id
    )
    if not own or weight.predicted or weight.peak_bytes is None:
        return None
    others = sum(prediction.bytes for prediction in memory_prediction(view).held if prediction.owner != "source")
    return round(max(0, min(own, weight.peak_bytes - others)))


@dataclass(frozen=True)
class _IndexPlan:
    """Stages that get indices instead of rows, and the rows that a call reads.

    Attributes:
        source: The ``from_tensor_slices``.
        indexed: Stages that stay before the map that reads.
        batch: The batch among them, always the last one.
        rows: Rows of the array, where they are known.
        block: Rows to read at a time without a batch.
        function: Name of the function that reads, unlike any of the user's names.
    """

    source: StageView
    indexed: tuple[StageView, ...]
    batch: StageView | None
    rows: int | None
    block: int
    function: str = "read"

    @classmethod
    def of(cls, view: PipelineView, source: StageView) -> _IndexPlan:
        """Plan up to the batch, if the stages before it only order and count; else as little as possible."""
        row = source.element_bytes
        count = source.elements if source.elements is not None and source.elements > 0 else None
        if count is None and row and source.source_bytes:
            count = round(source.source_bytes / row)
        block = max(1, min(_LARGEST_BLOCK, int(_BLOCK_BYTES // row))) if row else 64
        name = free_name("read", *function_names(view))
        found: list[StageView] = []
        above = _only_reader(view, source)
        while above is not None and traits(above.op).by_position and not above.arguments.get("filename"):
            found.append(above)
            above = _only_reader(view, above)
        if above is not None and above.op == "batch":
            return cls(source, (*found, above), above, count, block, name)
        if all(_in_order(stage) for stage in found):
            found = []
        return cls(source, tuple(found), None, count, block, name)

    @property
    def sliced(self) -> bool:
        """Whether contiguous blocks of the file are read, because nothing has mixed the indices."""
        return not self.indexed and self.block > 1

    def words(self, row_cost: float, call_cost: float) -> str:
        """The plan in a few sentences."""
        begin = "Keep the rows in a file and read them from a memory map"
        orders = " and ".join(stage.op for stage in self.indexed if stage is not self.batch)
        through = f"send indices instead of rows through {orders}" if orders else ""
        if self.batch is not None:
            do = f"{through}, batch them" if through else "batch indices instead of rows"
            return (
                f"{begin}: {do}, and put the map that reads after the batch, so that one call reads a whole batch "
                f"(about {call_cost:g} µs more than slicing it). A single row would cost about {row_cost:g} µs."
            )
        if self.block == 1:
            extra = f": {through}, then one call for each row" if through else ", one call for each row"
            return f"{begin}{extra}. A call costs about {row_cost:g} µs, little compared with reading {self._row}."
        if self.sliced:
            return (
                f"{begin}, {self.block:,} rows at a time, and split these blocks with unbatch: the same rows in the "
                f"same order. A single row would cost about {row_cost:g} µs."
            )
        return (
            f"{begin}: {through}, read {self.block:,} rows in one call, and split these blocks with unbatch: the same "
            f"rows in the same order. A single row would cost about {row_cost:g} µs."
        )

    @property
    def record_words(self) -> str:
        """The plan where the rows are records of a file, in a few sentences."""
        at_once = "the rows of a batch at once, in a map after it" if self.batch is not None else "each row in a map"
        return (
            f"Read the rows from the file as records of {self._row}, and decode {at_once}: the same rows in the same "
            "order, and no copy of the array in memory. Each row is copied more often then, which costs "
            "speed where nothing else does; TensorFlow does not know the number of records before it has read them."
        )

    @property
    def _row(self) -> str:
        return size(self.source.element_bytes)

    def rewrite(self) -> HandWritten:
        """The part of the pipeline that changes, whole."""
        replaced = (self.source.id, *(stage.id for stage in self.indexed))
        return HandWritten(
            replaced,
            "\n".join(self._yaml(replaced)),
            "\n".join(self._python()),
            summary="replace the array with range and a map that reads rows from a memory map",
        )

    def _yaml(self, replaced: Sequence[str]) -> list[str]:
        where = f"in place of {replaced[0]}" + (f" to {replaced[-1]}" if len(replaced) > 1 else "")
        count = self.rows if self.rows is not None else "<ROWS>"
        step = f", step: {self.block}" if self.sliced else ""
        start = "start: 0, " if step else ""
        lines = [
            f"source:   # {where}",
            f"  range: {{{start}stop: {count}{step}}}"
            + ("" if self.rows is not None else "   # how many rows there are"),
            "stages:",
            *(f"  {line}" for stage in self.indexed for line in stage_yaml(stage.op, arguments_of(stage))),
        ]
        if self._regrouped:
            lines.append(f"  - batch: {{batch_size: {self.block}}}")
        lines.append(f'  - map: {{python: "rows.py:{self.function}"}}   # see Python')
        if self._taken_apart:
            lines.append("  - unbatch: {}")
        return lines

    @property
    def _taken_apart(self) -> bool:
        return self.batch is None and self.block > 1

    @property
    def _regrouped(self) -> bool:
        return self._taken_apart and not self.sliced

    def _python(self) -> list[str]:
        components = self.source.element or ()
        found = structure_of(self.source)
        names = list(found) if isinstance(found, list) else []
        files = _files(self.source, names, max(1, len(components)))
        several = len(components) > 1 or bool(names)
        index = f"start:start + {self.block}" if self.sliced else "i"
        argument = "start" if self.sliced else "i"
        if several:
            lines = [f"arrays = [np.load(path, mmap_mode='r') for path in {tuple(file.name for file in files)}]"]
            call = f"lambda {argument}: [one[{index}] for one in arrays], [index]"
        else:
            lines = [f"rows = np.load({files[0].name!r}, mmap_mode='r')"]
            call = f"lambda {argument}: rows[{index}], [index]"
        lines[0] += _origins(files)
        fixed = self.batch is not None and self.batch.arguments.get("drop_remainder") is True
        each = self.batch.arguments.get("batch_size") if self.batch is not None and fixed else None
        batched = self.batch is not None or self.block > 1
        body = from_python(components, names, call, rows=each if isinstance(each, int) else None, batched=batched)
        stop = self.rows if self.rows is not None else "len(arrays[0])" if several else "len(rows)"
        of = f"0, {stop}, {self.block}" if self.sliced else f"{stop}"
        lines += [
            f"def {self.function}(index):",
            *(f"    {line}" for line in body),
            f"dataset = tf.data.Dataset.range({of})",
        ]
        lines += [f"dataset = dataset{stage_call(stage, stage.arguments)}" for stage in self.indexed]
        if self._regrouped:
            lines.append(f"dataset = dataset.batch({self.block})")
        lines.append(f"dataset = dataset.map({self.function})" + (".unbatch()" if self._taken_apart else ""))
        return lines


def _only_reader(view: PipelineView, stage: StageView) -> StageView | None:
    readers = [other_stage for other_stage in view.readers(stage) if not other_stage.injected]
    return readers[0] if len(readers) == 1 and len(readers[0].inputs) == 1 else None


def _leaves(source: StageView, names: Sequence[str]) -> list[Any]:
    """The spec's value for each component."""
    tensors = (source.written or {}).get("tensors")
    if isinstance(tensors, Mapping):
        return [tensors.get(name) for name in names] if names else [tensors]
    return list(tensors) if isinstance(tensors, list) else []


@dataclass(frozen=True)
class _File:
    """A file for one component.

    Attributes:
        name: Its name in Python.
        origin: Its origin, if the name does not show it; empty for a file of the spec.
    """

    name: str
    origin: str = ""


_SAVED = "written once with np.save"


def _files(source: StageView, names: Sequence[str], count: int) -> list[_File]:
    """A file for each component: the spec's own, where it is one that can be mapped."""
    leaves = _leaves(source, names)
    default = [f"{name}.npy" for name in names] or (["rows.npy"] if count == 1 else [f"{i}.npy" for i in range(count)])
    known = leaves if len(leaves) == len(default) else [None] * len(default)
    return [_file(leaf, name) for leaf, name in zip(known, default, strict=True)]


def _file(leaf: Any, default: str) -> _File:
    written = leaf.get("npy") if isinstance(leaf, Mapping) else None
    if not isinstance(written, str):
        return _File(default, _SAVED)
    made = written.removeprefix("data:")
    # An input of `data:` is in the cache, under a name that is not the spec's.
    return _File(written) if made == written else _File(made.replace("/", "-"), f"a copy of {written}")


def _origins(files: Sequence[_File]) -> str:
    """A remark on the files that are not those of the spec."""
    if all(file.origin == files[0].origin for file in files) and files[0].origin in ("", _SAVED):
        return f"  # {files[0].origin}" if files[0].origin else ""
    return "  # " + ", ".join(f"{file.name}: {file.origin}" for file in files if file.origin)


def _in_order(stage: StageView) -> bool:
    """Whether rows in blocks may as well go through the stage afterwards."""
    row = traits(stage.op)
    return row.consecutive and not row.drops and not row.stores
