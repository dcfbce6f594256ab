"""Reading of a spec with its base specs (``extends``) and overlays."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pipeprof.pipelines.errors import UsageError, escape
from pipeprof.pipelines.spec.errors.origins import Origins, SpecFile
from pipeprof.pipelines.spec.errors.validation import describe
from pipeprof.pipelines.spec.yaml.nodes import MAX_VALUES
from pipeprof.pipelines.spec.yaml.reader import MAX_BYTES, Address, YamlDocument, decode, read
from pipeprof.pipelines.spec.yaml.references import References
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem
from pipeprof.pipelines.spec.yaml.tree import (
    Entries,
    Item,
    child,
    find_key,
    flatten,
    grow,
    is_operation,
    operation_key,
    operation_name,
    stage_name,
)
from pipeprof.pipelines.steps.registry import written_kinds
from pipeprof.pipelines.suggest import broken_link, suggest

if TYPE_CHECKING:
    from pipeprof.pipelines.spec.paths import PathProblem

# Where only one of several forms can be meant, the upper one replaces the lower one.
_WHOLE_FORMS: Final = tuple(
    frozenset(names)
    for names in (
        ("npy", "npz", "array", "files", "lines", "ragged", "sparse", "csv"),
        ("FixedLenFeature", "VarLenFeature", "FixedLenSequenceFeature", "RaggedFeature", "SparseFeature"),
    )
)


def merge(lower: Item, upper: Item) -> list[SpecProblem]:
    """Lay a spec over another.

    A key of ``upper`` with nothing as its value removes that key. A stage of ``upper`` merges into the stage of the
    same name, else it goes to the end. ``stages`` may also be a mapping from a stage's name (or its operation, where
    that occurs once) to the arguments to change, or to nothing, which removes the stage.
    """
    problems: list[SpecProblem] = []
    _merge(lower, upper, (), problems)
    return problems


def _merge(lower: Item, upper: Item, address: Address, problems: list[SpecProblem]) -> None:
    below, above = lower.value, upper.value
    if address and address[-1] == "stages" and isinstance(below, list) and all(map(_is_stage, below)):
        if isinstance(above, list) and all(map(_is_stage, above)):
            _merge_stages(below, above, address, problems)
            return
        if isinstance(above, dict):
            _change_stages(below, above, address, problems)
            return
    if isinstance(below, dict) and isinstance(above, dict) and not _is_another(below, above, address):
        _drop_other_forms(below, above, address)
        _merge_entries(below, above, address, problems)
        return
    lower.value, lower.place = above, upper.place


def _merge_entries(below: Entries, above: Entries, address: Address, problems: list[SpecProblem]) -> None:
    for name, item in above.items():
        key = find_key(below, name)
        if key is None:
            below[name] = item
        elif item.value is not None:
            _merge(below[key], item, (*address, key), problems)
        elif not is_operation(address):
            del below[key]


def _is_another(below: Entries, above: Entries, address: Address) -> bool:
    """Whether two mappings stand for different things, so that their keys do not belong together."""
    if is_operation(address):
        names = operation_key(below), operation_key(above)
        return None not in names and str(names[0]) != str(names[1])
    for forms in _WHOLE_FORMS:
        kinds = [{str(key) for key in value} for value in (below, above)]
        if all(kind & forms and kind <= forms | {"mmap_mode", "key", "dtype"} for kind in kinds):
            return kinds[0] & forms != kinds[1] & forms
    return False


def _drop_other_forms(below: Entries, above: Entries, address: Address) -> None:
    if address == ("step",):
        forms: tuple[frozenset[str], ...] = tuple(frozenset({kind.name}) for kind in written_kinds())
    elif len(address) > 2 and address[-3] == "stages":
        forms = (frozenset({"ops"}), frozenset({"python"}), frozenset({"source", "stages"}))
    else:
        return
    given = {key for key, item in above.items() if item.value is not None}
    chosen = [form for form in forms if form & given]
    if len(chosen) == 1:
        for name in frozenset().union(*forms) - chosen[0]:
            below.pop(name, None)


def _is_stage(item: Item) -> bool:
    return operation_key(item.value) is not None


def _merge_stages(below: list[Item], above: list[Item], address: Address, problems: list[SpecProblem]) -> None:
    by_name = {name: index for index, item in reversed([*enumerate(below)]) if (name := stage_name(item)) is not None}
    seen: set[str] = set()
    for item in above:
        name = stage_name(item)
        if name is not None and name in seen:
            message = f"duplicate stage name '{name}': change each stage only once"
            problems.append(SpecProblem(item.place.value, "duplicate-name", message))
        elif name is not None and name in by_name:
            _merge(below[by_name[name]], item, (*address, by_name[name]), problems)
        else:
            below.append(item)
        seen.update([name] if name is not None else [])


def _change_stages(below: list[Item], above: Entries, address: Address, problems: list[SpecProblem]) -> None:
    removed: list[Item] = []
    stages = list(below)
    for reference, change in above.items():
        if str(reference).startswith("x-"):
            continue
        index = _find_stage(stages, str(reference))
        if index is None:
            problems.append(_unknown_stage(stages, str(reference), change))
        elif change.value is None:
            removed.append(stages[index])
        else:
            operation = operation_key(stages[index].value)
            if operation is None:
                continue
            inner = child(change, operation) if operation_key(change.value) == operation else change
            arguments = child(stages[index], operation)
            if arguments.value is None:
                arguments.value = {}
            _merge(arguments, inner, (*address, index, operation), problems)
    below[:] = [item for item in below if not any(item is other for other in removed)]


def _find_stage(stages: list[Item], reference: str) -> int | None:
    for label in (stage_name, operation_name):
        found = [index for index, item in enumerate(stages) if label(item) == reference]
        if len(found) == 1:
            return found[0]
    return None


def _unknown_stage(stages: list[Item], reference: str, change: Item) -> SpecProblem:
    known = [name for item in stages for name in (stage_name(item), operation_name(item)) if name is not None]
    span = change.place.key or change.place.value
    if reference in known:
        return SpecProblem(span, "ambiguous", f"'{reference}' matches several stages: use the name of one")
    listed = ", ".join(list(dict.fromkeys(known))[:8])
    message = f"no stage '{reference}': expected the name of a stage, or an operation that occurs once: {listed}"
    return SpecProblem(span, "unknown-stage", message, suggest(reference, known))


OVERLAY_FLAG: Final = "-f "
MAX_FILES: Final = 32
"""Most files that a spec may be made of."""

STDIN: Final = Path("-")
"""Name of a spec that is read from standard input; relative paths in it refer to the current folder."""

_KEY: Final = "extends"
_IRREGULAR: Final = "not a regular file"


class _FileError(Exception):
    """A file cannot be read; why, and what was probably meant."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.suggestion = suggestion


