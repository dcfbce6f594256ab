"""Generators as YAML and Python: signatures, for one element or a batch at a time, and elements made by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pipeprof.pipelines.static.numbered import Numbered
from pipeprof.profiles.advise.edits.snippets import dict_names, free_name, from_python, structure_of
from pipeprof.profiles.view.view import ComponentView, StageView

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


def by_number(made: Numbered, components: Sequence[ComponentView], keys: Sequence[str] | None) -> str | None:
    """A generator's elements, made in parallel calls of a map; None where their structure is not certain.

    Args:
        keys: One for each component: a dict's name, a tuple's index, ``0`` for a tensor.
    """
    names = dict_names(keys, len(components))
    if names is None or any(one.dtype in ("variant", "resource") for one in components):
        return None
    taken = {*made.taken, *names}
    items, element = free_name("items", *taken), free_name("element", *taken)
    order = f"{f'.shuffle(len({items}))' if made.shuffled else ''}{'.repeat()' if made.endless else ''}"
    values, types = f"{made.name}({items}[i])", [_NUMPY.get(one.dtype, one.dtype) for one in components]
    if names:
        values = f"[row[key] for row in [{values}] for key in {[*names]}]"
    # A generator's values are cast to its signature, those of numpy_function are not.
    alone = len(types) == 1 and not names
    cast = f"np.asarray({values}, {types[0]!r})" if alone else f"list(map(np.asarray, {values}, {types}))"
    call = f"lambda i: {cast}, [i]"
    lines = [
        *made.before,
        f"{items} = {made.items if made.items.startswith('range(') else f'list({made.items})'}",
        *made.function,
        f"def {element}(i):",
        *(f"    {line}" for line in from_python(components, names, call, batched=False)),
        f"dataset = tf.data.Dataset.range(len({items})){order}  # in the place of from_generator",
        f"dataset = dataset.map({element}, num_parallel_calls=tf.data.AUTOTUNE)",
    ]
    return "\n".join(lines)
