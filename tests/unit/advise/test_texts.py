"""The texts of each finding and idea, as goldens; other tests assert fields."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from unit.advise.test_findings import FOUND
from unit.advise.test_ideas import FOR
from unit.advise.training_views import FLAWS

from pipeprof.profiles.advise.apply import CHECKS, findings_in, ideas_for
from pipeprof.profiles.advise.proposal import Proposal
from pipeprof.profiles.view.view import PipelineView

VIEWS: dict[str, Callable[[], PipelineView]] = {}
for name, make in [*((one[0], one[1]) for one in (*FOUND.values(), *FOR.values())), *FLAWS.values()]:
    VIEWS.setdefault(name, make)


def text_of(proposal: Proposal) -> str:
    """Title, change, sentence, advice and prediction, a line each."""
    predicted = proposal.predicted.formula if proposal.predicted is not None else ""
    advice = "" if proposal.recommendation == proposal.change else proposal.recommendation
    return "\n".join(filter(None, (proposal.title, proposal.change, proposal.sentence, advice, predicted)))


@pytest.mark.parametrize("name", CHECKS)
def test_golden(name: str, golden: Callable[[str, str], None]) -> None:
    check, view = CHECKS[name], VIEWS[name]()
    apply = findings_in if check.kind == "finding" else ideas_for
    proposals, _ = apply(view, checks=[check])
    golden(f"advice/{name}.txt", f"{text_of(proposals[0])}\n")
