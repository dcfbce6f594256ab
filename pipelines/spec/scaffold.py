"""First specs for `init`: commented, runnable YAML over the given files or generated ones."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.ops.calls.element import record_defaults
from pipeprof.pipelines.spec.yaml_text import resolve_scalar
from pipeprof.pipelines.spec.yaml_writer import flow, quoted

if TYPE_CHECKING:
    from pipeprof.pipelines.data.look import ArraysFound, CsvFound, Feature, Found, ImagesFound, RecordsFound

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Words that other YAML readers, editors among them, take for booleans.
_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off"})
_COMMENT_WIDTH = 100
_COLUMNS_NAMED = 20
_LARGE_ARRAY_BYTES = 100_000_000

_HEAD = """\
# A tf.data pipeline for pipeprof; all names are TensorFlow's. Measure it with `pipeprof run`.
version: 1
name: {name}
"""

_RESIZE = """\
        - tf.image.resize: {{{on}size: [224, 224]}}"""

FROM_NOTE = "x-from"
"""The note in a spec's step that says who has made it up."""
_TAIL = """\
  - batch: {{batch_size: {batch}}}
  - prefetch: {{buffer_size: AUTOTUNE}}
# Training step: a simulated device, busy for this long in each step. `init` does not know your model: put its step
# time here and remove x-from; `step: none` reads batches as fast as possible.
step: {{simulate: 20ms, dispatch: sync, x-from: init}}
measure: {{seconds: 10}}
"""

_GENERATED = """\
# Inputs, generated on the first run and kept (see `pipeprof data list`); data:NAME/... is the folder of an input.
data:
  photos: {image_folder: {count: 600, size: [480, 360], classes: 4, format: jpeg, seed: 1}}
source:
  list_files: {file_pattern: "data:photos/*/*.jpg", shuffle: false}
"""


def _head(name: str) -> str:
    return _HEAD.format(name=name)


def example_spec() -> str:
    """A spec over generated photos, for those who have no data at hand."""
    return _head("example") + _GENERATED + _decode_files("tf.io.decode_jpeg") + _TAIL.format(batch=32)


def spec_for(found: Found, name: str, base_dir: Path) -> str:
    """A spec over files that were found.

    Args:
        base_dir: The folder that the spec will be in; paths are written relative to it.

    Raises:
        UsageError: A path cannot be written in YAML.
    """
    from pipeprof.pipelines.data.look import CsvFound, ImagesFound, RecordsFound

    head = _head(text_scalar(name if name.strip() else "pipeline"))
    if isinstance(found, ImagesFound):
        body = _images(found, base_dir)
    elif isinstance(found, RecordsFound):
        body = _records(found, base_dir)
    elif isinstance(found, CsvFound):
        body = _csv(found, base_dir)
    else:
        body = _arrays(found, base_dir)
    return head + body + _TAIL.format(batch=32)


def text_scalar(text: str) -> str:
    r"""Any text as a YAML scalar on one line.

    Example:
        >>> text_scalar("photos"), text_scalar("no"), text_scalar('a "b": {c}')
        ('photos', '"no"', '"a \\"b\\": {c}"')

    Raises:
        UsageError: The text holds bytes that are no Unicode, as file names may.
    """
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_PLAIN and resolve_scalar(text) == text:
        return text
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        msg = f"the file name '{shown}' is not valid Unicode and cannot be written in a spec: rename the file"
        raise UsageError(msg)
    return quoted(text)


def _pattern(pattern: str, base_dir: Path) -> str:
    """A glob, absolute or relative to the current folder, as it stands in a spec in ``base_dir``."""
    # Both sides escaped: the folders above may hold wildcard characters too.
    whole = str(Path(glob.escape(str(Path.cwd()))) / pattern)
    relative = os.path.relpath(whole, glob.escape(str(base_dir.absolute())))
    # A backslash is a letter to Python's globs and an escape to TensorFlow's; both take ? for any letter.
    return _written(relative.replace("\\", "?"), whole.replace("\\", "?"))


def _written(relative: str, absolute: str) -> str:
    if relative.startswith("~"):
        # It would be taken for somebody's home, also behind a ./
        return text_scalar(absolute)
    return text_scalar(f"./{relative}" if ":" in relative.split("/", maxsplit=1)[0] else relative)


def _files(patterns: Sequence[str], base_dir: Path) -> str:
    paths = [_pattern(pattern, base_dir) for pattern in patterns]
    return paths[0] if len(paths) == 1 else "[" + ", ".join(paths) + "]"


def _comment(text: str, indent: str = "") -> str:
    """A comment of any length; what would end a line early is spelled out."""
    words, lines = "".join(letter if letter.isprintable() else "?" for letter in text).split(" "), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(word) >= _COMMENT_WIDTH:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "".join(f"{indent}# {line}\n" for line in lines)


