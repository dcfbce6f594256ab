"""Report: how long the steps took, and what came out of the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeprof.cli.text.blocks import Block, Column, Heading, Prose, Table
from pipeprof.cli.text.units import rate, seconds, time_scale
from pipeprof.profiles.wording import milliseconds, percent, significant

if TYPE_CHECKING:
    from pipeprof.profiles.document.measured import Quantiles, Steps
    from pipeprof.profiles.document.profile import Profile

QUANTILES = ("mean", "p50", "p95", "p99", "max")


def dispatch_words(steps: Steps) -> str:
    """How far the host runs ahead of the device: ``dispatch sync``, ``1 step in flight``; empty without a step."""
    if steps.dispatch is None:
        return ""
    if steps.dispatch == "sync":
        return "dispatch sync"
    return f"{steps.dispatch} step{'' if steps.dispatch == 1 else 's'} in flight"


def render_steps(profile: Profile) -> Iterator[Block]:
    """Interval, wait, fetch and busy per step; rates and the device's idle share below."""
    steps = profile.steps
    if steps is None or not steps.count:
        return
    device = profile.device.text or profile.device.kind if profile.device else None
    step = "no step" if steps.dispatch is None else f"step {device}" if device else ""
    parts = [f"{steps.count:,} in {seconds(steps.seconds)}", step, dispatch_words(steps)]
    yield Heading("Steps", ", ".join(part for part in parts if part))
    rows = _rows(steps)
    # The means choose unit and decimals: a single long step must not round the usual ones away.
    scale = time_scale(quantiles.mean for _, quantiles, _ in rows)
    columns = [Column(scale.unit, [name for name, _, _ in rows], right=False)]
    for name in QUANTILES:
        cells = [scale.text(getattr(quantiles, name)) for _, quantiles, _ in rows]
        columns.append(Column(name, cells, keep=1 if name == "max" else None))
    columns.append(Column("", [note for _, _, note in rows], right=False, keep=0, style="dim"))
    yield Table(columns)
    yield Prose(" · ".join(_rates(profile, steps)))
    if steps.epochs:
        times = "once" if steps.epochs == 1 else f"{steps.epochs:,} times"
        share = f", which took {percent(steps.restart_share)} of the time" if steps.restart_share else ""
        yield Prose(f"The dataset ended and was started again {times} meanwhile{share}.")


def _rows(steps: Steps) -> list[tuple[str, Quantiles, str]]:
    if steps.dispatch is None:
        return [("per batch", steps.interval_ms, "one batch to the next"), ("fetch", steps.fetch_ms, "inside next()")]
    rows = [
        ("interval", steps.interval_ms, "one step to the next"),
        ("wait", steps.wait_ms, "device idle because of the pipeline"),
        ("fetch", steps.fetch_ms, "loop blocked in next()"),
    ]
    if steps.busy_ms:
        rows.append(("busy", steps.busy_ms, "device at work"))
    return rows


def _rates(profile: Profile, steps: Steps) -> list[str]:
    parts = []
    if steps.dispatch is not None:
        parts.append(f"waiting {percent(steps.wait_share)} of the time")
    if profile.device and profile.device.idle_share is not None and steps.dispatch is not None:
        parts.append(f"device idle {percent(profile.device.idle_share)}")
    flow = profile.throughput
    if flow and flow.batches_per_second is not None:
        parts.append(f"{significant(flow.batches_per_second)} batches/s")
    if flow and flow.elements_per_second is not None:
        parts.append(f"{significant(flow.elements_per_second)} elements/s")
    if flow and flow.bytes_per_second is not None:
        parts.append(rate(flow.bytes_per_second))
    if steps.floor_ms:
        taken = "" if steps.dispatch is None else ", taken off wait"
        parts.append(
            f"floor of next() {milliseconds(steps.floor_ms.p50)} (p99 {milliseconds(steps.floor_ms.p99)}){taken}"
        )
    return parts
