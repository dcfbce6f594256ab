"""What the rules about slips in the text of a file have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.view import PipelineView
from pipeprof.profiles.wording import as_typed


class OfText:
    """What the rules about slips have in common."""

    kind: ClassVar[SlipKind]

    def check(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the text of the file."""
        for slip in view.slips:
            if slip.kind == self.kind:
                sentence, recommendation = self.words(slip)
                place = Location(file=as_typed(str(slip.path)), line=slip.line, column=slip.column)
                costly = self.saves(slip, view)
                yield Proposal(
                    stage=costly,
                    sentence=sentence,
                    recommendation=f"{recommendation}.",
                    location=place,
                    semantics=self.effect(slip, view),
                    # The stage is not at work then: its upper bound is the finding's.
                    predicted=Prediction(f"without the work of {view.by_id[costly].label}")
                    if costly is not None
                    else None,
                )

    def effect(self, slip: Slip, view: PipelineView) -> Semantics | None:  # noqa: ARG002 - of most it does not matter
        """Return what the correction may change of the data; None for what the rule states."""
        return None

    def saves(self, slip: Slip, view: PipelineView) -> str | None:
        """Return the address of the stage whose work the correction saves: the generator with the slip in it."""
        generators = (stage for stage in view.stages if traits(stage.op).python_iterator)
        return next((stage.id for stage in generators if slip.function and stage.name == slip.function), None)

    def words(self, slip: Slip) -> tuple[str, str]:
        """What is wrong, and what to do."""
        raise NotImplementedError
