"""The layout: rooms on disk, one direction of imports, TensorFlow in named folders only, modules of a readable size.

The checks of imports have tests that they can fail.
"""

import ast
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from source_trees import parsed, sources, statements

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
    # The outermost layer, beside cli: what `pipeprof.watch` measured in a notebook it shows there, as cli would.
    "api": {"cli", "profiles", "pipelines"},
}
# Folders whose modules import TensorFlow, and only inside functions: they run in a process of their own.
TENSORFLOW = (
    "pipelines/build", "pipelines/graph/observe", "pipelines/graph/costs", "pipelines/changes", "pipelines/data",
    "pipelines/steps", "profiles/worker", "api",
)  # fmt: skip
FRAMEWORKS = {"tensorflow", "tensorflow_datasets", "keras", "jax", "torch"}
# What start-up must not pay for: a command's module is imported when it is called.
SLOW = FRAMEWORKS | {"jinja2", "markupsafe", "numpy", "psutil", "pydantic", "rich", "yaml"}
STARTUP = re.compile(r"cli/(main|parser|options|config|formats|refused|streams|private)\.py|(api|cli)/__init__\.py")
MAX_LINES = 500
# Modules per room; `__init__.py` does not count.
MAX_MODULES = 13
# Commands are one module each, and so are the sections of a report.
LARGE_ROOMS = {"cli/commands", "cli/report"}
# The modules that lie in no room.
LOOSE = {
    "pipelines": {"errors", "addresses", "suggest", "clocks", "tables", "wire", "late", "units", "host_files"},
    "profiles": {"wording", "user_frames", "constants", "lines"},
    "cli": {
        "main", "parser", "options", "values", "config", "command_line", "output", "reports", "formats", "exit_codes",
        "streams", "private", "refused",
    },
}  # fmt: skip
GROUND = {"document", "protocol", "wording", "user_frames", "constants", "lines", "xplane"}
# The rooms of a package from the ground up: a room may import only rooms of the rows before its own.
ROWS = {
    "pipelines": (
        {"tables", "wire"},
        {"errors", "addresses", "suggest", "clocks", "late", "host_files"},
        {"meaning", "units"},
        {"target"},
        {"data", "graph", "steps"},
        {"spec"},
        {"build", "static"},
        {"changes"},
    ),
    "profiles": (
        GROUND,
        {"host", "redaction"},
        {"git"},
        {"doctor", "view", "time", "worker", "gaps"},
        {"memory"},
        {"advise"},
        {"harness"},
        {"experiment"},
        {"tries"},
        {"judge"},
    ),
}
# Rooms that start as a program of their own: which rooms of their package they may import; none imports them.
PROGRAMS = {"profiles": {"worker": GROUND | {"host"}}}


class Import(NamedTuple):
    """One imported module, where it is, whether importing the file imports it, and whether only type checkers do."""

    module: str
    line: int
    at_import: bool
    level: int
    for_types: bool


@cache
def imports_of(source: str) -> tuple[Import, ...]:
    """All imports of a module's text."""
    # An import is a statement; only the call of a function that imports stands anywhere.
    inner = ast.iter_child_nodes if "import_module" in source else statements
    return tuple(imports(parsed(source), inner))


def imports(
    tree: ast.AST, inner: Callable[[ast.AST], Iterable[ast.AST]], *, at_import: bool = True, for_types: bool = False
) -> Iterator[Import]:
    """All imports below a node; ``inner`` gives the nodes in one."""
    for node in inner(tree):
        if isinstance(node, ast.If) and is_for_types(node.test):
            yield from imports(ast.Module(node.orelse, []), inner, at_import=at_import, for_types=for_types)
            yield from imports(ast.Module(node.body, []), inner, at_import=at_import, for_types=True)
        elif isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno, at_import, 0, for_types) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if base != "pipeprof":
                yield Import(base, node.lineno, at_import, node.level, for_types)
            # `from package import module` names a module in the second half.
            for alias in node.names:
                yield Import(f"{base}.{alias.name}", node.lineno, at_import, node.level, for_types)
        else:
            match node:
                case ast.Call(func=ast.Attribute(attr="import_module"), args=[ast.Constant(value=str(name)), *_]):
                    yield Import(name, node.lineno, at_import, 0, for_types)
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, inner, at_import=at_import and not inside, for_types=for_types)


def is_for_types(test: ast.expr) -> bool:
    """Whether a condition holds for type checkers alone."""
    return isinstance(test, ast.Name | ast.Attribute) and ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


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


