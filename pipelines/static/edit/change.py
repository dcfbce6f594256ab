"""One change of a chain of calls in the text of a function, each as new text."""

from __future__ import annotations

import ast

from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.static.edit.chain import MethodCall
from pipeprof.pipelines.static.edit.errors import CannotEditSourceError
from pipeprof.pipelines.static.edit.layout import PythonLayout, Replacement


def with_argument(text: str, call: MethodCall, name: str, value: str) -> str:
    r"""Set an argument of a call.

    Args:
        call: The call, as it is in the text.
    """
    layout = PythonLayout(text)
    node = call.node
    given = next((keyword.value for keyword in node.keywords if keyword.arg == name), None)
    row = traits(call.op)
    names = row.positional or ((row.function,) if row.function is not None else ())
    if given is None and name in names and names.index(name) < len(node.args):
        given = node.args[names.index(name)]
    if any(isinstance(one, ast.Starred) for one in node.args) or any(keyword.arg is None for keyword in node.keywords):
        raise CannotEditSourceError(f"the arguments of {call.op} in line {node.lineno} are not written one by one")
    if given is not None:
        return layout.with_splices(Replacement(layout.start(given), layout.end(given), value.encode()))
    if len(node.args) > max(1, len(names)):
        raise CannotEditSourceError(f"the arguments of {call.op} in line {node.lineno} have no names")
    place, comma = layout.last_argument(node)
    new = f"{name}={value}".encode()
    if not node.args and not node.keywords:
        return layout.with_splices(Replacement(place, place, new))
    last = max([*node.args, *(keyword.value for keyword in node.keywords)], key=layout.end)
    if comma and layout.trails(place) and layout.line_end(place) < layout.end(node):
        # One argument in each line, the last one with a comma: the new one gets a line too.
        end = layout.line_end(place)
        first = next((keyword for keyword in node.keywords if keyword.value is last), None)
        indent = layout.indent(layout.start(first.value if first is not None else last))
        return layout.with_splices(Replacement(end, end, layout.newline + indent + new + b","))
    return layout.with_splices(Replacement(place, place, (b" " if comma else b", ") + new))


def with_call(text: str, after: ast.expr, statement: ast.stmt, new: str) -> str:
    """Put a call of a method after an expression.

    Args:
        after: The expression: a call of the chain, or its source.
        new: The call, from its dot on.
    """
    layout = PythonLayout(text)
    name = _name_of_own_line(layout, after, statement)
    end = layout.end(after)
    if name is not None:
        line = layout.indent(layout.start(statement)) + f"{name} = {name}{new}".encode()
        close = layout.line_end(end)
        return layout.with_splices(Replacement(close, close, layout.newline + line))
    if _in_brackets(after, statement):
        return layout.with_splices(Replacement(end, end, new.encode()))
    return layout.with_splices(_own_line(layout, after, new.encode()) or Replacement(end, end, new.encode()))


def without_call(text: str, call: MethodCall) -> tuple[str, bytes, bool]:
    """Take a call out.

    Args:
        call: The call, as it is in the text.

    Returns:
        The text without it, the call from its dot on, or its whole lines, and whether it is those.
    """
    layout = PythonLayout(text)
    dot, end = layout.dot(call.node), layout.end(call.node)
    if _is_own_statement(layout, call):
        start, close = layout.line_start(layout.start(call.statement)), layout.next_line(end)
        start = _with_comments(layout, start)
        return layout.with_splices(Replacement(start, close, b"")), layout.data[start:close], True
    if layout.leads(dot) and layout.trails(end):
        start, close = layout.line_start(dot), layout.next_line(end)
        if not layout.is_joined(end) and layout.follows_joined(start):
            # The last one of joined lines: the one before is the last one now.
            before = layout.data[:start].rstrip().removesuffix(b"\\").rstrip()
            taken = layout.data[start : layout.line_end(end)]
            return (before + layout.data[layout.line_end(end) :]).decode(), taken.strip(), False
        return layout.with_splices(Replacement(start, close, b"")), layout.data[start:close], True
    return layout.with_splices(Replacement(dot, end, b"")), layout.data[dot:end], False


