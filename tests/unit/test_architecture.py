"""The layout holds: rooms on disk, one direction of imports, TensorFlow only in workers, modules of a readable size."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {"api": "pipeprof", "cli": "pipeprof.cli", "profiles": "pipeprof.profiles", "pipelines": "pipeprof.pipelines"}
# Who may import whom, outside its own package.
ALLOWED = {
    "pipelines": set(),
    "profiles": {"pipelines"},
    "cli": {"profiles", "pipelines"},
    "api": {"profiles", "pipelines"},
}
# Modules that run in a process of their own; only there, and only inside functions, TensorFlow is imported.
WORKER = {
    "pipelines/build/dataset.py",
    "pipelines/data/makers/make_images.py",
    "pipelines/data/makers/make_tfrecord.py",
    "pipelines/graph/observe/source_lines.py",
    "pipelines/graph/observe/provenance.py",
    "pipelines/graph/observe/reading.py",
    "pipelines/graph/costs/snapshots.py",
    "pipelines/graph/observe/in_memory_sources.py",
    "pipelines/graph/observe/placeholder_source.py",
    "pipelines/build/signatures.py",
    "pipelines/build/tensors.py",
    "profiles/worker/describe_function.py",
    "profiles/worker/load_function.py",
    "profiles/worker/steps/headspace.py",
    "profiles/worker/memory/memory_log.py",
    "profiles/worker/trace/marked_dataset.py",
    "profiles/worker/sample.py",
    "profiles/worker/steps/batch_size.py",
    "profiles/worker/trace/trace.py",
}
FRAMEWORKS = {"tensorflow", "keras", "jax", "torch"}
# What start-up must not pay for: commands import these inside their functions.
SLOW = FRAMEWORKS | {"numpy", "psutil", "pydantic", "rich", "yaml"}
STARTUP = re.compile(r"cli/(main|commands/.*)\.py|(api|cli)/__init__\.py")
MAX_LINES = 500


class Import(NamedTuple):
    """One imported module, where it is and whether importing the file imports it."""

    module: str
    line: int
    at_import: bool
    level: int


def imports(tree: ast.AST, *, at_import: bool = True) -> Iterator[Import]:
    """All imports below a node; those only type checkers see are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            for other in node.orelse:
                yield from imports(ast.Module([other], []), at_import=at_import)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if base != "pipeprof":
                yield Import(base, node.lineno, at_import, node.level)
            # `from package import module` names a module in the second half.
            yield from (Import(f"{base}.{alias.name}", node.lineno, at_import, node.level) for alias in node.names)
        else:
            match node:
                case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                    yield Import(name, node.lineno, at_import, 0)
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, at_import=at_import and not inside)


def package_of(module: str) -> str | None:
    """``pipelines`` for ``pipeprof.pipelines.spec``; ``None`` outside pipeprof."""
    if module.split(".", maxsplit=1)[0] != "pipeprof":
        return None
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in FOLDERS else "api"


def module_name(path: str) -> str:
    """``pipeprof.cli.main`` for ``cli/main.py``, ``pipeprof.cli`` for ``cli/__init__.py``."""
    folder, _, rest = path.partition("/")
    parts = [FOLDERS[folder], *rest.removesuffix(".py").split("/")]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def problems(path: str, source: str) -> list[str]:
    """What is wrong with one module, as ``path:line: sentence``."""
    own = path.split("/", maxsplit=1)[0]
    found = []
    for item in imports(ast.parse(source)):
        if item.module == "pipeprof.__version__":
            continue
        place = f"{path}:{item.line}:"
        top, package = item.module.split(".")[0], package_of(item.module)
        if item.level:
            found.append(f"{place} relative import")
        elif top in FOLDERS:
            found.append(f"{place} '{item.module}' is not importable by that name: pipeprof.{top}")
        elif package == "api" and own != "api":
            found.append(f"{place} {own} imports pipeprof itself, which is what users import")
        elif package not in {None, own} and package not in ALLOWED[own]:
            found.append(f"{place} {own} imports {item.module}: against cli → profiles → pipelines")
        elif top in FRAMEWORKS and (item.at_import or path not in WORKER):
            found.append(f"{place} imports {top} " + ("at import" if item.at_import else "outside the worker"))
        elif (
            item.at_import and top in SLOW and re.fullmatch(r"cli/(main|commands/.*)\.py|(api|cli)/__init__\.py", path)
        ):
            found.append(f"{place} imports {top} at import: every start of the command pays for it")
    if source.count("\n") > MAX_LINES:
        found.append(f"{path}: {source.count(chr(10))} lines, at most {MAX_LINES}: two subjects?")
    return list(dict.fromkeys(found))


