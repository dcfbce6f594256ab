"""Generators as YAML and Python: signatures, for one element or a batch at a time, and elements made by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeprof.pipelines.static.by_batch import CalledInPython, RowsAtOnce
from pipeprof.pipelines.static.instead.tensors import InTensors
from pipeprof.pipelines.static.numbered import Numbered
from pipeprof.pipelines.static.unchanging import unknown_names
from pipeprof.profiles.advise.edits.in_place import in_place
from pipeprof.profiles.advise.edits.snippets import dict_names, free_name, from_python, structure_of
from pipeprof.profiles.view.texts import file_text
from pipeprof.profiles.view.view import ComponentView, StageView
from pipeprof.profiles.wording import NamedStage

_NUMPY = {"string": "object"}
Spec = tuple[Sequence[int | None] | None, str]
"""Shape and dtype of a tensor."""


def signature_of_batches(source: StageView, rows: int | None) -> Any:
    """The ``output_signature`` as the spec writes it, with a first dimension of ``rows``, ``None`` for any number."""
    written = (source.written or {}).get("output_signature")
    if written is not None:
        return _batched(written, rows)
    found = [
        {**({} if component.shape is None else {"shape": [rows, *component.shape]}), "dtype": component.dtype}
        for component in source.element or ()
    ]
    return found[0] if len(found) == 1 else found


def _batched(written: Any, rows: int | None) -> Any:
    if isinstance(written, Mapping) and "dtype" in written:
        shape = written.get("shape", [])
        return {**written, "shape": None if shape is None else [rows, *shape]}
    if isinstance(written, Mapping):
        return {key: _batched(inner, rows) for key, inner in written.items()}
    return [_batched(inner, rows) for inner in written] if isinstance(written, list | tuple) else written


def tensor_specs(source: StageView, rows: int | None) -> str:
    """The signature of batches as Python writes it."""
    found = structure_of(source)
    specs = [_spec(component, rows) for component in source.element or ()]
    if isinstance(found, list) and len(found) == len(specs):
        return "{" + ", ".join(f"{name!r}: {spec}" for name, spec in zip(found, specs, strict=True)) + "}"
    if len(specs) == 1 and not isinstance(found, int):
        return specs[0]
    return f"({', '.join(specs)}{',' if len(specs) == 1 else ''})" if specs else "…"


def _spec(one: ComponentView, rows: int | None) -> str:
    shape = None if one.shape is None else [rows, *one.shape]
    return f"tf.TensorSpec({shape}, tf.{one.dtype})"


def source_python(function: str, signature: str, name: str = "signature") -> list[str]:
    """The call that makes the dataset; ``name`` is that of the signature where it stands in a line of its own."""
    line = f"dataset = tf.data.Dataset.from_generator({function}, output_signature={signature})"
    if len(line) <= 100:
        return [line]
    return [f"{name} = {signature}", f"dataset = tf.data.Dataset.from_generator({function}, output_signature={name})"]


@dataclass(frozen=True)
class Batches:
    """Whole batches of a generator's elements.

    Attributes:
        rows: The function of one element as one of many.
        before: The call that makes batches of indices: ``.batch(32)``.
        after: The call that takes batches apart again; empty where a batch follows anyway.
    """

    rows: RowsAtOnce
    before: str
    after: str


def by_number(
    made: Numbered,
    components: Sequence[ComponentView],
    keys: Sequence[str] | None,
    stages: Sequence[NamedStage],
    *,
    batches: Batches | None = None,
    ops: InTensors | None = None,
) -> str | None:
    """A generator's elements, made in parallel calls of a map; None where their structure is not certain.

    Args:
        keys: One for each component: a dict's name, a tuple's index, ``0`` for a tensor.
        stages: The generator's stage and those after it that go with it; names that are unknown where it is passed to
            TensorFlow make the code uncertain.
        ops: The function of one element in two, reading in Python and computing in ops.
    """
    names = dict_names(keys, len(components))
    if names is None or any(one.dtype in ("variant", "resource") for one in components):
        return None
    taken = {*made.taken, *names}
    items, element = free_name("items", *taken), free_name("element", *taken)
    index = free_name("i", *(ops.names if ops is not None else ()))
    order = f"{f'.shuffle(len({items}))' if made.shuffled else ''}{'.repeat()' if made.endless else ''}"
    name = batches.rows.name if batches is not None else made.name
    values, types = f"{name}({items}[{index}])", [_NUMPY.get(one.dtype, one.dtype) for one in components]
    if names:
        values = f"[row[key] for row in [{values}] for key in {[*names]}]"
    # A generator's values are cast to its signature, those of numpy_function are not.
    alone = len(types) == 1 and not names
    cast = f"np.asarray({values}, {types[0]!r})" if alone else f"list(map(np.asarray, {values}, {types}))"
    call = f"lambda {index}: {cast}, [{index}]"
    listed = made.items if made.items.startswith("range(") else f"list({made.items})"
    if batches is not None:
        listed, order = f"np.asarray({listed})", f"{order}{batches.before}"
    place = stages[0].location
    text = file_text(place.file) if place is not None else ""
    calls = f"map({element}, num_parallel_calls=tf.data.AUTOTUNE){batches.after if batches else ''}"
    new = f"tf.data.Dataset.range(len({items})){order}.{calls}"
    one_element = batches.rows.lines if batches is not None else made.function
    body = from_python(components, names, call, batched=batches is not None)
    if ops is not None:
        read = free_name(f"read_{made.name.removeprefix('one_of_')}", *taken)
        one_element = (made.function[0].replace(f"def {made.name}(", f"def {read}(", 1), *_returning(ops))
        body = [
            *_handed_over(ops, f"{read}({items}[{index}])", index, [index]),
            *ops.ops,
            *_results(ops, components, names),
        ]
    lines = [
        *made.before,
        f"{items} = {listed}",
        *one_element,
        f"def {element}({index}):",
        *(f"    {line}" for line in body),
        in_place({place.file: text} if place is not None else {}, stages, new, source=True),
    ]
    code = "\n".join(lines)
    return code if place is None or not unknown_names(code, text, place.line) else None


def _returning(ops: InTensors) -> list[str]:
    """The statements that stay Python, with what they give to the ops."""
    return [*(f"    {line}" for line in ops.read), f"    return {', '.join(ops.given)}"]


def _handed_over(ops: InTensors, call: str, parameters: str, inputs: Sequence[str]) -> list[str]:
    """The call of what stays Python, whose arrays come in the types of the ops."""
    given = ", ".join(inputs)
    if len(ops.given) == 1:
        made = f"lambda {parameters}: np.asarray({call}, {ops.types[0]!r})"
        return [f"{ops.given[0]} = tf.numpy_function({made}, [{given}], tf.{ops.types[0]})"]
    made = f"lambda {parameters}: list(map(np.asarray, {call}, {[*ops.types]}))"
    types = ", ".join(f"tf.{one}" for one in ops.types)
    return [f"{', '.join(ops.given)} = tf.numpy_function({made}, [{given}], [{types}])"]


def _results(ops: InTensors, components: Sequence[ComponentView], names: Sequence[str]) -> list[str]:
    parts = [shaped(value, one.shape) for value, one in zip(ops.results, components, strict=True)]
    if names:
        return ["return {" + ", ".join(f"{name!r}: {part}" for name, part in zip(names, parts, strict=True)) + "}"]
    return [f"return {', '.join(parts)}"]


def shaped(value: str, shape: Sequence[int | None] | None) -> str:
    """A value with the shape that it is known to have."""
    return value if shape is None else f"tf.ensure_shape({value}, {[*shape]})"


def in_ops(
    found: CalledInPython, parameters: str, name: str, ops: InTensors, components: Sequence[ComponentView]
) -> list[str]:
    """A map's function that calls Python for what only Python can do, and ops for the rest.

    Args:
        parameters: As the Python function names them.
        name: Of what the map is given.
        components: Of one element of the map.
    """
    read = f"read_in_{found.function}"
    shapes = dict(zip(found.results, components, strict=True))
    values = [
        shaped(value, shapes[output].shape if output in shapes else None)
        for output, value in zip(found.outputs, ops.results, strict=True)
    ]
    made = [f"{', '.join(found.outputs)} = {', '.join(values)}"]
    body = [*_handed_over(ops, f"{read}({parameters})", parameters, found.inputs), *ops.ops, *made]
    return [
        f"def {read}({parameters}):",
        *_returning(ops),
        f"def {name}({', '.join(found.parameters)}):",
        *(f"    {line}" for line in body),
        f"    return {found.returned}",
    ]


def on_batches(
    found: CalledInPython,
    function: str,
    components: Sequence[ComponentView],
    name: str,
    wrapper: str = "tf.numpy_function",
) -> list[str]:
    """A map's function as one of a batch, whose Python is called once for all of it.

    Args:
        function: That gets the batch, as Python.
        components: Of one element of the map.
        name: Of what is made.
    """
    shapes = dict(zip(found.results, components, strict=True))
    lines = [
        f"def {name}({', '.join(found.parameters)}):",
        f"    {', '.join(found.outputs)} = {wrapper}({function}, [{', '.join(found.inputs)}], {found.types})",
    ]
    for output in found.outputs:
        shape = shapes[output].shape if output in shapes else None
        lines += [f"    {output} = tf.ensure_shape({output}, {[None, *shape]})"] if shape is not None else []
    return [*lines, f"    return {found.returned}"]
