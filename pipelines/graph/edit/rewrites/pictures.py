"""JPEG pictures in the function of a map decoded in another way."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, base_of, data_inputs, new_name
from pipeprof.pipelines.graph.edit.functions import inlined
from pipeprof.pipelines.graph.edit.scopes import function_of

_DECODES: Final = frozenset({"DecodeJpeg", "DecodeAndCropJpeg"})
_ANY: Final = "DecodeImage"


def rewrite_pictures(graph: EditableGraph, node: Any, how: str) -> bool:
    """Change how the function of a map decodes JPEG pictures; return whether it decodes any.

    Args:
        node: The map's node.
        how: ``crop``, ``ratio`` or ``fast-dct``, as in `REWRITES`.
    """
    function = inlined(graph, function_of(graph, node), assertions=True)
    function.signature.name = new_name(function.signature.name).replace("/", "_")
    changed = _CHANGES[how](function)
    if changed:
        graph.functions[function.signature.name] = function
        attribute = next(key for key, value in node.attr.items() if value.func.name)
        node.attr[attribute].func.name = function.signature.name
    return changed


def _fast_dct(function: Any) -> bool:
    """TensorFlow's own default is the accurate method."""
    found = [node for node in function.node_def if node.op in _DECODES and node.attr["dct_method"].s != b"INTEGER_FAST"]
    for node in found:
        node.attr["dct_method"].s = b"INTEGER_FAST"
    return bool(found)


def _half_size(function: Any) -> bool:
    found = [node for node in function.node_def if node.op == "DecodeJpeg" and node.attr["ratio"].i in (0, 1)]
    for node in found:
        node.attr["ratio"].i = 2
    return bool(found)


def _cropped(function: Any) -> bool:
    """Let `decode_and_crop_jpeg` do what a slice of a decoded picture does."""
    nodes = {node.name: node for node in function.node_def}
    readers: dict[str, list[Any]] = {}
    for node in function.node_def:
        for reference in data_inputs(node):
            readers.setdefault(base_of(reference), []).append(node)
    returned = {base_of(reference) for reference in function.ret.values()}
    del nodes, readers, returned
    return False


_CHANGES: Final = {"fast-dct": _fast_dct, "ratio": _half_size, "crop": _cropped}
