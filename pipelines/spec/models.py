"""The model of a spec, validated in one pass.

`Spec.model_validate` takes the plain data of a file. Every error carries its place as a path of keys and indices into
that data, and in its context the ``message``, what was ``got`` and the ``candidates`` that may have been meant.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from pipeprof.pipelines.addresses import is_address, join
from pipeprof.pipelines.data.recipes import Recipe, RecipeError, recipe_of
from pipeprof.pipelines.data.recipes import definitions as recipe_definitions
from pipeprof.pipelines.ops.base import AnySource, AnyStage, Source, Stage
from pipeprof.pipelines.ops.checked import Checked
from pipeprof.pipelines.ops.model import SCHEMA_PLACEHOLDER, Document
from pipeprof.pipelines.ops.problems import Problems, error, failure, mismatch, unknown
from pipeprof.pipelines.ops.traits import traits
from pipeprof.pipelines.ops.values.options import Options
from pipeprof.pipelines.ops.values.units import LONGEST_SECONDS
from pipeprof.pipelines.ops.values.values import FilledText, Flag, NotNegative, Positive, Text
from pipeprof.pipelines.spec.budgets import Budgets
from pipeprof.pipelines.steps.step import Step, StepError, parse_step, step_schema

SUPPORTED_VERSIONS = (1,)
# Their models are made ready when a spec has them: few have options, and those of the gate alone budgets.
_TYPES = {"array": "a list", "boolean": "true or false", "integer": "a whole number", "object": "a mapping"}


def _recipe(written: Any) -> Recipe:
    """The recipe of an entry that fits its schema."""
    # Most specs have no data, and the import takes a while.
    from jsonschema import Draft7Validator, validators

    # Keys are text, and a whole number is not written with a decimal point.
    value = json.loads(json.dumps(written))
    integer = Draft7Validator.TYPE_CHECKER.redefine("integer", lambda _, got: type(got) is int)
    schema = {"$ref": "#/definitions/data_entry", "definitions": recipe_definitions()}
    problems = Problems()
    for fault in validators.extend(Draft7Validator, type_checker=integer)(schema).iter_errors(value):
        place, limit = tuple(fault.absolute_path), fault.validator_value
        if fault.validator == "additionalProperties":
            known = list(fault.schema["properties"])
            strange = [key for key in fault.instance if key not in known and not key.startswith("x-")]
            for key in strange:
                problems.add((*place, key), unknown("key" if len(place) % 2 else "kind", key, known))
        elif fault.validator in ("minProperties", "maxProperties"):
            kinds = ", ".join(fault.schema.get("properties", ())) or "features"
            problems.add(place, mismatch(fault.instance, "kinds", f"exactly one of {kinds}"))
        elif fault.validator == "required":
            problems.add(place, error(f"missing key `{limit[0]}` in `{place[-1]}`", "missing_key"))
        else:
            expected = {
                "type": _TYPES.get(limit if isinstance(limit, str) else limit[0], "")
                if fault.validator == "type"
                else "",
                "enum": " or ".join(map(str, limit)) if isinstance(limit, list) else "",
                "anyOf": "a number, or a list of the smallest and the largest one",
                "minimum": f"at least {limit}",
                "maximum": f"at most {limit}",
                "minLength": "text that is not empty",
            }.get(fault.validator, f"a list of {limit}")
            code = {"type": "wrong_type", "enum": "wrong_value"}.get(fault.validator, "out_of_range")
            problems.add(place, mismatch(fault.instance, code, expected, limit if fault.validator == "enum" else ()))
    problems.raise_if_any()
    try:
        return recipe_of(value)
    except RecipeError as wrong:
        raise failure(wrong.place, error(str(wrong), "wrong_value")) from wrong


AnyEntry = Annotated[Recipe, Checked(_recipe), WithJsonSchema({SCHEMA_PLACEHOLDER: "data_entry"})]
AnyOptions = Annotated[Options, Checked(Options.model_validate, {SCHEMA_PLACEHOLDER: Options.__name__})]
AnyBudgets = Annotated[Budgets, Checked(Budgets.model_validate, {SCHEMA_PLACEHOLDER: Budgets.__name__})]


def _version(value: Any) -> int:
    if isinstance(value, bool) or value not in SUPPORTED_VERSIONS:
        listed = ", ".join(map(str, SUPPORTED_VERSIONS))
        raise mismatch(
            value, "version", f"a version that this pipeprof supports: {listed}", map(str, SUPPORTED_VERSIONS)
        )
    return int(value)


def _warmup(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise mismatch(value, "number", "a number of seconds, 0 or more")
    return _check_longest(value)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise mismatch(value, "number", "a number above 0")
    return _check_longest(value)


def _check_longest(seconds: float) -> float:
    if seconds > LONGEST_SECONDS:
        raise mismatch(seconds, "number", f"a number of seconds of at most {LONGEST_SECONDS:,} (1000 days)")
    return float(seconds)


def _stage_reference(value: Any) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise mismatch(value, "stage", "the name, index or address of a stage")
    return value


Version = Annotated[int, Checked(_version), WithJsonSchema({"enum": list(SUPPORTED_VERSIONS)})]


class Measure(Document):
    """Measurement settings."""

    seconds: Annotated[
        float, Checked(_seconds), WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST_SECONDS})
    ] = Field(default=10.0, description="Seconds to measure after the warm-up.")
    steps: Positive | None = Field(default=None, description="Maximum number of steps.")
    warmup_seconds: Annotated[
        float | None,
        Checked(_warmup),
        WithJsonSchema({"type": ["number", "null"], "minimum": 0, "maximum": LONGEST_SECONDS}),
    ] = Field(default=None, description="Seconds of warm-up; default: until the pipeline has settled.")
    seed: NotNegative | None = Field(default=None, description="Seed for TensorFlow's random ops.")
    cold: Flag = Field(default=False, description="Whether to evict the source files from the page cache first.")
    workers: Positive | None = Field(
        default=None, description="Workers of the tf.data service of `service: local`; default: 1."
    )


class Ignore(Document):
    """A finding to ignore, and the reason."""

    rule: FilledText = Field(description="Name of the rule.")
    stage: Annotated[str | int | None, Checked(_stage_reference), WithJsonSchema({"type": ["string", "integer"]})] = (
        Field(default=None, description="Name, index or address of a stage; default: all stages.")
    )
    reason: FilledText = Field(description="Reason for ignoring the finding.")


@dataclass(frozen=True)
class Placed:
    """A source or stage with its address and its place in the spec's data."""

    address: str
    place: tuple[str | int, ...]
    """Keys and indices from the top of the document to the arguments: ``("stages", 1, "map")``."""
    op: Source | Stage

    @property
    def name(self) -> str | None:
        """The user's name of it."""
        return self.op.label


