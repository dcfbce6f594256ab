"""Files of a spec: lookup, and errors for missing ones before a run."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pipeprof.pipelines.data.recipes import Recipe
from pipeprof.pipelines.errors import PlainError, UsageError
from pipeprof.pipelines.spec.operations import array_kind, mappings, placed
from pipeprof.pipelines.spec.set_value import operation_key
from pipeprof.pipelines.spec.yaml_text import Address
from pipeprof.pipelines.steps.step import RECORDED, StepError, kind_of, parse_step
from pipeprof.pipelines.target.names_in_file import missing_name
from pipeprof.pipelines.target.target import filled_call, split_reference

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_SYNTHESISED: Final = "data:"
_ONE_LEVEL: Final = "; in list_files, ** is one level of folders, as * is (TensorFlow)"
_MOST_NEAR: Final = 1000
_KINDS: Final = {
    "patterns": "patterns", "files": "files", "own_files": "files", "file": "file", "folder": "folder",
    "output": "output", "output_or_empty": "output", "python": "python",
}  # fmt: skip
_FUNCTIONS: Final = (
    "function", "predicate", "answer", "scan_function", "size_function", "python_function", "pipeline_function",
    "dataset_function",
)  # fmt: skip
_CHAIN: Final = "tf.vectorized_map"


@dataclass(frozen=True)
class Leaf:
    """A file or a Python function that a spec names, with its place in the data and the stage it belongs to.

    Attributes:
        kind: ``patterns`` that TensorFlow matches, ``files`` (paths and globs), ``file``, ``folder``, ``output``,
            ``python`` or ``profile``.
        text: as it is written; each item of a list is a leaf.
    """

    place: Address
    address: str
    kind: str
    text: str


@dataclass(frozen=True)
class PathProblem:
    """A path that leads nowhere; ``address`` is its place in the spec's data."""

    address: Address
    got: str
    message: str
    candidates: Sequence[str] = ()


class PathError(PlainError):
    """A path that cannot be resolved."""


def leaves(data: Mapping[str, Any]) -> Iterator[Leaf]:
    """Everything in a spec's data that names a file or a Python function; what is written wrongly is left out."""
    for one in placed(data):
        for name, value in one.arguments.items():
            parameter = one.operation.parameters.get(name)
            for place, kind, text in _walk(parameter.kind, value, (*one.place, name)) if parameter else ():
                yield Leaf(place, one.address, kind, text)
    try:
        step = parse_step(data.get("step", "none"))
    except StepError:
        return
    if step.kind == RECORDED or kind_of(step.kind).real:
        place = ("step", step.kind) if isinstance(data["step"], dict) else ("step",)
        yield Leaf(place, "step", "profile" if step.kind == RECORDED else "python", step.value)


def _walk(kind: str, value: Any, place: Address) -> Iterator[tuple[Address, str, str]]:
    """Yield the places, kinds and texts of leaves in a value of a kind."""
    if kind in _KINDS and isinstance(value, str) and value:
        yield place, _KINDS[kind], value
    elif kind in _KINDS and isinstance(value, list):
        yield from (((*place, index), _KINDS[kind], one) for index, one in enumerate(value) if one and type(one) is str)
    elif kind == "ops" and isinstance(value, list):
        for index, call in enumerate(value):
            if (name := operation_key(call)) is not None:
                yield from _in_call(str(name), call[name], (*place, index, name))
    elif kind in ("tensors", "constant") and (array := array_kind(value)) is not None:
        yield from _walk(array, value, place)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(_kind_inside(kind, str(key)), inner, (*place, key))
    elif isinstance(value, list) and kind in ("tensors", "constant"):
        for index, inner in enumerate(value):
            yield from _walk(kind, inner, (*place, index))


def _kind_inside(kind: str, key: str) -> str:
    """The kind of what stands under a key of a value of a kind."""
    if kind in mappings():
        parameter = mappings()[kind].get(key)
        return parameter.kind if parameter is not None else ""
    if kind in ("tensors", "constant"):
        return kind
    if kind in ("features", "feature"):
        return "feature" if kind == "features" else key
    # Sources and stages of pipelines inside are placed on their own.
    return key if kind in _FUNCTIONS and key in ("ops", "python") else ""


def _in_call(name: str, written: Any, place: Address) -> Iterator[tuple[Address, str, str]]:
    if name == "python":
        function = written.get("function") if isinstance(written, Mapping) else written
        yield from _walk("python", function, (*place, "function") if isinstance(written, Mapping) else place)
    for argument, value in written.items() if isinstance(written, Mapping) and name != "python" else ():
        is_path = argument == "vocabulary" and isinstance(value, str)
        kind = "ops" if (name, argument) == (_CHAIN, "fn") else "file" if is_path else "constant"
        yield from _walk("features" if argument.endswith("features") else kind, value, (*place, argument))


