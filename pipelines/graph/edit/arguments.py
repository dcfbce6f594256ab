"""Arguments of stages set in the nodes of a graph."""

from __future__ import annotations

from collections.abc import Sequence
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

_Attributes = Sequence[tuple[str, bytes | bool]]
_LEGACY: Final = "legacy_autotune"
"""Attribute of a prefetch: that its buffer is tuned."""
_DEFAULT_SEED: Final = 87654321
"""TensorFlow's global seed where only an op has one."""
_AS_NONE: Final = frozenset(
    {"num_parallel_calls", "num_parallel_reads", "deterministic", "cycle_length", "seed", "count"}
)
"""Arguments whose value without them is the one that they have as None."""
_DEFAULTS: Final = {"block_length": 1}
"""What TensorFlow's Python API puts in place of None."""


def set_argument(
    scope: NodeScope, node: Any, argument: str, value: Any, reader: tuple[NodeScope, Any] | None = None
) -> None:
    """Set an argument of a stage.

    Args:
        value: As a spec has it; None takes the argument away.
        reader: The node that reads one file, and its scope, where the stage is a reader of several files.
    """
    if value is None:
        value = _value_without(written_op(node.op), argument)
    if reader is not None and argument == "buffer_size":
        _set_buffer(*reader, value)
    elif reader is not None and argument == "num_parallel_reads":
        _set_reads(scope, node, value)
    elif argument == "num_parallel_calls":
        _set_calls(scope, node, value)
    elif argument == "cycle_length" and _form(node, serial=True) is not None and not _has_input(node, argument):
        # A flat_map has no such argument: it becomes an interleave.
        _set_calls(scope, node, AUTOTUNE_VALUE)
        _set_input(scope, node, argument, value)
    elif _has_input(node, argument):
        _set_input(scope, node, argument, value)
    elif argument == "reshuffle_each_iteration" and argument in node.attr:
        node.attr[argument].b = value is not False
    elif argument == "deterministic" and argument in node.attr:
        node.attr[argument].s = b"default" if value is None else b"true" if value else b"false"
    elif argument == "deterministic" and _form(node, serial=True) is not None:
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
            raise CannotEditError(
                f"TensorFlow runs {written_op(node.op)} one call at a time: it has no num_parallel_calls"
            )
        _to_parallel(scope, node, form, {"num_parallel_calls": value})
    else:
        _set_input(scope, node, "num_parallel_calls", value)


def _set_reads(scope: NodeScope, node: Any, value: Any) -> None:
    """Set how many files a reader reads at once; without, its node is a `flat_map` over the files."""
    parallel = next(
        (form for form in PARALLEL_FORMS if form.parallel == node.op and executed(form.serial).wraps_readers), None
    )
    if parallel is not None:
        _become(node, parallel.serial, (), parallel.attributes, ())
    if value is None:
        return
    form = next(
        one for one in PARALLEL_FORMS if one.serial == node.op and one.readers == (_number(value) != AUTOTUNE_VALUE)
    )
    given = {"num_parallel_calls": AUTOTUNE_VALUE} if _number(value) == AUTOTUNE_VALUE else _legacy_inputs(int(value))
    _to_parallel(scope, node, form, given)


def _legacy_inputs(cycle: int) -> dict[str, int]:
    """Return the inputs of the older op as TensorFlow's Python API sets them."""
    return {"cycle_length": cycle, "block_length": 1, "buffer_output_elements": 2, "prefetch_input_elements": 2 * cycle}


def _set_buffer(scope: NodeScope, node: Any, value: Any) -> None:
    index = executed(node.op).buffer_input
    if index is None or index >= len(data_inputs(node)):
        raise CannotEditError(f"buffer_size of {written_op(node.op)} is not shown by the graph")
    node.input[index] = _const(scope, value)


def _form(node: Any, *, serial: bool) -> ParallelForm | None:
    """Return the row of a node's op, which is the serial or the parallel one of the two."""
    return next(
        (form for form in PARALLEL_FORMS if (form.serial if serial else form.parallel) == node.op and not form.readers),
        None,
    )


def _to_parallel(scope: NodeScope, node: Any, form: ParallelForm, given: dict[str, Any]) -> None:
    old = _named_inputs(node)
    defaults = dict(form.defaults)
    inputs = [
        _const(scope, given[name]) if name in given else old.get(name) or _const(scope, defaults[name])
        for name in form.inputs
    ]
    _become(node, form.parallel, inputs, form.serial_attributes, form.attributes)


def _to_serial(node: Any, form: ParallelForm) -> None:
    old = _named_inputs(node)
    # The names of the serial op's last inputs do not depend on their number.
    names = [name for name in executed(form.serial).tail if name in old]
    _become(node, form.serial, [old[name] for name in names], form.attributes, form.serial_attributes)


def _named_inputs(node: Any) -> dict[str, str]:
    references = data_inputs(node)
    return dict(zip(argument_names(node.op, len(references)), references, strict=True))


def _become(node: Any, op: str, inputs: Sequence[str], gone: _Attributes, new: _Attributes) -> None:
    """Make a node another op with the same first inputs, up to the captured tensors."""
    node.input[:] = [*data_inputs(node)[: 1 + captured_count(node)], *inputs]
    node.op = op
    for name, _ in gone:
        node.attr.pop(name, None)
    for name, value in new:
        setattr(node.attr[name], "s" if isinstance(value, bytes) else "b", value)


def _has_input(node: Any, argument: str) -> bool:
    return argument in argument_names(node.op, len(data_inputs(node)))


def _set_input(scope: NodeScope, node: Any, argument: str, value: Any) -> None:
    names = argument_names(node.op, len(data_inputs(node)))
    if argument == "seed" and "seed2" in names:
        # TensorFlow's Python API gives the op two seeds: the global one, which it replaces where there is none, and
        # the argument.
        given = [*scope.node(base_of(node.input[names.index("seed")])).attr["value"].tensor.int64_val]
        if value is not None and not any(given):
            node.input[names.index("seed")] = _const(scope, _DEFAULT_SEED)
        elif value is None and given == [_DEFAULT_SEED]:
            node.input[names.index("seed")] = _const(scope, 0)
        elif value is None and any(given):
            raise CannotEditError("TensorFlow draws the seed of a stage from the global one when it builds the stage")
        argument, value = "seed2", value or 0
    index = names.index(argument)
    if argument == "drop_remainder":
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
    return argument in (traits(op).batches, "drop_remainder", "padded_shapes")
