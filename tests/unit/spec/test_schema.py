"""The JSON schema that editors use: good specs fit, and all is described."""

import json
from pathlib import Path

import jsonschema

from pipeprof.pipelines.spec.operations import sources, stages
from pipeprof.pipelines.spec.schema import spec_schema
from pipeprof.pipelines.spec.yaml_text import read

ROOT = Path(__file__).resolve().parents[3]
GOOD_FOLDERS = ("examples", "benchmarks/silence", "tests/golden/init")
GOOD = [path for folder in GOOD_FOLDERS for path in sorted((ROOT / folder).rglob("*.yaml"))]


def test_good_specs_fit():
    schema = json.loads(json.dumps(spec_schema()))
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    for path in GOOD:
        text = read(path.read_bytes())
        assert text.problems == []
        # Keys are texts to an editor.
        assert [error.message for error in validator.iter_errors(json.loads(json.dumps(text.data)))] == [], path


def test_every_key_and_argument_is_described():
    schema = spec_schema()
    for table, prefix in ((sources(), "source"), (stages(), "stage")):
        for op in table:
            part = schema["definitions"][f"{prefix}.{op}"]
            assert part["description"]
            assert all(one["description"] for one in part["properties"].values()), op
    top = [part for name, part in schema["properties"].items() if name != "step"]
    assert all("description" in part for part in top)
