"""Runs with a real step, a traced device, or a soak, and what is wrong with each."""

from __future__ import annotations

from unit.view.views import measured, pipeline, stage, tensor

from pipeprof.profiles.document.measured import Device
from pipeprof.profiles.document.memory import Soak, SoakEnd, SoakSeries
from pipeprof.profiles.document.shared import Gaps, Quantiles
from pipeprof.profiles.view.view import PipelineView

EMPTY = SoakSeries(seconds=[], epoch=[], steps=[], rss_bytes=[], in_use_bytes=[], buffered_bytes=[])
ROWS = pipeline(stage("source", "range"), stage("stages.0", "batch", arguments={"batch_size": 8}))


def texts() -> PipelineView:
    """Texts padded to the longest of their batch, and a real step."""
    view = measured(
        pipeline(
            stage("source", "TFRecordDataset"),
            stage("stages.0", "map", element=(tensor("int32", None),)),
            stage("stages.1", "padded_batch", arguments={"batch_size": 64}, element=(tensor("int32", 64, None),)),
            stage("stages.2", "prefetch"),
        )
    )
    view.profile.device = Device(kind="python", text=None)
    view.profile.steps.count = 400
    view.profile.steps.busy_ms = Quantiles(mean=14.0, p50=12.0, p95=13.0, p99=130.0)
    return view


def idling() -> PipelineView:
    """A step on a GPU whose trace says why it idles."""
    view = measured(pipeline(stage("source", "range"), stage("stages.0", "batch", ms=2.0)))
    gaps = Gaps(count=40, by_cause={"sync": 0.8, "copy": 0.4}, seconds=2.0)
    view.profile.device = Device(kind="jax", on="gpu", idle_share=0.6, gaps=gaps, gaps_unknown=None)
    return view


def soaked() -> PipelineView:
    view = measured(ROWS, baseline_bytes=400_000_000, peak_bytes=500_000_000)
    view.profile.memory.soak = Soak(
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
    return view
