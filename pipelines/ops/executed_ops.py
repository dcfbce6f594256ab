"""Dataset ops that TensorFlow executes: one row per op, with the op that its user writes.

Ops are looked up by *family*, the op type without ``Dataset`` and version: ``ParallelMapDatasetV2`` belongs to
``ParallelMap``, which is a ``map``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

_VERSION: Final = re.compile(r"V\d+$")
_DATASET_OP: Final = re.compile(r"(?P<family>\w+?)Dataset(?:V\d+)?$")


@dataclass(frozen=True, slots=True)
class Executed:
    """An op that TensorFlow executes.

    Attributes:
        asynchronous: It works on threads of its own, with a degree of parallelism.
        in_model: Names of its iterators in the performance model, where they differ from the family.
        tail: Names of its last inputs, which are numbers; "" for an input that is none.
        head: The same of its first inputs.
        wraps_readers: TensorFlow's Python API makes its readers of files with it.
        buffer_input: Index of the input that is the bytes a reader of files reads at once.
    """

    op: str
    asynchronous: bool = False
    in_model: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    wraps_readers: bool = False
    buffer_input: int | None = None


EXECUTED: Final[dict[str, Executed]] = {
    "AssertCardinality": Executed("assert_cardinality", tail=("cardinality",)),
    "Batch": Executed("batch", tail=("batch_size", "drop_remainder")),
    "CSV": Executed(
        "CsvDataset",
        head=(
            "filenames", "compression_type", "buffer_size", "header", "field_delim", "use_quote_delim", "na_value",
            "select_cols",
        ),
    ),
    "Cache": Executed("cache", in_model=("MemoryCache", "FileCache"), head=("", "filename")),
    "DenseToSparseBatch": Executed("sparse_batch", head=("", "batch_size")),
    "DirectedInterleave": Executed("choose_from_datasets"),
    "FixedLengthRecord": Executed("FixedLengthRecordDataset", buffer_input=4),
    "FlatMap": Executed("flat_map", wraps_readers=True),
    "Generator": Executed("from_generator"),
    "Interleave": Executed("interleave", tail=("cycle_length", "block_length")),
    "LegacyParallelInterleave": Executed(
        "interleave", asynchronous=True, wraps_readers=True,
        tail=("cycle_length", "block_length", "buffer_output_elements", "prefetch_input_elements"),
    ),
    "List": Executed("from_list"),
    "MapAndBatch": Executed(
        "map+batch", asynchronous=True, tail=("batch_size", "num_parallel_calls", "drop_remainder")
    ),
    "MatchingFiles": Executed("list_files"),
    "MaxIntraOpParallelism": Executed("max_intra_op_parallelism", tail=("max_intra_op_parallelism",)),
    "PaddedBatch": Executed("padded_batch", head=("", "batch_size")),
    "ParallelBatch": Executed(
        "batch", asynchronous=True, tail=("batch_size", "num_parallel_calls", "drop_remainder")
    ),
    "ParallelFilter": Executed("filter"),
    "ParallelInterleave": Executed(
        "interleave", asynchronous=True,
        tail=(
            "cycle_length", "block_length", "buffer_output_elements", "prefetch_input_elements", "num_parallel_calls",
        ),
    ),
    "ParallelMap": Executed("map", asynchronous=True, tail=("num_parallel_calls",)),
    "ParseExample": Executed("parse_example_dataset"),
    "Prefetch": Executed("prefetch", tail=("buffer_size",)),
    "PrivateThreadPool": Executed("private_thread_pool", tail=("num_threads",)),
    "Range": Executed("range", tail=("start", "stop", "step")),
    "Rebatch": Executed("rebatch", head=("", "batch_sizes")),
    "Repeat": Executed("repeat", in_model=("ForeverRepeat", "FiniteRepeat", "EmptyRepeat"), tail=("count",)),
    "Shard": Executed("shard", tail=("num_shards", "index")),
    "Shuffle": Executed("shuffle", tail=("buffer_size", "seed", "seed2", "")),
    "ShuffleAndRepeat": Executed("shuffle+repeat", tail=("buffer_size", "seed", "seed2", "count", "")),
    "Skip": Executed("skip", in_model=("FiniteSkip", "EmptySkip"), tail=("count",)),
    "SparseTensorSlice": Executed("from_sparse_tensor_slices"),
    "TFRecord": Executed("TFRecordDataset", buffer_input=2),
    "Take": Executed("take", in_model=("FiniteTake", "EmptyTake"), tail=("count",)),
    "Tensor": Executed("from_tensors", in_model=("FromTensor",)),
    "TensorSlice": Executed("from_tensor_slices"),
    "TextLine": Executed("TextLineDataset", buffer_input=2),
    "Window": Executed("window", tail=("size", "shift", "stride", "drop_remainder")),
}  # fmt: skip
"""Executed ops by family. A family without a row is the op of the same name in lower case (`GroupByWindow`)."""


@dataclass(frozen=True, slots=True)
class ParallelForm:
    """The op of a stage with `num_parallel_calls`, as TensorFlow's Python API makes it.

    Attributes:
        serial: The op without; the stage's first inputs, up to the captured tensors, are the same.
        inputs: Its last inputs by name; those that `serial` has too are taken from it.
        defaults: Values of the inputs that only it has.
        attributes: Its attributes that `serial` has not.
        serial_attributes: Attributes that only `serial` has.
        readers: TensorFlow's Python API makes its readers of several files with it.
    """

    serial: str
    parallel: str
    inputs: tuple[str, ...]
    defaults: tuple[tuple[str, int], ...] = ()
    attributes: tuple[tuple[str, bytes | bool], ...] = (("deterministic", b"default"),)
    serial_attributes: tuple[tuple[str, bytes | bool], ...] = ()
    readers: bool = False
    only_to_parallel: bool = False


_INTERLEAVE_INPUTS: Final = (
    "cycle_length", "block_length", "buffer_output_elements", "prefetch_input_elements", "num_parallel_calls",
)  # fmt: skip
_INTERLEAVE_DEFAULTS: Final = (
    ("cycle_length", -1), ("block_length", 1), ("buffer_output_elements", -1), ("prefetch_input_elements", -1),
)  # fmt: skip
PARALLEL_FORMS: Final[tuple[ParallelForm, ...]] = (
    ParallelForm(
        "MapDataset", "ParallelMapDatasetV2", ("num_parallel_calls",),
        attributes=(("deterministic", b"default"), ("use_unbounded_threadpool", False)),
        serial_attributes=(("force_synchronous", False),),
    ),
    ParallelForm(
        "BatchDatasetV2", "ParallelBatchDataset", ("batch_size", "num_parallel_calls", "drop_remainder"),
    ),
    ParallelForm("InterleaveDataset", "ParallelInterleaveDatasetV4", _INTERLEAVE_INPUTS, _INTERLEAVE_DEFAULTS),
    ParallelForm(
        "FlatMapDataset", "ParallelInterleaveDatasetV4", _INTERLEAVE_INPUTS, _INTERLEAVE_DEFAULTS,
        only_to_parallel=True,
    ),
    ParallelForm(
        "FlatMapDataset", "LegacyParallelInterleaveDatasetV2", _INTERLEAVE_INPUTS[:-1], _INTERLEAVE_DEFAULTS,
        attributes=(("deterministic", b"true"),), readers=True,
    ),
)  # fmt: skip
"""Ops that TensorFlow has twice. The attributes are those of TensorFlow 2.21; others of `serial` are kept."""


OPTION_FAMILIES: Final = frozenset(
    {
        "AssertNext", "AssertPrev", "ExperimentalMaxIntraOpParallelism", "ExperimentalPrivateThreadPool", "Finalize",
        "MaxIntraOpParallelism", "Model", "Optimize", "Options", "PrivateThreadPool", "Rewrite", "ThreadPool",
    }
)  # fmt: skip
"""Marks of options or checks, or ops whose input is rewritten: they give out their input's elements, and no user
writes them as a stage."""

NOT_STAGES: Final = frozenset({"ReduceDataset", "SaveDataset", "SaveDatasetV2", "RegisterDataset", "RegisterDatasetV2"})
"""Op types that end in ``Dataset`` and make none that elements flow through."""


def is_dataset(op_type: str) -> bool:
    """Whether ``op_type`` makes a dataset that elements flow through."""
    return _DATASET_OP.fullmatch(op_type) is not None and op_type not in NOT_STAGES


@functools.cache
def family(op_type: str) -> str:
    """``op_type`` without ``Dataset`` and version.

    Example:
        >>> family("ParallelMapDatasetV2"), family("BatchV2")
        ('ParallelMap', 'Batch')
    """
    match = _DATASET_OP.fullmatch(op_type)
    return match["family"] if match else _VERSION.sub("", op_type)


@functools.cache
def executed(op_type: str) -> Executed:
    """The row of an executed op, given as an op type, a family or the model's name of its iterator."""
    kind = family(op_type)
    row = EXECUTED.get(_IN_MODEL.get(kind, kind))
    return row or Executed(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower())


def written_op(op_type: str) -> str:
    """Return the name of an executed op in tf.data's Python API.

    Example:
        >>> written_op("ParallelMapDatasetV2"), written_op("GroupByWindowDataset"), written_op("MemoryCache")
        ('map', 'group_by_window', 'cache')
    """
    return executed(op_type).op


_IN_MODEL: Final = {name: kind for kind, row in EXECUTED.items() for name in row.in_model}
