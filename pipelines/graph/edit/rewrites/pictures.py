"""Pictures in the function of a map decoded, or resized, in another way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import EditableGraph, new_name
from pipeprof.pipelines.graph.edit.functions import inlined
from pipeprof.pipelines.graph.edit.scopes import function_of, set_function
from pipeprof.pipelines.graph.read.references import base_of, data_inputs

_RESIZES: Final = frozenset({"ResizeArea", "ResizeBicubic", "ResizeBilinear", "ScaleAndTranslate"})
"""Ops that make a float32 picture of one of any type; each has one output."""
_OUTPUTS: Final = {"AddV2": "z", "Cast": "y", "Identity": "output", "Mul": "z", "RealDiv": "z", "Sub": "z"}
"""Ops that cast, or scale and shift each number, with the names of their outputs."""


def resized_first(function: Any) -> bool:
    """Move the cast and the scaling of pictures behind their resize; return whether there are any before one.

    Each pixel of a resized picture is a mean of pixels whose weights sum to 1: all of them may be scaled and shifted
    alike before it or after it. TensorFlow resizes pictures of whole numbers to float32.
    """
    nodes = {node.name: node for node in function.node_def}
    resizes = [node for node in function.node_def if node.op in _RESIZES]
    found = [(resize, chain) for resize in resizes if (chain := _scaled(nodes, resize))]
    for resize, (cast, *scaling) in found:
        picture, narrow = data_inputs(cast)[0], cast.attr["SrcT"].type
        given = nodes[base_of(data_inputs(resize)[0])]
        if given.op == "ExpandDims":
            made = _copy(function, given, resize)
            made.input[0], made.attr["T"].type = picture, narrow
            picture = f"{made.name}:output:0"
        resize.input[0], resize.attr["T"].type = picture, narrow
        _scale_after(function, nodes, resize, scaling)
    return bool(found)


def _scaled(nodes: dict[str, Any], resize: Any) -> list[Any]:
    """The cast of whole numbers to float32 before a resize, and what scales and shifts them; empty without."""
    import tensorflow as tf

    node, chain = nodes.get(base_of(data_inputs(resize)[0])), list[Any]()
    if node is not None and node.op == "ExpandDims":
        node = nodes.get(base_of(data_inputs(node)[0]))
    while node is not None and node.op in _OUTPUTS:
        chain.insert(0, node)
        if node.op == "Cast":
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


_DECODES: Final = frozenset({"DecodeJpeg", "DecodeAndCropJpeg"})


def rewrite_pictures(graph: EditableGraph, node: Any, how: str) -> bool:
    """Change how the function of a map decodes or resizes pictures; return whether it does any in that way."""
    function = inlined(graph, function_of(graph, node), assertions=True)
    function.signature.name = new_name(function.signature.name).replace("/", "_")
    changed = _CHANGES[how](function)
    if changed:
        graph.functions[function.signature.name] = function
        set_function(node, function.signature.name)
    return changed


def _fast_dct(function: Any) -> bool:
    """Replace the accurate method; TensorFlow's default is the fast one (tried on 2.21)."""
    slow = b"INTEGER_ACCURATE"
    found = [node for node in function.node_def if node.op in _DECODES and node.attr["dct_method"].s == slow]
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
    found = [_Crop(function, node) for node in function.node_def if node.op == "DecodeJpeg"]
    found = [crop for crop in found if crop.is_possible]
    for crop in found:
        crop.apply()
    return bool(found)


