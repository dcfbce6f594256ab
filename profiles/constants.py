"""Measured constants: what TensorFlow, glibc, the kernel and Python cost or do, each with its source.

A number belongs here if it was measured or read in the source of TensorFlow or glibc, so that another version may
change it. Thresholds of rules and of the verdict, budgets of pipeprof and numbers of layout do not. A row names the
benchmark that measures it again, where there is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Constant:
    """One measured number.

    Attributes:
        unit: ``B``, ``µs``, ``× the array``, …
        source: What was measured, or where it was read.
        tensorflow: The version; ``None`` where TensorFlow has no part in it.
        benchmark: The file in ``benchmarks/`` that measures it again: a ``bench.py`` runs with ``make verify``, another
            one by hand; ``None`` where none does.
    """

    name: str
    value: float
    unit: str
    meaning: str
    source: str
    tensorflow: str | None
    benchmark: str | None


CONSTANTS: dict[str, Constant] = {}
"""All of them, by name."""


def _constant(
    name: str,
    value: Number,
    unit: str,
    meaning: str,
    source: str,
    *,
    tensorflow: str | None = "2.21",
    benchmark: str | None = None,
) -> Number:
    CONSTANTS[name] = Constant(name, value, unit, meaning, source, tensorflow, benchmark)
    return value


CALL_US = _constant(
    "CALL_US",
    20.0,
    "µs",
    "CPU time of calling a function, the threads that wake up for it included, at most",
    "pipelines of small functions, 15 to 50 µs a call",
)
HAND_OVER_US = _constant(
    "HAND_OVER_US", 57, "µs", "An element from a Python generator to TensorFlow", "rows of 256 floats"
)
HAND_OVER_COMPONENT_US = _constant(
    "HAND_OVER_COMPONENT_US", 12, "µs", "Each further component of such an element", "rows of 100 scalars"
)
HAND_OVER_MB_US = _constant("HAND_OVER_MB_US", 500, "µs", "Each megabyte of such an element", "rows of 250,000 floats")
BATCH_HAND_OVER_US = _constant(
    "BATCH_HAND_OVER_US",
    100,
    "µs",
    "A whole batch from Python to TensorFlow",
    "rows of 256 floats; the same for one call in addition to slicing",
)
BATCH_ROW_US = _constant(
    "BATCH_ROW_US", 0.4, "µs", "An element put into a batch, its bytes excluded", "slices of 128 to 1024 B"
)
CACHED_ELEMENT_US = _constant("CACHED_ELEMENT_US", 0.5, "µs", "An element from a cache in memory", "a cache of numbers")
BATCHED_SHARE = _constant("BATCHED_SHARE", 0.25, "× its own time", "A function on a whole batch", "CSV and records")
SHORT_OP_US = _constant("SHORT_OP_US", 0.5, "µs", "An op of a function on a small tensor", "maps of one op")
COPIED_BYTES_PER_US = _constant(
    "COPIED_BYTES_PER_US", 4000.0, "B/µs", "Bytes copied into a batch, or passed over by a simple op", "64 pictures"
)
BATCHED_PARSE_GAIN = _constant(
    "BATCHED_PARSE_GAIN", 7.2, "×", "Parsing the same records by the batch", "21 features, batches of 128"
)
ELEMENT_BYTES = _constant(
    "ELEMENT_BYTES",
    56,
    "B",
    "A buffered element on glibc's heap, its tensors excluded",
    "tensors of 1 B to 4 KiB, 1 to 8 of them; at most 7 % off",
    benchmark="attribution/memory_constants.py",
)
COMPONENT_BYTES = _constant(
    "COMPONENT_BYTES",
    115,
    "B",
    "Each tensor of a buffered element, its values excluded",
    "tensors of 1 B to 4 KiB, 1 to 8 of them; at most 7 % off",
    benchmark="attribution/memory_constants.py",
)
COUNTED_BYTES = _constant(
    "COUNTED_BYTES",
    86,
    "B",
    "A tensor of `range`: value and tensor share one block",
    "buffered numbers of `range`",
    benchmark="attribution/memory_constants.py",
)
BUFFER_HOLES = _constant(
    "BUFFER_HOLES",
    0.45,
    "× the blocks",
    "Free memory between a buffer's blocks once its elements were replaced at random",
    "after one turn 0.4 to 0.5 for 8 B to 20 KB, 0.3 to 0.6 for 40 to 250 KB",
    benchmark="attribution/memory_constants.py",
)
GENERATED_BELOW = _constant(
    "GENERATED_BELOW",
    128 * 1024,
    "B",
    "Size below which the arrays of a Python generator leave holes; larger ones have a mapping of their own",
    "none at 150, 196 and 240 KB; 0.2 to 0.3 at 20 and 100 KB",
)
CACHE_OVERHEAD_BYTES = _constant(
    "CACHE_OVERHEAD_BYTES",
    186,
    "B",
    "A cached element of one tensor, its values excluded, free memory between blocks included",
    "caches of one tensor",
    benchmark="attribution/memory_constants.py",
)
VIEW_BYTES = _constant(
    "VIEW_BYTES",
    55,
    "B",
    "A string of a buffered element that is a slice of the source's tensor, which keeps the string and its letters",
    "20,000 and 50,000 names of 19 to 165 letters, from arrays and from `list_files`: 108 to 113 B an element",
    benchmark="attribution/memory_constants.py",
)
ALIGNMENT_BYTES = _constant(
    "ALIGNMENT_BYTES",
    64,
    "B",
    "Alignment at which a slice of an array is a view; any other slice is a copy",
    "rows of 65,536 B (no copy), 65,568 (half), 65,552 (three in four) and 65,537 (all)",
)
POOLED_FROM = _constant(
    "POOLED_FROM",
    256 * 1024,
    "B",
    "Size from which a tensor lies in TensorFlow's pool; smaller ones lie on glibc's heap",
    "where tensors of both sides of it were found",
)
PYTHON_BLOCK_BYTES = _constant(
    "PYTHON_BLOCK_BYTES",
    512,
    "B",
    "Size up to which a Python object lies in Python's own blocks, in mappings of their own",
    "CPython's `SMALL_REQUEST_THRESHOLD`",
    tensorflow=None,
)
POOL_UNIT_BYTES = _constant(
    "POOL_UNIT_BYTES", 256, "B", "Size to which the pool rounds a tensor", "`bfc_allocator.h`, `kMinAllocationSize`"
)
ARRAY_COPIES = _constant(
    "ARRAY_COPIES",
    4.1,
    "× the array",
    "Peak of an in-memory source: array, tensor, and two copies while the iterator is made",
    "400 MB, with batch() and without",
    benchmark="attribution/bench.py",
)
STEADY_ARRAY_COPIES = _constant(
    "STEADY_ARRAY_COPIES",
    3.1,
    "× the array",
    "The same once the iterator is made: one copy less",
    "400 MB: array, tensor, the allocator's rest",
    benchmark="attribution/bench.py",
)
DROPPED_COPIES = _constant(
    "DROPPED_COPIES",
    1.05,
    "× the array",
    "Less where the array is dropped once the dataset is made",
    "3.0 times the array for 128 and 240 MB",
    benchmark="attribution/bench.py",
)
RESEEDED_COPIES = _constant(
    "RESEEDED_COPIES",
    1,
    "× the array",
    "Less at the peak where a later shuffle converts its seed: TensorFlow then frees its first copy",
    "3.1 times the array for 60, 63 and 150 MB, in one array and in two",
)
NOT_REWRITTEN_COPIES = _constant(
    "NOT_REWRITTEN_COPIES",
    1,
    "× the array",
    "Less where default optimizations are off: the graph is not rewritten",
    "3.05 times the array at the peak and 2.06 later, 320 MB",
)
SNAPSHOT_COPIES = _constant(
    "SNAPSHOT_COPIES",
    1,
    "× the array",
    "More at the peak before a snapshot, which writes the graph when it is made",
    "5.1 times the array for 60 and 150 MB",
)
SOURCE_CONSTANT_COPIES = _constant(
    "SOURCE_CONSTANT_COPIES",
    17,
    "× the array",
    "Peak of an in-memory source built inside a tf.function",
    "arrays inside a tf.function",
)
CAPTURED_CONSTANT_COPIES = _constant(
    "CAPTURED_CONSTANT_COPIES",
    19,
    "× the array",
    "Peak of an array inside the function of a map, flat_map or interleave",
    "arrays inside such functions",
)
STEADY_CONSTANT_COPIES = _constant(
    "STEADY_CONSTANT_COPIES", 9.5, "× the array", "The same of either once the iterator is made", "9.2 and 10.2"
)
RUNTIME_BYTES = _constant(
    "RUNTIME_BYTES", 600_000_000, "B", "Resident memory of TensorFlow with one trivial dataset", "575 MB"
)
RESERVE = _constant(
    "RESERVE", 0.25, "× the prediction", "Room to leave over a prediction", "predictions were up to a fifth too low"
)
OPENED_AHEAD = _constant(
    "OPENED_AHEAD",
    2,
    "× the cycle",
    "Iterators that a parallel interleave opens ahead",
    "TensorFlow's default of `parallel_interleave_dataset_op`",
)
RESULTS_AHEAD = _constant(
    "RESULTS_AHEAD",
    2,
    "× the block",
    "Results that each of them keeps ready",
    "TensorFlow's default of `parallel_interleave_dataset_op`",
)
MOST_FUSED_BATCHES = _constant(
    "MOST_FUSED_BATCHES",
    16,
    "batches",
    "Batches that a fused map and batch keeps at most",
    "TensorFlow's `map_and_batch_dataset_op`, `kMaxBatchResults`",
)
DOUBLED_UP_TO = _constant(
    "DOUBLED_UP_TO",
    2048,
    "elements",
    "Size up to which AUTOTUNE doubles a prefetch buffer",
    "TensorFlow's `kBufferLimitThreshold`",
)
AUTOTUNED_PREFETCH = _constant(
    "AUTOTUNED_PREFETCH",
    2,
    "elements",
    "Elements assumed for a prefetch with AUTOTUNE, which starts with fewer and may grow to thousands",
    "an assumption; every prediction with it says so",
)
TRACE_BYTES_PER_SECOND = _constant(
    "TRACE_BYTES_PER_SECOND",
    2_000_000_000,
    "B/s",
    "Memory that a second of tracing takes at most, reading the trace included",
    "the example pipelines",
)
TRACE_BYTES_PER_EVENT = _constant(
    "TRACE_BYTES_PER_EVENT",
    2000,
    "B",
    "Memory that an event of a trace takes at most, reading the trace included",
    "1,430 B at the end of a trace of elements, 870 B of nested loops, and 370 B to read it",
    benchmark="trace/bench.py",
)
FOLDED_UP_TO = _constant(
    "FOLDED_UP_TO",
    10 * 1024 * 1024,
    "B",
    "Size up to which TensorFlow computes a value made of constants once (constant folding)",
    "values of 4 and 16 MB",
)
DISTURBED_FROM = _constant(
    "DISTURBED_FROM",
    0.10,
    "× the CPU time wanted",
    "Part of it that other processes took, from which a measurement is called disturbed",
    "two pipelines on 2 cores while others used 15 to 100 % of one: the rate was 18 % lower where they took 17 %, "
    "and 41 % where they took 45 %; 7 % were taken on a machine in no other use",
    tensorflow=None,
)
FLOOR = _constant(
    "FLOOR",
    0.03,
    "× the value",
    "Smallest change that counts, of a speed-up as of a regression: processes of one pipeline differ by less",
    "pairs of processes of four pipelines under changing load differ by 1.3 to 2.6 %",
    tensorflow=None,
    benchmark="gate/bench.py",
)
