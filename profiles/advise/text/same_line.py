"""One finding for a change of one line of a program, however many stages the line makes."""

from __future__ import annotations

from collections.abc import Iterable

from pipeprof.pipelines.changes.edits import PipelineEdit
from pipeprof.profiles.advise.predict import expected
from pipeprof.profiles.document.findings import Finding, Predicted, documents_of
from pipeprof.profiles.propose.proposal import SEMANTICS
from pipeprof.profiles.view.view import PipelineView

_Key = tuple[object, ...]


def join_same_line(findings: Iterable[Finding], view: PipelineView) -> list[Finding]:
    """Join findings on speed that propose the same change of stages which one line of the program makes.

    A function that builds a part of the pipeline is called for each of several inputs: its line is changed for all of
    them, and in one of them the change may gain little. In a spec, each stage has lines of its own.

    Args:
        findings: In their order; of joined ones the first stands for all.
    """
    in_spec = any(stage.written is not None for stage in view.stages)
    groups: dict[_Key | int, list[Finding]] = {}
    for number, finding in enumerate(findings):
        groups.setdefault((not in_spec and _key(finding, view)) or number, []).append(finding)
    return [group[0] if len(group) == 1 else _joined(group, view) for group in groups.values()]


def _key(finding: Finding, view: PipelineView) -> _Key | None:
    """Return the key that findings to join share: calls in a row on one line are stages of other functions."""
    place, stage = finding.location, view.by_id.get(finding.stage or "")
    if finding.family != "speed" or place is None or finding.edit is None or finding.change is None:
        return None
    function = (stage.op, stage.name) if stage is not None else None
    return finding.rule, place.file, place.line, place.column, function, finding.change


def _joined(findings: list[Finding], view: PipelineView) -> Finding:
    edits: list[PipelineEdit] = []
    for finding in findings:
        edits += [edit for edit in finding.edits if edit not in edits]
    predicted = expected(view, edits)
    first, count = findings[0], len(findings)
    classes = [finding.semantics or "same" for finding in findings]
    return first.model_copy(
        update={
            "edit": documents_of(edits),
            "semantics": max(classes, key=SEMANTICS.index),
            "change": f"{first.change}; this line makes {count} such stages, all of them change",
            "predicted": Predicted(
                speedup=predicted.speedup,
                peak_rss_delta_bytes=predicted.peak_rss_delta_bytes,
                wait_ms=predicted.wait_ms,
                formula=predicted.formula,
            )
            if predicted is not None
            else first.predicted,
        }
    )