def written_files(data: Mapping[str, Any]) -> Iterator[Leaf]:
    """Everything in a spec that names a file or folder which its pipeline writes."""
    return (leaf for leaf in leaves(data) if leaf.kind == "output")


def named_python_files(data: Mapping[str, Any], folder: Path) -> list[Path]:
    """The Python files that a spec names anywhere, from a folder on."""
    parts = [split_reference(leaf.text) for leaf in leaves(data) if leaf.kind == "python"]
    return [folder / part[0] for part in parts if part is not None]


def has_scheme(path: str) -> bool:
    """Whether a path is of a file system that only TensorFlow knows, such as ``gs://``."""
    return _SCHEME.match(path) is not None


def is_glob(path: str) -> bool:
    """Whether a path holds wildcards."""
    return any(letter in path for letter in "*?[")


def resolve(path: str, base_dir: Path, data_dirs: Mapping[str, Path]) -> Path:
    """The file that a path without wildcards stands for, whether or not it exists.

    Raises:
        PathError: It is below an input that has not been made.
    """
    if not path.startswith(_SYNTHESISED):
        return base_dir / Path(path).expanduser()
    name, _, below = path.removeprefix(_SYNTHESISED).partition("/")
    if name not in data_dirs:
        raise PathError(f"{path}: no input {name!r} under `data:`")
    return data_dirs[name] / below


def resolve_pattern(path: str, base_dir: Path, data_dirs: Mapping[str, Path]) -> str:
    """A pattern for TensorFlow: absolute, with the wildcards of the spec only, not those of folders above it."""
    if has_scheme(path):
        return path
    literal = resolve(path, base_dir, data_dirs)
    if is_glob(path) and literal.exists():
        return glob.escape(str(literal))
    if path.startswith(_SYNTHESISED):
        name, _, below = path.removeprefix(_SYNTHESISED).partition("/")
        return str(Path(glob.escape(str(data_dirs[name]))) / below)
    expanded = Path(path).expanduser()
    return str(expanded if expanded.is_absolute() else Path(glob.escape(str(base_dir.absolute()))) / expanded)


def expand(path: str, base_dir: Path, data_dirs: Mapping[str, Path], *, recursive: bool = True) -> list[str]:
    """The files that a path or glob stands for now, sorted, without folders; paths with a scheme stay as they are.

    Args:
        recursive: whether ``**`` stands for any folders; else it is a ``*``, as TensorFlow reads it.
    """
    if has_scheme(path):
        return [path]
    if not is_glob(path):
        literal = resolve(path, base_dir, data_dirs)
        return [str(literal.absolute())] if literal.exists() else []
    return sorted(set(_matching(resolve_pattern(path, base_dir, data_dirs), recursive=recursive)))


def _matching(pattern: str, *, recursive: bool) -> Iterator[str]:
    names = glob.iglob(pattern, recursive=recursive)  # noqa: PTH207  # absolute patterns, which Path.glob refuses
    return (name for name in names if os.path.isfile(name))  # noqa: PTH113  # a million of them


def source_files(data: Mapping[str, Any], base_dir: Path, data_dirs: Mapping[str, Path]) -> list[Path]:
    """The files that the pipeline will read, as far as the spec names them; each once, in order."""
    found: dict[Path, None] = {}
    for leaf in leaves(data):
        files: Iterable[str] = ()
        if leaf.kind in ("patterns", "files", "file"):
            files = expand(leaf.text, base_dir, data_dirs, recursive=leaf.kind != "patterns")
        elif leaf.kind == "folder" and not has_scheme(leaf.text):
            files = [str(file) for file in sorted(resolve(leaf.text, base_dir, data_dirs).rglob("*"))]
        found.update((Path(file), None) for file in files if not has_scheme(file) and Path(file).is_file())
    return list(found)