@dataclass
class FileReading:
    """Merged contents of the files.

    Attributes:
        document: the spec's own, its data and places with everything else merged into it.
        problems: everything wrong with the texts and with how they fit together.
        references: what is known about ``${VAR}`` in all of them.
        complete: whether everything was read, so that what the data lacks is really missing.
        unknown_paths: which were not looked up to their end.
    """

    origins: Origins
    document: YamlDocument
    references: References
    problems: list[SpecProblem] = field(default_factory=list)
    complete: bool = True
    may_read: Callable[[Path], None] | None = None
    unknown_paths: list[PathProblem] = field(default_factory=list)


def read_files(
    path: Path,
    overlays: Sequence[str],
    flags: list[str],
    environment: Mapping[str, str] | None,
    *,
    content: bytes | None = None,
    may_read: Callable[[Path], None] | None = None,
) -> FileReading:
    """Read and merge a spec, what it extends, and its overlays.

    Args:
        overlays: files that are laid over it, later ones over earlier ones.
        environment: fills in ``${VAR}``; ``None`` leaves them as they are.
        may_read: raises for a spec that is extended and must not be read.

    Raises:
        UsageError: the spec itself is not there, or cannot be read.
    """
    try:
        content = _read_file(path) if content is None else content
    except _FileError as error:
        meant = f" — did you mean {escape(str(path.with_name(error.suggestion)))}?" if error.suggestion else ""
        meant += "; `pipeprof check -` reads a spec from standard input" if str(error).endswith(_IRREGULAR) else ""
        raise UsageError(str(error) + meant) from None
    reader = _Reader(flags, environment, may_read)
    layers = reader.chain(path, content, "spec", ())
    for number, overlay in enumerate(overlays):
        layers += reader.overlay(Path(overlay), number)
    return reader.merged(layers)


