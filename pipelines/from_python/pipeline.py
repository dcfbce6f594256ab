"""Conversion of a recorded pipeline to an equivalent spec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pipeprof.pipelines.addresses import join
from pipeprof.pipelines.from_python.chains import chain
from pipeprof.pipelines.from_python.literals import Folders, column_defaults, literal, tensors
from pipeprof.pipelines.from_python.records import (
    Array,
    Call,
    Dataset,
    InnerNotExpressible,
    Notes,
    NotExpressible,
    Path,
    RecordedCalls,
    RecordedFunction,
    RecordedTensor,
    SourcePlace,
    field_of,
    paths,
)
from pipeprof.pipelines.from_python.user_functions import UserFunctions, WrittenOp
from pipeprof.pipelines.ops.base import Op, sources, stages
from pipeprof.pipelines.ops.constants import AUTOTUNE_VALUE
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.spec.paths import is_glob

_FILES: Final = ("filenames", "file_pattern")
_NAME: Final = re.compile(r"[^\x00-\x1f]+")
_UNKNOWN: Final = "no function of TensorFlow that a spec knows made this dataset"
_OBJECT: Final = "it is an object that is not a variable of a module; make it one"


@dataclass(frozen=True)
class PythonPart:
    """The beginning of a pipeline that a Python function makes."""

    last: str
    where: SourcePlace | None


@dataclass
class RecoveredSpec:
    """Spec recovered from a recording.

    Attributes:
        python: The last stage that the Python function of its source makes; None without such a source.
    """

    data: dict[str, Any]
    places: dict[str, SourcePlace] = field(default_factory=dict)
    chains: dict[str, int] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    python: PythonPart | None = None


@dataclass
class Describer:
    """Converter of one recorded pipeline to a spec.

    Args:
        target: Reference of the function that gave the pipeline; None if a spec cannot call it.
        seeds: Random seeds of stages that the function gives none, by the number of their call.
    """

    recording: RecordedCalls
    folders: Folders
    refused: Mapping[int, str] = field(default_factory=dict)
    denied: Mapping[int, str] = field(default_factory=dict)
    target: str | None = None
    seeds: Mapping[int, int] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)
    _tail: tuple[str, ...] = ()
    _python_part: PythonPart | None = None
    _places: dict[str, SourcePlace] = field(default_factory=dict)
    _chains: dict[str, int] = field(default_factory=dict)
    _calls: dict[str, int] = field(default_factory=dict)
    _named: dict[str, int] = field(default_factory=dict)

    def describe(self, name: str) -> RecoveredSpec:
        """Convert the whole pipeline."""
        head: dict[str, Any] = {"version": 1, "name": name}
        root, options = self.recording.root, None
        last = self.recording.calls.get(root.id)
        if last is not None and last.name == "with_options" and _options(last):
            options = _options(last)
            self._tail = (last.name,)
            root = last.arguments["self"]
        data = {**head, **self._pipeline(root, None, "")}
        if options is not None:
            data["options"] = options
        if self.recording.seed is not None:
            data["measure"] = {"seed": self.recording.seed}
        return RecoveredSpec(data, self._places, self._chains, self._calls, self._python_part)

    def _pipeline(self, end: Dataset, element: Any, address: str) -> dict[str, Any]:
        """Convert a pipeline to ``source`` and ``stages``, or to ``on`` for a dataset of the element."""
        calls, start = self._line(end, element)
        steps: list[WrittenOp] = []
        number = 0
        for call in calls:
            is_stage = isinstance(call.arguments.get("self"), Dataset)
            here = join(address, "stages", number) if is_stage else join(address, "source")
            number += is_stage
            steps.append(self._step(call, element, here, is_stage=is_stage))
        if start is None and not calls:
            steps.append(WrittenOp(end.id, "source", None, _UNKNOWN, None))
        if element is None:
            self._note(steps)
            steps, moved = self._functions(address).cover(steps)
            if moved:
                self._renumber(steps, address)
            if not address and steps and steps[0].item is not None and "python" in steps[0].item:
                self._python_part = PythonPart(steps[0].name or steps[0].op, steps[0].where)
        problem = next((step for step in steps if step.item is None), None)
        if problem is not None:
            raise (InnerNotExpressible if element is None else NotExpressible)(f"{problem.op}: {problem.why}")
        written: dict[str, Any] = {}
        if start:
            written["on"] = field_of(start)
        if steps and steps[0].op == "source":
            written["source"] = steps[0].item
        items = [step.item for step in steps if step.op != "source"]
        if items:
            written["stages"] = items
        return written

    def _functions(self, address: str) -> UserFunctions:
        """Return the user's functions that may stand for a part of a pipeline; the target only for the whole one."""
        users, target, tail = self.recording.users, self.target, self._tail
        return UserFunctions(users, self.folders, None if address else target, () if address else tail, self.denied)

    def _line(self, end: Dataset, element: Any) -> tuple[list[Call], Any]:
        """Return the calls from the source on, and the path of the element's dataset where they begin with one."""
        given = _datasets(element)
        calls: list[Call] = []
        at = end.id
        seen: set[int] = set()
        while at not in given and at in self.recording.calls and at not in seen:
            seen.add(at)
            call = self.recording.calls[at]
            calls.append(call)
            before = call.arguments.get("self")
            if not isinstance(before, Dataset):
                return calls[::-1], None
            at = before.id
        path: Path | None = given.get(at)
        if path is None:
            return [Call("source", "unknown", {}, Dataset(at)), *calls[::-1]], None
        return calls[::-1], path

    def _step(self, call: Call, element: Any, here: str, *, is_stage: bool) -> WrittenOp:
        number = call.result.id if isinstance(call.result, Dataset) else 0
        self._calls[here] = call.id
        op = call.name if is_stage else "source"
        if call.where is not None:
            self._places[here] = call.where
        try:
            if call.id in self.denied:
                raise NotExpressible(self.denied[call.id])
            if call.kind == "unknown":
                raise NotExpressible(_UNKNOWN)
            item = {call.name: self._stage(call, element, here) if is_stage else self._source(call, element, here)}
        except InnerNotExpressible as problem:
            return WrittenOp(number, op, None, str(problem), call.where, call.name, call.id, noted=True)
        except NotExpressible as problem:
            return WrittenOp(number, op, None, str(problem), call.where, call.name, call.id)
        return WrittenOp(number, op, item, "", call.where, call.name, call.id)

    def _note(self, steps: Sequence[WrittenOp]) -> None:
        for step in steps:
            if step.item is None and not step.noted:
                self.notes.add(step.name or step.op, step.why, step.where)

    def _renumber(self, steps: Sequence[WrittenOp], address: str) -> None:
        chains = set(self._chains.values())
        for known in (self._places, self._chains, self._calls):
            known.clear()
        number = 0
        for step in steps:
            here = join(address, "source") if step.op == "source" else join(address, "stages", number)
            number += step.op != "source"
            if step.where is not None:
                self._places[here] = step.where
            if step.call:
                self._calls[here] = step.call
            if step.call in chains:
                self._chains[here] = step.call

    def _stage(self, call: Call, element: Any, here: str) -> dict[str, Any]:
        kind, row = stages()[call.name], traits(call.name)
        given = {name: value for name, value in call.arguments.items() if name != "self"}
        if call.id in self.seeds:
            given["seed"] = self.seeds[call.id]
        work: dict[str, Any] = {}
        if row.computes and row.function is not None:
            work = self._element(call, given.pop(row.function), here, answers=row.predicate)
        elif row.opens:
            work = self._nested_pipeline(call, given.pop("map_func"), here)
        elif call.name == "concatenate":
            work = {"dataset": self._pipeline(given.pop("dataset"), element, join(here, "dataset"))}
        elif call.name == "group_by_window":
            work = {"reduce_func": self._nested_pipeline(call, given.pop("reduce_func"), join(here, "reduce_func"))}
        for name in (row.function, "window_size_func"):
            if name in given and not row.opaque:
                work[name] = self._element(call, given.pop(name), here, answers=True)
        for name, value in given.items():
            if isinstance(value, RecordedFunction):
                raise NotExpressible(f"{name} is a function")
        if row.remote:
            self.notes.aside(call.name, "what its workers run is as recorded, and was not compared", call.where)
        arguments = _written_arguments(kind, given, self.folders)
        return {**self._label(call, arguments), **work, **arguments}

    def _label(self, call: Call, arguments: dict[str, Any]) -> dict[str, Any]:
        """Move the user's name of a stage from its arguments to a label; a spec has each name once."""
        name = arguments.pop("name", None)
        if name is None:
            return {}
        if self._named.setdefault(name, call.id) == call.id:
            return {"name": name}
        self.notes.aside(call.name, f"name {name!r} omitted: another stage has it", call.where)
        return {}

    def _element(self, call: Call, function: Any, here: str, *, answers: bool) -> dict[str, Any]:
        if not isinstance(function, RecordedFunction):
            raise NotExpressible("what it was given as a function cannot be read")
        why = ""
        if call.id in self.refused:
            why = self.refused[call.id]
        elif function.body is None:
            why = "pipeprof could not see which calls it makes"
        else:
            try:
                items, why = chain(function.body, self.folders, answers=answers)
            except NotExpressible as problem:
                why = str(problem)
            else:
                # A chain that only calls the function is no better than the function.
                if function.file is None or items != [{"python": self.folders.reference(function.file)}]:
                    self._chains[here] = call.id
                    for item in items:
                        said = item.get("python") if isinstance(item, dict) else None
                        if said is not None:
                            name = said["function"] if isinstance(said, dict) else said
                            self.notes.add(call.name, f"calls {name} as Python: {why}", function.where or call.where)
                    return {"ops": items}
        return self._python(call, function, why)

    def _python(self, call: Call, function: RecordedFunction, why: str) -> dict[str, Any]:
        place = function.where or call.where
        if function.file is None:
            called = "the lambda" if function.name == "<lambda>" else function.name
            raise NotExpressible(
                f"{called} cannot be written as YAML, since {why}, and cannot be called from a spec, "
                f"since {function.why}"
            )
        self.notes.add(f"{call.name} {function.name}", f"stays Python: {why}", place)
        return {"python": self.folders.reference(function.file)}

    def _nested_pipeline(self, call: Call, function: Any, here: str) -> dict[str, Any]:
        if not isinstance(function, RecordedFunction):
            raise NotExpressible("what it was given as a function cannot be read")
        body = function.body
        why = "pipeprof could not see how the dataset that it returns is made"
        if body is not None and isinstance(body.result, Dataset):
            element = body.element[-1] if call.name == "group_by_window" else body.element
            try:
                return self._pipeline(body.result, _Element(element), here)
            except NotExpressible as problem:
                if function.file is None:
                    raise NotExpressible(f"in its function, {problem}") from problem
                why = str(problem)
        return self._python(call, function, why)

    def _source(self, call: Call, element: Any, here: str) -> dict[str, Any]:
        kind = sources()[call.name]
        given = dict(call.arguments)
        if call.id in self.seeds:
            given["seed"] = self.seeds[call.id]
        if call.name == "range":
            given = _range(given)
        if traits(call.name).equal_inputs:
            return self._combined_source(call, given, element, here)
        first_entries: dict[str, Any] = {}
        if call.name == "from_generator":
            function = given.pop("generator")
            if not isinstance(function, RecordedFunction) or function.file is None:
                why = function.why if isinstance(function, RecordedFunction) else _OBJECT
                raise NotExpressible(f"its generator cannot be called from a spec, since {why}")
            first_entries["python"] = self.folders.reference(function.file)
        first = kind.element_argument
        if first and first in given and isinstance(element, _Element):
            part = _outer(given[first], element.value)
            if part is not None:
                del given[first]
                first_entries |= {} if "whole" in part else {first: part}
        for name in _FILES:
            if isinstance(given.get(name), Dataset):
                first_entries[name] = self._file_patterns(given.pop(name))
        arguments = _written_arguments(kind, given, self.folders)
        return {**self._label(call, arguments), **first_entries, **arguments}

    def _file_patterns(self, names: Dataset) -> Any:
        """Return the file patterns of a dataset of names, if it yields them in their order."""
        call = self.recording.calls.get(names.id)
        if call is not None and call.name == "list_files" and call.arguments.get("shuffle") is False:
            return _files(call.arguments["file_pattern"], self.folders)
        if call is not None and call.name == "from_tensor_slices":
            return _files(call.arguments["tensors"], self.folders)
        raise NotExpressible("its file names come from a dataset; a spec expects names")

    def _combined_source(self, call: Call, given: dict[str, Any], element: Any, here: str) -> dict[str, Any]:
        datasets = given.pop("datasets", None)
        if call.name == "zip" and datasets is None:
            args = given.pop("args", ())
            datasets = args[0] if len(args) == 1 and not isinstance(args[0], Dataset) else tuple(args)
        numbers = iter(range(10_000))

        def visit(value: Any) -> Any:
            if isinstance(value, Dataset):
                return self._pipeline(value, element, join(here, "datasets", next(numbers)))
            if isinstance(value, dict):
                return {name: visit(item) for name, item in value.items()}
            if isinstance(value, list | tuple):
                return [visit(item) for item in value]
            raise NotExpressible("it combines values that are not datasets")

        inputs: dict[str, Any] = {"datasets": visit(datasets)}
        for name in ("choice_dataset", "weights"):
            if isinstance(given.get(name), Dataset):
                inputs[name] = self._pipeline(given.pop(name), element, join(here, name))
        given.pop("kwargs", None)
        return {**inputs, **_written_arguments(sources()[call.name], given, self.folders)}


