"""Slips in the text of a pipeline's file that no graph shows: what does nothing, or does it only once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.meaning.traits import STAGES, traits
from pipeprof.pipelines.static.dataset_names import FUNCTIONS, DatasetNames, own_nodes
from pipeprof.pipelines.static.written_calls import Imports

SlipKind: TypeAlias = Literal["discarded", "drawn-once"]
_FUNCTION: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_RANDOM_MODULES: Final = frozenset({"random", "numpy.random"})
_OUT_OF_GRAPH: Final = frozenset({"py_function", "numpy_function", "py_func"})
"""Calls whose function runs for each element."""
_NOT_DRAWN: Final = frozenset({"default_rng", "seed", "Generator", "RandomState", "SeedSequence"})


@dataclass(frozen=True)
class Slip:
    """One slip.

    Attributes:
        kind: The result of a transformation is thrown away, or random numbers are drawn while a function is traced.
        text: The call, as written.
        stage: Method of ``tf.data.Dataset`` that it is about.
        column: From 1.
        function: The function around it; None at the top of the file.
    """

    kind: SlipKind
    text: str
    stage: str
    variable: str | None
    path: Path
    line: int
    column: int
    function: str | None = None


def slips_in(path: Path, function: str | None = None) -> list[Slip]:
    r"""Find the slips in a file, in the order of their lines; none in a file that is not Python.

    Args:
        function: Only those in this function, and in functions of the file that it names; the whole file where the file
            has no such function.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "input.py"
        >>> code = "import tensorflow as tf\nds = tf.data.Dataset.range(3)\nds.batch(2)\nds = ds.repeat()\n"
        >>> _ = file.write_text(code)
        >>> [(slip.kind, slip.text, slip.line) for slip in slips_in(file)]
        [('discarded', 'ds.batch(2)', 3)]
    """
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    file = _File(path, tree)
    found = {(slip.kind, slip.line, slip.column): slip for slip in file.slips(function)}
    return sorted(found.values(), key=lambda slip: (slip.line, slip.column))


@dataclass
class _File:
    """A file with the functions of its top level, and the names that it imports."""

    path: Path
    tree: ast.Module
    functions: dict[str, _FUNCTION] = field(default_factory=dict)
    generators: set[str] = field(default_factory=set)
    _seen_from: dict[int, dict[str, _FUNCTION]] = field(default_factory=dict)
    """By scope: the functions that a name in it means; pipelines of one file often call theirs alike."""

    def __post_init__(self) -> None:
        self._dotted = Imports(self.tree).dotted
        self._datasets = DatasetNames(self.tree, self._dotted)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, node)
            elif isinstance(node, ast.Assign) and self._makes_generator(node.value):
                self.generators |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        self._note_functions(self.tree, {})

    def _note_functions(self, scope: ast.AST, outer: dict[str, _FUNCTION]) -> None:
        nodes = list(own_nodes(scope))
        own: dict[str, _FUNCTION] = {}
        for node in nodes:
            if isinstance(node, ast.FunctionDef):
                own[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
                own |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        self._seen_from[id(scope)] = {**outer, **own}
        # Methods do not see the names of their class.
        inner = outer if isinstance(scope, ast.ClassDef) else {**outer, **own}
        for node in nodes:
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                self._note_functions(node, inner)

    def slips(self, function: str | None) -> Iterator[Slip]:
        for root in self._named_from(function) if function in self.functions else [self.tree]:
            for scope in ast.walk(root):
                if scope is root or isinstance(scope, FUNCTIONS):
                    name = scope.name if isinstance(scope, ast.FunctionDef) else None
                    for slip in self._in_scope(scope):
                        yield replace(slip, function=name)

    def _named_from(self, function: str | None) -> list[ast.AST]:
        found, todo = dict[str, ast.AST](), [function]
        while todo:
            name = todo.pop()
            if name in found or name not in self.functions:
                continue
            found[name] = self.functions[name]
            todo += [node.id for node in ast.walk(found[name]) if isinstance(node, ast.Name)]
        return [*found.values()]

    def _in_scope(self, scope: ast.AST) -> Iterator[Slip]:
        own = list(own_nodes(scope))
        datasets = self._datasets.of(scope)
        for node in own:
            if isinstance(node, ast.Expr) and (stage := self._stage_of(node.value, datasets)) is not None:
                yield self._slip("discarded", node.value, stage, _root_name(node.value))
            if isinstance(node, ast.Call) and (stage := self._stage_of(node, datasets)) is not None:
                yield from self._drawn(node, stage, scope)

    def _stage_of(self, node: ast.AST, datasets: frozenset[str]) -> str | None:
        """The method that a call makes a new dataset with; None for other expressions."""
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            return None
        name = node.func.attr
        return name if name in STAGES and self._datasets.is_dataset(node.func.value, datasets) else None

    def _drawn(self, call: ast.Call, stage: str, scope: ast.AST) -> Iterator[Slip]:
        """Random numbers of NumPy or Python in a function that TensorFlow traces once."""
        # The function of `apply` is called once, with the dataset.
        row = traits(stage)
        given = [*call.args[:1], *(one.value for one in call.keywords if one.arg == row.function)]
        if row.python_iterator or row.opaque or not given:
            return
        for function in self._given(given[0], scope):
            for node in self._traced(function, set()):
                if self._draws(node):
                    yield self._slip("drawn-once", node, stage, None)

    def _given(self, node: ast.AST, scope: ast.AST) -> list[_FUNCTION]:
        """The function that an expression is: by its name, a method of `self`, or one with arguments filled in."""
        match node:
            case ast.Lambda():
                return [node]
            case ast.Call(args=[function, *_]) if self._dotted(node.func) == "functools.partial":
                return self._given(function, scope)
            case ast.Name(id=name) if (named := self._seen_from.get(id(scope), {}).get(name)) is not None:
                return [named]
            case ast.Attribute(value=ast.Name(id="self"), attr=name) if name in self.functions:
                return [self.functions[name]]
        return []

    def _traced(self, function: _FUNCTION, seen: set[int]) -> Iterator[ast.AST]:
        """The nodes of a function, and of functions of the file that it calls, that run while it is traced."""
        if id(function) in seen:
            return
        seen.add(id(function))
        body = [function.body] if isinstance(function, ast.Lambda) else function.body
        todo: list[ast.AST] = [*body]
        while todo:
            node = todo.pop()
            yield node
            if isinstance(node, FUNCTIONS):
                continue
            if isinstance(node, ast.Call):
                if self._dotted(node.func).rpartition(".")[2] in _OUT_OF_GRAPH:
                    todo += node.args[1:]
                    continue
                for called in self._given(node.func, function):
                    yield from self._traced(called, seen)
            todo += ast.iter_child_nodes(node)

    def _draws(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            return False
        module, _, name = self._dotted(node.func).rpartition(".")
        if module in _RANDOM_MODULES and name not in _NOT_DRAWN:
            return True
        return isinstance(node.func, ast.Attribute) and _root_name(node.func) in self.generators

    def _makes_generator(self, node: ast.AST) -> bool:
        name = self._dotted(node.func) if isinstance(node, ast.Call) else ""
        return name in ("numpy.random.default_rng", "numpy.random.RandomState", "random.Random")

    def _slip(self, kind: SlipKind, node: ast.AST, stage: str, variable: str | None) -> Slip:
        line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 0) + 1
        return Slip(kind, ast.unparse(node), stage, variable, self.path, line, column)


def _root_name(node: ast.AST) -> str | None:
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None
