"""``memory-grows``: a soak with growth is a finding; without growth there is none."""

from __future__ import annotations

import pytest
from unit.advise.views import measured, pipeline, stage

from pipeprof.profiles.advise.advise import advise
from pipeprof.profiles.document.memory import Soak, SoakEnd, SoakSeries
from pipeprof.profiles.view.view import PipelineView

EMPTY = SoakSeries(seconds=[], epoch=[], steps=[], rss_bytes=[], in_use_bytes=[], buffered_bytes=[])
ROWS = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))


def soaked(**changes: object) -> PipelineView:
    view = measured(ROWS, baseline_bytes=400_000_000, peak_bytes=500_000_000)
    assert view.profile is not None
    soak = Soak(
        seconds=1200.0,
        state="growth",
        sentence="Memory grows by 977 KiB in each epoch: Python's heap grows.",
        bytes_per_second=500_000.0,
        low=450_000.0,
        high=550_000.0,
        bytes_per_epoch=1_000_000.0,
        owner="python",
        ends=SoakEnd(seconds=12_030.0, low=11_300.0, high=12_800.0, limit_bytes=20_000_000_000),
        series=EMPTY,
    )
    view.profile.memory.soak = soak.model_copy(update=changes)
    return view


def test_growth_is_a_finding() -> None:
    (found,) = advise(soaked())[0]
    assert found.rule == "memory-grows"
    assert found.evidence["owner"] == "python"
    assert found.recommendation.startswith("Keep numbers instead of arrays")


@pytest.mark.parametrize("state", ["plateau", "filling", "unclear", "short"])
def test_anything_else_is_none(state: str) -> None:
    assert advise(soaked(state=state, owner=None, ends=None))[0] == []