@dataclass(frozen=True)
class _Element:
    """The element that a nested pipeline is made for."""

    value: Any


def _options(call: Call) -> dict[str, Any] | None:
    values = getattr(call.arguments.get("options"), "values", None)
    return dict(values) if values and "name" not in call.arguments else None


def _datasets(element: Any) -> dict[int, Any]:
    if not isinstance(element, _Element):
        return {}

    def visit(value: Any, path: tuple[str | int, ...]) -> dict[int, Any]:
        if isinstance(value, Dataset):
            return {value.id: path}
        items: Any = value.items() if isinstance(value, dict) else ()
        if isinstance(value, list | tuple):
            items = enumerate(value)
        return {number: where for key, item in items for number, where in visit(item, (*path, key)).items()}

    return visit(element.value, ())


def _range(given: Mapping[str, Any]) -> dict[str, Any]:
    numbers = tuple(given.get("args", ()))
    named = dict(given.get("kwargs", {}))
    if len(numbers) == 1:
        return {"stop": numbers[0], **named}
    return {**dict(zip(("start", "stop", "step"), numbers, strict=False)), **named}


def top_level_calls(recording: RecordedCalls) -> list[Call]:
    """Return the calls of the source and the stages of a whole pipeline, in order."""
    calls: list[Call] = []
    at: Any = recording.root
    seen: set[int] = set()
    while isinstance(at, Dataset) and at.id in recording.calls and at.id not in seen:
        seen.add(at.id)
        calls.append(recording.calls[at.id])
        at = calls[-1].arguments.get("self")
    return calls[::-1]


