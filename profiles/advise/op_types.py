"""TensorFlow's op types behind the functions of ``ops:``, as a graph would show them.

Traced with TensorFlow 2.21 on dense float inputs; a test traces them again. A function without a row is a single op
with the function's own name: ``tf.io.read_file`` is ``ReadFile``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeprof.pipelines.ops.features import FeatureSpec

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


def op_types(name: str, arguments: Mapping[str, Any]) -> frozenset[str]:
    """The op types of a call.

    Args:
        name: Function of the allowlist.
        arguments: Its constants.

    Example:
        >>> sorted(op_types("tf.io.read_file", {})), sorted(op_types("tf.add", {"y": 1}))
        (['ReadFile'], ['AddV2'])
    """
    found = set(_TYPES.get(name, _own_name(name)).split())
    if "ResizeBilinear" in found:
        found.remove("ResizeBilinear")
        found.add(_RESIZERS.get(str(arguments.get("method", "bilinear")), _SCALER))
    if "features" in arguments and not _has_defaults(arguments["features"]):
        # Only default values are brought into shape.
        found.discard("Reshape")
    if name == "tf.random.uniform" and str(arguments.get("dtype", "float32")).startswith(("int", "uint")):
        return frozenset({"RandomUniformInt"})
    if name == "tf.io.decode_raw" and arguments.get("fixed_length") is not None:
        return frozenset({"DecodePaddedRaw"})
    return frozenset(found)


def _has_defaults(features: Any) -> bool:
    """Whether one of the features that a record is parsed to has a default value."""
    given = features.values() if isinstance(features, Mapping) else ()
    return any(one.arguments.get("default_value") is not None for one in given if isinstance(one, FeatureSpec))


def random_op(types: frozenset[str]) -> str | None:
    """The op that draws random numbers, which keeps TensorFlow from making a map parallel."""
    return min(types & _STATEFUL, default=None)


def _own_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.rpartition(".")[2].split("_"))


_TYPES = {
    "tf.RaggedTensor.from_row_lengths": "All Assert ConcatV2 Cumsum Equal LessEqual Range StridedSlice",
    "tf.RaggedTensor.from_row_splits": "All Assert Equal LessEqual Range StridedSlice Sub",
    "tf.RaggedTensor.from_sparse": (
        "AddV2 All Any Assert Cast ConcatV2 Cumsum DenseBincount Equal Greater If LogicalAnd Max Maximum Minimum "
        "Mul NotEqual Reshape Select Size StridedSlice"
    ),
    "tf.RaggedTensor.from_tensor": "ConcatV2 Mul Pack Reshape StridedSlice Sub",
    "tf.RaggedTensor.to_sparse": "RaggedTensorToSparse",
    "tf.RaggedTensor.to_tensor": "RaggedTensorToTensor",
    "tf.add": "AddV2",
    "tf.argmax": "ArgMax",
    "tf.argmin": "ArgMin",
    "tf.argsort": "Neg StridedSlice TopKV2",
    "tf.boolean_mask": "ConcatV2 GatherV2 Pack Prod Reshape Squeeze StridedSlice Where",
    "tf.clip_by_norm": "Fill Greater Maximum Mul RealDiv Select Sqrt Sum",
    "tf.clip_by_value": "Maximum Minimum",
    "tf.concat": "ConcatV2",
    "tf.constant": "",
    "tf.convert_to_tensor": "",
    "tf.divide": "RealDiv",
    "tf.eye": "Cast ConcatV2 Fill MatrixDiagV3 Minimum Pack",
    "tf.gather": "GatherV2",
    "tf.identity": "",
    "tf.image.adjust_brightness": "AddV2",
    "tf.image.adjust_contrast": "AdjustContrastv2",
    "tf.image.adjust_gamma": "Mul Pow",
    "tf.image.adjust_jpeg_quality": "Cast ClipByValue DecodeJpeg EncodeJpegVariableQuality Mul",
    "tf.image.central_crop": "Slice",
    "tf.image.convert_image_dtype": "Cast Mul",
    "tf.image.crop_to_bounding_box": "ExpandDims Pack Slice Squeeze StridedSlice",
    "tf.image.draw_bounding_boxes": "DrawBoundingBoxesV2",
    "tf.image.extract_patches": "ExtractImagePatches",
    "tf.image.flip_left_right": "ReverseV2",
    "tf.image.flip_up_down": "ReverseV2",
    "tf.image.grayscale_to_rgb": "ConcatV2 ExpandDims Fill Sub Tile",
    "tf.image.hsv_to_rgb": "HSVToRGB",
    "tf.image.image_gradients": "ConcatV2 Fill Pack Reshape StridedSlice Sub Unpack",
    "tf.image.pad_to_bounding_box": "ExpandDims Pad Reshape Squeeze",
    "tf.image.per_image_standardization": "Cast Maximum Mean Prod RealDiv Rsqrt Sqrt Square StridedSlice Sub",
    "tf.image.random_brightness": "AddV2 Mul RandomUniform Sub",
    "tf.image.random_contrast": "AddV2 AdjustContrastv2 Mul RandomUniform Sub",
    "tf.image.random_crop": "AddV2 All Assert FloorMod GreaterEqual RandomUniformInt Slice Sub",
    "tf.image.random_flip_left_right": "Less Mul RandomUniform ReverseV2 StatelessIf",
    "tf.image.random_flip_up_down": "Less Mul RandomUniform ReverseV2 StatelessIf",
    "tf.image.random_hue": "AddV2 AdjustHue Mul RandomUniform Sub",
    "tf.image.random_jpeg_quality": "Cast ClipByValue DecodeJpeg EncodeJpegVariableQuality Mul RandomUniformInt",
    "tf.image.random_saturation": "AddV2 AdjustSaturation Mul RandomUniform Sub",
    "tf.image.resize": "ExpandDims ResizeBilinear Squeeze",
    "tf.image.resize_with_crop_or_pad": "ExpandDims Pack Pad Reshape Slice Squeeze StridedSlice",
    "tf.image.resize_with_pad": (
        "Assert Cast ExpandDims Floor GreaterEqual Maximum Pack Pad RealDiv Reshape ResizeBilinear Squeeze Sub"
    ),
    "tf.image.rgb_to_grayscale": "ExpandDims MatMul Reshape",
    "tf.image.rgb_to_hsv": "RGBToHSV",
    "tf.image.rgb_to_yiq": "MatMul Reshape",
    "tf.image.rgb_to_yuv": "MatMul Reshape",
    "tf.image.rot90": "Assert Cast Equal FloorMod If LessEqual Pack ReverseV2 StatelessIf Sum Transpose",
    "tf.image.sample_distorted_bounding_box": "SampleDistortedBoundingBoxV2",
    "tf.image.sobel_edges": "ConcatV2 DepthwiseConv2dNative MirrorPad Pack Reshape StridedSlice Tile",
    "tf.image.stateless_random_brightness": "AddV2 Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub",
    "tf.image.stateless_random_contrast": (
        "AddV2 AdjustContrastv2 Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub"
    ),
    "tf.image.stateless_random_crop": (
        "AddV2 All Assert FloorMod GreaterEqual Slice StatelessRandomGetKeyCounter StatelessRandomUniformIntV2 Sub"
    ),
    "tf.image.stateless_random_flip_left_right": (
        "AddV2 Less Mul ReverseV2 StatelessIf StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub"
    ),
    "tf.image.stateless_random_flip_up_down": (
        "AddV2 Less Mul ReverseV2 StatelessIf StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub"
    ),
    "tf.image.stateless_random_hue": "AddV2 AdjustHue Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub",
    "tf.image.stateless_random_jpeg_quality": (
        "Cast ClipByValue DecodeJpeg EncodeJpegVariableQuality Mul StatelessRandomGetKeyCounter "
        "StatelessRandomUniformIntV2"
    ),
    "tf.image.stateless_random_saturation": (
        "AddV2 AdjustSaturation Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub"
    ),
    "tf.image.total_variation": "Abs AddV2 StridedSlice Sub Sum",
    "tf.image.yiq_to_rgb": "MatMul Reshape",
    "tf.image.yuv_to_rgb": "MatMul Reshape",
    "tf.io.decode_csv": "DecodeCSV",
    "tf.io.decode_json_example": "DecodeJSONExample",
    "tf.io.is_jpeg": "Equal Substr",
    "tf.io.parse_example": "ParseExampleV2 Reshape",
    "tf.io.parse_sequence_example": "ParseSequenceExampleV2",
    "tf.io.parse_single_example": "ParseExampleV2 Reshape",
    "tf.io.parse_single_sequence_example": "ParseSequenceExampleV2",
    "tf.linalg.band_part": "MatrixBandPart",
    "tf.linalg.diag": "MatrixDiagV3",
    "tf.linalg.l2_normalize": "Maximum Mul Rsqrt Square Sum",
    "tf.linalg.matmul": "MatMul",
    "tf.linalg.matvec": "BatchMatMulV2 ExpandDims Squeeze",
    "tf.linalg.norm": "Mul Sqrt Squeeze Sum",
    "tf.linalg.normalize": "Mul RealDiv Sqrt Sum",
    "tf.linalg.trace": "MatrixDiagPartV3 Sum",
    "tf.linspace": (
        "AddV2 BroadcastArgs BroadcastTo Cast ConcatV2 Equal ExpandDims GreaterEqual Maximum Mul Pack Range "
        "RealDiv Reshape SelectV2 Slice StridedSlice Sub"
    ),
    "tf.math.add": "AddV2",
    "tf.math.angle": "Fill Less Mul Select",
    "tf.math.argmax": "ArgMax",
    "tf.math.argmin": "ArgMin",
    "tf.math.bincount": "AddV2 Cast DenseBincount Greater Max Mul Reshape",
    "tf.math.confusion_matrix": "AddV2 All Assert Cast Fill If LessEqual Max Maximum Pack ScatterNd",
    "tf.math.count_nonzero": "Cast NotEqual Sum",
    "tf.math.divide": "RealDiv",
    "tf.math.divide_no_nan": "DivNoNan",
    "tf.math.floordiv": "FloorDiv",
    "tf.math.floormod": "FloorMod",
    "tf.math.in_top_k": "InTopKV2",
    "tf.math.is_non_decreasing": "AddV2 All Fill GreaterEqual Less Reshape StatelessIf StridedSlice Sub",
    "tf.math.is_strictly_increasing": "AddV2 All Fill Greater Less Reshape StatelessIf StridedSlice Sub",
    "tf.math.l2_normalize": "Maximum Mul Rsqrt Square Sum",
    "tf.math.log_sigmoid": "Neg Softplus",
    "tf.math.logical_xor": "LogicalAnd LogicalNot LogicalOr",
    "tf.math.mod": "FloorMod",
    "tf.math.multiply": "Mul",
    "tf.math.multiply_no_nan": "MulNoNan",
    "tf.math.negative": "Neg",
    "tf.math.reduce_all": "All",
    "tf.math.reduce_any": "Any",
    "tf.math.reduce_euclidean_norm": "EuclideanNorm",
    "tf.math.reduce_logsumexp": "AddV2 Exp IsFinite Log Max Reshape SelectV2 Shape StopGradient Sub Sum",
    "tf.math.reduce_max": "Max",
    "tf.math.reduce_mean": "Mean",
    "tf.math.reduce_min": "Min",
    "tf.math.reduce_prod": "Prod",
    "tf.math.reduce_std": "Mean Sqrt Square Sub",
    "tf.math.reduce_sum": "Sum",
    "tf.math.reduce_variance": "Mean Square Sub",
    "tf.math.scalar_mul": "Mul",
    "tf.math.subtract": "Sub",
    "tf.math.top_k": "TopKV2",
    "tf.math.truediv": "RealDiv",
    "tf.math.unsorted_segment_mean": (
        "Cast ConcatV2 Fill Maximum Pack RealDiv Reshape StridedSlice Sub UnsortedSegmentSum"
    ),
    "tf.math.zero_fraction": "Cast LessEqual NotEqual RealDiv StatelessIf Sub Sum",
    "tf.matmul": "MatMul",
    "tf.multiply": "Mul",
    "tf.negative": "Neg",
    "tf.nn.l2_normalize": "Maximum Mul Rsqrt Square Sum",
    "tf.nn.moments": "Mean SquaredDifference Squeeze StopGradient",
    "tf.norm": "Mul Sqrt Squeeze Sum",
    "tf.ones": "Fill",
    "tf.ragged.boolean_mask": "ConcatV2 GatherV2 Pack Prod Reshape Squeeze StridedSlice Where",
    "tf.ragged.range": "Cast RaggedRange",
    "tf.ragged.stack": "AddV2 ConcatV2 Cumsum Mul Pack Reshape StridedSlice",
    "tf.random.categorical": "Multinomial",
    "tf.random.gamma": "BroadcastArgs BroadcastTo Maximum RandomGamma RealDiv",
    "tf.random.normal": "AddV2 Mul RandomStandardNormal",
    "tf.random.poisson": "RandomPoissonV2",
    "tf.random.shuffle": "RandomShuffle",
    "tf.random.stateless_categorical": "StatelessMultinomial",
    "tf.random.stateless_normal": "AddV2 Mul StatelessRandomGetKeyCounter StatelessRandomNormalV2",
    "tf.random.stateless_truncated_normal": "AddV2 Mul StatelessRandomGetKeyCounter StatelessTruncatedNormalV2",
    "tf.random.stateless_uniform": "AddV2 Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub",
    "tf.random.truncated_normal": "AddV2 Mul TruncatedNormal",
    "tf.random.uniform": "RandomUniform",
    "tf.range": "Cast Range",
    "tf.reduce_all": "All",
    "tf.reduce_any": "Any",
    "tf.reduce_logsumexp": "AddV2 Exp IsFinite Log Max Reshape SelectV2 Shape StopGradient Sub Sum",
    "tf.reduce_max": "Max",
    "tf.reduce_mean": "Mean",
    "tf.reduce_min": "Min",
    "tf.reduce_prod": "Prod",
    "tf.reduce_sum": "Sum",
    "tf.repeat": "Cast ConcatV2 ExpandDims Mul Pack Reshape StridedSlice Tile",
    "tf.reverse": "ReverseV2",
    "tf.saturate_cast": "Cast ClipByValue",
    "tf.searchsorted": "LowerBound Pack Reshape StridedSlice",
    "tf.sequence_mask": "Cast ExpandDims Less Max Maximum Range",
    "tf.signal.dct": "Cast Complex Exp Mul Neg Pad RFFT Range Real RealDiv StridedSlice",
    "tf.signal.fft": "FFT",
    "tf.signal.frame": "AddV2 ConcatV2 Fill FloorDiv GatherV2 Maximum Mul Pack Range Reshape StridedSlice Sub",
    "tf.signal.hann_window": "AddV2 Cast Cos Equal Fill FloorMod Mul Pack Range RealDiv StatelessIf Sub",
    "tf.signal.inverse_stft": (
        "AddV2 Cast ConcatV2 Cos FloorMod IRFFT Mul Pack Pad Range RealDiv Reshape StridedSlice Sub Sum Transpose"
    ),
    "tf.signal.irfft": "IRFFT",
    "tf.signal.linear_to_mel_weight_matrix": (
        "AddV2 BroadcastArgs BroadcastTo Cast ConcatV2 Equal ExpandDims Fill FloorDiv GatherV2 GreaterEqual Log "
        "Maximum Minimum Mul Pack Pad Range RealDiv Reshape SelectV2 Slice Split StridedSlice Sub"
    ),
    "tf.signal.mfccs_from_log_mel_spectrograms": (
        "Cast Complex Exp Mul Neg Pad RFFT Range Real RealDiv Rsqrt StridedSlice"
    ),
    "tf.signal.overlap_and_add": "ConcatV2 Pad Range Reshape StridedSlice Sum Transpose",
    "tf.signal.rfft": "RFFT",
    "tf.signal.stft": (
        "AddV2 Cast ConcatV2 Cos Fill FloorDiv FloorMod GatherV2 Maximum Mul Pack RFFT Range RealDiv Reshape "
        "StridedSlice Sub"
    ),
    "tf.sort": "Neg StridedSlice TopKV2",
    "tf.sparse.fill_empty_rows": "SparseFillEmptyRows",
    "tf.sparse.from_dense": "GatherNd NotEqual Where",
    "tf.sparse.reorder": "SparseReorder",
    "tf.sparse.reshape": "Cast SparseReshape",
    "tf.sparse.slice": "SparseSlice",
    "tf.sparse.to_dense": "SparseToDense",
    "tf.split": "SplitV",
    "tf.stack": "Pack",
    "tf.strided_slice": "Fill StridedSlice",
    "tf.strings.bytes_split": (
        "AddV2 Cast ConcatV2 Cumsum DenseBincount Greater Max Maximum Minimum Mul Reshape Size StridedSlice StringSplit"
    ),
    "tf.strings.join": "StringJoin",
    "tf.strings.length": "StringLength",
    "tf.strings.lower": "StringLower",
    "tf.strings.ngrams": "Cast ConcatV2 Pack StridedSlice StringNGrams",
    "tf.strings.regex_full_match": "StaticRegexFullMatch",
    "tf.strings.regex_replace": "StaticRegexReplace",
    "tf.strings.split": (
        "AddV2 Cast ConcatV2 Cumsum DenseBincount Greater Max Maximum Minimum Mul Reshape Size StridedSlice "
        "StringSplitV2"
    ),
    "tf.strings.strip": "StringStrip",
    "tf.strings.to_hash_bucket": "StringToHashBucket",
    "tf.strings.to_hash_bucket_fast": "StringToHashBucketFast",
    "tf.strings.to_hash_bucket_strong": "StringToHashBucketStrong",
    "tf.strings.to_number": "StringToNumber",
    "tf.strings.unicode_decode": "Reshape UnicodeDecode",
    "tf.strings.unicode_encode": "Pack Reshape StridedSlice UnicodeEncode",
    "tf.strings.unicode_split": (
        "AddV2 ConcatV2 ExpandDims Mul Pack Range Reshape Shape StridedSlice UnicodeDecode UnicodeEncode"
    ),
    "tf.strings.upper": "StringUpper",
    "tf.subtract": "Sub",
    "tf.tensor_scatter_nd_add": "TensorScatterAdd",
    "tf.tensor_scatter_nd_update": "TensorScatterUpdate",
    "tf.tensordot": "MatMul",
    "tf.truediv": "RealDiv",
    "tf.unstack": "Unpack",
    "tf.zeros": "Fill",
}
