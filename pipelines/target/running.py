"""Running of the user's files: each once, as Python itself would, with what the user's code expects around it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import linecache
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import wraps
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.suggest import did_you_mean
from pipeprof.pipelines.target.modules import name_in_package, put_first, top_folder
from pipeprof.pipelines.target.names_in_file import parse_file
from pipeprof.pipelines.target.target import ParsedTarget
from pipeprof.pipelines.target.user_files import is_users

LOADER = "tensorflow.python.autograph.pyct.loader"
_guards: list[Callable[[], AbstractContextManager[object]]] = []
_running: list[None] = []


def guard_imports(guard: Callable[[], AbstractContextManager[object]]) -> None:
    """Have every import of a user's file run within what `guard` returns; by default nothing stands around it."""
    _guards[:] = [guard]


@contextmanager
def importing() -> Iterator[None]:
    """An import of a user's file; one within another is a part of it."""
    if _running or not _guards:
        yield
        return
    _running.append(None)
    try:
        with _guards[0]():
            yield
    finally:
        _running.pop()


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
    if is_dataset(found):
        return lambda: found
    if not callable(found):
        what = "not defined" if found is None else f"not a function ({type(found).__name__})"
        raise UsageError(f"{target}: {target.function} is {what} after the file has run{near}")
    return found  # type: ignore[no-any-return]  # callable, as was just seen


def is_dataset(value: object) -> bool:
    """Whether a value is a dataset of TensorFlow's, which need not be loaded."""
    return any(base.__name__ == "DatasetV2" for base in type(value).__mro__)


def import_file(path: Path, module_name: str) -> ModuleType:
    """Run a Python file as the module ``module_name``, once; its folder is on ``sys.path`` as if it were a script.

    A file that has already run is not run again, whatever its name: registrations, such as flags, fail the second time.
    A file of a package with relative imports is imported by its name in the package.
    """
    path = path.resolve()
    # The module that the file was run as. Lazy modules, which load on attribute access, are not triggered.
    loaded = [(key, one) for key, one in [*sys.modules.items()] if isinstance(one, ModuleType)]
    found = {key: one for key, one in loaded if object.__getattribute__(one, "__dict__").get("__file__") == str(path)}
    found.pop("__main__", None)
    present = found.get(module_name) or next(iter(found.values()), None)
    if present is not None:
        return present
    if (path.parent / "__init__.py").is_file() and any(getattr(one, "level", 0) for one in parse_file(path).body):
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


def _import_by_name(name: str, path: Path) -> ModuleType:
    with importing():
        module = importlib.import_module(name)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != path.resolve():
        msg = f"{name} is {path}, but Python imports {found or 'something else'} by that name: rename one of them"
        raise UsageError(msg)
    return module


def leave_defaults() -> list[str]:
    """Set the absl flags of the user's files to their defaults, which only scripts parse; return their names."""
    flags = getattr(sys.modules.get("absl.flags"), "FLAGS", None)
    if flags is None or flags.is_parsed():
        return []
    modules = flags.flags_by_module_dict()
    files = {module: getattr(sys.modules.get(module), "__file__", None) or "<unknown>" for module in modules}
    names = [f"--{flag.name}" for module in modules if is_users(files[module]) for flag in modules[module]]
    if names:
        flags.mark_as_parsed()
    return names


def delete_generated_files() -> None:
    """From now on, delete each file that AutoGraph generates as soon as it is imported.

    AutoGraph does so when Python exits, and a worker that is killed does not exit so. Does nothing where TensorFlow is
    not loaded, or loads generated code in another way.
    """
    loader = sys.modules.get(LOADER)
    load_source = getattr(loader, "load_source", None)
    if load_source is None or hasattr(load_source, "__wrapped__"):
        return

    @wraps(load_source)
    def load_and_delete(source: str, *arguments: object, **named: object) -> tuple[ModuleType, str]:
        module, file = load_source(source, *arguments, **named)
        # Tracebacks and `inspect` read it. An entry that has no time is kept when its file is gone.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        for written in (file, getattr(module, "__cached__", None)):
            if written is not None:
                with contextlib.suppress(OSError):
                    Path(written).unlink()
        return module, file

    loader.load_source = load_and_delete  # type: ignore[union-attr]
