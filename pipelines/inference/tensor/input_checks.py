"""Input requirements of the functions of ``ops:``: dtypes, ranks, ragged and sparse tensors.

The rows (in `needs_table`) say what TensorFlow refuses for certain; a test tries every one of them. What the other
arguments decide (that two shapes fit each other, say) stands with the rules.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, Tensor, fits
from pipeprof.pipelines.inference.tensor.texts import refuse

_LETTERS = {
    "s": "string", "b": "bool", "u": "uint8", "i": "int32", "l": "int64", "h": "float16", "f": "float32",
    "d": "float64", "c": "complex64",
}  # fmt: skip
_KINDS = {"d": "dense", "r": "ragged", "s": "sparse"}
ROWS = {
    ("b", 0, None, "d"): ("logical_not.x math.logical_not.x "),
    ("builhfd", 0, None, "d"): ("argmax.input argmin.input math.argmax.input math.argmin.input "),
    ("builhfdc", 0, None, "d"): ("image.extract_patches.images "),
    ("builhfdc", 1, None, "d"): ("linalg.diag.diagonal "),
    ("c", 1, None, "d"): ("signal.fft.input signal.irfft.input_tensor "),
    ("c", 2, None, "d"): ("signal.inverse_stft.stfts "),
    ("f", 0, None, "d"): (
        "audio.encode_wav.audio image.sample_distorted_bounding_box.bounding_boxes "
        "image.stateless_sample_distorted_bounding_box.bounding_boxes "
    ),
    ("f", 2, 2, "d"): ("math.in_top_k.predictions "),
    ("fd", 1, None, "d"): (
        "signal.dct.input signal.mfccs_from_log_mel_spectrograms.log_mel_spectrograms signal.rfft.input_tensor "
        "signal.stft.signals "
    ),
    ("hfd", 0, None, "d"): ("clip_by_norm.t math.cumulative_logsumexp.x nn.avg_pool.input "),
    ("hfd", 1, None, "d"): ("image.hsv_to_rgb.images image.rgb_to_hsv.images "),
    ("hfd", 4, 4, "d"): ("image.sobel_edges.image "),
    ("hfdc", 0, None, "d"): (
        "linalg.l2_normalize.x linalg.norm.tensor linalg.normalize.tensor math.l2_normalize.x nn.l2_normalize.x "
        "norm.tensor tensor_scatter_nd_add.tensor tensor_scatter_nd_update.tensor "
    ),
    ("hfdc", 1, None, "d"): (
        "image.rgb_to_yiq.images image.rgb_to_yuv.images image.yiq_to_rgb.images image.yuv_to_rgb.images "
    ),
    ("i", 0, None, "d"): ("strings.unicode_encode.input strings.unicode_script.input "),
    ("il", 1, 1, "d"): ("math.invert_permutation.x "),
    ("ilfd", 0, None, "d"): ("histogram_fixed_width.values ragged.range.starts "),
    ("ilhfd", 0, None, "d"): ("range.start sequence_mask.lengths "),
    ("s", 0, 1, "d"): ("io.parse_example.serialized io.parse_sequence_example.serialized "),
    ("s", 0, 0, "d"): (
        "audio.decode_wav.contents io.decode_and_crop_jpeg.contents io.decode_bmp.contents io.decode_gif.contents "
        "io.decode_image.contents io.decode_jpeg.contents io.decode_png.contents io.extract_jpeg_shape.contents "
        "io.parse_single_example.serialized io.parse_single_sequence_example.serialized io.read_file.filename "
    ),
    ("s", 0, None, "d"): ("io.decode_json_example.json_examples io.decode_raw.input_bytes io.parse_tensor.serialized "),
    ("sbuilhfdc", 0, None, "d"): (
        "broadcast_to.input ensure_shape.x image.random_crop.value image.stateless_random_crop.value "
        "io.serialize_tensor.tensor linalg.band_part.input math.count_nonzero.input math.zero_fraction.value "
        "pad.tensor random.shuffle.value reverse.tensor reverse_sequence.input roll.input slice.input_ "
        "sparse.from_dense.tensor squeeze.input strided_slice.input_ transpose.a unique_with_counts.x "
        "unstack.value "
    ),
    ("sbuilhfdc", 1, 1, "d"): ("unique.x "),
    ("sbuilhfdc", 1, None, "d"): ("signal.frame.signal "),
    ("sbuilhfdc", 2, None, "d"): ("RaggedTensor.from_tensor.tensor signal.overlap_and_add.signal "),
    ("sbuilhfdc", 3, 4, "d"): (
        "image.central_crop.image image.crop_to_bounding_box.image image.flip_left_right.image "
        "image.flip_up_down.image image.pad_to_bounding_box.image image.random_flip_left_right.image "
        "image.random_flip_up_down.image image.resize_with_crop_or_pad.image image.rot90.image "
        "image.stateless_random_flip_left_right.image image.stateless_random_flip_up_down.image "
        "image.transpose.image "
    ),
    ("sbuilhfdc", 3, None, "d"): ("image.grayscale_to_rgb.images image.per_image_standardization.image "),
    ("u", 3, 3, "d"): ("io.encode_jpeg.image "),
    ("u", 3, None, "d"): ("io.encode_png.image "),
    ("uilhfd", 0, None, "d"): ("nn.max_pool.input "),
    ("uilhfd", 1, None, "d"): ("argsort.values image.rgb_to_grayscale.images math.top_k.input sort.values "),
    ("uilhfd", 2, 2, "d"): ("random.categorical.logits random.stateless_categorical.logits "),
    ("uilhfd", 3, 3, "d"): (
        "image.adjust_jpeg_quality.image image.random_jpeg_quality.image image.stateless_random_jpeg_quality.image "
    ),
    ("uilhfd", 3, None, "d"): (
        "image.adjust_contrast.images image.adjust_hue.image image.adjust_saturation.image "
        "image.random_contrast.image image.random_hue.image image.random_saturation.image "
        "image.stateless_random_contrast.image image.stateless_random_hue.image "
        "image.stateless_random_saturation.image "
    ),
    ("uilhfdc", 0, None, "d"): ("math.cumprod.x math.reduce_euclidean_norm.input_tensor "),
    ("uilhfdc", 2, None, "d"): ("linalg.trace.x "),
    ("uilhfdc", 4, 4, "d"): ("image.image_gradients.image "),
    ("b", 0, None, "dr"): (
        "logical_and.x logical_and.y logical_or.x logical_or.y math.logical_and.x math.logical_and.y "
        "math.logical_or.x math.logical_or.y math.logical_xor.x math.logical_xor.y math.reduce_all.input_tensor "
        "math.reduce_any.input_tensor ragged.boolean_mask.mask reduce_all.input_tensor reduce_any.input_tensor "
    ),
    ("builhfdc", 0, None, "dr"): ("ones_like.input where.condition "),
    ("builhfdc", 1, None, "dr"): ("boolean_mask.mask "),
    ("f", 0, None, "dr"): (
        "image.crop_and_resize.boxes image.draw_bounding_boxes.boxes image.draw_bounding_boxes.colors "
    ),
    ("hf", 3, None, "dr"): ("image.draw_bounding_boxes.images "),
    ("hfd", 0, None, "dr"): (
        "floor.x math.atan2.x math.atan2.y math.ceil.x math.digamma.x math.floor.x math.is_finite.x math.is_inf.x "
        "math.is_nan.x math.lgamma.x math.log_sigmoid.x math.reduce_logsumexp.input_tensor math.rint.x "
        "math.softplus.features math.softsign.features reduce_logsumexp.input_tensor "
    ),
    ("hfd", 1, None, "dr"): ("math.log_softmax.logits math.softmax.logits nn.softmax.logits "),
    ("hfdc", 0, None, "dr"): (
        "cos.x exp.x math.acos.x math.acosh.x math.angle.input math.cos.x math.cosh.x math.exp.x math.expm1.x "
        "math.log.x math.log1p.x math.multiply_no_nan.x math.multiply_no_nan.y math.reduce_std.input_tensor "
        "math.reduce_variance.input_tensor math.rsqrt.x math.sigmoid.x math.sinh.x math.xdivy.x math.xdivy.y "
        "math.xlogy.x math.xlogy.y nn.sigmoid.x sigmoid.x "
    ),
    ("il", 0, None, "dr"): (
        "RaggedTensor.from_row_lengths.row_lengths RaggedTensor.from_row_splits.row_splits gather.indices "
        "math.unsorted_segment_max.segment_ids math.unsorted_segment_mean.segment_ids "
        "math.unsorted_segment_sum.segment_ids "
    ),
    ("il", 1, 1, "dr"): (
        "math.segment_max.segment_ids math.segment_mean.segment_ids math.segment_min.segment_ids "
        "math.segment_prod.segment_ids math.segment_sum.segment_ids "
    ),
    ("ilhfdc", 0, None, "dr"): (
        "math.pow.x math.pow.y math.reciprocal.x math.squared_difference.x math.squared_difference.y nn.moments.x "
        "pow.x pow.y "
    ),
    ("ilhfdc", 3, 4, "dr"): ("image.total_variation.images "),
    ("s", 0, None, "dr"): (
        "io.decode_base64.input io.decode_compressed.bytes io.encode_base64.input io.is_jpeg.contents "
        "strings.bytes_split.input strings.length.input strings.lower.input strings.ngrams.data "
        "strings.reduce_join.inputs strings.regex_full_match.input strings.regex_replace.input "
        "strings.split.input strings.strip.input strings.to_hash_bucket.input strings.to_hash_bucket_fast.input "
        "strings.to_hash_bucket_strong.input strings.to_number.input strings.unicode_decode.input "
        "strings.unicode_split.input strings.unicode_transcode.input strings.upper.input "
    ),
    ("sbuilhfdc", 0, None, "dr"): (
        "RaggedTensor.from_row_lengths.values RaggedTensor.from_row_splits.values equal.x equal.y "
        "expand_dims.input gather_nd.params math.confusion_matrix.labels math.confusion_matrix.predictions "
        "math.equal.x math.equal.y math.imag.input math.not_equal.x math.not_equal.y not_equal.x not_equal.y "
        "ragged.boolean_mask.data repeat.input reshape.tensor strings.as_string.input tile.input zeros_like.input "
    ),
    ("sbuilhfdc", 1, None, "dr"): (
        "boolean_mask.tensor gather.params searchsorted.sorted_sequence searchsorted.values split.value "
    ),
    ("suilhfdc", 0, None, "dr"): ("add.x add.y math.add.x math.add.y "),
    ("uil", 0, None, "dr"): (
        "bitwise.bitwise_and.x bitwise.bitwise_and.y bitwise.bitwise_or.x bitwise.bitwise_or.y "
        "bitwise.bitwise_xor.x bitwise.bitwise_xor.y bitwise.left_shift.x bitwise.left_shift.y "
        "bitwise.right_shift.x bitwise.right_shift.y linspace.start linspace.stop one_hot.indices "
    ),
    ("uilhfd", 0, None, "dr"): (
        "clip_by_value.t greater.x greater.y greater_equal.x greater_equal.y image.adjust_brightness.image "
        "image.adjust_gamma.image image.convert_image_dtype.image image.crop_and_resize.image "
        "image.random_brightness.image image.stateless_random_brightness.image less.x less.y less_equal.x "
        "less_equal.y math.floormod.x math.floormod.y math.greater.x math.greater.y math.greater_equal.x "
        "math.greater_equal.y math.is_non_decreasing.x math.is_strictly_increasing.x math.less.x math.less.y "
        "math.less_equal.x math.less_equal.y math.maximum.x math.maximum.y math.minimum.x math.minimum.y "
        "math.mod.x math.mod.y math.reduce_max.input_tensor math.reduce_min.input_tensor "
        "math.unsorted_segment_max.data math.unsorted_segment_mean.data maximum.x maximum.y minimum.x minimum.y "
        "nn.relu.features reduce_max.input_tensor reduce_min.input_tensor "
    ),
    ("uilhfd", 1, None, "dr"): ("math.segment_max.data math.segment_min.data "),
    ("uilhfd", 3, 4, "dr"): ("image.resize.images image.resize_with_pad.image "),
    ("uilhfdc", 0, None, "dr"): (
        "cumsum.x divide.y math.conj.x math.cumsum.x math.divide.y math.divide_no_nan.x math.divide_no_nan.y "
        "math.floordiv.x math.floordiv.y math.multiply.x math.multiply.y math.real.input "
        "math.reduce_mean.input_tensor math.reduce_prod.input_tensor math.reduce_sum.input_tensor math.round.x "
        "math.scalar_mul.scalar math.scalar_mul.x math.subtract.x math.subtract.y math.truediv.x math.truediv.y "
        "math.unsorted_segment_sum.data multiply.x multiply.y reduce_mean.input_tensor reduce_prod.input_tensor "
        "reduce_sum.input_tensor round.x saturate_cast.value subtract.x subtract.y tensordot.a tensordot.b "
        "truediv.x truediv.y "
    ),
    ("uilhfdc", 1, None, "dr"): (
        "linalg.matvec.b math.segment_mean.data math.segment_prod.data math.segment_sum.data "
    ),
    ("uilhfdc", 2, None, "dr"): ("linalg.matmul.a linalg.matmul.b linalg.matvec.a matmul.a matmul.b "),
    ("hfd", 0, None, "drs"): ("math.erf.x "),
    ("hfdc", 0, None, "drs"): (
        "math.asin.x math.asinh.x math.atan.x math.atanh.x math.sin.x math.sqrt.x math.tan.x math.tanh.x sin.x "
        "sqrt.x tanh.x "
    ),
    ("ilhfdc", 0, None, "drs"): ("abs.x math.abs.x math.negative.x math.sign.x negative.x sign.x "),
    ("uilhfdc", 0, None, "drs"): ("divide.x math.divide.x math.square.x square.x "),
    ("sbuilhfdc", 0, None, "r"): ("RaggedTensor.to_sparse.self RaggedTensor.to_tensor.self "),
    ("sbuilhfdc", 0, None, "s"): (
        "RaggedTensor.from_sparse.st_input sparse.fill_empty_rows.sp_input sparse.reorder.sp_input "
        "sparse.reshape.sp_input sparse.to_dense.sp_input "
    ),
}
"""Letters of the dtypes that fit, fewest and most dimensions, letters of the kinds that fit: ``function.parameter``."""


@dataclass(frozen=True)
class InputTypes:
    """Requirement of one parameter.

    Attributes:
        dtypes: Those that fit, of the dtypes that were tried.
        most: Most dimensions; ``None`` for any number.
        kinds: ``dense``, ``ragged`` and ``sparse``, as far as they fit.
    """

    dtypes: frozenset[str]
    least: int
    most: int | None
    kinds: frozenset[str]

    def words(self) -> str:
        """Describe the requirement for a message.

        Example:
            >>> needs("tf.io.decode_jpeg")["contents"].words(), needs("tf.image.resize")["images"].words()
            ('a single string', 'numbers with 3 or 4 dimensions')
        """
        if self.most == 0 and len(self.dtypes) == 1:
            return f"a single {next(iter(self.dtypes))}"
        if "dense" not in self.kinds:
            return f"a {' or '.join(sorted(self.kinds))} tensor"
        return self._dtype_words() + self._rank_words()

    def _dtype_words(self) -> str:
        for names, words in _CLASSES:
            if self.dtypes == names:
                return words
        if len(self.dtypes) == 1:
            return next(iter(self.dtypes))
        return f"one of {', '.join(name for name in TRIED if name in self.dtypes)}"

    def _rank_words(self) -> str:
        if self.most is None:
            return f" with at least {self.least} dimension{'s' * (self.least != 1)}" if self.least else ""
        if self.least == self.most:
            return f" with {self.least} dimension{'s' * (self.least != 1)}"
        between = " or " if self.most == self.least + 1 else " to "
        return f" with {self.least}{between}{self.most} dimensions"

    def allows_dtype(self, dtype: str) -> bool:
        """Whether a dtype fits, or was not tried."""
        return dtype not in TRIED or dtype in self.dtypes

    def allows_rank(self, rank: int | None) -> bool:
        """Whether a number of dimensions fits, or is not known."""
        return rank is None or (rank >= self.least and (self.most is None or rank <= self.most))


TRIED = tuple(_LETTERS.values())
_REAL = frozenset(TRIED) - {"string", "bool", "complex64"}
_CLASSES = (
    (frozenset(TRIED), "a tensor"),
    (frozenset({"string"}), "strings"),
    (frozenset({"bool"}), "truth values (bool)"),
    (_REAL, "numbers"),
    (_REAL | {"complex64"}, "numbers"),
    (frozenset(TRIED) - {"string"}, "numbers or truth values"),
    (frozenset(TRIED) - {"bool"}, "numbers or strings"),
    (frozenset({"float16", "float32", "float64"}), "floats"),
    (frozenset({"float32", "float64"}), "float32 or float64"),
    (frozenset({"float16", "float32", "float64", "complex64"}), "floats"),
    (frozenset({"uint8", "int32", "int64"}), "whole numbers"),
    (frozenset({"int32", "int64"}), "whole numbers (int32 or int64)"),
    (frozenset({"uint8"}), "uint8"),
)


Place = tuple[str | int, ...]
ANYTHING = InputTypes(frozenset(TRIED), 0, None, frozenset(_KINDS.values()))
_PICK = ": pick a field with `on`"


@functools.cache
def _table() -> Mapping[str, Mapping[str, InputTypes]]:
    found: dict[str, dict[str, InputTypes]] = {}
    for (dtypes, least, most, kinds), names in ROWS.items():
        need = InputTypes(
            frozenset(_LETTERS[dtype] for dtype in dtypes), least, most, frozenset(_KINDS[kind] for kind in kinds)
        )
        for full in names.split():
            name, _, parameter = full.rpartition(".")
            found.setdefault(f"tf.{name}", {})[parameter] = need
    return found


def needs(name: str) -> Mapping[str, InputTypes]:
    """Return the requirements of a function's parameters; unrestricted ones have no entry."""
    return _table().get(name, {})


