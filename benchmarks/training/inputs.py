"""Inputs of the training scripts: ``python inputs.py FOLDER``. Random content, fixed seeds, about 90 MB.

Run it from anywhere: the folder is made if it is missing. The scripts expect it as ``data`` in the current folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "public"))

from data import picture, sentence, write_records

WORDS_PER_REVIEW = (60, 220)


def make_pictures(folder: Path, rng: np.random.Generator) -> None:
    """JPEG files: pets and look-alikes in two folders each, faces in one, facades side by side, boxes in records."""
    photos = [picture(rng, 240, 320) for _ in range(40)]
    for number in range(2560):
        path = folder / "pets" / ("cat", "dog")[number % 2] / f"{number:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photos[number % len(photos)])
    faces = [picture(rng, 216, 176) for _ in range(40)]
    (folder / "faces").mkdir()
    for number in range(3200):
        (folder / "faces" / f"{number:05}.jpg").write_bytes(faces[number % len(faces)])
    facades = [picture(rng, 256, 512) for _ in range(40)]
    for number in range(2400):
        path = folder / "looks" / ("left", "right")[number % 2] / f"{number // 2:05}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(faces[number % len(faces)])
    (folder / "facades").mkdir()
    for number in range(400):
        (folder / "facades" / f"{number + 1}.jpg").write_bytes(facades[number % len(facades)])
    for shard in range(4):
        examples: list[dict[str, object]] = []
        for number in range(400):
            boxes = np.sort(rng.random((int(rng.integers(1, 8)), 2, 2)).astype(np.float32), axis=1).reshape(-1, 4)
            examples.append(
                {
                    "image/encoded": photos[(number + shard) % len(photos)],
                    "image/object/bbox": boxes,
                    "image/object/label": rng.integers(0, 20, len(boxes)),
                }
            )
        write_records(folder / "voc" / f"train-{shard}.tfrecord", examples)


def make_texts(folder: Path, rng: np.random.Generator) -> None:
    """Reviews as text files in two class folders."""
    for split, files in (("train", 3200), ("test", 640)):
        for number in range(files):
            path = folder / "reviews" / split / ("neg", "pos")[number % 2] / f"{number:05}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(sentence(rng, *WORDS_PER_REVIEW).capitalize() + "<br />", encoding="utf-8")


def make_tables(folder: Path, rng: np.random.Generator) -> None:
    """Two tables as CSV, digits as arrays, clips as one array file each, robot episodes in records."""
    climate = np.cumsum(rng.normal(0, 0.1, (60_000, 7)), axis=0)
    np.savetxt(folder / "climate.csv", climate, "%.3f", ",", header="p,T,rh,VPmax,sh,rho,wv", comments="")
    columns = [f"C{number}" for number in range(40)] + ["Cover_Type"]
    forest = rng.integers(0, 3000, (60_000, len(columns)))
    forest[:, -1] %= 7
    np.savetxt(folder / "covertype.csv", forest, "%d", ",", header=",".join(columns), comments="")
    np.savez(
        folder / "digits.npz",
        x_train=rng.integers(0, 255, (30_000, 28, 28), dtype=np.uint8),
        y_train=rng.integers(0, 10, 30_000),
        x_test=rng.integers(0, 255, (2_000, 28, 28), dtype=np.uint8),
        y_test=rng.integers(0, 10, 2_000),
    )
    for number in range(120):
        path = folder / "clips" / f"class{number % 3}" / f"{number:03}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.integers(0, 255, (30, 96, 96, 3), dtype=np.uint8))
    episodes: list[dict[str, object]] = [
        {"proprio": rng.random((40, 16), dtype=np.float32), "action": rng.random((40, 7), dtype=np.float32)}
        for _ in range(800)
    ]
    write_records(folder / "episodes" / "episodes.tfrecord", episodes)


def main() -> None:
    """Make everything in the folder that the command line names."""
    folder, rng = Path(sys.argv[1]), np.random.default_rng(11)
    folder.mkdir(parents=True, exist_ok=True)
    make_pictures(folder, rng)
    make_texts(folder, rng)
    make_tables(folder, rng)


if __name__ == "__main__":
    main()
