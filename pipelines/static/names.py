"""Meaning of the names in a Python file's text: its functions, classes, objects and imports; nothing is run.

What is imported from the user's other files is looked up in their texts.

Nothing is guessed: a name that may have several values has none. How far one value leads to the next is limited, so
that any file ends.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.target.bindings import bindings_of
from pipeprof.pipelines.target.modules import name_in_package


class Place(NamedTuple):
    """Target of a dotted name.

    Attributes:
        file: The last module in it.
        rest: The names in that file; none for the module itself.
    """

    file: Path
    rest: tuple[str, ...]


@dataclass
class ModuleFiles:
    """The modules next to a file, and those of the packages that it lies in.

    Attributes:
        folders: Where modules are looked for, in this order.
    """

    folders: tuple[Path, ...]
    _found: dict[str, Place | None] = field(default_factory=dict)

    @classmethod
    def around(cls, path: Path) -> ModuleFiles:
        """Return the modules that a program can import which starts with a file."""
        return cls(tuple(dict.fromkeys((path.parent, name_in_package(path)[1]))))

    def find(self, name: str) -> Place | None:
        """Find the place of a dotted name; None if no file of the user's has it."""
        if name not in self._found:
            parts = name.split(".")
            places = (_place(folder, parts) for folder in self.folders)
            found = next((place for place in places if place is not None), None)
            self._found[name] = found if parts[0] not in sys.builtin_module_names else None
        return self._found[name]


def _place(folder: Path, parts: list[str]) -> Place | None:
    found = None
    for number, part in enumerate(parts):
        package, module = folder / part / "__init__.py", folder / f"{part}.py"
        file = package if package.is_file() else module if module.is_file() else None
        if file is not None:
            found = Place(file, tuple(parts[number + 1 :]))
        if file == module or not (folder / part).is_dir():
            break
        folder /= part
    return found


def absolute_name(path: Path, module: str | None, level: int) -> str | None:
    """Return the name of a module that a file imports by ``from .module import``; None if no package holds it.

    Args:
        module: What stands after the dots.

    Example:
        >>> absolute_name(Path("no_package/input.py"), "tables", 1)
        'tables'
    """
    own = name_in_package(path)[0].split(".")
    around = own if path.name == "__init__.py" else own[:-1]
    up = level - 1
    if up > len(around):
        return None
    return ".".join([*around[: len(around) - up], *([module] if module else [])]) or None


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_DEFINITIONS: Final = (*FUNCTIONS, ast.ClassDef)
_MOST_LINKS: Final = 30
"""From one name to the value of another."""
_MOST_STEPS: Final = 200_000
"""In a file and those that it imports from; about a second."""


@dataclass(frozen=True, eq=False)
class Imported:
    """A module, or something in it that no text of the user's shows.

    Attributes:
        name: Its dotted name, e.g. ``numpy.random.rand``.
    """

    name: str


@dataclass(frozen=True, eq=False)
class Written:
    """An expression, a function or a class of the file, with the names that it sees.

    Attributes:
        scope: Where its names are looked up.
    """

    node: ast.AST
    scope: Scope


@dataclass(frozen=True, eq=False)
class Instance:
    """An object of a class of the file.

    Attributes:
        made: The call that made it; None within a method.
    """

    of: Written
    made: Written | None = None


@dataclass(frozen=True, eq=False)
class Method:
    """A function of a class with its object."""

    function: Written
    owner: Instance


@dataclass(frozen=True, eq=False)
class Partial:
    """A function of the file with arguments that are given already, by ``functools.partial``."""

    function: Value
    call: ast.Call
    scope: Scope


Value: TypeAlias = Imported | Written | Instance | Method | Partial


@dataclass(eq=False)
class Search:
    """State that all scopes of a search share.

    Attributes:
        modules: The user's files that may be imported.
        files: Those whose text was read.
    """

    modules: ModuleFiles
    files: dict[Path, Scope | None] = field(default_factory=dict)
    steps: int = _MOST_STEPS


