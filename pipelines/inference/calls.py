"""Inference for calls of ``ops:``: select inputs, apply rules, store results."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipeprof.pipelines.inference.common_structure import common_structure
from pipeprof.pipelines.inference.errors import CannotInfer, Place, Refused, Report, ignore
from pipeprof.pipelines.inference.rules.base import Arguments, ArrayLookup, Rule, rules
from pipeprof.pipelines.inference.rules.layers import LAYERS
from pipeprof.pipelines.inference.tensor.fields import Field, field_of, with_field
from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure, Tensor, each, fits, leaves
from pipeprof.pipelines.inference.tensor.texts import refuse, structure_text
from pipeprof.pipelines.ops.calls.opcall import OpCall, chain_path
from pipeprof.pipelines.ops.functions.catalog import function
from pipeprof.pipelines.tables import read_table

_LETTERS = {
    "s": "string", "b": "bool", "u": "uint8", "i": "int32", "l": "int64", "h": "float16", "f": "float32",
    "d": "float64", "c": "complex64",
}  # fmt: skip
_KINDS = {"d": "dense", "r": "ragged", "s": "sparse"}


@dataclass(frozen=True)
class InputTypes:
    """Requirement of one parameter.

    Attributes:
        dtypes: Those that fit, of the dtypes that were tried.
        most: Most dimensions; ``None`` for any number.
        kinds: ``dense``, ``ragged`` and ``sparse``, as far as they fit.
    """

    dtypes: frozenset[str]
    least: int
    most: int | None
    kinds: frozenset[str]

    def words(self) -> str:
        """Describe the requirement for a message.

        Example:
            >>> needs("tf.io.decode_jpeg")["contents"].words(), needs("tf.image.resize")["images"].words()
            ('a single string', 'numbers with 3 or 4 dimensions')
        """
        if self.most == 0 and len(self.dtypes) == 1:
            return f"a single {next(iter(self.dtypes))}"
        if "dense" not in self.kinds:
            return f"a {' or '.join(sorted(self.kinds))} tensor"
        return self._dtype_words() + self._rank_words()

    def _dtype_words(self) -> str:
        for names, words in _CLASSES:
            if self.dtypes == names:
                return words
        if len(self.dtypes) == 1:
            return next(iter(self.dtypes))
        return f"one of {', '.join(name for name in TRIED if name in self.dtypes)}"

    def _rank_words(self) -> str:
        if self.most is None:
            return f" with at least {self.least} dimension{'s' * (self.least != 1)}" if self.least else ""
        if self.least == self.most:
            return f" with {self.least} dimension{'s' * (self.least != 1)}"
        between = " or " if self.most == self.least + 1 else " to "
        return f" with {self.least}{between}{self.most} dimensions"

    def allows_dtype(self, dtype: str) -> bool:
        """Whether a dtype fits, or was not tried."""
        return dtype not in TRIED or dtype in self.dtypes

    def allows_rank(self, rank: int | None) -> bool:
        """Whether a number of dimensions fits, or is not known."""
        return rank is None or (rank >= self.least and (self.most is None or rank <= self.most))


TRIED = tuple(_LETTERS.values())
_REAL = frozenset(TRIED) - {"string", "bool", "complex64"}
_CLASSES = (
    (frozenset(TRIED), "a tensor"),
    (frozenset({"string"}), "strings"),
    (frozenset({"bool"}), "truth values (bool)"),
    (_REAL, "numbers"),
    (_REAL | {"complex64"}, "numbers"),
    (frozenset(TRIED) - {"string"}, "numbers or truth values"),
    (frozenset(TRIED) - {"bool"}, "numbers or strings"),
    (frozenset({"float16", "float32", "float64"}), "floats"),
    (frozenset({"float32", "float64"}), "float32 or float64"),
    (frozenset({"float16", "float32", "float64", "complex64"}), "floats"),
    (frozenset({"uint8", "int32", "int64"}), "whole numbers"),
    (frozenset({"int32", "int64"}), "whole numbers (int32 or int64)"),
    (frozenset({"uint8"}), "uint8"),
)


ANYTHING = InputTypes(frozenset(TRIED), 0, None, frozenset(_KINDS.values()))
_PICK = ": pick a field with `on`"


@functools.cache
def requirements() -> Mapping[str, Mapping[str, InputTypes]]:
    """Return the requirements by function and parameter.

    In ``needs.json``, ``dtypes`` and ``kinds`` are letters, ``least`` and ``most`` numbers of dimensions.
    """
    found: dict[str, dict[str, InputTypes]] = {}
    for row in read_table("pipeprof.pipelines.inference", "needs"):
        dtypes, kinds = (_LETTERS[letter] for letter in row["dtypes"]), (_KINDS[letter] for letter in row["kinds"])
        need = InputTypes(frozenset(dtypes), row["least"], row["most"], frozenset(kinds))
        for parameter in row["parameters"]:
            function, _, name = parameter.rpartition(".")
            found.setdefault(f"tf.{function}", {})[name] = need
    return found


def needs(name: str) -> Mapping[str, InputTypes]:
    """Return the requirements of a function's parameters; unrestricted ones have no entry."""
    return requirements().get(name, {})


