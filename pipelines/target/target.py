"""Targets of commands: a spec, a function in a Python file or module, or a training script."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import broken_link, did_you_mean
from pipeprof.pipelines.target.bindings import Bindings, bindings_of, parse_file, read_bindings, relative_import
from pipeprof.pipelines.target.import_path import put_first
from pipeprof.pipelines.target.importing import importing
from pipeprof.pipelines.target.modules import find_module, is_module_name, name_in_package, top_folder

STDIN = "-"
"""A spec on standard input."""
_SPEC_SUFFIXES = (".yaml", ".yml")
_LISTED = 10


@dataclass(frozen=True)
class ParsedTarget:
    """A spec, a function that returns a dataset, or a training script."""

    kind: Literal["spec", "function", "script"]
    path: Path
    function: str | None = None
    module: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.module or self.path}:{self.function}" if self.function else str(self.path)


def parse_target(text: str, *, scripts: bool = False) -> ParsedTarget:
    """Parse a target and check, without an import, that its file exists and defines the function.

    Raises:
        UsageError: Not ``spec.yaml``, ``file.py:function`` or ``package.module:function``, or no such file, module or
            function.
    """
    if text == STDIN:
        return ParsedTarget("spec", Path(text))
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _function_target(_existing_path(file), function)
    if file.endswith(".ipynb") or text.endswith(".ipynb"):
        raise UsageError(
            f"{file if file.endswith('.ipynb') else text} is a notebook: measure its training from a cell, with "
            '`with pipeprof.watch("out.json"):` around it; or save a function that returns a dataset in a Python file '
            "and use file.py:function"
        )
    if colon and is_module_name(file) and not file.endswith(_SPEC_SUFFIXES):
        return _function_target(find_module(file), function, file)
    if text.endswith(".py"):
        path = _existing_path(text)
        if scripts:
            parse_file(path)
            return ParsedTarget("script", path)
        raise UsageError(f"missing function: use {text}:function; {_listing(bindings_of(path))}")
    if text.endswith(_SPEC_SUFFIXES):
        return ParsedTarget("spec", _existing_path(text))
    if text and Path(text).is_dir():
        expected = "expected spec.yaml, file.py:function or package.module:function"
        raise UsageError(f"{text} is a folder: {expected}; pipeprof init --from {text} writes a spec that reads it")
    msg = f"invalid target {text!r}: expected spec.yaml (or .yml), file.py:function or package.module:function"
    meant = _suggested_target(text)
    raise UsageError(msg + (f" — did you mean {meant}?" if meant else did_you_mean(text, _specs_near(text))))


def _suggested_target(text: str) -> str | None:
    file, _, function = text.rpartition(":")
    dotted, _, last = text.rpartition(".")
    written = [text.replace("::", ":"), f"{file}.py:{function}"]
    if is_module_name(text) and dotted:
        written += [f"{dotted}:{last}", f"{dotted.replace('.', '/')}.py:{last}"]
    for other_name in written:
        path, _, name = other_name.rpartition(":")
        if other_name != text and name and path.endswith(".py") and Path(path).is_file():
            return other_name
    return None


def listed_file(text: str, *, scripts: bool = False) -> Path | None:
    """Return the file of ``file.py:``, ``file.py`` or ``package.module:``, to list; `None` for other targets."""
    file = text.removesuffix(":")
    if file.endswith(".py"):
        if scripts and file == text:
            return None
        return _existing_path(file)
    if file == text:
        return None
    return find_module(file) if is_module_name(file) else None


def _specs_near(text: str) -> list[str]:
    folder = Path(text).parent
    try:
        names = sorted(path.name for path in folder.iterdir() if path.suffix in (*_SPEC_SUFFIXES, ".py"))
    except OSError:
        return []
    return [str(folder / name) for name in names]


def _existing_path(text: str) -> Path:
    path = Path(text)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(broken_link(path) or f"{text}: no such file{did_you_mean(text, _specs_near(text))}") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"{text}: cannot be read ({why.lower()})") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise UsageError(f"{text} is {kind}: expected a file")
    return path


def _function_target(path: Path, function: str, module: str | None = None) -> ParsedTarget:
    name = module or str(path)
    tree = parse_file(path)
    found = read_bindings(tree)
    if not function:
        raise UsageError(f"missing function: use {name}:function; {_listing(found)}")
    wrong = _why_not(name, function, found)
    if wrong is not None:
        raise UsageError(wrong)
    relative = relative_import(tree) if module is None else None
    if relative is not None:
        raise UsageError(
            f"{path}:{relative.lineno} uses a relative import, so the file cannot run on its own: "
            f"use {_within_package(path, function)}"
        )
    return ParsedTarget("function", path, function, module)


def _why_not(file: str, function: str, found: Bindings) -> str | None:
    name, _, method = function.partition(".")
    bound = found.of(name)
    if not bound:
        if found.open and all(part.isidentifier() for part in function.split(".")):
            return None
        names = [binding.name for binding in found.all if binding.kind not in ("module", "value")]
        said = f"no function {function!r} in {file}"
        return said + (did_you_mean(function, dict.fromkeys(names)) or f"; {_listing(found)}")
    if all(binding.script for binding in bound):
        return f"{file}:{bound[0].line} defines {name} only when it runs as a script: move it out of that `if`"
    last = bound[-1]
    if last.kind in ("value", "module") and not method:
        return f"{function!r} is not a function: see {file}:{last.line}; {_listing(found)}"
    if isinstance(last.node, ast.ClassDef):
        return _why_not_of_class(file, function, last.node)
    return None


def _why_not_of_class(file: str, function: str, node: ast.ClassDef) -> str | None:
    """Return why a class cannot be a target; `None` if a call of it, or of its static methods, may return a dataset."""
    help_ = "write a function that creates the object and returns its dataset"
    name, _, method = function.partition(".")
    methods = {
        statement.name: statement
        for statement in node.body
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    if not method:
        plain = not node.bases and not node.keywords and "__new__" not in methods
        return f"{name} is a class ({file}:{node.lineno}), not a function: {help_}" if plain else None
    if "." in method:
        return None
    if method not in methods:
        near = did_you_mean(method, methods)
        return None if node.bases else f"no method {method!r} in the class {name} ({file}:{node.lineno}){near}"
    marks = {ast.unparse(expression) for expression in methods[method].decorator_list}
    if marks & {"staticmethod", "classmethod"}:
        return None
    return f"{function!r} ({file}:{methods[method].lineno}) needs an instance of its class: {help_}"


def _within_package(path: Path, function: str) -> str:
    """Return the target's name within its package, and the folder to run it from."""
    name, folder = name_in_package(path)
    if "." not in name and path.stem != "__init__":
        return f"package.module:{function}, from the folder that contains the package"
    return f"{name}:{function}" + (f", from {folder}" if folder != Path.cwd() else "")


