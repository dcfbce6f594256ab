"""Facts about the function of a map or filter, read from its ``GraphDef`` without TensorFlow.

Only what the body says for certain is claimed: an op that is not known to work element by element does not, a value
that is not passed through unmodified counts as changed, and where an unknown shape would decide, the fact is None.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.graph.read.records import FunctionDict, base_of, data_inputs, inputs_first
from pipeprof.pipelines.meaning.constants import WIDTHS
from pipeprof.pipelines.meaning.traits import writes_files

CALLS: Final = ("PartitionedCall", "StatefulPartitionedCall")
PYTHON: Final = frozenset({"PyFunc", "PyFuncStateless", "EagerPyFunc"})
SPLITTING: Final = frozenset({"StringSplit", "StringSplitV2", "UnicodeDecode", "UnicodeDecodeWithOffsets"})
"""Ops that make rows of different lengths of texts; TensorFlow's own vectorisation has no form for them."""
DECODING: Final = frozenset({"DecodeRaw"})
"""Ops that make vectors of texts; as above."""
PARSING: Final = frozenset(
    {"DecodeCSV", "ParseExample", "ParseExampleV2", "ParseSequenceExampleV2", "ParseSingleExample"}
)
LOOPING: Final = frozenset({"While", "StatelessWhile"})
SILENT: Final = frozenset({"Const", "Identity", "NoOp"})
HANDING_ON = frozenset({"Identity", "StopGradient", "PreventGradient", "Snapshot"})
_RANDOM = re.compile(
    r"Random(?:Uniform(?:Int)?|StandardNormal|Shuffle|Gamma|Poisson(?:V2)?|Crop)|(?:Parameterized)?TruncatedNormal"
    r"|Multinomial|SampleDistortedBoundingBox(?:V2)?|Stateful(?:Uniform|StandardNormal|TruncatedNormal|Random)\w*"
    r"|Rng\w+|NonDeterministicInts|\w*CandidateSampler"
)
DRAWING: Final = frozenset({"RandomStandardNormal", "RandomUniform", "RandomUniformInt", "TruncatedNormal"})
"""Ops that TensorFlow's own vectorisation lets draw for each row of a batch apart; their first input is a shape."""
_STATELESS_RANDOM = re.compile(r"Stateless(?:Random\w+|Multinomial|\w*TruncatedNormal\w*|SampleDistortedBoundingBox)")
_VARIABLE = re.compile(r"(?:Read|Assign\w*)VariableOp")
_ELEMENTWISE_OPS = """
    Abs Acos Acosh Add AddN AddV2 Angle ApproximateEqual Asin Asinh AsString Atan Atan2 Atanh Bitcast BitwiseAnd
    BitwiseOr BitwiseXor Cast Ceil ClipByValue Conj Cos Cosh Digamma Div DivNoNan Elu Equal Erf Erfc Exp Expm1 Floor
    FloorDiv FloorMod Greater GreaterEqual Imag Inv Invert IsFinite IsInf IsNan LeakyRelu LeftShift Less LessEqual
    Lgamma Log Log1p LogicalAnd LogicalNot LogicalOr Maximum Minimum Mod Mul MulNoNan Neg NotEqual OnesLike Pow Real
    RealDiv Reciprocal Relu Relu6 RightShift Rint Round Rsqrt Select SelectV2 Selu Sigmoid Sign Sin Sinh Softplus
    Softsign Sqrt Square SquaredDifference StringLength StringLower StringStrip StringToHashBucketFast StringToNumber
    StringUpper Sub Tan Tanh TruncateDiv TruncateMod Xdivy Xlogy ZerosLike
"""
ELEMENTWISE = frozenset(_ELEMENTWISE_OPS.split())
_MAX_OPS = 300
_MAX_DEPTH = 20

DtypeName = Callable[[int], str]


