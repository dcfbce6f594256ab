"""Loading of a spec from its file and flags; all errors are reported in one pass."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.errors import escape
from pipeprof.pipelines.spec.errors.diagnostics import Diagnostic, SpecError
from pipeprof.pipelines.spec.errors.validation import Fault, describe, find_faults
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.overrides import FLAG, apply_sets, walk_address
from pipeprof.pipelines.spec.paths import missing_files, named_python_files
from pipeprof.pipelines.spec.spec_file import read_spec_file
from pipeprof.pipelines.spec.yaml.reader import decode, read
from pipeprof.pipelines.spec.yaml.spans import START, Span, SpecProblem, TextPlace
from pipeprof.pipelines.spec.yaml.tree import flatten, grow
from pipeprof.pipelines.suggest import suggest_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from pipeprof.pipelines.spec.yaml.reader import Address, YamlDocument

    ElementFaults = Callable[[Spec, Path], list[Fault]]

# What the text is wrong about makes the model complain about the same place in other words.
_HIDING_CODES: Final = frozenset(
    {
        "tag", "unknown-alias", "recursive-alias", "number", "control-character", "merge", "reference",
        "unset-variable", "bad-key",
    }
)  # fmt: skip
_ONE_FILE: Final = (
    "a spec is one file: write what `extends` names into it, share parts with YAML's anchors (&name, *name, <<), and "
    "change values with --set and --env"
)


@dataclass(frozen=True)
class TextLocation:
    """Location of a part of a spec: in its file, or in a flag.

    Attributes:
        column: 1-based, in the line or in the flag's text.
        flag: the flag as typed, ``--set path=value``.
    """

    file: str
    line: int | None
    column: int
    length: int
    flag: str | None = None

    def __str__(self) -> str:
        """Return ``spec.yaml:12:7``, or the flag."""
        return escape(self.flag) if self.flag is not None else f"{escape(self.file)}:{self.line}:{self.column}"


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
        data: the file's with the overrides applied; mappings, lists and scalars only, defaults not filled in.
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
    variables: dict[str, str | None] | None
    notes: list[Note]
    _document: YamlDocument = field(repr=False, compare=False)

    @property
    def resolved_sha256(self) -> str:
        """Hexadecimal hash of what the spec says with the flags, whatever it was written in."""
        text = json.dumps(_as_text_keys(self.data), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    def place(self, address: Address) -> TextPlace | None:
        """The place of exactly this value, and of its key."""
        return self._document.places.get(address)

    def location(self, span: Span) -> TextLocation:
        """Convert a span to the location shown to users."""
        return _location(self.path, span, self.overrides)

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
        place = _nearest(self._document, found)
        return self.location(place.value) if place and found else None

    def with_data(
        self,
        data: dict[str, Any],
        places: Callable[[Mapping[Address, TextPlace]], dict[Address, TextPlace]],
        element_faults: ElementFaults | None = None,
    ) -> LoadedSpec:
        """Return the spec with other data, as if its file had it; the arguments are those of `load_spec`.

        Args:
            places: gives the place of what stayed as it was by its address in the new data, from that before.

        Raises:
            SpecError: everything that is wrong with the data.
        """
        document = replace(self._document, data=data, places=places(self._document.places))
        spec, problems = _checked(document, self.base_dir, (), element_faults, None)
        if problems or spec is None:
            found = [_diagnostic(self.path, problem, self.overrides) for problem in problems]
            raise SpecError(found, document.lines)
        return replace(self, data=data, spec=spec, _document=document)

    @cached_property
    def _places(self) -> dict[str, Address]:
        """Place of each source and stage in the file, by its address."""
        found: dict[str, Address] = {}
        for placed in self.spec.placed():
            found.setdefault(placed.address, placed.place)
        return found

    def error_at(self, address: Sequence[str | int] | str, code: str, message: str) -> SpecError:
        """Return an error that shows the line of an address, for what is found out only when the pipeline is built."""
        place = self.locate(address) or self.location(START)
        diagnostic = Diagnostic(place.file, place.line, place.column, place.length, code, message, place.flag)
        return SpecError([diagnostic], self._document.lines)


def load_spec(
    path: Path,
    sets: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    element_faults: ElementFaults | None = None,
    content: bytes | None = None,
    may_read: Callable[[Path], None] | None = None,
) -> LoadedSpec:
    """Read, change and validate a spec.

    Args:
        path: YAML file, UTF-8, at most 1 MiB.
        environment: fills in ``${VAR}`` in values; ``None`` leaves them as they are.
        element_faults: finds faults of the elements of a spec that is right in itself, from the folder that relative
            paths refer to on; ``None`` to infer no elements.
        may_read: raises for a Python file that must not be read.

    Raises:
        SpecError: everything that is wrong with the text, the flags and what they say.
        UsageError: the file is not there, or cannot be read.
    """
    content = read_spec_file(path) if content is None else content
    base_dir = path.absolute().parent
    document = read(content, environment=environment)
    problems, spec = list(document.problems), None
    if document.complete and (refused := _refused(document)) is not None:
        problems.append(refused)
    elif document.complete:
        if sets:
            root = grow(document)
            problems += apply_sets(root, sets, document.references)
            document.data, document.places = flatten(root)
        spec, more = _checked(document, base_dir, problems, element_faults, may_read)
        problems += more
    if problems or spec is None:
        raise SpecError([_diagnostic(path, problem, sets) for problem in problems], document.lines)
    text, _ = decode(content)
    return LoadedSpec(
        path=path,
        base_dir=base_dir,
        text=text,
        sha256=hashlib.sha256(content).hexdigest(),
        overrides=list(sets),
        data=document.data,
        spec=spec,
        variables=dict(sorted(document.references.used.items())) if environment is not None else None,
        notes=_notes(path, document, sets),
        _document=document,
    )


def _refused(document: YamlDocument) -> SpecProblem | None:
    """What is wrong with a text that is no spec at all, or one of several files."""
    if not isinstance(document.data, dict):
        message = f"got {describe(document.data)}, expected a mapping with version, source and stages"
        return SpecProblem(document.places[()].value, "wrong-type", message)
    if "extends" in document.data:
        return SpecProblem(document.places["extends",].key or START, "unknown-key", _ONE_FILE)
    return None


def _location(path: Path, span: Span, sets: Sequence[str]) -> TextLocation:
    if span.flag is not None:
        return TextLocation(str(path), None, span.column, span.length, FLAG + sets[span.flag])
    return TextLocation(str(path), span.line, span.column, span.length)


def _diagnostic(path: Path, problem: SpecProblem, sets: Sequence[str]) -> Diagnostic:
    at = _location(path, problem.span, sets)
    order = problem.span.flag or 0
    return Diagnostic(
        at.file, at.line, at.column, at.length, problem.code, problem.message, at.flag, problem.suggestion, order
    )


def _checked(
    document: YamlDocument,
    base_dir: Path,
    known: Sequence[SpecProblem],
    element_faults: ElementFaults | None,
    may_read: Callable[[Path], None] | None,
) -> tuple[Spec | None, list[SpecProblem]]:
    """The spec of some data, and what is wrong with it."""
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        return None, _visible(document, find_faults(error, document.data), known)
    faults = _missing_files(spec, base_dir, may_read)
    faults += element_faults(spec, base_dir) if element_faults is not None else []
    return spec, _visible(document, faults, known)


def _missing_files(spec: Spec, base_dir: Path, may_read: Callable[[Path], None] | None) -> list[Fault]:
    """Paths that lead nowhere."""
    if may_read is not None:
        for file in named_python_files(spec, base_dir):
            may_read(file)
    try:
        problems = missing_files(spec, base_dir)
    except (OSError, RuntimeError) as error:
        # Names too long for the file system, "~" of an unknown user, folders that may not be listed.
        return [Fault(("source",), False, "missing-file", f"cannot look up this path ({error})")]
    return [
        Fault(problem.address, False, "missing-file", problem.message, suggest_path(problem.got, problem.candidates))
        for problem in problems
    ]


def _visible(document: YamlDocument, faults: Sequence[Fault], known: Sequence[SpecProblem]) -> list[SpecProblem]:
    """Place the faults, without those on a line whose text is already refused."""
    refused = {problem.span.line for problem in known if problem.span.flag is None and problem.code in _HIDING_CODES}
    placed = [_problem(document, fault) for fault in faults]
    return [problem for problem in placed if problem.span.flag is not None or problem.span.line not in refused]


def _problem(document: YamlDocument, fault: Fault) -> SpecProblem:
    place = _nearest(document, fault.address)
    if place is None:
        return SpecProblem(START, fault.code, fault.message, fault.suggestion)
    span = place.key if fault.at_key and place.key is not None else place.value
    hint = "" if fault.at_key else _variable(document, place.value)
    return SpecProblem(span, fault.code, fault.message + hint, fault.suggestion)


def _variable(document: YamlDocument, span: Span) -> str:
    """Return a hint if a wrong value comes from the environment, or would with ``--env``."""
    reference = document.references.left.get(span)
    if reference is not None:
        return f"; add --env to replace {reference} from the environment"
    names = document.references.filled.get(span, ())
    return f"; the value comes from {', '.join(f'${{{name}}}' for name in names)}" if names else ""


def _nearest(document: YamlDocument, address: Address) -> TextPlace | None:
    for length in range(len(address), -1, -1):
        place = document.places.get(address[:length])
        if place is not None:
            return place
    return None


def _notes(path: Path, document: YamlDocument, sets: Sequence[str]) -> list[Note]:
    """List references that lack ``--env``."""
    left = document.references.left
    spans = sorted({place.value for place in document.places.values() if place.value in left} if left else ())
    return [
        Note(
            _location(path, span, sets),
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
