"""Why the run of a script came to no step."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pipeprof.pipelines.target.bindings import bindings_of
from pipeprof.profiles.wording import as_typed
from pipeprof.profiles.worker.script.training_facts import UNSEEN

if TYPE_CHECKING:
    from pipeprof.profiles.worker.script.observer import ScriptObserver

MOST_LISTED = 5
LEAST_CHILDREN = 3.0
"""Seconds that child processes have computed, from which the training may be theirs: TensorFlow's import takes more."""


def why_no_step(path: Path, file: Path, observer: ScriptObserver) -> str:
    """State what the script did instead, and what to do.

    Args:
        path: The script's, as the user typed it.
        file: The same, absolute.
    """
    if observer.in_graph:
        line = observer.in_graph[0].line
        return f"{path.name}:{line}: {UNSEEN}; iterate over the dataset in Python, or over iter(dataset)"
    made = [one for one in observer.consumers if one.iterators and one.role != "adapt"]
    if made:
        where = f"{path.name}:{made[0].place.line}" if made[0].place.line else str(path)
        took = (
            "a batch of a dataset, but no second one" if any(one.taken for one in made) else "no batch of its dataset"
        )
        return f"{where} takes {took}: a step is what lies between two batches"
    functions = dict.fromkeys(one.name for one in bindings_of(file).all if one.kind == "function" and not one.script)
    listed = ", ".join(f"{path}:{name}" for name in [*functions][:MOST_LISTED])
    more = f"; to measure a function that returns one, name it: {listed}" if functions else ""
    source = observer.habits.source
    taken = ""
    if source is not None:
        place = f" ({as_typed(source.file)}:{source.line})" if source.file is not None else ""
        taken = f"; its batches come from {source.name}{place}, a {observer.habits.source_kind}"
    children = os.times().children_user
    if children >= LEAST_CHILDREN:
        taken += f"; its child processes computed for {children:.0f} s: they are not measured, so run their script"
    return f"{path} came to its end and iterated over no tf.data dataset{taken}{more}"
