"""Selection of the recorded calls that produce a function's result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pipeprof.pipelines.from_python.literals import Folders, literal
from pipeprof.pipelines.from_python.records import (
    Call,
    Dataset,
    NotExpressible,
    RecordedBody,
    RecordedFunction,
    RecordedKey,
    RecordedTensor,
)

BRANCHES: Final = ("tf.cond", "tf.switch_case")
PYTHON: Final = ("tf.numpy_function", "tf.py_function")


def leaves(value: Any) -> Iterator[RecordedTensor]:
    """Yield all tensors in a structure."""
    if isinstance(value, RecordedTensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, RecordedKey):
        for item in value.items:
            yield from leaves([item.start, item.stop, item.step] if isinstance(item, slice) else item)
    elif isinstance(value, RecordedFunction) and value.body is not None and value.body.element == ():
        yield from captured_values(value.body)


def holds_datasets(value: Any) -> bool:
    """Return whether a structure holds a dataset."""
    if isinstance(value, Dataset):
        return True
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(holds_datasets(part) for part in parts)


def captured_values(body: RecordedBody) -> list[RecordedTensor]:
    """Return the tensors of the enclosing function that a branch uses."""
    makers = {leaf.id: call for call in reversed(body.calls) if call.kind == "function" for leaf in leaves(call.result)}
    captured: dict[int, RecordedTensor] = {}
    seen: set[int] = set()
    todo = list(leaves(body.result))
    while todo:
        leaf = todo.pop(0)
        if leaf.id in seen:
            continue
        seen.add(leaf.id)
        if leaf.id in makers:
            todo += leaves(dict(makers[leaf.id].arguments))
        else:
            captured[leaf.id] = leaf
    return list(captured.values())


@dataclass
class Planner:
    """Search for the calls that produce a tensor: TensorFlow's, or the user's own where those cannot be expressed."""

    body: RecordedBody
    folders: Folders
    _known: dict[int, frozenset[int] | None] = field(default_factory=dict)
    why: str = ""

    def calls(self) -> list[Call]:
        """Return the calls needed, in order."""
        given = {leaf.id for leaf in leaves(self.body.element)}
        self._known = {argument: frozenset() for argument in given}
        chosen: set[int] = set()
        for leaf in leaves(self.body.result):
            needed = self._solve(leaf)
            if needed is None:
                raise NotExpressible(self.why or "pipeprof could not see which calls it makes")
            chosen |= needed
        return [call for index, call in enumerate(self.body.calls) if index in chosen]

    def _solve(self, leaf: RecordedTensor) -> frozenset[int] | None:
        if leaf.id not in self._known:
            self._known[leaf.id] = None
            self._known[leaf.id] = self._first_plan(leaf)
        return self._known[leaf.id]

    def _first_plan(self, leaf: RecordedTensor) -> frozenset[int] | None:
        """Try TensorFlow's own call first, then the user's from the inside out."""
        for kind in ("function", "user"):
            for index, call in enumerate(self.body.calls):
                if call.kind != kind or all(tensor.id != leaf.id for tensor in leaves(call.result)):
                    continue
                if any(tensor.id == leaf.id for tensor in leaves(dict(call.arguments))):
                    continue
                if not self._is_expressible(call):
                    continue
                needed = [self._solve(tensor) for tensor in leaves(dict(call.arguments))]
                if None not in needed:
                    return frozenset({index}).union(*filter(None, needed))
            self.why = self.why or _unknown_text(leaf)
        return None

    def _is_expressible(self, call: Call) -> bool:
        try:
            check(call, self.folders)
        except NotExpressible as problem:
            self.why = self.why or str(problem)
            return False
        return True


def _unknown_text(leaf: RecordedTensor) -> str:
    if leaf.op == "Placeholder":
        return "it uses a tensor of the enclosing function"
    if leaf.op.removeprefix("Stateless") in ("If", "Case", "While"):
        return "it has an `if` or a loop that depends on values"
    if not leaf.op:
        return "it uses a value that a spec cannot make"
    return f"it calls a function of TensorFlow that a spec cannot call ({leaf.op})"


def check(call: Call, folders: Folders) -> None:
    """Check that a call can be written."""
    if call.kind == "user":
        function = call.function
        if function is None or function.file is None:
            raise NotExpressible(f"it calls {call.name}: {function.why if function is not None else ''}")
        if not all(_only_tensors(argument) for argument in call.arguments.values()):
            raise NotExpressible(f"it calls {call.name} with arguments that are not fields of the element")
        return
    for name, value in call.arguments.items():
        for branch in value if isinstance(value, list | tuple) else (value,):
            if call.name in BRANCHES and isinstance(branch, RecordedFunction):
                body = branch.body
                if body is None:
                    raise NotExpressible(f"pipeprof could not see which calls its branch {branch.name} makes")
                Planner(replace(body, element=tuple(captured_values(body))), folders).calls()
        if call.name in PYTHON and name == "func":
            if getattr(value, "file", None) is None:
                raise NotExpressible(f"{call.name} calls {getattr(value, 'name', '?')}: {getattr(value, 'why', '')}")
        elif not isinstance(value, RecordedKey) and not list(leaves(value)):
            try:
                literal(value, folders)
            except NotExpressible as problem:
                raise NotExpressible(f"{call.name} gets {problem}") from None


def _only_tensors(value: Any) -> bool:
    parts: Sequence[Any] = ()
    if isinstance(value, dict):
        parts = list(value.values())
    elif isinstance(value, tuple | list):
        parts = value
    else:
        return isinstance(value, RecordedTensor)
    return bool(parts) and all(_only_tensors(part) for part in parts)