@dataclass(eq=False)
class Scope:
    """The names of a file, of a function or of a call of it.

    Attributes:
        names: None as the value of a name means that it is unknown.
        outer: Names that are looked up where these lack one.
        traced: A graph is made of what the function does; its parameters are tensors.
        search: Shared by all scopes.
    """

    names: dict[str, Value | None]
    outer: Scope | None
    path: Path
    search: Search
    traced: bool = False

    def spend(self) -> bool:
        """Take one step of the search; return whether there was one left."""
        self.search.steps -= 1
        return self.search.steps >= 0

    def find(self, name: str) -> Value | None:
        """Return the value of a name; None if it is unknown."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.outer
        return None


def file_scope(path: Path, search: Search | None = None) -> Scope:
    """Return the names of a file's top level; those that are bound several times are unknown.

    Args:
        search: The one that it is a part of; None begins one.

    Raises:
        UsageError: The file cannot be read or is not valid Python.
    """
    bindings = bindings_of(path)
    scope = Scope({}, None, path, search or Search(ModuleFiles.around(path)))
    if bindings.open:
        return scope
    for binding in bindings.all:
        known = len(bindings.of(binding.name)) == 1 and not binding.script
        scope.names[binding.name] = _bound(binding.name, binding.node, scope) if known else None
    return scope


def _bound(name: str, node: ast.AST, scope: Scope) -> Value | None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname == name or (alias.asname is None and alias.name.partition(".")[0] == name):
                return Imported(alias.name if alias.asname else name)
        return None
    if isinstance(node, ast.ImportFrom):
        names = (other_name.name for other_name in node.names if (other_name.asname or other_name.name) == name)
        module = absolute_name(scope.path, node.module, node.level) if node.level else node.module
        return Imported(f"{module}.{next(names)}") if module is not None else None
    return Written(node, scope) if isinstance(node, (ast.expr, *_DEFINITIONS)) else None


def nodes_of(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body or of a class, without those inside its own functions and classes."""
    todo: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(getattr(node, "body", [node]))
    while todo:
        one = todo.pop()
        yield one
        if not isinstance(one, _DEFINITIONS):
            todo.extend(ast.iter_child_nodes(one))


def local_scope(function: Function, outer: Scope, given: Mapping[str, Value | None]) -> Scope:
    """Return the names inside a call of a function.

    Args:
        given: The values of its parameters; parameters without one are unknown.
    """
    scope = Scope({name: given.get(name) for name in parameters(function)}, outer, outer.path, outer.search)
    for name, values in _bindings(function).items():
        (value, *others) = values
        known = not others and name not in scope.names and value is not None
        scope.names[name] = _bound(name, value, scope) if known and value is not None else None
    return scope


def _bindings(of: ast.AST) -> dict[str, list[ast.AST | None]]:
    """Return what the body of a function or a class binds its names to; None for what only a run shows."""
    bound: dict[str, list[ast.AST | None]] = {}
    simple: set[ast.AST] = set()
    for node in nodes_of(of):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                bound.setdefault(alias.asname or alias.name.partition(".")[0], []).append(node)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                bound.setdefault(name, []).append(None)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            for target in _targets(node):
                if isinstance(target, ast.Name):
                    simple.add(target)
                    bound.setdefault(target.id, []).append(node.value)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node not in simple:
            bound.setdefault(node.id, []).append(None)
    return bound


def _targets(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, ast.AnnAssign) and node.value is not None else []


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters, those that take any number of arguments last."""
    given = function.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return names + [argument.arg for argument in (given.vararg, given.kwarg) if argument is not None]


def defaults(function: Function, scope: Scope) -> dict[str, Value | None]:
    """Return the defaults of a function's parameters."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    last = positional[len(positional) - len(given.defaults) :]
    found: dict[str, Value | None] = {
        one.arg: Written(value, scope) for one, value in zip(last, given.defaults, strict=True)
    }
    for one, value in zip(given.kwonlyargs, given.kw_defaults, strict=True):
        if value is not None:
            found[one.arg] = Written(value, scope)
    return found


