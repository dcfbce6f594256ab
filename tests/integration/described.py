"""Functions described as specs: the files that they read, and the answer of the worker."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import yaml

from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.protocol.describe import DescribeJob
from pipeprof.profiles.worker.describe_function import Describing

FUNCTIONS = Path(__file__).parent / "pipelines_described"


@contextmanager
def folder_of(name: str, folder: Path) -> Iterator[Path]:
    """A module of functions in a folder, with the photos, records and texts that they read."""
    shutil.copy(FUNCTIONS / name, folder / name)
    picture = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    for label in (0, 1):
        (folder / "photos" / str(label)).mkdir(parents=True)
        for number in range(3):
            tf.io.write_file(f"{folder}/photos/{label}/{number}.jpg", tf.io.encode_jpeg(picture))
    (folder / "records").mkdir()
    png = tf.io.encode_png(picture[:, :, :1]).numpy()
    for shard in range(3):
        with tf.io.TFRecordWriter(f"{folder}/records/{shard}.tfrecord") as writer:
            for number in range(5):
                features = {
                    "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
                    "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[number % 3])),
                }
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    (folder / "words.txt").write_text("first\n" + "some words\nno\nand more of them\n" * 5)
    (folder / "table.csv").write_text("x,y,word\n" + "1.5,2,a\n2.5,3,b\n" * 4)
    yield folder
    # A target's folder is on the path, and its module is kept under the file's name.
    sys.path[:] = [entry for entry in sys.path if entry != str(folder)]
    sys.modules.pop(Path(name).stem, None)


def described(target: str, folder: Path, **job: Any) -> dict[str, Any]:
    """What the worker answers; the spec is written and read again."""
    whole = {
        "target": target,
        "arguments": [],
        "folder": str(folder),
        "name": "a",
        "arrays": None,
        "force": False,
        **job,
    }
    found = vars(Describing(DescribeJob(**whole)).run())
    answer = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    (folder / "spec.yaml").write_text(answer["text"])
    load_spec(folder / "spec.yaml")
    answer["data"] = yaml.safe_load(answer["text"])
    return answer


def words(answer: dict[str, Any]) -> str:
    """Names of its source and stages."""
    return " ".join(next(iter(one)) for one in (answer["data"]["source"], *answer["data"].get("stages", [])))