def check_inputs(name: str, inputs: Mapping[str, Structure], on: Any) -> None:
    """Refuse the inputs of a call that do not fit.

    Args:
        inputs: What goes in, by parameter.
        on: The call's ``on``, to say where one may pick a field.

    Raises:
        Refused: One does not fit.
    """
    wanted = needs(name)
    for index, (parameter, given) in enumerate(inputs.items()):
        need = wanted.get(parameter, ANYTHING)
        check = _check_packed if isinstance(given, tuple) else _check
        check(name, parameter, given, need, _place(on, index, parameter))


def _place(on: Any, index: int, parameter: str) -> Place:
    """Return the place where a parameter's field was written; empty if the whole element goes in."""
    if on is None:
        return ()
    if isinstance(on, dict):
        return ("on", parameter)
    return ("on", index) if isinstance(on, tuple) else ("on",)


def _check_packed(name: str, parameter: str, given: tuple[Structure, ...], need: InputTypes, place: Place) -> None:
    """TensorFlow makes one tensor of a tuple, if its components allow."""
    tensors = [argument for argument in given if isinstance(argument, Tensor) and argument.kind == "dense"]
    differ = len({tensor.dtype for tensor in tensors}) > 1
    for tensor in tensors[1:]:
        first = tensors[0].shape
        differ = differ or (first is not None and tensor.shape is not None and not fits(first, tensor.shape))
    if differ:
        expected = f"{need.words()} for `{parameter}` of {name}{'' if place else _PICK}"
        refuse(given, "wrong-structure", expected, *place)


