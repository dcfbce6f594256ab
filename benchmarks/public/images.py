"""Pipelines of pictures, as public training code writes them; inputs are those of data.py, below the current folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

AUTOTUNE = tf.data.AUTOTUNE


def keras_folder() -> tf.data.Dataset:
    """A folder of classes, augmented by Keras layers: the image classification tutorial."""
    augmentation = tf.keras.Sequential(
        [tf.keras.layers.RandomFlip("horizontal"), tf.keras.layers.RandomRotation(0.1), tf.keras.layers.RandomZoom(0.1)]
    )

    def augment(images: tf.Tensor, labels: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return augmentation(images, training=True), labels

    dataset = tf.keras.utils.image_dataset_from_directory(
        "data/classes", image_size=(160, 160), batch_size=32, shuffle=True, seed=1, verbose=False
    )
    return dataset.map(augment, num_parallel_calls=AUTOTUNE).prefetch(AUTOTUNE)


def imagenet() -> tf.data.Dataset:
    """Shards of encoded pictures with a distorted crop: a residual network's training input."""

    def parse_and_distort(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        parsed = tf.io.parse_single_example(
            record,
            {
                "image/encoded": tf.io.FixedLenFeature([], tf.string),
                "image/class/label": tf.io.FixedLenFeature([], tf.int64),
            },
        )
        shape = tf.io.extract_jpeg_shape(parsed["image/encoded"])
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            shape, tf.zeros([1, 0, 4]), area_range=[0.08, 1.0], use_image_if_no_bounding_boxes=True
        )
        top, left, _ = tf.unstack(begin)
        height, width, _ = tf.unstack(size)
        window = tf.stack([top, left, height, width])
        image = tf.image.decode_and_crop_jpeg(parsed["image/encoded"], window, channels=3)
        image = tf.image.resize(tf.image.random_flip_left_right(image), [224, 224])
        return tf.ensure_shape(image, [224, 224, 3]) / 255.0, parsed["image/class/label"]

    files = tf.data.Dataset.list_files("data/imagenet/train-*", shuffle=True, seed=1)
    records = files.interleave(tf.data.TFRecordDataset, cycle_length=4, num_parallel_calls=AUTOTUNE)
    shuffled = records.shuffle(256).repeat()
    return (
        shuffled.map(parse_and_distort, num_parallel_calls=AUTOTUNE).batch(32, drop_remainder=True).prefetch(AUTOTUNE)
    )


def two_views() -> tf.data.Dataset:
    """Two random views of small pictures in memory: contrastive learning."""
    images = np.random.default_rng(3).integers(0, 255, (4000, 32, 32, 3), dtype=np.uint8)

    def view(image: tf.Tensor) -> tf.Tensor:
        image = tf.image.random_crop(tf.image.resize_with_pad(image, 40, 40), [32, 32, 3]) / 255.0
        image = tf.image.random_flip_left_right(image)
        image = tf.image.random_brightness(image, 0.4)
        image = tf.image.random_saturation(image, 0.6, 1.4)
        return tf.image.random_hue(image, 0.1)

    def two_crops(image: tf.Tensor) -> tf.Tensor:
        return tf.concat([view(image), view(image)], axis=-1)

    dataset = tf.data.Dataset.from_tensor_slices(images).shuffle(4000).repeat()
    return dataset.map(two_crops, num_parallel_calls=AUTOTUNE).batch(128, drop_remainder=True).prefetch(AUTOTUNE)


def all_anchors() -> tf.Tensor:
    """Boxes on a grid of 20 by 20."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 20), np.linspace(0, 1, 20)), -1).reshape(-1, 2)
    return tf.constant(np.concatenate([grid - 0.1, grid + 0.1], 1), tf.float32)


def decode(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A picture and its boxes."""
    parsed = tf.io.parse_single_example(
        record, {"image": tf.io.FixedLenFeature([], tf.string), "boxes": tf.io.VarLenFeature(tf.float32)}
    )
    image = tf.image.resize(tf.io.decode_jpeg(parsed["image"], channels=3), [160, 160])
    return image, tf.reshape(tf.sparse.to_dense(parsed["boxes"]), [-1, 4])