@dataclass
class _Layer:
    number: int
    document: YamlDocument


class _Reader:
    def __init__(
        self, flags: list[str], environment: Mapping[str, str] | None, may_read: Callable[[Path], None] | None = None
    ) -> None:
        self._origins = Origins(flags)
        self._may_read = may_read
        self._environment = environment
        self._references = References(environment)
        self._problems: list[SpecProblem] = []
        self._complete = True
        self._bytes = self._values = 0
        self._known: set[Path] = set()
        self._documents: list[YamlDocument] = []

    def overlay(self, path: Path, number: int) -> list[_Layer]:
        name = self._origins.flags[number]
        span = Span(1, len(OVERLAY_FLAG) + 1, max(1, len(name) - len(OVERLAY_FLAG)), number)
        try:
            content = _read_file(path)
        except _FileError as error:
            self._refuse(span, "missing-file", str(error), error.suggestion and str(path.with_name(error.suggestion)))
            return []
        if not self._has_room(len(content), span):
            return []
        return self.chain(path, content, "overlay", ())

    def chain(
        self, path: Path, content: bytes, role: Literal["spec", "extends", "overlay"], above: tuple[Path, ...]
    ) -> list[_Layer]:
        """The layers of a file, what it extends below it."""
        number = len(self._origins.files)
        document = read(content, environment=self._environment, file=number)
        text, _ = decode(content)
        folder = path.absolute().parent
        sha256 = hashlib.sha256(content).hexdigest()
        self._origins.files.append(SpecFile(str(path), folder, role, sha256, text, document.lines))
        self._documents.append(document)
        self._bytes += len(content)
        self._values += len(document.places)
        self._problems += document.problems
        self._references.filled.update(document.references.filled)
        self._references.left.update(document.references.left)
        self._references.used.update(document.references.used)
        identity = _identity(path)
        self._known.add(identity)
        if not self._is_usable(document, number):
            return []
        below: list[_Layer] = []
        if _KEY in document.data:
            below = self._extended(path, document, (*above, identity))
        return [*below, _Layer(number, document)]

    def _is_usable(self, document: YamlDocument, number: int) -> bool:
        if not document.complete:
            self._complete = False
            return False
        span = document.places[()].value
        if not isinstance(document.data, dict):
            kinds = "the keys of a spec" if number else "version, source and stages"
            self._refuse(span, "wrong-type", f"got {describe(document.data)}, expected a mapping with {kinds}")
            return False
        return not number or self._has_room(0, span)

    def _extended(self, path: Path, document: YamlDocument, above: tuple[Path, ...]) -> list[_Layer]:
        """The layers of the spec that a document extends; the key is taken out of the document."""
        name, place = document.data.pop(_KEY), document.places.pop((_KEY,))
        for address in [address for address in document.places if address[:1] == (_KEY,)]:
            del document.places[address]
        span = place.value
        if name is None:
            return []
        if not isinstance(name, str) or not name:
            self._refuse(span, "wrong-type", f"got {describe(name)}, expected the path of a spec such as base.yaml")
            return []
        base = _joined(path, name)
        if _identity(base) in above:
            names = " → ".join(
                other_path.name for other_path in [*above[above.index(_identity(base)) :], _identity(base)]
            )
            self._refuse(span, "extends-cycle", f"`extends` forms a cycle: {names}")
            return []
        # Laid under what is there already, a second time it would change nothing but double its nameless stages.
        return [] if _identity(base) in self._known else self._base(base, name, span, above)

    def _base(self, path: Path, name: str, span: Span, above: tuple[Path, ...]) -> list[_Layer]:
        if self._may_read is not None:
            self._may_read(path)
        try:
            content = _read_file(path, regular=True)
        except _FileError as error:
            folder, slash, _ = name.rpartition("/")
            meant = f"{folder}{slash}{error.suggestion}" if error.suggestion else None
            self._refuse(span, "missing-file", str(error), meant)
            return []
        return self.chain(path, content, "extends", above) if self._has_room(len(content), span) else []

    def merged(self, layers: list[_Layer]) -> FileReading:
        """Everything in one document, lower layers first."""
        main = self._documents[0]
        self._origins.order = [layer.number for layer in reversed(layers)]
        self._origins.order += [n for n in range(len(self._origins.files)) if n not in self._origins.order]
        document = YamlDocument(None, {}, [], main.lines, main.references, complete=self._complete)
        if self._complete and len(layers) == 1:
            document.data, document.places = main.data, main.places
        elif self._complete:
            root = Item({}, main.places[()])
            for layer in layers:
                self._problems += merge(root, grow(layer.document))
            root.place = main.places[()]
            document.data, document.places = flatten(root)
        return FileReading(self._origins, document, self._references, self._problems, self._complete, self._may_read)

    def _has_room(self, size: int, span: Span) -> bool:
        """Whether another file may be read: the limits of a spec hold for the sum of its files."""
        limits = (
            (len(self._origins.files) >= MAX_FILES + (not size), f"{MAX_FILES} files"),
            (self._bytes + size > MAX_BYTES, f"{MAX_BYTES >> 20} MiB"),
            (self._values > MAX_VALUES, f"{MAX_VALUES} values"),
        )
        for exceeded, limit in limits:
            if exceeded:
                self._refuse(span, "too-large", f"more than {limit} in all files together")
                return False
        return True

    def _refuse(self, span: Span, code: str, message: str, suggestion: str | None = None) -> None:
        self._problems.append(SpecProblem(span, code, message, suggestion))
        self._complete = False


