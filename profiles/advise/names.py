"""Names of rules that have another name now, or that went, for those whose specs ignore them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Final

from pipeprof.pipelines.suggest import suggest
from pipeprof.profiles.document.messages import Message

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.spec import Ignore

NEW_NAMES: Final[dict[str, str]] = {
    "cache-in-memory-over-budget": "cache-over-budget",
    "cache-smaller-elements": "cache",
    "changing-shapes": "retraced-step",
    "copy-before-step": "idle-device",
    "csv-row-by-row": "parse-in-batches",
    "dataset-rebuilt": "iterator-made-anew",
    "drop-after-expensive-map": "drop-earlier",
    "file-cache-fits-memory": "cache",
    "filter-after-expensive-map": "drop-earlier",
    "first-again": "iterator-made-anew",
    "from-generator-per-element": "generator-per-element",
    "from-tensor-slices-big-array": "big-array",
    "generator-waits": "generator-per-element",
    "heap-slack": "process-environment",
    "iterator-each-step": "iterator-made-anew",
    "library-threads": "process-environment",
    "map-before-batch-scalar": "whole-batches",
    "no-prefetch": "default-options",
    "no-prefetch-between": "prefetch-between",
    "parse-single-example": "parse-in-batches",
    "pool-slack": "process-environment",
    "readers-of-small-records": "fewer-calls",
    "serial-map-cpu": "parallel-calls",
    "serial-map-latency": "parallel-calls",
    "threadpool-caps-blocking-map": "parallel-calls",
    "threadpool-too-small": "parallel-calls",
    "two-iterators": "iterator-made-anew",
    "windows-one-by-one": "windows-at-once",
}
"""The finding or idea that is in the place of a rule."""
_DIVISION: Final = "what a strategy of TensorFlow divides among hosts is not worked out any more"
_UPPER_BOUND: Final = "an upper bound names the stage, its line and what to write"
GONE: Final[dict[str, str]] = {
    "autoshard-data-policy": _DIVISION,
    "concatenated-parts": _UPPER_BOUND,
    "files-of-few-records": "store more records in each file",
    "functions-eager": "the script says so itself",
    "group-after-expensive-map": _UPPER_BOUND,
    "groups-never-full": "a smaller window_size fills",
    "list-instead-of-array": "give from_tensor_slices an array",
    "padding-waste": "bucket_by_sequence_length pads less",
    "python-between-steps": "the steps of a report show the time of the loop",
    "read-once-per-branch": "cache() before the branches",
    "rebuilt-per-call": _UPPER_BOUND,
    "records-batched-inside": _UPPER_BOUND,
    "row-per-call": _UPPER_BOUND,
    "sent-by-processes": "make the elements in a map with parallel calls",
    "short-executions": "steps_per_execution of compile() runs several steps at once",
    "shuffle-refilled": "the verdict says what the starts of epochs take",
    "source-in-python": _UPPER_BOUND,
    "too-few-files": _DIVISION,
    "unequal-shards": _DIVISION,
    "wide-batches": "send narrow types, and widen them in the step",
    "windows-from-array": _UPPER_BOUND,
}
"""Why there is no such rule any more, or what to do instead."""


def instead_of(name: str) -> str | None:
    """Return the end of a sentence about a rule of an earlier version; None for any other name.

    Example:
        >>> instead_of("serial-map-cpu"), instead_of("nonsense")
        ('is parallel-calls now', None)
    """
    if name in NEW_NAMES:
        return f"is {NEW_NAMES[name]} now"
    return f"is gone: {GONE[name]}" if name in GONE else None


def warn_of_unknown(ignore: Iterable[Ignore], known: Collection[str]) -> list[Message]:
    """A warning for each name in `ignore:` that no finding or idea has: it hides nothing."""
    messages = []
    for name in dict.fromkeys(entry.rule for entry in ignore if entry.rule not in known):
        meant = suggest(name, known)
        hint = f" — did you mean {meant}?" if meant else "; `pipeprof rules` lists them"
        text = instead_of(name) or f"is no finding or idea{hint}"
        messages.append(Message(code="unknown-rule", message=f"`ignore` names {name!r}, which {text}"))
    return messages
