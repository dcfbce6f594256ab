"""What TensorFlow would refuse about a spec's elements, as faults with their places, before anything runs.

Structures, dtypes and shapes are followed as TensorFlow's own element specs have them: what is not certain is not said.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeprof.pipelines.data.recipes.models import DataEntry
from pipeprof.pipelines.inference.calls import Place
from pipeprof.pipelines.inference.known_files import Files
from pipeprof.pipelines.inference.tensor.refusals import Refused
from pipeprof.pipelines.inference.walker import Walker
from pipeprof.pipelines.ops.base import parse_source, parse_stage
from pipeprof.pipelines.spec.errors.root_causes import Fault


def flow_faults(pipeline: Any, data: Mapping[str, DataEntry], base_dir: Path) -> list[Fault]:
    """Everything that TensorFlow would refuse.

    Args:
        pipeline: A spec, or its source and stages.
        data: The recipes under ``data:``.
        base_dir: Folder that relative paths refer to.
    """
    found: dict[Fault, None] = {}

    def report(place: Place, refusal: Refused) -> None:
        fault = Fault(place, not refusal.argument, refusal.code, refusal.message, refusal.suggestion)
        found.setdefault(fault)

    Walker(Files(base_dir, data, counting=False), strict=True, report=report).pipeline(pipeline, "", (), None)
    return list(found)


@dataclass(frozen=True)
class _Unread:
    """Stands for a source or stage that is wrong in itself: nothing is known of what comes out."""

    op: str = ""

    def pipelines(self) -> Iterable[Any]:
        """None that could be read."""
        return ()


@dataclass
class _Readable:
    """The sources and stages of a spec that could be read."""

    source: Any = field(default_factory=_Unread)
    stages: list[Any] = field(default_factory=list)


def faults_beside(data: Mapping[str, Any], base_dir: Path) -> list[Fault]:
    """What TensorFlow would refuse about those sources and stages of a wrong spec that are right in themselves."""
    readable = _Readable()
    with contextlib.suppress(ValueError):
        readable.source = parse_source(data.get("source"))
    stages = data.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        try:
            readable.stages.append(parse_stage(stage))
        except ValueError:
            readable.stages.append(_Unread())
    return flow_faults(readable, _recipes(data.get("data")), base_dir)


def _recipes(data: Any) -> dict[str, DataEntry]:
    found: dict[str, DataEntry] = {}
    for name, entry in data.items() if isinstance(data, Mapping) else ():
        try:
            found[str(name)] = DataEntry.model_validate(entry)
        except ValidationError:
            continue
    return found
