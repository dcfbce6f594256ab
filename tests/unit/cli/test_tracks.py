"""Profiles for other tools: Chrome's trace format by its readers' rules, OpenMetrics by Prometheus' own parser."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser as text_format
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from pipeprof.cli.formats.prom import openmetrics
from pipeprof.cli.formats.trace import trace_events
from pipeprof.profiles.document.measured import Series
from pipeprof.profiles.document.memory import MemorySeries
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.shared import StepCourse
from pipeprof.profiles.document.store import load_profile
from tests.unit.cli.test_main import Pipeprof

RECORDED = Path(__file__).parents[2] / "recorded" / "profiles"
NAMES = sorted(path.stem for path in RECORDED.glob("*.json"))
HOSTILE = 'a"b\\c\nd{e="f"} <g>'


def of(name: str) -> Profile:
    found = load_profile(RECORDED / f"{name}.json")
    found.memory.series = MemorySeries(
        seconds=[0.5, 1.0], epoch=[0, 0], live_bytes=[None, 7], stages={"stages.0": [1, None], "gone": [2, 3]}
    )
    if found.steps is not None:
        found.series.steps = StepCourse(
            seconds=[0.1, 0.1004, 0.3], interval_ms=[10.0, 0.4, 20.0], wait_ms=[4.0, 0.0, 14.0], busy_ms=[6.0, 0.3, 6.0]
        )
    return found


def check_rules(document: dict[str, Any]) -> None:
    """What the readers of Chrome's format, Perfetto's among them, ask for; else events are dropped or misplaced."""
    assert set(document) == {"displayTimeUnit", "otherData", "traceEvents"}
    assert document["displayTimeUnit"] in ("ms", "ns")
    named: dict[str, set[tuple[int, int]]] = defaultdict(set)
    counters: dict[tuple[int, str], float] = {}
    ends: dict[tuple[int, int], float] = {}
    for event in document["traceEvents"]:
        assert {"ph", "name", "pid", "tid", "ts"} <= set(event), event
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert isinstance(event["ts"], float)
        assert event["ts"] >= 0
        track = event["pid"], event["tid"]
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert isinstance(event["args"]["name"], str)
            named[event["name"]].add(track)
        elif event["ph"] == "X":
            assert event["dur"] > 0
            assert track in named["thread_name"]
            # Slices of one thread must nest; these follow each other, but for rounding.
            assert event["ts"] >= ends.get(track, 0.0) - 0.01, event
            ends[track] = event["ts"] + event["dur"]
        else:
            assert event["ph"] == "C"
            ((_, value),) = event["args"].items()
            assert isinstance(value, (int, float))
            assert not isinstance(value, bool)
            key = event["pid"], event["name"]
            assert event["ts"] >= counters.get(key, 0.0)
            counters[key] = event["ts"]
    assert {(process, 0) for process, _ in named["thread_name"]} <= named["process_name"]


@pytest.mark.parametrize("name", NAMES)
def test_a_trace_follows_the_rules_of_its_readers(name: str, pipeprof: Pipeprof, tmp_path: Path) -> None:
    out = tmp_path / "run.trace.json.gz"
    done = pipeprof("show", RECORDED / f"{name}.json", "--out", out)
    assert done.code == 0, done.err
    document = json.loads(gzip.decompress(out.read_bytes()))
    check_rules(document)
    assert document["otherData"]["tool"].startswith("pipeprof ")


@pytest.mark.parametrize("name", NAMES)
def test_so_do_the_tracks_that_a_recorded_profile_lacks(name: str) -> None:
    events = json.loads(json.dumps(trace_events(of(name)), allow_nan=False))
    check_rules({"displayTimeUnit": "ms", "otherData": {}, "traceEvents": events})


def test_a_trace_has_the_steps_over_time_from_where_the_measured_window_begins() -> None:
    profile = of("jpeg-folder")
    start = next(
        at for at, phase in zip(profile.series.seconds, profile.series.phase, strict=True) if phase == "measure"
    )
    events = trace_events(profile)
    slices = [event for event in events if event["name"] == "steps"]
    assert [event["ts"] for event in slices] == [pytest.approx(1e6 * (start + at)) for at in (0.0, 0.1, 0.1004)]
    assert [event["dur"] for event in slices] == [pytest.approx(us) for us in (100_000, 400, 199_600)]
    assert [event["args"]["steps"] for event in slices] == [10, 1, 10]
    assert slices[0]["args"] | {"steps": 10} == {
        "steps": 10, "step interval, ms": 10.0, "wait for data, ms": 4.0, "device busy, ms": 6.0,
    }  # fmt: skip
    waits = [event["args"]["value"] for event in events if event["name"] == "wait for data, ms"]
    assert waits == [4.0, 0.0, 14.0]
    profile.series.steps.wait_ms = profile.series.steps.busy_ms = None
    assert {"wait for data, ms", "device busy, ms"}.isdisjoint(event["name"] for event in trace_events(profile))


def test_a_trace_has_phases_gaps_stages_memory_and_buffers_as_tracks() -> None:
    events = trace_events(of("jpeg-folder"))
    names = {(event["ph"], event["name"]) for event in events}
    assert {("X", "measure"), ("X", "waits for data"), ("X", "mean of a batch")} <= names
    assert {("C", "resident memory, bytes"), ("C", "CPU, cores"), ("C", "batches per second")} <= names
    # A stage that the profile does not name is called by its address.
    assert ("C", "buffer of gone (gone), bytes") in names
    buffers = [event for event in events if event["name"].endswith("(stages.0), bytes")]
    assert [(event["ts"], event["args"]) for event in buffers] == [(500_000.0, {"value": 1})]
    threads = {event["args"]["name"] for event in events if event["name"] == "thread_name"}
    assert {"phases", "steps", "longest gaps", "decode", "list_files"} <= threads


def test_gaps_and_stages_begin_with_the_measured_window() -> None:
    profile = of("jpeg-folder")
    start = next(
        at for at, phase in zip(profile.series.seconds, profile.series.phase, strict=True) if phase == "measure"
    )
    events = [event for event in trace_events(profile) if event["ph"] == "X"]
    gaps = [event["ts"] for event in events if event["tid"] == 2 and event["pid"] == 1]
    assert min(gaps) >= 1e6 * start
    assert gaps == sorted(gaps)
    profile.series = Series()
    before = sum(phase.seconds or 0 for phase in profile.phases if phase.name not in ("measure", "trace"))
    (measure,) = [event for event in trace_events(profile) if event["name"] == "measure"]
    assert measure["ts"] == pytest.approx(1e6 * before, abs=1)


def families(profile: Profile) -> dict[str, Any]:
    return {family.name: family for family in text_string_to_metric_families(openmetrics(profile))}


@pytest.mark.parametrize("name", NAMES)
def test_prometheus_parses_every_profile(name: str) -> None:
    found = families(of(name))
    assert found["pipeprof_run_info"].samples[0].value == 1.0
    assert found["pipeprof_complete"].samples[0].value in (0.0, 1.0)
    assert all(family.documentation and family.samples for family in found.values())
    assert all(family.name.endswith(f"_{family.unit}") for family in found.values() if family.unit)


@pytest.mark.parametrize("name", NAMES)
def test_the_textfile_collector_reads_the_same_from_every_profile(name: str) -> None:
    """It reads the older text format, refuses types that this lacks, and takes other lines with # for comments."""
    profile = of(name)
    profile.target.text = HOSTILE
    text = openmetrics(profile)
    types = {line.split()[3] for line in text.splitlines() if line.startswith("# TYPE ")}
    assert types <= {"counter", "gauge", "histogram", "summary", "untyped"}
    older = [sample for family in text_format.text_string_to_metric_families(text) for sample in family.samples]
    assert older == [sample for family in families(profile).values() for sample in family.samples]


