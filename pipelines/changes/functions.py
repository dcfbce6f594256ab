"""Functions of stages as TensorFlow traced them: their effects, and maps on whole batches (worker only).

TensorFlow's pfor converts the function of a map as it was traced; it uses the op that takes batches where there is one
(``ParseExampleV2``, ``DecodeCSV``). What it does not convert is called on the batch as it is where it means the same
there.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias, get_args

from pipeprof.pipelines.changes.chain import CannotChangeError
from pipeprof.pipelines.graph.observe.build_watch import is_component
from pipeprof.pipelines.graph.read.function_facts import (
    CALLS,
    ELEMENTWISE,
    PYTHON,
    FunctionFacts,
    is_random,
    random_part,
    uses_variable,
)
from pipeprof.pipelines.graph.read.records import base_of, data_inputs, function_names, inputs_first

EffectKind: TypeAlias = Literal["python", "random", "state"]
_CONVERTED: Final = frozenset(
    {"Assert", "LookupTableFindV2", "LookupTableSizeV2", "PrintV2", "If", "Case", "While", *CALLS}
)
"""Ops that TensorFlow counts as having state but that mean the same on a batch: a table is read, not written; what is
called or looped is looked at itself."""
_MANY: Final = 16
"""Components of one type that are gathered as one."""
_NOT_CONVERTED: Final = re.compile(
    r"(?:No (?:pfor )?(?:vectorization|converter) (?:is )?(?:defined )?for |Input \S+ of op ')(\w+)"
)
"""An op that pfor has no form for, or none where this input differs between elements, or does not."""
_PARSES: Final = "ParseExampleV2"
Make: TypeAlias = "Callable[[Callable[..., Any]], Any]"
_PASSING_ON: Final = frozenset({_PARSES, "SerializeSparse", "Identity", "IdentityN"})


def functions_of(function: Any) -> Mapping[str, Any]:
    """Return the definition of a traced function and of all that it calls, by name, its own first."""
    import tensorflow as tf

    own = function.function_def
    library = function.graph.as_graph_def().library.function
    return {tf.compat.as_str(own.signature.name): own, **{one.signature.name: one for one in library}}


def effects_of(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[tuple[str, EffectKind]]:
    """Return the ops of nodes, and of the functions that they call, whose result does not depend on inputs alone.

    Reading a variable is an input. Python comes first, then what draws random numbers: state may be that of these.
    """
    ops = _ops_of(nodes, functions)
    definitions = op_definitions(set(ops))
    variables = [op for op in ops if uses_variable(op)]
    found: dict[EffectKind, list[str]] = {kind: [] for kind in get_args(EffectKind)}
    for op in ops:
        if op in PYTHON:
            found["python"].append(op)
        elif is_random([op, *variables]):
            found["random"].append(op)
        elif op != "ReadVariableOp" and op in definitions and definitions[op].is_stateful:
            found["state"].append(op)
    return [(op, kind) for kind, effects in found.items() for op in effects]


def is_stateful(function: Any) -> bool:
    """Whether a traced function, or one that it calls, has an op with state; False where there is no function."""
    if function is None:
        return False
    functions = functions_of(function)
    ops = {node.op for one in functions.values() for node in one.node_def}
    return any(definition.is_stateful for definition in op_definitions(ops).values())


def _ops_of(nodes: Iterable[Any], functions: Mapping[str, Any]) -> list[str]:
    ops: dict[str, None] = {}
    todo, seen = [*nodes], set[str]()
    while todo:
        node = todo.pop(0)
        ops[node.op] = None
        for name in function_names(node):
            if name in functions and name not in seen:
                seen.add(name)
                todo.extend(functions[name].node_def)
    return list(ops)


def op_definitions(ops: set[str]) -> dict[str, Any]:
    """Return TensorFlow's definitions of op types, without those of functions."""
    import tensorflow as tf

    known = {op for op in ops if hasattr(tf.raw_ops, op)}
    graph = tf.compat.v1.GraphDef()
    for op in sorted(known):
        graph.node.add(name=op, op=op)
    with tf.Graph().as_default():
        exported = tf.compat.v1.train.export_meta_graph(graph_def=graph)
    return {definition.name: definition for definition in exported.meta_info_def.stripped_op_list.op}


def components(structure: Any) -> list[Any]:
    """Return the components of an element or of its spec; a None is none."""
    import tensorflow as tf

    return [leaf for leaf in tf.nest.flatten(structure) if is_component(leaf)]


def with_components(structure: Any, given: Sequence[Any]) -> Any:
    """Return an element of a structure."""
    import tensorflow as tf

    rest = iter(given)
    leaves = [next(rest) if is_component(leaf) else None for leaf in tf.nest.flatten(structure)]
    return tf.nest.pack_sequence_as(structure, leaves)


