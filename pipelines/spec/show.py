"""A resolved spec as YAML in which every line says where it comes from; itself a spec that says the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipeprof.pipelines.spec.compose.overrides import FLAG
from pipeprof.pipelines.spec.errors.diagnostics import display_width, escape
from pipeprof.pipelines.spec.yaml.writer import flow, folded, scalar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeprof.pipelines.spec.loader import LoadedSpec
    from pipeprof.pipelines.spec.yaml.reader import Address
    from pipeprof.pipelines.spec.yaml.spans import Span

WIDTH: Final = 100
_FLOW_WIDTH: Final = 72
_TEXT_WIDTH: Final = 60
"""Widest line that the column of the comments makes room for."""

_DEFAULT: Final = "default"
_LONGEST_KEY: Final = 120


@dataclass(frozen=True)
class Line:
    """One line of the text and its origin; a line of a folded text has none of its own."""

    text: str
    origin: str | None


def show(loaded: LoadedSpec) -> str:
    """Return the resolved spec, with what it was made of above it.

    Relative paths are as they are from the spec's own folder, so that the text, saved there, resolves to the same.
    """
    lines = list(_Writer(loaded).lines())
    column = max((width for line in lines if (width := _width(line.text)) <= _TEXT_WIDTH), default=0)
    body = [_with_comment(line, column) for line in lines]
    return "\n".join([*_header(loaded), *body]) + "\n"


def origins(loaded: LoadedSpec) -> list[dict[str, Any]]:
    """Where every value comes from: its keys and indices from the top, and the file and line, or the flag."""
    writer = _Writer(loaded)
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
    if isinstance(step, dict) and "dispatch" not in step:
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


def _with_comment(line: Line, column: int) -> str:
    if line.origin is None:
        return line.text
    return f"{line.text}{' ' * max(0, column - _width(line.text))}  # {line.origin}"


def _width(text: str) -> int:
    return sum(map(display_width, text))


class _Writer:
    def __init__(self, loaded: LoadedSpec) -> None:
        self.data = with_defaults(loaded)
        self._loaded = loaded

    def lines(self) -> Iterator[Line]:
        yield from self._entries(self.data, (), 0)

    def _entries(self, data: dict[Any, Any], address: Address, indent: int) -> Iterator[Line]:
        for key, value in data.items():
            at = (*address, key)
            name = scalar(key)
            if len(name) > _LONGEST_KEY:
                # A key of more than 1024 characters is only allowed this way.
                yield Line(f"{' ' * indent}? {name}", self._origin(at))
                yield from self._value(f"{' ' * indent}:", value, at, indent)
            else:
                yield from self._value(f"{' ' * indent}{name}:", value, at, indent)

    def _value(self, start: str, value: Any, at: Address, indent: int) -> Iterator[Line]:
        if not isinstance(value, dict | list):
            yield from self._scalar(start, value, at, indent)
        elif self._fits(start, value, at):
            yield Line(f"{start} {flow(value)}", self._origin(at))
        else:
            yield Line(start, self._origin(at))
            yield from self._block(value, at, indent + 2)

    def _block(self, value: Any, at: Address, indent: int) -> Iterator[Line]:
        if isinstance(value, dict):
            yield from self._entries(value, at, indent)
            return
        for index, item in enumerate(value):
            here = (*at, index)
            dash = f"{' ' * indent}-"
            if not isinstance(item, dict | list):
                yield from self._scalar(dash, item, here, indent)
            elif self._fits(dash, item, here):
                yield Line(f"{dash} {self._flow_item(item)}", self._origin(here))
            else:
                inner = self._block(item, here, indent + 2)
                first = next(inner)
                yield Line(f"{dash} {first.text[indent + 2 :]}", first.origin)
                yield from inner

    def _flow_item(self, item: Any) -> str:
        """``batch: {batch_size: 32}`` needs no braces of its own after a dash."""
        if isinstance(item, dict) and len(item) == 1:
            key, value = next(iter(item.items()))
            if len(scalar(key)) <= _LONGEST_KEY:
                return f"{scalar(key)}: {flow(value)}"
        return flow(item)

    def _scalar(self, start: str, value: Any, at: Address, indent: int) -> Iterator[Line]:
        text = f"{start} {scalar(value)}"
        width = WIDTH - 20 - indent
        lines = folded(value, width) if isinstance(value, str) and len(text) > WIDTH - 20 else None
        if lines is None or len(lines) == 1:
            yield Line(text, self._origin(at))
            return
        yield Line(f"{start} >-", self._origin(at))
        for line in lines:
            yield Line(f"{' ' * (indent + 2)}{line}", None)

    def _fits(self, start: str, value: Any, at: Address) -> bool:
        """Whether a list or mapping goes on one line: it was written on one, and is short enough."""
        if not value:
            return True
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
            return _DEFAULT
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
