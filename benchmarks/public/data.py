"""The inputs of this benchmark's pipelines: ``python data.py FOLDER``. Random content, fixed seeds, about 120 MB."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

WORDS = np.array([f"{first}{last}" for first in ("ab", "con", "de", "in", "re", "trans") for last in "aeiou" * 8])


def feature(value: object) -> tf.train.Feature:
    """A feature of bytes, floats or integers."""
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    array = np.asarray(value)
    if array.dtype.kind == "S":
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=array.ravel().tolist()))
    if array.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=array.ravel()))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=array.ravel()))


def write_records(path: Path, examples: list[dict[str, object]]) -> None:
    """Write examples as one TFRecord file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for example in examples:
            features = tf.train.Features(feature={name: feature(value) for name, value in example.items()})
            writer.write(tf.train.Example(features=features).SerializeToString())


def picture(rng: np.random.Generator, height: int, width: int) -> bytes:
    """A JPEG of smooth noise: it compresses about as a photograph does."""
    coarse = rng.integers(0, 255, (height // 8, width // 8, 3)).astype(np.float32)
    pixels = tf.cast(tf.image.resize(coarse, (height, width), method="bicubic"), tf.float32)
    noise = rng.normal(0, 6, (height, width, 3))
    return bytes(tf.io.encode_jpeg(tf.saturate_cast(pixels + noise, tf.uint8), quality=90).numpy())


def sentence(rng: np.random.Generator, low: int, high: int) -> str:
    """So many words."""
    return " ".join(rng.choice(WORDS, rng.integers(low, high)))


def make_images(folder: Path, rng: np.random.Generator) -> None:
    """Pictures in folders of classes, pictures in records, and pictures in records with boxes."""
    pictures = [picture(rng, 240, 320) for _ in range(48)]
    for number in range(600):
        path = folder / "classes" / f"class{number % 5}" / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % len(pictures)])
    large = [picture(rng, 400, 480) for _ in range(24)]
    for shard in range(4):
        examples: list[dict[str, object]] = [
            {"image/encoded": large[(number + shard) % len(large)], "image/class/label": number % 10}
            for number in range(100)
        ]
        write_records(folder / "imagenet" / f"train-{shard:05}-of-00004", examples)
    boxes: list[dict[str, object]] = []
    for number in range(200):
        corners = np.sort(rng.random((rng.integers(1, 12), 2, 2)).astype(np.float32), axis=1)
        boxes.append({"image": pictures[number % len(pictures)], "boxes": corners.reshape(-1, 4)})
    write_records(folder / "detection" / "train.tfrecord", boxes)


def make_texts(folder: Path, rng: np.random.Generator) -> None:
    """Three corpora of lines, and pairs of sentences."""
    (folder / "texts").mkdir(parents=True)
    for name, low, high in (("news", 40, 120), ("wiki", 80, 240), ("chat", 3, 20)):
        lines = "\n".join(sentence(rng, low, high) for _ in range(3000))
        (folder / "texts" / f"{name}.txt").write_text(f"{lines}\n")
    for language in ("source", "target"):
        lines = "\n".join(sentence(rng, 3, 60) for _ in range(8000))
        (folder / "texts" / f"{language}.txt").write_text(f"{lines}\n")


def make_tables(folder: Path, rng: np.random.Generator) -> None:
    """A CSV file, clicks in records, arrays in files, sounds and trajectories."""
    (folder / "tables").mkdir(parents=True)
    columns = [f"c{number}" for number in range(20)] + ["label"]
    rows = np.round(rng.random((40_000, len(columns))), 4)
    rows[:, -1] = rows[:, -1] > 0.5
    np.savetxt(folder / "tables" / "train.csv", rows, "%g", ",", header=",".join(columns), comments="")
    clicks: list[dict[str, object]] = [
        {f"i{number}": rng.integers(0, 1000) for number in range(13)}
        | {f"c{number}": str(rng.integers(0, 10**6)).encode() for number in range(26)}
        | {"label": rng.integers(0, 2)}
        for _ in range(6000)
    ]
    write_records(folder / "tables" / "clicks.tfrecord", clicks)
    (folder / "arrays").mkdir()
    for number in range(300):
        np.save(folder / "arrays" / f"{number:04}.npy", rng.random((96, 96, 4), dtype=np.float32))
    (folder / "sounds").mkdir()
    for number in range(200):
        wave = tf.audio.encode_wav(rng.uniform(-1, 1, (16_000, 1)).astype(np.float32), 16_000)
        (folder / "sounds" / f"{number:04}.wav").write_bytes(wave.numpy())
    episodes: list[dict[str, object]] = []
    for _ in range(200):
        length = rng.integers(150, 250)
        episodes.append(
            {"states": rng.random((length, 64), dtype=np.float32), "actions": rng.random((length, 8), dtype=np.float32)}
        )
    write_records(folder / "episodes" / "episodes.tfrecord", episodes)


def main() -> None:
    """Make everything in the folder that the command line names."""
    folder, rng = Path(sys.argv[1]), np.random.default_rng(7)
    make_images(folder, rng)
    make_texts(folder, rng)
    make_tables(folder, rng)


if __name__ == "__main__":
    main()
