"""Recorder of the calls of TensorFlow's public functions while the user's code builds a pipeline (worker only).

`pipeprof.pipelines.graph.observe.build_hook` reports every call; calls of TensorFlow's public functions are recorded
with arguments and results, but not the calls inside them, except those of the user's functions that TensorFlow traces:
each has a body. Objects are kept as they are, for `pipeprof.pipelines.from_python.reading` to make records of.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType, FunctionType
from typing import Any, Final, Literal, TypeAlias

from pipeprof.pipelines.build.signatures import UnknownFunctionError, resolve
from pipeprof.pipelines.from_python.plans import BRANCHES, PYTHON
from pipeprof.pipelines.from_python.records import SourcePlace
from pipeprof.pipelines.graph.observe.build_hook import callers
from pipeprof.pipelines.ops.base import sources, stages
from pipeprof.pipelines.ops.functions.catalog import table
from pipeprof.pipelines.ops.functions.layers import layer_table
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.target.user_files import is_generated, is_users

# Functions behind Python's operators on tensors; those whose names begin with r take the tensor second.
_OPERATORS: Final = {
    "add": "tf.math.add", "sub": "tf.math.subtract", "mul": "tf.math.multiply", "truediv": "tf.math.truediv",
    "floordiv": "tf.math.floordiv", "mod": "tf.math.floormod", "pow": "tf.math.pow", "matmul": "tf.matmul",
    "and": "tf.math.logical_and", "or": "tf.math.logical_or", "xor": "tf.math.logical_xor",
}  # fmt: skip
_COMPARISONS: Final = {
    "lt": "tf.math.less", "le": "tf.math.less_equal", "gt": "tf.math.greater", "ge": "tf.math.greater_equal",
    "eq": "tf.math.equal", "ne": "tf.math.not_equal",
}  # fmt: skip
_UNARY: Final = {"neg": "tf.math.negative", "abs": "tf.math.abs", "invert": "tf.math.logical_not"}
_KERAS: Final = "tf.keras.utils"
_DATASETS: Final = ("tf.data.Dataset", "tf.data.experimental", "tf.data.experimental.service", "tf.data", _KERAS)


@dataclass(frozen=True)
class Public:
    """A public function.

    Attributes:
        kind: ``source``, ``stage``, ``function``, ``operator``, ``factory`` for what gives a function from dataset to
            dataset, ``apply``, ``seed``, ``load``, ``item`` for a part of an archive of arrays, ``object`` for what
            makes a table or layer, or ``method`` for what calls one.
        draws: Whether it draws a seed from NumPy's global generator, if it is given none.
    """

    name: str
    kind: str
    signature: inspect.Signature | None = None
    parameters: tuple[str, ...] = ()
    made: bool = False
    draws: bool = False

    def bind(self, frame: FrameType) -> dict[str, Any]:
        """Return the arguments of a call by name, without default values."""
        code, held = frame.f_code, frame.f_locals
        count = code.co_argcount
        positional = [held[name] for name in code.co_varnames[:count]]
        named = {name: held[name] for name in code.co_varnames[count : count + code.co_kwonlyargcount]}
        at = count + code.co_kwonlyargcount
        if code.co_flags & inspect.CO_VARARGS:
            positional += held[code.co_varnames[at]]
            at += 1
        if code.co_flags & inspect.CO_VARKEYWORDS:
            named |= held[code.co_varnames[at]]
        if self.parameters:
            return {**dict(zip(self.parameters, positional, strict=False)), **named}
        if self.signature is None:
            return {}
        bound = self.signature.bind(*positional, **named).arguments
        # The owner of a list or dict may change it.
        return {
            name: value.copy() if type(value) in (list, dict) else value
            for name, value in bound.items()
            if name != "cls" and not self._is_default(name, value)
        }

    def _is_default(self, name: str, value: Any) -> bool:
        default = self.signature.parameters[name].default if self.signature is not None else None
        if value is default:
            return True
        plain = (bool, int, float, str, tuple)
        return type(value) is type(default) and isinstance(value, plain) and value == default


class PublicTable:
    """Table of all recorded functions, by code."""

    def __init__(self, tf: Any, *, layers: bool = False) -> None:
        self._entries: dict[CodeType, dict[tuple[int, ...], Public]] = {}
        # Objects that are looked up by identity must stay alive.
        self._held: list[Any] = []
        for target, public in [*_publics(tf), *_tables(tf), *(_layers(tf) if layers else ())]:
            self._add(target, public)

    def _add(self, target: Any, public: Public) -> None:
        code = getattr(target, "__code__", None)
        if code is None:
            return
        cells = tuple(id(cell.cell_contents) for cell in target.__closure__ or ())
        self._held.append(target)
        self._entries.setdefault(code, {}).setdefault(cells, public)

    def find(self, frame: FrameType) -> Public | None:
        """Return the public function of a frame; None for any other."""
        entries = self._entries.get(frame.f_code)
        if entries is None:
            return None
        names = frame.f_code.co_freevars
        if not names:
            return entries.get(())
        held = frame.f_locals
        return entries.get(tuple(id(held.get(name)) for name in names))

    def codes(self) -> frozenset[CodeType]:
        """Return the code of all recorded functions."""
        return frozenset(self._entries)


def _publics(tf: Any) -> Iterator[tuple[Any, Public]]:
    """Yield functions; the first name of a function with several is used."""
    yield from _operators(tf)
    yield from _datasets(tf)
    numpy = importlib.import_module("numpy")
    yield inspect.unwrap(numpy.load), Public("npy", "load", inspect.signature(numpy.load))
    archive = importlib.import_module("numpy.lib.npyio").NpzFile.__getitem__
    yield archive, Public("npz", "item", inspect.signature(archive))
    yield tf.random.set_seed, Public("seed", "seed", inspect.signature(tf.random.set_seed))
    names = sorted(
        [*table(), *PYTHON, *BRANCHES], key=lambda name: (not name.startswith("tf.io."), name.count("."), name)
    )
    for name in names:
        try:
            target = resolve(name)
        except UnknownFunctionError:
            continue
        signature = _signature(target)
        if signature is not None:
            yield target, Public(name, "function", signature)


def _operators(tf: Any) -> Iterator[tuple[Any, Public]]:
    for kind in (tf.Tensor, tf.RaggedTensor):
        yield getattr(kind, "__getitem__", None), Public("getitem", "operator", None, ("x", "key"))
        for names in (_OPERATORS, _COMPARISONS):
            for word, name in names.items():
                first, second = ("a", "b") if name == "tf.matmul" else ("x", "y")
                yield getattr(kind, f"__{word}__", None), Public(name, "operator", None, (first, second))
                if names is _OPERATORS:
                    yield getattr(kind, f"__r{word}__", None), Public(name, "operator", None, (second, first))
        for word, name in _UNARY.items():
            yield getattr(kind, f"__{word}__", None), Public(name, "operator", None, ("x",))


def _datasets(tf: Any) -> Iterator[tuple[Any, Public]]:
    # The classes of `tf.compat.v1` are others, and call these.
    for module in (tf, tf.compat.v1):
        yield module.data.Dataset.apply, Public("apply", "apply", inspect.signature(module.data.Dataset.apply))
        for kind, known in (("source", sources()), ("stage", stages())):
            for name in known:
                holder = known[name].holder
                # A function that is both counts as the method.
                both = kind == "source" and name in stages()
                if both or traits(name).opaque or holder not in _DATASETS:
                    continue
                path = [*holder.split(".")[1:], name]
                attribute = functools.reduce(lambda at, part: getattr(at, part, None), path, module)
                is_class = inspect.isclass(attribute)
                target: Any = attribute.__init__ if is_class else attribute
                signature = _signature(target)
                if target is None or signature is None:
                    continue
                factory = kind == "stage" and holder != "tf.data.Dataset"
                draws = holder == _KERAS and "seed" in signature.parameters
                yield target, Public(name, "factory" if factory else kind, signature, made=is_class, draws=draws)


def _tables(tf: Any) -> Iterator[tuple[Any, Public]]:
    for name in ("KeyValueTensorInitializer", "TextFileInitializer", "StaticHashTable", "StaticVocabularyTable"):
        kind = getattr(tf.lookup, name)
        yield kind.__init__, Public(f"tf.lookup.{name}", "object", _signature(kind.__init__), made=True)
        for method in ("lookup", "__getitem__"):
            target = getattr(kind, method, None)
            if target is not None:
                yield target, Public("lookup", "method", _signature(target))


def _layers(tf: Any) -> Iterator[tuple[Any, Public]]:
    call = tf.keras.layers.Layer.__call__
    yield call, Public("call", "method", _signature(call))
    for name in layer_table():
        kind = getattr(tf.keras.layers, name.rpartition(".")[2], None)
        if kind is not None:
            yield kind.__init__, Public(name, "object", _signature(kind.__init__), made=True)


def _signature(function: Callable[..., Any] | None) -> inspect.Signature | None:
    if function is None:
        return None
    try:
        # A method of a class: its frame has the class, too.
        return inspect.signature(getattr(function, "__func__", function))
    except (TypeError, ValueError):
        return None


# Functions whose frames "return" each time that they yield or wait.
_PAUSING: Final = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
_Kind: TypeAlias = Literal["public", "tracing", "converting", "own", "other"]


@dataclass
class ObservedCall:
    """A call of a public function.

    Attributes:
        drawn: The seed that it draws itself from NumPy's global generator, if it is given none.
    """

    public: Public
    arguments: dict[str, Any]
    where: SourcePlace | None
    result: Any = None
    bodies: list[FunctionTrace] = field(default_factory=list)
    drawn: int | None = None


@dataclass
class FunctionTrace:
    """Recording of a user's function that TensorFlow traced."""

    function: Any
    seen: list[ObservedCall | UserCall] = field(default_factory=list)
    element: Any = None
    result: Any = None
    complete: bool = False
    branch: bool = False
    given: tuple[CodeType, ...] = ()


