"""The part of a function that does not depend on its random numbers, read from its definition without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pipeprof.pipelines.graph.read.function_facts import (
    CALLS,
    DRAWING,
    ELEMENTWISE,
    HANDING_ON,
    PYTHON,
    SILENT,
    draws_alone,
)
from pipeprof.pipelines.graph.read.references import base_of, data_inputs, inputs_first

_MAX_DEPTH: Final = 20


@dataclass(frozen=True)
class RandomPart:
    """What of a function depends on random numbers, state or Python.

    Attributes:
        steady: Types of the ops that do not, of the functions that it calls as well, as often as they stand there.
        random: Types of the ops that do.
        by_number: Whether the random numbers are drawn for each number of an element apart, and go into ops that treat
            each number alone.
    """

    nodes: frozenset[str]
    results: tuple[bool, ...]
    steady: tuple[str, ...]
    random: tuple[str, ...]
    by_number: bool = True

    @property
    def steady_ops(self) -> list[str]:
        """Types of ops that stand in no place that depends on random numbers, sorted."""
        return sorted(set(self.steady) - set(self.random) - SILENT)


def random_part(
    functions: Mapping[str, Any], function: Any, given: frozenset[str] = frozenset(), depth: int = 0
) -> RandomPart:
    """Find what of a function depends on random numbers.

    Args:
        given: Names of arguments that depend on random numbers already.
    """
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
