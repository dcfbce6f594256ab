"""Statements of a function for chains of calls under ``ops:``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.functions.catalog import FEATURE_PARAMETERS, STARRED, function
from pipeprof.pipelines.to_python.code import call, inside, listed, slug, unique
from pipeprof.pipelines.to_python.elements import (
    UNKNOWN,
    Form,
    Keyed,
    Single,
    TupleForm,
    as_list,
    bind,
    express,
    noun_of,
    pick,
    put,
    unpacked,
    variables,
)
from pipeprof.pipelines.to_python.module import Module
from pipeprof.pipelines.to_python.values import Values

OPERATORS: Final = {
    "tf.truediv": "/", "tf.math.truediv": "/", "tf.add": "+", "tf.math.add": "+", "tf.subtract": "-",
    "tf.math.subtract": "-", "tf.multiply": "*", "tf.math.multiply": "*", "tf.greater": ">", "tf.math.greater": ">",
    "tf.less": "<", "tf.math.less": "<", "tf.greater_equal": ">=", "tf.math.greater_equal": ">=",
    "tf.less_equal": "<=", "tf.math.less_equal": "<=",
}  # fmt: skip
# Nouns for the components of results that are tuples.
TUPLES: Final = {
    "tf.audio.decode_wav": ("audio", "sample_rate"), "tf.unique": ("values", "positions"),
    "tf.unique_with_counts": ("values", "positions", "counts"), "tf.math.top_k": ("values", "indices"),
    "tf.nn.moments": ("mean", "variance"), "tf.linalg.qr": ("q", "r"), "tf.linalg.svd": ("s", "u", "v"),
    "tf.linalg.eigh": ("e", "v"), "tf.image.sample_distorted_bounding_box": ("begin", "size", "boxes"),
    "tf.strings.unicode_decode_with_offsets": ("codepoints", "offsets"),
    "tf.strings.unicode_split_with_offsets": ("chars", "offsets"),
}  # fmt: skip
_PLAIN_TUPLES: Final = frozenset(
    {
        "tf.nn.moments", "tf.linalg.svd", "tf.linalg.eigh", "tf.strings.unicode_decode_with_offsets",
        "tf.strings.unicode_split_with_offsets",
    }
)  # fmt: skip
LISTS: Final = frozenset({"tf.io.decode_csv", "tf.meshgrid", "tf.split", "tf.unstack"})
# Most parameters without a default that are written by position.
_MOST_POSITIONAL: Final = 3
# Longer tuples are one parameter with a star.
_MOST_PARAMETERS: Final = 5


Result = Form | tuple[str, Form]
SpecialCalls = Callable[["Body", OpCall, Form], Result | None]
"""Renderer of calls that are no functions of the allowlist; ``None`` for those that are."""


class Body:
    """The statements of one function."""

    def __init__(self, module: Module, special: SpecialCalls, own: str = "") -> None:
        self.module = module
        self.special = special
        self.own = own
        self.values = Values(module)
        self.lines: list[str] = []
        self.locals: set[str] = set()
        self.kept: set[str] = set()
        """Variables that the current element is made of."""
        self.seed = ""
        """The variable with the seed that a chain of ``for_each`` shares."""
        self.folds: dict[int, int] = {}
        """Index of each random call among the chain's draws, by the call's identity."""

    def inside(self, *, fresh: bool = False) -> Body:
        """Create the body of a nested chain; ``fresh`` for a separate function."""
        inner = Body(self.module, self.special, "" if fresh else self.own)
        inner.seed, inner.folds = self.seed, self.folds
        inner.locals = set() if fresh else set(self.locals)
        return inner

    def folded(self, operation: OpCall) -> str | None:
        """Return the seed of a random call inside ``for_each``; None elsewhere."""
        if not self.seed or id(operation) not in self.folds:
            return None
        return f"tf.random.experimental.stateless_fold_in({self.seed}, {self.folds[id(operation)]})"

    def uniform(self, operation: OpCall, maxval: int | None = None) -> str:
        """Render a random number: float32 in [0, 1), or int32 below ``maxval``."""
        seed = self.folded(operation)
        if seed is not None:
            bounds = ("0", str(maxval), "tf.int32") if maxval is not None else ()
            return call("tf.random.stateless_uniform", "[]", seed, *bounds)
        if maxval is None:
            return "tf.random.uniform([])"
        return f"tf.random.uniform([], maxval={maxval}, dtype=tf.int32)"

    def shuffled(self, operation: OpCall, count: int) -> str:
        """Render the numbers below ``count`` in random order."""
        seed = self.folded(operation)
        if seed is not None:
            drawn = self.assign("order_seed", seed, ())
            return f"tf.random.experimental.stateless_shuffle(tf.range({count}), {drawn})"
        return f"tf.random.shuffle(tf.range({count}))"

    def parameters(self, form: Form) -> tuple[list[str], Form]:
        """Return the parameters that TensorFlow passes to a function of such elements, and the element made of them."""
        if isinstance(form, TupleForm) and form.named:
            name = self.local("result", ())
            return [name], bind(form, name)
        if isinstance(form, TupleForm) and not form.rest and len(form.parts) <= _MOST_PARAMETERS and form.parts:
            names = [self.local(noun_of(part), ()) for part in form.parts]
            bound = tuple(bind(part, name) for part, name in zip(form.parts, names, strict=True))
            return list(names), TupleForm(bound)
        if isinstance(form, TupleForm) and form.rest:
            names = [self.local(noun_of(part), ()) for part in form.parts]
            rest = self.local(form.rest, ())
            bound = tuple(bind(part, name) for part, name in zip(form.parts, names, strict=True))
            return [*names, f"*{rest}"], TupleForm(bound, rest)
        if isinstance(form, TupleForm):
            name = self.local("components", ())
            return [f"*{name}"], bind(form, name)
        name = self.local(noun_of(form), ())
        return [name], bind(form, name)

    def local(self, wanted: str, live: Sequence[str]) -> str:
        """Choose a variable's name other than those of ``live`` variables and the file's functions."""
        used = {*live} if live else self.locals
        name = unique(wanted, {*used, *self.kept, *(self.module.taken - {self.own})})
        self.locals.add(name)
        return name

    def assign(self, wanted: str, node: str, live: Sequence[str] = ("",)) -> str:
        """Add an assignment and return the variable's name."""
        name = self.local(wanted, live)
        if node != name:
            self.lines += inside(f"{name} = ", node)
        return name

    def chain(self, calls: Sequence[OpCall], element: Form, *, answers: bool = False) -> tuple[str, Form]:
        """Render a chain; return the expression of its result, and its form.

        Args:
            answers: Whether the result of the last call stands alone, also when ``on`` picked a field.
        """
        for index, operation in enumerate(calls):
            last = index == len(calls) - 1
            target = operation.to if answers and last else operation.target
            self.kept = set(variables(element))
            made = self.result(operation, element)
            self.kept = set()
            if isinstance(made, Form):
                element = made if target is None else self._put_forms(element, target, made)
                continue
            node, form = made
            if last and target is None:
                return node, form
            element = self._store_result(element, target, node, form, operation.name)
        return express(element), element

    def result(self, operation: OpCall, element: Form) -> Result:
        """Return the result of a call: a restructured element that needs no call, or an expression and its form."""
        rendered = self.special(self, operation, element)
        return rendered if rendered is not None else self.function_call(operation, element)

    def given(self, operation: OpCall, element: Form) -> list[Form]:
        """Return the forms picked by ``on``, in order."""
        fields = operation.read()
        return [element] if fields is None else [pick(element, field) for field in fields]

    def _put_forms(self, element: Form, target: Any, made: Form) -> Form:
        if not isinstance(target, tuple):
            return put(element, target, made)
        for index, field in enumerate(target):
            element = put(element, field, pick(made, index))
        return element

    def _store_result(self, element: Form, target: Any, node: str, form: Form, operation: str = "") -> Form:
        if target is None:
            if isinstance(form, TupleForm) and 0 < len(form.parts) <= _MOST_PARAMETERS:
                names = self._unpack([noun_of(part) for part in form.parts], node, ("",))
                pairs = zip(form.parts, names, strict=True)
                return TupleForm(tuple(bind(part, name) for part, name in pairs))
            return bind(form, self.assign(noun_of(form), node))
        if not isinstance(target, tuple) and operation in LISTS:
            # TensorFlow would stack a list inside an element.
            node = call("tuple", node)
        targets = target if isinstance(target, tuple) else (target,)
        for field in targets:
            element = put(element, field, Single("", ""))
        live = [name for name in variables(element) if name] or [""]
        wanted = [_noun_of_field(field, form, len(targets)) for field in targets]
        if isinstance(target, tuple):
            names = self._unpack(wanted, node, live)
            parts: list[Form] = [
                pick(form, index) if isinstance(form, TupleForm) else UNKNOWN for index in range(len(names))
            ]
        else:
            names, parts = [self.assign(wanted[0], node, live)], [form]
        for field, name, part in zip(targets, names, parts, strict=True):
            element = put(element, field, bind(part, name))
        return element

    def _unpack(self, wanted: Sequence[str], node: str, live: Sequence[str]) -> list[str]:
        names: list[str] = []
        for noun in wanted:
            names.append(self.local(noun, [*live, *names]))
        self.lines += inside(f"{', '.join(names)}{',' if len(names) == 1 else ''} = ", node)
        return names

    def function_call(self, operation: OpCall, element: Form) -> tuple[str, Form]:
        """Render a call of an allowlisted function."""
        called = function(operation.name)
        parameters = operation.inputs()
        given = self.given(operation, element) if parameters else []
        arguments = {name: self.argument(operation, name) for name in operation.arguments}
        if called is not None and called.takes_list and parameters and not isinstance(operation.on, dict):
            several = isinstance(operation.on, tuple)
            if operation.name in STARRED:
                leading = [arguments.pop("equation")] if "equation" in arguments else []
                items = [express(part) for part in given] if several else unpacked(given[0])
                return call(operation.name, *leading, *items, **arguments), self.result_form(operation, given)
            inputs = {parameters[0]: listed(map(express, given)) if several else as_list(given[0])}
        else:
            inputs = dict(zip(parameters, map(express, given), strict=True))
        folded = self.folded(operation)
        if folded is not None:
            arguments["seed"] = folded
        names = called.names() if called is not None else []
        required = {p.name for p in called.parameters if p.required} if called is not None else set()
        node = self._call(operation.name, names, required, inputs, arguments)
        return node, self.result_form(operation, given)

    def _call(
        self, name: str, order: Sequence[str], required: set[str], inputs: dict[str, str], arguments: dict[str, str]
    ) -> str:
        everything = {**inputs, **arguments}
        ordered = [key for key in order if key in everything]
        operator = OPERATORS.get(name)
        if operator and set(ordered) == {"x", "y"} and all(_is_operand(everything[key]) for key in ordered):
            return f"{everything['x']} {operator} {everything['y']}"
        positional: list[str] = []
        for key in order:
            if key not in everything or not (key in required or key in inputs) or len(positional) == _MOST_POSITIONAL:
                break
            positional.append(everything[key])
        named = {key: everything[key] for key in ordered[len(positional) :]}
        if order[:1] == ["self"] and positional and _is_operand(positional[0]):
            return call(f"{positional[0]}.{name.rpartition('.')[2]}", *positional[1:], **named)
        return call(name, *positional, **named)

    def argument(self, operation: OpCall, name: str) -> str:
        """Render a constant of a call; feature specs become constants at the top of the file."""
        value = operation.arguments[name]
        node = self.values.constant(value)
        if name in FEATURE_PARAMETERS and isinstance(value, dict):
            return self.module.constant(name, node)
        return node

    def result_form(self, operation: OpCall, given: Sequence[Form]) -> Form:
        """Return the form of an allowlisted function's result."""
        name, arguments = operation.name, operation.arguments
        if name in ("tf.io.parse_single_example", "tf.io.parse_example"):
            return _features_form(arguments.get("features"))
        if name in ("tf.io.parse_single_sequence_example", "tf.io.parse_sequence_example"):
            both = (
                _features_form(arguments.get("context_features")),
                _features_form(arguments.get("sequence_features")),
            )
            return TupleForm(both if "single" in name else (*both, Keyed({}, complete=False)))
        several = _several(name, arguments)
        if several is not None:
            return several
        # A part of an element keeps its name; a whole element is another thing afterwards.
        named = operation.on is not None and bool(given) and isinstance(given[0], Single)
        return Single(noun_of(given[0])) if named else Single("element")


