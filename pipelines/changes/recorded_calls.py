"""The public calls of tf.data that made a pipeline, as they were seen while the user's code ran (worker only).

A `BuildHook` reports each return of a method of `tf.data.Dataset`. A record stands at the dataset that came out and is
freed with it; it holds what the dataset holds anyway, and of large arrays only weak references. The stages are those of
the graph, grouped in the same way: the call of a stage is the one, of those that returned its dataset, that reads what
the stage reads.
"""

from __future__ import annotations

import inspect
import os
import pickle
import random
import types
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import FrameType
from typing import Any, Final

from pipeprof.pipelines.changes.chain import CannotChangeError, Chain, chain_of
from pipeprof.pipelines.graph.observe.build_hook import WatchedCall
from pipeprof.pipelines.graph.observe.build_watch import SourceWatch
from pipeprof.pipelines.graph.observe.created import CreatedDataset, Weak, draw
from pipeprof.pipelines.graph.observe.source_lines import Lines
from pipeprof.pipelines.graph.opnames import is_option
from pipeprof.pipelines.graph.stages import StageGraph, WrittenStage

RECORDS: Final = "pipeprof_calls"
"""Attribute of a dataset with the calls that returned it, the innermost first."""
_MOST_VALUES: Final = 1000
"""Values of an argument, or numbers of an array, from which it is not kept alive."""

_PLAIN: Final = (int, float, str, tuple, types.FunctionType)
"""Types of variables of a module that are noted as they are when a function is given: loops give them other values."""


@dataclass(frozen=True, eq=False)
class Call:
    """A call that returned a dataset."""

    method: str
    function: Callable[..., Any]
    arguments: Mapping[str, Any]
    """Bound to TensorFlow's names; ``self`` is the dataset whose method was called."""
    drawn: bytes | None = None
    """State of Python's and NumPy's random numbers when it was called; None where it is given no function."""

    @property
    def parameters(self) -> list[str]:
        """Names of all arguments that it takes."""
        return list(inspect.signature(self.function).parameters)

    def again(self, arguments: Mapping[str, Any]) -> Any:
        """Call it once more, with other arguments."""
        given = dict(arguments)
        receiver = [given.pop("self")] if "self" in given else []
        if self.method == "range":
            receiver = [given.pop(name) for name in ("start", "stop", "step")]
        if self.drawn is None:
            return self.function(*receiver, **given)
        before = _random_state()
        # What a function draws while it is traced is a constant of its graph; what it prints is known already.
        _set_random_state(self.drawn)
        try:
            with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                return self.function(*receiver, **given)
        finally:
            _set_random_state(before)


@dataclass
class RecordedCalls:
    """Recorder of the calls of a build."""

    lines: Lines
    _objects: weakref.WeakKeyDictionary[CreatedDataset, list[weakref.ref[Any]]] = field(
        default_factory=weakref.WeakKeyDictionary
    )
    _open: dict[int, tuple[dict[str, Any], bytes | None]] = field(default_factory=dict)
    _state: bytes | None = None

    def watched(self) -> Iterator[WatchedCall]:
        """Yield what records the public functions that make datasets."""
        import tensorflow as tf

        for name in dir(tf.data.Dataset):
            if not name.startswith("_") and callable(function := getattr(tf.data.Dataset, name)):
                yield WatchedCall(function, partial(self._began, name), partial(self._ended, name, function))
        for name, function in {**vars(tf.data), **vars(tf.data.experimental)}.items():
            is_dataset = inspect.isclass(function) and tf.data.Dataset in function.__mro__[1:]
            if is_dataset or function is tf.data.experimental.from_list:
                yield WatchedCall(function, partial(self._began, name), partial(self._ended, name, function))

    def _began(self, method: str, frame: FrameType) -> None:
        """Note what a call is given, before it gives its variables other values."""
        given = _bound(frame, method)
        state = None
        if any(map(_is_function, given.values())):
            state = _random_state()
            self._state = state = self._state if state == self._state else state
            # A generator runs later, and reads what there is then.
            given |= {name: _as_now(value) for name, value in given.items() if name != "generator"}
        self._open[id(frame)] = given, state

    def _ended(self, method: str, function: Callable[..., Any], frame: FrameType, result: Any) -> None:
        import tensorflow as tf

        given, drawn = self._open.pop(id(frame), ({}, None))
        dataset = given.pop("self", None) if inspect.isclass(function) else result
        made = None
        if isinstance(dataset, tf.data.Dataset) and given:
            with suppress(AttributeError):  # a constructor that raised
                made = self.lines.created(dataset)
        if made is None:
            return
        arguments = {name: _kept(value) for name, value in given.items()}
        vars(dataset).setdefault(RECORDS, []).append(Call(method, function, arguments, drawn))
        objects = self._objects.setdefault(made, [])
        if not any(one() is dataset for one in objects):
            objects.append(weakref.ref(dataset))

    def objects(self, made: CreatedDataset) -> list[Any]:
        """The datasets of Python that still exist for one of TensorFlow's."""
        return [one for reference in self._objects.get(made, ()) if (one := reference()) is not None]

    def read(self, dataset: Any, *, ops: Mapping[str, str] | None = None, prefix: str = "") -> RecordedPipeline:
        """Return the calls that made a dataset.

        Args:
            ops: For a spec, its ops by address; None for a Python function.
            prefix: Of the addresses, for a dataset that a stage's function makes.

        Raises:
            CannotChangeError: It was not seen being made.
        """
        made = self.lines.created(dataset)
        if made is None:
            raise CannotChangeError(None, "how the dataset was made was not seen")
        graph, created = draw(made)
        if any(None in one.inputs for one in created.values()):
            raise CannotChangeError(None, "how a dataset that it reads was made was not seen")
        stages = StageGraph.from_dict(graph).stages(by_address=ops is not None, ops=ops, prefix=prefix)
        return RecordedPipeline(self, dataset, {stage.address: stage for stage in stages}, created, ops)


