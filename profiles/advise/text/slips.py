"""What the rules about slips in the text of a file have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.slips import Slip, SlipKind
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.propose.proposal import Proposal, Semantics
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
                generators = (stage for stage in view.stages if traits(stage.op).python_iterator)
                within = next((stage.id for stage in generators if slip.function and stage.name == slip.function), None)
                yield Proposal(
                    stage=within,
                    sentence=sentence,
                    recommendation=f"{recommendation}.",
                    location=place,
                    semantics=self.effect(slip),
                )

    def effect(self, slip: Slip) -> Semantics | None:  # noqa: ARG002 - of most slips it does not matter which
        """Return what the correction may change of the data; None for what the rule states."""
        return None

    def words(self, slip: Slip) -> tuple[str, str]:
        """What is wrong, and what to do."""
        raise NotImplementedError
