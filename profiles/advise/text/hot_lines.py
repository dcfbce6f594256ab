"""What the rules about hot lines of Python have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from pipeprof.pipelines.edits.edits import HandWritten
from pipeprof.pipelines.static.hot_calls import HotKind
from pipeprof.pipelines.static.imports import in_file
from pipeprof.profiles.advise.rule import Threshold
from pipeprof.profiles.propose.proposal import Prediction, Proposal, Semantics
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import HotSpot, PipelineView, StageView
from pipeprof.profiles.wording import percent, ratio_text

PYTHON_SHARE = Threshold(
    "python-share", 0.3, "of the time inside Python functions", "a gain of a third is worth a line", 0.2
)
TIME_SHARE = Threshold("time-share", 0.3, "of the time inside the stages", "below it another stage comes first", 0.2)


_LEAST_LEFT = 0.02
"""Of the time, what stays whatever a line costs."""


class OfHotLine:
    """What the rules about hot lines have in common."""

    kinds: ClassVar[frozenset[HotKind]]
    keeps_work: ClassVar[bool] = True
    """Whether the work of the line is done in another way afterwards: then it is an upper bound that is known."""

    def diagnose(self, view: PipelineView) -> Iterable[Proposal]:
        """Judge by the sampled time of the line's function."""
        for spot in view.hot_spots:
            stage = view.by_id.get(spot.stage)
            share = stage.measured.share if stage is not None and stage.measured is not None else None
            if spot.call.kind not in self.kinds or stage is None or share is None or share < TIME_SHARE.value:
                continue
            if spot.share >= PYTHON_SHARE.value:
                yield self._proposal(spot, stage, share, view)

    def _proposal(self, spot: HotSpot, stage: StageView, share: float, view: PipelineView) -> Proposal:
        code = in_file(self.python_of(spot, stage, view), file_text(spot.location.file))
        fix = self.fix_of(spot, stage, code)
        return Proposal(
            stage=stage.id,
            title=self.title_of(spot),
            sentence=(
                f"line {spot.call.line}, `{spot.call.text}` in {spot.call.function}(), {self.what(spot)}: "
                f"{percent(spot.share)} of the time in Python; {stage.label} takes {percent(share)} of the pipeline's "
                "work."
            ),
            recommendation=f"{fix}.",
            evidence={"python_share": spot.share, "time_share": share, "line": spot.call.line},
            edits=(
                HandWritten(
                    (stage.id,), yaml=f"# {fix}", python=code, summary=fix.replace("{", "{{").replace("}", "}}")
                ),
            ),
            semantics=self.effect(spot, code),
            predicted=self._predicted(1 / max(1 - self.saved(spot, stage) * share, _LEAST_LEFT)),
        )

    def _predicted(self, most: float) -> Prediction:
        if self.keeps_work:
            return Prediction(f"unknown until it is rewritten ({ratio_text(most)} if the line cost nothing)")
        return Prediction(f"without it {ratio_text(most)}", speedup=most)

    def saved(self, spot: HotSpot, stage: StageView) -> float:
        """The share of the time in Python that is not needed."""
        del stage
        return spot.share

    def effect(self, spot: HotSpot, code: str) -> Semantics | None:
        """What lines that make the same elements in another way change; None where the user writes others."""
        if not code:
            return None
        return "order" if ".shuffle(" in code or "unordered" in spot.call.text else "same"

    def title_of(self, spot: HotSpot) -> str:
        """The change in a few words."""
        raise NotImplementedError

    def what(self, spot: HotSpot) -> str:
        """What the line does that costs."""
        raise NotImplementedError

    def fix_of(self, spot: HotSpot, stage: StageView, code: str) -> str:
        """What to write, in the names of the file; shorter where code says it."""
        raise NotImplementedError

    def python_of(self, spot: HotSpot, stage: StageView, view: PipelineView) -> str:
        """The lines to write; empty where the file does not show them."""
        raise NotImplementedError