class CallWatch(SourceWatch):
    """Observer of the datasets created in a ``with`` block, with the calls that made them."""

    calls: RecordedCalls

    def _watched_calls(self) -> Iterable[WatchedCall]:
        self.calls = RecordedCalls(self.lines)
        return self.calls.watched()


@dataclass(frozen=True, eq=False)
class RecordedPipeline:
    """The calls that made a dataset, by the addresses of its stages."""

    calls: RecordedCalls
    dataset: Any
    stages: Mapping[str, WrittenStage]
    created: Mapping[str, CreatedDataset]
    ops: Mapping[str, str] | None

    @cached_property
    def chain(self) -> Chain:
        """Its stages, in order."""
        return chain_of((address, stage.op) for address, stage in self.stages.items())

    @property
    def end(self) -> str:
        """The address of its last stage."""
        return str(self.chain.calls[-1].address)

    def made(self, address: str) -> CreatedDataset:
        """How the dataset was made that a stage gives."""
        return self.created[self.stages[address].head]

    def dataset_of(self, address: str) -> Any:
        """The dataset that a stage gives."""
        made = self.made(address)
        if self.calls.lines.created(self.dataset) is made:
            return self.dataset
        objects = self.calls.objects(made)
        if not objects:
            raise CannotChangeError(address, "the call that made it was not seen")
        return objects[-1]

    def is_of(self, dataset: Any, address: str) -> bool:
        """Whether a dataset is the one that a stage gives."""
        return self.calls.lines.created(dataset) is self.made(address)

    def call_of(self, address: str) -> tuple[Call, list[int]]:
        """Return the call of a stage, and which of the stages that it reads each dataset in its arguments is."""
        stage = self.stages[address]
        wanted = [self.made(below) for below in stage.inputs]
        found = []
        for dataset in self.calls.objects(self.made(address)):
            for call in vars(dataset).get(RECORDS, ()):
                order = self._order(call, wanted)
                if order is not None:
                    found.append((call, order))
        if not found:
            raise CannotChangeError(address, f"how {stage.op} was called was not seen")
        # A reader calls flat_map or interleave with the same files.
        return next((pair for pair in found if pair[0].method == stage.op), found[0])

    def _order(self, call: Call, wanted: Sequence[CreatedDataset]) -> list[int] | None:
        left = dict(enumerate(wanted))
        order = []
        for dataset in datasets_in(call.arguments):
            made = without_options(self.calls.lines.created(dataset))
            if made is None:
                # The element of a function around it.
                order.append(-1)
                continue
            found = next((index for index, one in left.items() if one is made), None)
            if found is None:
                return None
            order.append(found)
            del left[found]
        return order if not left else None

    def given(self, address: str, call: Call) -> dict[str, Any]:
        """The arguments of a call, where those that were not kept alive still exist."""
        import tensorflow as tf

        def alive(value: Any) -> Any:
            if not isinstance(value, Weak):
                return value
            if (held := value.get()) is None:
                raise CannotChangeError(address, "what it was given does not exist any more")
            return held

        return {name: tf.nest.map_structure(alive, value) for name, value in call.arguments.items()}


