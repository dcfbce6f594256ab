"""Links from each key of the JSON schema to its documentation.

A link is the path of the documentation in this project with the section (``docs/spec/stages.md#batch``), so that it
holds for every release and checkout. The functions of ``ops:`` are TensorFlow's, and so is their documentation; their
parameters have no links of their own: there are thousands.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from pipeprof.pipelines.ops.functions.catalog import Function

FOLDER: Final = "docs/spec/"
_TENSORFLOW: Final = "https://www.tensorflow.org/api_docs/python/"
_LINK = re.compile(rf"\n(?:{re.escape(FOLDER)}|{re.escape(_TENSORFLOW)})\S*\Z")
_TOP: Final = "document"
_VALUES: Final = "values"
_LISTS: Final = {"DataEntry": "data", "source": "sources", "stage": "stages", "call": "functions"}
"""Parts that list the parts of a page, which each page begins with."""


def pages(schema: dict[str, Any], parts: dict[str, Any]) -> dict[str, str]:
    """The page of the reference for each named part: that of the list that has it, or of all parts that refer to it.

    Args:
        schema: The whole document, without its named parts.
        parts: The named parts.

    Returns:
        The page's name without its ending, by the name of the part: `document`, `data`, `sources`, `stages`,
        `functions`, or `values` for what several pages refer to. In the order in which parts are referred to.
    """
    rest = {key: value for key, value in schema.items() if key not in {"definitions", "$defs"}}
    references = {name: _references(part) for name, part in parts.items()}
    found = {name: _LISTS.get(name, _TOP) for name in _references(rest)}
    for name, page in _LISTS.items():
        found |= {part: page for part in references.get(name, ()) if part not in found and part not in _LISTS}
    waiting = list(found)
    while waiting:
        for name in references[waiting.pop(0)]:
            if name not in found:
                users = {page for part, page in found.items() if name in references[part]}
                shared = _TOP if _TOP in users else _VALUES
                found[name] = _LISTS.get(name) or (users.pop() if len(users) == 1 else shared)
                waiting.append(name)
    return found


def _references(part: Any) -> list[str]:
    return list(dict.fromkeys(re.findall(r'"\$ref": "[^"]*/([^"/]+)"', json.dumps(part))))


def anchor(heading: str) -> str:
    """The fragment that Markdown renderers make of a heading.

    Example:
        >>> anchor("FixedLenFeature"), anchor("Changing a spec")
        ('fixedlenfeature', 'changing-a-spec')
    """
    return re.sub(r"[^a-z0-9_-]", "", heading.lower().replace(" ", "-"))


def function_link(name: str) -> str:
    """The page of a public function or class of TensorFlow's.

    Example:
        >>> function_link("tf.io.read_file")
        'https://www.tensorflow.org/api_docs/python/tf/io/read_file'
    """
    return _TENSORFLOW + name.replace(".", "/")


def without_link(description: str) -> str:
    """A description as the documentation itself shows it."""
    return _LINK.sub("", description)


def parameters(called: Function) -> dict[str, dict[str, Any]]:
    """The schema of each parameter: anything, with what is known of it."""
    return {
        parameter.name: {
            "description": "Required, unless an input provides it."
            if parameter.required
            else f"Default {parameter.default}."
        }
        for parameter in called.parameters
    }


def linked(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with a link to the documentation at every described key."""
    parts = schema["definitions"]
    of = pages(schema, parts)
    definitions = {
        name: _linked(part, f"{FOLDER}{of.get(name, _VALUES)}.md#{anchor(name)}") for name, part in parts.items()
    }
    rest = {key: value for key, value in schema.items() if key != "definitions"}
    return {**_linked(rest, f"{FOLDER}{_TOP}.md"), "definitions": definitions}


def _linked(value: Any, link: str) -> Any:
    if isinstance(value, list):
        return [_linked(item, link) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for key, inner in value.items():
        if key == "properties" and link.startswith(_TENSORFLOW):
            found[key] = inner
        elif key == "properties":
            found[key] = {name: _linked(part, _link_of(name, link)) for name, part in inner.items()}
        elif key == "description" and isinstance(inner, str):
            found[key] = inner if _LINK.search(inner) else f"{inner}\n{link}"
        else:
            found[key] = _linked(inner, link)
    return found


def _link_of(name: str, link: str) -> str:
    return function_link(name) if name.startswith("tf.") else link