def missing_files(
    data: Mapping[str, Any], recipes: Mapping[str, Recipe | None], base_dir: Path
) -> Iterator[PathProblem]:
    """Every path, glob and Python function of a spec that leads nowhere.

    Inputs below ``data:`` are checked against what their recipes will make, not against the disk.

    Args:
        recipes: None for one that is wrong.
    """
    for leaf in leaves(data):
        try:
            if leaf.kind == "python":
                yield from _missing_function(base_dir, leaf)
            elif leaf.text.startswith(_SYNTHESISED) and leaf.kind != "output":
                yield from _missing_synthesised(recipes, leaf)
            elif leaf.kind != "output" and not has_scheme(leaf.text):
                yield from _missing(recipes, base_dir, leaf)
        except (OSError, RuntimeError) as error:
            # Names too long for the file system, "~" of an unknown user, folders that may not be looked at.
            reason = getattr(error, "strerror", None) or error
            yield PathProblem(leaf.place, leaf.text, f"{leaf.text} cannot be looked up ({reason})")


def _missing(recipes: Mapping[str, Recipe | None], base_dir: Path, leaf: Leaf) -> Iterator[PathProblem]:
    path, literal = leaf.text, resolve(leaf.text, base_dir, {})
    globs, recursive = is_glob(path) and leaf.kind in ("patterns", "files"), leaf.kind != "patterns"
    if literal.is_dir() if leaf.kind == "folder" else literal.is_file():
        return
    if globs and any(_matching(resolve_pattern(path, base_dir, {}), recursive=recursive)):
        return
    wanted = "folder" if leaf.kind == "folder" else "file"
    below = "" if Path(path).expanduser().is_absolute() else f" in {base_dir}"
    if literal.exists():
        found = "a folder" if literal.is_dir() else "a file" if literal.is_file() else "a device or a pipe"
        message, near = f"{path} is {found}: expected a {wanted}", [f"{path.rstrip('/')}/*"] * literal.is_dir()
    elif globs:
        message = f"{path}: no file matches{below}{'' if recursive or '**' not in path else _ONE_LEVEL}"
        near = [f"data:{path}"] if path.partition("/")[0] in recipes else _near(literal)
    else:
        message, near = f"{path}: no such {wanted}{below}", _near(literal)
    yield PathProblem(leaf.place, path, message, near)


def _missing_synthesised(recipes: Mapping[str, Recipe | None], leaf: Leaf) -> Iterator[PathProblem]:
    path, recursive = leaf.text, leaf.kind != "patterns"
    name, _, below = path.removeprefix(_SYNTHESISED).partition("/")
    if name not in recipes:
        message = f"{path}: no input '{name}' under `data:` (defined there: {', '.join(recipes) or 'none'})"
        yield PathProblem(leaf.place, path, message, [f"{_SYNTHESISED}{other}/{below}" for other in recipes])
        return
    names = recipe.file_names() if (recipe := recipes[name]) is not None else []
    pattern = below if recursive else below.replace("**", "*")
    if leaf.kind == "folder":
        names, pattern = sorted({str(one) for file in names for one in PurePosixPath(file).parents}), below or "."
    if recipe is None or any(matches(file, pattern.rstrip("/")) for file in names):
        return
    level = "" if recursive or "**" not in below else _ONE_LEVEL
    message = f"{path}: no match among what `data: {name}` generates, such as {_SYNTHESISED}{name}/{names[-1]}{level}"
    near = [f"{_SYNTHESISED}{name}/{file}" for file in names[:_MOST_NEAR] if file != "."]
    yield PathProblem(leaf.place, path, message, near)


def _missing_function(base_dir: Path, leaf: Leaf) -> Iterator[PathProblem]:
    if (parts := split_reference(leaf.text)) is None:
        return
    file, function, arguments = parts
    path = resolve(file, base_dir, {})
    try:
        filled_call(arguments) if arguments else None
    except ValueError:
        message = f"{leaf.text}: expected arguments that are literals, as in make(224, mode='train')"
        yield PathProblem(leaf.place, leaf.text, message)
    if not path.is_file():
        near = [f"{name}:{function}" for name in _near(path) if name.endswith(".py")]
        yield PathProblem(leaf.place, leaf.text, f"{file}: no such file in {base_dir}", near)
        return
    try:
        message, names = missing_name(path, function, file) or ("", [])
    except UsageError as problem:
        message, names = str(problem).partition("\n")[0], []
    if message:
        yield PathProblem(leaf.place, leaf.text, message, [f"{file}:{name}" for name in names])


def _near(path: Path) -> list[str]:
    folder = path.parent
    return sorted(other.name for other in folder.iterdir())[:_MOST_NEAR] if folder.is_dir() else []


def matches(name: str, pattern: str) -> bool:
    """Whether a relative name matches a glob, in which ``**`` stands for any folders."""
    if "**" in pattern:
        return fnmatch.fnmatchcase(name, pattern) or fnmatch.fnmatchcase(name, pattern.replace("**/", ""))
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))
