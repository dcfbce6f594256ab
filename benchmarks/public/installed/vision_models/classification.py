"""Decoder and parser of encoded pictures with a label."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

MEAN, DEVIATION = (124.0, 117.0, 104.0), (58.0, 57.0, 57.0)


class PictureDecoder:
    """From a record to its fields."""

    def __init__(self) -> None:
        self._fields = {
            "image/encoded": tf.io.FixedLenFeature([], tf.string),
            "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        }

    def decode(self, record: tf.Tensor) -> dict[str, Any]:
        """Take the fields out of a record."""
        return tf.io.parse_single_example(record, self._fields)


class ModelParser:
    """Makes what a model is given; subclasses say how."""

    def parser(self, *, training: bool) -> Callable[..., Any]:
        """Return the function to map."""

        def parse(fields: dict[str, Any]) -> tuple[Any, Any]:
            return self.for_training(fields) if training else self.for_evaluation(fields)

        return parse

    def for_training(self, fields: dict[str, Any]) -> tuple[Any, Any]:
        """Augmented."""
        raise NotImplementedError

    def for_evaluation(self, fields: dict[str, Any]) -> tuple[Any, Any]:
        """As it is."""
        raise NotImplementedError


class PictureParser(ModelParser):
    """Pictures of one size.

    Args:
        size: Height and width in pixels.
    """

    def __init__(self, size: int) -> None:
        self._size = size

    def _normalized(self, image: tf.Tensor) -> tf.Tensor:
        image = tf.image.resize(image, [self._size, self._size])
        return tf.ensure_shape((image - tf.constant(MEAN)) / tf.constant(DEVIATION), [self._size, self._size, 3])

    def for_training(self, fields: dict[str, Any]) -> tuple[Any, Any]:
        """A random part of the picture, mirrored half of the time."""
        encoded = fields["image/encoded"]
        shape = tf.image.extract_jpeg_shape(encoded)
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            shape, tf.zeros([1, 0, 4]), area_range=[0.08, 1.0], use_image_if_no_bounding_boxes=True
        )
        window = tf.concat([begin[:2], size[:2]], axis=0)
        image = tf.image.decode_and_crop_jpeg(encoded, window, channels=3)
        return self._normalized(tf.image.random_flip_left_right(image)), tf.cast(fields["image/class/label"], tf.int32)

    def for_evaluation(self, fields: dict[str, Any]) -> tuple[Any, Any]:
        """The whole picture."""
        image = tf.io.decode_jpeg(fields["image/encoded"], channels=3)
        return self._normalized(image), tf.cast(fields["image/class/label"], tf.int32)
