"""Slices, as Python writes them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pipeprof.pipelines.ops.calls.base import Running, SpecialCall
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import argument
from pipeprof.pipelines.ops.problems import mismatch
from pipeprof.pipelines.ops.values.fields import pick
from pipeprof.pipelines.ops.values.values import is_integer

_NUMBER = re.compile(r"-?\d+")
_FIELD = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_NEW_AXIS = ("tf.newaxis", "None")
Bound = int | str | None


@dataclass(frozen=True)
class SliceBounds:
    """``begin:end:step``; a text is the name of a field of the element."""

    begin: Bound
    end: Bound
    step: Bound

    def __str__(self) -> str:
        ends = ":".join("" if bound is None else str(bound) for bound in (self.begin, self.end))
        return ends if self.step is None else f"{ends}:{self.step}"


@dataclass(frozen=True)
class Key:
    """Index expression of ``x[…]``.

    Attributes:
        items: In order: an index; a field's name, whose value is the index; a `SliceBounds`; ``...`` as Ellipsis;
            or None, which is tf.newaxis.
    """

    items: tuple[Any, ...]
    alone: bool

    def __str__(self) -> str:
        words = ["..." if item is Ellipsis else "tf.newaxis" if item is None else str(item) for item in self.items]
        return words[0] if self.alone else ", ".join(words)

    def python(self, field: Callable[[str], Any]) -> Any:
        """The key for ``__getitem__``; ``field`` gives the value of a field of the element."""
        items = tuple(_item(item, field) for item in self.items)
        return items[0] if self.alone else items


def _item(item: Any, field: Callable[[str], Any]) -> Any:
    if isinstance(item, SliceBounds):
        return slice(*(_item(bound, field) for bound in (item.begin, item.end, item.step)))
    return field(item) if isinstance(item, str) else item


def parse_key(value: Any) -> Key:
    """A key from its text.

    Example:
        >>> parse_key("..., :3").items[1]
        SliceBounds(begin=None, end=3, step=None)
    """
    if isinstance(value, Key):
        return value
    if is_integer(value):
        return Key((int(value),), alone=True)
    if not isinstance(value, str) or not value.strip():
        raise _wrong(value)
    items = tuple(_parsed(word.strip(), value) for word in value.split(","))
    if sum(item is Ellipsis for item in items) > 1:
        raise _wrong(value)
    return Key(items, alone=len(items) == 1)


def _parsed(word: str, value: str) -> Any:
    if word == "...":
        return Ellipsis
    if word in _NEW_AXIS:
        return None
    if ":" not in word:
        bound = _bound(word, value)
        if bound is None:
            raise _wrong(value)
        return bound
    bounds = [_bound(part.strip(), value) for part in word.split(":")]
    if len(bounds) > 3 or bounds[2:] == [0]:
        raise _wrong(value)
    return SliceBounds(bounds[0], bounds[1], bounds[2] if len(bounds) > 2 else None)


def _bound(word: str, value: str) -> Bound:
    if not word:
        return None
    if _NUMBER.fullmatch(word):
        return int(word)
    if _FIELD.fullmatch(word) and word not in _NEW_AXIS:
        return word
    raise _wrong(value)


def _wrong(value: Any) -> Exception:
    return mismatch(value, "key", 'an index expression such as "..., :3", "1:-1" or 0')


class GetItem(SpecialCall):
    """Slices a tensor like Python's brackets.

    ``getitem: "..., :3"`` is equivalent to ``x[..., :3]``; ``getitem: {key: "..., :3", on: image}`` for
    ``{**x, "image": x["image"][..., :3]}``. The key holds numbers, ``begin:end:step``, ``...`` and ``tf.newaxis``; a
    name in it is a field of the element, so that ``getitem: {key: ":length", on: audio}`` is equivalent to
    ``x["audio"][:x["length"]]``.
    """

    call: ClassVar[str] = "getitem"
    family: ClassVar[str] = "structure"
    short: ClassVar[str | None] = "key"

    key: Annotated[Key, Checked(parse_key, {"anyOf": [{"type": "string"}, {"type": "integer"}]})] = argument(
        'Index expression in quotes: "..., :3", "1:-1", "0", "start:stop".'
    )

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The part."""
        return given[operation.arguments["key"].python(lambda name: pick(element, name))]
