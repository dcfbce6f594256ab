"""A pipeline with steps of edits: each step changes the pipeline that the one before it made."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment, to_document
from pipeprof.pipelines.changes.in_spec import EditError, changed_spec
from pipeprof.pipelines.changes.in_spec_text import apply_to_spec
from pipeprof.pipelines.spec.load import LoadedSpec


@dataclass(frozen=True)
class Version:
    """A pipeline with changes."""

    steps: tuple[tuple[PipelineEdit, ...], ...] = ()
    loaded: LoadedSpec | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the edits set in the environment of the process."""
        edits = [edit for step in self.steps for edit in step]
        return {edit.variable: edit.value for edit in edits if isinstance(edit, SetEnvironment)}

    @property
    def edits_of_calls(self) -> list[list[str]]:
        """The steps of a Python target for a job; those that only the process has are left out."""
        known = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in self.steps]
        steps = [[json.dumps(to_document(edit)) for edit in step] for step in known if step]
        return steps if self.loaded is None else []

    def then(self, edits: Sequence[PipelineEdit]) -> Version:
        """This pipeline with a further step.

        Raises:
            EditError: The step is not possible, or changes nothing.
            PipeprofError: The spec with it is wrong.
        """
        steps = (*self.steps, tuple(edits))
        if self.loaded is None:
            return Version(steps)
        text = apply_to_spec(self.loaded, edits)
        if text == self.loaded.text and all(not isinstance(edit, SetEnvironment) for edit in edits):
            raise EditError("it changes nothing")
        return Version(steps, replace(changed_spec(self.loaded, edits), text=text))
