"""Redaction of documents: texts of any origin are hidden in, fixed vocabularies stay as they are."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.document.shared import Record
from pipeprof.profiles.redaction.forms import HIDDEN, is_secret_name
from pipeprof.profiles.redaction.known import Hider, Private
from pipeprof.profiles.redaction.words import words_of

_Document = TypeVar("_Document", bound=Model)

_FREE_TEXT = words_of(
    """
    changes command data details diff edit evidence executed file formula headline message note output
    overrides patch profile python reason recommendation sentence source step text title traceback verdict
    versions
    """
)
"""Fields that hold text of any kind; all others hold a fixed vocabulary or a user's own name for a stage."""
_PATHS = frozenset({"file", "profile"})
"""Fields that are one path, which may have spaces."""
_NUMERIC = frozenset({int, float, bool, type(None), Ellipsis})
_HOLDERS = (Model, Record, dict, list, tuple)
"""Values that others are in."""
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w.-]{0,99})")


def redact(document: _Document, private: Private | None = None) -> _Document:
    """A copy without what must not be seen; host names and variables of the document itself count, too."""
    known = private or Private()
    hosts: list[str] = []
    variables: dict[str, str] = {}
    for key, value in _entries(document, {"host", "variables"}):
        if key == "host":
            name = value.get("name") if isinstance(value, dict) else getattr(value, "name", value)
            hosts += [name, name.split(".")[0]] if isinstance(name, str) else []
        elif isinstance(value, dict):
            variables |= {name: text for name, text in value.items() if isinstance(text, str)}
    hider = Hider(replace(known, names=(*known.names, *hosts), values={**known.values, **variables}))
    return type(document).model_validate(_model(document, hider, free=False))


def _entries(value: Any, names: Collection[str]) -> Iterator[tuple[str, Any]]:
    """The entries of these names, of all mappings and parts of a document that may have a text."""
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, Model | Record):
            kind: Any = type(part)
            entries = [(name, getattr(part, name)) for name, words in _vocabularies(kind).items() if words is not None]
        elif isinstance(part, dict):
            entries = [(str(key), item) for key, item in part.items()]
        else:
            todo += [item for item in part if isinstance(item, _HOLDERS)]
            continue
        yield from (entry for entry in entries if entry[0] in names)
        todo += [item for _, item in entries if isinstance(item, _HOLDERS)]


@cache
def _vocabularies(part: type[Any]) -> Mapping[str, frozenset[str] | None]:
    """The words of each field that has a fixed vocabulary; None for a field that has numbers alone.

    Series have hundreds of thousands of numbers: looking at each of them takes a second.
    """
    if issubclass(part, Record):
        hints = {name: hint for name, hint in get_type_hints(part).items() if get_origin(hint) is not ClassVar}
    else:
        hints = {name: field.annotation for name, field in part.model_fields.items()}
    return {name: None if _is_numeric(hint) else frozenset(_literals(hint)) for name, hint in hints.items()}


def _is_numeric(annotation: Any) -> bool:
    """Whether values of a type hold numbers alone."""
    if get_origin(annotation) is Annotated:
        return _is_numeric(get_args(annotation)[0])
    if not (parts := get_args(annotation)):
        return annotation in _NUMERIC
    return get_origin(annotation) is not Literal and all(map(_is_numeric, parts))


def _literals(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from (value for value in get_args(annotation) if isinstance(value, str))
    else:
        for part in get_args(annotation):
            yield from _literals(part)


def _model(model: Model | Record, hider: Hider, *, free: bool) -> dict[str, object]:
    part: Any = type(model)
    vocabularies = _vocabularies(part)
    found: dict[str, object] = {}
    for name, words in vocabularies.items():
        value = getattr(model, name)
        kept = words is None or value is None or (isinstance(value, str) and value in words)
        found[name] = value if kept else _entry(name, value, hider, words or frozenset(), free=free)
    # An edit has the fields of its kind. Whole, it is what a report bases its next command on; with one of them hidden
    # it would be another edit, so it is its kind alone then.
    further: Mapping[str, Any] = getattr(model, "model_extra", None) or {}
    shown = {name: _entry(name, value, hider, frozenset(), free=free) for name, value in further.items()}
    return found | shown if shown == further else found


def _walk(value: Any, hider: Hider, words: frozenset[str], *, free: bool) -> Any:
    if isinstance(value, Model | Record):
        return _model(value, hider, free=free)
    if isinstance(value, str):
        return value if value in words else hider.text(value, names=free)
    if isinstance(value, dict):
        # Ids of stages are keys in one place and values in another.
        return {
            hider.text(key, names=False) if isinstance(key, str) else key: _entry(
                str(key), item, hider, words, free=free
            )
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return list(_items(value, hider, words, free=free))
    return value


def _entry(key: str, value: Any, hider: Hider, words: frozenset[str], *, free: bool) -> Any:
    if key == "host":
        return {**_walk(value, hider, words, free=free), "name": None} if isinstance(value, (Model, dict)) else None
    if key == "variables" and isinstance(value, dict):
        return dict.fromkeys(value)
    if key == "versions" and isinstance(value, dict):
        return {
            name: hider.text(text, addresses=False) if isinstance(text, str) else text for name, text in value.items()
        }
    if isinstance(value, str):
        if is_secret_name(key):
            return HIDDEN
        if key in _PATHS:
            return hider.path(value)
    return _walk(value, hider, words, free=free or key in _FREE_TEXT)


def _items(values: list[Any] | tuple[Any, ...], hider: Hider, words: frozenset[str], *, free: bool) -> Iterator[Any]:
    """The items of a list; in a command, what follows a flag for a secret is one."""
    secret = False
    for value in values:
        yield HIDDEN if secret else _walk(value, hider, words, free=free)
        flag = _FLAG.fullmatch(value) if free and isinstance(value, str) else None
        secret = flag is not None and is_secret_name(flag["name"])
