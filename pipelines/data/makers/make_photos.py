"""Synthetic images with the size and decoding cost of photographs.

They have what a JPEG coder spends its bits on: large regions with sharp outlines, texture whose strength falls with
frequency, colour that changes more slowly than brightness, and a little grain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
        scene = _Scene(self, rng, self._palette(group), width, height)
        pixels = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, _ROWS_AT_A_TIME):
            bottom = min(top + _ROWS_AT_A_TIME, height)
            pixels[top:bottom] = scene.rows(top, bottom)
        return pixels

    def mask(self, index: int, size: tuple[int, int], classes: int) -> NDArray[np.uint8]:
        """Regions with smooth outlines, numbered from 0 to ``classes - 1``, shape (height, width)."""
        width, height = size
        rng = np.random.default_rng([self._seed, 3, index])
        row, column = rng.integers(0, _TILE, 2).tolist()
        number = int(rng.integers(_TILES))
        outline = self.crop("smooth", number, range(row, row + height), range(column, column + width))
        levels = np.sort(rng.uniform(-1.2, 1.2, classes - 1)).astype(np.float32)
        regions: NDArray[np.uint8] = np.searchsorted(levels, outline).astype(np.uint8)
        return regions

    def _palette(self, group: int) -> Field:
        """One colour per region; the world is less colourful than random numbers are."""
        colours = np.random.default_rng([self._seed, 2, group]).uniform(30, 225, (_REGIONS, 3))
        grey = colours.mean(axis=1, keepdims=True)
        muted: Field = (grey + (colours - grey) * 0.5).astype(np.float32)
        return muted

    def crop(self, kind: str, number: int, rows: range, columns: range) -> Field:
        """Rows and columns of one of the ``smooth`` or ``rough`` tiles, wrapped around its edges."""
        tile = (self._smooth if kind == "smooth" else self._rough)[number]
        part: Field = tile[np.array(rows) % _TILE][:, np.array(columns) % _TILE]
        return part


class _Scene:
    """The choices that make up one image, and its pixels a few rows at a time."""

    def __init__(self, maker: PhotoMaker, rng: np.random.Generator, palette: Field, width: int, height: int) -> None:
        self._maker = maker
        self._rng = rng
        self._width = width
        self._height = height
        self._tiles = [(int(rng.integers(_TILES)), *map(int, rng.integers(0, _TILE, 2))) for _ in range(3)]
        self._levels = np.sort(rng.uniform(-1.0, 1.0, _REGIONS - 1)).astype(np.float32)
        shuffled = palette[rng.permutation(_REGIONS)] + rng.uniform(-25, 25, (_REGIONS, 3)).astype(np.float32)
        self._colours = shuffled.astype(np.float32)
        # A sky is nearly flat, foliage is not.
        self._contrast = rng.uniform(4, 36, _REGIONS).astype(np.float32)
        self._light = rng.uniform(-45, 45, 2).astype(np.float32)
        self._tint = rng.uniform(-18, 18, 3).astype(np.float32)

    def _crop(self, kind: str, which: int, top: int, bottom: int) -> Field:
        number, row, column = self._tiles[which]
        return self._maker.crop(kind, number, range(top + row, bottom + row), range(column, column + self._width))

    def rows(self, top: int, bottom: int) -> NDArray[np.uint8]:
        outline = self._crop("smooth", 0, top, bottom)
        region = np.zeros(outline.shape, np.uint8)
        for level in self._levels:
            region += outline > level
        down = np.arange(top, bottom, dtype=np.float32)[:, None] / self._height - np.float32(0.5)
        across = np.arange(self._width, dtype=np.float32)[None, :] / self._width - np.float32(0.5)
        brightness = self._crop("rough", 1, top, bottom) * self._contrast[region]
        brightness += down * self._light[0] + across * self._light[1]
        brightness += self._grain(region.shape)
        pixels = self._colours[region]
        pixels += brightness[:, :, None]
        pixels += self._crop("smooth", 2, top, bottom)[:, :, None] * self._tint
        np.clip(pixels, 0, 255, out=pixels)
        rounded: NDArray[np.uint8] = pixels.astype(np.uint8)
        return rounded

    def _grain(self, shape: tuple[int, ...]) -> Field:
        """Noise of a sensor: the sum of two uniform bytes is near enough to a bell curve."""
        noise = self._rng.integers(0, 256, (2, *shape), dtype=np.uint8)
        grain: Field = np.add(noise[0], noise[1], dtype=np.float32)
        grain -= np.float32(255)
        grain *= np.float32(_GRAIN / 104.5)
        return grain