def map_on_batches(
    address: str, function: Callable[..., Any], traced: Any, make: Make, *, rows: Any, element_spec: Any
) -> Any:
    """Return what a map with a function of batches makes, which does to each element of them what its own one does.

    Args:
        traced: The function as TensorFlow traced it.
        make: Maps batches by a function.
        rows: The structure of an element.
        element_spec: Of what the function returns for an element.

    Raises:
        CannotChangeError: Nothing does.
    """
    import tensorflow as tf

    functions = functions_of(traced)
    parses = _parses_alone(traced.function_def)
    _check_shapes(address, components(rows), () if parses else components(element_spec))
    draws = _check_ops(address, traced, functions)
    if not parses and any(_parses_lists(node) for one in functions.values() for node in one.node_def):
        # pfor takes what the op makes of a whole batch for rows of one length.
        reason = "its function parses lists whose lengths differ, which TensorFlow cannot apply to whole batches"
        raise CannotChangeError(address, reason)
    plain = tf.autograph.experimental.do_not_convert
    table = _is_table(components(rows))
    ways = [plain(_vectorised(traced, element_spec, table=table))]
    leaves = tf.nest.flatten((rows, element_spec))
    if not table and all(isinstance(leaf, tf.TensorSpec) for leaf in leaves):
        ways.insert(0, _as_written(function, unpacked=type(rows) is tuple))
    # TensorFlow's own vectorisation alone draws for each row.
    if (parses or _is_elementwise(traced, functions, components(rows))) and not draws:
        ways.append(plain(_as_it_is(traced, element_spec)))
    return _first_traced(address, ways, make)


def _as_written(function: Callable[..., Any], *, unpacked: bool) -> Callable[..., Any]:
    """The user's function on each row, as the user would write it."""
    import tensorflow as tf

    def on_row(row: Any) -> Any:
        return function(*row) if unpacked else function(row)

    def on_batch(*batch: Any) -> Any:
        return tf.vectorized_map(on_row, batch if unpacked else batch[0], fallback_to_while_loop=False, warn=False)

    return on_batch


def _vectorised(traced: Any, element_spec: Any, *, table: bool) -> Callable[..., Any]:
    """The function as it was traced on each row.

    Args:
        table: Of each component pfor gathers the row by an op of its own: 430 of them take minutes to trace.
    """
    import tensorflow as tf

    def on_row(row: Sequence[Any]) -> Any:
        return tuple(tf.nest.flatten(traced(*row)))

    def on_batch(*batch: Any) -> Any:
        given = components(batch)
        made = tf.vectorized_map(
            (lambda row: on_row(tf.unstack(row, num=len(given)))) if table else on_row,
            tf.stack(given, axis=1) if table else tuple(given),
            fallback_to_while_loop=False,
            warn=False,
        )
        return _structured(made, element_spec, given)

    return on_batch


def _as_it_is(traced: Any, element_spec: Any) -> Callable[..., Any]:
    def on_batch(*batch: Any) -> Any:
        given = components(batch)
        return _structured(_results(traced, given), element_spec, given)

    return on_batch


def _results(traced: Any, given: Sequence[Any]) -> list[Any]:
    """What a traced function makes of the components of an element, in the function that is traced now."""
    import tensorflow as tf

    here: Any = tf.compat.v1.get_default_graph()
    ends = [output.op.name for output in traced.outputs]
    graph = tf.compat.v1.graph_util.extract_sub_graph(traced.graph.as_graph_def(), ends)
    names = {node.name for node in graph.node}
    instead = {}
    for number, tensor in enumerate(traced.inputs):
        if tensor.op.name in names:
            own = number < len(given)
            instead[tensor.name] = given[number] if own else here.capture(traced.captured_inputs[number - len(given)])
    outputs = [output.name for output in traced.outputs]
    made: list[Any] = tf.graph_util.import_graph_def(
        graph, input_map=instead, return_elements=outputs, name="pipeprof_part"
    )
    return made


def _structured(made: Sequence[Any], element_spec: Any, batch: Sequence[Any]) -> Any:
    import tensorflow as tf

    size = tf.TensorShape([next((one.shape[0] for one in batch if one.shape.rank), None)])
    results = []
    for tensor, spec in zip(made, components(element_spec), strict=True):
        if isinstance(spec, tf.SparseTensorSpec):
            indices, values, shape = tf.raw_ops.DeserializeSparse(serialized_sparse=tensor, dtype=spec.dtype)
            shape.set_shape([spec.shape.rank + 1])
            results.append(tf.SparseTensor(indices, values, shape))
        else:
            tensor.set_shape(size.concatenate(spec.shape))
            results.append(tensor)
    return with_components(element_spec, results)


def _is_table(row: Sequence[Any]) -> bool:
    """Whether rows of many components are those of one table: numbers of one type."""
    return len(row) >= _MANY and len({one.dtype for one in row}) == 1 and all(one.shape.rank == 0 for one in row)


