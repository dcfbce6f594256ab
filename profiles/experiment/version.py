"""A pipeline with steps of edits: each step changes the pipeline that the one before it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from pipeprof.pipelines.changes.edits import PipelineEdit, SetEnvironment
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
    def call_steps(self) -> list[list[PipelineEdit]]:
        """The steps without what only the process has; steps that are empty then are left out."""
        steps = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in self.steps]
        return [step for step in steps if step]

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
