"""Files of a spec: lookup, and errors for missing ones before a run."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from pipeprof.pipelines.errors import PlainError, UsageError
from pipeprof.pipelines.ops.calls.opcall import OpCall, chain_path
from pipeprof.pipelines.ops.model import Closed
from pipeprof.pipelines.ops.nested import Pipeline, PipelineFunction, Pipelines
from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.ops.values.structures import ARRAYS, Structure
from pipeprof.pipelines.ops.values.values import ArrayFile, FilePatterns, InputFolder, OutputFile
from pipeprof.pipelines.spec.models import Spec
from pipeprof.pipelines.steps.step import kind_of
from pipeprof.pipelines.target.names_in_file import missing_name

Place = tuple[str | int, ...]
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SYNTHESISED = "data:"
_ONE_LEVEL = "; in list_files, ** is one level of folders, as * is (TensorFlow)"


@dataclass(frozen=True)
class Leaf:
    """A file, array or Python function that a spec names, with its place in the data and the stage it belongs to."""

    place: Place
    address: str
    value: Any

    @property
    def recursive(self) -> bool:
        """Whether ``**`` stands for any folders: not in patterns that TensorFlow matches, where it is a ``*``."""
        return self.place[-1] != "file_pattern"


@dataclass(frozen=True)
class PathProblem:
    """A path that leads nowhere; ``address`` is its place in the spec's data."""

    address: Place
    got: str
    message: str
    candidates: tuple[str, ...] = ()


class PathError(PlainError):
    """A path that cannot be resolved."""


def leaves(spec: Spec) -> Iterator[Leaf]:
    """Everything in a spec that names a file, a Python function or an array."""
    for placed in spec.placed():
        for name in type(placed.op).model_fields:
            if name in ("source", "stages"):
                continue
            for place, value in _walk(getattr(placed.op, name), (*placed.place, name)):
                yield Leaf(place, placed.address, value)
    if kind_of(spec.step.kind).real:
        file, _, function = spec.step.value.rpartition(":")
        yield Leaf(("step", spec.step.kind), "step", PythonRef(file, function))


def written_files(spec: Spec) -> Iterator[Leaf]:
    """Everything in a spec that names a file or folder which its pipeline writes."""
    return (leaf for leaf in leaves(spec) if isinstance(leaf.value, OutputFile) and leaf.value)


def _walk(value: Any, place: Place) -> Iterator[tuple[Place, Any]]:
    if isinstance(value, ARRAYS):
        yield place, value
        for name in type(value).model_fields:
            if isinstance(getattr(value, name), ArrayFile | FilePatterns):
                yield (*place, name), getattr(value, name)
    elif isinstance(value, FilePatterns | ArrayFile | InputFolder | OutputFile | PythonRef):
        yield place, value
    else:
        for inner, below in _inside(value, place):
            yield from _walk(inner, below)


def _inside(value: Any, place: Place) -> Iterator[tuple[Any, Place]]:
    if isinstance(value, OpCall):
        here = place if value.bare else (*place, value.name)
        yield value.arguments, here
        yield from ((chain, (*here, *chain_path(name))) for name, chain in value.chains.items())
    elif isinstance(value, Pipeline | Pipelines):
        # Their sources and stages are placed on their own.
        if isinstance(value, PipelineFunction):
            yield value.python, (*place, "python")
    elif isinstance(value, Structure):
        yield value.value, place
    elif isinstance(value, Closed):
        yield from ((getattr(value, name), (*place, name)) for name in type(value).model_fields)
    elif isinstance(value, dict):
        yield from ((inner, (*place, key)) for key, inner in value.items())
    elif isinstance(value, list | tuple):
        yield from ((inner, (*place, index)) for index, inner in enumerate(value))


def named_python_files(spec: Spec, folder: Path) -> list[Path]:
    """The Python files that a spec names anywhere, from a folder on."""
    return [folder / leaf.value.file for leaf in leaves(spec) if isinstance(leaf.value, PythonRef)]


def has_scheme(path: str) -> bool:
    """Whether a path is of a file system that only TensorFlow knows, such as ``gs://``."""
    return _SCHEME.match(path) is not None


def is_glob(path: str) -> bool:
    """Whether a path holds wildcards."""
    return any(letter in path for letter in "*?[")


def _synthesised(path: str) -> tuple[str, str] | None:
    if not path.startswith(_SYNTHESISED):
        return None
    name, _, below = path.removeprefix(_SYNTHESISED).partition("/")
    return name, below