def _written_arguments(kind: type[Op], given: Mapping[str, Any], folders: Folders) -> dict[str, Any]:
    written: dict[str, Any] = {}
    for name, value in given.items():
        if name == "name":
            if isinstance(value, str) and _NAME.fullmatch(value):
                written["name"] = value
            continue
        if name not in kind.model_fields:
            raise NotExpressible(f"argument {name} is not supported in specs")
        try:
            written[name] = _value(kind, name, value, folders)
        except NotExpressible as problem:
            raise NotExpressible(f"{name} is {problem}") from None
    # The name first, as people write it.
    return {"name": written.pop("name"), **written} if "name" in written else written


def _value(kind: type[Op], name: str, value: Any, folders: Folders) -> Any:
    if name in {"tensors", "initial_state", "args", "data", "targets"}:
        components = tensors(value, folders)
        return list(components) if name == "args" else components
    if name in _FILES:
        return _files(value, folders)
    if name in ("record_defaults", "column_defaults") and isinstance(value, list | tuple):
        return column_defaults(value, folders)
    if name in {"filename", "path", "directory"} and isinstance(value, str):
        return folders.path(value) if value else value
    written = literal(value, folders)
    tuned = isinstance(written, int) and written == AUTOTUNE_VALUE
    return "AUTOTUNE" if tuned and "AUTOTUNE" in repr(kind.model_fields[name].annotation) else written


def _files(value: Any, folders: Folders) -> Any:
    """Convert paths and globs."""
    names = value.values if isinstance(value, Array) else value
    listed = [names] if isinstance(names, str) else names
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(name, str) for name in listed):
        words = {Dataset: "a dataset of names", RecordedTensor: "a tensor that the function computes"}
        raise NotExpressible(words.get(type(value), "not names"))
    if any(is_glob(name) for name in listed) or len(listed) == 1:
        written = [folders.path(name) for name in listed]
        return written[0] if len(written) == 1 else written
    return folders.files(listed)


def _outer(value: Any, element: Any) -> dict[str, Any] | None:
    """Convert a nested source's first argument if it is the outer element or a field of it; else return None."""
    if not isinstance(value, RecordedTensor):
        return {"whole": True} if value == element and element is not None else None
    where = paths(element)
    if value.id not in where:
        raise NotExpressible("a tensor computed in the function")
    path = where[value.id]
    return {"on": field_of(path)} if path else {"whole": True}
