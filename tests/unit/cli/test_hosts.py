"""`check --hosts`, `show --hosts` and `run --host`: what is printed, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.hosts.test_called import files, graph
from unit.judge.test_late_hosts import host

from pipeprof.cli.pages.hosts import describe_hosts
from pipeprof.cli.text.paint import paint
from pipeprof.cli.text.style import Style
from pipeprof.pipelines.errors import PipelineFailedError, UsageError
from pipeprof.profiles.document.profile import Profile
from pipeprof.profiles.document.sharding import HostShare, Sharding
from pipeprof.profiles.document.store import encode
from pipeprof.profiles.protocol.source import HostsAnswer

Pipeprof = Callable[..., Any]
SPEC = """\
version: 1
source:
  TextLineDataset: {filenames: "*.txt"}
stages:
  - batch: {batch_size: 4}
"""


@pytest.fixture
def spec(pipeprof: Pipeprof) -> str:
    assert pipeprof("--version").code == 0
    for name, count in (("a", 4), ("b", 4), ("c", 12)):
        Path(f"{name}.txt").write_text("line\n" * count, encoding="utf-8")
    Path("spec.yaml").write_text(SPEC, encoding="utf-8")
    return "spec.yaml"


def saved(*profiles: Profile) -> list[str]:
    for place, profile in enumerate(profiles):
        Path(f"p{place}.json").write_bytes(encode(profile))
    return [f"p{place}.json" for place in range(len(profiles))]


def test_check_shows_what_each_host_reads(spec: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec, "--hosts", "2")
    assert result.code == 0
    said = " ".join(result.out.split())
    assert "AUTO becomes FILE: each host gets its part of all 3 files (100 B) before TextLineDataset" in said
    assert "Give every host the same amount of data" in result.out
    document = json.loads(pipeprof("check", spec, "--hosts", "2", "--json").out)
    assert [share["records"] for share in document["sharding"]["shares"]] == [16, 4]
    assert document["sharding"]["amplification"] == 1.0
    assert [finding["rule"] for finding in document["findings"]] == ["unequal-shards"]


def test_without_hosts_nothing_is_said_about_them(spec: str, pipeprof: Pipeprof) -> None:
    assert "Hosts" not in pipeprof("check", spec).out
    assert json.loads(pipeprof("check", spec, "--json").out)["sharding"] is None


def test_a_gate_fails_where_hosts_are_too_many(spec: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("check", spec, "--hosts", "4", "--fail-on", "warning")
    assert result.code == 3
    assert "fails: FILE, which AUTO becomes here, needs a file for each of 4 hosts" in result.out


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], list[tuple[str, int]]]:
    """Let a function be called with an answer that is known; what it was called for."""
    asked: list[tuple[str, int]] = []

    def answers(answer: Any) -> list[tuple[str, int]]:
        def ask(target: Any, hosts: int) -> Any:
            asked.append((str(target), hosts))
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr("pipeprof.profiles.harness.ask_worker.ask_for_hosts", ask)
        return asked

    return answers


def test_a_function_is_called_for_its_hosts(pipeprof: Pipeprof, called: Any, tmp_path: Path) -> None:
    Path("train.py").write_text("def make(): pass\n", encoding="utf-8")
    assert called(HostsAnswer([graph(files(tmp_path, 2, 2, 2))])) == []
    result = pipeprof("check", "train.py:make", "--hosts", "2")
    assert result.code == 0
    assert called(HostsAnswer([graph(files(tmp_path, 2, 2, 2))])) == [("train.py:make", 2)]
    said = " ".join(result.out.split())
    assert "AUTO becomes FILE: each host gets its part of all 3 files (30 B) before interleave" in said
    assert "Give every host the same amount of data" in result.out
    assert "stages" not in said.partition("Hosts")[0]
    document = json.loads(pipeprof("check", "train.py:make", "--hosts", "2", "--json").out)
    assert [share["records"] for share in document["sharding"]["shares"]] == [4, 2]
    assert [stage["op"] for stage in document["stages"]] == ["list_files", "interleave", "TextLineDataset", "batch"]


def test_a_call_that_registers_a_dataset_is_told_before(pipeprof: Pipeprof, called: Any) -> None:
    lines = ("import tensorflow as tf", "def make(): tf.data.experimental.service.distribute(...)")
    Path("train.py").write_text("\n".join(lines), encoding="utf-8")
    called(UsageError("no"))
    result = pipeprof("check", "train.py:make", "--hosts", "2")
    assert "note: train.py has calls that register 1 dataset with a tf.data service" in result.err
    assert result.err.index("note") < result.err.index("no\n")


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError("it takes n"), 2), (PipelineFailedError("train.py:3: ValueError: no"), 5)]
)
def test_a_function_that_cannot_be_called_is_told(error: Exception, code: int, pipeprof: Pipeprof, called: Any) -> None:
    for name in ("train", "other"):
        Path(f"{name}.py").write_text("def make(): pass\n", encoding="utf-8")
    called(error)
    result = pipeprof("check", "train.py:make", "--hosts", "2", "--json")
    assert result.code == code
    assert str(error) in result.err
    assert json.loads(result.out)["exit_code"] == code
    result = pipeprof("check", "train.py:make", "other.py:make", "--hosts", "2")
    assert result.code == code
    assert "Checked 2 targets: 2 with errors." in result.out


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--hosts", "0", "expected a whole number from 1"),
        ("--hosts", "-1", "expected a whole number from 1"),
        ("--hosts", "many", "expected a whole number from 1"),
        ("--hosts", "1000000", "expected at most 4,096"),
        ("--host", "8/8", "8 hosts are counted from 0 to 7"),
        ("--host", "-1/8", "8 hosts are counted from 0 to 7"),
        ("--host", "0/0", "expected 1 to 4,096 hosts"),
        ("--host", "3", "expected I/N"),
        ("--host", "a/b", "expected I/N"),
    ],
)
def test_hosts_that_cannot_be_are_refused(flag: str, value: str, words: str, spec: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("check" if flag == "--hosts" else "run", spec, f"{flag}={value}")
    assert (result.code, result.out) == (2, "")
    assert words in result.err


@pytest.mark.parametrize(
    ("more", "words"),
    [(["--change", "1"], "--change is about changes"), (["--budget", "9"], "--budget is about changes")],
)
def test_changes_are_not_tried_on_a_part(more: list[str], words: str, spec: str, pipeprof: Pipeprof) -> None:
    result = pipeprof("run", spec, "--host", "0/2", *more)
    assert result.code == 2
    assert words in result.err


def test_a_training_script_is_not_divided(pipeprof: Pipeprof) -> None:
    Path("train.py").write_text("import tensorflow as tf\nfor _ in tf.data.Dataset.range(3): pass\n", encoding="utf-8")
    result = pipeprof("run", "train.py", "--host", "0/2")
    assert result.code == 2
    assert "name its function" in result.err


def test_show_lays_hosts_side_by_side(pipeprof: Pipeprof, golden: Callable[[str, str], None]) -> None:
    names = saved(host(0), host(1), host(3, 26.0))
    result = pipeprof("show", *names, "--hosts")
    assert result.code == 0
    golden("show/hosts.txt", result.out)
    document = json.loads(pipeprof("show", *names, "--hosts", "--json").out)
    assert document["missing"] == [2]
    assert [one["late"] for one in document["hosts"]] == [False, False, True]
    assert document["kind"] == "hosts"


def test_hidden_names_of_machines(pipeprof: Pipeprof) -> None:
    names = saved(host(0), host(1))
    assert "node-1" in pipeprof("show", *names, "--hosts").out
    assert "node-1" not in pipeprof("show", *names, "--hosts", "--redact").out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["p0.json"], 2, "name at least two"),
        (["p0.json", "p1.json", "-v"], 2, "remove --finding, --section and -v"),
        (["p0.json", "p1.json", "--format", "html"], 2, "writes text and JSON, not html"),
        (["p0.json", "p1.json", "--finding", "1"], 2, "remove --finding"),
        (["p0.json", "p2.json"], 6, "p2.json"),
        (["p0.json", "other.json"], 6, "whose text differs"),
        (["p0.json", "newer.json"], 6, "newer.json"),
    ],
)
def test_hosts_that_cannot_be_laid_side_by_side(
    arguments: list[str], code: int, words: str, pipeprof: Pipeprof
) -> None:
    saved(host(0), host(1))
    other = host(1)
    other.target.resolved_sha256 = "b"
    Path("other.json").write_bytes(encode(other))
    newer = json.loads(encode(host(1))) | {"schema_version": 99}
    Path("newer.json").write_text(json.dumps(newer), encoding="utf-8")
    result = pipeprof("show", *arguments, "--hosts")
    assert result.code == code
    assert words in result.err


def test_hosts_of_which_nothing_is_known_have_no_table() -> None:
    shares = [HostShare(index=number) for number in range(8)]
    sharding = Sharding(hosts=8, policy="AUTO", applied="FILE", shares=shares, unknown=["repeat changes the list"])
    said = paint(describe_hosts(sharding, []), Style(color=False, width=100))
    assert "unknown: repeat changes the list" in said
    assert "n/a" not in said


def test_of_many_hosts_those_at_both_ends_are_listed() -> None:
    shares = [HostShare(index=index, files=1, records=1000 - index) for index in range(100)]
    sharding = Sharding(hosts=100, policy="FILE", applied="FILE", at=["source"], files=100, shares=shares)
    text = paint(describe_hosts(sharding, []), Style(color=False, width=80))
    assert "84 more hosts are between these" in text
    assert "1,000" in text
    assert "901" in text


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"policy": "OFF", "applied": "OFF"},
            "auto_shard_policy OFF: nothing is divided; each host reads all of the data",
        ),
        ({"policy": "HINT", "applied": "HINT"}, "nothing is divided, because no shard has the number SHARD_HINT"),
        (
            {"applied": "DATA", "why": "no reader", "files": 1, "bytes": 100},
            "AUTO becomes DATA (no reader): each host reads",
        ),
        ({"applied": None, "why": "it is Python"}, "its effect is unknown: it is Python"),
        ({"applied": "own", "at": ["stages.0"], "why": "twice"}, "each host gets its part at stages.0 note: twice"),
        ({"applied": "FILE", "amplification": 1.0}, "together they read the data once"),
        ({"applied": "DATA", "amplification": 2.5}, "together they read the data 2.5 times"),
        ({"applied": "FILE", "unknown": ["the files are elsewhere"]}, "unknown: the files are elsewhere"),
    ],
)
def test_each_division_has_its_sentence(facts: dict[str, Any], words: str) -> None:
    sharding = Sharding(**({"hosts": 2, "policy": "AUTO"} | facts))
    text = paint(describe_hosts(sharding, []), Style(color=False, width=120))
    assert words in " ".join(text.split())
