"""What is said of a trace."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unit.gaps.made_traces import Called, Made, as_json, stalled, write
from unit.worker.encoded_trace import chunk

from pipeprof.profiles.gaps.analyse import analyse
from pipeprof.profiles.gaps.document import DeviceGaps, TraceGaps
from pipeprof.profiles.gaps.reading import read_trace
from pipeprof.profiles.gaps.sentences import reason

OP = Called("aten::add", 0, 0)


def analysed(path: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Of a file."""
    return analyse(read_trace(path), path.name, 0)


def found_in(made: Made, form: str, folder: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Of a made trace, in a format."""
    return analysed(write(made, form, folder))


def found_in_json(document: Any, folder: Path) -> tuple[TraceGaps, list[DeviceGaps]]:
    """Of a document, or of its text."""
    path = folder / "made.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return analysed(path)


def found_in_planes(folder: Path, *planes: bytes, more: bytes = b"") -> tuple[TraceGaps, list[DeviceGaps]]:
    """Of a file of planes."""
    path = folder / "host.xplane.pb"
    path.write_bytes(b"".join(chunk(1, one) for one in planes) + more)
    return analysed(path)


def document() -> Any:
    """Twenty steps with an operation in their gaps, as PyTorch writes them."""
    return as_json(stalled("json", OP))


def shares(device: DeviceGaps) -> dict[str, float]:
    """The causes' shares of the idle time."""
    total = sum(device.gaps.by_cause.values())
    return {cause: seconds / total for cause, seconds in device.gaps.by_cause.items()}


def said(code: str, *values: object) -> str:
    """The sentence of a reason."""
    return reason(code, *values).text
