"""A pipeline with steps of edits: each step changes the pipeline that the one before it made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from pipeprof.pipelines.edits.edits import PipelineEdit, SetEnvironment
from pipeprof.pipelines.edits.support import TargetKind, supports
from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.edits.apply_data import apply_to_data
from pipeprof.pipelines.spec.edits.apply_files import apply_to_spec
from pipeprof.pipelines.spec.edits.places import EditError, same
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.show import in_one_file


class Reread(Protocol):
    """Reads a spec whose own file has another text."""

    def __call__(self, text: str, *, alone: bool = False) -> LoadedSpec:
        """Read it with the overlays and flags of the command line, or alone.

        Raises:
            PipeprofError: It is wrong.
        """
        ...


class CannotChangeError(UsageError):
    """A step is not possible on this pipeline, for a reason that its text or the kind of its edits shows."""


@dataclass(frozen=True)
class Version:
    """A pipeline with changes.

    Attributes:
        in_one_file: Whether the spec has everything in its own text: a change was about what another file, a flag or
            an alias says.
    """

    steps: tuple[tuple[PipelineEdit, ...], ...] = ()
    loaded: LoadedSpec | None = None
    reread: Reread | None = None
    in_one_file: bool = False

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
        try:
            loaded = self.reread(apply_to_spec(self.loaded, edits), alone=self.in_one_file)
            if not same(loaded.data, wanted):
                msg = "-f or --set changes other stages after it: write what they change into the spec first"
                raise CannotChangeError(msg)
        except (EditError, CannotChangeError):
            whole = self._whole()
            if whole is None:
                raise
            return whole.then(edits)
        return replace(self, steps=steps, loaded=loaded)

    def _whole(self) -> Version | None:
        """The same with everything in one file; None where it is, or where values come from the environment."""
        if self.in_one_file or self.loaded is None or self.reread is None or self.loaded.variables:
            return None
        loaded = self.reread(in_one_file(self.loaded), alone=True)
        return replace(self, loaded=loaded, in_one_file=True) if same(loaded.data, self.loaded.data) else None
