"""What a function makes in each call although nothing that it is given has a part in it, and where to make it once."""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Final, TypeAlias

from pipeprof.pipelines.static.dataset_names import FUNCTIONS, own_nodes
from pipeprof.pipelines.static.imports import MODULES, Imports
from pipeprof.pipelines.static.numbered import CHANGING, GOING_ON, READING, changed_outside
from pipeprof.pipelines.static.trees import bases_of, is_named, names_in
from pipeprof.pipelines.static.written_calls import parsed

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Scope: TypeAlias = Function | ast.For | ast.While
"""What runs again and again: a function, or a loop of a generator."""
_DEFINED: Final = (ast.FunctionDef, ast.AsyncFunctionDef)
_COMPREHENSIONS: Final = (ast.ListComp, ast.SetComp, ast.DictComp)
_LEAVES: Final = (ast.Yield, ast.YieldFrom, ast.Await, ast.Return, ast.Global, ast.Nonlocal, ast.Delete)
_BLOCKS: Final = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)
_IMPURE: Final = frozenset({"random", "time", "uuid", "secrets", "now", "today"})
_STATEFUL: Final = frozenset({"next", "input", "print"})
_CONTAINERS: Final = frozenset({"dict", "set", "frozenset", "sorted", "list", "tuple"})
INIT: Final = "__init__"
_LONGEST: Final = 30


@dataclass(frozen=True)
class Once:
    """How something is made once.

    Attributes:
        lines: What makes it.
        where: Where these are written: ``above line 12``.
        used: What to write in the function; empty where its lines only go.
        replaced: What that stands in place of.
    """

    lines: tuple[str, ...]
    where: str
    used: str
    replaced: str


def parameters(scope: Scope) -> set[str]:
    """Names that a function is given, or that a loop sets in its head."""
    if isinstance(scope, ast.For | ast.While):
        return names_in(scope.target, ast.Store) if isinstance(scope, ast.For) else set()
    return {one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)}


def sets(node: ast.AST) -> set[str]:
    r"""Return the names that a statement sets where it stands, not those of functions and comprehensions in it.

    Example:
        >>> sorted(sets(ast.parse("with a as b:\n    c = [d for d in b]").body[0]))
        ['b', 'c']
    """
    found: set[str] = set()
    nodes = list(own_nodes(ast.Module([node], [])))  # type: ignore[list-item]
    inner = {id(part) for one in nodes if isinstance(one, ast.comprehension) for part in ast.walk(one.target)}
    for one in nodes:
        match one:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.Name(id=name, ctx=ast.Store()) if id(one) not in inner:
                found.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                found.add(name)
            case ast.MatchMapping(rest=str(name)):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {alias.asname or alias.name.partition(".")[0] for alias in names}
    return found


def _inner(node: ast.AST) -> set[str]:
    """Names of comprehensions, and arguments of functions, inside a node."""
    found: set[str] = set()
    for one in ast.walk(node):
        if isinstance(one, ast.comprehension):
            found |= names_in(one.target, ast.Store)
        elif isinstance(one, ast.arg):
            found.add(one.arg)
    return found


def free_names(node: ast.AST) -> set[str]:
    r"""Return the names that a part of a file reads and does not set itself.

    Example:
        >>> sorted(free_names(ast.parse("a = [b for b in c], lambda d: d + e, b").body[0]))
        ['b', 'c', 'e']
    """
    found: set[str] = set()
    todo: list[tuple[ast.AST, frozenset[str]]] = [(node, frozenset())]
    while todo:
        one, hidden = todo.pop()
        outside, own = list(ast.iter_child_nodes(one)), set[str]()
        inside: list[ast.AST] = []
        match one:
            case ast.Name(id=name, ctx=ast.Load()) if name not in hidden:
                found.add(name)
            case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
                inside, outside = outside, [one.generators[0].iter]
                own = {name for loop in one.generators for name in names_in(loop.target, ast.Store)}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                inside = [*one.body] if isinstance(one.body, list) else [one.body]
                outside = [part for part in outside if all(part is not each for each in inside)]
                others = {
                    name
                    for part in own_nodes(one)
                    if isinstance(part, ast.Global | ast.Nonlocal)
                    for name in part.names
                }
                own = (parameters(one) | sets_inside(one)) - others
        todo += [(part, hidden) for part in outside]
        todo += [(part, hidden | own) for part in inside]
    return found - sets(node)


