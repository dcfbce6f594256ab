"""The pipelines of this benchmark, the edits chosen for each, and the population that the others are drawn from.

The rule of the draw was written before anything was measured: for each pipeline the edits of `population`, without the
chosen ones, are put into an order by `random.Random("prediction 1 NAME")`. The first two that can be applied are
measured. Nothing of the model was fitted to them; what was fitted was fitted to the chosen ones.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pipeprof.pipelines.edits.edits import (
    InsertStage,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    SetArgument,
    SetOption,
    VectoriseMap,
)
from pipeprof.pipelines.ops.traits import traits

AUTOTUNE = "AUTOTUNE"
DRAWN = 2
POOL = "threading.private_threadpool_size"


@dataclass(frozen=True)
class Case:
    """One pipeline.

    Attributes:
        target: ``FILE:FUNCTION``, below this folder or another one of the benchmarks.
        step: As for ``pipeprof run --step``.
        chosen: What was chosen by hand, each a list of edits.
        data: Whether it needs the files of ``benchmarks/public/data.py``.
    """

    target: str
    step: str
    chosen: tuple[tuple[PipelineEdit, ...], ...]
    data: bool = False


def calls(stage: str, many: int | str | None) -> SetArgument:
    """Give a map so many parallel calls."""
    return SetArgument(stage, "map", "num_parallel_calls", many)


def prefetch(after: str | None, many: int | str = 2) -> InsertStage:
    """Put a prefetch after a stage."""
    return InsertStage("prefetch", {"buffer_size": many}, after)


HERE, PUBLIC = "prediction/pipelines.py", "public"
CASES = {
    "waiting_map": Case(
        f"{HERE}:waiting_map", "none", ((calls("stages.1", 2),), (calls("stages.1", 16), SetOption(POOL, 16)))
    ),
    "waiting_in_parallel": Case(
        f"{HERE}:waiting_in_parallel",
        "simulate:10ms",
        ((SetOption(POOL, 8),), (calls("stages.1", 16), SetOption(POOL, 16))),
    ),
    "slow_generator": Case(f"{HERE}:slow_generator", "simulate:6ms", ((prefetch("source"),), (calls("stages.0", 4),))),
    "computing_map": Case(f"{HERE}:computing_map", "simulate:4ms", ((calls("stages.1", 8),), (prefetch("stages.1"),))),
    "computing_in_parallel": Case(
        f"{HERE}:computing_in_parallel", "none", ((calls("stages.1", 1),), (SetOption(POOL, 1),))
    ),
    "tiny_map": Case(
        f"{HERE}:tiny_map",
        "none",
        ((VectoriseMap("stages.1", "stages.2"),), (MoveStage("stages.2", "batch", "stages.1"),)),
    ),
    "pictures": Case(
        f"{HERE}:pictures", "none", ((MoveStage("stages.3", "batch", "stages.2"),), (calls("stages.2", 16),))
    ),
    "in_turn": Case(f"{HERE}:in_turn", "simulate:8ms", ((prefetch(None),), (prefetch("stages.1"),))),
    "bursts": Case(
        f"{HERE}:bursts",
        "simulate:6ms",
        ((SetArgument("stages.2", "prefetch", "buffer_size", 8),), (calls("stages.1", 2),)),
    ),
    "two_sides": Case(
        f"{HERE}:two_sides",
        "none",
        (
            (prefetch("source.inputs.0.stages.1"), prefetch("source.inputs.1.stages.1")),
            (calls("source.inputs.0.stages.1", 2),),
        ),
    ),
    "short_epochs": Case(
        f"{HERE}:short_epochs", "none", ((InsertStage("cache", {}, "stages.0"),), (calls("stages.0", 8),))
    ),
    "python_loops": Case(f"{HERE}:python_loops", "none", ((calls("stages.1", 1),), (calls("stages.1", 8),))),
    "records": Case(f"{HERE}:records", "none", ((VectoriseMap("stages.1", "stages.2"),), (calls("stages.1", 8),))),
    "healthy": Case(f"{HERE}:healthy", "simulate:6ms", ((calls("stages.3", 8),), (prefetch("stages.2"),))),
    "csv_lines": Case(
        f"{PUBLIC}/tables.py:csv_lines",
        "none",
        ((VectoriseMap("stages.3", "stages.4"),), (prefetch("stages.1"),)),
        data=True,
    ),
    "serial_decode": Case(
        f"{PUBLIC}/images.py:serial_decode",
        "simulate:20ms",
        ((calls("stages.2", 8),), (prefetch("stages.2"),)),
        data=True,
    ),
}


def population(stages: Sequence[Any]) -> list[tuple[PipelineEdit, ...]]:
    """All edits of the kinds of the draw that a pipeline has a place for.

    Args:
        stages: Of its profile, with ``id``, ``op`` and ``origin``.
    """
    line = [stage for stage in stages if stage.origin == "written" and stage.depth == 0]
    following = {one.id: other for one, other in pairwise(line)}
    found: list[PipelineEdit] = []
    for stage in line:
        found += [prefetch(stage.id, 2), prefetch(stage.id, AUTOTUNE), InsertStage("cache", {}, stage.id)]
        if traits(stage.op).maps:
            found += [calls(stage.id, many) for many in (None, 1, 2, 8, AUTOTUNE)]
            after = following.get(stage.id)
            if after is not None and traits(after.op).batches:
                found.append(VectoriseMap(stage.id, after.id))
        if traits(stage.op).prefetches:
            found += [SetArgument(stage.id, stage.op, "buffer_size", many) for many in (1, 16)]
            found.append(ReplaceStages((stage.id,)))
        if traits(stage.op).shuffles:
            found += [SetArgument(stage.id, stage.op, "buffer_size", many) for many in (10, 10_000)]
        if traits(stage.op).batches:
            found.append(SetArgument(stage.id, stage.op, "num_parallel_calls", 2))
    found += [SetOption(POOL, 16), SetOption("deterministic", value=False), SetOption("autotune.enabled", value=False)]
    found.append(SetOption("experimental_optimization.map_and_batch_fusion", value=False))
    return [(edit,) for edit in found]


def drawn(name: str, stages: Sequence[Any]) -> list[tuple[PipelineEdit, ...]]:
    """The population of a pipeline without the chosen edits, in the order of the draw."""
    edits = [edit for edit in population(stages) if edit not in CASES[name].chosen]
    random.Random(f"prediction 1 {name}").shuffle(edits)  # noqa: S311 - the same order each time
    return edits
