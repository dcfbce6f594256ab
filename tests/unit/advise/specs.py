"""Specs in tests of rules: what the static rules say of one, and the same spec with a finding's fix applied."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.pipelines.changes.in_spec import changed_spec
from pipeprof.pipelines.spec.loader import load_spec
from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.document.findings import Finding
from pipeprof.profiles.view.attach_spec import with_written
from pipeprof.profiles.view.from_spec import view_of_spec
from pipeprof.profiles.view.view import PipelineView

GB = 10**9


def view_with(path: Path, edits: Sequence[PipelineEdit] = (), limit: int | None = None) -> PipelineView:
    """The static view of the spec with changes and a memory limit."""
    loaded = changed_spec(load_spec(path), edits)
    return with_written(view_of_spec(loaded, cores=4, memory_limit_bytes=limit), loaded)


def static_findings(path: Path, edits: Sequence[PipelineEdit] = (), limit: int | None = None) -> list[Finding]:
    """What the rules say of the spec without running it."""
    findings, messages = advise(view_with(path, edits, limit))
    assert not [one for one in messages if one.code == "rule-failed"], messages
    return findings


def stages_with(path: Path, edits: Sequence[PipelineEdit] = ()) -> list[str]:
    """The names of the stages in order, with changes."""
    return [stage.op for stage in view_with(path, edits).stages]
