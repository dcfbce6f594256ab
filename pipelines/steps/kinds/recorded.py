"""The step of an earlier run, replayed by a device that only waits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeprof.pipelines.steps.kind import BatchConsumer, Dispatch, StepContext, StepKind


class _Recorded(StepKind):
    """Its arguments are those of `ResampledDuration`, ``dispatch`` and whether it ``competes`` for the cores."""

    name = "recorded"
    example = "profile.json"
    pattern = r".+\.json"
    description = (
        "The step times of a profile, of a training script or of any run with a step, drawn at random, with as many "
        "steps in flight. It only waits: if the real step computes on the same cores, it proves nothing."
    )
    own_code = False
    shares_device = True
    fixed_time = True
    dispatch = "own"

    def annotation(self) -> Any:
        from pipeprof.pipelines.steps.profile_path import ProfilePath

        return ProfilePath

    def same_for_all_batches(self, text: str) -> str:
        del text
        return "a recorded one does not look at the batch"

    def check(self, value: Any) -> None:
        self.plan(value, Path())

    def plan(self, value: Any, base: Path) -> dict[str, Any]:
        from pipeprof.pipelines.steps.recorded_step import read_step

        return read_step(base / value)

    def own_dispatch(self, arguments: Mapping[str, Any]) -> Dispatch | None:
        return arguments.get("dispatch")

    def too_optimistic(self, arguments: Mapping[str, Any]) -> str | None:
        return "the step may compute on the same cores" if arguments.get("competes") else None

    def floor_ms(self, arguments: Mapping[str, Any]) -> float:
        return float(arguments["p50_ms"])

    def start(self, arguments: Mapping[str, Any], context: StepContext) -> BatchConsumer:
        from pipeprof.pipelines.steps.recorded_step import ResampledDuration
        from pipeprof.pipelines.steps.simulated_device import simulated_step

        times = {name: value for name, value in arguments.items() if name.endswith("_ms")}
        return simulated_step(ResampledDuration(**times, seed=context.seed), context)


KIND = _Recorded()
