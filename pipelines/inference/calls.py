"""Inference for calls of ``ops:``: select inputs, apply rules, store results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeprof.pipelines.inference.errors import CannotInfer, Place, Refused, Report, ignore
from pipeprof.pipelines.inference.rules.base import Arguments, ArrayLookup, Rule, rules
from pipeprof.pipelines.inference.rules.layers import LAYERS
from pipeprof.pipelines.inference.special_calls import SPECIAL, given_to
from pipeprof.pipelines.inference.tensor.fields import field_of, with_field
from pipeprof.pipelines.inference.tensor.input_checks import check_inputs
from pipeprof.pipelines.inference.tensor.shapes import Structure, Tensor, each, leaves
from pipeprof.pipelines.ops.calls.opcall import OpCall, chain_path
from pipeprof.pipelines.ops.functions.catalog import function


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
            place: Where the list of calls was written.
            answers: Whether the last result is an answer (a truth value, a key), not a part of the element.
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
    """Return the inputs of a call, in the order of `OpCall.inputs`.

    Raises:
        Refused: The element has no such field.
    """
    if isinstance(operation.on, dict):
        return [field_of(element, field, "on", name) for name, field in operation.on.items()]
    if isinstance(operation.on, tuple):
        return [field_of(element, field, "on", index) for index, field in enumerate(operation.on)]
    if operation.on is not None:
        return [field_of(element, operation.on, "on")]
    return [element] if operation.inputs() else []


def _distributed(element: Structure, targets: tuple[Any, ...], result: Structure) -> Structure:
    """The parts of a result, each at a field of its own."""
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
