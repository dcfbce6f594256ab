"""The steps: how long they took, what came out of the pipeline, and the longest gaps between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from pipeprof.cli.report.blocks import Block, Column, Heading, Table, Text
from pipeprof.cli.report.rows import name_rows
from pipeprof.cli.report.units import dotted, rate, seconds, time_scale
from pipeprof.pipelines.steps.step import sentence
from pipeprof.profiles.document.memory import Device
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import GpuUse, Quantiles, Steps
from pipeprof.profiles.wording import CAUSE_WORDS, milliseconds, percent, significant, size

GAPS_SHOWN = 5
_OTHER_FROM = 0.05
"""Share of the interval from which idle time that is not the pipeline's has a row."""
_KEEP = {"max": 1, "p99": 3, "p95": 4}
"""Columns that a narrow table drops, the smallest number first."""
_TAKES = {
    "loop": "A Python loop takes the batches",
    "fit": "Keras' fit takes the batches",
    "fit-executions": "Keras' fit takes the batches, {} steps in a call",
    "graph": "A tf.function takes the batches from an iterator",
}


class _Row(NamedTuple):
    name: str
    mean: float
    quantiles: Quantiles | None
    note: str = ""


def build_steps(profile: Profile, *, full: bool) -> Iterator[Block]:
    """Build all quantiles of the steps, the rates and the baseline of `next()`; in short what a device idles for."""
    steps, training = profile.steps, profile.training
    if steps is None or not steps.count:
        return
    if not full:
        yield from _traced(profile.device, full=False)
        if training is not None and training.wait is None and training.unknown is not None:
            yield Text(f"How long the training waits for data is not known: {training.unknown}.", indent=0)
        return
    facts = (f"{steps.count:,} in {seconds(steps.seconds)}", _step(profile, steps), describe_dispatch(profile, steps))
    yield Heading("Steps", " · ".join(filter(None, facts)))
    rows = _rows(steps, profile.device, script=training is not None)
    if training is None or training.fetch is not None:
        rows.append(_Row("fetch", steps.fetch_ms.mean, steps.fetch_ms, "loop blocked in next()"))
    yield _table(_script_rows(profile, rows))
    yield Text(_rates(profile, steps))
    yield from _step_of(profile.device)
    yield from _traced(profile.device, full=True)
    if steps.floor_ms is not None:
        taken = "" if steps.dispatch is None else ", subtracted from the wait"
        yield Text(f"Baseline latency of next(): {milliseconds(steps.floor_ms.mean)} on average{taken}.")
    if steps.epochs:
        # A script need not come to its end before.
        begun = "ended and restarted" if training is None else "restarted"
        times = "once" if steps.epochs == 1 else f"{steps.epochs:,} times"
        took = f", which took {percent(steps.restart_share)} of the time" if steps.restart_share else ""
        yield Text(f"The dataset {begun} {times}{took}.")
    yield from _training(profile)
    yield from _gaps(profile)


