"""The changes of a search in the text of a Python function, checked: both give the same graph."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeprof.pipelines.edits.edits import PipelineEdit, SetEnvironment, to_document
from pipeprof.pipelines.from_python.compare import differences
from pipeprof.pipelines.static.edit.apply import apply_to_source
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.profiles.harness.describe_function import ask_for_graph
from pipeprof.profiles.protocol.source import GraphJob, unpacked


@dataclass(frozen=True)
class EditedSource:
    """The text of a file with the changes.

    Attributes:
        text: None where there is none.
    """

    text: str | None
    reason: str = ""


def edited_source(
    target: ParsedTarget, text: str, stages: Mapping[str, str], steps: Sequence[Sequence[PipelineEdit]]
) -> EditedSource:
    """Make steps of edits in the text of a function, and compare what it gives with the same edits of its graph.

    Args:
        stages: Ops of its stages as written, by address, in order.
    """
    shown = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in steps]
    shown = [step for step in shown if step]
    if not shown:
        return EditedSource(None, "the changes are those of the environment alone")
    try:
        after = apply_to_source(text, target.function or "", stages, shown)
    except CannotEditSourceError as error:
        return EditedSource(None, str(error))
    job = GraphJob(str(target), list(target.arguments), str(target.path.resolve()))
    asked = [
        GraphJob(**{**vars(job), "steps": [[json.dumps(to_document(edit)) for edit in step] for step in shown]}),
        GraphJob(**{**vars(job), "text": after}),
    ]
    answers = list(map(ask_for_graph, asked))
    failure = next((answer.failure for answer in answers if answer.failure is not None), None)
    if failure is not None:
        return EditedSource(None, f"the edited text could not be checked: {failure}")
    planned, written = answers
    same = not differences(unpacked(planned.graph or ""), unpacked(written.graph or ""))
    if not same or planned.element != written.element:
        return EditedSource(None, "the edited text gives another graph than the plan")
    return EditedSource(after)
