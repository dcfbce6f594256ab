"""Robot episodes from records, as a torch IterableDataset over a tf.data dataset in a DataLoader without workers.

The shape of octo-models/octo examples/06_pytorch_oxe_dataloader.py.
"""

import argparse
import time

import tensorflow as tf
import torch
from torch.utils.data import DataLoader, IterableDataset

tf.config.set_visible_devices([], "GPU")

WINDOW = 4


def make_dataset(path):
    def restructure(record):
        parsed = tf.io.parse_single_example(
            record,
            {
                "proprio": tf.io.FixedLenFeature([40, 16], tf.float32),
                "action": tf.io.FixedLenFeature([40, 7], tf.float32),
            },
        )
        starts = tf.range(40 - WINDOW)[:, None] + tf.range(WINDOW)[None]
        return {"proprio": tf.gather(parsed["proprio"], starts), "action": tf.gather(parsed["action"], starts[:, -1])}

    dataset = tf.data.TFRecordDataset(path).repeat()
    dataset = dataset.map(restructure, num_parallel_calls=tf.data.AUTOTUNE)
    return dataset.flat_map(tf.data.Dataset.from_tensor_slices).shuffle(2000)


class TorchRLDSDataset(IterableDataset):
    def __init__(self, rlds_dataset):
        self._rlds_dataset = rlds_dataset

    def __iter__(self):
        yield from self._rlds_dataset.as_numpy_iterator()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", default="data/episodes/episodes.tfrecord")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=1200)
    args = parser.parse_args()

    dataloader = DataLoader(TorchRLDSDataset(make_dataset(args.path)), batch_size=args.batch_size, num_workers=0)
    policy = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(WINDOW * 16, 128), torch.nn.ReLU(), torch.nn.Linear(128, 7)
    )
    optimizer = torch.optim.AdamW(policy.parameters(), lr=3e-4)
    began = time.time()
    for i, sample in enumerate(dataloader):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(policy(sample["proprio"]), sample["action"])
        loss.backward()
        optimizer.step()
        if (i + 1) % 200 == 0:
            print(f"step {i + 1}: 200 steps in {time.time() - began:.3f} s, loss {loss.item():.4f}", flush=True)
            began = time.time()
        if i + 1 == args.steps:
            break


if __name__ == "__main__":
    main()
