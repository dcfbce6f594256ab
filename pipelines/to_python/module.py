"""Parts of a rendered Python file: imports, constants, functions, and their names."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePath

from pipeprof.pipelines.inference.pipeline import element_specs
from pipeprof.pipelines.inference.sources import ElementInfo
from pipeprof.pipelines.inference.tensor.shapes import Structure
from pipeprof.pipelines.ops.base import Op
from pipeprof.pipelines.ops.values.python_ref import PythonRef
from pipeprof.pipelines.spec.loader import LoadedSpec
from pipeprof.pipelines.spec.yaml.writer import flow
from pipeprof.pipelines.to_python.code import call, comment, slug, statement, text, unique

_LIBRARIES = frozenset({"tensorflow", "numpy", "keras", "jax", "torch", "tensorflow_datasets"})
_STANDARD = ("import csv", "import functools", "import glob", "import importlib", "import math", "import sys")
_LOAD_FUNCTION = """\
def load_function(path, name):
    # A function of a file whose name cannot be imported.
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)"""


@dataclass
class Module:
    """A Python file while it is written."""

    loaded: LoadedSpec
    folder: Path
    """Folder of the future file; references to the spec's folder are relative to it."""
    data_dirs: Mapping[str, Path]
    imports: set[str] = field(default_factory=set)
    constants: list[list[str]] = field(default_factory=list)
    functions: list[list[str]] = field(default_factory=list)
    taken: set[str] = field(default_factory=lambda: {"make_dataset", "load_function"})
    _written: dict[str, str] = field(default_factory=dict)
    _folders: dict[str, str] = field(default_factory=dict)
    _stems: dict[str, str] = field(default_factory=dict)
    _added_paths: list[str] = field(default_factory=list)
    _from_files: dict[str, list[str]] = field(default_factory=dict)

    @cached_property
    def _elements(self) -> dict[str, ElementInfo]:
        return element_specs(self.loaded.spec, self.loaded.base_dir, strict=True)

    @cached_property
    def _addresses(self) -> dict[int, str]:
        return {id(placed.op): placed.address for placed in self.loaded.spec.placed()}

    def elements(self, op: Op) -> Structure:
        """Return the elements after a source or stage; None where only a run shows them."""
        return self._structure(self._addresses.get(id(op), ""))

    def elements_before(self, stage: Op) -> Structure:
        """Return the elements before a stage; None where only a run shows them."""
        *pipeline, index = self._addresses[id(stage)].split(".")
        return self._structure(".".join([*pipeline, str(int(index) - 1)] if int(index) else [*pipeline[:-1], "source"]))

    def _structure(self, address: str) -> Structure:
        info = self._elements.get(address)
        return None if info is None else info.structure

    def name(self, wanted: str) -> str:
        """Reserve a name at the top level."""
        chosen = unique(wanted, self.taken)
        self.taken.add(chosen)
        return chosen

    def constant(self, wanted: str, node: str) -> str:
        """Add a constant at the top of the file and return its name; equal values share one."""
        if node not in self._written:
            name = self.name(slug(wanted, "constant").upper())
            self._written[node] = name
            self.constants.append(statement(f"{name} = ", node))
        return self._written[node]

    def maker(self, identity: int, wanted: str, node: str) -> str:
        """Add an object that is created once, such as a layer, and return its name."""
        key = f"maker {identity}"
        if key not in self._written:
            self._written[key] = self.name(wanted)
            self.functions.append(statement(f"{self._written[key]} = ", node))
        return self._written[key]

    def helper(self, name: str, lines: str) -> None:
        """A function that the file needs for itself."""
        if name not in self._written:
            self._written[name] = name
            self.taken.add(name)
            self.functions.insert(0, lines.splitlines())

    def here(self) -> str:
        """Return the variable with the spec's folder."""
        if "HERE" not in self._folders:
            self.imports.add("from pathlib import Path")
            self.constants.insert(0, statement("HERE = ", _relative(self.loaded.base_dir, self.folder)))
            self._folders["HERE"] = "HERE"
        return "HERE"

    def data_folder(self, name: str) -> str:
        """Return the variable with the folder of an input that pipeprof makes."""
        if name not in self._folders:
            self.imports.add("from pathlib import Path")
            recipe = flow(self.loaded.data.get("data", {}).get(name))
            note = comment(f"The input {name} of the spec, which `pipeprof run {self.loaded.path.name}` makes:")
            chosen = self.name(slug(name, "data").upper())
            made = statement(f"{chosen} = ", _shown_folder(self.data_dirs[name]))
            self.constants.append([*note, *comment(recipe), *made])
            self._folders[name] = chosen
        return self._folders[name]

    def python(self, reference: PythonRef) -> str:
        """Return the name of a user's function, which is imported from its file; of a call, the name of its result."""
        key = f"python {reference}"
        if key not in self._written:
            first, *attributes = reference.function.split(".")
            found = ".".join([self._imported(reference.file, first), *attributes])
            filled = reference.call
            if filled is not None:
                positional, named = map(repr, filled.positional), {key: repr(at) for key, at in filled.named.items()}
                if filled.partial:
                    self.imports.add("import functools")
                    found = call("functools.partial", found, *positional, **named)
                else:
                    found = call(found, *positional, **named)
                name = self.name(slug(f"{attributes[-1] if attributes else first}_filled", "function"))
                self.functions.append(statement(f"{name} = ", found))
                found = name
            self._written[key] = found
        return self._written[key]

    def _imported(self, file: str, function: str) -> str:
        key = f"imported {file}:{function}"
        if key in self._written:
            return self._written[key]
        path = (self.loaded.base_dir / Path(file).expanduser()).resolve()
        stem = path.stem
        importable = (
            stem.isidentifier() and slug(stem) == stem.lower() and self._stems.get(stem, str(path)) == str(path)
        )
        if importable and stem not in sys.stdlib_module_names and stem not in _LIBRARIES:
            self._stems[stem] = str(path)
            self._add_path(path.parent)
            name = unique(function, self.taken)
            self.taken.add(name)
            renamed = "" if name == function else f" as {name}"
            self._from_files.setdefault(stem, []).append(f"{function}{renamed}")
        else:
            self.imports |= {"import importlib.util", "from pathlib import Path"}
            self.helper("load_function", _LOAD_FUNCTION)
            here = self.loaded.base_dir.resolve()
            inside = path.relative_to(here).as_posix() if path.is_relative_to(here) else None
            shown = f"{self.here()} / {text(inside)}" if inside is not None else f"Path({text(str(path))})"
            name = self.name(function)
            self.functions.append(statement(f"{name} = ", f"load_function({shown}, {text(function)})"))
        self._written[key] = name
        return name

    def _add_path(self, folder: Path) -> None:
        if folder == self.folder.resolve():
            return
        here = self.loaded.base_dir.resolve()
        inside = folder.relative_to(here).parts if folder.is_relative_to(here) else None
        shown = f"str({self.here()}{''.join(f' / {text(part)}' for part in inside)})" if inside is not None else None
        line = f"sys.path.insert(0, {shown or text(str(folder))})"
        if line not in self._added_paths:
            self.imports.add("import sys")
            self._added_paths.append(line)

    def header(self) -> list[str]:
        """Return imports and constants, in the order that a formatter keeps."""
        standard = sorted(import_ for import_ in self.imports if import_.startswith(_STANDARD))
        standard += sorted(import_ for import_ in self.imports if import_ == "from pathlib import Path")
        third = sorted(self.imports - set(standard) | {"import tensorflow as tf"})
        blocks = [[*standard], [*third]]
        own = [f"from {stem} import {', '.join(sorted(names))}" for stem, names in sorted(self._from_files.items())]
        constants = [line for block in self.constants for line in block]
        if self._added_paths:
            here = [self.constants[0]] if "HERE" in self._folders else []
            own = [f"{line}  # noqa: E402" for line in own]
            constants = [line for block in self.constants[len(here) :] for line in block]
            blocks += [[*(here[0] if here else []), *self._added_paths], own, constants]
        else:
            blocks += [own, constants]
        return [line for block in blocks if block for line in (*block, "")][:-1]


def _relative(target: Path, folder: Path) -> str:
    """Return the expression of the spec's folder relative to the file."""
    folder, target = folder.resolve(), target.resolve()
    if folder == target:
        return "Path(__file__).resolve().parent"
    common = next(parent for parent in (folder, *folder.parents) if target.is_relative_to(parent))
    ups = len(folder.parts) - len(common.parts)
    start = f"Path(__file__).resolve().parents[{ups}]" if ups else "Path(__file__).resolve().parent"
    below = target.relative_to(common).as_posix()
    return start if below == "." else f"{start} / {text(below)}"


def _shown_folder(folder: PurePath) -> str:
    home = Path.home()
    if folder.is_relative_to(home) and str(home) != "/":
        return f"Path({text('~/' + folder.relative_to(home).as_posix())}).expanduser()"
    return call("Path", text(str(folder)))


def function_lines(name: str, parameters: Sequence[str], body: Sequence[str]) -> list[str]:
    """Return the lines of a function."""
    return [*statement("def ", call(name, *parameters), ":"), *(f"    {line}" if line else "" for line in body)]
