"""First specs for `init`: commented, runnable YAML over the given files or generated ones."""

from __future__ import annotations

import glob
import itertools
import os
import pkgutil
import re
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.yaml_text import resolve_scalar
from pipeprof.pipelines.spec.yaml_writer import flow, quoted

if TYPE_CHECKING:
    from pipeprof.pipelines.data.look import ArraysFound, CsvFound, Feature, Found, ImagesFound, RecordsFound

FROM_NOTE = "x-from"
"""The note in a spec's step that says who has made it up."""
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
# Words that other YAML readers, editors among them, take for booleans.
_NOT_PLAIN = frozenset({"y", "n", "yes", "no", "on", "off"})
_COMMENT_WIDTH = 100
_COLUMNS_NAMED = 20
_MANY_ALIKE = 8
_LARGE_ARRAY_BYTES = 100_000_000
_DEFAULTS = {"float32": 0.0, "int32": 0, "int64": 0, "string": ""}


def example_spec() -> str:
    """A spec over generated photos, for those who have no data at hand."""
    files = text_scalar("data:photos/*/*.jpg")
    body = _filled("generated") + _filled("images", about="", files=files, decoder="tf.io.decode_jpeg")
    return _filled("spec", name="example", body=body)


def spec_for(found: Found, name: str, base_dir: Path) -> str:
    """A spec over files that were found.

    Args:
        base_dir: The folder that the spec will be in; paths are written relative to it.

    Raises:
        UsageError: A path cannot be written in YAML.
    """
    from pipeprof.pipelines.data.look import CsvFound, ImagesFound, RecordsFound

    if isinstance(found, ImagesFound):
        body = _images(found, base_dir)
    elif isinstance(found, RecordsFound):
        body = _records(found, base_dir)
    elif isinstance(found, CsvFound):
        body = _csv(found, base_dir)
    else:
        body = _arrays(found, base_dir)
    return _filled("spec", name=text_scalar(name if name.strip() else "pipeline"), body=body)


def _filled(template: str, **values: str) -> str:
    text = pkgutil.get_data("pipeprof.pipelines.spec", f"templates/{template}.yaml")
    assert text is not None  # noqa: S101 - for the type checker: a loader of files always has it
    return Template(text.decode()).substitute(values)


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
    printable = "".join(letter if letter.isprintable() else "?" for letter in text)
    lines = textwrap.wrap(printable, _COMMENT_WIDTH, break_long_words=False, break_on_hyphens=False)
    return "".join(f"{indent}# {line}\n" for line in lines)


def _images(found: ImagesFound, base_dir: Path) -> str:
    of_classes = f" of {len(found.classes)} classes" if found.classes else ""
    about = _comment(f"{found.count} image{'' if found.count == 1 else 's'}{of_classes}.")
    values = {"about": about, "files": _files(found.patterns, base_dir), "decoder": found.decoder}
    if not found.classes:
        return _filled("images", **values)
    return _filled("classes", classes=", ".join(map(text_scalar, found.classes)), **values)


def _records(found: RecordsFound, base_dir: Path) -> str:
    if found.features:
        parsing = _parsing(found) + _decoding(found.features)
    else:
        parsing = _comment("The records are not tf.train.Example: add a map here that decodes them.", "  ")
    compression = f", compression_type: {found.compression}" if found.compression else ""
    files = _files(found.patterns, base_dir)
    return _filled("records", files=files, compression=compression, parsing=parsing.rstrip("\n"))


def _parsing(found: RecordsFound) -> str:
    about = f"Inferred from the first {found.looked_at} records; a feature of varying length is a VarLenFeature."
    lines = [
        _comment(about, "  "),
        "  - map:\n      name: parse\n      ops:\n        - tf.io.parse_single_example:\n            features:\n",
    ]
    for feature in found.features:
        shape = "[]" if feature.length == 1 else f"[{feature.length}]"
        fixed = f"FixedLenFeature: {{shape: {shape}, dtype: {feature.dtype}}}"
        spec = fixed if feature.length is not None else f"VarLenFeature: {{dtype: {feature.dtype}}}"
        lines.append(f"              {text_scalar(feature.name)}: {{{spec}}}\n")
    return "".join([*lines, "      num_parallel_calls: AUTOTUNE\n"])


def _decoding(features: Iterable[Feature]) -> str:
    # A dot in a name would be taken for a way into a nested dictionary.
    images = [feature for feature in features if feature.decoder and feature.length == 1 and "." not in feature.name]
    if not images:
        return ""
    calls = "".join(
        f"        - {image.decoder}: {{on: {text_scalar(image.name)}, channels: 3}}\n"
        f"        - tf.image.resize: {{on: {text_scalar(image.name)}, size: [224, 224]}}\n"
        for image in images
    )
    head = "  - map:\n      name: decode\n      ops:  # each works on one field of the element\n"
    return head + calls + "      num_parallel_calls: AUTOTUNE\n"


def _csv(found: CsvFound, base_dir: Path) -> str:
    columns = [_DEFAULTS[column.dtype] if column.gaps else column.dtype for column in found.columns]
    values: list[object] = []
    # 0 and 0.0 are columns of different types.
    for (_, default), run in itertools.groupby(columns, lambda column: (type(column), column)):
        count = len(list(run))
        values += [{"repeat": default, "count": count}] if count >= _MANY_ALIKE else [default] * count
    names = ", ".join(column.name for column in found.columns[:_COLUMNS_NAMED])
    others = f" and {len(found.columns) - _COLUMNS_NAMED} more" if len(found.columns) > _COLUMNS_NAMED else ""
    delimiter = "" if found.delimiter == "," else f"    field_delim: {text_scalar(found.delimiter)}\n"
    return _filled(
        "csv",
        files=_files(found.patterns, base_dir),
        about=_comment(f"Columns: {names}{others}.", "    "),
        defaults=flow(values),
        header=str(found.header).lower(),
        more=delimiter,
    )


def _arrays(found: ArraysFound, base_dir: Path) -> str:
    whole = str(found.path.absolute())
    path = _written(os.path.relpath(whole, base_dir.absolute()), whole)
    about = [
        _comment(f"{array.key or found.path.name}: {array.dtype}, shape {list(array.shape)}.") for array in found.arrays
    ]
    if found.left_out:
        about.append(_comment(f"Not included (different or no first dimension): {', '.join(found.left_out)}."))
    if sum(array.bytes for array in found.arrays) > _LARGE_ARRAY_BYTES:
        about.append(_comment("from_tensor_slices copies its arrays: it needs their size in memory a second time."))
    tensors = f" {{npy: {path}, mmap_mode: r}}"
    if found.arrays[0].key is not None:
        keys = [text_scalar(array.key or "") for array in found.arrays]
        tensors = "".join(f"\n      {key}: {{npz: {path}, key: {key}}}" for key in keys)
    return _filled("arrays", about="".join(about), tensors=tensors)
