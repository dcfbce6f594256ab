"""Writes an ``image_folder``. Runs in the generating process only, which may import TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TypeVar

from pipeprof.pipelines.data.makers.make_photos import PhotoMaker
from pipeprof.pipelines.data.makers.progress import DataProgress
from pipeprof.pipelines.data.recipes.models import ImageFolder

_MAX_THREADS = 8
_T = TypeVar("_T")


def encode_image(maker: PhotoMaker, index: int, size: list[int], *, group: int, quality: int | None) -> bytes:
    """One photo-like image as a file's bytes: JPEG of the given quality, or PNG when ``quality`` is None."""
    import tensorflow as tf

    pixels = maker.image(index, (size[0], size[1]), group=group)
    encoded = tf.io.encode_png(pixels) if quality is None else tf.io.encode_jpeg(pixels, quality=quality)
    return bytes(encoded.numpy())


def run_in_threads(work: Callable[[_T], None], items: Iterable[_T]) -> None:
    """Call ``work`` on every item, on one thread per usable core; the first failure ends it and is raised.

    Only a bounded number of items is taken from the iterable ahead of the work.
    """
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 4)
    running: set[Future[None]] = set()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                running.add(pool.submit(work, item))
                if len(running) >= 4 * threads:
                    running = _after_some(running)
            while running:
                running = _after_some(running)
        finally:
            for future in running:
                future.cancel()


def _after_some(running: set[Future[None]]) -> set[Future[None]]:
    """Wait for one of them at least; raises what a finished one raised, else returns those still running."""
    done, rest = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        future.result()
    return rest


def make_image_folder(recipe: ImageFolder, folder: Path, progress: DataProgress) -> None:
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


def encode_mask(maker: PhotoMaker, index: int, size: list[int], classes: int) -> bytes:
    """The class numbers of image number ``index`` as the bytes of a PNG of one channel."""
    import tensorflow as tf

    return bytes(tf.io.encode_png(maker.mask(index, (size[0], size[1]), classes)[:, :, None]).numpy())