class File:
    """Functions, imports and statements of a file."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree, self.imports = tree, Imports(tree)
        self.functions: dict[str, ast.FunctionDef] = {}
        self.changing: set[str] = set()
        self.names: set[str] = set()
        self.all_functions: list[Function] = []
        """All functions and lambdas, the outer ones first."""
        self._parents: dict[int, ast.AST] = {}
        self._states: dict[int, bool] = {}
        self._read: dict[int, set[str]] = {}
        self._ranges: dict[int, list[range]] = {}
        self._uses: dict[tuple[int, bool], set[str]] = {}
        self._same: dict[int, Unchanging] = {}
        for node in ast.walk(tree):
            self._parents |= {id(child): node for child in ast.iter_child_nodes(node)}
            if isinstance(node, ast.Name):
                self.names.add(node.id)
            if isinstance(node, FUNCTIONS):
                self.all_functions.append(node)
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, node)
                self.changing |= changed_outside(node)
            elif isinstance(node, ast.ClassDef):
                # A class is called as its `__init__` is.
                init = _method(node, INIT)
                self.functions |= {node.name: init} if init is not None else {}
            elif isinstance(node, ast.Global | ast.Nonlocal):
                self.changing |= set(node.names)
        self.top = {name: node for node in tree.body for name in sets(node)}

    def around(self, inner: ast.AST) -> list[ast.AST]:
        """Functions and classes that something is in, the innermost first, and at the end the file."""
        kinds = (*FUNCTIONS, ast.ClassDef, ast.Module)
        return [one for one in self._outer(inner) if isinstance(one, kinds)]

    def statement_with(self, outer: ast.AST, inner: ast.AST) -> ast.stmt:
        """The statement of a body that something is in."""
        chain = [inner, *self._outer(inner)]
        return next(one for one, parent in pairwise(chain) if parent is outer and isinstance(one, ast.stmt))

    def _outer(self, inner: ast.AST) -> Iterator[ast.AST]:
        """What something is in, the innermost first."""
        while (parent := self._parents.get(id(inner))) is not None:
            yield parent
            inner = parent

    def unchanging(self, scope: Scope) -> Unchanging:
        """What is the same each time that a function or a loop of the file runs."""
        if id(scope) not in self._same:
            self._same[id(scope)] = Unchanging(self, scope)
        return self._same[id(scope)]

    def seen_at(self, line: int) -> set[str]:
        """Names that code in a line sees: those of the file, and of the functions around it."""
        outer = [one for one in ast.walk(self.tree) if isinstance(one, _DEFINED) and line in _lines(one)]
        return set(self.top).union(*(parameters(one) | sets_inside(one) for one in outer))

    def lines_of(self, function: ast.FunctionDef) -> list[range]:
        """The lines of a function, and of those of the file that it calls, without the others inside of it."""
        return [part for one in self._reached(function, called=True) for part in self._own_lines(one)]

    def _own_lines(self, function: ast.FunctionDef) -> list[range]:
        """The lines of a function without those of others inside of it."""
        if id(function) not in self._ranges:
            found, first = list[range](), function.lineno
            inner = [_lines(node) for node in own_nodes(function) if isinstance(node, FUNCTIONS)]
            for part in sorted(inner, key=lambda part: part.start):
                found.append(range(first, part.start))
                first = max(first, part.stop)
            found.append(range(first, _lines(function).stop))
            self._ranges[id(function)] = [part for part in found if part]
        return self._ranges[id(function)]

    def _reached(self, function: ast.FunctionDef, *, called: bool = False) -> list[ast.FunctionDef]:
        """A function, and those of the file that it names or calls, and that these do."""
        found: dict[int, ast.FunctionDef] = {}
        todo = [function]
        while todo:
            one = todo.pop()
            if id(one) not in found:
                found[id(one)] = one
                todo += [self.functions[name] for name in self._named(one, called=called)]
        return list(found.values())

    def read_by(self, node: ast.AST) -> set[str]:
        """Names that a function or a class reads."""
        if id(node) not in self._read:
            self._read[id(node)] = names_in(node, ast.Load)
        return self._read[id(node)]

    def _named(self, function: ast.FunctionDef, *, called: bool) -> set[str]:
        """Functions of the file that a function names, or calls."""
        key = (id(function), called)
        if key not in self._uses:
            calls = (one.func for one in own_nodes(function) if isinstance(one, ast.Call))
            names = {one.id for one in calls if isinstance(one, ast.Name)} if called else self.read_by(function)
            self._uses[key] = names & self.functions.keys()
        return self._uses[key]

    def may_differ(self, function: ast.FunctionDef) -> bool:
        """Whether a function of the file may give another result each time, keeps a state, or keeps its results."""
        reached = self._reached(function)
        for one in reached:
            if id(one) not in self._states:
                self._states[id(one)] = self._has_state(one)
        return any(self._states[id(one)] for one in reached)

    def _has_state(self, function: ast.FunctionDef) -> bool:
        if any("cache" in ast.unparse(one) for one in function.decorator_list):
            return True
        own = names_in(function, ast.Store) | _inner(function)
        return bool(changed_outside(function)) or any(self._is_state(one, own) for one in ast.walk(function))

    def _is_state(self, node: ast.AST, own: set[str]) -> bool:
        match node:
            case ast.Name(id=name):
                state = name in self.changing
            case ast.Attribute():
                state = bool(set(self.imports.dotted(node).split(".")) & _IMPURE)
            case ast.Call():
                state = self.call_may_differ(node, own, deep=False)
            case _:
                state = isinstance(node, ast.Global | ast.Nonlocal | ast.Yield | ast.YieldFrom)
        return state

    def call_may_differ(self, call: ast.Call, own: set[str], *, deep: bool = True) -> bool:
        """Whether a call may give another result, or do something else, each time.

        Args:
            own: Names of what is made anew, whose methods change nothing else.
            deep: Whether functions of the file are looked into.
        """
        function, last = call.func, self.imports.called(call.func)
        words = set(re.split(r"\W+", self.imports.dotted(function) or ast.unparse(function)))
        if words & _IMPURE or (last[:1].islower() and "rand" in last):
            return True
        if isinstance(function, ast.Name):
            name = function.id
            if name in self.functions:
                return deep and self.may_differ(self.functions[name])
            known = name in self.imports.names or name in own or (hasattr(builtins, name) and name not in self.top)
            return not known or name in _STATEFUL
        if not isinstance(function, ast.Attribute):
            return deep
        (root,) = bases_of(function) or {""}
        if root in self.imports.names:
            # What another module made may be an object with a state; of a module or a class it is a function.
            other = "." in self.imports.names[root] and root[:1].islower()
            return other and isinstance(function.value, ast.Name) and not (call.args or call.keywords)
        fresh = not root or root in own or root in self.functions or hasattr(builtins, root)
        return not fresh and function.attr not in READING

    def is_text(self, node: ast.AST | None) -> bool:
        """Whether an argument is, or may be, the name of a file or other text: no number and no shape."""
        match node:
            case ast.BinOp(left=left, right=right):
                return self.is_text(left) or self.is_text(right)
            case ast.Call(args=args):
                return any(map(self.is_text, args))
            case ast.Name(id=name):
                made = self.top.get(name)
                if isinstance(made, ast.Assign | ast.AnnAssign):
                    return self.is_text(made.value)
                return not isinstance(made, (*_DEFINED, ast.ClassDef))
            case ast.Constant(value=value):
                return isinstance(value, str) and bool(value)
        return isinstance(node, ast.JoinedStr | ast.Attribute | ast.Subscript)

    def makes(self, node: ast.AST) -> bool:
        """Whether an expression makes something that is worth being kept: an object, or what a file or a text holds."""
        if isinstance(node, _COMPREHENSIONS):
            return True
        if not isinstance(node, ast.Call):
            return False
        first = next(iter([*node.args, *(one.value for one in node.keywords)]), None)
        (root,) = bases_of(node.func) or {""}
        if isinstance(node.func, ast.Name) and root in self.functions:
            return True
        if root in self.imports.names:
            return self.imports.called(node.func)[:1].isupper() or self.is_text(first)
        return root in _CONTAINERS | {"open"} and first is not None


def sets_inside(scope: Scope) -> set[str]:
    """Names that a function's or a loop's body sets."""
    body = scope.body if isinstance(scope.body, list) else [scope.body]
    return {name for node in body for name in sets(node)}


def _lines(node: ast.AST) -> range:
    """The lines of a statement or an expression."""
    first = getattr(node, "lineno", 0)
    return range(first, (getattr(node, "end_lineno", None) or first) + 1)


def _method(node: ast.ClassDef, name: str) -> ast.FunctionDef | None:
    return next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == name), None)


class Unchanging:
    """What of a function's or a loop's body is the same each time that it runs.

    Attributes:
        statements: What sets the names that are the same each time.
        varying: Names that it is given or sets otherwise.
    """

    def __init__(self, file: File, scope: Scope) -> None:
        self._file, self._scope, self._around = file, scope, file.around(scope)
        local = parameters(scope) | sets_inside(scope)
        self._nodes = list(own_nodes(scope))
        self._self = self._own_object()
        self.statements: dict[str, ast.stmt] = {}
        self.varying = local | file.changing | self._object_of_loop()
        others = {name for node in self._nodes for name in names_in(node, ast.Load)} - local - {self._self}
        self.varying |= {name for name in others if self._is_changed(name, None)}
        body = scope.body if isinstance(scope.body, list) else []
        stores = Counter(name for node in body for name in sets(node))
        while True:
            found = {
                name: node
                for node in body
                if (names := sets(node)) and not names & parameters(scope)
                if all(stores[name] == 1 for name in names) and names & self.varying and self.is_same(node)
                if not any(self._is_changed(name, node) for name in names)
                for name in names
            }
            if not found:
                break
            self.statements |= found
            self.varying = self.varying - found.keys()

    def _own_object(self) -> str:
        """The name of a method's own object; empty for other functions."""
        outer = self._around[0] if self._around else None
        given = self._scope.args.args if isinstance(self._scope, _DEFINED) else []
        return given[0].arg if isinstance(outer, ast.ClassDef) and given and _method(outer, INIT) else ""

    def _object_of_loop(self) -> set[str]:
        """The name of the object that a loop of a method's may change."""
        inside = isinstance(self._scope, ast.For | ast.While) and isinstance(
            next(iter(self._around[1:]), None), ast.ClassDef
        )
        given = getattr(self._around[0], "args", None) if inside else None
        return {one.arg for one in given.args[:1]} if given is not None else set()

    def is_same(self, node: ast.AST) -> bool:
        """Whether a part of the body is the same each time, and changes nothing but what it makes itself."""
        own = sets(node) | _inner(node)
        if (free_names(node) - {self._self}) & self.varying or not self._of_fixed_attributes(node):
            return False
        kept = own | self.statements.keys()
        for one in ast.walk(node):
            match one:
                case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
                    if not bases_of(one) <= own:
                        return False
                case ast.Call() if self._file.call_may_differ(one, kept):
                    return False
                case ast.Expr(value=ast.Call(func=ast.Attribute() as function)) if not bases_of(function) <= own:
                    return False
                case _ if isinstance(one, _LEAVES):
                    return False
        return True

    def _of_fixed_attributes(self, node: ast.AST) -> bool:
        """Whether a part reads of the method's own object only what its class sets when it begins."""
        if self._self not in free_names(node):
            return True
        outer = self._around[0]
        init = _method(outer, INIT) if isinstance(outer, ast.ClassDef) else None
        inside = {id(one) for one in ast.walk(init)} if init is not None else set()
        changed = {
            one.attr
            for one in ast.walk(outer)
            if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store) and id(one) not in inside
        }
        read = [one for one in ast.walk(node) if isinstance(one, ast.Attribute) and is_named(one.value, self._self)]
        plain = sum(is_named(one, self._self) for one in ast.walk(node)) == len(read)
        called = {id(one.func) for one in ast.walk(node) if isinstance(one, ast.Call)}
        return plain and not any(one.attr in changed or id(one) in called for one in read)

    def _is_changed(self, name: str, setter: ast.stmt | None) -> bool:
        """Whether the body changes what a name is given, or uses it up, other than where it is set."""
        if isinstance(setter, ast.Assign) and not self._stays(setter.value):
            return True
        inside = {id(one) for one in ast.walk(setter)} if setter is not None else set()
        return any(_changes(one, name) for one in self._nodes if id(one) not in inside)

    def _stays(self, value: ast.AST) -> bool:
        """Whether what is made may be used again and again: no file to be read on, and no iterator."""
        if isinstance(value, ast.Call):
            *_, kind, last = ["", *self._file.imports.dotted(value.func).split(".")]
            # What a class opens is an object, `Image.open`.
            return (last or self._file.imports.called(value.func)) not in GOING_ON or kind[:1].isupper()
        return not isinstance(value, ast.GeneratorExp)

    @cached_property
    def _kept(self) -> set[int]:
        """Nodes of what is changed, or kept, after it is made."""
        changed: set[int] = set()
        for one in self._nodes:
            match one:
                case ast.Expr(value=ast.Call()):
                    changed |= {id(part) for part in ast.walk(one)}
                case ast.Call(func=ast.Attribute(value=value, attr=attr)) if attr in CHANGING:
                    changed.add(id(value))
                case ast.Assign(targets=[ast.Attribute() | ast.Subscript()], value=value):
                    # It is kept for the next call.
                    changed |= {id(part) for part in ast.walk(value)}
                case ast.Assign(value=value) if sets(one) & self._file.changing:
                    changed |= {id(part) for part in ast.walk(value)}
                case ast.Assign(value=value) if any(self._is_changed(name, one) for name in sets(one)):
                    changed.add(id(value))
        return changed

    def made_at(self, line: int) -> Iterator[ast.expr]:
        """Yield what is made anew in a line although it is the same each time, the outermost first."""
        for node in self._nodes:
            if not isinstance(node, (ast.Call, ast.Subscript, *_COMPREHENSIONS)) or id(node) in self._kept:
                continue
            if line in _lines(node) and self._stays(node) and any(map(self._file.makes, ast.walk(node))):
                opened = self._opened_by(node)
                if self.is_same(node) and (opened is None or _indexes(self._nodes, opened)):
                    yield node

    def lines_at(self, line: int) -> ast.With | ast.For | None:
        """The statement with lines of its own that has a line, and that sets the same names to the same each time."""
        for node in self.statements.values():
            if isinstance(node, ast.With | ast.For) and node.lineno <= line <= (node.end_lineno or node.lineno):
                return node
        return None

    def _opened_by(self, node: ast.AST) -> ast.With | None:
        found = [one for one in self._nodes if isinstance(one, ast.With)]
        return next((one for one in found if any(item.context_expr is node for item in one.items)), None)

    def once(self, node: ast.expr | ast.With | ast.For) -> Once | None:
        """How an expression, or the names that a statement sets, are made once; None where that is not certain."""
        before = list(self._needed(node))
        is_lines = isinstance(node, ast.With | ast.For)
        name = "" if is_lines else self._name(node)
        text = ast.unparse(node)
        lines = [ast.unparse(one) for one in before] + [text if is_lines else f"{name} = {text}"]
        moved = {one for part in (*before, *([node] if is_lines else [])) for one in sets(part)}
        where = self.place(lines, moved)
        if where is None:
            return None
        written = tuple(part for one in lines for part in one.splitlines())
        if is_lines:
            return Once(written, where, "", f"lines {node.lineno}-{node.end_lineno}")
        short = f"{text.partition('(')[0]}(…)" if len(text) > _LONGEST else text
        around = self._opened_by(node)
        if around is None:
            return Once(written, where, name, short)
        to = around.items[0].optional_vars
        if len(around.items) > 1 or to is None:
            return None
        held = ast.unparse(to)
        return Once(written, where, f"{held} = {name}", f"with {short} as {held}:, whose lines move out of it")

    def _needed(self, node: ast.AST) -> Iterator[ast.stmt]:
        """The statements that set what something needs, in their order."""
        todo, found = {*free_names(node)}, dict[int, ast.stmt]()
        while todo:
            one = self.statements.get(todo.pop())
            if one is not None and one is not node and id(one) not in found:
                found[id(one)] = one
                todo |= free_names(one)
        yield from sorted(found.values(), key=lambda one: one.lineno)

    def _name(self, node: ast.AST) -> str:
        """A name for what is made, which the file does not have."""
        given = [
            one.targets[0].id
            for one in self._nodes
            if isinstance(one, ast.Assign) and one.value is node and isinstance(one.targets[0], ast.Name)
        ]
        outer = node
        while isinstance(outer, ast.Subscript | ast.Attribute):
            outer = outer.value
        parts = self._file.imports.dotted(outer.func).split(".") if isinstance(outer, ast.Call) else [""]
        # A class gives its name also to what its other functions make: `Tokenizer.from_file`.
        kinds = [one for one in parts if one[:1].isupper()]
        name = (given or [*kinds[-1:], parts[-1] or "once"])[0]
        if self._self and self._self in free_names(node):
            attributes = {one.attr for one in ast.walk(self._around[0]) if isinstance(one, ast.Attribute)}
            return f"{self._self}.{_free(name.lower(), attributes)}"
        return _free(name.upper(), self._file.names | self._file.top.keys())

    def place(self, lines: Iterable[str], moved: set[str], given: Iterable[str] = ()) -> str | None:
        """Where lines can stand that are to run once: as near as their names allow; None where they have no place.

        Args:
            moved: Names that they take with them, which must mean nothing else there.
            given: Names that are imported for them.
        """
        needs = free_names(ast.parse("\n".join(lines))) - {*given}
        for outer in self._around:
            if isinstance(outer, ast.ClassDef):
                init = _method(outer, INIT)
                if self._self in needs and outer is self._around[0] and init is not None:
                    known = self._known(needs - {self._self})
                    return f"at the end of {outer.name}.__init__, below line {init.end_lineno}" if known else None
            elif isinstance(outer, FUNCTIONS):
                bound = parameters(outer) | sets_inside(outer)
                if needs & bound:
                    return self._in_function(outer, needs & bound, moved)
            elif isinstance(outer, ast.Module):
                if moved & self._file.top.keys() or not self._known(needs):
                    return None
                here = _first_line(self._file.statement_with(outer, self._scope))
                setters = [self._file.top[name] for name in self._all(needs)]
                if any(isinstance(one, _BLOCKS) and _last_line(one) >= here for one in setters):
                    # Below it, the program has run.
                    return None
                last = max(map(_last_line, setters), default=0)
                return f"above line {here}" if last < here else f"below line {last}"
        return None

    def _known(self, names: set[str]) -> bool:
        """Whether the file itself has names, or Python."""
        return all(name in self._file.top or hasattr(builtins, name) for name in names)

    def _all(self, names: set[str]) -> set[str]:
        """Names of the file, and those that functions of the file need which they are."""
        found, todo = set[str](), {*names}
        while todo:
            name = todo.pop()
            if name in self._file.top and name not in found:
                found.add(name)
                node = self._file.top[name]
                todo |= self._file.read_by(node) if isinstance(node, (*_DEFINED, ast.ClassDef)) else set()
        return found

    def _in_function(self, outer: ast.AST, needs: set[str], moved: set[str]) -> str | None:
        if isinstance(outer, ast.Lambda) or not isinstance(outer, _DEFINED):
            return None
        here = _first_line(self._file.statement_with(outer, self._scope))
        before = parameters(outer).union(*(sets(one) for one in outer.body if _last_line(one) < here))
        clash = isinstance(self._scope, FUNCTIONS) and moved & (sets_inside(outer) | parameters(outer))
        return f"in {outer.name}(), above line {here}" if needs <= before and not clash else None