def test_metrics_have_base_units_and_the_names_of_stages() -> None:
    profile = of("jpeg-folder")
    found = families(profile)
    (interval,) = found["pipeprof_step_interval_seconds"].samples
    assert interval.value == pytest.approx(profile.steps.interval_ms.mean / 1e3)
    assert interval.labels == {"target": "examples/jpeg_folder/spec.yaml"}
    quantiles = {
        sample.labels["quantile"]: sample.value for sample in found["pipeprof_step_interval_quantile_seconds"].samples
    }
    assert quantiles["0.95"] == pytest.approx(profile.steps.interval_ms.p95 / 1e3)
    times = {sample.labels["name"]: sample.value for sample in found["pipeprof_stage_time_per_batch_seconds"].samples}
    assert times["decode"] == pytest.approx(0.0459, abs=1e-4)
    assert found["pipeprof_memory_peak_bytes"].samples[0].value == profile.memory.peak_bytes


@pytest.mark.parametrize(("name", "waits"), [("input-bound", True), ("script-fit", True), ("step-none", False)])
def test_nothing_waits_without_a_step(name: str, waits: bool) -> None:
    assert ("pipeprof_wait_ratio" in families(of(name))) is waits


def test_what_is_unknown_has_no_sample_and_hostile_names_stay_labels() -> None:
    profile = of("jpeg-folder")
    profile.target.text = profile.stages[1].name = HOSTILE
    profile.memory.peak_bytes = None
    found = families(profile)
    assert "pipeprof_memory_peak_bytes" not in found
    assert found["pipeprof_run_info"].samples[0].labels["target"] == HOSTILE
    assert HOSTILE in {sample.labels["name"] for sample in found["pipeprof_stage_time_per_batch_seconds"].samples}


def test_both_are_written_again_and_replace_no_file_of_others(pipeprof: Pipeprof, tmp_path: Path) -> None:
    for name, foreign in (("a.prom", b"# TYPE up gauge\n"), ("a.trace.json.gz", gzip.compress(b'{"traceEvents": []}'))):
        out = tmp_path / name
        words = ["show", RECORDED / "jpeg-folder.json", "--out", out]
        assert pipeprof(*words).code == 0
        first = out.read_bytes()
        assert pipeprof(*words).code == 0
        assert out.read_bytes() == first
        out.write_bytes(foreign)
        refused = pipeprof(*words)
        assert (refused.code, out.read_bytes()) == (2, foreign)