class _Crop:
    """A decoded picture; nothing but its shape and one slice are read."""

    def __init__(self, function: Any, decoded: Any) -> None:
        self._function, self._decoded = function, decoded
        self._nodes = {node.name: node for node in function.node_def}
        names, readers = {decoded.name}, []
        for node in function.node_def:
            # Bodies of functions have what a node reads before it.
            if node.op == "Identity" and base_of(node.input[0]) in names:
                names.add(node.name)
            elif any(base_of(reference) in names for reference in data_inputs(node)):
                readers.append(node)
        self._returned = any(base_of(reference) in names for reference in function.ret.values())
        self._shapes = [node for node in readers if node.op == "Shape"]
        self._slices = [node for node in readers if node.op == "Slice"]
        self._alone = len(self._shapes) + len(self._slices) == len(readers)

    @property
    def is_possible(self) -> bool:
        """Whether the slice takes all channels, at a place that is known before the picture is decoded."""
        channels, ratio = self._decoded.attr["channels"].i, self._decoded.attr["ratio"].i
        if self._returned or not self._alone or len(self._slices) != 1 or channels not in (1, 3) or ratio > 1:
            return False
        size = self._nodes.get(base_of(data_inputs(self._slices[0])[2]))
        if size is None or size.op.startswith("SampleDistortedBoundingBox"):
            return size is not None
        import tensorflow as tf

        values = tf.make_ndarray(size.attr["value"].tensor).tolist() if size.op == "Const" else []
        return len(values) == 3 and min(values[:2]) > 0 and values[2] in (-1, channels)

    def apply(self) -> None:
        """Read the shape without decoding, and decode the slice alone."""
        cut, contents = self._slices[0], data_inputs(self._decoded)[0]
        for shape in self._shapes:
            self._read_shape(shape, contents)
        _, begin, size = data_inputs(cut)
        kind = cut.attr["Index"].type
        parts = [
            self._first_two(f"{cut.name}/crop_{name}", one, kind) for name, one in (("begin", begin), ("size", size))
        ]
        window = self._joined(f"{cut.name}/crop_window", parts, kind)
        if kind != _int32():
            window = self._add("Cast", f"{cut.name}/crop_window_int32", [window], SrcT=kind, DstT=_int32()) + ":y:0"
        cut.op = "DecodeAndCropJpeg"
        cut.input[:] = [contents, window]
        cut.attr.clear()
        for name, value in self._decoded.attr.items():
            cut.attr[name].CopyFrom(value)
        old, new = f"{cut.name}:output:0", f"{cut.name}:image:0"
        for node in self._function.node_def:
            node.input[:] = [new if reference == old else reference for reference in node.input]
        for key, reference in [*self._function.ret.items()]:
            self._function.ret[key] = new if reference == old else reference

    def _read_shape(self, shape: Any, contents: str) -> None:
        """Put the picture's height and width as its file has them, and the channels, in place of a shape."""
        kind = shape.attr["out_type"].type or _int32()
        name = shape.name
        read = self._add("ExtractJpegShape", f"{name}/jpeg_file", [contents], output_type=kind) + ":image_shape:0"
        channels = self._constant(f"{name}/jpeg_channels", [int(self._decoded.attr["channels"].i)], kind)
        joined = self._joined(f"{name}/jpeg_shape", [self._first_two(f"{name}/jpeg_sides", read, kind), channels], kind)
        shape.op = "Identity"
        shape.input[:] = [joined]
        shape.attr.clear()
        shape.attr["T"].type = kind

    def _first_two(self, name: str, reference: str, kind: int) -> str:
        start, count = (self._constant(f"{name}/{part}", [value], _int32()) for part, value in (("at", 0), ("of", 2)))
        return self._add("Slice", name, [reference, start, count], T=kind, Index=_int32()) + ":output:0"

    def _joined(self, name: str, parts: list[str], kind: int) -> str:
        axis = self._constant(f"{name}/axis", 0, _int32())
        node = self._add("ConcatV2", name, [*parts, axis], T=kind, Tidx=_int32())
        self._nodes[node].attr["N"].i = len(parts)
        return f"{node}:output:0"

    def _constant(self, name: str, value: Any, kind: int) -> str:
        import tensorflow as tf

        node = self._add("Const", name, [], dtype=kind)
        self._nodes[node].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value, dtype=kind))
        return f"{node}:output:0"

    def _add(self, op: str, name: str, inputs: list[str], **types: int) -> str:
        node = self._function.node_def.add(name=name, op=op, input=inputs)
        for key, kind in types.items():
            node.attr[key].type = kind
        self._nodes[name] = node
        return name


def _int32() -> int:
    import tensorflow as tf

    return int(tf.int32.as_datatype_enum)


_CHANGES: Final = {"fast-dct": _fast_dct, "ratio": _half_size, "crop": _cropped, "resize-first": resized_first}