def detected(match_anchors: Callable[..., dict[str, tf.Tensor]]) -> tf.data.Dataset:
    """Batches of pictures with what is matched of them."""
    dataset = tf.data.TFRecordDataset("data/detection/train.tfrecord").repeat()
    dataset = dataset.map(decode, num_parallel_calls=AUTOTUNE).map(match_anchors, num_parallel_calls=AUTOTUNE)
    return dataset.padded_batch(8, drop_remainder=True).prefetch(AUTOTUNE)


def detection() -> tf.data.Dataset:
    """Boxes matched with anchors, one picture at a time, in loops: a one-stage detector's input."""
    anchors = all_anchors()

    def match_anchors(image: tf.Tensor, boxes: tf.Tensor) -> dict[str, tf.Tensor]:
        best = tf.zeros([400])
        for box in tf.range(tf.shape(boxes)[0]):
            corners = boxes[box]
            low = tf.maximum(anchors[:, :2], corners[:2])
            high = tf.minimum(anchors[:, 2:], corners[2:])
            overlap = tf.reduce_prod(tf.maximum(high - low, 0.0), axis=1)
            for _ in tf.range(20):
                overlap = tf.minimum(overlap * 1.01, 1.0)
            best = tf.maximum(best, overlap)
        return {"image": image, "boxes": boxes, "scores": best}

    return detected(match_anchors)


def detection_broadcast() -> tf.data.Dataset:
    """The same with all boxes matched with all anchors at once, without loops."""
    anchors = all_anchors()

    def match_anchors(image: tf.Tensor, boxes: tf.Tensor) -> dict[str, tf.Tensor]:
        low = tf.maximum(anchors[:, None, :2], boxes[:, :2])
        high = tf.minimum(anchors[:, None, 2:], boxes[:, 2:])
        overlap = tf.minimum(tf.reduce_prod(tf.maximum(high - low, 0.0), axis=2) * 1.01**20, 1.0)
        scores = tf.reduce_max(tf.pad(overlap, [[0, 0], [0, 1]]), axis=1)
        return {"image": image, "boxes": boxes, "scores": scores}

    return detected(match_anchors)


def load(path: tf.Tensor) -> tf.Tensor:
    """A picture of a file, flipped at random."""
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
    image = tf.image.random_flip_left_right(tf.image.resize(image, [128, 128]))
    return tf.cast(image, tf.float32) / 255.0


def serial_decode() -> tf.data.Dataset:
    """Pictures decoded by a map without parallel calls, which draws at random: a blog's first version."""
    files = tf.data.Dataset.list_files("data/classes/*/*.jpg", seed=1)
    return files.repeat().map(load).batch(32, drop_remainder=True).prefetch(1)


def serial_decode_parallel() -> tf.data.Dataset:
    """The same with parallel calls."""
    files = tf.data.Dataset.list_files("data/classes/*/*.jpg", seed=1)
    return files.repeat().map(load, num_parallel_calls=AUTOTUNE).batch(32, drop_remainder=True).prefetch(1)


def frozen_order() -> tf.data.Dataset:
    """Batches augmented, shuffled, prefetched and then cached: the order of the first epoch stays for ever."""
    images = np.random.default_rng(3).integers(0, 255, (2048, 48, 48, 3), dtype=np.uint8)

    def scale(batch: tf.Tensor) -> tf.Tensor:
        return tf.image.adjust_contrast(tf.cast(batch, tf.float32) / 255.0, 1.3)

    dataset = tf.data.Dataset.from_tensor_slices(images).batch(64).map(scale, num_parallel_calls=AUTOTUNE)
    return dataset.shuffle(32).prefetch(AUTOTUNE).cache()
