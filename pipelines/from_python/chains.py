"""Conversion of a recorded function to a chain of calls in ``ops:``."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pipeprof.pipelines.from_python.literals import NATURAL, Folders, column_defaults, literal
from pipeprof.pipelines.from_python.plans import BRANCHES, PYTHON, Planner, holds_datasets, leaves
from pipeprof.pipelines.from_python.records import (
    Array,
    Call,
    NotExpressible,
    Path,
    RecordedBody,
    RecordedFunction,
    RecordedKey,
    RecordedTensor,
    field_of,
    paths,
    replaced_fields,
)
from pipeprof.pipelines.ops.functions.catalog import function

_MOST_CALLS: Final = 250
# Objects that are created once and called on the element.
_OBJECTS: Final = ("tf.lookup.", "tf.keras.layers.")


def key_text(key: RecordedKey, field: Callable[[RecordedTensor], str | int]) -> str | int:
    """Convert the key; ``field`` names a tensor among its bounds.

    Example:
        >>> key_text(RecordedKey((Ellipsis, slice(None, 3)), alone=False), lambda tensor: "")
        '..., :3'
    """
    words = [_word(item, field) for item in key.items]
    text = ", ".join(words) + ("," if len(words) == 1 and not key.alone else "")
    return int(text) if text.lstrip("-").isdigit() else text


def _word(item: Any, field: Callable[[RecordedTensor], str | int]) -> str:
    if item is Ellipsis:
        return "..."
    if item is None:
        return "tf.newaxis"
    if isinstance(item, slice):
        ends = f"{_bound(item.start, field)}:{_bound(item.stop, field)}"
        return ends if item.step is None else f"{ends}:{_bound(item.step, field)}"
    return _bound(item, field)


def _bound(value: Any, field: Callable[[RecordedTensor], str | int]) -> str:
    if value is None:
        return ""
    if isinstance(value, Array) and isinstance(value.values, int):
        return str(value.values)
    if isinstance(value, RecordedTensor):
        return str(field(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise NotExpressible("an index that is not a number")


def functions_of(call: Call) -> list[Any]:
    """Return the functions of its branches, in order."""
    if call.name == "tf.cond":
        return [call.arguments.get("true_fn"), call.arguments.get("false_fn")]
    listed = call.arguments.get("branch_fns")
    return list(listed) if isinstance(listed, list | tuple) else [listed]


def decision_calls(call: Call) -> Any:
    """Return the calls that compute which branch is taken."""
    return call.arguments.get("pred" if call.name == "tf.cond" else "branch_index")


def written_branches(
    call: Call, inputs: Sequence[RecordedTensor], decision: str | int, write: Callable[[RecordedBody], list[Any]]
) -> dict[str, Any]:
    """Convert the arguments of the call, without routes."""
    chains = [_chain(value, inputs, write) for value in functions_of(call)]
    if call.name == "tf.switch_case":
        return {"branch_fns": chains, "branch_index": [{"select": decision}]}
    names = ("true_fn", "false_fn")
    branches = {name: chain for name, chain in zip(names, chains, strict=True) if chain}
    if not branches:
        raise NotExpressible("both of its branches change nothing")
    return {"pred": [{"select": decision}], **branches}


def _chain(function: Any, inputs: Sequence[RecordedTensor], write: Callable[[RecordedBody], list[Any]]) -> list[Any]:
    body = function.body if isinstance(function, RecordedFunction) else None
    if body is None:
        raise NotExpressible("pipeprof could not see which calls one of its branches makes")
    element: Any = inputs[0] if len(inputs) == 1 else tuple(inputs)
    result = tuple(body.result) if isinstance(body.result, list) else body.result
    return [] if result == element else write(replace(body, element=element, result=result))


def chain(body: RecordedBody, folders: Folders, *, answers: bool = False) -> tuple[list[Any], str]:
    """Convert a function to the list of calls under ``ops:``.

    Args:
        answers: Whether the result of the last call stands alone, as that of a predicate does.
    """
    if holds_datasets(body.element) or holds_datasets(body.result):
        raise NotExpressible("it works on datasets")
    if len(body.calls) > _MOST_CALLS:
        raise NotExpressible(f"it makes {len(body.calls)} calls")
    writer = _ChainWriter(body, folders, answers=answers)
    try:
        return writer.written(), writer.why
    except NotExpressible as problem:
        # The reason why TensorFlow's own calls were not enough comes first.
        raise NotExpressible(writer.why or str(problem)) from problem


class _ChainWriter:
    """Converter of calls in order, with the element's structure at each."""

    def __init__(self, body: RecordedBody, folders: Folders, *, answers: bool) -> None:
        self._body = body
        self._folders = folders
        self._answers = answers
        planner = Planner(body, folders)
        self._calls = planner.calls()
        self.why = planner.why
        self._state: Any = body.element
        self._items: list[Any] = []
        self._result = list(body.result) if isinstance(body.result, list) else body.result

    def written(self) -> list[Any]:
        for index, call in enumerate(self._calls):
            later = self._later_uses(index)
            if self._answers and index == len(self._calls) - 1 and self._result == call.result:
                self._items.append(self._item(call, None, self._inputs(call)))
                return self._items
            self._write_call(call, later)
        self._finish()
        return self._items or [_unchanged_item(self._state)]

    def _later_uses(self, index: int) -> set[int]:
        rest = [dict(call.arguments) for call in self._calls[index + 1 :]]
        return {leaf.id for leaf in leaves([*rest, self._result])}

    def _write_call(self, call: Call, later: set[int]) -> None:
        call = self._with_typed_first(call)
        if call.name in BRANCHES:
            self._branches(call, later)
            return
        if self._as_a_whole(call, later):
            return
        if not isinstance(self._state, dict) and not self._in_place(call, later):
            self._name_fields()
        self._into_field(call, self._inputs(call), later)

    def _with_typed_first(self, call: Call) -> Call:
        """Replace a constant first operand of the call by a field.

        TensorFlow takes the dtype of both operands from the first one, and that of a literal may be another.
        """
        called = function(call.name)
        first = called.parameters[0].name if called is not None and called.parameters else ""
        given = call.arguments.get(first)
        if not isinstance(given, Array) or given.dtype in NATURAL or not list(leaves(dict(call.arguments))):
            return call
        return replace(call, arguments={**call.arguments, first: self._constant(given)})

    def _branches(self, call: Call, later: set[int]) -> None:
        if not isinstance(self._state, dict):
            self._name_fields()
        inputs = list(dict.fromkeys(leaves(functions_of(call))))
        if not inputs:
            raise NotExpressible("its branches do not use the element")
        where = paths(self._state)
        fields = [self._field(where, tensor) for tensor in inputs]
        decision = self._field(where, decision_calls(call))
        item = written_branches(call, inputs, decision, lambda body: chain(body, self._folders)[0])
        on = fields[0] if len(fields) == 1 else fields
        if isinstance(call.result, RecordedTensor) and len(inputs) == 1 and inputs[0].id not in later:
            self._state = replaced_fields(self._state, where[inputs[0].id], call.result)
            self._items.append({call.name: _with_routes(item, on, None)})
            return
        alone = isinstance(call.result, RecordedTensor | dict)
        results = [call.result] if alone else list(call.result)
        targets = [self._fresh_field(call) for _ in results]
        self._state = {**self._state, **dict(zip(targets, results, strict=True))}
        self._items.append({call.name: _with_routes(item, on, targets[0] if alone else targets)})

    def _as_a_whole(self, call: Call, later: set[int]) -> bool:
        """Write the call if its input is the whole element and its result replaces it; return whether it is."""
        held = {leaf.id for leaf in leaves(self._state)}
        if held & later:
            return False
        given = {name: value for name, value in call.arguments.items() if list(leaves(value))}
        if call.kind == "user":
            values = list(given.values())
            whole = values == [self._state] or (isinstance(self._state, tuple) and values == list(self._state))
            if not whole:
                return False
            self._items.append({"python": self._folders.reference(str(call.reference))})
        elif call.name in PYTHON:
            if not isinstance(self._state, RecordedTensor | tuple) or given.get("inp") not in (
                [self._state],
                list(self._state) if isinstance(self._state, tuple) else None,
                (self._state,),
            ):
                return False
            self._items.append(self._item(call, None, {}))
        elif (
            len(given) != 1 or next(iter(given.values())) != self._state or not self._is_first(call, next(iter(given)))
        ):
            return False
        else:
            self._items.append(self._item(call, None, {}))
        self._state = tuple(call.result) if isinstance(call.result, list) else call.result
        return True

    def _is_first(self, call: Call, name: str) -> bool:
        if call.name == "getitem" or call.name.startswith(_OBJECTS):
            return name == "x"
        called = function(call.name)
        if called is None or called.takes_list:
            return False
        return called.inputs(set(call.arguments) - {name}, 1) == [name]

    def _inputs(self, call: Call) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        if call.name == "getitem" and not isinstance(call.arguments["x"], RecordedTensor):
            constant = self._constant(call.arguments["x"])
            inputs["x"] = self._field(paths(self._state), constant)
        where = paths(self._state)
        for name, value in call.arguments.items():
            if isinstance(value, RecordedKey) or not list(leaves(value)):
                continue
            if isinstance(value, RecordedTensor):
                inputs[name] = self._field(where, value)
                continue
            if isinstance(value, list | tuple) and (name == "inp" or self._takes_list(call, name)):
                inputs[name] = [self._field(where, field) for field in self._all_fields(value)]
                where = paths(self._state)
            elif isinstance(value, list | tuple) and all(isinstance(item, RecordedTensor | int) for item in value):
                inputs[name] = self._pack_list(list(value))
                where = paths(self._state)
            else:
                raise NotExpressible(f"{call.name} gets a structure of fields")
        return inputs

    def _all_fields(self, values: Any, dtype: str = "") -> list[RecordedTensor]:
        """Convert constants of a list to fields, with a dtype if it is not their natural one."""
        return [value if isinstance(value, RecordedTensor) else self._constant(value, dtype) for value in values]

    def _pack_list(self, values: list[Any]) -> str | int:
        """Pack a list of numbers and fields as TensorFlow does: Python's numbers get the fields' dtype."""
        fields = self._all_fields(
            values, next((value.dtype for value in values if isinstance(value, RecordedTensor)), "")
        )
        if not isinstance(self._state, dict):
            self._name_fields()
        where = paths(self._state)
        on = [self._field(where, field) for field in fields]
        name = self._fresh_field(Call("stack", "function", {}, None))
        self._state = {**self._state, name: RecordedTensor(-1 - len(self._items))}
        self._items.append({"tf.stack": {"on": on, "to": name}})
        return name

    @staticmethod
    def _takes_list(call: Call, name: str) -> bool:
        called = function(call.name)
        return called is not None and called.takes_list and called.parameters[0].name == name

    def _field(self, where: Mapping[int, Path], value: Any) -> str | int:
        if not isinstance(value, RecordedTensor):
            raise NotExpressible("a list mixes a field and constants")
        if value.id not in where:
            raise NotExpressible("a part of the element no longer exists there")
        path = where[value.id]
        return field_of(path) if path else ""

    def _in_place(self, call: Call, later: set[int]) -> bool:
        """Write the call if its result can replace a component of a tuple; return whether it can."""
        plain = all(
            isinstance(value, RecordedTensor | RecordedKey) or not list(leaves(value))
            for value in call.arguments.values()
        )
        alone = isinstance(self._state, tuple) and isinstance(call.result, RecordedTensor)
        return plain and alone and self._room(call, later) is not None

    def _room(self, call: Call, later: set[int]) -> Path | None:
        """Return the path of an input that is not used afterwards; None for none."""
        where = paths(self._state)
        for leaf in leaves(dict(call.arguments)):
            if leaf.id >= 0 and leaf.id not in later and where.get(leaf.id):
                return where[leaf.id]
        return None

    def _name_fields(self) -> None:
        names = [name for name in self._body.parameters if not keyword.iskeyword(name)]
        if isinstance(self._state, RecordedTensor):
            name = names[0] if len(names) == 1 else "x"
            self._items.append({"to_dict": [name]})
            self._state = {name: self._state}
            return
        if len(names) != len(self._state) or len(set(names)) != len(names):
            names = [f"field_{index}" for index in range(len(self._state))]
        self._items.append({"to_dict": names})
        self._state = dict(zip(names, self._state, strict=True))

    def _into_field(self, call: Call, inputs: dict[str, Any], later: set[int]) -> None:
        room = self._room(call, later)
        if isinstance(call.result, list | tuple) and all(isinstance(part, RecordedTensor) for part in call.result):
            targets = [self._fresh_field(call) for _ in call.result]
            self._state = {**self._state, **dict(zip(targets, call.result, strict=True))}
            self._items.append(self._item(call, targets, inputs))
            return
        if room is not None and isinstance(call.result, RecordedTensor):
            self._items.append(self._item(call, field_of(room), inputs))
            self._state = replaced_fields(self._state, room, call.result)
            return
        target = self._fresh_field(call)
        self._state = {**self._state, target: call.result}
        self._items.append(self._item(call, target, inputs))

    def _fresh_field(self, call: Call) -> str:
        stem = call.name.rsplit(".", maxsplit=1)[-1].lstrip("_") or "value"
        number = 1
        name = stem
        while name in self._state:
            number += 1
            name = f"{stem}_{number}"
        self._state = {**self._state, name: None}
        return name

    def _item(self, call: Call, to: Any, inputs: dict[str, Any]) -> Any:
        if call.kind == "user":
            written: dict[str, Any] = {"function": self._folders.reference(str(call.reference))}
            fields = list(inputs.values())
            return {"python": _with_routes(written, fields[0] if len(fields) == 1 else fields, to)}
        if call.name == "getitem":
            where = paths(self._state)
            text = key_text(call.arguments["key"], lambda bound: self._field(where, bound))
            return {"getitem": _with_routes({"key": text}, inputs.get("x"), to) if inputs or to is not None else text}
        written = {}
        for name, value in call.arguments.items():
            if name in ("name", "inp") or list(leaves(value)):
                continue
            written[name] = self._argument_text(call, name, value)
        if call.name in PYTHON:
            fields = inputs.get("inp", [])
            return {call.name: _with_routes(written, fields[0] if len(fields) == 1 else fields or None, to)}
        written = _with_routes(written, self._on(call, inputs, written), to)
        return {call.name: written} if written else call.name

    def _argument_text(self, call: Call, name: str, value: Any) -> Any:
        if isinstance(value, RecordedFunction) and call.name in PYTHON:
            return self._folders.reference(str(value.file))
        if isinstance(value, str) and name in ("filename", "vocabulary") and call.name.startswith(_OBJECTS):
            return self._folders.path(value)
        if name == "record_defaults" and isinstance(value, list | tuple):
            return column_defaults(value, self._folders)
        return literal(value, self._folders)

    def _on(self, call: Call, inputs: dict[str, Any], written: Mapping[str, Any]) -> Any:
        if not inputs:
            # A call with constants only has no input field; `to` then keeps the element.
            return [] if not list(leaves(dict(call.arguments))) else None
        if call.name.startswith(_OBJECTS):
            return inputs.get("x")
        called = function(call.name)
        listed = [value for value in inputs.values() if isinstance(value, list)]
        if listed:
            if len(inputs) > 1:
                raise NotExpressible(f"{call.name} gets several lists of fields")
            return listed[0]
        free = called.inputs(set(written), len(inputs)) if called is not None else None
        if free == list(inputs):
            return next(iter(inputs.values())) if len(inputs) == 1 else list(inputs.values())
        return inputs

    def _finish(self) -> None:
        if self._state == self._result or self._without_lists(self._state) == self._without_lists(self._result):
            return
        self._make_constants()
        where = paths(self._state)
        result = self._result
        if isinstance(result, RecordedTensor):
            self._items.append({"select": self._field(where, result)})
        elif isinstance(result, dict) and isinstance(self._state, dict):
            if all(name in self._state and self._state[name] == value for name, value in result.items()):
                extra = [name for name in self._state if name not in result]
                short = len(extra) <= len(result)
                self._items.append({"drop": extra} if short else {"select": list(result)})
            else:
                self._items.append({"to_dict": self._structure(result, where)})
        elif isinstance(result, dict):
            self._items.append({"to_dict": self._structure(result, where)})
        else:
            self._items.append({"to_tuple": self._structure(result, where)})

    @staticmethod
    def _without_lists(value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value

    def _structure(self, value: Any, where: Mapping[int, Path]) -> Any:
        if isinstance(value, dict):
            return {name: self._structure(item, where) for name, item in value.items()}
        if isinstance(value, tuple | list):
            return [self._structure(item, where) for item in value]
        if not isinstance(value, RecordedTensor):
            raise NotExpressible("a part of its result is not a tensor")
        if value.id not in where:
            raise NotExpressible("a part of its result does not come from the element")
        return field_of(where[value.id]) if where[value.id] else None

    def _make_constants(self) -> None:
        """Convert constants in the result to fields, and lists inside it, which TensorFlow packs."""

        def visit(value: Any) -> Any:
            if isinstance(value, dict):
                return {name: visit(item) for name, item in value.items()}
            if isinstance(value, tuple):
                return tuple(visit(item) for item in value)
            if isinstance(value, list) and list(leaves(value)):
                name = self._pack_list(value)
                return self._state[name]
            return value if isinstance(value, RecordedTensor) else self._constant(value)

        self._result = visit(self._without_lists(self._result))

    def _constant(self, value: Any, dtype: str = "") -> RecordedTensor:
        dtype = value.dtype if isinstance(value, Array) else "" if dtype in NATURAL else dtype
        written = {"value": literal(value, self._folders), **({"dtype": dtype} if dtype else {})}
        if value is None:
            raise NotExpressible("a part of its result is None")
        if not isinstance(self._state, dict):
            self._name_fields()
        name = self._fresh_field(Call("constant", "function", {}, None))
        made = RecordedTensor(-1 - len(self._items))
        self._items.append({"tf.constant": {**written, "on": [], "to": name}})
        self._state = {**self._state, name: made}
        return made


def _unchanged_item(element: Any) -> Any:
    if isinstance(element, dict):
        return {"select": [*element]}
    return {"to_tuple": [*range(len(element))]} if isinstance(element, tuple) else "tf.identity"


def _with_routes(written: dict[str, Any], on: Any, to: Any) -> dict[str, Any]:
    routes: dict[str, Any] = {}
    if on is not None and on != "":
        routes["on"] = on
    if to is not None and to != on:
        routes["to"] = to
    return {**written, **routes}