def body_of(function: FunctionDict) -> str:
    """Return a fingerprint of what a function is made of: the types of its ops, and whether it runs Python.

    Example:
        >>> body_of({"ops": ["Cast", "Mul"], "python": False})  # type: ignore[typeddict-item]
        '0a136037f849'
    """
    text = " ".join([*sorted(function["ops"]), *(["Python"] if function["python"] else [])])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class FunctionFlow:
    """One function's data flow."""

    reads: frozenset[int]
    """Indices of arguments that ops read."""
    returns: tuple[int | None, ...]
    """For each result the index of the argument it equals, or None."""
    depends: tuple[bool, ...]
    """For each result whether it is made from any argument."""
    unknown: bool
    """It calls a function that is not in the graph."""


class FunctionFacts:
    """Reader of the functions of one library."""

    def __init__(self, functions: Mapping[str, Any], dtype_name: DtypeName) -> None:
        self._functions = functions
        self._dtype_name = dtype_name
        self._bodies: dict[str, FunctionFlow] = {}

    def read(
        self, called: Sequence[str], element_ranks: Sequence[int | None] | None, captured_ranks: Sequence[int | None]
    ) -> FunctionDict:
        """Collect the facts of the functions ``called``; the first is the dataset's own.

        Args:
            element_ranks: Rank of each component of the input; None if it has no single input or no single function.
        """
        nodes = [node for name in called for node in self._functions[name].node_def]
        ops = sorted({node.op for node in nodes} - SILENT)
        python = any(op in PYTHON for op in ops)
        random = is_random(ops)
        facts = FunctionDict(
            ops=ops[:_MAX_OPS],
            constant_bytes=sum(self.bytes_of(node.attr["value"].tensor) for node in nodes if node.op == "Const"),
            python=python,
            random=random or (None if python else False),
            elementwise=None,
            reads=None,
            passes=None,
        )
        if random and not python and all(_RANDOM.fullmatch(op) or not _may_draw(op) for op in ops):
            # TensorFlow writes a seed as two numbers, the program's and the op's own; 0 and 0 are none.
            drawn = [node for node in nodes if _RANDOM.fullmatch(node.op)]
            if all("seed2" in node.attr for node in drawn):
                facts["seeded"] = any(node.attr[name].i for node in drawn for name in ("seed", "seed2"))
        if python:
            facts["tokens"] = [node.attr["token"].s.decode() for node in nodes if "token" in node.attr]
        writer = next(filter(writes_files, ops), None)
        if writer is not None:
            facts["writes"] = writer
        if element_ranks is None or not called:
            return facts
        body, count = self.body(called[0]), len(element_ranks)
        if not body.unknown:
            facts["reads"] = sorted(read for read in body.reads if read < count)
            facts["passes"] = [
                returned if returned is not None and returned < count else None for returned in body.returns
            ]
        facts["elementwise"] = self._elementwise(ops, nodes, body, element_ranks, captured_ranks)
        return facts

    def bytes_of(self, tensor: Any) -> int:
        """Return the bytes of a constant as a tensor; of texts their lengths."""
        width = WIDTHS.get(self._dtype_name(tensor.dtype))
        if width is None:
            return sum(map(len, tensor.string_val)) or int(tensor.ByteSize())
        return width * math.prod(int(dim.size) for dim in tensor.tensor_shape.dim)

    def body(self, name: str, depth: int = 0) -> FunctionFlow:
        """Return the data flow of the function ``name``."""
        if name not in self._bodies:
            definition = self._functions.get(name)
            if definition is None or depth > _MAX_DEPTH:
                return FunctionFlow(frozenset(), (), (), unknown=True)
            self._bodies[name] = _Flow(self, definition, depth).body()
        return self._bodies[name]

    def _elementwise(
        self,
        ops: Sequence[str],
        nodes: Sequence[Any],
        body: FunctionFlow,
        element_ranks: Sequence[int | None],
        captured_ranks: Sequence[int | None],
    ) -> bool | None:
        if not set(ops) <= {*ELEMENTWISE, *HANDING_ON, *CALLS} or not all(body.depends) or body.unknown:
            return False
        used = {number for number in (*body.reads, *body.returns) if number is not None and number < len(element_ranks)}
        ranks = {element_ranks[number] for number in used if number in body.reads}
        others = {_rank(node.attr["value"].tensor.tensor_shape) for node in nodes if node.op == "Const"}
        others.update(captured_ranks)
        if not ranks:
            return True
        if None in ranks or None in others:
            return None
        # Different ranks broadcast differently once there is a leading batch dimension.
        rank = min(rank for rank in ranks if rank is not None)
        return len(ranks) == 1 and all(other <= rank for other in others if other is not None)


