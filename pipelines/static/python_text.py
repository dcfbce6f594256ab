"""The text of a user's Python file: where its calls and statements stand, and bytes that come in place of others."""

from __future__ import annotations

import ast
import itertools
import re
from dataclasses import dataclass
from typing import Final

from pipeprof.pipelines.errors import UsageError
from pipeprof.pipelines.static.written_calls import call_in

_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class CannotChangeSourceError(UsageError):
    """A change has no place in the text; the message says why."""


@dataclass(frozen=True)
class RecordedCall:
    """The call that made a stage: line and column of its name, from 1."""

    file: str
    line: int
    column: int | None
    name: str

    def __str__(self) -> str:
        return f"{self.name} in line {self.line} of {self.file}"


@dataclass(frozen=True, order=True)
class TextSplice:
    """What comes in place of some bytes."""

    start: int
    end: int
    text: bytes


class PythonText:
    """The text of a file as bytes, which Python's positions count."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self.data = text.encode()
        self.newline = b"\r\n" if b"\r\n" in self.data else b"\n"
        self.splices: list[TextSplice] = []
        self._starts = [0, *itertools.accumulate(len(line) + 1 for line in self.data.split(b"\n"))]
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise CannotChangeSourceError(f"{name} cannot be read as Python: {error}") from None
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    def call(self, call: RecordedCall) -> ast.Call:
        """The node of a recorded call."""
        node = call_in(self.tree, call.line, call.column, call.name)
        if node is None or not self.data[: self.end(node)].endswith(b")"):
            raise CannotChangeSourceError(f"line {call.line} of {self.name} does not show the call of {call.name}")
        return node

    def start(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's start."""
        return self._starts[node.lineno - 1] + node.col_offset

    def end(self, node: ast.expr | ast.stmt) -> int:
        """Offset of a node's end."""
        return self._starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)

    def dot(self, node: ast.Call) -> int:
        """Offset of the dot before a call's method."""
        function = node.func
        if not isinstance(function, ast.Attribute):
            raise CannotChangeSourceError(f"line {node.lineno} of {self.name} calls no method of a dataset")
        return self.data.rindex(b".", 0, self.end(function) - len(function.attr.encode()))

    def line_start(self, place: int) -> int:
        """Offset of the start of a place's line."""
        return self.data.rfind(b"\n", 0, place) + 1

    def line_end(self, place: int) -> int:
        """Offset of the end of a place's line, without its line end."""
        return place + len(re.match(rb"[^\r\n]*", self.data[place:])[0])  # type: ignore[index]

    def next_line(self, place: int) -> int:
        """Offset of the start of the line after a place's."""
        return (self.data.find(b"\n", place) + 1) or len(self.data)

    def indent(self, place: int) -> bytes:
        """The blanks that the line of a place begins with."""
        return re.match(rb"[ \t]*", self.data[self.line_start(place) :])[0]  # type: ignore[index]

    def leads(self, place: int) -> bool:
        """Whether only blanks stand before a place in its line."""
        return not self.data[self.line_start(place) : place].strip()

    def rest(self, place: int) -> bytes:
        """What stands after a place in its line."""
        return self.data[place : self.line_end(place)].strip()

    def trails(self, place: int) -> bool:
        """Whether only a comment stands after a place in its line."""
        return not self.rest(place) or self.rest(place).startswith(b"#")

    def own_row(self, node: ast.Call) -> bool:
        """Whether a call of a chain in brackets has lines of its own."""
        dot = self.dot(node)
        joined = self.data[: self.line_start(dot)].rstrip().endswith(b"\\")
        return self.leads(dot) and self.trails(self.end(node)) and not joined

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement of an expression."""
        while not isinstance(node, ast.stmt):
            node = self.parents[node]
        return node

    def name_given(self, node: ast.AST) -> str | None:
        """The name that a statement gives to all of an expression."""
        match self.statement(node):
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is node:
                return name
        return None

    def own_line(self, node: ast.Call) -> str | None:
        """The dataset's name where a statement in a line of its own gives it to one call on a dataset or source."""
        name, statement = self.name_given(node), self.statement(node)
        chained = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
        alone = self.leads(self.start(statement)) and self.trails(self.end(statement))
        return name if alone and not chained else None

    def scope(self, node: ast.AST) -> ast.AST:
        """The function or file whose names an expression sees."""
        while node in self.parents and not isinstance(node, (*_FUNCTIONS, ast.Lambda)):
            node = self.parents[node]
        return node

    def drop_idle_lines(self) -> None:
        """Take out each line of which all calls are taken out, and none comes: it would give a dataset its own name."""
        for statement in ast.walk(self.tree):
            match statement:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call() as value):
                    root: ast.expr = value
                    while isinstance(root, ast.Call) and isinstance(root.func, ast.Attribute):
                        root = root.func.value
                    first, last = self.end(root), self.end(statement)
                    inside = {one for one in self.splices if first <= one.start and one.end <= last}
                    is_idle = sum(one.end - one.start for one in inside) == last - first
                    has_others = getattr(self.parents[statement], "body", []) != [statement]
                    alone = self.leads(self.start(statement)) and self.trails(last)
                    own = isinstance(root, ast.Name) and root.id == name
                    if is_idle and not any(one.text for one in inside) and alone and own and has_others:
                        whole = TextSplice(self.line_start(self.start(statement)), self.next_line(last), b"")
                        self.splices = [*(one for one in self.splices if one not in inside), whole]

    def spliced(self) -> str:
        """The text with the splices."""
        data, end = self.data, len(self.data) + 1
        for splice in sorted(set(self.splices), reverse=True):
            if splice.end > end:
                raise CannotChangeSourceError(f"two changes of {self.name} are in one call")
            data, end = data[: splice.start] + splice.text + data[splice.end :], splice.start
        try:
            ast.parse(data)
        except SyntaxError as error:
            where = f"line {error.lineno} of {self.name}"
            raise CannotChangeSourceError(f"the change cannot be written in {where}") from None
        return data.decode()
