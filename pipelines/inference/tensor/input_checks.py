"""Input requirements of the functions of ``ops:``: dtypes, ranks, ragged and sparse tensors.

The rows of ``needs.json`` say what TensorFlow refuses for certain; a test tries every one of them. What the other
arguments decide (that two shapes fit each other, say) stands with the rules.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, Tensor, fits
from pipeprof.pipelines.inference.tensor.texts import refuse

_LETTERS = {
    "s": "string", "b": "bool", "u": "uint8", "i": "int32", "l": "int64", "h": "float16", "f": "float32",
    "d": "float64", "c": "complex64",
}  # fmt: skip
_KINDS = {"d": "dense", "r": "ragged", "s": "sparse"}


@dataclass(frozen=True)
class InputTypes:
    """Requirement of one parameter.

    Attributes:
        dtypes: Those that fit, of the dtypes that were tried.
        most: Most dimensions; ``None`` for any number.
        kinds: ``dense``, ``ragged`` and ``sparse``, as far as they fit.
    """

    dtypes: frozenset[str]
    least: int
    most: int | None
    kinds: frozenset[str]

    def words(self) -> str:
        """Describe the requirement for a message.

        Example:
            >>> needs("tf.io.decode_jpeg")["contents"].words(), needs("tf.image.resize")["images"].words()
            ('a single string', 'numbers with 3 or 4 dimensions')
        """
        if self.most == 0 and len(self.dtypes) == 1:
            return f"a single {next(iter(self.dtypes))}"
        if "dense" not in self.kinds:
            return f"a {' or '.join(sorted(self.kinds))} tensor"
        return self._dtype_words() + self._rank_words()

    def _dtype_words(self) -> str:
        for names, words in _CLASSES:
            if self.dtypes == names:
                return words
        if len(self.dtypes) == 1:
            return next(iter(self.dtypes))
        return f"one of {', '.join(name for name in TRIED if name in self.dtypes)}"

    def _rank_words(self) -> str:
        if self.most is None:
            return f" with at least {self.least} dimension{'s' * (self.least != 1)}" if self.least else ""
        if self.least == self.most:
            return f" with {self.least} dimension{'s' * (self.least != 1)}"
        between = " or " if self.most == self.least + 1 else " to "
        return f" with {self.least}{between}{self.most} dimensions"

    def allows_dtype(self, dtype: str) -> bool:
        """Whether a dtype fits, or was not tried."""
        return dtype not in TRIED or dtype in self.dtypes

    def allows_rank(self, rank: int | None) -> bool:
        """Whether a number of dimensions fits, or is not known."""
        return rank is None or (rank >= self.least and (self.most is None or rank <= self.most))


TRIED = tuple(_LETTERS.values())
_REAL = frozenset(TRIED) - {"string", "bool", "complex64"}
_CLASSES = (
    (frozenset(TRIED), "a tensor"),
    (frozenset({"string"}), "strings"),
    (frozenset({"bool"}), "truth values (bool)"),
    (_REAL, "numbers"),
    (_REAL | {"complex64"}, "numbers"),
    (frozenset(TRIED) - {"string"}, "numbers or truth values"),
    (frozenset(TRIED) - {"bool"}, "numbers or strings"),
    (frozenset({"float16", "float32", "float64"}), "floats"),
    (frozenset({"float32", "float64"}), "float32 or float64"),
    (frozenset({"float16", "float32", "float64", "complex64"}), "floats"),
    (frozenset({"uint8", "int32", "int64"}), "whole numbers"),
    (frozenset({"int32", "int64"}), "whole numbers (int32 or int64)"),
    (frozenset({"uint8"}), "uint8"),
)


Place = tuple[str | int, ...]
ANYTHING = InputTypes(frozenset(TRIED), 0, None, frozenset(_KINDS.values()))
_PICK = ": pick a field with `on`"


@functools.cache
def requirements() -> Mapping[str, Mapping[str, InputTypes]]:
    """Return the requirements by function and parameter.

    In ``needs.json``, ``dtypes`` and ``kinds`` are letters, ``least`` and ``most`` numbers of dimensions.
    """
    found: dict[str, dict[str, InputTypes]] = {}
    for row in json.loads(Path(__file__).with_name("needs.json").read_text(encoding="utf-8")):
        dtypes, kinds = (_LETTERS[letter] for letter in row["dtypes"]), (_KINDS[letter] for letter in row["kinds"])
        need = InputTypes(frozenset(dtypes), row["least"], row["most"], frozenset(kinds))
        for parameter in row["parameters"]:
            function, _, name = parameter.rpartition(".")
            found.setdefault(f"tf.{function}", {})[name] = need
    return found


def needs(name: str) -> Mapping[str, InputTypes]:
    """Return the requirements of a function's parameters; unrestricted ones have no entry."""
    return requirements().get(name, {})


