"""Report: the longest stretches in which the device had nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.report.pipeline import name_of, place_of
from pipeprof.cli.text.blocks import Block, Column, Heading, Table
from pipeprof.cli.text.units import seconds, time_scale

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

SHOWN = 5


def render_gaps(profile: Profile) -> Iterator[Block]:
    """The five longest gaps with cause and stage; how much time each cause took stands in the heading."""
    gaps = profile.device.gaps if profile.device else None
    if gaps is None or not gaps.longest:
        return
    causes = sorted(gaps.by_cause.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{cause} {seconds(value)}" for cause, value in causes if value > 0)
    yield Heading("Longest gaps", f"of {gaps.count:,} without device work" + (f": {listed}" if listed else ""))
    longest = sorted(gaps.longest, key=lambda gap: -gap.ms)[:SHOWN]
    names = {stage.id: f"{place_of(stage.id)} {name_of(stage)}" for stage in profile.stages or []}
    scale = time_scale(gap.ms for gap in longest)
    yield Table(
        [
            Column("at s", [f"{gap.start_s:,.2f}" for gap in longest]),
            Column(scale.unit, [scale.text(gap.ms) for gap in longest]),
            Column("cause", [gap.cause for gap in longest], right=False),
            Column(
                "stage", [names.get(gap.stage or "", gap.stage or "") for gap in longest], right=False, shrink_to=12
            ),
        ]
    )
