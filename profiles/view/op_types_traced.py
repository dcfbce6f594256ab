"""Table of op types by catalogue function, recorded by tracing, for rules and predictions; see `op_types`.

A function without a row has one op of its own name: no answer differs from that of the ops that TensorFlow traces.
"""

from __future__ import annotations

TYPES = {
    "tf.RaggedTensor.flat_values": "",
    "tf.RaggedTensor.from_sparse": (
        "AddV2 All Any Assert Cast ConcatV2 Cumsum DenseBincount Equal Greater If LogicalAnd Max Maximum Minimum "
        "Mul NotEqual Reshape Select Size StridedSlice"
    ),
    "tf.RaggedTensor.from_tensor": "ConcatV2 Mul Pack Reshape StridedSlice Sub",
    "tf.RaggedTensor.from_value_rowids": (
        "AddV2 All Assert Cast ConcatV2 Cumsum DenseBincount Equal Greater If Less LessEqual Max Maximum Minimum "
        "Mul Range Reshape StridedSlice Sub"
    ),
    "tf.RaggedTensor.merge_dims": "",
    "tf.RaggedTensor.nested_row_lengths": "",
    "tf.RaggedTensor.nested_row_splits": "",
    "tf.RaggedTensor.nrows": "",
    "tf.RaggedTensor.row_splits": "",
    "tf.RaggedTensor.to_sparse": "RaggedTensorToSparse",
    "tf.RaggedTensor.to_tensor": "RaggedTensorToTensor",
    "tf.RaggedTensor.value_rowids": (
        "BroadcastTo Cast ConcatV2 ExpandDims GatherV2 Less Max Maximum Pack Prod Range Reshape Shape Squeeze "
        "StridedSlice Sub Tile Where"
    ),
    "tf.RaggedTensor.values": "",
    "tf.RaggedTensor.with_flat_values": "",
    "tf.RaggedTensor.with_row_splits_dtype": "Cast",
    "tf.RaggedTensor.with_values": "",
    "tf.SparseTensor": "",
    "tf.SparseTensor.dense_shape": "",
    "tf.SparseTensor.indices": "",
    "tf.SparseTensor.values": "",
    "tf.SparseTensor.with_values": "",
    "tf.boolean_mask": "ConcatV2 GatherV2 Pack Prod Reshape Squeeze StridedSlice Where",
    "tf.clip_by_value": "Maximum Minimum",
    "tf.constant": "",
    "tf.convert_to_tensor": "",
    "tf.divide": "RealDiv",
    "tf.histogram_fixed_width_bins": "Assert Cast Floor Greater Maximum Minimum Mul RealDiv Reshape StridedSlice Sub",
    "tf.image.adjust_brightness": "AddV2",
    "tf.image.adjust_jpeg_quality": "Cast ClipByValue DecodeJpeg EncodeJpegVariableQuality Mul",
    "tf.image.convert_image_dtype": "Cast Mul",
    "tf.image.crop_to_bounding_box": "ExpandDims Pack Slice Squeeze StridedSlice",
    "tf.image.decode_webp": "DecodeWebP",
    "tf.image.image_gradients": "ConcatV2 Fill Pack Reshape StridedSlice Sub Unpack",
    "tf.image.non_max_suppression_padded": (
        "AddV2 All Any Cast Ceil ConcatV2 Equal ExpandDims Fill FloorDiv GatherV2 Greater GreaterEqual Less "
        "LessEqual LogicalAnd LogicalNot Max Maximum Min Minimum Mul NotEqual Pack Pad PartitionedCall Range "
        "RealDiv Reshape Select Shape Slice Split StatelessIf StatelessWhile StridedSlice Sub Sum Tile TopKV2 "
        "Transpose"
    ),
    "tf.image.pad_to_bounding_box": "ExpandDims Pad Reshape Squeeze",
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
    "tf.image.rgb_to_yiq": "MatMul Reshape",
    "tf.image.rgb_to_yuv": "MatMul Reshape",
    "tf.image.sample_distorted_bounding_box": "SampleDistortedBoundingBoxV2",
    "tf.image.sobel_edges": "ConcatV2 DepthwiseConv2dNative MirrorPad Pack Reshape StridedSlice Tile",
    "tf.image.ssim": (
        "AddV2 All Assert Cast ConcatV2 DepthwiseConv2dNative Equal GreaterEqual Mean Mul Pack Pow Range RealDiv "
        "Reshape Shape ShapeN Softmax Square StridedSlice Sub Tile"
    ),
    "tf.image.ssim_multiscale": (
        "AddV2 All Any Assert AvgPool Cast ConcatV2 DepthwiseConv2dNative Equal ExpandDims FloorMod GreaterEqual "
        "Mean MirrorPad Mul NotEqual Pack Pad Pow Prod Range RealDiv Relu Reshape Shape ShapeN Softmax Square "
        "StatelessIf StridedSlice Sub Tile"
    ),
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
    "tf.image.yiq_to_rgb": "MatMul Reshape",
    "tf.image.yuv_to_rgb": "MatMul Reshape",
    "tf.io.decode_csv": "DecodeCSV",
    "tf.io.decode_webp": "DecodeWebP",
    "tf.io.parse_example": "ParseExampleV2 Reshape",
    "tf.io.parse_sequence_example": "ParseSequenceExampleV2",
    "tf.io.parse_single_example": "ParseExampleV2 Reshape",
    "tf.io.parse_single_sequence_example": "ParseSequenceExampleV2",
    "tf.linalg.expm": (
        "Abs AddV2 BatchMatMulV2 ConcatV2 Fill Floor IsFinite Less Log MatrixDiagV3 MatrixSolve Max Maximum "
        "Minimum Mul Neg Pack Pow RealDiv Reshape SelectV2 StatelessIf StatelessWhile StridedSlice Sub Sum"
    ),
    "tf.linspace": (
        "AddV2 BroadcastArgs BroadcastTo Cast ConcatV2 Equal ExpandDims GreaterEqual Maximum Mul Pack Range "
        "RealDiv Reshape SelectV2 Slice StridedSlice Sub"
    ),
    "tf.math.bincount": "AddV2 Cast DenseBincount Greater Max Mul Reshape",
    "tf.math.divide": "RealDiv",
    "tf.math.is_non_decreasing": "AddV2 All Fill GreaterEqual Less Reshape StatelessIf StridedSlice Sub",
    "tf.math.is_strictly_increasing": "AddV2 All Fill Greater Less Reshape StatelessIf StridedSlice Sub",
    "tf.math.multiply": "Mul",
    "tf.math.negative": "Neg",
    "tf.math.polyval": "AddV2 Mul",
    "tf.math.reduce_logsumexp": "AddV2 Exp IsFinite Log Max Reshape SelectV2 Shape StopGradient Sub Sum",
    "tf.math.scalar_mul": "Mul",
    "tf.math.subtract": "Sub",
    "tf.math.truediv": "RealDiv",
    "tf.math.unsorted_segment_mean": (
        "Cast ConcatV2 Fill Maximum Pack RealDiv Reshape StridedSlice Sub UnsortedSegmentSum"
    ),
    "tf.meshgrid": "Fill Mul Pack Reshape",
    "tf.multiply": "Mul",
    "tf.negative": "Neg",
    "tf.ragged.boolean_mask": "ConcatV2 GatherV2 Pack Prod Reshape Squeeze StridedSlice Where",
    "tf.ragged.constant": "",
    "tf.ragged.cross": "RaggedCross",
    "tf.ragged.cross_hashed": "RaggedCross",
    "tf.ragged.range": "Cast RaggedRange",
    "tf.ragged.row_splits_to_segment_ids": (
        "BroadcastTo Cast ConcatV2 ExpandDims GatherV2 Less Max Maximum Pack Prod Range Reshape Shape Squeeze "
        "StridedSlice Sub Tile Where"
    ),
    "tf.ragged.segment_ids_to_row_splits": "AddV2 Cast ConcatV2 Cumsum DenseBincount Greater Max Mul Reshape",
    "tf.ragged.stack": "AddV2 ConcatV2 Cumsum Mul Pack Reshape StridedSlice",
    "tf.ragged.stack_dynamic_partitions": (
        "AddV2 All Assert Cast ConcatV2 Cumsum DenseBincount GatherV2 Greater Less LessEqual Max Maximum Minimum "
        "Mul Neg Reshape StridedSlice Sub TopKV2"
    ),
    "tf.random.categorical": "Multinomial",
    "tf.random.experimental.stateless_fold_in": "Pack StatelessRandomGetKeyCounter StatelessRandomUniformFullIntV2",
    "tf.random.experimental.stateless_shuffle": "StatelessRandomGetKeyCounter StatelessShuffle",
    "tf.random.experimental.stateless_split": "StatelessRandomGetKeyCounter StatelessRandomUniformFullIntV2",
    "tf.random.fold_in": "Pack StatelessRandomGetKeyCounter StatelessRandomUniformFullIntV2",
    "tf.random.gamma": "BroadcastArgs BroadcastTo Maximum RandomGamma RealDiv",
    "tf.random.normal": "AddV2 Mul RandomStandardNormal",
    "tf.random.poisson": "RandomPoissonV2",
    "tf.random.shuffle": "RandomShuffle",
    "tf.random.split": "StatelessRandomGetKeyCounter StatelessRandomUniformFullIntV2",
    "tf.random.stateless_binomial": "StatelessRandomBinomial",
    "tf.random.stateless_gamma": (
        "BroadcastArgs BroadcastTo Maximum RealDiv StatelessRandomGammaV3 StatelessRandomGetKeyCounter"
    ),
    "tf.random.stateless_normal": "AddV2 Mul StatelessRandomGetKeyCounter StatelessRandomNormalV2",
    "tf.random.stateless_poisson": "StatelessRandomPoisson",
    "tf.random.stateless_truncated_normal": "AddV2 Mul StatelessRandomGetKeyCounter StatelessTruncatedNormalV2",
    "tf.random.stateless_uniform": "AddV2 Mul StatelessRandomGetKeyCounter StatelessRandomUniformV2 Sub",
    "tf.random.uniform": "RandomUniform",
    "tf.reduce_logsumexp": "AddV2 Exp IsFinite Log Max Reshape SelectV2 Shape StopGradient Sub Sum",
    "tf.repeat": "Cast ConcatV2 ExpandDims Mul Pack Reshape StridedSlice Tile",
    "tf.scalar_mul": "Mul",
    "tf.searchsorted": "LowerBound Pack Reshape StridedSlice",
    "tf.signal.frame": "AddV2 ConcatV2 Fill FloorDiv GatherV2 Maximum Mul Pack Range Reshape StridedSlice Sub",
    "tf.signal.inverse_mdct": (
        "AddV2 Cast Complex ConcatV2 Exp Mul Neg Pad Pow RFFT Range Real RealDiv Reshape ReverseV2 Sin Split "
        "StridedSlice Sum Transpose"
    ),
    "tf.signal.inverse_stft": (
        "AddV2 Cast ConcatV2 Cos FloorMod IRFFT Mul Pack Pad Range RealDiv Reshape StridedSlice Sub Sum Transpose"
    ),
    "tf.signal.linear_to_mel_weight_matrix": (
        "AddV2 BroadcastArgs BroadcastTo Cast ConcatV2 Equal ExpandDims Fill FloorDiv GatherV2 GreaterEqual Log "
        "Maximum Minimum Mul Pack Pad Range RealDiv Reshape SelectV2 Slice Split StridedSlice Sub"
    ),
    "tf.signal.mdct": (
        "AddV2 Cast Complex ConcatV2 Exp Fill FloorDiv GatherV2 Maximum Mul Neg Pack Pad Pow RFFT Range Real "
        "RealDiv Reshape ReverseV2 Sin Split StridedSlice Sub"
    ),
    "tf.signal.overlap_and_add": "ConcatV2 Pad Range Reshape StridedSlice Sum Transpose",
    "tf.signal.stft": (
        "AddV2 Cast ConcatV2 Cos Fill FloorDiv FloorMod GatherV2 Maximum Mul Pack RFFT Range RealDiv Reshape "
        "StridedSlice Sub"
    ),
    "tf.sparse.add": "SparseAdd",
    "tf.sparse.bincount": "DenseCountSparseOutput Reshape",
    "tf.sparse.concat": "SparseConcat",
    "tf.sparse.cross": "SparseCrossV2",
    "tf.sparse.cross_hashed": "SparseCross",
    "tf.sparse.eye": "Fill Minimum Pack Range Reshape",
    "tf.sparse.fill_empty_rows": "SparseFillEmptyRows",
    "tf.sparse.maximum": "SparseSparseMaximum",
    "tf.sparse.minimum": "SparseSparseMinimum",
    "tf.sparse.reduce_max": "SparseReduceMax",
    "tf.sparse.reduce_sum": "SparseReduceSum",
    "tf.sparse.reorder": "SparseReorder",
    "tf.sparse.reshape": "Cast SparseReshape",
    "tf.sparse.retain": "GatherV2 Reshape Where",
    "tf.sparse.segment_mean": "SparseSegmentMean",
    "tf.sparse.segment_sqrt_n": "SparseSegmentSqrtN",
    "tf.sparse.segment_sum": "SparseSegmentSum",
    "tf.sparse.slice": "SparseSlice",
    "tf.sparse.softmax": "SparseSoftmax",
    "tf.sparse.sparse_dense_matmul": "SparseTensorDenseMatMul",
    "tf.sparse.split": "SparseSplit",
    "tf.sparse.to_dense": "SparseToDense",
    "tf.sparse.to_indicator": "Cast ConcatV2 ExpandDims Fill Pack Shape SparseReorder SparseToDense StridedSlice",
    "tf.sparse.transpose": "GatherV2 SparseReorder Transpose",
    "tf.strings.bytes_split": (
        "AddV2 Cast ConcatV2 Cumsum DenseBincount Greater Max Maximum Minimum Mul Reshape Size StridedSlice StringSplit"
    ),
    "tf.strings.join": "StringJoin",
    "tf.strings.lower": "StringLower",
    "tf.strings.regex_replace": "StaticRegexReplace",
    "tf.strings.split": (
        "AddV2 Cast ConcatV2 Cumsum DenseBincount Greater Max Maximum Minimum Mul Reshape Size StridedSlice "
        "StringSplitV2"
    ),
    "tf.strings.strip": "StringStrip",
    "tf.strings.unicode_decode": "Reshape UnicodeDecode",
    "tf.strings.unicode_decode_with_offsets": "Reshape UnicodeDecodeWithOffsets",
    "tf.strings.unicode_encode": "Pack Reshape StridedSlice UnicodeEncode",
    "tf.strings.unicode_split": (
        "AddV2 ConcatV2 ExpandDims Mul Pack Range Reshape Shape StridedSlice UnicodeDecode UnicodeEncode"
    ),
    "tf.strings.unicode_split_with_offsets": (
        "AddV2 ConcatV2 ExpandDims Mul Pack Range Reshape Shape StridedSlice UnicodeDecodeWithOffsets UnicodeEncode"
    ),
    "tf.strings.upper": "StringUpper",
    "tf.subtract": "Sub",
    "tf.truediv": "RealDiv",
}
