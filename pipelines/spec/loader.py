"""Loading of a spec from files and flags; all errors are reported in one pass."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.spec.compose.files import OVERLAY_FLAG, FileReading, read_files
from pipeprof.pipelines.spec.compose.overrides import FLAG, apply_sets, walk_address
from pipeprof.pipelines.spec.compose.rebase_paths import missing, relocate
from pipeprof.pipelines.spec.errors.diagnostics import Diagnostic, SpecError
from pipeprof.pipelines.spec.errors.hidden_faults import find_hidden_faults
from pipeprof.pipelines.spec.errors.origins import Origins, SpecFile, TextLocation
from pipeprof.pipelines.spec.errors.root_causes import Fault
from pipeprof.pipelines.spec.errors.validation import find_faults
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.paths import named_python_files
from pipeprof.pipelines.spec.yaml.spans import Span, SpecProblem, TextPlace, start_of
from pipeprof.pipelines.spec.yaml.tree import flatten, grow
from pipeprof.pipelines.suggest import suggest_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeprof.pipelines.spec.yaml.reader import Address, YamlDocument
    from pipeprof.pipelines.spec.yaml.scalars import Scalar

    ElementFaults = Callable[[Spec | None, Any, Path], list[Fault]]

# What the text is wrong about makes the model complain about the same place in other words.
_HIDING_CODES: Final = frozenset(
    {
        "tag", "unknown-alias", "recursive-alias", "number", "control-character", "merge", "reference",
        "unset-variable", "bad-key",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Note:
    """Something that is no mistake but may not be meant.

    Attributes:
        message: one sentence without a full stop.
    """

    location: TextLocation
    code: str
    message: str

    def __str__(self) -> str:
        """The place and the message."""
        return f"{self.location}: {self.message}"


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that was read and checked.

    Attributes:
        base_dir: absolute folder of the file, which relative paths in ``data`` and ``spec`` refer to.
        data: everything merged and the overrides applied; mappings, lists and scalars only, defaults not filled in.
        variables: the environment variables that were looked up, ``None`` for those that are not set; ``None`` in all
            if the environment was not to be used.
    """

    path: Path
    base_dir: Path
    text: str
    sha256: str
    overrides: list[str]
    data: dict[str, Any]
    spec: Spec
    overlays: list[str]
    variables: dict[str, str | None] | None
    notes: list[Note]
    _reading: FileReading = field(repr=False, compare=False)

    @property
    def files(self) -> list[SpecFile]:
        """All files that the spec is made of, each time it was read, itself first."""
        return self._reading.origins.files

    @property
    def origins(self) -> Origins:
        """The files and flags."""
        return self._reading.origins

    @property
    def resolved_sha256(self) -> str:
        """Hexadecimal hash of what the spec says with everything merged, whatever it was written in."""
        text = json.dumps(_as_text_keys(self.data), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    def place(self, address: Address) -> TextPlace | None:
        """The place of exactly this value, and of its key."""
        return self._reading.document.places.get(address)

    def filled(self, span: Span) -> bool:
        """Whether the value at a place has something from the environment in it."""
        return span in self._reading.references.filled

    def locate(self, address: Sequence[str | int] | str) -> TextLocation | None:
        """Return where a value was written, or the nearest mapping or list around it.

        Args:
            address: keys and indices from the top (``("stages", 1, "batch", "batch_size")``), or dotted as a stage's
                address is (``"stages.1"``); the key that names an operation may be left out.
        """
        # The datasets of a zip are numbered in addresses, and may have names in the file.
        parts = address.split(".") if isinstance(address, str) else list(address)
        if isinstance(address, str) and address in self._places:
            parts = list(self._places[address][:-1])
        found = walk_address(self.data, parts)
        place = _nearest(self._reading.document, found)
        return self.origins.location(place.value) if place and found else None

    @cached_property
    def _places(self) -> dict[str, Address]:
        """Place of each source and stage in the file, by its address."""
        found: dict[str, Address] = {}
        for placed in self.spec.placed():
            found.setdefault(placed.address, placed.place)
        return found

    def error_at(self, address: Sequence[str | int] | str, code: str, message: str) -> SpecError:
        """Return an error that shows the line of an address, for what is found out only when the pipeline is built."""
        place = self.locate(address) or self.origins.location(start_of())
        diagnostic = Diagnostic(place.file, place.line, place.column, place.length, code, message, place.flag)
        return SpecError([diagnostic], {file.name: file.lines for file in self.files})


def load_spec(
    path: Path,
    sets: Sequence[str] = (),
    *,
    overlays: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    element_faults: ElementFaults | None = None,
    content: bytes | None = None,
    may_read: Callable[[Path], None] | None = None,
) -> LoadedSpec:
    """Read, change and validate a spec.

    Args:
        path: YAML file, UTF-8, at most 1 MiB.
        environment: fills in ``${VAR}`` in values; ``None`` leaves them as they are.
        element_faults: finds faults of the elements, from the model (``None`` for an invalid spec), the data that
            it was made from, and the folder that relative paths refer to; ``None`` to infer no elements.
        may_read: raises for a spec that is extended, or a Python file, that must not be read.

    Raises:
        SpecError: everything that is wrong with the texts, the flags and what they say.
    """
    flags = [*(OVERLAY_FLAG + overlay for overlay in overlays), *(FLAG + text for text in sets)]
    reading = read_files(path, overlays, flags, environment, content=content, may_read=may_read)
    origins, document, problems = reading.origins, reading.document, list(reading.problems)
    spec: Spec | None = None
    if reading.complete:
        if sets:
            root = grow(document)
            problems += apply_sets(root, sets, len(overlays), reading.references)
            document.data, document.places = flatten(root)
        spec, faults = _validate(reading)
        if element_faults is not None:
            faults += element_faults(spec, document.data, origins.files[0].folder)
        problems += _visible(reading, faults, problems, _Removals(sets, len(overlays)))
    if problems or spec is None:
        raise origins.error(problems)
    main = origins.files[0]
    return LoadedSpec(
        path=path,
        base_dir=main.folder,
        text=main.text,
        sha256=main.sha256,
        overrides=list(sets),
        data=document.data,
        spec=spec,
        overlays=list(overlays),
        variables=dict(sorted(reading.references.used.items())) if environment is not None else None,
        notes=_notes(reading),
        _reading=reading,
    )


def _validate(reading: FileReading) -> tuple[Spec | None, list[Fault]]:
    document = reading.document
    spec, faults = _checked(document.data)
    if spec is None and reading.references.filled:
        spec, faults = _with_other_kinds(reading, faults)
    if spec is None:
        return None, faults + _hidden_faults(reading, faults)
    faults = _missing_files(spec, reading)
    if not faults:
        moved = relocate(document.data, spec, reading.origins, document.places)
        if moved is not document.data:
            document.data = moved
            return _checked(moved)
    return spec, faults


def _hidden_faults(reading: FileReading, faults: list[Fault]) -> list[Fault]:
    """Faults that show only once others are mended, such as missing files."""
    spec, hidden, mended = find_hidden_faults(reading.document.data, faults, _checked)
    if spec is None:
        return hidden
    return hidden + [fault for fault in _missing_files(spec, reading) if not mended.stands_in(fault.address)]


def _checked(data: Any) -> tuple[Spec | None, list[Fault]]:
    try:
        return Spec.model_validate(data), []
    except ValidationError as error:
        return None, find_faults(error, data)


def _with_other_kinds(reading: FileReading, faults: list[Fault]) -> tuple[Spec | None, list[Fault]]:
    """Take what came from the environment as text where text is expected, and as a number where a number is."""
    document, filled = reading.document, reading.references.filled
    written: dict[Address, Scalar] = {}
    for fault in faults:
        place = document.places.get(fault.address)
        if place is not None and place.value in filled and not fault.at_key:
            written[fault.address] = _replace(document.data, fault.address, filled[place.value].other)
    if not written:
        return None, faults
    spec, others = _checked(document.data)
    wrong = {fault.address for fault in others} & written.keys()
    if spec is not None or not wrong:
        return spec, others
    for address in wrong:
        _replace(document.data, address, written[address])
    return _checked(document.data)


def _replace(data: Any, address: Address, value: Scalar) -> Scalar:
    for part in address[:-1]:
        data = data[part]
    before: Scalar = data[address[-1]]
    data[address[-1]] = value
    return before


def _missing_files(spec: Spec, reading: FileReading) -> list[Fault]:
    if reading.may_read is not None:
        for folder in {origin.folder for origin in reading.origins.files}:
            for file in named_python_files(spec, folder):
                reading.may_read(file)
    try:
        problems = missing(spec, reading.origins, reading.document.places)
    except (OSError, RuntimeError) as error:
        # Names too long for the file system, "~" of an unknown user, folders that may not be listed.
        return [Fault(("source",), False, "missing-file", f"cannot look up this path ({error})")]
    reading.unknown_paths[:] = [problem for problem in problems if not problem.known]
    return [
        Fault(problem.address, False, "missing-file", problem.message, suggest_path(problem.got, problem.candidates))
        for problem in problems
        if problem.known
    ]


@dataclass(frozen=True)
class _Removals:
    """Find the ``--set path=null`` among the flags, numbered from ``first``."""

    sets: Sequence[str]
    first: int

    def span(self, fault: Fault) -> Span | None:
        """The flag that took away what is missing."""
        missing = {".".join(map(str, (*fault.address, name))) for name in fault.missing}
        for number, text in enumerate(self.sets, self.first):
            path, _, value = text.partition("=")
            if path.strip() in missing and value.strip() in ("", "~", "null", "Null", "NULL"):
                return Span(1, len(FLAG) + 1, max(1, len(path)), number)
        return None


def _visible(
    reading: FileReading, faults: Sequence[Fault], known: Sequence[SpecProblem], removals: _Removals
) -> list[SpecProblem]:
    """Place the faults, without those on a line whose text is already refused."""
    refused = {
        (problem.span.file, problem.span.line)
        for problem in known
        if problem.span.flag is None and problem.code in _HIDING_CODES
    }
    placed = [_problem(reading, fault, removals.span(fault)) for fault in faults]
    return [
        problem
        for problem in placed
        if problem.span.flag is not None or (problem.span.file, problem.span.line) not in refused
    ]


def _problem(reading: FileReading, fault: Fault, removed: Span | None) -> SpecProblem:
    place = _nearest(reading.document, fault.address)
    if removed is not None:
        return SpecProblem(removed, fault.code, fault.message, fault.suggestion)
    if place is None:
        return SpecProblem(start_of(), fault.code, fault.message, fault.suggestion)
    span = place.key if fault.at_key and place.key is not None else place.value
    if not fault.missing and not fault.code.startswith("missing"):
        span = _last_word(reading, fault.address, span)
    hint = "" if fault.at_key else _variable(reading, place.value)
    return SpecProblem(span, fault.code, fault.message + hint, fault.suggestion)


def _variable(reading: FileReading, span: Span) -> str:
    """Return a hint if a wrong value comes from the environment, or would with ``--env``."""
    reference = reading.references.left.get(span)
    if reference is not None:
        return f"; add --env to replace {reference} from the environment"
    filled = reading.references.filled.get(span)
    return f"; the value comes from {', '.join(f'${{{name}}}' for name in filled.names)}" if filled is not None else ""


def _last_word(reading: FileReading, address: Address, span: Span) -> Span:
    places, rank = reading.document.places, reading.origins.rank
    if address not in places:
        return span
    data: Any = reading.document.data
    for part in address:
        data = data[part]
    keys = data if isinstance(data, dict) else ()
    spans = [place.key for key in keys if (place := places.get((*address, key))) and place.key]
    last = max(spans, key=lambda each: (rank(each), each.line, each.column), default=span)
    return last if rank(last) > rank(span) else span


def _nearest(document: YamlDocument, address: Address) -> TextPlace | None:
    for length in range(len(address), -1, -1):
        place = document.places.get(address[:length])
        if place is not None:
            return place
    return None


def _notes(reading: FileReading) -> list[Note]:
    """List globs that were not looked up to their end, and references that lack ``--env``."""
    places = [(_nearest(reading.document, problem.address), problem.message) for problem in reading.unknown_paths]
    unknown = [
        Note(reading.origins.location(place.value), "many-folders", message)
        for place, message in places
        if place is not None
    ]
    left = reading.references.left
    spans = sorted({place.value for place in reading.document.places.values() if place.value in left} if left else ())
    return unknown + [
        Note(
            reading.origins.location(span),
            "reference-left",
            f"{left[span]} is not replaced: add --env to take it from the environment",
        )
        for span in spans
    ]


def _as_text_keys(value: Any) -> Any:
    """JSON's keys are texts; sorting them needs one kind."""
    if isinstance(value, dict):
        return {str(key): _as_text_keys(inner) for key, inner in value.items()}
    return [_as_text_keys(inner) for inner in value] if isinstance(value, list) else value
