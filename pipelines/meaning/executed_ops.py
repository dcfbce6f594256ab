"""Dataset ops that TensorFlow executes: one row per op, with the op that its user writes.

Ops are looked up by *family*, the op type without ``Dataset`` and version: ``ParallelMapDatasetV2`` belongs to
``ParallelMap``, which is a ``map``.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.tables import as_tuples, read_table

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
    """

    op: str
    asynchronous: bool = False
    in_model: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    wraps_readers: bool = False


EXECUTED: Final = {
    family: Executed(**as_tuples(row)) for family, row in read_table("pipeprof.pipelines.meaning", "executed").items()
}
"""Executed ops by family. A family without a row is the op of the same name in lower case (`GroupByWindow`)."""


OPTION_FAMILIES: Final = frozenset(
    {
        "AssertNext", "AssertPrev", "ExperimentalMaxIntraOpParallelism", "ExperimentalPrivateThreadPool", "Finalize",
        "MaxIntraOpParallelism", "Model", "Optimize", "Options", "PrivateThreadPool", "Rewrite", "ThreadPool",
    }
)  # fmt: skip
"""Marks of options or checks, or ops whose input is rewritten: they give out their input's elements, and no user
writes them as a stage."""

REGISTERS: Final = ("RegisterDataset", "RegisterDatasetV2")
"""Op types that register a dataset with a tf.data service, and give its id."""
NOT_STAGES: Final = frozenset({"ReduceDataset", "SaveDataset", "SaveDatasetV2", *REGISTERS})
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
