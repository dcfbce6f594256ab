"""Pipelines that a library makes, as its users call it: the library is installed in a folder of its own by bench.py."""

from __future__ import annotations

import tensorflow as tf
from vision_models.classification import PictureDecoder, PictureParser
from vision_models.configuration import InputConfiguration
from vision_models.reader import Reader


def vision_models() -> tf.data.Dataset:
    """A training input of image classification: one call, all stages are the library's."""
    reader = Reader(
        InputConfiguration(files="data/imagenet/train-*", batch_size=32),
        decode=PictureDecoder().decode,
        parse=PictureParser(224).parser(training=True),
    )
    return reader.read()