def resolve(path: str, base_dir: Path, data_dirs: Mapping[str, Path]) -> Path:
    """The file that a path without wildcards stands for, whether or not it exists.

    Raises:
        PathError: It is below an input that has not been made.
    """
    synthesised = _synthesised(path)
    if synthesised is None:
        return base_dir / Path(path).expanduser()
    name, below = synthesised
    if name not in data_dirs:
        raise PathError(f"{path}: no input {name!r} under `data:`")
    return data_dirs[name] / below


def resolve_pattern(path: str, base_dir: Path, data_dirs: Mapping[str, Path]) -> str:
    """A pattern for TensorFlow: absolute, with the wildcards of the spec only, not those of folders above it."""
    if has_scheme(path):
        return path
    synthesised = _synthesised(path)
    literal = resolve(path, base_dir, data_dirs)
    if is_glob(path) and literal.exists():
        return glob.escape(str(literal))
    if synthesised is not None:
        return str(Path(glob.escape(str(data_dirs[synthesised[0]]))) / synthesised[1])
    expanded = Path(path).expanduser()
    return str(expanded if expanded.is_absolute() else Path(glob.escape(str(base_dir.absolute()))) / expanded)


def expand(path: str, base_dir: Path, data_dirs: Mapping[str, Path], *, recursive: bool = True) -> list[str]:
    """The files that a path or glob stands for now, sorted, without folders; paths with a scheme stay as they are."""
    if has_scheme(path):
        return [path]
    pattern = resolve_pattern(path, base_dir, data_dirs)
    if not is_glob(path):
        literal = resolve(path, base_dir, data_dirs)
        return [str(literal.absolute())] if literal.exists() else []
    return sorted(name for name in set(_matches_of(pattern, recursive=recursive)) if os.path.isfile(name))  # noqa: PTH113


def _matches_of(pattern: str, *, recursive: bool) -> Iterator[str]:
    """Names that a glob matches, some twice; where ``**`` is not any folders it is a ``*``, as TensorFlow reads it."""
    return glob.iglob(pattern, recursive=recursive)  # noqa: PTH207  # absolute patterns, which Path.glob refuses


def expand_all(
    files: FilePatterns, base_dir: Path, data_dirs: Mapping[str, Path], *, recursive: bool = True
) -> list[str]:
    """The files of all patterns, sorted within each and in the order of the patterns."""
    return [file for pattern in files.patterns for file in expand(pattern, base_dir, data_dirs, recursive=recursive)]


def source_files(spec: Spec, base_dir: Path, data_dirs: Mapping[str, Path]) -> list[Path]:
    """The files that the pipeline will read, as far as the spec names them; each once, in order."""
    found: dict[Path, None] = {}
    for leaf in leaves(spec):
        if isinstance(leaf.value, FilePatterns):
            files: Iterable[str] = expand_all(leaf.value, base_dir, data_dirs, recursive=leaf.recursive)
        elif isinstance(leaf.value, InputFolder):
            folder = resolve(str(leaf.value), base_dir, data_dirs)
            files = [] if has_scheme(leaf.value) else [str(file) for file in sorted(folder.rglob("*"))]
        elif isinstance(leaf.value, ArrayFile):
            files = expand(str(leaf.value), base_dir, data_dirs)
        else:
            continue
        found.update((Path(file), None) for file in files if not has_scheme(file) and Path(file).is_file())
    return list(found)


def missing_files(spec: Spec, base_dir: Path) -> list[PathProblem]:
    """Every path, glob, array and Python function of a spec that leads nowhere.

    Inputs below ``data:`` are checked against what their recipes will make, not against the disk.
    """
    problems: list[PathProblem] = []
    for leaf in leaves(spec):
        if isinstance(leaf.value, FilePatterns):
            for index, pattern in enumerate(leaf.value.patterns):
                place = (*leaf.place, index) if leaf.value.listed else leaf.place
                problems += _missing(spec, base_dir, pattern, place, recursive=leaf.recursive)
        elif isinstance(leaf.value, ArrayFile):
            problems += _missing(spec, base_dir, str(leaf.value), leaf.place, globs=False)
        elif isinstance(leaf.value, InputFolder):
            problems += _missing_folder(spec, base_dir, str(leaf.value), leaf.place)
        elif isinstance(leaf.value, PythonRef):
            problems += _missing_function(base_dir, leaf.value, leaf.place)
    return problems


