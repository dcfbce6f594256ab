"""Frames of clips from a Python generator, a small convnet over time.

The shape of tensorflow/docs site/en/tutorials/load_data/video.ipynb.
"""

import argparse
import random
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

parser = argparse.ArgumentParser()
parser.add_argument("--data", default="data/clips")
parser.add_argument("--n-frames", type=int, default=8)
parser.add_argument("--batch-size", type=int, default=4)
parser.add_argument("--epochs", type=int, default=8)
args = parser.parse_args()


def format_frames(frame, output_size):
    frame = frame.astype(np.float32) / 255.0
    rows = np.linspace(0, frame.shape[0] - 1, output_size[0]).round().astype(int)
    columns = np.linspace(0, frame.shape[1] - 1, output_size[1]).round().astype(int)
    return frame[rows][:, columns]


def frames_from_video_file(video_path, n_frames, output_size=(64, 64), frame_step=3):
    video = np.load(video_path)
    need_length = 1 + (n_frames - 1) * frame_step
    start = random.randint(0, max(0, len(video) - need_length))
    result = []
    for i in range(n_frames):
        index = start + i * frame_step
        if index < len(video):
            result.append(format_frames(video[index], output_size))
        else:
            result.append(np.zeros_like(result[0]))
    return np.array(result)[..., [2, 1, 0]]


class FrameGenerator:
    def __init__(self, path, n_frames, training=False):
        self.path = Path(path)
        self.n_frames = n_frames
        self.training = training
        self.class_names = sorted({p.name for p in self.path.iterdir() if p.is_dir()})
        self.class_ids_for_name = {name: idx for idx, name in enumerate(self.class_names)}

    def __call__(self):
        pairs = [(p, p.parent.name) for p in self.path.glob("*/*.npy")]
        if self.training:
            random.shuffle(pairs)
        for path, name in pairs:
            yield frames_from_video_file(path, self.n_frames), self.class_ids_for_name[name]


output_signature = (
    tf.TensorSpec(shape=(None, None, None, 3), dtype=tf.float32),
    tf.TensorSpec(shape=(), dtype=tf.int16),
)
train_ds = tf.data.Dataset.from_generator(
    FrameGenerator(args.data, args.n_frames, training=True), output_signature=output_signature
)
train_ds = train_ds.shuffle(10).batch(args.batch_size).prefetch(buffer_size=tf.data.AUTOTUNE)

model = tf.keras.Sequential(
    [
        tf.keras.Input(shape=(args.n_frames, 64, 64, 3)),
        tf.keras.layers.TimeDistributed(tf.keras.layers.AveragePooling2D(4)),
        tf.keras.layers.TimeDistributed(tf.keras.layers.Flatten()),
        tf.keras.layers.Dense(16, activation="relu"),
        tf.keras.layers.GlobalAveragePooling1D(),
        tf.keras.layers.Dense(10),
    ]
)
model.compile(
    optimizer="adam", loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
)


class EpochTime(tf.keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.steps = time.time(), 0

    def on_train_batch_begin(self, batch, logs=None):
        self.steps = batch + 1

    def on_epoch_end(self, epoch, logs=None):
        print(f"epoch {epoch}: {self.steps} steps in {time.time() - self.began:.3f} s", flush=True)


model.fit(train_ds, epochs=args.epochs, callbacks=[EpochTime()], verbose=2)