def _changes(node: ast.AST, name: str) -> bool:
    """Whether a part of a body changes what a name is given, or may."""
    match node:
        case ast.Attribute(ctx=ast.Store() | ast.Del()) | ast.Subscript(ctx=ast.Store() | ast.Del()):
            changed = name in bases_of(node)
        case ast.Expr(value=ast.Call() as call):
            changed = name in names_in(call, ast.Load)
        case ast.Call(func=ast.Attribute(attr=attr) as function):
            changed = attr in CHANGING and name in bases_of(function)
        case (
            ast.AugAssign(target=one)
            | ast.Call(func=ast.Name(id="next"), args=[one, *_])
            | ast.keyword(arg="out", value=one)
        ):
            changed = is_named(one, name)
        case _:
            changed = False
    return changed


def _indexes(nodes: Iterable[ast.AST], around: ast.With) -> bool:
    """Whether what a `with` opens is only indexed in it: then it may stay open."""
    held = around.items[0].optional_vars
    if not isinstance(held, ast.Name) or len(around.items) > 1:
        return False
    uses = [one for one in ast.walk(around) if is_named(one, held.id) and isinstance(one.ctx, ast.Load)]  # type: ignore[attr-defined]
    taken = {id(one.value) for one in nodes if isinstance(one, ast.Subscript)}
    return bool(uses) and all(id(one) in taken for one in uses)


