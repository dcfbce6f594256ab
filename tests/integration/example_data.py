"""Inputs of the examples' specs, made once for all the tests of a session, whichever worker asks first."""

from __future__ import annotations

import fcntl
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeprof.pipelines.data import photos
from pipeprof.pipelines.data.make import make
from pipeprof.pipelines.data.recipes import entry_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.pipelines.data.recipes import Recipe
    from pipeprof.pipelines.spec.spec import Spec


class Store:
    """A folder that all processes of a run of the tests share."""

    root: ClassVar[Path]


def without_services(paths: Iterable[Path]) -> list[Path]:
    """Specs whose pipeline is built without a tf.data service; `test_service_example` runs the one that needs one.

    TensorFlow asks a dispatcher that does not answer for ever.
    """
    return sorted(path for path in paths if "- distribute:" not in path.read_text(encoding="utf-8"))


def made(spec: Spec) -> dict[str, Path]:
    """The folder of each of the spec's inputs, to be read only.

    They are made in this process and not in a child as the command does, which would import TensorFlow each time.
    """
    return {name: _made(recipe) for name, recipe in spec.data.items()}


def _made(recipe: Recipe) -> Path:
    folder = Store.root / entry_name(recipe)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = folder.with_suffix(".unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            with pytest.MonkeyPatch.context() as patch:
                # How a photo looks counts nowhere here, and that takes a second for each recipe.
                patch.setattr(photos, "_TILE", 256)
                patch.setattr(photos, "_TILES", 1)
                patch.setattr(photos.PhotoMaker, "image", _of_one_colour)
                make(recipe, unfinished, lambda *_: None)
            unfinished.rename(folder)
    return folder


def _of_one_colour(_maker: object, index: int, size: tuple[int, int], *, group: int = 0) -> NDArray[np.uint8]:
    return np.full((size[1], size[0], 3), (index + group) % 256, np.uint8)
