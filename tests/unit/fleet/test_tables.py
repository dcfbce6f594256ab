"""Rows of profiles: what is read, and why a file is left out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.fleet.fleets import FINDING, profile

from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.store import load_profile
from pipeprof.profiles.fleet.scan import files_of, read_rows
from pipeprof.profiles.fleet.tables import RUNS, RowError, parse, rows_of

PROFILES = Path(__file__).parents[2] / "recorded" / "profiles"


def run_of(document: dict[str, Any]) -> dict[str, object]:
    return next(row for table, row in rows_of("k", parse(json.dumps(document).encode())) if table == "runs")


def test_a_profile_becomes_rows() -> None:
    document = profile(2, findings=[FINDING], labels={"team": "vision"}, job="812")
    rows = list(rows_of("k", parse(json.dumps(document).encode())))
    assert [table for table, _ in rows[:1]] == ["runs"]
    assert {table for table, _ in rows} == {"runs", "stages", "findings"}
    run = rows[0][1]
    assert (run["pipeline"], run["step"]) == ("flowers", "simulate: 12ms, dispatch sync")
    assert (run["labels"], run["job"], run["started"]) == ({"team": "vision"}, "812", "2026-11-01 02:00:00")
    assert run["batches_per_second"] == 41.15
    assert sum(table == "stages" for table, _ in rows) == len(document["stages"])
    assert rows[-1][1] | {"rule": "serial-map-cpu", "speedup": 2.5, "number": 1} == rows[-1][1]


@pytest.mark.parametrize("path", sorted(PROFILES.glob("*.json")), ids=lambda path: path.stem)
def test_what_the_model_says_of_a_profile_is_what_a_row_says(path: Path) -> None:
    whole: Profile = load_profile(path)
    if not whole.complete:
        with pytest.raises(RowError, match="it ended with exit code"):
            parse(path.read_bytes())
        return
    run = run_of(json.loads(path.read_text(encoding="utf-8")))
    assert whole.steps is not None
    assert whole.throughput is not None
    assert run["target"] == whole.target.text
    assert (run["steps"], run["seconds"]) == (whole.steps.count, whole.steps.seconds)
    assert (run["wait_share"], run["peak_bytes"]) == (whole.steps.wait_share, whole.memory.peak_bytes)
    assert run["elements_per_second"] == whole.throughput.elements_per_second
    assert run["tensorflow"] == whole.versions["tensorflow"]


def test_every_column_is_of_a_field_that_some_profile_has() -> None:
    document = profile(labels={"a": "b"}, job="1", target__host={"index": 2, "of": 8}, target__graph_sha256="f")
    document["verdict"] |= {"limit": "cpu", "disturbed": False}
    document["contention"] = {"others_cores": 0.5}
    run = run_of(document)
    assert sorted(name for name, value in run.items() if value is None) == []
    assert set(run) == set(RUNS.types)


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"tool": {"name": "other"}}, "foreign", "another program"),
        ({"host": None}, "foreign", "no profile"),
        ({"complete": False, "exit_code": 130}, "partial", "exit code 130"),
        ({"complete": False, "exit_code": None}, "partial", "did not come to its end"),
        ({"steps": None}, "partial", "no step was measured"),
        ({"schema_version": 2}, "newer", "schema version 2, this pipeprof reads up to 1"),
        ({"schema_version": True}, "broken", "schema_version"),
        ({"stages": [1]}, "broken", "stages is no list of objects"),
        ({"steps": {"count": 2.5}}, "broken", "steps.count is no whole number"),
        ({"throughput": {"batches_per_second": "fast"}}, "broken", "throughput.batches_per_second is no number"),
        ({"throughput": {"batches_per_second": -1}}, "broken", "below 0"),
        ({"memory": {"peak_bytes": 10**30}}, "broken", "memory.peak_bytes is no whole number"),
        ({"started": "yesterday"}, "broken", "started is no time"),
        ({"labels": {"a": 1}}, "broken", "labels are no texts"),
        ({"verdict": [1]}, "broken", "verdict is no object"),
    ],
)
def test_what_is_no_whole_profile_is_left_out(change: dict[str, Any], kind: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason) as caught:
        list(rows_of("k", parse(json.dumps({**profile(), **change}).encode())))
    assert caught.value.kind == kind


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b'{"a": NaN}', b"\xff\xfe", b"[" * 100_000, b'{"tool": 1e999}'])
def test_bytes_that_are_no_profile_raise_nothing_else(raw: bytes) -> None:
    with pytest.raises(RowError):
        list(rows_of("k", parse(raw)))


def test_a_number_beyond_all_floats_is_broken() -> None:
    raw = json.dumps(profile()).replace("41.15", "1e999").encode()
    with pytest.raises(RowError, match="batches_per_second is no number"):
        list(rows_of("k", parse(raw)))


def test_profiles_of_other_versions_are_rows() -> None:
    older = profile()
    for name in ("commit", "labels", "job", "contention", "findings"):
        older.pop(name, None)
    older["target"].pop("host", None)
    assert run_of(older)["labels"] == {}
    newer = profile(brand_new={"x": 1})
    newer["steps"]["new_ms"] = 3.0
    assert run_of(newer)["steps"] == 412


def test_devices_are_those_of_the_steps_else_of_the_host() -> None:
    document = profile()
    document["host"]["gpus"] = ["A", "B"]
    assert run_of(document)["devices"] == 2
    document["device"]["gpus"] = [{"name": "GPU:0"}]
    assert run_of(document)["devices"] == 1


def test_files_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("a/one.json", "a/b/two.json", "a/b/other.txt", "a/.venv/x.json", "three.json"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    (tmp_path / "a" / "loop").symlink_to(tmp_path / "a")
    found = files_of([str(tmp_path / "a"), str(tmp_path / "*.json"), str(tmp_path / "three.json")])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/one.json", "a/b/two.json", "three.json"]


def test_a_device_and_a_file_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    with pytest.raises(RowError, match="device"):
        read_rows(Path("/dev/zero"), set())
    with pytest.raises(RowError, match="cannot be read"):
        read_rows(tmp_path / "gone.json", set())
