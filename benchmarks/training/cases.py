"""The training scripts, and the truth about each, from reading them and from plain runs.

Whether a script is input-bound is decided by plain runs with stored batches; what reading it says counts where these do
not decide. Nothing here is corrected because of what pipeprof says. A script prints its own times: ``N steps in S s``,
per epoch or per so many steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent / "scripts"
WORTH = 1.1
"""What stored batches bring a script that is input-bound, at least."""
Texts = tuple[tuple[str, str], ...]
"""Edits of a script: a text that occurs once in it, and what replaces it."""


@dataclass(frozen=True)
class Script:
    """One training script.

    Attributes:
        stored: The edit that hands out three stored batches in place of the pipeline: what an infinitely fast pipeline
            would bring.
        input_bound: Whether, by reading the script, the step waits for the pipeline for a tenth of the time or more;
            `None` if that is near the line, or depends on how many cores are free.
        stages: Functions or transformations that the verdict may name as the bottleneck; any if there is none.
        mend: The edit that a good engineer makes; empty if there is none worth making.
        library: What the script needs besides TensorFlow.
    """

    stored: Texts
    input_bound: bool | None
    stages: tuple[str, ...] = ()
    mend: Texts = ()
    library: str | None = None


def take_stored(after: str, name: str, steps: int) -> Texts:
    """Add a line that hands out three stored batches of the dataset `name`, `steps` times an epoch."""
    return ((after, f"{after}{name} = {name}.take(3).cache().repeat().take({steps})\n"),)


CSV_BY_ROW = """    return tf.data.experimental.make_csv_dataset(
        csv_file_path,
        batch_size=batch_size,
        column_names=[*FEATURE_NAMES, TARGET_FEATURE_NAME],
        column_defaults=COLUMN_DEFAULTS,
        label_name=TARGET_FEATURE_NAME,
        num_epochs=1,
        header=True,
        shuffle=shuffle,
    )
