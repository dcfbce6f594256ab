"""The resolved spec as YAML, with the origin of each line or without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pipeprof.pipelines.errors import escape
from pipeprof.pipelines.spec.compose.overrides import FLAG
from pipeprof.pipelines.spec.errors.diagnostics import display_width
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.yaml.reader import Address
from pipeprof.pipelines.spec.yaml.spans import Span
from pipeprof.pipelines.spec.yaml.writer import BlockWriter, Line, flow
from pipeprof.pipelines.steps.registry import step_kind

_FLOW_WIDTH: Final = 72
_TEXT_WIDTH: Final = 60
"""Widest line that the column of the comments makes room for."""


def show(loaded: LoadedSpec) -> str:
    """Return the resolved spec, with what it was made of above it.

    Relative paths are as they are from the spec's own folder, so that the text, saved there, resolves to the same.
    """
    lines = list(_Writer(loaded, with_defaults(loaded)).lines())
    column = max((width for text, _ in lines if (width := _width(text)) <= _TEXT_WIDTH), default=0)
    body = [_with_comment(text, origin, column) for text, origin in lines]
    return "\n".join([*_header(loaded), *body]) + "\n"


def in_one_file(loaded: LoadedSpec) -> str:
    """Return the resolved spec as a text of its own, which needs no other file and no flag.

    Relative paths are as they are from the spec's own folder; aliases and ``<<`` are written out, comments are not in
    it.
    """
    lines = [line.text for line in _Writer(loaded, loaded.data).text_lines()]
    return "\n".join([_one_line_header(loaded), *lines]) + "\n"


def origins(loaded: LoadedSpec) -> list[dict[str, Any]]:
    """List the origin of every value: its keys and indices from the top, and the file and line, or the flag."""
    writer = _Writer(loaded, with_defaults(loaded))
    found: list[dict[str, Any]] = []

    def look(data: Any, address: Address) -> None:
        if isinstance(data, dict | list) and data:
            for key, inner in data.items() if isinstance(data, dict) else enumerate(data):
                look(inner, (*address, key))
            return
        place = loaded.place(address)
        at = loaded.origins.location(place.value) if place is not None else None
        here = {"file": at.file, "line": at.line, "column": at.column, "flag": at.flag} if at else {"default": True}
        found.append({"path": list(address), "value": data, **here})

    look(writer.data, ())
    return found


def with_defaults(loaded: LoadedSpec) -> dict[str, Any]:
    """The resolved data with the defaults of the document's own keys."""
    data: dict[str, Any] = {**loaded.data}
    step = data.setdefault("step", "none")
    if isinstance(step, dict) and "dispatch" not in step and step_kind(loaded.spec.step.kind).dispatch != "own":
        data["step"] = {**step, "dispatch": loaded.spec.step.dispatch}
    measure = data.get("measure") or {}
    missing = {
        name: value
        for name, value in loaded.spec.measure.model_dump().items()
        if value is not None and name not in measure
    }
    data["measure"] = {**measure, **missing}
    data.setdefault("stages", [])
    return data


def _header(loaded: LoadedSpec) -> list[str]:
    order = [loaded.origins.files[number] for number in reversed(loaded.origins.order)]
    names = [escape(file.name) + (" (-f)" if file.role == "overlay" else "") for file in order]
    names += [escape(FLAG + text) for text in loaded.overrides]
    used = loaded.variables or {}
    if used:
        names.append(
            "--env: " + escape(", ".join(f"{name}={value}" if value else name for name, value in used.items()))
        )
    if len(names) == 1:
        return [f"# resolved from {names[0]}"]
    return ["# resolved from, the last word below:", *(f"#   {name}" for name in names)]


def _one_line_header(loaded: LoadedSpec) -> str:
    others = [escape(file.name) for file in loaded.files[1:]] + [escape(FLAG + text) for text in loaded.overrides]
    return f"# {escape(str(loaded.path))}{' with ' if others else ''}{', '.join(others)}, in one file"


def _with_comment(text: str, origin: str | None, column: int) -> str:
    return text if origin is None else f"{text}{' ' * max(0, column - _width(text))}  # {origin}"


def _width(text: str) -> int:
    return sum(map(display_width, text))


class _Writer:
    def __init__(self, loaded: LoadedSpec, data: dict[str, Any]) -> None:
        self.data = data
        self._loaded = loaded

    def text_lines(self) -> Iterator[Line]:
        """Write the lines, with the address of what begins on them."""
        return BlockWriter(self._fits).entries(self.data, (), 0)

    def lines(self) -> Iterator[tuple[str, str | None]]:
        """Yield the lines, each with its origin; a line of a folded text has none of its own."""
        for line in self.text_lines():
            yield line.text, None if line.address is None else self._origin(line.address)

    def _fits(self, start: str, value: Any, at: Address) -> bool:
        """Whether a list or mapping goes on one line: it was written on one, and is short enough."""
        place = self._loaded.place(at)
        if place is None or not self._is_of_line(value, at, _line(place.value)):
            return False
        if place.key is not None and _line(place.key) != _line(place.value):
            return False
        return len(start) + 1 + len(flow(value)) <= _FLOW_WIDTH

    def _is_of_line(self, value: Any, at: Address, line: object) -> bool:
        place = self._loaded.place(at)
        if place is None or _line(place.value) != line or self._loaded.filled(place.value):
            return False
        keys: Any = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        return all(self._is_of_line(value[key], (*at, key), line) for key in keys)

    def _origin(self, at: Address) -> str:
        place = self._loaded.place(at)
        if place is None:
            return "default"
        value: Any = self._loaded.data
        for part in at:
            value = value[part]
        span = place.key if isinstance(value, dict | list) and value and place.key is not None else place.value
        if span.flag is not None:
            return FLAG.strip()
        location = self._loaded.origins.location(span)
        from_environment = ", --env" if self._loaded.filled(place.value) else ""
        return f"{escape(location.file)}:{location.line}{from_environment}"


def _line(span: Span) -> tuple[int | None, int, int]:
    return span.flag, span.file, span.line