def _step(written: Any) -> Step:
    try:
        return parse_step(written)
    except StepError as problem:
        raise failure(problem.place, error(str(problem), "step"), written) from None


AnyStep = Annotated[Step, Checked(_step, step_schema())]


class Spec(Document):
    """A whole spec."""

    noun: ClassVar[str] = "key"

    version: Version = Field(description="Version of the spec language.")
    name: FilledText | None = Field(default=None, description="Name of the pipeline in reports.")
    description: Text | None = Field(default=None, description="Description of the pipeline.")
    data: dict[str, AnyEntry] = Field(
        default_factory=dict, description="Inputs, generated on the first run; data:NAME/… is the folder of an input."
    )
    source: AnySource = Field(description="Source of the elements: one key, TensorFlow's name, with its arguments.")
    stages: list[AnyStage] = Field(
        default_factory=list, description="Stages, in order: each has one key, TensorFlow's name, with its arguments."
    )
    options: AnyOptions = Field(
        default_factory=Options.model_construct, description="tf.data.Options by TensorFlow's names."
    )
    step: AnyStep = Field(default_factory=Step, description="Training step that consumes the batches.")
    measure: Measure = Field(default_factory=Measure, description="Measurement settings.")
    ignore: list[Ignore] = Field(default_factory=list, description="Findings to ignore.")
    budgets: AnyBudgets = Field(
        default_factory=Budgets.model_construct, description="What `pipeprof gate` judges, by metric."
    )

    @field_validator("data", mode="before")
    @classmethod
    def _plain_names(cls, value: Any, info: ValidationInfo) -> Any:
        del info
        if not isinstance(value, dict):
            return value
        for name in value:
            if (
                not isinstance(name, str)
                or not name
                or not all(part.isalnum() or part in "_-." for part in name)
                or name[0] == "."
            ):
                raise failure((str(name),), mismatch(name, "data_name", "a name of letters, digits, _, - and ."), value)
        return {name: entry for name, entry in value.items() if not name.startswith("x-")}

    @model_validator(mode="after")
    def _names_fit(self) -> "Spec":
        problems = Problems()
        _check_unique_names(self, problems)
        _check_ignored_stages(self, problems)
        _check_budgeted_stages(self, problems)
        _check_last_stages(self, problems)
        problems.raise_if_any()
        return self

    def placed(self) -> list[Placed]:
        """The source and all stages in order, those of pipelines inside after their owner."""
        return list(_placed(self.source, self.stages, "", ()))

    def find(self, address: str) -> Placed | None:
        """The source or stage at an address."""
        return next((placed for placed in self.placed() if placed.address == address), None)


