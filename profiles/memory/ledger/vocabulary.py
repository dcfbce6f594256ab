"""Names of the ledger's entries, and the size from which growth is reported."""

from __future__ import annotations

from pipeprof.profiles.document.shared import PhaseName

AT_REST: PhaseName = "trace"
"""The phase of the one look at a pipeline at rest, when no batches were requested."""
IN_FLIGHT = "in flight"
BUILDING = "building the pipeline"
BUILT = "Python objects of the build"
ARROW = "pyarrow's memory pool"
BUILT_OR_ARROW = "Python objects of the build or pyarrow's memory pool"
"""Where the size of the pool is not known."""
OBJECTS = "large Python objects"
LIBRARIES = "libraries"
CHILDREN = "child processes"
HEAP = "glibc's heap"
RESIDUE = "the pool's residue"
POOL = "TensorFlow's pool"
INDEX = "the pool's index of its memory"
LEAKED = "tensors that no stage holds"
KEPT = "small objects that were kept"
LEAK_BYTES = 10_000_000
"""Growth below this in the whole measured window cannot be distinguished from noise."""
IN_USE = 0.5
"""Least share of a growth that is memory in use, for a leak: free blocks between them are no leak, though a leak leaves
some too (arrays kept in a generator: 71 % in use)."""
KEPT_BYTES = 32_000_000
"""From here on a report says how freed memory that an allocator keeps varied."""