@dataclass
class UserCall:
    """A call of one of the user's own functions; ``function`` is None where only its code is known."""

    function: Any
    positional: tuple[Any, ...]
    named: dict[str, Any]
    result: Any = None
    code: CodeType | None = None


@dataclass
class _Frame:
    """An open frame, with the calls recorded inside it.

    ``unpacked``: whether a traced function takes the parts of a tuple one by one; None where that is not known.
    """

    frame: FrameType
    seen: ObservedCall | None = None
    traced: FunctionTrace | None = None
    used: UserCall | None = None
    unpacked: bool | None = None


class CallRecorder:
    """Recorder of calls; give its `listen` to a `BuildHook`."""

    def __init__(self, tf: Any, own: Callable[[str], bool] = is_users, *, layers: bool = False) -> None:
        self.seen: list[ObservedCall] = []
        self.used: list[UserCall] = []
        self.makers: list[UserCall] = []
        self.problem: str | None = None
        self._tf = tf
        self._own = own
        # By identity: the hash of code reads all of its constants, and every call of a function asks.
        self._kinds: dict[int, tuple[CodeType, _Kind]] = {}
        self._open: list[_Frame] = []
        self._table = PublicTable(tf, layers=layers)
        self._codes = self._table.codes()
        structured = inspect.getmodule(inspect.unwrap(tf.data.Dataset.batch))
        wrapper = getattr(getattr(structured, "structured_function", None), "StructuredFunctionWrapper", None)
        self._wrapping = getattr(getattr(wrapper, "__init__", None), "__code__", None)
        self._tracing = _code_named("wrapper_helper", self._wrapping)
        self._converting = _converted_call(tf)
        if self._tracing is None:
            self.problem = "this TensorFlow version traces functions in an unknown way"

    @contextmanager
    def functions_in_place(self) -> Iterator[None]:
        """Trace the user's functions that ``tf.function`` decorates into the graphs that call them.

        In a graph of their own, as TensorFlow traces them, what they call has other tensors than the stage's function,
        and is seen only the first time. Graphs are comparable if all are built in one such block.
        """
        kind = type(self._tf.function(lambda: None))
        original = kind.__call__

        def call(function: Any, *given: Any, **named: Any) -> Any:
            python = self._to_trace_in_place(function)
            if python is not None:
                try:
                    return python(*given, **named)
                except Exception:  # What only a graph of its own allows, such as variables made once.
                    return original(function, *given, **named)
            return original(function, *given, **named)

        kind.__call__ = call
        try:
            yield
        finally:
            kind.__call__ = original

    def _to_trace_in_place(self, function: Any) -> Callable[..., Any] | None:
        """The Python function behind one of the user's that a graph calls; None where it is another."""
        python = getattr(function, "python_function", None)
        if not isinstance(python, FunctionType) or not self._is_own(python.__code__) or not _is_plain(python):
            return None
        if self._tf.executing_eagerly() or self._inside_public_call():
            return None
        converted: Callable[..., Any] = self._tf.autograph.to_graph(python)
        return converted

    def listen(self, frame: FrameType, event: str, value: Any) -> None:
        """Receive an event of Python's profiling hook."""
        try:
            if event == "call":
                self._on_call(frame)
            elif event == "return" and self._open and self._open[-1].frame is frame:
                self._on_return(frame, self._open.pop(), value)
        except Exception as error:  # An exception in a hook would end the user's own call.
            self.problem = f"{type(error).__name__}: {error}"

    def _on_call(self, frame: FrameType) -> None:
        code = frame.f_code
        kind = (self._kinds.get(id(code)) or self._kind_of(code))[1]
        inner = self._open[-1] if self._open else None
        outside = inner is None or (inner.seen is not None and inner.seen.public.name not in BRANCHES)
        if outside and kind == "other":
            return
        if inner is not None and inner.unpacked is not None and frame.f_back is inner.frame:
            self._keep_element(inner)
        branch = _branch(inner.seen, code) if inner is not None and inner.seen is not None else None
        if branch is not None:
            self._open.append(_Frame(frame, traced=branch))
        elif kind == "public":
            public = self._table.find(frame)
            if public is not None and not self._inside_public_call():
                self._begin(frame, public)
        elif kind == "tracing":
            self._begin_traced(frame)
        elif kind == "converting":
            self._begin_converted(frame)
        elif (kind == "own" or _is_given(inner, code)) and not self._inside_public_call():
            self._begin_own(frame)

    def _kind_of(self, code: CodeType) -> tuple[CodeType, _Kind]:
        """Find out what a call of this code is, once; the code is kept, so that no other one gets its identity."""
        kind: _Kind = "other"
        if code in self._codes:
            kind = "public"
        elif code is self._tracing:
            kind = "tracing"
        elif code is self._converting:
            kind = "converting"
        elif self._is_own(code) and not code.co_flags & _PAUSING:
            kind = "own"
        return self._kinds.setdefault(id(code), (code, kind))

    def _begin_traced(self, frame: FrameType) -> None:
        """Open a frame for a function that TensorFlow traces for a stage; its wrapper's closure has the function."""
        made: FrameType | None = frame
        while made is not None and made.f_code is not self._wrapping:
            made = made.f_back
        held = made.f_locals if made is not None else {}
        dataset, structure = held.get("dataset"), held.get("input_structure")
        if structure is None and isinstance(dataset, self._tf.data.Dataset):
            structure = dataset.element_spec
        owner = next((frame.seen for frame in reversed(self._open) if frame.seen is not None or frame.traced), None)
        given = owner.arguments.values() if owner is not None else ()
        codes = tuple(code for argument in given if (code := getattr(argument, "__code__", None)) is not None)
        traced = FunctionTrace(held.get("func"), given=codes)
        if owner is not None:
            owner.bodies.append(traced)
        unpacked = None if structure is None else type(structure) is tuple
        self._open.append(_Frame(frame, traced=traced, unpacked=unpacked))

    def _keep_element(self, traced: _Frame) -> None:
        """Keep a function's argument before the call: the function may change the element's dict."""
        given = traced.frame.f_locals.get("nested_args")
        if traced.traced is not None and traced.traced.element is None and given is not None:
            packed = not traced.unpacked and type(given) is tuple
            traced.traced.element = self._tf.nest.map_structure(lambda leaf: leaf, given[0] if packed else given)

    def _inside_public_call(self) -> bool:
        """Return whether the innermost open frame is a public function's: calls inside it are not recorded."""
        return next((frame.seen is not None for frame in reversed(self._open) if frame.used is None), False)

    def _begin(self, frame: FrameType, public: Public) -> None:
        if public.kind == "apply" and not self._made_by_factory(frame):
            return
        arguments = public.bind(frame)
        if public.name == "call" and isinstance(arguments.get("self"), self._tf.keras.Model):
            # A model calls its layers, and each of them is recorded.
            return
        seen = ObservedCall(public, arguments, self._where(frame))
        if public.draws and "seed" not in seen.arguments:
            # The seed that Keras' loaders draw next; their draw stays the same.
            numpy = importlib.import_module("numpy")
            copied = numpy.random.RandomState()
            copied.set_state(numpy.random.get_state())
            seen.drawn = int(copied.randint(1e6))
        self._open.append(_Frame(frame, seen))

    def _made_by_factory(self, frame: FrameType) -> bool:
        function = frame.f_locals.get("transformation_func")
        return any(call.result is function and call.public.kind == "factory" for call in self.seen)

    def _begin_converted(self, frame: FrameType) -> None:
        held = frame.f_locals
        function = held.get("f")
        if isinstance(function, FunctionType) and self._is_own(function.__code__) and not self._inside_public_call():
            self._open.append(
                _Frame(frame, used=UserCall(function, *_copy_containers((held["args"], held["kwargs"] or {}))))
            )

    def _begin_own(self, frame: FrameType) -> None:
        code = frame.f_code
        function = frame.f_globals.get(code.co_name)
        if isinstance(function, FunctionType) and getattr(inspect.unwrap(function), "__code__", None) is code:
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            extra = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
            held = frame.f_locals
            given = {"*": True} if extra else {name: _copy_containers(held[name]) for name in names}
            self._open.append(_Frame(frame, used=UserCall(function, (), given, code=code)))
        elif self._body() is not None:
            self._open.append(_Frame(frame, used=UserCall(None, (), {}, code=code)))

    def _on_return(self, frame: FrameType, done: _Frame, value: Any) -> None:
        if done.seen is not None:
            done.seen.result = _copy_containers(frame.f_locals.get("self") if done.seen.public.made else value)
            self._note(done.seen)
        elif done.traced is not None:
            if done.traced.branch:
                done.traced.result = value
                done.traced.complete = value is not None
            elif value is not None and done.traced.element is not None:
                done.traced.result = value
                done.traced.complete = True
        elif done.used is not None and value is not None:
            done.used.result = _copy_containers(value)
            inside = self._body()
            if inside is not None:
                inside.seen.append(done.used)
            elif isinstance(value, self._tf.data.Dataset) or _is_first(value, self._tf.data.Dataset):
                self.used.append(done.used)
            elif callable(value) and not inspect.isclass(value):
                self.makers.append(done.used)

    def _note(self, seen: ObservedCall) -> None:
        inside = self._body()
        if inside is not None:
            inside.seen.append(seen)
        if inside is None or isinstance(seen.result, self._tf.data.Dataset):
            self.seen.append(seen)

    def _body(self) -> FunctionTrace | None:
        return next((frame.traced for frame in reversed(self._open) if frame.traced is not None), None)

    def _is_own(self, code: CodeType) -> bool:
        return not is_generated(code.co_filename) and self._own(code.co_filename)

    def _where(self, frame: FrameType) -> SourcePlace | None:
        at = next((caller for caller in callers(frame) if self._is_own(caller.f_code)), None)
        return SourcePlace(at.f_code.co_filename, at.f_lineno) if at is not None else None


