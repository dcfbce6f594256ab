"""Pipelines inside of pipelines: as arguments of a source or stage, and as functions from an element to a dataset."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import ModelWrapValidatorHandler, model_validator

from pipeprof.pipelines.ops.base import AnyStage, Inner, NestedSource, sources
from pipeprof.pipelines.ops.calls.element import PYTHON
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Closed, argument, has_outer_element
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch
from pipeprof.pipelines.ops.values.python_ref import Python
from pipeprof.pipelines.ops.values.values import ElementField

if TYPE_CHECKING:
    from typing_extensions import Self

SOURCE = "Source of the pipeline for each element; the element replaces its first argument unless that is given."
STAGES = "Stages of the pipeline for each element, in order; without `source` their input is the element itself."
ON = "Component of the element that is the input dataset, if there is no `source`."


class Pipeline(Closed):
    """A source and stages; without a source it begins with the dataset that the element around it holds."""

    source: NestedSource | None = argument("Source of the elements.", default=None)
    stages: list[AnyStage] | None = argument("Stages, in order.", default=None)
    on: ElementField | None = argument(ON, default=None)

    @model_validator(mode="wrap")
    @classmethod
    def _no_bare_source(cls, value: Any, handler: "ModelWrapValidatorHandler[Self]") -> "Self":
        if isinstance(value, dict) and _is_source(value) and not value.keys() & cls.model_fields.keys():
            name = next(iter(value))
            message = f"source {name} without a pipeline: write `source: {{{name}: …}}`"
            raise failure((name,), error(message, "pipeline", got=name), value)
        return handler(value)

    @model_validator(mode="after")
    def _begins(self) -> "Pipeline":
        if self.source is not None:
            check_start(self)
        elif not (has_outer_element() or self.opens_element):
            raise failure((), error("missing `source`: the outer element holds no dataset", "missing_source"))
        return self


class PipelineFunction(Pipeline):
    """A function from an element to a dataset, under TensorFlow's own name of the argument."""

    ways: ClassVar[tuple[str | tuple[str, ...], ...]] = (("source", "stages", "on"), "python")
    opens_element: ClassVar[bool] = True

    source: NestedSource | None = argument(SOURCE, default=None)
    stages: list[AnyStage] | None = argument(STAGES, default=None)
    python: Python | None = argument(PYTHON, default=None)


def check_start(pipeline: Any) -> None:
    """A pipeline has a source or begins with a component of the element, not both."""
    if pipeline.source is not None and pipeline.on is not None:
        message = f"both `on: {pipeline.on}` and `source`: expected only one of them"
        raise failure(("on",), error(message, "conflict"), pipeline.on)


@dataclass(frozen=True)
class Pipelines:
    """Dicts and tuples of pipelines, or a single one."""

    value: Any

    def inner(self, argument: str) -> Iterator[Inner]:
        """Every pipeline, numbered in the order they were written."""
        for index, (place, pipeline) in enumerate(_leaves(self.value, ())):
            yield Inner((argument, index), (argument, *place), pipeline, per_element=False)

    def build(self, make: Any) -> Any:
        """Map the structure: ``make`` receives the number of each pipeline and the pipeline."""
        return _mapped(self.value, make, iter(range(len(list(_leaves(self.value, ()))))))


def _leaves(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Pipeline]]:
    if isinstance(value, Pipeline):
        yield place, value
        return
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        yield from _leaves(inner, (*place, key))


def _mapped(value: Any, make: Any, numbers: Iterator[int]) -> Any:
    if isinstance(value, Pipeline):
        return make(next(numbers), value)
    if isinstance(value, dict):
        return {key: _mapped(inner, make, numbers) for key, inner in value.items()}
    return tuple(_mapped(inner, make, numbers) for inner in value)


_FORM = "a pipeline such as `{source: {range: {stop: 3}}}`"


def _parse(value: Any, place: tuple[str | int, ...], problems: Problems, *, structure: bool) -> Any:
    if isinstance(value, Pipeline):
        return value
    if isinstance(value, dict) and _is_pipeline(value, structure=structure):
        return problems.read(Pipeline.model_validate, value, *place)
    if structure and isinstance(value, dict):
        return {key: _parse(inner, (*place, key), problems, structure=True) for key, inner in value.items()}
    if structure and isinstance(value, list | tuple) and value:
        return tuple(_parse(inner, (*place, index), problems, structure=True) for index, inner in enumerate(value))
    expected = f"{_FORM}, or a mapping or list of them" if structure else _FORM
    problems.add(place, mismatch(value, "pipeline", expected), value)
    return None


def _is_pipeline(value: dict[Any, Any], *, structure: bool) -> bool:
    return not structure or not value or _is_source(value) or bool(value.keys() & Pipeline.model_fields.keys())


def _is_source(value: dict[Any, Any]) -> bool:
    return len(value) == 1 and next(iter(value)) in sources()


def _parse_structure(value: Any) -> Pipelines:
    if isinstance(value, Pipelines):
        return value
    problems = Problems()
    parsed = _parse(value, (), problems, structure=True)
    problems.raise_if_any()
    return Pipelines(parsed)


def _parse_list(value: Any) -> Pipelines:
    if isinstance(value, Pipelines):
        return value
    if not isinstance(value, list | tuple) or not value:
        raise mismatch(value, "pipelines", f"a list of pipelines, each {_FORM.removeprefix('a pipeline ')}")
    problems = Problems()
    parsed = [_parse(inner, (index,), problems, structure=False) for index, inner in enumerate(value)]
    problems.raise_if_any()
    return Pipelines(tuple(parsed))


def parse_pipeline(value: Any) -> Pipeline:
    """A pipeline that is an argument."""
    if isinstance(value, Pipeline):
        return value
    if not isinstance(value, dict):
        raise mismatch(value, "pipeline", _FORM)
    return Pipeline.model_validate(value)


AnyPipeline = Annotated[Pipeline, Checked(parse_pipeline, {SCHEMA_PLACEHOLDER: "pipeline"})]
PipelineList = Annotated[
    Pipelines, Checked(_parse_list, {"type": "array", "minItems": 1, "items": {SCHEMA_PLACEHOLDER: "pipeline"}})
]
PipelineStructure = Annotated[Pipelines, Checked(_parse_structure, {SCHEMA_PLACEHOLDER: "pipelines"})]
