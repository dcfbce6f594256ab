"""Keras preprocessing layers, called by name: constructor arguments, and optionally ``training``.

``tf.keras.layers.Rescaling: {scale: 0.5}`` is ``layer = tf.keras.layers.Rescaling(scale=0.5)``, made once when the
pipeline is built, and ``layer(element)`` in the function. A list in ``on`` goes in as one tuple, a mapping by the names
of the layer's inputs. Nothing is adapted.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pipeprof.pipelines.ops.functions.catalog import Function, Parameter, split_signature
from pipeprof.pipelines.tables import read_table

_COMMON = {"dtype": "None", "name": "None"}
CALL_ARGUMENTS = {"training": "None"}
# Arguments that `adapt` would compute from the data; pipeprof does not call it.
_LEARNED = {
    "tf.keras.layers.Discretization": ("bin_boundaries",),
    "tf.keras.layers.IntegerLookup": ("vocabulary",),
    "tf.keras.layers.Normalization": ("mean", "variance"),
    "tf.keras.layers.StringLookup": ("vocabulary",),
    "tf.keras.layers.TextVectorization": ("vocabulary",),
}


@functools.cache
def layer_table() -> Mapping[str, str]:
    """Constructors without their further keyword arguments, as Keras 3 has them, by name (``layers.json``)."""
    rows: dict[str, str] = read_table("pipeprof.pipelines.build", "layers")
    return rows


@functools.cache
def layers() -> Mapping[str, Function]:
    """All layers by name, with the parameters that a spec may write."""
    return {name: _layer(name) for name in layer_table()}


def layer(name: str) -> Function | None:
    """The layer of this name, or None when there is none."""
    return layers()[name] if name in layer_table() else None


def _layer(name: str) -> Function:
    pairs = dict(_pair(part) for part in split_signature(layer_table()[name])) | CALL_ARGUMENTS
    learned = dict.fromkeys(_LEARNED.get(name, ()))
    given = {**_COMMON, **pairs, **learned} if "dtype" not in pairs else {**pairs, **learned}
    return Function(name, tuple(Parameter(key, given[key]) for key in dict.fromkeys([*pairs, *given])))


def _pair(part: str) -> tuple[str, str | None]:
    key, equals, default = part.partition("=")
    return key, default if equals else None