def with_lines_before(text: str, call: MethodCall, lines: bytes) -> str | None:
    """Put whole lines of a call before another call; None where that one has no lines of its own."""
    layout = PythonLayout(text)
    dot = layout.dot(call.node)
    of_chain = lines.lstrip().splitlines()[-1].lstrip().startswith(b".") or lines.lstrip().startswith(b".")
    if of_chain:
        place = layout.line_start(dot) if layout.leads(dot) else None
    else:
        place = layout.start(call.statement) if _is_own_statement(layout, call) else None
        place = _with_comments(layout, layout.line_start(place)) if place is not None else None
    return layout.with_splices(Replacement(place, place, lines)) if place is not None else None


def with_lines_after(text: str, call: MethodCall, lines: bytes) -> str | None:
    """Put whole lines of a call after another call; None where that one has no lines of its own."""
    layout = PythonLayout(text)
    dot, end = layout.dot(call.node), layout.end(call.node)
    if lines.lstrip().startswith(b"."):
        last_of_joined = layout.follows_joined(dot) and not layout.is_joined(end)
        own = layout.leads(dot) and layout.trails(end) and not last_of_joined
    else:
        own = _is_own_statement(layout, call)
    place = layout.next_line(end)
    return layout.with_splices(Replacement(place, place, lines)) if own else None


def with_text_before(text: str, call: MethodCall, new: bytes) -> str:
    """Put a call, from its dot on, before another call."""
    layout = PythonLayout(text)
    dot = layout.dot(call.node)
    if layout.leads(dot) and layout.follows_joined(dot):
        new = new + b" \\" + layout.newline + layout.indent(dot)
    return layout.with_splices(Replacement(dot, dot, new))


def _own_line(layout: PythonLayout, after: ast.expr, new: bytes) -> Replacement | None:
    """A line for a new call after one that has a line of its own, or is a source with one; None where it has not."""
    end = layout.end(after)
    chained = isinstance(after, ast.Call) and isinstance(after.func, ast.Attribute) and layout.leads(layout.dot(after))
    if not chained or not layout.trails(end):
        return None
    assert isinstance(after, ast.Call)  # noqa: S101 - for the type checker
    dot = layout.dot(after)
    indent = layout.indent(dot)
    joined = layout.follows_joined(dot)
    close = layout.line_end(end)
    if not joined:
        return Replacement(close, close, layout.newline + indent + new)
    if layout.is_joined(end):
        return Replacement(close, close, layout.newline + indent + new + b" \\")
    return Replacement(close, close, b" \\" + layout.newline + indent + new)


def _in_brackets(after: ast.expr, statement: ast.stmt) -> bool:
    """Whether an expression is a part of another one's argument, so that its line is not its own."""
    value = statement.value if isinstance(statement, ast.Assign | ast.AnnAssign | ast.Return) else None
    node: ast.expr | None = value
    while node is not None:
        if node is after:
            return False
        node = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
    return True


def _name_of_own_line(layout: PythonLayout, after: ast.expr, statement: ast.stmt) -> str | None:
    """The name that a statement gives to an expression in lines of its own, one call in each statement."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value)
            | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
        ) if value is after:
            pass
        case _:
            return None
    if not layout.leads(layout.start(statement)) or not _alone(layout, layout.end(statement)):
        return None
    if isinstance(after, ast.Call) and isinstance(after.func, ast.Attribute):
        receiver = after.func.value
        # A chain grows where it is; a statement for each call gets another one.
        return name if isinstance(receiver, ast.Name) or not isinstance(receiver, ast.Call) else None
    return name


def _is_own_statement(layout: PythonLayout, call: MethodCall) -> bool:
    """Whether a statement gives a name the result of one call on the same name, in lines of its own."""
    statement = call.statement
    match statement:
        case ast.Assign(targets=[ast.Name(id=name)], value=value) if value is call.node:
            same = isinstance(call.receiver, ast.Name) and call.receiver.id == name
            return same and layout.leads(layout.start(statement)) and _alone(layout, layout.end(statement))
    return False


def _alone(layout: PythonLayout, end: int) -> bool:
    """Whether nothing but a comment follows in a line."""
    rest = layout.data[end : layout.line_end(end)].strip()
    return not rest or rest.startswith(b"#")


def _with_comments(layout: PythonLayout, start: int) -> int:
    """The start of the comment lines directly before a line, which belong to it."""
    while start:
        before = layout.line_start(start - 1)
        if not layout.data[before : start - 1].strip().startswith(b"#"):
            return start
        start = before
    return start
