"""Loading of a spec from its file and flags; all errors are reported in one pass."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipeprof.pipelines.spec.check import Fault, find_faults
from pipeprof.pipelines.spec.diagnostics import Diagnostic, SpecError, TextLocation
from pipeprof.pipelines.spec.paths import named_python_files
from pipeprof.pipelines.spec.set_value import FLAG, apply_sets, walk_address
from pipeprof.pipelines.spec.spec import Spec, spec_of
from pipeprof.pipelines.spec.spec_file import read_spec_file
from pipeprof.pipelines.spec.yaml_text import (
    START,
    Address,
    Span,
    SpecProblem,
    TextPlace,
    decode,
    first_reference,
    flatten,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path


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
        places: where everything in ``data`` is written, by its keys and indices.
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
    places: dict[Address, TextPlace] = field(repr=False, compare=False)
    lines: list[str] = field(repr=False, compare=False)

    @property
    def python_files(self) -> list[Path]:
        """The Python files that it names anywhere."""
        return named_python_files(self.data, self.base_dir)

    @property
    def resolved_sha256(self) -> str:
        """Hexadecimal hash of what the spec says with the flags, whatever it was written in."""
        text = json.dumps(_as_text_keys(self.data), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()

    def locate(self, address: Sequence[str | int] | str) -> TextLocation | None:
        """Return where a value was written, or the nearest mapping or list around it.

        Args:
            address: keys and indices from the top (``("stages", 1, "batch", "batch_size")``), or dotted as a stage's
                address is (``"stages.1"``); the key that names an operation may be left out.
        """
        # The datasets of a zip are numbered in addresses, and may have names in the file.
        parts = address.split(".") if isinstance(address, str) else list(address)
        if isinstance(address, str) and address in self._stages:
            parts = list(self._stages[address][:-1])
        found = walk_address(self.data, parts)
        place = _nearest(self.places, found)
        return _location(self.path, place.value, self.overrides) if place and found else None

    def with_data(
        self, data: dict[str, Any], places: Callable[[Mapping[Address, TextPlace]], dict[Address, TextPlace]]
    ) -> LoadedSpec:
        """Return the spec with other data, as if its file had it.

        Args:
            places: gives the place of what stayed as it was by its address in the new data, from that before.

        Raises:
            SpecError: everything that is wrong with the data.
        """
        moved, faults = places(self.places), find_faults(data, self.base_dir)
        if faults:
            raise _error(self.path, [_problem(moved, fault, data) for fault in faults], self.overrides, self.lines)
        return replace(self, data=data, spec=spec_of(data), places=moved)

    @cached_property
    def _stages(self) -> dict[str, Address]:
        """Place of each source and stage in the file, by its address."""
        found: dict[str, Address] = {}
        for placed in self.spec.placed():
            found.setdefault(placed.address, placed.place)
        return found

    def error_at(self, address: Sequence[str | int] | str, code: str, message: str) -> SpecError:
        """Return an error that shows the line of an address, for what is found out only when the pipeline is built."""
        place = self.locate(address) or _location(self.path, START, self.overrides)
        return SpecError([Diagnostic(**vars(place), code=code, message=message)], self.lines)


def load_spec(
    path: Path,
    sets: Sequence[str] = (),
    *,
    environment: Mapping[str, str] | None = None,
    content: bytes | None = None,
    may_read: Callable[[Path], None] | None = None,
) -> LoadedSpec:
    """Read, change and validate a spec.

    Args:
        path: YAML file, UTF-8, at most 1 MiB.
        environment: fills in ``${VAR}`` in values; ``None`` leaves them as they are.
        may_read: raises for a Python file that must not be read.

    Raises:
        SpecError: everything that is wrong with the text, the flags and what they say.
        UsageError: the file is not there, or cannot be read.
    """
    content = read_spec_file(path) if content is None else content
    base_dir = path.absolute().parent
    read_text = read(content, environment)
    if read_text.root is None:
        raise _error(path, read_text.problems, sets, read_text.lines)
    problems = list(read_text.problems)
    if isinstance(read_text.root.value, dict):
        problems += apply_sets(read_text.root, sets, environment, read_text.used)
    data, places = flatten(read_text.root)
    if may_read is not None:
        for file in named_python_files(data, base_dir) if isinstance(data, dict) else ():
            may_read(file)
    faults = find_faults(data, base_dir)
    # What the text is wrong about makes the model complain about the same line in other words.
    wrong = {problem.span.line for problem in read_text.problems if problem.code != "duplicate-key"}
    found = [_problem(places, fault, data) for fault in faults]
    problems += [problem for problem in found if problem.span.flag is not None or problem.span.line not in wrong]
    if problems:
        raise _error(path, problems, sets, read_text.lines)
    return LoadedSpec(
        path=path,
        base_dir=base_dir,
        text=decode(content)[0],
        sha256=hashlib.sha256(content).hexdigest(),
        overrides=list(sets),
        data=data,
        spec=spec_of(data),
        variables=dict(sorted(read_text.used.items())) if environment is not None else None,
        notes=_notes(path, data, places, sets) if environment is None else [],
        places=places,
        lines=read_text.lines,
    )


def _location(path: Path, span: Span, sets: Sequence[str]) -> TextLocation:
    if span.flag is not None:
        return TextLocation(str(path), None, span.column, span.length, FLAG + sets[span.flag])
    return TextLocation(str(path), span.line, span.column, span.length)


def _error(path: Path, problems: Sequence[SpecProblem], sets: Sequence[str], lines: Sequence[str]) -> SpecError:
    found = []
    for problem in problems:
        words = {name: value for name, value in vars(problem).items() if name != "span"}
        found.append(Diagnostic(**vars(_location(path, problem.span, sets)), **words, order=problem.span.flag or 0))
    return SpecError(found, lines)


def _problem(places: Mapping[Address, TextPlace], fault: Fault, data: Any) -> SpecProblem:
    place = _nearest(places, fault.address)
    if place is None:
        return SpecProblem(START, fault.code, fault.message, fault.suggestion)
    span = place.key if fault.at_key and place.key is not None else place.value
    reference = None if fault.at_key else first_reference(_value_at(data, fault.address))
    hint = f"; add --env to replace {reference} from the environment" if reference is not None else ""
    return SpecProblem(span, fault.code, fault.message + hint, fault.suggestion)


def _value_at(data: Any, address: Address) -> Any:
    """The value at an address; ``None`` where there is none."""
    for part in address:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _nearest(places: Mapping[Address, TextPlace], address: Address) -> TextPlace | None:
    return next((places[at] for at in (address[:end] for end in range(len(address), -1, -1)) if at in places), None)


def _notes(path: Path, data: Any, places: Mapping[Address, TextPlace], sets: Sequence[str]) -> list[Note]:
    """List references that lack ``--env``."""
    found = [(place, first_reference(_value_at(data, address))) for address, place in places.items()]
    return [
        Note(
            _location(path, place.value, sets),
            "reference-left",
            f"{reference} is not replaced: add --env to take it from the environment",
        )
        for place, reference in found
        if reference is not None
    ]


def _as_text_keys(value: Any) -> Any:
    """JSON's keys are texts; sorting them needs one kind."""
    if isinstance(value, dict):
        return {str(key): _as_text_keys(inner) for key, inner in value.items()}
    return [_as_text_keys(inner) for inner in value] if isinstance(value, list) else value
