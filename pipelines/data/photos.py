"""Synthetic images with the size and decoding cost of photographs, and folders of them. Runs in the making process.

They have what a JPEG coder spends its bits on: large regions with sharp outlines, texture whose strength falls with
frequency, colour that changes more slowly than brightness, and a little grain.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeprof.pipelines.data.make import Progress
from pipeprof.pipelines.data.recipes import ImageFolder

_MAX_THREADS = 8
Field = NDArray[np.float32]

# Tiles wrap around at their edges, so that any crop of any size can be cut from one.
_TILE = 1024
_TILES = 6
_REGIONS = 4
_GRAIN = 2.2
_ROWS_AT_A_TIME = 128


def _octave(rng: np.random.Generator, cell: int) -> Field:
    """One octave of wrapping value noise in -1 … 1, with detail of ``cell`` pixels."""
    cells = _TILE // cell
    grid = rng.random((cells, cells), dtype=np.float32) * 2 - 1
    weight = (np.arange(_TILE, dtype=np.float32) % cell) / np.float32(cell)
    weight = weight * weight * (3 - 2 * weight)
    index = np.arange(_TILE) // cell
    following = (index + 1) % cells
    rows = grid[index] + (grid[following] - grid[index]) * weight[:, None]
    octave: Field = rows[:, index] + (rows[:, following] - rows[:, index]) * weight[None, :]
    return octave


def _tile(rng: np.random.Generator, cells: tuple[int, ...], falloff: float) -> Field:
    """Octaves of the given cell sizes, each weaker than the one before; standard deviation 1, mean 0."""
    total = np.zeros((_TILE, _TILE), np.float32)
    strength = np.float32(1)
    for cell in cells:
        total += _octave(rng, cell) * strength
        strength = strength * np.float32(falloff)
    total -= total.mean()
    total /= total.std()
    return total


class PhotoMaker:
    """Makes any number of different images from a few textures; the same arguments give the same pixels.

    Making the textures takes about half a second; an image of 480 × 360 pixels then about 10 ms. An instance may be
    used by several threads.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        rng = np.random.default_rng([seed, 0])
        # Outlines come from smooth tiles, surfaces from rough ones.
        self._smooth = [_tile(rng, (256, 128, 64, 32), 0.5) for _ in range(_TILES)]
        self._rough = [_tile(rng, (64, 32, 16, 8, 4, 2), 0.75) for _ in range(_TILES)]

    def image(self, index: int, size: tuple[int, int], *, group: int = 0) -> NDArray[np.uint8]:
        """Image number ``index``.

        Args:
            group: Images of one group share their colours, as pictures of one class do.
        """
        width, height = size
        rng = np.random.default_rng([self._seed, 1, index])
        outlines, surfaces, tints = (_Place(rng, width) for _ in range(3))
        levels = np.sort(rng.uniform(-1.0, 1.0, _REGIONS - 1)).astype(np.float32)
        shuffled = self._palette(group)[rng.permutation(_REGIONS)] + rng.uniform(-25, 25, (_REGIONS, 3)).astype(
            np.float32
        )
        colours = shuffled.astype(np.float32)
        # A sky is nearly flat, foliage is not.
        contrast = rng.uniform(4, 36, _REGIONS).astype(np.float32)
        light = rng.uniform(-45, 45, 2).astype(np.float32)
        tint = rng.uniform(-18, 18, 3).astype(np.float32)
        across = np.arange(width, dtype=np.float32)[None, :] / width - np.float32(0.5)
        picture = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _ROWS_AT_A_TIME):
            rows = range(top, min(top + _ROWS_AT_A_TIME, height))
            outline = outlines.crop(self._smooth, rows)
            region = np.zeros(outline.shape, np.uint8)
            for level in levels:
                region += outline > level
            down = np.array(rows, dtype=np.float32)[:, None] / height - np.float32(0.5)
            brightness = surfaces.crop(self._rough, rows) * contrast[region]
            brightness += down * light[0] + across * light[1]
            brightness += _grain(rng, region.shape)
            pixels = colours[region]
            pixels += brightness[:, :, None]
            pixels += tints.crop(self._smooth, rows)[:, :, None] * tint
            np.clip(pixels, 0, 255, out=pixels)
            picture[rows.start : rows.stop] = pixels.astype(np.uint8)
        return picture

    def _palette(self, group: int) -> Field:
        """One colour per region; the world is less colourful than random numbers are."""
        colours = np.random.default_rng([self._seed, 2, group]).uniform(30, 225, (_REGIONS, 3))
        grey = colours.mean(axis=1, keepdims=True)
        muted: Field = (grey + (colours - grey) * 0.5).astype(np.float32)
        return muted


class _Place:
    """A random place in one of the tiles, from which the rows of an image are cut; they wrap around its edges."""

    def __init__(self, rng: np.random.Generator, width: int) -> None:
        self._tile = int(rng.integers(_TILES))
        self._row, column = map(int, rng.integers(0, _TILE, 2))
        self._columns = np.arange(column, column + width) % _TILE

    def crop(self, tiles: list[Field], rows: range) -> Field:
        part: Field = tiles[self._tile][(np.array(rows) + self._row) % _TILE][:, self._columns]
        return part


def _grain(rng: np.random.Generator, shape: tuple[int, ...]) -> Field:
    """Noise of a sensor: the sum of two uniform bytes is near enough to a bell curve."""
    noise = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    grain: Field = np.add(noise[0], noise[1], dtype=np.float32)
    grain -= np.float32(255)
    grain *= np.float32(_GRAIN / 104.5)
    return grain


def encode_image(maker: PhotoMaker, index: int, size: list[int], *, group: int, quality: int | None) -> bytes:
    """One photo-like image as a file's bytes: JPEG of the given quality, or PNG when ``quality`` is None."""
    import tensorflow as tf

    pixels = maker.image(index, (size[0], size[1]), group=group)
    encoded = tf.io.encode_png(pixels) if quality is None else tf.io.encode_jpeg(pixels, quality=quality)
    return bytes(encoded.numpy())


def run_in_threads(work: Callable[[int], None], items: range) -> None:
    """Call ``work`` on every item, on one thread per usable core; a failure ends it and is raised."""
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
    left = iter(items)

    def run() -> None:
        try:
            for item in left:
                work(item)
        finally:
            # A failure leaves nothing for the other threads.
            deque(left, maxlen=0)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(run) for _ in range(threads)]:
            future.result()


def make_image_folder(recipe: ImageFolder, folder: Path, progress: Progress) -> None:
    """Write all images of ``recipe`` into ``folder``; counts one image at a time as progress."""
    maker = PhotoMaker(recipe.seed)
    quality = recipe.quality if recipe.format == "jpeg" else None
    names = recipe.file_names()
    for group in sorted({str(Path(name).parent) for name in names[: recipe.classes]}):
        (folder / group).mkdir()

    def write(index: int) -> None:
        data = encode_image(maker, index, recipe.size, group=index % recipe.classes, quality=quality)
        (folder / names[index]).write_bytes(data)
        progress.advance()

    run_in_threads(write, range(recipe.count))
