"""What TensorFlow's dataset ops and the model's nodes are called, and what they do to the iterators below them.

The op ``ParallelMapDatasetV2`` is ``map`` to its user and ``ParallelMapV2`` in the model; ``RepeatDataset`` is
``ForeverRepeat`` or ``FiniteRepeat`` there. Names are compared by *family*: the op without ``Dataset`` and version
(``ParallelMap``).
"""

from __future__ import annotations

import re

_VERSION = re.compile(r"V\d+$")
_DATASET_OP = re.compile(r"(?P<family>\w+?)Dataset(?:V\d+)?$")
_NOT_STAGES = frozenset({"ReduceDataset", "SaveDataset", "SaveDatasetV2", "RegisterDataset", "RegisterDatasetV2"})

# Marks that carry options or checks, or have their input rewritten: they hand elements through and are no stages.
_OPTION_FAMILIES = frozenset(
    {
        "AssertNext",
        "AssertPrev",
        "Finalize",
        "MaxIntraOpParallelism",
        "ExperimentalMaxIntraOpParallelism",
        "Model",
        "Optimize",
        "Options",
        "PrivateThreadPool",
        "ExperimentalPrivateThreadPool",
        "Rewrite",
        "ThreadPool",
    }
)

_FRIENDLY = {
    "CSV": "CsvDataset",
    "DenseToSparseBatch": "sparse_batch",
    "DirectedInterleave": "choose_from_datasets",
    "FixedLengthRecord": "FixedLengthRecordDataset",
    "Generator": "from_generator",
    "LegacyParallelInterleave": "interleave",
    "List": "from_list",
    "MapAndBatch": "map+batch",
    "MatchingFiles": "list_files",
    "ParallelBatch": "batch",
    "ParallelFilter": "filter",
    "ParallelInterleave": "interleave",
    "ParallelMap": "map",
    "ShuffleAndRepeat": "shuffle+repeat",
    "SparseTensorSlice": "from_sparse_tensor_slices",
    "TFRecord": "TFRecordDataset",
    "Tensor": "from_tensors",
    "TensorSlice": "from_tensor_slices",
    "TextLine": "TextLineDataset",
}

_IN_MODEL = {
    "Cache": frozenset({"MemoryCache", "FileCache"}),
    "Repeat": frozenset({"ForeverRepeat", "FiniteRepeat", "EmptyRepeat"}),
    "Skip": frozenset({"FiniteSkip", "EmptySkip"}),
    "Take": frozenset({"FiniteTake", "EmptyTake"}),
    "Tensor": frozenset({"FromTensor"}),
}

_GIVEN = re.compile(r"Window|Snapshot(?:Nested)?DatasetReader(?:/.*)?")
_NUMBERED = re.compile(r"(?P<kind>[^:\[]+)\[(?P<number>\d+)\]")
_SELECTS = "DirectedInterleave"
_NUMBERS_INPUTS = {"Zip": 0, _SELECTS: 1}
"""Iterators whose path numbers their inputs, and how many of the inputs come before the first that has a number."""

READERS = frozenset({"TFRecord", "TextLine", "FixedLengthRecord", "Generator"})
"""Families that the Python API wraps in a ``flat_map`` over a list of files or a dummy element."""

COMBINERS = frozenset({"Zip", "DirectedInterleave"})
"""Families with several inputs of equal rank: none of them is the one the stage is applied to."""

ONE_FUNCTION = frozenset(
    {
        "Filter",
        "FlatMap",
        "Interleave",
        "LegacyParallelInterleave",
        "Map",
        "MapAndBatch",
        "ParallelFilter",
        "ParallelInterleave",
        "ParallelMap",
        "TakeWhile",
    }
)
"""Families that call one function on the element of one input."""

MAKES_BODIES = frozenset({"FlatMap", "GroupByWindow", "Interleave", "LegacyParallelInterleave", "ParallelInterleave"})
"""Families whose function makes a dataset, with iterators of its own."""

RESTARTS = frozenset(
    {
        "GroupByWindow",
        "Repeat",
        "ShuffleAndRepeat",
        "Interleave",
        "ParallelInterleave",
        "LegacyParallelInterleave",
        "FlatMap",
    }
)
"""Families that make the iterators below them anew while they run."""

_ASYNCHRONOUS = frozenset(
    {"ParallelMap", "MapAndBatch", "ParallelBatch", "ParallelInterleave", "LegacyParallelInterleave"}
)

_TAIL_ARGUMENTS = {
    "AssertCardinality": ("cardinality",),
    "Batch": ("batch_size", "drop_remainder"),
    "Interleave": ("cycle_length", "block_length"),
    "LegacyParallelInterleave": ("cycle_length", "block_length", "buffer_output_elements", "prefetch_input_elements"),
    "MapAndBatch": ("batch_size", "num_parallel_calls", "drop_remainder"),
    "MaxIntraOpParallelism": ("max_intra_op_parallelism",),
    "ParallelBatch": ("batch_size", "num_parallel_calls", "drop_remainder"),
    "ParallelInterleave": (
        "cycle_length",
        "block_length",
        "buffer_output_elements",
        "prefetch_input_elements",
        "num_parallel_calls",
    ),
    "ParallelMap": ("num_parallel_calls",),
    "Prefetch": ("buffer_size",),
    "PrivateThreadPool": ("num_threads",),
    "Range": ("start", "stop", "step"),
    "Repeat": ("count",),
    "Shard": ("num_shards", "index"),
    "Shuffle": ("buffer_size", "seed", "seed2", ""),
    "ShuffleAndRepeat": ("buffer_size", "seed", "seed2", "count", ""),
    "Skip": ("count",),
    "Take": ("count",),
    "Window": ("size", "shift", "stride", "drop_remainder"),
}
_HEAD_ARGUMENTS = {
    "DenseToSparseBatch": ("", "batch_size"),
    "PaddedBatch": ("", "batch_size"),
    "Cache": ("", "filename"),
    "Rebatch": ("", "batch_sizes"),
}


