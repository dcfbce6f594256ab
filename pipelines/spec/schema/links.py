"""Links from each key of the JSON schema to its documentation.

A link is the path of the documentation in this project with the section (``docs/spec.md#batch``), so that it holds for
every release and checkout. The functions of ``ops:`` are TensorFlow's, and so is their documentation; their parameters
have no links of their own: there are thousands.
"""

from __future__ import annotations

import re
from typing import Any, Final

from pipeprof.pipelines.ops.functions.catalog import Function

PAGE: Final = "docs/spec.md"
_TENSORFLOW: Final = "https://www.tensorflow.org/api_docs/python/"
_LINK = re.compile(rf"\n(?:{re.escape(PAGE)}|{re.escape(_TENSORFLOW)})\S*\Z")
_TOP: Final = "reference"


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
    definitions = {name: _linked(part, f"{PAGE}#{anchor(name)}") for name, part in schema["definitions"].items()}
    rest = {key: value for key, value in schema.items() if key != "definitions"}
    return {**_linked(rest, f"{PAGE}#{_TOP}"), "definitions": definitions}


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
