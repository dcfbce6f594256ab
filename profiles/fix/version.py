"""A pipeline with steps of edits: each step changes the pipeline that the one before it made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pipeprof.pipelines.edits.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.edits.support import TargetKind, supports
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.apply_files import apply_to_spec
from pipeprof.pipelines.spec.edits.places import same
from pipeprof.pipelines.spec.loader import LoadedSpec

Reread: TypeAlias = "Callable[[str], LoadedSpec]"
"""Reads a spec whose file has another text, with the flags of the command line."""


class CannotChangeError(UsageError):
    """A step is not possible on this pipeline, for a reason that its text or the kind of its edits shows."""


@dataclass(frozen=True)
class Version:
    """A pipeline with changes."""

    steps: tuple[tuple[PipelineEdit, ...], ...] = ()
    loaded: LoadedSpec | None = None
    reread: Reread | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that the edits set in the environment of the process."""
        edits = [edit for step in self.steps for edit in step]
        return {edit.variable: edit.value for edit in edits if isinstance(edit, SetEnvironment)}

    @property
    def graph_steps(self) -> list[list[PipelineEdit]]:
        """The steps without what only the process has; steps that are empty then are left out."""
        steps = [[edit for edit in step if not isinstance(edit, SetEnvironment)] for step in self.steps]
        return [step for step in steps if step]

    def then(self, edits: Sequence[PipelineEdit]) -> Version:
        """This pipeline with a further step.

        Raises:
            CannotChangeError: The step is not possible, or changes nothing.
            PipeprofError: The spec with it is wrong.
        """
        steps = (*self.steps, tuple(edits))
        kind: TargetKind = "graph" if self.loaded is None else "spec"
        lacking = next((edit for edit in edits if not supports(edit, kind)), None)
        if lacking is not None:
            raise CannotChangeError(f"{type(lacking).__name__} has to be made by hand")
        if self.loaded is None or self.reread is None:
            return Version(steps)
        wanted = apply_to_data(self.loaded.data, edits)
        if same(wanted, self.loaded.data) and all(not isinstance(edit, SetEnvironment) for edit in edits):
            raise CannotChangeError("it changes nothing")
        loaded = self.reread(apply_to_spec(self.loaded, edits))
        if not same(loaded.data, wanted):
            raise CannotChangeError("--set changes other stages after it: write what it changes into the spec first")
        return replace(self, steps=steps, loaded=loaded)
