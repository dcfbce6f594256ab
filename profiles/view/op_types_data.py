"""The op types of functions for images, files, text, ragged and sparse tensors, as traced; see `op_types`."""

from __future__ import annotations

TYPES = {
    "tf.RaggedTensor.bounding_shape": "ConcatV2 Max Maximum Pack Shape StridedSlice Sub",
    "tf.RaggedTensor.flat_values": "",
    "tf.RaggedTensor.from_nested_row_lengths": "All Assert ConcatV2 Cumsum Equal If LessEqual Range StridedSlice",
    "tf.RaggedTensor.from_nested_row_splits": "All Assert Equal If LessEqual Range StridedSlice Sub",
    "tf.RaggedTensor.from_row_lengths": "All Assert ConcatV2 Cumsum Equal LessEqual Range StridedSlice",
    "tf.RaggedTensor.from_row_limits": "All Assert ConcatV2 Equal If LessEqual Range StridedSlice Sub",
    "tf.RaggedTensor.from_row_splits": "All Assert Equal LessEqual Range StridedSlice Sub",
    "tf.RaggedTensor.from_row_starts": "All Assert Cast ConcatV2 Equal If LessEqual Pack Range StridedSlice Sub",
    "tf.RaggedTensor.from_sparse": (
        "AddV2 All Any Assert Cast ConcatV2 Cumsum DenseBincount Equal Greater If LogicalAnd Max Maximum Minimum Mul "
        "NotEqual Reshape Select Size StridedSlice"
    ),
    "tf.RaggedTensor.from_tensor": "ConcatV2 Mul Pack Reshape StridedSlice Sub",
    "tf.RaggedTensor.from_uniform_row_length": (
        "AddV2 All Assert Equal FloorDiv GreaterEqual If Maximum Mul Range StridedSlice"
    ),
    "tf.RaggedTensor.from_value_rowids": (
        "AddV2 All Assert Cast ConcatV2 Cumsum DenseBincount Equal Greater If Less LessEqual Max Maximum Minimum Mul "
        "Range Reshape StridedSlice Sub"
    ),
    "tf.RaggedTensor.merge_dims": "",
    "tf.RaggedTensor.nested_row_lengths": "",
    "tf.RaggedTensor.nested_row_splits": "",
    "tf.RaggedTensor.nrows": "",
    "tf.RaggedTensor.row_lengths": "StridedSlice Sub",
    "tf.RaggedTensor.row_limits": "StridedSlice",
    "tf.RaggedTensor.row_splits": "",
    "tf.RaggedTensor.row_starts": "StridedSlice",
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
    "tf.image.adjust_brightness": "AddV2",
    "tf.image.adjust_contrast": "AdjustContrastv2",
    "tf.image.adjust_gamma": "Mul Pow",
    "tf.image.adjust_jpeg_quality": "Cast ClipByValue DecodeJpeg EncodeJpegVariableQuality Mul",
    "tf.image.central_crop": "Slice",
    "tf.image.convert_image_dtype": "Cast Mul",
    "tf.image.crop_to_bounding_box": "ExpandDims Pack Slice Squeeze StridedSlice",
    "tf.image.decode_webp": "DecodeWebP",
    "tf.image.draw_bounding_boxes": "DrawBoundingBoxesV2",
    "tf.image.extract_glimpse": "ExtractGlimpseV2",
    "tf.image.extract_patches": "ExtractImagePatches",
    "tf.image.flip_left_right": "ReverseV2",
    "tf.image.flip_up_down": "ReverseV2",
    "tf.image.grayscale_to_rgb": "ConcatV2 ExpandDims Fill Sub Tile",
    "tf.image.hsv_to_rgb": "HSVToRGB",
    "tf.image.image_gradients": "ConcatV2 Fill Pack Reshape StridedSlice Sub Unpack",
    "tf.image.is_jpeg": "Equal Substr",
    "tf.image.non_max_suppression": "NonMaxSuppressionV3",
    "tf.image.non_max_suppression_overlaps": "NonMaxSuppressionWithOverlaps",
    "tf.image.non_max_suppression_padded": (
        "AddV2 All Any Cast Ceil ConcatV2 Equal ExpandDims Fill FloorDiv GatherV2 Greater GreaterEqual Less LessEqual "
        "LogicalAnd LogicalNot Max Maximum Min Minimum Mul NotEqual Pack Pad PartitionedCall Range RealDiv Reshape "
        "Select Shape Slice Split StatelessIf StatelessWhile StridedSlice Sub Sum Tile TopKV2 Transpose"
    ),
    "tf.image.non_max_suppression_with_scores": "NonMaxSuppressionV5",
    "tf.image.pad_to_bounding_box": "ExpandDims Pad Reshape Squeeze",
    "tf.image.per_image_standardization": "Cast Maximum Mean Prod RealDiv Rsqrt Sqrt Square StridedSlice Sub",
    "tf.image.psnr": "All Assert Equal GreaterEqual Log Mean Mul RealDiv ShapeN SquaredDifference StridedSlice Sub",
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
    "tf.image.ssim": (
        "AddV2 All Assert Cast ConcatV2 DepthwiseConv2dNative Equal GreaterEqual Mean Mul Pack Pow Range RealDiv "
        "Reshape Shape ShapeN Softmax Square StridedSlice Sub Tile"
    ),
    "tf.image.ssim_multiscale": (
        "AddV2 All Any Assert AvgPool Cast ConcatV2 DepthwiseConv2dNative Equal ExpandDims FloorMod GreaterEqual Mean "
        "MirrorPad Mul NotEqual Pack Pad Pow Prod Range RealDiv Relu Reshape Shape ShapeN Softmax Square StatelessIf "
        "StridedSlice Sub Tile"
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
    "tf.image.total_variation": "Abs AddV2 StridedSlice Sub Sum",
    "tf.image.yiq_to_rgb": "MatMul Reshape",
    "tf.image.yuv_to_rgb": "MatMul Reshape",
    "tf.io.decode_csv": "DecodeCSV",
    "tf.io.decode_json_example": "DecodeJSONExample",
    "tf.io.decode_proto": "DecodeProtoV2",
    "tf.io.decode_webp": "DecodeWebP",
    "tf.io.is_jpeg": "Equal Substr",
    "tf.io.parse_example": "ParseExampleV2 Reshape",
    "tf.io.parse_sequence_example": "ParseSequenceExampleV2",
    "tf.io.parse_single_example": "ParseExampleV2 Reshape",
    "tf.io.parse_single_sequence_example": "ParseSequenceExampleV2",
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
        "AddV2 All Assert Cast ConcatV2 Cumsum DenseBincount GatherV2 Greater Less LessEqual Max Maximum Minimum Mul "
        "Neg Reshape StridedSlice Sub TopKV2"
    ),
    "tf.sparse.add": "SparseAdd",
    "tf.sparse.bincount": "DenseCountSparseOutput Reshape",
    "tf.sparse.concat": "SparseConcat",
    "tf.sparse.cross": "SparseCrossV2",
    "tf.sparse.cross_hashed": "SparseCross",
    "tf.sparse.expand_dims": "AddV2 ConcatV2 Fill GreaterEqual Pack SelectV2 Shape Slice StridedSlice",
    "tf.sparse.eye": "Fill Minimum Pack Range Reshape",
    "tf.sparse.fill_empty_rows": "SparseFillEmptyRows",
    "tf.sparse.from_dense": "GatherNd NotEqual Where",
    "tf.sparse.mask": "GatherV2 ListDiff",
    "tf.sparse.maximum": "SparseSparseMaximum",
    "tf.sparse.minimum": "SparseSparseMinimum",
    "tf.sparse.reduce_max": "SparseReduceMax",
    "tf.sparse.reduce_sum": "SparseReduceSum",
    "tf.sparse.reorder": "SparseReorder",
    "tf.sparse.reset_shape": "AddV2 Fill Max Maximum",
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
    "tf.strings.unicode_decode_with_offsets": "Reshape UnicodeDecodeWithOffsets",
    "tf.strings.unicode_encode": "Pack Reshape StridedSlice UnicodeEncode",
    "tf.strings.unicode_split": (
        "AddV2 ConcatV2 ExpandDims Mul Pack Range Reshape Shape StridedSlice UnicodeDecode UnicodeEncode"
    ),
    "tf.strings.unicode_split_with_offsets": (
        "AddV2 ConcatV2 ExpandDims Mul Pack Range Reshape Shape StridedSlice UnicodeDecodeWithOffsets UnicodeEncode"
    ),
    "tf.strings.upper": "StringUpper",
}