def _several(name: str, arguments: dict[str, Any]) -> Form | None:
    if name == "tf.io.decode_csv":
        return TupleForm(tuple(Single("column") for _ in arguments.get("record_defaults", ())))
    if name in ("tf.split", "tf.unstack"):
        count = _parts_of(arguments.get("num_or_size_splits", arguments.get("num")))
        return TupleForm(tuple(Single("part") for _ in range(count))) if count else UNKNOWN
    if name in TUPLES:
        return TupleForm(tuple(Single(noun) for noun in TUPLES[name]), named=name not in _PLAIN_TUPLES)
    return None


def _parts_of(value: Any) -> int:
    return len(value) if isinstance(value, list | tuple) else value if isinstance(value, int) else 0


def _is_operand(node: str) -> bool:
    return (
        all(letter.isalnum() or letter in "_.[]\"'" for letter in node) or node.lstrip("-").replace(".", "").isdigit()
    )


def _features_form(features: Any) -> Keyed:
    if not isinstance(features, dict):
        return Keyed({}, complete=False)
    return Keyed({str(key): Single(slug(str(key))) for key in features})


def _noun_of_field(field: Any, form: Form, count: int) -> str:
    """Return a variable's noun: its key, or for a component of a tuple its kind."""
    last = field if isinstance(field, int) else field.rpartition(".")[2]
    if isinstance(last, str) and not last.isdigit():
        return slug(last)
    return noun_of(form) if count == 1 else f"value_{last}"


def guess_form(form: Form, calls: Sequence[OpCall]) -> Form:
    """Guess the form of an unknown element from its first use; return a known form unchanged."""
    if not (isinstance(form, Single) and not form.known):
        return form
    largest = -1
    for operation in calls:
        fields = operation.read()
        if fields is None and operation.to is None:
            called = function(operation.name)
            row = called is not None and called.takes_list and called.name not in STARRED and largest < 0
            if row:
                return TupleForm((), None)
            break
        to = operation.to if isinstance(operation.to, tuple) else () if operation.to is None else (operation.to,)
        used = [*(fields or ()), *to]
        if any(isinstance(field, str) and not field.partition(".")[0].isdigit() for field in used):
            return Keyed({}, complete=False)
        largest = max([largest, *(int(str(field).partition(".")[0]) for field in used)])
    if largest < 0:
        return form
    return TupleForm(tuple(Single(f"value_{index}", known=False) for index in range(largest + 1)), rest="rest")
