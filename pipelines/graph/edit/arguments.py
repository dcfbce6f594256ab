"""Arguments of stages set in the nodes of a graph."""

from __future__ import annotations

from typing import Any, Final

from pipeprof.pipelines.graph.edit.editable import new_name
from pipeprof.pipelines.graph.edit.errors import CannotEditError
from pipeprof.pipelines.graph.edit.scopes import NodeScope, captured_count
from pipeprof.pipelines.graph.opnames import argument_names
from pipeprof.pipelines.graph.read.references import base_of, data_inputs
from pipeprof.pipelines.ops.base import sources, stages
from pipeprof.pipelines.ops.constants import AUTOTUNE, AUTOTUNE_VALUE
from pipeprof.pipelines.ops.executed_ops import PARALLEL_FORMS, ParallelForm, executed, written_op
from pipeprof.pipelines.ops.traits import traits

_CALLS: Final = "num_parallel_calls"
_READS: Final = "num_parallel_reads"
_BUFFER: Final = "buffer_size"
_DETERMINISTIC: Final = "deterministic"
_CYCLE: Final = "cycle_length"
_DROP: Final = "drop_remainder"
_SEED: Final = "seed"
_OWN_SEED: Final = "seed2"
_LEGACY: Final = "legacy_autotune"
"""Attribute of a prefetch: that its buffer is tuned."""
_DEFAULT_SEED: Final = 87654321
"""TensorFlow's global seed where only an op has one."""
_AS_NONE: Final = frozenset({_CALLS, _READS, _DETERMINISTIC, _CYCLE, _SEED, "count"})
"""Arguments whose value without them is the one that they have as None."""
_DEFAULTS: Final = {"block_length": 1}
"""What TensorFlow's Python API puts in the place of None."""


def set_argument(
    scope: NodeScope, node: Any, argument: str, value: Any, reader: tuple[NodeScope, Any] | None = None
) -> None:
    """Set an argument of a stage.

    Args:
        value: As a spec has it; None takes the argument away.
        reader: The node that reads one file, and its scope, where the stage is a reader of several files.

    Raises:
        CannotEditError: The graph does not show the argument.
    """
    if value is None:
        value = _value_without(written_op(node.op), argument)
    if reader is not None and argument == _BUFFER:
        _set_buffer(*reader, value)
    elif reader is not None and argument == _READS:
        _set_reads(scope, node, value)
    elif argument == _CALLS:
        _set_calls(scope, node, value)
    elif argument == _CYCLE and _form(node, serial=True) is not None and not _has_input(node, argument):
        # A flat_map has no such argument: it becomes an interleave.
        _set_calls(scope, node, AUTOTUNE_VALUE)
        _set_input(scope, node, argument, value)
    elif _has_input(node, argument):
        _set_input(scope, node, argument, value)
    elif argument == "reshuffle_each_iteration" and argument in node.attr:
        node.attr[argument].b = value is not False
    elif argument == _DETERMINISTIC and argument in node.attr:
        node.attr[argument].s = b"default" if value is None else b"true" if value else b"false"
    elif argument == _DETERMINISTIC and _form(node, serial=True) is not None:
        # A serial stage keeps the order: TensorFlow ignores the argument.
        return
    else:
        raise CannotEditError(f"{argument} of {written_op(node.op)} is not shown by the graph")


def _value_without(op: str, argument: str) -> Any:
    """Return the value that a stage has without an argument; None where its Python API takes None.

    Raises:
        CannotEditError: The stage needs the argument, or TensorFlow decides on the value while it is built.
    """
    kind = stages().get(op) or sources().get(op)
    field = kind.model_fields.get(argument) if kind is not None else None
    if field is not None and field.is_required():
        raise CannotEditError(f"{op} needs {argument}: it cannot be taken away")
    if field is None or argument in _AS_NONE:
        return None
    value = _DEFAULTS.get(argument, field.default)
    if value is None:
        raise CannotEditError(f"the value of {argument} that TensorFlow takes for {op} without it is not known")
    return value


def _set_calls(scope: NodeScope, node: Any, value: Any) -> None:
    parallel = _form(node, serial=False)
    if value is None:
        if parallel is not None:
            _to_serial(node, parallel)
        return
    if parallel is None:
        form = _form(node, serial=True)
        if form is None:
            raise CannotEditError(f"TensorFlow runs {written_op(node.op)} one call at a time: it has no {_CALLS}")
        _to_parallel(scope, node, form, {_CALLS: value})
    else:
        _set_input(scope, node, _CALLS, value)


