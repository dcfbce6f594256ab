"""Keras preprocessing layers, called by name: constructor arguments, and optionally ``training``.

``tf.keras.layers.Rescaling: {scale: 0.5}`` is equivalent to ``layer = tf.keras.layers.Rescaling(scale=0.5)``, made once
when the pipeline is built, and ``layer(element)`` in the function. With ``training`` it is ``layer(element,
training=…)``. A list in ``on`` goes in as one tuple, a mapping by the names of the layer's inputs. Nothing is adapted.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from pipeprof.pipelines.ops.functions.catalog import Function, Parameter, split_signature

# Constructors without their further keyword arguments, as Keras 3 has them.
LAYERS = {
    "tf.keras.layers.AugMix": (
        "value_range=(0, 255), num_chains=3, chain_depth=3, factor=0.3, alpha=1.0, all_ops=True, "
        "interpolation='bilinear', seed=None, data_format=None"
    ),
    "tf.keras.layers.AutoContrast": "value_range=(0, 255)",
    "tf.keras.layers.CategoryEncoding": "num_tokens=None, output_mode='multi_hot', sparse=False",
    "tf.keras.layers.CenterCrop": "height, width, data_format=None",
    "tf.keras.layers.CutMix": "factor=1.0, seed=None, data_format=None",
    "tf.keras.layers.Discretization": (
        "bin_boundaries=None, num_bins=None, epsilon=0.01, output_mode='int', sparse=False, dtype=None, name=None"
    ),
    "tf.keras.layers.Equalization": "value_range=(0, 255), bins=256, data_format=None",
    "tf.keras.layers.HashedCrossing": "num_bins, output_mode='int', sparse=False, name=None, dtype=None",
    "tf.keras.layers.Hashing": "num_bins, mask_value=None, salt=None, output_mode='int', sparse=False",
    "tf.keras.layers.IntegerLookup": (
        "max_tokens=None, num_oov_indices=1, mask_token=None, oov_token=-1, vocabulary=None, "
        "vocabulary_dtype='int64', idf_weights=None, invert=False, output_mode='int', sparse=False, "
        "pad_to_max_tokens=False, oov_method='floormod', salt=None, name=None"
    ),
    "tf.keras.layers.MaxNumBoundingBoxes": "max_number, fill_value=-1",
    "tf.keras.layers.MelSpectrogram": (
        "fft_length=2048, sequence_stride=512, sequence_length=None, window='hann', sampling_rate=16000, "
        "num_mel_bins=128, min_freq=20.0, max_freq=None, power_to_db=True, top_db=80.0, mag_exp=2.0, "
        "min_power=1e-10, ref_power=1.0"
    ),
    "tf.keras.layers.MixUp": "alpha=0.2, data_format=None, seed=None",
    "tf.keras.layers.Normalization": "axis=-1, mean=None, variance=None, invert=False",
    "tf.keras.layers.RandAugment": (
        "value_range=(0, 255), num_ops=2, factor=0.5, interpolation='bilinear', seed=None, data_format=None"
    ),
    "tf.keras.layers.RandomBrightness": "factor, value_range=(0, 255), seed=None",
    "tf.keras.layers.RandomColorDegeneration": "factor, value_range=(0, 255), data_format=None, seed=None",
    "tf.keras.layers.RandomColorJitter": (
        "value_range=(0, 255), brightness_factor=None, contrast_factor=None, saturation_factor=None, "
        "hue_factor=None, seed=None, data_format=None"
    ),
    "tf.keras.layers.RandomContrast": "factor, value_range=(0, 255), seed=None",
    "tf.keras.layers.RandomCrop": "height, width, seed=None, data_format=None, name=None",
    "tf.keras.layers.RandomElasticTransform": (
        "factor=1.0, scale=1.0, interpolation='bilinear', fill_mode='reflect', fill_value=0.0, value_range=(0, "
        "255), seed=None, data_format=None"
    ),
    "tf.keras.layers.RandomErasing": (
        "factor=1.0, scale=(0.02, 0.33), fill_value=None, value_range=(0, 255), seed=None, data_format=None"
    ),
    "tf.keras.layers.RandomFlip": "mode='horizontal_and_vertical', seed=None, data_format=None",
    "tf.keras.layers.RandomGaussianBlur": (
        "factor=1.0, kernel_size=3, sigma=1.0, value_range=(0, 255), data_format=None, seed=None"
    ),
    "tf.keras.layers.RandomGrayscale": "factor=0.5, data_format=None, seed=None",
    "tf.keras.layers.RandomHue": "factor, value_range=(0, 255), data_format=None, seed=None",
    "tf.keras.layers.RandomInvert": "factor=1.0, value_range=(0, 255), seed=None, data_format=None",
    "tf.keras.layers.RandomPerspective": (
        "factor=1.0, scale=1.0, interpolation='bilinear', fill_value=0.0, seed=None, data_format=None"
    ),
    "tf.keras.layers.RandomPosterization": "factor, value_range=(0, 255), data_format=None, seed=None",
    "tf.keras.layers.RandomRotation": (
        "factor, fill_mode='reflect', interpolation='bilinear', seed=None, fill_value=0.0, data_format=None"
    ),
    "tf.keras.layers.RandomSaturation": "factor, value_range=(0, 255), data_format=None, seed=None",
    "tf.keras.layers.RandomSharpness": "factor, value_range=(0, 255), data_format=None, seed=None",
    "tf.keras.layers.RandomShear": (
        "x_factor=0.0, y_factor=0.0, interpolation='bilinear', fill_mode='reflect', fill_value=0.0, "
        "data_format=None, seed=None"
    ),
    "tf.keras.layers.RandomTranslation": (
        "height_factor, width_factor, fill_mode='reflect', interpolation='bilinear', seed=None, fill_value=0.0, "
        "data_format=None"
    ),
    "tf.keras.layers.RandomZoom": (
        "height_factor, width_factor=None, fill_mode='reflect', interpolation='bilinear', seed=None, "
        "fill_value=0.0, data_format=None"
    ),
    "tf.keras.layers.Rescaling": "scale, offset=0.0",
    "tf.keras.layers.Resizing": (
        "height, width, interpolation='bilinear', crop_to_aspect_ratio=False, pad_to_aspect_ratio=False, "
        "fill_mode='constant', fill_value=0.0, antialias=False, data_format=None"
    ),
    "tf.keras.layers.Solarization": "addition_factor=0.0, threshold_factor=0.0, value_range=(0, 255), seed=None",
    "tf.keras.layers.StringLookup": (
        "max_tokens=None, num_oov_indices=1, mask_token=None, oov_token='[UNK]', vocabulary=None, "
        "idf_weights=None, invert=False, output_mode='int', pad_to_max_tokens=False, sparse=False, "
        "encoding='utf-8', name=None, salt=None"
    ),
    "tf.keras.layers.TextVectorization": (
        "max_tokens=None, standardize='lower_and_strip_punctuation', split='whitespace', ngrams=None, "
        "output_mode='int', output_sequence_length=None, pad_to_max_tokens=False, vocabulary=None, "
        "idf_weights=None, sparse=False, ragged=False, encoding='utf-8', name=None"
    ),
}
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
def layers() -> Mapping[str, Function]:
    """All layers by name, with the parameters that a spec may write."""
    return {name: _layer(name) for name in LAYERS}


def layer(name: str) -> Function | None:
    """The layer of this name, or None when there is none."""
    return layers()[name] if name in LAYERS else None


def _layer(name: str) -> Function:
    pairs = dict(_pair(part) for part in split_signature(LAYERS[name])) | CALL_ARGUMENTS
    learned = dict.fromkeys(_LEARNED.get(name, ()))
    given = {**_COMMON, **pairs, **learned} if "dtype" not in pairs else {**pairs, **learned}
    return Function(name, tuple(Parameter(key, given[key]) for key in dict.fromkeys([*pairs, *given])))


def _pair(part: str) -> tuple[str, str | None]:
    key, equals, default = part.partition("=")
    return key, default if equals else None