"""
CSV_BY_BATCH = """    def parse(lines):
        columns = dict(zip([*FEATURE_NAMES, TARGET_FEATURE_NAME], tf.io.decode_csv(lines, COLUMN_DEFAULTS)))
        return columns, columns.pop(TARGET_FEATURE_NAME)

    lines = tf.data.TextLineDataset(csv_file_path).skip(1)
    lines = lines.shuffle(10000) if shuffle else lines
    return lines.batch(batch_size).map(parse, num_parallel_calls=tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
"""

CASES = {
    # Each epoch reads, decodes and resizes 2,304 pictures again: Keras' tutorials cache them before the augmentation.
    # The random rotation of what is cached stays, and costs about as much as the step.
    "image_classification": Script(
        stored=take_stored("    train_ds = train_ds.prefetch(tf.data.AUTOTUNE)\n", "    train_ds", 144),
        input_bound=True,
        stages=("data_augmentation", "<lambda>", "load_image", "image_dataset", "_load"),
        mend=(("train_ds = train_ds.map(", "train_ds = train_ds.cache().map("),),
    ),
    # From the second epoch on the batches come from the cache.
    "text_classification": Script(
        stored=take_stored("train_ds = train_ds.cache().prefetch(buffer_size=10)\n", "train_ds", 80), input_bound=False
    ),
    # 256 windows a batch, each gathered by two calls of its own; the LSTM takes 120 small steps on the same cores.
    "timeseries_forecasting": Script(
        stored=(("model.fit(dataset_train,", "model.fit(dataset_train.take(3).cache().repeat().take(165),"),),
        input_bound=None,
    ),
    # Keras decodes in parallel and prefetches; what follows is one multiplication of a batch.
    "dcgan": Script(
        stored=take_stored("dataset = dataset.map(lambda x: x / 255.0)\n", "dataset", 200), input_bound=None
    ),
    # A batch of rows in memory takes a fraction of an eager step.
    "digits_from_scratch": Script(
        stored=take_stored("shuffle(buffer_size=1024).batch(args.batch_size)\n", "train_dataset", 469),
        input_bound=False,
    ),
    # One picture a step, loaded in parallel with a step that takes longer.
    "pix2pix": Script(
        stored=(("in train_dataset.repeat()", "in train_dataset.take(3).cache().repeat()"),), input_bound=None
    ),
    # Sixteen pictures are decoded one after the other while an eager step of a small model takes less time.
    "yolo_eager": Script(
        stored=(("iter(train_dataset)", "iter(train_dataset.take(3).cache().repeat())"),),
        input_bound=None,
        stages=("parse_tfrecord", "<lambda>"),
        mend=(
            (
                "return dataset.map(lambda x: parse_tfrecord(x, size))",
                "return dataset.map(lambda x: parse_tfrecord(x, size), num_parallel_calls=tf.data.AUTOTUNE)",
            ),
        ),
    ),
    # 64 rows in memory against two convolutions of 64 pictures.
    "mirrored_digits": Script(
        stored=(
            (
                "experimental_distribute_dataset(train_dataset)",
                "experimental_distribute_dataset(train_dataset.take(3).cache().repeat().take(157))",
            ),
        ),
        input_bound=False,
    ),
    # A function of a hundred single pictures a batch, serial, and nothing prefetches: fetch and step add up.
    "steps_in_function": Script(
        stored=(
            (
                "return dataset.batch(batch_size, drop_remainder=True)",
                "return dataset.batch(batch_size, drop_remainder=True).take(3).cache().repeat()",
            ),
        ),
        input_bound=True,
        stages=("scale",),
        mend=(
            ("    dataset = dataset.map(scale)\n", ""),
            (
                "return dataset.batch(batch_size, drop_remainder=True)",
                "return dataset.batch(batch_size, drop_remainder=True).map(scale).prefetch(tf.data.AUTOTUNE)",
            ),
        ),
    ),
    "jax_network": Script(
        stored=(
            ("ds.batch(args.batch_size).prefetch(1)", "ds.batch(args.batch_size).take(3).cache().repeat().take(235)"),
        ),
        input_bound=None,
        library="jax",
    ),
    # Every row passes from the dataset to Python by itself, and torch puts 64 of them together again.
    "torch_robot_episodes": Script(
        stored=(
            (
                "return dataset.flat_map(tf.data.Dataset.from_tensor_slices).shuffle(2000)",
                "return dataset.flat_map(tf.data.Dataset.from_tensor_slices).batch(64).take(3).cache().repeat()",
            ),
            ("batch_size=args.batch_size, num_workers=0", "batch_size=None, num_workers=0"),
        ),
        input_bound=True,
        mend=(
            (".shuffle(2000)", ".shuffle(2000).batch(64).prefetch(tf.data.AUTOTUNE)"),
            ("batch_size=args.batch_size, num_workers=0", "batch_size=None, num_workers=0"),
        ),
        library="torch",
    ),
    # One Python generator makes clip after clip; every frame is made a float before most of its pixels are dropped.
    "video_frames": Script(
        stored=take_stored(".prefetch(buffer_size=tf.data.AUTOTUNE)\n", "train_ds", 30),
        input_bound=True,
        stages=("FrameGenerator", "from_generator", "generator"),
        mend=(
            ("    frame = frame.astype(np.float32) / 255.0\n", ""),
            ("return frame[rows][:, columns]", "return frame[rows][:, columns].astype(np.float32) / 255.0"),
        ),
    ),
    # Three pictures are decoded for each element, one after the other, ahead of a step of about the same length.
    "siamese_triplets": Script(
        stored=(
            (
                "train_dataset = train_dataset.prefetch(tf.data.AUTOTUNE)\n",
                "train_dataset = train_dataset.prefetch(tf.data.AUTOTUNE).take(3).cache().repeat().take(30)\n",
            ),
        ),
        input_bound=None,
        stages=("preprocess_triplets", "preprocess_image"),
        mend=(
            (
                "dataset.map(preprocess_triplets)",
                "dataset.map(preprocess_triplets, num_parallel_calls=tf.data.AUTOTUNE)",
            ),
        ),
    ),
    # 41 columns of every row by themselves, through a shuffle, into a batch.
    "covertype_csv": Script(
        stored=(("model.fit(train_dataset,", "model.fit(train_dataset.take(3).cache().repeat().take(227),"),),
        input_bound=True,
        stages=("CsvDataset", "make_csv_dataset", "shuffle", "batch", "csv", "interleave"),
        mend=((CSV_BY_ROW, CSV_BY_BATCH),),
    ),
}
"""By the script's name, without ``.py``."""


def is_input_bound(case: Script, stored: Sequence[float]) -> bool | None:
    """Whether a script waits, by what stored batches bring; None where neither plain runs nor reading it tell."""
    _, low, high = stored
    return low >= WORTH if low >= WORTH or high < WORTH else case.input_bound


def edited(name: str, edits: Texts) -> str:
    """Return the text of a script with edits; a ValueError if one does not occur exactly once."""
    text = (SCRIPTS / f"{name}.py").read_text(encoding="utf-8")
    for old, new in edits:
        if text.count(old) != 1:
            msg = f"{name}: {text.count(old)} times in the script: {old!r}"
            raise ValueError(msg)
        text = text.replace(old, new)
    return text