def _joined(path: Path, name: str) -> Path:
    """The file that ``name`` means when it is written in ``path``, with a short name where there is one."""
    try:
        joined = path.parent / Path(name).expanduser()
    except RuntimeError:
        return path.parent / name
    short = Path(os.path.normpath(joined))
    return short if _identity(short) == _identity(joined) else joined


def _identity(path: Path) -> Path:
    """The file itself, whatever links lead to it."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def _read_file(path: Path, *, regular: bool = False) -> bytes:
    """Read at most a byte more than a spec may have; ``regular`` also refuses standard input."""
    if path == STDIN and not regular:
        return sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        if not stat.S_ISDIR(mode := path.stat().st_mode) and not stat.S_ISREG(mode):
            raise _FileError(f"{escape(str(path))}: {_IRREGULAR}")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        if (broken := broken_link(path)) is not None:
            raise _FileError(escape(broken)) from None
        raise _FileError(f"{escape(str(path))}: no such file", suggest(path.name, _neighbours(path))) from None
    except IsADirectoryError:
        names = _neighbours(path / "_")
        inside = f" such as {', '.join(escape(str(path / name)) for name in names[:3])}" if names else ""
        message = f"{escape(str(path))} is a folder: expected a YAML file{inside}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"{escape(str(path))}: cannot be read ({reason})"
    raise _FileError(message)


def _neighbours(path: Path) -> list[str]:
    """Names of the YAML files in a file's folder."""
    try:
        return sorted(near.name for near in path.parent.iterdir() if near.suffix in (".yaml", ".yml"))
    except OSError:
        return []
