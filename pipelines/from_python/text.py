"""YAML text of a spec, with the user's line as a comment after every source and stage."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.from_python.pipeline import RecoveredSpec
from pipeprof.pipelines.from_python.records import Omission, SourcePlace
from pipeprof.pipelines.spec.scaffold import modeline
from pipeprof.pipelines.spec.yaml.reader import Address
from pipeprof.pipelines.spec.yaml.writer import WIDTH, BlockWriter, flow

_COMMENT: Final = 110
_CHAINS: Final = ("ops", "stages")
_TAIL: Final = """\
# Training step: `none` reads batches as fast as possible; put your model's step time here, as in
# `step: {simulate: 20ms}`.
step: none
"""


def spec_text(
    described: RecoveredSpec,
    unsaid: Sequence[Omission],
    said: Sequence[str],
    target: str,
    here: Path,
    *,
    schema: str | None = None,
) -> str:
    """Write a spec as text.

    Args:
        schema: The schema as the first line names it; None for no such line.
    """
    lines = [
        *([modeline(schema)] if schema is not None else []),
        f"# {_one_line(target)} as a spec, written by `pipeprof init --from` from its TensorFlow calls.",
    ]
    if unsaid:
        lines.append("# Could not be written as YAML:")
        lines += [f"#   {_one_line(omission_text(omission, here))}" for omission in unsaid]
    lines += [f"# {_one_line(name)}" for name in said]
    places, writer = described.places, BlockWriter(_fits_on_line)
    for key, value in described.data.items():
        if key == "source":
            block = [line.text for line in writer.block(value, (key,), 2)]
            lines += ["source:", *_add_comment(block, places.get("source"), here)]
        elif key == "stages":
            lines.append("stages:")
            for index, stage in enumerate(value):
                block = [line.text for line in writer.block([stage], (key,), 2)]
                lines += _add_comment(block, places.get(join("", "stages", index)), here)
        else:
            lines += [line.text for line in writer.entries({key: value}, (), 0)]
    return "\n".join(lines) + "\n" + _TAIL


def omission_text(unsaid: Omission, here: Path) -> str:
    """Describe a part that could not be written, with its place."""
    place = f"{place_of(unsaid.where, here)}: " if unsaid.where is not None else ""
    return f"{place}{unsaid.what}: {unsaid.why}"


def place_of(where: SourcePlace, here: Path) -> str:
    """Return the place as ``input.py:12``."""
    relative = os.path.relpath(where.file, here)
    return f"{where.file if relative.startswith('..') else relative}:{where.line}"


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(text.split()))


def _add_comment(lines: list[str], where: SourcePlace | None, here: Path) -> list[str]:
    if where is None or not lines:
        return lines
    comment = f"  # {_one_line(place_of(where, here))}"
    if len(lines[0]) + len(comment) > _COMMENT + WIDTH:
        return lines
    return [lines[0] + comment, *lines[1:]]


def _fits_on_line(start: str, value: Any, address: Address) -> bool:
    chain = address[-1] in _CHAINS or _holds_chain(value)
    return not chain and len(start) + 1 + len(flow(value)) <= WIDTH


def _holds_chain(value: Any) -> bool:
    if isinstance(value, dict):
        chain = any(isinstance(value.get(key), list) for key in _CHAINS)
        return chain or any(_holds_chain(item) for item in value.values())
    return isinstance(value, list) and any(_holds_chain(item) for item in value)