def check_inputs(name: str, inputs: Mapping[str, Structure], on: Any) -> None:
    """Refuse the inputs of a call that do not fit.

    Args:
        on: The call's ``on``, to say where one may pick a field.
    """
    wanted = needs(name)
    for index, (parameter, given) in enumerate(inputs.items()):
        need = wanted.get(parameter, ANYTHING)
        check = _check_packed if isinstance(given, tuple) else _check
        check(name, parameter, given, need, _place(on, index, parameter))


def _place(on: Any, index: int, parameter: str) -> Place:
    """Place of a parameter's field in the call; empty if the whole element goes in."""
    if on is None:
        return ()
    if isinstance(on, dict):
        return ("on", parameter)
    return ("on", index) if isinstance(on, tuple) else ("on",)


def _check_packed(name: str, parameter: str, given: tuple[Structure, ...], need: InputTypes, place: Place) -> None:
    """TensorFlow makes one tensor of a tuple, if its components allow."""
    tensors = [argument for argument in given if isinstance(argument, Tensor) and argument.kind == "dense"]
    differ = len({tensor.dtype for tensor in tensors}) > 1
    for tensor in tensors[1:]:
        first = tensors[0].shape
        differ = differ or (first is not None and tensor.shape is not None and not fits(first, tensor.shape))
    if differ:
        expected = f"{need.words()} for `{parameter}` of {name}{'' if place else _PICK}"
        refuse(given, "wrong-structure", expected, *place)


def _check(name: str, parameter: str, given: Structure, need: InputTypes, place: Place) -> None:
    expected = f"{need.words()} for `{parameter}` of {name}"
    if isinstance(given, Mapping | Nested):
        hint = _PICK if isinstance(given, Mapping) and not place else ""
        hint = ": turn it into tensors with `flat_map` and a `batch` inside" if isinstance(given, Nested) else hint
        refuse(given, "wrong-structure", expected + hint, *place)
    if not isinstance(given, Tensor):
        return
    if given.kind not in need.kinds:
        refuse(given, "wrong-kind", f"{expected}{_dense_hint(given, need)}", *place)
    if given.kind != "dense":
        return
    if not need.allows_dtype(given.dtype):
        refuse(given, "wrong-dtype", f"{expected}{_dtype_hint(given, need)}", *place)
    if not need.allows_rank(given.rank):
        excess = 0 if need.most is None else max(0, (given.rank or 0) - need.most)
        refuse(given, "wrong-rank", expected, *place, excess=excess)


def _dense_hint(given: Tensor, need: InputTypes) -> str:
    if "dense" not in need.kinds:
        return ""
    name = "tf.sparse.to_dense" if given.kind == "sparse" else "tf.RaggedTensor.to_tensor"
    return f": put {name} before it"


def _dtype_hint(given: Tensor, need: InputTypes) -> str:
    if given.dtype == "string" and "string" not in need.dtypes and (given.rank or 0) == 0:
        return ": decode it first" if "uint8" in need.dtypes else ""
    if need.dtypes >= {"float32"} and given.dtype != "string" and not given.dtype.startswith("complex"):
        return ": put tf.cast before it"
    return ""


