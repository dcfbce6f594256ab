"""The JSON schema that editors use: good specs fit, and all is described."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from pipeprof.pipelines.spec.operations import kinds, mappings, sources, stages
from pipeprof.pipelines.spec.schema import spec_schema
from pipeprof.pipelines.spec.yaml_text import read

ROOT = Path(__file__).resolve().parents[3]
GOOD_FOLDERS = ("examples", "benchmarks/silence", "tests/golden/init")
GOOD = [path for folder in GOOD_FOLDERS for path in sorted((ROOT / folder).rglob("*.yaml"))]


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = json.loads(json.dumps(spec_schema()))
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_good_specs_fit(validator: jsonschema.Draft7Validator, path: Path) -> None:
    text = read(path.read_bytes())
    assert text.problems == []
    # Keys are texts to an editor.
    assert [error.message for error in validator.iter_errors(json.loads(json.dumps(text.data)))] == []


def test_every_kind_of_the_tables_has_a_definition() -> None:
    definitions = spec_schema()["definitions"]
    rows = [one for table in (sources(), stages()) for row in table.values() for one in row.parameters.values()]
    rows += [one for mapping in mappings().values() for one in mapping.values()]
    assert {row.kind for row in rows if not row.choices} <= set(definitions)
    assert set(kinds()) - set(definitions) <= {"choice", "processing_mode"}


def test_every_key_and_argument_is_described() -> None:
    schema = spec_schema()
    for table, prefix in ((sources(), "source"), (stages(), "stage")):
        for op in table:
            part = schema["definitions"][f"{prefix}.{op}"]
            assert part["description"]
            assert all(one["description"] for one in part["properties"].values()), op
    top = [part for name, part in schema["properties"].items() if name != "step"]
    assert all("description" in part for part in top)
