"""Detection of the kind of a user's files, without TensorFlow and with few reads.

``look(path)`` gives one of the ``…Found`` classes, all that ``pipeprof init`` needs to write a spec that reads them.
"""

from __future__ import annotations

import contextlib
import errno
import fnmatch
import glob
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeprof.pipelines.data.globbing import matching_files
from pipeprof.pipelines.data.inspect.look_csv import CsvFound, look_at_csv
from pipeprof.pipelines.data.inspect.look_numpy import ArraysFound, look_at_arrays
from pipeprof.pipelines.data.inspect.look_records import RecordsFound, image_decoder, look_at_records
from pipeprof.pipelines.data.inspect.records import compression_of
from pipeprof.pipelines.errors import UsageError

_KINDS = {
    ".jpg": "image", ".jpeg": "image", ".png": "image", ".csv": "csv", ".tsv": "csv", ".npy": "array", ".npz": "array",
    ".tfrecord": "record", ".tfrecords": "record", ".tfrec": "record",
}  # fmt: skip
_DEEPEST = 3
_MOST_FILES = 200_000
_NAMED = 3
"""Places in a message."""
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_IMAGES_LOOKED_AT = 20
_MOST_CLASSES = 1000
"""More folders are rather those of persons or days than classes."""
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "dev", "eval", "test", "testing"})
_UNNAMED_LOOKED_AT = 50
_KNOWN = "a folder of JPEG or PNG images, TFRecord files, CSV files, or a .npy or .npz file"


@dataclass(frozen=True)
class ImagesFound:
    """A folder of images.

    Attributes:
        classes: Names of the folders that hold the images, where these are the classes: all images are in one of
            several folders of the folder that was given, or of its splits.
    """

    patterns: tuple[str, ...]
    count: int
    decoder: str
    classes: tuple[str, ...] = ()


Found = ImagesFound | RecordsFound | CsvFound | ArraysFound


def look(text: str, note: Callable[[str], None] = lambda _note: None) -> Found:
    """Find out what the path or glob ``text`` stands for.

    Args:
        note: Receives a sentence about places that could not be looked at.

    Raises:
        UsageError: Nothing is there, it may not be read, is of no known kind, of several kinds, or damaged.
    """
    path = Path(text)
    try:
        exists = os.path.lexists(path)
        if exists and path.is_dir():
            return _look_at_folder(path, note)
        if not exists:
            # A glob finds nothing in a folder that may not be read: the last one that is no pattern is looked at.
            folder = next((one for one in reversed([path, *path.parents]) if glob.has_magic(one.name)), path).parent
            with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder):
                pass
    except PermissionError:
        raise UsageError(f"{text}: cannot be read (permission denied)") from None
    if exists:
        return _look_at_files([path], (glob.escape(text),), text)
    files = [Path(match) for match in matching_files(text)]
    if not files:
        raise UsageError(f"{text}: no such file or folder (init reads {_KNOWN})")
    return _look_at_files(files, (text,), text)


def _look_at_files(files: Sequence[Path], patterns: tuple[str, ...], text: str) -> Found:
    odd_file = next((file for file in files if file.exists() and not file.is_file()), None)
    if odd_file is not None:
        msg = f"{odd_file} is {'a folder' if odd_file.is_dir() else 'a device or a pipe'}: init reads {_KNOWN}"
        raise UsageError(msg)
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1 or None in kinds:
        odd = next((file for file in files if _kind(file) is None), None)
        fault = f"{odd}: not a kind of data that init knows" if odd else f"{text} matches several kinds of files"
        raise UsageError(f"{fault} ({_KNOWN})")
    (kind,) = kinds
    if kind == "image":
        if len(files) == 1 and patterns == (glob.escape(text),):
            raise UsageError(f"{text} is a single image: use its folder")
        return ImagesFound(patterns, len(files), _image_decoder(files))
    return _by_kind(kind, files, patterns)


def _by_kind(kind: str | None, files: Sequence[Path], patterns: tuple[str, ...]) -> Found:
    if kind == "record":
        return look_at_records(files, patterns)
    if kind == "csv":
        return look_at_csv(files, patterns)
    if len(files) > 1:
        raise UsageError(f"{len(files)} saved arrays match: name a single .npy or .npz file")
    return look_at_arrays(files[0])


def _look_at_folder(folder: Path, note: Callable[[str], None]) -> Found:
    by_depth, closed = _files_below(folder)
    unread = _unread(closed)
    images = [file for file in by_depth if _kind_by_name(file) == "image"]
    others = _group_by_kind([file for file in by_depth if file.parent == folder and file not in set(images)])
    kinds = sorted([*others, *(["image"] if images else [])])
    if not kinds and folder in closed:
        raise UsageError(f"{folder}: cannot be read (permission denied)")
    if not kinds:
        fault = "no file of a kind that init knows" if by_depth or closed else "empty folder"
        raise UsageError(f"{folder}: {fault} ({_KNOWN}){f'; {unread}' if unread else ''}")
    if unread:
        note(unread)
    if len(kinds) > 1:
        raise UsageError(f"{folder} holds files of several kinds ({', '.join(kinds)}): select one kind with a glob")
    prefix = glob.escape(str(folder))
    if images:
        shapes = sorted({(len(file.relative_to(folder).parts), file.suffix) for file in images})
        patterns = tuple(f"{prefix}/" + "*/" * (depth - 1) + "*" + suffix for depth, suffix in shapes)
        splits = sorted({image.relative_to(folder).parts[0] for image in images})
        if len(splits) > 1 and _are_splits(map(Path, splits)):
            one = next((split for split in splits if split.lower().startswith("train")), splits[0])
            note(f"the spec reads all of {', '.join(splits)}: --from {folder / one}/ reads one of them")
        return ImagesFound(patterns, len(images), _image_decoder(images), _classes(images, folder))
    files = others[kinds[0]]
    visible = [file.name for file in by_depth if file.parent == folder]
    patterns = tuple(f"{prefix}/{name}" for name in _patterns_for([file.name for file in files], visible))
    return _by_kind(kinds[0], files, patterns)


