"""The JSON schema of specs agrees with the models."""

from __future__ import annotations

import copy

import jsonschema
import pytest
from unit.ops.spec_samples import BAD, GOOD

from pipeprof.pipelines.ops.base import sources, stages
from pipeprof.pipelines.spec.schema.schema import spec_schema


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = spec_schema()
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("name", GOOD)
def test_the_schema_accepts_good_specs(validator: jsonschema.Draft7Validator, name: str) -> None:
    # JSON has text keys only, as an editor sees them.
    data = copy.deepcopy(GOOD[name])
    if name == "flowers":
        data["step"]["simulate"]["every"] = {"1000": "400ms"}
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize("name", [name for name, (_, _, _, visible) in BAD.items() if visible])
def test_the_schema_refuses_bad_specs(validator: jsonschema.Draft7Validator, name: str) -> None:
    assert not validator.is_valid(BAD[name][0])


def test_every_argument_is_described() -> None:
    for kind in (*sources().values(), *stages().values()):
        assert kind.summary()
        assert [name for name, field in kind.model_fields.items() if not field.description] == []
    schema = spec_schema()
    assert [
        name for name, part in schema["properties"].items() if "description" not in part and "$ref" not in part
    ] == []
