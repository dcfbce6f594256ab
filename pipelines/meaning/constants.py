"""TensorFlow's own constants, by the names that it gives them, and the sizes of its types."""

from __future__ import annotations

from typing import Final

AUTOTUNE: Final = "AUTOTUNE"
"""Spelling of ``tf.data.AUTOTUNE`` in specs, edits and documents."""
AUTOTUNE_VALUE: Final = -1
"""Its value in a graph."""
INFINITE: Final = -1
"""Cardinality of a pipeline without end (``tf.data.INFINITE_CARDINALITY``)."""
WIDTHS: Final = {
    "bool": 1, "int8": 1, "uint8": 1, "qint8": 1, "quint8": 1, "int16": 2, "uint16": 2, "float16": 2, "bfloat16": 2,
    "int32": 4, "uint32": 4, "float32": 4, "int64": 8, "uint64": 8, "float64": 8, "complex64": 8, "complex128": 16,
}  # fmt: skip
"""Bytes of a value by dtype; strings have none."""
LOCAL: Final = "local"
"""The tf.data service that pipeprof starts itself."""
