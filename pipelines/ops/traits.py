"""Traits of the ops: one row per source and stage, by the name under which it is written.

The meaning of an op is asked here, as in ``traits(stage.op).passes``; an executed op has the traits of its written op
(`executed_ops`). No other module holds a collection of op names; a test checks it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from pipeprof.pipelines.ops.executed_ops import executed, written_op

Owner = Literal["cache", "shuffle", "prefetch", "parallel", "batch"]
Cardinality = Literal[
    "shortest", "sum", "times", "first", "rest", "groups", "windows", "share", "told", "chosen",
]  # fmt: skip
"""How an op's number of elements follows from those of its inputs and its arguments (`graph.cardinality`)."""


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
        python_iterator: An iterator of the user's gives its elements.
        cheap: A source whose elements cost next to nothing.
        generates_numbers: Its elements are numbers that it counts itself.
        function: TensorFlow's name of the argument with the function that is called per element.
        computes: That function computes elements or decides about them; those of the others make datasets.
        once_each: Its function is called once per element that comes out.
        carries_state: Its function also takes a state, before the element.
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
        to_device: Its elements are copied to the memory of a device.
        errors: Regular expressions of TensorFlow's messages that name no stage, only this kind.
        adds: What the component is called in generated code that it puts before each element.
        noun: What an element of a source is called in generated code.
        verb: What a function of it is called in generated code.
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
    python_iterator: bool = False
    cheap: bool = False
    generates_numbers: bool = False
    function: str | None = None
    predicate: bool = False
    computes: bool = False
    once_each: bool = False
    carries_state: bool = False
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
    to_device: bool = False
    errors: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    adds: str | None = None
    noun: str | None = None
    verb: str | None = None
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
        return self.function == _MAP.function and not self.nests

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
    def written_with_function(self) -> bool:
        """Whether a spec writes its function in the stage itself (`python:` or `ops:`)."""
        return self.computes or self.opens or (self.opaque and self.function is not None)

    @property
    def retains(self) -> bool:
        """Whether it holds elements in memory for longer than they take to the reader."""
        return self.holds is not None and (self.stores or self.shuffles)

    @property
    def opens(self) -> bool:
        """Whether it gives the elements of the datasets that its function makes of single elements."""
        return self.nests and self.single_function


_NO_TRAITS: Final = Traits()
# Files that ops inside functions read are identified by the nodes of these.
_NO_FILE: Final = r"No such file or directory"

SOURCES: Final[dict[str, Traits]] = {
    # The first: what a generator says of a file is its own error.
    "from_generator": Traits(
        python_iterator=True,
        reorders=True,
        wrapped=True,
        function="generator",
        computes=True,
        errors=(r"generator_py_func|from_generator_op\.py",),
    ),
    "zip": Traits(cardinality="shortest", combines=True, equal_inputs=True, one_to_one=True, same_count=True),
    "concatenate": Traits(cardinality="sum", combines=True, same_components=True, same_count=True),
    "sample_from_datasets": Traits(
        combines=True, equal_inputs=True, reorders=True, composed=True, positional=("datasets",)
    ),
    "choose_from_datasets": Traits(
        cardinality="chosen", combines=True, equal_inputs=True, reorders=True, positional=("datasets", "choice_dataset")
    ),
    "image_dataset_from_directory": Traits(loads_batches="batch_size", noun="image"),
    "text_dataset_from_directory": Traits(loads_batches="batch_size", noun="text"),
    "audio_dataset_from_directory": Traits(loads_batches="batch_size", noun="audio"),
    "timeseries_dataset_from_array": Traits(loads_batches="batch_size"),
    "list_files": Traits(names_files=True, cheap=True, composed=True, noun="path", positional=("file_pattern",)),
    "TFRecordDataset": Traits(
        same_count=True,
        composed=True,
        wrapped=True,
        reads_examples=True,
        noun="record",
        positional=("filenames",),
        errors=(r"(?i:corrupted record|truncated record|Failed to (?:fetch|read) .*record)", _NO_FILE),
    ),
    "TextLineDataset": Traits(
        same_count=True,
        composed=True,
        wrapped=True,
        reads_examples=True,
        noun="line",
        positional=("filenames",),
        errors=(_NO_FILE,),
    ),
    "FixedLengthRecordDataset": Traits(
        same_count=True,
        composed=True,
        wrapped=True,
        noun="record",
        positional=("filenames", "record_bytes"),
        errors=(_NO_FILE,),
    ),
    "CsvDataset": Traits(
        positional=("filenames", "record_defaults"), errors=(_NO_FILE, r"(?i:Expect(?:ed)? \d+ fields but have)")
    ),
    "load": Traits(stores=True, positional=("path",)),
    "tfds.load": Traits(loads_batches="batch_size", opaque=True),
    "python": Traits(opaque=True),
    "make_csv_dataset": Traits(loads_batches="batch_size"),
    "make_batched_features_dataset": Traits(loads_batches="batch_size"),
    "SqlDataset": Traits(),
    "from_tensor_slices": Traits(slices=True, in_memory=True, cheap=True, same_count=True, positional=("tensors",)),
    "from_tensors": Traits(in_memory=True, cheap=True, same_count=True, positional=("tensors",)),
    "from_list": Traits(cheap=True),
    "from_sparse_tensor_slices": Traits(),
    "range": Traits(cheap=True, generates_numbers=True, same_count=True, noun="number"),
    "random": Traits(cheap=True, reorders=True, noun="number"),
    "counter": Traits(generates_numbers=True, noun="number"),
}
"""Sources as they are written."""

