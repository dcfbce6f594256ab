"""A spec that is read, checked and followed: what TensorFlow would refuse about its elements is found before a run.

Structures, dtypes and shapes are inferred as TensorFlow's own element specs have them; what is uncertain is not
reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_spec import changed_spec
from pipeprof.pipelines.inference.errors import Place, Refused
from pipeprof.pipelines.inference.known_files import KnownFiles
from pipeprof.pipelines.inference.pipeline import PipelineInference
from pipeprof.pipelines.spec.faults import Fault
from pipeprof.pipelines.spec.load import LoadedSpec, load_spec
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
        path, sets, environment=environment, element_faults=find_element_faults, content=content, may_read=may_read
    )


def check_changed(loaded: LoadedSpec, edits: Sequence[PipelineEdit]) -> LoadedSpec:
    """Return a spec with changes, and infer its elements; raises as `changed_spec`."""
    return changed_spec(loaded, edits, find_element_faults)


def find_element_faults(spec: Spec, base_dir: Path) -> list[Fault]:
    """Infer the elements of a spec and collect everything that TensorFlow would refuse."""
    found: dict[Fault, None] = {}

    def report(place: Place, refusal: Refused) -> None:
        fault = Fault(place, not refusal.argument, refusal.code, refusal.message, refusal.suggestion)
        found.setdefault(fault)

    inference = PipelineInference(KnownFiles(base_dir, spec.data, counting=False), strict=True, report=report)
    inference.pipeline(spec, "", (), None)
    return list(found)
