"""Redaction of documents: texts of any origin are hidden in, fixed vocabularies stay as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any, TypeVar

from pipeprof.profiles.document.base import Model
from pipeprof.profiles.redaction.known import HIDDEN, Hider, Private, is_secret_name

_Document = TypeVar("_Document", bound=Model)

_FREE_TEXT = frozenset({
    "changes", "command", "data", "details", "diff", "edit", "evidence", "executed", "file", "formula", "headline",
    "message", "note", "output", "overrides", "patch", "profile", "python", "reason", "recommendation", "sentence",
    "source", "step", "text", "title", "traceback", "verdict", "versions",
})  # fmt: skip
"""Fields that hold text of any kind; all others hold a fixed vocabulary or a user's own name for a stage."""
_HOLDERS = (str, dict, list, tuple)
_FLAG = re.compile(r"--?(?P<name>[A-Za-z][\w.-]{0,99})")


def redact(document: _Document, private: Private | None = None) -> _Document:
    """A copy without what must not be seen; host names and variables of the document itself count, too."""
    known, body = private or Private(), document.model_dump()
    hosts: list[str] = []
    variables: dict[str, str] = {}
    for key, value in _entries(body):
        name = value.get("name") if isinstance(value, dict) else value
        if key == "host" and isinstance(name, str):
            hosts += [name, name.split(".")[0]]
        elif key == "variables" and isinstance(value, dict):
            variables |= {name: text for name, text in value.items() if isinstance(text, str)}
    hider = Hider(replace(known, names=(*known.names, *hosts), values={**known.values, **variables}))
    return type(document).model_validate(_walk(body, hider, _vocabulary(type(document)), free=False))


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    todo = [value]
    while todo:
        part = todo.pop()
        if isinstance(part, dict):
            yield from part.items()
            todo += part.values()
        elif _may_have_texts(part):
            todo += part


def _may_have_texts(value: Any) -> bool:
    """Whether a value is a list that is not one of numbers: series have hundreds of thousands of them."""
    return isinstance(value, (list, tuple)) and any(isinstance(item, _HOLDERS) for item in value)


@cache
def _vocabulary(kind: type[Model]) -> frozenset[str]:
    """The words of all fields with a fixed vocabulary; a JSON Schema, which has them too, takes ten times as long."""
    literals = [value for key, value in _entries(kind.__pydantic_core_schema__) if key == "expected"]
    return frozenset(word for words in literals for word in words if isinstance(word, str))


def _walk(value: Any, hider: Hider, words: frozenset[str], *, free: bool) -> Any:
    if isinstance(value, str):
        return value if value in words else hider.text(value, names=free)
    if isinstance(value, dict):
        # Ids of stages are keys in one place and values in another.
        return {
            hider.text(str(key), names=False): _entry(str(key), item, hider, words, free=free or key in _FREE_TEXT)
            for key, item in value.items()
        }
    return _items(value, hider, words, free=free) if _may_have_texts(value) else value


def _entry(key: str, value: Any, hider: Hider, words: frozenset[str], *, free: bool) -> Any:
    match key, value:
        case "host", _:
            return {**_walk(value, hider, words, free=free), "name": None} if isinstance(value, dict) else None
        case "variables", dict():
            return dict.fromkeys(value)
        case "versions", dict():
            return {name: text if text is None else hider.text(text, addresses=False) for name, text in value.items()}
        case _, str() if is_secret_name(key):
            return HIDDEN
        case (("file" | "profile"), str()):
            # One path, which may have spaces.
            return hider.path(value)
    return _edits(value, hider, words) if key in ("edit", "edits") else _walk(value, hider, words, free=free)


def _edits(value: Any, hider: Hider, words: frozenset[str]) -> Any:
    """Edits: with a part of it hidden, one would be another edit, so it is its kind alone then.

    Whole, it is what a report bases its next command on.
    """
    if isinstance(value, list):
        return [_edits(one, hider, words) for one in value]
    shown = _walk(value, hider, words, free=True)
    return shown if shown == value else {"kind": shown["kind"]}


def _items(values: Any, hider: Hider, words: frozenset[str], *, free: bool) -> Any:
    """The items of a list; in a command, what follows a flag for a secret is one."""
    found, secret = [], False
    for value in values:
        found.append(HIDDEN if secret else _walk(value, hider, words, free=free))
        flag = _FLAG.fullmatch(value) if free and isinstance(value, str) else None
        secret = flag is not None and is_secret_name(flag["name"])
    return type(values)(found)