_MAP: Final = Traits(
    one_to_one=True, keeps_shapes=True, same_count=True, holds="parallel", parallel=True, function="map_func",
    computes=True, once_each=True, single_function=True,
)  # fmt: skip
STAGES: Final[dict[str, Traits]] = {
    "batch": Traits(
        cardinality="groups", errors=(r"Cannot (?:add tensor to the batch|batch tensors)",), batches="batch_size",
        stacks=True, copies_rows=True, same_components=True, keeps_shapes=True, same_count=True,
        holds="batch", parallel=True, distinctive=True, positional=("batch_size",),
    ),
    "padded_batch": Traits(
        cardinality="groups", errors=(r"(?i:pad(?:ded)?[_ ]?(?:batch|shape))",), batches="batch_size", stacks=True,
        copies_rows=True, same_components=True, same_count=True, holds="batch",
        parallel=True, distinctive=True, verb="pad", positional=("batch_size",),
    ),
    "unbatch": Traits(
        unbatches=True, same_components=True, same_count=True, endless=True, composed=True, distinctive=True
    ),
    "rebatch": Traits(
        endless=True, batches="batch_size", unbatches=True, same_components=True, composed=True, distinctive=True,
        positional=("batch_size",),
    ),
    "ragged_batch": Traits(
        batches="batch_size", stacks=True, copies_rows=True, distinctive=True, positional=("batch_size",)
    ),
    "sparse_batch": Traits(cardinality="groups", batches="batch_size", copies_rows=True, distinctive=True),
    "cache": Traits(
        passes=True, one_to_one=True, by_position=True, consecutive=True, same_components=True, keeps_shapes=True,
        holds="cache", stores=True, distinctive=True, positional=("filename",),
    ),
    "prefetch": Traits(
        passes=True, one_to_one=True, by_position=True, consecutive=True, same_components=True, keeps_shapes=True,
        same_count=True, holds="prefetch", buffers=True, counts="buffer_size", distinctive=True,
        positional=("buffer_size",),
    ),
    "snapshot": Traits(
        writes=True, unpredicted="the data that waits to be written depends on the disk",
        one_to_one=True, same_components=True, keeps_shapes=True, stores=True, composed=True, positional=("path",)
    ),
    "prefetch_to_device": Traits(
        last=True, to_device=True, one_to_one=True, same_components=True, keeps_shapes=True, positional=("device",)
    ),
    "copy_to_device": Traits(
        to_device=True, one_to_one=True, same_components=True, keeps_shapes=True, positional=("target_device",)
    ),
    "concatenate": SOURCES["concatenate"],
    "window": Traits(cardinality="windows", windows=True, positional=("size",)),
    "group_by_window": Traits(
        unpredicted="it keeps a window for every key", nests=True, restarts=True, endless=True, holds="batch",
        function="key_func", distinctive=True
    ),
    "bucket_by_sequence_length": Traits(
        batches="bucket_batch_sizes", function="element_length_func", distinctive=True, verb="pad"
    ),
    "interleave": Traits(
        nests=True, restarts=True, endless=True, single_function=True, holds="parallel", parallel=True,
        function="map_func", distinctive=True, verb="read",
    ),
    "flat_map": Traits(
        nests=True, restarts=True, single_function=True, function="map_func", distinctive=True, verb="flatten"
    ),
    "map": _MAP,
    "filter": Traits(
        passes=True, drops=True, endless=True, same_components=True, function="predicate", predicate=True,
        computes=True, single_function=True, verb="is_kept",
    ),
    "take_while": Traits(
        ends_early=True,
        passes=True, drops=True, same_components=True, function="predicate", predicate=True, computes=True,
        once_each=True, single_function=True, verb="goes_on",
    ),
    "parse_example_dataset": Traits(one_to_one=True, keeps_rows=True),
    "scan": Traits(
        carries_state=True, one_to_one=True, keeps_shapes=True, function="scan_func", computes=True, once_each=True,
        verb="step",
        positional=("initial_state", "scan_func"),
    ),
    "shuffle": Traits(
        passes=True, one_to_one=True, by_position=True, same_components=True, keeps_shapes=True, reorders=True,
        holds="shuffle", buffers=True, counts="buffer_size", positional=("buffer_size",),
    ),
    "repeat": Traits(
        cardinality="times", passes=True, by_position=True, consecutive=True, same_components=True, keeps_shapes=True,
        restarts=True,
        takes_one=True, positional=("count",),
    ),
    "take": Traits(
        cardinality="first", ends_early=True,
        takes_one=True, passes=True, by_position=True, consecutive=True, drops=True, same_components=True,
        same_count=True, counts="count", positional=("count",),
    ),
    "skip": Traits(
        cardinality="rest", passes=True, by_position=True, consecutive=True, drops=True, same_components=True,
        same_count=True,
        counts="count", positional=("count",),
    ),
    "shard": Traits(
        cardinality="share", passes=True, by_position=True, drops=True, same_components=True, same_count=True,
        positional=("num_shards", "index"),
    ),
    "enumerate": Traits(adds="index", one_to_one=True, keeps_shapes=True, same_count=True, composed=True),
    "unique": Traits(passes=True, drops=True, same_components=True),
    "ignore_errors": Traits(passes=True, drops=True, swallows=True, same_components=True, distinctive=True),
    "rejection_resample": Traits(adds="class_", drops=True, reorders=True, function="class_func", distinctive=True),
    "assert_cardinality": Traits(
        cardinality="told", passes=True, one_to_one=True, consecutive=True, same_components=True, keeps_shapes=True,
        same_count=True, counts="expected_cardinality", distinctive=True, positional=("cardinality",),
    ),
    "pad_to_cardinality": Traits(counts="cardinality"),
    "apply": Traits(opaque=True, function="transformation_func"),
    "with_options": Traits(
        passes=True, one_to_one=True, by_position=True, consecutive=True, same_components=True, keeps_shapes=True,
        positional=("options",),
    ),
    "map+batch": Traits(
        cardinality="groups", batches="batch_size", stacks=True, copies_rows=True, same_count=True, holds="parallel",
        parallel=True,
        function="map_func", single_function=True, parts=("map", "batch"),
    ),
    "shuffle+repeat": Traits(
        cardinality="times", passes=True, by_position=True, same_components=True, reorders=True, holds="shuffle",
        buffers=True,
        takes_one=True, restarts=True, counts="buffer_size", parts=("shuffle", "repeat"),
    ),
}  # fmt: skip
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


