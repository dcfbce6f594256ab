"""Traits of the ops: one row per source and stage, by the name under which it is written.

The meaning of an op is asked here, as in ``traits(stage.op).passes``; an executed op has the traits of its written op
(`executed_ops`). No other module holds a collection of op names; a test checks it.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from pipeprof.pipelines.meaning.executed_ops import executed, written_op
from pipeprof.pipelines.tables import as_tuples, read_table

Owner = Literal["cache", "shuffle", "prefetch", "parallel", "batch"]
Cardinality = Literal[
    "shortest", "sum", "times", "first", "rest", "groups", "windows", "share", "told", "chosen",
]  # fmt: skip
"""How an op's number of elements follows from those of its inputs and its arguments (`graph.elements`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """The meaning of one op; an op without a row has none of the traits.

    Attributes:
        batches: For a stage whose elements are batches, the argument that sets their number of elements.
        loads_batches: The same of a source; None as the value of that argument means no batches.
        stacks: Consecutive elements become the rows of one tensor per component.
        copies_rows: TensorFlow copies the elements into the batch on threads that no trace shows (``parallel_copy``).
        passes: Gives out elements that it was given, their tensors unchanged.
        keeps_rows: Its elements have as many rows as those that it gets, even where its function is not in the graph.
        one_to_one: Gives exactly one element for every element (of every input).
        by_position: Decides by the position of an element, never by its value, whether and when it comes out.
        consecutive: Neighbours stay neighbours, and no element in between is dropped.
        drops: May give fewer elements than it gets.
        swallows: Goes on after an error, without the element that raised it.
        same_components: Elements have the same components, in the same order, as those that it gets.
        keeps_shapes: Every element gets through with its own shape, so that what differs in shape still differs.
        reorders: May give neighbours in another order in each epoch.
        same_count: Gives as many elements in every epoch, if its input does.
        holds: Owner in the memory ledger of what it holds.
        buffers: Holds elements that it made ahead or collected.
        stores: Keeps elements for later epochs, or reads ones that were kept.
        writes: Writes its elements into files, for later runs.
        unpredicted: Why the size of its buffers cannot be predicted.
        cardinality: How many elements it gives, where that is not said by `one_to_one` or `endless`.
        in_memory: Slices or gives tensors that are in memory.
        slices: Its elements are the rows of tensors.
        names_files: Its elements are names of files.
        reads_files: A source that opens files and gives the records in them.
        python_iterator: An iterator of the user's gives its elements.
        cheap: A source whose elements cost next to nothing.
        generates_numbers: Its elements are numbers that it counts itself.
        function: TensorFlow's name of the argument with the function that is called per element.
        computes: That function computes elements or decides about them; those of the others make datasets.
        once_each: Its function is called once per element that comes out.
        single_function: It calls one function on the element of one input, and nothing else.
        equal_inputs: None of its inputs is the one that the stage is applied to.
        takes_one: Takes one element for every one that it gives.
        endless: Has no end if its input has none; else its number of elements is unknown.
        windows: Its elements are datasets of the elements that it gets.
        ends_early: Stops reading its input before that ends.
        opaque: Code of the user's or of another library makes the dataset.
        restarts: Makes the iterators of its input or of its functions anew while it runs.
        parallel: Runs ahead of its reader once it has several calls (`num_parallel_calls`).
        composed: TensorFlow's Python API makes it of several datasets, whose arguments are not the user's.
        wrapped: TensorFlow's Python API wraps it in a ``flat_map`` over files or a dummy element.
        distinctive: A method of this name is one of a dataset.
        last: Must be the last stage of the whole pipeline.
        remote: Workers of a tf.data service, which are other processes, make its elements.
        errors: Regular expressions of TensorFlow's messages that name no stage, only this kind.
        positional: Arguments that are written without their name in generated code.
    """

    batches: str | None = None
    loads_batches: str | None = None
    stacks: bool = False
    copies_rows: bool = False
    unbatches: bool = False
    keeps_rows: bool = False
    passes: bool = False
    one_to_one: bool = False
    by_position: bool = False
    consecutive: bool = False
    drops: bool = False
    swallows: bool = False
    same_components: bool = False
    keeps_shapes: bool = False
    reorders: bool = False
    same_count: bool = False
    holds: Owner | None = None
    buffers: bool = False
    stores: bool = False
    writes: bool = False
    unpredicted: str | None = None
    counts: str | None = None
    cardinality: Cardinality | None = None
    in_memory: bool = False
    slices: bool = False
    names_files: bool = False
    reads_files: bool = False
    python_iterator: bool = False
    cheap: bool = False
    generates_numbers: bool = False
    function: str | None = None
    predicate: bool = False
    computes: bool = False
    once_each: bool = False
    single_function: bool = False
    nests: bool = False
    combines: bool = False
    equal_inputs: bool = False
    takes_one: bool = False
    endless: bool = False
    windows: bool = False
    ends_early: bool = False
    opaque: bool = False
    restarts: bool = False
    parallel: bool = False
    composed: bool = False
    wrapped: bool = False
    reads_examples: bool = False
    distinctive: bool = False
    last: bool = False
    remote: bool = False
    errors: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    positional: tuple[str, ...] = ()

    @property
    def regroups(self) -> bool:
        """Whether its elements consist of other sets of values than those that it gets."""
        return self.unbatches or self.nests or self.windows or self.batches is not None

    @property
    def rebatches(self) -> bool:
        """Whether it makes batches of other sizes of those that it gets."""
        return self.unbatches and self.batches is not None

    @property
    def interleaves(self) -> bool:
        """Whether it reads several datasets that its function makes at a time."""
        return self.nests and self.parallel

    @property
    def chooses(self) -> bool:
        """Whether its last input says which of the others gives the next element."""
        return self.cardinality == "chosen"

    @property
    def pads(self) -> bool:
        """Whether it makes elements of different shapes the rows of one tensor."""
        return self.stacks and self.same_components and not self.keeps_shapes

    @property
    def maps(self) -> bool:
        """Whether its function makes an element of an element."""
        return self.function == STAGES["map"].function and not self.nests

    @property
    def holds_elements(self) -> bool:
        """Whether it holds elements as they are, not batches or results in progress."""
        return self.buffers or self.retains

    @property
    def collects_windows(self) -> bool:
        """Whether it collects elements in windows, which no buffer of TensorFlow's model counts."""
        return self.function is not None and not self.single_function and (self.nests or self.batches is not None)

    @property
    def shuffles(self) -> bool:
        """Whether it shuffles elements in a buffer."""
        return self.buffers and self.reorders

    @property
    def repeats(self) -> bool:
        """Whether it gives its elements several times."""
        return self.restarts and not self.nests

    @property
    def prefetches(self) -> bool:
        """Whether it makes elements ahead, in their order."""
        return self.buffers and self.consecutive

    @property
    def retains(self) -> bool:
        """Whether it holds elements in memory for longer than they take to the reader."""
        return self.holds is not None and (self.stores or self.shuffles)

    @property
    def opens(self) -> bool:
        """Whether it gives the elements of the datasets that its function makes of single elements."""
        return self.nests and self.single_function


