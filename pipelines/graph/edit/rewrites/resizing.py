"""Pictures resized before their numbers are made wider and scaled, in the function of a map.

Each pixel of a resized picture is a mean of pixels whose weights sum to 1: all of them may be scaled and shifted alike
before it or after it. TensorFlow resizes pictures of whole numbers to float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.read.references import base_of, data_inputs

_EXPANDS: Final = "ExpandDims"
_CAST: Final = "Cast"
_RESIZES: Final = frozenset({"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ScaleAndTranslate"})
"""Ops that make a float32 picture of one of any type; each has one output."""
_OUTPUTS: Final = {"AddV2": "z", "Cast": "y", "Identity": "output", "Mul": "z", "RealDiv": "z", "Sub": "z"}
"""Ops that cast, or scale and shift each number, with the names of their outputs."""


def resized_first(function: Any) -> bool:
    """Move the cast and the scaling of pictures behind their resize; return whether there are any before one."""
    nodes = {node.name: node for node in function.node_def}
    resizes = [node for node in function.node_def if node.op in _RESIZES]
    found = [(resize, chain) for resize in resizes if (chain := _scaled(nodes, resize))]
    for resize, (cast, *scaling) in found:
        _read_narrow(function, nodes, resize, cast)
        _scale_after(function, nodes, resize, scaling)
    return bool(found)


def _scaled(nodes: dict[str, Any], resize: Any) -> list[Any]:
    """The cast of whole numbers to float32 before a resize, and what scales and shifts them; empty without."""
    import tensorflow as tf

    node, chain = nodes.get(base_of(data_inputs(resize)[0])), list[Any]()
    if node is not None and node.op == _EXPANDS:
        node = nodes.get(base_of(data_inputs(node)[0]))
    while node is not None and node.op in _OUTPUTS:
        chain.insert(0, node)
        if node.op == _CAST:
            narrow, wide = (tf.dtypes.as_dtype(node.attr[key].type) for key in ("SrcT", "DstT"))
            return chain if wide == tf.float32 and narrow in (tf.uint8, tf.int8, tf.uint16, tf.int16) else []
        place = _picture(nodes, node)
        node = nodes.get(base_of(data_inputs(node)[place])) if place is not None else None
    return []


def _picture(nodes: dict[str, Any], node: Any) -> int | None:
    """Which input of an op is the picture, where any other is one constant number; None elsewhere."""
    inputs = [nodes.get(base_of(reference)) for reference in data_inputs(node)]
    pictures = [place for place, one in enumerate(inputs) if one is None or one.op != "Const"]
    numbers = [one for one in inputs if one is not None and one.op == "Const"]
    if len(pictures) != 1 or any(one.attr["value"].tensor.tensor_shape.dim for one in numbers):
        return None
    # What a picture divides is not scaled by it.
    return None if node.op == "RealDiv" and pictures[0] else pictures[0]


def _read_narrow(function: Any, nodes: dict[str, Any], resize: Any, cast: Any) -> None:
    """Let a resize read what is cast before it now."""
    picture, narrow = data_inputs(cast)[0], cast.attr["SrcT"].type
    given = nodes[base_of(data_inputs(resize)[0])]
    if given.op == _EXPANDS:
        made = _copy(function, given, resize)
        made.input[0], made.attr["T"].type = picture, narrow
        picture = f"{made.name}:output:0"
    resize.input[0], resize.attr["T"].type = picture, narrow


def _scale_after(function: Any, nodes: dict[str, Any], resize: Any, scaling: Sequence[Any]) -> None:
    """Scale and shift what a resize gives, for all that reads it."""
    before = f"{resize.name}:resized_images:0"
    readers = [node for node in function.node_def if before in node.input]
    output = before
    for node in scaling:
        made = _copy(function, node, resize)
        made.input[_picture(nodes, node) or 0] = output
        output = f"{made.name}:{_OUTPUTS[node.op]}:0"
    for reader in readers:
        reader.input[:] = [output if reference == before else reference for reference in reader.input]
    for key, reference in [*function.ret.items()]:
        function.ret[key] = output if reference == before else reference


def _copy(function: Any, node: Any, resize: Any) -> Any:
    made = function.node_def.add()
    made.CopyFrom(node)
    made.name = f"{resize.name}/first/{node.name}"
    return made