def _decode_files(decoder: str, classes: Sequence[str] = ()) -> str:
    """The stages that read image files; with classes, elements are pairs of an image and the number of its class."""
    if classes:
        names = ", ".join(map(text_scalar, classes))
        calls = (
            "      ops:  # the path of a file is both: what the image is read from, and its folder is the label\n"
            "        - to_dict: {image: null, label: null}\n"
            "        - tf.io.read_file: {on: image}\n"
            f"        - {decoder}: {{on: image, channels: 3}}\n"
            f"{_RESIZE.format(on='on: image, ')}\n"
            "        - tf.strings.regex_replace: {on: label, pattern: '(?:.*/)?([^/]+)/[^/]+', rewrite: '\\1'}\n"
            f"        - tf.math.equal: {{on: label, y: [{names}]}}\n"
            "        - tf.math.argmax: {on: label}\n"
            "        - to_tuple: [image, label]\n"
        )
    else:
        calls = (
            "      ops:  # each call gets the result of the call before as its first argument\n"
            "        - tf.io.read_file\n"
            f"        - {decoder}: {{channels: 3}}\n"
            f"{_RESIZE.format(on='')}\n"
        )
    return (
        "stages:\n"
        "  # Shuffles file names, not images: a buffer of names needs almost no memory.\n"
        "  - shuffle: {buffer_size: 10_000, seed: 1}\n"
        "  - map:\n"
        "      name: decode\n"
        f"{calls}"
        "      num_parallel_calls: AUTOTUNE\n"
    )


def _images(found: ImagesFound, base_dir: Path) -> str:
    return (
        _comment(
            f"{found.count} image{'' if found.count == 1 else 's'}"
            + (f" of {len(found.classes)} classes." if found.classes else ".")
        )
        + "source:\n"
        + f"  list_files: {{file_pattern: {_files(found.patterns, base_dir)}, shuffle: false}}\n"
        + _decode_files(found.decoder, found.classes)
    )


def _records(found: RecordsFound, base_dir: Path) -> str:
    compression = f", compression_type: {found.compression}" if found.compression else ""
    source = (
        "source:\n"
        f"  TFRecordDataset: {{filenames: {_files(found.patterns, base_dir)}{compression}}}\n"
        "stages:\n"
        "  - shuffle: {buffer_size: 1000, seed: 1}\n"
    )
    if not found.features:
        return source + _comment("The records are not tf.train.Example: add a map here that decodes them.", "  ")
    return source + _parse(found) + _decode(found.features)


def _parse(found: RecordsFound) -> str:
    lines = [
        _comment(
            f"Inferred from the first {found.looked_at} records; a feature of varying length is a VarLenFeature.", "  "
        ),
        "  - map:\n      name: parse\n      ops:\n        - tf.io.parse_single_example:\n            features:\n",
    ]
    for feature in found.features:
        if feature.length is None:
            spec = f"VarLenFeature: {{dtype: {feature.dtype}}}"
        else:
            shape = "[]" if feature.length == 1 else f"[{feature.length}]"
            spec = f"FixedLenFeature: {{shape: {shape}, dtype: {feature.dtype}}}"
        lines.append(f"              {text_scalar(feature.name)}: {{{spec}}}\n")
    return "".join([*lines, "      num_parallel_calls: AUTOTUNE\n"])


def _decode(features: Iterable[Feature]) -> str:
    # A dot in a name would be taken for a way into a nested dictionary.
    images = [feature for feature in features if feature.decoder and feature.length == 1 and "." not in feature.name]
    if not images:
        return ""
    calls = "".join(
        f"        - {image.decoder}: {{on: {text_scalar(image.name)}, channels: 3}}\n"
        + _RESIZE.format(on=f"on: {text_scalar(image.name)}, ")
        + "\n"
        for image in images
    )
    head = "  - map:\n      name: decode\n      ops:  # each works on one field of the element\n"
    return head + calls + "      num_parallel_calls: AUTOTUNE\n"


def _csv(found: CsvFound, base_dir: Path) -> str:
    defaults = {"float32": 0.0, "int32": 0, "int64": 0, "string": ""}
    values = record_defaults([defaults[column.dtype] if column.gaps else column.dtype for column in found.columns])
    names = ", ".join(column.name for column in found.columns[:_COLUMNS_NAMED])
    more = f" and {len(found.columns) - _COLUMNS_NAMED} more" if len(found.columns) > _COLUMNS_NAMED else ""
    delimiter = "" if found.delimiter == "," else f"    field_delim: {text_scalar(found.delimiter)}\n"
    return (
        "source:\n  CsvDataset:\n"
        f"    filenames: {_files(found.patterns, base_dir)}\n"
        + _comment(f"Columns: {names}{more}.", "    ")
        + "    # A dtype: the field is required. A value: the default for empty fields.\n"
        + f"    record_defaults: {flow(values)}\n"
        + f"    header: {str(found.header).lower()}\n"
        + delimiter
        + ("    compression_type: GZIP\n" if found.gzip else "")
        + "stages:\n  - shuffle: {buffer_size: 1000, seed: 1}\n"
    )


def _arrays(found: ArraysFound, base_dir: Path) -> str:
    whole = str(found.path.absolute())
    path = _written(os.path.relpath(whole, base_dir.absolute()), whole)
    lines = [
        _comment(f"{array.key or found.path.name}: {array.dtype}, shape {list(array.shape)}.") for array in found.arrays
    ]
    if found.left_out:
        lines.append(_comment(f"Not included (different or no first dimension): {', '.join(found.left_out)}."))
    if sum(array.bytes for array in found.arrays) > _LARGE_ARRAY_BYTES:
        lines.append(_comment("from_tensor_slices copies its arrays: it needs their size in memory a second time."))
    if found.arrays[0].key is None:
        tensors = f" {{npy: {path}, mmap_mode: r}}\n"
    else:
        keys = [text_scalar(array.key or "") for array in found.arrays]
        tensors = "\n" + "".join(f"      {key}: {{npz: {path}, key: {key}}}\n" for key in keys)
    lines += [
        f"source:\n  from_tensor_slices:\n    tensors:{tensors}",
        "stages:\n  - shuffle: {buffer_size: 1000, seed: 1}\n",
    ]
    return "".join(lines)