_NO_TRAITS: Final = Traits()


def _rows(kind: str) -> dict[str, Traits]:
    """The rows of ``traits.json``: the traits that an op simply has stand in one text, under ``is``."""
    rows: dict[str, dict[str, Any]] = read_table("pipeprof.pipelines.meaning", "traits")[kind]
    return {op: _row(**row) for op, row in rows.items()}


def _row(**written: Any) -> Traits:
    flags: dict[str, Any] = dict.fromkeys(written.pop("is", "").split(), True)
    return Traits(**flags | as_tuples(written))


SOURCES: Final = _rows("sources")
"""Sources as they are written; the first, a generator, says of a file that is missing what is its own error."""
STAGES: Final = _rows("stages")
"""Stages as they are written; `map+batch` and `shuffle+repeat` only TensorFlow (and its deprecated functions) make."""


def holder(iterator: str) -> tuple[Owner, str] | None:
    """Owner in the memory ledger and written op of an iterator that holds elements or batches.

    Args:
        iterator: The model's name of it. A serial ``Map`` holds nothing; only a ``ParallelMap`` does.

    Example:
        >>> holder("MemoryCacheImpl"), holder("MapAndBatch"), holder("Map")
        (('cache', 'cache'), ('parallel', 'map'), None)
    """
    name = iterator.removesuffix("Impl")
    row = traits(name)
    if row.holds is None or (row.holds == "parallel" and not (row.nests or executed(name).asynchronous)):
        return None
    return row.holds, (row.parts or (written_op(name),))[0]


@functools.cache
def traits(op: str) -> Traits:
    """The traits of an op: as it is written, or as TensorFlow executes it (op type, family, or iterator).

    Example:
        >>> traits("padded_batch").batches, traits("ParallelMapDatasetV2").one_to_one, traits("no_such_op").passes
        ('batch_size', True, False)
    """
    row = STAGES.get(op) or SOURCES.get(op)
    if row is None:
        name = written_op(op)
        row = STAGES.get(name) or SOURCES.get(name)
    return row or _NO_TRAITS


def runs_ahead(op: str | None) -> bool:
    """Whether an executed op makes its elements on threads of its own, ahead of its reader; False without one."""
    return op is not None and (traits(op).prefetches or executed(op).asynchronous)


@functools.cache
def messages() -> tuple[str, ...]:
    """Regular expressions of messages that only name a kind of op (`Traits.errors`)."""
    return tuple(dict.fromkeys(text for row in (SOURCES | STAGES).values() for text in row.errors))


STAGE_OWNERS: Final[frozenset[str]] = frozenset(row.holds for row in STAGES.values() if row.holds)
"""Owners in the memory ledger of what stages hold."""
RETAINING_OWNERS: Final[frozenset[str]] = frozenset(row.holds for row in STAGES.values() if row.holds and row.retains)
"""Those that hold elements in memory for longer than they take to the reader."""

_WRITERS: Final = re.compile(
    r"WriteFile|\w*DatasetToTFRecord(?:V\d)?|Write\w*Summary|Create(?:SummaryFile|SummaryDb)Writer"
    r"|Save(?:V2|Slices|Dataset|DatasetV2)?|DistributedSave|MergeV2Checkpoints"
)
"""Ops of functions, or of datasets, that write files whatever their arguments are."""


def writes_files(op: str) -> bool:
    """Whether an op in the graph of a function writes files."""
    return _WRITERS.fullmatch(op) is not None
