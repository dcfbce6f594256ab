"""Profiles read back: as strict as their schema, tolerant of fields that a newer version adds."""

import json
from pathlib import Path

import jsonschema
import pytest

from pipeprof.cli.commands.schema import schema_of
from pipeprof.pipelines.errors import ProfileError
from pipeprof.profiles.document.store import load_profile

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles" / "input-bound.json"
VALIDATOR = jsonschema.Draft202012Validator(schema_of("profile"))


def changed(tmp_path, place, value):
    """The recorded profile with one field set, or left out if the value is `...`."""
    document = json.loads(RECORDED.read_text())
    *parents, name = place
    inner = document
    for part in parents:
        inner = inner[part]
    if value is ...:
        del inner[name]
    else:
        inner[name] = value
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(document))
    return path, document


@pytest.mark.parametrize(
    ("place", "value"),
    [
        *((("steps", "count"), value) for value in ("5", True, 5.5, -1)),
        *((("steps", "seconds"), value) for value in ("1", None)),
        *((("complete",), value) for value in (1, "true")),
        *((("schema_version",), value) for value in ("1", True, 0)),
        *((("stages", 0, "depth"), value) for value in (10**30, -1)),
        *(((*place, name), ...) for *place, name in (("steps", "interval_ms", "mean"), ("host", "cores"))),
        (("steps", "dispatch"), 0),
        (("target", "kind"), "file"),
        (("command",), "pipeprof"),
        (("warnings",), {}),
        (("stages", 0, "id"), 5),
        (("series", "phase"), ["unknown"]),
        (("memory", "peak_bytes"), -1),
    ],
)
def test_what_the_schema_forbids_is_refused(place, value, tmp_path):
    path, document = changed(tmp_path, place, value)
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(ProfileError, match="is not a valid profile") as caught:
        load_profile(path)
    assert str(place[0]) in str(caught.value)


@pytest.mark.parametrize(
    "measured",
    [{"speedup": "fast"}, {"speedup": 1.2, "low": [1]}, {"speedup": 1.2, "pairs": [[1.0, 2.0]]}, {"data": 3}],
)
def test_a_measured_effect_of_other_types_is_refused(measured, tmp_path):
    finding = {"rule": "a", "title": "A", "status": "kept", "measured": measured}
    path, document = changed(tmp_path, ("findings",), [finding])
    assert not VALIDATOR.is_valid(document)
    with pytest.raises(ProfileError, match=r"is not a valid profile: findings\.0\.measured: \w+"):
        load_profile(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1E+0309", f"{'9' * 250}.0e99"])
def test_a_number_that_json_does_not_have_is_refused(number, tmp_path):
    path = tmp_path / "profile.json"
    path.write_text(RECORDED.read_text().replace('"seconds": ', f'"seconds": {number}, "seconds": ', 1))
    with pytest.raises(ProfileError, match=r"is not a saved profile: (JSON has no number|the number)"):
        load_profile(path)


@pytest.mark.parametrize("place", [("new",), ("steps", "interval_ms", "new"), ("stages", 0, "location", "new")])
def test_a_field_of_another_version_is_left_out(place, tmp_path):
    path, document = changed(tmp_path, place, {"anything": [1]})
    assert VALIDATOR.is_valid(document)
    assert load_profile(path) == load_profile(RECORDED)


def test_every_recorded_profile_fits_its_schema():
    for path in RECORDED.parent.glob("*.json"):
        assert VALIDATOR.is_valid(json.loads(path.read_text())), path
        assert load_profile(path)
