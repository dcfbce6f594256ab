"""A spec as it is written: its parts, and its sources and stages in order with their addresses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeprof.pipelines.data.recipes import Recipe, recipe_of
from pipeprof.pipelines.spec.budgets import Budgets, parse_budgets
from pipeprof.pipelines.spec.operations import Placed, placed
from pipeprof.pipelines.steps.step import Step, parse_step


@dataclass(frozen=True)
class Measure:
    """Measurement settings.

    Attributes:
        warmup_seconds: None: until the pipeline has settled.
        workers: of the tf.data service of ``service: local``.
    """

    seconds: float = 10.0
    steps: int | None = None
    warmup_seconds: float | None = None
    seed: int | None = None
    cold: bool = False
    workers: int | None = None


@dataclass(frozen=True)
class Ignore:
    """A finding to ignore, and the reason.

    Attributes:
        stage: name, index or address of a stage; None for all.
    """

    rule: str
    reason: str
    stage: str | int | None = None


@dataclass(frozen=True)
class Spec:
    """A whole spec, which was checked."""

    version: int
    source: Mapping[str, Any]
    stages: Sequence[Mapping[str, Any]] = ()
    name: str | None = None
    description: str | None = None
    data: Mapping[str, Recipe] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    step: Step = field(default_factory=Step)
    measure: Measure = field(default_factory=Measure)
    ignore: Sequence[Ignore] = ()
    budgets: Budgets = field(default_factory=dict)

    def placed(self) -> list[Placed]:
        """The source and all stages in order, those of pipelines inside after their owner."""
        return list(placed({"source": self.source, "stages": self.stages}))


def spec_of(data: Mapping[str, Any]) -> Spec:
    """Make a spec of data that was checked."""
    written = without_notes(data)
    return Spec(
        version=written["version"],
        source=written["source"],
        stages=written.get("stages", ()),
        name=written.get("name"),
        description=written.get("description"),
        data={str(name): recipe_of(entry) for name, entry in without_notes(written.get("data", {})).items()},
        options=written.get("options") or {},
        step=parse_step(written.get("step", "none")),
        measure=Measure(**without_notes(written.get("measure", {}))),
        ignore=[Ignore(**without_notes(one)) for one in written.get("ignore", ())],
        budgets=parse_budgets(written.get("budgets", {})),
    )


def without_notes(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping without its ``x-`` keys."""
    return {key: value for key, value in mapping.items() if not str(key).startswith("x-")}


def names_of_stages(stages: Iterable[Placed]) -> set[str]:
    """Names by which a budget may mean a stage: its own, its address, and its op where no other stage has it."""
    listed = list(stages)
    ops = [one.op for one in listed]
    names = {one.name for one in listed if one.name}
    return names | {one.address for one in listed} | {op for op in ops if ops.count(op) == 1}
