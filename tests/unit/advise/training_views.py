"""Views of training scripts with a flaw each, from hand-made sections `training`, and near twins without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from unit.view.views import function, measured, pipeline, stage

from pipeprof.profiles.document.profile import Target
from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Training
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
Make = Callable[[], PipelineView]
CALLBACK_OF_KERAS = "a callback of Keras"
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


def with_read(view: PipelineView) -> PipelineView:
    """The same training with a loop that reads its loss."""
    return replace(view, texts={"train.py": LOOP.replace("(loss)", "(float(loss))")})


def in_a_module(text: str, line: int) -> PipelineView:
    """A training with a dataset of a module that the script imports."""
    view = trained(unread=[CodePlace(name="MapDataset", file="data.py", line=line)])
    return replace(view, texts={**view.texts, "data.py": text})


REBUILT = {"datasets": 4, "equal": True, "build_seconds": 0.5}
IN_MEMORY = {"cached": True, "cached_in_memory": True, "caches_again": True}
VALIDATED = {"validations": 4, "validation_seconds": 4.0}
SAVED = {"saves": 10, "save_seconds": 2.0, "saver": place("tensorflow.train.Checkpoint.write")}

FLAWS: dict[str, tuple[str, Make]] = {
    "dataset made anew": ("iterator-made-anew", lambda: trained(REBUILT)),
    "with a cache": ("iterator-made-anew", lambda: trained({**REBUILT, "build_seconds": None, **IN_MEMORY})),
    "an iterator each step": ("iterator-made-anew",
        lambda: trained({"iterators": 100, "first_seconds": 0.05, "epochs": 100})),
    "two iterators": ("iterator-made-anew", lambda: trained({"together": 2})),
    "unused": ("unused-dataset", lambda: trained(unread=[place("MapDataset", 7)])),
    "traced often": ("retraced-step", lambda: trained(functions=[traced(traces=40, trace_seconds=3.0)])),
    "made anew": ("retraced-step", lambda: trained(functions=[traced(traces=40, objects=40, trace_seconds=3.0)])),
    "saves": ("training-stalls", lambda: trained(**SAVED)),
    "ends of epochs": ("training-stalls", lambda: in_fit(epoch_end_seconds=3.0)),
    "validated": ("validation-again", lambda: in_fit(None, validated(), **VALIDATED)),
    "validation made anew": ("validation-again",
        lambda: in_fit(None, validated(datasets=4, equal=True, cached=True), **VALIDATED)),
    "a callback": ("waits-for-results", lambda: in_fit(callbacks=[place("LossHistory")], call_ms=9.0, apart_ms=1.0)),
    CALLBACK_OF_KERAS: ("waits-for-results",
        lambda: trained(None, consumer="fit", callbacks=[place("ModelCheckpoint", None)], call_ms=5.0, apart_ms=5.0)),
    "a loss that is read": ("waits-for-results", lambda: with_read(trained(functions=[traced(traces=1)]))),
}  # fmt: skip
TWINS: list[tuple[str, Make]] = [
    ("iterator-made-anew", lambda: trained({**REBUILT, "equal": False})),
    ("iterator-made-anew", lambda: trained({**REBUILT, "equal": None})),
    ("iterator-made-anew", lambda: trained({**REBUILT, "build_seconds": None, **IN_MEMORY, "caches_again": False})),
    ("iterator-made-anew", lambda: trained({**REBUILT, "build_seconds": 0.01})),
    ("iterator-made-anew", lambda: trained({**REBUILT, "build_seconds": None})),
    ("iterator-made-anew",
        lambda: trained({**REBUILT, "build_seconds": 0.01, "cached": True, "cached_in_memory": False})),
    ("iterator-made-anew", lambda: trained({"iterators": 5, "first_seconds": 0.05})),
    ("iterator-made-anew", lambda: trained({"iterators": 100, "first_seconds": 0.001})),
    ("iterator-made-anew", lambda: in_fit({"iterators": 100, "first_seconds": 0.05, "batches": 200, "epochs": 100})),
    ("unused-dataset", lambda: trained(unread=[place("MapDataset", 8)])),
    ("unused-dataset", lambda: in_a_module("unused = made()\n", 1)),
    ("retraced-step", lambda: trained(functions=[traced(traces=4, trace_seconds=3.0)])),
    ("retraced-step", lambda: trained(functions=[traced(traces=40, trace_seconds=0.1)])),
    ("training-stalls", lambda: trained(**{**SAVED, "save_seconds": 0.5})),
    ("training-stalls", lambda: in_fit(**SAVED, epoch_end_seconds=2.1, seconds=30.0)),
    ("iterator-made-anew", lambda: trained({"together": 2, "cached": True})),
    ("validation-again", lambda: in_fit(None, validated(cached=True), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(cached=None), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(fetch_seconds=0.5), **VALIDATED)),
    ("validation-again", lambda: in_fit(None, validated(), validations=4, validation_seconds=1.0)),
    ("waits-for-results", lambda: in_fit(callbacks=[place("ModelCheckpoint", None)], call_ms=9.0, apart_ms=0.5)),
    ("waits-for-results", lambda: with_read(trained(consumer="graph", functions=[traced(traces=1)]))),
]  # fmt: skip