def is_dataset(op: str) -> bool:
    """Whether ``op`` makes a dataset that elements flow through."""
    return _DATASET_OP.fullmatch(op) is not None and op not in _NOT_STAGES


def family(op: str) -> str:
    """``op`` without ``Dataset`` and version.

    Example:
        >>> family("ParallelMapDatasetV2"), family("BatchV2")
        ('ParallelMap', 'Batch')
    """
    match = _DATASET_OP.fullmatch(op)
    return match["family"] if match else _VERSION.sub("", op)


def is_option(op: str) -> bool:
    """Whether ``op`` only marks an option or a check."""
    return family(op) in _OPTION_FAMILIES


def friendly(op: str) -> str:
    """What a user of tf.data calls ``op``.

    Example:
        >>> friendly("ParallelMapDatasetV2"), friendly("GroupByWindowDataset")
        ('map', 'group_by_window')
    """
    kind = family(op)
    known = _FRIENDLY.get(kind)
    return known if known is not None else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind).lower()


def in_model(op: str, node_name: str) -> bool:
    """Whether the model calls an iterator of ``op`` ``node_name``."""
    names = _IN_MODEL.get(family(op))
    return node_name in names if names is not None else family(node_name) == family(op)


def dataset_op(node_name: str) -> str:
    """The op that the model calls ``node_name``.

    Example:
        >>> dataset_op("ParallelMapV2"), dataset_op("ForeverRepeat")
        ('ParallelMapDatasetV2', 'RepeatDataset')
    """
    kind = next((family for family, names in _IN_MODEL.items() if node_name in names), None)
    version = _VERSION.search(node_name)
    return f"{kind or _VERSION.sub('', node_name)}Dataset{version[0] if version and kind is None else ''}"


def is_helper(parent: str, child: str) -> bool:
    """Whether the model node ``child`` is a part of its parent, as ``MemoryCacheImpl`` is of ``MemoryCache``."""
    return child == f"{parent}Impl" or (parent == "Snapshot" and child in ("SnapshotWriter", "SnapshotReader"))


def is_closed(node_name: str) -> bool:
    """Whether a helper reads on its own what it gives, so that no input of the user's is below it."""
    return node_name == "SnapshotReader"


def is_given(node_name: str) -> bool:
    """Whether a function is handed such a dataset, without inputs: a window, or the files of ``Dataset.load``.

    Example:
        >>> is_given("Window"), is_given("SnapshotDatasetReader/_0"), is_given("Range")
        (True, True, False)
    """
    return _GIVEN.fullmatch(node_name) is not None


def plain_path(path: str) -> str:
    """An iterator's path without the numbers of inner iterators; those that tell inputs apart stay.

    Example:
        >>> plain_path("Iterator::Root::Batch::Zip[1]::FlatMap[37]::Range")
        'Iterator::Root::Batch::Zip[1]::FlatMap::Range'
    """
    return _NUMBERED.sub(lambda found: found[0] if found["kind"] in _NUMBERS_INPUTS else found["kind"], path)


def numbered_input(part: str) -> int | None:
    """Which input of its dataset a part of an iterator's path leads to; `None` where it does not tell.

    Example:
        >>> numbered_input("Zip[1]"), numbered_input("FlatMap[1]"), numbered_input("DirectedInterleave")
        (1, None, 0)
    """
    if part == _SELECTS:
        return 0
    found = _NUMBERED.fullmatch(part)
    return int(found["number"]) + _NUMBERS_INPUTS[found["kind"]] if found and found["kind"] in _NUMBERS_INPUTS else None


def is_asynchronous(op: str) -> bool:
    """Whether ``op`` works on threads of its own, with a degree of parallelism."""
    return family(op) in _ASYNCHRONOUS


def argument_names(op: str, inputs: int) -> list[str]:
    """TensorFlow's names of the inputs of ``op`` that are numbers; "" for those that are not, or not known."""
    kind = family(op)
    head = _HEAD_ARGUMENTS.get(kind, ())
    if kind == "PaddedBatch" and inputs > len(head):
        return [*head, *[""] * (inputs - len(head) - 1), "drop_remainder"]
    if head:
        return [*head, *[""] * (inputs - len(head))][:inputs]
    tail = _TAIL_ARGUMENTS.get(kind, ())
    # The first versions have no generator of seeds, which stands last.
    tail = (tail[:-1] if op in ("ShuffleDataset", "ShuffleAndRepeatDataset") else tail)[-inputs:] if inputs else ()
    return [*[""] * (inputs - len(tail)), *tail]