def _classes(images: Sequence[Path], folder: Path) -> tuple[str, ...]:
    """The folders of images, sorted; none where images lie at several depths, in one folder, or in others as well.

    They are one level below the folder, or in each of its splits the same ones.
    """
    parents = {image.parent for image in images}
    by_split = {parent.parent: {one.name for one in parents if one.parent == parent.parent} for parent in parents}
    names, *others = by_split.values()
    one_level = set(by_split) == {folder} or (
        {split.parent for split in by_split} == {folder} and (not others or _are_splits(by_split))
    )
    alike = all(other == names for other in others)
    return tuple(sorted(names)) if one_level and alike and 1 < len(names) <= _MOST_CLASSES else ()


def _are_splits(folders: Iterable[Path]) -> bool:
    """Whether folders are named as the parts of a data set are."""
    return all(folder.name.lower() in _SPLITS for folder in folders)


def _files_below(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return visible files in the folder and a few levels below, in a stable order, and what may not be looked at."""
    found: list[Path] = []
    closed: list[Path] = []
    errors: list[OSError] = []
    for where, folders, names in os.walk(folder, followlinks=True, onerror=errors.append):
        depth = len(Path(where).relative_to(folder).parts)
        folders[:] = sorted(name for name in folders if not name.startswith(".")) if depth < _DEEPEST - 1 else []
        for path in (Path(where, name) for name in sorted(names) if not name.startswith(".")):
            try:
                # A pipe has no beginning that could be looked at; what cannot be read is an error of its own.
                if path.is_file() or not path.exists():
                    found.append(path)
            except OSError:
                closed.append(path)
        if len(found) > _MOST_FILES:
            break
    return found, [*(Path(error.filename) for error in errors if error.errno in _FORBIDDEN), *closed]


def _unread(closed: Sequence[Path]) -> str:
    """Say which places could not be read; empty for none."""
    if not closed:
        return ""
    names = ", ".join(str(path) for path in closed[:_NAMED]) + (", …" if len(closed) > _NAMED else "")
    return f"{len(closed)} place{'s' if len(closed) > 1 else ''} could not be read: {names}"


def _kind_by_name(path: Path) -> str | None:
    return _KINDS.get(path.suffix.lower())


def _kind(path: Path) -> str | None:
    """The kind of a file: by its name, else TFRecord if its content is, as such files go by all sorts of names."""
    by_name = _kind_by_name(path)
    if by_name is not None:
        return by_name
    try:
        return "record" if compression_of(path) is not None else None
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror})") from error


def _group_by_kind(files: Iterable[Path]) -> dict[str, list[Path]]:
    """Files of known kinds by kind. Files without a telling name are opened, though not all of thousands."""
    groups: dict[str, list[Path]] = defaultdict(list)
    opened = 0
    verdicts: dict[str, str | None] = {}
    for file in files:
        kind = _kind_by_name(file)
        if kind is None and opened < _UNNAMED_LOOKED_AT:
            opened += 1
            kind = verdicts[file.suffix] = _kind(file)
        elif kind is None:
            kind = verdicts.get(file.suffix)
        if kind is not None:
            groups[kind].append(file)
    return dict(groups)


def _patterns_for(names: Sequence[str], visible: Sequence[str]) -> list[str]:
    """Globs that match exactly ``names`` among the ``visible`` names of a folder; the names themselves if need be."""
    if len(names) == 1:
        return [glob.escape(names[0])]
    suffixes = {Path(name).suffix for name in names}
    suffix = glob.escape(suffixes.pop()) if len(suffixes) == 1 else ""
    start = glob.escape(_common_start(names))
    for pattern in (f"*{suffix}", f"{start}*{suffix}", f"{start}*"):
        if sorted(fnmatch.filter(visible, pattern)) == sorted(names):
            return [pattern]
    return [glob.escape(name) for name in names]


def _common_start(names: Sequence[str]) -> str:
    """The letters that all names begin with; the first and the last in order differ the most."""
    first, last = min(names), max(names)
    same = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:same]


def _image_decoder(files: Sequence[Path]) -> str:
    decoders = set()
    for file in files[:: max(1, len(files) // _IMAGES_LOOKED_AT)]:
        try:
            with file.open("rb") as opened:
                decoder = image_decoder(opened.read(16))
        except OSError as error:
            raise UsageError(f"{file}: cannot be read ({error.strerror})") from error
        if decoder is None:
            raise UsageError(f"{file}: neither JPEG nor PNG (init reads {_KNOWN})")
        decoders.add(decoder)
    # Either function decodes both formats.
    return max(decoders) if len(decoders) == 1 else "tf.io.decode_jpeg"
