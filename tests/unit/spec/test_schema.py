"""The JSON schema that editors use: good specs fit, bad ones do not as far as it can see, and all is described."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from unit.spec.bad_specs import BAD_SPECS

from pipeprof.pipelines.spec.schema.schema import spec_schema
from pipeprof.pipelines.spec.yaml_text import YamlText, read

ROOT = Path(__file__).resolve().parents[3]
GOOD_FOLDERS = ("examples", "benchmarks/silence", "tests/golden/init")
GOOD = [path for folder in GOOD_FOLDERS for path in sorted((ROOT / folder).rglob("*.yaml"))]

# Bad specs that fit the schema, by what a schema cannot see. What is no YAML is told from the text itself.
UNSEEN = {
    "files": {
        "044-smart-quotes", "200-array-file-missing", "202-data-glob-matches-nothing", "203-data-name-unknown",
        "207-file-missing", "208-glob-matches-nothing", "233-file-near-name", "234-glob-near-name",
        "235-list-files-a-folder", "236-absolute-elsewhere", "237-data-name-without-colon", "238-data-suffix",
        "250-python-function-missing", "410-python-file-missing", "435-python-function-near", "454-table-file-missing",
    },
    "the command line": {
        "600-set-wrong-path", "601-set-wrong-value", "615-set-near-path", "617-set-index-too-large",
        "618-set-without-value", "619-set-text-for-number", "620-set-broken-yaml",
    },
    "names that refer to each other": {"101-ignore-unknown-stage", "309-duplicate-stage-name", "374-same-name"},
    "arguments that depend on each other": {
        "244-sample-weights-too-few", "249-generator-without-signature", "347-shard-index", "360-bucket-sizes",
        "361-bucket-boundaries-unsorted", "362-group-by-window-both-sizes", "442-list-without-to", "455-table-lengths",
    },
    "whole numbers beyond 64 bits": {"221-range-huge", "328-batch-size-huge"},
    "numbers that JSON writes alike": {"661-whole-number-with-exponent"},
    "elements": {
        "227-slices-lengths-differ", "228-slices-of-a-scalar", "229-slices-ragged-rows", "246-sample-elements-differ",
        "248-choose-of-floats", "351-flat-map-without-window", "356-padded-batch-structure", "357-padded-batch-key",
        "358-padded-batch-value-type", "363-concatenate-other-type", "366-rebatch-drop", "367-unbatch-scalars",
        "368-filter-of-numbers", "428-resize-size", "429-resize-text", "443-on-near-name", "444-on-forgotten",
        "445-on-index-too-large", "446-on-key-of-a-tuple", "447-to-without-a-field", "448-select-missing",
        "450-cond-branches-differ", "452-reshape-text", "453-normalise-by-integer", "500-batch-before-decode",
        "501-decode-without-read", "502-parse-after-batch", "503-decode-a-missing-feature", "504-decode-twice",
        "505-add-text-and-number", "506-matmul-shapes", "507-reshape-count", "508-crop-too-large",
        "509-images-without-channels", "510-split-a-number", "662-array-by-its-file",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(spec_schema())


def as_json(document: YamlText) -> Any:
    """The data as an editor sees it: keys are texts."""
    return json.loads(json.dumps(document.data))


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_good_specs_fit(validator: jsonschema.Draft7Validator, path: Path) -> None:
    document = read(path.read_bytes())
    assert document.problems == []
    assert [error.message for error in validator.iter_errors(as_json(document))] == []


def test_bad_specs_do_not_fit_unless_it_cannot_be_seen(validator: jsonschema.Draft7Validator) -> None:
    for name, bad in BAD_SPECS.items():
        document = read(bad.spec)
        unseen = [reason for reason, names in UNSEEN.items() if name in names]
        if document.problems:
            assert unseen == [], f"{name}: no YAML, which an editor says without a schema"
        else:
            assert validator.is_valid(as_json(document)) == bool(unseen), name


def test_the_table_names_each_spec_once() -> None:
    listed = [name for names in UNSEEN.values() for name in names]
    assert len(listed) == len(set(listed))
    assert set(listed) <= set(BAD_SPECS)


def keys(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every key that the schema knows, with its schema."""
    if isinstance(value, list):
        for item in value:
            yield from keys(item, place)
    elif isinstance(value, dict):
        for name, part in value.get("properties", {}).items():
            yield f"{place}/{name}", part
        for name, part in value.items():
            if name not in ("not", "if"):
                yield from keys(part, f"{place}/{name}")


def described(part: dict[str, Any], schema: dict[str, Any]) -> str | None:
    if "description" in part or "$ref" not in part:
        return part.get("description")
    return schema["definitions"][part["$ref"].rpartition("/")[2]].get("description")


def test_every_key_has_a_description() -> None:
    schema = spec_schema()
    found = list(keys(schema))
    assert len(found) > 1000
    assert [place for place, part in found if not described(part, schema)] == []
