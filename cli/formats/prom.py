"""OpenMetrics: the main numbers of a profile as a textfile for Prometheus.

The textfile collector of node_exporter reads Prometheus' older text format, which has no type `info`: what it has is
valid in both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pipeprof.cli.formats.registry import Format, Output

if TYPE_CHECKING:
    from pipeprof.profiles.document.profile import Profile

_Samples = list[tuple[Mapping[str, str], float | None]]


def metric_families(profile: Profile) -> Iterator[tuple[str, str, str, _Samples]]:
    """Name, unit, help and samples of each family; units are the base units of OpenMetrics."""
    steps, flow, memory = profile.steps, profile.throughput, profile.memory
    yield _one("complete", "", "Whether the run finished.", float(profile.complete))
    if profile.started is not None:
        yield _one("started", "seconds", "When the run began, since 1970.", _timestamp(profile.started))
    if flow is not None:
        yield _one("batches_per_second", "", "Batches that came out of the pipeline.", flow.batches_per_second)
        yield _one("elements_per_second", "", "Elements that came out of the pipeline.", flow.elements_per_second)
    if steps is not None:
        quantiles: _Samples = [
            ({"quantile": name}, getattr(steps.interval_ms, f"p{name[2:]}") / 1e3) for name in ("0.50", "0.95", "0.99")
        ]
        yield _one("step_interval", "seconds", "From one step to the next, mean.", steps.interval_ms.mean / 1e3)
        yield "step_interval_quantile", "seconds", "From one step to the next, quantiles.", quantiles
        if steps.dispatch is not None:
            # Without a step there is no device that could wait: the loop takes batches as fast as they come.
            yield _one("wait", "ratio", "Share of the time in which the device waits for data.", steps.wait_share)
    yield _one("memory_peak", "bytes", "Peak of resident memory.", memory.peak_bytes)
    yield _one("memory_tensorflow", "bytes", "Memory of TensorFlow itself.", memory.baseline_bytes)
    stages = [({"stage": stage.id, "name": stage.name or stage.op}, stage) for stage in profile.stages or ()]
    times: _Samples = [(labels, _seconds(stage.time_ms_per_batch)) for labels, stage in stages]
    held: _Samples = [(labels, stage.buffered_bytes) for labels, stage in stages]
    yield "stage_time_per_batch", "seconds", "Time of a stage per batch, all threads together.", times
    yield "stage_buffer", "bytes", "What a stage holds.", held
    gains: _Samples = [
        ({"rule": finding.rule, "finding": str(number)}, (finding.measured or {}).get("speedup"))
        for number, finding in enumerate(profile.findings or (), 1)
        if finding.status == "kept"
    ]
    yield "finding_speedup", "ratio", "Measured gain of a proven finding.", gains


def openmetrics(profile: Profile) -> str:
    """A profile as an exposition in the text format of OpenMetrics 1.0; what is unknown has no sample."""
    about = {"target": profile.target.text, "version": profile.tool.version}
    if profile.device is not None:
        about["step"] = profile.device.text or profile.device.kind
    lines = ["# TYPE pipeprof_run_info gauge", "# HELP pipeprof_run_info What was measured."]
    lines.append(f"pipeprof_run_info{_labels(about)} 1")
    for name, unit, text, samples in metric_families(profile):
        full = "_".join(filter(None, ["pipeprof", name, unit]))
        known = [(labels, value) for labels, value in samples if value is not None and math.isfinite(value)]
        if known:
            lines += [f"# TYPE {full} gauge", *([f"# UNIT {full} {unit}"] if unit else [])]
            lines.append(f"# HELP {full} {_escaped(text)}")
            target = {"target": profile.target.text}
            lines += [f"{full}{_labels({**target, **labels})} {value!r}" for labels, value in known]
    return "\n".join([*lines, "# EOF", ""])


def _one(name: str, unit: str, text: str, value: float | None) -> tuple[str, str, str, _Samples]:
    return name, unit, text, [({}, value)]


def _seconds(ms: float | None) -> float | None:
    return ms / 1e3 if ms is not None else None


def _timestamp(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _render(output: Output) -> str:
    return openmetrics(output.profile)


FORMAT = Format("prom", (".prom",), frozenset({"run", "show"}), _render, order=81, exact=True)