def _first_traced(address: str, ways: Sequence[Callable[..., Any]], make: Make) -> Any:
    """Return what is made in the first way that TensorFlow accepts.

    Raises:
        CannotChangeError: It accepts none; the reason is that of the first.
    """
    import tensorflow as tf

    logger = tf.get_logger()
    level = logger.level
    # pfor logs every op that it does not convert, with the op's whole definition.
    logger.setLevel(logging.CRITICAL)
    first: Exception | None = None
    try:
        for way in ways:
            try:
                return make(way)
            except Exception as error:
                # pfor raises errors of many classes.
                first = first or error
    finally:
        logger.setLevel(level)
    assert first is not None  # noqa: S101 - there is a way
    first = _of_pfor(first)
    raise CannotChangeError(address, _reason(first)) from first


def _check_ops(address: str, traced: Any, functions: Mapping[str, Any]) -> bool:
    """Refuse ops that pfor does not convert, or that give other elements when they run once per batch.

    Returns:
        Whether it draws random numbers, each row its own.
    """
    draws = False
    for op, kind in effects_of(traced.function_def.node_def, functions):
        if kind == "random" and random_part(functions, traced.function_def).by_number:
            draws = True
            continue
        if kind == "python":
            reason = f"its function runs Python ({op}), which TensorFlow cannot apply to whole batches"
        elif kind == "random":
            reason = f"its function draws random numbers ({op}): on whole batches it draws others"
        elif op not in _CONVERTED:
            reason = f"its function has an op with state ({op}), which would run once per batch"
        else:
            continue
        raise CannotChangeError(address, reason)
    return draws


def _is_elementwise(traced: Any, functions: Mapping[str, Any], rows: Sequence[Any]) -> bool:
    import tensorflow as tf

    facts = FunctionFacts(functions, lambda enum: str(tf.dtypes.as_dtype(enum).name))
    captured = [tensor.shape.rank for tensor in traced.captured_inputs]
    return bool(facts.read(list(functions), [spec.shape.rank for spec in rows], captured)["elementwise"])


def _parses_alone(function: Any) -> bool:
    """Whether a function without calls parses its record and only passes on what comes out: so it does with a batch."""
    nodes = {node.name: node for node in function.node_def}
    depends = {argument.name for argument in function.signature.input_arg}
    ends = [result.partition(":")[0] for result in function.ret.values()]

    def reads(name: str) -> list[str]:
        return [base_of(one) for one in data_inputs(nodes[name])] if name in nodes else []

    for name in inputs_first(ends, reads):
        if not depends.isdisjoint(reads(name)):
            depends.add(name)

    def passes_on(node: Any) -> bool:
        others = [one for one in reads(node.name) if one not in depends]
        alone = len(reads(node.name)) - len(others) == 1
        return node.op in _PASSING_ON or (
            node.op in ELEMENTWISE and alone and all(_is_number(nodes.get(one)) for one in others)
        )

    made = [nodes[name] for name in depends if name in nodes]
    return any(node.op == _PARSES for node in made) and all(map(passes_on, made))


def _is_number(node: Any | None) -> bool:
    return node is not None and node.op == "Const" and not node.attr["value"].tensor.tensor_shape.dim


def _parses_lists(node: Any) -> bool:
    """Whether an op parses features whose number of values differs."""
    if node.op != _PARSES:
        return False
    shapes = node.attr["dense_shapes"].list.shape
    listed = any(shape.unknown_rank or any(dim.size < 0 for dim in shape.dim) for shape in shapes)
    return bool(node.attr["num_sparse"].i) or bool(node.attr["ragged_value_types"].list.type) or listed


def _check_shapes(address: str, rows: Sequence[Any], results: Sequence[Any]) -> None:
    import tensorflow as tf

    if any(not isinstance(spec, tf.TensorSpec) for spec in (*rows, *results)):
        reason = "its elements are ragged, sparse or datasets: they are no rows of one tensor"
        raise CannotChangeError(address, reason)
    if any(not spec.shape.is_fully_defined() for spec in rows):
        shapes = ", ".join(f"{spec.dtype.name} {spec.shape}" for spec in rows)
        raise CannotChangeError(address, f"the elements that it is applied to may differ in shape: {shapes}")


def _of_pfor(error: Exception) -> Exception:
    """Why pfor did not convert an op: it fails once more where it lists the Python lines of an op that has none."""
    while isinstance(error, TypeError) and isinstance(error.__context__, Exception):
        error = error.__context__
    return error


def _reason(error: Exception) -> str:
    text = str(error)
    found = _NOT_CONVERTED.search(text)
    if found is not None:
        return f"TensorFlow cannot apply its op {found[1]} to whole batches"
    line = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return f"TensorFlow cannot apply its function to whole batches: {line[:200]}"