def _placed(source: Source | None, stages: list[Stage], address: str, place: tuple[str | int, ...]) -> Iterator[Placed]:
    steps: list[tuple[tuple[str | int, ...], Source | Stage]] = [(("source",), source)] if source is not None else []
    steps += [(("stages", index), stage) for index, stage in enumerate(stages)]
    for step, op in steps:
        here = join(address, *step)
        at = (*place, *step, op.op)
        yield Placed(here, at, op)
        for inner in op.pipelines():
            pipeline = inner.pipeline
            yield from _placed(pipeline.source, pipeline.stages or [], join(here, *inner.below), (*at, *inner.place))


def _check_last_stages(spec: Spec, problems: Problems) -> None:
    """Require a stage that moves elements to a device to be the last: later stages cannot read device memory."""
    last = join("", "stages", len(spec.stages) - 1)
    for placed in spec.placed():
        if traits(placed.op.op).last and placed.address != last:
            message = f"{placed.op.op} must be the last stage of the whole pipeline"
            problems.add(placed.place, error(message, "not_last"))


def _check_unique_names(spec: Spec, problems: Problems) -> None:
    seen: dict[str, str] = {}
    for placed in spec.placed():
        if placed.name is None:
            continue
        if placed.name in seen:
            first = seen[placed.name]
            message = f"duplicate name {placed.name!r} (first at {first})"
            problems.add((*placed.place, "name"), error(message, "duplicate_name", got=placed.name), placed.name)
        seen.setdefault(placed.name, placed.address)


def names_of_stages(spec: Spec) -> set[str]:
    """Names by which a budget may mean a stage: its own, its address, and its op where no other stage has it."""
    placed = spec.placed()
    ops = [each.op.op for each in placed]
    names = {each.name for each in placed if each.name}
    return names | {each.address for each in placed} | {op for op in ops if ops.count(op) == 1}


def _check_budgeted_stages(spec: Spec, problems: Problems) -> None:
    names = names_of_stages(spec)
    for stage in spec.budgets.stages:
        if stage not in names:
            problems.add(("budgets", "stages", stage), unknown("stage", stage, sorted(names)), stage)


def _check_ignored_stages(spec: Spec, problems: Problems) -> None:
    placed = spec.placed()
    names = {each.name for each in placed if each.name} | {each.address for each in placed}
    for index, ignored in enumerate(spec.ignore):
        stage = ignored.stage
        if stage is None or stage in names or (isinstance(stage, int) and 0 <= stage < len(spec.stages)):
            continue
        hint = (
            ""
            if isinstance(stage, str) and not is_address(stage)
            else f"an index below {len(spec.stages)} or an address"
        )
        problems.add(("ignore", index, "stage"), unknown("stage", stage, sorted(names), hint), stage)
