"""`pipeprof gaps`: its report in every format, its exit codes, and two traces side by side."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.gaps.made_traces import US, Called, Did, Made, stalled, write

Pipeprof = Callable[..., Any]
INPUT = Called("enumerate(DataLoader)#_SingleProcessDataLoaderIter.__next__", 0, 0, "user_annotation")


@pytest.fixture
def before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An input-bound trace in the current folder."""
    monkeypatch.chdir(tmp_path)
    return write(stalled("json", INPUT), "json", tmp_path)


def test_one_trace_is_one_screen(before: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", str(before))
    assert result.code == 0
    lines = result.out.splitlines()
    first = " ".join(lines[:2])
    assert first == "Input-bound: the device idles 30 % of the time; 98 % of that it waits for the data loader."
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert "pipeprof run" in result.out
    assert "20 steps in" in result.out


def test_json_has_the_fields_of_a_device(before: Path, pipeprof: Pipeprof) -> None:
    document = json.loads(pipeprof("gaps", str(before), "--json").out)
    [device] = document["devices"]
    assert device["idle_share"] == pytest.approx(0.3)
    assert device["gaps"]["by_cause"]["pipeline"] == pytest.approx(20 * 295e-6)
    assert len(device["gaps"]["longest"]) == 10
    assert device["gaps"]["longest"][0]["stage"] == "DataLoader (_SingleProcessDataLoaderIter)"
    assert document["traces"][0]["verdict"] == "input"


@pytest.mark.parametrize(("limit", "code"), [("idle=20%", 3), ("idle=0.5", 0), ("pipeline=29%", 3), ("copy=1%", 0)])
def test_fail_on_is_a_gate(limit: str, code: int, before: Path, pipeprof: Pipeprof) -> None:
    assert pipeprof("gaps", str(before), "--fail-on", limit).code == code


@pytest.mark.parametrize("limit", ["idle", "idle=most", "idle=200%", "gap=3%"])
def test_a_limit_that_is_none_is_named(limit: str, before: Path, pipeprof: Pipeprof) -> None:
    result = pipeprof("gaps", str(before), "--fail-on", limit)
    assert result.code == 2
    assert "--fail-on" in result.err


def test_what_cannot_be_said_does_not_pass_a_gate(tmp_path: Path, pipeprof: Pipeprof) -> None:
    path = write(Made([], stalled("json", INPUT).host), "json", tmp_path)
    result = pipeprof("gaps", str(path))
    assert result.code == 6
    assert result.out.startswith("Cannot say: the trace has no events of a device.\n")
    assert pipeprof("gaps", str(path), "--fail-on", "idle=20%").code == 4


def test_two_traces_are_before_and_after(before: Path, tmp_path: Path, pipeprof: Pipeprof) -> None:
    folder = tmp_path / "after"
    folder.mkdir()
    made = stalled("json", Called("aten::add", 0, 0))
    after = write(made, "json", folder)
    result = pipeprof("gaps", str(before), str(after))
    assert result.code == 0
    rows = [line.split() for line in result.out.splitlines()]
    assert ["pipeline", "30", "%", "0", "%", "−29.5", "points"] in rows
    assert ["op", "0", "%", "30", "%", "+29.5", "points"] in rows


@pytest.mark.parametrize("extension", ["md", "html", "txt", "json"])
def test_names_with_markup_stay_text_in_every_format(extension: str, tmp_path: Path, pipeprof: Pipeprof) -> None:
    evil = "<script>alert(1)</script>\x1b[31m"
    path = write(stalled("json", Called(evil, 0, 0)), "json", tmp_path)
    out = tmp_path / f"report.{extension}"
    assert pipeprof("gaps", str(path), "--out", str(out)).code == 0
    text = out.read_text(encoding="utf-8")
    assert "alert(1)" in text
    assert "\x1b" not in text
    if extension in ("html", "md"):
        assert evil.split(")", maxsplit=1)[0] not in text
    # A report of pipeprof's own may be written again.
    assert pipeprof("gaps", str(path), "--out", str(out)).code == 0


def test_several_devices_have_rows(tmp_path: Path, pipeprof: Pipeprof) -> None:
    made = stalled("json", INPUT)
    made.work += [Did(did.begin, did.begin + 300 * US, None, device=1) for did in made.work]
    result = pipeprof("gaps", str(write(made, "json", tmp_path)))
    assert "GPU 0 works longest while the others wait for it: the straggler" in result.out
    assert "the 2 devices idle 50 % of the time" in result.out.replace("\n", " ")
