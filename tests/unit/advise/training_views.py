"""Views of training scripts with a flaw each, from hand-made sections `training`, and near twins without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unit.advise.views import function, measured, pipeline, stage

from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Quantiles, Training
from pipeprof.profiles.document.subject import Target
from pipeprof.profiles.view.view import PipelineView

LOOP = """\
def step(batch): ...

for epoch in range(3):
    for batch in dataset:
        loss = step(batch)
        losses.append(loss)
unused = dataset.map(f)
used = dataset.map(f)
print(used)
"""
MAIN: dict[str, Any] = {"role": "loop", "main": True, "file": "train.py", "line": 4, "batches": 100, "epochs": 4}


def trained(
    use: dict[str, Any] | None = None, *others: DatasetUse, last: str = "prefetch", **facts: Any
) -> PipelineView:
    """A training of 10 s whose pipeline loads elements and shuffles them."""
    main = DatasetUse(**{"iterators": 4, "fetch_seconds": 1.0, "seconds": 8.0, **MAIN, **(use or {})})
    view = measured(
        pipeline(
            stage("source", "range"),
            stage("stages.0", "map", name="load", function=function("PyFunc"), ms=9.0, line=2),
            stage("stages.1", "shuffle", arguments={"buffer_size": 100}, ms=1.0),
            stage("stages.2", "batch", ms=0.1),
            stage("stages.3", last, ms=0.1),
        ),
        interval_ms=10.0,
    )
    assert view.profile is not None
    known = {"consumer": "loop", "fetch": "exact", "epochs": 4, "seconds": 10.0, **facts}
    target = Target(kind="script", text="train.py")
    profile = view.profile.model_copy(
        update={"training": Training(datasets=[main, *others], **known), "target": target}
    )
    return replace(view, profile=profile, texts={"train.py": LOOP})


def in_fit(use: dict[str, Any] | None = None, *others: DatasetUse, **facts: Any) -> PipelineView:
    return trained({"role": "training", **(use or {})}, *others, consumer="fit", **facts)


def validated(**facts: Any) -> DatasetUse:
    known = {"cached": False, "fetch_seconds": 3.0, "iterators": 8, **facts}
    return DatasetUse(role="validation", file="train.py", line=9, **known)


def place(name: str, line: int | None = 12) -> CodePlace:
    return CodePlace(name=name, file=None if line is None else "train.py", line=line)


def traced(**facts: Any) -> FunctionUse:
    return FunctionUse(**{"name": "step", "file": "train.py", "line": 1, "calls": 80, "seconds": 4.0, **facts})


def paced(view: PipelineView, step_ms: float) -> PipelineView:
    """The same training with steps of another length."""
    assert view.profile is not None
    assert view.profile.steps is not None
    steps = replace(
        view.profile.steps, interval_ms=Quantiles(mean=step_ms, p50=step_ms, p95=step_ms, p99=step_ms, max=step_ms)
    )
    return replace(view, profile=view.profile.model_copy(update={"steps": steps}))


def with_read(view: PipelineView) -> PipelineView:
    """The same training with a loop that reads its loss."""
    return replace(view, texts={"train.py": LOOP.replace("(loss)", "(float(loss))")})


def without_shuffle(view: PipelineView) -> PipelineView:
    """The same training with its shuffle before the map."""
    source, load, shuffle, *rest = view.stages
    before = replace(shuffle, inputs=("source",))
    return replace(view, stages=(source, before, replace(load, inputs=(shuffle.id,)), *rest))


def in_a_module(text: str, line: int) -> PipelineView:
    """A training with a dataset of a module that the script imports."""
    view = trained(unread=[CodePlace(name="MapDataset", file="data.py", line=line)])
    return replace(view, texts={**view.texts, "data.py": text})


SLOW_START = {"first_seconds": 0.5}
REBUILT = {"datasets": 4, "equal": True, "build_seconds": 0.5}
IN_MEMORY = {"cached": True, "cached_in_memory": True, "caches_again": True}
VALIDATED = {"validations": 4, "validation_seconds": 4.0}
SAVED = {"saves": 10, "save_seconds": 2.0, "saver": place("tensorflow.train.Checkpoint.write")}
SOURCE = {"source": place("Rows"), "source_kind": "PyDataset", "fetch": "mean"}

FLAWS: dict[str, Callable[[], PipelineView]] = {
    "dataset-rebuilt": lambda: trained(REBUILT),
    "functions-eager": lambda: trained(eager=[place("tf.config.run_functions_eagerly(True)")]),
    "iterator-each-step": lambda: trained({"iterators": 100, "first_seconds": 0.05, "epochs": 100}),
    "unused-dataset": lambda: trained(unread=[place("MapDataset", 7)]),
    "python-between-steps": lambda: trained(own_ms=6.0),
    "retraced-step": lambda: trained(functions=[traced(traces=40, trace_seconds=3.0)]),
    "short-executions": lambda: paced(in_fit({"batches": 4000}, apart_ms=0.1, last="batch"), 0.6),
    "shuffle-refilled": lambda: trained(SLOW_START),
    "source-in-python": lambda: in_fit(**SOURCE),
    "training-stalls": lambda: trained(**SAVED),
    "two-iterators": lambda: trained({"together": 2}),
    "validation-again": lambda: in_fit(None, validated(), **VALIDATED),
    "waits-for-results": lambda: in_fit(callbacks=[place("LossHistory")], call_ms=9.0, apart_ms=1.0),
}
OTHER_FLAWS: dict[str, tuple[str, Callable[[], PipelineView]]] = {
    "rebuilt-with-cache": ("dataset-rebuilt", lambda: trained({**REBUILT, "build_seconds": None, **IN_MEMORY})),
    "validation-rebuilt": (
        "validation-again",
        lambda: in_fit(None, validated(datasets=4, equal=True, cached=True), **VALIDATED),
    ),
    "made-anew": ("retraced-step", lambda: trained(functions=[traced(traces=40, objects=40, trace_seconds=3.0)])),
    "compiled-by-jax": (
        "retraced-step",
        lambda: trained(functions=[traced(traces=40, trace_seconds=3.0, compiler="JAX", calls=0)]),
    ),
    "callback-of-keras": (
        "waits-for-results",
        lambda: trained(None, consumer="fit", callbacks=[place("ModelCheckpoint", None)], call_ms=5.0, apart_ms=5.0),
    ),
    "eager-pipeline": ("functions-eager", lambda: trained(eager=[place("tf.data.experimental.enable_debug_mode()")])),
    "epoch-ends": ("training-stalls", lambda: in_fit(epoch_end_seconds=3.0)),
    "loss-read": ("waits-for-results", lambda: with_read(trained(functions=[traced(traces=1)]))),
}
TWINS: list[tuple[str, Callable[[], PipelineView]]] = [
    ("shuffle-refilled", lambda: trained({**SLOW_START, **IN_MEMORY, "datasets": 4})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "equal": False})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "equal": None})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "build_seconds": None, **IN_MEMORY, "caches_again": False})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "build_seconds": 0.01})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "build_seconds": None})),
    ("dataset-rebuilt", lambda: trained({**REBUILT, "build_seconds": 0.01, "cached": True, "cached_in_memory": False})),
    ("functions-eager", lambda: in_fit(eager=[])),
    ("iterator-each-step", lambda: trained({"iterators": 5, "first_seconds": 0.05})),
    ("iterator-each-step", lambda: trained({"iterators": 100, "first_seconds": 0.001})),
    ("iterator-each-step", lambda: in_fit({"iterators": 100, "first_seconds": 0.05, "batches": 200, "epochs": 100})),
    ("unused-dataset", lambda: trained(unread=[place("MapDataset", 8)])),
    ("unused-dataset", lambda: in_a_module("unused = made()\n", 1)),
    ("unused-dataset", lambda: in_a_module("class Data:\n    unused = made()\n", 2)),
    ("unused-dataset", lambda: in_a_module("def make():\n    global unused\n    unused = made()\n", 3)),
    ("python-between-steps", lambda: trained(own_ms=2.0)),
    ("python-between-steps", lambda: trained(own_ms=None)),
    ("retraced-step", lambda: trained(functions=[traced(traces=4, trace_seconds=3.0)])),
    ("retraced-step", lambda: trained(functions=[traced(traces=40, trace_seconds=0.1)])),
    ("short-executions", lambda: paced(in_fit({"batches": 900}, apart_ms=0.6), 9.0)),
    ("short-executions", lambda: paced(in_fit({"batches": 4000}, apart_ms=0.1, executions=50), 0.6)),
    # A tenth of a second of steps in ten of validation.
    ("short-executions", lambda: paced(in_fit({"batches": 160}, validated(), apart_ms=0.1), 0.6)),
    ("shuffle-refilled", lambda: without_shuffle(trained(SLOW_START))),
    ("shuffle-refilled", lambda: trained({"first_seconds": 0.02})),
    ("source-in-python", lambda: in_fit(fetch="mean")),
    # The first batch came late, as in every training; the measured steps do not wait.
    ("source-in-python", lambda: paced(in_fit(**SOURCE), 80.0)),
    ("training-stalls", lambda: trained(**{**SAVED, "save_seconds": 0.5})),
    ("training-stalls", lambda: in_fit(**SAVED, epoch_end_seconds=2.1, seconds=30.0)),
    ("two-iterators", lambda: trained({"together": 2, "cached": True})),
    ("validation-again", lambda: in_fit(None, validated(cached=True), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(cached=None), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(fetch_seconds=0.5), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(), validations=4, validation_seconds=1.0)),
    ("waits-for-results", lambda: in_fit(callbacks=[place("ModelCheckpoint", None)], call_ms=9.0, apart_ms=0.5)),
    ("waits-for-results", lambda: with_read(trained(consumer="graph", functions=[traced(traces=1)]))),
]
