"""What the commands take as TARGET: a spec, or a function in a Python file or module."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.modules import find_module, is_module_name
from pipeprof.pipelines.near import suggestion

_SPEC_SUFFIXES = (".yaml", ".yml")
_LISTED = 10


@dataclass(frozen=True)
class Target:
    """A spec, or a function that returns a dataset.

    Attributes:
        kind: Which of the two.
        path: The spec, or the file that defines the function.
        function: The function's name.
        module: The dotted name that the file is to be imported by, if it was given as one.
        arguments: Names and texts of ``--arg``, in the order given.
    """

    kind: Literal["spec", "function"]
    path: Path
    function: str | None = None
    module: str | None = None
    arguments: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.module or self.path}:{self.function}" if self.function else str(self.path)


def parse_target(text: str) -> Target:
    """The target that ``text`` names; the file exists and defines the function, though nothing has been imported.

    Raises:
        UsageError: Not ``spec.yaml``, ``file.py:function`` or ``package.module:function``, or no such file, module or
            function.
    """
    file, colon, function = text.rpartition(":")
    if colon and file.endswith(".py"):
        return _function_target(_existing(file), function)
    if colon and is_module_name(file) and not file.endswith(_SPEC_SUFFIXES):
        return _function_target(find_module(file), function, file)
    if text.endswith(".py"):
        path = _existing(text)
        msg = f"got {text}, expected a function in it, as {text}:function; {_listing(path)}"
        raise UsageError(msg)
    if text.endswith(_SPEC_SUFFIXES):
        return Target("spec", _existing(text))
    if Path(text).is_dir():
        msg = f"got the folder {text}, expected spec.yaml, file.py:function or package.module:function"
        raise UsageError(msg)
    msg = f"got {text!r}, expected spec.yaml (or .yml), file.py:function or package.module:function"
    raise UsageError(msg + suggestion(text, _specs_near(text)))


def listed_file(text: str) -> Path | None:
    """The file of ``file.py:`` or ``package.module:``, which asks what there is; `None` for any other target.

    Raises:
        UsageError: There is no such file or module.
    """
    file = text.removesuffix(":")
    if file == text:
        return None
    if file.endswith(".py"):
        return _existing(file)
    return find_module(file) if is_module_name(file) else None


def _specs_near(text: str) -> list[str]:
    folder = Path(text).parent
    if not folder.is_dir():
        return []
    return [str(folder / path.name) for path in sorted(folder.iterdir()) if path.suffix in (*_SPEC_SUFFIXES, ".py")]


def _existing(text: str) -> Path:
    path = Path(text)
    if path.is_file():
        return path
    if path.is_dir():
        msg = f"got the folder {text}, expected a file"
        raise UsageError(msg)
    msg = f"got {text}, which does not exist"
    raise UsageError(msg + suggestion(text, _specs_near(text)))


def _function_target(path: Path, function: str, module: str | None = None) -> Target:
    name = module or str(path)
    if not function:
        msg = f"got {name}: without a function, expected {name}:function; {_listing(path)}"
        raise UsageError(msg)
    functions = top_level_functions(path)
    if function not in functions:
        msg = f"got the function {function!r}, which {path} does not define{suggestion(function, functions)}"
        raise UsageError(msg if suggestion(function, functions) else f"{msg}; {_listing(path)}")
    return Target("function", path, function, module)


def _listing(path: Path) -> str:
    functions = top_level_functions(path)
    if not functions:
        return "it defines no functions"
    more = ", …" if len(functions) > _LISTED else ""
    return f"it defines {', '.join(functions[:_LISTED])}{more}"


def top_level_functions(path: Path) -> list[str]:
    """Names that a Python file binds to functions at its top level (also by ``from … import`` and ``name = …``).

    The file is read, not run.

    Raises:
        UsageError: It cannot be read or is no Python.
    """
    return list(dict.fromkeys(_bound(parse_file(path).body)))


def parse_file(path: Path) -> ast.Module:
    """A Python file as a tree.

    Raises:
        UsageError: It cannot be read or is no Python.
    """
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except OSError as problem:
        msg = f"{path} cannot be read: {problem.strerror or problem}"
        raise UsageError(msg) from problem
    except (SyntaxError, ValueError) as problem:
        line = getattr(problem, "lineno", None)
        place = f"{path}:{line}" if line else str(path)
        msg = f"{place} is no Python that can be run here: {getattr(problem, 'msg', None) or problem}"
        raise UsageError(msg) from problem


def _bound(statements: Iterable[ast.stmt]) -> Iterable[str]:
    for statement in statements:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement.name
        elif isinstance(statement, ast.Assign):
            # A function may be made by a call or a lambda, though not by a literal.
            if isinstance(statement.value, ast.Call | ast.Lambda | ast.Name | ast.Attribute):
                yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
        elif isinstance(statement, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in statement.names if alias.name != "*")
        elif isinstance(statement, ast.If | ast.Try | ast.With):
            yield from _bound(statement.body)
            yield from _bound(getattr(statement, "orelse", []))


def import_file(path: Path, module_name: str) -> ModuleType:
    """Run a Python file as the module ``module_name``, once; its folder is on ``sys.path`` as if it were a script.

    Raises:
        BaseException: Whatever the file raises, as it is.
    """
    path = path.resolve()
    present = sys.modules.get(module_name)
    if present is not None and getattr(present, "__file__", None) == str(path):
        return present
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        msg = f"got {path}, expected a Python file"
        raise UsageError(msg)
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[module_name]
        raise
    return module


def module_name_of(path: Path) -> str:
    """The file's stem, as ``import stem`` beside it would find it, unless that is the name of another module."""
    stem = path.stem
    if getattr(sys.modules.get(stem), "__file__", None) == str(path.resolve()):
        return stem
    if stem.isidentifier() and stem not in sys.modules and stem not in sys.stdlib_module_names:
        found = importlib.util.find_spec(stem)
        if found is None or found.origin == str(path.resolve()):
            return stem
    return f"_pipeprof_target_{''.join(letter if letter.isalnum() else '_' for letter in stem)}"


def load_function(target: Target) -> Callable[..., Any]:
    """Import the file of a function target and give the function; in the worker only, it runs the user's code.

    Raises:
        UsageError: The target is a spec, or the name does not stand for a function once the file has run.
        BaseException: Whatever the file raises, as it is.
    """
    if target.kind != "function" or target.function is None:
        msg = f"got {target}, expected file.py:function or package.module:function"
        raise UsageError(msg)
    if target.module is not None:
        module = _import_module(target.module, target.path)
    else:
        module = import_file(target.path, module_name_of(target.path))
    function = getattr(module, target.function, None)
    if not callable(function):
        found = "not there" if function is None else "no function"
        msg = f"got {target}, but {target.function} is {found} once the file has run"
        raise UsageError(msg)
    return function  # type: ignore[no-any-return]  # callable, as was just seen


def _import_module(name: str, path: Path) -> ModuleType:
    """Import a module as the user's own code would, with the current directory on the path as for ``python -m``."""
    here = str(Path.cwd())
    if not {"", here} & set(sys.path):
        sys.path.insert(0, here)
    module = importlib.import_module(name)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        msg = f"got {name}, found as {path}, but Python imports {found or 'something else'} by that name; rename one"
        raise UsageError(msg)
    return module