def _missing(
    spec: Spec, base_dir: Path, path: str, place: Place, *, globs: bool = True, recursive: bool = True
) -> Iterator[PathProblem]:
    if has_scheme(path):
        return
    synthesised = _synthesised(path)
    if synthesised is not None:
        yield from _missing_synthesised(spec, path, *synthesised, place, recursive=recursive)
        return
    literal = resolve(path, base_dir, {})
    if literal.is_file():
        return
    if globs and is_glob(path):
        names = _matches_of(resolve_pattern(path, base_dir, {}), recursive=recursive)
        if any(os.path.isfile(name) for name in names):  # noqa: PTH113  # a million of them
            return
    if literal.is_dir():
        yield PathProblem(place, path, f"{path} is a folder: expected files", (f"{path.rstrip('/')}/*",))
    elif globs and is_glob(path):
        near = _below_inputs(spec, path) or _near(literal)
        level = "" if recursive or "**" not in path else _ONE_LEVEL
        yield PathProblem(place, path, f"{path}: no file matches{_in(base_dir, path)}{level}", near)
    elif literal.exists():
        yield PathProblem(place, path, f"{path} is a device or a pipe: expected a file")
    else:
        yield PathProblem(place, path, f"{path}: no such file{_in(base_dir, path)}", _near(literal))


def _in(base_dir: Path, path: str) -> str:
    return "" if Path(path).expanduser().is_absolute() else f" in {base_dir}"


def _below_inputs(spec: Spec, path: str) -> tuple[str, ...]:
    name, _, below = path.partition("/")
    found = name in spec.data and any(_matches(file, below) for file in spec.data[name].file_names())
    return (f"data:{path}",) if found else ()


def _missing_folder(spec: Spec, base_dir: Path, path: str, place: Place) -> Iterator[PathProblem]:
    if has_scheme(path):
        return
    synthesised = _synthesised(path)
    if synthesised is None:
        literal = resolve(path, base_dir, {})
        if literal.is_file():
            yield PathProblem(place, path, f"{path} is a file: expected a folder")
        elif not literal.is_dir():
            yield PathProblem(place, path, f"{path}: no such folder{_in(base_dir, path)}", _near(literal))
        return
    name, below = synthesised
    if name not in spec.data:
        yield from _missing_synthesised(spec, path, name, below, place)
        return
    if not below.strip("/"):
        return
    folders = {str(parent) for file in spec.data[name].file_names() for parent in PurePosixPath(file).parents}
    if below.rstrip("/") not in folders:
        yield PathProblem(
            place,
            path,
            f"{path}: no such folder in the data that `data: {name}` generates",
            tuple(f"data:{name}/{folder}" for folder in sorted(folders - {"."})),
        )


def _near(path: Path) -> tuple[str, ...]:
    folder = path.parent
    return tuple(sorted(other.name for other in folder.iterdir()))[:1000] if folder.is_dir() else ()


def _missing_synthesised(
    spec: Spec, path: str, name: str, below: str, place: Place, *, recursive: bool = True
) -> Iterator[PathProblem]:
    if name not in spec.data:
        known = ", ".join(spec.data) or "none"
        yield PathProblem(
            place,
            path,
            f"{path}: no input {name!r} under `data:` (defined there: {known})",
            tuple(f"data:{other_name}/{below}" for other_name in spec.data),
        )
        return
    names = spec.data[name].file_names()
    level = "" if recursive or "**" not in below else _ONE_LEVEL
    if not recursive:
        below = below.replace("**", "*")
    if any(_matches(file, below) for file in names):
        return
    example = f"data:{name}/{names[0]}" if names else "files"
    yield PathProblem(
        place,
        path,
        f"{path}: no match among the {len(names)} files that `data: {name}` generates, such as {example}{level}",
        tuple(f"data:{name}/{file}" for file in names[:1000]),
    )


def _matches(file: str, pattern: str) -> bool:
    """Whether a relative name matches a glob, part by part; ``**`` stands for any folders."""
    return file == pattern or _parts_match(PurePosixPath(file).parts, PurePosixPath(pattern).parts)


def _parts_match(file: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern or not file:
        return not pattern and not file
    if pattern[0] == "**" and len(pattern) > 1:
        return _parts_match(file, pattern[1:]) or _parts_match(file[1:], pattern)
    return fnmatch.fnmatchcase(file[0], pattern[0]) and _parts_match(file[1:], pattern[1:])


def _missing_function(base_dir: Path, reference: PythonRef, place: Place) -> Iterator[PathProblem]:
    path = resolve(reference.file, base_dir, {})
    if not path.is_file():
        near = tuple(name for name in _near(path) if name.endswith(".py"))
        message = f"{reference.file}: no such file in {base_dir}"
        yield PathProblem(place, str(reference), message, tuple(f"{name}:{reference.function}" for name in near))
        return
    try:
        wrong = missing_name(path, reference.function, reference.file)
    except UsageError as problem:
        yield PathProblem(place, str(reference), str(problem).partition("\n")[0])
        return
    if wrong is not None:
        message, names = wrong
        near = tuple(f"{reference.file}:{name}" for name in names)
        yield PathProblem(place, str(reference), message, near)
