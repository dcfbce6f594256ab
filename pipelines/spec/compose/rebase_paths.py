"""Relative paths in files of other folders, rewritten relative to the spec's folder.

A relative path refers to the folder of the file it is written in, which may be an overlay's or an extended spec's. What
is a path only the checked model knows; it is looked up there, and its text replaced in the data.
"""

from __future__ import annotations

import copy
import glob
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.ops.values.values import FilePatterns
from pipeprof.pipelines.spec.errors.origins import Origins
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import PathProblem, has_scheme, is_glob, leaves, missing_files
from pipeprof.pipelines.spec.yaml.reader import Address
from pipeprof.pipelines.spec.yaml.spans import TextPlace


def missing(spec: Spec, origins: Origins, places: Mapping[Address, TextPlace]) -> list[PathProblem]:
    """Every path that leads nowhere, each looked up from the folder of the file it is written in."""
    folders = dict.fromkeys(file.folder for file in origins.files)
    return [
        problem
        for folder in folders
        for problem in missing_files(spec, folder)
        if _folder(problem.address, origins, places) == folder
    ]


def relocate(data: Any, spec: Spec, origins: Origins, places: Mapping[Address, TextPlace]) -> Any:
    """Return the data with every relative path rewritten to hold from the spec's own folder.

    Args:
        data: what ``spec`` was made from; it is not changed.

    Returns:
        The same object if nothing had to be rewritten.
    """
    home = origins.files[0].folder
    changes = [
        (address, text, folder)
        for address, text in paths_of(spec)
        if (folder := _folder(address, origins, places)) != home and is_relative(text)
    ]
    if not changes:
        return data
    moved = copy.deepcopy(data)
    for address, text, folder in changes:
        replace_path(moved, address, text, path_from(home, folder, text))
    return moved


def path_from(home: Path, folder: Path, text: str) -> str:
    """The path, as it is written from ``home``, that ``text`` is from ``folder``.

    Example:
        >>> path_from(Path("/specs/flowers"), Path("/specs/base"), "images/*.jpg")
        '../base/images/*.jpg'
    """
    # Parents of resolved folders are real folders, so '..' can be removed without a file system check.
    folder, rest = folder.resolve(), text
    while rest.startswith(("../", "./")):
        dots, _, rest = rest.partition("/")
        rest = rest.lstrip("/")
        folder = folder.parent if dots == ".." else folder
    below = os.path.relpath(folder, home.resolve())
    if below == ".":
        return rest
    return f"{glob.escape(below) if is_glob(rest) else below}/{rest}"


def paths_of(spec: Spec) -> Iterator[tuple[Address, str]]:
    """The texts that name files, with their places in the data."""
    for leaf in leaves(spec):
        if isinstance(leaf.value, FilePatterns):
            for index, pattern in enumerate(leaf.value.patterns):
                yield ((*leaf.place, index) if leaf.value.listed else leaf.place), pattern
        elif isinstance(leaf.value, str | PythonRef):
            yield leaf.place, str(leaf.value)


def is_relative(text: str) -> bool:
    """Whether a path refers to the folder of the file that it is written in."""
    return not (has_scheme(text) or text.startswith(("data:", "~", "/")) or Path(text).is_absolute() or not text)


def _folder(address: Address, origins: Origins, places: Mapping[Address, TextPlace]) -> Path:
    for length in range(len(address), -1, -1):
        place = places.get(address[:length])
        if place is not None:
            return origins.files[0 if place.value.flag is not None else place.value.file].folder
    return origins.files[0].folder


def replace_path(data: Any, address: Address, text: str, moved: str) -> None:
    """Put ``moved`` for ``text`` at an address, or in the text nearest to it (``python:f.py:fn`` of a step)."""
    holder: Any = None
    last: str | int = 0
    current: Any = data
    for part in address:
        if not isinstance(current, list) and not (isinstance(current, dict) and part in current):
            break
        holder, last, current = current, part, current[part]  # type: ignore[index]  # a list's keys are indices
    if isinstance(current, str) and current.endswith(text):
        holder[last] = current.removesuffix(text) + moved
