"""Measured constants: what TensorFlow, glibc, the kernel and Python cost or do, each with its unit and its source.

A number belongs here if it was measured or read in the source of TensorFlow (2.21, where nothing else is said) or of
glibc, so that another version may change it. Thresholds of rules and of the verdict, budgets of pipeprof and numbers of
layout do not. The file in ``benchmarks/`` that measures a number again stands in brackets.
"""

CALL_US = 20.0
"""µs: CPU time that counts for calling a function, the threads that wake up for it included. 15 to 50 µs a call in
pipelines of small functions."""
HAND_OVER_US = 57
"""µs: an element from a Python generator to TensorFlow. Rows of 256 floats."""
HAND_OVER_COMPONENT_US = 12
"""µs: each further component of such an element. Rows of 100 scalars."""
HAND_OVER_MB_US = 500
"""µs: each megabyte of such an element. Rows of 250,000 floats."""
BATCH_HAND_OVER_US = 100
"""µs: a whole batch from Python to TensorFlow. Rows of 256 floats; the same for one call in addition to slicing."""
BATCH_ROW_US = 0.4
"""µs: an element put into a batch, its bytes excluded. Slices of 128 to 1024 B."""
CACHED_ELEMENT_US = 0.5
"""µs: an element from a cache in memory. A cache of numbers."""
BATCHED_SHARE = 0.25
"""× its own time: a function on a whole batch. CSV and records."""
SHORT_OP_US = 0.5
"""µs: an op of a function on a small tensor. Maps of one op."""
COPIED_BYTES_PER_US = 4000.0
"""B/µs: bytes copied into a batch, or passed over by a simple op. 64 pictures."""
BATCHED_PARSE_GAIN = 7.2
"""×: parsing the same records by the batch. 21 features, batches of 128."""
ELEMENT_BYTES = 56
"""B: a buffered element on glibc's heap, its tensors excluded. Tensors of 1 B to 4 KiB, 1 to 8 of them; at most 7 %
off (attribution/memory_constants.py)."""
COMPONENT_BYTES = 115
"""B: each tensor of a buffered element, its values excluded. Tensors of 1 B to 4 KiB, 1 to 8 of them; at most 7 %
off (attribution/memory_constants.py)."""
COUNTED_BYTES = 86
"""B: a tensor of `range`: value and tensor share one block. Buffered numbers of `range`
(attribution/memory_constants.py)."""
BUFFER_HOLES = 0.45
"""× the blocks: free memory between a buffer's blocks once its elements were replaced at random. After one turn 0.4
to 0.5 for 8 B to 20 KB, 0.3 to 0.6 for 40 to 250 KB (attribution/memory_constants.py)."""
GENERATED_BELOW = 128 * 1024
"""B: size below which the arrays of a Python generator leave holes; larger ones have a mapping of their own. None at
150, 196 and 240 KB; 0.2 to 0.3 at 20 and 100 KB."""
CACHE_OVERHEAD_BYTES = 186
"""B: a cached element of one tensor, its values excluded, free memory between blocks included. Caches of one tensor
(attribution/memory_constants.py)."""
VIEW_BYTES = 55
"""B: a string of a buffered element that is a slice of the source's tensor, which keeps the string and its letters.
20,000 and 50,000 names of 19 to 165 letters, from arrays and from `list_files`: 108 to 113 B an element
(attribution/memory_constants.py)."""
ALIGNMENT_BYTES = 64
"""B: alignment at which a slice of an array is a view; any other slice is a copy. Rows of 65,536 B (no copy), 65,568
(half), 65,552 (three in four) and 65,537 (all)."""
POOLED_FROM = 256 * 1024
"""B: size from which a tensor lies in TensorFlow's pool; smaller ones lie on glibc's heap. Where tensors of both
sides of it were found."""
PYTHON_BLOCK_BYTES = 512
"""B: size up to which a Python object lies in Python's own blocks, in mappings of their own. CPython's
`SMALL_REQUEST_THRESHOLD`."""
POOL_UNIT_BYTES = 256
"""B: size to which the pool rounds a tensor. `bfc_allocator.h`, `kMinAllocationSize`."""
ARRAY_COPIES = 4.1
"""× the array: peak of an in-memory source: array, tensor, and two copies while the iterator is made. 400 MB, with
batch() and without (attribution/bench.py)."""
STEADY_ARRAY_COPIES = 2.1
"""× the array: the same once the iterator is made, without what TensorFlow's pool keeps of the copies. 400 MB:
array, tensor (attribution/bench.py)."""
DROPPED_COPIES = 1.05
"""× the array: less where the array is dropped once the dataset is made. 3.0 times the array for 128 and 240 MB
(attribution/bench.py)."""
RESEEDED_COPIES = 1
"""× the array: less at the peak where a later shuffle converts its seed: TensorFlow then frees its first copy. 3.1
times the array for 60, 63 and 150 MB, in one array and in two."""
SOURCE_CONSTANT_COPIES = 17
"""× the array: peak of an in-memory source built inside a tf.function. Arrays inside a tf.function."""
CAPTURED_CONSTANT_COPIES = 19
"""× the array: peak of an array inside the function of a map, flat_map or interleave. Arrays inside such functions."""
STEADY_CONSTANT_COPIES = 9.5
"""× the array: the same of either once the iterator is made. 9.2 and 10.2."""
RUNTIME_BYTES = 600_000_000
"""B: resident memory of TensorFlow with one trivial dataset. 575 MB."""
RESERVE = 0.25
"""× the prediction: room to leave over a prediction. Predictions were up to a fifth too low."""
OPENED_AHEAD = 2
"""× the cycle: iterators that a parallel interleave opens ahead. TensorFlow's default of
`parallel_interleave_dataset_op`."""
RESULTS_AHEAD = 2
"""× the block: results that each of them keeps ready. TensorFlow's default of `parallel_interleave_dataset_op`."""
MOST_FUSED_BATCHES = 16
"""batches: batches that a fused map and batch keeps at most. TensorFlow's `map_and_batch_dataset_op`,
`kMaxBatchResults`."""
DOUBLED_UP_TO = 2048
"""elements: size up to which AUTOTUNE doubles a prefetch buffer. TensorFlow's `kBufferLimitThreshold`."""
AUTOTUNED_PREFETCH = 2
"""elements: elements assumed for a prefetch with AUTOTUNE, which starts with fewer and may grow to thousands. An
assumption; every prediction with it says so."""
TRACE_BYTES_PER_SECOND = 2_000_000_000
"""B/s: memory that a second of tracing takes at most, reading the trace included. The example pipelines."""
TRACE_BYTES_PER_EVENT = 2000
"""B: memory that an event of a trace takes at most, reading the trace included. 1,430 B at the end of a trace of
elements, 870 B of nested loops, and 370 B to read it (trace/bench.py)."""
DISTURBED_FROM = 0.10
"""× the CPU time wanted: part of it that other processes took, from which a measurement is called disturbed. Two
pipelines on 2 cores while others used 15 to 100 % of one: the rate was 18 % lower where they took 17 %, and 41 %
where they took 45 %; 7 % were taken on a machine in no other use."""
FLOOR = 0.03
"""× the value: smallest change that counts, of a speed-up as of a regression: processes of one pipeline differ by
less. Pairs of processes of four pipelines under changing load differ by 1.3 to 2.6 % (gate/bench.py)."""
