"""What is wrong with a spec's data, all of it at once: by the schema, and what a schema cannot say."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import jsonschema

from pipeprof.pipelines.addresses import is_address
from pipeprof.pipelines.data.recipes import Recipe, RecipeError, recipe_of
from pipeprof.pipelines.errors import shown
from pipeprof.pipelines.meaning.traits import traits
from pipeprof.pipelines.spec.budgets import BudgetError, parse_budgets
from pipeprof.pipelines.spec.operations import Placed, kinds, placed
from pipeprof.pipelines.spec.paths import missing_files
from pipeprof.pipelines.spec.schema import KIND, spec_schema
from pipeprof.pipelines.spec.set_value import child_key
from pipeprof.pipelines.spec.spec import names_of_stages, without_notes
from pipeprof.pipelines.spec.yaml_text import Address
from pipeprof.pipelines.steps.step import StepError, parse_step
from pipeprof.pipelines.suggest import suggest, suggest_path

_ONE_FILE: Final = (
    "a spec is one file: write what `extends` names into it, share parts with YAML's anchors (&name, *name, <<), and "
    "change values with --set and --env"
)
_NOT_CALLED: Final = (
    "`ops:` cannot call {}: expected a function of its list, or `python: file.py:function` with your own"
)
_MOST_LISTED: Final = 12
_TYPES: Final = {
    "integer": "a whole number", "number": "a number", "boolean": "true or false", "string": "text", "array": "a list",
    "object": "a mapping", "null": "null",
}  # fmt: skip
_LIMITS: Final = {
    "minimum": "at least {}", "maximum": "at most {}", "exclusiveMinimum": "a number above {}",
    "minItems": "a list of at least {}", "maxItems": "a list of at most {}", "minLength": "text that is not empty",
    "minProperties": "a mapping that is not empty", "const": "{}",
}  # fmt: skip
# A suggestion takes a millisecond; a file full of mistakes must not take a minute.
_MOST_GUESSES: Final = 500
_LARGEST: Final = 2**1023
_INT64: Final = 2**63 - 1


@dataclass(frozen=True)
class Fault:
    """A value or a key that is wrong.

    Attributes:
        at_key: whether the key is wrong (or its mapping incomplete) and not the value.
    """

    address: Address
    at_key: bool
    code: str
    message: str
    suggestion: str | None = None


def find_faults(data: Any, base_dir: Path) -> list[Fault]:
    """Everything that is wrong with the data of a spec, of which relative paths refer to a folder."""
    if not isinstance(data, dict):
        message = f"got {describe(data)}, expected a mapping with version, source and stages"
        return [Fault((), False, "wrong-type", message)]
    if "extends" in data:
        return [Fault(("extends",), True, "unknown-key", _ONE_FILE)]
    found: dict[Fault, None] = {}
    # What is wrong with a step, `parse_step` says better than a schema with three forms of it.
    for error in _validator().iter_errors(_as_json({name: part for name, part in data.items() if name != "step"})):
        for fault in _faults(error, data, guess=len(found) < _MOST_GUESSES):
            found.setdefault(fault)
    misspelt = {fault.address[:-1] for fault in found if fault.at_key and fault.code.startswith("unknown-")}
    several = [fault.address for fault in found if fault.code.startswith("several-")]
    # What a mapping with an unknown key lacks is probably that key; of several keys, one is that of what is inside.
    faults = [
        fault
        for fault in found
        if (fault.code != "missing-key" or fault.address not in misspelt)
        and not any(_is_below(fault.address, address) and fault.address != address for address in several)
    ]
    broken = {fault.address[1] for fault in faults if fault.address[:1] == ("data",) and len(fault.address) > 1}
    wrong = [fault.address for fault in faults if fault.code != "missing-key"]
    own = [
        one
        for one in _own_checks(data, base_dir, broken)
        if not any(_is_below(one.address, at) or _is_below(at, one.address) for at in wrong)
    ]
    return faults + own


def _is_below(address: Address, other: Address) -> bool:
    return address[: len(other)] == other


def describe(value: object) -> str:
    """A value, and its kind where that may be what is wrong.

    Example:
        >>> describe("three"), describe(True), describe([1, 2])
        ("'three' (a string)", 'true (a boolean)', 'a list of 2')
    """
    kind = " (a boolean)" if isinstance(value, bool) else " (a string)" if isinstance(value, str) else ""
    return shown(value) + kind


def _validator() -> jsonschema.Draft7Validator:
    def is_number(_: object, value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST

    def is_integer(_: object, value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool)

    # To JSON 3.0 is a whole number, to TensorFlow it is not; and no argument is infinite.
    types = jsonschema.Draft7Validator.TYPE_CHECKER.redefine_many({"number": is_number, "integer": is_integer})
    strict = jsonschema.validators.extend(jsonschema.Draft7Validator, type_checker=types)
    return strict(spec_schema())


def _as_json(value: Any) -> Any:
    """The data with texts as keys."""
    if isinstance(value, dict):
        return {str(key): _as_json(inner) for key, inner in value.items()}
    return [_as_json(inner) for inner in value] if isinstance(value, list) else value


def _faults(error: jsonschema.ValidationError, data: Any, *, guess: bool) -> Iterator[Fault]:
    for one in _chosen(error):
        for fault in _of_error(one, tuple(one.absolute_path), guess=guess):
            yield replace(fault, address=_with_own_keys(fault.address, data))


def _with_own_keys(address: Address, data: Any) -> Address:
    """An address of the data as JSON in the data itself, where keys may be numbers; as far as that goes."""
    found: Address = ()
    for part in address:
        key = child_key(data, part)
        if key is None:
            break
        found, data = (*found, key), data[key]
    return found


def _chosen(error: jsonschema.ValidationError) -> list[jsonschema.ValidationError]:
    """The errors of the branch of a union that was meant: one whose form fits, with the deepest mistake."""
    branches: dict[Any, list[jsonschema.ValidationError]] = {}
    for inner in error.context or ():
        branches.setdefault(inner.relative_schema_path[0], []).append(inner)
    fitting = [branch for branch in branches.values() if all(inner.relative_path for inner in branch)]
    if not fitting:
        return [error]
    best = max(fitting, key=lambda branch: max(len(inner.relative_path) for inner in branch))
    return [chosen for inner in best for chosen in _chosen(inner)]


def _of_error(error: jsonschema.ValidationError, address: Address, *, guess: bool) -> Iterator[Fault]:
    schema, value, rule = error.schema, error.instance, error.validator
    noun = schema.get("$comment", "key")
    if rule == "additionalProperties" and schema[rule] is False:
        known = list(schema.get("properties", ()))
        for name in value:
            if name not in known and not (name.startswith("x-") and "patternProperties" in schema):
                meant = suggest(name, known) if guess else None
                message = f"unknown {noun} `{name}`: expected {_listed(known)}"
                if noun == "function":
                    message = _NOT_CALLED.format(name)
                yield Fault((*address, name), True, f"unknown-{noun}", message, meant)
    elif "propertyNames" in error.relative_schema_path:
        yield Fault((*address, value), True, "wrong-name", f"got {describe(value)}, expected {_expected(error)}")
    elif rule == "required":
        for name in error.validator_value:
            if name not in value:
                owner = (
                    f" in `{'.'.join(map(str, address))}`"
                    if address
                    else ": add `version: 1`"
                    if name == "version"
                    else ""
                )
                yield Fault(address, True, "missing-key", f"missing key `{name}`{owner}")
    elif rule in ("minProperties", "maxProperties") and schema.get("additionalProperties") is False:
        keys = f"got the keys {', '.join(map(str, value))}" if value else "got an empty mapping"
        message = f"{keys}, expected one {noun}, with its arguments in a mapping below it"
        yield Fault(address, False, f"several-{noun}s" if value else "missing-key", message)
    elif rule in ("oneOf", "anyOf") and "required" in str(schema[rule]):
        yield from _of_ways(error, address)
    elif rule == "enum" and noun == "function":
        known = spec_schema()["definitions"]["call"]["else"]["properties"]
        needs = value in known
        suggestion = suggest(value, known) if guess and not needs else None
        message = f"`{value}` has no arguments: expected `{value}: {{…}}`" if needs else _NOT_CALLED.format(value)
        yield Fault(address, False, "missing-key" if needs else "unknown-function", message, suggestion)
    else:
        words = [str(word) for word in error.validator_value] if rule == "enum" else []
        suggestion = suggest(value, words) if guess and isinstance(value, str) else None
        # A key whose whole block is commented out.
        can_go = value is None and len(address) == 1 and address[0] not in spec_schema()["required"]
        hint = "; remove the key if nothing stands below it" if can_go else ""
        message = f"got {describe(value)}, expected {_expected(error)}{hint}"
        yield Fault(address, False, "wrong-value", message, suggestion)


def _of_ways(error: jsonschema.ValidationError, address: Address) -> Iterator[Fault]:
    """A mapping that needs one of a few keys, and has none or several."""
    schema, value = error.schema, error.instance
    ways = re.findall(r"'required': \['(\w+)'\]", str(schema[error.validator]))
    given = [name for name in value if name in ways] if isinstance(value, dict) else []
    if given and error.validator == "oneOf":
        message = f"{' and '.join(f'`{name}`' for name in given)}: expected {schema['description']}"
        yield Fault((*address, given[-1]), True, "conflict", message)
    elif isinstance(value, dict):
        yield Fault(address, True, "missing-key", f"missing key: expected {schema['description']}")


def _expected(error: jsonschema.ValidationError) -> str:
    """What the schema wants, in its own words where it has some."""
    schema, rule, wanted = error.schema, error.validator, error.validator_value
    about = str(schema.get("description", ""))
    about = about if about.endswith(" .") else about.rstrip(".")
    if rule in ("minimum", "maximum") and abs(wanted) >= _INT64:
        return f"a whole number of 64 bits ({_LIMITS[str(rule)].format(wanted)})"
    if rule == "anyOf" and schema.get("$comment") != KIND:
        # "Maximum number of steps." says what a value is for, and not which there are.
        named = [kinds()[name] for one in wanted if (name := str(one.get("$ref")).rpartition("/")[2]) in kinds()]
        about = named[0].rstrip(".") if named else about
    if about and (schema.get("$comment") == KIND or rule not in ("enum", "type", *_LIMITS)):
        return about[:1].lower() + about[1:] if about[1:2].islower() or about[1:2] == " " else about
    if rule == "enum":
        return _listed([str(word) if word is not None else "null" for word in wanted])
    if rule == "type":
        return " or ".join(_TYPES[name] for name in ([wanted] if isinstance(wanted, str) else wanted))
    return _LIMITS.get(str(rule), "another value").format(wanted)


def _listed(names: Iterable[str]) -> str:
    listed = [name or '""' for name in names]
    if len(listed) > _MOST_LISTED:
        return f"one of {len(listed)} names"
    return listed[0] if len(listed) == 1 else f"one of {', '.join(listed)}"


def _own_checks(data: Mapping[str, Any], base_dir: Path, broken: Collection[str | int]) -> Iterator[Fault]:
    """What a schema cannot say; of data in which the schema may have found other faults.

    Args:
        broken: Inputs with faults.
    """
    entries, recipes = data.get("data"), dict[str, Recipe | None]()
    for name, entry in without_notes(entries).items() if isinstance(entries, dict) else ():
        recipes[str(name)] = None
        if name in broken:
            continue
        try:
            recipes[str(name)] = recipe_of(entry)
        except RecipeError as problem:
            yield Fault(("data", name, *problem.place), False, "wrong-value", str(problem))
    try:
        parse_step(data.get("step", "none"))
    except StepError as problem:
        yield Fault(("step", *problem.place), False, "step", str(problem))
    budgets = data.get("budgets")
    try:
        parse_budgets(budgets if isinstance(budgets, dict) else {})
    except BudgetError as problem:
        yield Fault(("budgets", *problem.place), False, "budget", str(problem))
    yield from _check_stages(data, list(placed(data)))
    for missing in missing_files(data, recipes, base_dir):
        meant = suggest_path(missing.got, missing.candidates)
        yield Fault(missing.address, False, "missing-file", missing.message, meant)


def _check_stages(data: Mapping[str, Any], stages: list[Placed]) -> Iterator[Fault]:
    """Names that are used twice, references to stages, and what must come last."""
    first: dict[str, str] = {}
    written = data.get("stages")
    count = len(written) if isinstance(written, list) else 0
    for stage in stages:
        if stage.name is not None and stage.name in first:
            message = f"duplicate name {stage.name!r} (first at {first[stage.name]})"
            yield Fault((*stage.place, "name"), False, "duplicate-name", message)
        elif stage.name is not None:
            first[stage.name] = stage.address
        # Later stages cannot read the memory of a device.
        if traits(stage.op).last and stage.address != f"stages.{count - 1}":
            yield Fault(stage.place, False, "not-last", f"{stage.op} must be the last stage of the whole pipeline")
        listed = stage.arguments.get("bucket_boundaries")
        boundaries = [one for one in listed if isinstance(one, int)] if isinstance(listed, list) else []
        # TensorFlow takes any, and never fills the buckets between two that descend.
        if any(one >= other for one, other in itertools.pairwise(boundaries)):
            message = f"got {boundaries!s:.60}, expected ascending boundaries"
            yield Fault((*stage.place, "bucket_boundaries"), False, "wrong-value", message)
    known = names_of_stages(stages)
    budgets = data.get("budgets")
    named = budgets.get("stages") if isinstance(budgets, dict) else None
    for name in named if isinstance(named, dict) else ():
        if name not in known:
            yield _unknown(("budgets", "stages", name), name, known, at_key=True)
    ignored = data.get("ignore")
    for index, item in enumerate(ignored if isinstance(ignored, list) else ()):
        name = item.get("stage") if isinstance(item, dict) else None
        if isinstance(name, str | int) and not (name in known or (isinstance(name, int) and 0 <= name < count)):
            yield _unknown(("ignore", index, "stage"), name, known)


def _unknown(address: Address, name: str | int, known: set[str], *, at_key: bool = False) -> Fault:
    hint = ": expected a name, an index or an address" if isinstance(name, int) or is_address(name) else ""
    return Fault(address, at_key, "unknown-stage", f"unknown stage {name!r}{hint}", suggest(name, sorted(known)))