def _is_given(inner: _Frame | None, code: CodeType) -> bool:
    """Return whether this is a function passed by the user, called from TensorFlow's wrapper that is traced."""
    return inner is not None and inner.traced is not None and code in inner.traced.given


def _branch(seen: ObservedCall, code: CodeType) -> FunctionTrace | None:
    if seen.public.name not in BRANCHES:
        return None
    given = seen.arguments
    listed = given.get("branch_fns")
    functions = [given.get("true_fn"), given.get("false_fn"), *(listed if isinstance(listed, list | tuple) else ())]
    begun = [id(body.function) for body in seen.bodies]
    for function in functions:
        if getattr(function, "__code__", None) is code and id(function) not in begun:
            seen.bodies.append(FunctionTrace(function, element=(), branch=True))
            return seen.bodies[-1]
    return None


def _copy_containers(value: Any) -> Any:
    """Copy the containers, not the objects: the user's code may change a dict that it was passed."""
    if type(value) is dict:
        return {key: _copy_containers(item) for key, item in value.items()}
    return type(value)(map(_copy_containers, value)) if type(value) in (list, tuple) else value


def _is_first(value: Any, kind: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], kind)


def _code_named(name: str, code: CodeType | None) -> CodeType | None:
    constants = code.co_consts if code is not None else ()
    return next((const for const in constants if isinstance(const, CodeType) and const.co_name == name), None)


def _converted_call(tf: Any) -> CodeType | None:
    module = inspect.getmodule(inspect.unwrap(tf.autograph.to_graph))
    return getattr(getattr(module, "converted_call", None), "__code__", None)


def _is_plain(python: FunctionType) -> bool:
    """Whether a function is decorated with bare ``tf.function``: arguments of that may convert, or compile with XLA."""
    try:
        written = ast.parse(textwrap.dedent(inspect.getsource(python))).body[0]
    except (OSError, SyntaxError, TypeError):
        return False
    decorators = getattr(written, "decorator_list", [])
    return [ast.unparse(one).removesuffix("()").rpartition(".")[2] for one in decorators] == ["function"]