def _gaps(profile: Profile) -> Iterator[Block]:
    """The five longest gaps with cause and stage; the heading has the time of each cause."""
    gaps = profile.device.gaps if profile.device else None
    if gaps is None or not gaps.longest:
        return
    causes = sorted(gaps.by_cause.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{CAUSE_WORDS.get(cause, cause)} {seconds(value)}" for cause, value in causes if value > 0)
    where = f" in {seconds(gaps.seconds)} of its trace" if gaps.seconds is not None else ""
    yield Heading("Longest gaps", f"of {gaps.count:,} without device work{where}" + (f": {listed}" if listed else ""))
    longest = sorted(gaps.longest, key=lambda gap: -gap.ms)[:GAPS_SHOWN]
    names = name_rows(profile.stages)
    scale = time_scale(gap.ms for gap in longest)
    yield Table(
        [
            Column("at s", [f"{gap.start_s:,.2f}" for gap in longest]),
            Column(scale.unit, [scale.text(gap.ms) for gap in longest]),
            Column("cause", [CAUSE_WORDS.get(gap.cause, gap.cause) for gap in longest], right=False),
            Column("stage", [names.get(gap.stage or "", gap.stage or "") for gap in longest], right=False, wrap=True),
        ]
    )


def _traced(device: Device | None, *, full: bool) -> Iterator[Block]:
    """The device's idle time by its own trace."""
    if device is None:
        return
    gaps, indent = device.gaps, 2 if full else 0
    if gaps is not None and gaps.seconds and device.idle_share is not None and device.gaps_unknown is None:
        causes = sorted(gaps.by_cause.items(), key=lambda item: -item[1])
        parts = [
            f"{CAUSE_WORDS.get(cause, cause)} {percent(spent / gaps.seconds)}"
            for cause, spent in causes
            if spent >= _OTHER_FROM * sum(gaps.by_cause.values())
        ]
        named = f": {', '.join(parts)}" if parts else ""
        idles = f"the device idles {percent(device.idle_share)} of the time{named}"
        yield Text(f"By its trace of {seconds(gaps.seconds)} {idles}.", indent=indent)
    if device.gaps_unknown is not None:
        yield Text(f"The device's trace: {device.gaps_unknown}.", indent=indent)
    if full and (len(device.gpus) > 1 or any(gpu.utilisation is not None for gpu in device.gpus)):
        yield _gpu_rows(device.gpus)


def _gpu_rows(gpus: Sequence[GpuUse]) -> Table:
    """A row for each GPU: by its trace, and by NVML, whose use is no share of a step."""

    def each(name: str, write: Callable[[float], str]) -> list[str]:
        values = [getattr(gpu, name) for gpu in gpus]
        return [write(value) if value is not None else "n/a" for value in values]

    return Table(
        [
            Column("", [f"{gpu.name}{f', {gpu.model}' if gpu.model else ''}" for gpu in gpus], right=False, wrap=True),
            Column("idle", each("idle_share", percent)),
            Column("NVML: at work", each("utilisation", percent), keep=2),
            Column("memory", each("memory_bytes", size), keep=1),
        ]
    )


def describe_dispatch(profile: Profile, steps: Steps) -> str:
    """Describe how far the host runs ahead of the device: ``1 step in flight``; empty without a step."""
    if steps.dispatch is None:
        return ""
    if steps.dispatch == "sync":
        if profile.gains_are_bounds:
            return "steps in flight n/a"
        if not profile.takes_turns:
            return "steps in flight: the next batch is requested while the GPU computes"
        return "dispatch sync (the loop waits for every step)"
    return f"{steps.dispatch} step{'' if steps.dispatch == 1 else 's'} in flight"


def _step(profile: Profile, steps: Steps) -> str:
    if steps.dispatch is None:
        return "no training step"
    device = profile.device.text or profile.device.kind if profile.device else ""
    return sentence(device) if device else ""


def _step_of(device: Device | None) -> Iterator[Block]:
    if device is None:
        return
    where = {"cpu": "on the pipeline's cores", "gpu": "on the GPU", "tpu": "on the TPU"}.get(device.on or "", "")
    if device.computes is not None:
        yield Text(f"The step computes {device.computes}{', ' if where else ''}{where}.")


def _rows(steps: Steps, device: Device | None, *, script: bool = False) -> list[_Row]:
    interval = steps.interval_ms
    if steps.dispatch is None:
        return [_Row("batch to batch", interval.mean, interval)]
    rows = [_Row("step to step", interval.mean, interval)]
    if steps.wait_ms is None:
        return rows
    busy = steps.busy_ms.mean if steps.busy_ms else 0.0
    if steps.busy_ms:
        rows.append(_Row("  the step" if script else "  device busy", busy, steps.busy_ms))
    rows.append(_Row("  waits for data", steps.wait_ms.mean, steps.wait_ms))
    handed = (device.numpy_ms or 0.0) + (device.copy_ms or 0.0) if device is not None else 0.0
    if handed:
        rows.append(_Row("  hand-over", handed, None))
    other = interval.mean - busy - steps.wait_ms.mean - handed
    if steps.busy_ms and other >= _OTHER_FROM * interval.mean:
        rows.append(_Row("  idle, other causes", other, None))
    return rows


def _script_rows(profile: Profile, rows: list[_Row]) -> list[_Row]:
    """Leave out the quantiles of what is known as a mean only."""
    training = profile.training
    if training is None:
        return rows
    means = set() if training.interval != "mean" else {"step to step"}
    if training.wait == "mean" or training.fetch == "mean":
        means |= {"  waits for data", "  the step", "fetch"}
    return [row._replace(quantiles=None, note="mean only") if row.name in means else row for row in rows]


def _training(profile: Profile) -> Iterator[Block]:
    """The lines that only a script has: who takes the batches, its epochs, its files."""
    training = profile.training
    if training is None:
        return
    parts = [_TAKES.get(training.consumer or "", "").format(training.executions)]
    if training.wait is None and training.unknown is not None:
        parts.append(f"wait n/a: {training.unknown}")
    elif training.fetch == "mean":
        parts.append("fetch and wait are known as means only")
    elif training.window is not None:
        parts.append(f"the wait is that of {training.window.count:,} more steps, by the GPU's clock")
        if training.window.busy_share is not None:
            parts.append(f"the GPU was at work {percent(training.window.busy_share)} of their time")
    yield Text("; ".join(part for part in parts if part) + ".")
    facts = [f"{training.epochs:,} epochs started" if training.epochs > 1 else ""]
    if training.validations:
        facts.append(
            f"{training.validations:,} validation{'s' if training.validations > 1 else ''} of "
            f"{_each(training.validation_seconds, training.validations)}"
        )
    if training.between_seconds is not None and training.epochs > 1:
        between = training.between_seconds / (training.epochs - 1)
        facts.append(f"{seconds(between)} between {'two ' if training.epochs > 2 else ''}epochs, not counted above")
    if any(facts):
        yield Text(f"{', '.join(fact for fact in facts if fact)}.")
    if written := training.written:
        whole = size(sum(file.bytes for file in written))
        yield Text(f"It wrote {len(written):,} file{'' if len(written) == 1 else 's'}, {whole}.")


def _each(total: float | None, count: int) -> str:
    return f"{seconds((total or 0.0) / count)} each" if count > 1 else seconds(total or 0.0)


def _table(rows: list[_Row]) -> Table:
    # The means choose unit and decimals: a single long step must not round the usual ones away.
    scale = time_scale(row.mean for row in rows)
    columns = [Column(scale.unit, [row.name for row in rows], right=False)]
    for name in ("mean", "p50", "p95", "p99", "max"):
        means = [row.mean if name == "mean" else None for row in rows]
        values = [getattr(row.quantiles, name, mean) for row, mean in zip(rows, means, strict=True)]
        columns.append(Column(name, [*map(scale.text, values)], keep=_KEEP.get(name)))
    return Table([*columns, Column("", [row.note for row in rows], right=False, keep=0, style="dim")])


def _rates(profile: Profile, steps: Steps) -> str:
    device, flow, has_step = profile.device, profile.throughput, steps.dispatch is not None
    return dotted(
        (
            steps.wait_share if has_step and steps.wait_share is not None else None,
            lambda share: f"waits for data {percent(share)} of the time",
        ),
        (device.idle_share if device and has_step else None, lambda share: f"device idle {percent(share)}"),
        (flow.batches_per_second if flow else None, lambda speed: f"{significant(speed)} batches/s"),
        (flow.elements_per_second if flow else None, lambda speed: f"{significant(speed)} elements/s"),
        (flow.bytes_per_second if flow else None, rate),
    )
