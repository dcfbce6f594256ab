"""Table of the edits that each kind of target supports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.edits.edits import (
    HandWritten,
    InsertStage,
    MoveFilter,
    MoveStage,
    PipelineEdit,
    ReplaceStages,
    RewriteMap,
    SetArgument,
    SetEnvironment,
    SetOption,
    SplitMap,
    VectoriseFilter,
    VectoriseMap,
)

TargetKind: TypeAlias = Literal["spec", "graph", "source"]

TARGETS: Final[dict[TargetKind, str]] = {
    "spec": "YAML",
    "graph": "Python function, as a graph",
    "source": "Python source",
}
"""The kinds of targets as a reader knows them; of the last one, `fix` writes a diff and never changes the file."""


@dataclass(frozen=True)
class Support:
    """Whether a tool makes an edit on a kind of target.

    Attributes:
        words: What it can and cannot do, in one sentence.
    """

    exists: bool
    words: str


_BY_HAND: Final = Support(False, "the finding shows the Python to write")
_BEFORE: Final = Support(True, "in the environment of the process, before it starts")

SUPPORT: Final[dict[type[PipelineEdit], dict[TargetKind, Support]]] = {
    InsertStage: {
        "spec": Support(True, "any stage of a spec, also in a nested pipeline"),
        "graph": Support(True, "any stage of a spec; inside a function only those that pass elements on, as a cache"),
        "source": Support(True, "in a diff of `fix`: any stage with plain arguments, after a call of the function"),
    },
    SetArgument: {
        "spec": Support(True, "any argument of a stage or source"),
        "graph": Support(True, "arguments that are inputs or attributes of the stage's op"),
        "source": Support(True, "in a diff of `fix`: an argument of a call of the function"),
    },
    MoveStage: {
        "spec": Support(True, "within its own pipeline"),
        "graph": Support(True, "within its own pipeline, as far as the shapes allow it"),
        "source": Support(True, "in a diff of `fix`: a call of the function, within its own pipeline"),
    },
    MoveFilter: {
        "spec": Support(True, "over maps with `ops:`, with the calls that its predicate reads"),
        "graph": Support(True, "if what its predicate reads of the maps has no Python, random numbers or state"),
        "source": _BY_HAND,
    },
    ReplaceStages: {
        "spec": Support(True, "stages in a row, the source among them, by any of a spec; none removes them"),
        "graph": Support(True, "stages in a row, the source among them, by any of a spec; none removes them"),
        "source": Support(True, "in a diff of `fix`: calls of the function are removed, none comes instead"),
    },
    VectoriseMap: {
        "spec": Support(True, "a function of `ops:`, which becomes a call of `tf.vectorized_map`"),
        "graph": Support(
            True,
            "a function of ops that pfor converts, that split texts or that parse records, without Python, random "
            "numbers and state",
        ),
        "source": Support(
            True, "in a diff of `fix`: with `tf.vectorized_map`, if the graph is that of the plan and nothing is padded"
        ),
    },
    VectoriseFilter: {
        "spec": Support(True, "a filter with `ops:` before a `batch` of elements whose fields the spec shows"),
        "graph": Support(True, "before a `batch` of elements of one shape, where a map could be vectorised"),
        "source": _BY_HAND,
    },
    SplitMap: {
        "spec": Support(False, "the finding names the ops to divide `ops:` after"),
        "graph": Support(
            True,
            "a map whose function draws random numbers after ops that do not depend on them, or one that ends with a "
            "cast to a wider type",
        ),
        "source": _BY_HAND,
    },
    RewriteMap: {
        "spec": Support(False, "the finding names the calls to write"),
        "graph": Support(
            True,
            "`py_function` and `numpy_function` whose body is calls of TensorFlow; JPEG "
            "pictures; pictures that are cast before a resize",
        ),
        "source": _BY_HAND,
    },
    SetOption: {
        "spec": Support(True, "under `options:`"),
        "graph": Support(True, "on the dataset"),
        "source": Support(True, "in a diff of `fix`: in the options of the function, or before its `return`"),
    },
    SetEnvironment: {
        "spec": _BEFORE,
        "graph": _BEFORE,
        "source": Support(False, "the finding shows the line for the shell"),
    },
    HandWritten: {
        "spec": Support(False, "the finding shows the stages; they call a function that is to be written"),
        "graph": _BY_HAND,
        "source": _BY_HAND,
    },
}


def supports(edit: PipelineEdit | type[PipelineEdit], target: TargetKind) -> bool:
    """Whether a tool makes an edit on a kind of target; whether it fits one pipeline shows when it is applied.

    Example:
        >>> supports(SetOption("deterministic", False), "spec"), supports(HandWritten, "spec")
        (True, False)
    """
    kind = edit if isinstance(edit, type) else type(edit)
    return SUPPORT[kind][target].exists
