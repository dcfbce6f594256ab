"""``gate --history`` and what passes unmeasured, with sessions that take no time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from unit.history.gates import pairs

from pipeprof.profiles.document.subject import Host
from pipeprof.profiles.git import dirty
from pipeprof.profiles.judge import live
from pipeprof.profiles.judge.verdicts.result import Result
from tests.unit.cli.test_main import Pipeprof

SPEC = """version: 1
name: numbers
source: {{range: {{stop: 1000}}}}
stages:
  - map: {{name: double, ops: [{{tf.multiply: {{y: {factor}}}}}]}}
  - batch: {{batch_size: 8}}
"""
HERE = Host(name="here", system="Linux", machine="x86_64", cpu_model="one", cores=2.0, memory_bytes=8 << 30)


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(dirty, "is_dirty", lambda *_: None)
    for number in range(12):
        Path(f"v{number}.yaml").write_text(SPEC.format(factor=number))


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set what the next sessions measure."""

    def measures(factor: float, host: Host = HERE, sides: list[str] | None = None, memory: float = 1.0) -> None:
        def measure(
            given: Mapping[str, Any], result: Result, plan: live.SessionPlan, _progress: object, save: Any
        ) -> None:
            if sides is not None:
                sides[:] = list(given)
            result.a.host = result.b.host = host
            result.step = "none"
            result.pairs = pairs(factor, count=15, memory=memory)
            result.metrics = plan.rows(result.pairs)
            save()

        monkeypatch.setattr(live, "measure", measure)

    return measures


def joined(text: str) -> str:
    """A text without the ends of its lines."""
    return " ".join(text.split())


def gate(pipeprof: Pipeprof, one: int, other: int, *more: str) -> Any:
    # The target of a history is its file: here each version has a name of its own.
    Path("spec.yaml").write_text(SPEC.format(factor=other))
    return pipeprof("gate", "spec.yaml", "--against", f"v{one}.yaml", *more)