def check_inputs(name: str, inputs: Mapping[str, Structure], on: Any) -> None:
    """Refuse the inputs of a call that do not fit.

    Args:
        on: The call's ``on``, to say where one may pick a field.
    """
    wanted = needs(name)
    for index, (parameter, given) in enumerate(inputs.items()):
        need = wanted.get(parameter, ANYTHING)
        check = _check_packed if isinstance(given, tuple) else _check
        check(name, parameter, given, need, _place(on, index, parameter))


def _place(on: Any, index: int, parameter: str) -> Place:
    """Place of a parameter's field in the call; empty if the whole element goes in."""
    if on is None:
        return ()
    if isinstance(on, dict):
        return ("on", parameter)
    return ("on", index) if isinstance(on, tuple) else ("on",)


def _check_packed(name: str, parameter: str, given: tuple[Structure, ...], need: InputTypes, place: Place) -> None:
    """TensorFlow makes one tensor of a tuple, if its components allow."""
    tensors = [argument for argument in given if isinstance(argument, Tensor) and argument.kind == "dense"]
    differ = len({tensor.dtype for tensor in tensors}) > 1
    for tensor in tensors[1:]:
        first = tensors[0].shape
        differ = differ or (first is not None and tensor.shape is not None and not fits(first, tensor.shape))
    if differ:
        expected = f"{need.words()} for `{parameter}` of {name}{'' if place else _PICK}"
        refuse(given, "wrong-structure", expected, *place)


def _check(name: str, parameter: str, given: Structure, need: InputTypes, place: Place) -> None:
    expected = f"{need.words()} for `{parameter}` of {name}"
    if isinstance(given, Mapping | Nested):
        hint = _PICK if isinstance(given, Mapping) and not place else ""
        hint = ": turn it into tensors with `flat_map` and a `batch` inside" if isinstance(given, Nested) else hint
        refuse(given, "wrong-structure", expected + hint, *place)
    if not isinstance(given, Tensor):
        return
    if given.kind not in need.kinds:
        refuse(given, "wrong-kind", f"{expected}{_dense_hint(given, need)}", *place)
    if given.kind != "dense":
        return
    if not need.allows_dtype(given.dtype):
        refuse(given, "wrong-dtype", f"{expected}{_dtype_hint(given, need)}", *place)
    if not need.allows_rank(given.rank):
        excess = 0 if need.most is None else max(0, (given.rank or 0) - need.most)
        refuse(given, "wrong-rank", expected, *place, excess=excess)


def _dense_hint(given: Tensor, need: InputTypes) -> str:
    if "dense" not in need.kinds:
        return ""
    name = "tf.sparse.to_dense" if given.kind == "sparse" else "tf.RaggedTensor.to_tensor"
    return f": put {name} before it"


def _dtype_hint(given: Tensor, need: InputTypes) -> str:
    if given.dtype == "string" and "string" not in need.dtypes and (given.rank or 0) == 0:
        return ": decode it first" if "uint8" in need.dtypes else ""
    if need.dtypes >= {"float32"} and given.dtype != "string" and not given.dtype.startswith("complex"):
        return ": put tf.cast before it"
    return ""
