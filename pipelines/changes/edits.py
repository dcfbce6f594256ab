"""Edits of a pipeline as values, without a word of YAML or Python, and the variables that they may set.

Addresses are those of stages as written (``stages.1``, ``source``), as the profile's ``stages[].id``. A new stage or
source is one of a spec: its op and its arguments, named as TensorFlow names them.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Final


@dataclass(frozen=True)
class NewStage:
    """A stage or a source as a spec has it."""

    op: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineEdit:
    """A change of a pipeline."""

    kinds: ClassVar[dict[str, type[PipelineEdit]]] = {}

    def __init_subclass__(cls) -> None:
        """Register the kind, for documents."""
        super().__init_subclass__()
        PipelineEdit.kinds[cls.__name__] = cls


@dataclass(frozen=True)
class InsertStage(PipelineEdit):
    """Put a new stage after another one or after the source; at the end of the pipeline if `after` is ``None``."""

    op: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    after: str | None = None


@dataclass(frozen=True)
class SetArgument(PipelineEdit):
    """Give an argument of a stage or source another value."""

    stage: str
    op: str
    argument: str
    value: Any


@dataclass(frozen=True)
class MoveStage(PipelineEdit):
    """Take a stage out and put it before another one of the same pipeline."""

    stage: str
    op: str
    before: str


@dataclass(frozen=True)
class ReplaceStages(PipelineEdit):
    """Put new stages in place of stages that follow each other; none remove them.

    Attributes:
        stages: Addresses of what goes, in the order of the data; the source is the first of them where it is replaced.
        by: What comes instead; the first one is the source where that is replaced.
        summary: The change in one line, with ``{stage}`` for the first stage's name; empty where its data show it.
        flat: Whether the new stages get each element as the tuple of its components, and give as many: for a graph,
            which does not tell how elements are structured.
    """

    stages: tuple[str, ...]
    by: tuple[NewStage, ...] = ()
    summary: str = ""
    flat: bool = False


@dataclass(frozen=True)
class VectoriseMap(PipelineEdit):
    """Apply the function of a map to whole batches: the map goes after the batch that follows it."""

    stage: str
    batch: str


@dataclass(frozen=True)
class SetOption(PipelineEdit):
    """Set one of the options of tf.data, by its dotted path in ``tf.data.Options``."""

    path: str
    value: Any


@dataclass(frozen=True)
class SetEnvironment(PipelineEdit):
    """Set a variable in the environment of the process that runs the pipeline."""

    variable: str
    value: str


def to_document(edit: PipelineEdit) -> dict[str, Any]:
    """Return an edit for the profile: its kind and its fields."""
    return {"kind": type(edit).__name__, **asdict(edit)}


def from_document(data: Mapping[str, Any]) -> PipelineEdit | None:
    """Return the edit of a profile; ``None`` for a kind that this version does not know, or with other fields.

    Example:
        >>> from_document({"kind": "SetOption", "path": "autotune.enabled", "value": True})
        SetOption(path='autotune.enabled', value=True)
    """
    kind = PipelineEdit.kinds.get(str(data.get("kind")))
    if kind is None:
        return None
    known = {name.name for name in fields(kind)}
    given = {key: value for key, value in data.items() if key in known}
    try:
        return kind(**{key: _read(key, value) for key, value in given.items()})
    except TypeError:
        return None


def known_edits(documents: Iterable[Mapping[str, Any]]) -> list[PipelineEdit]:
    """Return the edits of a profile that this version knows."""
    return [edit for document in documents if (edit := from_document(document)) is not None]


def _read(name: str, value: Any) -> Any:
    if name == "value" or (name == "after" and value is None) or (name == "flat" and isinstance(value, bool)):
        return value
    if name == "arguments":
        return _arguments(value)
    if name == "stages":
        return tuple(_text(address) for address in _items(value))
    if name == "by":
        return tuple(_new_stage(stage) for stage in _items(value))
    return _text(value)


def _new_stage(value: Any) -> NewStage:
    found = {"op": value.op, "arguments": value.arguments} if isinstance(value, NewStage) else _arguments(value)
    return NewStage(_text(found.get("op")), _arguments(found.get("arguments", {})))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(value)
    return value


def _items(value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise TypeError(value)
    return value


def _arguments(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(value)
    return value


def stages_of(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    """Addresses of the stages that edits change or move."""
    found: set[str] = set()
    for edit in edits:
        if isinstance(edit, SetArgument | MoveStage):
            found.add(edit.stage)
        elif isinstance(edit, ReplaceStages):
            found.update(edit.stages)
        elif isinstance(edit, VectoriseMap):
            found.update((edit.stage, edit.batch))
    return frozenset(found)


def new_ops(edits: Iterable[PipelineEdit]) -> list[str]:
    """Ops of the stages that edits insert."""
    return [edit.op for edit in edits if isinstance(edit, InsertStage)]


def nested_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options by their dotted paths as groups inside groups, as a spec has them.

    Example:
        >>> nested_options({"threading.max_intra_op_parallelism": 1, "deterministic": False})
        {'threading': {'max_intra_op_parallelism': 1}, 'deterministic': False}
    """
    found: dict[str, Any] = {}
    for path, value in options.items():
        at = found
        *groups, last = path.split(".")
        for group in groups:
            at = at.setdefault(group, {})
        at[last] = value
    return found


