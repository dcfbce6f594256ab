"""Control flow: branches, random branches, chains over the items of a tensor, and shared random numbers."""

from __future__ import annotations

import importlib
import operator
from typing import Annotated, Any, ClassVar

from pydantic import model_validator

from pipeprof.pipelines.ops.calls.base import Running, SpecialCall
from pipeprof.pipelines.ops.calls.opcall import OpCall
from pipeprof.pipelines.ops.calls.seed_scope import sharing
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, argument
from pipeprof.pipelines.ops.problems import Problems, error, mismatch
from pipeprof.pipelines.ops.values.fields import FieldError, describe
from pipeprof.pipelines.ops.values.specs import Specs
from pipeprof.pipelines.ops.values.values import Flag, Positive

_CALLS = {"type": "array", "items": {SCHEMA_PLACEHOLDER: "call"}}


def _chain(value: Any) -> tuple[OpCall, ...]:
    # A chain holds calls and a call holds chains, so the reader of calls is looked up when it is needed.
    found: tuple[OpCall, ...] = importlib.import_module("pipeprof.pipelines.ops.calls.element").parse_chain(value)
    return found


def _filled(value: Any) -> tuple[OpCall, ...]:
    calls = _chain(value)
    if not calls:
        raise mismatch(value, "chain", "at least one call")
    return calls


def _shared(value: Any) -> tuple[OpCall, ...]:
    with sharing():
        return _filled(value)


def _several(value: Any) -> tuple[tuple[OpCall, ...], ...]:
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "chains", "a list of chains such as `[[tf.image.flip_left_right], []]`")
    problems = Problems()
    wrong = ("chain", "a list of calls")
    chains = [problems.read(_chain, item, index, instead=wrong) for index, item in enumerate(value)]
    problems.raise_if_any()
    return tuple(chain for chain in chains if chain is not None)


Chain = Annotated[tuple[OpCall, ...], Checked(_chain, _CALLS)]
"""A chain that may be empty."""
FilledChain = Annotated[tuple[OpCall, ...], Checked(_filled, {**_CALLS, "minItems": 1})]
SharedChain = Annotated[tuple[OpCall, ...], Checked(_shared, {**_CALLS, "minItems": 1})]
"""The chain of ``for_each``."""
Chains = Annotated[tuple[tuple[OpCall, ...], ...], Checked(_several, {"type": "array", "items": _CALLS, "minItems": 1})]