def sources() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def cycle(edges: dict[str, set[str]]) -> list[str]:
    """One cycle of a graph as the path round it, or an empty list."""
    done: set[str] = set()

    def walk(node: str, path: list[str]) -> list[str]:
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return []
        for other in sorted(edges.get(node, ())):
            found = walk(other, [*path, node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in sorted(edges) if (found := walk(node, []))), [])


def test_modules_keep_to_direction_and_size():
    modules = sources()
    assert len(modules) > 20
    found = [problem for path, source in modules.items() for problem in problems(path, source)]
    assert not found, "\n".join(found)


def test_the_list_of_worker_modules_names_only_those_that_need_to_be_there():
    modules = sources()
    needed = {
        path
        for path, source in modules.items()
        if any(item.module.split(".")[0] in FRAMEWORKS for item in imports(ast.parse(source)))
    }
    assert needed == WORKER


def test_no_module_imports_in_a_circle():
    modules = {module_name(path): source for path, source in sources().items()}
    edges = {
        name: {item.module for item in imports(ast.parse(source)) if item.module in modules} - {name}
        for name, source in modules.items()
    }
    # A package's own __init__ is imported before its modules: that is not a choice of the module.
    assert not cycle(edges), " → ".join(cycle(edges))


def test_top_level_shows_the_architecture():
    for folder in (
        *FOLDERS,
        "tests",
        "tests/unit",
        "tests/integration",
        "tests/golden",
        "examples",
        "benchmarks",
        "docs",
    ):
        assert (ROOT / folder).is_dir(), f"{folder}/ is part of the layout"
    assert not (ROOT / "pipeprof").exists(), "a folder called pipeprof would shadow the installed package"
    assert (ROOT / "api" / "py.typed").exists()


def test_pyproject_lists_the_packages_on_disk():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    on_disk = {
        ".".join([FOLDERS[folder], *path.parent.relative_to(ROOT / folder).parts])
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    assert set(options["packages"]) == on_disk
    assert options["package-dir"] == {package: folder for folder, package in FOLDERS.items()}
    assert all((ROOT / path.partition("/")[0]).is_dir() for path in sources())


@pytest.mark.parametrize(
    ("path", "source", "expected"),
    [
        ("pipelines/x.py", "from pipeprof.profiles.document.profile import Profile", "against"),
        ("pipelines/x.py", "def f():\n    import pipeprof.cli.main", "against"),
        ("profiles/x.py", "from pipeprof.cli import main", "against"),
        ("cli/x.py", "from pipeprof import apply", "imports pipeprof itself"),
        ("cli/x.py", "from . import main", "relative import"),
        ("cli/x.py", "from profiles import profile", "not importable by that name"),
        ("cli/commands/x.py", "import rich.console", "at import"),
        ("cli/commands/x.py", "def f():\n    import tensorflow", "outside the worker"),
        ("pipelines/build/dataset.py", "import tensorflow as tf", "at import"),
        ("pipelines/spec/x.py", "def f():\n    from tensorflow import data", "outside the worker"),
        ("pipelines/x.py", "def f():\n    return importlib.import_module('tensorflow')", "outside the worker"),
        ("pipelines/x.py", "class A:\n    try:\n        import tensorflow\n    except ImportError: ...", "at import"),
        ("pipelines/x.py", "x = 1\n" * (MAX_LINES + 1), "501 lines"),
    ],
)
def test_the_checks_see_what_they_are_for(path, source, expected):
    assert expected in "\n".join(problems(path, source))


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("cli/commands/x.py", "def f():\n    import rich.console\n    from pipeprof.profiles import profile"),
        ("pipelines/build/dataset.py", "def f():\n    import tensorflow as tf"),
        ("pipelines/spec/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow as tf"),
        ("profiles/x.py", "from pipeprof.pipelines.errors import PipeprofError\nimport pydantic"),
        ("profiles/x.py", "from pipeprof import __version__"),
    ],
)
def test_the_checks_let_pass_what_is_right(path, source):
    assert problems(path, source) == []


def test_circles_are_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "a"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}}) == []
