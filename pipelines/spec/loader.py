"""From a file and its ``--set`` flags to a checked spec, or to everything that is wrong with it in one pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.spec.diagnostics import Diagnostic, SpecError, escape
from pipeprof.pipelines.spec.faults import Fault, describe, find_faults
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.spec.nodes import Problem, Span
from pipeprof.pipelines.spec.overrides import FLAG, apply_overrides, walk_address
from pipeprof.pipelines.spec.paths import missing_files
from pipeprof.pipelines.spec.reader import MAX_BYTES, Address, Document, Place, decode, read
from pipeprof.pipelines.spec.suggest import suggest, suggest_path

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SUFFIXES: Final = (".yaml", ".yml")

# What the text is wrong about makes the model complain about the same place in other words.
_HIDING_CODES: Final = frozenset({"tag", "unknown-alias", "recursive-alias", "number", "control-character", "merge"})


@dataclass(frozen=True)
class Location:
    """Where something of a spec was written: in its file, or in a flag.

    Attributes:
        file: the spec as the user named it.
        line: 1-based; ``None`` for a flag.
        column: 1-based, in the line or in the flag's text.
        length: characters of the token.
        flag: the flag as typed, ``--set path=value``.
    """

    file: str
    line: int | None
    column: int
    length: int
    flag: str | None = None

    def __str__(self) -> str:
        """``spec.yaml:12:7``, or the flag."""
        return escape(self.flag) if self.flag is not None else f"{escape(self.file)}:{self.line}:{self.column}"


@dataclass(frozen=True)
class LoadedSpec:
    """A spec that was read and checked.

    Attributes:
        path: the file as the user named it.
        base_dir: absolute folder of the file, which relative paths in it refer to.
        text: the file's text.
        sha256: hexadecimal hash of the file's bytes.
        overrides: the ``--set`` flags, as ``path=value``.
        data: the file's data with the overrides applied; mappings, lists and scalars only, defaults not filled in.
        spec: the checked model.
    """

    path: Path
    base_dir: Path
    text: str
    sha256: str
    overrides: list[str]
    data: dict[str, Any]
    spec: Spec
    _document: Document = field(repr=False, compare=False)

    def locate(self, address: Sequence[str | int] | str) -> Location | None:
        """Return where a value was written, or the nearest mapping or list around it.

        Args:
            address: keys and indices from the top (``("stages", 1, "batch", "batch_size")``), or dotted as a stage's
                address is (``"stages.1"``); the key that names an operation may be left out.
        """
        parts = address.split(".") if isinstance(address, str) else list(address)
        found = walk_address(self.data, parts)
        place = _nearest(self._document, found)
        return _location(str(self.path), self.overrides, place.value) if place and found else None

    def error_at(self, address: Sequence[str | int] | str, code: str, message: str) -> SpecError:
        """Return an error that shows the line of an address, for what is found out only when the pipeline is built.

        Args:
            address: as for :meth:`locate`.
            code: kebab-case word.
            message: ``got …, expected …``.
        """
        place = self.locate(address)
        column, length = (place.column, place.length) if place else (None, 1)
        line, flag = (place.line, place.flag) if place else (None, None)
        diagnostic = Diagnostic(str(self.path), line, column, length, code, message, flag)
        return SpecError([diagnostic], self._document.lines)


def load_spec(path: Path, sets: Sequence[str] = ()) -> LoadedSpec:
    """Read, change and check a spec.

    Args:
        path: YAML file, UTF-8, at most 1 MiB.
        sets: changes as ``path=value``, in order; later ones win.

    Raises:
        UsageError: there is no such file, or it cannot be read.
        SpecError: everything that is wrong with the text, the flags and what they say.
    """
    content = _read_file(path)
    document = read(content)
    overrides = list(sets)
    problems = list(document.problems)
    spec: Spec | None = None
    if document.complete and _is_spec(document, problems):
        problems += apply_overrides(document, overrides)
        spec, faults = _validate(document.data, path.absolute().parent)
        problems += _visible(document, faults, problems)
    if problems or spec is None:
        raise SpecError([_diagnostic(str(path), overrides, problem) for problem in problems], document.lines)
    text, _ = decode(content)
    return LoadedSpec(
        path=path,
        base_dir=path.absolute().parent,
        text=text,
        sha256=hashlib.sha256(content).hexdigest(),
        overrides=overrides,
        data=document.data,
        spec=spec,
        _document=document,
    )


def _read_file(path: Path) -> bytes:
    """Read at most a byte more than a spec may have."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        meant = suggest(path.name, _neighbours(path))
        hint = f" — did you mean {escape(str(path.with_name(meant)))}?" if meant else ""
        message = f"got {escape(str(path))}, which does not exist, expected a spec in YAML{hint}"
    except IsADirectoryError:
        names = _neighbours(path / "_")
        inside = f" in it: {', '.join(escape(str(path / name)) for name in names[:3])}" if names else ""
        message = f"got {escape(str(path))}, which is a folder, expected a spec in YAML{inside}"
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = f"got {escape(str(path))}, which cannot be read ({reason}), expected a spec in YAML"
    raise UsageError(message)