def _set_reads(scope: NodeScope, node: Any, value: Any) -> None:
    """Set how many files a reader reads at once; without, its node is a `flat_map` over the files."""
    parallel = next(
        (form for form in PARALLEL_FORMS if form.parallel == node.op and executed(form.serial).wraps_readers), None
    )
    if parallel is not None:
        node.input[:] = data_inputs(node)[: 1 + captured_count(node)]
        node.op = parallel.serial
        for name, _ in parallel.attributes:
            del node.attr[name]
    if value is None:
        return
    form = next(
        one for one in PARALLEL_FORMS if one.serial == node.op and one.readers == (_number(value) != AUTOTUNE_VALUE)
    )
    given = {_CALLS: AUTOTUNE_VALUE} if _number(value) == AUTOTUNE_VALUE else _legacy_inputs(int(value))
    _to_parallel(scope, node, form, given)


def _legacy_inputs(cycle: int) -> dict[str, int]:
    """Return the inputs of the older op as TensorFlow's Python API sets them."""
    return {_CYCLE: cycle, "block_length": 1, "buffer_output_elements": 2, "prefetch_input_elements": 2 * cycle}


def _set_buffer(scope: NodeScope, node: Any, value: Any) -> None:
    index = executed(node.op).buffer_input
    if index is None or index >= len(data_inputs(node)):
        raise CannotEditError(f"{_BUFFER} of {written_op(node.op)} is not shown by the graph")
    node.input[index] = _const(scope, value)


def _form(node: Any, *, serial: bool) -> ParallelForm | None:
    """Return the row of a node's op, which is the serial or the parallel one of the two."""
    return next(
        (form for form in PARALLEL_FORMS if (form.serial if serial else form.parallel) == node.op and not form.readers),
        None,
    )


def _to_parallel(scope: NodeScope, node: Any, form: ParallelForm, given: dict[str, Any]) -> None:
    references = data_inputs(node)
    first = 1 + captured_count(node)
    old = dict(zip(argument_names(node.op, len(references)), references, strict=True))
    defaults = dict(form.defaults)
    inputs = [
        _const(scope, given[name]) if name in given else old.get(name) or _const(scope, defaults[name])
        for name in form.inputs
    ]
    node.input[:] = [*references[:first], *inputs]
    node.op = form.parallel
    for name, _ in form.serial_attributes:
        if name in node.attr:
            del node.attr[name]
    for name, value in form.attributes:
        _set_attribute(node, name, value)


def _to_serial(node: Any, form: ParallelForm) -> None:
    references = data_inputs(node)
    first = 1 + captured_count(node)
    old = dict(zip(argument_names(node.op, len(references)), references, strict=True))
    # The names of the serial op's last inputs do not depend on their number.
    names = [name for name in executed(form.serial).tail if name in old]
    node.input[:] = [*references[:first], *(old[name] for name in names)]
    node.op = form.serial
    for name, _ in form.attributes:
        if name in node.attr:
            del node.attr[name]
    for name, value in form.serial_attributes:
        _set_attribute(node, name, value)


def _set_attribute(node: Any, name: str, value: bytes | bool) -> None:
    if isinstance(value, bytes):
        node.attr[name].s = value
    else:
        node.attr[name].b = value


def _has_input(node: Any, argument: str) -> bool:
    return argument in argument_names(node.op, len(data_inputs(node)))


def _set_input(scope: NodeScope, node: Any, argument: str, value: Any) -> None:
    names = argument_names(node.op, len(data_inputs(node)))
    if argument == _SEED and _OWN_SEED in names:
        # TensorFlow's Python API gives the op two seeds: the global one, which it replaces where there is none, and
        # the argument.
        given = [*scope.node(base_of(node.input[names.index(_SEED)])).attr["value"].tensor.int64_val]
        if value is not None and not any(given):
            node.input[names.index(_SEED)] = _const(scope, _DEFAULT_SEED)
        elif value is None and given == [_DEFAULT_SEED]:
            node.input[names.index(_SEED)] = _const(scope, 0)
        elif value is None and any(given):
            raise CannotEditError("TensorFlow draws the seed of a stage from the global one when it builds the stage")
        argument, value = _OWN_SEED, value or 0
    index = names.index(argument)
    if argument == _DROP:
        value = bool(value)
    node.input[index] = _const(scope, value)
    if _LEGACY in node.attr:
        node.attr[_LEGACY].b = _number(value) == AUTOTUNE_VALUE


def _const(scope: NodeScope, value: Any) -> str:
    import tensorflow as tf

    number = _number(value)
    dtype = tf.bool if isinstance(number, bool) else tf.int64
    node = tf.compat.v1.NodeDef(name=new_name("Const"), op="Const")
    node.attr["dtype"].type = dtype.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(number, dtype))
    return scope.add(node, "output")


def _number(value: Any) -> int | bool:
    if value is None or str(value) == AUTOTUNE:
        return AUTOTUNE_VALUE
    if isinstance(value, bool | int):
        return value
    raise CannotEditError(f"{value!r} is not a number")


def changes_shapes(op: str, argument: str) -> bool:
    """Return whether an argument of a stage may change the static shapes of its elements."""
    return argument in (traits(op).batches, _DROP, "padded_shapes")