def ops_with(question: Callable[[Traits], object]) -> frozenset[str]:
    """Return the sources and stages, by their spec names, for which ``question`` is true.

    Example:
        >>> sorted(ops_with(lambda row: row.in_memory))
        ['from_tensor_slices', 'from_tensors']
    """
    return frozenset(op for op, row in (SOURCES | STAGES).items() if question(row))


@functools.cache
def messages() -> tuple[str, ...]:
    """Regular expressions of messages that only name a kind of op (`Traits.errors`)."""
    return tuple(dict.fromkeys(text for row in (SOURCES | STAGES).values() for text in row.errors))


def check_rows(sources: Iterable[str], stages: Iterable[str]) -> None:
    """Check that every source and stage has a row.

    Raises:
        LookupError: Some have none.
    """
    for kind, names, rows in (("source", sources, SOURCES), ("stage", stages, STAGES)):
        missing = [name for name in names if name not in rows]
        if missing:
            raise LookupError(f"no row of traits for the {kind} {', '.join(missing)}: add one to {__name__}")


STAGE_OWNERS: Final[frozenset[str]] = frozenset(row.holds for row in STAGES.values() if row.holds)
"""Owners in the memory ledger of what stages hold."""
ELEMENT_OWNERS: Final[frozenset[str]] = frozenset(
    row.holds for row in STAGES.values() if row.holds and row.holds_elements
)
"""Those that hold elements as they are."""
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
