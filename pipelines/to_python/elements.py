"""Elements in rendered functions: the expression of each component.

A `Form` without expressions also describes the elements between stages, so that parameters get meaningful names. An
unknown element is a `Single` with ``known`` false, until its use determines it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from pipeprof.pipelines.ops.values.values import Field
from pipeprof.pipelines.to_python.code import Bracket, Node, Prefixed, flat, listed, mapped, text
from pipeprof.pipelines.to_python.names import plural, slug


@dataclass(frozen=True)
class Single:
    """One tensor (or, with ``known`` false, anything)."""

    noun: str
    expression: str = ""
    known: bool = True
    many: bool = False
    """Whether it is a batch."""
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


def express(form: Form) -> Node:
    """Return the expression for a whole element, composed again where it has changed."""
    if isinstance(form, Single):
        return form.expression
    if form.expression is not None and not form.changed:
        return form.expression
    if isinstance(form, TupleForm):
        rest: tuple[Node, ...] = (Prefixed("*", form.rest),) if form.rest else ()
        return Bracket("(", (*map(express, form.parts), *rest), ")")
    if form.expression is None or (form.complete and form.changed == form.parts.keys()):
        return mapped((key, express(part)) for key, part in form.parts.items())
    changes = mapped((key, express(part)) for key, part in form.parts.items() if key in form.changed)
    return Bracket("{", (Prefixed("**", form.expression), *changes.items), "}")


def as_list(form: Form) -> Node:
    """Return a tuple as the list that a function takes; any other form unchanged."""
    if isinstance(form, TupleForm) and (form.expression is None or form.changed):
        made = express(form)
        return listed(made.items) if isinstance(made, Bracket) else made
    return express(form)


def _steps(form: Form, path: Field) -> list[Field]:
    """Split a field into keys and indices; an existing key with dots is kept whole."""
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
    base = flat(express(form))
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
            around = f"(*{form.expression}[:{step}], {flat(express(inner))}, *{form.expression}[{step + 1}:])"
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
    if isinstance(form, Single):
        return plural(form.noun) if form.many else form.noun
    return "batch" if any(part.many for part in leaves(form)) else "example"


def leaves(form: Form) -> Iterator[Single]:
    """Yield all components."""
    if isinstance(form, Single):
        yield form
    else:
        for part in form.parts.values() if isinstance(form, Keyed) else form.parts:
            yield from leaves(part)


def each(form: Form, change: Callable[[Single], Single]) -> Form:
    """Return the form alone, without expressions, every component changed."""
    if isinstance(form, Keyed):
        return Keyed({key: each(part, change) for key, part in form.parts.items()}, form.complete)
    if isinstance(form, TupleForm):
        return UNKNOWN if form.rest else TupleForm(tuple(each(part, change) for part in form.parts), named=form.named)
    return change(replace(form, expression=""))


def batched(form: Form) -> Form:
    """Return the form of a batch of such elements."""
    return each(form, lambda part: replace(part, many=True))


def unbatched(form: Form) -> Form:
    """Return the form of the elements of such batches."""
    return each(form, lambda part: replace(part, many=False))


def windows(form: Form) -> Form:
    """Return the form of windows: a dataset in place of every component."""
    return each(form, lambda part: Single("window", known=part.known, inside=part))


def plain(form: Form) -> Form:
    """Return the form alone, without the expressions."""
    return each(form, lambda part: part)