def _check(name: str, parameter: str, given: Structure, need: InputTypes, place: Place) -> None:
    expected = f"{need.words()} for `{parameter}` of {name}"
    if isinstance(given, Mapping | Nested):
        hint = _PICK if isinstance(given, Mapping) and not place else ""
        hint = ": turn it into tensors with `flat_map` and a `batch` inside" if isinstance(given, Nested) else hint
        refuse(given, "wrong-structure", expected + hint, *place)
    if not isinstance(given, Tensor):
        return
    if given.kind not in need.kinds:
        refuse(given, "wrong-kind", f"{expected}{_dense_hint(given, need)}", *place)
    if given.kind != "dense":
        return
    if not need.allows_dtype(given.dtype):
        refuse(given, "wrong-dtype", f"{expected}{_dtype_hint(given, need)}", *place)
    if not need.allows_rank(given.rank):
        excess = 0 if need.most is None else max(0, (given.rank or 0) - need.most)
        refuse(given, "wrong-rank", expected, *place, excess=excess)


def _dense_hint(given: Tensor, need: InputTypes) -> str:
    if "dense" not in need.kinds:
        return ""
    name = "tf.sparse.to_dense" if given.kind == "sparse" else "tf.RaggedTensor.to_tensor"
    return f": put {name} before it"


def _dtype_hint(given: Tensor, need: InputTypes) -> str:
    if given.dtype == "string" and "string" not in need.dtypes and (given.rank or 0) == 0:
        return ": decode it first" if "uint8" in need.dtypes else ""
    if need.dtypes >= {"float32"} and given.dtype != "string" and not given.dtype.startswith("complex"):
        return ": put tf.cast before it"
    return ""
