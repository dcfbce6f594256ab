"""A simulated device, which is busy for a given time in each step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, StepContext, StepKind

_PER_MB = "per MB"


class _Simulate(StepKind):
    """Its arguments are those of `StepDuration` without the defaults, the times in milliseconds."""

    name = "simulate"
    example = "12ms"
    pattern = r"\s*[\d.]+\s*[a-zµ]+"
    description = "A simulated device, busy for a given time per step."
    own_code = False
    shares_device = True
    fixed_time = True
    dispatch = "any"

    def annotation(self) -> Any:
        from pipeprof.pipelines.ops.values.simulated_times import Times

        return Times

    def definitions(self) -> Mapping[str, Any]:
        from pipeprof.pipelines.ops.values.simulated_times import DEFINITIONS

        return DEFINITIONS

    def text(self, value: Any) -> str:
        words = [f"{value.base * 1e3:g}ms"]
        if value.per_mb:
            words.append(f"{value.per_mb * 1e3:g}ms {_PER_MB}")
        if value.stdev:
            words.append(f"stdev {value.stdev * 1e3:g}ms")
        words += [f"{seconds * 1e3:g}ms every {n}" for n, seconds in value.every.items()]
        return ", ".join(words)

    def sentence(self, text: str) -> str:
        number = text.partition(":")[2].strip()
        unit = number.lstrip("0123456789.")
        if not unit.isalpha():
            return f"simulated step of {number}"
        return f"simulated step of {number.removesuffix(unit)} {unit}"

    def same_for_all_batches(self, text: str) -> str | None:
        return None if _PER_MB in text else "this one costs the same for every batch"

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        del base
        arguments: dict[str, Any] = {"base_ms": value.base * 1e3}
        further = {"per_mb_ms": value.per_mb, "stdev_ms": value.stdev}
        arguments |= {name: seconds * 1e3 for name, seconds in further.items() if seconds}
        if value.every:
            arguments["every"] = [(n, seconds * 1e3) for n, seconds in value.every.items()]
        return arguments

    def floor_ms(self, arguments: Mapping[str, Any]) -> float:
        return float(arguments["base_ms"])

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps.simulated_device import StepDuration, simulated_step

        every = dict(arguments.get("every", ()))
        return simulated_step(StepDuration(**{**arguments, "every": every}, seed=context.seed), context)


KIND = _Simulate()
