"""Gates with a memory: notes in real repositories, graphs of real functions, and a search through real commits."""

from __future__ import annotations

import json
import multiprocessing
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from integration import forked
from integration.test_gate import GATE, SPEC
from unit.history.gates import entry

from pipeprof.cli.main import invoke
from pipeprof.profiles.git.calls import git_calls
from pipeprof.profiles.git.refs import first_commit
from pipeprof.profiles.history.entry import encode_line
from pipeprof.profiles.history.notes import REF, append_note, read_notes

FOLDER = str(Path(__file__).parents[2] / "benchmarks" / "history")


@pytest.fixture(scope="module")
def recorded() -> Iterator[ModuleType]:
    sys.path.insert(0, FOLDER)
    try:
        import recorded

        yield recorded
    finally:
        sys.path.remove(FOLDER)
        sys.modules.pop("recorded", None)


@pytest.fixture
def repository(recorded: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of three commits, and the current folder."""
    place = tmp_path / "work"
    place.mkdir()
    recorded.make(recorded.Repository("csv_lines", 2, 2, changing=(1,)), place)
    monkeypatch.chdir(place)
    return place


def append(place: Path, name: str) -> None:
    with git_calls() as calls:
        view = calls.find(place)
        assert view is not None
        append_note(calls, view, encode_line(entry(0, 1, started=name)))


def names(place: Path) -> list[str]:
    with git_calls() as calls:
        view = calls.find(place)
        assert view is not None
        return [one.started for one in read_notes(calls, view, first_commit(calls, view)).entries]


def test_notes_of_gates_at_the_same_time_are_all_kept(repository: Path, recorded: ModuleType) -> None:
    recorded.git(repository, "notes", "--ref=pipeprof", "add", "-m", "a line of somebody's own")
    head = recorded.git(repository, "rev-parse", "HEAD")
    context = multiprocessing.get_context("fork")
    running = [context.Process(target=append, args=(repository, str(number))) for number in range(4)]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert [one.exitcode for one in running] == [0] * 4
    assert names(repository) == ["0", "1", "2", "3"]
    # git reads what was written, and what was there is still there.
    shown = recorded.git(repository, "notes", "--ref=pipeprof", "show", head)
    assert shown.startswith("a line of somebody's own\n")
    assert shown.count("pipeprof gate") == 4
    assert recorded.git(repository, "status", "--porcelain") == ""
    assert recorded.git(repository, "fsck", "--strict", "--no-dangling") == ""


def test_a_fresh_clone_is_told_the_line_that_fetches_them(
    repository: Path,
    recorded: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    append(repository, "first")
    recorded.git(tmp_path, "clone", "-q", f"file://{repository}", "fresh")
    monkeypatch.chdir(tmp_path / "fresh")
    assert invoke(["show", "--history", "git"]) == 6
    line = re.search(r"git fetch \S+ \S+", capsys.readouterr().err)
    assert line is not None
    assert line[0] == f"git fetch origin {REF}:{REF}"
    recorded.git(tmp_path / "fresh", *line[0].split()[1:])
    assert names(tmp_path / "fresh") == ["first"]
    # Later gates of the clone are appended to what it has.
    append(tmp_path / "fresh", "second")
    assert names(tmp_path / "fresh") == ["first", "second"]
    recorded.git(tmp_path / "fresh", "push", "-q", "origin", REF)
    assert names(repository) == ["first", "second"]


def test_a_history_of_another_repository_is_refused(
    repository: Path, recorded: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = tmp_path / "gates.jsonl"
    history.write_bytes(encode_line(entry(0, 1, repository="b" * 40)))
    before = history.read_bytes()
    for words in (["show"], ["gate", "spec.yaml", "--against", "git:HEAD~1"]):
        assert invoke([*words, "--history", str(history)]) == 6
        assert f"{history}:1 is of another repository, which begins with commit bbbbb" in capsys.readouterr().err
    assert history.read_bytes() == before
    assert recorded.git(repository, "status", "--porcelain") == ""


def test_a_gate_with_a_history_measures_the_reference_workload(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SPEC)
    (tmp_path / "b.yaml").write_text(SPEC.replace("y: 2", "y: 3"))
    words = ["gate", "b.yaml", "--against", "a.yaml", "--max-pairs", "1", "--history", "gates.jsonl", "--quiet"]
    done = forked.run([*words, "--no-lock", "--json"], tmp_path, GATE)
    assert done.returncode == 4, done.stderr
    (pair,) = json.loads(done.stdout)["pairs"]
    assert set(pair["order"]) == {"A", "B", "R", "A′"}
    assert pair["reference"]["step_ms"] > 0
    (line,) = (tmp_path / "gates.jsonl").read_text().splitlines()
    assert json.loads(line)["pairs"][0]["reference"] == pair["reference"]


def searched(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = invoke(["gate", "spec.yaml", *words, "--quiet", "--no-lock"])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


def test_a_search_names_the_commit_and_its_stage(
    recorded: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = recorded.Repository("csv_lines", 12, 8, 1.2, broken=(6,), changing=(3, 10), merged=True)
    (tmp_path / "work").mkdir()
    hashes = recorded.make(plan, tmp_path / "work")
    monkeypatch.chdir(tmp_path / "work")
    (tmp_path / "work" / "README.md").write_text("not committed\n")
    before = recorded.state(tmp_path / "work")
    with recorded.recorded_sessions(plan, hashes, 1) as seen:
        code, out, _ = searched(capsys, "--bisect", f"{hashes[0]}..main", "--out", str(tmp_path / "r.json"))
    assert code == 3
    assert re.match(rf"Found: {hashes[8][:10]} “Merge the topic”: steps are \d+ % slower", out), out
    assert "in decode" in out
    assert "the work tree has uncommitted changes" in out
    found = json.loads((tmp_path / "r.json").read_text())["bisect"]
    assert (found["found"], found["stage"], found["commits"]) == (hashes[8], "decode", 12)
    ways = {step["commit"]: step["how"] for step in found["steps"]}
    assert ways[hashes[6]] == "skipped"
    assert all(hashes[6] not in pair for pair in seen)
    assert recorded.state(tmp_path / "work") == before


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("HEAD~2", 2, "--bisect: got 'HEAD~2', expected GOOD..BAD"),
        ("..HEAD", 2, "expected GOOD..BAD"),
        ("HEAD~2...HEAD", 2, "expected GOOD..BAD"),
        ("HEAD..HEAD", 6, "so there is nothing between them"),
        ("v9..HEAD", 6, "git:v9: no such branch, tag or commit"),
        ("HEAD~2..v9", 6, "git:v9: no such branch, tag or commit"),
        ("HEAD..HEAD~2", 6, "is not in the history of"),
        ("HEAD~2..", 6, "nothing has regressed in"),
        ("HEAD~1..HEAD --measure", 6, "nothing has regressed in"),
    ],
)
def test_a_range_without_an_answer_is_a_sentence(
    given: str, code: int, says: str, repository: Path, recorded: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recorded.state(repository)
    hashes = recorded.git(repository, "rev-list", "--reverse", "HEAD").split()
    same = recorded.Repository("csv_lines", 2, 99)
    with recorded.recorded_sessions(same, hashes, 1):
        found, out, err = searched(capsys, "--bisect", *given.split(), "--out", f"{repository.parent}/r.json")
    assert found == code
    assert says in out + err
    assert recorded.state(repository) == before


def test_the_same_spec_at_a_ref_passes_at_once(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "README.md").write_text("other words\n")
    code, out, _ = searched(capsys, "--against", "git:HEAD", "--out", f"{repository.parent}/r.json")
    assert (code, out.split(":")[0]) == (0, "Passed")
    assert "nothing was measured" in out
    assert subprocess.run(["git", "diff", "--quiet", "--", "spec.yaml"], cwd=repository, check=False).returncode == 0
