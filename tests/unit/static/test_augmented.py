"""Transforms of albumentations in TensorFlow's ops."""

from __future__ import annotations

import pytest

from pipeprof.pipelines.static.instead.augmented import augmented

FILE = """
import albumentations as A
import numpy as np
import tensorflow as tf

def transforms():
    return A.Compose([{transforms}])

ONCE = transforms()

def augment(image):
    out = {made}(image=image)["image"]
    return (out / 255.0).astype(np.float32)

def mapped(image, label):
    out = tf.numpy_function(augment, [image], {types})
    return out, label
"""


def lines(transforms: str, made: str = "transforms()", types: str = "tf.float32") -> list[str] | None:
    found = augmented(FILE.format(transforms=transforms, made=made, types=types), "augment")
    assert found is None or (found.instead, found.line) == ("augment(image)", 16)
    return [one.strip() for one in found.lines] if found is not None else None


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        ("A.HorizontalFlip(p=1.0)", "image[:, ::-1]"),
        ("A.Resize(height=96, width=SIDE)", "tf.image.resize(image, [96, SIDE])"),
        ("A.RandomGamma(gamma_limit=(50, 150), p=1)", "255 * (image / 255) ** tf.random.uniform([], 0.5, 1.5)"),
        ("A.CenterCrop(height=8, width=8)", "tf.image.resize_with_crop_or_pad(image, 8, 8)"),
        ("A.Normalize(mean=0.5, std=0.2)", "(image / 255.0 - 0.5) / 0.2"),
        (
            "A.RandomBrightnessContrast(brightness_limit=0.1, contrast_limit=(-0.3, 1), p=1)",
            "tf.clip_by_value(image * tf.random.uniform([], 0.7, 2) + 255 * tf.random.uniform([], -0.1, 0.1), 0, 255)",
        ),
    ],
)
def test_transforms_have_forms_in_ops(transform: str, value: str) -> None:
    for _ in range(2):
        found = lines(transform)
    assert found == [
        "def augment(image):",
        "image = tf.cast(image, tf.float32)",
        f"image = {value}",
        "out = image",
        "return tf.cast(out / 255.0, tf.float32)",
    ]


@pytest.mark.parametrize("made", ["transforms()", "ONCE"])
def test_what_is_drawn_now_and_then_is_a_choice_of_ops(made: str) -> None:
    found = lines("A.VerticalFlip(), A.HorizontalFlip(p=0.3)", made)
    assert found is not None
    assert found[2:4] == [
        "image = tf.cond(tf.random.uniform([]) < 0.5, lambda: image[::-1], lambda: image)",
        "image = tf.cond(tf.random.uniform([]) < 0.3, lambda: image[:, ::-1], lambda: image)",
    ]


@pytest.mark.parametrize(
    ("transforms", "made", "types"),
    [
        ("A.VerticalFlip(), A.ElasticTransform()", "transforms()", "tf.float32"),
        ("A.HorizontalFlip(p=P)", "transforms()", "tf.float32"),
        ("A.RandomGamma(eps=1)", "transforms()", "tf.float32"),
        ("*MORE", "transforms()", "tf.float32"),
        ("A.VerticalFlip()", "other()", "tf.float32"),
        ("A.VerticalFlip()", "transforms()", "[tf.float32]"),
    ],
    ids=["one that TensorFlow has not", "a name", "an argument", "others", "another function", "a list"],
)
def test_others_stay_python(transforms: str, made: str, types: str) -> None:
    assert lines(transforms, made, types) is None