ENTRY = "api/__main__.py"
"""What `python -m pipeprof` runs: the command line by another name."""
OF_A_FRAMEWORK = {"api/keras.py": "keras"}
"""Modules that a user imports for a framework: they import it."""


def may_import_tensorflow(path: str) -> bool:
    return path.startswith(tuple(f"{folder}/" for folder in TENSORFLOW))


def problems(path: str, source: str) -> list[str]:
    """What is wrong with one module, as ``path:line: sentence``."""
    own = path.split("/", maxsplit=1)[0]
    found = []
    for item in imports_of(source):
        if item.for_types or item.module == "pipeprof.__version__":
            continue
        place = f"{path}:{item.line}:"
        top, package = item.module.split(".")[0], package_of(item.module)
        if item.level:
            found.append(f"{place} relative import")
        elif top in FOLDERS:
            found.append(f"{place} '{item.module}' is not importable by that name: pipeprof.{top}")
        elif package == "api" and own != "api":
            found.append(f"{place} {own} imports pipeprof itself, which is what users import")
        elif path == ENTRY and item.module.startswith("pipeprof.cli.main"):
            continue
        elif package not in {None, own} and package not in ALLOWED[own]:
            found.append(f"{place} {own} imports {item.module}: against cli → profiles → pipelines")
        elif top in FRAMEWORKS and OF_A_FRAMEWORK.get(path) == top:
            continue
        elif top in FRAMEWORKS and (item.at_import or not may_import_tensorflow(path)):
            found.append(f"{place} imports {top} " + ("at import" if item.at_import else "outside the worker"))
        elif item.at_import and top in SLOW and STARTUP.fullmatch(path):
            found.append(f"{place} imports {top} at import: every start of the command pays for it")
    if source.count("\n") > MAX_LINES:
        found.append(f"{path}: {source.count(chr(10))} lines, at most {MAX_LINES}: two subjects?")
    return list(dict.fromkeys(found))


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


def test_the_list_of_folders_with_tensorflow_names_only_folders():
    assert [folder for folder in TENSORFLOW if not (ROOT / folder).is_dir()] == []


def edges_of(modules: dict[str, str]) -> dict[str, set[str]]:
    """The modules that each module imports, also for types only; both named as ``profiles.view.view``.

    Args:
        modules: Sources by path.
    """
    # A package's own __init__, which is imported before its modules, imports nothing.
    names = {module_name(path) for path in modules if not path.endswith("/__init__.py")}
    found: dict[str, set[str]] = {}
    for path, source in modules.items():
        name = module_name(path)
        wanted = {item.module for item in imports_of(source)}
        found[short(name)] = {short(module) for module in (wanted & names) - {name}}
    return found


def short(module: str) -> str:
    return module.removeprefix("pipeprof.")


def room_of(module: str) -> str:
    """``view`` for ``profiles.view.view``."""
    return module.split(".")[1] if "." in module else ""


def against_the_rows(edges: dict[str, set[str]], rows: dict[str, tuple[set[str], ...]]) -> set[tuple[str, str]]:
    """The imports of a room that is in the same row or in one after it, and those of and by programs."""
    found = set()
    for module, imported in edges.items():
        package, own = module.partition(".")[0], room_of(module)
        for other in imported:
            room = room_of(other)
            if package not in rows or other.partition(".")[0] != package or room in ("", own) or own == "":
                continue
            programs = PROGRAMS.get(package, {})
            if own in programs:
                right = room in programs[own]
            else:
                right = room not in programs and row_of(room, rows[package]) < row_of(own, rows[package])
            both_ground = package == "profiles" and {own, room} <= GROUND
            if not (right or both_ground):
                found.add((module, other))
    return found


def row_of(room: str, rows: tuple[set[str], ...]) -> int:
    return next((number for number, row in enumerate(rows) if room in row), len(rows))


def circles(edges: dict[str, set[str]]) -> dict[str, list[str]]:
    """The folders whose parts, modules and folders, import each other in a circle, with one such circle."""
    found = {}
    folders = {module.rpartition(".")[0] for module in edges if "." in module}
    for folder in {".".join(name.split(".")[:depth]) for name in folders for depth in range(1, 9)}:
        parts: dict[str, set[str]] = {}
        for module, imported in edges.items():
            own = part_of(module, folder)
            if own is not None:
                parts.setdefault(own, set()).update({part_of(other, folder) for other in imported} - {own, None})
        if circle := cycle(parts):
            found[folder.replace(".", "/")] = circle
    return found


def part_of(module: str, folder: str) -> str | None:
    """The module or folder directly in a folder that a module is, or lies in."""
    return module.removeprefix(f"{folder}.").partition(".")[0] if module.startswith(f"{folder}.") else None


