"""A spec's data as YAML, with the line of the user's code behind every source and stage."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.from_python.pipeline import RecoveredSpec
from pipeprof.pipelines.from_python.records import Unsaid, Where
from pipeprof.pipelines.spec.scaffold import MODELINE
from pipeprof.pipelines.spec.yaml.writer import flow, scalar

_WIDTH: Final = 100
_COMMENT: Final = 110
_CHAINS: Final = ("ops", "stages")
_TAIL: Final = """\
# Training step: `none` reads batches as fast as possible; put your model's step time here, as in
# `step: {simulate: 20ms}`.
step: none
"""


def spec_text(described: RecoveredSpec, unsaid: Sequence[Unsaid], said: Sequence[str], target: str, here: Path) -> str:
    """The text of a spec.

    Args:
        described: The spec.
        unsaid: Parts that could not be written as YAML.
        said: Further comments, in sentences.
        target: The function.
        here: Folder that the files of places are named from.
    """
    lines = [
        MODELINE,
        f"# {_one_line(target)} as a spec, written by `pipeprof init --from` from its TensorFlow calls.",
    ]
    if unsaid:
        lines.append("# Could not be written as YAML:")
        lines += [f"#   {_one_line(shown(one, here))}" for one in unsaid]
    lines += [f"# {_one_line(one)}" for one in said]
    places = described.places
    for key, value in described.data.items():
        if key == "source":
            lines.append("source:")
            lines += _commented(list(_block(value, 2)), places.get("source"), here)
        elif key == "stages":
            lines.append("stages:")
            for index, stage in enumerate(value):
                found = list(_item(stage, 2))
                lines += _commented(found, places.get(join("", "stages", index)), here)
        else:
            lines += _entry(key, value, 0)
    return "\n".join(lines) + "\n" + _TAIL


def shown(unsaid: Unsaid, here: Path) -> str:
    """Describe a part that could not be written, with its place."""
    place = f"{place_of(unsaid.where, here)}: " if unsaid.where is not None else ""
    return f"{place}{unsaid.what}: {unsaid.why}"


def place_of(where: Where, here: Path) -> str:
    """``input.py:12``."""
    relative = os.path.relpath(where.file, here)
    return f"{where.file if relative.startswith('..') else relative}:{where.line}"


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _commented(lines: list[str], where: Where | None, here: Path) -> list[str]:
    if where is None or not lines:
        return lines
    comment = f"  # {_one_line(place_of(where, here))}"
    if len(lines[0]) + len(comment) > _COMMENT + _WIDTH:
        return lines
    return [lines[0] + comment, *lines[1:]]


def _entry(key: str, value: Any, indent: int) -> Iterator[str]:
    start = f"{' ' * indent}{scalar(key)}:"
    if not (key in _CHAINS and value) and _fits(value, len(start) + 1):
        yield f"{start} {flow(value)}"
        return
    yield start
    yield from _block(value, indent + 2)


def _block(value: Any, indent: int) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _entry(key, inner, indent)
    else:
        for inner in value:
            yield from _item(inner, indent)


def _item(value: Any, indent: int) -> Iterator[str]:
    """An item of a list: a mapping of one key stands behind the dash without braces."""
    dash = f"{' ' * indent}- "
    if isinstance(value, dict) and len(value) == 1:
        key, inner = next(iter(value.items()))
        start = f"{dash}{scalar(key)}:"
        if _fits(inner, len(start) + 1):
            yield f"{start} {flow(inner)}"
            return
        yield start
        yield from _block(inner, indent + 4)
    elif _fits(value, len(dash)):
        yield f"{dash}{flow(value)}"
    else:
        inner_lines = list(_block(value, indent + 2))
        yield f"{dash}{inner_lines[0][indent + 2 :]}"
        yield from inner_lines[1:]


def _fits(value: Any, column: int) -> bool:
    if not isinstance(value, dict | list) or not value:
        return True
    if _holds_chain(value):
        return False
    return column + len(flow(value)) <= _WIDTH


def _holds_chain(value: Any) -> bool:
    """Whether there is a chain of calls or stages: each is to have a line of its own."""
    if isinstance(value, dict):
        chain = any(isinstance(value.get(key), list) for key in _CHAINS)
        return chain or any(_holds_chain(one) for one in value.values())
    return isinstance(value, list) and any(_holds_chain(one) for one in value)