def _listing(found: Bindings) -> str:
    functions = found.defined()
    if not functions:
        return "it defines no functions"
    more = ", …" if len(functions) > _LISTED else ""
    return f"it defines {', '.join(functions[:_LISTED])}{more}"


def import_file(path: Path, module_name: str) -> ModuleType:
    """Run a Python file as the module ``module_name``, once; its folder is on ``sys.path`` as if it were a script.

    A file that has already run is not run again, whatever its name: registrations, such as flags, fail the second time.
    A file with relative imports is imported by its name in its package.
    """
    path = path.resolve()
    # The module that the file was run as. Lazy modules, which load on attribute access, are not triggered.
    loaded = [(key, one) for key, one in [*sys.modules.items()] if isinstance(one, ModuleType)]
    found = {key: one for key, one in loaded if object.__getattribute__(one, "__dict__").get("__file__") == str(path)}
    found.pop("__main__", None)
    present = found.get(module_name) or next(iter(found.values()), None)
    if present is not None:
        return present
    if relative_import(parse_file(path)) is not None and (path.parent / "__init__.py").is_file():
        name, top = name_in_package(path)
        put_first(top)
        return _import_by_name(name, path)
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file")
    put_first(path.parent)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        with importing():
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def module_name_of(path: Path) -> str:
    """Return the file's stem, as ``import stem`` in its folder would find it, unless another module has that name."""
    stem = path.stem
    if getattr(sys.modules.get(stem), "__file__", None) == str(path.resolve()):
        return stem
    if stem.isidentifier() and stem not in sys.modules and stem not in sys.stdlib_module_names:
        found = importlib.util.find_spec(stem)
        if found is None or found.origin == str(path.resolve()):
            return stem
    return f"_pipeprof_target_{''.join(letter if letter.isalnum() else '_' for letter in stem)}"


def load_function(target: ParsedTarget) -> Callable[..., Any]:
    """Import the file of a function target and return the function; runs the user's code, so only in the worker.

    Raises:
        UsageError: The target is a spec, or the name does not stand for a function once the file has run.
    """
    if target.kind != "function" or target.function is None:
        raise UsageError(f"invalid target {target}: expected file.py:function or package.module:function")
    if target.module is not None:
        top = top_folder(target.module, target.path).parent
        put_first(top if top == Path.cwd().resolve() else None)
        module = _import_by_name(target.module, target.path)
    else:
        module = import_file(target.path, module_name_of(target.path))
    found: Any = module
    near = ""
    for part in target.function.split("."):
        near = did_you_mean(part, dir(found)) if not hasattr(found, part) else ""
        found = getattr(found, part, None)
    if any(base.__name__ == "DatasetV2" for base in type(found).__mro__):
        return lambda: found
    if not callable(found):
        what = "not defined" if found is None else f"not a function ({type(found).__name__})"
        raise UsageError(f"{target}: {target.function} is {what} after the file has run{near}")
    return found  # type: ignore[no-any-return]  # callable, as was just seen


def _import_by_name(name: str, path: Path) -> ModuleType:
    with importing():
        module = importlib.import_module(name)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        msg = f"{name} is {path}, but Python imports {found or 'something else'} by that name: rename one of them"
        raise UsageError(msg)
    return module
