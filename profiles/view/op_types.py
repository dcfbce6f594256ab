"""TensorFlow's op types behind the functions of ``ops:``, as a graph would show them.

``op_types.json`` was traced with TensorFlow 2.21 on dense float inputs; a test traces it again. A function has a line
only if a rule or a prediction needs more than its name shows: ``tf.io.read_file`` is ``ReadFile``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.ops.values.features import FeatureSpec
from pipeprof.pipelines.tables import read_table

_RESIZERS = {
    "area": "ResizeArea",
    "bicubic": "ResizeBicubic",
    "bilinear": "ResizeBilinear",
    "nearest": "ResizeNearestNeighbor",
}
_SCALER = "ScaleAndTranslate"
_STATEFUL = frozenset(
    {
        "Multinomial", "ParameterizedTruncatedNormal", "RandomGamma", "RandomPoissonV2", "RandomShuffle",
        "RandomStandardNormal", "RandomUniform", "RandomUniformInt", "SampleDistortedBoundingBoxV2", "TruncatedNormal",
    }
)  # fmt: skip
"""Ops that draw random numbers. Assertions have state as well, but TensorFlow makes maps with them parallel."""


@functools.cache
def recorded_types() -> Mapping[str, str]:
    """Op types by function, separated by blanks (``op_types.json``)."""
    rows: dict[str, str] = read_table("pipeprof.profiles.view", "op_types")
    return rows


def op_types(name: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """Return the op types of a call.

    Example:
        >>> sorted(op_types("tf.io.read_file", {})), sorted(op_types("tf.add", {"y": 1}))
        (['ReadFile'], ['AddV2'])
    """
    found = set(recorded_types().get(name, _own_name(name)).split())
    if "ResizeBilinear" in found:
        found.remove("ResizeBilinear")
        found.add(_RESIZERS.get(str(arguments.get("method", "bilinear")), _SCALER))
    if "features" in arguments and not _has_defaults(arguments["features"]):
        # Only default values are reshaped.
        found.discard("Reshape")
    if name == "tf.random.uniform" and str(arguments.get("dtype", "float32")).startswith(("int", "uint")):
        return frozenset({"RandomUniformInt"})
    if name == "tf.io.decode_raw" and arguments.get("fixed_length") is not None:
        return frozenset({"DecodePaddedRaw"})
    return frozenset(found)


def _has_defaults(features: Any) -> bool:
    """Return whether one of the features that a record is parsed to has a default value."""
    given = features.values() if isinstance(features, Mapping) else ()
    return any(
        argument.arguments.get("default_value") is not None for argument in given if isinstance(argument, FeatureSpec)
    )


def random_op(types: frozenset[str]) -> str | None:
    """Return the op that draws random numbers, which keeps TensorFlow from making a map parallel."""
    return min(types & _STATEFUL, default=None)


def _own_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.rpartition(".")[2].split("_"))
