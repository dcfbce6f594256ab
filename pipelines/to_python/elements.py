"""Elements in rendered functions: the expression of each component.

A `Form` without expressions also describes the elements between stages, so that parameters get meaningful names. An
unknown element is a `Single` with ``known`` false, until its use determines it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.pipelines.inference.tensor.shapes import Nested, Structure
from pipeprof.pipelines.ops.values.values import Field
from pipeprof.pipelines.to_python.code import listed, mapped, slug, text, tupled


@dataclass(frozen=True)
class Single:
    """One tensor (or, with ``known`` false, anything)."""

    noun: str
    expression: str = ""
    known: bool = True
    inside: Form | None = None
    """The elements of a dataset, if it is one."""


@dataclass(frozen=True)
class Keyed:
    """A mapping; ``complete`` when all of its keys are among ``parts``."""

    parts: dict[str, Form]
    complete: bool = True
    expression: str | None = None
    """Expression of the mapping before its ``changed`` keys were set; None for none."""
    changed: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class TupleForm:
    """A tuple; ``rest`` is the variable that holds the components after ``parts`` when their number is not known."""

    parts: tuple[Form, ...]
    rest: str | None = None
    expression: str | None = None
    changed: bool = False
    named: bool = False
    """Whether it is a named tuple, which TensorFlow does not unpack for a function."""


Form = Single | Keyed | TupleForm
UNKNOWN = Single("element", known=False)


def bind(form: Form, expression: str) -> Form:
    """Bind the form to ``expression``."""
    if isinstance(form, Keyed):
        parts = {key: bind(part, f"{expression}[{text(key)}]") for key, part in form.parts.items()}
        return Keyed(parts, form.complete, expression)
    if isinstance(form, TupleForm):
        parts_ = tuple(bind(part, f"{expression}[{index}]") for index, part in enumerate(form.parts))
        return TupleForm(parts_, None, expression)
    return replace(form, expression=expression)


def form_of(structure: Structure, noun: str = "element") -> Form:
    """Return the form of an inferred structure: keys name components, ``features`` and ``label`` those of a pair."""
    if isinstance(structure, Mapping):
        return Keyed({str(key): form_of(inner, slug(str(key))) for key, inner in structure.items()})
    if isinstance(structure, tuple):
        nouns = ("features", "label") if len(structure) == 2 else [f"value_{index}" for index in range(len(structure))]
        return TupleForm(tuple(map(form_of, structure, nouns)))
    inside = form_of(structure.structure) if isinstance(structure, Nested) else None
    return Single(noun, known=structure is not None, inside=inside)


def express(form: Form) -> str:
    """Return the expression for a whole element, composed again where it has changed."""
    if isinstance(form, Single):
        return form.expression
    if form.expression is not None and not form.changed:
        return form.expression
    if isinstance(form, TupleForm):
        return tupled(_items(form))
    if form.expression is None or (form.complete and form.changed == form.parts.keys()):
        return mapped((key, express(part)) for key, part in form.parts.items())
    changes = ((key, express(part)) for key, part in form.parts.items() if key in form.changed)
    return mapped(changes, unpacked=form.expression)


def as_list(form: Form) -> str:
    """Return a tuple as the list that a function takes; any other form unchanged."""
    if isinstance(form, TupleForm) and (form.expression is None or form.changed):
        return listed(_items(form))
    return express(form)


def unpacked(form: Form) -> list[str]:
    """Return the components of a tuple as arguments of a call; any other form as one."""
    if not isinstance(form, TupleForm):
        return [express(form)]
    return _items(form) if form.expression is None or form.changed else [f"*{form.expression}"]


def _items(form: TupleForm) -> list[str]:
    return [*map(express, form.parts), *([f"*{form.rest}"] if form.rest else [])]


def _steps(form: Form, path: Field) -> list[Field]:
    if isinstance(path, int) or (isinstance(form, Keyed) and path in form.parts):
        return [path]
    return [int(part) if part.isdigit() else part for part in path.split(".")]


def pick(form: Form, path: Field) -> Form:
    """Return the component that ``path`` names."""
    for step in _steps(form, path):
        form = _child(form, step)
    return form


def _child(form: Form, step: Field) -> Form:
    if isinstance(form, TupleForm) and isinstance(step, int):
        if step < len(form.parts):
            return form.parts[step]
        return Single("element", f"{form.rest}[{step - len(form.parts)}]" if form.rest else "element", known=False)
    if isinstance(form, Keyed) and str(step) in form.parts:
        return form.parts[str(step)]
    base = express(form)
    key = str(step) if isinstance(form, Keyed) else step
    shown = text(key) if isinstance(key, str) else str(key)
    noun = slug(key) if isinstance(key, str) else "element"
    return Single(noun, f"{base}[{shown}]", known=False)


def put(form: Form, path: Field, value: Form) -> Form:
    """Return the element with ``value`` as the component that ``path`` names."""
    return _put(form, _steps(form, path), value)


def _put(form: Form, steps: Sequence[Field], value: Form) -> Form:
    step, *rest = steps
    inner = _put(_child(form, step), rest, value) if rest else value
    if isinstance(form, Single):
        if isinstance(step, int):
            around = f"(*{form.expression}[:{step}], {express(inner)}, *{form.expression}[{step + 1}:])"
            return Single(form.noun, around, known=False)
        form = Keyed({}, complete=False, expression=form.expression)
    if isinstance(form, Keyed):
        return replace(form, parts={**form.parts, str(step): inner}, changed=form.changed | {str(step)})
    parts = list(form.parts)
    if isinstance(step, int) and step < len(parts):
        parts[step] = inner
    return replace(form, parts=tuple(parts), changed=True)


def variables(form: Form) -> Iterator[str]:
    """Yield the variables that an element's expressions use."""
    if isinstance(form, Single):
        yield from re.findall(r"(?<![\w\"'.])[A-Za-z_]\w*", form.expression)
        return
    if form.expression is not None and (not form.changed or isinstance(form, Keyed)):
        yield from re.findall(r"^[A-Za-z_]\w*", form.expression)
    if isinstance(form, TupleForm) and form.rest:
        yield form.rest
    if form.expression is None or form.changed:
        parts = form.parts.items() if isinstance(form, Keyed) else enumerate(form.parts)
        for key, part in parts:
            # Unchanged components are reached through the mapping itself.
            if form.expression is None or isinstance(form, TupleForm) or key in form.changed:
                yield from variables(part)


def noun_of(form: Form) -> str:
    """Return the noun for a whole element."""
    return form.noun if isinstance(form, Single) else "element"


def plain(form: Form) -> Form:
    """Return the form without the expressions of its components."""
    if isinstance(form, Keyed):
        return Keyed({key: plain(part) for key, part in form.parts.items()}, form.complete)
    if isinstance(form, TupleForm):
        return UNKNOWN if form.rest else TupleForm(tuple(map(plain, form.parts)), named=form.named)
    return replace(form, expression="")