def _probability(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise mismatch(value, "probability", "a number from 0 to 1")
    return float(value)


Probability = Annotated[float, Checked(_probability, {"type": "number", "minimum": 0, "maximum": 1})]


class _Control(SpecialCall):
    family: ClassVar[str] = "control"
    same_target: ClassVar[bool] = True


class Cond(_Control):
    """Runs one of two chains, selected by a condition or at random.

    ``tf.cond: {probability: 0.5, true_fn: […]}`` is equivalent to
    ``tf.cond(tf.random.uniform([]) < 0.5, lambda: true_fn(x), lambda: x)``, and ``pred: […]`` for
    ``tf.cond(pred(element), …)``, where the last call of ``pred`` gives a single bool. ``x`` is the element, or
    the field in ``on``; ``pred`` sees the whole element in any case. A chain that is left out leaves ``x`` as it is.
    """

    call: ClassVar[str] = "tf.cond"
    chained: ClassVar[tuple[str, ...]] = ("pred", "true_fn", "false_fn")

    probability: Probability | None = argument("Probability of `true_fn`, drawn for each element.", default=None)
    pred: FilledChain | None = argument(
        "Condition: calls on the whole element; the last call returns a single bool.", default=None
    )
    true_fn: Chain | None = argument("Calls if the condition is true; default: none.", default=None)
    false_fn: Chain | None = argument("Calls if the condition is false; default: none.", default=None)

    @model_validator(mode="after")
    def _complete(self) -> Cond:
        if (self.probability is None) == (self.pred is None):
            got = "both" if self.pred is not None else "neither"
            raise error(f"{got} of `probability` and `pred`: expected exactly one", "condition")
        if not self.true_fn and not self.false_fn:
            raise error("no calls in `true_fn` or `false_fn`: expected at least one", "condition")
        return self

    @classmethod
    def draws(cls, operation: OpCall) -> bool:
        """Whether the branch is chosen by a probability."""
        return "probability" in operation.arguments

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """Run the chosen branch."""
        if cls.draws(operation):
            pred = running.uniform([]) < operation.arguments["probability"]
        else:
            pred = running.chain(operation, "pred", element, answers=True)
            check_truth_value(running.tf, pred, "`pred`")
        return running.tf.cond(
            pred,
            lambda: running.chain(operation, "true_fn", given),
            lambda: running.chain(operation, "false_fn", given),
        )


class SwitchCase(_Control):
    """Runs one of several chains, selected by an index or at random.

    ``tf.switch_case: {branch_fns: [[…], […]]}`` is equivalent to
    ``tf.switch_case(tf.random.uniform([], maxval=2, dtype=tf.int32), [lambda: f0(x), lambda: f1(x)])``; with
    ``branch_index: […]`` the index is what the last of these calls on the whole element gives, as int32. ``x`` is the
    element, or the field in ``on``; an empty chain leaves it as it is.
    """

    call: ClassVar[str] = "tf.switch_case"
    chained: ClassVar[tuple[str, ...]] = ("branch_fns", "branch_index")

    branch_fns: Chains = argument("The chains; one is selected for each element.")
    branch_index: FilledChain | None = argument(
        "Calls on the whole element; the last call returns the index. Default: a random index.", default=None
    )

    @classmethod
    def draws(cls, operation: OpCall) -> bool:
        """Without an index it does."""
        return "branch_index" not in operation.chains

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """Run the chosen branch."""
        count = branches(operation, "branch_fns")
        if cls.draws(operation):
            index = running.uniform([], maxval=count)
        else:
            index = running.tf.cast(running.chain(operation, "branch_index", element, answers=True), running.tf.int32)
        return switch(operation, "branch_fns", index, given, running)


class RandomOrder(_Control):
    """Runs several chains in random order, drawn for each element.

    ``random_order: {fns: [[…], […]]}`` is equivalent to ``order = tf.random.shuffle(tf.range(2))`` and then, for ``i``
    in ``0, 1``: ``x = tf.switch_case(order[i], [lambda: f0(x), lambda: f1(x)])``. The chains keep dtype and structure.
    """

    call: ClassVar[str] = "random_order"
    chained: ClassVar[tuple[str, ...]] = ("fns",)

    fns: Chains = argument("The chains.")

    @classmethod
    def draws(cls, operation: OpCall) -> bool:
        """Always true."""
        return True

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """Run all chains in random order."""
        count = branches(operation, "fns")
        order = running.shuffled(count)
        for turn in range(count):
            given = switch(operation, "fns", order[turn], given, running)
        return given


class ForEach(_Control):
    """Applies one chain to several fields with the same random numbers.

    ``for_each: {on: [image, mask], ops: […]}`` is equivalent to ``seed = tf.random.uniform([2], maxval=2**31 - 1,
    dtype=tf.int32)``, drawn for each element, and
    ``x = {**x, "image": f(x["image"], seed), "mask": f(x["mask"], seed)}``. The n-th drawing call of the chain gets
    ``seed=tf.random.experimental.stateless_fold_in(seed, n)``, counted from 0 in written order, those of inner chains
    too: ``stateless_*`` functions without a seed of their own, tf.cond with a probability
    (``tf.random.stateless_uniform([], seed) < p``), tf.switch_case without an index
    (``tf.random.stateless_uniform([], seed, 0, count, tf.int32)``), and random_order
    (``tf.random.experimental.stateless_shuffle(tf.range(count), seed)``).
    """

    call: ClassVar[str] = "for_each"
    chained: ClassVar[tuple[str, ...]] = ("ops",)

    ops: SharedChain = argument("The calls, applied to each field.")

    @classmethod
    def _check_routes(cls, on: Any, to: Any, problems: Problems) -> None:
        if not isinstance(on, tuple) or not on:
            expected = "a list of fields such as `on: [image, mask]`"
            problems.add(("on",) if on is not None else (), mismatch(_written(on), "field", expected))
        elif to is not None and (not isinstance(to, tuple) or len(to) != len(on)):
            problems.add(("to",), mismatch(_written(to), "field", f"a list of {len(on)} fields, as in `on`"))

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The fields after the chain."""
        tf = running.tf
        shared = running.seeded(operation, "ops", tf.random.uniform([2], maxval=2**31 - 1, dtype=tf.int32))
        return tuple(shared.chain(operation, "ops", field) for field in given)


class _PerItem(_Control):
    """Applies a chain by a function of TensorFlow that takes a function."""

    @classmethod
    def run(cls, operation: OpCall, given: Any, element: Any, running: Running) -> Any:
        """The results, put together as TensorFlow's function does it."""
        apply = operator.attrgetter(cls.call.removeprefix("tf."))(running.tf)
        arguments = running.constants(operation)
        return apply(lambda item: running.chain(operation, cls.chained[0], item), given, **arguments)


class MapFn(_PerItem):
    """Applies a chain to each item of the first dimension, in a loop.

    ``tf.map_fn: {fn: […]}`` is equivalent to ``tf.map_fn(fn, x)``; ``x`` is the element or the field in ``on``, and may
    be a tuple or mapping, whose items go through the chain together.
    """

    call: ClassVar[str] = "tf.map_fn"
    chained: ClassVar[tuple[str, ...]] = ("fn",)

    fn: FilledChain = argument("Calls on each item.")
    fn_output_signature: Specs | None = argument(
        "dtype or {shape, dtype} of the result, if it differs from that of the items.", default=None
    )
    parallel_iterations: Positive | None = argument("Number of items processed in parallel.", default=None)
    swap_memory: Flag = argument("Whether tensors may move from the device to the host.", default=False)
    infer_shape: Flag = argument("Whether all results must have the same shape.", default=True)


class VectorizedMap(_PerItem):
    """Applies a chain to each item of the first dimension, vectorized.

    ``tf.vectorized_map: {fn: […]}`` is equivalent to ``tf.vectorized_map(fn, x)``; ``x`` is the element or the field in
    ``on``.
    """

    call: ClassVar[str] = "tf.vectorized_map"
    chained: ClassVar[tuple[str, ...]] = ("fn",)

    fn: FilledChain = argument("Calls on each item.")
    fallback_to_while_loop: Flag = argument(
        "Whether to fall back to a loop for ops that cannot be vectorized.", default=True
    )
    warn: Flag = argument("Whether TensorFlow warns about fallbacks to a loop.", default=True)


class MapFlatValues(_PerItem):
    """Applies a chain to the flat values of a ragged tensor.

    ``tf.ragged.map_flat_values: {op: […]}`` is equivalent to ``tf.ragged.map_flat_values(op, x)``; ``x`` is the element
    or the field in ``on``.
    """

    call: ClassVar[str] = "tf.ragged.map_flat_values"
    chained: ClassVar[tuple[str, ...]] = ("op",)

    op: FilledChain = argument("Calls on all values at once.")


def _written(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def branches(operation: OpCall, name: str) -> int:
    """Count the chains under ``name``."""
    return sum(place.rpartition(".")[0] == name for place in operation.chains)


def switch(operation: OpCall, name: str, index: Any, given: Any, running: Running) -> Any:
    """``given`` after one of the chains under ``name``."""

    def branch(number: int) -> Any:
        return lambda: running.chain(operation, f"{name}.{number}", given)

    return running.tf.switch_case(index, [branch(number) for number in range(branches(operation, name))])


def check_truth_value(tf: Any, result: Any, where: str = "the last call") -> None:
    """TensorFlow's own message about a wrong predicate names only its internals.

    Raises:
        FieldError: ``result`` is not a single bool.
    """
    if not tf.is_tensor(result) or result.dtype != tf.bool or result.shape.rank not in (0, None):
        shown = f"{result.dtype.name} of shape {result.shape}" if tf.is_tensor(result) else describe(result)
        purpose = ": an element is kept when it is true" if where == "the last call" else ""
        raise FieldError(f"{where} returns {shown}: expected a single bool{purpose}")
