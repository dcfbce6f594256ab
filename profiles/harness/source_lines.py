"""Source lines of a function target's stages in the user's files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeprof.pipelines.meaning.traits import traits
from pipeprof.profiles.document.base import Location
from pipeprof.profiles.document.stages import Caller
from pipeprof.profiles.wording import as_typed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeprof.profiles.document.shared import CodePlace, DatasetUse, FunctionUse, Training
    from pipeprof.profiles.document.stages import Stage
    from pipeprof.profiles.view.parsed_graphs import ParsedGraphs


def locate(stages: Iterable[Stage], graphs: ParsedGraphs, source: CodePlace | None = None) -> None:
    """Set the place of every stage whose dataset was seen when it was made.

    Args:
        source: The user's object that Keras takes batches from, whose name stands for that of Keras' own generator.
    """
    places = graphs.places
    if not places:
        return
    written = {stage.address: stage for stage in graphs.written.stages()}
    first: dict[int, str] = {}
    for stage in stages:
        nodes = written[stage.id].nodes if stage.id in written else ()
        place = next((places[node] for node in reversed(nodes) if node in places), None)
        if place is not None:
            stage.location = Location(
                file=place["file"], line=place["line"], column=place["column"], call=place.get("call")
            )
            stage.name = stage.name or place.get("given")
            library = place.get("library")
            stage.library = Caller(**library) if library is not None else None
            if source is not None and stage.library is not None and traits(stage.op).python_iterator:
                stage.name = source.name
            if (made := place.get("made")) is not None and first.setdefault(made, stage.id) != stage.id:
                stage.same_as = first[made]
            stage.called_from = [Caller(**caller) for caller in place["callers"]] or None


def shorten(stages: Iterable[Stage]) -> None:
    """Name the files in which stages are written as the user types them, in place."""
    for stage in stages:
        for place in (stage.location, *(stage.called_from or ())):
            if place is not None:
                place.file = as_typed(place.file)


def shorten_training(training: Training) -> Training:
    """Name the files of a training script in the same way, in place."""
    places: list[DatasetUse | FunctionUse | CodePlace | None] = [*training.datasets, *training.functions]
    places += [*training.callbacks, *training.unread, training.source, training.saver]
    for place in places:
        if place is not None and place.file is not None:
            place.file = as_typed(place.file)
    return training