def goes_into_source(edit: PipelineEdit) -> bool:
    """Whether an edit can be made in the text of the user's Python: no variable of the process, no new calls.

    Example:
        >>> goes_into_source(SetOption("deterministic", False)), goes_into_source(SetEnvironment("A", "1"))
        (True, False)
    """
    return not (isinstance(edit, SetEnvironment) or (isinstance(edit, ReplaceStages) and edit.by))


_PLACE = "place"


def are_alternatives(one: Sequence[PipelineEdit], other: Sequence[PipelineEdit]) -> bool:
    """Whether edits are another way to do what others do: once one of both helps, the other one is no further gain.

    They set the same argument or option, or put the same stage in another place; what an edit replaces is not there for
    another one.
    """
    if not _changed(one).isdisjoint(_changed(other)):
        return True
    return not (_replaced(one).isdisjoint(_touched(other)) and _replaced(other).isdisjoint(_touched(one)))


def _replaced(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    return frozenset(name for edit in edits if isinstance(edit, ReplaceStages) for name in edit.stages)


def _touched(edits: Sequence[PipelineEdit]) -> frozenset[str]:
    return stages_of(edits) | {edit.after for edit in edits if isinstance(edit, InsertStage) and edit.after is not None}


def _changed(edits: Sequence[PipelineEdit]) -> frozenset[tuple[str, str]]:
    return frozenset(part for edit in edits for part in _parts(edit))


def _parts(edit: PipelineEdit) -> Iterable[tuple[str, str]]:
    match edit:
        case SetArgument(stage=stage, argument=name):
            found = [(stage, name)]
        case SetOption(path=name) | SetEnvironment(variable=name):
            found = [("", name)]
        case InsertStage(after=stage, op=name):
            found = [(stage or "", name)]
        case MoveStage(stage=stage):
            found = [(stage, _PLACE)]
        case VectoriseMap(stage=stage, batch=batch):
            found = [(stage, _PLACE), (batch, _PLACE)]
        case ReplaceStages(stages=stages):
            found = [(stage, _PLACE) for stage in stages]
        case _:
            found = []
    return found


ALLOCATORS: Final = ("libjemalloc.so", "libtcmalloc.so", "libtcmalloc_minimal.so")
"""Libraries that take the place of glibc's allocator when they are loaded first, the ones that return memory soonest
first."""
LIBRARY_FOLDERS: Final = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib", "/usr/local/lib")
"""Where the system has its libraries: folders that only its administrator can write to."""
PRELOAD: Final = "LD_PRELOAD"
VALUES: Final[Mapping[str, str | None]] = {
    PRELOAD: None, "MALLOC_ARENA_MAX": "2", "MALLOC_TRIM_THRESHOLD_": "131072", "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "true",
}  # fmt: skip
"""Values that are proposed, by variable; of `PRELOAD` the path of an allocator."""


def allocator_folders() -> list[Path]:
    """Return the folders where an allocator is looked for: that of Python's own libraries, then those of the system."""
    root = Path("/")
    found = [path for pattern in LIBRARY_FOLDERS for path in sorted(root.glob(pattern.lstrip("/")))]
    return [Path(sys.prefix, "lib"), *found]


def is_allocator(path: str) -> bool:
    """Return whether a path is that of an allocator in one of the folders; whether the file exists does not matter.

    Example:
        >>> is_allocator("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2"), is_allocator("/tmp/libjemalloc.so.2")
        (True, False)
        >>> is_allocator("/usr/lib/libjemalloc.so.2:/tmp/x.so"), is_allocator("/usr/lib/../../tmp/libjemalloc.so")
        (False, False)
    """
    folder, _, file = path.rpartition("/")
    names = "|".join(re.escape(name) for name in ALLOCATORS)
    if re.fullmatch(rf"(?:{names})(?:\.[0-9]+)*", file) is None:
        return False
    places = "|".join(re.escape(place).replace(r"\*", "[A-Za-z0-9_]+") for place in LIBRARY_FOLDERS)
    return folder == str(Path(sys.prefix, "lib")) or re.fullmatch(places, folder) is not None


def assignment(variable: str, value: str) -> str:
    """Return what stands before a command in the shell. What is no name of a variable is quoted, and assigns nothing.

    Example:
        >>> assignment("MALLOC_ARENA_MAX", "2"), assignment("A", "1; id"), assignment("A; id #", "1")
        ('MALLOC_ARENA_MAX=2', "A='1; id'", "'A; id #=1'")
    """
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable) is None:
        return shlex.quote(f"{variable}={value}")
    return f"{variable}={shlex.quote(value)}"