class ChainInference(Protocol):
    """The inference of chains of calls, as a call with chains inside uses it."""

    strict: bool

    def inner(self, operation: OpCall, name: str, element: Structure, place: Place, *, answers: bool) -> Structure:
        """Infer the element after a chain inside a call."""
        ...


Special = Callable[[ChainInference, "OpCall", Structure, Structure, "Place"], Structure]
"""From the flow, the call, what ``on`` picked, the whole element and the call's place to the result."""


def given_to(operation: OpCall, element: Structure) -> Structure:
    """Select the input of ``on``: the element, a field, a tuple of fields, or a mapping from parameters to them.

    Raises:
        Refused: The element has no such field.
    """
    on = operation.on
    if isinstance(on, dict):
        return {name: field_of(element, field, "on", name) for name, field in on.items()}
    if isinstance(on, tuple):
        return tuple(field_of(element, field, "on", index) for index, field in enumerate(on))
    return element if on is None else field_of(element, on, "on")


def _select(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    fields = operation.arguments["fields"]
    if not isinstance(fields, tuple):
        return field_of(element, fields)
    if element is None:
        return None
    if isinstance(element, Mapping):
        return {_key(element, one, index): element[_key(element, one, index)] for index, one in enumerate(fields)}
    return tuple(field_of(element, one, index) for index, one in enumerate(fields))


def _drop(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    fields = operation.arguments["fields"]
    if element is None:
        return None
    if isinstance(element, Mapping):
        gone = {_key(element, one, index) for index, one in enumerate(fields)}
        return {name: value for name, value in element.items() if name not in gone}
    for index, one in enumerate(fields):
        field_of(element, one, index)
    return tuple(value for index, value in enumerate(element) if index not in fields)


def _key(element: Structure, field: Field, *place: str | int) -> str:
    if isinstance(element, Mapping) and (field in element or str(field) in element):
        return str(field)
    if isinstance(element, Mapping) and isinstance(field, str) and "." in field:
        expected = f"one of its keys: {', '.join(map(str, element))}"
        refuse(f"the field {field!r}", "missing-field", expected, *place)
    field_of(element, field, *place)
    return str(field)


def _rename(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    names = operation.arguments["names"]
    if element is None:
        return None
    if not isinstance(element, Mapping):
        refuse(element, "wrong-structure", "a mapping, whose fields have names")
    for old in names:
        _key(element, old, old)
    changed = {names.get(name, name): value for name, value in element.items()}
    if len(changed) < len(element):
        old, new = next((old, new) for old, new in names.items() if new in element)
        refuse(f"the new name {new!r}", "name-twice", f"one that no field of {structure_text(element)} has", old)
    return changed


def _picked(element: Structure, structure: Any, place: Place) -> Structure:
    if isinstance(structure, dict):
        return {name: _picked(element, inner, (*place, name)) for name, inner in structure.items()}
    if isinstance(structure, tuple):
        return tuple(_picked(element, inner, (*place, index)) for index, inner in enumerate(structure))
    return element if structure is None else field_of(element, structure, *place)


def _to_structure(
    flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place
) -> Structure:
    return _picked(element, operation.arguments["structure"], ())


def _to_dict(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    names = operation.arguments["structure"]
    if isinstance(names, dict):
        return _to_structure(flow, operation, given, element, place)
    if element is None:
        return dict.fromkeys(names) if len(names) > 1 else None
    parts = element if isinstance(element, tuple) else (element,)
    if isinstance(element, Mapping) or len(parts) != len(names):
        refuse(element, "wrong-structure", f"a tuple of {len(names)}, one component for each name")
    return dict(zip(names, parts, strict=True))


def _branches(operation: OpCall, name: str) -> list[str]:
    return [place for place in operation.chains if place.rpartition(".")[0] == name]


def _merged(results: list[Structure]) -> Structure:
    """Merge the results of branches.

    Raises:
        Refused: They differ in structure or dtype.
    """
    try:
        return functools.reduce(common_structure, results)
    except Refused:
        texts = " and ".join(dict.fromkeys(structure_text(result) for result in results))
        message = f"branches return {texts}: expected the same structure and dtypes from all"
        raise Refused(message, "different-branches") from None


def _cond(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    if "pred" in operation.chains:
        truth = flow.inner(operation, "pred", element, place, answers=True)
        fits = isinstance(truth, Tensor) and truth.dtype == "bool" and truth.shape in ((), None)
        if truth is not None and not fits:
            refuse(truth, "no-truth-value", "a single bool from the last call of `pred`", "pred")
    return _merged([flow.inner(operation, name, given, place, answers=False) for name in ("true_fn", "false_fn")])


def _switch(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    if "branch_index" in operation.chains:
        flow.inner(operation, "branch_index", element, place, answers=True)
    names = _branches(operation, "branch_fns")
    return _merged([flow.inner(operation, name, given, place, answers=False) for name in names])


def _random_order(
    flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place
) -> Structure:
    names = _branches(operation, "fns")
    for _ in names:
        given = _merged([flow.inner(operation, name, given, place, answers=False) for name in names])
    return given


def _items(flow: ChainInference, operation: OpCall, given: Structure, element: Structure, place: Place) -> Structure:
    components = list(leaves(given))
    for one in components:
        if isinstance(one, Tensor) and one.shape == ():
            refuse(one, "wrong-rank", f"a tensor with a first dimension for {operation.name}")
    result = flow.inner(operation, "fn", each(_item, given), place, answers=False)
    first = components[0] if components else None
    count = first.shape[0] if first is not None and first.shape else None
    if flow.strict or "fn_output_signature" in operation.arguments:
        # What TensorFlow knows of the shape behind a loop differs from version to version.
        return None
    return each(lambda one: replace(one, shape=None if one.shape is None else (count, *one.shape)), result)


def _item(component: Tensor | Nested) -> Structure:
    if isinstance(component, Nested) or component.kind != "dense":
        return None
    return component.of(shape=component.shape[1:] if component.shape else None)


SPECIAL: Mapping[str, Special] = {
    "copy": lambda flow, operation, given, element, place: given,
    "drop": _drop,
    "for_each": lambda flow, operation, given, element, place: tuple(
        flow.inner(operation, "ops", argument, place, answers=False) for argument in given
    ),
    "random_order": _random_order,
    "rename": _rename,
    "select": _select,
    "tf.cond": _cond,
    "tf.map_fn": _items,
    "tf.switch_case": _switch,
    "tf.vectorized_map": _items,
    "to_dict": _to_dict,
    "to_tuple": _to_structure,
}
"""By the name of the call."""


class CallFlow:
    """Follows an element through chains of calls.

    What is refused is reported with its place, and nothing is known from there on.
    """

    def __init__(self, arrays: ArrayLookup, *, strict: bool, report: Report = ignore) -> None:
        self.arrays = arrays
        self.strict = strict
        self._report = report

    def chain(
        self, calls: Sequence[OpCall], element: Structure, place: Place = (), *, answers: bool = False
    ) -> Structure:
        """The element after a chain; with `answers` the result of the last call stands alone.

        Args:
            place: Keys and indices of the list of calls in the document.
        """
        for index, operation in enumerate(calls):
            here = (*place, index) if operation.bare else (*place, index, operation.name)
            element = self.call(operation, element, here, whole=answers and index == len(calls) - 1)
        return element

    def inner(self, operation: OpCall, name: str, element: Structure, place: Place, *, answers: bool) -> Structure:
        """The element after a chain inside a call; as it is when the chain was not written."""
        calls = operation.chains.get(name)
        return element if calls is None else self.chain(calls, element, (*place, *chain_path(name)), answers=answers)

    def call(self, operation: OpCall, element: Structure, place: Place = (), *, whole: bool = False) -> Structure:
        """The element after one call; with `whole` the result alone."""
        try:
            return self._called(operation, element, place, whole=whole)
        except Refused as refusal:
            self._report(place, refusal)
        return None

    def _called(self, operation: OpCall, element: Structure, place: Place, *, whole: bool) -> Structure:
        special = SPECIAL.get(operation.name)
        if special is not None:
            result = special(self, operation, given_to(operation, element), element, place)
        else:
            result = self._result(operation, element)
        target = operation.to if whole else operation.target
        if target is None:
            return result
        if isinstance(target, tuple):
            return _distributed(element, target, result)
        # TensorFlow packs a list that lies inside an element, and takes one that is the element apart.
        inner = None if isinstance(result, tuple) and special is None else result
        return with_field(element, target, inner, "to" if operation.to is not None else "on")

    def _result(self, operation: OpCall, element: Structure) -> Structure:
        described = function(operation.name)
        if described is None:
            given = given_to(operation, element)
            layer = LAYERS.get(operation.name.removeprefix("tf.keras.layers."))
            if layer is None or self.strict:
                # Which shapes TensorFlow knows behind a layer is up to Keras.
                return None
            return apply_rule(layer, Arguments({"inputs": given}, operation.arguments, self.arrays, strict=False))
        picked = inputs_of(operation, element)
        parameters = operation.inputs()
        if described.takes_list and parameters and not isinstance(operation.on, dict):
            whole = tuple(picked) if isinstance(operation.on, tuple) else picked[0]
            inputs: dict[str, Structure] = {parameters[0]: whole}
        else:
            inputs = dict(zip(parameters, picked, strict=False))
        if not described.takes_list:
            check_inputs(operation.name, inputs, operation.on)
        rule = rules().get(operation.name)
        if rule is None:
            return None
        return apply_rule(rule, Arguments(inputs, operation.arguments, self.arrays, self.strict))


def apply_rule(rule: Rule, arguments: Arguments) -> Structure:
    """Apply a rule; ``None`` for an unknown result.

    Raises:
        Refused: TensorFlow refuses the arguments.
    """
    try:
        result = rule(arguments)
    except Refused:
        raise
    except (CannotInfer, TypeError):
        # An argument of a kind that no rule reckons with ("axis: [[1]]"): TensorFlow says what is wrong with it.
        return None
    return result if _has_sizes(result) else None


def _has_sizes(structure: Structure) -> bool:
    """Whether every size is a number or unknown; arguments that say what it shall be may be anything."""
    sizes = [size for leaf in leaves(structure) if isinstance(leaf, Tensor) for size in leaf.shape or ()]
    return all(size is None or type(size) is int for size in sizes)


def call_result(
    operation: OpCall, element: Structure, arrays: ArrayLookup, *, strict: bool, whole: bool = False
) -> Structure:
    """The structure of the element after one call; with ``whole`` the result alone, as of a predicate's last call."""
    return CallFlow(arrays, strict=strict).call(operation, element, whole=whole)


def inputs_of(operation: OpCall, element: Structure) -> list[Structure]:
    """Return the inputs of a call, in the order of `OpCall.inputs`."""
    if isinstance(operation.on, dict):
        return [field_of(element, field, "on", name) for name, field in operation.on.items()]
    if isinstance(operation.on, tuple):
        return [field_of(element, field, "on", index) for index, field in enumerate(operation.on)]
    if operation.on is not None:
        return [field_of(element, operation.on, "on")]
    return [element] if operation.inputs() else []


def _distributed(element: Structure, targets: tuple[Any, ...], result: Structure) -> Structure:
    parts: tuple[Structure, ...] = (None,) * len(targets)
    if isinstance(result, tuple):
        if len(result) != len(targets):
            message = f"{len(targets)} fields for {len(result)} results: expected one for each"
            raise Refused(message, "wrong-length", "to")
        parts = result
    for index, (target, part) in enumerate(zip(targets, parts, strict=True)):
        element = with_field(element, target, part, "to", index)
    return element


def inside_function(structure: Structure) -> Structure:
    """An element as a function sees it: a ragged tensor with a single dimension is a dense one."""
    return each(_unragged, structure)


def _unragged(component: Any) -> Any:
    if isinstance(component, Tensor) and component.kind == "ragged" and component.rank == 1:
        return Tensor(component.dtype, component.shape)
    return component