def datasets_in(arguments: Mapping[str, Any]) -> list[Any]:
    """Return the datasets among arguments, in order."""
    import tensorflow as tf

    return [one for value in arguments.values() for one in tf.nest.flatten(value) if isinstance(one, tf.data.Dataset)]


def without_options(made: CreatedDataset | None) -> CreatedDataset | None:
    """Return the dataset whose elements one gives that only carries options."""
    while made is not None and is_option(made.op) and made.inputs:
        made = made.inputs[0]
    return made


def _bound(frame: FrameType, method: str) -> dict[str, Any]:
    """The arguments of a call from its frame, as it begins: by name, those of ``range`` too."""
    code, values = frame.f_code, frame.f_locals
    count = code.co_argcount + code.co_kwonlyargcount
    given = {name: values[name] for name in code.co_varnames[:count] if name in values}
    rest = list(code.co_varnames[count:])
    several = values.get(rest.pop(0), ()) if code.co_flags & inspect.CO_VARARGS else ()
    more = values.get(rest.pop(0), {}) if code.co_flags & inspect.CO_VARKEYWORDS else {}
    if method == "range":
        start, stop, step = [*((0, *several, 1) if len(several) == 1 else (*several, 1))][:3]
        given |= {"start": start, "stop": stop, "step": step}
    elif several:
        given |= {"datasets": several if len(several) > 1 else several[0]}
    return {**given, **more}


def _kept(value: Any) -> Any:
    """An argument as it is kept: what is large only as long as others keep it."""
    import tensorflow as tf

    if not isinstance(value, dict | list | tuple):
        return _kept_leaf(value)
    try:
        return tf.nest.map_structure(_kept_leaf, value) if _count(value) <= _MOST_VALUES else Weak(value)
    except TypeError:  # keys that have no order
        return Weak(value)


def _count(value: Any) -> int:
    """How many values a structure has, as far as that is not many: TensorFlow takes 0.1 s to list a million."""
    if not isinstance(value, dict | list | tuple):
        return 1
    if len(value) > _MOST_VALUES:
        return len(value)
    return sum(map(_count, value.values() if isinstance(value, dict) else value))


def _kept_leaf(value: Any) -> Any:
    import tensorflow as tf

    if isinstance(value, tf.data.Dataset | tf.TypeSpec | tf.data.Options | str | bytes) or callable(value):
        return value
    size = getattr(value, "size", None) if hasattr(value, "__array__") else None
    if isinstance(value, tf.Tensor):
        size = value.shape.num_elements()
    small = isinstance(size, int) and size <= _MOST_VALUES
    large = hasattr(value, "__array__") or isinstance(value, tf.RaggedTensor | tf.SparseTensor)
    return Weak(value) if large and not small else value


def _is_function(value: Any) -> bool:
    return callable(value) and not isinstance(value, type)


def _as_now(value: Any) -> Any:
    """A function as it is now: a loop may give the variables around it other values afterwards."""
    if not isinstance(value, types.FunctionType):
        return value
    try:
        held = [cell.cell_contents for cell in value.__closure__ or ()]
    except ValueError:  # a variable has no value yet
        return value
    if any(isinstance(_kept(one), Weak) for one in held):
        return value
    cells = tuple(map(types.CellType, held))
    variables = _Variables(value)
    made = types.FunctionType(value.__code__, variables, value.__name__, value.__defaults__, cells)
    made.__kwdefaults__ = value.__kwdefaults__
    vars(made).update(vars(value))
    return made


class _Variables(dict[str, Any]):
    """The variables of a function's module: those that a loop may change as they are now, others as they will be."""

    def __init__(self, function: types.FunctionType) -> None:
        self._module = function.__globals__
        known = {name: self._module[name] for name in _names_in(function.__code__) if name in self._module}
        super().__init__({name: value for name, value in known.items() if isinstance(value, _PLAIN)})
        self["__name__"] = self._module.get("__name__")

    def __missing__(self, name: str) -> Any:
        return self._module[name]


def _names_in(code: types.CodeType) -> set[str]:
    inside = [one for one in code.co_consts if isinstance(one, types.CodeType)]
    return {*code.co_names, *(name for one in inside for name in _names_in(one))}


def _random_state() -> bytes:
    import numpy as np

    return pickle.dumps((random.getstate(), np.random.get_state()))


def _set_random_state(state: bytes) -> None:
    import numpy as np

    of_python, of_numpy = pickle.loads(state)  # noqa: S301 - written above
    random.setstate(of_python)
    np.random.set_state(of_numpy)
