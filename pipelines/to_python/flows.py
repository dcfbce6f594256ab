"""Forms of the elements after sources and stages, for readable names."""

from __future__ import annotations

import re
from typing import Any

from pipeprof.pipelines.ops.base import Op
from pipeprof.pipelines.ops.nested import Pipelines
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.arrays import CsvArray
from pipeprof.pipelines.ops.values.structures import ARRAYS, Structure
from pipeprof.pipelines.ops.values.values import OuterElement
from pipeprof.pipelines.to_python.arrays import array_noun
from pipeprof.pipelines.to_python.elements import (
    UNKNOWN,
    Form,
    Keyed,
    Single,
    TupleForm,
    batched,
    plain,
    unbatched,
    windows,
)
from pipeprof.pipelines.to_python.names import slug


def source_form(source: Op) -> Form:
    """Return the form of a source's elements, for a source without inner pipelines."""
    row = traits(source.op)
    if row.noun is not None and row.loads_batches is None:
        return Single(row.noun)
    if row.in_memory:
        return written_form(getattr(source, "tensors", None))
    if source.op == "from_generator":
        signature = getattr(source, "output_signature", None) or getattr(source, "output_types", None)
        return written_form(signature)
    if source.op == "CsvDataset":
        columns: Any = vars(source)["select_cols"] or vars(source)["record_defaults"]
        return TupleForm(tuple(Single("column") for _ in columns))
    if source.op == "make_csv_dataset":
        table = Keyed({}, complete=False)
        return table if getattr(source, "label_name", None) is None else batched(TupleForm((table, Single("label"))))
    return batched(_labelled_form(source, row.noun)) if row.noun is not None else UNKNOWN


def _labelled_form(source: Any, noun: str) -> Form:
    first = Single(noun)
    labelled = source.labels is not None and source.label_mode is not None
    return TupleForm((first, Single("label"))) if labelled else first


def written_form(written: Any) -> Form:
    """Return the form of a structure of arrays, literals or signatures."""
    if isinstance(written, OuterElement) or not isinstance(written, Structure):
        return UNKNOWN
    return _form(written.value, "value")


def _form(value: Any, noun: str) -> Form:
    if isinstance(value, dict):
        return Keyed({str(key): _form(inner, slug(str(key))) for key, inner in value.items()})
    if isinstance(value, tuple):
        nouns = ("features", "label") if len(value) == 2 else tuple(f"value_{index}" for index in range(len(value)))
        return TupleForm(tuple(_form(inner, name) for inner, name in zip(value, nouns, strict=True)))
    if isinstance(value, CsvArray):
        return Keyed({}, complete=False)
    if isinstance(value, ARRAYS):
        return Single(slug(singular(array_noun(value, noun))))
    return Single(noun)


def singular(noun: str) -> str:
    """Return the singular of a noun.

    Example:
        >>> singular("images"), singular("x"), singular("classes")
        ('image', 'x', 'class')
    """
    return re.sub(r"(?<=[a-z]{2})(?<=ss)es$|(?<=[a-rt-z]{2})s$", "", noun)


def stage_form(stage: Op, form: Form) -> Form:
    """Return the elements of a stage without functions and inner pipelines; unknown where not computable."""
    row, given = traits(stage.op), plain(form)
    if row.adds is not None:
        return TupleForm((Single(row.adds), given))
    if row.windows:
        return windows(given)
    if row.unbatches:
        return given if row.batches else unbatched(given)
    if row.batches:
        return batched(given)
    return given if row.same_components or stage.op == "pad_to_cardinality" else UNKNOWN


def combined_form(op: str, forms: list[Form], datasets: Pipelines) -> Form:
    """Return the form of the elements of a source of several pipelines."""
    if op != "zip":
        return forms[0]
    numbered = iter(forms)

    def visit(value: Any) -> Form:
        if isinstance(value, dict):
            return Keyed({str(key): _named_form(visit(inner), slug(str(key))) for key, inner in value.items()})
        if isinstance(value, tuple):
            return TupleForm(tuple(visit(inner) for inner in value))
        return next(numbered)

    return visit(datasets.value)


def _named_form(form: Form, noun: str) -> Form:
    return Single(noun, known=form.known, many=form.many, inside=form.inside) if isinstance(form, Single) else form
