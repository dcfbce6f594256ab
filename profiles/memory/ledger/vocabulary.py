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
KEPT_BYTES = 32_000_000
"""From here on a report says how freed memory that an allocator keeps varied."""