@pytest.fixture(scope="module")
def edges():
    return edges_of(sources())


def test_parts_of_a_folder_do_not_import_each_other_in_a_circle(edges):
    assert circles(edges) == {}


def test_rooms_import_only_rooms_of_the_rows_before_theirs(edges):
    found = against_the_rows(edges, ROWS)
    assert not found, "\n".join(map(" → ".join, sorted(found)))


def test_every_room_is_in_a_row():
    for package, rows in ROWS.items():
        on_disk = {room_of(short(module_name(path))) for path in sources() if path.startswith(f"{package}/")} - {""}
        assert on_disk <= set().union(*rows)


def test_rooms_are_small_and_no_module_lies_outside():
    modules = [path for path in sources() if not path.endswith("/__init__.py") and path.partition("/")[0] in LOOSE]
    counts = Counter(path.rpartition("/")[0] for path in modules)
    assert {room: count for room, count in counts.items() if count > MAX_MODULES and room not in LARGE_ROOMS} == {}
    may_lie_loose = {f"{package}/{name}.py" for package, names in LOOSE.items() for name in names}
    assert {path for path in modules if path.count("/") == 1} <= may_lie_loose


def test_no_class_name_stands_for_two_classes_of_a_package():
    counts = Counter(
        (path.partition("/")[0], node.name)
        for path, source in sources().items()
        for node in parsed(source).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {key for key, count in counts.items() if count > 1} == set()


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
        ("cli/parser.py", "import rich.console", "at import"),
        ("cli/commands/x.py", "def f():\n    import tensorflow", "outside the worker"),
        ("pipelines/build/dataset.py", "import tensorflow as tf", "at import"),
        ("pipelines/spec/x.py", "def f():\n    from tensorflow import data", "outside the worker"),
        ("pipelines/x.py", "def f():\n    return importlib.import_module('tensorflow')", "outside the worker"),
        ("pipelines/x.py", "class A:\n    try:\n        import tensorflow\n    except ImportError: ...", "at import"),
        ("pipelines/x.py", "x = 1\n" * (MAX_LINES + 1), "501 lines"),
        ("cli/commands/x.py", "def f():\n    import rich.console\n    from pipeprof.profiles import profile", ""),
        ("pipelines/build/dataset.py", "def f():\n    import tensorflow as tf", ""),
        ("pipelines/spec/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import tensorflow as tf", ""),
        ("profiles/x.py", "from pipeprof.pipelines.errors import PipeprofError\nimport pydantic", ""),
        ("profiles/x.py", "from pipeprof import __version__", ""),
    ],
)
def test_the_checks_see_what_they_are_for(path, source, expected):
    found = "\n".join(problems(path, source))
    assert expected in found
    assert bool(expected) == bool(found)


def test_circles_are_found():
    assert cycle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c", "a"]
    assert cycle({"a": {"b", "c"}, "b": {"c"}}) == []
    assert circles({"p.a.x": {"p.b.y"}, "p.b.z": {"p.a.v"}, "p.a.v": set(), "p.b.y": set()}) == {"p": ["a", "b", "a"]}
    assert circles({"p.a.x": {"p.b.y"}, "p.b.y": {"p.c"}, "p.c": set()}) == {}


def test_imports_for_types_count():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pipeprof.profiles.view.view import View"
    modules = {"profiles/host/x.py": source, "profiles/view/view.py": ""}
    assert edges_of(modules)["profiles.host.x"] == {"profiles.view.view"}


@pytest.mark.parametrize(
    ("module", "imported", "wrong"),
    [
        ("profiles.host.x", "profiles.view.view", True),
        ("profiles.view.x", "profiles.time.verdict", True),
        ("profiles.view.x", "profiles.host.limits", False),
        ("profiles.wording", "profiles.document.stages", False),
        ("profiles.worker.x", "profiles.host.limits", False),
        ("profiles.worker.x", "profiles.view.view", True),
        ("profiles.harness.x", "profiles.worker.sample", True),
        ("profiles.new.x", "profiles.view.view", False),
        ("profiles.view.x", "profiles.new.x", True),
        ("pipelines.meaning.x", "pipelines.spec.load", True),
        ("pipelines.spec.x", "pipelines.meaning.traits", False),
        ("pipelines.spec.load", "pipelines.build.dataset", True),
    ],
)
def test_imports_against_the_rows_are_found(module: str, imported: str, wrong: bool):
    assert against_the_rows({module: {imported}}, ROWS) == ({(module, imported)} if wrong else set())
