"""A spec that is read, checked and followed: what TensorFlow would refuse about its elements is found before a run.

Structures, dtypes and shapes are inferred as TensorFlow's own element specs have them; what is uncertain is not
reported.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipeprof.pipelines.data.recipes.models import DataEntry
from pipeprof.pipelines.inference.errors import Place, Refused
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.pipeline import PipelineInference
from pipeprof.pipelines.ops.base import parse_source, parse_stage
from pipeprof.pipelines.spec.errors.root_causes import Fault
from pipeprof.pipelines.spec.loader import LoadedSpec, load_spec
from pipeprof.pipelines.spec.models import Spec


def check_spec(
    path: Path,
    sets: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    content: bytes | None = None,
    may_read: Callable[[Path], None] | None = None,
) -> LoadedSpec:
    """Load a spec and infer its elements; the arguments are those of `load_spec`.

    Raises:
        SpecError: All errors of the texts, the flags and the elements.
    """
    return load_spec(
        path, sets, environment=environment, element_faults=_element_faults, content=content, may_read=may_read
    )


def _element_faults(spec: Spec | None, data: Any, base_dir: Path) -> list[Fault]:
    """Faults of the elements; of an invalid spec, those of the parts that are valid in themselves."""
    if spec is not None:
        return find_element_faults(spec, spec.data, base_dir)
    return _faults_of_valid_parts(data, base_dir) if isinstance(data, dict) else []


def find_element_faults(pipeline: Any, data: Mapping[str, DataEntry], base_dir: Path) -> list[Fault]:
    """Infer the elements of a pipeline and collect everything that TensorFlow would refuse."""
    found: dict[Fault, None] = {}

    def report(place: Place, refusal: Refused) -> None:
        fault = Fault(place, not refusal.argument, refusal.code, refusal.message, refusal.suggestion)
        found.setdefault(fault)

    inference = PipelineInference(KnownFiles(base_dir, data, counting=False), strict=True, report=report)
    inference.pipeline(pipeline, "", (), None)
    return list(found)


@dataclass(frozen=True)
class _InvalidPart:
    """Placeholder for an invalid source or stage: its elements are unknown."""

    op: str = ""

    def pipelines(self) -> Iterable[Any]:
        """Return no inner pipelines."""
        return ()


@dataclass
class _ValidParts:
    """The valid source and stages of an invalid spec."""

    source: Any = field(default_factory=_InvalidPart)
    stages: list[Any] = field(default_factory=list)


def _faults_of_valid_parts(data: Mapping[str, Any], base_dir: Path) -> list[Fault]:
    parts = _ValidParts()
    with contextlib.suppress(ValueError):
        parts.source = parse_source(data.get("source"))
    stages = data.get("stages")
    for stage in stages if isinstance(stages, list) else []:
        try:
            parts.stages.append(parse_stage(stage))
        except ValueError:
            parts.stages.append(_InvalidPart())
    return find_element_faults(parts, _valid_recipes(data.get("data")), base_dir)


def _valid_recipes(data: Any) -> dict[str, DataEntry]:
    found: dict[str, DataEntry] = {}
    for name, entry in data.items() if isinstance(data, Mapping) else ():
        try:
            found[str(name)] = DataEntry.model_validate(entry)
        except ValidationError:
            continue
    return found
