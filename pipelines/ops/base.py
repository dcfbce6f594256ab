"""Sources and stages: their base classes, and the registry that finds them.

Every source and stage is a class in a module of `sources` or `stages`. Its fields are TensorFlow's arguments, with
TensorFlow's names and defaults.
"""

# No `from __future__ import annotations`: pydantic evaluates the annotations of a base anew for every subclass.
import functools
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ValidationError

from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.functions.catalog import function
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, argument, has_outer_element
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch, unknown
from pipeprof.pipelines.ops.protocol import Building, InnerPipeline
from pipeprof.pipelines.ops.registry import Registry
from pipeprof.pipelines.ops.values.values import FilledText, OuterElement, is_integer, parse_field


@dataclass(frozen=True)
class Inner:
    """A pipeline that is an argument of a source or stage."""

    below: tuple[str | int, ...]
    """Suffix of its addresses after that of the source or stage: ``("datasets", 0)``; empty for ``interleave``."""
    place: tuple[str | int, ...]
    """Keys and indices from the arguments to the pipeline: ``("datasets", "image")``."""
    pipeline: InnerPipeline
    per_element: bool
    """Whether a function makes it anew for each element."""


class Op(Closed):
    """A source or a stage. ``op`` is TensorFlow's name of it."""

    noun: ClassVar[str] = "argument"
    op: ClassVar[str] = ""
    holder: ClassVar[str] = "tf.data.Dataset"
    """TensorFlow's module or class that has the function."""
    takes_name: ClassVar[bool] = True
    """Whether TensorFlow takes ``name=``, which then carries the stage's address."""
    own_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that are pipeprof's own way to write one of TensorFlow's arguments, or that `build` handles itself."""

    name: FilledText | None = argument("Name of the stage in reports, findings and --set.", default=None)

    @property
    def label(self) -> str | None:
        """The user's name of it."""
        return self.name

    @classmethod
    def called(cls, tf: Any) -> Any:
        """TensorFlow's function or class of this name."""
        return operator.attrgetter(f"{cls.holder}.{cls.op}".removeprefix("tf."))(tf)

    def pipelines(self) -> Iterator[Inner]:
        """The pipelines among its arguments, in the order they were written."""
        yield from ()

    def written(self) -> dict[str, Any]:
        """TensorFlow's arguments that were written in the spec, defaults left out."""
        return {
            key: getattr(self, key)
            for key in type(self).model_fields
            if key in self.model_fields_set and key != "name" and key not in self.own_fields
        }


class Source(Op):
    """Something that makes a dataset from nothing."""

    element_argument: ClassVar[str] = ""
    """The argument that a nested pipeline fills with the outer element when it is left out; empty for none."""

    def build(self, building: Building, address: str) -> Any:
        """The dataset of this source, whose node is named after ``address``."""
        return self.called(building.tf)(**building.arguments(self, address))


class Stage(Op):
    """Something that makes a dataset from a dataset."""

    def apply(self, dataset: Any, building: Building, address: str) -> Any:
        """``dataset`` extended by this stage, whose node is named after ``address``."""
        arguments = building.arguments(self, address)
        if self.holder == Op.holder:
            return getattr(dataset, self.op)(**arguments)
        return dataset.apply(self.called(building.tf)(**arguments))


OpType = TypeVar("OpType", bound=Op)


@functools.cache
def sources() -> Mapping[str, type[Source]]:
    """All sources by TensorFlow's name."""
    return Registry("sources", Source, "op")


@functools.cache
def stages() -> Mapping[str, type[Stage]]:
    """All stages by TensorFlow's name."""
    return Registry("stages", Stage, "op")


def parse_stage(value: Any) -> Stage:
    """A stage from ``{name: {arguments}}``.

    Raises:
        ValidationError: All that is wrong with it, located from the name downwards.
    """
    if isinstance(value, Stage):
        return value
    known = stages()
    name, arguments = _single(value, "stage", known, "batch: {batch_size: 32}")
    if name not in known:
        hint = "a stage (sources belong under `source:`)" if name in sources() else ""
        if isinstance(name, str) and function(name) is not None:
            hint = f"a stage (functions are called in one: `map: {{ops: [{name}: …]}}`)"
        raise failure((str(name),), unknown("stage", name, known, hint), value)
    return _validated(known[name], name, arguments)


def parse_source(value: Any) -> Source:
    """A source from ``{name: {arguments}}``.

    Made for an element, its first argument may be left out or be ``{on: field}``.
    """
    if isinstance(value, Source):
        return value
    known = sources()
    name, arguments = _single(value, "source", known, "TFRecordDataset: {filenames: a-*.tfrecord}")
    if name not in known:
        hint = "a source (stages belong under `stages:`)" if name in stages() else ""
        raise failure((str(name),), unknown("source", name, known, hint), value)
    if has_outer_element() and known[name].element_argument:
        arguments = _with_outer_element(known[name], name, arguments)
    return _validated(known[name], name, arguments)


def _with_outer_element(kind: type[Source], name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    first = kind.element_argument
    given = arguments.get(first)
    if first not in arguments:
        return {first: OuterElement(), **arguments}
    if isinstance(given, dict) and list(given) == ["on"]:
        try:
            field = parse_field(given["on"])
        except ValueError:
            raise failure(
                (name, first, "on"), mismatch(given["on"], "field", "a key or an index of the outer element")
            ) from None
        return {**arguments, first: OuterElement(field)}
    return arguments


def _single(value: Any, what: str, known: Mapping[str, type[Op]], example: str) -> tuple[str, dict[str, Any]]:
    form = f"a mapping with exactly one key such as `{example}`"
    if isinstance(value, str) and value in known:
        raise error(f"`{value}` without a colon: expected a mapping, as `{value}: {{}}`", f"{what}_form", got=value)
    if what == "stage" and isinstance(value, str) and function(value) is not None:
        raise error(f"{value} is a function: call it in a stage, as `map: {{ops: [{value}]}}`", "stage_form", got=value)
    if not isinstance(value, dict) or not value:
        raise mismatch(value, f"{what}_form", form)
    if len(value) != 1:
        keys = ", ".join(map(str, value))
        message = f"{len(value)} keys ({keys}): expected {form}; indent arguments below the name"
        raise error(message, f"{what}_form", got=keys)
    name, arguments = next(iter(value.items()))
    if arguments is None:
        return name, {}
    if not isinstance(arguments, dict) and name in known:
        raise failure(
            (name,), mismatch(arguments, "arguments", f"a mapping of arguments{_by_name(known[name], arguments)}")
        )
    return name, arguments


def _by_name(kind: type[Op], value: Any) -> str:
    """Show how the first argument is written by name."""
    names = [name for name in kind.model_fields if name != "name"]
    required = [name for name in names if kind.model_fields[name].is_required()]
    first = next(iter([*required, *names]), None)
    written = str(value) if is_integer(value) else "…"
    return f" such as `{{{first}: {written}}}`" if first is not None else ""


def _validated(kind: type[OpType], name: str, arguments: dict[str, Any]) -> OpType:
    try:
        return kind.model_validate(arguments)
    except ValidationError as problems:
        found = Problems()
        found.extend(problems, name)
        found.raise_if_any()
        raise


AnyStage = Annotated[Stage, Checked(parse_stage, {SCHEMA_PLACEHOLDER: "stage"})]
AnySource = Annotated[Source, Checked(parse_source, {SCHEMA_PLACEHOLDER: "source"})]
NestedSource = Annotated[Source, Checked(parse_source, {SCHEMA_PLACEHOLDER: "nested_source"})]