def test_nothing_is_kept_without_the_option(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    sides: list[str] = []
    session(1.0, sides=sides)
    assert gate(pipeprof, 0, 1).code == 0
    assert list(Path().glob("*.jsonl")) == []
    assert sides == ["a", "b"]


def test_a_gate_is_kept_with_the_reference_workload(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    sides: list[str] = []
    session(1.0, sides=sides)
    result = gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    assert result.code == 0, result.err
    assert sides == ["a", "b", "r"]
    assert "a drift is judged from the next one on" in joined(result.out)
    (line,) = Path("gates.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["host"] == {"cpu_model": "one", "machine": "x86_64", "cores": 2.0, "memory_gib": 8}
    assert len(entry["pairs"]) == 15
    assert entry["pairs"][0]["reference"] == {"step_ms": 2.0}
    assert entry["a"]["digest"] != entry["b"]["digest"]


def test_a_creep_fails_and_names_where_it_began(
    pipeprof: Pipeprof, session: Callable[..., None], golden: Callable[[str, str], None]
) -> None:
    session(1.025)
    codes = [gate(pipeprof, one, one + 1, "--history", "gates.jsonl").code for one in range(8)]
    assert codes[0] != 3
    assert codes[-1] == 3
    result = gate(pipeprof, 8, 9, "--history", "gates.jsonl", "--out", "gate.json", "--out", "gate.xml")
    assert result.code == 3
    assert joined(result.out).startswith("Failed: drifted since v0.yaml: step interval 1.25× (")
    document = json.loads(Path("gate.json").read_text())
    assert document["verdict"] == "regressed"
    assert [row["verdict"] for row in document["metrics"] if row["name"] == "step_ms"] == ["not regressed"]
    assert document["history"]["gates"] == 8
    junit = Path("gate.xml").read_text()
    assert 'name="drift of step interval"' in junit
    assert 'failures="1"' in junit
    assert "::error" in gate(pipeprof, 9, 10, "--history", "gates.jsonl", "--format", "github").out
    text = result.out.partition("Saved")[0]
    golden("compare/gate_drifted.txt", text.replace(str(Path.cwd()), ""))
    assert len(Path("gates.jsonl").read_text().splitlines()) == 10


def test_another_class_of_hosts_is_inconclusive_once(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    session(1.0, HERE.model_copy(update={"cores": 8.0}))
    first = gate(pipeprof, 1, 2, "--history", "gates.jsonl")
    assert first.code == 4
    assert joined(first.out).startswith(
        "Inconclusive: no drift can be judged: all earlier gates are of other hosts (2 cores,"
    )
    assert gate(pipeprof, 2, 3, "--history", "gates.jsonl").code == 0


def test_another_host_of_the_same_class_is_the_same(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    session(1.0, HERE.model_copy(update={"name": "there", "memory_bytes": (8 << 30) - 4096}))
    assert gate(pipeprof, 1, 2, "--history", "gates.jsonl").code == 0


def test_a_regression_stays_one_on_another_host(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    session(1.2, HERE.model_copy(update={"cores": 8.0}))
    result = gate(pipeprof, 1, 2, "--history", "gates.jsonl")
    assert result.code == 3
    assert result.out.startswith("Failed: steps are 20 % slower")


def test_a_damaged_line_is_a_warning(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    with Path("gates.jsonl").open("a") as file:
        file.write('{"history": "pip')
    result = gate(pipeprof, 1, 2, "--history", "gates.jsonl")
    assert result.code == 0
    assert "gates.jsonl:2: not JSON" in joined(result.out)
    assert len(Path("gates.jsonl").read_text().splitlines()) == 3


def test_a_session_that_fails_is_not_kept(
    pipeprof: Pipeprof, session: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    monkeypatch.setattr(live, "measure", lambda *_: None)
    assert gate(pipeprof, 1, 2, "--history", "gates.jsonl").code == 5
    assert len(Path("gates.jsonl").read_text().splitlines()) == 1


def test_a_history_that_cannot_be_continued_leaves_the_verdict(
    pipeprof: Pipeprof, session: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    session(1.0)
    gate(pipeprof, 0, 1, "--history", "gates.jsonl")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    result = gate(pipeprof, 1, 2, "--history", "gates.jsonl", "--out", "r.json")
    assert result.code == 0 or "no space left" in result.err
    assert len(Path("gates.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (
            ["gate", "v0.yaml", "--self-test", "--history", "h"],
            2,
            "--history keeps what a gate with --against measures",
        ),
        (["gate", "v0.yaml", "--baseline", "b.json", "--history", "h"], 2, "remove --history or --baseline"),
        (["gate", "v0.yaml", "--against", "v1.yaml", "--history", "."], 2, "--history .: this is a folder"),
        (["gate", "v0.yaml", "--against", "v1.yaml", "--history", "v1.yaml"], 2, "this is no history of pipeprof gate"),
        (["gate", "v0.yaml", "--against", "v1.yaml", "--history", "no/h"], 2, "the folder no does not exist"),
        (["gate", "v0.yaml", "--against", "v1.yaml", "--history", "git"], 6, "is in no git repository; name a file"),
        (["show", "--history", "none.jsonl"], 6, "no such history; pipeprof gate --history none.jsonl begins one"),
        (["show", "--history", "git"], 6, "in no git repository"),
        (["show", "p.json", "--history", "h.jsonl"], 2, "--history shows a history alone"),
        (["show", "--history", "h.jsonl", "--format", "html"], 2, "expected text or json"),
    ],
)
def test_what_is_wrong_is_said_before_anything_runs(
    arguments: list[str], code: int, says: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "measure", lambda *_: pytest.fail("measured"))
    result = pipeprof(*arguments)
    assert (result.code, result.out) == (code, "")
    assert says in result.err


def test_a_history_is_shown_as_text_and_json(pipeprof: Pipeprof, session: Callable[..., None]) -> None:
    session(1.1)
    for one in range(3):
        gate(pipeprof, one, one + 1, "--history", "gates.jsonl")
    text = pipeprof("show", "--history", "gates.jsonl")
    assert text.code == 0, text.err
    assert "spec.yaml 3 gates in gates.jsonl" in joined(text.out)
    document = json.loads(pipeprof("show", "--history", "gates.jsonl", "--json").out)
    (series,) = document["series"]
    assert [point["words"] for point in series["gates"]] == ["slower"] * 3
    assert [change["gate"] for change in series["changes"]] == [0, 1, 2]


def test_the_same_pipeline_passes_without_a_measurement(
    pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None]
) -> None:
    monkeypatch.setattr(live, "measure", lambda *_: pytest.fail("measured"))
    files = [word for name in ("gate.json", "gate.xml", "gate.html", "gate.md") for word in ("--out", name)]
    result = pipeprof("gate", "v3.yaml", "--against", "./v3.yaml", *files)
    assert result.code == 0, result.err
    golden("compare/gate_unchanged.txt", result.out.partition("Saved")[0])
    document = json.loads(Path("gate.json").read_text())
    assert (document["verdict"], document["pairs"], document["complete"]) == ("not regressed", [], True)
    assert document["unchanged"]
    assert "nothing was measured" in Path("gate.html").read_text()
    assert 'name="unchanged"' in Path("gate.xml").read_text()
    again = pipeprof("show", "gate.json")
    assert (again.code, again.out.splitlines()[0]) == (0, result.out.splitlines()[0])


@pytest.mark.parametrize("more", [["--measure"], ["--max-step-ms", "20ms"]])
def test_what_asks_for_a_measurement_gets_one(
    more: list[str], pipeprof: Pipeprof, session: Callable[..., None]
) -> None:
    session(1.0)
    assert "15 pairs" in pipeprof("gate", "v3.yaml", "--against", "v3.yaml", *more).out


@pytest.mark.parametrize("name", ["CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "GITHUB_BASE_REF"])
def test_in_a_merge_request_the_other_side_is_where_the_branch_began(
    name: str, pipeprof: Pipeprof, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "release/1")
    result = pipeprof("gate", "v3.yaml")
    assert result.code == 6
    assert "is in no git repository, which a target `git:REF` needs" in result.err
    monkeypatch.setenv(name, "")
    assert "gate needs a pipeline to compare with" in pipeprof("gate", "v3.yaml").err