def _free(name: str, taken: Iterable[str] | Mapping[str, ast.AST]) -> str:
    while name in taken:
        name = f"{name}_ONCE" if name.isupper() else f"{name}_once"
    return name


def unknown_names(code: str, text: str = "", line: int = 0) -> set[str]:
    r"""Return the names that code reads and that neither it nor the place for it has; `dataset` is known everywhere.

    Args:
        text: Source of the file in which the code is to be pasted.
        line: Where in it, from 1.

    Raises:
        SyntaxError: It is no Python; an ellipsis stands for anything.

    Example:
        >>> sorted(unknown_names("dataset = dataset.map(load)\nprint(order[i])", "def load(x): ...\n", 1))
        ['i', 'order']
    """
    lines = [f"dataset{one}" if one.startswith(".") else one for one in code.replace("…", "...").splitlines()]
    tree = ast.parse("\n".join(lines))
    nodes = list(ast.walk(tree))
    made = {name for one in nodes if isinstance(one, ast.stmt) for name in sets(one)} | names_in(tree, ast.Store)
    made |= {one.arg for one in nodes if isinstance(one, ast.arg)}
    file = parsed(text)
    seen = File(file).seen_at(line) if file is not None else set()
    return names_in(tree, ast.Load) - made - seen - {*MODULES, "dataset", *dir(builtins)}


def _first_line(node: ast.stmt) -> int:
    """The line of a statement, or of its first decorator."""
    decorators = node.decorator_list if isinstance(node, (*_DEFINED, ast.ClassDef)) else []
    return min([node.lineno, *(one.lineno for one in decorators)])


def _last_line(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno
