"""Which names of a file are datasets: by chains of calls, also through functions and their parameters."""

from __future__ import annotations

import ast
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from pipeprof.pipelines.meaning.traits import STAGES, traits

FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_SCOPES: Final = (*FUNCTIONS, ast.ClassDef)
_MAKERS: Final = ("tensorflow.data.", "tf.data.", "tensorflow_datasets.load")
_MAKES: Final = "_dataset_from_directory"
"""End of the names of Keras' functions that make one."""
_ROUNDS: Final = 6
"""Functions that call each other, as deep as files have them."""


class DatasetNames:
    """The datasets of a file, as far as its text shows them.

    A parameter is one where a call in the file gives it one, or where a method that only datasets have is called on it.
    Attributes of `self` are those of all classes of the file.

    Args:
        tree: The file.
        dotted: Returns the dotted name of an expression.
    """

    def __init__(self, tree: ast.Module, dotted: Callable[[ast.AST], str]) -> None:
        self._dotted = dotted
        self._functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        self._given: dict[str, set[str]] = defaultdict(set)
        self._returned: dict[str, tuple[bool, ...]] = {}
        self._of_self: dict[str, set[str]] = defaultdict(set)
        self._names: dict[int, frozenset[str]] = {}
        size = -1
        for _ in range(_ROUNDS):
            self._read(tree, frozenset(), "")
            before, size = size, sum(map(len, (*self._names.values(), *self._given.values(), self._returned)))
            if size == before:
                break

    def of(self, scope: ast.AST) -> frozenset[str]:
        """Return the names that are datasets in a function, a class or the file; `self.name` for an attribute."""
        return self._names.get(id(scope), frozenset())

    def is_dataset(self, node: ast.AST, known: frozenset[str]) -> bool:
        """Return whether an expression is a dataset.

        Args:
            known: Names that are, where it stands.
        """
        while isinstance(node, ast.Call):
            dotted = self._dotted(node.func)
            if dotted.startswith(_MAKERS) or dotted.endswith(_MAKES):
                return ".AUTOTUNE" not in dotted and "Options" not in dotted
            if self._returned.get(_called(node) or "") == (True,):
                return True
            if not isinstance(node.func, ast.Attribute) or node.func.attr not in STAGES:
                return False
            node = node.func.value
        return isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node) in known

    def _read(self, scope: ast.AST, outer: frozenset[str], owner: str) -> None:
        """Read a scope and those in it with what is known so far.

        Args:
            outer: Datasets around it.
            owner: Name of the class around it; empty without one.
        """
        nodes = list(own_nodes(scope))
        stored = {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
        owner = scope.name if isinstance(scope, ast.ClassDef) else owner
        of_self = self._of_self[owner] if owner else set[str]()
        names = {*outer} - _arguments(scope) - stored | self._parameters(scope, nodes) | of_self
        size = -1
        while len(names) != size:
            size = len(names)
            for node in nodes:
                if isinstance(node, ast.Assign):
                    for target in node.targets:
                        names |= self._bound(target, node.value, frozenset(names))
        known = self._names[id(scope)] = frozenset(names)
        if owner:
            of_self |= {name for name in known if name.startswith("self.")}
        for node in nodes:
            if isinstance(node, ast.Call):
                self._note_call(node, known)
            elif isinstance(node, ast.Return) and node.value is not None and isinstance(scope, ast.FunctionDef):
                found = self._parts(node.value, known)
                if any(found):
                    self._returned[scope.name] = found
            if isinstance(node, _SCOPES):
                self._read(node, frozenset(name for name in known if not name.startswith("self.")), owner)

    def _parts(self, value: ast.AST, known: frozenset[str]) -> tuple[bool, ...]:
        """Which parts of an expression are datasets: of a tuple, its elements."""
        if isinstance(value, ast.Tuple):
            return tuple(self.is_dataset(one, known) for one in value.elts)
        if isinstance(value, ast.Call) and len(found := self._returned.get(_called(value) or "", ())) > 1:
            return found
        return (self.is_dataset(value, known),)

    def _bound(self, target: ast.AST, value: ast.AST, known: frozenset[str]) -> set[str]:
        parts = self._parts(value, known)
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        if len(targets) != len(parts):
            return set()
        named = [one for one, is_one in zip(targets, parts, strict=True) if is_one]
        return {ast.unparse(one) for one in named if isinstance(one, ast.Name) or _is_own(one)}

    def _parameters(self, scope: ast.AST, nodes: list[ast.AST]) -> set[str]:
        given = self._given[scope.name] if isinstance(scope, ast.FunctionDef) else set[str]()
        # A call whose result is thrown away is no sign of a dataset: other objects have such methods too.
        thrown = {
            id(node.value.func) for node in nodes if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        }
        owned = {
            node.value.id
            for node in nodes
            if isinstance(node, ast.Attribute)
            and traits(node.attr).distinctive
            and isinstance(node.value, ast.Name)
            and id(node) not in thrown
        }
        return given | owned & _arguments(scope) - {"self", "cls"}

    def _note_call(self, call: ast.Call, known: frozenset[str]) -> None:
        """Note which parameters of a function of the file a call gives a dataset."""
        function = self._functions.get(_called(call) or "")
        if function is not None:
            names = [one.arg for one in function.args.args]
            names = names[1:] if names[:1] == ["self"] else names
            given: Mapping[str, ast.AST] = {
                **dict(zip(names, call.args, strict=False)),
                **{one.arg: one.value for one in call.keywords if one.arg},
            }
            self._given[function.name] |= {name for name, value in given.items() if self.is_dataset(value, known)}
        if isinstance(call.func, ast.Attribute) and call.func.attr == "apply" and call.args:
            applied = self._functions.get(ast.unparse(call.args[0]).removeprefix("self."))
            names = [one.arg for one in applied.args.args if one.arg != "self"][:1] if applied is not None else []
            if applied is not None and self.is_dataset(call, known):
                self._given[applied.name] |= {*names}


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body, without those of functions and classes inside it."""
    body = scope.body if hasattr(scope, "body") else []
    todo: deque[ast.AST] = deque(body if isinstance(body, list) else [body])
    while todo:
        node = todo.popleft()
        yield node
        if not isinstance(node, _SCOPES):
            todo += ast.iter_child_nodes(node)


def _called(call: ast.Call) -> str | None:
    """The name of a function of the file that a call may be of: `f(…)`, `self.f(…)` or `Trainer(…).f(…)`."""
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) and call.func.attr not in STAGES else None


def _is_own(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"


def _arguments(scope: ast.AST) -> set[str]:
    if not isinstance(scope, FUNCTIONS):
        return set()
    every = scope.args
    return {one.arg for one in (*every.posonlyargs, *every.args, *every.kwonlyargs)}