def _neighbours(path: Path) -> list[str]:
    """Names of the YAML files in a file's folder."""
    try:
        return sorted(near.name for near in path.parent.iterdir() if near.suffix in _SUFFIXES)
    except OSError:
        return []


def _is_spec(document: Document, problems: list[Problem]) -> bool:
    if isinstance(document.data, dict):
        return True
    message = f"got {describe(document.data)}, expected a mapping with version, source and stages"
    problems.append(Problem(document.places[()].value, "wrong-type", message))
    return False


def _validate(data: dict[str, Any], base_dir: Path) -> tuple[Spec | None, list[Fault]]:
    try:
        spec = Spec.model_validate(data)
    except ValidationError as error:
        return None, find_faults(error, data)
    return spec, _missing_files(spec, base_dir)


def _missing_files(spec: Spec, base_dir: Path) -> list[Fault]:
    try:
        problems = missing_files(spec, base_dir)
    except (OSError, RuntimeError) as error:
        # Names too long for the file system, "~" of nobody, folders that may not be listed.
        message = f"got a path that cannot be looked up ({error}), expected one that exists"
        return [Fault(("source",), False, "missing-file", message)]
    return [
        Fault(problem.address, False, "missing-file", problem.message, suggest_path(problem.got, problem.candidates))
        for problem in problems
    ]


def _visible(document: Document, faults: Sequence[Fault], known: Sequence[Problem]) -> list[Problem]:
    """Place the faults, without those on a line whose text is already refused."""
    refused = {problem.span.line for problem in known if problem.span and problem.code in _HIDING_CODES}
    placed = [_problem(document, fault) for fault in faults]
    return [
        problem
        for problem in placed
        if problem.span is None or problem.span.flag is not None or problem.span.line not in refused
    ]


def _problem(document: Document, fault: Fault) -> Problem:
    place = _nearest(document, fault.address)
    span: Span | None = None
    if place is not None:
        span = place.key if fault.at_key and place.key is not None else place.value
    return Problem(span, fault.code, fault.message, fault.suggestion)


def _nearest(document: Document, address: Address) -> Place | None:
    for length in range(len(address), -1, -1):
        place = document.places.get(address[:length])
        if place is not None:
            return place
    return None


def _location(file: str, overrides: Sequence[str], span: Span) -> Location:
    flag = FLAG + overrides[span.flag] if span.flag is not None else None
    return Location(file, None if flag is not None else span.line, span.column, span.length, flag)


def _diagnostic(file: str, overrides: Sequence[str], problem: Problem) -> Diagnostic:
    if problem.span is None:
        return Diagnostic(file, None, None, 1, problem.code, problem.message, None, problem.suggestion)
    at = _location(file, overrides, problem.span)
    order = problem.span.flag if problem.span.flag is not None else 0
    return Diagnostic(
        file, at.line, at.column, at.length, problem.code, problem.message, at.flag, problem.suggestion, order
    )