def arguments_of(call: ast.Call, function: Function, scope: Scope, skip: int = 0) -> dict[str, Value | None]:
    """Return the values of a function's parameters in a call.

    Args:
        skip: Parameters that have a value already, as ``self``.
    """
    if any(isinstance(expression, ast.Starred) for expression in call.args) or any(
        keyword.arg is None for keyword in call.keywords
    ):
        return {}
    positional = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)][skip:]
    found: dict[str, Value | None] = {
        name: Written(value, scope) for name, value in zip(positional, call.args, strict=False)
    }
    return found | {keyword.arg: Written(keyword.value, scope) for keyword in call.keywords if keyword.arg}


def resolve(node: ast.AST, scope: Scope, links: int = 0) -> Value | None:
    """Return what an expression stands for: what it names, else itself; None if that is unknown."""
    if links > _MOST_LINKS or not scope.spend():
        return None
    if isinstance(node, ast.Name):
        found = scope.find(node.id)
        if isinstance(found, Written) and isinstance(found.node, ast.Name | ast.Attribute | ast.Call):
            return resolve(found.node, found.scope, links + 1)
        return _in_file(found, scope, links) if isinstance(found, Imported) else found
    if isinstance(node, ast.Attribute):
        return _attribute(node, scope, links)
    if isinstance(node, ast.Call):
        return _called(node, scope, links)
    return Written(node, scope)


def _in_file(value: Imported, scope: Scope, links: int) -> Value | None:
    """Return what one of the user's files gives the name; what is imported from elsewhere as it is."""
    place = scope.search.modules.find(value.name)
    if place is None or not place.rest:
        return value
    files = scope.search.files
    if place.file not in files:
        files[place.file] = None
        with suppress(UsageError):
            files[place.file] = file_scope(place.file, scope.search)
    inside = files[place.file]
    node: ast.expr = ast.Name(place.rest[0], ast.Load())
    for name in place.rest[1:]:
        node = ast.Attribute(node, name, ast.Load())
    return resolve(node, inside, links + 1) if inside is not None else None


def _attribute(node: ast.Attribute, scope: Scope, links: int) -> Value | None:
    owner = resolve(node.value, scope, links + 1)
    if isinstance(owner, Imported):
        return _in_file(Imported(f"{owner.name}.{node.attr}"), scope, links)
    if isinstance(owner, Instance):
        return _member(owner, node.attr, links)
    if isinstance(owner, Written) and isinstance(owner.node, ast.ClassDef):
        return _in_class(owner, node.attr, links)
    return Written(node, scope) if owner is not None else None


def _in_class(owner: Written, name: str, links: int) -> Value | None:
    values = _bindings(owner.node).get(name, [])
    if len(values) != 1 or values[0] is None:
        return None
    return _followed(_bound(name, values[0], owner.scope), links)


def _followed(value: Value | None, links: int) -> Value | None:
    if isinstance(value, Written) and isinstance(value.node, ast.Name | ast.Attribute | ast.Call):
        return resolve(value.node, value.scope, links + 1)
    return value


def _member(owner: Instance, name: str, links: int) -> Value | None:
    """Return an attribute of an object: a method, a name of its class, or what one place assigns to it."""
    assert isinstance(owner.of.node, ast.ClassDef)  # noqa: S101 - for the type checker
    assigned: list[tuple[Function, ast.expr | None]] = []
    for method in owner.of.node.body:
        if isinstance(method, ast.FunctionDef | ast.AsyncFunctionDef):
            assigned += [(method, value) for value in _assigned(method, name)]
    if assigned:
        (function, value), *others = assigned
        if others or value is None:
            return None
        return _followed(Written(value, method_scope(function, owner)), links)
    found = _in_class(owner.of, name, links)
    if isinstance(found, Written) and isinstance(found.node, ast.FunctionDef | ast.AsyncFunctionDef):
        static = any(
            ast.unparse(expression) in ("staticmethod", "property") for expression in found.node.decorator_list
        )
        return found if static else Method(found, owner)
    return found


