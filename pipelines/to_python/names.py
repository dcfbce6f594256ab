"""Names of functions and variables in rendered Python: derived from the spec, valid and unique."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Container
from typing import Final

_BUILTINS: Final = frozenset(dir(builtins))
IMPORTED: Final = frozenset({"tf", "np", "glob", "sys", "importlib", "tfds", "Path", "HERE"})

_PLURALS: Final = {"index": "indices", "data": "data", "audio": "audio", "text": "texts", "batch": "batches"}

# Noun of a function's result by the beginning of its name; the first match is used.
_RESULTS: Final = (
    (r"tf\.io\.read_file", "data"),
    (r"tf\.io\.(decode_(jpeg|png|image|bmp|gif|webp)|decode_and_crop_jpeg)|tf\.image\.decode_", "image"),
    (r"tf\.io\.extract_jpeg_shape", "shape"),
    (r"tf\.io\.parse_tensor", "tensor"),
    (r"tf\.io\.parse_", "example"),
    (r"tf\.io\.decode_csv", "columns"),
    (r"tf\.io\.decode_(raw|compressed|base64)", "data"),
    (r"tf\.audio\.decode_wav", "audio"),
    (r"tf\.strings\.(unicode_)?split|tf\.strings\.bytes_split", "tokens"),
    (r"tf\.strings\.to_hash_bucket", "ids"),
    (r"tf\.strings\.to_number", "number"),
    (r"tf\.(strings\.length|size|math\.bincount)", "count"),
    (r"tf\.shape", "shape"),
    (r"tf\.one_hot", "one_hot"),
    (r"tf\.signal\.stft", "spectrogram"),
    (r"tf\.random\.|tf\.eye|tf\.range|tf\.zeros|tf\.ones|tf\.fill|tf\.constant", "values"),
)

# Verb for a function of several calls, by the first call that matches.
_VERBS: Final = (
    (r"tf\.io\.parse_", "parse"),
    (r"tf\.(io|image)\.decode_(jpeg|png|image|bmp|gif|webp)|tf\.io\.decode_and_crop_jpeg", "decode"),
    (r"tf\.audio\.decode_wav|tf\.io\.decode_", "decode"),
    (r"tf\.image\.(stateless_)?random_", "augment"),
    (r"tf\.strings\.(unicode_)?split", "tokenize"),
    (r"tf\.keras\.layers\.Random", "augment"),
    (r"tf\.io\.read_file", "read"),
    (r"tf\.lookup\.", "look_up"),
    (r"to_tuple|to_dict|select|rename|drop", "arrange"),
)


def slug(words: str, default: str = "value") -> str:
    """Make a lower-case identifier from the letters and digits of ``words``.

    Example:
        >>> slug("Image/Encoded"), slug("3d"), slug("class"), slug("--")
        ('image_encoded', 'value_3d', 'class_', 'value')
    """
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", words).lower()
    plain = re.sub(r"[^a-z0-9]+", "_", parted).strip("_")[:40].rstrip("_")
    if not plain:
        return default
    if plain[0].isdigit():
        plain = f"{default}_{plain}"
    return f"{plain}_" if keyword.iskeyword(plain) or keyword.issoftkeyword(plain) or plain in _BUILTINS else plain


def plural(noun: str) -> str:
    """Return the plural of a noun.

    Example:
        >>> plural("image"), plural("index"), plural("labels"), plural("class_"), plural("a")
        ('images', 'indices', 'labels', 'class_', 'a')
    """
    if noun.endswith(("s", "_")) or noun[-1].isdigit():
        return noun
    if len(noun) == 1:
        # Two letters may be a keyword: `as`, `is`.
        return noun
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return _PLURALS.get(noun, f"{noun}es" if noun.endswith(("x", "ch", "sh")) else f"{noun}s")


def unique(wanted: str, taken: Container[str]) -> str:
    """Return ``wanted`` if it is free, else with the first free number appended."""
    name, number = wanted, 2
    while name in taken or name in IMPORTED:
        name, number = f"{wanted.rstrip('_')}_{number}", number + 1
    return name


def result_noun(function: str, given: str | None) -> str:
    """Return the noun for a function's result; most results keep the noun of the input."""
    for pattern, noun in _RESULTS:
        if re.match(pattern, function):
            return noun
    if function.startswith("tf.image.") and given in (None, "value", "data", "element"):
        return "image"
    return given or "value"


def verb(functions: list[str], default: str) -> str:
    """Return the verb for a chain of functions.

    Example:
        >>> verb(["tf.io.read_file", "tf.io.decode_jpeg"], "apply"), verb(["tf.image.resize"], "apply")
        ('decode', 'resize')
    """
    for pattern, word in _VERBS:
        if any(re.match(pattern, function) for function in functions):
            return word
    return slug(functions[0].rpartition(".")[2], default) if len(functions) == 1 else default