class _Flow:
    """Data-flow analysis of one function's body."""

    def __init__(self, facts: FunctionFacts, definition: Any, depth: int) -> None:
        self._facts = facts
        self._depth = depth
        self._definition = definition
        self._arguments = {one.name: index for index, one in enumerate(definition.signature.input_arg)}
        self._nodes = {node.name: node for node in definition.node_def}

    def body(self) -> FunctionFlow:
        returned = [self._definition.ret[one.name] for one in self._definition.signature.output_arg]
        return FunctionFlow(
            reads=frozenset(self._reads()),
            returns=tuple(self.argument(value) for value in returned),
            depends=tuple(self._made_from_argument(value) for value in returned),
            unknown=any(self._callee(node).unknown for node in self._nodes.values() if node.op in CALLS),
        )

    def argument(self, reference: str) -> int | None:
        """Return the index of the argument that ``reference`` passes through; None if it is no argument."""
        for _ in range(len(self._nodes) + 1):
            name, _, rest = reference.partition(":")
            if name in self._arguments and name not in self._nodes:
                return self._arguments[name]
            node = self._nodes.get(name)
            if node is None:
                return None
            if node.op in HANDING_ON:
                reference = node.input[0]
            elif node.op in CALLS:
                returns = self._callee(node).returns
                index = int(rest.rpartition(":")[2] or 0)
                place = returns[index] if index < len(returns) else None
                if place is None or place >= len(node.input):
                    return None
                reference = node.input[place]
            else:
                return None
        return None

    def _callee(self, node: Any) -> FunctionFlow:
        return self._facts.body(node.attr["f"].func.name, self._depth + 1)

    def _reads(self) -> Iterator[int]:
        for node in self._nodes.values():
            if node.op in HANDING_ON:
                continue
            inputs = data_inputs(node)
            if node.op in CALLS:
                callee = self._callee(node)
                inputs = [one for index, one in enumerate(inputs) if callee.unknown or index in callee.reads]
            for reference in inputs:
                found = self.argument(reference)
                if found is not None:
                    yield found

    def _made_from_argument(self, reference: str) -> bool:
        names = {
            input_.partition(":")[0] for name in self._dependencies(reference) for input_ in self._nodes[name].input
        }
        return not (names | {reference.partition(":")[0]}).isdisjoint(self._arguments.keys() - self._nodes.keys())

    def _dependencies(self, reference: str) -> set[str]:
        def reads(name: str) -> list[str]:
            return [one for one in map(base_of, data_inputs(self._nodes[name])) if one in self._nodes]

        name = base_of(reference)
        return set(inputs_first([name] if name in self._nodes else [], reads))


def is_random(ops: Sequence[str]) -> bool:
    """Return whether calls differ randomly; stateless ops do if their seed is in a variable, as in Keras."""
    kept = any(map(uses_variable, ops)) and any(_STATELESS_RANDOM.fullmatch(op) for op in ops)
    return kept or any(_RANDOM.fullmatch(op) for op in ops)


def _may_draw(op: str) -> bool:
    """Return whether an op draws with a state or a seed that is not its own: a generator's, a variable's, a value's."""
    return uses_variable(op) or _STATELESS_RANDOM.fullmatch(op) is not None


def uses_variable(op: str) -> bool:
    """Return whether an op reads or changes a variable."""
    return _VARIABLE.fullmatch(op) is not None