def _assigned(method: Function, name: str) -> Iterator[ast.expr | None]:
    """Yield what a method assigns to an attribute of its object; None for what only a run shows."""
    names = parameters(method)
    if not names:
        return
    simple: set[ast.AST] = set()
    for node in nodes_of(method):
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for target in _targets(node):
                if _is_attribute(target, names[0], name):
                    simple.add(target)
                    yield node.value
        elif node not in simple and _is_attribute(node, names[0], name):
            yield None


def _is_attribute(node: ast.AST, owner: str, name: str) -> bool:
    """Return whether a node stores into an attribute of a name."""
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr == name
        and isinstance(node.value, ast.Name)
        and node.value.id == owner
    )


def method_scope(function: Function, owner: Instance, given: Mapping[str, Value | None] | None = None) -> Scope:
    """Return the names inside a call of a method; those of ``__init__`` have the arguments that made the object."""
    values: dict[str, Value | None] = dict(defaults(function, owner.of.scope))
    if given is None and getattr(function, "name", None) == "__init__" and owner.made is not None:
        made = owner.made
        if isinstance(made.node, ast.Call):
            given = arguments_of(made.node, function, made.scope, skip=1)
    values |= given or {}
    names = parameters(function)
    if names:
        values[names[0]] = owner
    return local_scope(function, owner.of.scope, values)


def _called(node: ast.Call, scope: Scope, links: int) -> Value | None:
    """Return what a call gives: an object, a partial, or what the one ``return`` of a function of the file names."""
    function = resolve(node.func, scope, links + 1)
    if isinstance(function, Imported) and function.name == "functools.partial" and node.args:
        inner = resolve(node.args[0], scope, links + 1)
        return Partial(inner, node, scope) if inner is not None and is_function(inner) else None
    if isinstance(function, Written) and isinstance(function.node, ast.ClassDef):
        return Instance(function, Written(node, scope))
    inside = called_scope(function, node, scope)
    if inside is None:
        return Written(node, scope)
    body, names = inside
    result = _result(body)
    return resolve(result, names, links + 1) if result is not None else None


def _result(function: Function) -> ast.expr | None:
    """Return the expression that a function returns; None where there are several."""
    if isinstance(function, ast.Lambda):
        return function.body
    nodes = list(nodes_of(function))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes) or function.decorator_list:
        return None
    returned = [node.value for node in nodes if isinstance(node, ast.Return)]
    return returned[0] if len(returned) == 1 else None


def is_function(value: Value | None) -> bool:
    """Return whether it is a function of the file, a method or a partial of one."""
    return isinstance(value, Method | Partial) or (isinstance(value, Written) and isinstance(value.node, FUNCTIONS))


def called_scope(value: Value | None, call: ast.Call | None, scope: Scope) -> tuple[Function, Scope] | None:
    """Return the function that a call runs and the names inside of it; None if it is no function of the file.

    Args:
        call: None for a call by TensorFlow, whose arguments are tensors.
    """
    if isinstance(value, Instance):
        value = _member(value, "__call__", 0)
    given: dict[str, Value | None] = {}
    partials = []
    while isinstance(value, Partial):
        partials.append(value)
        value = value.function
    if isinstance(value, Method):
        function, owner, outer = value.function.node, value.owner, value.owner.of.scope
    elif isinstance(value, Written):
        function, owner, outer = value.node, None, value.scope
    else:
        return None
    if not isinstance(function, FUNCTIONS):
        return None
    skip = 1 if owner is not None else 0
    for partial in reversed(partials):
        rest = ast.Call(partial.call.func, partial.call.args[1:], partial.call.keywords)
        given |= arguments_of(rest, function, partial.scope, skip)
        skip += len(rest.args)
    if call is not None:
        given |= arguments_of(call, function, scope, skip)
    if owner is not None:
        return function, method_scope(function, owner, given)
    return function, local_scope(function, outer, defaults(function, outer) | given)


def parts_of(values: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """Yield expressions, and those inside of tuples, lists and mappings."""
    todo = list(values)
    while todo:
        one = todo.pop(0)
        if isinstance(one, ast.Tuple | ast.List):
            todo[:0] = one.elts
        elif isinstance(one, ast.Dict):
            todo[:0] = one.values
        elif isinstance(one, ast.Starred):
            continue
        else:
            yield one
