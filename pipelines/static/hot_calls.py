"""The call with most of the time of Python in a file, by the lines at which a run saw it."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from pipeprof.pipelines.static.dataset_names import FUNCTIONS, own_nodes
from pipeprof.pipelines.static.imports import Imports
from pipeprof.pipelines.static.trees import names_in
from pipeprof.pipelines.static.written_calls import parsed

CallKind: TypeAlias = Literal["same each time", "from processes", "other"]
_PROCESSES: Final = ("multiprocessing", "concurrent.futures", "joblib", "torch.multiprocessing")
_RECEIVING: Final = frozenset({"get", "imap", "imap_unordered", "map", "result", "starmap"})


@dataclass(frozen=True)
class HotCall:
    """A call in the user's file.

    Attributes:
        text: As written, in one line; empty where its line makes other calls beside it, which may have the time.
        function: That it stands in.
        line: From 1.
        share: Of the time inside Python functions that passes in it, 0 to 1.
        kind: It makes an object of a class, or calls a function of the file, with nothing of what its own function gets
            or sets; it takes results from other processes; or neither.
    """

    text: str
    function: str
    line: int
    share: float
    kind: CallKind


def hot_call(text: str, functions: Collection[str], shares: Mapping[int, float]) -> HotCall | None:
    r"""Return the call of a file's functions with most of the time; None where no line of a call was seen.

    Where one function that was seen calls another one of the file, with nothing of its own, the call has the time of
    that function's lines.

    Args:
        functions: That were seen; a lambda is ``<lambda>``.
        shares: Of the time inside Python functions, by line.

    Example:
        >>> code = "def build():\n    return [1]\ndef f(x):\n    return build()[0] + x\n"
        >>> hot_call(code, {"build", "f"}, {2: 0.7, 4: 0.3})
        HotCall(text='build()', function='f', line=4, share=0.7, kind='same each time')
    """
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree is not None else []
    made = {node.name: node for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    sends = tree is not None and any(name.startswith(_PROCESSES) for name in Imports(tree).names.values())
    scopes = [one for one in nodes if isinstance(one, FUNCTIONS) and getattr(one, "name", "<lambda>") in functions]
    seen = {scope: list(own_nodes(scope)) for scope in scopes}
    calls = [(scope, node) for scope, own in seen.items() for node in own if isinstance(node, ast.Call)]
    names = [call.func.id if isinstance(call.func, ast.Name) else "" for _, call in calls]
    found: list[tuple[float, int, int, HotCall, ast.Call]] = []
    for (scope, call), name in zip(calls, names, strict=True):
        own = {one.arg for one in ast.walk(scope.args) if isinstance(one, ast.arg)}
        own |= {node.id for node in seen[scope] if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        alone, defined, lines = not names_in(call, ast.Load) & own, made.get(name), (call.lineno, call.end_lineno or 0)
        kind: CallKind = "other"
        outer = alone and defined is not None and names.count(name) == 1 and _gives_at_once(defined)
        if outer and defined is not None:
            kind, lines = "same each time", (defined.lineno, defined.end_lineno or 0)
        elif alone and ast.unparse(call.func).rpartition(".")[2][:1].isupper():
            kind = "same each time"
        elif sends and isinstance(call.func, ast.Attribute) and call.func.attr in _RECEIVING:
            kind = "from processes"
        share = sum(part for line, part in shares.items() if lines[0] <= line <= lines[1])
        text = ast.unparse(call)
        made_here = HotCall(text, getattr(scope, "name", "<lambda>"), call.lineno, share, kind)
        # What a function calls is in the call of it, and what a line calls in the longest call of it.
        found.append((share, outer + (kind != "other"), len(text), made_here, call))
    best = max(found, key=lambda one: one[:3], default=None)
    if best is None or best[0] <= 0:
        return None
    *_, hot, call = best
    beside = [
        other for _, other in calls if other.lineno == call.lineno and not (_has(call, other) or _has(other, call))
    ]
    return replace(hot, text="") if beside and hot.kind == "other" else hot


def _has(outer: ast.AST, inner: ast.AST) -> bool:
    return any(node is inner for node in ast.walk(outer))


def _gives_at_once(made: ast.AST) -> bool:
    """Whether a function or class of the file gives its result at once, and keeps nothing for the next call."""
    kept = ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal
    return not any(isinstance(node, kept) for node in ast.walk(made))
