"""Calls of a dataset's methods replaced in the statement that they stand in, as that is to be written then."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pipeprof.pipelines.ops.traits import STAGES
from pipeprof.pipelines.static.edit.chain import OPTIONS
from pipeprof.pipelines.static.trees import is_named, names_in
from pipeprof.pipelines.static.written_calls import call_in, parsed

CallPlace: TypeAlias = tuple[int, int | None, str]
"""Line and column of a method's name, from 1, and the name."""
_RECEIVER: Final = "__receiver__"
_METHODS = STAGES.keys() | {OPTIONS}
"""Methods of a dataset that give one."""


@dataclass(frozen=True)
class NewStatement:
    """A statement in place of others.

    Attributes:
        text: In one line.
        spans: First and last line of each statement that it replaces, in their order.
    """

    text: str
    spans: tuple[tuple[int, int], ...]


def with_calls(
    text: str, places: Sequence[CallPlace], calls: str, *, source: bool = False, after: bool = False
) -> NewStatement | None:
    r"""Return the statement that has other calls in place of some that follow each other.

    Args:
        text: The file.
        places: The calls that go, in the order of the data.
        calls: What comes there, from its first dot on.
        source: Whether the first one makes the dataset; ``calls`` is then the whole expression.
        after: Whether they come after these calls, which then stay.

    Returns:
        `None` where the calls do not follow each other in statements of one block that nothing else reads.

    Example:
        >>> code = "def make():\n    rows = read()\n    rows = rows.map(f)\n    return rows.batch(2).prefetch(1)\n"
        >>> with_calls(code, [(3, None, "map"), (4, None, "batch")], ".batch(2).map(g)")
        NewStatement(text='return rows.batch(2).map(g).prefetch(1)', spans=((3, 3), (4, 4)))
    """
    known = parsed(text)
    if known is None or not places:
        return None
    tree = copy.deepcopy(known)
    nodes = list({id(node): node for place in places if (node := call_in(tree, *place)) is not None}.values())
    if len({*places}) != len(nodes):
        return None
    base = "" if source and not after else _RECEIVER
    return _Chain(tree, nodes).with_calls(f"{base}{calls.replace('…', '...')}", after=after)


def variable_of(text: str, place: CallPlace) -> str | None:
    r"""Return the name that a call's dataset has in the file: that which it is called on, else that which it gets.

    Example:
        >>> variable_of("def make():\n    rows = read()\n    return rows.map(f).batch(2)\n", (3, None, "batch"))
        'rows'
    """
    tree = parsed(text)
    call = call_in(tree, *place) if tree is not None else None
    node: ast.AST | None = call
    # Another method, or a module's function, makes the dataset: its receiver is none.
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        node = node.func.value
    if isinstance(node, ast.Name) and not node.id[:1].isupper():
        return node.id
    assigned = [one for one in ast.walk(tree or ast.Module([], [])) if isinstance(one, ast.Assign)]
    return next((_target(one) for one in assigned if any(part is call for part in ast.walk(one.value))), None)


class _Chain:
    """Calls that follow each other in a file."""

    def __init__(self, tree: ast.Module, nodes: Sequence[ast.Call]) -> None:
        self._nodes = nodes
        self._parents = {id(child): node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}

    def with_calls(self, calls: str, *, after: bool) -> NewStatement | None:
        first, last = self._nodes[0], self._nodes[-1]
        kept = last if after else first.func.value if isinstance(first.func, ast.Attribute) else None
        end = self._statement(last)
        before = self._before(end)
        if end is None or before is None or (kept is None and calls.startswith(_RECEIVER)):
            return None
        try:
            expression = ast.parse(calls, mode="eval")
        except SyntaxError:
            return None
        if kept is not None:
            _Put(lambda node: is_named(node, _RECEIVER), kept).visit(expression)
        changed = _Put(lambda node: node is last, expression.body).visit(end)
        spans = [(one.lineno, one.end_lineno or one.lineno) for one in (*reversed(before), end)]
        return NewStatement(ast.unparse(changed), tuple(spans))

    def _before(self, end: ast.stmt | None) -> list[ast.stmt] | None:
        """Statements before the last one that has some of the calls, last first; None where others read them."""
        found: list[ast.stmt] = []
        chosen, left = {id(node) for node in self._nodes}, len(self._nodes) - 1
        at: ast.expr = self._nodes[-1]
        while left and end is not None:
            if isinstance(at, ast.Name):
                reader = found[-1] if found else end
                bound = self._bound(at.id, reader) if not self._in_lambda(at) else None
                if bound is None:
                    return None
                found.append(bound)
                at = bound.value
            elif isinstance(at, ast.Call) and isinstance(at.func, ast.Attribute):
                at = at.func.value
            else:
                return None
            if isinstance(at, ast.Call):
                if id(at) not in chosen:
                    return None
                left -= 1
        return found if end is not None and self._moves(found, end) else None

    def _moves(self, before: list[ast.stmt], end: ast.stmt) -> bool:
        """Whether what the first statement reads is the same at the last one."""
        if not before:
            return True
        block = self._block(end)
        start = block.index(before[-1])
        read = names_in(before[-1], ast.Load)
        given = {_target(one) for one in before}
        between = [one for one in block[start + 1 : block.index(end)] if one not in before]
        return not any((read - given) & names_in(one, ast.Store) for one in between)

    def _bound(self, name: str, reader: ast.stmt) -> ast.Assign | None:
        """The statement that gives a name the value that another one reads, if no third one reads it."""
        block = self._block(reader)
        place = next((number for number, one in enumerate(block) if one is reader), 0)
        made = next((number for number in reversed(range(place)) if name in names_in(block[number], ast.Store)), None)
        found = block[made] if made is not None else None
        if made is None or not isinstance(found, ast.Assign) or _target(found) != name:
            return None
        # A reader that gives the name another value is the last one of this value.
        until = place + 1 if name in names_in(reader, ast.Store) else len(block)
        uses = sum(_reads(one, name) for one in block[made + 1 : until])
        outer = until == len(block) and not isinstance(self._parents.get(id(reader)), ast.FunctionDef)
        return found if uses == 1 and not outer else None

    def _block(self, statement: ast.stmt) -> list[ast.stmt]:
        owner = self._parents[id(statement)]
        blocks = (getattr(owner, name, None) for name in ("body", "orelse", "finalbody"))
        return next((one for one in blocks if isinstance(one, list) and statement in one), [statement])

    def _statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement of an expression, if it has no others in it."""
        while not isinstance(node, ast.stmt):
            node = self._parents[id(node)]
        return None if hasattr(node, "body") else node

    def _in_lambda(self, node: ast.AST) -> bool:
        while not isinstance(node, ast.stmt | ast.Lambda):
            node = self._parents[id(node)]
        return isinstance(node, ast.Lambda)


class _Put(ast.NodeTransformer):
    """Puts an expression in place of another one."""

    def __init__(self, wanted: Callable[[ast.AST], bool], new: ast.expr) -> None:
        self._wanted = wanted
        self._new = new

    def visit(self, node: ast.AST) -> ast.AST:
        """Replace the expression, and nothing in it."""
        return self._new if self._wanted(node) else self.generic_visit(node)


def _target(statement: ast.stmt) -> str | None:
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name
    return None


def _reads(node: ast.AST, name: str) -> int:
    uses = [one for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    return sum(one.id == name for one in uses)