def draws_alone(op: str) -> bool:
    """Return whether an op draws random numbers, or reads or writes a variable, from which a seed may come."""
    return _RANDOM.fullmatch(op) is not None or _VARIABLE.fullmatch(op) is not None


def _rank(shape: Any) -> int | None:
    return None if shape.unknown_rank else len(shape.dim)


@dataclass(frozen=True)
class RandomPart:
    """What of a function depends on random numbers, state or Python."""

    nodes: frozenset[str]
    results: tuple[bool, ...]
    steady: tuple[str, ...]
    """Types of the ops that do not, of the functions that it calls as well."""
    random: tuple[str, ...]
    by_number: bool = True
    """Numbers are drawn for each number of an element apart, and go into ops that treat each number alone."""

    @property
    def steady_ops(self) -> list[str]:
        """Types of ops that stand in no place that depends on random numbers, sorted."""
        return sorted(set(self.steady) - set(self.random) - SILENT)


def random_part(
    functions: Mapping[str, Any], function: Any, given: frozenset[str] = frozenset(), depth: int = 0
) -> RandomPart:
    """Find what of a function depends on random numbers, as the arguments ``given`` do already."""
    nodes = {node.name: node for node in function.node_def}
    results_of: dict[str, tuple[bool, ...]] = {}
    late: set[str] = set()
    steady: list[str] = []
    random: list[str] = []
    by_number = True

    def is_late(reference: str) -> bool:
        name, _, output = reference.lstrip("^").partition(":")
        if reference.startswith("^"):
            # What must run before is no value: an assertion about random numbers makes nothing else random.
            return False
        if name in results_of:
            return results_of[name][int(output.rpartition(":")[2] or 0)]
        return name in late or (name in given and name not in nodes)

    def reads(name: str) -> list[str]:
        return [one for one in map(base_of, nodes[name].input) if one in nodes]

    for name in inputs_first(nodes, reads):
        node = nodes[name]
        inputs = data_inputs(node)
        callee = functions.get(node.attr["f"].func.name) if node.op in CALLS else None
        if callee is not None and depth < _MAX_DEPTH:
            names = [argument.name for argument in callee.signature.input_arg]
            inner = frozenset(one for one, reference in zip(names, inputs, strict=False) if is_late(reference))
            part = random_part(functions, callee, inner, depth + 1)
            results_of[name] = part.results
            steady += part.steady
            random += part.random
            by_number = by_number and part.by_number
            if part.nodes:
                late.add(name)
        elif _draws(functions, node) or any(map(is_late, inputs)):
            late.add(name)
            random.append(node.op)
            by_number = by_number and _is_by_number(nodes, node)
        else:
            steady.append(node.op)
    results = tuple(is_late(function.ret[result.name]) for result in function.signature.output_arg)
    return RandomPart(frozenset(late), results, tuple(steady), tuple(random), by_number)


def _is_by_number(nodes: Mapping[str, Any], node: Any) -> bool:
    """Whether an op draws a number for each number of an element, or treats each number alone."""
    if node.op not in DRAWING:
        return node.op in ELEMENTWISE | HANDING_ON
    shape = nodes.get(base_of(data_inputs(node)[0]))
    several = shape is not None and shape.op == "Const" and any(dim.size for dim in _dims(shape))
    return several or (shape is not None and shape.op == "Shape")


def _dims(constant: Any) -> Iterable[Any]:
    dims: Iterable[Any] = constant.attr["value"].tensor.tensor_shape.dim
    return dims


def _draws(functions: Mapping[str, Any], node: Any, depth: int = 0) -> bool:
    if node.op in PYTHON or draws_alone(node.op):
        return True
    inner = [value.func.name for value in node.attr.values() if value.func.name]
    bodies = [functions[name] for name in inner if name in functions] if depth < _MAX_DEPTH else []
    return any(_draws(functions, other, depth + 1) for body in bodies for other in body.node_def)
